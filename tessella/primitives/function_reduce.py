"""Reductions by a scalar function of the user's own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tessella import dtypes
from tessella.primitives.base import TOLD, NumPyArray, Sample, size_of
from tessella.primitives.elementwise import Elementwise
from tessella.primitives.monoid import Monoid, Parts
from tessella.primitives.movement import Concatenate, Slice, permute, reshape
from tessella.primitives.reduce import Reduce
from tessella.scalar.expression import constant
from tessella.scalar.function import ScalarFunction, scalar_function
from tessella.scalar.operators import select
from tessella.scalar.rewriting import substitute


def monoid_of(function: ScalarFunction) -> Monoid:
    """The monoid of an associative and commutative function of two numbers.

    The function need have no neutral element: a partial result is a value, and whether there is
    one yet.
    """

    def combine(a: Parts, b: Parts) -> Parts:
        kinds = (a[0].dtype, b[0].dtype)
        operands = dict(zip(function.variables(kinds), (a[0], b[0]), strict=True))
        both = substitute(function.expression(kinds), operands)
        return select(a[1], select(b[1], both, a[0]), b[0]), a[1] | b[1]

    def reference(x: NumPyArray, axes: tuple[int, ...]) -> NumPyArray:
        rows = np.moveaxis(x, axes, range(len(axes)))
        rows = rows.reshape(-1, *rows.shape[len(axes) :])
        total = rows[0]
        for row in rows[1:]:
            total = Elementwise(function).reference(total, row).astype(x.dtype)
        return total

    return Monoid(
        function.name if function.name.isidentifier() else "reduce",
        result=lambda dtype: dtype,
        accumulator=lambda dtype: (dtype.compute, dtypes.bool_),
        start=lambda dtype: (0, False),
        lift=lambda x, position: (x, constant(True)),
        combine=combine,
        meaning=reference,
        needs_elements=True,
    )


@dataclass(frozen=True)
class FunctionReduce(Reduce):
    """Reduce axes by an associative and commutative scalar function.

    Its derivatives go along a tree: elements are combined in pairs, the results again in pairs, and
    so on, each step an elementwise operation with the derivatives of the function.

    Shapes: any with elements along the axes.
    Dtypes: the input's; half precision is accumulated in float32.
    """

    function: ScalarFunction = field(metadata={TOLD: True})

    def vjp(self, cotangents: Any, inputs: Any, outputs: Any) -> list[Any]:
        (x,) = inputs
        if not x.dtype.is_inexact:
            return [None]
        step, levels = Elementwise(self.function), self._tree(self._rows(x))
        ct = reshape(cotangents[0], levels[-1].shape)
        for rows in reversed(levels[:-1]):
            first, second, rest = _pairs(rows)
            count = first.shape[0]
            both = _part(ct, 0, count)
            pulled = step.vjp((both,), (first, second), (step(first, second),))
            parts = [both * 0 if part is None else part for part in pulled]
            if rest is not None:
                parts.append(_part(ct, count, count + 1))
            ct = Concatenate(0)(*parts)
        return [self._unrows(ct, x.shape)]

    def jvp(self, inputs: tuple[Any, ...], tangents: tuple[Any, ...]) -> Any:
        (x,), (t,) = inputs, tangents
        if t is None or not x.dtype.is_inexact:
            return None
        step, levels = Elementwise(self.function), self._tree(self._rows(x))
        t = self._rows(t)
        for rows in levels[:-1]:
            (first, second, rest), (t1, t2, last) = _pairs(rows), _pairs(t)
            pushed = step.jvp((first, second), (t1, t2))
            pushed = t1 * 0 if pushed is None else pushed
            t = pushed if rest is None else Concatenate(0)(pushed, last)
        return reshape(t, tuple(n for i, n in enumerate(x.shape) if i not in self.axes))

    def _order(self, rank: int) -> tuple[int, ...]:
        return self.axes + tuple(axis for axis in range(rank) if axis not in self.axes)

    def _rows(self, x: Any) -> Any:
        """The reduced axes as one, in front."""
        moved = permute(x, self._order(len(x.shape)))
        kept = moved.shape[len(self.axes) :]
        return reshape(moved, (size_of(moved.shape[: len(self.axes)]), *kept))

    def _unrows(self, rows: Any, shape: tuple[int, ...]) -> Any:
        order = self._order(len(shape))
        moved = reshape(rows, tuple(shape[axis] for axis in order))
        return permute(moved, tuple(sorted(range(len(order)), key=order.__getitem__)))

    def _tree(self, rows: Any) -> list[Any]:
        """The rows, their combinations in pairs, and so on down to a single row."""
        levels = [rows]
        while levels[-1].shape[0] > 1:
            first, second, rest = _pairs(levels[-1])
            both = Elementwise(self.function)(first, second)
            levels.append(both if rest is None else Concatenate(0)(both, rest))
        return levels

    @classmethod
    def samples(cls) -> Iterable[Sample]:
        random = np.random.default_rng(5)
        x = random.uniform(0.5, 1.5, (3, 5, 4))
        for function in (lambda x, y: x * y, lambda x, y: x + y + x * y):
            scalar = scalar_function(function)
            for axes in ((0,), (1,), (0, 2), (0, 1, 2)):
                yield Sample(cls(monoid_of(scalar), axes, scalar), (x,))
        larger = scalar_function(lambda x, y: x if x > y else y)
        yield Sample(cls(monoid_of(larger), (0,), larger), (random.standard_normal(700),))
        yield Sample(
            cls(monoid_of(larger), (0,), larger), (random.integers(-9, 9, (70, 2)),), False
        )


def _part(x: Any, start: int, stop: int) -> Any:
    rank = len(x.shape)
    return Slice((start,) + (0,) * (rank - 1), (stop - start, *x.shape[1:]), (1,) * rank)(x)


def _pairs(rows: Any) -> tuple[Any, Any, Any]:
    """The first half, the second, and the row that is left over (or None)."""
    count = rows.shape[0]
    half = count // 2
    rest = _part(rows, count - 1, count) if count % 2 else None
    return _part(rows, 0, half), _part(rows, half, 2 * half), rest
