"""Dtypes and constants as LLVM writes them.

Bool lives in memory as one byte and in registers as `i1`; floats that LLVM does not compute with are integers there.
"""

from __future__ import annotations

import struct

import numpy as np

from tessella import dtypes
from tessella.dtypes import DType

REGISTER_TYPES = {
    "bool": "i1",
    "float16": "half",
    "float32": "float",
    "float64": "double",
}


def register_type(dtype: DType, lanes: int = 1) -> str:
    """The LLVM type of a value of this dtype in registers."""
    scalar = REGISTER_TYPES.get(dtype.name) or f"i{8 * dtype.itemsize}"
    return scalar if lanes == 1 else f"<{lanes} x {scalar}>"


def is_bits(dtype: DType) -> bool:
    """Whether a float is an integer in registers, its bits: LLVM would not compute with it as we do."""
    return dtype.is_float and dtype.name not in REGISTER_TYPES


def memory_type(dtype: DType, lanes: int = 1) -> str:
    """The LLVM type of an element in memory: bool takes a byte."""
    if dtype.is_bool:
        return "i8" if lanes == 1 else f"<{lanes} x i8>"
    return register_type(dtype, lanes)


def mangled(dtype: DType, lanes: int) -> str:
    """The suffix of an intrinsic's name: `f32`, `v16f32`, `i64`, ..."""
    scalar = {"half": "f16", "float": "f32", "double": "f64"}.get(
        register_type(dtype), register_type(dtype)
    )
    return scalar if lanes == 1 else f"v{lanes}{scalar}"


def literal(value: bool | int | float, dtype: DType) -> str:
    """A constant in LLVM's syntax (floats as the bits of the double of the same value)."""
    if dtype.is_bool:
        return "true" if value else "false"
    if dtype.is_storage:
        with np.errstate(all="ignore"):
            return str(int(np.asarray(value).astype(dtype.numpy).view(dtype.carrier)))
    if dtype.is_integer:
        return str(int(value))
    if dtype is dtypes.float16:
        with np.errstate(over="ignore"):  # what is too large is infinite, as in `astype`
            return f"0xH{np.float64(value).astype(np.float16).view(np.uint16):04X}"
    if is_bits(dtype):
        return str(int(dtype.numpy.type(value).view(dtype.carrier)))
    return f"0x{struct.unpack('<Q', struct.pack('<d', float(value)))[0]:016X}"
