"""Gather and scatter: the place of an element is itself read from memory."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple

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
from tessella.loops.nest import Kernel, Loop, Pointer, Statement, Store, index_variable, load
from tessella.primitives.base import Spec, broadcast_shapes, size_of
from tessella.primitives.indexing import Gather, InRange, Scatter, limits_of
from tessella.scalar import operators
from tessella.scalar.expression import Expression


Steps = tuple[int | None, ...]  # 0, 1, or what is known when the kernel runs


class _Room(NamedTuple):
    """Where the indexed axes stand among the others: their strides, and the sizes and strides before and behind them.

    If they do not stand side by side, all others are behind.
    """

    strides: list[int]
    before: list[int]
    behind: list[int]


def _room(layout: Layout, axes: tuple[int, ...]) -> _Room:
    rest = [axis for axis in range(layout.ndim) if axis not in axes]
    together = axes == tuple(range(axes[0], axes[0] + len(axes)))
    before = [axis for axis in rest if together and axis < axes[0]]
    strides = [layout.strides[axis] for axis in axes]
    return _Room(strides, before, [axis for axis in rest if axis not in before])


def gather(primitive: Gather, layouts: list[Layout], result: Spec) -> Recipe:
    """The elements lie as those of x do: the indices' axes where the indexed ones were.

    So what reads along an axis does not turn the others round; the result is looked at as the rule has it.
    """
    x, *indices = layouts
    bounds = _bounds(primitive.axes, x.shape, first=1)
    common = broadcast_shapes([layout.shape for layout in indices], "gather")
    strides, before, behind = _room(x, primitive.axes)
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
    middle = collapse(common, [broadcast_strides(layout, common) for layout in indices])
    if not (middle or back):
        middle = [Dimension(1, (0,) * len(indices))]
    kinds = tuple(layout.dtype for layout in indices)
    # how far x, or each index array, moves along the rows that are written
    along = back[-1].strides if back else middle[-1].strides
    known = tuple([step if step in (0, 1) else None for step in along])
    kernel = _gather_kernel(x.dtype, kinds, len(front), len(middle), len(back), known)
    numbers = _numbers(middle, strides, [x.shape[a] for a in primitive.axes])
    for name, dimensions in (("f", front), ("r", back)):
        numbers |= values(name, [d.size for d in dimensions])
        numbers |= values(f"{name}s", [d.strides[0] for d in dimensions])
    rows = out.size // (back or middle)[-1].size
    places = (*range(len(layouts)), RESULT)
    only = call(kernel, numbers, rows, 2 * out.size + 8 * rows, *places)
    return Recipe(out, (only,), bounds=bounds, shown=shown)


def in_range(primitive: InRange, layouts: list[Layout], result: Spec) -> View:
    return View(layouts[0], 0, (Bound(0, primitive.limits),))


def _bounds(axes: tuple[int, ...], shape: tuple[int, ...], first: int) -> tuple[Bound, ...]:
    return tuple(Bound(i, limits) for i, limits in enumerate(limits_of(axes, shape), start=first))


def _numbers(
    common: Sequence[Dimension], strides: list[int], extents: list[int]
) -> dict[str, int]:
    """The sizes of the indices' axes, what a step along an indexed axis is, and how long that is.

    Args:
        common: the indices' axes, and how far each array moves along them.
    """
    numbers = {**values("c", [d.size for d in common]), **values("xs", strides)}
    numbers |= values("n", extents)
    for position in range(len(extents)):
        numbers |= values(f"i{position}_", [d.strides[position] for d in common])
    return numbers


def _place(
    pointers: Sequence[Pointer], where: Sequence[Expression], rank: int, last: Steps = ()
) -> tuple[Expression, list[Expression]]:
    """The offset that the index arrays give at a position, and the sizes it needs.

    Args:
        last: how far each array moves along its last axis, where that is known.
    """
    xs, n = sizes("xs", len(pointers)), sizes("n", len(pointers))
    names: list[Expression] = [*xs, *n]
    offset: Expression | None = None
    for position, pointer in enumerate(pointers):
        strides = sizes(f"i{position}_", rank)
        names += strides
        known = last[position] if last else None
        steps = strides if known is None else [*strides[:-1], known]
        index = operators.convert(load(pointer, dot(where, steps)), xs[0].dtype)
        index = operators.select(operators.less(index, 0), index + n[position], index)
        part = index * xs[position]
        offset = part if offset is None else offset + part
    assert offset is not None
    return offset, names


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
    row, j = index_variable("row"), index_variable("j")
    extents = [*f, *c, *r]
    where = [*decode(row, extents[:-1]), j]
    last = () if behind else along
    offset, names = _place(pointers, where[before : before + common], common, last)
    steps = rs if not behind or along[0] is None else [*rs[:-1], along[0]]
    offset = offset + dot(where[:before], fs) + dot(where[before + common :], steps)
    store = Store(out, row * extents[-1] + j, load(x, offset))
    inside = Loop(j, extents[-1], (store,), lanes=lanes_of(dtype))
    body = Loop(row, None, (inside,), parallel=True)
    return Kernel("gather", (x, *pointers, out), (*f, *fs, *c, *r, *rs, *names), (body,))


def scatter(primitive: Scatter, layouts: list[Layout], result: Spec) -> Recipe:
    """Copy, then write the updates one after the other; what is parallel is the other axes."""
    x, updates, *indices = layouts
    whole = duplicate(x)
    out = contiguous_layout(result.shape, result.dtype)
    bounds = _bounds(primitive.axes, x.shape, first=2)
    common = broadcast_shapes([layout.shape for layout in indices], "scatter")
    if updates.size == 0 or out.size == 0:
        return whole._replace(bounds=bounds)
    rest = [axis for axis in range(out.ndim) if axis not in primitive.axes]
    kept = collapse(
        [out.shape[a] for a in rest],
        [[out.strides[a] for a in rest], updates.strides[len(common) :]],
    )
    read = [broadcast_strides(layout, common) for layout in indices]
    turns = collapse(common, [*read, updates.strides[: len(common)]])
    turns = turns or [Dimension(1, (0,) * (len(indices) + 1))]
    rows = bool(kept) and kept[-1].strides[0] == 1  # whole rows are written at once
    kinds = tuple(layout.dtype for layout in indices)
    unit = rows and kept[-1].strides[1] == 1
    kernel = _scatter_kernel(
        x.dtype, kinds, primitive.mode, len(turns), len(kept) - rows, rows, unit
    )
    strides = [out.strides[axis] for axis in primitive.axes]
    numbers = _numbers(turns, strides, [x.shape[a] for a in primitive.axes])
    numbers |= values("u", [d.strides[-1] for d in turns])
    outer = kept[: len(kept) - rows]
    numbers |= values("r", [d.size for d in outer])
    numbers |= values("rs", [d.strides[0] for d in outer])
    numbers |= values("us", [d.strides[1] for d in outer])
    if rows:
        numbers |= {"width": kept[-1].size, "step": kept[-1].strides[1]}
    columns = size_of(tuple(d.size for d in kept))
    work = 4 * columns * size_of(common)
    places = (*range(1, len(layouts)), RESULT)
    update = call(kernel, numbers, size_of(tuple(d.size for d in outer)), work, *places)
    return Recipe(out, (*whole.calls, update), bounds=bounds)


@functools.cache
def _scatter_kernel(
    dtype: DType, kinds: tuple[DType, ...], mode: str, common: int, outer: int, rows: bool, unit: bool
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
    offset, names = _place(pointers, turns, common)
    rest = decode(place, r)
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
