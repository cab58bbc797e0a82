"""From an ordinary Python function of numbers to an expression.

The function's source is read and followed statement by statement, on symbolic numbers
(`trace_source`). Where a branch depends on one, both sides are followed and joined by a `select`.
Without a source (typed at a prompt, made by `exec`), the function itself is run on symbolic numbers
once for each way through its branches (`trace_paths`).
"""

from __future__ import annotations

import functools
import types
from collections.abc import Callable, Sequence
from typing import Any

from tessella import dtypes
from tessella.errors import ArgumentTypeError, TracingError
from tessella.scalar.expression import (
    Expression,
    Operator,
    constant,
    require_expression,
    weak_floats,
)


def trace(function: Callable[..., Any], variables: Sequence[Expression]) -> Expression:
    """The expression that a function of numbers computes.

    Raises:
        TracingError: names the line that cannot become an expression, why, and what to do.

    >>> from tessella import dtypes
    >>> from tessella.scalar.expression import variable
    >>> x = variable("x", dtypes.float32)
    >>> str(trace(lambda x: x * x if x > 0 else 0.0, [x]))
    'select(x > 0.0, x * x, 0.0)'
    """
    if not callable(function) or not isinstance(variables, (list, tuple)):
        raise ArgumentTypeError(
            f"trace: a {type(function).__name__} and a {type(variables).__name__} were given; expected a function, and "
            "a list of variables"
        )
    for variable in variables:
        require_expression(variable, "trace")
    kinds = [variable.dtype for variable in variables]
    floats = [kind for kind in kinds if kind.is_float and not kind.is_storage]
    with weak_floats(dtypes.promote(*floats) if floats else dtypes.DEFAULT_FLOAT):
        result = call(function, list(variables), {})
        if isinstance(result, (Expression, bool, int, float)):
            return constant(result)
    name = getattr(function, "__name__", repr(function))
    raise TracingError(
        f"{name} returns {type(result).__name__}; a function of numbers returns one number"
    )


def call(function: Any, arguments: list[Any], keywords: dict[str, Any]) -> Any:
    """What a function gives for symbolic arguments."""
    if isinstance(function, functools.partial):
        return call(function.func, [*function.args, *arguments], {**function.keywords, **keywords})
    inner = getattr(function, "function", None)
    if inner is not None and not isinstance(function, types.FunctionType):
        return call(inner, arguments, keywords)  # a ScalarFunction
    if isinstance(function, Operator) or getattr(function, "makes_expression", False):
        return function(*arguments, **keywords)
    if isinstance(function, types.MethodType):
        return call(function.__func__, [function.__self__, *arguments], keywords)
    if not isinstance(function, types.FunctionType):
        from tessella.scalar.trace_calls import known

        replacement = known(function)
        if replacement is not None:
            return replacement(*arguments, **keywords)
        method = vars(type(function)).get("__call__")
        if isinstance(method, types.FunctionType):
            return call(method, [function, *arguments], keywords)
        raise TracingError(
            f"{getattr(function, '__name__', function)!r} is not written in Python, and there is no "
            "scalar operator of its name; write it with arithmetic and the math module"
        )
    from tessella.scalar.trace_source import follow, source_of

    node = source_of(function)
    if node is None:
        from tessella.scalar.trace_paths import explore

        return explore(function, arguments, keywords)
    return follow(function, node, arguments, keywords, call)
