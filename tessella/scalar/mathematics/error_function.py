"""erf and erfc.

Below 1, erf x = x + x P(x^2). Above, erfc x = e^(-x^2) g(t) / (1 + 2x), where g varies so little
with t = (x - 3.75) / (x + 3.75) that one polynomial serves up to x = 28, where erfc underflows.
x^2 is carried in two numbers, because the exponential would magnify what one loses.

Source: Shepherd & Laframboise (1981), *Chebyshev approximation of (1 + 2x) exp(x^2) erfc x*.
"""

from __future__ import annotations

import math

import numpy as np

from tessella.scalar.expression import Expression, Operator
from tessella.scalar.mathematics.exponential import exp, exp_between_float32, exp_float32, exp_of
from tessella.scalar.mathematics.support import clamp, define, horner
from tessella.scalar.operators import absolute, copysign, equal, fma, less, minimum, select

_SMALL = (
    0.1283791670955126, -0.3761263890318375, 0.11283791670954879, -0.026866170645076792,
    0.0052239776248180145, -0.000854832698083379, 0.0001205533111164271, -1.4925595266831182e-05,
    1.6461000484121361e-06, -1.6350312701054618e-07, 1.4659775274046955e-08,
    -1.1372848856789924e-09, 5.957176147746114e-11,
)  # fmt: skip
_LARGE = (
    1.2375126308378275, -0.14024059858554702, 0.0035854154854636604, 0.08227673849015152,
    -0.10880393014170585, 0.09230432116017202, -0.05869339859057329, 0.02836227742216745,
    -0.009746579547648243, 0.0017556258234175924, 0.0002937136001617597, -0.00029015390384811774,
    5.164933685372269e-05, 2.238351433213366e-05, -1.1444573511998486e-05, -9.715299425448412e-07,
    1.7515555674556927e-06, -6.090143087855231e-08, -2.5661585281385765e-07,
    2.7064716235501073e-08, 3.471545517364493e-08, -5.235937064681439e-09, -2.288226763997326e-09,
)  # fmt: skip
# in float32: erf x = x + x P(x^2) below 1, and 1 - e^Q(x) with Q near log(erfc x) from 0.9 to 4
_SMALL_FLOAT32 = (
    0.12837916584835093, -0.37612626666720334, 0.11283594715160218, -0.026854212010626412,
    0.005189087423433974, -0.000801686428716587, 7.875875062685488e-05,
)  # fmt: skip
_LOG_ERFC_FLOAT32 = (
    -0.0007658977796976417, -1.1258936524091032, -0.6391412576467043, -0.10328111759830176,
    0.022604772238048635, -0.0034323513807002423, 0.00031693702249140847, -1.3272361811238555e-05,
)  # fmt: skip
_LARGE_FLOAT32 = (
    1.2375126314868288, -0.14024063991072364, 0.003585321982705996, 0.08227910224246304,
    -0.10880133339740965, 0.09226749139374758, -0.05872359699464777, 0.0285837888355989,
    -0.009587804393537413, 0.0012429118323695556,
)  # fmt: skip
_TWO_OVER_SQRT_PI = 1.1283791670955126


def _erf_small(x: Expression) -> Expression:
    square = minimum(x * x, 1.0)
    return fma(x, horner(square, _SMALL), x)


def _erfc_large(size: Expression) -> Expression:
    """erfc for |x| >= 0.9375, from |x|."""
    x = minimum(size, 28.0)
    t = (x - 3.75) / (x + 3.75)
    square = x * x
    lost = fma(x, x, -square)
    return exp_of(-square, -lost) * horner(t, _LARGE) / (1.0 + 2.0 * x)


def _erfc_large_float32(size: Expression) -> Expression:
    x = clamp(size, 0.0, 10.5)
    t = (x - 3.75) / (x + 3.75)
    square = x * x
    lost = fma(x, x, -square)
    e = exp_float32(-square)
    return fma(e, -lost, e) * horner(t, _LARGE_FLOAT32) / fma(x, 2.0, 1.0)


def erf_of(x: Expression) -> Expression:
    size = absolute(x)
    large = copysign(1.0 - _erfc_large(size), x)
    result = select(less(size, 1.0), _erf_small(x), large)
    return select(equal(x, x), result, x)


def erf_float32(x: Expression) -> Expression:
    size = absolute(x)
    size = select(less(4.0, size), 4.0, size)
    small = fma(size, horner(size * size, _SMALL_FLOAT32), size)
    large = 1.0 - exp_between_float32(horner(size, _LOG_ERFC_FLOAT32))
    return copysign(select(less(size, 1.0), small, large), x)


def erfc_of(x: Expression) -> Expression:
    size = absolute(x)
    tail = _erfc_large(size)
    large = select(less(x, 0.0), 2.0 - tail, tail)
    result = select(less(size, 0.9375), 1.0 - _erf_small(x), large)
    return select(equal(x, x), result, x)


def erfc_float32(x: Expression) -> Expression:
    size = absolute(x)
    tail = _erfc_large_float32(size)
    large = select(less(x, 0.0), 2.0 - tail, tail)
    square = clamp(x * x, 0.0, 1.0)
    small = 1.0 - fma(x, horner(square, _SMALL_FLOAT32), x)
    result = select(less(size, 0.9375), small, large)
    return select(equal(x, x), result, x)


erf: Operator = define(
    "erf", erf_of, np.vectorize(math.erf, otypes=[np.float64]),
    lambda r, x: (_TWO_OVER_SQRT_PI * exp(-x * x),),
    "The error function: 2/sqrt(pi) times the integral of e^(-t^2) from 0 to x.",
    float32=erf_float32,
)  # fmt: skip
erfc: Operator = define(
    "erfc", erfc_of, np.vectorize(math.erfc, otypes=[np.float64]),
    lambda r, x: (-_TWO_OVER_SQRT_PI * exp(-x * x),), "1 - erf x, exact where it is small.",
    float32=erfc_float32,
)  # fmt: skip
