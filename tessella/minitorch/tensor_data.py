"""Tasks 2.1 and 2.2: how a tensor lies in memory (storage, shape, strides), indices, broadcasting.

`TensorData` is a way to look at an array of Tessella: its storage is the array's own memory.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tessella.arguments import public
from tessella.arguments.kinds import shown
from tessella.devices.array import row_major
from tessella.errors import (
    ArgumentTypeError,
    CourseIndexingError,
    CourseShapeError,
    IndexingError,
    ShapeError,
)
from tessella.minitorch import taken as taken
from tessella.minitorch.asserting import refuse
from tessella.minitorch.operators import prod
from tessella.primitives.base import broadcast_shapes

MAX_DIMS = 32
TAB = "\t"

Storage: TypeAlias = npt.NDArray[np.float64]
OutIndex: TypeAlias = npt.NDArray[np.int32]
Index: TypeAlias = npt.NDArray[np.int32]
Shape: TypeAlias = npt.NDArray[np.int32]
Strides: TypeAlias = npt.NDArray[np.int32]
UserIndex: TypeAlias = Sequence[int]
UserShape: TypeAlias = Sequence[int]
UserStrides: TypeAlias = Sequence[int]


def index_to_position(index: Any, strides: Any) -> int:
    """Where in the storage the element of an index is.

    >>> index_to_position((1, 2), (3, 1))
    5
    """
    return int(sum(int(i) * int(stride) for i, stride in zip(index, strides, strict=False)))


def to_index(ordinal: int, shape: Any, out_index: Any) -> None:
    """Write the index that comes at a place in row-major order.

    Args:
        ordinal: the place.
        shape: sizes.
        out_index: is written to; as many numbers as sizes, or more.

    >>> index = [0, 0]
    >>> to_index(5, (2, 3), index)
    >>> index
    [1, 2]
    """
    rest = int(ordinal)
    for axis in range(len(shape) - 1, -1, -1):
        rest, out_index[axis] = divmod(rest, int(shape[axis]))


def broadcast_index(big_index: Any, big_shape: Any, shape: Any, out_index: Any) -> None:
    """Write the index of the element that an index of a larger, broadcast shape reads.

    >>> index = [0, 0]
    >>> broadcast_index((1, 4, 2), (2, 5, 3), (1, 3), index)
    >>> index
    [0, 2]
    """
    offset = len(big_shape) - len(shape)
    for axis in range(len(shape)):
        out_index[axis] = big_index[axis + offset] if shape[axis] > 1 else 0


@public
def shape_broadcast(shape1: UserShape, shape2: UserShape) -> tuple[int, ...]:
    """The shape that two shapes have together.

    Raises:
        IndexingError: two sizes differ and neither is 1.

    >>> shape_broadcast((2, 1, 3), (5, 1))
    (2, 5, 3)
    """
    try:
        return broadcast_shapes([tuple(shape1), tuple(shape2)], "shape_broadcast")
    except ShapeError as error:
        raise IndexingError(str(error)) from None


@public
def strides_from_shape(shape: UserShape) -> tuple[int, ...]:
    """The strides of a tensor whose elements lie in row-major order.

    >>> strides_from_shape((2, 3, 4))
    (12, 4, 1)
    """
    return row_major(tuple(shape))


def _numbers(storage: Any) -> Storage:
    """A storage as float64, which is not copied if it is that already.

    Raises:
        ArgumentTypeError: it does not hold numbers.
    """
    try:
        return np.asarray(storage, dtype=np.float64).reshape(-1)
    except (TypeError, ValueError, OverflowError):
        raise ArgumentTypeError(
            f"TensorData: the storage is {shown(storage)}; expected numbers in a row"
        ) from None


_MOST = (1 << 31) - 1  # what the course's arrays of sizes and strides hold


def _whole(numbers: Any, name: str) -> tuple[int, ...]:
    several = isinstance(numbers, (tuple, list)) or (
        isinstance(numbers, np.ndarray) and numbers.ndim
    )
    if not several or not all(isinstance(n, (int, np.integer)) for n in numbers):
        raise ArgumentTypeError(f"{name}: {shown(numbers)} was given; expected whole numbers")
    return tuple([int(n) for n in numbers])


def checked_index(index: int | UserIndex, shape: tuple[int, ...]) -> tuple[int, ...]:
    """An index of an element of a shape, as a tuple.

    Raises:
        IndexingError: negative, too large, or another number of dimensions.
    """
    found = (index,) if isinstance(index, (int, np.integer)) else _whole(index, "index")
    if len(found) != len(shape):
        raise IndexingError(
            f"index {shown(found)} has {len(found)} dimensions, the tensor {len(shape)}: {shape}"
        )
    for axis, (i, n) in enumerate(zip(found, shape, strict=True)):
        if not 0 <= i < n:
            raise IndexingError(
                f"index {shown(found)} is out of range: axis {axis} of shape {shape} takes 0 to {n - 1}"
                + ("; negative indices are not taken" if i < 0 else "")
            )
    return found


class TensorData:
    """Numbers in a row, and how to read them as a tensor.

    Args:
        storage: numbers in a row; an array of float64 is used as it is, and not copied.
        shape: sizes.
        strides: how many numbers further the next element along each axis is; row-major by default.

    Raises:
        IndexingError: strides are not as many as sizes.
        CourseShapeError: the storage is not as long as the shape says.

    >>> data = TensorData([1, 2, 3, 4, 5, 6], (2, 3))
    >>> data.strides, data.get((1, 2)), data.permute(1, 0).strides
    ((3, 1), 6.0, (1, 3))
    """

    @public
    def __init__(self, storage: Any, shape: UserShape, strides: Any = None) -> None:
        self._storage: Storage = _numbers(storage)
        self.shape = tuple(shape)
        self.strides = row_major(self.shape) if strides is None else _whole(strides, "strides")
        if len(self.strides) != len(self.shape):
            raise IndexingError(
                f"TensorData: strides {self.strides} and shape {self.shape} must be equally long"
            )
        self.dims = len(self.shape)
        self.size = int(prod(self.shape))
        if len(self._storage) != self.size:
            raise CourseShapeError(
                f"TensorData: {len(self._storage)} numbers for shape {self.shape}, which has "
                f"{self.size} elements"
            )
        last = sum((n - 1) * stride for n, stride in zip(self.shape, self.strides, strict=True))
        if (self.size and not 0 <= last < len(self._storage)) or min(self.strides, default=0) < 0:
            raise IndexingError(
                f"TensorData: strides {self.strides} and shape {self.shape} reach beyond a storage of "
                f"{len(self._storage)} numbers"
            )
        if max((*self.shape, *self.strides), default=0) > _MOST:
            raise IndexingError(
                f"TensorData: strides {self.strides} and shape {self.shape}; expected numbers of 32 bits"
            )
        self._shape: Shape = np.array(self.shape, dtype=np.int32)
        self._strides: Strides = np.array(self.strides, dtype=np.int32)

    def array(self) -> npt.NDArray[np.float64]:
        """The storage as a NumPy array of the shape: what is written to it is written here."""
        steps = tuple(8 * stride for stride in self.strides)
        return np.lib.stride_tricks.as_strided(self._storage, self.shape, steps)

    def to_cuda_(self) -> None:
        """Move to the GPU: not before there is a GPU backend."""
        refuse("to_cuda_")

    def is_contiguous(self) -> bool:
        """Whether strides never grow: the elements lie in row-major order."""
        return all(a >= b for a, b in zip(self.strides, self.strides[1:], strict=False))

    shape_broadcast = staticmethod(shape_broadcast)

    def index(self, index: int | UserIndex) -> int:
        """Where in the storage the element of an index is.

        Raises:
            IndexingError: negative, too large, or another number of dimensions.
        """
        return index_to_position(checked_index(index, self.shape), self.strides)

    def indices(self) -> Iterator[tuple[int, ...]]:
        """Every index, in row-major order."""
        return (tuple(int(i) for i in index) for index in np.ndindex(self.shape))

    def sample(self) -> tuple[int, ...]:
        """A random index."""
        return tuple(random.randint(0, n - 1) for n in self.shape)

    def get(self, key: int | UserIndex) -> float:
        """The element of an index."""
        return float(self._storage[self.index(key)])

    def set(self, key: int | UserIndex, val: float) -> None:
        """Write the element of an index."""
        if not isinstance(val, (int, float, np.number)):
            raise ArgumentTypeError(f"set: {shown(val)} was given; expected a number")
        self._storage[self.index(key)] = val

    def tuple(self) -> tuple[Storage, Shape, Strides]:
        """Storage, shape and strides: what the low-level functions take."""
        return self._storage, self._shape, self._strides

    def permute(self, *order: int) -> TensorData:
        """The same storage with its axes in another order.

        Raises:
            CourseIndexingError: the order does not name each axis once.
        """
        if sorted(_whole(order, "permute")) != list(range(self.dims)):
            raise CourseIndexingError(
                f"permute: {order} must name each of the axes 0 to {self.dims - 1} once"
            )
        shape, strides = (_chosen(x, order) for x in (self.shape, self.strides))
        return TensorData(self._storage, shape, strides)

    def to_string(self) -> str:
        """The elements in nested brackets, with two decimals: on a line of their own, and tabs before the inner ones.

        >>> TensorData([1, 2, 3, 4], (2, 2)).to_string()
        '\\n[\\n\\t[1.00 2.00]\\n\\t[3.00 4.00]]'
        """
        text = ""
        for index in self.indices():
            first = _trailing(i == 0 for i in index)
            last = _trailing(i == n - 1 for i, n in zip(index, self.shape, strict=True))
            opened = (f"\n{axis * TAB}[" for axis in range(self.dims - first, self.dims))
            text += "".join(opened) + f"{self.get(index):3.2f}" + ("]" * last or " ")
        return text


def _chosen(values: tuple[int, ...], order: Iterable[int]) -> tuple[int, ...]:
    return tuple(values[axis] for axis in order)


def _trailing(truths: Iterable[bool]) -> int:
    """How many are true at the end."""
    return len(list(itertools.takewhile(bool, reversed(list(truths)))))


__all__ = [
    "MAX_DIMS", "Index", "IndexingError", "OutIndex", "Shape", "Storage", "Strides", "TensorData",
    "UserIndex", "UserShape", "UserStrides", "broadcast_index", "index_to_position",
    "shape_broadcast", "strides_from_shape", "to_index",
]  # fmt: skip
