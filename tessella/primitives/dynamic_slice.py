"""Slices whose start is itself read from memory: blocks of known sizes at places that are not known before.

A start that is negative counts from the end; then it is moved so far that the block fits. So nothing is ever
read or written outside of an array.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tessella.errors import DTypeError, ShapeError
from tessella.primitives.base import NumPyArray, Primitive, Sample, Shape, Spec
from tessella.primitives.movement import batch_front, move_axis, zeros_like


def clamped(start: int, size: int, extent: int) -> int:
    """Where a block begins: counted from the front, and so that it fits.

    >>> clamped(-1, 3, 10), clamped(8, 3, 10), clamped(-20, 3, 10)
    (7, 7, 0)
    """
    return max(0, min(start + extent if start < 0 else start, extent - size))


@dataclass(frozen=True)
class Block(Primitive):
    """What reading and writing a block share.

    The first axes of all operands, as many as are `batched`, number examples with starts of their own. Of the
    others `axes` have a start each (counted among all axes of x); the rest is taken whole.
    """

    shared = True
    computes = False

    axes: tuple[int, ...]
    batched: int

    def _check(self, name: str, x: Spec, block: Shape, starts: Sequence[Spec]) -> None:
        if len(starts) != len(self.axes):
            raise ShapeError(f"{name}: {len(starts)} starts for {len(self.axes)} axes")
        for start in starts:
            if not start.dtype.is_integer:
                raise DTypeError(f"{name}: starts must be integers, not {start.dtype.name}")
            if start.shape != x.shape[: self.batched]:
                raise ShapeError(
                    f"{name}: a start of shape {start.shape}; expected {x.shape[: self.batched]}"
                )
        if len(block) != len(x.shape):
            raise ShapeError(f"{name}: a block of shape {block} for an array of shape {x.shape}")
        for axis, (size, extent) in enumerate(zip(block, x.shape, strict=True)):
            if size > extent if axis in self.axes else size != extent:
                raise ShapeError(
                    f"{name}: a block of {size} along axis {axis}, which has the size {extent}; it must "
                    + ("be no larger" if axis in self.axes else "be the same")
                )

    def _places(self, x: NumPyArray, block: Shape, starts: Sequence[NumPyArray]) -> Iterator[Any]:
        """For each example its place among the examples, and the index of its block."""
        for example in np.ndindex(x.shape[: self.batched]):
            index = [slice(None)] * (x.ndim - self.batched)
            for axis, start in zip(self.axes, starts, strict=True):
                first = clamped(int(start[example]), block[axis], x.shape[axis])
                index[axis - self.batched] = slice(first, first + block[axis])
            yield example, (*example, *index)

    def _behind(self, position: int) -> tuple[int, ...]:
        """The axes when there is one more at a position before them all."""
        return tuple([axis + (axis >= position) for axis in self.axes])


@dataclass(frozen=True)
class DynamicSlice(Block):
    """The block of some sizes that begins, along some axes, at starts which are operands.

    Inputs: x, and one integer (for each example) for each of `axes`.
    """

    sizes: tuple[int, ...]

    def _shape(self, shape: Shape) -> Shape:
        found = list(shape)
        for axis, size in zip(self.axes, self.sizes, strict=True):
            found[axis] = size
        return tuple(found)

    def result(self, *inputs: Spec) -> Spec:
        x, *starts = inputs
        shape = self._shape(x.shape)
        self._check("dynamic_slice", x, shape, starts)
        return Spec(shape, x.dtype)

    def reference(self, *inputs: NumPyArray) -> NumPyArray:
        x, *starts = inputs
        result = np.empty(self._shape(x.shape), x.dtype)
        for example, index in self._places(x, result.shape, starts):
            result[example] = x[index]
        return result

    def vjp(self, cotangents: Any, inputs: Any, outputs: Any) -> list[Any]:
        x, *starts = inputs
        update = DynamicUpdateSlice(self.axes, self.batched)
        return [update(zeros_like(x), cotangents[0], *starts), *[None] * len(starts)]

    def jvp(self, inputs: Any, tangents: Any) -> Any:
        return None if tangents[0] is None else self(tangents[0], *inputs[1:])

    def batch(self, inputs: Any, axes: Any, size: int) -> tuple[Any, Any]:
        x, *starts = inputs
        if all(axis is None for axis in axes[1:]):
            at = self.batched
            return DynamicSlice(self._behind(at), at, self.sizes)(
                move_axis(x, axes[0], at), *starts
            ), at
        fronts = [batch_front(v, a, size) for v, a in zip(inputs, axes, strict=True)]
        return DynamicSlice(self._behind(0), self.batched + 1, self.sizes)(*fronts), 0

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        x = np.random.default_rng(8).standard_normal((4, 5, 6))
        yield Sample(cls((0,), 0, (2,)), (x, np.array(1)))
        yield Sample(cls((0, 2), 0, (3, 2)), (x, np.array(3), np.array(-2, np.int32)))
        yield Sample(cls((1,), 0, (2,)), (x.T, np.array(2**64 - 1, np.uint64)))
        yield Sample(cls((2,), 1, (3,)), (x, np.array([0, 9, -1, -9])))
        yield Sample(cls((1, 2), 1, (1, 4)), (x, np.array([0, 3, 1, 2]), np.array([2, 0, -3, 1])))
        yield Sample(cls((1,), 0, (0,)), (x, np.array(2)))
        yield Sample(cls((), 0, ()), (x,))


@dataclass(frozen=True)
class DynamicUpdateSlice(Block):
    """A copy of x in which such a block holds the updates.

    Inputs: x, the updates, and one integer (for each example) for each of `axes`.
    """

    def result(self, *inputs: Spec) -> Spec:
        x, updates, *starts = inputs
        self._check("dynamic_update_slice", x, tuple(updates.shape), starts)
        if x.dtype is not updates.dtype:
            raise DTypeError(f"dynamic_update_slice: {updates.dtype.name} into {x.dtype.name}")
        return Spec(tuple(x.shape), x.dtype)

    def reference(self, *inputs: NumPyArray) -> NumPyArray:
        x, updates, *starts = inputs
        result = np.array(x)
        for example, index in self._places(x, updates.shape, starts):
            result[index] = updates[example]
        return result

    def vjp(self, cotangents: Any, inputs: Any, outputs: Any) -> list[Any]:
        (ct,), (_, updates, *starts) = cotangents, inputs
        sizes = tuple([updates.shape[axis] for axis in self.axes])
        taken = DynamicSlice(self.axes, self.batched, sizes)(ct, *starts)
        return [self(ct, zeros_like(updates), *starts), taken, *[None] * len(starts)]

    def jvp(self, inputs: Any, tangents: Any) -> Any:
        if tangents[0] is None and tangents[1] is None:
            return None
        filled = [
            zeros_like(x) if t is None else t for x, t in zip(inputs[:2], tangents[:2], strict=True)
        ]
        return self(*filled, *inputs[2:])

    def batch(self, inputs: Any, axes: Any, size: int) -> tuple[Any, Any]:
        x, updates, *starts = inputs
        fronts = [batch_front(v, a, size) for v, a in zip((x, updates), axes[:2], strict=True)]
        if all(axis is None for axis in axes[2:]):
            at = self.batched
            moved = [move_axis(v, 0, at) for v in fronts]
            return DynamicUpdateSlice(self._behind(at), at)(*moved, *starts), at
        fronts += [batch_front(v, a, size) for v, a in zip(starts, axes[2:], strict=True)]
        return DynamicUpdateSlice(self._behind(0), self.batched + 1)(*fronts), 0

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        random = np.random.default_rng(9)
        x = random.standard_normal((4, 5, 6))
        block = random.standard_normal((2, 5, 3))
        yield Sample(cls((0,), 0), (x, block[:, :, :1] * x[:2], np.array(1)))
        yield Sample(cls((0, 2), 0), (x, block, np.array(3), np.array(-4, np.int16)))
        yield Sample(cls((1,), 0), (x.T, x.T[:, :3] + 1, np.array(9, np.uint8)))
        yield Sample(cls((2,), 1), (x, x[:, :, :2] - 1, np.array([0, 9, -1, -9])))
        yield Sample(cls((1,), 0), (x, x[:, :0], np.array(2)))
