"""Signals that arrive while native code works: it stops, and everything is as it was or done."""

import gc
import itertools
import signal
import sys
import threading
import time

import numpy as np
import pytest

import tessella as ts
from tessella.targets.cpu import threads

pytestmark = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="sends signals")


class Alarm(Exception):
    """Raised by the handler of a signal."""


@pytest.fixture
def alarm():
    """Calls work, in which an alarm goes off; whether it ended the work."""
    ts.jit(forever)(
        ts.full(3, 1e30)
    )  # Python itself leaves files open when an import is interrupted

    def ring(*_):
        raise Alarm

    before = signal.signal(signal.SIGALRM, ring)
    # what is raised in a callback of the collector, as hypothesis has one, is printed and lost
    callbacks, gc.callbacks[:] = gc.callbacks[:], []

    def ended(work, after=0.15):
        try:
            signal.setitimer(signal.ITIMER_REAL, after)
            work()
        except Alarm:
            return True
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        return False

    yield ended
    gc.callbacks[:] = callbacks
    signal.signal(signal.SIGALRM, before)


def forever(x):
    return ts.while_loop(lambda s: s.sum() < 1e30, lambda s: s * 1.0, x)


def long(x):
    return ts.fori_loop(0, 10**6, lambda _, s: ts.sin(s) + 1.0, x)


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize(("work", "size"), [(forever, 3), (forever, 200_000), (long, 200_000)])
def test_loops_that_do_not_end(work, size, count, alarm):
    with threads.limited(count):
        compiled, x = ts.jit(work), ts.ones(size)
        assert alarm(lambda: compiled(x))
        assert alarm(lambda: compiled(x))
        assert alarm(lambda: work(x))
        assert (x + 1.0).sum().item() == 2.0 * size


@pytest.mark.parametrize("count", [1, 2])
def test_one_large_operation(count, alarm):
    """A product that takes minutes: its operands are broadcast, and take no memory."""
    with threads.limited(count):
        x = ts.broadcast_to(ts.ones((1, 1)), (3000, 400_000))
        y = ts.broadcast_to(ts.ones((1, 1)), (400_000, 3000))
        assert alarm(lambda: ts.einsum("ij,jk->ik", x, y))
    assert (ts.ones((300, 300)) @ ts.ones((300, 300))).sum().item() == 300.0**3


@pytest.mark.parametrize("count", [1, 2])
def test_a_long_program_changes_nothing_or_everything(count, alarm):
    p, q = ts.zeros(100_000), ts.zeros(1000)
    w = ts.full((700, 700), 1 / 700)

    @ts.jit
    def step(x):
        for _ in range(40):
            x = ts.tanh(x @ w)
        p.assign(p.detach() + 1.0 + 0.0 * x.sum())
        q.assign(q.detach() + 1.0 + 0.0 * x.sum())
        return x

    with threads.limited(count):
        x = ts.zeros((700, 700))
        step(x)
        step(x)
        before, ended = p.numpy()[0], 0
        for _ in range(4):
            ended += alarm(lambda: step(x), after=0.05)
            seen = {*np.unique(p.numpy()), *np.unique(q.numpy())}
            assert len(seen) == 1
        assert seen.pop() - before == 4 - ended
        step(x)
        assert p.numpy()[0] == before + 5 - ended


def test_a_handler_that_raises_nothing_is_called_meanwhile():
    rung = []
    before = signal.signal(signal.SIGALRM, lambda *_: rung.append(time.monotonic()))
    try:
        x = ts.ones(1000)
        signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
        end = time.monotonic() + 0.4
        while time.monotonic() < end:
            value = ts.jit(lambda x: ts.fori_loop(0, 20_000, lambda _, s: s * 0.5 + 0.5, x))(x)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert rung
    assert value.sum().item() == 1000.0


def test_other_threads_go_on(alarm):
    done, x = [], ts.ones((300, 300))
    step = ts.jit(lambda x: (x @ x).sum())
    step(x)

    def work():
        for _ in range(200):
            done.append(step(x).item())

    thread = threading.Thread(target=work)
    thread.start()
    assert alarm(lambda: forever(ts.ones(200_000)), after=0.05)
    thread.join()
    assert done == [300.0**3] * 200


def interrupted(work, file, place):
    """Call work, and raise an alarm behind so many steps of Python in a file; whether there were so many."""
    passed = 0

    def look(frame, event, _):
        nonlocal passed
        if frame.f_code.co_filename != file:
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            passed += 1
            if passed > place:
                sys.settrace(None)
                raise Alarm
        return look

    before = sys.gettrace()
    sys.settrace(look)
    try:
        work()
    except Alarm:
        return True
    finally:
        sys.settrace(before)
    return False


def test_the_workers_are_free_wherever_a_signal_raises():
    x = ts.ones((600, 600))
    step = ts.jit(lambda x: ts.fori_loop(0, 2, lambda _, s: ts.sin(s) + 1.0, x).sum())
    step(x)
    for work in (lambda: x + 1.0, lambda: step(x)):
        for place in itertools.count():
            with threads.limited(3):
                work()
                workers = threads._workers().threads
                stopped = interrupted(work, threads.__file__, place)
            assert len(workers) == 2
            assert not [
                worker for worker in workers if worker.is_alive()
            ]  # none waits for its caller
            if not stopped:
                break
        assert place > 10


def test_workers_that_are_dismissed_while_they_work_go_home_afterwards():
    x, done = ts.ones((400, 400)), threading.Event()
    step = ts.jit(lambda x: ts.fori_loop(0, 8000, lambda _, s: ts.sin(s) + 1.0, x).sum())
    step(x)
    with threads.limited(2):
        thread = threading.Thread(target=lambda: (step(x), done.set()))
        (worker,) = threads._workers().threads
        thread.start()
        time.sleep(0.05)
        threads.set_count(3)  # does not wait
        was_done = done.is_set()
        assert (x + 1.0).sum().item() == 2.0 * 400 * 400
        thread.join()
        worker.join(60)
    assert not was_done
    assert not worker.is_alive()
