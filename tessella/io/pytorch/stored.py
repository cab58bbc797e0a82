"""Tensors of a file before their elements are read: where these lie, held against what there is."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tessella.arguments.kinds import Device
from tessella.dtypes import DType
from tessella.errors import FileFormatError
from tessella.io.contents import is_addressable, shown
from tessella.nn.module import Parameter
from tessella.tensors.tensor import Tensor, from_ndarray

Array = np.ndarray[Any, Any]

_MOST_AXES = 64  # as NumPy and PyTorch have them
_MOST = 1 << 63


@dataclass(frozen=True)
class Storage:
    """Bytes that tensors lie in, or a part of them.

    Args:
        key: its name in the file.
        whole: how many bytes the file is to have under this name.
        start, nbytes: the part that is meant.
        dtype: of its elements; None if each tensor says its own.
    """

    key: str
    whole: int
    start: int
    nbytes: int
    dtype: DType | None


@dataclass(frozen=True)
class StoredTensor:
    """A tensor whose elements lie in a storage; two that are equal become one tensor."""

    storage: Storage
    dtype: DType
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    requires_grad: bool = False
    is_parameter: bool = False
    is_conjugate: bool = False
    is_negative: bool = False

    def __post_init__(self) -> None:
        if len(self.shape) != len(self.strides) or len(self.shape) > _MOST_AXES:
            raise FileFormatError(
                f"is damaged: a tensor in it has {len(self.shape)} axes and {len(self.strides)} strides"
            )
        if not is_addressable(self.shape, self.dtype.itemsize):
            raise FileFormatError(f"is damaged: a tensor in it has the shape {shortly(self.shape)}")
        if self.storage.start % self.dtype.itemsize:
            raise FileFormatError(
                f"is damaged: a tensor of {self.dtype.name} in it begins in the middle of an element"
            )
        if self.end * self.dtype.itemsize > self.storage.nbytes:
            raise FileFormatError(
                f"is damaged or hostile: a tensor of shape {shortly(self.shape)} and strides "
                f"{shortly(self.strides)} at {self.offset} needs {self.end * self.dtype.itemsize} bytes of "
                f"storage {shown(self.storage.key)}, which has {self.storage.nbytes}"
            )
        if self.requires_grad and not self.dtype.is_inexact:
            raise FileFormatError(
                f"is damaged: a tensor of {self.dtype.name} in it requires a gradient"
            )

    @functools.cached_property
    def end(self) -> int:
        """The number of elements of the storage up to its last one."""
        if 0 in self.shape:
            return 0
        steps = zip(self.shape, self.strides, strict=True)
        return self.offset + 1 + sum((size - 1) * stride for size, stride in steps)

    @property
    def steps(self) -> tuple[int, ...]:
        """The strides, but of axes along which nobody goes, where they may be any number."""
        steps = zip(self.shape, self.strides, strict=True)
        return tuple(stride if size > 1 and self.end else 1 for size, stride in steps)


def shortly(sizes: tuple[int, ...]) -> str:
    """A shape in a few words."""
    text = str(sizes) if len(sizes) <= 8 else f"of {len(sizes)} axes"
    return text if len(text) <= 80 else f"{text[:80]}..."


def sizes(value: Any, what: str) -> tuple[int, ...]:
    """A shape or strides as a file gives them."""
    if not isinstance(value, (tuple, list)):
        raise FileFormatError(f"is damaged: {what} of a tensor in it is a {shown(value)}")
    return tuple(size(item, what) for item in value)


def size(value: Any, what: str) -> int:
    """A number of something as a file gives it."""
    if type(value) is not int or not 0 <= value < _MOST:
        told = value if type(value) is int and abs(value) < _MOST else shown(value)
        raise FileFormatError(f"is damaged or hostile: {what} of a tensor in it is {told}")
    return value


class Elements:
    """Makes tensors of what a file says of them.

    Args:
        read: gives the bytes of a storage, of which all are there.
        order: of the bytes in an element, "little" or "big".
        device: where the tensors are to be; that of the thread, if it is None.
    """

    def __init__(self, read: Callable[[Storage], Array], order: str, device: Device = None) -> None:
        self._read, self._order, self._device = read, order, device
        self._bytes: dict[str, Array] = {}
        self._seen: dict[tuple[Any, ...], Array] = {}
        self._tensors: dict[StoredTensor, Tensor] = {}

    def tensor(self, stored: StoredTensor) -> Tensor:
        """The tensor; the same one for what is the same in the file: tied weights stay tied."""
        if stored not in self._tensors:
            self._tensors[stored] = self._made(stored)
        return self._tensors[stored]

    def _made(self, stored: StoredTensor) -> Tensor:
        made = from_ndarray(self._elements(stored), copy=False, device=self._device)
        if stored.is_parameter:
            return Parameter(made, stored.requires_grad)
        return made.requires_grad_() if stored.requires_grad else made

    def _elements(self, stored: StoredTensor) -> Array:
        itemsize = stored.dtype.itemsize
        there = self._storage(stored)
        found = np.ndarray(
            stored.shape,
            stored.dtype.carrier,
            there if there.size else b"\0" * itemsize,
            stored.storage.start + stored.offset * itemsize if stored.end else 0,
            [step * itemsize for step in stored.steps],
        )
        return found.view(stored.dtype.numpy)

    def _storage(self, stored: StoredTensor) -> Array:
        """All elements of a storage, as a tensor sees them.

        What has to be changed is changed here, once: a view can be far larger than what it looks at.
        """
        dtype, bits = stored.dtype, (stored.is_conjugate, stored.is_negative)
        kind = (stored.storage.key, dtype, bits)
        if kind not in self._seen:
            raw = self._raw(stored.storage)
            whole = raw[: len(raw) // dtype.itemsize * dtype.itemsize]
            ordered = dtype.carrier.newbyteorder("<" if self._order == "little" else ">")
            found = _native(whole.view(ordered)).view(dtype.numpy)
            found = np.conjugate(found) if stored.is_conjugate else found
            found = np.negative(found) if stored.is_negative else found
            self._seen[kind] = found.view(dtype.carrier)
        return self._seen[kind]

    def _raw(self, storage: Storage) -> Array:
        if storage.key not in self._bytes:
            self._bytes[storage.key] = self._read(storage)
        return self._bytes[storage.key]


def _native(raw: Array) -> Array:
    """Elements as kernels take them: in this machine's order, where it can address them, and truths 0 or 1."""
    if raw.dtype.kind == "b" and raw.view(np.uint8).max(initial=0) > 1:
        return raw.view(np.uint8) != 0  # as PyTorch reads them
    if raw.dtype.isnative and raw.flags.aligned:
        return raw
    return raw.astype(raw.dtype.newbyteorder("="))
