"""Operands: Python numbers, NumPy arrays and tensors beside tensors, as tensors."""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np

from tessella import autodiff, dtypes
from tessella.arguments.callers import called_function
from tessella.arguments.kinds import shown
from tessella.compiler.eager import fill
from tessella.devices.array import Layout, contiguous_layout, plain_ndarray
from tessella.devices.buffer import protect
from tessella.dtypes import DType
from tessella.errors import ArgumentError, ArgumentTypeError, StorageDTypeError
from tessella.primitives.base import normalise_axes
from tessella.primitives.elementwise import Elementwise, elementwise
from tessella.sizes.size import Size
from tessella.tensors.tensor import Number, Tensor, apply, filled, from_array, from_ndarray

Operand: TypeAlias = Tensor | Number
Axes: TypeAlias = int | tuple[int, ...] | None
ARRAYS: Any = (Tensor, np.ndarray)  # what `@` takes
_mode = autodiff.mode


def scalar_beside(value: Number, like: Layout) -> Tensor:
    """A zero-dimensional tensor of a Python number beside one of a layout; common ones are made once."""
    tracing = _mode.trace is not None
    kind = type(value)
    key = (value if value and kind is not complex else repr(value), kind)  # 0.0 == -0.0
    found: Tensor | None = None if tracing else like.numbers.get(key)
    if found is not None:
        return found
    dtype = dtypes.python_scalar_dtype(value, like.dtype)
    if tracing:
        return filled(fitting(value, dtype), (), dtype, like.device)
    found = from_array(fill(fitting(value, dtype), (), dtype, like.device))
    protect(found._value.buffer)
    if len(like.numbers) > 4096:
        like.numbers.clear()
    like.numbers[key] = found
    return found


_LARGEST = 1 << 1023  # whole numbers that floats can still be made of


def fitting(value: Any, dtype: DType) -> Any:
    """A Python number, which a dtype must be able to hold if it is one of integers.

    Raises:
        ArgumentError: it cannot. (Fractions are cut off where a float is to be an integer.)
    """
    if isinstance(value, complex) and not dtype.is_complex:
        raise ArgumentError(
            f"the number {shown(value)} is complex, and does not fit in {dtype.name}; give a real one, or a complex dtype"
        )
    number = dtype.is_integer and isinstance(value, (int, float))
    if number and not dtype.low <= value < dtype.high + 1:
        raise ArgumentError(
            f"the number {shown(value)} does not fit in {dtype.name} ({dtype.low} to {dtype.high}); "
            "convert the tensor to a wider dtype first"
        )
    if type(value) is int and dtype.is_inexact and not -(1 << 63) <= value < 1 << 63:
        return _as_float(value, dtype)
    return value


def _as_float(value: int, dtype: DType) -> float:
    """A whole number beyond those of NumPy."""
    if not -_LARGEST < value < _LARGEST:
        raise ArgumentError(
            f"the number is {shown(value)}, which does not fit in {dtype.name}; no dtype holds it"
        )
    return float(value)


def operand(value: Any, like: Tensor) -> Any:
    """A Python number or NumPy array as a tensor beside `like`; NotImplemented for others."""
    if isinstance(value, Tensor):
        return value
    if isinstance(value, (bool, int, float, complex)):
        return scalar_beside(value, like._value.layout)
    if isinstance(value, (np.ndarray, np.generic)):
        return from_ndarray(plain_ndarray(value), device=like.device)
    # a number among the arguments of a trace; asked of the class, as Python asks for special methods
    bind = getattr(type(value), "__tessella_operand__", None)
    return NotImplemented if bind is None else operand(bind(value, like), like)


def binary(primitive: Elementwise, x: Any, y: Any) -> Tensor:
    """An elementwise primitive of two operands, one of which is a tensor."""
    if type(y) is float or type(y) is int:  # as it mostly is
        return apply(primitive, (x, scalar_beside(y, x._value.layout)))
    if not isinstance(y, Tensor):
        y = operand(y, x)
        if y is NotImplemented:
            return NotImplemented
    elif not isinstance(x, Tensor):
        x = operand(x, y)
        if x is NotImplemented:
            return NotImplemented
    return apply(primitive, (x, y))


_MIRRORED = {
    "equal": "equal", "not_equal": "not_equal", "less": "greater", "greater": "less",
    "less_equal": "greater_equal", "greater_equal": "less_equal",
}  # fmt: skip


def compare(name: str, x: Any, y: Any) -> Tensor:
    """A comparison of two operands, one of which is a tensor.

    Integers and Python numbers are compared as mathematics has it, even if the integers' dtype could
    not hold the number: every uint8 is below 300, and none equals 0.5.
    """
    if isinstance(y, Tensor):
        if isinstance(x, Tensor):
            return apply(elementwise(name), (x, y))
        if y.dtype.is_storage:
            return compare(_MIRRORED[name], y, x)
        if y.dtype.is_inexact:
            return binary(elementwise(name), x, y)
        return _compare_integers(_MIRRORED[name], y, x)
    dtype = x._value.layout.dtype
    is_number = isinstance(y, float) or not isinstance(y, (np.ndarray, np.generic))
    if dtype.is_storage and is_number:  # 0.3 is not what it would be rounded to
        x, dtype = x.astype(dtype.compute), dtype.compute
    if dtype.is_inexact or (type(y) is int and dtype.low <= y <= dtype.high):
        y = operand(y, x)
        return NotImplemented if y is NotImplemented else apply(elementwise(name), (x, y))
    return _compare_integers(name, x, y)


def _compare_integers(name: str, x: Tensor, number: Any) -> Tensor:
    """Integers (or bool) beside a Python number; a fraction, or what does not fit, is a float64."""
    if isinstance(number, (int, float)):
        low, high = dtypes.limits(dtypes.int64 if x.dtype.is_bool else x.dtype)
        if not low <= number <= high and number == number:
            number = math.inf if number > high else -math.inf
        if isinstance(number, float):
            number = scalar_beside(number, _float64_beside(x._value.layout))
    elif hasattr(type(number), "__tessella_operand__") and not isinstance(number, Size):
        number = _traced_beside_integers(number, x._value.layout)
    return binary(elementwise(name), x, number)


def _float64_beside(layout: Layout) -> Layout:
    return contiguous_layout((), dtypes.float64, layout.device)


def _traced_beside_integers(number: Any, layout: Layout) -> Any:
    """A float of a traced function as a float64 that compares with integers as it would untraced."""
    like = _float64_beside(layout)
    wide: Any = number.__tessella_operand__(scalar_beside(0.0, like))
    if layout.dtype.bits < 64 or not isinstance(wide, Tensor):
        return wide
    # the greatest integers are rounded up, to what is too large
    too_large = wide >= scalar_beside(float(dtypes.limits(layout.dtype)[1]), like)
    return apply(elementwise("select"), (too_large, scalar_beside(math.inf, like), wide))


def unary(name: str, x: Tensor) -> Tensor:
    """An elementwise function of one tensor, by its name."""
    return apply(elementwise(name), (require(x, name),))


def require(x: Any, name: str) -> Tensor:
    """x, which must be a tensor.

    Raises:
        ArgumentTypeError: it is something else.
    """
    if not isinstance(x, Tensor):
        raise ArgumentTypeError(
            f"{name}: a Tensor was expected, {type(x).__name__} was given; use ts.asarray(...)"
        )
    return x


def require_all(name: str, *values: Any) -> list[Tensor]:
    """Tensors and NumPy arrays, all as tensors; one at least must be a tensor.

    Raises:
        ArgumentTypeError: none is a tensor, or one is neither.
    """
    strange = [x for x in values if not isinstance(x, Tensor)]
    if not strange:
        return [*values]
    if len(strange) == len(values):
        require(values[0], name)
    device = next((x.device for x in values if isinstance(x, Tensor)), None)
    return [
        from_ndarray(plain_ndarray(x), device=device)
        if isinstance(x, (np.ndarray, np.generic))
        else require(x, name)
        for x in values
    ]


def axes_of(x: Tensor, axis: Axes, name: str) -> tuple[int, ...]:
    """The axes an argument names, counted from the front."""
    return normalise_axes(axis, x.ndim, name)


def computable(name: str, *tensors: Tensor) -> Tensor:
    """The first of some tensors with which NumPy is to compute.

    Raises:
        DTypeError: one of them is of a storage dtype.
    """
    for x in tensors:
        if x.dtype.is_storage:
            raise dtypes.nothing_is_computed(x.dtype).told_of(called_function(name))
    return tensors[0]


def common_dtype(name: str, *tensors: Tensor) -> DType:
    """The dtype that some tensors have together.

    Raises:
        DTypeError: they have none; one of them is of a storage dtype, and another is not.
    """
    try:
        return dtypes.promote(*[x.dtype for x in tensors])
    except StorageDTypeError as error:
        raise error.told_of(called_function(name)) from None


def with_fractions(name: str, x: Tensor) -> Tensor:
    """A tensor in a dtype that has fractions: its own, or the default one.

    Raises:
        DTypeError: it is of a storage dtype.
    """
    return computable(name, x).astype(dtypes.result_float(x.dtype))
