"""Ordinary Python functions of numbers, ready to be differentiated and compiled."""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Callable, Sequence
from typing import Any

from tessella.arguments import public
from tessella.dtypes import DType
from tessella.errors import ArgumentError, ArgumentTypeError, DTypeError
from tessella.scalar.derivative import derivative
from tessella.scalar.expression import OPERATORS, Expression, Number, Operator, constant, variable
from tessella.scalar.operators import convert, select
from tessella.scalar.rewriting import substitute
from tessella.scalar.trace import trace

DTypes = tuple[DType, ...]


class ScalarFunction:
    """A scalar function as an expression for any operand dtypes, with its derivatives.

    Two of them are equal only if they are one object: they are keys of the caches of kernels. Use
    `scalar_function` to get the one of a Python function.

    >>> from tessella import dtypes
    >>> square = ScalarFunction(lambda x: x * x, name="square")
    >>> str(square.expression((dtypes.float32,)))
    'x * x'
    >>> str(square.derivative(0).expression((dtypes.float32,)))
    'x + x'
    """

    @public
    def __init__(
        self, function: Callable[..., Any], name: str | None = None,
        parameters: Sequence[str] | None = None,
        derivatives: Sequence[Callable[..., Any]] | None = None,
    ) -> None:  # fmt: skip
        self.function = function
        own: Any = getattr(function, "name", None) or getattr(function, "__name__", None)
        self.name: str = name or own or type(function).__name__
        self.parameters = tuple(parameters or _parameters(function))
        self._given = derivatives
        self._expressions: dict[DTypes, Expression] = {}
        self._derivatives: dict[int, ScalarFunction] = {}
        self._partials: dict[int, ScalarFunction] = {}
        self.partial_primitives: dict[int, Any] = {}  # kept here for the primitives above

    def __repr__(self) -> str:
        return f"ScalarFunction({self.name})"

    def __call__(self, *arguments: Any) -> Any:
        """Apply to expressions, scalars with history or numbers."""
        return self.function(*arguments)

    @property
    def arity(self) -> int:
        return len(self.parameters)

    @public
    def variables(self, kinds: DTypes) -> tuple[Expression, ...]:
        """The inputs of `expression(kinds)`."""
        self._require_arity(kinds)
        return tuple(
            variable(name, kind) for name, kind in zip(self.parameters, kinds, strict=True)
        )

    @public
    def expression(self, kinds: DTypes) -> Expression:
        """The function as an expression of operands of these dtypes."""
        found = self._expressions.get(kinds)
        if found is None:
            self._require_arity(kinds)
            found = self._expressions[kinds] = trace(self.function, self.variables(kinds))
        return found

    @public
    def result_dtype(self, kinds: DTypes) -> DType:
        return self.expression(kinds).dtype

    @public
    def derivative(self, index: int) -> ScalarFunction:
        """The derivative by operand `index`, a function of the same operands."""
        found = self._derivatives.get(index)
        if found is None:
            found = self._derivatives[index] = self._make_derivative(index)
        return found

    def _require_arity(self, kinds: DTypes) -> None:
        if len(kinds) != self.arity:
            raise ArgumentTypeError(
                f"{self.name}: {len(kinds)} operands given, {self.arity} expected"
            )

    def _make_derivative(self, index: int) -> ScalarFunction:
        if not 0 <= index < self.arity:
            raise ArgumentError(
                f"{self.name}: there is no operand {index} to derive by; it has {self.arity}, from 0 on"
            )
        name = f"{self.name}_derivative_{index}"
        if self._given is not None:
            return ScalarFunction(self._given[index], name, self.parameters)

        def slope(*arguments: Expression) -> Expression:
            kinds = tuple(argument.dtype for argument in arguments)
            inputs = self.variables(kinds)
            root = derivative(self.expression(kinds), inputs[index])
            return substitute(root, dict(zip(inputs, arguments, strict=True)))

        return ScalarFunction(_untraced(slope), name, self.parameters)

    @public
    def partial(self, index: int) -> ScalarFunction:
        """cotangent x derivative, as one function of (cotangent, *operands)."""
        found = self._partials.get(index)
        if found is None:
            slope = self.derivative(index)

            def scaled(cotangent: Expression, *arguments: Expression) -> Expression:
                kinds = tuple(argument.dtype for argument in arguments)
                inputs = slope.variables(kinds)
                root = substitute(
                    slope.expression(kinds), dict(zip(inputs, arguments, strict=True))
                )
                if not root.dtype.is_float:
                    root = convert(root, cotangent.dtype)
                return _scaled(cotangent, root)

            name = f"{self.name}_partial_{index}"
            cotangent_name = "cotangent"  # variables of one name would be one variable
            while cotangent_name in self.parameters:
                cotangent_name += "_"
            parameters = (cotangent_name, *self.parameters)
            found = self._partials[index] = ScalarFunction(_untraced(scaled), name, parameters)
        return found

    @public
    def constant_derivative(self, index: int, kinds: DTypes) -> Number | None:
        """The derivative if it is one number for all operands, else None."""
        root = self.derivative(index).expression(kinds)
        return root.number() if root.is_constant else None


def _scaled(cotangent: Expression, slope: Expression) -> Expression:
    """cotangent x slope; where the slope is a chosen 0, nothing comes of any cotangent, not even of NaN."""
    if not _chooses_zero(slope):
        return cotangent * slope
    if slope.is_constant:
        return slope
    condition, x, y = slope.arguments
    return select(condition, _scaled(cotangent, x), _scaled(cotangent, y))


def _chooses_zero(slope: Expression) -> bool:
    """Whether it is 0, or a choice of which one side, or one of its choices, is."""
    if slope.operator is OPERATORS["select"]:
        return any(map(_chooses_zero, slope.arguments[1:]))
    return slope.is_constant and slope.static == 0


def _untraced(function: Callable[..., Expression]) -> Callable[..., Expression]:
    """Mark a function that makes expressions itself, so that it is called and not traced."""
    function.makes_expression = True  # type: ignore[attr-defined]
    return function


def _parameters(function: Callable[..., Any]) -> tuple[str, ...]:
    if isinstance(function, Operator):
        return tuple("xyzw"[: function.arity])
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        raise ArgumentTypeError(
            f"{function!r} is no function of a known number of numbers; wrap it in a lambda"
        ) from None
    required = [
        p.name
        for p in parameters
        if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) and p.default is p.empty
    ]
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        name = getattr(function, "__name__", type(function).__name__)
        raise ArgumentTypeError(f"{name} takes any number of operands; name each of them")
    return tuple(required)


_of_others: dict[Any, ScalarFunction] = {}  # of operators and builtins, which live for ever
_ATTRIBUTE = "__tessella_scalar_function__"


def scalar_function(function: Callable[..., Any]) -> ScalarFunction:
    """The `ScalarFunction` of a Python function or operator; always the same one for the same.

    >>> def cube(x):
    ...     return x * x * x
    >>> scalar_function(cube) is scalar_function(cube)
    True
    """
    if isinstance(function, ScalarFunction):
        return function
    if not callable(function):
        raise ArgumentTypeError(
            f"a function of numbers was expected, {type(function).__name__} was given"
        )
    if isinstance(function, types.FunctionType):
        # kept with the function, so that it goes when the function goes; a decorator may have
        # copied the attribute from the function that it wraps
        found = function.__dict__.get(_ATTRIBUTE)
        if found is None or found.function is not function:
            found = function.__dict__[_ATTRIBUTE] = ScalarFunction(function)
        return found
    if isinstance(function, Operator | types.BuiltinFunctionType):
        if function not in _of_others:
            _of_others[function] = ScalarFunction(function)
        return _of_others[function]
    python = getattr(function, "py_func", None)  # what numba has compiled is followed as Python
    return ScalarFunction(function) if python is None else scalar_function(python)


@functools.cache
def cast_function(dtype: DType) -> ScalarFunction:
    """Conversion to a dtype, as a scalar function."""
    if dtype.is_complex:
        raise DTypeError(f"{dtype.name} has no scalar expressions")
    return ScalarFunction(
        _untraced(lambda x: convert(constant(x), dtype)), f"cast_{dtype.name}", ("x",)
    )
