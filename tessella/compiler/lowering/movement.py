"""Movement that cannot be a view: every element of the result is read from its place."""

from __future__ import annotations

import functools
import math

from tessella import dtypes
from tessella.compiler.lowering import elementwise, fused
from tessella.compiler.lowering.kernels import (
    Dimension,
    call,
    collapse,
    decode,
    dot,
    lanes_of,
    share_of,
    sizes,
    values,
)
from tessella.compiler.recipe import MOST_KERNELS, RESULT, Call, Native, Recipe, Region
from tessella.devices.array import Layout, contiguous_layout, layout_of
from tessella.dtypes import DType
from tessella.loops import duplicating
from tessella.loops.nest import (
    Carried,
    Kernel,
    Loop,
    Pointer,
    Store,
    index_constant,
    index_variable,
    load,
)
from tessella.primitives.base import Spec
from tessella.primitives.elementwise import Elementwise
from tessella.primitives.fused import Fused
from tessella.primitives.generate import Full
from tessella.primitives.graph import Graph, GraphNode, Value
from tessella.primitives.movement import Concatenate, Movement, Pad, Reshape, UpdateSlice
from tessella.primitives.window import Fold
from tessella.scalar import operators
from tessella.scalar.expression import Expression, constant, variable
from tessella.scalar.function import cast_function


def copy(layout: Layout) -> Recipe:
    """Copy an array into row-major order; a complex number is two others."""
    if layout.dtype.is_complex:
        parts = tuple([2 * stride for stride in layout.strides])
        pairs = layout_of((*layout.shape, 2), (*parts, 1), dtypes.part_of(layout.dtype))
        return copy(pairs)._replace(shown=contiguous_layout(layout.shape, layout.dtype))
    identity = Elementwise(cast_function(layout.dtype))
    return elementwise.lower(identity, [layout], Spec(layout.shape, layout.dtype))


def duplicate(layout: Layout) -> Recipe:
    """Copy an array, to write over a part of it. Where the copy takes the array's own place, nothing is done."""
    if not layout.contiguous or layout.size == 0:
        return copy(layout)
    kernel = Native(duplicating.NAME, duplicating.TEXT)
    nbytes = layout.nbytes
    only = Call(
        kernel, (Region(0), Region(RESULT)), b"", nbytes, share_of(nbytes, nbytes), duplicates=True
    )
    return Recipe(contiguous_layout(layout.shape, layout.dtype), (only,))


def filled(out: Layout, value: float) -> Recipe:
    """One value everywhere."""
    kernel = _fill_kernel(out.dtype, value)
    return Recipe(out, (call(kernel, {"n": out.size}, out.size, out.size, RESULT),))


@functools.lru_cache(maxsize=MOST_KERNELS)
def _fill_kernel(dtype: DType, value: float) -> Kernel:
    out, i, n = Pointer("out", dtype, written=True), index_variable("i"), index_variable("n")
    store = Store(out, i, constant(value, dtype))
    body = Loop(i, n, (store,), parallel=True, lanes=lanes_of(dtype))
    return Kernel("fill", (out,), (n,), (body,))


def full(primitive: Full, layouts: list[Layout], result: Spec) -> Recipe:
    out = contiguous_layout(result.shape, result.dtype)
    return filled(out, primitive.value) if out.size else Recipe(out, ())


def moved(primitive: Movement, layouts: list[Layout], result: Spec) -> Recipe:
    """One kernel that reads each element where the index map says, for movement that has none of its own."""
    out = contiguous_layout(result.shape, result.dtype)
    if out.size == 0:
        return Recipe(out, ())
    inputs = [Value(layout.shape, layout.dtype) for layout in layouts]
    output = Value(result.shape, result.dtype)
    graph = Graph(inputs, [GraphNode(primitive, inputs, [output])], [output])
    group = Fused(graph, result.shape, (), primitive.name)
    (only,) = fused.lower(group, layouts, [result]).calls
    places = [place if place.buffer < len(inputs) else Region(RESULT) for place in only.places]
    return Recipe(out, (only._replace(places=tuple(places)),))


def reshape(primitive: Reshape, layouts: list[Layout], result: Spec) -> Recipe:
    """Copy, then look at the copy in the new shape."""
    return copy(layouts[0])._replace(shown=contiguous_layout(result.shape, result.dtype))


def pad(primitive: Pad, layouts: list[Layout], result: Spec) -> Recipe:
    """Read where there is an element, fill where there is none."""
    (layout,) = layouts
    out = contiguous_layout(result.shape, result.dtype)
    if out.size == 0:
        return Recipe(out, ())
    if layout.size == 0:
        return filled(out, primitive.value)
    if not layout.ndim:  # a single number, around which there is nothing
        return copy(layout)
    spread = tuple(between > 0 for between in primitive.interior)
    kernel = _pad_kernel(
        layout.dtype, layout.ndim, spread, layout.strides[-1] == 1, primitive.value
    )
    steps = [between + 1 for between in primitive.interior]
    numbers = {
        **values("o", result.shape), **values("n", layout.shape), **values("s", layout.strides),
        **values("low", primitive.low), **values("step", steps),
    }  # fmt: skip
    rows = out.size // result.shape[-1]
    return Recipe(out, (call(kernel, numbers, rows, 2 * out.size, 0, RESULT),))


@functools.cache
def _pad_kernel(
    dtype: DType, rank: int, spread: tuple[bool, ...], unit: bool, value: float
) -> Kernel:
    x, out = Pointer("x", dtype), Pointer("out", dtype, written=True)
    o, n, s = sizes("o", rank), sizes("n", rank), sizes("s", rank)
    low, step = sizes("low", rank), sizes("step", rank)
    row, j = index_variable("row"), index_variable("j")
    inside: Expression = constant(True)
    index = index_constant(0)

    def go_to(axis: int, place: Expression) -> None:
        nonlocal inside, index
        shifted = place - low[axis]
        inside = inside & operators.greater_equal(shifted, 0)
        if spread[axis]:
            inside = inside & operators.equal(operators.remainder(shifted, step[axis]), 0)
            shifted = operators.floor_divide(shifted, step[axis])
        inside = inside & operators.less(shifted, n[axis])
        index = index + shifted * s[axis]

    for axis, place in enumerate(decode(row, o[:-1])):
        go_to(axis, place)
    start, fill = row * o[-1], constant(value, dtype)
    nowhere, end, lanes = index_constant(0), o[-1], lanes_of(dtype)
    stride = index_constant(1) if unit else s[-1]
    if spread[-1]:
        # fill all, then put what there is in its places: no element asks for a remainder
        copied = load(x, index + j * stride)
        there = operators.select(inside, n[-1], nowhere)
        along: tuple[Loop, ...] = (
            Loop(j, end, (Store(out, start + j, fill),), lanes=lanes),
            Loop(j, there, (Store(out, start + low[-1] + j * step[-1], copied),), lanes=1),
        )
    else:
        # fill, copy, fill: no element asks where it is; a row beyond the input is all filled
        first = operators.maximum(nowhere, operators.minimum(low[-1], end))
        last = operators.maximum(first, operators.minimum(low[-1] + n[-1], end))
        first, last = (operators.select(inside, place, end) for place in (first, last))
        copied = load(x, index + (first + j - low[-1]) * stride)
        along = (
            Loop(j, first, (Store(out, start + j, fill),), lanes=lanes),
            Loop(j, last - first, (Store(out, start + first + j, copied),), lanes=lanes),
            Loop(j, end - last, (Store(out, start + last + j, fill),), lanes=lanes),
        )
    body = Loop(row, None, along, parallel=True)
    return Kernel("pad", (x, out), (*o, *n, *s, *low, *step), (body,))


def concatenate(primitive: Concatenate, layouts: list[Layout], result: Spec) -> Recipe:
    """One copy for each operand, into its part of the result."""
    out = contiguous_layout(result.shape, result.dtype)
    pieces = []
    start = 0
    for position, layout in enumerate(layouts):
        if layout.size:
            offset = start * out.strides[primitive.axis] * out.dtype.itemsize
            pieces.append(_copy_into(layout, out.strides, position, offset))
        start += layout.shape[primitive.axis]
    return Recipe(out, tuple(pieces))


def update_slice(primitive: UpdateSlice, layouts: list[Layout], result: Spec) -> Recipe:
    """Copy the array, then the updates into their place."""
    x, updates = layouts
    whole = duplicate(x)
    if updates.size == 0:
        return whole
    out = contiguous_layout(result.shape, result.dtype)
    strides = tuple(a * b for a, b in zip(primitive.steps, out.strides, strict=True))
    start = sum(a * b for a, b in zip(primitive.starts, out.strides, strict=True))
    piece = _copy_into(updates, strides, 1, start * out.dtype.itemsize)
    return Recipe(out, (*whole.calls, piece))


SHORT_ROW = 16  # elements


def _copy_into(layout: Layout, target: tuple[int, ...], operand: int, offset: int) -> Call:
    """A call that copies an operand to a place in the result with other strides."""
    dimensions = collapse(layout.shape, [layout.strides, target]) or [Dimension(1, (1, 1))]
    *outer, inner = dimensions
    by_planes = inner.size < SHORT_ROW and len(outer) > 1
    unit = inner.strides[0] == 1, inner.strides[1] == 1
    kernel = _copy_kernel(layout.dtype, len(outer), *unit, by_planes)
    numbers = {
        "n": inner.size, "x_inner": inner.strides[0], "y_inner": inner.strides[1],
        **values("o", [d.size for d in outer]),
        **values("x", [d.strides[0] for d in outer]),
        **values("y", [d.strides[1] for d in outer]),
    }  # fmt: skip
    rows = layout.size // inner.size
    items = rows // outer[-1].size if by_planes else rows
    return call(kernel, numbers, items, layout.size, operand, Region(RESULT, offset))


@functools.cache
def _copy_kernel(dtype: DType, outer: int, x_unit: bool, y_unit: bool, by_planes: bool) -> Kernel:
    """A row is an item of work; or several are, along the axis before: to find a short one takes longer than to copy it."""
    x, y = Pointer("x", dtype), Pointer("y", dtype, written=True)
    n, o = index_variable("n"), sizes("o", outer)
    x_inner, y_inner = index_variable("x_inner"), index_variable("y_inner")
    item, i, j = index_variable("row"), index_variable("i"), index_variable("j")
    indices = [*decode(item, o[:-1]), i] if by_planes else decode(item, o)
    xs, ys = sizes("x", outer), sizes("y", outer)
    read = load(x, dot(indices, xs) + j * (1 if x_unit else x_inner))
    store = Store(y, dot(indices, ys) + j * (1 if y_unit else y_inner), read)
    row: Loop = Loop(j, n, (store,), lanes=lanes_of(dtype))
    rows = Loop(i, o[-1], (row,)) if by_planes else row
    body = Loop(item, None, (rows,), parallel=True)
    return Kernel("copy", (x, y), (n, x_inner, y_inner, *o, *xs, *ys), (body,))


def fold(primitive: Fold, layouts: list[Layout], result: Spec) -> Recipe:
    """Each element of the result adds up the windows it was seen in."""
    (layout,) = layouts
    out = contiguous_layout(result.shape, result.dtype)
    if out.size == 0 or layout.size == 0:
        return filled(out, 0.0) if out.size else Recipe(out, ())
    rank = primitive.rank
    outer = layout.ndim - 2 * rank
    along = outer + rank - 1
    lanes = lanes_of(layout.dtype)
    while lanes > max(1, out.shape[-1]):
        lanes //= 2
    kernel = _fold_kernel(layout.dtype, outer, primitive.steps, layout.strides[along] == 1, lanes)
    numbers = {
        **values("o", result.shape), **values("s", layout.strides),
        **values("places", layout.shape[outer : outer + rank]),
        **values("size", primitive.sizes), **values("dilation", primitive.dilations),
    }  # fmt: skip
    work = out.size * 4 * math.prod(primitive.sizes)
    return Recipe(out, (call(kernel, numbers, out.size // out.shape[-1], work, 0, RESULT),))


@functools.cache
def _fold_kernel(
    dtype: DType, outer: int, steps: tuple[int, ...], straight: bool, lanes: int
) -> Kernel:
    """Vectors lie along the last axis; `straight` windows of it are read where they stand."""
    rank = len(steps)
    x, out = Pointer("x", dtype), Pointer("out", dtype, written=True)
    o, s = sizes("o", outer + rank), sizes("s", outer + 2 * rank)
    places, size, dilation = sizes("places", rank), sizes("size", rank), sizes("dilation", rank)
    row, j = index_variable("row"), index_variable("j")
    indices = [*decode(row, o[:-1]), j]
    kernel_places = [index_variable(f"k{axis}") for axis in range(rank)]
    inside: Expression = constant(True)
    index = dot(indices[:outer], s[:outer])
    for axis, (k, step) in enumerate(zip(kernel_places, steps, strict=True)):
        shifted = indices[outer + axis] - k * dilation[axis]
        place = shifted
        if step > 1:
            place = operators.floor_divide(shifted, step)
            inside = inside & operators.equal(operators.remainder(shifted, step), 0)
        inside = inside & operators.greater_equal(shifted, 0)
        inside = inside & operators.less(place, places[axis])
        index = index + k * s[outer + rank + axis]
        index = index + (place if straight and axis == rank - 1 else place * s[outer + axis])
    wide = dtype.compute
    item: Expression = operators.convert(load(x, index, inside), wide)
    loop: Loop | None = None
    for axis in reversed(range(rank)):
        total = variable(f"total{axis}", wide)
        carried = Carried(total, constant(0, wide), total + item)
        body = () if loop is None else (loop,)
        loop = Loop(kernel_places[axis], size[axis], body, carried=(carried,))
        item = total
    assert loop is not None
    inner = Loop(j, o[-1], (loop, Store(out, row * o[-1] + j, item)), lanes=lanes)
    names = (*o, *s, *places, *size, *dilation)
    return Kernel("fold", (x, out), names, (Loop(row, None, (inner,), parallel=True),))
