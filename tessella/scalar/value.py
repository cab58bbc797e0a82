"""`Scalar`: a number that remembers how it was computed (Module 1 of the course).

It uses the same tape and chain rule as tensors (`tessella.autodiff`), one number at a time.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import Any

from tessella import autodiff, dtypes
from tessella.arguments.kinds import shown
from tessella.autodiff import Leaf, Node
from tessella.errors import ArgumentError, ArgumentTypeError, GradientError
from tessella.scalar import mathematics, operators
from tessella.scalar.expression import Operator, applied, constant


class Scalar:
    """A number, with its gradient and its history.

    >>> x = Scalar(3.0)
    >>> y = x * x + 2.0 * x
    >>> y.backward()
    >>> y.data, x.grad
    (15.0, 8.0)
    """

    __slots__ = ("__weakref__", "_node", "data", "grad", "operator")

    data: float
    grad: float | None

    def __init__(self, data: float, requires_grad: bool = True) -> None:
        if isinstance(data, bool) or not isinstance(data, (int, float)):
            raise ArgumentTypeError(f"Scalar: {shown(data)} was given; expected a number")
        if isinstance(data, int) and data.bit_length() > 1023:
            raise ArgumentError("Scalar: the number is larger than any float; give a smaller one")
        if requires_grad is not True and requires_grad is not False:
            raise ArgumentTypeError(
                f"Scalar: requires_grad is a {type(requires_grad).__name__}; expected True or False"
            )
        self.data = float(data)
        self.grad = None
        self.operator: Operator | None = None
        self._node: Node | None = _leaf(self) if requires_grad else None

    def __repr__(self) -> str:
        made_by = f", operator={self.operator.name}" if self.operator else ""
        return f"Scalar({self.data}{made_by})"

    @property
    def requires_grad(self) -> bool:
        return self._node is not None

    @property
    def is_leaf(self) -> bool:
        """Whether it was made by the user."""
        return self._node is None or isinstance(self._node, Leaf)

    def detach(self) -> Scalar:
        """The same number without history."""
        return Scalar(self.data, requires_grad=False)

    def backward(self, gradient: float = 1.0, retain_graph: bool = False) -> None:
        """Add the gradient of this number to `grad` of every leaf it was computed from.

        Raises:
            GradientError: it has no history, or the history is gone.
        """
        if self._node is None:
            raise GradientError(
                "backward: the scalar has no history; make its inputs with Scalar(value)"
            )
        autodiff.backward([((self._node, 0), float(gradient))], retain_graph)

    def __tessella_scalar__(self, operator: Operator, operands: Sequence[Any]) -> Scalar:
        return apply_operator(operator, operands)

    def __float__(self) -> float:
        return self.data

    def __bool__(self) -> bool:
        return bool(self.data)

    def __hash__(self) -> int:
        return id(self)


def apply_operator(operator: Operator, operands: Sequence[Any]) -> Scalar:
    """Apply an operator to scalars and numbers, and remember it."""
    scalars = [x if isinstance(x, Scalar) else Scalar(x, requires_grad=False) for x in operands]
    numbers = tuple(constant(x.data, dtypes.float64) for x in scalars)
    result = Scalar(float(applied(operator, numbers).number()), requires_grad=False)
    if autodiff.is_enabled() and any(x.requires_grad for x in scalars):
        result.operator = operator
        parents = tuple(None if x._node is None else (x._node, 0) for x in scalars)

        def pullback(cotangents: list[Any]) -> list[float | None]:
            """The chain rule: each operand's partial derivative times the gradient."""
            partials = _partials(operator, numbers)
            return [None if p is None else cotangents[0] * p for p in partials]

        result._node = Node(operator.name, parents, pullback)
    return result


def _partials(operator: Operator, numbers: tuple[Any, ...]) -> list[float | None]:
    if operator.partials is None:
        return [None] * len(numbers)
    found = operator.partials(applied(operator, numbers), *numbers)
    return [None if p is None else float(constant(p).number()) for p in found]


def _leaf(scalar: Scalar) -> Leaf:
    reference = weakref.ref(scalar)

    def accumulate(gradient: float) -> None:
        target = reference()
        if target is not None:
            target.grad = gradient if target.grad is None else target.grad + gradient

    return Leaf(accumulate)


def _method(operator: Operator, swapped: bool = False) -> Callable[..., Any]:
    def method(self: Scalar, *others: Any) -> Any:
        if not all(isinstance(other, (Scalar, int, float)) for other in others):
            return NotImplemented
        operands = (self, *others)
        return apply_operator(operator, operands[::-1] if swapped else operands)

    return method


def _give_operators() -> None:
    """The operators of Python, from the table of scalar operators."""
    both = {
        "add": operators.add, "sub": operators.subtract, "mul": operators.multiply,
        "truediv": operators.divide, "floordiv": operators.floor_divide,
        "mod": operators.remainder, "pow": mathematics.pow,
    }  # fmt: skip
    for name, operator in both.items():
        setattr(Scalar, f"__{name}__", _method(operator))
        setattr(Scalar, f"__r{name}__", _method(operator, swapped=True))
    one_way = {
        "lt": operators.less, "le": operators.less_equal, "gt": operators.greater,
        "ge": operators.greater_equal, "eq": operators.equal, "ne": operators.not_equal,
        "neg": operators.negative, "abs": operators.absolute,
    }  # fmt: skip
    for name, operator in one_way.items():
        setattr(Scalar, f"__{name}__", _method(operator))
    for name in ("exp", "log", "sigmoid", "relu", "tanh", "sin", "cos"):
        setattr(Scalar, name, _method(getattr(mathematics, name)))
    Scalar.sqrt = _method(operators.sqrt)  # type: ignore[attr-defined]


_give_operators()
