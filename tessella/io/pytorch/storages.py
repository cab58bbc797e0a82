"""Which bytes tensors lie in, for a file: those that share memory share a storage, and no other byte is written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, Any]


class Place(NamedTuple):
    """Where a tensor lies: in which storage, of how many elements, from which on, and with which strides."""

    storage: int
    numel: int
    offset: int
    strides: tuple[int, ...]


class _Region:
    """Memory that some arrays share.

    Args:
        low, high: its addresses; of the arrays with these numbers.
    """

    def __init__(self, low: int, high: int, dtype: Any, index: int) -> None:
        self.low, self.high, self.dtype, self.members = low, high, dtype, [index]

    def takes(self, low: int, high: int, dtype: Any, index: int) -> bool:
        """Whether an array belongs to it, which then is a member. They are shown by rising `low`."""
        steps_in = (low - self.low) % dtype.itemsize == 0
        if low >= self.high or dtype != self.dtype or not steps_in:
            return False
        self.high = max(self.high, high)
        self.members.append(index)
        return True


def placed(arrays: Sequence[Array]) -> tuple[list[Place], list[Array]]:
    """The place of each array, and the bytes of each storage.

    >>> x = np.arange(6.0).reshape(2, 3)
    >>> places, contents = placed([x, x[1], x.T.copy()])
    >>> places[1], [content.nbytes for content in contents]
    (Place(storage=0, numel=6, offset=3, strides=(1,)), [48, 48])
    """
    arrays = [_forward(array) for array in arrays]
    regions = sorted(_regions(arrays), key=lambda region: min(region.members))
    places: dict[int, Place] = {}
    contents = []
    for number, region in enumerate(regions):
        members = [arrays[index] for index in region.members]
        if _is_one_with_gaps(members, region):
            members = [np.ascontiguousarray(members[0])] * len(members)
            region.low, region.high = _bounds(members[0])
        contents.append(_bytes(members, region))
        for index, array in zip(region.members, members, strict=True):
            places[index] = _place(number, array, region)
    return [places[index] for index in range(len(arrays))], contents


def _forward(array: Array) -> Array:
    """PyTorch has no array that is read backwards."""
    return np.ascontiguousarray(array) if any(step < 0 for step in array.strides) else array


def _bounds(array: Array) -> tuple[int, int]:
    """The addresses of the first byte and of the one after the last."""
    if not array.size:
        return (0, 0)
    low, high = np.lib.array_utils.byte_bounds(array)
    return int(low), int(high)


def _regions(arrays: Sequence[Array]) -> list[_Region]:
    found: list[_Region] = []
    for index in sorted(range(len(arrays)), key=lambda index: _bounds(arrays[index])):
        told = (*_bounds(arrays[index]), arrays[index].dtype, index)
        if not (found and arrays[index].size and found[-1].takes(*told)):
            found.append(_Region(*told))
    return found


def _is_one_with_gaps(members: Sequence[Array], region: _Region) -> bool:
    """Whether all are the same view, which leaves out some of the memory it steps through."""
    views = {(_bounds(array), array.shape, array.strides) for array in members}
    return len(views) == 1 and region.high - region.low > members[0].nbytes


class _Window:
    """What NumPy needs to look at memory; keeps what lies there alive."""

    def __init__(self, members: Sequence[Array], region: _Region) -> None:
        self.members = members
        self.__array_interface__ = {
            "shape": (region.high - region.low,), "typestr": "|u1", "data": (region.low, True), "version": 3,
        }  # fmt: skip


def _bytes(members: Sequence[Array], region: _Region) -> Array:
    if region.high == region.low:
        return np.empty(0, np.uint8)
    return np.asarray(_Window(members, region))


def _place(number: int, array: Array, region: _Region) -> Place:
    item = array.dtype.itemsize
    low = _bounds(array)[0]
    strides = (
        tuple(step // item for step in array.strides)
        if array.size
        else tuple(step // item for step in np.empty(array.shape, array.dtype).strides)
    )
    return Place(number, (region.high - region.low) // item, (low - region.low) // item, strides)
