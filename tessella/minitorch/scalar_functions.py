"""Tasks 1.2 and 1.4: functions of scalars, forward and backward.

The ten functions of the course are a table, like one of derivatives: a line gives a function's
meaning and its derivatives. `tests/minitorch/test_scalar.py` holds each line against the derivative
that Tessella finds by itself from the function's source.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import tessella.minitorch.scalar as scalars  # which imports this module, too
from tessella.errors import ArgumentTypeError, MissingRuleError
from tessella.minitorch import operators
from tessella.minitorch.autodiff import Context, History


def wrap_tuple(x: Any) -> tuple[Any, ...]:
    """x as a tuple: several values, or the only one."""
    return x if isinstance(x, tuple) else (x,)


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
        Scalar = scalars.Scalar
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

__all__ = [
    "EQ", "LT", "Add", "Exp", "Inv", "Log", "Mul", "Neg", "ReLU", "ScalarFunction", "Sigmoid",
    "wrap_tuple",
]  # fmt: skip
