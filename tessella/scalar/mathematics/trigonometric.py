"""sin, cos, tan.

    x = n pi/2 + r   with |r| <= pi/4

and then sin r or cos r by its Taylor series, as the last two bits of n say. pi/2 comes in three
pieces: x minus n times the first is exact (one `fma`), the others give r as a sum of two numbers.
That holds up to |x| = 2^30. Beyond, the C library is asked, for the lanes that need it.

Source: Cody & Waite (1980), *Software Manual for the Elementary Functions*, chapter 8.
"""

from __future__ import annotations

import math

import numpy as np

from tessella import dtypes
from tessella.scalar.expression import Expression, Operator
from tessella.scalar.mathematics.support import define, horner, library, rarely, whole_part
from tessella.scalar.operators import (
    absolute,
    convert,
    equal,
    fma,
    less,
    negative,
    not_equal,
    select,
)

LIMIT = 2.0**30
_TWO_OVER_PI = 0.6366197723675814
_HALF_PI = (1.5707963267948966, 6.123233995736766e-17, -1.4973849048591698e-33)
# sin r = r + r^3 S(r^2), cos r = 1 - r^2/2 + r^4 C(r^2)
_SIN = tuple((-1.0) ** k / math.factorial(2 * k + 1) for k in range(1, 10))
_COS = tuple((-1.0) ** k / math.factorial(2 * k) for k in range(2, 11))
# tan r = r + r^3 T(r^2): the best of this degree for float32, by Lawson's weighted least squares
_TAN = (0.333331567, 0.133388036, 0.0534109275, 0.0244314163, 0.00311783901, 0.00938664984)


def _reduced(x: Expression) -> tuple[Expression, Expression, Expression]:
    """The quadrant (an int64), and r as a number and what it lacks."""
    n, whole = whole_part(x * _TWO_OVER_PI)
    first = fma(-n, _HALF_PI[0], x)
    second = n * _HALF_PI[1]
    lost = fma(n, _HALF_PI[1], -second)
    r = first - second
    low = ((first - r) - second) - lost - n * _HALF_PI[2]
    return whole, r, low


def _sine(r: Expression, low: Expression) -> Expression:
    z = r * r
    return r + fma(r * z, horner(z, _SIN), fma(-0.5 * z, low, low))


def _cosine(r: Expression, low: Expression) -> Expression:
    z = r * r
    half = 0.5 * z
    top = 1.0 - half
    rest = ((1.0 - top) - half) + fma(z * z, horner(z, _COS), -r * low)
    return top + rest


def _by_quadrant(x: Expression, turn: int) -> Expression:
    """sin(x + turn pi/2)."""
    quadrant, r, low = _reduced(x)
    quadrant = quadrant + turn
    odd = not_equal(quadrant & 1, 0)
    value = select(odd, _cosine(r, low), _sine(r, low))
    return select(not_equal(quadrant & 2, 0), negative(value), value)


def _reduced_float32(x: Expression) -> tuple[Expression, Expression]:
    """The quadrant (an int32), and r in float64, where the reduction needs no third piece."""
    wide = convert(x, dtypes.float64)
    n, whole = whole_part(wide * _TWO_OVER_PI)
    return convert(whole, dtypes.int32), fma(-n, _HALF_PI[1], fma(-n, _HALF_PI[0], wide))


def _by_quadrant_float32(x: Expression, turn: int) -> Expression:
    """The same in float32."""
    quadrant, wide = _reduced_float32(x)
    quadrant, r = quadrant + turn, convert(wide, dtypes.float32)
    z = r * r
    sine = fma(r * z, horner(z, _SIN[:4]), r)
    cosine = fma(z * z, horner(z, _COS[:4]), fma(z, -0.5, 1.0))
    value = select(not_equal(quadrant & 1, 0), cosine, sine)
    return select(not_equal(quadrant & 2, 0), negative(value), value)


def sin_float32(x: Expression) -> Expression:
    usual = select(equal(x, 0.0), x, _by_quadrant_float32(x, 0))
    return rarely(_huge(x), convert(library("sin", convert(x, dtypes.float64)), x.dtype), usual)


def cos_float32(x: Expression) -> Expression:
    usual = _by_quadrant_float32(x, 1)
    return rarely(_huge(x), convert(library("cos", convert(x, dtypes.float64)), x.dtype), usual)


def sin_of(x: Expression) -> Expression:
    usual = select(equal(x, 0.0), x, _by_quadrant(x, 0))
    return rarely(_huge(x), library("sin", x), usual)


def cos_of(x: Expression) -> Expression:
    return rarely(_huge(x), library("cos", x), _by_quadrant(x, 1))


def tan_of(x: Expression) -> Expression:
    """The quotient of sine and cosine, which change places in odd quadrants."""
    quadrant, r, low = _reduced(x)
    sine, cosine = _sine(r, low), _cosine(r, low)
    odd = not_equal(quadrant & 1, 0)
    ratio = select(odd, negative(cosine), sine) / select(odd, sine, cosine)
    usual = select(equal(x, 0.0), x, ratio)
    return rarely(_huge(x), library("tan", x), usual)


def tan_float32(x: Expression) -> Expression:
    """tan r, or -1 / tan r in odd quadrants; what float32 cuts off r is added at the end."""
    quadrant, wide = _reduced_float32(x)
    r = convert(wide, dtypes.float32)
    low = convert(wide - convert(r, dtypes.float64), dtypes.float32)
    z = r * r
    tangent = r + fma(r * z, horner(z, _TAN), fma(z, low, low))
    odd = not_equal(quadrant & 1, 0)
    usual = select(odd, -1.0, tangent) / select(odd, tangent, 1.0)
    usual = select(equal(x, 0.0), x, usual)
    return rarely(_huge(x), convert(library("tan", convert(x, dtypes.float64)), x.dtype), usual)


def _huge(x: Expression) -> Expression:
    """Beyond what the reduction serves; infinities too, for which the C library gives NaN."""
    return less(LIMIT, absolute(x))


sin: Operator = define(
    "sin", sin_of, np.sin, lambda r, x: (cos(x),), "The sine.", float32=sin_float32
)
cos: Operator = define(
    "cos", cos_of, np.cos, lambda r, x: (-sin(x),), "The cosine.", float32=cos_float32
)
tan: Operator = define(
    "tan", tan_of, np.tan, lambda r, x: (1 + r * r,), "The tangent.", float32=tan_float32
)
