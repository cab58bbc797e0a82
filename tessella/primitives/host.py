"""What NumPy does on the host: sorting and its kin, which this project does not exist for."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from tessella import dtypes
from tessella.dtypes import DType
from tessella.errors import MissingRuleError, ShapeError
from tessella.primitives.base import (
    TOLD,
    NumPyArray,
    Primitive,
    Sample,
    Spec,
    WithoutSlope,
    broadcast_shapes,
)
from tessella.primitives.graph import describe
from tessella.primitives.movement import Concatenate, batch_above, batch_front, move_axis, reshape


@dataclass(frozen=True)
class Host(Primitive):
    """Computed by NumPy, whatever the backend: `reference` is also how it runs."""

    family = "host"


@dataclass(frozen=True)
class ArgSort(WithoutSlope, Host):
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

    def batch(self, inputs: Any, axes: Any, size: int) -> tuple[Any, Any]:
        return ArgSort(self.axis + 1, self.descending)(move_axis(inputs[0], axes[0], 0)), 0

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        x = np.random.default_rng(8).integers(0, 5, (4, 6)).astype(np.float64)
        yield Sample(cls(1), (x,), differentiable=False)
        yield Sample(cls(0, True), (x,), differentiable=False)


@dataclass(frozen=True)
class NumPyCall(Host):
    """A function of NumPy arrays: one of `numpy` (or `numpy.linalg`, `numpy.fft`) by its name, or one of a user.

    Shapes and dtypes: those that are stated; NumPy is not asked before it is to compute.

    Args:
        results: the shape and dtype of the result, or the dtype alone if it has the shape that the operands have when
            they are broadcast; a tuple of such for a function that gives several.
        arguments: further ones, by their names.
        gradient: the gradients of the operands, from the tuples of cotangents, operands and results; None if it
            has none.
    """

    function: str | Callable[..., Any] = field(metadata={TOLD: True})
    results: DType | Spec | tuple[DType | Spec, ...] = field(metadata={TOLD: True})
    arguments: tuple[tuple[str, Any], ...] = ()
    gradient: Callable[[Any, Any, Any], Sequence[Any]] | None = field(default=None, repr=False)

    @property
    def multiple_results(self) -> bool:  # type: ignore[override]
        return type(self.results) is tuple

    @property
    def computes(self) -> bool:  # type: ignore[override]
        """A user's function may take any dtype."""
        return not callable(self.function)

    @property
    def stated(self) -> Any:
        """What is said of each result."""
        return self.results if self.multiple_results else (self.results,)

    @property
    def name(self) -> str:
        return str(getattr(self.function, "__name__", self.function))

    def reference(self, *inputs: NumPyArray) -> Any:
        """Call it.

        Raises:
            ShapeError: what it gives is not as it was stated.
        """
        target: Any = self.function
        if isinstance(target, str):
            target = functools.reduce(getattr, target.split("."), np)
        with np.errstate(all="ignore"):  # as in any computation
            found = target(*inputs, **dict(self.arguments))
        arrays = tuple(map(np.asarray, found if self.multiple_results else (found,)))
        given = tuple([Spec(x.shape, dtypes.as_dtype(x.dtype)) for x in arrays])
        result = self.result(*[Spec(x.shape, dtypes.as_dtype(x.dtype)) for x in inputs])
        stated = result if self.multiple_results else (result,)
        if given != stated:
            gives, expected = (", ".join(map(describe, specs)) for specs in (given, stated))
            raise ShapeError(f"{self.name}: it gives {gives}; {expected} was stated")
        return arrays if self.multiple_results else arrays[0]

    def result(self, *inputs: Spec) -> Any:
        shapes = [x.shape for x in inputs]
        found = [
            told if isinstance(told, Spec) else Spec(broadcast_shapes(shapes, self.name), told)
            for told in self.stated
        ]
        return tuple(found) if self.multiple_results else found[0]

    def vjp(self, cotangents: Any, inputs: Any, outputs: Any) -> Sequence[Any]:
        if self.gradient is None:
            raise MissingRuleError(
                f"{self.name} has no gradient, as NumPy computes it; give one to the NumPyCall "
                "(gradient=...), or detach its operands"
            )
        return self.gradient(cotangents, inputs, outputs)

    def batch(self, inputs: Any, axes: Any, size: int) -> tuple[Any, Any]:
        """NumPy's functions of numbers broadcast, and those of matrices take stacks of them in front.

        A user's function is called for one element of the batch after the other.
        """
        if callable(self.function):
            return self._one_by_one(inputs, axes, size)
        above = [
            Spec((size, *told.shape), told.dtype) if isinstance(told, Spec) else told
            for told in self.stated
        ]
        call = replace(self, results=tuple(above) if self.multiple_results else above[0])
        return call(*batch_above(inputs, axes)), 0

    def _one_by_one(self, inputs: Any, axes: Any, size: int) -> tuple[Any, Any]:
        fronts = [batch_front(x, axis, size) for x, axis in zip(inputs, axes, strict=True)]
        rows = [self(*[x[row] for x in fronts]) for row in range(size)]
        parts = rows if self.multiple_results else [(row,) for row in rows]
        found = [
            Concatenate(0)(*[reshape(y, (1, *y.shape)) for y in own])
            for own in zip(*parts, strict=True)
        ]
        return (tuple(found) if self.multiple_results else found[0]), 0

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        x = np.random.default_rng(9).standard_normal((3, 3))
        yield Sample(cls("linalg.inv", Spec((3, 3), dtypes.float64)), (x,), differentiable=False)
        integers = np.arange(12, dtype=np.int32).reshape(3, 4)
        yield Sample(cls("gcd", dtypes.int32), (integers, integers[:, :1]), differentiable=False)
