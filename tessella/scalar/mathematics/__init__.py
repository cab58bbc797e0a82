"""The maths library: every function in the core operators, with its method beside it."""

from tessella.scalar.mathematics.activation import relu
from tessella.scalar.mathematics.error_function import erf, erfc
from tessella.scalar.mathematics.exponential import exp, exp2, expm1, sigmoid
from tessella.scalar.mathematics.gamma import digamma, lgamma, trigamma
from tessella.scalar.mathematics.hyperbolic import acosh, asinh, atanh, cosh, sinh, tanh
from tessella.scalar.mathematics.inverse_trigonometric import acos, asin, atan, atan2
from tessella.scalar.mathematics.logarithm import (
    log,
    log1p,
    log2,
    log10,
    log_sigmoid,
    logaddexp,
    softplus,
)
from tessella.scalar.mathematics.power import hypot, pow, rsqrt
from tessella.scalar.mathematics.trigonometric import cos, sin, tan

__all__ = [
    "acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "cos", "cosh", "digamma", "erf",
    "erfc", "exp", "exp2", "expm1", "hypot", "lgamma", "log", "log1p", "log2", "log10",
    "log_sigmoid", "logaddexp", "pow", "relu", "rsqrt", "sigmoid", "sin", "sinh", "softplus",
    "tan", "tanh", "trigamma",
]  # fmt: skip
