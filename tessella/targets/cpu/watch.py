"""Whether Python objects are as they were, for many of them, in one native call.

Asking Python costs a fifth of a microsecond for each tensor and more for its gradient. What there is to know are
words in the memory of objects (`tessella.devices.words`), and a native loop compares a thousand of them in one or
two microseconds.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Sequence

from tessella.devices.table import DONE
from tessella.devices.words import CHANGED, CLASS, Word
from tessella.targets.cpu import calls, engine, threads
from tessella.targets.cpu.by_hand import spelled_out

_UNCHANGED = """
define internal i64 @unchanged(ptr %table) {
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
  %address = word %first of %table as ptr
  %mask = word 1 of %address.place as i64
  %wanted = word 2 of %address.place as i64
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

define i64 @ask_unchanged(ptr %arguments) {
  %table = load ptr, ptr %arguments
  %same = call i64 @unchanged(ptr %table)
  ret i64 %same
}

define i64 @run_unchanged(ptr %arguments) {
  %program = load ptr, ptr %arguments
  %table = word 1 of %arguments as ptr
  %run = word 2 of %arguments as ptr
  %done = getelementptr i64, ptr %program, i64 {DONE}
  store i64 0, ptr %done
  %same = call i64 @unchanged(ptr %table)
  %is.same = icmp ne i64 %same, 0
  br i1 %is.same, label %go, label %stay
go:
  %stopped = call i64 %run(ptr %arguments)
  ret i64 %stopped
stay:
  ret i64 {CHANGED}
}

define i64 @take_unchanged(ptr %arguments) {
  %table = load ptr, ptr %arguments
  %taken = word 1 of %arguments as ptr
  %same = call i64 @unchanged(ptr %table)
  %is.same = icmp ne i64 %same, 0
  br i1 %is.same, label %take, label %leave
take:
  %active = getelementptr i64, ptr %taken, i64 1
  store i64 1, ptr %active
  %kind = word 2 of %taken as i64
  call void @put_words(ptr %taken, i64 %kind)
  br label %leave
leave:
  ret i64 %same
}

define i64 @give_back(ptr %arguments) {
  %taken = load ptr, ptr %arguments
  %active = word 1 of %taken as i64
  %is.active = icmp ne i64 %active, 0
  br i1 %is.active, label %give, label %leave
give:
  %kind = word 3 of %taken as i64
  call void @put_words(ptr %taken, i64 %kind)
  store i64 0, ptr %active.place
  br label %leave
leave:
  ret i64 0
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
  %place = word %at of %taken as ptr
  store i64 %word, ptr %place
  %next = add i64 %i, 1
  br label %head
done:
  ret void
}
"""


class Watch:
    """Words to be looked at together; what they belong to must stay alive.

    `holds()`, whether every word is as it must be, and `run(head)` are those of `devices.host.Watch`. Nothing can happen
    between the look and what follows: the interpreter's lock is held all the time.
    """

    def __init__(self, words: Sequence[Word]) -> None:
        flat = [number for word in words for number in word]
        self._table = (ctypes.c_int64 * (1 + len(flat)))(len(words), *flat)
        self.address = ctypes.addressof(self._table)
        natives = _natives()
        self.holds = calls.question(natives["ask_unchanged"], 0, self.address)
        self.run = calls.question(
            natives["run_unchanged"], 1, self.address, threads.quick_address()
        )


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
        natives, address = _natives(), ctypes.addressof(self._table)
        self._take = calls.question(natives["take_unchanged"], 1, address)
        self.give_back = calls.question(natives["give_back"], 0, address)

    def take(self, watch: Watch) -> bool:
        """Change the class of all, if every word that is watched is as it must be; whether it is."""
        return bool(self._take(watch.address))


@functools.cache
def _natives() -> dict[str, int]:
    text = spelled_out(_UNCHANGED, CHANGED=CHANGED, DONE=DONE)
    names = ("ask_unchanged", "run_unchanged", "take_unchanged", "give_back")
    return engine.compile(engine.LLVMModule(text, names))
