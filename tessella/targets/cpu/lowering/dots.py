"""Contractions of long sums to few results: vectors lie along the sum, and nothing is packed.

A weight's gradient in a convolution sums over every place of every image, and has few results; to pack its
operands takes longer than to multiply them. Where both stand in order along a summed axis, vectors are
read where they stand, and a tile of rows x columns sums takes rows + columns loads for rows x columns
multiply-adds, each with a vector of partial sums:

    for part, row tile, column tile in parallel:        a part of the sum: its operands stay in a cache
        for lane in lanes:                              one vector
            for run in the part:
                for turn in the run:
                    sums[r, c] += x[row r, run, turn, lane] * y[column c, run, turn, lane]
            partial[r, c, part, lane] = sums[r, c]

Then parts and lanes are added up, always in the same order.
"""

from __future__ import annotations

import functools
import itertools
import math
import struct
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from tessella.compiler.lowering import reduce
from tessella.compiler.lowering.kernels import Dimension, collapse, decode, parts, share_of
from tessella.compiler.recipe import RESULT, Call, Recipe, Region, Role
from tessella.devices.array import contiguous_layout
from tessella.dtypes import DType, int64
from tessella.loops import nest
from tessella.primitives.base import Spec
from tessella.primitives.monoid import SUM
from tessella.scalar.expression import Expression, constant, variable
from tessella.scalar.operators import fma, less, minimum, modulo, quotient
from tessella.targets.cpu import machine, packing
from tessella.targets.cpu.lowering.tiled_contraction import Groups, offsets
from tessella.targets.cpu.packing import Table

SUMS = 12  # of a tile: with what is multiplied they fill 16 registers; additions hide their latency
LEAST_SIDE = 3  # rows and columns: with fewer of them a tile reads about as much as it multiplies
NARROW = range(3, 65)  # results of a single row or column: a few tiles
FEW_RESULTS, MANY_TERMS = 320, 1024  # for more results, or fewer terms, packing is soon repaid
LONG = 1.5  # vectors of a run: shorter ones do not repay going from run to run
PART_BYTES = 1 << 16  # of both operands
LEAST_PART = 256  # terms: the more parts, the more partial sums
MOST_PARTS = 64

PARTIAL = RESULT - 1  # the scratch buffer


class Form(NamedTuple):
    """What a kernel is made for.

    Args:
        rows, columns: of a tile.
        ragged: whether runs end within a vector.
    """

    dtype: DType
    rows: int
    columns: int
    ragged: bool


def _lanes(dtype: DType) -> int:
    return machine.vector_bytes() // dtype.itemsize


def _sum(groups: Groups, left: int) -> list[Dimension]:
    """The summed axes, as few as may be; strides are those of the operand with the rows, and of the other."""
    sizes = [axis.size for axis in groups.inner]
    strides = [[axis.strides[which] for axis in groups.inner] for which in (left, 1 - left)]
    return collapse(sizes, strides)


def suits(groups: Groups, left: int, dtype: DType, narrow: bool = False) -> bool:
    """Whether a contraction is best done so.

    Args:
        left: the operand with the rows.
        narrow: whether a single row or column is enough: as tiles of packed operands are no choice.
    """
    summed = _sum(groups, left)
    if dtype.compute is not dtype or not summed or summed[-1].strides != (1, 1):
        return False
    rows, columns = (math.prod(axis.size for axis in g) for g in (groups.rows, groups.columns))
    results = rows * columns
    few = min(rows, columns) >= LEAST_SIDE and results <= FEW_RESULTS
    few = few or (narrow and results in NARROW)
    many = math.prod(dimension.size for dimension in summed) >= MANY_TERMS
    return few and many and summed[-1].size >= LONG * _lanes(dtype)


def lower(groups: Groups, left: int, dtype: DType, result: Spec) -> Recipe:
    """The recipe of a contraction that `suits`."""
    lanes = _lanes(dtype)
    rows, columns = (math.prod(axis.size for axis in g) for g in (groups.rows, groups.columns))
    runs, lengths, per_part = _runs(_sum(groups, left), (rows + columns) * dtype.itemsize, lanes)
    part_count = -(-len(lengths) // per_part)
    form = Form(dtype, *shape_of_tile(rows, columns), bool((lengths % lanes).any()))
    tables = (
        *(offsets(groups.batch, which) for which in (left, 1 - left, 2)),
        offsets(groups.rows, left), offsets(groups.columns, 1 - left),
        offsets(groups.rows, 2), offsets(groups.columns, 2), *runs, lengths,
    )  # fmt: skip
    numbers = [table.ctypes.data for table in tables]
    numbers += [rows, columns, len(lengths), per_part]
    out = contiguous_layout(result.shape, result.dtype)
    tiles = -(-rows // form.rows) * -(-columns // form.columns)
    items = len(tables[0]) * part_count * tiles
    first = Call(
        _kernel(form), (Region(left), Region(1 - left), Region(PARTIAL)),
        struct.pack(f"<{len(numbers)}q", *numbers), items,
        share_of(items, 2 * out.size * int(lengths.sum())), role=Role.MULTIPLY,
    )  # fmt: skip
    width = part_count * lanes
    partial_sums = [Dimension(out.size, (width,))], [Dimension(width, (1,))]
    (second,) = reduce.recipe_of(SUM, dtype, *partial_sums, out).calls
    second = second._replace(places=(Region(PARTIAL), Region(RESULT)))
    return Recipe(out, (first, second), (out.size * width * dtype.itemsize,), keep=tables)


def _runs(summed: list[Dimension], width: int, lanes: int) -> tuple[list[Table], Table, int]:
    """Where runs begin in either operand, their lengths, and how many of them are a part.

    Args:
        width: bytes of one term, of both operands.
    """
    *outer, last = summed
    sizes = [dimension.size for dimension in outer]
    begins = [packing.offsets(sizes, [d.strides[which] for d in outer]) for which in range(2)]
    terms = len(begins[0]) * last.size
    most = max(1, min(MOST_PARTS, terms * width // PART_BYTES, terms // LEAST_PART))
    pieces = -(-most // len(begins[0]))  # of a run, where there are fewer runs than parts
    piece = -(-last.size // (pieces * lanes)) * lanes
    cuts = np.arange(0, last.size, piece, dtype=np.int64)
    lengths = np.tile(np.minimum(piece, last.size - cuts), len(begins[0]))
    begins = [np.add.outer(table, cuts).reshape(-1) for table in begins]
    return begins, lengths, -(-len(lengths) // most)


def shape_of_tile(rows: int, columns: int) -> tuple[int, int]:
    """The rows and columns of a tile: for few multiply-adds that nobody asked for, and few loads.

    >>> shape_of_tile(8, 36), shape_of_tile(4, 9), shape_of_tile(16, 20)
    ((4, 3), (4, 3), (2, 5))
    """
    tiles = [(r, c) for r in range(1, SUMS + 1) for c in range(1, SUMS // r + 1)]

    def cost(tile: tuple[int, int]) -> tuple[int, int]:
        r, c = tile
        count = -(-rows // r) * -(-columns // c)
        return count * max(r * c, r + c, 8), count * (r + c)  # two of either at once; fewer wait

    return min(tiles, key=cost)


_TABLES = (
    "x_batches", "y_batches", "out_batches", "x_rows", "y_columns", "out_rows", "out_columns",
    "x_runs", "y_runs", "lengths",
)  # fmt: skip
_SIZES = ("rows", "columns", "runs", "runs_per_part")


class _Tile:
    """The pointers, and the index arithmetic of an item of work."""

    def __init__(self, form: Form) -> None:
        self.form, self.lanes = form, _lanes(form.dtype)
        self.x, self.y = (nest.Pointer(name, form.dtype) for name in "xy")
        self.partial = nest.Pointer("partial", form.dtype, written=True)
        self.tables = {name: nest.Pointer(name, int64, table=True) for name in _TABLES}
        self.sizes = tuple(map(nest.index_variable, _SIZES))
        rows, columns, self.runs, self.per_part = self.sizes
        self.parts = quotient(self.runs + (self.per_part - 1), self.per_part)
        counts = parts(rows, form.rows), parts(columns, form.columns)
        self.item, self.lane = nest.index_variable("item"), nest.index_variable("lane")
        self.batch, self.part, row_tile, column_tile = decode(
            self.item, (nest.index_constant(0), self.parts, *counts)
        )
        # past the last row or column the tile does that one again: the same sum goes to the same place
        self.rows = [minimum(row_tile * form.rows + i, rows - 1) for i in range(form.rows)]
        self.columns = [
            minimum(column_tile * form.columns + i, columns - 1) for i in range(form.columns)
        ]
        self.cells = list(itertools.product(range(form.rows), range(form.columns)))

    def at(self, table: str, index: Expression) -> Expression:
        return nest.load(self.tables[table], index)

    def kernel(self) -> nest.Kernel:
        totals = self._variables("total")
        stores = [nest.Store(self.partial, self._place(i, j), totals[i, j]) for i, j in self.cells]
        body: tuple[nest.Statement, ...] = (self._over_runs(totals), *stores)
        vector = nest.Loop(self.lane, nest.index_constant(self.lanes), body, lanes=self.lanes)
        items = nest.Loop(self.item, None, (vector,), parallel=True)
        pointers = (self.x, self.y, self.partial, *self.tables.values())
        return nest.Kernel("contraction_tile_of_dots", pointers, self.sizes, (items,))

    def _variables(self, name: str) -> dict[tuple[int, int], Expression]:
        return {(i, j): variable(f"{name}{i}_{j}", self.form.dtype) for i, j in self.cells}

    def _place(self, i: int, j: int) -> Expression:
        """Where the vector of a cell goes."""
        row, column = self.at("out_rows", self.rows[i]), self.at("out_columns", self.columns[j])
        place = self.at("out_batches", self.batch) + row + column
        return (place * self.parts + self.part) * self.lanes + self.lane

    def _begin(self, name: str, table: str, index: Expression, run: Expression) -> Expression:
        """Where a run of a row or column begins in its operand."""
        batch = self.at(f"{name}_batches", self.batch)
        return batch + self.at(table, index) + self.at(f"{name}_runs", run)

    def _over_runs(self, totals: Mapping[tuple[int, int], Expression]) -> nest.Loop:
        """The loops over the runs of a part and the vectors of a run."""
        run, turn = nest.index_variable("run"), nest.index_variable("turn")
        first = self.part * self.per_part
        here = first + run
        xs = [self._begin("x", "x_rows", row, here) for row in self.rows]
        ys = [self._begin("y", "y_columns", column, here) for column in self.columns]
        length, lanes = self.at("lengths", here), nest.index_constant(self.lanes)

        def added(
            sums: Mapping[tuple[int, int], Expression], turn: Expression, mask: Expression | None
        ) -> dict[tuple[int, int], Expression]:
            left = [nest.load(self.x, x + turn * lanes + self.lane, mask) for x in xs]
            right = [nest.load(self.y, y + turn * lanes + self.lane, mask) for y in ys]
            return {(i, j): fma(left[i], right[j], sums[i, j]) for i, j in self.cells}

        sums = self._variables("sum")
        nexts = added(sums, turn, None)
        whole = quotient(length, lanes)
        vectors = nest.Loop(
            turn,
            whole,
            carried=tuple(nest.Carried(sums[c], totals[c], nexts[c]) for c in self.cells),
        )
        after: Mapping[tuple[int, int], Expression] = sums
        if self.form.ragged:
            after = added(sums, whole, less(self.lane, modulo(length, lanes)))
        zero = constant(0, self.form.dtype)
        carried = tuple(nest.Carried(totals[c], zero, after[c]) for c in self.cells)
        return nest.Loop(
            run, minimum(self.per_part, self.runs - first), (vectors,), carried=carried
        )


@functools.cache
def _kernel(form: Form) -> nest.Kernel:
    return _Tile(form).kernel()
