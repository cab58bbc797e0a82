"""The elements of tensors and arrays as bytes of a file, and back."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from tessella.devices.array import plain_ndarray
from tessella.dtypes import DType, as_dtype
from tessella.io.headers import CODE_OF, Entry, Stored, bits_of
from tessella.io.sources import Bytes, Source
from tessella.tensors.creation import asarray
from tessella.tensors.manipulation import reshape
from tessella.tensors.packing import pack, unpack
from tessella.tensors.tensor import Tensor, from_ndarray

Array = np.ndarray[Any, Any]


def dtype_of(value: Tensor | Array | np.generic) -> DType:
    """The dtype of a tensor's or an array's elements.

    Raises:
        DTypeError: Tessella has none of this kind.
    """
    return value.dtype if isinstance(value, Tensor) else as_dtype(value.dtype)


def stored(value: Tensor | Array | np.generic, code: str | None = None) -> Stored:
    """A tensor or an array, of a dtype that the format has, for a file.

    Args:
        code: of the dtype that the format has it as, of the same size; its own if it is left out.
    """
    dtype = dtype_of(value)
    nbytes = -(-math.prod(value.shape) * bits_of(dtype) // 8)
    return Stored(
        code or CODE_OF[dtype], tuple(value.shape), nbytes, functools.partial(_bytes, value, dtype)
    )


def _bytes(value: Tensor | Array | np.generic, dtype: DType) -> Bytes:
    """The elements in row-major order, without gaps."""
    if bits_of(dtype) < 8:
        return pack(reshape(asarray(value), (-1,))).numpy()
    array = value.numpy() if isinstance(value, Tensor) else plain_ndarray(value)
    return np.ascontiguousarray(array, dtype.numpy).reshape(-1).view(np.uint8)


def array(content: Bytes, entry: Entry, dtype: DType, told: str, source: Source) -> Array:
    """The elements of a file where they are; a copy of those that are packed.

    Raises:
        ArgumentError: there are others than the dtype has.
    """
    here = content[entry.begin : entry.end]
    if bits_of(dtype) < 8:
        return unpack(asarray(here), dtype, math.prod(entry.shape)).numpy().reshape(entry.shape)
    _require_known(here, dtype, told, source)
    return here.view(dtype.numpy).reshape(entry.shape)


def _require_known(here: Bytes, dtype: DType, told: str, source: Source) -> None:
    """Complain about bytes that are no number of a dtype of fewer bits: what is computed of them is anything."""
    most = 1 if dtype.is_bool else (1 << dtype.bits) - 1
    if (dtype.is_bool or dtype.bits < 8) and here.size and here.max() > most:
        raise source.damaged(f"{told} of {dtype.name} has a byte of {here.max()}")


def tensor(content: Bytes, entry: Entry, dtype: DType, told: str, source: Source) -> Tensor:
    """A tensor on the bytes of a file, or on a copy where kernels cannot read them as they stand."""
    return from_ndarray(array(content, entry, dtype, told, source), copy=False)
