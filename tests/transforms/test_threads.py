"""Compiled functions and the tensors they write, seen from several threads at once."""

import threading
import time

import numpy as np
import pytest

import tessella as ts
from tessella import nn
from tessella.devices import writing
from tessella.devices.array import Array
from tessella.transforms import state

SIZE = 300_000


@pytest.fixture(params=["by words of memory", "in Python"], autouse=True)
def _watched(request, monkeypatch):
    if request.param == "in Python":
        monkeypatch.setattr(state, "is_watchable", lambda: False)


def counting(*tensors):
    @ts.jit
    def step():
        for tensor in tensors:
            tensor.assign(tensor.detach() + 1.0)

    step()
    step()
    return step


def while_running(step, look, seconds=0.4):
    """Call `look` again and again while another thread calls `step`; gives how often that one did."""
    turns, stop = [], threading.Event()

    def work():
        while not stop.is_set():
            step()
            turns.append(None)

    thread = threading.Thread(target=work)
    thread.start()
    end = time.monotonic() + seconds
    try:
        while time.monotonic() < end:
            look()
    finally:
        stop.set()
        thread.join()
    return len(turns)


@pytest.mark.parametrize("size", [50, SIZE], ids=["a small program", "a shared one"])
@pytest.mark.parametrize("how", ["numpy", "detach", "state_dict", "an operation"])
def test_what_is_taken_is_of_one_step_and_stays_so(how, size):
    model = nn.Module()
    model.p = nn.Parameter(ts.zeros(size))
    model.q = nn.Parameter(ts.zeros(size))
    step = counting(model.p, model.q)
    looks = []

    def look():
        taken = {
            "numpy": lambda: [model.p.numpy()],
            "detach": lambda: [model.p.detach()],
            "state_dict": lambda: list(model.state_dict().values()),
            "an operation": lambda: [model.p.detach() * 1.0],
        }[how]()
        seen = [np.array(x) for x in taken]
        time.sleep(0.001)
        for x, before in zip(taken, seen, strict=True):
            assert before.min() == before.max()
            np.testing.assert_array_equal(np.asarray(x), before)
        assert len({before[0] for before in seen}) == 1
        looks.append(None)

    turns = while_running(step, look)
    assert turns
    assert looks
    assert model.p.numpy()[0] == turns + 2
    for tensor in (model.p, model.q):
        assert type(tensor._value) is Array


def test_another_program_reads_one_step():
    p, q = ts.zeros(SIZE), ts.zeros(SIZE)
    step = counting(p, q)
    difference = ts.jit(lambda: (ts.max(p) - ts.min(p), ts.max(ts.abs(p - q))))
    difference()

    def look():
        assert [x.item() for x in difference()] == [0.0, 0.0]

    assert while_running(step, look)


@pytest.mark.parametrize("size", [50, SIZE], ids=["a small program", "a shared one"])
def test_programs_that_write_the_same_tensors_lose_nothing(size):
    p = ts.zeros(size)
    steps = [counting(p) for _ in range(3)]
    kept = []

    def work(step):
        for turn in range(40):
            step()
            if turn % 7 == 0:
                kept.append(p.detach())  # so that the next one takes fresh memory

    together = [threading.Thread(target=work, args=(step,)) for step in steps]
    for thread in together:
        thread.start()
    for thread in together:
        thread.join()
    assert p.numpy().tolist() == [126.0] * size
    for x in kept:
        assert x.numpy().min() == x.numpy().max()


def test_gradients_of_many_threads_are_added_up():
    p, total = ts.zeros(100).requires_grad_(), ts.zeros(100).requires_grad_()
    hooked = []

    def work():
        for _ in range(30):
            (p * 1.0).sum().backward()
            handle = total.register_hook(lambda gradient: hooked.append(None))
            (total * 2.0).sum().backward()
            handle.remove()

    together = [threading.Thread(target=work) for _ in range(8)]
    for thread in together:
        thread.start()
    for thread in together:
        thread.join()
    assert p.grad.tolist() == [240.0] * 100
    assert total.grad.tolist() == [480.0] * 100
    assert len(hooked) >= 240


def test_every_hook_of_many_threads_is_called():
    x, seen = ts.ones(2).requires_grad_(), set()

    def work(number):
        for turn in range(50):
            x.register_hook(lambda _, key=(number, turn): seen.add(key))

    together = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in together:
        thread.start()
    for thread in together:
        thread.join()
    x.sum().backward()
    assert len(seen) == 300


def test_who_writes_can_look_and_the_others_wait():
    array = ts.ones(3)._value
    address, work, seen = array.address, writing.Writing(), []
    assert work.take([array])
    assert array.address == address
    other = threading.Thread(target=lambda: seen.append(array.address))
    other.start()
    time.sleep(0.05)
    assert seen == []
    work.end()
    work.end()
    other.join()
    assert seen == [address]
    assert type(array) is Array
