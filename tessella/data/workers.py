"""Workers: processes that make batches, ahead of when they are asked for.

Each has a channel. The batches come in order, whichever worker is done first; none has more work waiting than it may
be ahead. A worker whose channel is closed ends, so none outlives the process that began it; what one raises is raised
where the batch is asked for; and one that dies closes its channel, which is noticed at once.

They are forked, if nothing else is asked for: what the dataset holds is not copied, and need not be pickled. A fork of
a process with threads is what `tessella.forking` is for.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import time
import traceback
import warnings
import weakref
from collections.abc import Callable, Iterator
from multiprocessing.connection import wait
from typing import Any, NamedTuple

from tessella.arguments.kinds import shown
from tessella.data.channels import Channel
from tessella.data.fetching import Rows, Stream
from tessella.data.seeds import Epoch, seeded
from tessella.defaults import set_num_threads
from tessella.errors import ArgumentError, WorkerError

_MOST_AHEAD = (
    64  # tasks of a worker: their packets fit into a socket's buffer, so that sending never waits
)
_LOOK = 1.0  # seconds after which is looked whether a worker is alive whose channel somebody else holds open
_PATIENCE = 5.0  # seconds that workers have to end by themselves
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG


class End:
    """What comes after the last batch of an iterable: a class, which is the same one in every process."""


class WorkerInfo(NamedTuple):
    """What a worker knows of itself.

    Args:
        id: its number, from 0.
        num_workers: how many there are. An iterable has one, however many were asked for.
        seed: of the epoch in which it began.
        dataset: its copy.
    """

    id: int
    num_workers: int
    seed: int
    dataset: Any


_info: WorkerInfo | None = None
_ours: weakref.WeakSet[Channel] = weakref.WeakSet()  # the ends that this process has, of any pool


def get_worker_info() -> WorkerInfo | None:
    """What the worker that asks knows of itself; None in the main process.

    >>> print(get_worker_info())
    None
    """
    return _info


class Job(NamedTuple):
    """What workers are for: they get it when they begin.

    Args:
        fetch: makes batches of rows; of an iterable, it begins a stream of them.
        prepare: called with the number of the worker, before all else.
    """

    dataset: Any
    fetch: Rows | Callable[..., Stream]
    prepare: Callable[[int], Any] | None
    workers: int
    seed: int


class Failure(NamedTuple):
    """What was raised in a worker, as it is sent.

    Args:
        kind: the class, pickled; None if it cannot be.
    """

    kind: bytes | None
    text: str


# --- in the worker --------------------------------------------------------------------------------------


def _work(job: Job, number: int, channel: Channel, foreign: list[Channel], parent: int) -> None:
    """The life of a worker.

    Args:
        foreign: ends of channels that a fork has copied, and that are not its own.
    """
    for other in foreign:
        other.close()
    _become_a_worker(parent)
    global _info
    _info = WorkerInfo(number, job.workers, job.seed, job.dataset)
    with contextlib.suppress(EOFError, BrokenPipeError):  # nobody is there any more
        if _begin(job, number, channel):
            _serve(job, channel)


def _become_a_worker(parent: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever began us ends us
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if sys.platform == "linux" and parent:
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(0)
    gc.freeze()  # what the other process left is not ours to end
    set_num_threads(1)  # the processor's cores have a worker each


def _begin(job: Job, number: int, channel: Channel) -> bool:
    if job.prepare is None:
        return True
    with seeded(Epoch(job.seed, number), 0):
        try:
            job.prepare(number)
        except Exception as error:
            channel.send((None, _failure(error), None))
            return False
    return True


def _serve(job: Job, channel: Channel) -> None:
    stream: Any = None
    while True:
        number, task = channel.receive()
        try:
            if isinstance(job.fetch, Rows):
                made, state = job.fetch(*task), None
            else:
                if task is not None:
                    stream = job.fetch(*task)
                made = next(stream, End)
                state = stream.state()
        except Exception as error:
            made, state = _failure(error), None
        _send(channel, number, made, state)


def _send(channel: Channel, number: int, made: Any, state: Any) -> None:
    try:
        channel.send((number, made, state))
    except (pickle.PicklingError, AttributeError, TypeError) as error:  # a batch of what cannot be
        channel.send((number, _failure(error), None))


def _failure(error: Exception) -> Failure:
    try:
        kind = pickle.dumps(type(error))
    except (pickle.PicklingError, AttributeError, TypeError):  # a class of a function
        kind = None
    notes = "".join(f"; {note}" for note in getattr(error, "__notes__", ()))
    return Failure(
        kind, f"{error or type(error).__name__}{notes}\n\n{traceback.format_exc().rstrip()}"
    )


# --- in the process that has them -----------------------------------------------------------------------


class Pool:
    """Some workers of one job.

    Args:
        method: how they begin; see `DataLoader`.
        ahead: how many batches each may be ahead.
        timeout: seconds to wait for a batch; 0 for as long as it takes.
    """

    def __init__(self, job: Job, method: Any, ahead: int, timeout: float) -> None:
        self._most = job.workers * min(ahead, _MOST_AHEAD)
        self._timeout = timeout
        self._next = 0  # the number of the task that is given out next
        self._done: dict[int, tuple[Any, Any]] = {}
        self.workers: list[_Worker] = []
        self.close = weakref.finalize(self, _end, self.workers)
        try:
            for number in range(job.workers):
                self.workers.append(_Worker(job, number, _context(method)))
        except BaseException:
            self.close()
            raise

    def batches(self, tasks: Iterator[Any]) -> Iterator[tuple[Any, Any]]:
        """What becomes of some tasks, in their order: a batch, and the state of the dataset after it."""
        first = asked = self._next
        self._done.clear()  # of an epoch that was left
        more = True
        while True:
            while more and self._next - asked < self._most:
                task = next(tasks, End)
                more = task is not End
                if more:
                    self._give(task)
            if asked == self._next:
                return
            made, state = self._result(asked, first)
            asked += 1
            if made is End:
                return
            yield made, state

    def _give(self, task: Any) -> None:
        worker = min(self.workers, key=lambda worker: worker.waiting)
        with contextlib.suppress(BrokenPipeError):  # it is gone; what it said before comes first
            worker.channel.send((self._next, task))
        worker.waiting += 1
        self._next += 1

    def _result(self, number: int, first: int) -> tuple[Any, Any]:
        until = time.monotonic() + self._timeout if self._timeout else float("inf")
        while number not in self._done:
            left = until - time.monotonic()
            if left <= 0:
                raise WorkerError(
                    f"DataLoader: no batch came within {self._timeout} seconds; the workers "
                    f"({', '.join(str(worker.process.pid) for worker in self.workers)}) are alive"
                )
            self._receive(min(left, _LOOK), first)
        made, state = self._done.pop(number)
        if isinstance(made, Failure):
            raise _raised(made)
        return made, state

    def _receive(self, seconds: float, first: int) -> None:
        channels: list[Any] = [worker.channel for worker in self.workers]
        ready: list[Any] = wait(channels, seconds)
        for worker in self.workers:
            if worker.channel not in ready:
                if not ready and worker.process.exitcode is not None:
                    worker.raise_its_end()
                continue
            try:
                number, made, state = worker.channel.receive()
            except EOFError:
                worker.raise_its_end()
            if number is None:  # it could not begin
                raise _raised(made)
            worker.waiting -= 1
            if number >= first:
                self._done[number] = made, state


class _Worker:
    """A process, its channel, and how many tasks it has."""

    def __init__(self, job: Job, number: int, context: Any) -> None:
        self.number, self.waiting = number, 0
        self.channel, theirs = Channel.pair()
        forks = context.get_start_method() == "fork"
        _ours.add(self.channel)
        foreign = list(_ours) if forks else []
        is_main = threading.current_thread() is threading.main_thread()
        arguments = (job, number, theirs, foreign, os.getpid() if forks and is_main else 0)
        self.process = context.Process(
            target=_work, args=arguments, name=f"tessella-worker-{number}", daemon=True
        )
        try:
            with warnings.catch_warnings():  # of a fork beside threads: see `tessella.forking`
                warnings.simplefilter("ignore", DeprecationWarning)
                self.process.start()
        except BaseException:
            self.channel.close()
            raise
        finally:
            theirs.close()

    def raise_its_end(self) -> None:
        """Raise the error that it is gone, and how.

        Raises:
            WorkerError: always.
        """
        self.process.join(_PATIENCE)
        code = self.process.exitcode
        raise WorkerError(
            f"DataLoader: worker {self.number} (process {self.process.pid}) died: {_told(code)}; num_workers=0 shows "
            "what goes wrong in this process"
        )


def _told(code: int | None) -> str:
    if code is not None and code < 0:
        name = signal.Signals(-code).name
        why = ", perhaps for lack of memory" if name == "SIGKILL" else ""
        return f"exit code {code} ({name}{why})"
    return f"exit code {code}"


def _end(workers: list[_Worker]) -> None:
    """Let workers end: they see that their channels are closed; who does not is killed."""
    for worker in workers:
        worker.channel.close()
    until = time.monotonic() + _PATIENCE
    for worker in workers:
        worker.process.join(max(0.0, until - time.monotonic()))
        if worker.process.exitcode is None:
            worker.process.kill()
            worker.process.join()
        worker.process.close()


def _context(method: Any) -> Any:
    if not hasattr(os, "memfd_create"):
        raise ArgumentError(
            "DataLoader: workers need memory without a name (memfd_create), which this system does not have; leave "
            "num_workers out"
        )
    if hasattr(method, "Process"):
        return method
    known = multiprocessing.get_all_start_methods()
    if method is not None and method not in known:
        raise ArgumentError(
            f"DataLoader: multiprocessing_context is {shown(method)}; expected one of {', '.join(map(repr, known))}"
        )
    return multiprocessing.get_context(method or "fork")


def _raised(failure: Failure) -> WorkerError:
    """The error of a worker, as one of the same kind."""
    kind: Any = None if failure.kind is None else pickle.loads(failure.kind)
    return _beside(kind)(failure.text)


def _beside(kind: Any) -> type[WorkerError]:
    """The class of errors of workers that are also of another kind: who expects that one finds it."""
    if kind is None or issubclass(kind, (WorkerError, StopIteration, StopAsyncIteration)):
        return WorkerError
    try:
        return type(kind.__name__, (WorkerError, kind), {"__init__": Exception.__init__})
    except TypeError:  # two built-in classes that cannot be one
        return WorkerError
