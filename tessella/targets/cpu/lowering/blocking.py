"""How a product is cut into blocks, so that what is used again is still in a cache.

What `choose` says follows from the sizes of the product and of the caches; `tessella.targets.cpu.tuning`
looks for something better by trying it.

    L1  small right operands that are not packed
    L2  a panel of each operand, for one block of k; left operands that are not packed, right ones for few rows
    L3  an item's panels of rows; a block of all rows; what is packed of the right operand at one time

Each pass over k goes over the result once more, so blocks are long. A panel comes from L2 as fast as the
micro-kernel multiplies it, and panels of rows come from L3 in a straight line.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from tessella.targets.cpu import machine
from tessella.targets.cpu.lowering import tuned
from tessella.targets.cpu.lowering.tuned import Choice, Problem
from tessella.targets.cpu.products import AHEAD, ON_THE_WAY, WINDOWS
from tessella.targets.cpu.tiles import Tile, tile_for

IN_PLACE = "in place"  # the right operand is read where it stands, as far as it can be
LEAST_BLOCK, LONGEST_BLOCK = 256, 1024  # of k: shorter ones go over the result too often
FAR_BLOCK = 16  # of k, where rows of the right operand come from far and are read once
FEW_VECTORS = 16  # of columns: a left operand that so few multiply is not worth packing
FEW_PANELS, SOME_PANELS, MANY_PANELS = 3, 6, 64  # of rows, for one panel of columns
ENOUGH_ROWS = 512  # of an item: more do not make the columns' way to L1 shorter
ITEMS = 16  # at least, so that threads that started late still find some


class Blocking(NamedTuple):
    """How a product is cut.

    Args:
        block: of k.
        right: when the right operand is packed: `AHEAD`, `ON_THE_WAY`, `WINDOWS` (what does not lie side by
            side, on the way), or `IN_PLACE` if never.
        row_panels, column_panels: of one item.
    """

    tile: Tile
    block: int
    right: str
    row_panels: int
    column_panels: int


def choose(problem: Problem) -> Blocking:
    """The blocking that was found best on this machine, or else the one that the caches ask for."""
    return cut(problem, tuned.lookup(shape_class(problem)) or choice_for(problem))


def cut(problem: Problem, choice: Choice) -> Blocking:
    """The blocking that a choice means for a product."""
    tile = tile_for(problem.dtype, problem.rows, choice.left_in_place, problem.pairs)
    block = _evenly(problem.depth, choice.most_block)
    rows, columns = _panels(problem, tile)
    if problem.shared:
        rows, columns = min(rows, choice.row_panels), min(columns, choice.column_panels)
    return Blocking(tile, block, choice.right, rows, columns)


def shape_class(problem: Problem) -> Problem:
    """Products that are cut alike: their sizes are rounded up to two leading digits (in binary, three).

    >>> from tessella.dtypes import float32
    >>> found = shape_class(Problem(float32, False, 1, 100, 1000, 7, True, True, True, False, False))
    >>> found.rows, found.columns, found.depth
    (112, 1024, 7)
    """
    return problem._replace(
        batches=_rounded(problem.batches),
        rows=_rounded(problem.rows),
        columns=_rounded(problem.columns),
        depth=_rounded(problem.depth),
    )


def _rounded(size: int) -> int:
    unit = 1 << max(0, size.bit_length() - 3)
    return -(-size // unit) * unit


def choice_for(problem: Problem) -> Choice:
    """The choice that the caches ask for."""
    in_place = _left_in_place(problem)
    tile = tile_for(problem.dtype, problem.rows, in_place, problem.pairs)
    right = _right(problem, tile)
    return Choice(in_place, right, _most_block(tile, problem, right), *_items(problem, tile, right))


def _left_in_place(problem: Problem) -> bool:
    """Whether the left operand is read where it stands: if it stays in a cache so, or is read few times."""
    if not problem.left_stays or problem.left_fixed:
        return False
    level1, level2 = machine.cache_bytes(1, 1 << 15), machine.cache_bytes(2, 1 << 19)
    nbytes = problem.rows * problem.depth * problem.dtype.itemsize
    if not problem.left_straight:
        return nbytes <= level1
    few = problem.columns * problem.dtype.itemsize <= FEW_VECTORS * machine.vector_bytes()
    return few or nbytes <= level2 // 2


def _most_block(tile: Tile, problem: Problem, right: str) -> int:
    """Of k: a panel of each operand fills half of L2."""
    far = _right_bytes(problem) > machine.cache_bytes(2, 1 << 19)
    # long sums stay with long blocks: many short ones, added one by one, would lose digits
    if right == IN_PLACE and far and problem.depth <= LEAST_BLOCK * FAR_BLOCK:
        return FAR_BLOCK
    level2 = machine.cache_bytes(2, 1 << 19)
    most = level2 // 2 // ((tile.rows + tile.columns) * tile.dtype.itemsize)
    return min(max(LEAST_BLOCK, most), LONGEST_BLOCK)


def _evenly(size: int, most: int) -> int:
    """The length of equal parts that are at most so long: the last one should be no scrap.

    >>> _evenly(512, 352), _evenly(300, 352)
    (256, 300)
    """
    parts = -(-size // most)
    return -(-size // parts)


def _right(problem: Problem, tile: Tile) -> str:
    """When the right operand is packed."""
    if problem.right_fixed:
        return AHEAD
    row_panels, column_panels = _panels(problem, tile)
    nbytes = _right_bytes(problem)
    near = nbytes <= 2 * machine.cache_bytes(1, 1 << 15)
    panels = 2  # of rows, that read it where it stands sooner than it is packed
    if nbytes <= machine.cache_bytes(2, 1 << 19):
        panels = MANY_PANELS if near else SOME_PANELS
    if problem.right_stays and row_panels <= panels:
        return IN_PLACE
    if problem.right_windows and row_panels <= FEW_PANELS:  # packing takes longer than it saves
        return WINDOWS
    if near and row_panels > MANY_PANELS:  # packed once, it is read very often
        return AHEAD
    # a block of all rows goes by for every panel of columns: what L2 does not hold comes from L3 in time
    rows_bytes = row_panels * tile.rows * LEAST_BLOCK * tile.dtype.itemsize
    few = rows_bytes <= 2 * machine.cache_bytes(2, 1 << 19)
    return ON_THE_WAY if few and problem.batches * column_panels >= 4 else AHEAD


def _right_bytes(problem: Problem) -> int:
    return problem.depth * problem.columns * problem.dtype.itemsize


def _panels(problem: Problem, tile: Tile) -> tuple[int, int]:
    return -(-problem.rows // tile.rows), -(-problem.columns // tile.columns)


def _items(problem: Problem, tile: Tile, right: str) -> tuple[int, int]:
    """Panels of rows and of columns in one item: enough to reuse, enough items to share."""
    rows, columns = _panels(problem, tile)
    if right == IN_PLACE:  # long stretches of each row of the right operand
        return rows, max(1, min(64, problem.batches * columns // 4))
    if right in (ON_THE_WAY, WINDOWS):  # a panel of columns serves all rows
        return rows, max(1, min(8, problem.batches * columns // (2 * ITEMS)))
    per_row, per_column = _rows_of_item(problem, tile), 4
    while per_row * per_column > 1:
        if problem.batches * -(-rows // per_row) * -(-columns // per_column) >= ITEMS:
            break
        if per_column >= per_row:
            per_column = max(1, per_column // 2)
        else:
            per_row = max(1, per_row // 2)
    return per_row, per_column


def _rows_of_item(problem: Problem, tile: Tile) -> int:
    """Panels of rows that serve several panels of columns: what half of L2 holds for one block of k.

    Where that is few, they may come from L3: up to a sixteenth of it, which others use, too.
    """
    block = _evenly(problem.depth, _most_block(tile, problem, AHEAD))
    panel = tile.rows * block * tile.dtype.itemsize
    near = machine.cache_bytes(2, 1 << 19) // 2 // panel
    far = machine.cache_bytes(3, 1 << 23) // 16 // panel
    return max(8, near, min(far, ENOUGH_ROWS // tile.rows))


def packed_elements(problem: Problem) -> int:
    """Elements of the right operand that are packed at one time: a quarter of L3."""
    return max(1 << 18, machine.cache_bytes(3, 1 << 23) // 4) // problem.dtype.itemsize


def most_depth(block: int) -> int:
    """Of k that is packed at one time: whole blocks."""
    return math.ceil(6000 / block) * block
