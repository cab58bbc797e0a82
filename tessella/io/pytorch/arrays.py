"""NumPy's arrays and numbers in a pickle: made from their bytes, by nobody but us."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np

from tessella.errors import FileFormatError
from tessella.io.contents import is_addressable, shown
from tessella.io.pytorch.stored import shortly, sizes

_MOST_AXES = 64  # of NumPy
_CODES = re.compile(r"b1|[iu][1248]|f[248]|c8|c16|[SU][1-9]\d{0,8}")


class ArrayDType:
    """The type of an array's elements: numbers, truths and texts of a fixed length."""

    def __init__(self, code: Any, *_: Any) -> None:
        told = code.decode("latin1") if isinstance(code, bytes) else code
        if not isinstance(told, str) or not _CODES.fullmatch(told):
            raise FileFormatError(
                f"has an array of {shown(told)}; only arrays of numbers, truths and texts can be read"
            )
        self.dtype = np.dtype(told)

    def build(self, state: Any) -> None:
        """Take the order of bytes from what NumPy keeps of a dtype."""
        order: Any = state[1] if isinstance(state, tuple) and len(state) in (8, 9) else None
        order = order.decode("latin1") if isinstance(order, bytes) else order
        if order not in ("<", ">", "=", "|") or any(part is not None for part in state[2:5]):
            raise FileFormatError("has an array with fields; only arrays of numbers can be read")
        if order != "|":
            self.dtype = self.dtype.newbyteorder(order)


class PendingArray:
    """An array that is completed after it was made."""

    def __init__(self, *_: Any) -> None:
        self.array: np.ndarray[Any, Any] | None = None

    @property
    def nbytes(self) -> int:
        """What its elements take."""
        return 0 if self.array is None else self.array.nbytes

    def build(self, state: Any) -> None:
        """Take the version, shape, dtype, order and bytes that NumPy keeps of an array."""
        if not isinstance(state, tuple) or len(state) != 5 or self.array is not None:
            raise FileFormatError("is damaged: an array in it is not described as NumPy does it")
        _, shape, dtype, is_columns, raw = state
        self.array = elements(raw, dtype, shape, "F" if is_columns else "C")


def elements(raw: Any, dtype: Any, shape: Any, order: Any = "C") -> np.ndarray[Any, Any]:
    """An array from its bytes.

    Raises:
        FileFormatError: they are not as many as the shape says.
    """
    if not isinstance(dtype, ArrayDType) or order not in ("C", "F"):
        raise FileFormatError("is damaged: an array in it is not described as NumPy does it")
    if isinstance(raw, str):  # Python 2's bytes
        raw = raw.encode("utf8", "surrogatepass")
    shape = sizes(shape, "the shape")
    expected = math.prod(shape) * dtype.dtype.itemsize
    if not isinstance(raw, (bytes, bytearray)) or len(raw) != expected:
        there = f"{len(raw)} bytes" if isinstance(raw, (bytes, bytearray)) else shown(raw)
        raise FileFormatError(
            f"is damaged: an array of shape {shortly(shape)} in it needs {expected} bytes; {there} are there"
        )
    if len(shape) > _MOST_AXES or not is_addressable(shape, dtype.dtype.itemsize):
        raise FileFormatError(f"is damaged: an array in it has the shape {shortly(shape)}")
    native = dtype.dtype.newbyteorder("=")
    return np.frombuffer(raw, dtype.dtype).reshape(shape, order=order).astype(native, order="K")


def scalar(dtype: Any, raw: Any) -> Any:
    """One number of NumPy's."""
    found: Any = elements(raw, dtype, ())[()]
    return found


def array(value: PendingArray) -> np.ndarray[Any, Any]:
    """An array when all of the file is read."""
    if value.array is None:
        raise FileFormatError("is damaged: an array in it has no elements")
    return value.array


def from_buffer(raw: Any, dtype: Any, shape: Any, order: Any) -> PendingArray:
    """An array as the fifth version of pickles has it."""
    found = PendingArray()
    found.array = elements(raw, dtype, shape, order)
    return found
