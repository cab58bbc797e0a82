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
        with np.errstate(all="ignore"):
            found = self.monoid.meaning.accumulate(x.astype(wide), axis=self.axis)  # type: ignore[union-attr]
        return np.asarray(found, dtype.numpy)

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


class _ByPairs(Scan):
    """A scan that is differentiated by pairs of an element i of the result and an element j of the input."""

    def _slopes(self, x: Any, y: Any) -> tuple[Any, Any]:
        """(..., i, j): where i depends on j, and its derivative there (None: 1)."""
        raise self._missing("_slopes")

    def _weighted(self, x: Any, y: Any, ct: Any, along: int) -> Any:
        """The sum of cotangents over i (`along` 1) or of tangents over j (0), weighted by the slopes."""
        last = len(x.shape) - 1
        mask, slopes = self._slopes(x, y)
        ct = _new_axis(move_axis(ct, self.axis, last), last + along)
        total = sum_over(chosen(mask, ct if slopes is None else slopes * ct), (last + 1 - along,))
        return move_axis(cast(total, x.dtype), last, self.axis)

    def vjp(self, cotangents: Any, inputs: Any, outputs: Any) -> list[Any]:
        return [self._weighted(inputs[0], outputs[0], cotangents[0], 1)]

    def jvp(self, inputs: Any, tangents: Any) -> Any:
        (x,), (t,) = inputs, tangents
        return None if t is None else self._weighted(x, self(x), t, 0)


@dataclass(frozen=True)
class CumulativeProduct(_ByPairs):
    """Running products along an axis."""

    monoid = PRODUCT

    def _slopes(self, x: Any, y: Any) -> tuple[Any, Any]:
        """Whether j <= i, and the product of elements 0 to i without element j: so zeros are no exception.

        Not in half precision: on the way it may be too large.
        """
        x = cast(x, x.dtype.compute)
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
        return lower, running


def _new_axis(x: Any, axis: int) -> Any:
    return reshape(x, (*x.shape[:axis], 1, *x.shape[axis:]))


class _Extreme(_ByPairs):
    def _slopes(self, x: Any, y: Any) -> tuple[Any, Any]:
        """Whether element j is the first that equals the extreme of 0 to i: the gradient goes to that alone."""
        rank = len(x.shape)
        x, y = (move_axis(value, self.axis, rank - 1) for value in (x, y))
        same = elementwise("equal")(_new_axis(x, rank - 1), _new_axis(y, rank))
        seen = CumulativeSum(rank)(same)
        return same & elementwise("equal")(seen, cast(same, seen.dtype)), None


@dataclass(frozen=True)
class CumulativeMaximum(_Extreme):
    """Running maxima along an axis."""

    monoid = MAXIMUM


@dataclass(frozen=True)
class CumulativeMinimum(_Extreme):
    """Running minima along an axis."""

    monoid = MINIMUM
