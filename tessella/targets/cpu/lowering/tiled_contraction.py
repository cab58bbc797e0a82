"""Contractions by tiles: pack both operands through their offsets, then multiply panels.

A convolution needs no im2col: where an element of the input stands is the sum of an offset for its
output place and one for its place in the kernel, and the packing reads it there. What is packed at
one time stays in the cache: columns, and the summed axis, are done in chunks. An operand whose
elements stand in order may be read where it stands, and so may the windows of an image, with a table of
where the kernel's places are. How all this is cut is in `blocking`.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Generator, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from tessella.blocks import restoring, undoing
from tessella.compiler.lowering.plain_contraction import Axis
from tessella.compiler.recipe import RESULT, Blocks, Call, Native, Recipe, Region, Role
from tessella.devices.array import Layout, contiguous_layout
from tessella.dtypes import DType, uint32
from tessella.loops.nest import Kernel
from tessella.primitives.base import Spec
from tessella.targets.cpu import machine, packing, products
from tessella.targets.cpu.lowering import blocking
from tessella.targets.cpu.lowering.blocking import IN_PLACE
from tessella.targets.cpu.lowering.tuned import Choice, Problem
from tessella.targets.cpu.machine import multiplies_pairs
from tessella.targets.cpu.packing import Elements, Table
from tessella.targets.cpu.tiles import Tile
from tessella.targets.cpu.transposing import square, transposing_ir

PAGE = 4096  # bytes; rows so long are fetched along, before their next panel is due
PANELS_AHEAD = 2
MOSTLY = 0.5  # of the panels of a right operand: so many are worth being read where they stand
PACK_TOGETHER_FROM = 1 << 16  # elements that two threads pack sooner than one


class Groups(NamedTuple):
    """The axes of a contraction by the part they play; strides are those in x, y and out."""

    batch: list[Axis]
    rows: list[Axis]
    columns: list[Axis]
    inner: list[Axis]


def offsets(axes: Sequence[Axis], which: int) -> Table:
    """The offset of every position of some axes, the last axis fastest."""
    return packing.offsets([axis.size for axis in axes], [axis.strides[which] for axis in axes])


@functools.cache
def product_kernel(tile: Tile, packed: str = products.AHEAD) -> Native:
    """The native function that multiplies panels; see `tessella.targets.cpu.products`."""
    return Native("product", products.product_ir(tile, packed, machine.function_attributes()))


@functools.cache
def _pack(kind: str, elements: Elements, width: int, runs: int) -> Kernel | Native:
    """A kernel of `tessella.targets.cpu.packing`."""
    if kind == "runs":
        return packing.runs_kernel(elements, width, runs)
    if kind == "gather":
        return packing.gather_kernel(elements, width)
    lanes = machine.vector_bytes() // elements.target.itemsize
    return Native("pack", transposing_ir(elements, width, lanes, machine.function_attributes()))


class _Operand(NamedTuple):
    """One operand: where its elements are, from the offsets of its batches, places and steps of k."""

    dtype: DType
    batches: Table
    places: Table
    steps: Table
    fixed: bool

    @property
    def step(self) -> int:
        """How far apart the steps of k are; 0 if that differs."""
        return packing.constant_step(self.steps)

    def side_by_side(self, width: int) -> float:
        """The share of panels whose places lie side by side."""
        inside = np.arange(1, len(self.places)) % width != 0
        apart = np.flatnonzero((np.diff(self.places) != 1) & inside) // width
        broken = np.count_nonzero(np.diff(apart)) + (len(apart) > 0)  # np.unique imports numpy.ma
        return float(1.0 - broken / -(-len(self.places) // width))


class _Packed:
    """An operand in panels of a width.

    Args:
        block: steps of k that are packed at one time.
        by_runs: whether it is packed in the way that windows are.
    """

    def __init__(
        self, operand: _Operand, width: int, block: int, pairs: bool, by_runs: bool = False
    ) -> None:
        target = uint32 if pairs else operand.dtype.compute
        odd = pairs and len(operand.steps) % 2 == 1
        elements = Elements(operand.dtype, target, pairs, odd)
        self.batches, self.places, self.fixed = operand.batches, operand.places, operand.fixed
        self.step = operand.step
        self.per_step = 2 if pairs else 1
        self.steps = packing.paired(operand.steps) if pairs else operand.steps
        self.width, self.block = width, block
        self.panels = -(-len(self.places) // width)
        self.packing = packing.choose(self.places, self.steps, width, square(elements), by_runs)
        runs = self.packing.per_panel if self.packing.kind == "runs" else 0
        self.side = packing.side_by_side(self.packing.kind, runs)
        self.kernel = _pack(self.packing.kind, elements, width, runs)
        self.padded = packing.padded(self.places, width)
        self.packed_steps = np.arange(0, block * width, width, dtype=np.int64)

    def pack(self, source: int, target: int, panel: int, panels: int, k: int, depth: int) -> Call:
        """Pack some panels, for `depth` of k from `k` on."""
        blocks = -(-depth // self.block)
        how, step = self.packing, k * self.per_step
        along = panel * how.per_panel if how.kind == "runs" else step
        suffix = struct.pack(
            "<9q", self.batches.ctypes.data, self.steps.ctypes.data + 8 * step,
            how.places.ctypes.data + 8 * panel * how.per_panel, how.extra.ctypes.data + 8 * along,
            panels, blocks, self.block, depth, panels * self.width * depth,
        )  # fmt: skip
        items = len(self.batches) * blocks * -(-panels // self.side)
        share = len(self.batches) * panels * self.width * depth >= PACK_TOGETHER_FROM
        chunk = max(1, items // 32) if share and items > 1 else 0
        whole = depth * self.per_step == len(self.steps) and panels == self.panels
        places = Region(source), Region(target)
        return Call(self.kernel, places, suffix, items, chunk, packs=whole, role=Role.PACK)


class Product(NamedTuple):
    """A contraction whose groups of axes all have elements.

    Args:
        swapped: whether the right operand has the rows.
        dtype: of the operands; the result is in float32 if they are in half precision.
        fixed: operands that stay the same from call to call.
    """

    groups: Groups
    swapped: bool
    dtype: DType
    result: Spec
    fixed: tuple[bool, bool]

    @property
    def left(self) -> int:
        """The operand that has the rows."""
        return 1 if self.swapped else 0

    def operands(self) -> tuple[_Operand, _Operand]:
        """The one with the rows, and the one with the columns."""
        groups = self.groups
        rows, columns = (
            _Operand(
                self.dtype, offsets(groups.batch, which), offsets(places, which),
                offsets(groups.inner, which), self.fixed[which],
            )
            for places, which in ((groups.rows, self.left), (groups.columns, 1 - self.left))
        )  # fmt: skip
        return rows, columns


_watchers: list[list[Product]] = []


@restoring
def watched() -> Generator[list[Product], None, None]:
    """The products that are lowered inside a `with` block."""
    found: list[Product] = []
    with undoing(lambda: _forget(found)):
        _watchers.append(found)
        yield found


def _forget(watcher: list[Product]) -> None:
    _watchers[:] = [other for other in _watchers if other is not watcher]


def lower(
    groups: Groups, swapped: bool, dtype: DType, result: Spec,
    fixed: tuple[bool, bool] = (False, False),
) -> Recipe:  # fmt: skip
    """The recipe of a product."""
    product = Product(groups, swapped, dtype, result, fixed)
    for found in _watchers:
        found.append(product)
    return recipe(product)


def recipe(product: Product, choice: Choice | None = None) -> Recipe:
    """The recipe of a product, cut as is best, or by a choice."""
    schedule = _Schedule(*product.operands(), product.groups, choice)
    result = product.result
    return _recipe(schedule, product.left, contiguous_layout(result.shape, result.dtype))


def problem_of(rows: _Operand, columns: _Operand) -> Problem:
    """What `blocking` has to know."""
    dtype = rows.dtype
    wide, pairs = dtype.compute, multiplies_pairs(dtype)
    vectors = 2 * machine.vector_bytes() // wide.itemsize
    same = dtype is wide
    side_by_side = columns.side_by_side(vectors)
    return Problem(
        dtype=wide,
        pairs=pairs,
        batches=len(rows.batches),
        rows=len(rows.places),
        columns=len(columns.places),
        depth=-(-len(rows.steps) // (2 if pairs else 1)),
        left_stays=same and rows.step != 0,
        left_straight=rows.step == 1,
        right_stays=same and columns.step != 0 and side_by_side == 1.0,
        left_fixed=rows.fixed,
        right_fixed=columns.fixed,
        right_windows=same and columns.step == 0 and side_by_side >= MOSTLY,
    )


class _Schedule:
    """Into which chunks and items a product is cut: by its sizes alone."""

    def __init__(
        self, rows: _Operand, columns: _Operand, groups: Groups, choice: Choice | None
    ) -> None:
        self.groups, self.problem = groups, problem_of(rows, columns)
        self.blocking = (
            blocking.cut(self.problem, choice) if choice else blocking.choose(self.problem)
        )
        self.tile, self.depth = self.blocking.tile, self.problem.depth
        block, pairs = self.blocking.block, self.problem.pairs
        self.rows = _Packed(rows, self.tile.rows, block, pairs)
        windows = self.blocking.right == products.WINDOWS
        self.columns = _Packed(columns, self.tile.columns, block, pairs, windows)
        self.batch_offsets = offsets(groups.batch, 2)
        self.row_offsets = packing.padded(offsets(groups.rows, 2), self.tile.rows)
        column_offsets = offsets(groups.columns, 2)
        self.column_offsets = packing.padded(column_offsets, self.tile.columns)
        self.flags = self._contiguous_panels(len(column_offsets))
        self.chunk_depth, self.chunk_panels = self._chunks()

    def _chunks(self) -> tuple[int, int]:
        """How much of k, and how many panels of columns, are packed at one time."""
        columns, depth = self.columns, self.depth
        if self.blocking.right != products.AHEAD or columns.fixed:
            return depth, columns.panels
        if not self.tile.in_place:
            depth = min(depth, blocking.most_depth(self.blocking.block))
        per_panel = self.problem.batches * self.tile.columns * depth
        most = blocking.packed_elements(self.problem) // per_panel
        if columns.panels <= most:
            return depth, columns.panels
        chunks = -(-columns.panels // max(1, most))
        return depth, -(-columns.panels // chunks)  # even, so that the last one is not a scrap

    def _contiguous_panels(self, count: int) -> Table:
        """1 for each panel whose columns stand side by side in the result (those there are)."""
        panels = self.column_offsets.reshape(-1, self.tile.columns)
        follows = np.diff(panels, axis=1) == 1
        follows |= (np.arange(panels.size).reshape(panels.shape) >= count)[:, 1:]
        return np.ascontiguousarray(follows.all(axis=1).astype(np.int64))


# The scratch buffers of a product.
PACKED_ROWS, PACKED_COLUMNS = RESULT - 1, RESULT - 2


def _recipe(schedule: _Schedule, left: int, out: Layout) -> Recipe:
    tile = schedule.tile
    # room past the end: the micro-kernel prefetches ahead
    per_step = schedule.problem.batches * schedule.chunk_depth * tile.dtype.itemsize
    rows_bytes = 0 if tile.in_place else schedule.rows.panels * tile.rows * per_step + 4096
    scratch = [rows_bytes, schedule.chunk_panels * tile.columns * per_step + 4096]
    calls = tuple(_chunks(schedule, left))
    if schedule.blocking.right != products.AHEAD:
        scratch.pop()
        if tile.in_place:
            scratch.pop()
    groups = schedule.groups
    batch, rows, columns = (
        tuple((axis.size, axis.strides[2]) for axis in group)
        for group in (groups.batch, groups.rows, groups.columns)
    )
    blocks = Blocks(batch, rows, columns, products.MOST_EPILOGUE_ARGUMENTS)
    return Recipe(out, calls, tuple(scratch), keep=schedule, blocks=blocks)


def _chunks(schedule: _Schedule, left: int) -> Iterator[Call]:
    """Chunk by chunk: pack the rows and the columns that are packed ahead, then multiply them."""
    rows, columns = schedule.rows, schedule.columns
    ahead = schedule.blocking.right == products.AHEAD
    for k in range(0, schedule.depth, schedule.chunk_depth):
        depth = min(schedule.chunk_depth, schedule.depth - k)
        if not schedule.tile.in_place:
            yield rows.pack(left, PACKED_ROWS, 0, rows.panels, k, depth)
        for panel in range(0, columns.panels, schedule.chunk_panels):
            count = min(schedule.chunk_panels, columns.panels - panel)
            if ahead:
                yield columns.pack(1 - left, PACKED_COLUMNS, panel, count, k, depth)
            yield _product_call(schedule, left, panel, count, k, depth)


def _product_call(
    schedule: _Schedule, left: int, panel: int, panels: int, k: int, depth: int
) -> Call:
    """Multiply the rows with one chunk of the columns."""
    tile, blocking_, problem = schedule.tile, schedule.blocking, schedule.problem
    row_items = -(-schedule.rows.panels // blocking_.row_panels)
    column_items = -(-panels // blocking_.column_panels)
    first = panel * tile.columns
    values = {
        "batch_offsets": schedule.batch_offsets.ctypes.data,
        "row_offsets": schedule.row_offsets.ctypes.data,
        "column_offsets": schedule.column_offsets.ctypes.data + 8 * first,
        "column_flags": schedule.flags.ctypes.data + 8 * panel,
        "rows": problem.rows,
        "columns": min(panels * tile.columns, problem.columns - first),
        "depth": depth,
        "block": blocking_.block,
        "row_panels": schedule.rows.panels,
        "column_panels": panels,
        "rows_per_item": blocking_.row_panels,
        "columns_per_item": blocking_.column_panels,
        "row_items": row_items,
        "column_items": column_items,
        "accumulate": int(k > 0),
        "column_base": first,
        **_left_arguments(schedule, depth),
        **_right_arguments(schedule, panels, depth),
    }
    words = products.arguments(values)
    places = (
        Region(left if tile.in_place else PACKED_ROWS),
        Region(PACKED_COLUMNS if blocking_.right == products.AHEAD else 1 - left),
        Region(RESULT),
    )
    items = problem.batches * row_items * column_items
    kind = products.ON_THE_WAY if blocking_.right == IN_PLACE else blocking_.right
    kernel = product_kernel(tile, kind)
    chunk = int(problem.shared and items > 1)
    completes = k + depth == schedule.depth
    packed = struct.pack(f"<{len(words)}q", *words)
    links = (
        ()
        if blocking_.right == products.AHEAD
        else ((products.PACK_WORD, schedule.columns.kernel),)
    )
    return Call(kernel, places, packed, items, chunk, completes, links=links, role=Role.MULTIPLY)


def _left_arguments(schedule: _Schedule, depth: int) -> dict[str, int]:
    rows = schedule.rows
    if not schedule.tile.in_place:
        return {"left_batch": rows.panels * schedule.tile.rows * depth}
    return {
        "left_batches": rows.batches.ctypes.data,
        "left_places": rows.padded.ctypes.data,
        "left_step": rows.step,
    }


def _right_arguments(schedule: _Schedule, panels: int, depth: int) -> dict[str, int]:
    columns, right = schedule.columns, schedule.blocking.right
    if right == products.AHEAD:
        return {"right_batch": panels * schedule.tile.columns * depth}
    how = columns.packing
    return {
        "pack_batches": columns.batches.ctypes.data,
        "pack_steps": columns.steps.ctypes.data,
        "pack_places": how.places.ctypes.data,
        "pack_extra": how.extra.ctypes.data,
        "per_panel": how.per_panel,
        "extra_per_panel": how.per_panel if how.kind == "runs" else 0,
        "extra_per_step": 0 if how.kind == "runs" else columns.per_step,
        "right_step": columns.step if right == IN_PLACE else 0,
        "right_ahead": _ahead(schedule),
        "packed_steps": columns.packed_steps.ctypes.data,
    }


def _ahead(schedule: _Schedule) -> int:
    """How far ahead the right operand is fetched where it stands: down its rows, or along a long one."""
    step = schedule.columns.step
    if abs(step) * schedule.tile.dtype.itemsize >= PAGE:
        return PANELS_AHEAD * schedule.tile.columns
    return products.AHEAD_STEPS * step
