"""Movement: the same elements elsewhere. Most of these are views and cost nothing.

Each says by an index map where its elements come from; that is all that eager mode, fusion, kernels and pictures
know of it. All of them are linear, so `jvp` applies them to the tangent, and `vjp` applies the transpose.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tessella.errors import ShapeError
from tessella.primitives.base import (
    TOLD,
    NumPyArray,
    Primitive,
    Sample,
    Shape,
    Spec,
    same_shape,
    size_of,
    sum_over,
)
from tessella.primitives.index import Along, IndexMap, Piece, straight
from tessella.sizes.size import for_all


class Movement(Primitive):
    """A primitive whose elements are elements of its operands: `index_map` tells where they stand."""

    family = "movement"
    computes = False

    def index_map(self, shapes: Sequence[Shape], result: Shape) -> IndexMap:
        """Where the elements of the result come from, given the shapes of the operands."""
        raise self._missing("index_map")


class Linear(Primitive):
    """A primitive of one input that is linear in it: it only needs `transpose`."""

    shared = True

    def transpose(self, ct: Any, spec: Spec) -> Any:
        """The gradient of the input, given that of the output and the input's shape and dtype."""
        raise self._missing("transpose")

    def vjp(self, cotangents: Any, inputs: Any, outputs: Any) -> list[Any]:
        (x,) = inputs
        return [self.transpose(cotangents[0], Spec(x.shape, x.dtype))]

    def jvp(self, inputs: tuple[Any, ...], tangents: tuple[Any, ...]) -> Any:
        return None if tangents[0] is None else self(tangents[0])


class Rearrangement(Linear, Movement):
    """Movement all of whose elements are in its operand: where strides can tell it, nothing is copied."""

    transparent = True

    def along(self, shape: Shape, result: Shape) -> tuple[Along, ...] | None:
        """Where along each axis of the operand they stand; None for the same places in row-major order."""
        raise self._missing("along")

    def after(self, inner: Any) -> Rearrangement | None:
        """What does the same as another one of its class and then this one; None if nothing is known."""
        return None

    def index_map(self, shapes: Sequence[Shape], result: Shape) -> IndexMap:
        return IndexMap((Piece(0, self.along(shapes[0], result)),))


@dataclass(frozen=True)
class Reshape(Rearrangement):
    """The same elements in row-major order, in another shape."""

    shape: Shape = field(metadata={TOLD: True})

    def result(self, *inputs: Spec) -> Spec:
        (x,) = inputs
        if size_of(x.shape) != size_of(self.shape):
            raise ShapeError(
                f"reshape: {x.shape} has {size_of(x.shape)} elements, {self.shape} has "
                f"{size_of(self.shape)}; they must be equal"
            )
        return Spec(self.shape, x.dtype)

    def along(self, shape: Shape, result: Shape) -> None:
        return None

    def after(self, inner: Reshape) -> Reshape:
        return self

    def reference(self, *inputs: NumPyArray) -> NumPyArray:
        return np.reshape(inputs[0], self.shape)

    def transpose(self, ct: Any, spec: Spec) -> Any:
        return Reshape(spec.shape)(ct)

    def batch(self, inputs: Any, axes: Any, size: int) -> tuple[Any, Any]:
        return Reshape((size, *self.shape))(move_axis(inputs[0], axes[0], 0)), 0

    @classmethod
    def samples(cls) -> Iterable[Sample]:
        x = np.arange(24.0).reshape(2, 3, 4)
        yield Sample(cls((6, 4)), (x,))
        yield Sample(cls((4, 6)), (np.moveaxis(x, 0, 2),))
        yield Sample(cls((0, 5)), (np.zeros((3, 0)),))
        yield Sample(cls(()), (np.ones((1, 1)),))


@dataclass(frozen=True)
class Permute(Rearrangement):
    """Axes in another order: axis i of the result is axis `order[i]` of the input."""

    order: tuple[int, ...]

    def result(self, *inputs: Spec) -> Spec:
        (x,) = inputs
        if sorted(self.order) != list(range(len(x.shape))):
            raise ShapeError(
                f"permute_dims: the axes {self.order} are not an order of the "
                f"{len(x.shape)} axes of shape {x.shape}"
            )
        return Spec(tuple(x.shape[axis] for axis in self.order), x.dtype)

    def along(self, shape: Shape, result: Shape) -> tuple[Along, ...]:
        return tuple([Along(((self.order.index(axis), 1),)) for axis in range(len(shape))])

    def after(self, inner: Permute) -> Permute:
        return Permute(tuple(inner.order[axis] for axis in self.order))

    def reference(self, *inputs: NumPyArray) -> NumPyArray:
        return np.transpose(inputs[0], self.order)

    def transpose(self, ct: Any, spec: Spec) -> Any:
        inverse = sorted(range(len(self.order)), key=self.order.__getitem__)
        return Permute(tuple(inverse))(ct)

    def batch(self, inputs: Any, axes: Any, size: int) -> tuple[Any, Any]:
        x = move_axis(inputs[0], axes[0], 0)
        return Permute((0, *(axis + 1 for axis in self.order)))(x), 0

    @classmethod
    def samples(cls) -> Iterable[Sample]:
        yield Sample(cls((2, 0, 1)), (np.arange(24.0).reshape(2, 3, 4),))
        yield Sample(cls(()), (np.asarray(np.float32(3)),))


@dataclass(frozen=True)
class Expand(Rearrangement):
    """Broadcast to a shape; the repeated axes are stored once."""

    shape: Shape = field(metadata={TOLD: True})

    def result(self, *inputs: Spec) -> Spec:
        (x,) = inputs
        if not _is_broadcast_to(x.shape, self.shape):
            raise ShapeError(f"broadcast_to: {x.shape} cannot be broadcast to {self.shape}")
        return Spec(self.shape, x.dtype)

    def along(self, shape: Shape, result: Shape) -> tuple[Along, ...]:
        missing = len(result) - len(shape)
        return tuple(
            Along() if n == 1 and target != 1 else Along(((axis, 1),))
            for axis, (n, target) in enumerate(zip(shape, result[missing:], strict=True), missing)
        )

    def reference(self, *inputs: NumPyArray) -> NumPyArray:
        return np.broadcast_to(inputs[0], self.shape)

    def transpose(self, ct: Any, spec: Spec) -> Any:
        return sum_to(ct, spec.shape)

    def batch(self, inputs: Any, axes: Any, size: int) -> tuple[Any, Any]:
        x = move_axis(inputs[0], axes[0], 0)
        missing = len(self.shape) - (len(x.shape) - 1)
        x = reshape(x, (size, *(1,) * missing, *x.shape[1:]))
        return Expand((size, *self.shape))(x), 0

    @classmethod
    def samples(cls) -> Iterable[Sample]:
        yield Sample(cls((5, 3, 4)), (np.arange(3.0).reshape(3, 1),))
        yield Sample(cls((2, 0)), (np.ones((2, 1)),))


@dataclass(frozen=True)
class Slice(Rearrangement):
    """Elements start, start + step, ... of each axis, `sizes` of them; a step may be negative."""

    starts: tuple[int, ...]
    sizes: tuple[int, ...]
    steps: tuple[int, ...]

    def result(self, *inputs: Spec) -> Spec:
        (x,) = inputs
        if len(self.sizes) != len(x.shape):
            raise ShapeError(f"slice: {len(self.sizes)} ranges for shape {x.shape}")
        for start, size, step, extent in zip(
            self.starts, self.sizes, self.steps, x.shape, strict=True
        ):
            last = start + (size - 1) * step
            if size and not (0 <= start < extent and 0 <= last < extent):
                raise ShapeError(
                    f"slice: elements {start} to {last} leave an axis of size {extent}"
                )
        return Spec(self.sizes, x.dtype)

    def along(self, shape: Shape, result: Shape) -> tuple[Along, ...]:
        places = enumerate(zip(self.starts, self.steps, strict=True))
        return tuple([Along(((axis, step),), start) for axis, (start, step) in places])

    def after(self, inner: Slice) -> Slice:
        walks = list(zip(self.starts, self.steps, inner.starts, inner.steps, strict=True))
        starts = tuple(first + step * start for start, _, first, step in walks)
        return Slice(starts, self.sizes, tuple(step * inside for _, step, _, inside in walks))

    def reference(self, *inputs: NumPyArray) -> NumPyArray:
        return inputs[0][self._index()]

    def _index(self) -> tuple[slice, ...]:
        return tuple(
            slice(start, stop if stop >= 0 else None, step) if size else slice(0, 0)
            for start, size, step in zip(self.starts, self.sizes, self.steps, strict=True)
            for stop in [start + size * step]
        )

    def transpose(self, ct: Any, spec: Spec) -> Any:
        """Spread the gradient over zeros."""
        ct = flip(ct, tuple(axis for axis, step in enumerate(self.steps) if step < 0))
        low, high, interior = [], [], []
        for start, size, step, extent in zip(
            self.starts, self.sizes, self.steps, spec.shape, strict=True
        ):
            first = start if step > 0 else start + (size - 1) * step
            span = (size - 1) * abs(step) + 1
            low.append(first if size else 0)
            high.append(extent - first - span if size else extent)
            interior.append(abs(step) - 1 if size else 0)
        return Pad(tuple(low), tuple(high), tuple(interior))(ct)

    def batch(self, inputs: Any, axes: Any, size: int) -> tuple[Any, Any]:
        x = move_axis(inputs[0], axes[0], 0)
        whole = Slice((0, *self.starts), (size, *self.sizes), (1, *self.steps))
        return whole(x), 0

    @classmethod
    def samples(cls) -> Iterable[Sample]:
        x = np.arange(60.0).reshape(5, 12)
        yield Sample(cls((1, 2), (3, 4), (1, 3)), (x,))
        yield Sample(cls((4, 11), (3, 6), (-2, -2)), (x,))
        yield Sample(cls((0, 0), (0, 12), (1, 1)), (x,))
        yield Sample(cls((), (), ()), (np.asarray(3.0),))


def _in_box(starts: Sequence[int], steps: Sequence[int]) -> tuple[Along, ...]:
    """Where in a box an element stands, if it is in it: one that begins somewhere and is spread by steps."""
    return tuple(
        Along(((axis, 1 if step > 0 else -1),), -start if step > 0 else start, abs(step), True)
        for axis, (start, step) in enumerate(zip(starts, steps, strict=True))
    )


@dataclass(frozen=True)
class Pad(Linear, Movement):
    """Zeros before, after and between the elements of each axis.

    `value` fills instead of zero (the operation is then affine, its derivative the same).
    """

    low: tuple[int, ...]
    high: tuple[int, ...]
    interior: tuple[int, ...]
    value: float = 0.0

    def result(self, *inputs: Spec) -> Spec:
        (x,) = inputs
        if len(self.low) != len(x.shape):
            raise ShapeError(f"pad: {len(self.low)} widths for shape {x.shape}")
        if min((*self.low, *self.high, *self.interior), default=0) < 0:
            raise ShapeError(f"pad: widths {self.low}, {self.high} must not be negative")
        return Spec(self.shape_of(x.shape), x.dtype)

    def shape_of(self, shape: Shape) -> Shape:
        return tuple(
            low + high + n + max(n - 1, 0) * between
            for low, high, between, n in zip(self.low, self.high, self.interior, shape, strict=True)
        )

    def _inside(self, shape: Shape) -> tuple[slice, ...]:
        return tuple(
            slice(low, low + max(n - 1, 0) * (between + 1) + min(n, 1), between + 1)
            for low, between, n in zip(self.low, self.interior, shape, strict=True)
        )

    def index_map(self, shapes: Sequence[Shape], result: Shape) -> IndexMap:
        steps = [between + 1 for between in self.interior]
        return IndexMap((Piece(0, _in_box(self.low, steps)),), self.value)

    def reference(self, *inputs: NumPyArray) -> NumPyArray:
        (x,) = inputs
        result = np.full(self.shape_of(x.shape), self.value, x.dtype)
        result[self._inside(x.shape)] = x
        return result

    def transpose(self, ct: Any, spec: Spec) -> Any:
        steps = tuple(between + 1 for between in self.interior)
        return Slice(self.low, spec.shape, steps)(ct)

    def jvp(self, inputs: tuple[Any, ...], tangents: tuple[Any, ...]) -> Any:
        (t,) = tangents
        return None if t is None else Pad(self.low, self.high, self.interior)(t)

    def batch(self, inputs: Any, axes: Any, size: int) -> tuple[Any, Any]:
        x = move_axis(inputs[0], axes[0], 0)
        pad = Pad((0, *self.low), (0, *self.high), (0, *self.interior), self.value)
        return pad(x), 0

    @classmethod
    def samples(cls) -> Iterable[Sample]:
        x = np.arange(1.0, 13.0).reshape(3, 4)
        yield Sample(cls((1, 0), (2, 3), (0, 0)), (x,))
        yield Sample(cls((0, 2), (1, 3), (1, 0), 3.0), (x,))
        yield Sample(cls((0, 2), (1, 0), (1, 2), 7.0), (x,))
        yield Sample(cls((1,), (1,), (2,)), (np.zeros(0),))
        yield Sample(cls((), (), ()), (np.asarray(3.0),))


@dataclass(frozen=True)
class Concatenate(Movement):
    """Arrays one after the other along an axis."""

    shared = True

    axis: int

    def result(self, *inputs: Spec) -> Spec:
        first = inputs[0]
        for other in inputs[1:]:
            same = len(other.shape) == len(first.shape) and all(
                axis == self.axis or a == b
                for axis, (a, b) in enumerate(zip(first.shape, other.shape, strict=True))
            )
            if not same or other.dtype is not first.dtype:
                raise ShapeError(
                    f"concat: {first.shape} {first.dtype.name} and {other.shape} "
                    f"{other.dtype.name} differ in more than the size of axis {self.axis}"
                )
        total = sum(spec.shape[self.axis] for spec in inputs)
        shape = (*first.shape[: self.axis], total, *first.shape[self.axis + 1 :])
        return Spec(shape, first.dtype)

    def index_map(self, shapes: Sequence[Shape], result: Shape) -> IndexMap:
        pieces, start = [], 0
        for number, shape in enumerate(shapes):
            axes = list(straight(len(shape)))
            axes[self.axis] = Along(((self.axis, 1),), -start, guarded=True)
            pieces.append(Piece(number, tuple(axes)))
            start += shape[self.axis]
        return IndexMap(tuple(pieces), in_order=True)

    def reference(self, *inputs: NumPyArray) -> NumPyArray:
        return np.concatenate(inputs, self.axis)

    def vjp(self, cotangents: Any, inputs: Any, outputs: Any) -> list[Any]:
        parts, start = [], 0
        for x in inputs:
            starts = tuple(start if axis == self.axis else 0 for axis in range(len(x.shape)))
            parts.append(Slice(starts, tuple(x.shape), (1,) * len(x.shape))(cotangents[0]))
            start += x.shape[self.axis]
        return parts

    def jvp(self, inputs: tuple[Any, ...], tangents: tuple[Any, ...]) -> Any:
        return self(
            *[zeros_like(x) if t is None else t for x, t in zip(inputs, tangents, strict=True)]
        )

    def batch(self, inputs: Any, axes: Any, size: int) -> tuple[Any, Any]:
        fronts = [batch_front(x, axis, size) for x, axis in zip(inputs, axes, strict=True)]
        return Concatenate(self.axis + 1)(*fronts), 0

    @classmethod
    def samples(cls) -> Iterable[Sample]:
        x = np.arange(6.0).reshape(2, 3)
        yield Sample(cls(0), (x, x[:1], x[:0]))
        yield Sample(cls(1), (x, np.ones((2, 5)), x.T.copy().T))


# --- what the rules are written with -----------------------------------------------------------------


def reshape(x: Any, shape: Shape) -> Any:
    """x in another shape (x itself if it has it)."""
    return x if same_shape(x.shape, shape) else Reshape(shape)(x)


def expand(x: Any, shape: Shape) -> Any:
    """x broadcast to a shape (x itself if it has it)."""
    return x if same_shape(x.shape, shape) else Expand(shape)(x)


def zeros_like(x: Any) -> Any:
    """Zeros of the shape of x, and of the dtype of its gradients."""
    zero = x.__tessella_zero__()
    if x.dtype.is_storage:
        zero = zero.astype(x.dtype.gradient)
    return expand(zero, tuple(x.shape))


def sum_to(x: Any, shape: Shape) -> Any:
    """x summed over the axes along which something of a shape was broadcast; the adjoint of broadcasting."""
    if same_shape(x.shape, shape):
        return x
    if _is_broadcast_to(x.shape, shape):
        return Expand(shape)(x)
    extra = len(x.shape) - len(shape)
    axes = [
        axis
        for axis in range(len(x.shape))
        if axis < extra or (shape[axis - extra] == 1 and x.shape[axis] != 1)
    ]
    return reshape(sum_over(x, tuple(axes)), shape)


def _is_broadcast_to(shape: Shape, target: Shape) -> bool:
    """Whether an array of one shape has another one when broadcast to it."""
    if len(shape) > len(target):
        return False
    aligned = zip(shape, target[len(target) - len(shape) :], strict=True)
    return all(n == 1 or n == wanted for n, wanted in aligned)


def permute(x: Any, order: tuple[int, ...]) -> Any:
    return x if order == tuple(range(len(order))) else Permute(order)(x)


def move_axis(x: Any, source: int, target: int) -> Any:
    """One axis elsewhere, the others in their order."""
    order = [axis for axis in range(len(x.shape)) if axis != source]
    order.insert(target, source)
    return permute(x, tuple(order))


def batch_front(x: Any, axis: int | None, size: int) -> Any:
    """x with its batch axis in front; repeated if it has none."""
    if axis is None:
        return expand(reshape(x, (1, *x.shape)), (size, *x.shape))
    return move_axis(x, axis, 0)


def batch_above(inputs: Sequence[Any], axes: Sequence[int | None]) -> list[Any]:
    """Operands with their batch axes in front of all that broadcasts; those without one as they are."""
    rank = max(len(x.shape) - (axis is not None) for x, axis in zip(inputs, axes, strict=True))
    aligned = []
    for x, axis in zip(inputs, axes, strict=True):
        if axis is not None:
            x = move_axis(x, axis, 0)
            inner = tuple(x.shape[1:])
            x = reshape(x, (x.shape[0], *(1,) * (rank - len(inner)), *inner))
        aligned.append(x)
    return aligned


def flip(x: Any, axes: tuple[int, ...]) -> Any:
    """x with these axes backwards."""
    if not axes:
        return x
    starts = tuple(
        n - 1 if axis in axes and for_all(n) > 0 else 0 for axis, n in enumerate(x.shape)
    )
    steps = tuple(-1 if axis in axes else 1 for axis in range(len(x.shape)))
    return Slice(starts, tuple(x.shape), steps)(x)


@dataclass(frozen=True)
class UpdateSlice(Movement):
    """A copy of x in which a slice (as in `Slice`) holds the updates."""

    starts: tuple[int, ...]
    steps: tuple[int, ...]

    def _slice(self, updates: Any) -> Slice:
        return Slice(self.starts, tuple(updates.shape), self.steps)

    def result(self, *inputs: Spec) -> Spec:
        x, updates = inputs
        self._slice(updates).result(x)
        if x.dtype is not updates.dtype:
            raise ShapeError(f"update: {updates.dtype.name} into {x.dtype.name}")
        return Spec(tuple(x.shape), x.dtype)

    def index_map(self, shapes: Sequence[Shape], result: Shape) -> IndexMap:
        return IndexMap(
            (Piece(1, _in_box(self.starts, self.steps)), Piece(0, straight(len(result))))
        )

    def reference(self, *inputs: NumPyArray) -> NumPyArray:
        x, updates = inputs
        result = np.array(x)
        result[self._slice(updates)._index()] = updates
        return result

    def vjp(self, cotangents: Any, inputs: Any, outputs: Any) -> list[Any]:
        (ct,), (_, updates) = cotangents, inputs
        return [self(ct, zeros_like(updates)), self._slice(updates)(ct)]

    def jvp(self, inputs: Any, tangents: Any) -> Any:
        return self(
            *[zeros_like(x) if t is None else t for x, t in zip(inputs, tangents, strict=True)]
        )

    def batch(self, inputs: Any, axes: Any, size: int) -> tuple[Any, Any]:
        x, updates = (batch_front(v, a, size) for v, a in zip(inputs, axes, strict=True))
        return UpdateSlice((0, *self.starts), (1, *self.steps))(x, updates), 0

    @classmethod
    def samples(cls) -> Iterable[Sample]:
        x = np.arange(60.0).reshape(5, 12)
        yield Sample(cls((1, 2), (1, 3)), (x, -np.ones((3, 4))))
        yield Sample(cls((4, 11), (-2, -2)), (x, np.arange(18.0).reshape(3, 6)))
