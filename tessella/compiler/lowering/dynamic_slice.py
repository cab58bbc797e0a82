"""Blocks at places that are read from memory: copies from or to an offset that is known when they begin."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from tessella import dtypes
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
from tessella.compiler.recipe import RESULT, Call, Recipe
from tessella.devices.array import Layout, contiguous_layout
from tessella.dtypes import DType
from tessella.loops.nest import (
    Kernel,
    Loop,
    Pointer,
    Store,
    index_constant,
    index_variable,
    load,
)
from tessella.primitives.base import Shape, Spec, size_of
from tessella.primitives.dynamic_slice import Block, DynamicSlice, DynamicUpdateSlice
from tessella.scalar import operators
from tessella.scalar.expression import Expression


def read(primitive: DynamicSlice, layouts: list[Layout], result: Spec) -> Recipe:
    """Copy the block out of the array."""
    x, *starts = layouts
    out = contiguous_layout(result.shape, result.dtype)
    if out.size == 0:
        return Recipe(out, ())
    places = (0, *range(1, len(layouts)), RESULT)
    only = _copy(primitive, x, out.shape, (x.strides, out.strides), starts, places, moves=0)
    return Recipe(out, (only,))


def write(primitive: DynamicUpdateSlice, layouts: list[Layout], result: Spec) -> Recipe:
    """Copy the array, then the block into its place."""
    x, updates, *starts = layouts
    whole = duplicate(x)
    if updates.size == 0:
        return whole
    out = contiguous_layout(result.shape, result.dtype)
    places = (*range(1, len(layouts)), RESULT)
    block = _copy(
        primitive, out, updates.shape, (updates.strides, out.strides), starts, places, moves=1
    )
    return whole._replace(calls=(*whole.calls, block))


def _copy(
    primitive: Block, whole: Layout, shape: Shape, strides: tuple[Sequence[int], Sequence[int]],
    starts: list[Layout], places: Sequence[int], moves: int,
) -> Call:  # fmt: skip
    """A call that copies a block of a shape from one place to another.

    Args:
        whole: the array in which the block lies somewhere.
        strides: of the source and of the target.
        moves: which of the two lies where the starts say.
    """
    examples = primitive.batched
    inner = collapse(shape[examples:], [of[examples:] for of in strides])
    inner = inner or [Dimension(1, (1, 1))]
    units = (inner[-1].strides[0] == 1, inner[-1].strides[1] == 1)
    kinds = tuple([layout.dtype for layout in starts])
    kernel = _kernel(whole.dtype, kinds, examples, len(inner), units, moves)
    numbers = {
        **values("b", shape[:examples]), **values("r", [d.size for d in inner]),
        **values("extent", [whole.shape[axis] for axis in primitive.axes]),
        **values("size", [shape[axis] for axis in primitive.axes]),
        **values("stride", [whole.strides[axis] for axis in primitive.axes]),
    }  # fmt: skip
    for name, of, number in (("x", strides[0], 0), ("y", strides[1], 1)):
        numbers |= values(f"{name}b", of[:examples])
        numbers |= values(f"{name}r", [d.strides[number] for d in inner])
    for number, layout in enumerate(starts):
        numbers |= values(f"start{number}_", layout.strides)
    elements = size_of(shape)
    rows = elements if _is_one_row(examples, len(inner)) else elements // inner[-1].size
    return call(kernel, numbers, rows, 2 * elements, *places)


def _is_one_row(examples: int, inner: int) -> bool:
    """Whether the elements lie in one row, whose parts threads may share."""
    return examples == 0 and inner == 1


@functools.cache
def _kernel(
    dtype: DType, kinds: tuple[DType, ...], examples: int, inner: int, units: tuple[bool, bool],
    moves: int,
) -> Kernel:  # fmt: skip
    x, y = Pointer("x", dtype), Pointer("y", dtype, written=True)
    pointers = tuple([Pointer(f"start{i}", kind) for i, kind in enumerate(kinds)])
    b, r = sizes("b", examples), sizes("r", inner)
    row, j = index_variable("row"), index_variable("j")
    where = [] if _is_one_row(examples, inner) else decode(row, [*b, *r[:-1]])
    strides = [[*sizes(f"{name}b", examples), *sizes(f"{name}r", inner)] for name in "xy"]
    offsets = [
        dot(where, of[:-1]) + j * (1 if unit else of[-1])
        for of, unit in zip(strides, units, strict=True)
    ]
    begin, names = _begin(pointers, where[:examples])
    offsets[moves] = begin + offsets[moves]
    store = Store(y, offsets[1], load(x, offsets[0]))
    lanes = lanes_of(dtype)
    if _is_one_row(examples, inner):
        body = Loop(j, None, (store,), parallel=True, lanes=lanes)
    else:
        body = Loop(row, None, (Loop(j, r[-1], (store,), lanes=lanes),), parallel=True)
    name = ("dynamic_slice", "dynamic_update_slice")[moves]
    return Kernel(name, (x, *pointers, y), (*b, *r, *strides[0], *strides[1], *names), (body,))


def _begin(
    pointers: Sequence[Pointer], example: Sequence[Expression]
) -> tuple[Expression, list[Expression]]:
    """The offset of the block of an example, and the sizes that it needs."""
    count = len(pointers)
    extents, parts, steps = sizes("extent", count), sizes("size", count), sizes("stride", count)
    names: list[Expression] = [*extents, *parts, *steps]
    begin: Expression = index_constant(0)
    for number, pointer in enumerate(pointers):
        strides = sizes(f"start{number}_", len(example))
        names += strides
        start = load(pointer, dot(example, strides))
        begin = begin + _clamped(start, parts[number], extents[number]) * steps[number]
    return begin, names


def _clamped(start: Expression, size: Expression, extent: Expression) -> Expression:
    """As `tessella.primitives.dynamic_slice.clamped`."""
    if start.dtype is dtypes.uint64:  # 2**64 - 1 must not become -1
        start = operators.minimum(start, operators.convert(extent, dtypes.uint64))
    place = operators.convert(start, dtypes.int64)
    place = operators.select(operators.less(place, 0), place + extent, place)
    return operators.maximum(index_constant(0), operators.minimum(place, extent - size))
