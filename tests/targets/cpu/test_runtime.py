"""Threads and memory, in processes of their own."""

import os
import signal
import subprocess
import sys
import textwrap

import pytest

import tessella as ts
from tessella.errors import ConfigurationError
from tessella.targets.cpu import buffers, threads


def python(code, **environment):
    """Run code in a fresh interpreter."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(code)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


WORK = """
    import numpy as np, tessella as ts
    random = np.random.default_rng(0)
    x = ts.asarray(random.standard_normal((500, 700)).astype(np.float32)).requires_grad_()
    w = ts.asarray(random.standard_normal((700, 300)).astype(np.float32))
    y = ((x @ w).tanh() * 3).sum() + x.sum(axis=0).exp().sum() + x.max()
    y.backward()
    import hashlib
    print(hashlib.sha256(x.grad.numpy().tobytes() + y.numpy().tobytes()).hexdigest())
"""


def test_results_are_bitwise_equal_for_any_number_of_threads():
    seen = {python(WORK, TESSELLA_NUM_THREADS=str(n)).stdout for n in (1, 2, 3, 5)}
    assert len(seen) == 1
    assert len(seen.pop().strip()) == 64


@pytest.mark.parametrize("value", ["0", "-2", "many", "1.5", ""])
def test_nonsense_number_of_threads(value):
    result = python(
        "import tessella as ts; ts.ones((4000, 1000)) + 1.0", TESSELLA_NUM_THREADS=value
    )
    assert result.returncode == 1
    assert "ConfigurationError: TESSELLA_NUM_THREADS" in result.stderr
    assert "expected a whole number from 1" in result.stderr


def test_threads_can_be_changed_and_limited():
    before = threads.count()
    with threads.limited(3):
        assert threads.count() == 3
        assert (ts.ones((1000, 1000)) + 1).sum().item() == 2e6
    assert threads.count() == before
    with pytest.raises(ConfigurationError, match="whole number"):
        threads.set_count(0)


def test_fork_and_exit():
    result = python(
        """
        import os, tessella as ts, warnings
        warnings.simplefilter("ignore", DeprecationWarning)
        def work(): return float((ts.ones((2000, 1000)) * 2.0).sum())
        assert work() == 4e6
        child = os.fork()
        if child == 0:
            os._exit(0 if work() == 4e6 else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert work() == 4e6
        import threading
        print(sum(t.name.startswith("tessella") for t in threading.enumerate()))
        """,
        TESSELLA_NUM_THREADS="3",
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "2"


def test_python_threads_share_the_pool():
    from concurrent.futures import ThreadPoolExecutor

    x = ts.ones((600, 600))
    with ThreadPoolExecutor(4) as pool:
        sums = list(pool.map(lambda n: float((x * n).sum()), range(20)))
    assert sums == [360000.0 * n for n in range(20)]


def test_memory_is_used_again_but_never_under_a_view():
    x = ts.ones(100_000)
    view = x.numpy()
    del x
    other = ts.zeros(100_000)
    assert view.sum() == 100_000
    address = other._value.address
    del other
    assert ts.zeros(100_000)._value.address == address
    assert address % 64 == 0
    buffers.release_cached()
    assert buffers.statistics().cached_bytes == 0


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs interval timers")
def test_no_interrupt_is_lost():
    class Interrupt(Exception):
        pass

    raised = caught = 0

    def handler(number, frame):
        nonlocal raised
        raised += 1
        raise Interrupt

    before = signal.signal(signal.SIGALRM, handler)
    x = ts.ones(10)
    x + x  # compiled beforehand
    try:
        for turn in range(400):
            try:
                signal.setitimer(signal.ITIMER_REAL, 2e-4 + turn * 1e-6)
                for _ in range(1_000_000):  # a busy machine's timers are late, but not by a second
                    x + x  # its memory comes back at once: a finaliser in Python would swallow some
            except Interrupt:
                caught += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert raised == caught == 400
