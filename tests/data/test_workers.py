"""Batches from worker processes: the same ones, in order, and nothing left behind."""

import gc
import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import tessella as ts
from tessella import errors
from tessella.data import DataLoader, Dataset, IterableDataset, get_worker_info


class Rolling(Dataset):
    """Rows with everything in them: large and small arrays, texts, and what every generator draws."""

    def __init__(self, rows=20, size=100):
        self.rows, self.size = rows, size

    def __len__(self):
        return self.rows

    def __getitem__(self, row):
        drawn = random.random(), np.random.rand(), ts.rand(()).item()
        return {"x": np.full((3, self.size), row, np.float32), "drawn": drawn, "name": f"row {row}"}


class Spoiled(Rolling):
    """Rows of which one does something."""

    def __init__(self, action, row=7):
        super().__init__()
        self.action, self.row = action, row

    def __getitem__(self, row):
        return self.action() if row == self.row else super().__getitem__(row)


class Counting(IterableDataset):
    def __iter__(self):
        info = get_worker_info()
        start, step = (0, 1) if info is None else (info.id, info.num_workers)
        return ((row, random.random()) for row in range(start, 20, step))


def plain(batch):
    return [
        leaf.tolist() if isinstance(leaf, ts.Tensor) else leaf for leaf in ts.tree_leaves(batch)
    ]


def children():
    """Our workers that run."""
    with open(f"/proc/{os.getpid()}/task/{os.getpid()}/children") as file:
        return file.read().split()


@pytest.fixture(autouse=True)
def _nothing_is_left():
    gc.collect()  # what other tests have left
    before = children(), len(os.listdir("/proc/self/fd"))
    yield
    assert (children(), len(os.listdir("/proc/self/fd"))) == before


@pytest.mark.parametrize("dataset", [Rolling(), Rolling(size=0), (np.arange(20.0), np.arange(20)), Counting()])  # fmt: skip
@pytest.mark.parametrize("size", [3, None])
def test_the_number_of_workers_makes_no_difference(dataset, size):
    shuffle = None if isinstance(dataset, Counting) else True

    def made(**arguments):
        loader = DataLoader(dataset, size, shuffle, generator=3, **arguments)
        return [[plain(batch) for batch in loader] for _ in range(2)]

    alone = made()
    assert made(num_workers=1) == alone
    assert made(num_workers=3, prefetch_factor=5) == alone
    assert made(num_workers=2, persistent_workers=True) == alone


def test_what_comes_is_ones_own():
    batch = next(iter(DataLoader(Rolling(), 4, num_workers=1)))
    batch["x"].zero_()
    assert isinstance(batch["x"], ts.Tensor) and float(batch["x"].sum()) == 0.0


def test_other_collations_come_as_they_are():
    loader = DataLoader(Rolling(), 4, num_workers=1, collate_fn=_collated)
    array, tensor, text = next(iter(loader))
    assert type(array) is np.ndarray and array.shape == (4, 3, 100) and array.flags.writeable
    assert isinstance(tensor, ts.Tensor) and tensor.dtype == ts.bfloat16 and text == "row 0"


def _collated(rows):
    return np.stack([row["x"] for row in rows]), ts.ones(2, dtype=ts.bfloat16), rows[0]["name"]


def test_a_loader_goes_on_with_another_number_of_workers():
    loader = DataLoader(Rolling(), 3, True, generator=0, num_workers=2)
    iterator = iter(loader)
    seen = [plain(next(iterator)) for _ in range(3)]
    state = loader.state_dict()
    del iterator
    for workers in (0, 1):
        fresh = DataLoader(Rolling(), 3, True, generator=1, num_workers=workers)
        fresh.load_state_dict(state)
        found = [plain(batch) for batch in fresh]
        assert seen + found == [
            plain(batch) for batch in DataLoader(Rolling(), 3, True, generator=0)
        ]


def test_workers_know_who_they_are_and_are_prepared():
    told = []
    loader = DataLoader(_Asking(told), None, num_workers=2, worker_init_fn=told.append)
    assert {tuple(row) for row in loader} == {(0, 2, 4, (0,)), (1, 2, 4, (1,))}
    assert told == [] and get_worker_info() is None


class _Asking(Rolling):
    def __init__(self, told):
        super().__init__(rows=4)
        self.told = told

    def __getitem__(self, row):
        info = get_worker_info()
        return info.id, info.num_workers, len(info.dataset), tuple(self.told)


def test_workers_that_stay():
    class Numbered(Rolling):
        def __getitem__(self, row):
            return os.getpid()

    loader = DataLoader(Numbered(), 5, num_workers=1, persistent_workers=True)
    next(iter(loader))  # and leave it
    first, second = ({number for batch in loader for number in batch.tolist()} for _ in range(2))
    assert first == second and len(first) == 1
    loader = DataLoader(Numbered(), 5, num_workers=1)
    assert {tuple(batch.tolist()) for batch in loader} != {
        tuple(batch.tolist()) for batch in loader
    }


def test_workers_of_two_loaders_end_one_by_one():
    first, second = (iter(DataLoader(Rolling(), 2, num_workers=1)) for _ in range(2))
    next(first), next(second)
    start = time.monotonic()
    first.close()
    assert time.monotonic() - start < 4  # nobody held the channel open until patience was over
    second.close()


def test_processes_can_begin_anew():
    code = (
        "import numpy as np, tessella as ts\n"
        "if __name__ == '__main__':\n"
        "    loader = ts.data.DataLoader(np.arange(6), 2, num_workers=1, multiprocessing_context='spawn')\n"
        "    print([batch.tolist() for batch in loader])\n"
    )
    assert _ran(code).stdout == "[[0, 1], [2, 3], [4, 5]]\n"


# --- what goes wrong ------------------------------------------------------------------------------------


def _raise(error):
    raise error


@pytest.mark.parametrize("kind", [KeyError, OSError, errors.ShapeError, UnicodeError])
def test_errors_keep_their_kind_and_say_where(kind):
    loader = DataLoader(Spoiled(lambda: _raise(kind("no such thing"))), 4, num_workers=2)
    iterator = iter(loader)
    next(iterator)  # what comes before it is given
    with pytest.raises(kind) as caught:
        next(iterator)
    assert isinstance(caught.value, errors.WorkerError)
    text = str(caught.value)
    assert "no such thing" in text and "in row 7 of the dataset, Spoiled" in text
    assert "raise error" in text and "Traceback" in text


def test_errors_of_kinds_that_cannot_be_sent():
    class Own(Exception):
        def __init__(self, first, second):
            super().__init__(first)

    with pytest.raises(errors.WorkerError, match="the first one; in row 7"):
        list(DataLoader(Spoiled(lambda: _raise(Own("the first one", 2))), 4, num_workers=1))
    with pytest.raises(errors.WorkerError, match="StopIteration"):
        list(DataLoader(Spoiled(lambda: _raise(StopIteration())), 4, num_workers=1))


def test_batches_that_cannot_be_sent():
    with pytest.raises(errors.WorkerError, match="lambda"):
        list(DataLoader(Spoiled(lambda: lambda: 1, 0), None, num_workers=1))


@pytest.mark.parametrize(
    ("action", "told"),
    [
        (lambda: os.kill(os.getpid(), signal.SIGKILL), r"exit code -9 \(SIGKILL, perhaps for lack of memory\)"),
        (lambda: os.kill(os.getpid(), signal.SIGUSR1), r"exit code -10 \(SIGUSR1\)"),
        (lambda: os._exit(3), "exit code 3"),
        (lambda: sys.exit(4), "exit code 4"),
    ],
    ids=["killed", "signal", "exit", "sys.exit"],
)  # fmt: skip
def test_workers_that_die_are_named(action, told):
    with pytest.raises(errors.WorkerError, match=rf"worker [01] \(process \d+\) died: {told}"):
        list(DataLoader(Spoiled(action), 4, num_workers=2))


def test_waiting_has_an_end():
    loader = DataLoader(Spoiled(lambda: time.sleep(1), 0), 4, num_workers=1, timeout=0.2)
    with pytest.raises(errors.WorkerError, match=r"no batch came within 0\.2 seconds"):
        list(loader)


def test_what_prepares_a_worker_may_fail():
    loader = DataLoader(Rolling(), 4, num_workers=2, worker_init_fn=lambda number: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        list(loader)


def test_other_ways_to_begin_are_told():
    loader = DataLoader(Rolling(), 4, num_workers=1, multiprocessing_context="thread")
    with pytest.raises(
        errors.ArgumentError, match="multiprocessing_context is 'thread'; expected one of 'fork'"
    ):
        list(loader)


SLOW = """
import os, sys, time, numpy as np, tessella as ts
class Slow(ts.data.Dataset):
    def __len__(self):
        return 1000
    def __getitem__(self, row):
        time.sleep(0.005)
        return np.zeros(100_000), os.getpid()
for batch in ts.data.DataLoader(Slow(), 2, num_workers=2):
    print(*batch[1].tolist(), flush=True)
"""


def _ran(code, **others):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, **others)  # fmt: skip


@pytest.mark.parametrize("way", [signal.SIGINT, signal.SIGKILL])
def test_workers_go_with_the_process_that_began_them(way):
    process = subprocess.Popen([sys.executable, "-c", SLOW], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)  # fmt: skip
    workers = {*process.stdout.readline().split(), *process.stdout.readline().split()}
    process.send_signal(way)
    process.stdout.read()  # it ends when the last of them is gone
    process.stdout.close()
    assert process.wait() in (-way, 1)
    until = time.monotonic() + 10
    while any(os.path.exists(f"/proc/{int(worker)}") for worker in workers):
        assert time.monotonic() < until
        time.sleep(0.01)
