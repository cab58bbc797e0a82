"""What Python's own functions mean on symbolic numbers."""

from __future__ import annotations

import builtins
import functools
import math
import operator as python_operators
from collections.abc import Callable
from typing import Any

import numpy as np

from tessella import dtypes
from tessella.scalar import mathematics, operators
from tessella.scalar.expression import OPERATORS, Expression, Operator, constant


def truth(value: Any) -> Any:
    """A value as a condition: a Python bool, or an expression of bool."""
    if not isinstance(value, Expression):
        return bool(value)
    if value.is_constant:
        return bool(value.static)
    return value if value.dtype.is_bool else operators.not_equal(value, 0)


def minimum_of(*values: Any) -> Any:
    """min(...), as Python has it: a later value wins only if it is smaller."""
    return _extreme(values, operators.less)


def maximum_of(*values: Any) -> Any:
    """max(...), as Python has it: a later value wins only if it is larger."""
    return _extreme(values, operators.greater)


def _extreme(values: Any, beyond: Operator) -> Any:
    candidates = list(values[0]) if len(values) == 1 else list(values)
    return functools.reduce(
        lambda best, value: operators.select(beyond(value, best), value, best), candidates
    )


def _float(x: Any) -> Any:
    x = constant(x)
    return x if x.dtype.is_float else operators.convert(x, dtypes.DEFAULT_FLOAT)


def _round(x: Any, digits: int | None = None) -> Any:
    if digits is None:
        return operators.round(x)
    scale = 10.0**digits
    return operators.round(x * scale) / scale


def _sum(values: Any, start: Any = 0) -> Any:
    return functools.reduce(lambda a, b: a + b, values, start)


def _log(x: Any, base: Any = None) -> Any:
    if base is None:
        return mathematics.log(x)
    return mathematics.log(x) / mathematics.log(base)


def _isclose(a: Any, b: Any, *, rel_tol: float = 1e-9, abs_tol: float = 0.0) -> Any:
    apart = abs(a - b)
    larger = operators.maximum(abs(constant(a)), abs(constant(b)))
    near = operators.less_equal(apart, operators.maximum(rel_tol * larger, abs_tol))
    return (near & operators.isfinite(apart)) | operators.equal(a, b)


_BUILTINS: dict[Any, Callable[..., Any]] = {
    builtins.abs: lambda x: abs(x),
    builtins.min: minimum_of,
    builtins.max: maximum_of,
    builtins.round: _round,
    builtins.float: _float,
    builtins.int: lambda x: operators.convert(x, dtypes.int64),
    builtins.bool: truth,
    builtins.pow: lambda x, y: x**y,
    builtins.sum: _sum,
    builtins.divmod: lambda x, y: (x // y, x % y),
    math.log: _log,
    math.isclose: _isclose,
    math.fabs: lambda x: abs(x),
    math.prod: lambda xs, *, start=1: functools.reduce(lambda a, b: a * b, xs, start),
    math.fsum: _sum,
    math.degrees: lambda x: x * (180.0 / math.pi),
    math.radians: lambda x: x * (math.pi / 180.0),
    math.ldexp: lambda x, n: x * 2.0**n,
    math.dist: lambda p, q: operators.sqrt(_sum((a - b) ** 2 for a, b in zip(p, q, strict=True))),
}
_RENAMED = {
    "arcsin": "asin", "arccos": "acos", "arctan": "atan", "arctan2": "atan2", "arcsinh": "asinh",
    "arccosh": "acosh", "arctanh": "atanh", "power": "pow", "rint": "round", "abs": "absolute",
    "fmax": "maximum", "fmin": "minimum", "true_divide": "divide",
}  # fmt: skip
_PYTHON_OPERATORS = (
    "add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "neg", "pos", "abs", "lt", "le", "gt",
    "ge", "and_", "or_", "xor", "invert", "lshift", "rshift",
)  # fmt: skip


def known(function: Any) -> Callable[..., Any] | None:
    """The replacement of a function that is not written in Python."""
    try:
        if function in _BUILTINS:
            return _BUILTINS[function]
    except TypeError:
        return None
    name = getattr(function, "__name__", "")
    module = getattr(function, "__module__", None)
    if module == "_operator":
        if name in ("eq", "ne"):
            return operators.equal if name == "eq" else operators.not_equal
        found: Callable[..., Any] | None = (
            getattr(python_operators, name) if name in _PYTHON_OPERATORS else None
        )
        return found
    if module == "math" or isinstance(function, np.ufunc):
        if name == "gamma":
            return lambda x: mathematics.exp(mathematics.lgamma(x))
        return OPERATORS.get(_RENAMED.get(name, name))
    if name == "where" and module == "numpy":
        return operators.select
    return None
