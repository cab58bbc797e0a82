"""Looking on while things run: what is called before and after operations, programs and stages.

Who looks on belongs to a thread. While nobody does, eager operations cost what they always cost: the
plans of observed operations have keys of their own.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

from tessella import autodiff
from tessella.blocks import Restoring, restoring, undoing

now = time.perf_counter_ns


class Observer:
    """Is told what runs in its thread; times are those of `time.perf_counter_ns`."""

    def operation(
        self, primitive: Any, arrays: Sequence[Any], results: Sequence[Any], begin: int, end: int
    ) -> None:
        """A primitive ran eagerly."""

    def before(self, program: Any) -> None:
        """A program is about to run; its inputs are in their slots."""

    def step(self, program: Any, step: Any, begin: int, end: int) -> None:
        """A program made a native call, or the host did something for it."""

    def prepared(self, program: Any, begin: int, end: int) -> None:
        """A program computed what it keeps for its next calls."""

    def after(self, program: Any, begin: int, end: int) -> None:
        """A program ran; its results are in their slots."""

    def stage(self, name: str, subject: str, begin: int, end: int) -> None:
        """Something was made that will be used again: a trace, a graph, machine code."""

    def compiling(self, name: str, number: int, why: str) -> AbstractContextManager[None]:
        """A function is traced and compiled inside the block: its how-manieth trace it is, and why."""
        return contextlib.nullcontext()

    def passed(self, name: str, step: str, graph: Any) -> None:
        """A graph has come out of a pass of the compiler, or "", as it was traced."""

    def compiled(self, program: Any) -> None:
        """A program has been made."""


class ThreadSettings(threading.local):
    """How this thread runs primitives."""

    backend = "cpu"
    observers: tuple[Observer, ...] = ()  # of operations and programs
    witnesses: tuple[Observer, ...] = ()  # of what is compiled
    visiting = False  # a program of this thread waits for an effect, such as a debugger
    key = "cpu"  # of plans: that of the backend, or another one while somebody looks on
    compiles = True  # whether functions under `jit` run as programs

    def set(self, **changes: Any) -> None:
        vars(self).update(changes)
        autodiff.mode.watched = bool(self.observers)
        self.key = f"observed {self.backend}" if self.observers else self.backend
        self.compiles = self.backend == "cpu" and not self.visiting


settings = ThreadSettings()


@restoring
def setting(**changes: Any) -> Generator[None, None, None]:
    """Inside the block this thread runs primitives in another way."""
    before = {name: getattr(settings, name) for name in changes}
    with undoing(lambda: settings.set(**before)):
        settings.set(**changes)
        yield


@restoring
def observed(*observers: Observer) -> Generator[None, None, None]:
    """Let observers look on inside a `with` block, in this thread."""
    both = (*settings.observers, *observers), (*settings.witnesses, *observers)
    with setting(observers=both[0], witnesses=both[1]):
        yield


@restoring
def unobserved() -> Generator[tuple[Observer, ...], None, None]:
    """Nobody looks on at operations inside a `with` block; gives who did."""
    before = settings.observers
    with setting(observers=()):
        yield before


def visiting() -> Restoring[None]:
    """An effect has the floor inside a `with` block: functions under `jit` run as they are written.

    Their programs cannot be called meanwhile: one of them is not done yet.
    """
    return setting(visiting=True)


@contextlib.contextmanager
def stage(name: str, subject: str = "") -> Iterator[None]:
    """What happens inside a `with` block is a stage of compiling something."""
    begin = now()
    try:
        yield
    finally:
        noted(name, subject, begin)


def noted(name: str, subject: str, begin: int) -> None:
    """A stage that began at some time has ended."""
    end = now()
    for observer in settings.witnesses:
        observer.stage(name, subject, begin, end)


# --- what is compiled, which those are told of, too, who look on for good --------------------------------------

_for_good: list[Observer] = []


def look_on(observer: Observer) -> None:
    """Tell an observer, in every thread and from now on, what is compiled."""
    _for_good.append(observer)


@contextlib.contextmanager
def compiling(name: str, number: int, why: str) -> Iterator[None]:
    """A function is traced and compiled inside the block.

    Args:
        number: the how-manieth trace of the function it is.
    """
    with contextlib.ExitStack() as blocks:
        for observer in (*settings.witnesses, *_for_good):
            blocks.enter_context(observer.compiling(name, number, why))
        yield


def passed(name: str, step: str, graph: Any) -> None:
    """A graph has come out of a pass, or "", as it was traced."""
    for observer in (*settings.witnesses, *_for_good):
        observer.passed(name, step, graph)


def compiled(program: Any) -> None:
    """A program has been made."""
    for observer in (*settings.witnesses, *_for_good):
        observer.compiled(program)
