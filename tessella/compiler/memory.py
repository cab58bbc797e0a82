"""The static memory plan: which values share the same place in the arena.

A buffer is alive from the step that first writes it to the step that last reads it. Buffers are
placed in the order of their birth, each in the smallest gap that holds it between those alive.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

ALIGNMENT = 64


class Plan(NamedTuple):
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


def plan(buffers: Sequence[Any], steps: Sequence[Any], kind: str, share: bool = True) -> Plan:
    """Place every buffer of a kind that some step touches; none at another's place unless `share`."""
    alive = lifetimes(buffers, steps, kind)
    if not share:
        alive = dict.fromkeys(alive, (0, len(steps)))
    births: dict[int, list[int]] = {}
    for buffer, (first, _) in alive.items():
        births.setdefault(first, []).append(buffer)
    offsets: dict[int, int] = {}
    placed: list[tuple[int, int, int]] = []  # offset, end, last step; ordered
    height = unshared = 0
    for step in sorted(births):
        placed = [block for block in placed if block[2] >= step]
        for buffer in sorted(births[step], key=lambda b: -buffers[b].nbytes):
            size = -(-buffers[buffer].nbytes // ALIGNMENT) * ALIGNMENT
            offset = _gap(placed, size)
            offsets[buffer] = offset
            placed.append((offset, offset + size, alive[buffer][1]))
            placed.sort()
            height = max(height, offset + size)
            unshared += size
    return Plan(offsets, height, unshared, alive)


def _gap(placed: Sequence[tuple[int, int, int]], size: int) -> int:
    """The start of the smallest gap of at least a size; else the end of all."""
    best, best_size, end = -1, 0, 0
    for start, stop, _ in placed:
        room = start - end
        if room >= size and (best < 0 or room < best_size):
            best, best_size = end, room
        end = max(end, stop)
    return end if best < 0 else best
