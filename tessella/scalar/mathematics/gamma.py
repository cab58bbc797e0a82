"""lgamma, and its derivatives digamma and trigamma.

From 8 on, Stirling's series. Below, the recurrence lgamma(x) = lgamma(x + 1) - log x brings the
argument near 2, where lgamma x = (x - 1)(x - 2) ... is written around its zeros so that they stay
zeros. Negative arguments are reflected: lgamma x = log(pi / |x sin(pi x)|) - lgamma(-x).

Source: Abramowitz & Stegun (1964), 6.1.17, 6.1.40, 6.3.5, 6.3.18, 6.4.6, 6.4.7, 6.4.12.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tessella import dtypes
from tessella.scalar.derivative import derivative
from tessella.scalar.expression import Expression, Operator, constant, variable
from tessella.scalar.mathematics.logarithm import finite_log, finite_log_float32
from tessella.scalar.mathematics.support import INFINITY, NAN, define, first_true, horner, rarely
from tessella.scalar.mathematics.trigonometric import cos_of, sin, sin_of
from tessella.scalar.operators import absolute, convert, equal, floor, less, maximum, select
from tessella.scalar.operators import round as nearest
from tessella.scalar.rewriting import substitute

_NEAR_1 = (
    -0.577215664901533, 0.8224670334241133, -0.40068563438641297, 0.27058080842766985,
    -0.20738555105511874, 0.16955717702301196, -0.14404989445673963, 0.12550966728619478,
    -0.1113343705307012, 0.10009955884220252, -0.09095120955569909, 0.083351122405785,
    -0.0769806014859367, 0.07147949763866082, -0.0661207930000262, 0.0619705453805316,
    -0.06305418850791684, 0.05965056083204593, -0.030552885081952974, 0.02863010683126879,
    -0.12342319639170146, 0.11881437465322976, 0.11607286096230729, -0.1127030830745222,
    -0.21134667460212017, 0.20416227090942643,
)  # fmt: skip
_NEAR_2 = (
    0.42278433509846713, 0.3224670334241132, -0.06735230105319809, 0.020580808427784546,
    -0.0073855510286741114, 0.0028905103307415836, -0.0011927539116954181, 0.0005096695247392805,
    -0.00022315475870367355, 9.945751290176889e-05, -4.492623209360517e-05, 2.05072105479096e-05,
    -9.439541921024715e-06, 4.374892520636031e-06, -2.0388192484564222e-06, 9.549510392959532e-07,
    -4.511181191016309e-07, 2.129692727315228e-07, -9.501416425423385e-08, 4.509983567521808e-08,
    -3.1314285360886705e-08, 1.4963573191192003e-08,
)  # fmt: skip
_NEAR_1_FLOAT32 = (
    -0.5772156660660149, 0.8224670345226528, -0.4006851789493021, 0.270580378787237,
    -0.20741435891538418, 0.16958435116024717, -0.14337446581434476, 0.1248726364485153,
    -0.11874458344532031, 0.10708670724892291, -0.05055401639838745, 0.045277978095051095,
    -0.17768288175299005, 0.16629278220160754,
)  # fmt: skip
_NEAR_2_FLOAT32 = (
    0.42278433509846713, 0.3224670180454995, -0.06735229409087408, 0.0205816254365885,
    -0.007385920884783578, 0.00287886868374075, -0.0011874848136699278, 0.0005702512502829781,
    -0.00025056202146086636,
)  # fmt: skip
# B(2k) / (2k (2k - 1)), and B(2k) / 2k
_STIRLING = (
    1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156, -3617 / 122400,
)  # fmt: skip
_DIGAMMA = (1 / 12, -1 / 120, 1 / 252, -1 / 240, 1 / 132, -691 / 32760, 1 / 12, -3617 / 8160)
_TRIGAMMA = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510)  # B(2k)
_HALF_LOG_2PI, _LOG_PI = 0.9189385332046728, 1.1447298858494002
_STEPS = 8


class _Precision(NamedTuple):
    """What differs between the two precisions."""

    log: Callable[[Expression], Expression]
    near_1: tuple[float, ...]
    near_2: tuple[float, ...]
    stirling: tuple[float, ...]
    huge: float  # from here on, all but the first term is lost


_DOUBLE = _Precision(finite_log, _NEAR_1, _NEAR_2, _STIRLING, 1e300)
_SINGLE = _Precision(finite_log_float32, _NEAR_1_FLOAT32, _NEAR_2_FLOAT32, _STIRLING[:3], 1e30)


def _positive(x: Expression, kind: _Precision = _DOUBLE) -> Expression:
    """lgamma of x > 0."""
    low = _by_recurrence(x, kind)
    big = maximum(x, 8.0)
    inverse = 1.0 / big
    series = inverse * horner(inverse * inverse, kind.stirling)
    log_big = kind.log(big)
    high = big * (log_big - 1.0) + (_HALF_LOG_2PI - 0.5 * log_big + series)
    result = select(less(x, 8.0), low, high)
    return select(less(kind.huge, x), big * (log_big - 1.0), result)


def _by_recurrence(x: Expression, kind: _Precision) -> Expression:
    """lgamma for 0 < x < 8: step down to 1.5 .. 2.5, or look around 1 and at 0."""
    product = constant(1.0, x.dtype)
    y = x
    for _ in range(_STEPS - 2):
        above = less(2.5, y)
        following = y - 1.0
        product = select(above, product * following, product)
        y = select(above, following, y)
    near_0 = less(x, 0.5)
    t = select(near_0, x, x - 1.0)
    # above 1.5, log product is added; below 0.5, lgamma(1 + x) - log x
    log = kind.log(select(near_0, x, product))
    around_2 = (y - 2.0) * horner(y - 2.0, kind.near_2) + log
    around_1 = t * horner(t, kind.near_1)
    around_0 = around_1 - log
    return first_true(around_2, (near_0, around_0), (less(x, 1.5), around_1))


def _sin_pi(x: Expression) -> Expression:
    """sin(pi x), exact at whole numbers."""
    fraction = x - 2.0 * nearest(0.5 * x)
    return sin_of(fraction * math.pi)


def lgamma_of(x: Expression) -> Expression:
    size = absolute(x)
    reflected = _LOG_PI - finite_log(absolute(size * _sin_pi(size))) - _positive(size)
    result = select(less(x, 0.0), reflected, _positive(size))
    return _with_poles(x, first_true(result, (less(size, 1e-20), -finite_log(size))))


def _with_poles(x: Expression, result: Expression) -> Expression:
    size = absolute(x)
    pole = (less(x, 0.0) & equal(x, floor(x))) | equal(x, 0.0) | equal(size, INFINITY)
    return first_true(result, (pole, INFINITY), (equal(x, 1.0), 0.0))


def _lgamma_float32(x: Expression) -> Expression:
    """Negative numbers go by float64: there, nearly equal numbers are subtracted."""
    wide = convert(lgamma_of(convert(x, dtypes.float64)), dtypes.float32)
    positive = _with_poles(x, _positive(absolute(x), _SINGLE))
    return rarely(less(x, 0.0), wide, positive)


def digamma_of(x: Expression) -> Expression:
    """Step up to 8 and sum the asymptotic series; reflect negative arguments."""
    negative = less(x, 0.0)
    start = select(negative, 1.0 - x, x)
    y, total = start, constant(0.0, x.dtype)
    for _ in range(_STEPS):
        below = less(y, 8.0)
        total = select(below, total - 1.0 / y, total)
        y = select(below, y + 1.0, y)
    inverse = 1.0 / y
    square = inverse * inverse
    value = total + (finite_log(y) - 0.5 * inverse - square * horner(square, _DIGAMMA))
    fraction = x - nearest(x)
    cotangent = cos_of(math.pi * fraction) / sin_of(math.pi * fraction)
    reflected = value - math.pi * cotangent
    result = select(negative, reflected, value)
    pole = negative & equal(x, floor(x))
    return first_true(result, (pole, NAN), (equal(x, 0.0), -1.0 / x), (equal(x, INFINITY), x))


def trigamma_of(x: Expression, sine_of: Callable[..., Expression] = sin_of) -> Expression:
    """As digamma: step up to 8, sum the asymptotic series, reflect negative arguments."""
    negative = less(x, 0.0)
    y, total = select(negative, 1.0 - x, x), constant(0.0, x.dtype)
    for _ in range(_STEPS):
        below = less(y, 8.0)
        total = select(below, total + 1.0 / (y * y), total)
        y = select(below, y + 1.0, y)
    inverse = 1.0 / y
    square = inverse * inverse
    value = total + (inverse + 0.5 * square + inverse * square * horner(square, _TRIGAMMA))
    sine = sine_of(math.pi * (x - nearest(x)))
    result = select(negative, math.pi * math.pi / (sine * sine) - value, value)
    return first_true(result, (equal(x, INFINITY), 0.0))


def _trigamma_slope(x: Expression) -> Expression:
    """Its derivative: that of the formulas, in float64."""
    v = variable("x", dtypes.float64)
    slope = derivative(trigamma_of(v, sin), v)
    return convert(substitute(slope, {v: convert(x, dtypes.float64)}), x.dtype)


def _lgamma(x: float) -> float:
    if x == math.inf or x == -math.inf or (x <= 0 and x == math.floor(x)):
        return math.inf
    return math.lgamma(x)


def _digamma(x: float) -> float:
    """By the same recurrence and series, in plain Python."""
    if x != x or x == -math.inf or (x < 0 and x == math.floor(x)):
        return math.nan
    if x == 0 or x == math.inf:
        return math.copysign(math.inf, -x) if x == 0 else x
    if x < 0:
        return _digamma(1 - x) - math.pi / math.tan(math.pi * x)
    total = 0.0
    while x < 12:
        total, x = total - 1 / x, x + 1
    inverse = 1 / (x * x)
    series = sum(c * inverse ** (k + 1) for k, c in enumerate(_DIGAMMA))
    return total + math.log(x) - 0.5 / x - series


def _trigamma(x: float) -> float:
    """By the same recurrence and series, in plain Python."""
    if x != x or x == -math.inf:
        return math.nan
    if x <= 0 and x == math.floor(x):
        return math.inf
    if x < 0:
        return (math.pi / math.sin(math.pi * (x - round(x)))) ** 2 - _trigamma(1 - x)
    total = 0.0
    while x < 12:
        total, x = total + 1 / (x * x), x + 1
    inverse = 1 / (x * x)
    series = sum(c * inverse ** (k + 1) for k, c in enumerate(_TRIGAMMA))
    return total + 1 / x + 0.5 * inverse + series / x


lgamma: Operator = define(
    "lgamma", lgamma_of, np.vectorize(_lgamma, otypes=[np.float64]), lambda r, x: (digamma(x),),
    "The logarithm of the absolute value of the gamma function.", float32=_lgamma_float32,
)  # fmt: skip
trigamma: Operator = define(
    "trigamma", trigamma_of, np.vectorize(_trigamma, otypes=[np.float64]),
    lambda r, x: (_trigamma_slope(x),), "The derivative of digamma.",
)  # fmt: skip
digamma: Operator = define(
    "digamma", digamma_of, np.vectorize(_digamma, otypes=[np.float64]), lambda r, x: (trigamma(x),),
    "The derivative of lgamma.",
)  # fmt: skip
