"""Elementwise functions that PyTorch and NumPy have beside those of the Array API standard.

Most are one scalar function each, so forward and backward are one kernel. Names that mean the same as one
of `tessella.tensors.elementwise` are that very function.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from tessella import dtypes
from tessella.arguments import elementwise as gated
from tessella.arguments import public
from tessella.arguments.kinds import shown
from tessella.errors import ArgumentError, DTypeError
from tessella.primitives.base import normalise_axis
from tessella.primitives.elementwise import Elementwise
from tessella.primitives.host import NumPyCall
from tessella.primitives.softmax import LogSoftmax, Softmax
from tessella.scalar.function import ScalarFunction
from tessella.tensors.creation import asarray
from tessella.tensors.elementwise import (
    abs,
    acos,
    acosh,
    asin,
    asinh,
    atan,
    atan2,
    atanh,
    bitwise_invert,
    clip,
    divide,
    equal,
    floor_divide,
    greater,
    greater_equal,
    imag,
    isnan,
    less,
    less_equal,
    maximum,
    minimum,
    multiply,
    negative,
    not_equal,
    subtract,
    trunc,
    where,
)
from tessella.tensors.operands import Operand, common_dtype, operand, require, with_fractions
from tessella.tensors.tensor import Number, Tensor, apply

# Other names of the same functions.
absolute, neg, mul, sub, true_divide = abs, negative, multiply, subtract, divide
arccos, arccosh, arcsin, arcsinh = acos, acosh, asin, asinh
arctan, arctanh, arctan2, bitwise_not, fix = atan, atanh, atan2, bitwise_invert, trunc
eq, ne, lt, le, gt, ge = equal, not_equal, less, less_equal, greater, greater_equal


def _scalar(
    name: str, function: Callable[..., Any], parameters: list[str], slopes: Any = None
) -> Callable[..., Tensor]:
    primitive = Elementwise(ScalarFunction(function, name, parameters, slopes))

    def applied(*operands: Tensor) -> Tensor:
        return apply(primitive, operands)

    return applied


def _floating(x: Any, name: str) -> Tensor:
    """x, as floating point if it is of integers."""
    require(x, name)
    return x if x.dtype.is_inexact else with_fractions(name, x)


def _together(name: str, *values: Any) -> list[Tensor]:
    """Operands, one of which is a tensor, all as tensors of the dtype they have together."""
    like = next((x for x in values if isinstance(x, Tensor)), None)
    if like is None:
        like = require(asarray(values[0]), name)
    found = [operand(x, like) for x in values]
    for x, value in zip(found, values, strict=True):
        require(value if x is NotImplemented else x, name)
    common = common_dtype(name, *found)
    return [x.astype(common) for x in found]


@public
def div(x1: Operand, x2: Operand, /, *, rounding_mode: str | None = None) -> Tensor:
    """x1 / x2, or the quotient rounded down ("floor") or towards zero ("trunc").

    >>> import tessella as ts
    >>> div(ts.asarray([7.0, -7.0]), 2.0, rounding_mode="trunc")
    tensor([ 3., -3.])
    """
    if rounding_mode is None:
        return divide(x1, x2)
    if rounding_mode == "floor":
        return floor_divide(x1, x2)
    if rounding_mode != "trunc":
        raise ArgumentError(
            f"div: rounding_mode is {shown(rounding_mode)}; expected 'floor', 'trunc' or None"
        )
    first, second = _together("div", x1, x2)
    if first.dtype.is_float:
        return trunc(divide(first, second))
    down = floor_divide(first, second)
    inexact = (down * second != first) & (down < 0)
    return down + inexact.astype(down.dtype)


@gated
def clamp(x: Tensor, /, min: Operand | None = None, max: Operand | None = None) -> Tensor:
    """x, but at least `min` and at most `max`, as `clip`.

    >>> import tessella as ts
    >>> clamp(ts.asarray([-1.0, 0.5, 3.0]), min=0.0, max=1.0)
    tensor([0. , 0.5, 1. ])
    """
    return clip(x, min, max)


@gated
def clamp_min(x: Tensor, min: Operand, /) -> Tensor:
    """x, but at least `min`."""
    return clip(x, min, None)


@gated
def clamp_max(x: Tensor, max: Operand, /) -> Tensor:
    """x, but at most `max`."""
    return clip(x, None, max)


@gated
def frac(x: Tensor, /) -> Tensor:
    """What is behind the decimal point, with x's sign."""
    return x - trunc(x)


@public
def float_power(x1: Operand, x2: Operand, /) -> Tensor:
    """x1 to the power of x2, in float64."""
    first, second = _together("float_power", x1, x2)
    return first.astype(dtypes.float64) ** second.astype(dtypes.float64)


# --- extremes that leave NaN aside -------------------------------------------------------------------


@gated
def fmax(x1: Operand, x2: Operand, /) -> Tensor:
    """The larger of x1 and x2; where one is NaN, the other.

    >>> import tessella as ts
    >>> fmax(ts.asarray([1.0, math.nan]), 0.0)
    tensor([1., 0.])
    """
    first, second = _together("fmax", x1, x2)
    return where(isnan(first), second, where(isnan(second), first, maximum(first, second)))


@gated
def fmin(x1: Operand, x2: Operand, /) -> Tensor:
    """The smaller of x1 and x2; where one is NaN, the other."""
    first, second = _together("fmin", x1, x2)
    return where(isnan(first), second, where(isnan(second), first, minimum(first, second)))


# --- whole numbers -----------------------------------------------------------------------------------


def _whole(name: str, x1: Any, x2: Any) -> Tensor:
    first, second = _together(name, x1, x2)
    if not first.dtype.is_integer:
        raise DTypeError(f"{name}: {first.dtype.name} was given; expected integers")
    return apply(NumPyCall(name, first.dtype), (first, second))


@public
def gcd(x1: Operand, x2: Operand, /) -> Tensor:
    """The greatest common divisor of integers.

    >>> import tessella as ts
    >>> gcd(ts.asarray([12, 7]), 18)
    tensor([6, 1])
    """
    return _whole("gcd", x1, x2)


@public
def lcm(x1: Operand, x2: Operand, /) -> Tensor:
    """The least common multiple of integers."""
    return _whole("lcm", x1, x2)


# --- functions ---------------------------------------------------------------------------------------


@gated
def heaviside(x1: Tensor, x2: Operand, /) -> Tensor:
    """0 below zero, 1 above it, and x2 at zero; NaN of NaN.

    >>> import tessella as ts
    >>> heaviside(ts.asarray([-1.5, 0.0, 2.0]), 0.5)
    tensor([0. , 0.5, 1. ])
    """
    x, at_zero = _together("heaviside", x1, x2)
    step = where(x > 0, asarray(1, dtype=x.dtype), asarray(0, dtype=x.dtype))
    step = where(x == 0, at_zero, step)
    return where(isnan(x), x, step) if x.dtype.is_float else step


def _sinc_slope(x: Any) -> Any:
    y = math.pi * x
    if x * x < 1e-6:
        return -math.pi * y / 3.0  # the next term is 1e-6 of it
    return math.pi * (math.cos(y) - math.sin(y) / y) / y


_sinc = _scalar(
    "sinc",
    lambda x: 1.0 if x == 0.0 else math.sin(math.pi * x) / (math.pi * x),
    ["x"],
    [_sinc_slope],
)


@gated
def sinc(x: Tensor, /) -> Tensor:
    """sin(pi x) / (pi x), and 1 at 0.

    >>> import tessella as ts
    >>> sinc(ts.asarray([0.0, 0.5]))
    tensor([1.    , 0.6366])
    """
    return _sinc(_floating(x, "sinc"))


@gated
def deg2rad(x: Tensor, /) -> Tensor:
    """Degrees as radians."""
    return _floating(x, "deg2rad") * (math.pi / 180.0)


@gated
def rad2deg(x: Tensor, /) -> Tensor:
    """Radians as degrees."""
    return _floating(x, "rad2deg") * (180.0 / math.pi)


# The slope by x at x = 0 is that of 0 log y, which is 0 for every y above 0.
_xlogy = _scalar(
    "xlogy",
    lambda x, y: y if y != y else (0.0 if x == 0.0 else x * math.log(y)),
    ["x", "y"],
    [lambda x, y: 0.0 if x == 0.0 and y <= 0.0 else math.log(y), lambda x, y: x / y],
)


@gated
def xlogy(x1: Operand, x2: Operand, /) -> Tensor:
    """x1 log(x2), and 0 where x1 is 0 (but NaN where x2 is NaN).

    >>> import tessella as ts
    >>> xlogy(ts.asarray([0.0, 2.0]), ts.asarray([0.0, 1.0]))
    tensor([0., 0.])
    """
    first, second = _together("xlogy", x1, x2)
    return _xlogy(_floating(first, "xlogy"), _floating(second, "xlogy"))


_logit = _scalar(
    "logit", lambda x: math.log(x / (1.0 - x)), ["x"], [lambda x: 1.0 / (x * (1.0 - x))]
)


@gated
def logit(x: Tensor, /, eps: float | None = None) -> Tensor:
    """log(x / (1 - x)), the inverse of `sigmoid`; NaN outside 0 to 1.

    Args:
        eps: x is first brought within eps and 1 - eps.

    >>> import tessella as ts
    >>> logit(ts.asarray([0.5, 0.9]))
    tensor([0.    , 2.1972])
    """
    x = _floating(x, "logit")
    return _logit(x if eps is None else clip(x, eps, 1.0 - eps))


def _first_guess(y: Any) -> Any:
    """The inverse of erf within 0.35 %."""
    half = math.log1p(-y * y) / 2.0
    a = 2.0 / (math.pi * 0.147) + half
    return math.sqrt(math.sqrt(a * a - half / 0.0735) - a)


_TWO_OVER_ROOT_PI = 2.0 / math.sqrt(math.pi)


def _improved(x: Any, y: Any) -> Any:
    """A step of Halley's: erf near 0, and erfc further out, where erf is nearly 1."""
    short = math.erfc(x) - (1.0 - y)
    missed = -short if x > 0.5 else math.erf(x) - y
    step = missed / (_TWO_OVER_ROOT_PI * math.exp(-x * x))
    return x - step / (1.0 + x * step)


def _erfinv_of(y: Any) -> Any:
    size = y if y > 0.0 else -y
    x = _improved(_improved(_improved(_first_guess(size), size), size), size)
    found = x if size < 1.0 else (math.inf if size == 1.0 else math.nan)
    near = math.sqrt(math.pi) / 2.0 * size  # all there is of it near 0
    result = near if size < 1e-8 else found
    return result if y > 0.0 else -result


_erfinv = _scalar(
    "erfinv", _erfinv_of, ["y"],
    [lambda y: math.sqrt(math.pi) / 2.0 * math.exp(_erfinv_of(y) * _erfinv_of(y))],
)  # fmt: skip


@gated
def erfinv(x: Tensor, /) -> Tensor:
    """The inverse of erf on -1 to 1; infinite at both ends, NaN outside.

    Source: Winitzki, *A handy approximation for the error function and its inverse* (2008), and Halley's steps.

    >>> import tessella as ts
    >>> erfinv(ts.asarray([0.0, 0.5, 1.0]))
    tensor([0.    , 0.4769,    inf])
    """
    return _erfinv(_floating(x, "erfinv"))


# --- sums of products --------------------------------------------------------------------------------


@gated
def lerp(start: Tensor, end: Operand, weight: Operand, /) -> Tensor:
    """start + weight (end - start).

    >>> import tessella as ts
    >>> lerp(ts.asarray([0.0, 10.0]), ts.asarray([10.0, 20.0]), 0.5)
    tensor([ 5., 15.])
    """
    return start + weight * (end - start)


@public
def addcmul(x: Tensor, tensor1: Tensor, tensor2: Tensor, /, *, value: Number = 1) -> Tensor:
    """x + value tensor1 tensor2."""
    product = tensor1 * tensor2
    return x + (product if value == 1 else product * value)


@public
def addcdiv(x: Tensor, tensor1: Tensor, tensor2: Tensor, /, *, value: Number = 1) -> Tensor:
    """x + value tensor1 / tensor2."""
    quotient = tensor1 / tensor2
    return x + (quotient if value == 1 else quotient * value)


@public
def softmax(x: Tensor, /, axis: int = -1) -> Tensor:
    """e^x, divided by its sum along an axis.

    >>> import tessella as ts
    >>> softmax(ts.zeros((1, 4)), 1)
    tensor([[0.25, 0.25, 0.25, 0.25]])
    """
    return apply(Softmax(normalise_axis(axis, x.ndim, "softmax")), (x,))


@public
def log_softmax(x: Tensor, /, axis: int = -1) -> Tensor:
    """The logarithm of `softmax`, without overflow."""
    place = normalise_axis(axis, x.ndim, "log_softmax")
    return apply(LogSoftmax(place), (x,))


@public
def interp(x: Tensor, xp: Tensor, fp: Tensor, /) -> Tensor:
    """The value at x of the line through points (xp, fp), whose xp grow; beyond its ends, that of the end.

    >>> import tessella as ts
    >>> interp(ts.asarray([0.5, 3.0]), ts.asarray([0.0, 1.0]), ts.asarray([10.0, 20.0]))
    tensor([15., 20.])
    """
    x, xp, fp = _together("interp", x, xp, fp)
    if xp.ndim != 1 or xp.shape != fp.shape or not xp.size:
        raise ArgumentError(
            f"interp: xp has shape {xp.shape}, fp {fp.shape}; expected two vectors of one length"
        )
    x, xp, fp = (_floating(part, "interp") for part in (x, xp, fp))
    if xp.size == 1:
        return where(isnan(x), x, fp[0])
    after = (x.detach()[..., None] >= xp).sum(axis=-1)  # how many points lie before
    right = after.clip(1, xp.size - 1)
    left = right - 1
    a, b = xp[left], xp[right]
    share = (x - a) / where(a == b, asarray(1, dtype=b.dtype), b - a)
    return lerp(fp[left], fp[right], clip(share, 0.0, 1.0))


@public
def isreal(x: Tensor, /) -> Tensor:
    """Whether the elements have no imaginary part."""
    return imag(x) == 0
