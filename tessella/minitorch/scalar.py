"""Module 1: `Scalar`, a number that remembers how it was computed."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from tessella.errors import ArgumentTypeError, GradientError
from tessella.minitorch import scalar_functions as functions
from tessella.minitorch.autodiff import Context, backpropagate, central_difference

ScalarLike: TypeAlias = "float | int | Scalar"
_numbers = itertools.count(1)


@dataclass(slots=True)
class ScalarHistory:
    """How a scalar was computed: the function, what it kept, and its inputs. A leaf has no function."""

    last_fn: type[functions.ScalarFunction] | None = None
    ctx: Context | None = None
    inputs: Sequence[Scalar] = ()


_LEAF = ScalarHistory()


class Scalar:
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

    __slots__ = ("_name", "data", "derivative", "history", "unique_id")
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

    @property
    def name(self) -> str:
        return str(self.unique_id) if self._name is None else self._name

    @name.setter
    def name(self, name: str) -> None:
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

    def requires_grad_(self, requires_grad: bool = True) -> None:
        """Be a leaf from now on, or a constant."""
        self.history = ScalarHistory() if requires_grad else None

    def accumulate_derivative(self, x: Any) -> None:
        """Add to the derivative.

        Raises:
            GradientError: it is no leaf.
        """
        if not self.is_leaf():
            raise GradientError(
                "accumulate_derivative: only leaves keep derivatives, and this scalar "
                + ("is a constant" if self.is_constant() else "was computed from others")
            )
        self.derivative = x if self.derivative is None else self.derivative + x

    def is_leaf(self) -> bool:
        """Whether it was made by the user."""
        return self.history is not None and self.history.last_fn is None

    def is_constant(self) -> bool:
        """Whether it has no history."""
        return self.history is None

    @property
    def parents(self) -> Iterable[Scalar]:
        """What it was computed from."""
        return () if self.history is None else self.history.inputs

    def chain_rule(self, d_output: Any) -> Iterable[tuple[Scalar, Any]]:
        """Each input that is no constant, with its derivative.

        Args:
            d_output: the derivative of this scalar.

        Raises:
            GradientError: it was not computed from others.
        """
        history = self.history
        if history is None or history.last_fn is None:
            raise GradientError("chain_rule: the scalar was not computed from others")
        derivatives = history.last_fn._backward(history.ctx, d_output)  # type: ignore[arg-type]
        if len(derivatives) != len(history.inputs):
            raise GradientError(
                f"{history.last_fn.__name__}.backward gave {len(derivatives)} derivatives for "
                f"{len(history.inputs)} inputs; give one for each"
            )
        pairs = zip(history.inputs, derivatives, strict=True)
        return [pair for pair in pairs if pair[0].history is not None]

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
