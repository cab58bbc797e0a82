"""Whether Python objects are as they were, for many of them, in one native call.

A program writes a tensor in place only while nobody else holds its memory, and so it must know, before
every call, what each of its tensors refers to and how often each array is referred to. Asking Python
costs a fifth of a microsecond for each tensor and more for its gradient. Both are words in the memory
of objects, and a native loop compares a thousand of them in one or two microseconds.

Where the words lie is found out by trying, once. An interpreter that keeps them in another way (PyPy,
or CPython without its lock) is asked in Python instead, see `tessella.transforms.places`.
"""

from __future__ import annotations

import ctypes
import functools
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

from tessella.backends.cpu import engine

_COUNT_BITS = 0xFFFF_FFFF  # what else CPython keeps in the word of the count is above
_WORD = -1

_UNCHANGED = """
define i64 @unchanged(ptr %table) {
entry:
  %count = load i64, ptr %table
  br label %head
head:
  %i = phi i64 [ 0, %entry ], [ %next, %same ]
  %more = icmp slt i64 %i, %count
  br i1 %more, label %look, label %yes
look:
  %row = mul i64 %i, 3
  %first = add i64 %row, 1
  %address.place = getelementptr i64, ptr %table, i64 %first
  %address = load ptr, ptr %address.place
  %mask.place = getelementptr i64, ptr %address.place, i64 1
  %mask = load i64, ptr %mask.place
  %wanted.place = getelementptr i64, ptr %address.place, i64 2
  %wanted = load i64, ptr %wanted.place
  %word = load i64, ptr %address
  %found = and i64 %word, %mask
  %next = add i64 %i, 1
  %equal = icmp eq i64 %found, %wanted
  br i1 %equal, label %same, label %no
same:
  br label %head
yes:
  ret i64 1
no:
  ret i64 0
}
"""


class Word(NamedTuple):
    """A word of memory, the bits of it that count, and what they must be."""

    address: int
    mask: int
    wanted: int


def refers(holder: Any, attribute: str, target: Any) -> Word:
    """The word that says that a slot of an object refers to another object."""
    kind: type = type(holder)
    offset = _offset(kind, attribute)
    assert offset is not None
    return Word(id(holder) + offset, _WORD, id(target))


def held(target: Any, times: int) -> Word:
    """The word that says how often an object is referred to."""
    return Word(id(target), _COUNT_BITS, times)


class Watch:
    """Words to be looked at together; what they belong to must stay alive."""

    def __init__(self, words: Sequence[Word]) -> None:
        flat = [number for word in words for number in word]
        self._table = (ctypes.c_int64 * (1 + len(flat)))(len(words), *flat)
        self._address = ctypes.addressof(self._table)
        self._unchanged = _native()

    def holds(self) -> bool:
        """Whether every word is as it must be."""
        return bool(self._unchanged(self._address))


@functools.cache
def _native() -> Any:
    address = engine.compile(engine.Module(_UNCHANGED, ("unchanged",)))["unchanged"]
    # with the interpreter's lock: nothing may change while we look
    return engine.callable_at(address, ctypes.PYFUNCTYPE(ctypes.c_int64, ctypes.c_void_p))


def is_possible(*slots: tuple[type, str]) -> bool:
    """Whether this interpreter keeps counts, and these slots of these classes, in words."""
    return _counts_are_words() and all(_offset(*slot) is not None for slot in slots)


@functools.cache
def _counts_are_words() -> bool:
    if sys.implementation.name != "cpython" or ctypes.sizeof(ctypes.c_void_p) != 8:
        return False
    target = object()
    place = ctypes.c_int64.from_address(id(target))
    before = place.value & _COUNT_BITS
    others = [target] * 5
    found = (place.value & _COUNT_BITS) - before == len(others)
    del others
    return found and place.value & _COUNT_BITS == before == 1


@functools.cache
def _offset(kind: type, attribute: str) -> int | None:
    """How many bytes into an object of a class the word of a slot lies."""
    holder: Any = object.__new__(kind)
    target = object()
    setattr(holder, attribute, target)
    start, end = object.__basicsize__, kind.__basicsize__
    words = {at: ctypes.c_int64.from_address(id(holder) + at).value for at in range(start, end, 8)}
    places = [at for at, word in words.items() if word == id(target)]
    return places[0] if len(places) == 1 else None
