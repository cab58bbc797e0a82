"""A file of tensors that is read: its header has been checked, its elements are read when they are asked for."""

from __future__ import annotations

import math
from typing import NamedTuple

from tessella.arguments.kinds import Device
from tessella.dtypes import DType
from tessella.errors import DTypeError
from tessella.io import headers
from tessella.io.elements import Array, strange_byte
from tessella.io.headers import CODES, bits_of
from tessella.io.sources import Bytes, Source, quoted
from tessella.tensors.creation import asarray
from tessella.tensors.packing import unpack
from tessella.tensors.tensor import Tensor, from_ndarray


class Kind(NamedTuple):
    """What the bytes of a tensor are."""

    shape: tuple[int, ...]
    dtype: DType


class TensorFile:
    """A file in the safetensors format.

    Args:
        device: where its tensors are to be.

    `entries` say where its tensors are, by their names; `metadata` are the texts beside them.

    Raises:
        FileFormatError: it is no file in the safetensors format, or damaged.
        OSError: it cannot be read.
    """

    def __init__(self, source: Source, device: Device = None) -> None:
        self.source, self._device, self._content = source, device, source.memory()
        self.entries, self.metadata = headers.read(self._content, source)

    def kind(self, name: str) -> Kind:
        """What a tensor is, as the header says.

        Raises:
            DTypeError: it is of a dtype that Tessella does not have.
        """
        entry = self.entries[name]
        dtype = CODES.get(entry.code)
        if dtype is None:
            raise DTypeError(
                f"{self.source.function}: {quoted(name)} is of dtype {quoted(entry.code)}; expected one of "
                f"{', '.join(CODES)}"
            )
        return Kind(entry.shape, dtype)

    def content(self, name: str) -> Bytes:
        """The bytes of a tensor, where they are."""
        entry = self.entries[name]
        return self._content[entry.begin : entry.end]

    def array(self, name: str, kind: Kind | None = None) -> Array:
        """A copy of a tensor's elements.

        Args:
            kind: what they are, if they are kept as something else.

        Raises:
            FileFormatError: there are others than the dtype has.
            DTypeError: Tessella has no such dtype.
        """
        shape, dtype = kind or self.kind(name)
        if bits_of(dtype) < 8:
            return self.tensor(name, kind).numpy().copy()
        return self._view(name, Kind(shape, dtype)).copy()

    def tensor(self, name: str, kind: Kind | None = None) -> Tensor:
        """A tensor on the bytes of the file, or on a copy where kernels, or its device, cannot read them there.

        Args and Raises: as of `array`.
        """
        shape, dtype = kind or self.kind(name)
        if bits_of(dtype) < 8:
            packed = asarray(self.content(name), device=self._device)
            return unpack(packed, dtype, math.prod(shape)).reshape(shape)
        return from_ndarray(self._view(name, Kind(shape, dtype)), copy=False, device=self._device)

    def _view(self, name: str, kind: Kind) -> Array:
        shape, dtype = kind
        here = self.content(name)
        strange = strange_byte(here, dtype)
        if strange is not None:
            raise self.source.damaged(f"{quoted(name)} of {dtype.name} has a byte of {strange}")
        return here.view(dtype.numpy).reshape(shape)
