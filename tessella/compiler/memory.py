"""The static memory plan: which values share the same place in the arena.

A buffer is alive from the step that first writes it to the step that last reads it. Buffers are
placed in the order of their birth, each in the smallest gap that holds it between those alive.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from typing import Any, NamedTuple

ALIGNMENT = 64


class MemoryPlan(NamedTuple):
    """The offset of every buffer in the arena, the arena's bytes, and the bytes without sharing."""

    offsets: dict[int, int]
    nbytes: int
    unshared: int
    lifetimes: dict[int, tuple[int, int]]


def lifetimes(
    buffers: Sequence[Any], steps: Sequence[Any], kind: str
) -> dict[int, tuple[int, int]]:
    """The first and the last step that touch each buffer of a kind."""
    found: dict[int, tuple[int, int]] = {}
    for number, step in enumerate(steps):
        for buffer in (*step.reads, *step.writes):
            if buffers[buffer].kind == kind:
                first, _ = found.get(buffer, (number, number))
                found[buffer] = first, number
    return found


def plan(buffers: Sequence[Any], steps: Sequence[Any], kind: str, share: bool = True) -> MemoryPlan:
    """Place every buffer of a kind that some step touches; none at another's place unless `share`."""
    alive = lifetimes(buffers, steps, kind)
    if not share:
        alive = dict.fromkeys(alive, (0, len(steps)))
    births: dict[int, list[int]] = {}
    for buffer, (first, _) in alive.items():
        births.setdefault(first, []).append(buffer)
    deaths: dict[int, list[int]] = {}
    for buffer, (_, last) in alive.items():
        deaths.setdefault(last, []).append(buffer)
    room, offsets, unshared = _Room(), dict[int, int](), 0
    for step in sorted({*births, *(last + 1 for last in deaths)}):
        for buffer in deaths.get(step - 1, ()):
            room.free(offsets[buffer], _rounded(buffers[buffer].nbytes))
        for buffer in sorted(births.get(step, ()), key=lambda b: -buffers[b].nbytes):
            size = _rounded(buffers[buffer].nbytes)
            offsets[buffer] = room.take(size)
            unshared += size
    return MemoryPlan(offsets, room.height, unshared, alive)


def _rounded(nbytes: int) -> int:
    return -(-nbytes // ALIGNMENT) * ALIGNMENT


class _Room:
    """Memory without an end: the gaps between what is taken, in order, and all that follows it."""

    def __init__(self) -> None:
        self.gaps: list[tuple[int, int]] = []  # start and end; no two touch
        self.end = 0  # of what is taken
        self.height = 0  # the most it has been

    def take(self, size: int) -> int:
        """The start of the smallest gap of at least a size; else the end of all."""
        fitting = [
            (end - start, at) for at, (start, end) in enumerate(self.gaps) if end - start >= size
        ]
        if not fitting:
            self.end += size
            self.height = max(self.height, self.end)
            return self.end - size
        _, at = min(fitting)
        start, end = self.gaps[at]
        self.gaps[at : at + 1] = [(start + size, end)] if start + size < end else []
        return start

    def free(self, start: int, size: int) -> None:
        """Give back what was taken."""
        end = start + size
        at = bisect.bisect(self.gaps, (start, end))
        if at < len(self.gaps) and self.gaps[at][0] == end:
            end = self.gaps.pop(at)[1]
        if at and self.gaps[at - 1][1] == start:
            at -= 1
            start = self.gaps.pop(at)[0]
        if end == self.end:
            self.end = start
        elif start < end:
            self.gaps.insert(at, (start, end))
