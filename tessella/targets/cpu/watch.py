"""Whether Python objects are as they were, for many of them, in one native call.

Asking Python costs a fifth of a microsecond for each tensor and more for its gradient. What there is to know are
words in the memory of objects (`tessella.devices.words`), and a native loop compares a thousand of them in one or
two microseconds.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Sequence
from typing import Any

from tessella.devices.table import DONE
from tessella.devices.words import CHANGED, CLASS, Word
from tessella.targets.cpu import engine, threads

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

define i64 @run_unchanged(ptr %table, ptr %run, ptr %program) {
  %done = getelementptr i64, ptr %program, i64 {DONE}
  store i64 0, ptr %done
  %same = call i64 @unchanged(ptr %table)
  %is.same = icmp ne i64 %same, 0
  br i1 %is.same, label %go, label %stay
go:
  %stopped = call i64 %run(ptr %program)
  ret i64 %stopped
stay:
  ret i64 {CHANGED}
}

define i64 @take_unchanged(ptr %table, ptr %taken) {
  %same = call i64 @unchanged(ptr %table)
  %is.same = icmp ne i64 %same, 0
  br i1 %is.same, label %take, label %leave
take:
  %active = getelementptr i64, ptr %taken, i64 1
  store i64 1, ptr %active
  %kind.place = getelementptr i64, ptr %taken, i64 2
  %kind = load i64, ptr %kind.place
  call void @put_words(ptr %taken, i64 %kind)
  br label %leave
leave:
  ret i64 %same
}

define void @give_back(ptr %taken) {
  %active.place = getelementptr i64, ptr %taken, i64 1
  %active = load i64, ptr %active.place
  %is.active = icmp ne i64 %active, 0
  br i1 %is.active, label %give, label %leave
give:
  %kind.place = getelementptr i64, ptr %taken, i64 3
  %kind = load i64, ptr %kind.place
  call void @put_words(ptr %taken, i64 %kind)
  store i64 0, ptr %active.place
  br label %leave
leave:
  ret void
}

define internal void @put_words(ptr %taken, i64 %word) {
entry:
  %count = load i64, ptr %taken
  br label %head
head:
  %i = phi i64 [ 0, %entry ], [ %next, %put ]
  %more = icmp slt i64 %i, %count
  br i1 %more, label %put, label %done
put:
  %at = add i64 %i, 4
  %place.place = getelementptr i64, ptr %taken, i64 %at
  %place = load ptr, ptr %place.place
  store i64 %word, ptr %place
  %next = add i64 %i, 1
  br label %head
done:
  ret void
}
"""


class Watch:
    """Words to be looked at together; what they belong to must stay alive."""

    def __init__(self, words: Sequence[Word]) -> None:
        flat = [number for word in words for number in word]
        self._table = (ctypes.c_int64 * (1 + len(flat)))(len(words), *flat)
        self._address = ctypes.addressof(self._table)
        natives = _natives()
        self._unchanged, self._run = natives["unchanged"], natives["run_unchanged"]
        self._runner = threads.quick_address()

    def holds(self) -> bool:
        """Whether every word is as it must be."""
        return bool(self._unchanged(self._address))

    def run(self, head: int) -> int:
        """Run a program of short calls if every word is as it must be; else give `CHANGED`.

        Nothing can happen between the look and the call: the interpreter's lock is held all the time.
        """
        stopped: int = self._run(self._address, self._runner, head)
        return stopped


class Taken:
    """Objects of one class that are of another class for a while, in one native call.

    Args:
        objects: by their ids; whoever takes them keeps them alive.
        kind, other: the class they are of, and the one they become, with the same slots.
    """

    def __init__(self, objects: Sequence[int], kind: type, other: type) -> None:
        places = [number + CLASS for number in objects]
        self._table = (ctypes.c_int64 * (4 + len(places)))(
            len(places), 0, id(other), id(kind), *places
        )
        self._address = ctypes.addressof(self._table)
        natives = _natives()
        self._take, self._give_back = natives["take_unchanged"], natives["give_back"]

    def take(self, watch: Watch) -> bool:
        """Change the class of all, if every word that is watched is as it must be; whether it is."""
        return bool(self._take(watch._address, self._address))

    def give_back(self) -> None:
        """Change it back, if it was changed."""
        self._give_back(self._address)


@functools.cache
def _natives() -> dict[str, Any]:
    pointer, whole = ctypes.c_void_p, ctypes.c_int64
    types: dict[str, tuple[Any, ...]] = {
        "unchanged": (whole, pointer),
        "run_unchanged": (whole, pointer, pointer, pointer),
        "take_unchanged": (whole, pointer, pointer),
        "give_back": (None, pointer),
    }
    text = _UNCHANGED.replace("{CHANGED}", str(CHANGED)).replace("{DONE}", str(DONE))
    addresses = engine.compile(engine.Module(text, tuple(types)))
    # with the interpreter's lock: nothing may change while we look
    return {
        name: engine.callable_at(addresses[name], ctypes.PYFUNCTYPE(*types[name])) for name in types
    }
