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
from tessella.devices.array import Layout, contiguous_layout
from tessella.dtypes import DType
from tessella.loops.nest import Kernel, Loop, Pointer, Store, index_variable, load
from tessella.primitives.base import Spec, broadcast_shapes, size_of
from tessella.primitives.indexing import Gather, InRange, Limits, Scatter, limits_of
from tessella.scalar import operators
from tessella.scalar.expression import Expression


def _split(layout: Layout, axes: tuple[int, ...]) -> tuple[list[int], list[int]]:
    """The strides of the indexed axes, and the axes that stay."""
    rest = [axis for axis in range(layout.ndim) if axis not in axes]
    return [layout.strides[axis] for axis in axes], rest


def gather(primitive: Gather, layouts: list[Layout], result: Spec) -> Recipe:
    x, *indices = layouts
    out = contiguous_layout(result.shape, result.dtype)
    bounds = _bounds(limits_of(primitive.axes, x.shape, primitive.purpose), first=1)
    if out.size == 0:
        return Recipe(out, (), bounds=bounds)
    common = broadcast_shapes([layout.shape for layout in indices], "gather")
    strides, rest = _split(x, primitive.axes)
    inner = collapse([x.shape[a] for a in rest], [[x.strides[a] for a in rest]])
    inner = inner or [Dimension(1, (1,))]
    kinds = tuple(layout.dtype for layout in indices)
    unit = inner[-1].strides[0] == 1
    kernel = _gather_kernel(x.dtype, kinds, len(common), len(inner), unit)
    numbers = _numbers(indices, common, strides, [x.shape[a] for a in primitive.axes])
    numbers |= values("r", [d.size for d in inner])
    numbers |= values("rs", [d.strides[0] for d in inner])
    rows = out.size // inner[-1].size
    places = (*range(len(layouts)), RESULT)
    only = call(kernel, numbers, rows, 2 * out.size + 8 * rows, *places)
    return Recipe(out, (only,), bounds=bounds)


def in_range(primitive: InRange, layouts: list[Layout], result: Spec) -> View:
    return View(layouts[0], 0, (Bound(0, primitive.limits),))


def _bounds(limits: tuple[Limits, ...], first: int) -> tuple[Bound, ...]:
    return tuple(Bound(i, limit) for i, limit in enumerate(limits, start=first))


def _numbers(
    indices: list[Layout], common: tuple[int, ...], strides: list[int], extents: list[int]
) -> dict[str, int]:
    numbers = {**values("c", common), **values("xs", strides), **values("n", extents)}
    for position, layout in enumerate(indices):
        numbers |= values(f"i{position}_", broadcast_strides(layout, common))
    return numbers


def _place(
    pointers: Sequence[Pointer], where: Sequence[Expression], rank: int
) -> tuple[Expression, list[Expression]]:
    """The offset that the index arrays give at a position, and the sizes it needs."""
    xs, n = sizes("xs", len(pointers)), sizes("n", len(pointers))
    names: list[Expression] = [*xs, *n]
    offset: Expression | None = None
    for position, pointer in enumerate(pointers):
        strides = sizes(f"i{position}_", rank)
        names += strides
        index = operators.convert(load(pointer, dot(where, strides)), xs[0].dtype)
        index = operators.select(operators.less(index, 0), index + n[position], index)
        part = index * xs[position]
        offset = part if offset is None else offset + part
    assert offset is not None
    return offset, names


@functools.cache
def _gather_kernel(
    dtype: DType, kinds: tuple[DType, ...], common: int, inner: int, unit: bool
) -> Kernel:
    x, out = Pointer("x", dtype), Pointer("out", dtype, written=True)
    pointers = tuple(Pointer(f"index{i}", kind) for i, kind in enumerate(kinds))
    c, r, rs = sizes("c", common), sizes("r", inner), sizes("rs", inner)
    row, j = index_variable("row"), index_variable("j")
    where = decode(row, [*c, *r[:-1]])
    offset, names = _place(pointers, where[:common], common)
    offset = offset + dot(where[common:], rs[:-1]) + j * (1 if unit else rs[-1])
    store = Store(out, row * r[-1] + j, load(x, offset))
    body = Loop(row, None, (Loop(j, r[-1], (store,), lanes=lanes_of(dtype)),), parallel=True)
    return Kernel("gather", (x, *pointers, out), (*c, *r, *rs, *names), (body,))


def scatter(primitive: Scatter, layouts: list[Layout], result: Spec) -> Recipe:
    """Copy, then write the updates one after the other; what is parallel is the other axes."""
    x, updates, *indices = layouts
    whole = duplicate(x)
    out = contiguous_layout(result.shape, result.dtype)
    bounds = _bounds(limits_of(primitive.axes, x.shape), first=2)
    common = broadcast_shapes([layout.shape for layout in indices], "scatter")
    if updates.size == 0 or out.size == 0:
        return whole._replace(bounds=bounds)
    strides, rest = _split(out, primitive.axes)
    kept = collapse(
        [out.shape[a] for a in rest],
        [[out.strides[a] for a in rest], updates.strides[len(common) :]],
    ) or [Dimension(1, (1, 1))]
    kinds = tuple(layout.dtype for layout in indices)
    units = (kept[-1].strides[0] == 1, kept[-1].strides[1] == 1)
    kernel = _scatter_kernel(x.dtype, kinds, primitive.mode, len(common), len(kept), units)
    numbers = _numbers(indices, common, strides, [x.shape[a] for a in primitive.axes])
    numbers |= values("u", updates.strides[: len(common)])
    numbers |= values("r", [d.size for d in kept])
    numbers |= values("rs", [d.strides[0] for d in kept])
    numbers |= values("us", [d.strides[1] for d in kept])
    numbers["count"] = size_of(common)
    columns = size_of(tuple(d.size for d in kept))
    work = 4 * columns * size_of(common)
    places = (*range(1, len(layouts)), RESULT)
    update = call(kernel, numbers, columns // kept[-1].size, work, *places)
    return Recipe(out, (*whole.calls, update), bounds=bounds)


@functools.cache
def _scatter_kernel(
    dtype: DType, kinds: tuple[DType, ...], mode: str, common: int, inner: int,
    units: tuple[bool, bool],
) -> Kernel:  # fmt: skip
    updates, out = Pointer("updates", dtype), Pointer("out", dtype, written=True)
    pointers = tuple(Pointer(f"index{i}", kind) for i, kind in enumerate(kinds))
    c, u, r = sizes("c", common), sizes("u", common), sizes("r", inner)
    rs, us, count = sizes("rs", inner), sizes("us", inner), index_variable("count")
    outer, turn, j = index_variable("outer"), index_variable("turn"), index_variable("j")
    where = decode(turn, c)
    offset, names = _place(pointers, where, common)
    rest = decode(outer, r[:-1])
    target = offset + dot(rest, rs[:-1]) + j * (1 if units[0] else rs[-1])
    source = dot(where, u) + dot(rest, us[:-1]) + j * (1 if units[1] else us[-1])
    value = load(updates, source)
    if mode == "add":
        value = operators.convert(load(out, target) + value, dtype)
    inside = Loop(j, r[-1], (Store(out, target, value),), lanes=lanes_of(dtype))
    body = Loop(outer, None, (Loop(turn, count, (inside,)),), parallel=True)
    names = [*c, *u, *r, *rs, *us, count, *names]
    return Kernel(f"scatter_{mode}", (updates, *pointers, out), tuple(names), (body,))
