"""Operators: what `x + y`, `x @ y`, `x[i]`, `x < y` and `for row in x` do."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

from tessella.errors import ArgumentTypeError
from tessella.primitives.elementwise import elementwise
from tessella.primitives.monoid import SUM
from tessella.primitives.reduce import Reduce
from tessella.tensors.elementwise import power, round
from tessella.tensors.linear import matmul
from tessella.tensors.methods.method import Method
from tessella.tensors.methods.uses import check_unpacked
from tessella.tensors.operands import ARRAYS, Operand, binary, compare, scalar_beside
from tessella.tensors.tensor import Tensor, another_handle, apply

_ADD, _SUBTRACT = elementwise("add"), elementwise("subtract")
_MULTIPLY, _DIVIDE = elementwise("multiply"), elementwise("divide")


def _operator(name: str) -> Callable[..., Tensor]:
    primitive = elementwise(name)
    return lambda self, other: binary(primitive, self, other)


def _swapped(name: str) -> Callable[..., Tensor]:
    """Of the tensor on the right."""
    primitive = elementwise(name)
    return lambda self, other: binary(primitive, other, self)


def _comparison(name: str) -> Callable[..., Tensor]:
    return lambda self, other: compare(name, self, other)


class Operators:
    """Python's operators. The commonest are written out for two tensors: one call less, of the few that they take."""

    __slots__ = ()

    __getitem__: Method[Tensor] = Method("indexing", "get_item")
    __hash__ = object.__hash__  # by identity, as == compares elements

    def __len__(self: Any) -> int:
        if not self.shape:
            raise ArgumentTypeError("len: a zero-dimensional tensor has no length")
        return self.shape[0]

    def __tessella_zero__(self: Any) -> Tensor:
        """A zero of this tensor's dtype."""
        return scalar_beside(False if self.dtype.is_bool else 0, self._value.layout)

    def __tessella_sum__(self: Any, axes: tuple[int, ...]) -> Tensor:
        """The sum over some axes."""
        return apply(Reduce(SUM, axes), (self,))

    def __add__(self: Any, other: Operand) -> Tensor:
        if type(other) is Tensor:
            return apply(_ADD, (self, other))
        return binary(_ADD, self, other)

    __radd__ = _swapped("add")

    def __sub__(self: Any, other: Operand) -> Tensor:
        if type(other) is Tensor:
            return apply(_SUBTRACT, (self, other))
        return binary(_SUBTRACT, self, other)

    __rsub__ = _swapped("subtract")

    def __mul__(self: Any, other: Operand) -> Tensor:
        if type(other) is Tensor:
            return apply(_MULTIPLY, (self, other))
        return binary(_MULTIPLY, self, other)

    __rmul__ = _swapped("multiply")

    def __truediv__(self: Any, other: Operand) -> Tensor:
        if type(other) is Tensor:
            return apply(_DIVIDE, (self, other))
        return binary(_DIVIDE, self, other)

    __rtruediv__ = _swapped("divide")

    __floordiv__, __rfloordiv__ = _operator("floor_divide"), _swapped("floor_divide")
    __mod__, __rmod__ = _operator("remainder"), _swapped("remainder")

    def __pow__(self: Any, other: Operand) -> Tensor:
        return power(self, other)

    def __rpow__(self: Any, other: Operand) -> Tensor:
        return power(other, self)

    def __matmul__(self: Any, other: Any) -> Tensor:
        return matmul(self, other) if isinstance(other, ARRAYS) else NotImplemented

    def __rmatmul__(self: Any, other: Any) -> Tensor:
        return matmul(other, self) if isinstance(other, ARRAYS) else NotImplemented

    __and__, __rand__ = _operator("bitwise_and"), _swapped("bitwise_and")
    __or__, __ror__ = _operator("bitwise_or"), _swapped("bitwise_or")
    __xor__, __rxor__ = _operator("bitwise_xor"), _swapped("bitwise_xor")
    __lshift__, __rlshift__ = _operator("left_shift"), _swapped("left_shift")
    __rshift__, __rrshift__ = _operator("right_shift"), _swapped("right_shift")
    __lt__ = _comparison("less")
    __le__ = _comparison("less_equal")
    __gt__ = _comparison("greater")
    __ge__ = _comparison("greater_equal")
    __eq__ = _comparison("equal")  # type: ignore[assignment]
    __ne__ = _comparison("not_equal")  # type: ignore[assignment]

    def __neg__(self: Any) -> Tensor:
        return apply(elementwise("negative"), (self,))

    def __pos__(self: Any) -> Tensor:
        return another_handle(self)

    def __round__(self: Any, decimals: int | None = None) -> Tensor:
        """Python's `round`: whole numbers or decimal places, halves to even, in the tensor's dtype."""
        return round(self, 0 if decimals is None else decimals)

    def __divmod__(self: Any, other: Operand) -> tuple[Tensor, Tensor]:
        return self // other, self % other

    def __rdivmod__(self: Any, other: Operand) -> tuple[Tensor, Tensor]:
        return other // self, other % self

    def __abs__(self: Any) -> Tensor:
        return apply(elementwise("absolute"), (self,))

    def __invert__(self: Any) -> Tensor:
        return apply(elementwise("bitwise_invert"), (self,))

    def __iter__(self: Any) -> Iterator[Tensor]:
        if not self.shape:
            raise ArgumentTypeError("a zero-dimensional tensor cannot be iterated over")
        check_unpacked(sys._getframe(1), self.shape)
        return (self[i] for i in range(self.shape[0]))

    def __contains__(self: Any, value: object) -> bool:
        same = self == value
        return isinstance(same, Tensor) and bool(same.any())
