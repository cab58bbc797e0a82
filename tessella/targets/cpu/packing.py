"""Packing: operands of a product are copied into panels that the micro-kernel reads straight on.

A panel holds `width` rows (or columns) of an operand, and goes along the summed axis k:

    target[k][w] = source[batch + steps[k] + places[w]]

Where elements stand comes from tables of offsets, so a transpose, a batch or a convolution's window
costs nothing but its table. Three kernels do the same copy, each for the operands that it is good at:

- `runs_kernel`: the places of a panel are a few runs side by side (a row-major right operand, the
  places of an image): each run is a masked vector load;
- `tessella.targets.cpu.transposing`: the steps are side by side (a row-major left operand): squares are
  transposed in registers;
- `gather_kernel`: anything else, element by element.

Half precision is widened on the way, so that no copy in float32 is made. For processors that multiply
pairs of bfloat16, an element of a panel is such a pair: two steps of k, the first in its lower half.

All take the same arguments (`ARGUMENTS`), and write (batch, block of k, panel, k in block, width).
One item of work is one panel (or `side_by_side` of them) of one block of one batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from tessella.dtypes import DType, int16, int32, int64, uint16
from tessella.loops.nest import Kernel, Loop, Pointer, Store, index_constant, index_variable, load
from tessella.scalar.expression import Expression
from tessella.scalar.operators import (
    convert,
    greater_equal,
    less,
    minimum,
    modulo,
    not_equal,
    quotient,
)

Table = np.ndarray[Any, np.dtype[np.int64]]

POINTERS = ("source", "target", "batches", "steps", "places", "extra")
SIZES = ("panels", "blocks", "block", "depth", "batch_size")
MOST_RUNS = 8  # more loads per row of a panel than this, and a gather is as good


@dataclass(frozen=True)
class Packing:
    """How one operand is packed: the kernel's kind and its tables.

    A panel has `per_panel` places. `extra` is where runs end (kind "runs"), or which steps begin a
    square (kind "transpose").
    """

    kind: str
    per_panel: int
    places: Table
    extra: Table


def choose(places: Table, steps: Table, width: int, square: int, by_runs: bool = False) -> Packing:
    """The packing that suits an operand, from the offsets of its places and of its steps.

    Args:
        square: the steps that a transposed square holds.
        by_runs: whether it has to be kind "runs".
    """
    starts, ends = _runs(places, width)
    runs = starts.shape[1]
    if by_runs:
        return Packing("runs", runs, starts.reshape(-1), ends.reshape(-1))
    if runs > 2 and len(steps) >= square:
        squares = _squares(steps, square)
        if 2 * squares[::square].sum() >= len(steps) // square:
            return Packing("transpose", width, padded(places, width), squares)
    if runs <= MOST_RUNS:
        return Packing("runs", runs, starts.reshape(-1), ends.reshape(-1))
    return Packing("gather", width, padded(places, width), ends.reshape(-1)[:1])


def constant_step(steps: Table) -> int:
    """How far it is from each step to the next, if always equally far; else 0.

    >>> constant_step(np.array([0, 5, 10])), constant_step(np.array([0, 5, 9])), constant_step(np.array([3]))
    (5, 0, 1)
    """
    if len(steps) == 1:
        return 1
    found = np.diff(steps)
    return int(found[0]) if steps[0] == 0 and (found == found[0]).all() else 0


def offsets(sizes: Sequence[int], strides: Sequence[int]) -> Table:
    """The offset of every position of some axes, the last axis fastest.

    >>> offsets((2, 3), (10, 1))
    array([ 0,  1,  2, 10, 11, 12])
    """
    total = np.zeros((), np.int64)
    for size, stride in zip(sizes, strides, strict=True):
        total = np.add.outer(total, np.arange(size, dtype=np.int64) * stride)
    return np.ascontiguousarray(total.reshape(-1))


def padded(table: Table, multiple: int) -> Table:
    """A table up to a multiple, by offsets that exist.

    >>> padded(np.array([5, 6, 7]), 4)
    array([5, 6, 7, 5])
    """
    missing = -len(table) % multiple
    return np.concatenate([table, np.full(missing, table[0])]) if missing else table


def side_by_side(kind: str, runs: int) -> int:
    """How many panels one item packs: several of one run, so that memory is read straight on."""
    return 4 if kind == "runs" and runs == 1 else 1


def _runs(places: Table, width: int) -> tuple[Table, Table]:
    """For each panel its runs: what to add to a lane's number to get its place, and their ends.

    >>> starts, ends = _runs(np.array([4, 5, 9, 10, 11]), 4)
    >>> starts.tolist(), ends.tolist()
    ([[4, 7], [11, 11]], [[2, 4], [1, 1]])
    """
    count = len(places)
    panels = -(-count // width)
    position = np.arange(count)
    begins = np.ones(count, bool)
    begins[1:] = (np.diff(places) != 1) | (position[1:] % width == 0)
    first = np.flatnonzero(begins)  # the position where each run begins
    panel = first // width
    number = np.arange(len(first)) - np.searchsorted(panel, panel)  # of the run in its panel
    runs = int(number.max()) + 1
    past = np.append(first[1:], count)  # where it ends
    starts, ends = np.zeros((panels, runs), np.int64), np.zeros((panels, runs), np.int64)
    starts[panel, number] = places[first] - first % width
    ends[panel, number] = past - panel * width
    for column in range(1, runs):  # panels with fewer runs repeat their last
        lacking = ends[:, column] == 0
        starts[lacking, column], ends[lacking, column] = (
            starts[lacking, column - 1], ends[lacking, column - 1],
        )  # fmt: skip
    return starts, ends


def _squares(steps: Table, lanes: int) -> Table:
    """1 where `lanes` steps from here on stand side by side, else 0.

    >>> _squares(np.array([0, 1, 2, 3, 8, 9]), 2)
    array([1, 1, 1, 0, 1, 0])
    """
    together = np.concatenate([[0], np.cumsum(np.diff(steps) == 1)])
    flags = np.zeros(len(steps), np.int64)
    whole = len(steps) - lanes + 1
    flags[:whole] = together[lanes - 1 :] - together[:whole] == lanes - 1
    return flags


# --- loop nests --------------------------------------------------------------------------------------


class Elements(NamedTuple):
    """What is packed, and what an element of a panel is: widened, or a pair of two steps.

    Args:
        odd: whether the last pair lacks its second step.
    """

    source: DType
    target: DType
    pairs: bool = False
    odd: bool = False


MISSING = np.iinfo(np.int64).min  # the second step of a pair that has none: it counts as 0


def paired(steps: Table) -> Table:
    """An even number of steps.

    >>> len(paired(np.array([0, 1, 2]))), len(paired(np.array([0, 1])))
    (4, 2)
    """
    return np.append(steps, MISSING) if len(steps) % 2 else steps


def _both(a: Expression | None, b: Expression | None) -> Expression | None:
    if a is None or b is None:
        return a if b is None else b
    return a & b


class _Frame:
    """The pointers, and the index arithmetic that the loop nests share.

    Args:
        side: panels that one item packs.
    """

    def __init__(self, elements: Elements, width: int, side: int) -> None:
        self.elements, self.width, self.side = elements, width, side
        read = uint16 if elements.pairs else elements.source  # pairs are put together as bits
        kinds = {"source": read, "target": elements.target}
        self.pointers = {
            name: Pointer(name, kinds.get(name, int64), name == "target", table=name not in kinds)
            for name in POINTERS
        }
        panels, blocks, block, depth, batch_size = map(index_variable, SIZES)
        item, k = index_variable("item"), index_variable("k")
        items = quotient(panels + (side - 1), index_constant(side))
        first_panel = modulo(item, items) * side
        which = modulo(quotient(item, items), blocks)
        batch = quotient(quotient(item, items), blocks)
        first = which * block
        self.count = minimum(block, depth - first)
        self.panel = first_panel  # the first of the item
        self.sides = minimum(index_constant(side), panels - first_panel)
        self.batch = load(self.pointers["batches"], batch)
        self.step = first + k
        self.start = batch * batch_size + first * panels * width + k * width
        self.lane = index_variable("w")

    def read(self, *pieces: tuple[Expression, Expression | None]) -> Expression:
        """An element of the panel, from the place of the last piece whose mask holds; 0 where none does."""
        if not self.elements.pairs:
            return convert(
                self._read(load(self.pointers["steps"], self.step), pieces), self.elements.target
            )
        halves = []
        for half in range(2):
            step = load(self.pointers["steps"], self.step * 2 + half)
            there = not_equal(step, index_constant(MISSING)) if half and self.elements.odd else None
            seen = [(place, _both(mask, there)) for place, mask in pieces]
            halves.append(convert(self._read(step, seen), self.elements.target))
        return halves[0] | halves[1] << 16

    def _read(
        self, step: Expression, pieces: Sequence[tuple[Expression, Expression | None]]
    ) -> Expression:
        value: Any = 0
        for place, mask in pieces:  # each is read over those before it
            value = load(self.pointers["source"], self.batch + step + place, mask, value)
        return value

    def row(self, panel: Expression, value: Expression) -> Loop:
        """The loop that writes one step of k of a panel."""
        where = self.start + panel * self.count * self.width + self.lane
        store = Store(self.pointers["target"], where, value)
        return Loop(self.lane, index_constant(self.width), (store,), lanes=self.width)

    def kernel(self, name: str, body: tuple[Loop, ...]) -> Kernel:
        along = Loop(index_variable("k"), self.count, body)
        items = Loop(index_variable("item"), None, (along,), parallel=True)
        sizes = tuple(map(index_variable, SIZES))
        return Kernel(name, tuple(self.pointers.values()), sizes, (items,))


def gather_kernel(elements: Elements, width: int) -> Kernel:
    """Element by element."""
    frame = _Frame(elements, width, 1)
    place = load(frame.pointers["places"], frame.panel * width + frame.lane)
    row = frame.row(frame.panel, frame.read((place, None)))
    return frame.kernel(f"pack_gather_{width}", (row,))


def runs_kernel(elements: Elements, width: int, runs: int) -> Kernel:
    """Each run of places by one masked load; lanes after the last run become zero.

    Most panels are one run, even where some go over the end of a line: they need no masks.
    """
    if runs == 1:
        return _single_run_kernel(elements, width)
    frame = _Frame(elements, width, side_by_side("runs", runs))
    extra, places = frame.pointers["extra"], frame.pointers["places"]
    first = frame.panel * runs
    whole = convert(greater_equal(load(extra, first), index_constant(width)), int64)
    full = frame.read((load(places, first) + frame.lane, None))
    pieces = []
    small = (
        int16 if elements.pairs else int32
    )  # as wide as what is read: one comparison for all lanes
    lane = convert(frame.lane, small)
    for run in reversed(range(runs)):
        here = first + run
        mask = less(lane, convert(load(extra, here), small))
        if run:
            mask = mask & greater_equal(lane, convert(load(extra, here - 1), small))
        pieces.append((load(places, here) + frame.lane, mask))
    # masks and places are the same for all k, and leave the loop
    body = (
        Loop(index_variable("p"), whole, (frame.row(frame.panel, full),)),
        Loop(index_variable("q"), 1 - whole, (frame.row(frame.panel, frame.read(*pieces)),)),
    )
    return frame.kernel(f"pack_{runs}_runs_{width}", body)


def _single_run_kernel(elements: Elements, width: int) -> Kernel:
    """Several panels for each k, so that memory is read straight on; only the last may need a mask."""
    frame = _Frame(elements, width, side_by_side("runs", 1))
    extra, places = frame.pointers["extra"], frame.pointers["places"]
    last = load(extra, frame.panel + frame.sides - 1)
    whole = frame.sides - convert(less(last, index_constant(width)), int64)
    p, q = index_variable("p"), index_variable("q")
    panel = frame.panel + p
    full = frame.read((load(places, panel) + frame.lane, None))
    part = frame.panel + whole + q
    mask = less(frame.lane, load(extra, part))
    rest = frame.read((load(places, part) + frame.lane, mask))
    body = (
        Loop(p, whole, (frame.row(panel, full),)),
        Loop(q, frame.sides - whole, (frame.row(part, rest),)),
    )
    return frame.kernel(f"pack_1_runs_{width}", body)
