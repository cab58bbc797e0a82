"""Sliding windows: a view that shows each neighbourhood. Pooling is a window and a reduction."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tessella.errors import ShapeError
from tessella.primitives.base import NumPyArray, Sample, Shape, Spec
from tessella.primitives.index import Along, straight
from tessella.primitives.movement import Linear, Rearrangement, move_axis


@dataclass(frozen=True)
class Window(Rearrangement):
    """The windows of the last axes: (..., *places, *sizes), without copying.

    Element (..., i, k) of the result is element i * step + k * dilation of the input, for each of
    the windowed axes.
    """

    sizes: tuple[int, ...]
    steps: tuple[int, ...]
    dilations: tuple[int, ...]

    @property
    def rank(self) -> int:
        return len(self.sizes)

    def places(self, extents: Shape) -> Shape:
        """How many windows fit along each axis."""
        return tuple(
            max(0, (n - (size - 1) * dilation - 1) // step + 1)
            for n, size, step, dilation in zip(
                extents, self.sizes, self.steps, self.dilations, strict=True
            )
        )

    def result(self, *inputs: Spec) -> Spec:
        (x,) = inputs
        if len(x.shape) < self.rank:
            raise ShapeError(f"window: {self.rank} windowed axes, but the shape is {x.shape}")
        if min((*self.sizes, *self.steps, *self.dilations), default=1) < 1:
            raise ShapeError("window: sizes, steps and dilations must be at least 1")
        outer, extents = x.shape[: len(x.shape) - self.rank], x.shape[len(x.shape) - self.rank :]
        return Spec((*outer, *self.places(extents), *self.sizes), x.dtype)

    def along(self, shape: Shape, result: Shape) -> tuple[Along, ...]:
        outer = len(shape) - self.rank
        windowed = enumerate(zip(self.steps, self.dilations, strict=True), outer)
        inner = [Along(((axis, step), (axis + self.rank, gap))) for axis, (step, gap) in windowed]
        return (*straight(outer), *inner)

    def reference(self, *inputs: NumPyArray) -> NumPyArray:
        (x,) = inputs
        outer = x.ndim - self.rank
        shape = self.result(Spec(x.shape, x.dtype)).shape
        if 0 in shape:
            return np.zeros(shape, x.dtype)
        spans = [(k - 1) * d + 1 for k, d in zip(self.sizes, self.dilations, strict=True)]
        axes = tuple(range(outer, x.ndim))
        view = np.lib.stride_tricks.sliding_window_view(x, spans, axis=axes)
        keep = (slice(None),) * outer
        places = tuple(slice(None, None, step) for step in self.steps)
        inside = tuple(slice(None, None, dilation) for dilation in self.dilations)
        return view[keep + places + inside]

    def transpose(self, ct: Any, spec: Spec) -> Any:
        extents = tuple(spec.shape[len(spec.shape) - self.rank :])
        return Fold(self.sizes, self.steps, self.dilations, extents)(ct)

    def batch(self, inputs: Any, axes: Any, size: int) -> tuple[Any, Any]:
        return self(move_axis(inputs[0], axes[0], 0)), 0

    @classmethod
    def samples(cls) -> Iterable[Sample]:
        x = np.random.default_rng(3).standard_normal((2, 7, 8))
        yield Sample(cls((3,), (1,), (1,)), (x,))
        yield Sample(cls((2, 3), (2, 1), (1, 2)), (x,))
        yield Sample(cls((9,), (1,), (1,)), (x,))


@dataclass(frozen=True)
class Fold(Linear):
    """Add overlapping windows back where they came from: the transpose of `Window`."""

    family = "movement"

    sizes: tuple[int, ...]
    steps: tuple[int, ...]
    dilations: tuple[int, ...]
    extents: Shape

    @property
    def rank(self) -> int:
        return len(self.sizes)

    def window(self) -> Window:
        return Window(self.sizes, self.steps, self.dilations)

    def result(self, *inputs: Spec) -> Spec:
        (x,) = inputs
        outer = x.shape[: len(x.shape) - 2 * self.rank]
        expected = (*outer, *self.window().places(self.extents), *self.sizes)
        if tuple(x.shape) != expected:
            raise ShapeError(f"fold: shape {x.shape}, but the windows have shape {expected}")
        return Spec((*outer, *self.extents), x.dtype)

    def reference(self, *inputs: NumPyArray) -> NumPyArray:
        (x,) = inputs
        outer = x.shape[: x.ndim - 2 * self.rank]
        places = x.shape[len(outer) : x.ndim - self.rank]
        result = np.zeros((*outer, *self.extents), np.float64 if x.dtype.kind == "f" else x.dtype)
        for offset in np.ndindex(*self.sizes):
            where = tuple(
                slice(k * d, k * d + (n - 1) * s + 1 if n else k * d, s)
                for k, d, n, s in zip(offset, self.dilations, places, self.steps, strict=True)
            )
            target: Any = (..., *where)
            result[target] += x[(..., *offset)]
        return result.astype(x.dtype)

    def transpose(self, ct: Any, spec: Spec) -> Any:
        return self.window()(ct)

    def batch(self, inputs: Any, axes: Any, size: int) -> tuple[Any, Any]:
        return self(move_axis(inputs[0], axes[0], 0)), 0

    @classmethod
    def samples(cls) -> Iterable[Sample]:
        random = np.random.default_rng(4)
        yield Sample(cls((3,), (1,), (1,), (7,)), (random.standard_normal((2, 5, 3)),))
        yield Sample(cls((2, 3), (2, 1), (1, 2), (7, 8)), (random.standard_normal((3, 4, 2, 3)),))
