"""Threads, forks and the end of a process: a child finds every lock free, and nothing half done.

A fork copies the memory of a process, but only the thread that asks for it. A lock that another thread held
stays locked in the child for ever, and what that thread was about stays as it was. So a fork waits until no
other thread is in the middle of something (`Sections`); and in the child, locks are made new (`lock`).

At the end of a process daemon threads are cut off wherever they are. Inside libraries in C++ that is a crash;
so the process waits for those that are making a program, and the others may not begin to.
"""

from __future__ import annotations

import atexit
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from typing import Any

_PATIENCE = (
    20.0  # seconds that a fork waits; whoever is not done by then does not go on in the child
)
_PATIENCE_AT_THE_END = 5.0
_locks: set[weakref.ref[Any]] = set()
_gone: deque[weakref.ref[Any]] = (
    deque()
)  # appended to without a line of Python: see `tessella.weak`
_in_child: list[Callable[[], None]] = []


def lock(kind: Callable[[], Any] = threading.RLock) -> Any:
    """A lock that is free in a child process, unless the forking thread holds it itself.

    >>> with lock():
    ...     pass
    """
    made = kind()
    while _gone:
        _locks.discard(_gone.popleft())
    _locks.add(weakref.ref(made, _gone.append))
    return made


def in_child(action: Callable[[], None]) -> None:
    """Do something in every child process, before it goes on."""
    _in_child.append(action)


class Sections:
    """Stretches of work that a fork, or the end of the process, is to find done or not begun.

    Each thread has a lock of its own, which it holds while it is inside; so threads do not wait for one another.

    >>> work = Sections()
    >>> with work.section():
    ...     pass
    """

    def __init__(self) -> None:
        self._of_threads: list[weakref.ref[Any]] = []  # a lock goes with its thread
        self._own = threading.local()
        self._entry = threading.RLock()  # of threads that are not known yet
        self._held: list[Any] = []
        _all_sections.append(self)

    def section(self) -> Any:
        """The thread's lock, to be used in a `with` block; blocks may lie in one another."""
        found = getattr(self._own, "lock", None)
        if found is None:
            found = threading.RLock()
            with self._entry:
                alive = [known for known in self._of_threads if known() is not None]
                self._of_threads = [*alive, weakref.ref(found)]
            self._own.lock = found
        return found

    def close(self, until: float) -> None:
        """Wait for the other threads to be outside, and let none of them in.

        Args:
            until: when to give up waiting, on the clock of `time.monotonic`.
        """
        known = [self._entry, *[reference() for reference in self._of_threads]]
        for found in known:
            if found is not None and found.acquire(timeout=max(0.0, until - time.monotonic())):
                self._held.append(found)

    def open(self) -> None:
        """Let the other threads in again."""
        while self._held:
            self._held.pop().release()

    def _start_anew(self) -> None:
        """In a child: there is one thread."""
        own = getattr(self._own, "lock", None)
        self._of_threads = [] if own is None else [weakref.ref(own)]
        self._held = [found for found in self._held if found is own]
        self.open()
        self._entry = threading.RLock()


_all_sections: list[Sections] = []
making = Sections()  # of traces, programs and machine code
writing = Sections()  # of programs that write over the memory of tensors


def _before() -> None:
    until = time.monotonic() + _PATIENCE
    for sections in _all_sections:
        sections.close(until)


def _after_in_parent() -> None:
    for sections in _all_sections:
        sections.open()


def _after_in_child() -> None:
    for sections in _all_sections:
        sections._start_anew()
    for reference in list(_locks):
        found = reference()
        if found is not None and not _is_ours(found):
            found._at_fork_reinit()
    for action in _in_child:
        action()


def _is_ours(found: Any) -> bool:
    """Whether the forking thread holds a lock; of one that does not know its owner, it does not."""
    owned = getattr(found, "_is_owned", None)
    return owned is not None and bool(owned())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child
    )


def _at_the_end() -> None:
    making.close(time.monotonic() + _PATIENCE_AT_THE_END)


atexit.register(_at_the_end)
