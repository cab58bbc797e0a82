"""Arrays that a program is writing over: whoever asks where they are waits until it has done so.

A program lets the interpreter lock go while it works, and writes the new data of a tensor over the old. Another
thread may take the array meanwhile: it holds the tensor's data then, all of it new. But it may not look at the
memory before the program is done. So the arrays are of another class for that while, in which `address` waits.
Who held an array before is seen by its count of references, and the program writes elsewhere.
"""

from __future__ import annotations

import threading
import time
from typing import Any

from tessella import forking
from tessella.devices.array import Array
from tessella.devices.host import Taken, Watch

_SHORTEST, _LONGEST = (
    2e-5,
    1e-3,
)  # seconds between two looks: waiting is rare, and the writer need not know

_slot = Array.__dict__["address"]


def stored_address(array: Any) -> int:
    """Where an array is, now."""
    address: int = _slot.__get__(array) if isinstance(array, Array) else array.address
    return address


class Written(Array):
    """An array while a program writes over it."""

    __slots__ = ()

    @property
    def address(self) -> int:  # type: ignore[override]
        if not _is_ours(self):
            _wait_for(self)
        address: int = stored_address(self)
        return address


class Writing:
    """The arrays that a thread writes over now.

    Args:
        taken: how native code takes them; without it `take` does.
    """

    def __init__(self, taken: Taken | None = None) -> None:
        self.arrays: list[Array] = []  # all that must live on meanwhile
        self.ids: frozenset[int] = frozenset()
        self.taken = taken
        self.outer: Writing | None = None

    def begin(self, arrays: list[Array], ids: frozenset[int], watch: Watch) -> bool:
        """Take the arrays if everything is as it was; whether it is."""
        assert self.taken is not None
        self._enter(arrays, ids)
        with _taking:
            return self.taken.take(watch)

    def take(self, written: list[Array]) -> bool:
        """Take some arrays if no other program has taken one of them."""
        _let_others_go_first()
        self._enter([], frozenset())
        with _taking:
            if not [array for array in written if type(array) is not Array]:
                self.arrays, self.ids = written, frozenset([id(array) for array in written])
                for array in written:
                    array.__class__ = Written
                return True
        self.end()
        return False

    def _enter(self, arrays: list[Array], ids: frozenset[int]) -> None:
        before = _of_threads.get(threading.get_ident())
        self.outer = self.outer if before is self else before
        self.arrays, self.ids = arrays, ids
        _of_threads[threading.get_ident()] = self

    def end(self) -> None:
        """Give the arrays back; may be done twice."""
        if self.taken is not None:
            self.taken.give_back()
        elif self.ids:
            for array in self.arrays:
                array.__class__ = Array
            self.ids = frozenset()
        self.arrays = []
        thread = threading.get_ident()
        if _of_threads.get(thread) is not self:
            return
        if self.outer is not None:
            _of_threads[thread] = self.outer
        else:
            del _of_threads[thread]


_waiting: dict[int, None] = {}  # the threads that wait


def _wait_for(array: Array) -> None:
    pause, thread = _SHORTEST, threading.get_ident()
    _waiting[thread] = None
    try:
        while type(array) is not Array:
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST)
    finally:
        _waiting.pop(thread, None)


def _let_others_go_first() -> None:
    """Who waits looks now and then; a thread that takes the same arrays again and again must leave gaps."""
    if _waiting:
        time.sleep(2 * _LONGEST)


_taking = forking.lock()
_of_threads: dict[int, Writing] = {}


def _is_ours(array: Any) -> bool:
    """Whether this thread is the one that writes over an array."""
    writing = _of_threads.get(threading.get_ident())
    while writing is not None:
        if id(array) in writing.ids:
            return True
        writing = writing.outer
    return False


def _forget_other_threads() -> None:
    """In a child there is nobody to give the arrays back."""
    _waiting.clear()
    for thread, writing in list(_of_threads.items()):
        if thread != threading.get_ident():
            for array in writing.arrays:
                array.__class__ = Array
            del _of_threads[thread]


forking.in_child(_forget_other_threads)
