"""Softmax and its logarithm: composed of other primitives, with derivatives that need only the result.

Source: Bridle, *Probabilistic interpretation of feedforward classification network outputs* (1990);
Blanchard, Higham & Higham, *Accurately computing the log-sum-exp and softmax functions* (2021), for
the shift by the largest element.

Half precision is computed in float32 from the first exponential to the last quotient, gradients too, and
rounded once: a sum of 70,000 ones is not a float16.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tessella.errors import DTypeError
from tessella.primitives.base import Composite, NumPyArray, Sample, Spec, normalise_axis, sum_over
from tessella.primitives.elementwise import Elementwise, cast, cast_to, elementwise
from tessella.primitives.monoid import MAXIMUM, SUM
from tessella.primitives.movement import Reshape, batch_front, expand, reshape
from tessella.primitives.reduce import Reduce
from tessella.scalar.function import ScalarFunction
from tessella.scalar.mathematics.exponential import exp_up_to_0

_shift = Elementwise(ScalarFunction(lambda top: top if top > -math.inf else 0.0, "shift"))
_shifted_exp = Elementwise(ScalarFunction(lambda x, top: exp_up_to_0(x - top), "shifted_exp"))
_share = Elementwise(ScalarFunction(lambda x, total: x * (1.0 / total), "share"))
_share_of_some = Elementwise(
    ScalarFunction(lambda x, total: x * (0.0 if total == 0.0 else 1.0 / total), "share_of_some")
)
_rest_of_share = Elementwise(ScalarFunction(lambda ct, total, y: (ct - total) * y, "rest_of_share"))
_rest = Elementwise(ScalarFunction(lambda ct, total, y: ct - math.exp(y) * total, "rest"))
_log_of_sum = Elementwise(ScalarFunction(lambda total, top: math.log(total) + top, "log_of_sum"))


@dataclass(frozen=True)
class AlongAxis(Composite):
    """What is computed along an axis of one operand, or of several of one shape."""

    family = "rows"

    axis: int

    fuses = True
    shared = True

    def result(self, *inputs: Spec) -> Spec:
        x = inputs[0]
        name = self.name.lower()
        normalise_axis(self.axis, len(x.shape), name)
        if not x.dtype.is_float:
            raise DTypeError(f"{name}: takes floating numbers, not {x.dtype.name}")
        return Spec(tuple(x.shape), x.dtype)

    def steps(self, apply: Any, operands: Any) -> Any:
        x = operands[0]
        if 0 in x.shape:
            return x
        if not x.dtype.is_narrow:
            return self._computed(apply, *operands)
        wide = [apply(cast_to(x.dtype.compute), (operand,)) for operand in operands]
        return apply(cast_to(x.dtype), (self._computed(apply, *wide),))

    def _computed(self, apply: Any, *operands: Any) -> Any:
        """The steps for what has elements, not of half precision."""
        raise self._missing("_computed")

    def _row_sums(self, apply: Any, x: Any) -> Any:
        """The sums along the axis, which stays as one of size 1."""
        row = Reshape((*x.shape[: self.axis], 1, *x.shape[self.axis + 1 :]))
        return apply(row, (apply(Reduce(SUM, (self.axis,)), (x,)),))

    def _sums(self, x: Any) -> Any:
        """The sums along the axis, repeated."""
        shape = tuple(x.shape)
        row = (*shape[: self.axis], 1, *shape[self.axis + 1 :])
        return expand(reshape(sum_over(x, (self.axis,)), row), shape)

    def batch(self, inputs: Any, axes: Any, size: int) -> tuple[Any, Any]:
        fronts = [batch_front(x, axis, size) for x, axis in zip(inputs, axes, strict=True)]
        return replace(self, axis=self.axis + 1)(*fronts), 0


class _OfExponentials(AlongAxis):
    """Softmax or its logarithm: the derivatives need only the result."""

    def reference(self, *inputs: NumPyArray) -> NumPyArray:
        (x,) = inputs
        if x.size == 0:
            return x.copy()
        wide = x.astype(np.float64)
        top = np.max(wide, axis=self.axis, keepdims=True)
        with np.errstate(all="ignore"):
            lowered = wide - np.where(np.isneginf(top), 0.0, top)
            total = np.exp(lowered).sum(axis=self.axis, keepdims=True)
            return self._meant(lowered, total).astype(x.dtype)

    def _meant(self, lowered: NumPyArray, total: NumPyArray) -> NumPyArray:
        """The result, of numbers of which the greatest is 0, and the sum of their exponentials."""
        raise self._missing("_meant")

    def vjp(self, cotangents: Any, inputs: Any, outputs: Any) -> list[Any]:
        (ct,), (y,) = cotangents, outputs
        return [self._gradient()(ct, y)]

    def _gradient(self) -> Composite:
        """What gives the gradient, given that of the result and the result."""
        raise self._missing("_gradient")

    def jvp(self, inputs: Any, tangents: Any) -> Any:
        (x,), (t,) = inputs, tangents
        if t is None:
            return None
        kind = x.dtype.compute
        return cast(self._pushed(cast(t, kind), cast(self(x), kind)), x.dtype)

    def _pushed(self, t: Any, y: Any) -> Any:
        """The tangent of the result, given that of the input and the result."""
        raise self._missing("_pushed")

    def _exponentials(self, apply: Any, x: Any) -> tuple[Any, Any, Any]:
        """exp(x - top), its sum, and top: the largest element, or 0 if all are -inf."""
        row = Reshape((*x.shape[: self.axis], 1, *x.shape[self.axis + 1 :]))
        top = apply(_shift, (apply(row, (apply(Reduce(MAXIMUM, (self.axis,)), (x,)),)),))
        powers = apply(_shifted_exp, (x, top))
        return powers, self._row_sums(apply, powers), top

    @classmethod
    def samples(cls) -> Iterable[Sample]:
        x = np.random.default_rng(10).standard_normal((3, 4, 5))
        for axis in range(3):
            yield Sample(cls(axis), (x,))
        yield Sample(cls(0), (np.zeros((0, 3)),))
        extreme = np.array([[1000.0, -1000.0, 0.0], [-np.inf, 0.0, 1.0], [-700.0, -701.0, -702.0]])
        yield Sample(cls(1), (extreme,), differentiable=False)
        without_value = np.array(
            [[np.inf, 0.0], [-np.inf, -np.inf], [np.nan, 1.0], [np.inf, -np.inf]]
        )
        yield Sample(cls(1), (without_value,), differentiable=False)
        yield Sample(cls(1), (np.full((2, 40), 400, np.float16),), differentiable=False)


@dataclass(frozen=True)
class Softmax(_OfExponentials):
    """e^x, divided by its sum along an axis.

    Args:
        or_zero: whether a row of nothing but -inf is zeros, and not NaN: nothing of it is chosen, as
            by a query of attention that sees no key.

    Shapes: any of at least one axis; the same.
    Dtypes: floating; the same.
    """

    or_zero: bool = False

    def _meant(self, lowered: NumPyArray, total: NumPyArray) -> NumPyArray:
        return np.exp(lowered) / np.where((total == 0) & self.or_zero, 1.0, total)

    def _computed(self, apply: Any, *operands: Any) -> Any:
        (x,) = operands
        powers, total, _ = self._exponentials(apply, x)
        share = _share_of_some if self.or_zero else _share
        return apply(share, (powers, total))  # one division for a row

    def _gradient(self) -> Composite:
        return SoftmaxGradient(self.axis)

    def _pushed(self, t: Any, y: Any) -> Any:
        return (t - self._sums(t * y)) * y

    @classmethod
    def samples(cls) -> Iterable[Sample]:
        yield from super().samples()
        x = np.random.default_rng(11).standard_normal((3, 4))
        yield Sample(cls(1, or_zero=True), (x,))
        x[1] = -np.inf
        yield Sample(cls(1, or_zero=True), (x,), differentiable=False)


@dataclass(frozen=True)
class LogSoftmax(_OfExponentials):
    """The logarithm of `Softmax`, without overflow.

    Shapes: any of at least one axis; the same.
    Dtypes: floating; the same.
    """

    def _meant(self, lowered: NumPyArray, total: NumPyArray) -> NumPyArray:
        return lowered - np.log(total)

    def _computed(self, apply: Any, *operands: Any) -> Any:
        (x,) = operands
        _, total, top = self._exponentials(apply, x)
        return apply(elementwise("subtract"), (x, apply(_log_of_sum, (total, top))))

    def _gradient(self) -> Composite:
        return LogSoftmaxGradient(self.axis)

    def _pushed(self, t: Any, y: Any) -> Any:
        return t - self._sums(elementwise("exp")(y) * t)


class _GradientAlongAxis(AlongAxis):
    """A gradient as a primitive of its own: one kernel, which has derivatives, too."""

    def vjp(self, cotangents: Any, inputs: Any, outputs: Any) -> list[Any]:
        (g,), (ct, y) = cotangents, inputs
        kind = y.dtype.compute
        found = self._pulled(cast(g, kind), cast(ct, kind), cast(y, kind))
        return [cast(x, y.dtype) for x in found]

    def _pulled(self, g: Any, ct: Any, y: Any) -> tuple[Any, Any]:
        """The gradients of both operands, given that of the result."""
        raise self._missing("_pulled")

    def jvp(self, inputs: Any, tangents: Any) -> Any:
        kind, (ct, y) = inputs[1].dtype.compute, inputs
        moved = [
            self._pushed(number, cast(t, kind), cast(ct, kind), cast(y, kind))
            for number, t in enumerate(tangents)
            if t is not None
        ]
        if not moved:
            return None
        return cast(moved[0] if len(moved) == 1 else moved[0] + moved[1], y.dtype)

    def _pushed(self, number: int, t: Any, ct: Any, y: Any) -> Any:
        """The tangent of the result, given that of an operand."""
        raise self._missing("_pushed")

    @classmethod
    def samples(cls) -> Iterable[Sample]:
        random = np.random.default_rng(12)
        for axis in range(3):
            yield Sample(cls(axis), (random.standard_normal((3, 4, 5)), random.random((3, 4, 5))))
        yield Sample(cls(0), (np.zeros((0, 3)), np.zeros((0, 3))))
        half = random.standard_normal((2, 40)).astype(np.float16)
        yield Sample(cls(1), (half, np.full((2, 40), 0.025, np.float16)), differentiable=False)


@dataclass(frozen=True)
class SoftmaxGradient(_GradientAlongAxis):
    """(ct - sum(ct y)) y: what `Softmax` along an axis, whose result is y, makes of a gradient.

    Shapes: two of one shape; the same.
    Dtypes: floating; the same.
    """

    def reference(self, *inputs: NumPyArray) -> NumPyArray:
        ct, y = (x.astype(np.float64) for x in inputs)
        with np.errstate(all="ignore"):
            return ((ct - (ct * y).sum(self.axis, keepdims=True)) * y).astype(inputs[0].dtype)

    def _computed(self, apply: Any, *operands: Any) -> Any:
        ct, y = operands
        total = self._row_sums(apply, apply(elementwise("multiply"), (ct, y)))
        return apply(_rest_of_share, (ct, total, y))

    def _pulled(self, g: Any, ct: Any, y: Any) -> tuple[Any, Any]:
        return self(g, y), self._of_share(g, ct, y) - ct * self._sums(g * y)

    def _of_share(self, factor: Any, ct: Any, y: Any) -> Any:
        return factor * (ct - self._sums(ct * y))

    def _pushed(self, number: int, t: Any, ct: Any, y: Any) -> Any:
        if number == 0:
            return self(t, y)
        return self._of_share(t, ct, y) - y * self._sums(ct * t)


@dataclass(frozen=True)
class LogSoftmaxGradient(_GradientAlongAxis):
    """ct - e^y sum(ct): what `LogSoftmax` along an axis, whose result is y, makes of a gradient.

    Shapes: two of one shape; the same.
    Dtypes: floating; the same.
    """

    def reference(self, *inputs: NumPyArray) -> NumPyArray:
        ct, y = (x.astype(np.float64) for x in inputs)
        with np.errstate(all="ignore"):
            return (ct - np.exp(y) * ct.sum(self.axis, keepdims=True)).astype(inputs[0].dtype)

    def _computed(self, apply: Any, *operands: Any) -> Any:
        ct, y = operands
        return apply(_rest, (ct, self._row_sums(apply, ct), y))

    def _pulled(self, g: Any, ct: Any, y: Any) -> tuple[Any, Any]:
        powers = elementwise("exp")(y)
        return g - self._sums(g * powers), -g * powers * self._sums(ct)

    def _pushed(self, number: int, t: Any, ct: Any, y: Any) -> Any:
        powers = elementwise("exp")(y)
        if number == 0:
            return t - powers * self._sums(t)
        return -powers * t * self._sums(ct)
