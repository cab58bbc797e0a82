"""The elements of tensors and arrays as bytes of a file."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from tessella.devices.array import plain_ndarray
from tessella.dtypes import DType, as_dtype
from tessella.io.headers import CODE_OF, Stored, bits_of
from tessella.io.sources import Bytes
from tessella.tensors.creation import asarray
from tessella.tensors.manipulation import reshape
from tessella.tensors.packing import pack
from tessella.tensors.tensor import Tensor

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
        code or CODE_OF[dtype], tuple(value.shape), nbytes, functools.partial(content, value)
    )


def content(value: Tensor | Array | np.generic) -> Bytes:
    """The elements in row-major order, without gaps; those of few bits are packed."""
    dtype = dtype_of(value)
    if bits_of(dtype) < 8:
        return pack(reshape(asarray(value), (-1,))).numpy()
    array = value.numpy() if isinstance(value, Tensor) else plain_ndarray(value)
    return np.ascontiguousarray(array, dtype.numpy).reshape(-1).view(np.uint8)


def strange_byte(content: Bytes, dtype: DType) -> int | None:
    """A byte that is no element of a dtype of fewer bits: what is computed of it could be anything."""
    most = 1 if dtype.is_bool else (1 << min(dtype.bits, 8)) - 1
    if most == 255 or not content.size or content.max() <= most:
        return None
    return int(content.max())
