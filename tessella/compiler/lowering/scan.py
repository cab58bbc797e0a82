"""Scans: one running value along an axis, many of them side by side."""

from __future__ import annotations

import functools
from typing import Any

from tessella.compiler.lowering.kernels import call, decode, dot, lanes_of, sizes, values
from tessella.compiler.recipe import RESULT, Recipe
from tessella.devices.array import Layout, contiguous_layout
from tessella.dtypes import DType
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
from tessella.primitives.monoid import Monoid, neutral
from tessella.primitives.scan import Scan
from tessella.scalar import operators
from tessella.scalar.expression import variable


def lower(primitive: Scan, layouts: list[Layout], result: Spec) -> Recipe:
    (layout,) = layouts
    out = contiguous_layout(result.shape, result.dtype)
    if out.size == 0:
        return Recipe(out, ())
    axis = primitive.axis
    before, after = layout.shape[:axis], layout.shape[axis + 1 :]
    unit = bool(after) and layout.strides[-1] == 1
    kernel = _kernel(primitive.monoid, layout.dtype, len(before), len(after), unit)
    numbers = {
        "length": layout.shape[axis], "stride": layout.strides[axis],
        "out_stride": out.strides[axis],
        **values("b", before), **values("bs", layout.strides[:axis]),
        **values("a", after), **values("as", layout.strides[axis + 1 :]),
    }  # fmt: skip
    rows = out.size // layout.shape[axis] // (after[-1] if after else 1)
    return Recipe(out, (call(kernel, numbers, rows, 4 * out.size, 0, RESULT),))


@functools.cache
def _kernel(monoid: Monoid, dtype: DType, before: int, after: int, unit: bool) -> Kernel:
    """Rows are what is left of the axes but the scanned one and the last one after it."""
    x, out = Pointer("x", dtype), Pointer("out", monoid.result(dtype), written=True)
    length, stride, out_stride = map(index_variable, ("length", "stride", "out_stride"))
    b, bs, a, as_ = sizes("b", before), sizes("bs", before), sizes("a", after), sizes("as", after)
    row, i, lane = index_variable("row"), index_variable("i"), index_variable("lane")
    indices = decode(row, [*b, *a[:-1]])
    source = dot(indices, [*bs, *as_[:-1]])
    target = _row_place(indices, [*b, *a[:-1]], before, length, a)
    if after:
        source = source + lane * (1 if unit else as_[-1])
        target = target + lane
    (kind,) = monoid.accumulator(dtype)
    running = variable("running", kind)
    element = operators.convert(load(x, source + i * stride), kind)
    following = monoid.combine((running,), (element,))[0]
    carried = Carried(running, neutral(monoid, dtype)[0], following)
    scan = Loop(i, length, (Store(out, target + i * out_stride, following),), carried=(carried,))
    body = Loop(lane, a[-1], (scan,), lanes=lanes_of(kind)) if after else scan
    names = (length, stride, out_stride, *b, *bs, *a, *as_)
    return Kernel(
        f"scan_{monoid.name}", (x, out), names, (Loop(row, None, (body,), parallel=True),)
    )


def _row_place(indices: Any, extents: Any, before: int, length: Any, a: Any) -> Any:
    """Where a row starts in the row-major result."""
    place = index_constant(0)
    for position, index in enumerate(indices):
        if position == before:
            place = place * length
        place = (place * extents[position] if position else place) + index
    if len(indices) == before:
        place = place * length
    return place * a[-1] if a else place
