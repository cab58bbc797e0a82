"""`with` blocks that change what outlives them: a Ctrl-C at any bytecode leaves nothing changed."""

import asyncio
import contextlib
import dis
import functools
import gc
import os
import sys
import threading

import pytest

import tessella as ts
from tessella import autodiff, debug, forking, nn
from tessella.blocks import Setting, restoring
from tessella.compiler import eager, machine_code, observe
from tessella.devices.registry import host
from tessella.garbage import collector_paused
from tessella.scalar import expression
from tessella.sizes.scope import Scope
from tessella.targets.cpu import threads
from tessella.targets.cpu.lowering import tiled_contraction
from tessella.tensors import rebinding
from tessella.tracing import trace as tracing
from tessella.transforms.reverse_mode import variables_of

OURS = os.path.dirname(ts.__file__)


@functools.cache
def looks(code):
    """Where Python looks for signals in some code: at its beginning, behind calls, and when it goes back.

    What it raises behind a call belongs to the call. Here it is raised at the next bytecode, so those
    with which a `try` or `with` ends are left out.
    """
    entries = dis.Bytecode(code).exception_entries

    def handlers(offset):
        return [entry.target for entry in entries if entry.start <= offset < entry.end]

    found, call = set(), None
    for instruction in dis.get_instructions(code):
        at = instruction.offset
        if instruction.opname.startswith(("RESUME", "JUMP_BACKWARD")):
            found.add(at)
        if call is not None and handlers(call) == handlers(at):
            found.add(at)
        call = at if instruction.opname.startswith("CALL") else None
    return found


class Interruption:
    """Raises KeyboardInterrupt at the n-th bytecode in this package at which Python looks for signals."""

    def __init__(self, at):
        self.left = at

    def __call__(self, frame, event, argument):
        if not frame.f_code.co_filename.startswith(OURS):
            return None
        frame.f_trace_opcodes = True
        if event == "opcode" and frame.f_lasti in looks(frame.f_code):
            self.left -= 1
            if self.left < 0:
                sys.settrace(None)
                raise KeyboardInterrupt
        return self


def interrupted(at, work):
    """Whether the interruption came before the work was done."""
    before = sys.gettrace()
    sys.settrace(Interruption(at))
    try:
        work()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
    return False


def unused():
    pass


MODEL = nn.Linear(2, 1)
OTHERS = [ts.ones((1, 2)), ts.ones(1)]
SCOPE = Scope({})
HELD = list(MODEL.parameters())


def state():
    """Everything that blocks change."""
    return (
        autodiff.recording.get(), autodiff.mode.trace, autodiff.mode.where,
        observe.settings.backend, observe.settings.observers, observe.settings.witnesses,
        observe.settings.visiting, observe.settings.key, observe.settings.compiles,
        gc.isenabled(), threads.count(), list(tiled_contraction._watchers),
        machine_code._current.together, expression._weak_float.get(),
        SCOPE.hints, SCOPE.stage, [id(x._value) for x in HELD], [id(x._node) for x in HELD],
        tracing.rebinding_lock._is_owned(), forking.making.section()._is_owned(),
    )  # fmt: skip


BLOCKS = {
    "no_grad": ts.no_grad,
    "enable_grad": ts.enable_grad,
    "set_enabled": lambda: autodiff.set_enabled(False),
    "tracing": lambda: tracing.tracing(tracing.Trace()),
    "attributed": lambda: tracing.attributed("a line"),
    "suspended": tracing.suspended,
    "rebound": lambda: rebinding.rebound(HELD, OTHERS),
    "collector_paused": collector_paused,
    "backend": lambda: eager.backend("reference"),
    "observed": lambda: observe.observed(observe.Observer()),
    "unobserved": observe.unobserved,
    "visiting": observe.visiting,
    "check_nan": debug.check_nan,
    "profile": ts.profile,
    "limited": lambda: threads.limited(threads.count() + 1),
    "watched": tiled_contraction.watched,
    "together": lambda: machine_code.together(host()),
    "weak_floats": lambda: expression.weak_floats(ts.float64),
    "compiling": lambda: SCOPE.compiling({"n": 3}),
    "variables": lambda: variables_of("grad", [MODEL]),
}


@pytest.mark.parametrize("name", BLOCKS)
def test_an_interruption_at_any_bytecode(name):
    def work():
        with BLOCKS[name]():
            unused()

    work()  # what is made once is there
    before, at = state(), 0
    while interrupted(at, work):
        assert state() == before, f"after {at} bytecodes"
        at += 1
    assert at > 3
    assert state() == before


def test_an_interruption_of_assignments_and_steps():
    p = ts.ones(3).requires_grad_()
    optimiser = ts.optim.SGD([p], lr=0.5)

    def work():
        p.grad = ts.ones(3)
        optimiser.step()
        p.assign(ts.zeros(3))
        ts.grad(lambda x: (x * x).sum())(ts.ones(2))

    work()
    before, at = state(), 0
    while interrupted(at, work):
        assert state() == before, f"after {at} bytecodes"
        at += 3
    assert state() == before
    work()
    assert p.tolist() == [0.0, 0.0, 0.0]


def test_an_interruption_that_is_kept_leaves_nothing_on():
    """As in an interactive session, which keeps the last exception and its frames."""

    def work():
        with collector_paused():
            unused()

    before, kept = state(), []
    for at in range(60):
        sys.settrace(Interruption(at))
        try:
            work()
        except KeyboardInterrupt as error:
            kept.append(error)
        finally:
            sys.settrace(None)
        assert state() == before, f"after {at} bytecodes"


def test_blocks_can_be_entered_again_and_inside_themselves():
    block = ts.no_grad()
    with block:
        with block, ts.enable_grad():
            assert autodiff.is_enabled()
        assert not autodiff.is_enabled()
    assert autodiff.is_enabled()
    with block:
        assert not autodiff.is_enabled()
    with contextlib.ExitStack() as stack:
        stack.enter_context(block)
        stack.enter_context(ts.enable_grad())
        assert autodiff.is_enabled()
    assert autodiff.is_enabled()


def test_blocks_are_decorators():
    setting = Setting("a setting", 1)

    @setting.block(2)
    def inside():
        return setting.get()

    assert [inside(), setting.get(), inside()] == [2, 1, 2]

    @debug.check_nan()
    def checked():
        return ts.log(ts.zeros(1) - 1.0)

    for _ in range(2):
        with pytest.raises(ts.errors.NotFiniteError):
            checked()
    assert observe.settings.observers == ()


def test_an_exception_goes_through_a_block_as_it_is():
    seen = []

    @restoring
    def block():
        try:
            yield
        finally:
            seen.append("undone")

    error = ValueError("by the user")
    with pytest.raises(ValueError) as caught, block():
        raise error
    assert caught.value is error
    assert seen == ["undone"]

    @restoring
    def twice():
        yield
        yield

    with pytest.raises(RuntimeError, match="must yield once"), twice():
        pass


def test_tasks_have_their_own():
    """In PyTorch, where a thread has one mode, one of these tasks leaves it off for the others."""
    seen = []

    async def one(turns, block):
        with block():
            for turn in turns:
                await asyncio.sleep(0.001 * turn)
                seen.append(autodiff.is_enabled() is (block is ts.enable_grad))
        seen.append(autodiff.is_enabled())

    async def both():
        await asyncio.gather(
            one((1, 5), ts.no_grad), one((3, 7), ts.enable_grad), one((2, 2), ts.no_grad)
        )

    asyncio.run(both())
    assert len(seen) == 9
    assert all(seen)
    assert (ts.ones(2).requires_grad_() * 2).requires_grad


def test_threads_have_their_own():
    inside, leave, seen = threading.Event(), threading.Event(), []

    def other():
        with ts.no_grad():
            inside.set()
            leave.wait(60)
            seen.append(autodiff.is_enabled())

    thread = threading.Thread(target=other)
    thread.start()
    inside.wait(60)
    assert autodiff.is_enabled()
    leave.set()
    thread.join()
    assert seen == [False]
