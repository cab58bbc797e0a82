"""Reductions: the elements along some axes become one, by a monoid (`monoid.py`)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from tessella import dtypes
from tessella.errors import DTypeError, ShapeError
from tessella.primitives.base import TOLD, NumPyArray, Primitive, Sample, Spec, size_of, sum_over
from tessella.primitives.elementwise import cast
from tessella.primitives.monoid import (
    ALL,
    ANY,
    ARGMAX,
    ARGMIN,
    MAXIMUM,
    MINIMUM,
    PRODUCT,
    SUM,
    WIDE_SUM,
    Monoid,
)
from tessella.primitives.movement import Pad, Slice, expand, flip, move_axis, permute, reshape
from tessella.primitives.scan import CumulativeProduct


@dataclass(frozen=True)
class Reduce(Primitive):
    """Reduce axes by a monoid; they are gone from the result's shape.

    Shapes: any; an empty reduction gives the neutral element, or an error where there is none.
    Dtypes: sums and products of small integers are 64 bits wide; half precision is accumulated in
        float32.
    """

    family = "rows"

    shared = True

    monoid: Monoid = field(metadata={TOLD: True})
    axes: tuple[int, ...]

    @property
    def name(self) -> str:
        return self.monoid.name

    def result(self, *inputs: Spec) -> Spec:
        (x,) = inputs
        if x.dtype.is_complex and self.monoid.needs_elements:
            raise DTypeError(f"{self.name}: complex numbers have no order; take abs or real first")
        if self.monoid.needs_elements and any(x.shape[axis] == 0 for axis in self.axes):
            raise ShapeError(
                f"{self.name}: shape {x.shape} has no elements along the axes {self.axes}, and "
                f"{self.name} of nothing is not defined"
            )
        shape = tuple(n for axis, n in enumerate(x.shape) if axis not in self.axes)
        return Spec(shape, self.monoid.result(x.dtype))

    def reference(self, *inputs: NumPyArray) -> NumPyArray:
        (x,) = inputs
        dtype = self.monoid.result(dtypes.as_dtype(x.dtype))
        with np.errstate(all="ignore"):
            if not self.axes:
                return x.astype(dtype.numpy)
            return np.asarray(self.monoid.reference(x, self.axes)).astype(dtype.numpy)

    def restored(self, y: Any, shape: tuple[int, ...]) -> Any:
        """Put the reduced axes back, repeated."""
        kept = tuple(1 if axis in self.axes else n for axis, n in enumerate(shape))
        return expand(reshape(y, kept), shape)

    def total(self, x: Any) -> Any:
        """The sum over the reduced axes."""
        return sum_over(x, self.axes)

    def vjp(self, cotangents: Any, inputs: Any, outputs: Any) -> list[Any]:
        (x,), (y,) = inputs, outputs
        if not self.monoid.result(x.dtype).is_inexact:
            return [None]
        ct, slope = self.restored(cotangents[0], x.shape), self.monoid.slope
        return [cast(ct, x.dtype) if slope is None else ct * slope(self, x, y)]

    def product_of_others(self, x: Any) -> Any:
        """The product of all elements but this one, right for zeros too: running products."""
        kept = tuple(axis for axis in range(len(x.shape)) if axis not in self.axes)
        order = kept + self.axes
        outer = tuple(x.shape[axis] for axis in kept)
        count = size_of(tuple(x.shape[axis] for axis in self.axes))
        if count == 0:
            return x
        # in half precision, what comes before may overflow where the product of all does not
        wide = cast(x, x.dtype.compute)
        rows = reshape(permute(wide, order), (*outer, count))
        last = len(outer)
        zeros, ones = (0,) * last, (1,) * (last + 1)

        def before(rows: Any) -> Any:
            shorter = Slice((0,) * (last + 1), (*outer, count - 1), ones)(rows)
            first = Pad((*zeros, 1), (0,) * (last + 1), (0,) * (last + 1), 1.0)
            return CumulativeProduct(last)(first(shorter))

        others = before(rows) * flip(before(flip(rows, (last,))), (last,))
        inverse = tuple(sorted(range(len(order)), key=order.__getitem__))
        shape = tuple(x.shape[axis] for axis in order)
        return cast(permute(reshape(others, shape), inverse), x.dtype)

    def jvp(self, inputs: tuple[Any, ...], tangents: tuple[Any, ...]) -> Any:
        (x,), (t,) = inputs, tangents
        if t is None or not self.monoid.result(x.dtype).is_inexact:
            return None
        slope = self.monoid.slope
        return self(t) if slope is None else self.total(t * slope(self, x, None))

    def batch(self, inputs: Any, axes: Any, size: int) -> tuple[Any, Any]:
        x = move_axis(inputs[0], axes[0], 0)
        return replace(self, axes=tuple(axis + 1 for axis in self.axes))(x), 0

    @classmethod
    def samples(cls) -> Iterable[Sample]:
        random = np.random.default_rng(1)
        x = random.standard_normal((3, 4, 5))
        for monoid in (SUM, PRODUCT, MAXIMUM, MINIMUM):
            for axes in ((0,), (1,), (2,), (0, 2), (0, 1, 2), ()):
                yield Sample(cls(monoid, axes), (x,))
        for monoid in (ARGMAX, ARGMIN):
            yield Sample(cls(monoid, (1,)), (x,), differentiable=False)
        for monoid in (ANY, ALL):
            yield Sample(cls(monoid, (0,)), (x > 0,), differentiable=False)
        yield Sample(cls(WIDE_SUM, (1,)), (x,))
        yield Sample(cls(WIDE_SUM, (0,)), (np.full(100, 1000, np.float16),), False)
        yield Sample(cls(SUM, (1,)), (np.zeros((3, 0)),))
        yield Sample(cls(SUM, (0,)), (random.integers(0, 200, 1000).astype(np.uint8),), False)
        long = random.standard_normal(5000).astype(np.float32)
        yield Sample(cls(SUM, (0,)), (long,))
        yield Sample(cls(ARGMAX, (0,)), (long,), differentiable=False)
