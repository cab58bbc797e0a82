"""Where the results of a program go, and what it computes only once.

A result leaves the arena for memory of its own. A tensor that the program gives new data is written over where
everything else has read it by then; otherwise its data is copied there at the end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from tessella.compiler.builder import Builder
from tessella.compiler.lowering.movement import copy
from tessella.compiler.steps import (
    ARENA,
    CONSTANT,
    INPUT,
    KEPT,
    RESULT_BUFFER,
    Check,
    HostStep,
    Location,
    Step,
)


class Results:
    """The results of a program.

    Args:
        builder: the steps of the program, to which copies may be added.
        in_place: for some outputs, the input whose memory they take.
    """

    def __init__(self, builder: Builder, in_place: dict[int, int]) -> None:
        self.builder, self.wanted = builder, in_place
        self.graph, self.buffers = builder.graph, builder.buffers
        self.steps, self.where = builder.steps, builder.where
        self.result_buffers: list[int] = []  # of each result slot
        self.in_place: dict[int, int] = {}  # result slot -> number of the input it may share
        self.taken: dict[int, int] = {}  # buffer -> result slot
        self._writes_of: dict[int, list[int]] = {}  # buffer -> steps
        self._reads_of: dict[int, list[int]] = {}  # input -> steps

    def place(self) -> list[Location]:
        """Take the outputs out of the arena, or copy what has no memory of its own."""
        self._save_overwritten()
        self._note_accesses()
        results: list[Location] = []
        for number, value in enumerate(self.graph.outputs):
            location = self.where[value]
            buffer = self.buffers[location.buffer]
            wanted = self.wanted.get(number)
            whole = location.offset == 0 and location.layout.contiguous
            if wanted is not None:
                fits = buffer.kind == ARENA and whole and location.buffer not in self.taken
                if not fits or not self._may_share(location.buffer, wanted):
                    location = self._copied(location)
                self._call_no_threads(location.buffer)
                self._become_result(location.buffer)
                self.in_place[self.taken[location.buffer]] = wanted
            elif buffer.kind == ARENA:
                self._become_result(location.buffer)
            results.append(location)
        return results

    def _call_no_threads(self, buffer: int) -> None:
        """What is duplicated onto itself, as mostly, is not worth calling threads."""
        for at in self._writes_of.get(buffer, ()):
            step = self.steps[at]
            if isinstance(step, Step) and step.call.duplicates:
                self.steps[at] = step._replace(call=step.call._replace(chunk=0))

    def _note_accesses(self) -> None:
        """Write down which steps write each buffer, and which read each input."""
        for at, step in enumerate(self.steps):
            for written in dict.fromkeys(step.writes):
                self._writes_of.setdefault(written, []).append(at)
            for number in {
                self.buffers[b].number for b in step.reads if self.buffers[b].kind == INPUT
            }:
                self._reads_of.setdefault(number, []).append(at)

    def _save_overwritten(self) -> None:
        """Copy, before anything else, outputs that are inputs whose memory is written over."""
        written = set(self.wanted.values())
        count = len(self.steps)
        for value in dict.fromkeys(self.graph.outputs):
            location = self.where[value]
            buffer = self.buffers[location.buffer]
            if buffer.kind == INPUT and buffer.number in written:
                self.where[value] = self._copied(location)
        self.steps[:] = self.steps[count:] + self.steps[:count]

    def _become_result(self, number: int) -> None:
        if number not in self.taken:
            self.taken[number] = len(self.taken)
            buffer = self.buffers[number]
            buffer.kind, buffer.number = RESULT_BUFFER, self.taken[number]
            self.result_buffers.append(number)

    def _copied(self, location: Location) -> Location:
        return self.builder.follow(copy(location.layout), [location], ())

    def _may_share(self, buffer: int, number: int) -> bool:
        """Whether a result may be written over an input: everything else has read it by then.

        The step that writes may itself read the input if it does so element by element.
        """
        written, read = self._writes_of.get(buffer, []), self._reads_of.get(number, [])
        writers = [self.steps[i] for i in written]
        first = writers[0] if writers else None
        if first is None or not all(isinstance(step, Step) for step in writers):
            return False
        assert isinstance(first, Step)
        together = {  # the blocks of one epilogue read and write element by element, too
            at
            for at, step in zip(written, writers, strict=True)
            if isinstance(step, Step) and step.epilogue is first.epilogue is not None
        }
        if any(i > written[0] and i not in together for i in read):
            return False
        own = [b for b in first.reads if self._is_input(b, number)]
        if own and first.epilogue is not None and buffer in {b for b, _ in first.places}:
            return False  # the product itself is written there, before its epilogue reads
        return all(b in first.in_step for b in own)

    def _is_input(self, buffer: int, number: int) -> bool:
        return self.buffers[buffer].kind == INPUT and self.buffers[buffer].number == number


def separate(builder: Builder, fixed: frozenset[int]) -> int:
    """Move the steps that depend on fixed inputs alone to the front; gives how many they are.

    Their results are kept from call to call. Checks go before what relies on them: indices in memory that
    is not the program's own, where something else may be the next time, are checked by the front and by
    the rest if both read them.
    """
    buffers, steps = builder.buffers, builder.steps
    guarded = _guarded(steps)
    known, alone = _alone(builder, fixed, guarded)
    early = {b for step in steps if id(step) in alone for b in step.reads}
    others = alone | guarded.keys()
    late = {b for step in steps if id(step) not in others for b in step.reads}
    first: list[Step | HostStep | Check] = []
    rest: list[Step | HostStep | Check] = []
    for step in steps:
        index = guarded.get(id(step))
        if index is None:
            (first if id(step) in alone else rest).append(step)
            continue
        own = buffers[index].kind == ARENA
        before = index in known and (own or index in early)
        if before:
            first.append(step)
        if not before or (not own and index in late):
            rest.append(step)
    for step in first:
        for buffer in step.writes:
            buffers[buffer].kind = KEPT
            buffers[buffer].number = 0
    steps[:] = first + rest
    return len(first)


def _guarded(steps: Sequence[Step | HostStep | Check]) -> dict[int, int]:
    """By the identities of checks and of the tests before them: the buffers of the indices."""
    checks = {step.place[0]: step for step in steps if isinstance(step, Check)}
    found = {id(check): check.indices.buffer for check in checks.values()}
    for step in steps:
        for buffer in step.writes:
            if buffer in checks:
                found[id(step)] = checks[buffer].indices.buffer
    return found


def _alone(
    builder: Builder, fixed: frozenset[int], guarded: dict[int, int]
) -> tuple[set[int], set[int]]:
    """The buffers that fixed inputs alone decide, and the identities of the steps that write them."""
    buffers, steps = builder.buffers, builder.steps
    known = {i for i, b in enumerate(buffers) if b.kind == CONSTANT}
    known |= {i for i, b in enumerate(buffers) if b.kind == INPUT and b.number in fixed}
    writes = Counter(buffer for step in steps for buffer in step.writes)
    alone: set[int] = set()
    for step in steps:
        own = all(writes[b] == 1 and buffers[b].kind == ARENA for b in step.writes)
        if isinstance(step, Step) and own and all(b in known for b in step.reads):
            known.update(step.writes)
            if id(step) not in guarded:
                alone.add(id(step))
    return known, alone
