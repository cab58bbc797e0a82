"""Hyperbolic functions, by expm1 and log1p so that nothing is lost near 0.

Source: Muller, *Elementary Functions* (2016), section 10.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tessella.scalar.expression import Expression, Operator
from tessella.scalar.mathematics.exponential import (
    LN2_HIGH,
    exp_float32,
    exp_of,
    expm1_float32,
    expm1_of,
    expm1_up_to_0_float32,
)
from tessella.scalar.mathematics.logarithm import finite_log, log1p_of
from tessella.scalar.mathematics.support import (
    INFINITY,
    NAN,
    clamp,
    define,
    first_true,
    horner,
    over_sum,
)
from tessella.scalar.operators import absolute, copysign, equal, fma, less, select, sqrt

# tanh x = x + x^3 T(x^2) for |x| < 0.55: interpolants at Chebyshev's points
_TANH = (
    -0.3333333333333333, 0.1333333333333331, -0.05396825396822037, 0.021869488534073906,
    -0.0088632354631468, 0.0035921267699626346, -0.001455819097151351, 0.0005899052969492733,
    -0.0002384727248015252, 9.455133052924858e-05, -3.372080112046316e-05, 7.874274345344419e-06,
)  # fmt: skip


def tanh_of(x: Expression) -> Expression:
    """x + x^3 T(x^2) near 0, elsewhere (1 - e) / (1 + e) with e = e^(-2|x|)."""
    size = absolute(x)
    square = clamp(size * size, 0.0, 0.4)
    small = fma(size * square, horner(square, _TANH), size)
    e = exp_of(-2.0 * size)
    large = (1.0 - e) / (1.0 + e)
    return copysign(select(less(size, 0.55), small, large), x)


def tanh_float32(x: Expression) -> Expression:
    """-t / (t + 2) with t = e^(-2|x|) - 1: one formula for all sizes."""
    t = expm1_up_to_0_float32(-2.0 * absolute(x))
    return copysign(over_sum(t, 2.0, t), x)


_SINH = tuple(1.0 / math.factorial(2 * k + 1) for k in range(1, 10))  # of x^3, x^5, ...


def _sinh(x: Expression, limit: float, exponential: Any, expm1: Any) -> Expression:
    size = absolute(x)
    square = clamp(size * size, 0.0, 1.0)
    small = fma(size * square, horner(square, _SINH), size)
    t = expm1(clamp(size, 0.0, limit))
    usual = select(less(size, 1.0), small, 0.5 * (t + t / (t + 1.0)))
    root = exponential(0.5 * size)  # its square would overflow a little too soon
    return copysign(select(less(size, limit), usual, 0.5 * root * root), x)


def sinh_of(x: Expression) -> Expression:
    return _sinh(x, 700.0, exp_of, expm1_of)


def sinh_float32(x: Expression) -> Expression:
    return _sinh(x, 88.0, exp_float32, expm1_float32)


def _cosh(x: Expression, limit: float, exponential: Any) -> Expression:
    size = absolute(x)
    e = exponential(clamp(size, 0.0, limit))
    root = exponential(0.5 * size)
    return select(less(size, limit), 0.5 * e + 0.5 / e, 0.5 * root * root)


def cosh_of(x: Expression) -> Expression:
    return _cosh(x, 700.0, exp_of)


def cosh_float32(x: Expression) -> Expression:
    return _cosh(x, 88.0, exp_float32)


def asinh_of(x: Expression) -> Expression:
    size = absolute(x)
    square = size * size
    usual = log1p_of(size + square / (1.0 + sqrt(1.0 + square)))
    large = finite_log(size) + LN2_HIGH
    result = first_true(usual, (equal(size, INFINITY), size), (less(1e9, size), large))
    return copysign(result, x)


def acosh_of(x: Expression) -> Expression:
    t = x - 1.0
    usual = log1p_of(t + sqrt(t * (t + 2.0)))
    large = finite_log(x) + LN2_HIGH
    return first_true(usual, (less(x, 1.0), NAN), (equal(x, INFINITY), x), (less(1e9, x), large))


def atanh_of(x: Expression) -> Expression:
    size = absolute(x)
    result = 0.5 * log1p_of(2.0 * size / (1.0 - size))
    result = first_true(result, (less(1.0, size), NAN), (equal(size, 1.0), INFINITY))
    return copysign(result, x)


tanh: Operator = define(
    "tanh", tanh_of, np.tanh, lambda r, x: (1 - r * r,), "The hyperbolic tangent.",
    float32=tanh_float32,
)  # fmt: skip
sinh: Operator = define(
    "sinh", sinh_of, np.sinh, lambda r, x: (cosh(x),), "The hyperbolic sine.", float32=sinh_float32
)
cosh: Operator = define(
    "cosh", cosh_of, np.cosh, lambda r, x: (sinh(x),), "The hyperbolic cosine.",
    float32=cosh_float32,
)  # fmt: skip
asinh: Operator = define(
    "asinh", asinh_of, np.arcsinh, lambda r, x: (1 / sqrt(x * x + 1),),
    "The inverse hyperbolic sine.",
)  # fmt: skip
acosh: Operator = define(
    "acosh", acosh_of, np.arccosh, lambda r, x: (1 / sqrt((x - 1) * (x + 1)),),
    "The inverse hyperbolic cosine.",
)  # fmt: skip
atanh: Operator = define(
    "atanh", atanh_of, np.arctanh, lambda r, x: (1 / ((1 - x) * (1 + x)),),
    "The inverse hyperbolic tangent.",
)  # fmt: skip
