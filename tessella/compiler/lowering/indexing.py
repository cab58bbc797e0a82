"""Gather and scatter: the place of an element is itself read from memory."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from tessella.compiler.lowering.kernels import (
    Dimension,
    call,
    collapse,
    decode,
    dot,
    lanes_of,
    sizes,
    values,
)
from tessella.compiler.lowering.movement import duplicate
from tessella.compiler.lowering.views import broadcast_strides
from tessella.compiler.recipe import RESULT, Bound, Recipe, View
from tessella.devices.array import Layout, contiguous_layout, layout_of
from tessella.dtypes import DType
from tessella.loops.nest import (
    Kernel,
    Loop,
    Pointer,
    Statement,
    Store,
    index_constant,
    index_variable,
    load,
)
from tessella.primitives.base import Spec, size_of
from tessella.primitives.indexing import Gather, InRange, Limits, Scatter, common_shape, limits_of
from tessella.scalar import operators
from tessella.scalar.expression import Expression
from tessella.sizes.size import is_symbolic

PARTS = 8  # of a row that threads add to side by side
LONG = 32  # that each of them is at least

Steps = tuple[int | None, ...]  # 0, 1, or what is known when the kernel runs


def _others(primitive: Gather, rank: int) -> tuple[list[int], list[int]]:
    """The axes of the array that the result has, before the indexed ones and behind them.

    If those do not stand side by side, all others are behind.
    """
    axes = primitive.axes
    rest = [axis for axis in range(rank) if axis not in primitive.gone]
    together = axes == tuple(range(axes[0], axes[0] + len(axes)))
    before = [axis for axis in rest if together and axis < axes[0]]
    return before, [axis for axis in rest if axis not in before]


def _moves(primitive: Gather, layout: Layout, rank: int) -> list[int]:
    """How far the array moves along each axis of the indices: along those that an axis of its own goes with."""
    moves = [0] * rank
    for axis, place in primitive.along:
        moves[place] += layout.strides[axis]
    return moves


def gather(primitive: Gather, layouts: list[Layout], result: Spec) -> Recipe:
    """The elements lie as those of x do: the indices' axes where the indexed ones were.

    So what reads along an axis does not turn the others round; the result is looked at as the rule has it.
    """
    x, *indices = layouts
    bounds = _bounds(limits_of(primitive.axes, x.shape, primitive.purpose), first=1)
    common = common_shape(primitive.along, x, indices)
    before, behind = _others(primitive, x.ndim)
    outer, inner = ([x.shape[axis] for axis in axes] for axes in (before, behind))
    out = contiguous_layout((*outer, *common, *inner), result.dtype)
    b, c = len(before), len(before) + len(common)
    order = (*range(b, c), *range(b), *range(c, out.ndim))
    steps = tuple([out.strides[axis] for axis in order])
    shown = layout_of(result.shape, steps, result.dtype) if before else None
    if out.size == 0:
        return Recipe(out, (), bounds=bounds, shown=shown)
    front, back = (
        collapse([x.shape[axis] for axis in axes], [[x.strides[axis] for axis in axes]])
        for axes in (before, behind)
    )
    read = [broadcast_strides(layout, common) for layout in indices]
    middle = collapse(common, [*read, _moves(primitive, x, len(common))])
    if not (middle or back):
        middle = [Dimension(1, (0,) * (len(indices) + 1))]
    kinds = tuple(layout.dtype for layout in indices)
    # how far x, or each index array and x, move along the rows that are written
    along = back[-1].strides if back else middle[-1].strides
    known = tuple([step if step in (0, 1) else None for step in along])
    kernel = _gather_kernel(x.dtype, kinds, len(front), len(middle), len(back), known)
    numbers = _numbers(middle, primitive.axes, x) | values("as", [d.strides[-1] for d in middle])
    for name, dimensions in (("f", front), ("r", back)):
        numbers |= values(name, [d.size for d in dimensions])
        numbers |= values(f"{name}s", [d.strides[0] for d in dimensions])
    rows = out.size // (back or middle)[-1].size
    places = (*range(len(layouts)), RESULT)
    only = call(kernel, numbers, rows, 2 * out.size + 8 * rows, *places)
    return Recipe(out, (only,), bounds=bounds, shown=shown)


def in_range(primitive: InRange, layouts: list[Layout], result: Spec) -> View:
    return View(layouts[0], 0, (Bound(0, primitive.limits),))


def _bounds(limits: tuple[Limits, ...], first: int) -> tuple[Bound, ...]:
    return tuple(Bound(i, limit) for i, limit in enumerate(limits, start=first))


def _numbers(common: Sequence[Dimension], axes: tuple[int, ...], x: Layout) -> dict[str, int]:
    """The sizes of the indices' axes, what a step along an indexed axis is, and how long that is.

    Args:
        common: the indices' axes, and how far each array moves along them.
    """
    numbers = {**values("c", [d.size for d in common])}
    numbers |= values("xs", [x.strides[axis] for axis in axes])
    numbers |= values("n", [x.shape[axis] for axis in axes])
    for position in range(len(axes)):
        numbers |= values(f"i{position}_", [d.strides[position] for d in common])
    return numbers


def _place(
    pointers: Sequence[Pointer], reads: Sequence[Expression]
) -> tuple[Expression, list[Expression]]:
    """The offset that the index arrays give, and the sizes it needs.

    Args:
        reads: where each of them is read.
    """
    xs, n = sizes("xs", len(pointers)), sizes("n", len(pointers))
    offset: Expression = index_constant(0)
    for position, (pointer, where) in enumerate(zip(pointers, reads, strict=True)):
        index = operators.convert(load(pointer, where), xs[0].dtype)
        index = operators.select(operators.less(index, 0), index + n[position], index)
        offset = offset + index * xs[position]
    return offset, [*xs, *n]


def _fixed(strides: Sequence[Expression], last: int | None) -> list[Expression | int]:
    """Strides of which the last one may be known."""
    return [*strides] if last is None else [*strides[:-1], last]


@functools.cache
def _gather_kernel(
    dtype: DType, kinds: tuple[DType, ...], before: int, common: int, behind: int, along: Steps
) -> Kernel:
    """Rows of the last axis, one after the other: one behind the indexed ones, or the last of the indices'.

    Args:
        along: how far x moves along a row, or, if there is nothing behind the indexed axes, each index array.
    """
    x, out = Pointer("x", dtype), Pointer("out", dtype, written=True)
    pointers = tuple(Pointer(f"index{i}", kind) for i, kind in enumerate(kinds))
    f, fs = sizes("f", before), sizes("fs", before)
    c, r, rs = sizes("c", common), sizes("r", behind), sizes("rs", behind)
    moves, steps = sizes("as", common), [sizes(f"i{i}_", common) for i in range(len(kinds))]
    row, j = index_variable("row"), index_variable("j")
    extents = [*f, *c, *r]
    where = [*decode(row, extents[:-1]), j]
    here = where[before : before + common]
    last: Steps = (None,) * (len(kinds) + 1) if behind else along
    reads = [dot(here, _fixed(own, step)) for own, step in zip(steps, last, strict=False)]
    offset, names = _place(pointers, reads)
    offset = offset + dot(where[:before], fs) + dot(here, _fixed(moves, last[-1]))
    offset = offset + dot(where[before + common :], _fixed(rs, along[0] if behind else None))
    store = Store(out, row * extents[-1] + j, load(x, offset))
    inside = Loop(j, extents[-1], (store,), lanes=lanes_of(dtype))
    body = Loop(row, None, (inside,), parallel=True)
    needed = (*f, *fs, *c, *r, *rs, *moves, *names, *[size for own in steps for size in own])
    return Kernel("gather", (x, *pointers, out), needed, (body,))


def scatter(primitive: Scatter, layouts: list[Layout], result: Spec) -> Recipe:
    """Copy, then write the updates one after the other.

    What is parallel is the other axes, and those that go along with an axis of the indices.
    """
    x, updates, *indices = layouts
    whole = duplicate(x)
    out = contiguous_layout(result.shape, result.dtype)
    bounds = _bounds(limits_of(primitive.axes, x.shape), first=2)
    if updates.size == 0 or out.size == 0:
        return whole._replace(bounds=bounds)
    outer, turns = _loops(primitive, out, updates, indices)
    # whole rows are written at once
    rows = bool(outer) and outer[-1].strides[0] == 1 and not any(outer[-1].strides[2:])
    row = outer.pop() if rows else None
    kinds = tuple(layout.dtype for layout in indices)
    unit = row is not None and row.strides[1] == 1
    kernel = _scatter_kernel(
        x.dtype, kinds, primitive.mode, len(turns), len(outer), row is not None, unit
    )
    numbers = _numbers(turns, primitive.axes, out)
    numbers |= values("u", [d.strides[-1] for d in turns]) | values("r", [d.size for d in outer])
    names = ("rs", "us", *(f"o{position}_" for position in range(len(indices))))
    for number, name in enumerate(names):
        numbers |= values(name, [d.strides[number] for d in outer])
    if row is not None:
        numbers |= {"width": row.size, "step": row.strides[1]}
    places = (*range(1, len(layouts)), RESULT)
    total = size_of(tuple(d.size for d in outer))
    update = call(kernel, numbers, total, 4 * updates.size, *places)
    return Recipe(out, (*whole.calls, update), bounds=bounds)


def _loops(
    primitive: Scatter, out: Layout, updates: Layout, indices: list[Layout]
) -> tuple[list[Dimension], list[Dimension]]:
    """What is done side by side, and the turns of each.

    Of the one, the strides are those of the array, the updates and the indices; of the other, those of the indices
    and the updates.
    """
    rest = [axis for axis in range(out.ndim) if axis not in primitive.gather.gone]
    rank = updates.ndim - len(rest)
    common = updates.shape[:rank]
    read = [broadcast_strides(layout, common) for layout in indices]
    beside = [place for _, place in primitive.along]
    others = [place for place in range(rank) if place not in beside]
    array = [out.strides[axis] for axis in [*(axis for axis, _ in primitive.along), *rest]]
    places = [*beside, *range(rank, updates.ndim)]
    outer = collapse(
        [updates.shape[place] for place in places],
        [
            array, [updates.strides[place] for place in places],
            *[[own[place] if place < rank else 0 for place in places] for own in read],
        ],
    )  # fmt: skip
    turns = collapse(
        [common[place] for place in others],
        [[own[place] for place in others] for own in (*read, updates.strides)],
    )
    return _for_threads(outer), turns or [Dimension(1, (0,) * (len(indices) + 1))]


def _for_threads(outer: list[Dimension]) -> list[Dimension]:
    """One long row as parts of it, if it has as many."""
    if len(outer) != 1 or is_symbolic(outer[0].size):
        return outer
    size, strides = outer[0]
    if size % PARTS or size < PARTS * LONG:
        return outer
    length = size // PARTS
    parts = Dimension(PARTS, tuple(length * stride for stride in strides))
    return [parts, Dimension(length, strides)]


@functools.cache
def _scatter_kernel(
    dtype: DType,
    kinds: tuple[DType, ...],
    mode: str,
    common: int,
    outer: int,
    rows: bool,
    unit: bool,
) -> Kernel:
    """For each place of the other axes all updates in turn.

    Args:
        common, outer: how many axes the indices and the others have.
        rows: whether an update is a row of elements side by side.
        unit: whether those of its source are, too.
    """
    updates, out = Pointer("updates", dtype), Pointer("out", dtype, written=True)
    pointers = tuple(Pointer(f"index{i}", kind) for i, kind in enumerate(kinds))
    c, u = sizes("c", common), sizes("u", common)
    r, rs, us = (sizes(name, outer) for name in ("r", "rs", "us"))
    width, step = index_variable("width"), index_variable("step")
    place, j, turns = index_variable("place"), index_variable("j"), sizes("t", common)
    rest = decode(place, r)
    own = [(sizes(f"i{i}_", common), sizes(f"o{i}_", outer)) for i in range(len(kinds))]
    offset, names = _place(pointers, [dot(turns, i) + dot(rest, o) for i, o in own])
    names += [size for pair in own for part in pair for size in part]
    target, source = offset + dot(rest, rs), dot(turns, u) + dot(rest, us)
    if rows:
        target, source = target + j, source + j * (1 if unit else step)
    value = load(updates, source)
    if mode == "add":
        value = operators.convert(load(out, target) + value, dtype)
    inside: Statement = Store(out, target, value)
    if rows:
        inside = Loop(j, width, (inside,), lanes=lanes_of(dtype))
    for turn, size in zip(reversed(turns), reversed(c), strict=True):
        inside = Loop(turn, size, (inside,))
    body = Loop(place, None, (inside,), parallel=True)
    names = [*c, *u, *r, *rs, *us, *((width, step) if rows else ()), *names]
    return Kernel(f"scatter_{mode}", (updates, *pointers, out), tuple(names), (body,))
