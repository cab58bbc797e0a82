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
from tessella.devices.array import Layout, contiguous_layout
from tessella.dtypes import DType
from tessella.loops.nest import Kernel, Loop, Pointer, Store, index_variable, load
from tessella.primitives.base import Spec, size_of
from tessella.primitives.indexing import Gather, InRange, Limits, Scatter, limits_of
from tessella.scalar import operators
from tessella.scalar.expression import Expression
from tessella.sizes.size import is_symbolic

PARTS = 8  # of a row that threads add to side by side
LONG = 32  # that each of them is at least


class _Place(NamedTuple):
    """How an element's place follows from where its indices stand: what a kernel is written for.

    Args:
        kinds: of the indices.
        common: how many axes the indices have together.
        along: along which of these an axis of the array goes.
        steps: how far each index moves along the last of these, if that is known to be 0 or 1.
    """

    kinds: tuple[DType, ...]
    common: int
    along: tuple[int, ...]
    steps: tuple[int | None, ...]

    @property
    def pointers(self) -> tuple[Pointer, ...]:
        return tuple(Pointer(f"index{i}", kind) for i, kind in enumerate(self.kinds))

    def names(self) -> list[Expression]:
        """The sizes that `offset` needs."""
        count, found = len(self.kinds), list[Expression]()
        for prefix, length in (("xs", count), ("n", count), ("as", len(self.along))):
            found += sizes(prefix, length)
        return found + [size for i in range(count) for size in sizes(f"i{i}_", self.common)]

    def offset(self, where: Sequence[Expression]) -> Expression:
        """The offset that the index arrays give at a position."""
        xs, n = sizes("xs", len(self.kinds)), sizes("n", len(self.kinds))
        offset = dot([where[place] for place in self.along], sizes("as", len(self.along)))
        for position, pointer in enumerate(self.pointers):
            strides: list[Expression | int] = [*sizes(f"i{position}_", self.common)]
            step = self.steps[position]
            if step is not None:
                strides[-1] = step
            index = operators.convert(load(pointer, dot(where, strides)), offset.dtype)
            index = operators.select(operators.less(index, 0), index + n[position], index)
            offset = offset + index * xs[position]
        return offset


def _place_of(
    primitive: Gather | Scatter, x: Layout, indices: list[Layout], common: tuple[int, ...]
) -> tuple[_Place, dict[str, int]]:
    """What a kernel has to know of the indices, and the values of its sizes."""
    strides = [broadcast_strides(layout, common) for layout in indices]
    last = [layout[-1] if common else 0 for layout in strides]
    steps = (
        tuple(step if step in (0, 1) else None for step in last) if common else (None,) * len(last)
    )
    along = tuple(place for _, place in primitive.along)
    place = _Place(tuple(layout.dtype for layout in indices), len(common), along, steps)
    numbers = values("xs", [x.strides[a] for a in primitive.axes])
    numbers |= values("n", [x.shape[a] for a in primitive.axes])
    numbers |= values("as", [x.strides[a] for a, _ in primitive.along])
    for position, layout in enumerate(strides):
        numbers |= values(f"i{position}_", layout)
    return place, numbers


def gather(primitive: Gather, layouts: list[Layout], result: Spec) -> Recipe:
    """Rows are copied where the array has other axes; else each row of indices is a row of the result."""
    x, *indices = layouts
    out = contiguous_layout(result.shape, result.dtype)
    bounds = _bounds(limits_of(primitive.axes, x.shape, primitive.purpose), first=1)
    if out.size == 0:
        return Recipe(out, (), bounds=bounds)
    rest = [axis for axis in range(x.ndim) if axis not in primitive.gone]
    common = out.shape[: out.ndim - len(rest)]
    inner = collapse([x.shape[a] for a in rest], [[x.strides[a] for a in rest]])
    place, numbers = _place_of(primitive, x, indices, common)
    numbers |= values("c", common) | values("r", [d.size for d in inner])
    numbers |= values("rs", [d.strides[0] for d in inner])
    if inner or not common:
        unit = bool(inner) and inner[-1].strides[0] == 1
        kernel = _gather_kernel(x.dtype, place, max(1, len(inner)), unit)
        numbers |= {} if inner else {"r0": 1, "rs0": 1}
        length = inner[-1].size if inner else 1
    else:
        kernel, length = _gather_rows(x.dtype, place), common[-1]
    rows = out.size // length
    places = (*range(len(layouts)), RESULT)
    only = call(kernel, numbers, rows, 2 * out.size + 8 * rows, *places)
    return Recipe(out, (only,), bounds=bounds)


def in_range(primitive: InRange, layouts: list[Layout], result: Spec) -> View:
    return View(layouts[0], 0, (Bound(0, primitive.limits),))


def _bounds(limits: tuple[Limits, ...], first: int) -> tuple[Bound, ...]:
    return tuple(Bound(i, limit) for i, limit in enumerate(limits, start=first))


@functools.cache
def _gather_kernel(dtype: DType, place: _Place, inner: int, unit: bool) -> Kernel:
    """Each place of the indices names a row of the other axes."""
    x, out = Pointer("x", dtype), Pointer("out", dtype, written=True)
    c, r, rs = sizes("c", place.common), sizes("r", inner), sizes("rs", inner)
    row, j = index_variable("row"), index_variable("j")
    where = decode(row, [*c, *r[:-1]])
    offset = place.offset(where[: place.common])
    offset = offset + dot(where[place.common :], rs[:-1]) + j * (1 if unit else rs[-1])
    store = Store(out, row * r[-1] + j, load(x, offset))
    body = Loop(row, None, (Loop(j, r[-1], (store,), lanes=lanes_of(dtype)),), parallel=True)
    return Kernel("gather", (x, *place.pointers, out), (*c, *r, *rs, *place.names()), (body,))


@functools.cache
def _gather_rows(dtype: DType, place: _Place) -> Kernel:
    """Each place of the indices names one element: loops over the last axis of the indices."""
    x, out = Pointer("x", dtype), Pointer("out", dtype, written=True)
    c = sizes("c", place.common)
    row, j = index_variable("row"), index_variable("j")
    store = Store(out, row * c[-1] + j, load(x, place.offset([*decode(row, c[:-1]), j])))
    body = Loop(row, None, (Loop(j, c[-1], (store,), lanes=lanes_of(dtype)),), parallel=True)
    return Kernel("gather", (x, *place.pointers, out), (*c, *place.names()), (body,))


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
    rest = [axis for axis in range(out.ndim) if axis not in primitive.gather.gone]
    rank = updates.ndim - len(rest)
    common = updates.shape[:rank]
    kept = collapse(
        [out.shape[a] for a in rest], [[out.strides[a] for a in rest], updates.strides[rank:]]
    )
    kept = _for_threads(kept)
    place, numbers = _place_of(primitive, out, indices, common)
    units = (kept[-1].strides[0] == 1, kept[-1].strides[1] == 1) if kept else (True, True)
    kernel = _scatter_kernel(x.dtype, place, primitive.mode, len(kept), units)
    numbers |= values("c", common) | values("u", updates.strides[:rank])
    numbers |= values("r", [d.size for d in kept])
    numbers |= values("rs", [d.strides[0] for d in kept])
    numbers |= values("us", [d.strides[1] for d in kept])
    beside = size_of(tuple(common[i] for i in place.along))
    numbers["count"] = size_of(common) // beside
    rows = size_of(tuple(d.size for d in kept[:-1])) * beside
    places = (*range(1, len(layouts)), RESULT)
    update = call(kernel, numbers, rows, 4 * updates.size, *places)
    return Recipe(out, (*whole.calls, update), bounds=bounds)


def _for_threads(kept: list[Dimension]) -> list[Dimension]:
    """One long row as parts of it, if it has as many."""
    if len(kept) != 1 or is_symbolic(kept[0].size):
        return kept
    size, strides = kept[0]
    if size % PARTS or size < PARTS * LONG:
        return kept
    length = size // PARTS
    return [
        Dimension(PARTS, tuple(length * stride for stride in strides)),
        Dimension(length, strides),
    ]


@functools.cache
def _scatter_kernel(
    dtype: DType, place: _Place, mode: str, inner: int, units: tuple[bool, bool]
) -> Kernel:
    updates, out = Pointer("updates", dtype), Pointer("out", dtype, written=True)
    c, u, r = sizes("c", place.common), sizes("u", place.common), sizes("r", inner)
    rs, us, count = sizes("rs", inner), sizes("us", inner), index_variable("count")
    outer, turn, j = index_variable("outer"), index_variable("turn"), index_variable("j")
    beside = decode(outer, [*(c[i] for i in place.along), *r[:-1]])
    rest = beside[len(place.along) :]
    others = [i for i in range(place.common) if i not in place.along]
    known = dict(zip(others, decode(turn, [c[i] for i in others]), strict=True))
    known |= dict(zip(place.along, beside, strict=False))
    where = [known[i] for i in range(place.common)]
    target, source = place.offset(where) + dot(rest, rs[:-1]), dot(where, u) + dot(rest, us[:-1])
    if inner:
        target = target + j * (1 if units[0] else rs[-1])
        source = source + j * (1 if units[1] else us[-1])
    value = load(updates, source)
    if mode == "add":
        value = operators.convert(load(out, target) + value, dtype)
    write: Store | Loop = Store(out, target, value)
    inside = Loop(j, r[-1], (write,), lanes=lanes_of(dtype)) if inner else write
    body = Loop(outer, None, (Loop(turn, count, (inside,)),), parallel=True)
    names = [*c, *u, *r, *rs, *us, count, *place.names()]
    return Kernel(f"scatter_{mode}", (updates, *place.pointers, out), tuple(names), (body,))
