"""Tasks 1.1 to 1.4: numerical derivatives, and the chain rule on the course's variables.

A `Variable` is anything with a history: `Scalar`, `Tensor`, or a class of your own. Its history is
given to Tessella's tape (`tessella.autodiff`) as nodes, and that one walks it.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from tessella import autodiff
from tessella.autodiff import Leaf, Node


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
    above, below = list(vals), list(vals)
    above[arg] = vals[arg] + epsilon
    below[arg] = vals[arg] - epsilon
    return (f(*above) - f(*below)) / (2.0 * epsilon)


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
    """A variable on Tessella's tape."""

    __slots__ = ("variable",)

    def __init__(self, variable: Any, parents: dict[int, Node]) -> None:
        pullback = functools.partial(_pull, variable, parents)
        edges = tuple([(node, 0) for node in parents.values()])
        super().__init__(type(variable).__name__, edges, pullback)
        self.variable = variable


def _pull(variable: Any, parents: dict[int, Node], cotangents: list[Any]) -> list[Any]:
    """The derivatives of the parents; one that is used twice gets the sum."""
    found: dict[int, Any] = dict.fromkeys(parents)
    for parent, derivative in variable.chain_rule(cotangents[0]):
        place = parent.unique_id
        if place in found:
            before = found[place]
            found[place] = derivative if before is None else before + derivative
    return list(found.values())


class _VariableLeaf(Leaf):
    """A leaf, which takes its derivative itself."""

    __slots__ = ("variable",)

    def __init__(self, variable: Any) -> None:
        super().__init__(variable.accumulate_derivative)
        self.variable = variable


def _tape(variable: Any) -> Node:
    """The node of a variable, with those of all it was computed from. Iterative: histories are long."""
    nodes: dict[int, Node] = {}
    waiting: list[tuple[Any, Any]] = [(variable, None)]
    while waiting:
        current, parents = waiting.pop()
        identity = current.unique_id
        if identity in nodes:
            continue
        if parents is not None:
            nodes[identity] = _VariableNode(current, {i: nodes[i] for i in parents})
        elif current.is_leaf():
            nodes[identity] = _VariableLeaf(current)
        else:
            parents = {p.unique_id: p for p in current.parents if not p.is_constant()}
            waiting.append((current, parents))
            waiting += [(parent, None) for i, parent in parents.items() if i not in nodes]
    return nodes[variable.unique_id]


def topological_sort(variable: Variable) -> list[Any]:
    """All variables that are not constant, each before what it was computed from."""
    if variable.is_constant():
        return []
    return [node.variable for node in autodiff._topological([_tape(variable)])]  # type: ignore[attr-defined]


def backpropagate(variable: Variable, deriv: Any) -> None:
    """Carry a derivative back to every leaf, which accumulates it.

    Args:
        variable: where to begin.
        deriv: the derivative there.
    """
    if not variable.is_constant():
        autodiff.backward([((_tape(variable), 0), deriv)])


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


__all__ = ["Context", "Variable", "backpropagate", "central_difference", "topological_sort"]
