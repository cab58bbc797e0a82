"""What the functions of the maths library share: polynomials, powers of two, and their definition.

Each function is written once, in float64, and serves float32 too: the argument is widened, and the
result rounded once, so float32 results are the nearest number but for rare ties. The functions that
networks wait for (exp, log, sin, tanh, erf, ...) have a float32 form of their own, which is as good
to a unit in the last place and several times faster.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tessella import dtypes
from tessella.dtypes import DType
from tessella.scalar import operators
from tessella.scalar.expression import Expression, Operator, Partial, applied, constant
from tessella.scalar.operators import bitcast, convert, fma, less, select

INFINITY = float("inf")
NAN = float("nan")


def horner(x: Expression, coefficients: Sequence[float]) -> Expression:
    """c0 + c1 x + c2 x^2 + ..., from the inside out, each step rounded once.

    >>> from tessella.scalar.expression import variable
    >>> str(horner(variable("x", dtypes.float64), (1.0, 2.0, 3.0)))
    'fma(fma(3.0, x, 2.0), x, 1.0)'
    """
    *rest, last = coefficients
    total: Any = constant(last, x.dtype)
    for coefficient in reversed(rest):
        total = fma(total, x, constant(coefficient, x.dtype))
    return total


def clamp(x: Expression, low: float, high: float) -> Expression:
    """x kept between two numbers; NaN stays NaN. One instruction for each bound."""
    x = select(less(x, low), low, x)
    return select(less(high, x), high, x)


def whole_part(x: Expression, factor: float = 1.0) -> tuple[Expression, Expression]:
    """The whole number nearest to x times a factor, as a float and as an integer of the same width.

    Adding 1.5 x 2^52 (or 2^23) leaves no bits for a fraction, and puts the whole number into the
    last bits of the sum. For |x| < 2^51 (or 2^22).

    Source: Hecker, *Let's get to the (floating) point* (1996).
    """
    single = x.dtype is dtypes.float32
    integer = dtypes.int32 if single else dtypes.int64
    magic = constant(1.5 * 2.0 ** (23 if single else 52), x.dtype)
    total = x + magic if factor == 1.0 else fma(x, constant(factor, x.dtype), magic)
    return total - magic, bitcast(total, integer) - bitcast(magic, integer)


def over_sum(x: Expression, a: float, b: Expression) -> Expression:
    """x / (a + b) for a >= |b| and a + b from 1 to 2, rounded as if the sum had not been rounded before.

    What the sum and the quotient have lost is known exactly, and put right; of 1 / (a + b) two digits
    are enough for that.

    Source: Dekker, *A floating-point technique for extending the available precision* (1971).
    """
    total = b + a
    lost = b - (total - a)
    rough = fma(total, constant(-0.5, x.dtype), constant(1.457, x.dtype))
    found = x / total
    rest = fma(-found, lost, fma(-found, total, x))
    return fma(rest, rough, found)


def power_of_two(n: Expression) -> Expression:
    """2^n as a float64, from its bits; n is an int64 from -1022 to 1023."""
    return bitcast((n + 1023) << 52, dtypes.float64)


def scale(x: Expression, n: Expression) -> Expression:
    """x 2^n in two steps, so that results may overflow, or be subnormal (rounded once)."""
    half = n >> 1
    return x * power_of_two(half) * power_of_two(n - half)


def floating(*kinds: DType) -> DType:
    return dtypes.result_float(dtypes.promote(*kinds))


def in_float64(function: Callable[..., Any]) -> Callable[..., Expression]:
    """Compute a function in float64 and give the result in its operands' floating dtype."""

    def expanded(*operands: Expression) -> Expression:
        result = floating(*(operand.dtype for operand in operands))
        wide = [convert(convert(operand, result), dtypes.float64) for operand in operands]
        return convert(function(*wide), result)

    return expanded


def define(
    name: str, function: Callable[..., Any], evaluate: Callable[..., Any],
    partials: Callable[..., Sequence[Partial]], documentation: str, arity: int = 1,
    float32: Callable[..., Any] | None = None, expand: Callable[..., Any] | None = None,
) -> Operator:  # fmt: skip
    """An operator of the maths library.

    Args:
        function: how it is computed, on float64 expressions.
        evaluate: its meaning in NumPy, on float64.
        float32: how it is computed on float32 expressions, where that is faster.
        expand: replaces both, for functions that treat other dtypes on their own.
    """

    def evaluated(*operands: Any) -> Any:
        result = floating(*(dtypes.as_dtype(np.asarray(x).dtype) for x in operands))
        with np.errstate(all="ignore"):
            wide = [np.asarray(x).astype(result.numpy).astype(np.float64) for x in operands]
            return np.asarray(evaluate(*wide)).astype(result.numpy)

    def expanded(*operands: Expression) -> Any:
        single = floating(*(operand.dtype for operand in operands)) is dtypes.float32
        if float32 is None or not single:
            return in_float64(function)(*operands)
        return float32(*(convert(operand, dtypes.float32) for operand in operands))

    return Operator(
        name, arity, evaluate=evaluated, result=floating, partials=partials,
        expand=expand or expanded, documentation=documentation,
    )  # fmt: skip


def library(name: str, x: Expression) -> Expression:
    """The C library's function of that name."""
    return applied(operators.c_library, (x,), static=name)


def rarely(condition: Expression, rare: Expression, usual: Expression) -> Expression:
    """`rare` where the condition holds, computed only if it does somewhere."""
    return applied(operators.fallback, (condition, rare, usual))


def first_true(default: Any, *cases: tuple[Any, Any]) -> Any:
    """The value of the first case whose condition holds, else the default."""
    for condition, value in reversed(cases):
        default = select(condition, value, default)
    return default
