"""Tasks 1.1 to 1.4: numerical derivatives, and the chain rule on the course's variables.

A `Variable` is anything with a history: `Scalar`, `Tensor`, or a class of your own. Its history is
given to Tessella's tape (`tessella.autodiff`) as nodes, and that one walks it.
"""

from __future__ import annotations

import itertools
import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from tessella import autodiff
from tessella.arguments import called, public
from tessella.arguments.kinds import shown
from tessella.autodiff import Edge, Node
from tessella.errors import ArgumentError, ArgumentTypeError, CourseGradientError


def central_difference(f: Any, *vals: Any, arg: int = 0, epsilon: float = 1e-6) -> Any:
    """An approximation of the derivative of f by one of its arguments.

    Args:
        f: from numbers (or scalars) to one.
        vals: the arguments.
        arg: the number of the argument to derive by.
        epsilon: how far to go to either side.

    Source: Nocedal & Wright, *Numerical Optimization* (2006), equation 8.7.

    >>> round(central_difference(lambda x, y: x * x * y, 3.0, 2.0, arg=0), 6)
    12.0
    """
    if not callable(f):
        raise ArgumentTypeError(f"central_difference: f is {shown(f)}; expected a function")
    if not isinstance(arg, int) or not -len(vals) <= arg < len(vals):
        raise ArgumentError(
            f"central_difference: arg is {shown(arg)}; expected the number of one of {len(vals)} arguments"
        )
    if not hasattr(vals[arg], "__sub__"):
        raise ArgumentTypeError(
            f"central_difference: argument {arg} is {shown(vals[arg])}; expected a number"
        )
    if not isinstance(epsilon, (int, float)):
        raise ArgumentTypeError(
            f"central_difference: epsilon is {shown(epsilon)}; expected a number"
        )
    if epsilon == 0 or (isinstance(epsilon, int) and epsilon.bit_length() > 1000):
        raise ArgumentError(
            f"central_difference: epsilon is {shown(epsilon)}; expected a small number, not 0"
        )
    if isinstance(vals[arg], int) and vals[arg].bit_length() > 1023:
        raise ArgumentError(
            f"central_difference: argument {arg} is {shown(vals[arg])}, larger than any float; give a smaller one"
        )
    above, below = list(vals), list(vals)
    told = f"central_difference: argument {arg} is {shown(vals[arg])}; expected a number that takes floats"
    above[arg] = called(told, operator.add, vals[arg], epsilon)
    below[arg] = called(told, operator.sub, vals[arg], epsilon)
    higher, lower = f(*above), f(*below)
    if not hasattr(higher, "__truediv__"):
        raise ArgumentTypeError(f"central_difference: f gave {shown(higher)}; expected a number")
    return (higher - lower) / (2.0 * epsilon)


def assert_gradient(where: str, gradient: Any, expected: float) -> None:
    """Complain if a derivative is far from the central difference at its place.

    Raises:
        AssertionError: says where, and the numbers that differ.
    """
    message = f"{where}: the gradient is {gradient}, the central difference {expected}"
    np.testing.assert_allclose(gradient or 0.0, expected, 1e-2, 1e-2, err_msg=message)


class Variable(Protocol):
    """What the chain rule asks of a value."""

    def accumulate_derivative(self, x: Any) -> None:
        """Add to the derivative of a leaf."""

    @property
    def unique_id(self) -> int:
        """A number that no other variable has."""

    def is_leaf(self) -> bool:
        """Whether it was made by the user, and keeps its derivative."""

    def is_constant(self) -> bool:
        """Whether it has no history at all."""

    @property
    def parents(self) -> Iterable[Variable]:
        """What it was computed from."""

    def chain_rule(self, d_output: Any) -> Iterable[tuple[Variable, Any]]:
        """The variables it was computed from, each with its derivative."""


class _VariableNode(Node):
    """A variable on Tessella's tape; it is made for one backward pass."""

    __slots__ = ("inputs", "variable")

    def __init__(self, variable: Any, inputs: list[Any], edges: dict[int, Edge]) -> None:
        self.name, self.hooks = "variable", None
        self.parents = tuple([edges[x.unique_id] for x in inputs])
        self.variable, self.inputs = variable, inputs

    def pull(self, cotangents: list[Any]) -> list[Any]:
        """The derivatives of the inputs, in their order; a leaf takes its own, and has none."""
        inputs = self.inputs
        if not inputs and self.variable.is_leaf():
            self.variable.accumulate_derivative(cotangents[0])
            return []
        pairs = list(self.variable.chain_rule(cotangents[0]))
        if len(pairs) == len(inputs) and all(map(operator.is_, [x for x, _ in pairs], inputs)):
            return [derivative for _, derivative in pairs]
        found: dict[int, Any] = {}  # a class of somebody's own may give them in another order
        for x, derivative in pairs:
            before = found.get(x.unique_id)
            found[x.unique_id] = derivative if before is None else before + derivative
        return [found.pop(x.unique_id, None) for x in inputs]

    def release(self) -> None:
        """Nothing to forget: variables keep their histories."""


def _tape(variable: Any) -> list[Any]:
    """The nodes of a variable and of all it was computed from, each before its inputs.

    Iterative, because histories are long.
    """
    edges: dict[int, Edge] = {}
    waiting: list[tuple[Any, Any]] = [(variable, None)]
    while waiting:
        current, inputs = waiting.pop()
        identity = current.unique_id
        if identity in edges:
            continue
        if inputs is not None:
            edges[identity] = (_VariableNode(current, inputs, edges), 0)
        elif current.is_leaf():
            edges[identity] = (_VariableNode(current, [], edges), 0)
        else:
            inputs = [x for x in current.parents if not x.is_constant()]
            waiting.append((current, inputs))
            waiting += [(x, None) for x in inputs if x.unique_id not in edges]
    return [node for node, _ in reversed(edges.values())]


def _require_variable(name: str, variable: Any) -> None:
    if not hasattr(variable, "is_constant") or not hasattr(variable, "unique_id"):
        raise ArgumentTypeError(
            f"{name}: {shown(variable)} was given; expected a Scalar, a Tensor, or what has a history like them"
        )


def topological_sort(variable: Variable) -> list[Any]:
    """All variables that are not constant, each before what it was computed from."""
    _require_variable("topological_sort", variable)
    return [] if variable.is_constant() else [node.variable for node in _tape(variable)]


def backpropagate(variable: Variable, deriv: Any) -> None:
    """Carry a derivative back to every leaf, which accumulates it.

    Args:
        variable: where to begin.
        deriv: the derivative there.
    """
    _require_variable("backpropagate", variable)
    if not variable.is_constant():
        order = _tape(variable)
        autodiff.backward([((order[0], 0), deriv)], order=order)


@dataclass(slots=True)
class Context:
    """What the forward pass of a function keeps for its backward pass.

    >>> context = Context()
    >>> context.save_for_backward(1.0, 2.0)
    >>> context.saved_values
    (1.0, 2.0)
    """

    no_grad: bool = False
    saved_values: tuple[Any, ...] = ()
    wanted: tuple[bool, ...] = ()  # which inputs need a gradient, if that is known

    def save_for_backward(self, *values: Any) -> None:
        """Keep values, if there will be a backward pass."""
        if not self.no_grad:
            self.saved_values = values

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """The values that were kept."""
        return self.saved_values


@dataclass(slots=True)
class History:
    """How a value was computed: the function, what it kept, and its inputs. A leaf has no function."""

    last_fn: Any = None
    ctx: Context | None = None
    inputs: Sequence[Any] = ()


def wrap_tuple(x: Any) -> tuple[Any, ...]:
    """x as a tuple: several values, or the only one."""
    return x if isinstance(x, tuple) else (x,)


unique_ids = itertools.count(1)


class Recorded:
    """What scalars and tensors have in common as variables: a history, a number and a name."""

    __slots__ = ("_name", "history", "unique_id")

    history: History | None
    unique_id: int
    _name: str | None

    @property
    def name(self) -> str:
        return str(self.unique_id) if self._name is None else self._name

    @name.setter
    def name(self, name: str) -> None:
        self._name = name

    @public
    def requires_grad_(self, requires_grad: bool = True) -> None:
        """Be a leaf from now on, or a constant."""
        self.history = History() if requires_grad else None

    def is_leaf(self) -> bool:
        """Whether it was made by the user, and keeps its derivative."""
        return self.history is not None and self.history.last_fn is None

    def is_constant(self) -> bool:
        """Whether it has no history."""
        return self.history is None

    @property
    def parents(self) -> list[Any]:
        """What it was computed from."""
        if self.history is None:
            return []
        return [x for x in self.history.inputs if isinstance(x, Recorded)]

    def _check_leaf(self) -> None:
        if not self.is_leaf():
            raise CourseGradientError(
                f"accumulate_derivative: only leaves keep derivatives, and this {type(self).__name__} "
                + ("is a constant" if self.is_constant() else "was computed from others")
            )

    def chain_rule(self, d_output: Any) -> list[tuple[Any, Any]]:
        """Each input that is no constant, with its derivative.

        Args:
            d_output: the derivative of this value.

        Raises:
            CourseGradientError: it was not computed from others, or its function gives too few derivatives.
        """
        history = self.history
        if history is None or history.last_fn is None:
            raise CourseGradientError(
                f"chain_rule: the {type(self).__name__} was not computed from others"
            )
        found = history.last_fn._backward(history.ctx, d_output)
        if len(found) != len(history.inputs):
            raise CourseGradientError(
                f"{history.last_fn.__name__}.backward gave {len(found)} derivatives for "
                f"{len(history.inputs)} inputs; give one for each (0.0 where there is none)"
            )
        pairs = zip(history.inputs, found, strict=True)
        return [pair for pair in pairs if getattr(pair[0], "history", None) is not None]


__all__ = [
    "Context", "History", "Recorded", "Variable", "backpropagate", "central_difference",
    "topological_sort",
]  # fmt: skip
