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

from tessella.compiler.lowering.elementwise import safe
from tessella.compiler.lowering.fused import Nest, structure
from tessella.compiler.lowering.kernels import decode
from tessella.compiler.lowering.spaces import Loops
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
        nest = _BlockNest(fused, layouts, blocks)
        _known[key] = nest.epilogue(product) if nest.fits else None
    return _known[key]


class _BlockNest(Nest):
    """A group over the rows and columns of a block."""

    def __init__(self, fused: Fused, layouts: Sequence[Layout], blocks: Blocks) -> None:
        self.blocks = blocks
        self.fits = False
        super().__init__(fused, layouts)

    def _choose_loops(self) -> None:
        self.loops = None  # type: ignore[assignment]
        if self.plan.looped or len(self.plan.passes) > 1 or self.splits:
            return
        steps = row_major(self.fused.space)
        where = {
            (n, step): dims[0]
            for n, step, dims in zip(self.fused.space, steps, self.of.dims, strict=True)
            if n != 1
        }
        found = [
            [where.get(axis) for axis in group if axis[0] != 1]
            for group in (self.blocks.batch, self.blocks.rows, self.blocks.columns)
        ]
        if any(dim is None for group in found for dim in group):
            return
        self.batch_dims, self.row_dims, columns = ([d for d in group if d] for group in found)
        inner: list[Dim] = []
        step = 1
        while columns and where.get((columns[-1].size, step)) == columns[-1]:
            step *= columns[-1].size
            inner.insert(0, columns.pop())
        self.outer_columns = columns
        runs = [[d] for d in (*self.batch_dims, *self.row_dims, *columns)] + (
            [inner] if inner else []
        )
        loops = Loops(self.of.dims, (), self._indices(), runs)
        if not inner or len({loops.renamed[dim][0] for dim in inner}) != 1:
            return
        self.loops = loops
        self.inner = loops.renamed[inner[-1]][0]
        self.columns = True
        self._count_lanes()
        self.fits = True

    def _row_length(self) -> int:
        return 0

    def epilogue(self, product: int) -> Epilogue | None:
        if any(a.operand == product and a.where != self.of.position for a in self.of.accesses):
            return None
        outputs = self._outputs(1)
        self.chunks = 1
        body = self._block()
        names = list(self.number.names.values())
        if len(self.inputs) + len(outputs) + len(names) > self.blocks.most_arguments:
            return None
        dynamic = tuple(index_variable(name) for name in ("batch", "column_from", "column_to"))
        kernel = Kernel(
            f"epilogue_{safe(self.fused.label)[:60]}", (*self.inputs, *outputs),
            (*names, *dynamic), (body,),
        )  # fmt: skip
        values = self.number.values()
        packed = struct.pack(f"<{len(names)}q", *(values[str(name.static)] for name in names))
        return Epilogue(kernel, packed, self._in_step())

    def _block(self) -> Loop:
        row, q, j = (index_variable(name) for name in ("row", "q", "j"))
        batch, first, last = (
            index_variable(name) for name in ("batch", "column_from", "column_to")
        )
        self.at = {}
        self.vector = self.inner
        self._decode(batch, self.batch_dims)
        self._decode(row, self.row_dims)
        size = self.number(self.inner.size)
        lanes = self._fitting(self.lanes, self.inner.size)
        if not self.outer_columns:
            self.at[self.inner] = first + j
            inside = Loop(j, last - first, self._passes(), lanes=lanes)
            return Loop(row, None, (inside,), parallel=True)
        q_first = operators.quotient(first, size)
        q_count = operators.quotient(last + size - 1, size) - q_first
        place = q_first + q
        self._decode(place, self.outer_columns)
        begin = operators.maximum(first - place * size, index_constant(0))
        end = operators.minimum(last - place * size, size)
        self.at[self.inner] = begin + j
        inside = Loop(j, end - begin, self._passes(), lanes=lanes)
        return Loop(row, None, (Loop(q, q_count, (inside,)),), parallel=True)

    def _decode(self, position: Expression, dims: Sequence[Dim]) -> None:
        extents = [self.number(dim.size) for dim in dims]
        for dim, expression in zip(dims, decode(position, extents), strict=True):
            self.at[dim] = expression
