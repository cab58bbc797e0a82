"""What dtypes and devices there are, in the terms of the Array API standard."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tessella import dtypes
from tessella.arguments import public
from tessella.arguments.kinds import Device, shown
from tessella.devices import registry
from tessella.devices.device import Device as OneDevice
from tessella.dtypes import DType, as_dtype
from tessella.errors import ArgumentError, DTypeError
from tessella.tensors.surroundings import default_float
from tessella.tensors.tensor import Tensor
from tessella.uninterrupted import import_extension


@public
def astype(x: Tensor, dtype: Any, /, *, copy: bool = True, device: Device = None) -> Tensor:
    """The elements as another dtype.

    >>> import tessella as ts
    >>> astype(ts.asarray([1.75, -1.75]), ts.int32)
    tensor([ 1, -1], dtype=int32)
    """
    return x.to_device(device).astype(dtype, copy=copy)


@dataclass(frozen=True)
class FloatInfo:
    """The limits of a floating dtype: `finfo`."""

    bits: int
    eps: float
    max: float
    min: float
    smallest_normal: float
    dtype: DType


@dataclass(frozen=True)
class IntegerInfo:
    """The limits of an integer dtype: `iinfo`."""

    bits: int
    max: int
    min: int
    dtype: DType


def _dtype_of(value: Any) -> DType:
    return value.dtype if isinstance(value, Tensor) else as_dtype(value)


@public
def finfo(dtype: Any, /) -> FloatInfo:
    """The limits of a floating dtype; of a complex one, those of its parts.

    Raises:
        DTypeError: not a floating or complex dtype.

    >>> import tessella as ts
    >>> finfo(ts.float32).eps
    1.1920928955078125e-07
    """
    kind = _dtype_of(dtype)
    if not kind.is_inexact:
        raise DTypeError(f"finfo: {kind.name} is not a floating dtype; use iinfo for integers")
    if kind.is_complex:
        kind = dtypes.part_of(kind)
    of: Any = np if kind.library == "numpy" else import_extension(kind.library)
    found = of.finfo(kind.numpy)
    eps, smallest = float(found.eps), float(found.smallest_normal)
    return FloatInfo(kind.bits, eps, float(found.max), float(found.min), smallest, kind)


@public
def iinfo(dtype: Any, /) -> IntegerInfo:
    """The limits of an integer dtype.

    Raises:
        DTypeError: not an integer dtype.

    >>> import tessella as ts
    >>> iinfo(ts.int8).max
    127
    """
    kind = _dtype_of(dtype)
    if not kind.is_integer:
        raise DTypeError(f"iinfo: {kind.name} is not an integer dtype; use finfo for floats")
    return IntegerInfo(kind.bits, kind.high, kind.low, kind)


_KINDS: dict[str, Callable[[DType], builtins.bool]] = {
    "bool": lambda kind: kind.is_bool,
    "signed integer": lambda kind: kind.kind == "int",
    "unsigned integer": lambda kind: kind.kind == "uint",
    "integral": lambda kind: kind.is_integer,
    "real floating": lambda kind: kind.is_float,
    "complex floating": lambda kind: kind.is_complex,
    "numeric": lambda kind: not kind.is_bool,
}


@public
def isdtype(dtype: Any, kind: Any) -> builtins.bool:
    """Whether a dtype is of a kind: a dtype, the name of a kind, or several of them.

    >>> import tessella as ts
    >>> isdtype(ts.int8, "integral"), isdtype(ts.int8, (ts.int16, "real floating"))
    (True, False)
    """
    if isinstance(kind, tuple):
        return any(isdtype(dtype, one) for one in kind)
    if isinstance(kind, str) and kind in _KINDS:
        return _KINDS[kind](as_dtype(dtype))
    if isinstance(kind, str) and not dtypes.is_known(kind):
        raise ArgumentError(
            f"isdtype: {shown(kind)}; expected a dtype or one of {', '.join(_KINDS)}"
        )
    return as_dtype(dtype) is as_dtype(kind)


@public
def result_type(*arrays_and_dtypes: Any) -> DType:
    """The dtype in which an operation on these tensors, dtypes and Python numbers is done.

    Source: Python Array API standard, *Type promotion rules*.

    >>> import tessella as ts
    >>> result_type(ts.int8, ts.asarray([1.0]), 2.0)
    tessella.float32
    """
    numbers = [x for x in arrays_and_dtypes if isinstance(x, (bool, int, float, complex))]
    kinds = [
        _dtype_of(x) for x in arrays_and_dtypes if not isinstance(x, (bool, int, float, complex))
    ]
    if not kinds:
        raise ArgumentError("result_type: at least one tensor or dtype is needed")
    result = dtypes.promote(*kinds)
    for number in numbers:
        result = dtypes.python_scalar_dtype(number, result)
    return result


class NamespaceInfo:
    """What `tessella` offers: `__array_namespace_info__()`.

    Source: Python Array API standard, *Inspection*.
    """

    def capabilities(self) -> dict[str, Any]:
        """What depends on the library: here everything is there."""
        return {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": None}

    def default_device(self) -> OneDevice:
        """Where tensors are made if nothing is said."""
        return registry.current()

    def devices(self) -> list[OneDevice]:
        """Where tensors can be."""
        return [registry.device(name) for name in registry.names()]

    def default_dtypes(self, *, device: Device = None) -> dict[str, DType]:
        """The dtypes of Python numbers and indices."""
        return {
            "real floating": default_float(),
            "complex floating": dtypes.DEFAULT_COMPLEX,
            "integral": dtypes.DEFAULT_INT,
            "indexing": dtypes.int64,
        }

    def dtypes(self, *, device: Device = None, kind: Any = None) -> dict[str, DType]:
        """The dtypes of a kind (all by default), by name."""
        return {d.name: d for d in dtypes.ALL if kind is None or isdtype(d, kind)}


def __array_namespace_info__() -> NamespaceInfo:
    """What this namespace offers.

    >>> import tessella as ts
    >>> ts.__array_namespace_info__().default_device()
    device('cpu')
    """
    return NamespaceInfo()
