"""What random bits become, wherever they come from: numbers between two others, and whole numbers in a range."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tessella import dtypes
from tessella.arguments.callers import called_function
from tessella.arguments.kinds import shown
from tessella.dtypes import DType, as_dtype
from tessella.errors import ArgumentError, DTypeError
from tessella.scalar import operators
from tessella.scalar.function import ScalarFunction
from tessella.sizes.size import is_symbolic
from tessella.tensors import elementwise as maths
from tessella.tensors.creation import asarray
from tessella.tensors.surroundings import default_float
from tessella.tensors.tensor import Tensor


def between(unit: Tensor, low: Any, high: Any, kind: DType) -> Tensor:
    """Numbers in [0, 1) as numbers in [low, high) of some dtype: what rounding brings to `high` stays below."""
    bounds = isinstance(low, (int, float)) and isinstance(high, (int, float))
    if bounds and (low, high) == (0.0, 1.0):
        return unit.astype(kind)
    spread = unit * (high - low) + low
    if not bounds or not low < high < math.inf:
        return spread.astype(kind)
    below = np.nextafter(np.asarray(float(high), kind.numpy), np.asarray(float(low), kind.numpy))
    return maths.minimum(spread, float(below)).astype(kind)


def whole_numbers(draw: Callable[[], Tensor], low: Any, high: Any, dtype: Any, name: str) -> Tensor:
    """Whole numbers from low to high - 1, from words of 64 random bits that `draw` gives."""
    low, high = (_whole(number, name) for number in (low, high))
    if high <= low:
        raise ArgumentError(f"{name}: there is no number from {shown(low)} to below {shown(high)}")
    kind = as_dtype(dtype or dtypes.DEFAULT_INT)
    if is_symbolic(low) or is_symbolic(high):
        return ((draw() >> 1).astype(dtypes.int64) % (high - low) + low).astype(kind)
    least, most = dtypes.limits(dtypes.int64 if kind.is_inexact else kind)
    if low < least or high - 1 > most:
        raise ArgumentError(
            f"{name}: {shown(low)} to {shown(high - 1)} were asked for, and {kind.name} holds {least} to {most}; "
            "take a wider dtype"
        )
    # counted modulo 2^64, so that no range is too wide
    found = _below(high - low, draw) + low % 2**64
    return found.astype(kind) if kind.kind == "uint" else found.astype(dtypes.int64).astype(kind)


def _whole(number: Any, name: str) -> Any:
    if is_symbolic(number):
        return number
    if not isinstance(number, (int, np.integer)) or isinstance(number, bool):
        raise ArgumentError(f"{name}: {shown(number)} was given; expected whole numbers as bounds")
    return int(number)


def _below(span: int, draw: Callable[[], Tensor]) -> Tensor:
    """Whole numbers from 0 to span - 1, as uint64.

    A remainder favours small numbers by span / 2^63, which is nothing for small spans; for others,
    128 random bits are taken as a fraction and multiplied, which favours none by more than 2^-64.

    Source: Lemire, *Fast random integer generation in an interval* (2019), section 3.
    """
    if span == 2**64:
        return draw()
    if span <= 2**32:
        return (draw() >> 1) % span
    return _scaled_fraction(draw(), draw(), asarray(np.asarray(span, np.uint64)))


def _high_product(a: Any, b: Any) -> Any:
    """The upper 64 bits of the product of two uint64, by halves."""
    a_low, a_high, b_low, b_high = a & _HALF, a >> 32, b & _HALF, b >> 32
    inner, outer = a_low * b_high, a_high * b_low
    carried = ((a_low * b_low) >> 32) + (inner & _HALF) + (outer & _HALF)
    return a_high * b_high + (inner >> 32) + (outer >> 32) + (carried >> 32)


def _scale_fraction(high: Any, low: Any, span: Any) -> Any:
    """floor(span f) for the fraction f = high / 2^64 + low / 2^128."""
    added = high * span + _high_product(low, span)
    carry = operators.select(operators.less(added, high * span), 1, 0)
    return _high_product(high, span) + operators.convert(carry, dtypes.uint64)


_HALF = 2**32 - 1


_scale_fraction.makes_expression = True  # type: ignore[attr-defined]


_scaled_fraction = maths.zip_with(ScalarFunction(_scale_fraction, "scaled_fraction"))


def digits_of(dtype: DType) -> int:
    """How many binary digits after the point a floating dtype has below 1: with more, a number could be rounded up."""
    form = dtype.format
    assert form is not None, dtype
    return min(form.digits, form.bias + form.digits - 2)  # no more than its smallest number has


def floating(dtype: Any) -> DType:
    """The floating dtype that is asked for, or the default one.

    Raises:
        DTypeError: it is none.
    """
    kind = as_dtype(dtype or default_float())
    if not kind.is_float or not kind.is_signed:
        name, zero = called_function("random"), " that has a zero" if kind.is_float else ""
        raise DTypeError(f"{name}: dtype is {kind.name}; expected a floating one{zero}", name)
    return kind


def drawn_in(kind: DType) -> DType:
    """The dtype in which numbers between 0 and 1 of another one are made, digit for digit."""
    return kind.compute if kind.is_storage else kind
