"""Copies that need not be made: what is written over in part is copied first, and often nobody needs the original."""

from __future__ import annotations

from collections.abc import Sequence

from tessella.compiler.builder import Builder
from tessella.compiler.steps import ARENA, Check, HostStep, Location, Step

AnyStep = Step | HostStep | Check


def write_over_originals(builder: Builder) -> None:
    """Let a copy be its original, if all who need the original have had it by then.

    What fixed inputs alone decide stays: it is computed once for many calls.
    """
    last = {buffer: at for at, step in enumerate(builder.steps) for buffer in _touched(step)}
    shown = {builder.where[value].buffer for value in builder.graph.outputs}
    fixed = {builder.where[value].buffer for value in builder.fixed if value in builder.where}
    stands_for: dict[int, int] = {}
    kept: list[AnyStep] = []
    for at, step in enumerate(builder.steps):
        step = _renamed(step, stands_for)
        original = _original(builder, step)
        if original is None or original in fixed | shown or last[original] > at:
            kept.append(step)
            continue
        (copy,) = step.writes
        stands_for[copy] = original
        last[original] = last[copy]
        if copy in shown:
            shown.add(original)
    if stands_for:
        builder.steps = kept
        builder.where = {
            value: location._replace(buffer=stands_for.get(location.buffer, location.buffer))
            for value, location in builder.where.items()
        }


def _original(builder: Builder, step: AnyStep) -> int | None:
    """The intermediate value that a step copies as it lies, the whole of it."""
    if not isinstance(step, Step) or not step.call.duplicates:
        return None
    (source, offset), (copy, _) = step.places
    buffers = builder.buffers
    whole = offset == 0 and buffers[source].nbytes == buffers[copy].nbytes
    return source if whole and buffers[source].kind == ARENA else None


def _touched(step: AnyStep) -> tuple[int, ...]:
    return (*step.reads, *step.writes)


def _renamed(step: AnyStep, names: dict[int, int]) -> AnyStep:
    """A step on other buffers."""
    if names.keys().isdisjoint(_touched(step)):
        return step

    def buffers(found: Sequence[int]) -> tuple[int, ...]:
        return tuple([names.get(buffer, buffer) for buffer in found])

    def places(found: Sequence[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
        return tuple([(names.get(buffer, buffer), offset) for buffer, offset in found])

    def moved(location: Location) -> Location:
        return location._replace(buffer=names.get(location.buffer, location.buffer))

    if isinstance(step, HostStep):
        return step._replace(
            inputs=tuple(map(moved, step.inputs)), outputs=tuple(map(moved, step.outputs))
        )
    if isinstance(step, Check):
        (place,) = places([step.place])
        return step._replace(place=place, indices=moved(step.indices))
    return step._replace(
        places=places(step.places), reads=buffers(step.reads), writes=buffers(step.writes),
        in_step=frozenset(buffers([*step.in_step])), epilogue_places=places(step.epilogue_places),
    )  # fmt: skip
