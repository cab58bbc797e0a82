"""Tracing a function that has no source: run it once for each way through its branches.

The function runs on `Symbol`s. Where it asks one for its truth, a decision is recorded; the next
run takes the other side of the last decision, until every side has been taken. The results are
joined by selects. The function sees copies of its global names in which the math module works on
symbols.
"""

from __future__ import annotations

import math
import types
from collections.abc import Callable, Sequence
from typing import Any

from tessella.errors import TracingError
from tessella.scalar import operators
from tessella.scalar.expression import Expression, Operator, constant
from tessella.scalar.trace_calls import known, truth

MOST_PATHS = 256


class _Decisions:
    """The sides taken so far, and the conditions they were taken on."""

    def __init__(self) -> None:
        self.taken: list[bool] = []
        self.conditions: list[Expression] = []

    def decide(self, condition: Expression) -> bool:
        position = len(self.conditions)
        self.conditions.append(condition)
        if position == len(self.taken):
            self.taken.append(True)
        return self.taken[position]


class Symbol:
    """A symbolic number that a function without source is run on."""

    def __init__(self, expression: Expression, decisions: _Decisions) -> None:
        self.expression = expression
        self.decisions = decisions

    def __bool__(self) -> bool:
        condition = truth(self.expression)
        return condition if isinstance(condition, bool) else self.decisions.decide(condition)

    def __hash__(self) -> int:
        return id(self)

    def __float__(self) -> float:
        raise TracingError(
            "the function hands a traced number to something that needs a plain one; its source "
            "cannot be read, so define it in a file, or use operators and the math module"
        )

    __int__ = __index__ = __float__

    def __tessella_scalar__(self, operator: Operator, operands: Sequence[Any]) -> Symbol:
        """An operator of the project, called on numbers of which this is one."""
        return Symbol(operator(*map(_unwrapped, operands)), self.decisions)


def _method(function: Callable[..., Any], swapped: bool = False) -> Callable[..., Any]:
    def method(self: Symbol, *others: Any) -> Any:
        values = [self.expression, *(_unwrapped(other) for other in others)]
        if not all(isinstance(v, (Expression, bool, int, float)) for v in values):
            return NotImplemented
        return Symbol(
            constant(function(*(reversed(values) if swapped else values))), self.decisions
        )

    return method


def _unwrapped(value: Any) -> Any:
    return value.expression if isinstance(value, Symbol) else value


def _give_operators() -> None:
    binary: dict[str, Callable[..., Any]] = {
        "add": lambda x, y: x + y, "sub": lambda x, y: x - y, "mul": lambda x, y: x * y,
        "truediv": lambda x, y: x / y, "floordiv": lambda x, y: x // y, "mod": lambda x, y: x % y,
        "pow": lambda x, y: x**y, "and": lambda x, y: x & y, "or": lambda x, y: x | y,
        "xor": lambda x, y: x ^ y,
    }  # fmt: skip
    for name, function in binary.items():
        setattr(Symbol, f"__{name}__", _method(function))
        setattr(Symbol, f"__r{name}__", _method(function, swapped=True))
    comparisons = {
        "lt": operators.less, "le": operators.less_equal, "gt": operators.greater,
        "ge": operators.greater_equal, "eq": operators.equal, "ne": operators.not_equal,
        "neg": operators.negative, "abs": operators.absolute, "round": operators.round,
        "floor": operators.floor, "ceil": operators.ceil, "trunc": operators.trunc,
    }  # fmt: skip
    for name, operator in comparisons.items():
        setattr(Symbol, f"__{name}__", _method(operator))


_give_operators()


def explore(
    function: types.FunctionType, arguments: list[Any], keywords: dict[str, Any]
) -> Expression:
    """The value of a function for symbolic arguments.

    Raises:
        TracingError: too many ways through, or something that needs a plain number.
    """
    decisions = _Decisions()
    found: list[tuple[list[Expression], list[bool], Expression]] = []
    copy = _with_symbolic_names(function)
    while True:
        decisions.conditions = []
        symbols = [_wrapped(value, decisions) for value in arguments]
        named = {name: _wrapped(value, decisions) for name, value in keywords.items()}
        result = _unwrapped(copy(*symbols, **named))
        if not isinstance(result, (Expression, bool, int, float)):
            raise TracingError(
                f"{function.__name__} returns {type(result).__name__}; a function of numbers "
                "returns one number"
            )
        taken = decisions.taken[: len(decisions.conditions)]
        found.append((list(decisions.conditions), list(taken), constant(result)))
        if len(found) > MOST_PATHS:
            raise TracingError(
                f"{function.__name__} has more than {MOST_PATHS} ways through its branches, and no "
                "source to read; define it in a file"
            )
        while taken and not taken[-1]:
            taken.pop()
        if not taken:
            return _joined(found, 0)
        decisions.taken = [*taken[:-1], False]


def _joined(found: list[Any], depth: int) -> Expression:
    """Paths come in order: first all that took the first decision, then the others."""
    conditions, _, result = found[0]
    if len(found) == 1 or depth >= len(conditions):
        return result
    yes = [path for path in found if path[1][depth]]
    no = [path for path in found if not path[1][depth]]
    if not no:
        return _joined(yes, depth + 1)
    if not yes:
        return _joined(no, depth + 1)
    return operators.select(conditions[depth], _joined(yes, depth + 1), _joined(no, depth + 1))


def _wrapped(value: Any, decisions: _Decisions) -> Any:
    return Symbol(value, decisions) if isinstance(value, Expression) else value


def _on_symbols(function: Any) -> Any:
    """A function of numbers that takes symbols too."""
    replacement = known(function)
    if replacement is None:
        return function

    def applied(*values: Any, **options: Any) -> Any:
        symbols = [value for value in values if isinstance(value, Symbol)]
        if not symbols:
            return function(*values, **options)
        result = replacement(*map(_unwrapped, values), **options)
        return Symbol(constant(result), symbols[0].decisions)

    return applied


def _with_symbolic_names(function: types.FunctionType) -> types.FunctionType:
    """The function with the math module, and its functions, on symbols."""
    names: dict[str, Any] = dict(function.__globals__)
    for name, value in list(names.items()):
        if value is math:
            names[name] = types.SimpleNamespace(
                **{n: _on_symbols(f) for n, f in vars(math).items() if not n.startswith("_")}
            )
        elif getattr(value, "__module__", None) == "math":
            names[name] = _on_symbols(value)
        elif isinstance(value, types.FunctionType) and value.__globals__ is function.__globals__:
            names[name] = types.FunctionType(
                value.__code__, names, value.__name__, value.__defaults__, value.__closure__
            )
    copy = types.FunctionType(
        function.__code__, names, function.__name__, function.__defaults__, function.__closure__
    )
    copy.__kwdefaults__ = function.__kwdefaults__
    return copy
