"""The form in which every device is given programs and loops: tables of 8-byte words.

A program is a table of calls. Its head: the steps and how many they are; the patches and how many they are; the
slots; the processor the caller was last seen on; where times go (of a program that is timed); at how many steps it
may be stopped; whether it was done; what the device asks for signals. A step is a kernel, its arguments, `total` and
`chunk` (0: all at once); without a kernel it stops the program if the word its arguments point at is not zero, or,
with a `chunk`, its arguments are a loop, which only a device is given that looks for signals (`Device.signals`). Two
words stand before arguments: how many addresses they begin with, and where the arguments of an epilogue are (0:
nowhere), for a device that has to know what a step reads and writes. A patch is a place in some step's arguments, a slot, and an offset: before the steps run, slot + offset is written to
the place.

A loop is a program that is run again and again. Its words: the program's head; how many turns; how many slots
move between two turns; these slots, each an address and by how much; the head of a program that says whether to go
on (or 0); where the caller was seen; the byte where it says so; the step that stopped a turn (negative: of that
program; 0: none).
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

PROCESSOR = 5  # where the caller was seen
TIMES = 6  # where to write times, if the program is timed
MAY_STOP = 7  # at how many steps, from the first one, a signal may end the program
DONE = 8  # whether the last call came to its end
SIGNALS = 9  # what the device looks for signals with
HEAD = 10  # words
LOOP_WORDS, LOOP_STOPPED = 8, 7
STEP_BYTES = 32  # of a row of the table of steps
BEFORE = 2  # words before arguments


def words_of(numbers: Sequence[int]) -> Any:
    """A table of some words; an empty one has a place, too."""
    return (ctypes.c_int64 * max(1, len(numbers)))(*numbers)


def head_of(
    steps: int, count: int, patches: int, patch_count: int, slots: int, signals: int
) -> Any:
    """The head of a program, which a signal may end at any step."""
    words = steps, count, patches, patch_count, slots, -1, 0, count, 0, signals
    return (ctypes.c_int64 * HEAD)(*words)
