"""Checking indices before they are used: a flag that is not zero if one is out of range."""

from __future__ import annotations

import functools

from tessella import dtypes
from tessella.compiler.lowering.kernels import collapse, decode, dot, sizes, values
from tessella.compiler.recipe import RESULT, Call, Recipe, Region
from tessella.devices.array import Layout, contiguous_layout
from tessella.dtypes import DType
from tessella.loops.nest import (
    Carried,
    Combine,
    Kernel,
    Loop,
    Pointer,
    Store,
    index_constant,
    index_variable,
    load,
)
from tessella.primitives.indexing import Length, Lengths, Limits
from tessella.scalar import operators
from tessella.scalar.expression import Expression, constant, variable


def lower(layout: Layout, limits: Limits | Length | Lengths) -> Recipe:
    """A number that is not 0 if one of the indices is outside its limits."""
    from tessella.compiler.lowering.kernels import call

    flag = contiguous_layout((), dtypes.int64)
    axes = collapse(layout.shape, [layout.strides])
    kernel = _kernel(layout.dtype, len(axes))
    numbers = {
        "count": layout.size, "least": limits.least, "extent": limits.extent,
        **values("o", [axis.size for axis in axes]),
        **values("s", [axis.strides[0] for axis in axes]),
    }  # fmt: skip
    only: Call = call(kernel, numbers, 1, layout.size, Region(0), RESULT)
    return Recipe(flag, (only._replace(chunk=0),))


@functools.cache
def _kernel(dtype: DType, rank: int) -> Kernel:
    index, flag = Pointer("index", dtype), Pointer("flag", dtypes.int64, written=True)
    count = index_variable("count")
    least, extent = index_variable("least"), index_variable("extent")
    o, s = sizes("o", rank), sizes("s", rank)
    once, i = index_variable("once"), index_variable("i")
    wrong = _is_outside(load(index, dot(decode(i, o), s)), least, extent)
    found = variable("found", dtypes.int64)
    one = operators.select(wrong, constant(1, dtypes.int64), constant(0, dtypes.int64))
    left, right = variable("left", dtypes.int64), variable("right", dtypes.int64)
    carried = Carried(found, constant(0, dtypes.int64), found | one)
    loop = Loop(
        i, count, (), lanes=8 if rank <= 1 else 1, carried=(carried,),
        combine=Combine((left,), (right,), (left | right,)) if rank <= 1 else None,
    )  # fmt: skip
    body = Loop(once, None, (loop, Store(flag, index_constant(0), found)), parallel=True)
    return Kernel("check_bounds", (index, flag), (count, least, extent, *o, *s), (body,))


def _is_outside(index: Expression, least: Expression, extent: Expression) -> Expression:
    """Whether an index is less than the least or not less than the extent, as integers without end."""
    if index.dtype is dtypes.uint64:  # 2**64 - 1 must not become -1
        return operators.greater_equal(index, operators.convert(extent, dtypes.uint64))
    value = operators.convert(index, dtypes.int64)
    return operators.less(value, least) | operators.greater_equal(value, extent)
