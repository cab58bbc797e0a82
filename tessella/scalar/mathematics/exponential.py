"""exp and its kin.

    e^x = 2^n e^r   with n = round(x / ln 2) and |r| <= ln 2 / 2

r is found with ln 2 in two pieces (Cody & Waite), so that it keeps its last bits; e^r is a short
Taylor series, and 2^n is written into the exponent bits.

Source: Muller, *Elementary Functions* (2016), chapters 3 and 11.
"""

from __future__ import annotations

import math

import numpy as np

from tessella import dtypes
from tessella.scalar.expression import Expression, Operator, constant
from tessella.scalar.mathematics.support import (
    clamp,
    define,
    first_true,
    horner,
    over_sum,
    scale,
    whole_part,
)
from tessella.scalar.operators import absolute, bitcast, equal, fma, less, select

LOG2_E = 1.4426950408889634
LN2_HIGH, LN2_LOW = 0.6931471805599453, 2.3190468138462996e-17
# e^r = 1 + r + r^2 (1/2! + r/3! + ...): 13 terms leave 4e-18 at |r| = 0.35
TAIL = tuple(1.0 / math.factorial(k) for k in range(2, 14))
# the interpolant of the same at Chebyshev's points of |r| < 0.347: within 0.1 ulp of e^r
TAIL_FLOAT32 = (
    0.5,
    0.16666576305560638,
    0.041666553762567638,
    0.0083632927530306023,
    0.0013926325618133462,
)


def reduce(x: Expression) -> tuple[Expression, Expression]:
    """n (an int64) and r of x = n ln 2 + r."""
    n, whole = whole_part(x * LOG2_E)
    r = fma(-n, LN2_HIGH, x)
    return whole, fma(-n, LN2_LOW, r)


def exp_of(
    x: Expression, low: Expression | float = 0.0, tail: tuple[float, ...] = TAIL
) -> Expression:
    """e^(x + low) in float64, where `low` is what x alone cannot hold."""
    x = clamp(x, -750.0, 710.0)  # beyond, the result is 0 or infinite anyway
    n, r = reduce(x)
    r = r + low
    series = r + r * r * horner(r, tail)
    return scale(1.0 + series, n)


def _reduce_float32(x: Expression) -> tuple[Expression, Expression]:
    """n (an int32), and e^r - 1 for x = n ln 2 + r."""
    n, whole = whole_part(x, LOG2_E)
    r = fma(-n, 0.693145751953125, x)  # 15 bits of ln 2: n times it is exact
    r = fma(-n, 1.428606765330187e-06, r)
    return whole, fma(r * r, horner(r, TAIL_FLOAT32), r)


def scale_float32(x: Expression, n: Expression) -> Expression:
    """x 2^n in two steps, which keep all of the range (and NaN, whatever n is then)."""
    half = n >> 1
    return x * power_of_two_float32(half) * power_of_two_float32(n - half)


def power_of_two_float32(n: Expression) -> Expression:
    """2^n from its bits; n is an int32 from -126 to 127."""
    return bitcast((n + 127) << 23, dtypes.float32)


def exp_between_float32(x: Expression) -> Expression:
    """e^x for x from -87 to 88, where 2^n is an ordinary number."""
    n, series = _reduce_float32(x)
    return (1.0 + series) * power_of_two_float32(n)


def exp_up_to_0_float32(x: Expression) -> Expression:
    """e^x for x <= 0: 2^(n + 64) e^r is an ordinary number for every n, and is rounded once by 2^-64."""
    n, series = _reduce_float32(select(less(x, -104.0), -104.0, x))
    return (1.0 + series) * power_of_two_float32(n + 64) * 2.0**-64


def expm1_up_to_0_float32(x: Expression) -> Expression:
    """e^x - 1 for x <= 0."""
    n, series = _reduce_float32(select(less(x, -40.0), -40.0, x))
    near = power_of_two_float32(n)
    return fma(near, series, near - 1.0)


def exp_float32(x: Expression) -> Expression:
    n, series = _reduce_float32(clamp(x, -104.0, 89.0))
    return scale_float32(1.0 + series, n)


def expm1_float32(x: Expression) -> Expression:
    n, series = _reduce_float32(clamp(x, -20.0, 89.0))
    near = scale_float32(constant(1.0, dtypes.float32), n - 1)  # 2^n might be infinite
    small = 2.0 * fma(near, series, near - 0.5)
    return select(equal(x, 0.0), x, small)


def exp2_float32(x: Expression) -> Expression:
    x = clamp(x, -151.0, 129.0)
    n, whole = whole_part(x)
    r = (x - n) * LN2_HIGH
    return scale_float32(1.0 + fma(r * r, horner(r, TAIL_FLOAT32), r), whole)


def expm1_of(x: Expression) -> Expression:
    """e^x - 1 = 2^n (e^r - 1) + (2^n - 1), which loses nothing near 0."""
    clamped = clamp(x, -40.0, 710.0)
    n, r = reduce(clamped)
    series = fma(r * r, horner(r, TAIL), r)
    near = scale(constant(1.0, dtypes.float64), n)
    small = fma(near, series, near - 1.0)
    return first_true(small, (equal(x, 0.0), x), (less(50.0, x), exp_of(x)))


def exp2_of(x: Expression) -> Expression:
    """2^x: the whole part goes to the exponent, the rest to the series."""
    x = clamp(x, -1080.0, 1025.0)
    n, whole = whole_part(x)
    fraction = x - n
    r = fraction * LN2_HIGH
    low = fma(fraction, LN2_HIGH, -r) + fraction * LN2_LOW
    series = fma(r * r, horner(r, TAIL), r) + low
    return scale(1.0 + series, whole)


def sigmoid_of(x: Expression) -> Expression:
    """1 / (1 + e^-x), by e^-|x| on both sides so that nothing overflows."""
    e = exp_of(-absolute(x))
    return select(less(x, 0.0), e, 1.0) / (1.0 + e)


def sigmoid_float32(x: Expression) -> Expression:
    e = exp_up_to_0_float32(-absolute(x))
    return over_sum(select(less(x, 0.0), e, 1.0), 1.0, e)


exp: Operator = define(
    "exp", exp_of, np.exp, lambda r, x: (r,), "e to the power of x.", float32=exp_float32
)
exp_up_to_0: Operator = define(
    "exp_up_to_0", exp_of, np.exp, lambda r, x: (r,),
    "e^x of an x that is known not to be above 0 (it may be NaN): a softmax's. A fifth less to do.",
    float32=exp_up_to_0_float32,
)  # fmt: skip
exp2: Operator = define(
    "exp2", exp2_of, np.exp2, lambda r, x: (r * LN2_HIGH,), "2 to the power of x.",
    float32=exp2_float32,
)  # fmt: skip
expm1: Operator = define(
    "expm1", expm1_of, np.expm1, lambda r, x: (r + 1,), "e^x - 1, exact near 0 too.",
    float32=expm1_float32,
)  # fmt: skip


def _np_sigmoid(x: np.ndarray) -> np.ndarray:
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, 1.0) / (1.0 + e)


sigmoid: Operator = define(
    "sigmoid", sigmoid_of, _np_sigmoid, lambda r, x: (r * (1 - r),),
    "The logistic function 1 / (1 + e^-x).", float32=sigmoid_float32,
)  # fmt: skip
