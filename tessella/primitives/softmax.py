"""Softmax and its logarithm: composed of other primitives, with derivatives that need only the result.

Source: Bridle, *Probabilistic interpretation of feedforward classification network outputs* (1990);
Blanchard, Higham & Higham, *Accurately computing the log-sum-exp and softmax functions* (2021), for
the shift by the largest element.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tessella.errors import DTypeError
from tessella.primitives.base import Composite, NumPyArray, Sample, Spec, normalise_axis
from tessella.primitives.elementwise import Elementwise, elementwise
from tessella.primitives.movement import Reshape, expand, move_axis, reshape
from tessella.primitives.reduce import MAXIMUM, SUM, Reduce, sum_over
from tessella.scalar.function import ScalarFunction
from tessella.scalar.mathematics.exponential import exp_up_to_0

_shift = Elementwise(ScalarFunction(lambda top: top if top > -math.inf else 0.0, "shift"))
_shifted_exp = Elementwise(ScalarFunction(lambda x, top: exp_up_to_0(x - top), "shifted_exp"))
_share = Elementwise(ScalarFunction(lambda x, total: x * (1.0 / total), "share"))
_log_of_sum = Elementwise(ScalarFunction(lambda total, top: math.log(total) + top, "log_of_sum"))


@dataclass(frozen=True)
class _AlongAxis(Composite):
    axis: int

    fuses = True

    def result(self, *inputs: Spec) -> Spec:
        (x,) = inputs
        name = self.name.lower()
        normalise_axis(self.axis, len(x.shape), name)
        if not x.dtype.is_float:
            raise DTypeError(f"{name}: takes floating numbers, not {x.dtype.name}")
        return Spec(tuple(x.shape), x.dtype)

    def _exponentials(self, apply: Any, x: Any) -> tuple[Any, Any, Any]:
        """exp(x - top), its sum, and top: the largest element, or 0 if all are -inf."""
        row = Reshape((*x.shape[: self.axis], 1, *x.shape[self.axis + 1 :]))
        top = apply(_shift, (apply(row, (apply(Reduce(MAXIMUM, (self.axis,)), (x,)),)),))
        powers = apply(_shifted_exp, (x, top))
        total = apply(row, (apply(Reduce(SUM, (self.axis,)), (powers,)),))
        return powers, total, top

    def _sums(self, x: Any) -> Any:
        """The sums along the axis, repeated."""
        shape = tuple(x.shape)
        row = (*shape[: self.axis], 1, *shape[self.axis + 1 :])
        return expand(reshape(sum_over(x, (self.axis,)), row), shape)

    def batch(self, inputs: Any, axes: Any, size: int) -> tuple[Any, Any]:
        return replace(self, axis=self.axis + 1)(move_axis(inputs[0], axes[0], 0)), 0

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


@dataclass(frozen=True)
class Softmax(_AlongAxis):
    """e^x, divided by its sum along an axis.

    Shapes: any of at least one axis; the same.
    Dtypes: floating; the same.
    """

    def reference(self, *inputs: NumPyArray) -> NumPyArray:
        (x,) = inputs
        if x.size == 0:
            return x.copy()
        wide = x.astype(np.float64)
        top = np.max(wide, axis=self.axis, keepdims=True)
        with np.errstate(all="ignore"):
            powers = np.exp(wide - np.where(np.isneginf(top), 0.0, top))
            return (powers / powers.sum(axis=self.axis, keepdims=True)).astype(x.dtype)

    def steps(self, apply: Any, operands: Any) -> Any:
        (x,) = operands
        if 0 in x.shape:
            return x
        powers, total, _ = self._exponentials(apply, x)
        return apply(_share, (powers, total))  # one division for a row

    def vjp(self, cotangents: Any, inputs: Any, outputs: Any) -> list[Any]:
        (ct,), (y,) = cotangents, outputs
        return [(ct - self._sums(ct * y)) * y]

    def jvp(self, inputs: Any, tangents: Any) -> Any:
        (x,), (t,) = inputs, tangents
        if t is None:
            return None
        y = self(x)
        return (t - self._sums(t * y)) * y


@dataclass(frozen=True)
class LogSoftmax(_AlongAxis):
    """The logarithm of `Softmax`, without overflow.

    Shapes: any of at least one axis; the same.
    Dtypes: floating; the same.
    """

    def reference(self, *inputs: NumPyArray) -> NumPyArray:
        (x,) = inputs
        if x.size == 0:
            return x.copy()
        wide = x.astype(np.float64)
        top = np.max(wide, axis=self.axis, keepdims=True)
        top = np.where(np.isneginf(top), 0.0, top)
        with np.errstate(all="ignore"):
            total = np.log(np.exp(wide - top).sum(axis=self.axis, keepdims=True))
            return (wide - (total + top)).astype(x.dtype)

    def steps(self, apply: Any, operands: Any) -> Any:
        (x,) = operands
        if 0 in x.shape:
            return x
        _, total, top = self._exponentials(apply, x)
        return apply(elementwise("subtract"), (x, apply(_log_of_sum, (total, top))))

    def vjp(self, cotangents: Any, inputs: Any, outputs: Any) -> list[Any]:
        (ct,), (y,) = cotangents, outputs
        return [ct - elementwise("exp")(y) * self._sums(ct)]

    def jvp(self, inputs: Any, tangents: Any) -> Any:
        (x,), (t,) = inputs, tangents
        if t is None:
            return None
        return t - self._sums(elementwise("exp")(self(x)) * t)
