"""Contractions: products summed over shared axes. Matrix products, einsum, N-d convolutions.

Every axis of the two operands and of the result has a label (an integer). A label in both operands
and not in the result is summed; one in all three is a batch. A convolution adds `Geometry`: a label
of the left operand that is read at positions made of a result's label and a label of the right one,
position = output * stride + kernel * kernel_dilation - padding, in an input that may itself be
spread out by `input_dilation`. The gradients of a convolution are of the same family.

Source: Dumoulin & Visin, *A guide to convolution arithmetic for deep learning* (2016).
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from tessella import dtypes
from tessella.arguments.callers import called_function
from tessella.errors import DTypeError, ShapeError, StorageDTypeError
from tessella.primitives.base import NumPyArray, Primitive, Sample, Spec
from tessella.primitives.elementwise import cast
from tessella.primitives.movement import batch_front, expand, flip, reshape
from tessella.primitives.phases import spread_contraction
from tessella.sizes.size import is_symbolic

Labels = tuple[int, ...]
Repeated: TypeAlias = "tuple[int, ...] | None"  # None if nothing is repeated


def _remembered(rule: Callable[..., Any]) -> Callable[..., Any]:
    """A rule of two shapes, derived once for each two; with symbolic sizes, in every trace: they ask."""
    known = functools.lru_cache(maxsize=1024)(rule)

    @functools.wraps(rule)
    def found(contraction: Contraction, x: Spec, y: Spec) -> Any:
        symbolic = any(is_symbolic(size) for size in (*x.shape, *y.shape))
        return (rule if symbolic else known)(contraction, x, y)

    return found


@dataclass(frozen=True)
class Geometry:
    """One spatial axis of a convolution.

    The left operand's label `input` is read at output * stride + kernel * kernel_dilation - low,
    of an input spread by `input_dilation`. `low` and `high` are paddings and may be negative
    (cropping).
    """

    input: int
    kernel: int
    output: int
    stride: int = 1
    low: int = 0
    high: int = 0
    input_dilation: int = 1
    kernel_dilation: int = 1

    def spread(self, extent: int) -> int:
        """The input's size once it has been dilated and padded."""
        return max(extent - 1, -1) * self.input_dilation + 1 + self.low + self.high

    def places(self, extent: int, kernel: int) -> int:
        """The output's size."""
        span = (kernel - 1) * self.kernel_dilation + 1
        return max(0, (self.spread(extent) - span) // self.stride + 1)


@dataclass(frozen=True)
class Contraction(Primitive):
    """result = sum over shared labels of left x right.

    Dtypes: both operands the same; half precision is accumulated in float32 and rounded once. If
        `wide`, it is not rounded: the result is in float32 (the compiler makes such ones, after
        differentiation, and rounds in a step of its own that can be fused; scores of attention are others).
    """

    family = "product"

    shared = True

    left: Labels
    right: Labels
    output: Labels
    geometry: tuple[Geometry, ...] = ()
    wide: bool = False

    @functools.cached_property
    def _hash(self) -> int:
        return hash((self.left, self.right, self.output, self.geometry, self.wide))

    def __hash__(self) -> int:
        return self._hash  # plans are looked up by it

    @property
    def name(self) -> str:
        return "contraction" if not self.geometry else "convolution"

    def sizes(self, x: Spec, y: Spec) -> dict[int, int]:
        """The size of every label.

        Raises:
            ShapeError: two axes of one label differ.
        """
        sizes: dict[int, int] = {}
        for labels, spec in ((self.left, x), (self.right, y)):
            if len(labels) != len(spec.shape):
                raise ShapeError(
                    f"{self.name}: an operand of shape {spec.shape}, but {len(labels)} labels"
                )
            for label, size in zip(labels, spec.shape, strict=True):
                if sizes.setdefault(label, size) != size:
                    raise ShapeError(
                        f"{self.name}: sizes differ: {x.shape} and {y.shape}; the "
                        f"{sizes[label]} and the {size} must be equal"
                    )
        for g in self.geometry:
            sizes[g.output] = g.places(sizes[g.input], sizes[g.kernel])
        return sizes

    def multiply_adds(self, x: Spec, y: Spec) -> int:
        """How many there are; what a convolution reads of its padding counts."""
        labels = {*self.left, *self.right, *self.output} - {g.input for g in self.geometry}
        sizes = self.sizes(x, y)
        return math.prod(sizes[label] for label in labels)

    def result(self, *inputs: Spec) -> Spec:
        x, y = inputs
        if x.dtype is not y.dtype:
            raise DTypeError(f"{self.name}: {x.dtype.name} and {y.dtype.name} must be one dtype")
        sizes = self.sizes(x, y)
        dtype = x.dtype.compute if self.wide else x.dtype
        return Spec(tuple(sizes[label] for label in self.output), dtype)

    def reference(self, *inputs: NumPyArray) -> NumPyArray:
        x, y = inputs
        dtype = x.dtype
        if self.wide:
            dtype = dtypes.as_dtype(dtype).compute.numpy
        wide = np.dtype(np.float64) if dtype.kind not in "iubc" else dtype
        wide = np.dtype(np.int64) if dtype.kind == "b" else wide
        x, y, left = x.astype(wide), y.astype(wide), list(self.left)
        for g in self.geometry:
            x = _numpy_windows(x, left.index(g.input), g, y.shape[self.right.index(g.kernel)])
            left[left.index(g.input)] = g.output
            left.append(g.kernel)
        with np.errstate(all="ignore"):
            result = np.einsum(x, left, y, list(self.right), list(self.output))
            return np.asarray(result).astype(dtype)

    def vjp(self, cotangents: Any, inputs: Any, outputs: Any) -> list[Any]:
        return self.vjp_of((True, True), cotangents, inputs, outputs)

    def vjp_of(self, wanted: Any, cotangents: Any, inputs: Any, outputs: Any) -> list[Any]:
        (ct,), (x, y) = cotangents, inputs
        if not x.dtype.is_inexact:
            return [None, None]
        ct = cast(ct, x.dtype)  # if `wide`, it is in float32
        return [
            self._pull_left(ct, x, y) if wanted[0] else None,
            self._pull_right(ct, x, y) if wanted[1] else None,
        ]

    def _pull_left(self, ct: Any, x: Any, y: Any) -> Any:
        """Correlate the gradient with the kernel backwards: strides become phases of the result."""
        y = flip(y, tuple(self.right.index(g.kernel) for g in self.geometry))
        gradient, repeated = self._gradient_of_left(Spec(x.shape, x.dtype), Spec(y.shape, y.dtype))
        return _spread(spread_contraction(gradient, ct, y), repeated, x.shape)

    def _pull_right(self, ct: Any, x: Any, y: Any) -> Any:
        """Correlate the input with the gradient: strides become kernel dilations."""
        gradient, repeated = self._gradient_of_right(Spec(x.shape, x.dtype), Spec(y.shape, y.dtype))
        return _spread(gradient(x, ct), repeated, y.shape)

    @_remembered
    def _gradient_of_left(self, x: Spec, y: Spec) -> tuple[Contraction, Repeated]:
        sizes = self.sizes(x, y)
        geometry = []
        for g in self.geometry:
            span = (sizes[g.kernel] - 1) * g.kernel_dilation
            reach = (sizes[g.input] - 1) * g.input_dilation + 1
            low = span - g.low
            ct_span = max(sizes[g.output] - 1, -1) * g.stride + 1
            high = reach + span - low - ct_span
            geometry.append(
                Geometry(
                    input=g.output, kernel=g.kernel, output=g.input, stride=g.input_dilation,
                    low=low, high=high, input_dilation=g.stride, kernel_dilation=g.kernel_dilation,
                )
            )  # fmt: skip
        missing = set(self.left) - set(self.output) - set(self.right) - {g.input for g in geometry}
        missing -= {g.output for g in geometry}
        output = self._without(self.left, missing)
        gradient = Contraction(self.output, self.right, output, tuple(geometry))
        return gradient, _repeated(output, self.left, sizes)

    @_remembered
    def _gradient_of_right(self, x: Spec, y: Spec) -> tuple[Contraction, Repeated]:
        sizes = self.sizes(x, y)
        geometry = []
        for g in self.geometry:
            # the windows need not reach the end of the input: cut what no window read
            span = (sizes[g.kernel] - 1) * g.kernel_dilation + 1
            used = (sizes[g.output] - 1) * g.stride + span
            high = used - ((sizes[g.input] - 1) * g.input_dilation + 1) - g.low
            geometry.append(
                Geometry(
                    input=g.input, kernel=g.output, output=g.kernel, stride=g.kernel_dilation,
                    low=g.low, high=high, input_dilation=g.input_dilation,
                    kernel_dilation=g.stride,
                )
            )  # fmt: skip
        missing = set(self.right) - set(self.output) - set(self.left)
        missing -= {g.output for g in geometry}
        output = self._without(self.right, missing)
        gradient = Contraction(self.left, self.output, output, tuple(geometry))
        return gradient, _repeated(output, self.right, sizes)

    @staticmethod
    def _without(labels: Labels, missing: set[int]) -> Labels:
        return tuple(label for label in labels if label not in missing)

    def jvp(self, inputs: Any, tangents: Any) -> Any:
        (x, y), (tx, ty) = inputs, tangents
        parts = [] if tx is None else [self(tx, y)]
        parts += [] if ty is None else [self(x, ty)]
        return None if not parts else parts[0] if len(parts) == 1 else parts[0] + parts[1]

    def batch(self, inputs: Any, axes: Any, size: int) -> tuple[Any, Any]:
        """One more label, in front: a batch label if both operands have it."""
        extra = 1 + max((*self.left, *self.right, *self.output), default=0)
        (x, y), (x_axis, y_axis) = inputs, axes
        x = x if x_axis is None else batch_front(x, x_axis, size)
        y = y if y_axis is None else batch_front(y, y_axis, size)
        left = self.left if x_axis is None else (extra, *self.left)
        right = self.right if y_axis is None else (extra, *self.right)
        return Contraction(left, right, (extra, *self.output), self.geometry, self.wide)(x, y), 0

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        random = np.random.default_rng(5)
        matrices = random.standard_normal((4, 5)), random.standard_normal((5, 3))
        yield Sample(cls((0, 1), (1, 2), (0, 2)), matrices)
        yield Sample(cls((0, 1), (1, 2), (2, 0)), matrices)
        yield Sample(cls((1, 0), (1, 2), (0, 2)), (matrices[0].T, matrices[1]))
        yield Sample(
            cls((9, 0, 1), (9, 1, 2), (9, 0, 2)),
            (random.standard_normal((3, 4, 5)), random.standard_normal((3, 5, 2))),
        )
        yield Sample(cls((0,), (0,), ()), (np.ones(6), np.arange(6.0)))
        yield Sample(cls((0,), (1,), (0, 1)), (np.ones(3), np.arange(4.0)))
        yield Sample(cls((0, 1), (2,), (0, 2)), (np.ones((3, 2)), np.arange(4.0)))
        yield Sample(cls((0, 1), (1, 2), (0, 2)), (np.ones((3, 0)), np.ones((0, 2))))
        wide = (random.standard_normal((37, 40)), random.standard_normal((40, 45)))
        yield Sample(cls((0, 1), (1, 2), (0, 2)), tuple(m.astype(np.float32) for m in wide))
        integers = (random.integers(-9, 9, (4, 5)), random.integers(-9, 9, (5, 3)))
        yield Sample(cls((0, 1), (1, 2), (0, 2)), integers, differentiable=False)
        yield from cls._convolution_samples(random)

    @classmethod
    def _convolution_samples(cls, random: np.random.Generator) -> Iterator[Sample]:
        """(n, c, x) and (o, c, k) give (n, o, y), in all sorts of geometry."""
        x, w = random.standard_normal((2, 3, 11)), random.standard_normal((4, 3, 3))
        for stride, low, high, spread, dilation in (
            (1, 0, 0, 1, 1), (2, 1, 1, 1, 1), (1, 2, 0, 1, 2), (3, 0, 1, 2, 1), (2, -1, -2, 1, 2),
        ):  # fmt: skip
            g = Geometry(2, 4, 5, stride, low, high, spread, dilation)
            yield Sample(cls((0, 1, 2), (3, 1, 4), (0, 3, 5), (g,)), (x, w))
        x, w = random.standard_normal((2, 2, 6, 5)), random.standard_normal((3, 2, 3, 2))
        both = (Geometry(2, 5, 7, 2, 1, 1), Geometry(3, 6, 8, 1, 0, 1))
        yield Sample(cls((0, 1, 2, 3), (4, 1, 5, 6), (0, 4, 7, 8), both), (x, w))


def _repeated(output: Labels, labels: Labels, sizes: dict[int, int]) -> Repeated:
    """The shape of a gradient before it is repeated along labels that were summed in one operand alone."""
    if output == labels:
        return None
    return tuple(sizes[label] if label in output else 1 for label in labels)


def _spread(result: Any, repeated: Repeated, shape: Any) -> Any:
    """Repeat a gradient along labels that were summed in one operand alone."""
    if repeated is None:
        return result
    return expand(reshape(result, repeated), tuple(shape))


def _numpy_windows(x: NumPyArray, axis: int, g: Geometry, kernel: int) -> NumPyArray:
    """Spread, pad (or crop) and window one axis; the kernel's positions come last."""
    x = np.moveaxis(x, axis, -1)
    spread = np.zeros((*x.shape[:-1], g.spread(x.shape[-1])), x.dtype)
    for i in range(x.shape[-1]):
        place = i * g.input_dilation + g.low
        if 0 <= place < spread.shape[-1]:
            spread[..., place] = x[..., i]
    count = g.places(x.shape[-1], kernel)
    result = np.zeros((*x.shape[:-1], count, kernel), x.dtype)
    for i, k in itertools.product(range(count), range(kernel)):
        result[..., i, k] = spread[..., i * g.stride + k * g.kernel_dilation]
    return np.moveaxis(result, -2, axis)


@functools.cache
def matmul_labels(left_rank: int, right_rank: int) -> Contraction:
    """The contraction of `matmul` for operands of these ranks, batch axes already equal.

    >>> matmul_labels(2, 2)
    Contraction(left=(0, 1), right=(1, 2), output=(0, 2), geometry=(), wide=False)
    """
    rows, inner, columns = 0, 1, 2
    batch = tuple(range(3, 3 + max(left_rank, right_rank, 2) - 2))
    left = (*batch, rows, inner) if left_rank > 1 else (inner,)
    right = (*batch, inner, columns) if right_rank > 1 else (inner,)
    output = batch if left_rank > 1 or right_rank > 1 else ()
    output += (rows,) if left_rank > 1 else ()
    output += (columns,) if right_rank > 1 else ()
    return Contraction(left, right, output)


def promote_pair(x: Any, y: Any) -> tuple[Any, Any]:
    """Two operands in their common dtype."""
    if x.dtype is y.dtype:
        return x, y
    try:
        common = dtypes.promote(x.dtype, y.dtype)
    except StorageDTypeError as error:
        raise error.told_of(called_function("matmul")) from None
    return cast(x, common), cast(y, common)
