"""A value through which the compiler does not look."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from tessella.primitives.base import NumPyArray, Sample, Spec
from tessella.primitives.movement import Linear


@dataclass(frozen=True, eq=False)
class Barrier(Linear):
    """x itself; but what is computed from it is not found to be the same as what is computed from x.

    So it is computed again, as `checkpoint` wants it. Every barrier is another one.
    """

    computes = False

    def result(self, *inputs: Spec) -> Spec:
        (x,) = inputs
        return Spec(x.shape, x.dtype)

    def reference(self, *inputs: NumPyArray) -> NumPyArray:
        return inputs[0]

    def transpose(self, ct: Any, spec: Spec) -> Any:
        return ct

    def batch(self, inputs: Any, axes: Any, size: int) -> tuple[Any, Any]:
        return Barrier()(inputs[0]), axes[0]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(), (np.arange(6.0).reshape(2, 3),))
        yield Sample(cls(), (np.arange(4),), differentiable=False)
