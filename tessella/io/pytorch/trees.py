"""What a pickle left, as people get it: tensors in place of what the file says of them, in plain containers."""

from __future__ import annotations

import argparse
import collections
from collections.abc import Callable
from typing import Any

import numpy as np

from tessella.dtypes import DType, uint8
from tessella.errors import FileFormatError, UnsafeFileError
from tessella.io.contents import shown
from tessella.io.pytorch.arrays import ArrayDType, PendingArray, array
from tessella.io.pytorch.names import PendingNamespace
from tessella.io.pytorch.stored import Storage, StoredTensor

DEEPEST = 200  # containers in containers: what goes through trees by recursion still can
_PER_BYTE = (
    1000  # values that a byte of a pickle may stand for, when what it repeats is counted each time;
)
_ALWAYS = 1_000_000  # and what any file may hold


class Tree:
    """Makes the value of a file from what its pickle left. What the pickle shares is shared.

    Args:
        tensor: what is made of a tensor's description.
        length: of the pickle.
    """

    def __init__(self, tensor: Callable[[StoredTensor], Any], length: int) -> None:
        self._tensor = tensor
        self._most = max(_ALWAYS, _PER_BYTE * length)
        self._made: dict[int, tuple[Any, int]] = {}  # with the number of values in it
        self._kept: list[Any] = []  # whose identities must not be given anew
        self._around: set[int] = set()

    def value(self, found: Any) -> Any:
        """The value, all of whose parts are data.

        Raises:
            FileFormatError: it contains itself, is nested too deeply, or holds what is no data.
            UnsafeFileError: a few bytes say more values than anyone could go through.
        """
        return self._value(found)[0]

    def _value(self, found: Any) -> tuple[Any, int]:
        make = _CONTAINERS.get(type(found))
        if make is None:
            return self._single(found), 1
        if id(found) not in self._made:
            self._made[id(found)] = self._container(found, make)
            self._kept.append(found)
        return self._made[id(found)]

    def _container(self, found: Any, make: Callable[..., Any]) -> tuple[Any, int]:
        if id(found) in self._around:
            raise FileFormatError("has a container that contains itself, which no tree does")
        if len(self._around) == DEEPEST:
            raise FileFormatError(f"has containers nested more than {DEEPEST} deep")
        self._around.add(id(found))
        parts = [self._value(part) for part in _parts(found)]
        self._around.discard(id(found))
        count = 1 + sum(count for _, count in parts)
        if count > self._most:
            raise UnsafeFileError(
                f"is hostile: it repeats parts of itself, so that it is a tree of more than {self._most} values"
            )
        return make(found, [value for value, _ in parts]), count

    def _single(self, found: Any) -> Any:
        if isinstance(found, _DATA):
            return found
        if isinstance(found, StoredTensor):
            return self._tensor(found)
        if isinstance(found, Storage):
            return self._tensor(_elements(found))
        if isinstance(found, PendingArray):
            return array(found)
        if isinstance(found, ArrayDType):
            return found.dtype
        told = getattr(found, "name", "a class of storages")
        raise FileFormatError(f"has {shown(told)} itself among its values, and only data is read")


_DATA = (str, bytes, bytearray, int, float, complex, type(None), slice, DType, np.generic)


def _elements(storage: Storage) -> StoredTensor:
    """A storage on its own, as a tensor of one axis."""
    dtype = storage.dtype or uint8
    return StoredTensor(storage, dtype, 0, (storage.nbytes // dtype.itemsize,), (1,))


def _parts(found: Any) -> list[Any]:
    """What of a container may itself be more than a plain value: not its names, nor the members of a set."""
    if isinstance(found, (set, frozenset)):
        return []
    if isinstance(found, PendingNamespace):
        return list(found.values.values())
    return list(found.values()) if isinstance(found, dict) else list(found)


def _same(found: Any, parts: list[Any]) -> Any:
    return found


def _named(found: Any, parts: list[Any]) -> Any:
    """A dict of the same kind."""
    made = (
        collections.defaultdict(found.default_factory)
        if isinstance(found, collections.defaultdict)
        else type(found)()
    )
    made.update(zip(found, parts, strict=True))
    return made


def _namespace(found: PendingNamespace, parts: list[Any]) -> argparse.Namespace:
    return argparse.Namespace(**dict(zip(found.values, parts, strict=True)))


_CONTAINERS: dict[type, Callable[..., Any]] = {
    list: lambda found, parts: parts,
    tuple: lambda found, parts: tuple(parts),
    dict: _named,
    collections.OrderedDict: _named,
    collections.defaultdict: _named,
    collections.Counter: lambda found, parts: collections.Counter(
        dict(zip(found, parts, strict=True))
    ),
    set: _same,
    frozenset: _same,
    PendingNamespace: _namespace,
}
