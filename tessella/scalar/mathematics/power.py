"""pow, rsqrt, hypot.

x^y = e^(y log x). The exponential turns an absolute error of y log x into a relative one of the
result, so log x is carried in two numbers to some 70 bits.

Source: Muller, *Elementary Functions* (2016), section 11.4; special cases: C99, Annex F.9.4.4.
"""

from __future__ import annotations

import numpy as np

from tessella import dtypes
from tessella.scalar.expression import Expression, Operator
from tessella.scalar.mathematics import exponential
from tessella.scalar.mathematics.logarithm import log, split, split_float32
from tessella.scalar.mathematics.support import (
    INFINITY,
    NAN,
    clamp,
    define,
    first_true,
    floating,
    horner,
    in_float64,
    whole_part,
)
from tessella.scalar.operators import (
    absolute,
    convert,
    equal,
    floor,
    fma,
    less,
    less_equal,
    maximum,
    minimum,
    negative,
    not_equal,
    select,
    signbit,
    sqrt,
)

_TAIL = tuple(2.0 / (2 * k + 1) for k in range(2, 12))
_TWO_THIRDS = (0.6666666666666666, 3.700743415417188e-17)
_LN2 = (0.6931471805598903, 5.497923018708371e-14)
Double = tuple[Expression, Expression]


def _sum(a: Expression, b: Expression) -> Double:
    """a + b exactly, for |a| >= |b| (Dekker 1971)."""
    total = a + b
    return total, b - (total - a)


def _product(a: Expression, b: Expression | float) -> Double:
    """a b exactly."""
    product = a * b
    return product, fma(a, b, -product)


_SHORT_SERIES = tuple(2.0 / (2 * k + 1) for k in range(7))  # of s, s^3, ...: enough for float32


def _log(x: Expression) -> Double:
    """log x for positive finite x as a sum of two numbers."""
    e, f = split(x)
    whole = 2.0 + f
    lost = f - (whole - 2.0)
    s = f / whole
    s_low = (fma(-s, whole, f) - s * lost) / whole
    z, z_low = _product(s, s)
    z_low = z_low + 2.0 * s * s_low
    cube, cube_low = _product(s, z)
    cube_low = cube_low + s * z_low + s_low * z
    third, third_low = _product(cube, _TWO_THIRDS[0])
    third_low = third_low + cube * _TWO_THIRDS[1] + cube_low * _TWO_THIRDS[0]
    tail = cube * z * horner(z, _TAIL)
    high, low = _sum(2.0 * s, third)
    low = low + (2.0 * s_low + third_low + tail)
    top, rest = _sum(e * _LN2[0], high)
    # for e = 0 the first is 0 and `high` the larger: then the sum is exact all the same
    rest = select(equal(e, 0.0), 0.0, rest)
    return _sum(top, rest + low + e * _LN2[1])


def _magnitude(size: Expression, y: Expression) -> Expression:
    """size^y for finite positive size and finite y."""
    high, low = _log(size)
    y = minimum(maximum(y, -1e300), 1e300)
    product, product_low = _product(y, high)
    product_low = product_low + y * low
    safe = less(absolute(product), 1e4)
    return exponential.exp_of(product, select(safe, product_low, 0.0))


def _special(x: Expression, y: Expression, magnitude: Expression) -> Expression:
    """Signs, zeros, infinities and NaN."""
    size = absolute(x)
    whole = equal(y, floor(y))
    odd = whole & not_equal(0.5 * y, floor(0.5 * y)) & less(absolute(y), 2.0**53)
    rising = less(0.0, y)
    large = equal(absolute(y), INFINITY)
    grows = less(1.0, size)
    size_result = first_true(
        magnitude,
        (equal(y, 0.0) | equal(size, 1.0), 1.0),
        (large, select(equal(grows, rising), INFINITY, 0.0)),
        (equal(size, 0.0), select(rising, 0.0, INFINITY)),
        (equal(size, INFINITY), select(rising, INFINITY, 0.0)),
    )
    signed = select(signbit(x) & odd, negative(size_result), size_result)
    undefined = less(x, 0.0) & ~whole & not_equal(size, INFINITY)
    missing = not_equal(x, x) | not_equal(y, y)
    return first_true(signed, (equal(x, 1.0) | equal(y, 0.0), 1.0), (missing | undefined, NAN))


def _usable(x: Expression) -> Expression:
    """|x|, or 1 where the special cases decide."""
    size = absolute(x)
    return select(less(0.0, size) & less(size, INFINITY), size, 1.0)


def pow_of(x: Expression, y: Expression) -> Expression:
    return _special(x, y, _magnitude(_usable(x), y))


def _pow_float32(x: Expression, y: Expression) -> Expression:
    """y log x in float64, which holds all the bits that matter; the rest is float32's work."""
    e, f = (convert(part, dtypes.float64) for part in split_float32(_usable(x)))
    s = f / (2.0 + f)
    logarithm = fma(e, _LN2[0], s * horner(s * s, _SHORT_SERIES))
    product = clamp(convert(y, dtypes.float64) * logarithm, -104.0, 89.0)
    product = select(equal(product, product), product, 0.0)  # infinite y: a special case
    n, whole = whole_part(product * exponential.LOG2_E)
    r = convert(fma(-n, exponential.LN2_HIGH, product), dtypes.float32)
    series = fma(r * r, horner(r, exponential.TAIL_FLOAT32), r)
    magnitude = exponential.scale_float32(1.0 + series, convert(whole, dtypes.int32))
    return _special(x, y, magnitude)


def _expand_pow(x: Expression, y: Expression) -> Expression:
    kind = dtypes.promote(x.dtype, y.dtype)
    if kind.is_integer:
        return _integer_pow(convert(x, kind), convert(y, kind))
    result = floating(x.dtype, y.dtype)
    if result is dtypes.float64:
        return in_float64(pow_of)(x, y)
    narrow = (convert(operand, dtypes.float32) for operand in (x, y))
    return convert(_pow_float32(*narrow), result)


def _integer_pow(x: Expression, y: Expression) -> Expression:
    """By repeated squaring, modulo 2^bits; a negative exponent gives 0 but for 1 and -1."""
    result: Expression = convert(1, x.dtype)
    base = x
    for bit in range(x.dtype.bits):
        if bit >= 7 and x.dtype.bits > 7 and bit > 63:
            break
        result = select(not_equal((y >> bit) & 1, 0), result * base, result)
        base = base * base
    if x.dtype.kind == "uint":
        return result
    even = equal(y & 1, 0)
    inverse = first_true(0, (equal(x, 1), 1), (equal(x, -1), select(even, 1, -1)))
    return select(less(y, 0), convert(inverse, x.dtype), result)


def _np_pow(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.power(x, y)


def _pow_result(*kinds: dtypes.DType) -> dtypes.DType:
    kind = dtypes.promote(*kinds)
    return kind if kind.is_integer else dtypes.result_float(kind)


def _pow_partials(r: Expression, x: Expression, y: Expression) -> tuple[Expression, Expression]:
    """y x^(y-1), and x^y log x, which is 0 at x = 0 and y > 0 although log x is not finite."""
    by_base = select(equal(y, 0), 0, y * pow(x, y - 1))
    at_zero = equal(x, 0) & less_equal(0, y)
    by_exponent = select(at_zero, 0, r * log(select(at_zero, 1, x)))
    return by_base, by_exponent


pow: Operator = define(
    "pow", pow_of, _np_pow, _pow_partials, "x to the power of y.", arity=2, expand=_expand_pow
)
pow.result = _pow_result


def _evaluate_pow(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    x, y = np.asarray(x), np.asarray(y)
    if x.dtype.kind in "iu":
        positive = np.power(x, np.maximum(y, 0))
        if x.dtype.kind == "u":
            return positive
        unit = np.where(x == 1, 1, np.where(x == -1, np.where(y & 1, -1, 1), 0))
        return np.where(y < 0, unit, positive).astype(x.dtype)
    with np.errstate(all="ignore"):
        return np.power(x.astype(np.float64), y.astype(np.float64)).astype(x.dtype)


pow.evaluate = _evaluate_pow


def rsqrt_of(x: Expression) -> Expression:
    return 1.0 / sqrt(x)


def hypot_of(x: Expression, y: Expression) -> Expression:
    """The larger side times sqrt(1 + ratio^2)."""
    a, b = absolute(x), absolute(y)
    top, bottom = maximum(a, b), minimum(a, b)
    ratio = bottom / top
    square, lost = _product(ratio, ratio)
    root = sqrt(1.0 + square)
    fix = fma(-root, root, 1.0 + square) + ((1.0 - (1.0 + square)) + square) + lost
    usual = top * (root + fix / (2.0 * root))
    infinite = equal(a, INFINITY) | equal(b, INFINITY)
    return first_true(usual, (infinite, INFINITY), (equal(top, 0.0), 0.0))


rsqrt: Operator = define(
    "rsqrt", rsqrt_of, lambda x: 1.0 / np.sqrt(x), lambda r, x: (-0.5 * r / x,), "1 / sqrt(x).",
    float32=rsqrt_of,
)  # fmt: skip
hypot: Operator = define(
    "hypot", hypot_of, np.hypot, lambda r, x, y: (x / r, y / r),
    "sqrt(x^2 + y^2), without overflow.", arity=2,
)  # fmt: skip
