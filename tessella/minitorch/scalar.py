"""Module 1: `Scalar`, a number that remembers how it was computed."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any, TypeAlias

import numpy as np

from tessella.errors import ArgumentTypeError
from tessella.minitorch import scalar_functions as functions
from tessella.minitorch.autodiff import History, Recorded, backpropagate, central_difference

ScalarLike: TypeAlias = "float | int | Scalar"
_numbers = itertools.count(1)


ScalarHistory = History
_LEAF = ScalarHistory()


class Scalar(Recorded):
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
    __hash__ = object.__hash__  # by identity, as == compares numbers

    def __init__(
        self, v: float, back: ScalarHistory | None = _LEAF, name: str | None = None
    ) -> None:
        if not isinstance(v, (int, float, np.number)):
            raise ArgumentTypeError(f"Scalar: {v!r} was given; expected a number")
        self.unique_id = next(_numbers)
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

    def __add__(self, b: ScalarLike) -> Scalar:
        return functions.Add.apply(self, b)

    def __radd__(self, b: ScalarLike) -> Scalar:
        return functions.Add.apply(b, self)

    def __sub__(self, b: ScalarLike) -> Scalar:
        return functions.Add.apply(self, -b)

    def __rsub__(self, b: ScalarLike) -> Scalar:
        return functions.Add.apply(b, -self)

    def __mul__(self, b: ScalarLike) -> Scalar:
        return functions.Mul.apply(self, b)

    def __rmul__(self, b: ScalarLike) -> Scalar:
        return functions.Mul.apply(b, self)

    def __truediv__(self, b: ScalarLike) -> Scalar:
        return functions.Mul.apply(self, functions.Inv.apply(b))

    def __rtruediv__(self, b: ScalarLike) -> Scalar:
        return functions.Mul.apply(b, functions.Inv.apply(self))

    def __neg__(self) -> Scalar:
        return functions.Neg.apply(self)

    def __lt__(self, b: ScalarLike) -> Scalar:
        return functions.LT.apply(self, b)

    def __gt__(self, b: ScalarLike) -> Scalar:
        return functions.LT.apply(b, self)

    def __eq__(self, b: ScalarLike) -> Scalar:  # type: ignore[override]
        return functions.EQ.apply(self, b)

    def log(self) -> Scalar:
        return functions.Log.apply(self)

    def exp(self) -> Scalar:
        return functions.Exp.apply(self)

    def sigmoid(self) -> Scalar:
        return functions.Sigmoid.apply(self)

    def relu(self) -> Scalar:
        return functions.ReLU.apply(self)

    # --- as a variable of the chain rule ------------------------------------------------------------

    def accumulate_derivative(self, x: Any) -> None:
        """Add to the derivative.

        Raises:
            GradientError: it is no leaf.
        """
        self._check_leaf()
        self.derivative = x if self.derivative is None else self.derivative + x

    def chain_rule(self, d_output: Any) -> Iterable[tuple[Scalar, Any]]:
        """Each input that is no constant, with its derivative.

        Args:
            d_output: the derivative of this scalar.

        Raises:
            GradientError: it was not computed from others, or its function gives too few derivatives.
        """
        return self._pulled(d_output)

    def backward(self, d_output: float | None = None) -> None:
        """Carry the derivative (1 by default) back to every leaf."""
        backpropagate(self, 1.0 if d_output is None else d_output)


def derivative_check(f: Any, *scalars: Scalar) -> None:
    """Compare the derivatives of f with central differences.

    Raises:
        AssertionError: says which argument and the numbers that differ.
    """
    out = f(*scalars)
    out.backward()
    values = ", ".join(f"{x.data:f}" for x in scalars)
    for i, x in enumerate(scalars):
        expected = central_difference(f, *scalars, arg=i).data
        message = (
            f"derivative_check: {getattr(f, '__name__', f)} at ({values}), argument {i}: the "
            f"derivative is {x.derivative}, the central difference {expected}"
        )
        found = 0.0 if x.derivative is None else x.derivative
        np.testing.assert_allclose(found, expected, 1e-2, 1e-2, err_msg=message)


__all__ = ["Scalar", "ScalarHistory", "ScalarLike", "derivative_check"]
