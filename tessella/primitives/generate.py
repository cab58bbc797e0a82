"""Arrays from nothing: counting, and one value everywhere."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tessella import dtypes
from tessella.dtypes import DType
from tessella.primitives.base import TOLD, NumPyArray, Primitive, Sample, Shape, Spec, WithoutSlope


@dataclass(frozen=True)
class Iota(WithoutSlope, Primitive):
    """0, 1, ..., size - 1. The one input only says where the result is to live."""

    family = "constant"
    transparent = True

    size: int
    dtype: DType

    def result(self, *inputs: Spec) -> Spec:
        return Spec((self.size,), self.dtype)

    def reference(self, *inputs: NumPyArray) -> NumPyArray:
        return np.arange(self.size).astype(self.dtype.numpy)

    def batch(self, inputs: Any, axes: Any, size: int) -> tuple[Any, Any]:
        return self(inputs[0]), None

    @classmethod
    def samples(cls) -> Iterable[Sample]:
        yield Sample(cls(7, dtypes.int64), (np.zeros(()),), differentiable=False)
        yield Sample(cls(40, dtypes.float32), (np.zeros(3),), differentiable=False)
        yield Sample(cls(0, dtypes.int32), (np.zeros(()),), differentiable=False)


@dataclass(frozen=True, eq=False)
class Full(Primitive):
    """One value everywhere; it has no inputs, and exists only while programs are traced."""

    family = "constant"
    transparent = True

    shape: Shape = field(metadata={TOLD: True})
    dtype: DType
    value: bool | int | float

    def _key(self) -> tuple[object, ...]:
        return self.shape, self.dtype, repr(self.value)  # 0.0 and -0.0 are equal, NaN is not

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Full) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def result(self, *inputs: Spec) -> Spec:
        return Spec(self.shape, self.dtype)

    def reference(self, *inputs: NumPyArray) -> NumPyArray:
        return np.full(self.shape, self.value, self.dtype.numpy)
