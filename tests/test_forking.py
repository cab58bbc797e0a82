"""Forks, and the end of a process, while other threads are at work."""

import os
import subprocess
import sys
import textwrap
import threading
import time

import pytest

from tessella import forking


def python(code, **environment):
    """Run code in a fresh interpreter; it must end by itself."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**os.environ, **environment}, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("work", ["f(x)", "ts.jit(lambda x: (x * time.time()) @ x)(small)"])
def test_a_process_ends_while_a_daemon_thread_works(work):
    code = f"""
        import threading, time, tessella as ts
        x, small = ts.randn(400, 400), ts.ones((5, 5))
        f = ts.jit(lambda x: dict(y=(x @ x).sum()))
        f(x)
        def forever():
            while True:
                {work}
        threading.Thread(target=forever, daemon=True).start()
        time.sleep(0.2)
        print("end", flush=True)
    """
    for _ in range(3):
        done = python(code, TESSELLA_NUM_THREADS="3")
        assert (done.returncode, done.stdout) == (0, "end\n"), done.stderr


def test_a_thread_that_outlives_the_main_one_compiles(tmp_path):
    done = python(
        """
        import threading, time, tessella as ts
        def late():
            threading.main_thread().join()
            time.sleep(0.1)
            print(ts.jit(lambda x: ts.exp(x) * 3.5 + x @ x)(ts.zeros((2, 2))).tolist())
        threading.Thread(target=late).start()
        """,
        TESSELLA_CACHE_DIR=str(tmp_path),
    )
    assert done.stdout == "[[3.5, 3.5], [3.5, 3.5]]\n", done.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("busy", ["compiles", "runs", "writes"])
def test_children_of_a_busy_process(busy, tmp_path):
    done = python(
        f"""
        import os, random, threading, time, warnings, faulthandler
        warnings.simplefilter("ignore", DeprecationWarning)
        import tessella as ts
        total, x = ts.zeros(1_000_000), ts.ones((300, 300))
        @ts.jit
        def add():
            total.assign(total.detach() + 1.0)
        def work():
            while True:
                if "{busy}" == "compiles":
                    ts.jit(lambda x: ts.exp(x) * random.random())(ts.ones(random.randint(10, 20)))
                elif "{busy}" == "runs":
                    x @ x
                else:
                    add()
        add()
        threading.Thread(target=work, daemon=True).start()
        time.sleep(0.3)
        for k in range(4):
            time.sleep(0.013 * k)
            child = os.fork()
            if child == 0:
                faulthandler.dump_traceback_later(50, exit=True)
                seen = total.numpy()
                whole = seen.min() == seen.max()
                add()
                compiled = ts.jit(lambda x: ts.tanh(x) * (k + 1.5))(ts.zeros(11 + k)).tolist()
                big = float((x @ x).sum()) == 300.0**3
                os._exit(0 if whole and big and compiled == [0.0] * (11 + k) else 1)
            assert os.waitpid(child, 0)[1] == 0
        print("fine")
        """,
        TESSELLA_CACHE_DIR=str(tmp_path), TESSELLA_NUM_THREADS="2",
    )  # fmt: skip
    assert done.stdout == "fine\n", done.stderr


def test_a_section_is_waited_for():
    sections, inside, leave = forking.Sections(), threading.Event(), threading.Event()
    forking._all_sections.remove(sections)
    entered = []

    def work():
        with sections.section():
            with sections.section():
                inside.set()
            leave.wait(60)
        with sections.section():
            entered.append(time.monotonic())

    thread = threading.Thread(target=work)
    thread.start()
    inside.wait(60)
    sections.close(time.monotonic() + 0.05)  # in vain
    sections.open()
    leave.set()
    sections.close(time.monotonic() + 60)
    closed = time.monotonic()
    with sections.section():  # it is the others who wait
        sections.open()
    thread.join()
    assert len(entered) == 1
    assert entered[0] <= closed or not sections._held


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_locks_of_other_threads_are_free_in_a_child():
    done = python(
        """
        import os, threading, warnings
        warnings.simplefilter("ignore", DeprecationWarning)
        from tessella import forking
        theirs, plain, ours = forking.lock(), forking.lock(threading.Lock), forking.lock()
        held, end = threading.Event(), threading.Event()
        def hold():
            with theirs, plain:
                held.set()
                end.wait(60)
        thread = threading.Thread(target=hold)
        thread.start()
        held.wait(60)
        with ours:
            child = os.fork()
            if child == 0:
                free = theirs.acquire(timeout=1) and plain.acquire(timeout=1)
                os._exit(0 if free and ours._is_owned() else 1)
        status = os.waitpid(child, 0)[1]
        end.set()
        thread.join()
        print(status, theirs.acquire(timeout=1))
        """
    )
    assert done.stdout == "0 True\n", done.stderr
