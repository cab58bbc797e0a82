"""Scans: running sums, products and extremes along an axis."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from tessella import dtypes
from tessella.primitives.base import NumPyArray, Primitive, Sample, Spec, sum_over
from tessella.primitives.elementwise import cast, chosen, elementwise
from tessella.primitives.generate import Iota
from tessella.primitives.monoid import MAXIMUM, MINIMUM, PRODUCT, SUM, Monoid
from tessella.primitives.movement import expand, flip, move_axis, reshape


@dataclass(frozen=True)
class Scan(Primitive):
    """Element i of the result reduces elements 0 to i of the input along an axis.

    Dtypes: as for the reduction of the same name.
    """

    family = "rows"

    axis: int
    monoid: ClassVar[Monoid]

    def result(self, *inputs: Spec) -> Spec:
        (x,) = inputs
        return Spec(x.shape, self.monoid.result(x.dtype))

    def reference(self, *inputs: NumPyArray) -> NumPyArray:
        (x,) = inputs
        dtype = self.monoid.result(dtypes.as_dtype(x.dtype))
        wide = np.dtype(np.float64) if dtype.is_float else dtype.numpy
        meaning: Any = self.monoid.meaning
        with np.errstate(all="ignore"):
            return meaning.accumulate(x.astype(wide), axis=self.axis).astype(dtype.numpy)

    def batch(self, inputs: Any, axes: Any, size: int) -> tuple[Any, Any]:
        return type(self)(self.axis + 1)(move_axis(inputs[0], axes[0], 0)), 0

    @classmethod
    def samples(cls) -> Iterable[Sample]:
        if cls is Scan:
            return
        x = np.random.default_rng(2).standard_normal((4, 5, 3))
        for axis in range(3):
            yield Sample(cls(axis), (x,))
        yield Sample(cls(0), (np.zeros((0, 2)),))


@dataclass(frozen=True)
class CumulativeSum(Scan):
    """Running sums along an axis."""

    monoid = SUM

    def vjp(self, cotangents: Any, inputs: Any, outputs: Any) -> list[Any]:
        ct = flip(cotangents[0], (self.axis,))
        return [flip(CumulativeSum(self.axis)(ct), (self.axis,))]

    def jvp(self, inputs: Any, tangents: Any) -> Any:
        return None if tangents[0] is None else self(tangents[0])


@dataclass(frozen=True)
class CumulativeProduct(Scan):
    """Running products along an axis."""

    monoid = PRODUCT

    def vjp(self, cotangents: Any, inputs: Any, outputs: Any) -> list[Any]:
        """Element j gathers from every i >= j; by pairs, so that zeros are no exception."""
        ct, (x,) = cotangents[0], inputs
        products, until = self._leave_one_out(x)  # (..., i, j)
        rank = len(x.shape)
        ct = move_axis(ct, self.axis, rank - 1)
        weighted = chosen(until, products * _new_axis(ct, rank))
        total = cast(sum_over(weighted, (rank - 1,)), x.dtype)
        return [move_axis(total, rank - 1, self.axis)]

    def jvp(self, inputs: Any, tangents: Any) -> Any:
        (x,), (t,) = inputs, tangents
        if t is None:
            return None
        rank = len(x.shape)
        t = move_axis(t, self.axis, rank - 1)
        products, until = self._leave_one_out(x)
        weighted = chosen(until, products * _new_axis(t, rank - 1))
        return move_axis(cast(sum_over(weighted, (rank,)), x.dtype), rank - 1, self.axis)

    def _leave_one_out(self, x: Any) -> tuple[Any, Any]:
        """For each i and j the product of elements 0 to i without element j, and whether j <= i.

        Not in half precision: on the way it may be too large.
        """
        x = cast(x, dtypes.compute_dtype(x.dtype))
        rank, n = len(x.shape), x.shape[self.axis]
        x = move_axis(x, self.axis, rank - 1)
        shape = (*x.shape, n)  # (..., i, j)
        count = Iota(n, dtypes.int64)(x)
        diagonal = elementwise("equal")(_new_axis(count, 1), _new_axis(count, 0))
        spread = expand(_new_axis(x, rank), shape)
        one = cast(diagonal, x.dtype)
        factors = elementwise("select")(diagonal, one, spread)
        running = CumulativeProduct(rank - 1)(factors)
        lower = elementwise("greater_equal")(_new_axis(count, 1), _new_axis(count, 0))
        return running, lower


def _new_axis(x: Any, axis: int) -> Any:
    return reshape(x, (*x.shape[:axis], 1, *x.shape[axis:]))


class _Extreme(Scan):
    def vjp(self, cotangents: Any, inputs: Any, outputs: Any) -> list[Any]:
        """The gradient goes to the first element that reached the extreme."""
        ct, (x,), (y,) = cotangents[0], inputs, outputs
        rank = len(x.shape)
        picked = self._picked(x, y)
        ct = _new_axis(move_axis(ct, self.axis, rank - 1), rank)
        return [move_axis(sum_over(chosen(picked, ct), (rank - 1,)), rank - 1, self.axis)]

    def jvp(self, inputs: Any, tangents: Any) -> Any:
        (x,), (t,) = inputs, tangents
        if t is None:
            return None
        rank = len(x.shape)
        picked = self._picked(x, self(x))
        t = _new_axis(move_axis(t, self.axis, rank - 1), rank - 1)
        return move_axis(sum_over(chosen(picked, t), (rank,)), rank - 1, self.axis)

    def _picked(self, x: Any, y: Any) -> Any:
        """(..., i, j): whether element j is the first that equals the extreme of 0 to i."""
        rank = len(x.shape)
        x, y = (move_axis(value, self.axis, rank - 1) for value in (x, y))
        same = elementwise("equal")(_new_axis(x, rank - 1), _new_axis(y, rank))
        seen = CumulativeSum(rank)(same)
        return same & elementwise("equal")(seen, cast(same, seen.dtype))


@dataclass(frozen=True)
class CumulativeMaximum(_Extreme):
    """Running maxima along an axis."""

    monoid = MAXIMUM


@dataclass(frozen=True)
class CumulativeMinimum(_Extreme):
    """Running minima along an axis."""

    monoid = MINIMUM
