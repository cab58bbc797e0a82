"""Contractions by tiles: pack both operands through their offsets, then multiply panels.

A convolution needs no im2col: where an element of the input stands is the sum of an offset for its
output place and one for its place in the kernel, and the packing reads it there. What is packed at
one time stays in the cache: columns, and the summed axis, are done in chunks.
"""

from __future__ import annotations

import functools
import math
import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from tessella.backends import packing
from tessella.backends.array import Layout, contiguous_layout
from tessella.backends.cpu import machine
from tessella.backends.loops import Kernel
from tessella.backends.packing import Table
from tessella.backends.tiles import (
    ARGUMENTS,
    PACKING_ARGUMENTS,
    Tile,
    packing_product_ir,
    product_ir,
    tile_for,
)
from tessella.compiler.lowering.kernels import address_of
from tessella.compiler.lowering.plain_contraction import Axis
from tessella.compiler.recipe import RESULT, Blocks, Call, Native, Place, Recipe
from tessella.dtypes import DType
from tessella.primitives.base import Spec

BLOCK = 352  # of k: a panel of each operand stays in the inner caches
PACKED_ELEMENTS = 1 << 21  # of the right operand at one time
MOST_DEPTH = 16 * BLOCK  # of k at one time
SERIAL_BELOW = 1 << 20  # multiply-adds that one thread does sooner than two
PACK_TOGETHER_FROM = 1 << 16  # elements that two threads pack sooner than one


class Groups(NamedTuple):
    """The axes of a contraction by the part they play; strides are those in x, y and out."""

    batch: list[Axis]
    rows: list[Axis]
    columns: list[Axis]
    inner: list[Axis]


def offsets(axes: Sequence[Axis], which: int) -> Table:
    """The offset of every position of some axes, the last axis fastest."""
    total = np.zeros((), np.int64)
    for axis in axes:
        total = np.add.outer(total, np.arange(axis.size, dtype=np.int64) * axis.strides[which])
    return np.ascontiguousarray(total.reshape(-1))


@functools.cache
def product(tile: Tile) -> Native:
    return Native("product", product_ir(tile, machine.function_attributes()))


@functools.cache
def _packing_product(tile: Tile) -> Native:
    return Native("product", packing_product_ir(tile, BLOCK, machine.function_attributes()))


@functools.cache
def _pack(kind: str, dtype: DType, width: int, runs: int) -> Kernel | Native:
    """A kernel of `tessella.backends.packing`."""
    if kind == "runs":
        return packing.runs_kernel(dtype, width, runs)
    if kind == "gather":
        return packing.gather_kernel(dtype, width)
    lanes = machine.vector_bytes() // dtype.itemsize
    text = packing.transposing_ir(dtype, width, lanes, machine.function_attributes())
    return Native("pack", text)


class _Operand:
    """One operand, and how it is packed."""

    def __init__(
        self, dtype: DType, width: int, batches: Table, places: Table, steps: Table
    ) -> None:
        lanes = machine.vector_bytes() // dtype.itemsize
        self.width, self.batches, self.steps = width, batches, steps
        self.panels = -(-len(places) // width)
        self.packing = packing.choose(places, steps, width, lanes)
        runs = self.packing.per_panel if self.packing.kind == "runs" else 0
        self.side = packing.side_by_side(self.packing.kind, runs)
        self.kernel = _pack(self.packing.kind, dtype, width, runs)

    def pack(self, source: int, target: int, panel: int, panels: int, k: int, depth: int) -> Call:
        """Pack some panels, for `depth` of k from `k` on."""
        blocks = -(-depth // BLOCK)
        how = self.packing
        along = panel * how.per_panel if how.kind == "runs" else k
        suffix = struct.pack(
            "<9q", self.batches.ctypes.data, self.steps.ctypes.data + 8 * k,
            how.places.ctypes.data + 8 * panel * how.per_panel, how.extra.ctypes.data + 8 * along,
            panels, blocks, BLOCK, depth, panels * self.width * depth,
        )  # fmt: skip
        items = len(self.batches) * blocks * -(-panels // self.side)
        share = len(self.batches) * panels * self.width * depth >= PACK_TOGETHER_FROM
        chunk = max(1, items // 32) if share and items > 1 else 0
        whole = depth == len(self.steps) and panels == self.panels
        return Call(self.kernel, (Place(source), Place(target)), suffix, items, chunk, packs=whole)


def lower(
    groups: Groups, swapped: bool, dtype: DType, result: Spec,
    fixed: tuple[bool, bool] = (False, False),
) -> Recipe:  # fmt: skip
    """The recipe of a contraction whose groups of axes all have elements.

    `swapped` says that the right operand has the rows.
    """
    tile = tile_for(dtype, math.prod(axis.size for axis in groups.rows))
    left, right = (1, 0) if swapped else (0, 1)
    rows = _Operand(
        dtype, tile.rows, offsets(groups.batch, left), offsets(groups.rows, left),
        offsets(groups.inner, left),
    )  # fmt: skip
    columns = _Operand(
        dtype, tile.columns, offsets(groups.batch, right), offsets(groups.columns, right),
        offsets(groups.inner, right),
    )  # fmt: skip
    schedule = _Schedule(tile, rows, columns, groups, fixed[right])
    return _recipe(schedule, left, contiguous_layout(result.shape, result.dtype))


class _Schedule:
    """Into which chunks and items a product is cut: by its sizes alone."""

    def __init__(
        self, tile: Tile, rows: _Operand, columns: _Operand, groups: Groups, columns_fixed: bool
    ) -> None:
        self.tile, self.rows, self.columns, self.groups = tile, rows, columns, groups
        self.batch_offsets = offsets(groups.batch, 2)
        row_offsets, column_offsets = offsets(groups.rows, 2), offsets(groups.columns, 2)
        self.row_count, self.column_count = len(row_offsets), len(column_offsets)
        self.row_offsets = packing.padded(row_offsets, tile.rows)
        self.column_offsets = packing.padded(column_offsets, tile.columns)
        self.flags = self._contiguous_panels(len(column_offsets))
        self.depth = len(rows.steps)
        batches = len(self.batch_offsets)
        work = batches * self.row_count * self.column_count * self.depth
        self.share = work >= SERIAL_BELOW
        # few rows: a block of all of them stays in the cache, and the columns are packed on the way
        self.packs_on_the_way = (
            rows.panels * tile.rows * BLOCK * tile.dtype.itemsize
            <= machine.cache_bytes(2, 1 << 19) // 2
            and batches * columns.panels >= 4
            and not columns_fixed
        )
        whole = self.packs_on_the_way or columns_fixed
        self.chunk_depth = self.depth if whole else min(self.depth, MOST_DEPTH)
        per_panel = batches * tile.columns * self.chunk_depth
        most = columns.panels if columns_fixed else PACKED_ELEMENTS // per_panel
        self.chunk_panels = max(1, min(columns.panels, most))
        # even chunks, so that the last one is not a scrap
        chunks = -(-columns.panels // self.chunk_panels)
        self.chunk_panels = -(-columns.panels // chunks)

    def _contiguous_panels(self, count: int) -> Table:
        """1 for each panel whose columns stand side by side in the result (those there are)."""
        panels = self.column_offsets.reshape(-1, self.tile.columns)
        follows = np.diff(panels, axis=1) == 1
        follows |= (np.arange(panels.size).reshape(panels.shape) >= count)[:, 1:]
        return np.ascontiguousarray(follows.all(axis=1).astype(np.int64))

    def items(self, panels: int) -> tuple[int, int]:
        """Panels of rows and of columns in one item: enough to reuse, enough items to share."""
        per_row, per_column = 8, 8
        batches = len(self.batch_offsets)
        while per_row * per_column > 1:
            count = batches * -(-self.rows.panels // per_row) * -(-panels // per_column)
            if not self.share or count >= 16:
                break
            if per_column >= per_row:
                per_column = max(1, per_column // 2)
            else:
                per_row = max(1, per_row // 2)
        return per_row, per_column


_NO_EPILOGUE = {"epilogue": 0, "epilogue_args": 0, "epilogue_words": 0}

# The scratch buffers of a product.
PACKED_ROWS, PACKED_COLUMNS = RESULT - 1, RESULT - 2


def _recipe(schedule: _Schedule, left: int, out: Layout) -> Recipe:
    tile, rows = schedule.tile, schedule.rows
    # room past the end: the micro-kernel prefetches ahead
    per_step = len(schedule.batch_offsets) * schedule.chunk_depth * tile.dtype.itemsize
    scratch = [rows.panels * tile.rows * per_step + 4096]
    if schedule.packs_on_the_way:
        calls = [
            rows.pack(left, PACKED_ROWS, 0, rows.panels, 0, schedule.depth),
            _packing_product_call(schedule, 1 - left),
        ]
    else:
        scratch.append(schedule.chunk_panels * tile.columns * per_step + 4096)
        calls = list(_chunks(schedule, left))
    groups = schedule.groups
    blocks = Blocks(*(
        tuple((axis.size, axis.strides[2]) for axis in group)
        for group in (groups.batch, groups.rows, groups.columns)
    ))  # fmt: skip
    return Recipe(out, tuple(calls), tuple(scratch), keep=schedule, blocks=blocks)


def _chunks(schedule: _Schedule, left: int) -> Iterator[Call]:
    """Chunk by chunk: pack the rows and the columns, then multiply them."""
    rows, columns = schedule.rows, schedule.columns
    for k in range(0, schedule.depth, schedule.chunk_depth):
        depth = min(schedule.chunk_depth, schedule.depth - k)
        yield rows.pack(left, PACKED_ROWS, 0, rows.panels, k, depth)
        for panel in range(0, columns.panels, schedule.chunk_panels):
            count = min(schedule.chunk_panels, columns.panels - panel)
            yield columns.pack(1 - left, PACKED_COLUMNS, panel, count, k, depth)
            yield _product_call(schedule, panel, count, k, depth)


def _packing_product_call(schedule: _Schedule, right: int) -> Call:
    """Multiply the packed rows with all columns, which are packed on the way."""
    tile, rows, columns = schedule.tile, schedule.rows, schedule.columns
    batches = len(schedule.batch_offsets)
    per_item = max(1, min(8, batches * columns.panels // 32))
    column_items = -(-columns.panels // per_item)
    by_panel = columns.packing.kind == "runs"
    values = {
        "batch_offsets": schedule.batch_offsets.ctypes.data,
        "row_offsets": schedule.row_offsets.ctypes.data,
        "column_offsets": schedule.column_offsets.ctypes.data,
        "column_flags": schedule.flags.ctypes.data,
        "pack": address_of(columns.kernel),
        "pack_batches": columns.batches.ctypes.data,
        "pack_steps": columns.steps.ctypes.data,
        "pack_places": columns.packing.places.ctypes.data,
        "pack_extra": columns.packing.extra.ctypes.data,
        "rows": schedule.row_count,
        "columns": schedule.column_count,
        "depth": schedule.depth,
        "row_panels": rows.panels,
        "column_panels": columns.panels,
        "columns_per_item": per_item,
        "column_items": column_items,
        "left_batch": rows.panels * tile.rows * schedule.depth,
        "per_panel": columns.packing.per_panel,
        "extra_per_panel": columns.packing.per_panel if by_panel else 0,
        "extra_per_step": 0 if by_panel else 1,
        **_NO_EPILOGUE,
    }
    suffix = struct.pack(f"<{len(values)}q", *(values[name] for name in PACKING_ARGUMENTS[3:]))
    places = (Place(PACKED_ROWS), Place(right), Place(RESULT))
    items = batches * column_items
    chunk = int(schedule.share and items > 1)
    return Call(_packing_product(tile), places, suffix, items, chunk, completes=True)


def _product_call(schedule: _Schedule, panel: int, panels: int, k: int, depth: int) -> Call:
    """Multiply the packed rows with one chunk of packed columns."""
    tile = schedule.tile
    per_row, per_column = schedule.items(panels)
    row_items = -(-schedule.rows.panels // per_row)
    column_items = -(-panels // per_column)
    first = panel * tile.columns
    values = {
        "batch_offsets": schedule.batch_offsets.ctypes.data,
        "row_offsets": schedule.row_offsets.ctypes.data,
        "column_offsets": schedule.column_offsets.ctypes.data + 8 * first,
        "column_flags": schedule.flags.ctypes.data + 8 * panel,
        "rows": schedule.row_count,
        "columns": min(panels * tile.columns, schedule.column_count - first),
        "depth": depth,
        "block": BLOCK,
        "row_panels": schedule.rows.panels,
        "column_panels": panels,
        "rows_per_item": per_row,
        "columns_per_item": per_column,
        "row_items": row_items,
        "column_items": column_items,
        "left_batch": schedule.rows.panels * tile.rows * depth,
        "right_batch": panels * tile.columns * depth,
        "accumulate": int(k > 0),
        "column_base": first,
        **_NO_EPILOGUE,
    }
    suffix = struct.pack(f"<{len(values)}q", *(values[name] for name in ARGUMENTS[3:]))
    items = len(schedule.batch_offsets) * row_items * column_items
    places = (Place(PACKED_ROWS), Place(PACKED_COLUMNS), Place(RESULT))
    chunk = int(schedule.share and items > 1)
    completes = k + depth == schedule.depth
    return Call(product(tile), places, suffix, items, chunk, completes)
