"""Convolutions with 3 by 3 filters by Winograd's algorithm: 36 products in place of 144.

All is computed in float32: half precision is widened where it is read.

The output is cut into tiles of 4 by 4. The tile of the input that one of them needs, 6 by 6, and the
filter, 3 by 3, are both transformed to 6 by 6 numbers, which are multiplied one by one and summed over
the channels: 36 products of matrices. Their results are transformed to the 4 by 4 outputs.

The gradient with respect to the filter is such a convolution too, of the input by the gradient of the
output, of which each tile of 4 by 4 takes the part of a filter; its outputs are 3 by 3, and the sum
goes over the tiles.

    input  --Bt d B--> packed columns --\\
                                          36 products --> At m A --> output
    filter --G f Gt--> packed rows    --/

The transforms write the panels that the micro-kernel reads (`tessella.targets.cpu.packing`), so that there
is no packing besides. All goes on in chunks that stay in the last cache. See ADR 0010 for what this
does to accuracy.
"""

from __future__ import annotations

import functools
import itertools
import math
import os
import struct
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from tessella.compiler.lowering.kernels import share_of
from tessella.compiler.recipe import RESULT, Call, Recipe, Region, Role
from tessella.devices.array import Layout, contiguous_layout
from tessella.devices.device import Growth
from tessella.dtypes import DType, compute_dtype, float32, int64
from tessella.loops.nest import Kernel, Loop, Pointer, Store, index_constant, index_variable, load
from tessella.primitives.base import Spec
from tessella.primitives.contraction import Contraction
from tessella.scalar.expression import Expression, constant
from tessella.scalar.operators import convert, fma, minimum, modulo, quotient
from tessella.targets.cpu import machine, packing
from tessella.targets.cpu.lowering.tiled_contraction import multiplies_pairs, product_kernel
from tessella.targets.cpu.packing import Table
from tessella.targets.cpu.products import arguments
from tessella.targets.cpu.tiles import tile_for
from tessella.targets.cpu.winograd import Matrix, matrices

VARIABLE = "TESSELLA_WINOGRAD"  # 0: not to be used
TAPS, OUTPUTS = 3, 4  # of a filter along one axis; that one tile of the output takes
POINTS = TAPS + OUTPUTS - 1
NUMBERS = POINTS * POINTS
FEWEST_CHANNELS = 16  # with fewer, the transforms cost more than the products
FEWEST_CHANNELS_OF_PAIRS = 64
FEWEST_TILES = 32
LEAST_USED = 0.6  # of the tiles
BLOCK = 352  # of the sum: a panel of each operand stays in the inner caches
APART = 16  # elements between the 36 matrices: at multiples of a page they would share cache lines
CHUNK_BYTES = 1 << 23  # of transformed tiles and products at one time


class WinogradTiles(NamedTuple):
    """How a contraction is such a convolution: the labels of each part, and the tiles along each axis.

    `is_filter`: the right operand is the 3 by 3 filter; else the result is (a gradient).
    """

    kept: tuple[int, ...]
    summed: tuple[int, ...]
    rows: tuple[int, ...]
    tiles: tuple[int, int]
    sizes: dict[int, int]
    is_filter: bool


def plan(primitive: Contraction, x: Spec, y: Spec) -> WinogradTiles | None:
    """The plan of a contraction whose tiles are all whole, or None where another way is better."""
    found = _parts(primitive, x, y)
    if found is None or any(extent % OUTPUTS for extent in _tiled(primitive, found)):
        return None
    return found if _pays(found, 1.0, x.dtype) else None


def growth(primitive: Contraction, x: Spec, y: Spec) -> Growth | None:
    """What is missing for whole tiles; None where another way is better."""
    found = _parts(primitive, x, y)
    if found is None:
        return None
    extents = _tiled(primitive, found)
    used = math.prod(extents) / (math.prod(found.tiles) * OUTPUTS * OUTPUTS)
    first, second = (-extent % OUTPUTS for extent in extents)
    return Growth((first, second), found.is_filter) if _pays(found, used, x.dtype) else None


def _parts(primitive: Contraction, x: Spec, y: Spec) -> WinogradTiles | None:
    """What a contraction is as a convolution of the kind, if it is one."""
    geometry = primitive.geometry
    if (
        compute_dtype(x.dtype) is not float32
        or len(geometry) != 2
        or os.environ.get(VARIABLE) == "0"
    ):
        return None
    if any(replace(g, stride=1, low=0, high=0, input_dilation=1, kernel_dilation=1) != g
           for g in geometry):  # fmt: skip
        return None
    spatial = {label for g in geometry for label in (g.input, g.kernel, g.output)}
    left = set(primitive.left) - spatial
    right, output = set(primitive.right) - spatial, set(primitive.output) - spatial
    if left & right & output or left | right != (left & right) | output:
        return None
    sizes = primitive.sizes(x, y)
    if not all(sizes.values()):
        return None
    is_filter = all(sizes[g.kernel] == TAPS for g in geometry)
    if not is_filter and any(sizes[g.output] != TAPS for g in geometry):
        return None
    found = WinogradTiles(
        tuple(label for label in primitive.left if label in left & output),
        tuple(label for label in primitive.left if label in left & right),
        tuple(label for label in primitive.right if label in right & output),
        (0, 0),
        sizes,
        is_filter,
    )
    first, second = (-(-extent // OUTPUTS) for extent in _tiled(primitive, found))
    return found._replace(tiles=(first, second))


def _tiled(primitive: Contraction, found: WinogradTiles) -> list[int]:
    """The sizes of the axes that are cut into tiles."""
    return [found.sizes[g.output if found.is_filter else g.kernel] for g in primitive.geometry]


def _pays(found: WinogradTiles, used: float, dtype: DType) -> bool:
    """Whether the transforms cost less than the multiplications that they save.

    Pairs of bfloat16 are multiplied twice as fast as what they are transformed to, float32.
    """
    fewest = FEWEST_CHANNELS_OF_PAIRS if multiplies_pairs(dtype) else FEWEST_CHANNELS
    rows, kept, summed = (
        math.prod(found.sizes[label] for label in part)
        for part in (found.rows, found.kept, found.summed)
    )
    images, channels = (kept, summed) if found.is_filter else (summed, kept)
    places = images * math.prod(found.tiles)
    return min(rows, channels) >= fewest and places >= FEWEST_TILES and used >= LEAST_USED


# --- tables -------------------------------------------------------------------------------------------


class _Side:
    """Where the elements of an operand, or of the result, are: by label, and within a tile."""

    def __init__(self, labels: Sequence[int], layout: Layout, spatial: Sequence[int]) -> None:
        self.dtype = layout.dtype
        self.stride = dict(zip(labels, layout.strides, strict=True))
        self.within = tuple(self.stride[label] for label in spatial)

    def table(self, found: WinogradTiles, labels: Sequence[int], tiled: bool) -> Table:
        """The offset of every position of some labels, and of every tile."""
        sizes = [found.sizes[label] for label in labels]
        strides = [self.stride[label] for label in labels]
        if tiled:
            sizes += found.tiles
            strides += [OUTPUTS * stride for stride in self.within]
        return packing.offsets(sizes, strides)


# --- the recipe ---------------------------------------------------------------------------------------


class _Scratch:
    """The scratch buffers of a recipe."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def add(self, elements: int) -> int:
        """The number of a new one for 36 matrices, with room past the end: the micro-kernel prefetches."""
        self.sizes.append(NUMBERS * (elements + APART) * float32.itemsize + 4096)
        return RESULT - len(self.sizes)


def lower(
    primitive: Contraction, layouts: list[Layout], result: Spec, found: WinogradTiles
) -> Recipe:
    """The recipe of a contraction that has a plan."""
    geometry, (x, y) = primitive.geometry, layouts
    out = contiguous_layout(result.shape, result.dtype)
    convolution = _Convolution(
        found,
        _Side(primitive.left, x, [g.input for g in geometry]),
        _Side(primitive.right, y, [g.kernel for g in geometry]),
        _Side(primitive.output, out, [g.output for g in geometry]),
    )
    scratch = _Scratch()
    calls = tuple(convolution.calls(scratch))
    return Recipe(out, calls, tuple(scratch.sizes), keep=convolution)


class _Convolution:
    """The tables of a convolution, and its calls."""

    def __init__(self, found: WinogradTiles, data: _Side, filters: _Side, outputs: _Side) -> None:
        self.is_filter = found.is_filter
        self.data, self.filters, self.outputs = data, filters, outputs
        tiled = not found.is_filter  # whether the sum goes over the tiles
        self.data_steps = data.table(found, found.summed, tiled)
        self.filter_steps = filters.table(found, found.summed, tiled)
        self.depth = len(self.data_steps)
        rows = filters.table(found, found.rows, False)
        self.tile = tile_for(float32, len(rows))
        columns = data.table(found, found.kept, not tiled)
        self.row_count, self.column_count = len(rows), len(columns)
        self.rows = packing.padded(rows, self.tile.rows)
        self.columns = packing.padded(columns, self.tile.columns)
        self.out_rows = outputs.table(found, found.rows, False)
        self.out_columns = outputs.table(found, found.kept, not tiled)
        self.row_panels = len(self.rows) // self.tile.rows
        self.column_panels = len(self.columns) // self.tile.columns
        self.keep: list[Table] = []

    def calls(self, scratch: _Scratch) -> Iterator[Call]:
        """Chunk by chunk: of the columns for a filter, of the sum for a gradient."""
        panels, depth = self.column_panels, self.depth
        if self.is_filter:
            panels = self._chunk(panels, self.tile.columns * (depth + self.row_count))
        else:
            depth = self._chunk(depth, len(self.rows) + len(self.columns))
        packed_rows = scratch.add(len(self.rows) * depth)
        packed_columns = scratch.add(panels * self.tile.columns * depth)
        products = scratch.add(self.row_count * panels * self.tile.columns)
        for k in range(0, self.depth, depth):
            here = min(depth, self.depth - k)
            yield self._filters(1, packed_rows, k, here)
            for panel in range(0, self.column_panels, panels):
                count = min(panels, self.column_panels - panel)
                yield self._data(0, packed_columns, panel, count, k, here)
                yield self._product(packed_rows, packed_columns, products, count, here, k > 0)
                if k + here == self.depth:
                    yield self._outputs(products, RESULT, panel, count)

    @staticmethod
    def _chunk(total: int, elements: int) -> int:
        """How much at one time: even chunks, so that the last one is not a scrap."""
        most = max(1, CHUNK_BYTES // (NUMBERS * elements * float32.itemsize))
        return -(-total // -(-total // most))

    def _filters(self, source: int, target: int, k: int, depth: int) -> Call:
        size = TAPS if self.is_filter else OUTPUTS
        kernel = transform_kernel("filters", size, self.tile.rows, self.filters.dtype)
        call = self._transform(kernel, self.filters, self.filter_steps[k:], self.rows, depth)
        packs = self.is_filter  # a whole operand, once and for all
        return call._replace(places=(Region(source), Region(target)), packs=packs)

    def _data(self, source: int, target: int, panel: int, panels: int, k: int, depth: int) -> Call:
        kernel = transform_kernel("inputs", POINTS, self.tile.columns, self.data.dtype)
        width = self.tile.columns
        places = self.columns[panel * width : (panel + panels) * width]
        call = self._transform(kernel, self.data, self.data_steps[k:], places, depth)
        return call._replace(places=(Region(source), Region(target)))

    def _transform(
        self, kernel: Kernel, side: _Side, steps: Table, places: Table, depth: int
    ) -> Call:
        """A call that transforms and packs an operand; where it reads and writes is left open."""
        width = int(kernel.attributes["width"])
        panels = len(places) // width
        numbers = struct.pack(
            "<8q", steps.ctypes.data, places.ctypes.data, panels, BLOCK, depth,
            panels * width * depth + APART, *side.within,
        )  # fmt: skip
        items = panels * -(-depth // BLOCK)
        return Call(kernel, (), numbers, items, share_of(items, NUMBERS * len(places) * depth))

    def _product(
        self, left: int, right: int, target: int, panels: int, depth: int, accumulate: bool
    ) -> Call:
        """36 products of packed rows by packed columns."""
        tile, width = self.tile, panels * self.tile.columns
        rows_at = self._kept(packing.padded(np.arange(self.row_count) * width, tile.rows))
        batches = self._kept(np.arange(NUMBERS) * (self.row_count * width + APART))
        per_row, per_column = min(8, self.row_panels), min(4, panels)
        row_items, column_items = -(-self.row_panels // per_row), -(-panels // per_column)
        values = {
            "batch_offsets": batches.ctypes.data, "row_offsets": rows_at.ctypes.data,
            "column_offsets": self._kept(np.arange(width)).ctypes.data,
            "column_flags": self._kept(np.ones(panels, np.int64)).ctypes.data,
            "rows": self.row_count, "columns": width, "depth": depth, "block": BLOCK,
            "row_panels": self.row_panels, "column_panels": panels,
            "rows_per_item": per_row, "columns_per_item": per_column,
            "row_items": row_items, "column_items": column_items,
            "left_batch": len(self.rows) * depth + APART, "right_batch": width * depth + APART,
            "accumulate": int(accumulate),
        }  # fmt: skip
        words = arguments(values)
        numbers = struct.pack(f"<{len(words)}q", *words)
        items = NUMBERS * row_items * column_items
        places = Region(left), Region(right), Region(target)
        return Call(product_kernel(tile), places, numbers, items, 1, role=Role.MULTIPLY)

    def _outputs(self, source: int, target: int, panel: int, panels: int) -> Call:
        first, width = panel * self.tile.columns, panels * self.tile.columns
        count = min(width, self.column_count - first)
        size = OUTPUTS if self.is_filter else TAPS
        numbers = struct.pack(
            "<7q", self.out_rows.ctypes.data, self.out_columns[first:].ctypes.data, count, width,
            self.row_count * width + APART, *self.outputs.within,
        )  # fmt: skip
        chunk = share_of(self.row_count, NUMBERS * self.row_count * count)
        places = Region(source), Region(target)
        return Call(outputs_kernel(size), places, numbers, self.row_count, chunk)

    def _kept(self, table: Table) -> Table:
        self.keep.append(table)
        return table


# --- the kernels --------------------------------------------------------------------------------------

Numbers = list[list[Expression]]  # of a tile


def _combination(factors: Sequence[Fraction], terms: Sequence[Expression]) -> Expression:
    """A sum of multiples."""
    total: Expression | None = None
    pairs = [(f, term) for f, term in zip(factors, terms, strict=True) if f]
    for factor, term in sorted(pairs, key=lambda pair: pair[0] != 1):  # the plain ones first
        if total is None:
            total = term if factor == 1 else term * float(factor)
        elif abs(factor) == 1:
            total = total + term if factor > 0 else total - term
        else:
            total = fma(term, constant(float(factor), term.dtype), total)
    assert total is not None
    return total


def transformed(matrix: Matrix, tile: Numbers) -> Numbers:
    """matrix @ tile @ matrix.T"""
    half = [
        [_combination(row, column) for column in zip(*tile, strict=True)] for row in matrix
    ]  # (rows of the matrix, columns of the tile)
    return [[_combination(row, line) for row in matrix] for line in half]


def _matrix(name: str, taps: int) -> Matrix:
    return getattr(matrices(POINTS + 1 - taps, taps), name)


@functools.cache
def transform_kernel(name: str, size: int, width: int, dtype: DType) -> Kernel:
    """Read tiles of `size` by `size`, transform them in float32, and write panels `width` wide.

    The number at each of the 36 places goes to a matrix of its own, `size` elements apart.
    """
    source, target = Pointer("source", dtype), Pointer("target", float32, written=True)
    steps, places = (Pointer(name, int64, table=True) for name in ("steps", "places"))
    names = ("panels", "block", "depth", "size", "down", "across")
    panels, block, depth, apart, down, across = map(index_variable, names)
    item, k, w = index_variable("item"), index_variable("k"), index_variable("w")
    panel, first = modulo(item, panels), quotient(item, panels) * block
    count = minimum(block, depth - first)
    base = load(steps, first + k) + load(places, panel * width + w)
    tile = [
        [convert(load(source, base + down * i + across * j), float32) for j in range(size)]
        for i in range(size)
    ]
    matrix = _matrix("inputs", TAPS) if name == "inputs" else _matrix("filters", size)
    start = first * panels * width + panel * count * width + k * width + w
    stores = tuple(
        Store(target, start + apart * number, value)
        for number, value in enumerate(itertools.chain(*transformed(matrix, tile)))
    )
    lanes = machine.vector_bytes() // float32.itemsize
    if width % lanes == 0:
        body = Loop(k, count, (Loop(w, index_constant(width), stores, lanes=lanes),))
    else:  # vectors go along k
        body = Loop(k, count, (Loop(w, index_constant(width), stores),), lanes=lanes)
    loop = Loop(item, None, (body,), parallel=True)
    return Kernel(
        f"winograd_{name}_{size}x{size}",
        (source, target, steps, places),
        (panels, block, depth, apart, down, across),
        (loop,),
        {"width": str(width)},
    )


@functools.cache
def outputs_kernel(size: int) -> Kernel:
    """Transform the sums of products to tiles of `size` by `size`, and put these into the result."""
    source, target = Pointer("source", float32), Pointer("target", float32, written=True)
    rows, columns = (Pointer(name, int64, table=True) for name in ("rows", "columns"))
    names = ("count", "width", "size", "down", "across")
    count, width, apart, down, across = map(index_variable, names)
    row, j = index_variable("row"), index_variable("j")
    start = row * width + j
    tile = [
        [load(source, start + apart * (POINTS * a + b)) for b in range(POINTS)]
        for a in range(POINTS)
    ]
    where = load(rows, row) + load(columns, j)
    stores = tuple(
        Store(target, where + down * a + across * b, value)
        for a, line in enumerate(transformed(_matrix("outputs", POINTS + 1 - size), tile))
        for b, value in enumerate(line)
    )
    lanes = machine.vector_bytes() // float32.itemsize
    loop = Loop(row, None, (Loop(j, count, stores, lanes=lanes),), parallel=True)
    return Kernel(
        f"winograd_outputs_{size}x{size}",
        (source, target, rows, columns),
        (count, width, apart, down, across),
        (loop,),
    )
