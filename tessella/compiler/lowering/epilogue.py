"""Epilogues: a fused group goes over each block of a product while the block is in the cache.

The product calls the kernel with a range of rows; the batch and the range of columns come behind its
other sizes. Columns whose last axes lie side by side in the result are one vector loop:

    for r in rows of the block:
        for q in outer columns:            (the images of a convolution; one for a matrix)
            for i in inner columns:        (the places in an image; all for a matrix)
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, NamedTuple

from tessella.compiler.lowering.computation import Computation, Shape, computation_of
from tessella.compiler.lowering.elementwise import safe
from tessella.compiler.lowering.fused import structure
from tessella.compiler.lowering.kernels import decode
from tessella.compiler.lowering.passes import PassPlan
from tessella.compiler.lowering.spaces import Loops, Numbers
from tessella.compiler.lowering.writer import Memory, Writer, fitting, memory_of
from tessella.compiler.recipe import MOST_KERNELS, Blocks
from tessella.devices.array import Layout, row_major
from tessella.loops.nest import Kernel, Loop, index_constant, index_variable
from tessella.primitives.fused import Fused
from tessella.primitives.index import Dim
from tessella.scalar import operators
from tessella.scalar.expression import Expression


class Epilogue(NamedTuple):
    """A kernel over blocks: its pointers are the group's operands, then its results."""

    kernel: Kernel
    numbers: bytes
    in_step: frozenset[int]  # operands that are only read at the very elements that are written


_known: dict[Any, Epilogue | None] = {}


def lower(fused: Fused, layouts: Sequence[Layout], product: int, blocks: Blocks) -> Epilogue | None:
    """The epilogue that a group is, or None if it needs loops of its own.

    Args:
        product: the operand that the product gives.
    """
    key = structure(fused, layouts), product, blocks
    if key not in _known:
        if len(_known) >= MOST_KERNELS:
            _known.clear()
        _known[key] = _epilogue(fused, layouts, product, blocks)
    return _known[key]


class _Block(NamedTuple):
    """The axes of a block by what they are in the product, and the loop that vectors go along."""

    batch: list[Dim]
    rows: list[Dim]
    outer_columns: list[Dim]
    inner: Dim


def _epilogue(
    fused: Fused, layouts: Sequence[Layout], product: int, blocks: Blocks
) -> Epilogue | None:
    plan = PassPlan(fused)
    computation = computation_of(fused, layouts, plan)
    if plan.looped or len(plan.passes) > 1 or computation.splits:
        return None
    of = computation.of
    if any(a.operand == product and a.where != of.position for a in of.accesses):
        return None
    found = _in_blocks(computation, blocks)
    if found is None:
        return None
    shape, block = found
    number = Numbers()
    memory = memory_of(computation, number, row=0)
    body = _body(computation, shape, memory, number, block)
    names, pointers = list(number.names.values()), (*computation.inputs, *memory.outputs)
    if len(pointers) + len(names) > blocks.most_arguments:
        return None
    dynamic = tuple(index_variable(name) for name in ("batch", "column_from", "column_to"))
    label = f"epilogue_{safe(fused.label)[:60]}"
    kernel = Kernel(label, pointers, (*names, *dynamic), (body,))
    values = number.values()
    packed = struct.pack(f"<{len(names)}q", *(values[str(name.static)] for name in names))
    return Epilogue(kernel, packed, computation.in_step())


def _in_blocks(computation: Computation, blocks: Blocks) -> tuple[Shape, _Block] | None:
    """The loops over a block; None if the axes of the group are not those of the product."""
    space, of = computation.fused.space, computation.of
    where = {
        (n, step): dims[0]
        for n, step, dims in zip(space, row_major(space), of.dims, strict=True)
        if n != 1
    }
    found = [
        [where.get(axis) for axis in group if axis[0] != 1]
        for group in (blocks.batch, blocks.rows, blocks.columns)
    ]
    if any(dim is None for group in found for dim in group):
        return None
    batch, rows, columns = ([d for d in group if d] for group in found)
    inner: list[Dim] = []
    step = 1
    while columns and where.get((columns[-1].size, step)) == columns[-1]:
        step *= columns[-1].size
        inner.insert(0, columns.pop())
    runs = [[d] for d in (*batch, *rows, *columns)] + ([inner] if inner else [])
    loops = Loops(of.dims, (), computation.indices(), runs)
    if not inner or len({loops.renamed[dim][0] for dim in inner}) != 1:
        return None
    shape = Shape(loops, columns=True, lanes=computation.lanes(), short=None)
    return shape, _Block(batch, rows, columns, loops.renamed[inner[-1]][0])


def _body(
    computation: Computation, shape: Shape, memory: Memory, number: Numbers, block: _Block
) -> Loop:
    row, q, j = (index_variable(name) for name in ("row", "q", "j"))
    batch, first, last = (index_variable(name) for name in ("batch", "column_from", "column_to"))
    inner, at = block.inner, dict[Dim, Expression]()
    writer = Writer(computation, shape, memory, number, at, inner)

    def put(position: Expression, dims: Sequence[Dim]) -> None:
        extents = [number(dim.size) for dim in dims]
        at.update(zip(dims, decode(position, extents), strict=True))

    put(batch, block.batch)
    put(row, block.rows)
    size = number(inner.size)
    lanes = fitting(shape.lanes, inner.size)
    if not block.outer_columns:
        at[inner] = first + j
        inside = Loop(j, last - first, writer.passes(), lanes=lanes)
        return Loop(row, None, (inside,), parallel=True)
    q_first = operators.quotient(first, size)
    q_count = operators.quotient(last + size - 1, size) - q_first
    place = q_first + q
    put(place, block.outer_columns)
    begin = operators.maximum(first - place * size, index_constant(0))
    end = operators.minimum(last - place * size, size)
    at[inner] = begin + j
    inside = Loop(j, end - begin, writer.passes(), lanes=lanes)
    return Loop(row, None, (Loop(q, q_count, (inside,)),), parallel=True)
