"""Indexing by integer arrays: gather reads, scatter writes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from tessella import dtypes
from tessella.errors import DTypeError, IndexingError
from tessella.primitives.base import (
    NumPyArray,
    Primitive,
    Sample,
    Shape,
    Spec,
    WithoutSlope,
    broadcast_shapes,
    size_of,
)
from tessella.primitives.elementwise import cast, elementwise
from tessella.primitives.generate import Iota
from tessella.primitives.movement import batch_front, expand, reshape, zeros_like


def _check(indices: tuple[Spec, ...], name: str) -> Shape:
    """The shape of the indices together."""
    for index in indices:
        if not index.dtype.is_integer:
            raise DTypeError(f"{name}: indices must be integers, not {index.dtype.name}")
    return broadcast_shapes([index.shape for index in indices], name)


class Limits(NamedTuple):
    """What integers may be: the places of an axis, or, with a purpose, class numbers.

    Places count from the end if they are negative; class numbers are not negative.

    Args:
        extent: the size of the axis, or how many classes there are.
        axis: which one, for messages.
        purpose: who asks for class numbers.
        nouns: what is counted, and several of it.
    """

    extent: int
    axis: int = 0
    purpose: str = ""
    nouns: tuple[str, str] = ("class", "classes")

    @property
    def least(self) -> int:
        return 0 if self.purpose else -self.extent

    def check(self, index: NumPyArray) -> None:
        """Complain about an index outside.

        Raises:
            IndexingError: names the index, and the axis and its size or who asked for a class.
        """
        if index.size == 0:
            return
        low, high = int(index.min()), int(index.max())
        if low >= self.least and high < self.extent:
            return
        wrong = low if low < self.least else high
        if self.purpose:
            raise IndexingError(
                f"{self.purpose}: {self.nouns[0]} {wrong} is out of range for {self.extent} {self.nouns[1]}"
                f"{_place_of(wrong, index)}"
            )
        raise IndexingError(
            f"index {wrong} is out of range for axis {self.axis} of size {self.extent}"
        )


def _place_of(wrong: int, index: NumPyArray) -> str:
    """Where the first such index stands, if there are several."""
    if index.ndim == 0:
        return ""
    place = [int(i) for i in np.unravel_index(np.argmax(index == wrong), index.shape)]
    return f"; it stands at {place[0] if len(place) == 1 else tuple(place)}"


class Length(NamedTuple):
    """What the length of a slice may be that is the same in every call of a function: only that one.

    Args:
        length: how many elements.
        axis: of which axis, for messages.
    """

    length: int
    axis: int = 0

    @property
    def purpose(self) -> str:
        return "slice"

    @property
    def least(self) -> int:
        return self.length

    @property
    def extent(self) -> int:
        return self.length + 1

    def check(self, lengths: NumPyArray) -> None:
        """Complain about a length that is another one.

        Raises:
            IndexingError: there is one.
        """
        wrong = lengths[lengths != self.length]
        if wrong.size:
            raise IndexingError(
                f"slice: x[start:stop] along axis {self.axis} has {int(wrong[0])} elements at this call; in a traced "
                f"function a slice has as many in every call, here {self.length}; keep it within the axis, or take "
                "ts.dynamic_slice, which moves a slice so that it fits"
            )


class Lengths(NamedTuple):
    """What lengths may be.

    Args:
        least, most: the shortest and the longest.
        purpose: who asks, for messages.
    """

    least: int
    most: int
    purpose: str

    @property
    def extent(self) -> int:
        return self.most + 1

    def check(self, lengths: NumPyArray) -> None:
        """Complain about a length that is none of them.

        Raises:
            IndexingError: there is one.
        """
        wrong = lengths[(lengths < self.least) | (lengths > self.most)]
        if wrong.size:
            expected = f"{self.least} to {self.most}" if self.least < self.most else f"{self.most}"
            raise IndexingError(
                f"{self.purpose}: {int(wrong[0])} is out of range; expected {expected}"
            )


def limits_of(axes: tuple[int, ...], shape: Shape, purpose: str = "") -> tuple[Limits, ...]:
    """What the index arrays of some axes may hold."""
    return tuple(Limits(shape[axis], axis, purpose, ("row", "rows")) for axis in axes)


@dataclass(frozen=True)
class InRange(WithoutSlope, Primitive):
    """The indices themselves, once it is sure that all lie within their limits.

    No pass drops it, even if nobody reads the indices.

    Raises:
        IndexingError: one does not.
    """

    family = "indexing"

    limits: Limits | Length | Lengths

    def result(self, *inputs: Spec) -> Spec:
        _check(inputs, self.limits.purpose or "index")
        return Spec(tuple(inputs[0].shape), inputs[0].dtype)

    def reference(self, *inputs: NumPyArray) -> NumPyArray:
        self.limits.check(inputs[0])
        return inputs[0]

    def batch(self, inputs: Any, axes: Any, size: int) -> tuple[Any, Any]:
        return self(batch_front(inputs[0], axes[0], size)), 0

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        index = np.array([[0, 3], [-4, 1]])
        yield Sample(cls(Limits(4)), (index,), differentiable=False)
        yield Sample(cls(Limits(4, purpose="test")), (abs(index) % 4,), differentiable=False)
        yield Sample(cls(Length(2)), (np.array([2, 2]),), differentiable=False)
        yield Sample(cls(Lengths(1, 3, "test")), (np.array([1, 3]),), differentiable=False)


Pairs = tuple[tuple[int, int], ...]  # an axis of x, and the axis of the indices along which it goes


@dataclass(frozen=True)
class Gather(Primitive):
    """x[..., indices, ...]: the indexed axes go, those of the indices come in front.

    Inputs: x, and one integer array for each of `axes`; these broadcast together.
    Shapes: (indices' shape, x's other axes).

    Args:
        axes: the axes of x that the indices are for.
        along: axes of x that go along with an axis of the indices, as if there were an index that counts on it; of x
            that axis goes, too, and the one of the indices may be 1.
        purpose: who asks for rows by their numbers, which do not count from the end, then.
    """

    family = "indexing"
    computes = False

    axes: tuple[int, ...]
    along: Pairs = ()
    purpose: str = ""

    @property
    def gone(self) -> tuple[int, ...]:
        """The axes of x that the result has not."""
        return (*self.axes, *(axis for axis, _ in self.along))

    def result(self, *inputs: Spec) -> Spec:
        x, *indices = inputs
        rest = tuple(n for axis, n in enumerate(x.shape) if axis not in self.gone)
        return Spec((*common_shape(self.along, x, indices), *rest), x.dtype)

    def reference(self, *inputs: NumPyArray) -> NumPyArray:
        x, *indices = inputs
        for index, limits in zip(indices, limits_of(self.axes, x.shape, self.purpose), strict=True):
            limits.check(index)
        front = np.moveaxis(x, self.gone, range(len(self.gone)))
        return front[(*indices, *_counters(self.along, x, indices))]

    def vjp(self, cotangents: Any, inputs: Any, outputs: Any) -> list[Any]:
        x, *indices = inputs
        pulled = Scatter(self.axes, "add", self.along)(zeros_like(x), cotangents[0], *indices)
        return [pulled, *(None for _ in indices)]

    def jvp(self, inputs: Any, tangents: Any) -> Any:
        _, *indices = inputs
        return None if tangents[0] is None else self(tangents[0], *indices)

    def batch(self, inputs: Any, axes: Any, size: int) -> tuple[Any, Any]:
        """The examples go along with an axis of the indices in front."""
        x, *indices = inputs
        aligned = _aligned(indices, axes[1:], size)
        if axes[0] is None and not self.along:
            return self(x, *aligned), 0
        whole = Gather(*_of_a_batch(self.axes, self.along), self.purpose)
        return whole(batch_front(x, axes[0], size), *aligned), 0

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        x = np.random.default_rng(6).standard_normal((4, 5, 6))
        rows, columns = np.array([0, 3, -1, 0]), np.array([[1], [-5]])
        yield Sample(cls((0,)), (x, rows))
        yield Sample(cls((2,)), (x, columns))
        yield Sample(cls((0, 1)), (x, rows, columns))
        yield Sample(cls((1,)), (x, np.zeros((0,), np.int64)))
        yield Sample(cls((1,), ((0, 0),)), (x, np.array([[0, -1], [1, 2], [4, 4], [3, 0]])))
        yield Sample(cls((0,), ((2, 1), (1, 2))), (x, np.array([[[1]], [[-4]], [[0]]])))


@dataclass(frozen=True)
class Scatter(Primitive):
    """A copy of x with updates written at (or added to) x[..., indices, ...].

    Inputs: x, updates (shaped as `Gather` would give), and one integer array for each of `axes`.
    Where an element is named twice, additions are done in the indices' order, and of several
    writes the last one stays.
    """

    family = "indexing"

    axes: tuple[int, ...]
    mode: Literal["set", "add"]
    along: Pairs = ()

    @property
    def gather(self) -> Gather:
        """What reads where this one writes."""
        return Gather(self.axes, self.along)

    @property
    def computes(self) -> bool:  # type: ignore[override]
        return self.mode == "add"

    def result(self, *inputs: Spec) -> Spec:
        x, updates, *indices = inputs
        expected = self.gather.result(x, *indices)
        if tuple(updates.shape) != expected.shape or updates.dtype is not x.dtype:
            raise IndexingError(
                f"scatter: updates {updates.shape} {updates.dtype.name}; expected "
                f"{expected.shape} {x.dtype.name}"
            )
        return Spec(tuple(x.shape), x.dtype)

    def reference(self, *inputs: NumPyArray) -> NumPyArray:
        x, updates, *indices = inputs
        for index, limits in zip(indices, limits_of(self.axes, x.shape), strict=True):
            limits.check(index)
        result = np.array(x, dtype=dtypes.as_dtype(x.dtype).compute.numpy, copy=True)
        gone = self.gather.gone
        front = np.moveaxis(result, gone, range(len(gone)))
        places = (*indices, *_counters(self.along, x, indices))
        if self.mode == "add":
            np.add.at(front, places, updates)
        else:
            front[places] = updates
        return result.astype(x.dtype)

    def vjp(self, cotangents: Any, inputs: Any, outputs: Any) -> list[Any]:
        (ct,), (_, updates, *indices) = cotangents, inputs
        none = [None] * len(indices)
        taken = self.gather(ct, *indices)
        if self.mode == "add":
            return [ct, taken, *none]
        kept = self(ct, zeros_like(updates), *indices)
        return [kept, taken * self._wins(inputs), *none]

    def _wins(self, inputs: Any) -> Any:
        """1 for the updates that stay, 0 for those that a later one overwrites."""
        x, updates, *indices = inputs
        count = size_of(updates.shape)
        order = reshape(Iota(count, dtypes.int64)(updates), tuple(updates.shape))
        blank = expand(order.__tessella_zero__(), tuple(x.shape))
        written = self.gather(self(blank, order, *indices), *indices)
        return cast(elementwise("equal")(written, order), updates.dtype)

    def jvp(self, inputs: Any, tangents: Any) -> Any:
        (x, updates, *indices), (tx, tu, *_) = inputs, tangents
        if tx is None and tu is None:
            return None
        tx = zeros_like(x) if tx is None else tx
        tu = zeros_like(updates) if tu is None else tu
        return self(tx, tu, *indices)

    def batch(self, inputs: Any, axes: Any, size: int) -> tuple[Any, Any]:
        x, updates, *indices = inputs
        x, updates = batch_front(x, axes[0], size), batch_front(updates, axes[1], size)
        places, along = _of_a_batch(self.axes, self.along)
        return Scatter(places, self.mode, along)(x, updates, *_aligned(indices, axes[2:], size)), 0

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        random = np.random.default_rng(7)
        x = random.standard_normal((4, 5, 6))
        rows, columns = np.array([0, 3, -1, 0]), np.array([[1], [-5]])
        for mode in ("add", "set"):
            yield Sample(cls((0,), mode), (x, random.standard_normal((4, 5, 6)), rows))
            yield Sample(
                cls((0, 1), mode),
                (x, random.standard_normal((2, 4, 6)), rows, columns),
            )
            index = np.array([[0, -1], [1, 2], [4, 4], [3, 0]])
            yield Sample(cls((1,), mode, ((0, 0),)), (x, random.standard_normal((4, 2, 6)), index))


def common_shape(along: Pairs, x: Any, indices: Sequence[Any]) -> Shape:
    """The shape of the indices together, and with what goes along with them."""
    common = list(_check(tuple(indices), "gather"))
    for axis, place in along:
        if common[place] not in (1, x.shape[axis]):
            raise IndexingError(
                f"gather: the indices have shape {tuple(common)}, and axis {place} goes along with one of size "
                f"{x.shape[axis]}; it must be as large, or 1"
            )
        common[place] = x.shape[axis]
    return tuple(common)


def _counters(along: Pairs, x: NumPyArray, indices: Sequence[NumPyArray]) -> list[NumPyArray]:
    rank = max(index.ndim for index in indices)
    return [
        np.arange(x.shape[axis]).reshape(-1, *(1,) * (rank - 1 - place)) for axis, place in along
    ]


def _of_a_batch(axes: tuple[int, ...], along: Pairs) -> tuple[tuple[int, ...], Pairs]:
    """The same with one more axis in front, of x and of the indices."""
    return tuple(axis + 1 for axis in axes), ((0, 0), *((a + 1, place + 1) for a, place in along))


def _aligned(indices: Any, axes: Any, size: int) -> list[Any]:
    """Index arrays with a batch axis in front of as many others as the longest has; 1 where there is no batch."""
    pairs = list(zip(indices, axes, strict=True))
    rank = max(len(index.shape) - (axis is not None) for index, axis in pairs)
    result = []
    for index, axis in pairs:
        index = (
            batch_front(index, axis, size)
            if axis is not None
            else reshape(index, (1, *index.shape))
        )
        inner = tuple(index.shape[1:])
        result.append(reshape(index, (index.shape[0], *(1,) * (rank - len(inner)), *inner)))
    return result
