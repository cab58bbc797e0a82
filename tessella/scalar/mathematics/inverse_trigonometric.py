"""asin, acos, atan, atan2.

atan brings its argument to |z| <= tan(pi/8) by atan t = pi/4 + atan((t - 1) / (t + 1)) and
atan t = pi/2 - atan(1 / t); asin and acos halve the angle where |x| > 1/2:
acos x = 2 asin(sqrt((1 - x) / 2)). What is left is z + z^3 P(z^2). The polynomials are Chebyshev
interpolants (maximal relative errors below 1e-16; for float32, below 5e-9).

Source: Muller, *Elementary Functions* (2016), chapters 3 and 11; Moshier, *Methods and Programs for
Mathematical Functions* (1989).
"""

from __future__ import annotations

import numpy as np

from tessella.dtypes import float32
from tessella.scalar.expression import Expression, Operator, constant
from tessella.scalar.mathematics.support import INFINITY, NAN, define, first_true, horner
from tessella.scalar.operators import (
    absolute,
    copysign,
    equal,
    fma,
    less,
    maximum,
    minimum,
    negative,
    not_equal,
    select,
    signbit,
    sqrt,
)

_ATAN = (
    -0.3333333333333333, 0.19999999999999998, -0.14285714285714146, 0.11111111111090245,
    -0.09090909089276902, 0.07692307615661163, -0.06666664328470077, 0.058823043468171764,
    -0.05262450413947693, 0.047545915549290656, -0.042941011752793926, 0.03722825867736048,
    -0.027261979750733946, 0.011947618507238722,
)  # fmt: skip
_ASIN = (
    0.16666666666666666, 0.07500000000000119, 0.04464285714255019, 0.030381944475693704,
    0.022372157435623815, 0.017352816768546477, 0.013963775787848059, 0.01156651182189177,
    0.00962140274733868, 0.00932210150111452, 0.003035007172615201, 0.019579201619999292,
    -0.019277545928924788, 0.029635026263750575,
)  # fmt: skip
_ASIN_FLOAT32 = (
    0.16666666337430908, 0.07500094543497424, 0.04459940152851218, 0.03110066273549457,
    0.017149238357677253, 0.03369084720283012,
)  # fmt: skip
_PI_FLOAT32 = (3.1415927410125732, -8.742277657347586e-08)
_PI = (3.141592653589793, 1.2246467991473532e-16)
_TAN_PI_8, _TAN_3PI_8 = 0.41421356237309503, 2.414213562373095


def _atan_positive(t: Expression) -> Expression:
    """atan t for t >= 0."""
    large, middle = less(_TAN_3PI_8, t), less(_TAN_PI_8, t)
    numerator = first_true(t, (large, -1.0), (middle, t - 1.0))
    denominator = first_true(1.0, (large, t), (middle, t + 1.0))
    z = numerator / denominator
    # what the division lost
    lost = fma(-z, denominator, numerator) / denominator
    lost = select(equal(lost, lost), lost, 0.0)  # infinite t
    square = z * z
    tail = fma(z * square, horner(square, _ATAN), lost)
    quarters = first_true(constant(0.0, t.dtype), (large, 2.0), (middle, 1.0))
    base, base_low = quarters * (0.25 * _PI[0]), quarters * (0.25 * _PI[1])
    return base + (z + (tail + base_low))


def atan_of(x: Expression) -> Expression:
    return copysign(_atan_positive(absolute(x)), x)


def atan2_of(y: Expression, x: Expression) -> Expression:
    """The angle of the point (x, y), by C99's table of signs and infinities."""
    rise, run = absolute(y), absolute(x)
    both_infinite = equal(rise, INFINITY) & equal(run, INFINITY)
    both_zero = equal(rise, 0.0) & equal(run, 0.0)
    ratio = first_true(rise / run, (both_infinite, 1.0), (both_zero, 0.0))
    angle = _atan_positive(ratio)
    behind = signbit(x)
    angle = select(behind, _PI[0] - (angle - _PI[1]), angle)
    angle = select(equal(x, x) & equal(y, y), copysign(angle, y), NAN)
    return angle


def _asin_tail(z: Expression) -> Expression:
    """(asin s - s) / s for z = s^2 <= 1/4."""
    return z * horner(z, _ASIN_FLOAT32 if z.dtype is float32 else _ASIN)


def _pi(x: Expression) -> tuple[float, float]:
    """Pi in two numbers of x's precision."""
    return _PI_FLOAT32 if x.dtype is float32 else _PI


def _halved(x: Expression) -> tuple[Expression, Expression]:
    """asin(sqrt((1 - |x|) / 2)) as a number and what it lacks."""
    z = 0.5 * (1.0 - absolute(x))
    root = sqrt(maximum(z, 0.0))
    lost = select(equal(root, 0.0), 0.0, fma(-root, root, z) / (2.0 * root))
    return root, fma(root, _asin_tail(z), lost)


def _inside(x: Expression, result: Expression) -> Expression:
    return select(less(1.0, absolute(x)) | not_equal(x, x), NAN, result)


def asin_of(x: Expression) -> Expression:
    size = absolute(x)
    small = fma(size, _asin_tail(size * size), size)
    root, tail = _halved(x)
    pi, rest = _pi(x)
    large = 0.5 * pi - (2.0 * root - (0.5 * rest - 2.0 * tail))
    return _inside(x, copysign(select(less(size, 0.5), small, large), x))


def acos_of(x: Expression) -> Expression:
    square = minimum(x * x, 0.25)
    pi, rest = _pi(x)
    small = 0.5 * pi - (x - (0.5 * rest - x * _asin_tail(square)))
    root, tail = _halved(x)
    near_one = 2.0 * (root + tail)
    near_minus_one = pi - (2.0 * root - (rest - 2.0 * tail))
    result = first_true(small, (less(0.5, x), near_one), (less(x, -0.5), near_minus_one))
    return _inside(x, result)


asin: Operator = define(
    "asin", asin_of, np.arcsin, lambda r, x: (1 / sqrt((1 - x) * (1 + x)),), "The inverse sine.",
    float32=asin_of,
)  # fmt: skip
acos: Operator = define(
    "acos", acos_of, np.arccos, lambda r, x: (-1 / sqrt((1 - x) * (1 + x)),), "The inverse cosine.",
    float32=acos_of,
)  # fmt: skip
atan: Operator = define(
    "atan", atan_of, np.arctan, lambda r, x: (1 / (1 + x * x),), "The inverse tangent."
)
atan2: Operator = define(
    "atan2", atan2_of, np.arctan2,
    lambda r, y, x: (x / (x * x + y * y), negative(y) / (x * x + y * y)),
    "The angle of the point (x, y), from -pi to pi.", arity=2,
)  # fmt: skip
