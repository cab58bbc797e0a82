"""Reductions: rows, columns, and large ones in two stages.

If the innermost axis is reduced, each row is reduced in the lanes of vector registers, which are
brought together at its end. If it is kept, neighbouring columns are reduced side by side. Where
few results come from many elements, the elements are cut into chunks, reduced in parallel, and the
chunks' results reduced again. How it is cut depends on shapes alone, so every run gives the same
bits.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

from tessella.compiler.lowering.kernels import (
    Dimension,
    call,
    collapse,
    decode,
    dot,
    lanes_of,
    sizes,
    values,
)
from tessella.compiler.recipe import MOST_KERNELS, RESULT, Call, Recipe
from tessella.devices.array import Layout, contiguous_layout
from tessella.dtypes import DType
from tessella.loops.nest import (
    Carried,
    Combine,
    Kernel,
    Loop,
    Pointer,
    Statement,
    Store,
    index_constant,
    index_variable,
    load,
)
from tessella.primitives.base import Spec
from tessella.primitives.monoid import Monoid, Parts, neutral
from tessella.primitives.reduce import Reduce
from tessella.scalar import operators
from tessella.scalar.expression import Expression, variable

CHUNK = 1 << 15  # elements of one chunk of a large reduction
MOST_CHUNKS = 64
NARROW = 16  # fewer columns than this are reduced one by one


class Form(NamedTuple):
    """What a kernel is made for; everything else is an argument."""

    monoid: Monoid
    dtype: DType
    kept: int  # how many kept dimensions
    reduced: int  # how many reduced dimensions
    columns: bool  # whether the innermost kept dimension is vectorised
    unit: bool  # whether the vectorised dimension has stride 1
    chunked: bool  # first stage: results are partial
    second: bool  # second stage: elements are partial results
    lanes: int


def lower(primitive: Reduce, layouts: list[Layout], result: Spec) -> Recipe:
    (layout,) = layouts
    out = contiguous_layout(result.shape, result.dtype)
    if out.size == 0:
        return Recipe(out, ())
    kept_axes = [axis for axis in range(layout.ndim) if axis not in primitive.axes]
    kept = collapse(
        [layout.shape[axis] for axis in kept_axes],
        [[layout.strides[axis] for axis in kept_axes]],
    )
    reduced_axes = sorted(primitive.axes, key=lambda axis: -abs(layout.strides[axis]))
    reduced = collapse(
        [layout.shape[axis] for axis in reduced_axes],
        [[layout.strides[axis] for axis in reduced_axes]],
    )
    reduced = reduced or [Dimension(1, (1,))]
    if any(layout.shape[axis] == 0 for axis in primitive.axes):
        reduced = [Dimension(0, (1,))]
    return recipe_of(primitive.monoid, layout.dtype, kept, reduced, out)


def recipe_of(
    monoid: Monoid, dtype: DType, kept: list[Dimension], reduced: list[Dimension], out: Layout
) -> Recipe:
    """The recipe of a reduction, from the axes that are kept and those that are reduced."""
    columns = bool(kept) and kept[-1].strides[0] == 1 and kept[-1].size >= NARROW
    columns = columns and reduced[-1].strides[0] != 1
    chunks = _chunk_count(kept, reduced, columns)
    form = _form(monoid, dtype, kept, reduced, columns, chunked=chunks > 1)
    per_chunk = -(-reduced[0].size // chunks)
    count = out.size
    elements = count
    for dimension in reduced:
        elements *= dimension.size
    numbers = {
        **values("k", [d.size for d in kept]),
        **values("ks", [d.strides[0] for d in kept]),
        **values("r", [d.size for d in reduced]),
        **values("rs", [d.strides[0] for d in reduced]),
        "chunks": chunks,
        "per_chunk": per_chunk,
    }
    outer = count // kept[-1].size if columns else count
    only_columns = columns and outer * chunks == 1
    total = kept[-1].size if only_columns else outer * chunks
    parts = len(monoid.accumulator(dtype))
    targets = (RESULT,) if chunks == 1 else tuple(RESULT - 1 - part for part in range(parts))
    first = call(_kernel(form, only_columns), numbers, total, 2 * elements, 0, *targets)
    return Recipe(out, (first,)) if chunks == 1 else _two_stages(form, first, chunks, out)


def _two_stages(form: Form, first: Call, chunks: int, out: Layout) -> Recipe:
    """Partial results of shape (chunks, results), reduced again over the chunks."""
    partial = [place.buffer for place in first.places[1:]]
    last = second_stage(form.monoid, form.dtype, chunks, out.size, *partial, RESULT)
    kinds = form.monoid.accumulator(form.dtype)
    scratch = tuple(out.size * chunks * kind.itemsize for kind in kinds)
    return Recipe(out, (first, last), scratch)


def second_stage(monoid: Monoid, dtype: DType, chunks: int, count: int, *places: int) -> Call:
    """The call that brings the chunks' partial results together."""
    kinds = monoid.accumulator(dtype)
    columns = count >= NARROW
    lanes = max(2, lanes_of(max(kinds, key=lambda kind: kind.itemsize)))
    form = Form(monoid, dtype, 1, 1, columns, columns, chunked=False, second=True, lanes=lanes)
    numbers = {"k0": count, "ks0": 1, "r0": chunks, "rs0": count, "chunks": 1, "per_chunk": chunks}
    return call(_kernel(form, columns), numbers, count, 2 * count * chunks, *places)


def _chunk_count(kept: list[Dimension], reduced: list[Dimension], columns: bool) -> int:
    """Into how many parts the outermost reduced dimension is cut."""
    results = 1
    for dimension in kept:
        results *= dimension.size
    elements = 1
    for dimension in reduced:
        elements *= dimension.size
    rows = results // kept[-1].size if columns else results
    if rows >= 16 or elements * results < 4 * CHUNK or (columns and kept[-1].size >= 4096):
        return 1
    wanted = min(MOST_CHUNKS, elements * results // CHUNK)
    return max(1, min(wanted, reduced[0].size))


def _form(
    monoid: Monoid, dtype: DType, kept: list[Dimension], reduced: list[Dimension],
    columns: bool, chunked: bool,
) -> Form:  # fmt: skip
    kinds = monoid.accumulator(dtype)
    width = lanes_of(max((*kinds, dtype), key=lambda kind: kind.itemsize))
    length = kept[-1].size if columns else reduced[-1].size
    # four accumulators hide the latency of an addition, if there is enough to add
    # (bits wait for nothing, and long vectors of them are slow to compile)
    alone = len(kinds) == 1 and not kinds[0].is_bool
    lanes = 4 * width if length >= 8 * width and alone else width
    inner = kept[-1] if columns else reduced[-1]
    unit = inner.strides[0] == 1
    return Form(
        monoid, dtype, len(kept), len(reduced), columns, unit, chunked, False, max(2, lanes)
    )


@functools.lru_cache(maxsize=MOST_KERNELS)
def _kernel(form: Form, only_columns: bool) -> Kernel:
    """The loop nest of a form."""
    return _Builder(form, only_columns).kernel()


class _Builder:
    """Writes the loops of a reduction; the parts are small and share much."""

    def __init__(self, form: Form, only_columns: bool) -> None:
        self.form = form
        self.only_columns = only_columns
        monoid, dtype = form.monoid, form.dtype
        self.kinds = monoid.accumulator(dtype)
        parts = tuple(Pointer(f"part{i}", kind, written=not form.second)
                      for i, kind in enumerate(self.kinds))  # fmt: skip
        self.inputs = parts if form.second else (Pointer("x", dtype),)
        out = Pointer("out", monoid.result(dtype), written=True)
        self.outputs = parts if form.chunked else (out,)
        self.kept, self.kept_strides = sizes("k", form.kept), sizes("ks", form.kept)
        self.reduced, self.strides = sizes("r", form.reduced), sizes("rs", form.reduced)
        self.chunks, self.per_chunk = index_variable("chunks"), index_variable("per_chunk")
        self.row, self.column = index_variable("row"), index_variable("column")
        self.start = neutral(monoid, dtype)

    def kernel(self) -> Kernel:
        names = (*self.kept, *self.kept_strides, *self.reduced, *self.strides)
        names += (self.chunks, self.per_chunk)
        body = self._body()
        name = f"reduce_{self.form.monoid.name}"
        return Kernel(name, (*self.inputs, *self.outputs), names, (body,))

    def _body(self) -> Loop:
        form = self.form
        if self.only_columns:
            zero = index_constant(0)
            inside = self._results(zero, zero, self.column)
            return Loop(self.column, self.kept[-1], inside, parallel=True, lanes=form.lanes)
        outer = operators.quotient(self.row, self.chunks) if form.chunked else self.row
        chunk = operators.modulo(self.row, self.chunks) if form.chunked else index_constant(0)
        if not form.columns:
            return Loop(self.row, None, self._results(outer, chunk, None), parallel=True)
        inside = self._results(outer, chunk, self.column)
        loop = Loop(self.column, self.kept[-1], inside, lanes=form.lanes)
        return Loop(self.row, None, (loop,), parallel=True)

    def _results(
        self, outer: Expression, chunk: Expression, column: Expression | None
    ) -> tuple[Statement, ...]:
        """Reduce one result (or one for each lane) and store it."""
        form = self.form
        kept = self.kept if column is None else self.kept[:-1]
        strides = self.kept_strides if column is None else self.kept_strides[:-1]
        base = dot(decode(outer, kept), strides)
        place = outer
        if column is not None:
            base = base + column * (1 if form.unit else self.kept_strides[-1])
            place = outer * self.kept[-1] + column
        count = self._result_count(column)
        loop, finals = self._nest(base, chunk, 0, index_constant(0), vector=column is None)
        if form.chunked:
            at = chunk * count + place
            stores = [Store(p, at, v) for p, v in zip(self.outputs, finals, strict=True)]
            return (loop, *stores)
        return (loop, Store(self.outputs[0], place, finals[form.monoid.output]))

    def _result_count(self, column: Expression | None) -> Expression:
        total = index_constant(1)
        for size in self.kept:
            total = total * size
        del column
        return total

    def _nest(
        self, base: Expression, chunk: Expression, level: int, before: Expression, vector: bool
    ) -> tuple[Loop, Parts]:
        """The loop over reduced dimension `level` and those inside; gives what it carries out."""
        form = self.form
        r = index_variable(f"i{level}")
        index, extent = r, self.reduced[level]
        if form.chunked and level == 0:
            index = chunk * self.per_chunk + r
            left = operators.maximum(extent - chunk * self.per_chunk, 0)
            extent = operators.minimum(left, self.per_chunk)
        innermost = level == form.reduced - 1
        unit = innermost and vector and form.unit
        offset = base + index * (1 if unit else self.strides[level])
        position = before * self.reduced[level] + index
        carried = tuple(variable(f"c{level}_{i}", kind) for i, kind in enumerate(self.kinds))
        body: tuple[Statement, ...] = ()
        if innermost:
            item = self._item(offset, position)
        else:
            loop, item = self._nest(offset, chunk, level + 1, position, vector)
            body = (loop,)
        nexts = self._cast(form.monoid.combine(carried, item))
        carries = tuple(
            Carried(c, s, n) for c, s, n in zip(carried, self.start, nexts, strict=True)
        )
        if innermost and vector:
            return (
                Loop(r, extent, body, lanes=form.lanes, carried=carries, combine=self._combine()),
                carried,
            )
        return Loop(r, extent, body, carried=carries), carried

    def _item(self, offset: Expression, position: Expression) -> Parts:
        """One element (or partial result) as a partial result."""
        if self.form.second:
            return tuple(load(pointer, offset) for pointer in self.inputs)
        element = load(self.inputs[0], offset)
        return self._cast(self.form.monoid.lift(element, position))

    def _cast(self, parts: Parts) -> Parts:
        pairs = zip(parts, self.kinds, strict=True)
        return tuple(operators.convert(part, kind) for part, kind in pairs)

    def _combine(self) -> Combine:
        left = tuple(variable(f"left{i}", kind) for i, kind in enumerate(self.kinds))
        right = tuple(variable(f"right{i}", kind) for i, kind in enumerate(self.kinds))
        return Combine(left, right, self._cast(self.form.monoid.combine(left, right)))
