"""Contractions as plain loops: for shapes too small to tile, and for integers."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from tessella.compiler.lowering.kernels import (
    Dimension,
    call,
    collapse,
    decode,
    dot,
    lanes_of,
    parts,
    sizes,
    values,
)
from tessella.compiler.lowering.movement import filled
from tessella.compiler.recipe import RESULT, Recipe, Role
from tessella.devices.array import Layout, contiguous_layout, row_major
from tessella.dtypes import DType
from tessella.loops.nest import (
    Carried,
    Combine,
    Kernel,
    Loop,
    Pointer,
    Store,
    index_constant,
    index_variable,
    load,
)
from tessella.primitives.base import Spec
from tessella.primitives.contraction import Contraction
from tessella.scalar import operators
from tessella.scalar.expression import Expression, constant, variable
from tessella.scalar.operators import modulo, quotient


class Axis(NamedTuple):
    """One label of a contraction: its size, its strides in x, y and out, and where it is."""

    size: int
    strides: tuple[int, int, int]
    member: tuple[bool, bool, bool]


def axes_of(primitive: Contraction, x: Layout, y: Layout) -> tuple[list[Axis], list[Axis]]:
    """The axes of a contraction, kept ones in the result's order, and summed ones.

    A label of the output walks the input of a convolution by its stride, one of the kernel by its
    dilation; padding and spreading have been done before.
    """
    sizes_ = primitive.sizes(Spec(x.shape, x.dtype), Spec(y.shape, y.dtype))
    shape = tuple(sizes_[label] for label in primitive.output)
    out = dict(zip(primitive.output, row_major(shape), strict=True))
    in_x: dict[int, int] = {}
    for label, stride in zip(primitive.left, x.strides, strict=True):
        in_x[label] = in_x.get(label, 0) + stride
    in_y = dict(zip(primitive.right, y.strides, strict=True))
    for g in primitive.geometry:
        stride = in_x.pop(g.input)
        in_x[g.output] = stride * g.stride
        in_x[g.kernel] = stride * g.kernel_dilation
    labels = [*primitive.output]
    labels += sorted((set(in_x) | set(in_y)) - set(labels))
    table = {
        label: Axis(
            sizes_[label],
            (in_x.get(label, 0), in_y.get(label, 0), out.get(label, 0)),
            (label in in_x, label in in_y, label in out),
        )
        for label in labels
    }
    kept = [table[label] for label in primitive.output]
    summed = [table[label] for label in labels if label not in out]
    return kept, summed


COLUMNS_PER_ITEM = 256  # of a row of the result, for one item of work
SEVERAL_VECTORS = 4  # this many vectors at once hide the latency of the additions
MOST_TAPS = 27  # of a sum that is written out: a loop costs more than its few turns
FEW_TAPS = 4  # the same where that is much code for little: see `_most_taps`
MANY_SUMS = 1 << 14
NARROW = 8  # columns; vectors go along another axis if that is longer


def lower(
    primitive: Contraction, layouts: list[Layout], result: Spec,
    fixed: tuple[bool, bool] = (False, False),
) -> Recipe:  # fmt: skip
    """The recipe of a contraction as loops over its axes; operands that stay the same are read like others."""
    x, y = layouts
    out = contiguous_layout(result.shape, result.dtype)
    if out.size == 0:
        return Recipe(out, ())
    kept_axes, summed_axes = axes_of(primitive, x, y)
    if any(axis.size == 0 for axis in summed_axes):
        return filled(out, 0)
    kept = _collapse(kept_axes) or [Dimension(1, (0, 0, 1))]
    summed = _collapse(sorted(summed_axes, key=lambda axis: -max(map(abs, axis.strides))))
    summed = summed or [Dimension(1, (0, 0, 0))]
    across = _across(kept)
    if across is not None:
        kept.append(kept.pop(across))
    numbers = {**values("k", [d.size for d in kept]), **values("s", [d.size for d in summed])}
    for position, name in enumerate(("x", "y")):
        numbers |= values(f"{name}k", [d.strides[position] for d in kept])
        numbers |= values(f"{name}s", [d.strides[position] for d in summed])
    if across is not None:
        numbers |= values("ok", [d.strides[2] for d in kept])
    taps = tuple(d.size for d in summed)
    form = _Form(x.dtype, result.dtype, len(kept), len(summed), across=across is not None)
    if across is None and _along_sum(kept[-1], summed[-1]):
        kernel, items = _dot_kernel(form, _steps(summed[-1])), out.size
    else:
        n = kept[-1].size
        if math.prod(taps) <= _most_taps(out, kept[-1]):
            form = form._replace(taps=taps)
        kernel = _columns_kernel(form, _steps(kept[-1]), _column_lanes(form, kept[-1]))
        items = out.size // n * -(-n // COLUMNS_PER_ITEM)
    work = 2 * out.size * math.prod(d.size for d in summed)
    products = call(kernel, numbers, items, work, 0, 1, RESULT)._replace(role=Role.MULTIPLY)
    return Recipe(out, (products,))


def _most_taps(out: Layout, along: Dimension) -> int:
    """Of a sum that is written out, for results along an axis.

    Operands that are read one by one make each tap long; and where there are few sums, compiling takes longer
    than it ever saves.
    """
    return MOST_TAPS if out.size >= MANY_SUMS and 2 not in _steps(along) else FEW_TAPS


def _across(kept: Sequence[Dimension]) -> int | None:
    """The axis that vectors go along instead of a narrow last one; None if that is not better."""
    if kept[-1].size >= NARROW:
        return None
    straight = [i for i, d in enumerate(kept[:-1]) if d.size > kept[-1].size and 2 not in _steps(d)]
    return max(straight, key=lambda i: kept[i].size, default=None)


def _collapse(axes: Sequence[Axis]) -> list[Dimension]:
    strides = [[axis.strides[which] for axis in axes] for which in range(3)]
    return collapse([axis.size for axis in axes], strides)


def _steps(dimension: Dimension) -> tuple[int, ...]:
    """How x and y move along an axis: 0, 1, or 2 for any other stride."""
    return tuple(stride if stride in (0, 1) else 2 for stride in dimension.strides[:2])


def _along_sum(kept: Dimension, summed: Dimension) -> bool:
    """Whether vectors should lie along the summed axis (dot products) and not along the columns."""
    return 2 not in _steps(summed) and summed.size >= 16 and 2 in _steps(kept)


class _Form(NamedTuple):
    """What a kernel depends on besides the steps of its vectors.

    Args:
        taps: the sizes of a sum that is written out.
        across: whether vectors do not go along the last axis of the result.
    """

    dtype: DType
    result: DType
    kept: int
    summed: int
    taps: tuple[int, ...] = ()
    across: bool = False


class _Frame:
    """The pointers, sizes and index arithmetic that both kernels share."""

    def __init__(self, form: _Form) -> None:
        self.form = form
        self.pointers = (
            Pointer("x", form.dtype),
            Pointer("y", form.dtype),
            Pointer("out", form.result, written=True),
        )
        self.kept, self.summed = sizes("k", form.kept), sizes("s", form.summed)
        self.kept_strides = [sizes(f"{name}k", form.kept) for name in "xy"]
        self.summed_strides = [sizes(f"{name}s", form.summed) for name in "xy"]
        self.out_strides = sizes("ok", form.kept) if form.across else ()
        self.turns = [index_variable(f"t{i}") for i in range(form.summed)]
        self.wide = form.dtype.compute

    def names(self) -> tuple[Expression, ...]:
        strides = [name for group in self.kept_strides + self.summed_strides for name in group]
        return (*self.kept, *self.summed, *strides, *self.out_strides)

    def sums(self, bases: Sequence[Expression], steps: tuple[int, ...], lanes: int) -> Any:
        """The nest of loops over the summed axes, and its total; the last axis moves by `steps`."""
        last = len(self.turns) - 1
        reads = []
        for pointer, base, strides, step in zip(
            self.pointers[:2], bases, self.summed_strides, steps, strict=True
        ):
            along = self.turns[last] * (strides[last] if step == 2 else step)
            index = base + dot(self.turns[:last], strides[:last]) + along
            reads.append(operators.convert(load(pointer, index), self.wide))
        loop: Loop | None = None
        inner: Expression | None = None
        for level in range(last, -1, -1):
            total = variable(f"total{level}", self.wide)
            following = _multiply_add(reads[0], reads[1], total) if inner is None else total + inner
            carried = Carried(total, constant(0, self.wide), following)
            body = () if loop is None else (loop,)
            several = lanes if level == last else 1
            loop = Loop(
                self.turns[level], self.summed[level], body, lanes=several, carried=(carried,),
                combine=_addition(self.wide) if several > 1 else None,
            )  # fmt: skip
            inner = total
        return loop, inner

    def written_out(self, bases: Sequence[Expression]) -> Expression:
        """The sum over all taps as one expression."""
        total = constant(0, self.wide)
        for turn in itertools.product(*map(range, self.form.taps)):
            x, y = (
                operators.convert(load(pointer, base + dot(list(strides), turn)), self.wide)
                for pointer, base, strides in zip(
                    self.pointers[:2], bases, self.summed_strides, strict=True
                )
            )
            total = _multiply_add(x, y, total)
        return total


def _multiply_add(a: Expression, b: Expression, total: Expression) -> Expression:
    return operators.fma(a, b, total) if total.dtype.is_float else total + a * b


def _addition(dtype: DType) -> Combine:
    left, right = variable("left", dtype), variable("right", dtype)
    return Combine((left,), (right,), (left + right,))


def _column_lanes(form: _Form, columns: Dimension) -> int:
    """How many columns go abreast: no more than there are."""
    width = lanes_of(form.dtype.compute)
    # what does not lie in order is read one by one: half a vector is as good, and half the code
    lanes = width // 2 if 2 in _steps(columns) else SEVERAL_VECTORS * width
    while lanes > max(2, columns.size):
        lanes //= 2
    return max(2, lanes)


@functools.cache
def _columns_kernel(form: _Form, steps: tuple[int, ...], lanes: int) -> Kernel:
    """Vectors along the last kept axis; an item is a part of it."""
    frame = _Frame(form)
    item, j = index_variable("item"), index_variable("j")
    n = frame.kept[-1]
    per_row = parts(n, COLUMNS_PER_ITEM)
    row, first = quotient(item, per_row), modulo(item, per_row) * COLUMNS_PER_ITEM
    column = first + j
    indices = decode(row, frame.kept[:-1])
    bases = [
        dot(indices, strides[:-1]) + column * (strides[-1] if step == 2 else step)
        for strides, step in zip(frame.kept_strides, steps, strict=True)
    ]
    if form.taps:
        loops, total = [], frame.written_out(bases)
    else:
        loop, total = frame.sums(bases, (2, 2), lanes=1)
        loops = [loop]
    place = row * n + column
    if form.across:
        place = dot([*indices, column], frame.out_strides)
    store = Store(frame.pointers[2], place, operators.convert(total, form.result))
    count = operators.minimum(index_constant(COLUMNS_PER_ITEM), n - first)
    inside = Loop(j, count, (*loops, store), lanes=lanes)
    body = Loop(item, None, (inside,), parallel=True)
    return Kernel("contraction_columns", frame.pointers, frame.names(), (body,))


@functools.cache
def _dot_kernel(form: _Form, steps: tuple[int, ...]) -> Kernel:
    """Vectors along the summed axis; an item is one element of the result."""
    frame = _Frame(form)
    item = index_variable("item")
    indices = decode(item, frame.kept)
    bases = [dot(indices, strides) for strides in frame.kept_strides]
    loop, total = frame.sums(bases, steps, lanes=SEVERAL_VECTORS * lanes_of(frame.wide))
    store = Store(frame.pointers[2], item, operators.convert(total, form.result))
    body = Loop(item, None, (loop, store), parallel=True)
    return Kernel("contraction_dots", frame.pointers, frame.names(), (body,))
