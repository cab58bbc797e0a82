"""log and its kin.

    log x = e ln 2 + log m   with x = 2^e m and m from sqrt(1/2) to sqrt 2

With f = m - 1 and s = f / (2 + f), log m = log((1 + s) / (1 - s)) = 2 (s + s^3/3 + s^5/5 + ...),
where |s| < 0.172. Subtracting f^2/2 by hand keeps the largest terms exact.

Source: Tang (1990), *Table-driven implementation of the logarithm function*; the arrangement of
the sum is that of Ng in fdlibm.
"""

from __future__ import annotations

import numpy as np

from tessella import dtypes
from tessella.scalar.expression import Expression, Operator
from tessella.scalar.mathematics.exponential import exp, exp_of
from tessella.scalar.mathematics.support import INFINITY, NAN, define, first_true, horner
from tessella.scalar.operators import (
    absolute,
    bitcast,
    convert,
    equal,
    fma,
    less,
    maximum,
    minimum,
    select,
)

_SERIES = tuple(2.0 / (2 * k + 1) for k in range(1, 12))  # of s^2, s^4, ...
_SQRT_HALF_BITS = 0x3FE6A09E667F3BCD
# Q of float32: an interpolant of (log(1 + f) - f + f^2/2) / f^3 at Chebyshev's points
_CUBIC_FLOAT32 = (
    0.33333331180030046, -0.24999996957950882, 0.200007157488921, -0.16667802319501254,
    0.1424905764569748, -0.12425687331451106, 0.1168541992348674, -0.11479733846637635,
    0.06971611471451178,
)  # fmt: skip
_SQRT_HALF_BITS_FLOAT32 = 0x3F3504F3
_LN2_HIGH_FLOAT32, _LN2_LOW_FLOAT32 = 0.693359375, -2.1219444005469057e-4
_LN2_HIGH, _LN2_LOW = 0.6931471805598903, 5.497923018708371e-14  # e x high is exact
_LOG10_E = (0.4342944819032518, 1.098319650216765e-17)
_LOG10_2 = (0.301029995663157, 8.241712586023572e-13)
_LOG2_E_FLOAT32 = (1.4426950216293335, 1.9259629911266175e-08)
_LOG2_E = (1.4426950408889634, 2.0355273740931033e-17)


def split(x: Expression) -> tuple[Expression, Expression]:
    """e and f = m - 1 of x = 2^e m, for positive finite x, subnormal ones too."""
    tiny = less(x, 2.2250738585072014e-308)
    bits = bitcast(select(tiny, x * 2.0**54, x), dtypes.int64)
    exponent = (bits - _SQRT_HALF_BITS) >> 52
    m = bitcast(bits - (exponent << 52), dtypes.float64)
    e = convert(exponent, dtypes.float64) - select(tiny, 54.0, 0.0)
    return e, m - 1.0


def log_parts(f: Expression) -> tuple[Expression, Expression]:
    """log(1 + f) as f minus a correction, for f from -0.3 to 0.42: (f, correction)."""
    s = f / (2.0 + f)
    z = s * s
    tail = z * horner(z, _SERIES)
    half = 0.5 * f * f
    return f, half - s * (half + tail)


def split_float32(x: Expression) -> tuple[Expression, Expression]:
    """e and f = m - 1 of x = 2^e m, in float32."""
    tiny = less(x, 1.1754943508222875e-38)
    bits = bitcast(select(tiny, x * 2.0**25, x), dtypes.int32)
    exponent = (bits - _SQRT_HALF_BITS_FLOAT32) >> 23
    f = bitcast(bits - (exponent << 23), dtypes.float32) - 1.0
    return convert(exponent, dtypes.float32) - select(tiny, 25.0, 0.0), f


def finite_log_float32(x: Expression) -> Expression:
    """log x for positive finite x: log(1 + f) = f - f^2/2 + f^3 Q(f)."""
    e, f = split_float32(x)
    square = f * f
    tail = fma(f * square, horner(f, _CUBIC_FLOAT32), e * _LN2_LOW_FLOAT32)
    small = fma(square, -0.5, tail)
    result = fma(e, _LN2_HIGH_FLOAT32, f + small)
    return select(equal(x, x), result, x)


def log_float32(x: Expression) -> Expression:
    return special(x, finite_log_float32(x))


def log2_float32(x: Expression) -> Expression:
    """log2 x: the product with log2(e) is carried in two numbers."""
    e, f = split_float32(x)
    square = f * f
    small = fma(square, -0.5, f * square * horner(f, _CUBIC_FLOAT32))
    m = f + small
    m_low = (f - m) + small
    product = m * _LOG2_E_FLOAT32[0]
    low = fma(m, _LOG2_E_FLOAT32[0], -product) + fma(m, _LOG2_E_FLOAT32[1], m_low * _LOG2_E[0])
    return special(x, select(equal(x, x), e + (product + low), x))


def log1p_float32(x: Expression) -> Expression:
    u = 1.0 + x
    lost = (x - (u - 1.0)) / u
    return first_true(
        finite_log_float32(u) + lost,
        (less(absolute(x), 1e-8), x),
        (equal(x, -1.0), -INFINITY),
        (less(x, -1.0), NAN),
        (equal(x, INFINITY), x),
    )


def special(x: Expression, result: Expression) -> Expression:
    """What a logarithm is where it is no ordinary number."""
    return first_true(
        result, (equal(x, 0.0), -INFINITY), (less(x, 0.0), NAN), (equal(x, INFINITY), x)
    )


def finite_log(x: Expression) -> Expression:
    """log x for positive finite x (NaN for NaN)."""
    e, f = split(x)
    s = f / (2.0 + f)
    z = s * s
    tail = z * horner(z, _SERIES)
    half = 0.5 * f * f
    result = e * _LN2_HIGH - ((half - fma(s, half + tail, e * _LN2_LOW)) - f)
    return select(equal(x, x), result, x)


def log_of(x: Expression) -> Expression:
    return special(x, finite_log(x))


def log1p_of(x: Expression) -> Expression:
    """log(1 + x), with what 1 + x lost put back."""
    u = 1.0 + x
    lost = (x - (u - 1.0)) / u
    result = finite_log(u) + lost
    return first_true(
        result,
        (less(absolute(x), 1e-17), x),
        (equal(x, -1.0), -INFINITY),
        (less(x, -1.0), NAN),
        (equal(x, INFINITY), x),
    )


def log2_of(x: Expression) -> Expression:
    e, f = split(x)
    high, correction = log_parts(f)
    m = high - correction
    m_low = (high - m) - correction
    product = m * _LOG2_E[0]
    low = fma(m, _LOG2_E[0], -product) + m * _LOG2_E[1] + m_low * _LOG2_E[0]
    return special(x, select(equal(x, x), e + (product + low), x))


def log10_of(x: Expression) -> Expression:
    e, f = split(x)
    high, correction = log_parts(f)
    m = high - correction
    m_low = (high - m) - correction
    product = m * _LOG10_E[0]
    low = fma(m, _LOG10_E[0], -product) + m * _LOG10_E[1] + m_low * _LOG10_E[0]
    whole = e * _LOG10_2[0]
    total = whole + product
    lost = (whole - total) + product
    result = total + (lost + fma(e, _LOG10_2[1], low))
    return special(x, select(equal(x, x), result, x))


def softplus_of(x: Expression) -> Expression:
    """log(1 + e^x) = max(x, 0) + log(1 + e^-|x|)."""
    return maximum(x, 0.0) + log1p_of(exp_of(-absolute(x)))


def logaddexp_of(x: Expression, y: Expression) -> Expression:
    """log(e^x + e^y), by the larger of the two."""
    top = maximum(x, y)
    apart = minimum(x, y) - top
    apart = select(equal(x, y), 0.0, apart)  # equal infinities too
    return top + log1p_of(exp_of(apart))


log: Operator = define(
    "log", log_of, np.log, lambda r, x: (1 / x,), "The natural logarithm.", float32=log_float32
)
log1p: Operator = define(
    "log1p", log1p_of, np.log1p, lambda r, x: (1 / (1 + x),), "log(1 + x), exact near 0 too.",
    float32=log1p_float32,
)  # fmt: skip
log2: Operator = define(
    "log2", log2_of, np.log2, lambda r, x: (_LOG2_E[0] / x,), "The logarithm to base 2.",
    float32=log2_float32,
)  # fmt: skip
log10: Operator = define(
    "log10", log10_of, np.log10, lambda r, x: (_LOG10_E[0] / x,), "The logarithm to base 10."
)
softplus: Operator = define(
    "softplus", softplus_of, lambda x: np.maximum(x, 0.0) + np.log1p(np.exp(-np.abs(x))),
    lambda r, x: (_sigmoid(x),), "log(1 + e^x).",
)  # fmt: skip
log_sigmoid: Operator = define(
    "log_sigmoid", lambda x: -softplus_of(-x),
    lambda x: -(np.maximum(-x, 0.0) + np.log1p(np.exp(-np.abs(x)))), lambda r, x: (_sigmoid(-x),),
    "log(1 / (1 + e^-x)).",
)  # fmt: skip
logaddexp: Operator = define(
    "logaddexp", logaddexp_of, np.logaddexp, lambda r, x, y: (exp(x - r), exp(y - r)),
    "log(e^x + e^y), without overflow.", arity=2,
)  # fmt: skip


def _sigmoid(x: Expression) -> Expression:
    from tessella.scalar.mathematics.exponential import sigmoid

    return sigmoid(x)
