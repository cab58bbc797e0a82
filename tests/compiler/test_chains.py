"""Long programs: no call nests as deep as the program is long, and the work grows as the program does."""

import sys

import numpy as np
import pytest

import tessella as ts
from tessella.compiler import fusion
from tessella.compiler.lowering import fused
from tessella.loops.llvm import to_llvm
from tessella.loops.nest import Kernel, Loop, Pointer, Store, index_variable, load
from tessella.scalar.expression import variable
from tessella.scalar.mathematics import tanh as math_tanh


def chain(step, count):
    def run(x):
        for _ in range(count):
            x = step(x)
        return x

    return run


def _numbers(*shape):
    return ts.asarray(np.random.default_rng(0).standard_normal(shape).astype(np.float32))


def _read_on_the_way(x, count):
    total = 0.0
    for _ in range(count):
        x = x[1:]
        total = total + x[0]
    return total


def _assigned(x, count):
    for i in range(count):
        x[i % 8] = float(i)
    return x


def _adam(count):
    parameters = [ts.nn.Parameter(ts.asarray([float(i)])) for i in range(count)]
    optimiser = ts.optim.Adam(parameters, 1e-3)

    @ts.jit
    def step(x):
        optimiser.zero_grad()
        loss = sum((p * x for p in parameters), x).sum()
        loss.backward()
        optimiser.step()
        return loss

    return step(_numbers(1))


def _captured(count):
    tensors = [ts.asarray([float(i)]) for i in range(count)]
    return ts.jit(lambda x: sum((t * x for t in tensors), x))(_numbers(1))


def _printed(x):
    ts.debug.print("")
    return x * 1.1


PROGRAMS = {
    "tanh": lambda n: ts.jit(chain(ts.tanh, n))(_numbers(8)),
    "cheap": lambda n: ts.jit(chain(lambda x: x * 1.5 + 0.5, n))(_numbers(8)),
    "gradient": lambda n: ts.jit(ts.grad(lambda x: chain(lambda x: ts.sin(x) + 1.0, n)(x).sum()))(_numbers(8)),
    "turned": lambda n: ts.jit(chain(lambda x: x.T, n + 1))(_numbers(4, 4)),
    "read on the way": lambda n: ts.jit(lambda x: _read_on_the_way(x, n))(_numbers(n + 1)),
    "gradients of elements": lambda n: ts.jit(ts.grad(lambda x: sum(ts.sin(x[i]) for i in range(n))))(_numbers(n)),
    "assigned": lambda n: ts.jit(lambda x: _assigned(x * 1.0, n))(_numbers(8)),
    "centred": lambda n: ts.jit(chain(lambda x: x - ts.mean(x), n))(_numbers(4, 4)),
    "products": lambda n: ts.jit(ts.grad(lambda w, x: chain(lambda x: ts.relu(x @ w), n)(x).sum()))(_numbers(4, 4), _numbers(4, 4)),
    "concatenated": lambda n: ts.jit(chain(lambda x: ts.concat([x[1:], x[:1]]) * 1.1, n))(_numbers(8)),
    "of many": lambda n: ts.jit(lambda x: ts.concat([x[i : i + 1] * 2.0 for i in range(n)]))(_numbers(n)),
    "of many arguments": lambda n: ts.jit(ts.grad(lambda xs: sum((x * x for x in xs), xs[0]).sum()))([ts.asarray([1.0]) for _ in range(n)]),
    "captured": _captured,
    "adam": _adam,
    "sorted": lambda n: ts.jit(chain(lambda x: ts.sort(-x), n))(_numbers(8)),
    "batch": lambda n: ts.jit(ts.vmap(chain(lambda x: ts.tanh(x) + 1.0, n)))(_numbers(2, 8)),
    "tangents": lambda n: ts.jit(lambda x: ts.jvp(chain(lambda x: ts.tanh(x) + 1.0, n), (x,), (x,)))(_numbers(8)),
    "checkpoint": lambda n: ts.jit(ts.grad(lambda x: ts.checkpoint(chain(ts.tanh, n))(x).sum()))(_numbers(8)),
    "scan": lambda n: ts.jit(lambda x: ts.scan(lambda c, _: (chain(ts.tanh, n)(c), None), x, length=3)[0])(_numbers(8)),
    "printed": lambda n: ts.jit(chain(_printed, n))(_numbers(2)),
    "any size": lambda n: ts.jit(chain(lambda x: ts.tanh(x) * 1.1, n), dynamic={"x": {0: "n"}})(_numbers(8)),
}  # fmt: skip


def _calls(run):
    """How many calls of functions a run takes in this thread; machine code is made in others."""
    count = 0

    def note(frame, event, argument):
        nonlocal count
        count += event in ("call", "c_call")

    fused._recipes.clear()
    sys.setprofile(note)
    try:
        run()
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize("name", sorted(PROGRAMS))
def test_work_grows_as_the_program_does(name, monkeypatch):
    monkeypatch.setattr(fusion, "MOST_NODES", 6)  # many groups in few steps
    PROGRAMS[name](120)  # what is imported and remembered once
    half, whole = (_calls(lambda n=n: PROGRAMS[name](n)) for n in (60, 120))
    assert whole < 2.3 * half


def _depth():
    frame, depth = sys._getframe(), 0
    while frame is not None:
        frame, depth = frame.f_back, depth + 1
    return depth


@pytest.mark.parametrize("name", sorted(PROGRAMS))
def test_calls_do_not_nest_with_the_program(name):
    PROGRAMS[name](3)
    fused._recipes.clear()
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(_depth() + 110)
    try:
        PROGRAMS[name](130)
    finally:
        sys.setrecursionlimit(before)


@pytest.mark.parametrize("text", ["graph", "loops", "llvm"])
def test_long_programs_can_be_read(text):
    function = ts.jit(lambda x: ts.map(chain(lambda x: x * 1.01 + x, 400))(x))
    assert 100 < len(function.source(text, _numbers(8))) < 500_000


def test_a_map_of_many_steps_and_its_gradient():
    steps = chain(lambda x: x * 1.01 + 0.5, 400)
    x = _numbers(8)
    np.testing.assert_allclose(ts.map(steps)(x).numpy(), steps(x.numpy()), rtol=1e-4)
    slope = ts.grad(lambda x: ts.map(steps)(x).sum())(x)
    np.testing.assert_allclose(slope.numpy(), np.full(8, 1.01**400), rtol=1e-4)


def test_long_chains_give_the_same_numbers():
    def function(x):
        for i in range(300):
            x = (ts.tanh(x) * 1.3 + 0.1, x - ts.mean(x), ts.flip(x), x * 0.9 + ts.sin(x))[i % 4]
        return x

    x = _numbers(4, 8)
    np.testing.assert_allclose(ts.jit(function)(x).numpy(), function(x).numpy(), rtol=1e-4, atol=1e-5)  # fmt: skip


def _kernel(count):
    i, n = index_variable("i"), index_variable("n")
    x, y = Pointer("x", ts.float32), Pointer("y", ts.float32, written=True)
    value = chain(lambda x: math_tanh(x) + 0.5, count)(load(x, i))
    return Kernel("chain", (x, y), (n,), (Loop(i, n, (Store(y, i, value),), parallel=True, lanes=16),))  # fmt: skip


def test_machine_code_is_written_in_one_walk():
    short, long = _kernel(50), _kernel(100)
    to_llvm(_kernel(3))
    half, whole = _calls(lambda: to_llvm(short)), _calls(lambda: to_llvm(long))
    assert whole < 2.2 * half


def test_what_is_common_is_written_once_or_left_out():
    x = variable("x", ts.float32)
    for _ in range(200):
        x = x * x
    assert "..." in str(x)
    assert len(str(x)) < 10_000


def test_groups_have_a_largest_size():
    """Sines are some 40 operations: many of them are several kernels, though all are cheap to join."""
    groups = [line for line in ts.jit(chain(ts.sin, 60)).source("graph", _numbers(8)).splitlines() if line.startswith("  %")]  # fmt: skip
    assert len(groups) > 60 * 25 / fusion.MOST_OPERATIONS
