"""Packing: operands of a product are copied into panels that the micro-kernel reads straight on.

A panel holds `width` rows (or columns) of an operand, and goes along the summed axis k:

    target[k][w] = source[batch + steps[k] + places[w]]

Where elements stand comes from tables of offsets, so a transpose, a batch or a convolution's window
costs nothing but its table. Three kernels do the same copy, each for the operands that it is good at:

- `runs_kernel`: the places of a panel are a few runs side by side (a row-major right operand, the
  places of an image): each run is a masked vector load;
- `transposing_ir`: the steps are side by side (a row-major left operand): squares of a vector by a
  vector are transposed in registers;
- `gather_kernel`: anything else, element by element.

All take the same arguments (`ARGUMENTS`), and write (batch, block of k, panel, k in block, width).
One item of work is one panel (or `side_by_side` of them) of one block of one batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tessella.backends.llvm import register_type
from tessella.backends.loops import (
    Kernel,
    Loop,
    Pointer,
    Store,
    index_constant,
    index_variable,
    load,
)
from tessella.dtypes import DType, int64
from tessella.scalar.expression import Expression
from tessella.scalar.operators import greater_equal, less, minimum, modulo, quotient

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


def choose(places: Table, steps: Table, width: int, lanes: int) -> Packing:
    """The packing that suits an operand, from the offsets of its places and of its steps."""
    starts, ends = _runs(places, width)
    runs = starts.shape[1]
    if runs > 2 and len(steps) >= lanes:
        squares = _squares(steps, lanes)
        if 2 * squares[::lanes].sum() >= len(steps) // lanes:
            return Packing("transpose", width, padded(places, width), squares)
    if runs <= MOST_RUNS:
        return Packing("runs", runs, starts.reshape(-1), ends.reshape(-1))
    return Packing("gather", width, padded(places, width), ends.reshape(-1)[:1])


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


def _frame(dtype: DType, width: int, side: int) -> tuple[dict[str, Pointer], dict[str, Expression]]:
    """The pointers, and the index arithmetic that the loop nests share; `side` panels an item."""
    pointers = {
        name: Pointer(name, dtype if name in ("source", "target") else int64, name == "target")
        for name in POINTERS
    }
    panels, blocks, block, depth, batch_size = map(index_variable, SIZES)
    item, k = index_variable("item"), index_variable("k")
    items = quotient(panels + (side - 1), index_constant(side))
    first_panel = modulo(item, items) * side
    which = modulo(quotient(item, items), blocks)
    batch = quotient(quotient(item, items), blocks)
    first = which * block
    count = minimum(block, depth - first)
    panel = first_panel + index_variable("p") if side > 1 else first_panel
    return pointers, {
        "panel": panel,
        "side": minimum(index_constant(side), panels - first_panel),
        "count": count,
        "base": load(pointers["batches"], batch) + load(pointers["steps"], first + k),
        "start": batch * batch_size + first * panels * width + panel * count * width + k * width,
    }


def _kernel(
    name: str, width: int, pointers: dict[str, Pointer], at: dict[str, Expression], store: Store,
    side: int = 1,
) -> Kernel:  # fmt: skip
    body = Loop(index_variable("w"), index_constant(width), (store,), lanes=width)
    if side > 1:  # else masks and places are the same for all k, and leave the loop
        body = Loop(index_variable("p"), at["side"], (body,))
    along = Loop(index_variable("k"), at["count"], (body,))
    items = Loop(index_variable("item"), None, (along,), parallel=True)
    sizes = tuple(map(index_variable, SIZES))
    return Kernel(name, tuple(pointers.values()), sizes, (items,))


def gather_kernel(dtype: DType, width: int) -> Kernel:
    """Element by element."""
    pointers, at = _frame(dtype, width, 1)
    w = index_variable("w")
    place = load(pointers["places"], at["panel"] * width + w)
    value = load(pointers["source"], at["base"] + place)
    store = Store(pointers["target"], at["start"] + w, value)
    return _kernel(f"pack_gather_{width}", width, pointers, at, store)


def runs_kernel(dtype: DType, width: int, runs: int) -> Kernel:
    """Each run of places by one masked load; lanes after the last run become zero."""
    side = side_by_side("runs", runs)
    pointers, at = _frame(dtype, width, side)
    w = index_variable("w")
    value: Any = 0
    for run in reversed(range(runs)):
        here = at["panel"] * runs + run
        mask = less(w, load(pointers["extra"], here))
        if run:
            mask = mask & greater_equal(w, load(pointers["extra"], here - 1))
        place = load(pointers["places"], here)
        value = load(pointers["source"], at["base"] + place + w, mask, value)
    store = Store(pointers["target"], at["start"] + w, value)
    return _kernel(f"pack_{runs}_runs_{width}", width, pointers, at, store, side)


# --- transposing: LLVM IR ----------------------------------------------------------------------------


def transposing_ir(dtype: DType, width: int, lanes: int, attributes: str) -> str:
    """LLVM IR of `pack`: squares of `lanes` by `lanes` are transposed in registers."""
    kind = register_type(dtype)
    groups = [range(g, min(g + lanes, width)) for g in range(0, width, lanes)]
    return _TRANSPOSING.format(
        kind=kind,
        width=width,
        lanes=lanes,
        attributes=attributes,
        arguments="\n".join(
            f"  %{name}.at = getelementptr i64, ptr %args, i64 {slot}\n"
            f"  %{name} = load {'ptr' if slot < len(POINTERS) else 'i64'}, ptr %{name}.at"
            for slot, name in enumerate(POINTERS + SIZES)
        ),
        rows="\n".join(
            f"  %place.at.{i} = getelementptr i64, ptr %places.here, i64 {i}\n"
            f"  %place.{i} = load i64, ptr %place.at.{i}\n"
            f"  %row.{i} = getelementptr {kind}, ptr %source.here, i64 %place.{i}"
            for i in range(width)
        ),
        square="\n".join(_square(kind, dtype.itemsize, group, width, lanes) for group in groups),
        single="\n".join(
            f"  %one.at.{i} = getelementptr {kind}, ptr %row.{i}, i64 %single.step\n"
            f"  %one.{i} = load {kind}, ptr %one.at.{i}\n"
            f"  %one.to.{i} = getelementptr {kind}, ptr %single.target, i64 {i}\n"
            f"  store {kind} %one.{i}, ptr %one.to.{i}"
            for i in range(width)
        ),
    )


def _square(kind: str, itemsize: int, rows: range, width: int, lanes: int) -> str:
    """Load a vector along k from each row, transpose, and store one part of `lanes` rows of target.

    Interleaving the first half of the vectors with the second, log2(lanes) times, transposes them.
    """
    vector, g, lines = f"<{lanes} x {kind}>", rows.start, []
    values = []
    for i in rows:
        lines += [
            f"  %from.{i} = getelementptr {kind}, ptr %row.{i}, i64 %step",
            f"  %v{g}.0.{i - g} = load {vector}, ptr %from.{i}, align {itemsize}",
        ]
        values.append(f"%v{g}.0.{i - g}")
    values += ["poison"] * (lanes - len(rows))
    half = lanes // 2
    order = [(i // 2) + (lanes if i % 2 else 0) for i in range(2 * lanes)]
    masks = [", ".join(f"i32 {n}" for n in part) for part in (order[:lanes], order[lanes:])]
    for stage in range(1, lanes.bit_length()):
        following = []
        for i in range(half):
            for part, mask in enumerate(masks):
                name = f"%v{g}.{stage}.{2 * i + part}"
                lines.append(
                    f"  {name} = shufflevector {vector} {values[i]}, {vector} {values[i + half]}, "
                    f"<{lanes} x i32> <{mask}>"
                )
                following.append(name)
        values = following
    count = len(rows)
    keep = ", ".join(f"i32 {n}" for n in range(count))
    for j, value in enumerate(values):
        lines += [
            f"  %part{g}.{j} = shufflevector {vector} {value}, {vector} poison, <{count} x i32> <{keep}>",
            f"  %to{g}.{j} = getelementptr {kind}, ptr %target.k, i64 {j * width + g}",
            f"  store <{count} x {kind}> %part{g}.{j}, ptr %to{g}.{j}, align {itemsize}",
        ]
    return "\n".join(lines)


_TRANSPOSING = """
define void @pack(ptr noalias %args, i64 %begin, i64 %end) nounwind {attributes} {{
entry:
{arguments}
  br label %item
item:
  %it = phi i64 [ %begin, %entry ], [ %it.next, %item.end ]
  %it.ok = icmp slt i64 %it, %end
  br i1 %it.ok, label %item.begin, label %leave
item.begin:
  %panel = urem i64 %it, %panels
  %rest = udiv i64 %it, %panels
  %which = urem i64 %rest, %blocks
  %batch = udiv i64 %rest, %blocks
  %first = mul i64 %which, %block
  %left = sub i64 %depth, %first
  %short = icmp slt i64 %left, %block
  %count = select i1 %short, i64 %left, i64 %block
  %batch.at = getelementptr i64, ptr %batches, i64 %batch
  %batch.offset = load i64, ptr %batch.at
  %source.here = getelementptr {kind}, ptr %source, i64 %batch.offset
  %places.first = mul i64 %panel, {width}
  %places.here = getelementptr i64, ptr %places, i64 %places.first
  %steps.here = getelementptr i64, ptr %steps, i64 %first
  %flags.here = getelementptr i64, ptr %extra, i64 %first
  %start.batch = mul i64 %batch, %batch_size
  %start.a = mul i64 %first, %panels
  %start.b = mul i64 %panel, %count
  %start.c = add i64 %start.a, %start.b
  %start.d = mul i64 %start.c, {width}
  %start = add i64 %start.batch, %start.d
  %target.here = getelementptr {kind}, ptr %target, i64 %start
{rows}
  br label %chunk
chunk:
  %k = phi i64 [ 0, %item.begin ], [ %k.next, %chunk.end ]
  %k.ok = icmp slt i64 %k, %count
  br i1 %k.ok, label %chunk.begin, label %item.end
chunk.begin:
  %k.next = add nsw i64 %k, {lanes}
  %fits = icmp sle i64 %k.next, %count
  %flag.at = getelementptr i64, ptr %flags.here, i64 %k
  %flag = load i64, ptr %flag.at
  %flagged = icmp ne i64 %flag, 0
  %whole = and i1 %fits, %flagged
  br i1 %whole, label %square, label %singles
square:
  %step.at = getelementptr i64, ptr %steps.here, i64 %k
  %step = load i64, ptr %step.at
  %k.place = mul i64 %k, {width}
  %target.k = getelementptr {kind}, ptr %target.here, i64 %k.place
{square}
  br label %chunk.end
singles:
  %past = select i1 %fits, i64 %k.next, i64 %count
  br label %single
single:
  %s = phi i64 [ %k, %singles ], [ %s.next, %single ]
  %single.step.at = getelementptr i64, ptr %steps.here, i64 %s
  %single.step = load i64, ptr %single.step.at
  %single.place = mul i64 %s, {width}
  %single.target = getelementptr {kind}, ptr %target.here, i64 %single.place
{single}
  %s.next = add nsw i64 %s, 1
  %s.more = icmp slt i64 %s.next, %past
  br i1 %s.more, label %single, label %chunk.end
chunk.end:
  br label %chunk
item.end:
  %it.next = add nsw i64 %it, 1
  br label %item
leave:
  ret void
}}
"""
