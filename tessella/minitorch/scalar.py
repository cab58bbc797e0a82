"""Module 1: `Scalar`, a number that remembers how it was computed."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from tessella.arguments.kinds import shown
from tessella.errors import ArgumentTypeError
from tessella.minitorch import scalar_functions
from tessella.minitorch.arithmetic import Arithmetic
from tessella.minitorch.autodiff import (
    History,
    assert_gradient,
    backpropagate,
    central_difference,
    unique_ids,
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

    functions = scalar_functions

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


__all__ = ["Scalar", "ScalarHistory", "ScalarLike", "derivative_check"]
