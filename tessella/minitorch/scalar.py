"""Module 1: `Scalar`, a number that remembers how it was computed, and its functions, forward and backward.

The ten functions of the course are a table, like one of derivatives: a line gives a function's
meaning and its derivatives. `tests/minitorch/test_scalar.py` holds each line against the derivative
that Tessella finds by itself from the function's source.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, TypeAlias

import numpy as np

from tessella.arguments.kinds import shown
from tessella.errors import ArgumentTypeError, MissingRuleError
from tessella.minitorch import operators
from tessella.minitorch.arithmetic import Arithmetic
from tessella.minitorch.autodiff import (
    Context,
    History,
    assert_gradient,
    backpropagate,
    central_difference,
    unique_ids,
    wrap_tuple,
)

ScalarLike: TypeAlias = "float | int | Scalar"
ScalarHistory = History
_LEAF = History()


class Scalar(Arithmetic):
    """A number, with its history and, if it is a leaf, its derivative.

    Args:
        v: the number.
        back: how it was computed; a leaf by default, a constant for None.
        name: for people.

    >>> x = Scalar(3.0)
    >>> y = x * x + 2.0 * x
    >>> y.backward()
    >>> y, x.derivative
    (Scalar(15.000000), 8.0)
    """

    __slots__ = ("data", "derivative")

    def __init__(self, v: float, back: History | None = _LEAF, name: str | None = None) -> None:
        if not isinstance(v, (int, float, np.number)) or isinstance(v, np.complexfloating):
            raise ArgumentTypeError(f"Scalar: {v!r} was given; expected a number")
        if isinstance(v, int) and v.bit_length() > 1023:
            raise ArgumentTypeError(
                "Scalar: the number is larger than any float; give a smaller one"
            )
        self.unique_id = next(unique_ids)
        self.data = float(v)
        self.history = back
        self.derivative: float | None = None
        self._name = name

    def __repr__(self) -> str:
        return f"Scalar({self.data:f})"

    def __float__(self) -> float:
        return self.data

    def __bool__(self) -> bool:
        return bool(self.data)

    # --- as a variable of the chain rule ------------------------------------------------------------

    def accumulate_derivative(self, x: Any) -> None:
        """Add to the derivative.

        Raises:
            CourseGradientError: it is no leaf.
        """
        self._check_leaf()
        self.derivative = x if self.derivative is None else self.derivative + x

    def backward(self, d_output: float | None = None) -> None:
        """Carry the derivative (1 by default) back to every leaf."""
        backpropagate(self, 1.0 if d_output is None else d_output)


# --- functions ------------------------------------------------------------------------------------------


class ScalarFunction:
    """A function of scalars. Write `forward(ctx, ...)` and `backward(ctx, d_output)` in a subclass.

    `forward` gets numbers and gives one; what `backward` needs it leaves with
    `ctx.save_for_backward`. `backward` gives the derivative by each input: one, or a tuple.

    >>> from tessella import minitorch
    >>> class Cube(ScalarFunction):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         ctx.save_for_backward(x)
    ...         return x**3
    ...
    ...     @staticmethod
    ...     def backward(ctx, d_output):
    ...         (x,) = ctx.saved_values
    ...         return 3 * x**2 * d_output
    >>> x = minitorch.Scalar(2.0)
    >>> Cube.apply(x).backward()
    >>> x.derivative
    12.0
    """

    forward: Callable[..., Any]
    backward: Callable[..., Any]

    @classmethod
    def _backward(cls, ctx: Context, d_output: float) -> tuple[Any, ...]:
        return wrap_tuple(cls.backward(ctx, d_output))

    @classmethod
    def apply(cls, *vals: Any) -> Any:
        """Apply to scalars and numbers, and remember it.

        Raises:
            ArgumentTypeError: an input is no number, or `forward` does not give one.
        """
        if not hasattr(cls, "forward"):
            raise MissingRuleError(f"{cls.__name__} has no forward; define forward(ctx, ...) in it")
        inputs = [value if isinstance(value, Scalar) else Scalar(value) for value in vals]
        ctx = Context()
        result = cls.forward(ctx, *[scalar.data for scalar in inputs])
        if not isinstance(result, (int, float, np.number)):
            raise ArgumentTypeError(
                f"{cls.__name__}.forward: gave {type(result).__name__}; expected a number"
            )
        return Scalar(float(result), History(cls, ctx, inputs))


def _function(
    name: str, meaning: Callable[..., float], derivatives: Callable[..., tuple[float, ...]]
) -> type[ScalarFunction]:
    """A function from its line in the table: derivatives(d, result, *inputs)."""

    def forward(ctx: Context, *inputs: float) -> float:
        result = meaning(*inputs)
        ctx.saved_values = (result, *inputs)
        return result

    def backward(ctx: Context, d_output: float) -> tuple[float, ...]:
        return derivatives(d_output, *ctx.saved_values)

    methods = {"forward": staticmethod(forward), "backward": staticmethod(backward)}
    documentation = f"`operators.{meaning.__name__}` of scalars."
    return type(name, (ScalarFunction,), {**methods, "__doc__": documentation})


# name, meaning, and the derivatives by x (and y), given d and the result r
Add = _function("Add", operators.add, lambda d, r, x, y: (d, d))
Mul = _function("Mul", operators.mul, lambda d, r, x, y: (d * y, d * x))
Log = _function("Log", operators.log, lambda d, r, x: (operators.log_back(x, d),))
Inv = _function("Inv", operators.inv, lambda d, r, x: (operators.inv_back(x, d),))
Neg = _function("Neg", operators.neg, lambda d, r, x: (-d,))
Sigmoid = _function("Sigmoid", operators.sigmoid, lambda d, r, x: (d * r * (1.0 - r),))
ReLU = _function("ReLU", operators.relu, lambda d, r, x: (operators.relu_back(x, d),))
Exp = _function("Exp", operators.exp, lambda d, r, x: (d * r,))
LT = _function("LT", operators.lt, lambda d, r, x, y: (0.0, 0.0))
EQ = _function("EQ", operators.eq, lambda d, r, x, y: (0.0, 0.0))

Scalar.functions = SimpleNamespace(
    Add=Add, Mul=Mul, Log=Log, Inv=Inv, Neg=Neg, Sigmoid=Sigmoid, ReLU=ReLU, Exp=Exp, LT=LT, EQ=EQ
)  # fmt: skip


def derivative_check(f: Any, *scalars: Scalar) -> None:
    """Compare the derivatives of f with central differences.

    Raises:
        AssertionError: says which argument and the numbers that differ.
    """
    out = f(*scalars) if callable(f) else None
    if not isinstance(out, Scalar):
        raise ArgumentTypeError(
            f"derivative_check: {shown(f)} gave {shown(out)}; expected a function that gives a Scalar"
        )
    out.backward()
    values = ", ".join(f"{x.data:f}" for x in scalars)
    for i, x in enumerate(scalars):
        where = f"derivative_check: {getattr(f, '__name__', f)} at ({values}), argument {i}"
        assert_gradient(where, x.derivative, central_difference(f, *scalars, arg=i).data)


__all__ = ["Scalar", "ScalarFunction", "ScalarHistory", "ScalarLike", "derivative_check"]
