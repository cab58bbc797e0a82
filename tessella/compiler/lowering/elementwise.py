"""Elementwise: one loop nest with the scalar expression inside."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

from tessella.compiler.lowering.kernels import (
    Dimension,
    call,
    collapse,
    decode,
    dot,
    lanes_for,
    parts,
    sizes,
    values,
)
from tessella.compiler.lowering.views import broadcast_strides
from tessella.compiler.recipe import MOST_KERNELS, RESULT, Call, Recipe
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
from tessella.primitives.base import Spec
from tessella.primitives.elementwise import Elementwise
from tessella.scalar.expression import Expression, postorder
from tessella.scalar.function import ScalarFunction
from tessella.scalar.operators import minimum
from tessella.scalar.precision import core, widen
from tessella.scalar.rewriting import substitute
from tessella.sizes.size import is_symbolic

Strided = 2  # the inner stride of an operand: 0, 1, or this for any other


def lower(primitive: Elementwise, layouts: list[Layout], result: Spec) -> Recipe:
    out = contiguous_layout(result.shape, result.dtype)
    if out.size == 0:
        return Recipe(out, ())
    strides = [broadcast_strides(layout, result.shape) for layout in layouts]
    dimensions = collapse(result.shape, [*strides, out.strides])
    dimensions = dimensions or [Dimension(1, (0,) * len(layouts) + (1,))]
    *outer, inner = dimensions
    kinds = tuple(layout.dtype for layout in layouts)
    crossing = _crossing(outer, inner)
    if crossing is not None:
        dimensions = [*outer[:crossing], *outer[crossing + 1 :], outer[crossing], inner]
        return Recipe(out, (_tiles(primitive.function, kinds, result.dtype, dimensions),))
    forms = tuple(s if s in (0, 1) else Strided for s in inner.strides[:-1])
    short = _short(outer, inner)
    kernel, weight = _kernel(primitive.function, kinds, result.dtype, len(outer), forms, short)
    numbers = _numbers(outer, inner)
    total = out.size // inner.size if outer else inner.size
    total = total // outer[-1].size if short else total
    places = (*range(len(layouts)), RESULT)
    return Recipe(out, (call(kernel, numbers, total, out.size * weight, *places),))


# --- tiles: for an operand whose elements lie side by side along another axis --------------------------

TILE_ROWS, TILE_COLUMNS = 16, 8  # lines a power of two apart share few places in the cache


def _crossing(outer: list[Dimension], inner: Dimension) -> int | None:
    """The outer dimension along which an operand goes in steps of 1 that has longer ones inside."""
    for operand, stride in enumerate(inner.strides[:-1]):
        if abs(stride) > 1 and inner.size >= TILE_ROWS:
            for position, dimension in enumerate(outer):
                if dimension.strides[operand] == 1 and dimension.size >= TILE_ROWS:
                    return position
    return None


def _tiles(
    function: ScalarFunction,
    kinds: tuple[DType, ...],
    result: DType,
    dimensions: list[Dimension],
) -> Call:
    """Tile by tile, so that a cache line of the crossing operand is used while it is there."""
    kernel, weight = _tile_kernel(function, kinds, result, len(dimensions))
    numbers = values("o", [d.size for d in dimensions])
    for operand in range(len(kinds) + 1):
        numbers |= values(f"s{operand}_", [d.strides[operand] for d in dimensions])
    *outer, rows, columns = [d.size for d in dimensions]
    tiles = math.prod(outer) * -(-rows // TILE_ROWS) * -(-columns // TILE_COLUMNS)
    places = (*range(len(kinds)), RESULT)
    return call(kernel, numbers, tiles, math.prod(outer) * rows * columns * weight, *places)


@functools.lru_cache(maxsize=MOST_KERNELS)
def _tile_kernel(
    function: ScalarFunction, kinds: tuple[DType, ...], result: DType, rank: int
) -> tuple[Kernel, int]:
    inputs = tuple(Pointer(f"x{i}", kind) for i, kind in enumerate(kinds))
    out = Pointer("out", result, written=True)
    extents = sizes("o", rank)
    item, i, j = (index_variable(name) for name in ("item", "i", "j"))
    *outer, rows, columns = extents
    down, across = parts(rows, TILE_ROWS), parts(columns, TILE_COLUMNS)
    *indices, tile_row, tile_column = decode(item, [*outer, down, across])
    row, column = tile_row * TILE_ROWS + i, tile_column * TILE_COLUMNS + j
    places = []
    names = list(extents)
    for operand in range(len(kinds) + 1):
        strides = sizes(f"s{operand}_", rank)
        names += strides
        # the result's last stride is 1: vectors are stored whole
        last = column * strides[-1] if operand < len(kinds) else column
        places.append(dot([*indices, row], strides[:-1]) + last)
    reads = [load(pointer, place) for pointer, place in zip(inputs, places, strict=False)]
    value = value_of(function, kinds, reads)
    height = minimum(index_constant(TILE_ROWS), rows - tile_row * TILE_ROWS)
    width = minimum(index_constant(TILE_COLUMNS), columns - tile_column * TILE_COLUMNS)
    inside = Loop(j, width, (Store(out, places[-1], value),), lanes=lanes_for(value))
    body = Loop(item, None, (Loop(i, height, (inside,)),), parallel=True)
    kernel = Kernel(f"map_tiles_{safe(function.name)}", (*inputs, out), tuple(names), (body,))
    return kernel, weight(value)


# --- rows ---------------------------------------------------------------------------------------------


SHORT = range(
    4, 16
)  # elements of a row: finding it takes longer than they, and a vector of its own pays


def _short(outer: list[Dimension], inner: Dimension) -> int:
    """The most lanes that fill a row, if rows are short and one item takes several; else 0."""
    known = len(outer) > 1 and not is_symbolic(inner.size)
    return 1 << (inner.size.bit_length() - 1) if known and inner.size in SHORT else 0


def _numbers(outer: list[Dimension], inner: Dimension) -> dict[str, int]:
    numbers = {"n": inner.size, **values("o", [d.size for d in outer])}
    for operand, stride in enumerate(inner.strides[:-1]):
        numbers[f"x{operand}_inner"] = stride
        numbers |= values(f"x{operand}_", [d.strides[operand] for d in outer])
    return numbers


@functools.lru_cache(maxsize=MOST_KERNELS)
def _kernel(
    function: ScalarFunction,
    kinds: tuple[DType, ...],
    result: DType,
    outer_rank: int,
    forms: tuple[int, ...],
    short: int,
) -> tuple[Kernel, int]:
    """The loop nest, and how much work one element is. If rows are `short`, an item is an axis of rows."""
    inputs = tuple(Pointer(f"x{i}", kind) for i, kind in enumerate(kinds))
    out = Pointer("out", result, written=True)
    n, extents = index_variable("n"), sizes("o", outer_rank)
    row, j, m = index_variable("row"), index_variable("j"), index_variable("m")
    indices = [*decode(row, extents[:-1]), m] if short else decode(row, extents)
    names: list[Expression] = [n, *extents[1:]]
    reads = []
    for pointer, form in zip(inputs, forms, strict=True):
        inner_stride = index_variable(f"{pointer.name}_inner") if form == Strided else form
        strides = sizes(f"{pointer.name}_", outer_rank)
        names += [inner_stride] if isinstance(inner_stride, Expression) else []
        names += strides
        reads.append(load(pointer, dot(indices, strides) + j * inner_stride))
    value = value_of(function, kinds, reads)
    lanes = min(lanes_for(value), short) if short else lanes_for(value)
    number = row * extents[-1] + m if short else row
    place = number * n + j if outer_rank else j
    inside = Loop(j, n, (Store(out, place, value),), lanes=lanes, parallel=outer_rank == 0)
    inside = Loop(m, extents[-1], (inside,)) if short else inside
    body = inside if outer_rank == 0 else Loop(row, None, (inside,), parallel=True)
    kernel = Kernel(f"map_{safe(function.name)}", (*inputs, out), tuple(names), (body,))
    return kernel, weight(value)


def value_of(
    function: ScalarFunction, kinds: tuple[DType, ...], operands: Sequence[Expression]
) -> Expression:
    """The function's expression with operands for its variables."""
    expression = widen(function.expression(kinds))
    variables = function.variables(kinds)
    return substitute(expression, dict(zip(variables, operands, strict=True)))


@functools.lru_cache(maxsize=MOST_KERNELS)
def weight(value: Expression) -> int:
    """How many simple operations an expression is, roughly."""
    return 1 + sum(1 for _ in postorder(core(value))) // 8


def safe(name: str) -> str:
    """A name that LLVM takes as it is."""
    return "".join(letter if letter.isalnum() else "_" for letter in name)
