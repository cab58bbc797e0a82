"""What NumPy does on the host: sorting and its kin, which this project does not exist for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tessella import dtypes
from tessella.primitives.base import TOLD, NumPyArray, Primitive, Sample, Spec
from tessella.primitives.movement import batch_above, move_axis


@dataclass(frozen=True)
class Host(Primitive):
    """Computed by NumPy, whatever the backend: `reference` is also how it runs."""

    family = "host"


@dataclass(frozen=True)
class ArgSort(Host):
    """The order that sorts an axis; equal elements keep their order, NaN comes last."""

    axis: int
    descending: bool = False

    def result(self, *inputs: Spec) -> Spec:
        return Spec(tuple(inputs[0].shape), dtypes.int64)

    def reference(self, *inputs: NumPyArray) -> NumPyArray:
        (x,) = inputs
        if not self.descending:
            return np.argsort(x, axis=self.axis, kind="stable")
        backwards = np.flip(
            np.argsort(np.flip(x, self.axis), axis=self.axis, kind="stable"), self.axis
        )
        return x.shape[self.axis] - 1 - backwards

    def vjp(self, cotangents: Any, inputs: Any, outputs: Any) -> list[Any]:
        return [None]

    def jvp(self, inputs: Any, tangents: Any) -> Any:
        return None

    def batch(self, inputs: Any, axes: Any, size: int) -> tuple[Any, Any]:
        return ArgSort(self.axis + 1, self.descending)(move_axis(inputs[0], axes[0], 0)), 0

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        x = np.random.default_rng(8).integers(0, 5, (4, 6)).astype(np.float64)
        yield Sample(cls(1), (x,), differentiable=False)
        yield Sample(cls(0, True), (x,), differentiable=False)


@dataclass(frozen=True)
class NumPyCall(Host):
    """A function of `numpy` (or `numpy.linalg`, `numpy.fft`) by its name; not differentiable.

    Shapes and dtypes: NumPy's, found by running it.
    """

    function: str = field(metadata={TOLD: True})
    arguments: tuple[tuple[str, Any], ...] = ()

    @property
    def name(self) -> str:
        return self.function

    def reference(self, *inputs: NumPyArray) -> Any:
        target: Any = np
        for part in self.function.split("."):
            target = getattr(target, part)
        with np.errstate(all="ignore"):  # as in any computation
            return np.asarray(target(*inputs, **dict(self.arguments)))

    def result(self, *inputs: Spec) -> Spec:
        random = np.random.default_rng(0)
        trial = [random.uniform(1, 99, spec.shape).astype(spec.dtype.numpy) for spec in inputs]
        found = self.reference(*trial)
        return Spec(found.shape, dtypes.as_dtype(found.dtype))

    def batch(self, inputs: Any, axes: Any, size: int) -> tuple[Any, Any]:
        """NumPy's functions of numbers broadcast, and those of matrices take stacks of them in front."""
        return self(*batch_above(inputs, axes)), 0

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        x = np.random.default_rng(9).standard_normal((3, 3))
        yield Sample(cls("linalg.inv"), (x,), differentiable=False)
