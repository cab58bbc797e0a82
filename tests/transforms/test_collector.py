"""Python's collector of garbage stands aside while a program is made, and only then."""

import gc
import threading

import pytest

import tessella as ts
from tessella.garbage import collector_paused


def test_it_is_off_in_a_trace_and_on_afterwards():
    seen = []

    @ts.jit
    def double(x):
        seen.append(gc.isenabled())
        return x * 2

    assert gc.isenabled()
    double(ts.ones(3))
    assert seen == [False]
    assert gc.isenabled()


def test_it_is_on_again_after_an_error():
    @ts.jit
    def fails(x):
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fails(ts.ones(3))
    assert gc.isenabled()


def test_who_has_turned_it_off_finds_it_off():
    gc.disable()
    try:
        ts.jit(lambda x: x + 1)(ts.ones(2))
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_the_last_of_several_threads_turns_it_on():
    inside, leave = threading.Event(), threading.Event()

    def other():
        with collector_paused():
            inside.set()
            leave.wait(60)

    thread = threading.Thread(target=other)
    thread.start()
    inside.wait(60)
    with collector_paused():
        pass
    assert not gc.isenabled()
    leave.set()
    thread.join()
    assert gc.isenabled()
