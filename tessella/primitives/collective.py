"""Collectives: what the examples along a named axis, or the devices of a group, compute together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

import numpy as np

from tessella import dtypes
from tessella.errors import ArgumentError
from tessella.primitives.base import Composite, NumPyArray, Sample, Spec
from tessella.primitives.generate import Iota
from tessella.primitives.monoid import MAXIMUM, MINIMUM, SUM, Monoid
from tessella.primitives.movement import Reshape, batch_front, move_axis
from tessella.primitives.reduce import Reduce


class Operation(Enum):
    """What becomes of the values of all."""

    SUM = "sum"
    MAXIMUM = "maximum"
    MINIMUM = "minimum"
    GATHER = "gather"
    INDEX = "index"

    @property
    def monoid(self) -> Monoid | None:
        """By which they become one, if they do."""
        return _MONOIDS.get(self)


_MONOIDS = {Operation.SUM: SUM, Operation.MAXIMUM: MAXIMUM, Operation.MINIMUM: MINIMUM}


@dataclass(frozen=True)
class Collective(Composite):
    """What all participants along an axis of a name compute of their values; each is given the result.

    The `vmap` of that name makes it an operation along its axis. By itself it is what one participant has alone.

    Args:
        axis_name: of the axis along which they lie.
        operation: a reduction; `GATHER`, all values, stacked in front; or `INDEX`, which of them this one is (its
            operand only says where the result is to live).
        size: how many they are; a reduction need not be told.
    """

    axis_name: str
    operation: Operation
    size: int = 0

    @property
    def name(self) -> str:
        return f"collective_{self.operation.value}"

    @property
    def axis_names(self) -> frozenset[str]:  # type: ignore[override]
        return frozenset([self.axis_name])

    def result(self, *inputs: Spec) -> Spec:
        (x,) = inputs
        if self.operation is Operation.INDEX:
            return Spec((), dtypes.int64)
        if self.operation.monoid is None:
            return Spec((self.size, *x.shape), x.dtype)
        return Spec(tuple(x.shape), self.operation.monoid.result(x.dtype))

    def reference(self, *inputs: NumPyArray) -> NumPyArray:
        found: NumPyArray = self.steps(lambda step, values: step.reference(*values), inputs)
        return found

    def steps(self, apply: Any, operands: Sequence[Any]) -> Any:
        """What one participant has alone.

        Raises:
            ArgumentError: there are others.
        """
        if self.size != 1:
            raise ArgumentError(
                f"{self.name}: none of those along {self.axis_name!r} can compute it alone; it has a meaning in "
                f"ts.vmap(f, axis_name={self.axis_name!r})"
            )
        (x,) = operands
        together, _ = self._together(apply, apply(Reshape((1, *x.shape)), (x,)))
        if self.operation is Operation.INDEX:
            return apply(Reshape(()), (together,))
        return together

    def _together(self, apply: Any, values: Any) -> tuple[Any, int | None]:
        """The result, from the values of all, stacked in front; and where its axis is, if it differs among them."""
        if self.operation is Operation.INDEX:
            return apply(Iota(self.size, dtypes.int64), (values,)), 0
        if self.operation.monoid is None:
            return values, None
        return apply(Reduce(self.operation.monoid, (0,)), (values,)), None

    def batch_over(
        self, inputs: Any, axes: Any, size: int, axis_name: str | None
    ) -> tuple[Any, Any]:
        if axis_name != self.axis_name:
            return self.batch(inputs, axes, size)
        values = batch_front(inputs[0], axes[0], size)
        return self._together(lambda step, operands: step(*operands), values)

    def batch(self, inputs: Any, axes: Any, size: int) -> tuple[Any, Any]:
        """Over another axis than this one: each example by itself."""
        if self.operation is Operation.INDEX:
            return self(inputs[0]), None
        x = move_axis(inputs[0], axes[0], 0)
        return self(x), 1 if self.operation is Operation.GATHER else 0

    def total(self, x: Any) -> Any:
        """The sum over all participants."""
        return replace(self, operation=Operation.SUM)(x)

    def restored(self, y: Any, shape: tuple[int, ...]) -> Any:
        """A result as each participant has it."""
        return y

    def vjp(self, cotangents: Any, inputs: Any, outputs: Any) -> list[Any]:
        """What each is given depends on all."""
        (ct,), (x,), (y,) = cotangents, inputs, outputs
        if not y.dtype.is_inexact:
            return [None]
        everyones = self.total(ct)
        if self.operation is Operation.GATHER:  # the value of each is in one place for everyone
            own = replace(self, operation=Operation.INDEX)(x)
            return [everyones.take(own.reshape((1,)), axis=0)[0]]
        assert self.operation.monoid is not None
        slope = self.operation.monoid.slope
        return [everyones if slope is None else everyones * slope(self, x, y)]

    def jvp(self, inputs: Any, tangents: Any) -> Any:
        (x,), (t,) = inputs, tangents
        if t is None or self.operation is Operation.INDEX:
            return None
        slope = None if self.operation.monoid is None else self.operation.monoid.slope
        return self(t) if slope is None else self.total(t * slope(self, x, None))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        x = np.random.default_rng(5).standard_normal((3, 4))
        for operation in Operation:
            yield Sample(cls("alone", operation, 1), (x,), operation is not Operation.INDEX)
        yield Sample(cls("alone", Operation.SUM, 1), (np.arange(5, dtype=np.int8),), False)
