"""Where CPython keeps what is known about an object: the words that say whether it is as it was.

A program writes a tensor in place only while nobody else holds its memory, and so it must know, before
every call, what each of its tensors refers to and how often each array is referred to. Both are words in the
memory of objects. Where the words lie is found out by trying, once. An interpreter that keeps them in another way
(PyPy, or CPython without its lock) is asked in Python instead, see `tessella.transforms.places`.
"""

from __future__ import annotations

import ctypes
import functools
import sys
from typing import Any, NamedTuple

_COUNT_BITS = 0xFFFF_FFFF  # what else CPython keeps in the word of the count is above
_WORD = -1
CHANGED = -2  # what the run of a program gives if something is not as it was


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


def is_possible(*slots: tuple[type, str]) -> bool:
    """Whether this interpreter keeps counts, and these slots of these classes, in words."""
    return _counts_are_words() and all(_offset(*slot) is not None for slot in slots)


CLASS = ctypes.sizeof(ctypes.c_void_p)  # where the word of an object's class lies, behind the count


def is_of_class(target: Any, kind: type) -> Word:
    """The word that says what class an object is of."""
    return Word(id(target) + CLASS, _WORD, id(kind))


def is_set(flag: ctypes.Array[ctypes.c_int64]) -> Word:
    """The word of a flag."""
    return Word(ctypes.addressof(flag), _WORD, 1)


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
    kind = ctypes.c_int64.from_address(id(target) + ctypes.sizeof(ctypes.c_void_p)).value
    found = found and kind == id(object)
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
