"""Operators: what `x + y`, `x @ y`, `x[i]`, `x < y` and `for row in x` do."""

from __future__ import annotations

import sys
from collections.abc import Iterator
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

    def __radd__(self: Any, other: Operand) -> Tensor:
        return binary(_ADD, other, self)

    def __sub__(self: Any, other: Operand) -> Tensor:
        if type(other) is Tensor:
            return apply(_SUBTRACT, (self, other))
        return binary(_SUBTRACT, self, other)

    def __rsub__(self: Any, other: Operand) -> Tensor:
        return binary(_SUBTRACT, other, self)

    def __mul__(self: Any, other: Operand) -> Tensor:
        if type(other) is Tensor:
            return apply(_MULTIPLY, (self, other))
        return binary(_MULTIPLY, self, other)

    def __rmul__(self: Any, other: Operand) -> Tensor:
        return binary(_MULTIPLY, other, self)

    def __truediv__(self: Any, other: Operand) -> Tensor:
        if type(other) is Tensor:
            return apply(_DIVIDE, (self, other))
        return binary(_DIVIDE, self, other)

    def __rtruediv__(self: Any, other: Operand) -> Tensor:
        return binary(_DIVIDE, other, self)

    def __floordiv__(self: Any, other: Operand) -> Tensor:
        return binary(elementwise("floor_divide"), self, other)

    def __rfloordiv__(self: Any, other: Operand) -> Tensor:
        return binary(elementwise("floor_divide"), other, self)

    def __mod__(self: Any, other: Operand) -> Tensor:
        return binary(elementwise("remainder"), self, other)

    def __rmod__(self: Any, other: Operand) -> Tensor:
        return binary(elementwise("remainder"), other, self)

    def __pow__(self: Any, other: Operand) -> Tensor:
        return power(self, other)

    def __rpow__(self: Any, other: Operand) -> Tensor:
        return binary(elementwise("pow"), other, self)

    def __matmul__(self: Any, other: Any) -> Tensor:
        return matmul(self, other) if isinstance(other, ARRAYS) else NotImplemented

    def __rmatmul__(self: Any, other: Any) -> Tensor:
        return matmul(other, self) if isinstance(other, ARRAYS) else NotImplemented

    def __and__(self: Any, other: Operand) -> Tensor:
        return binary(elementwise("bitwise_and"), self, other)

    def __rand__(self: Any, other: Operand) -> Tensor:
        return binary(elementwise("bitwise_and"), other, self)

    def __or__(self: Any, other: Operand) -> Tensor:
        return binary(elementwise("bitwise_or"), self, other)

    def __ror__(self: Any, other: Operand) -> Tensor:
        return binary(elementwise("bitwise_or"), other, self)

    def __xor__(self: Any, other: Operand) -> Tensor:
        return binary(elementwise("bitwise_xor"), self, other)

    def __rxor__(self: Any, other: Operand) -> Tensor:
        return binary(elementwise("bitwise_xor"), other, self)

    def __lshift__(self: Any, other: Operand) -> Tensor:
        return binary(elementwise("left_shift"), self, other)

    def __rlshift__(self: Any, other: Operand) -> Tensor:
        return binary(elementwise("left_shift"), other, self)

    def __rshift__(self: Any, other: Operand) -> Tensor:
        return binary(elementwise("right_shift"), self, other)

    def __rrshift__(self: Any, other: Operand) -> Tensor:
        return binary(elementwise("right_shift"), other, self)

    def __lt__(self: Any, other: Operand) -> Tensor:
        return compare("less", self, other)

    def __le__(self: Any, other: Operand) -> Tensor:
        return compare("less_equal", self, other)

    def __gt__(self: Any, other: Operand) -> Tensor:
        return compare("greater", self, other)

    def __ge__(self: Any, other: Operand) -> Tensor:
        return compare("greater_equal", self, other)

    def __eq__(self: Any, other: object) -> Tensor:  # type: ignore[override]
        return compare("equal", self, other)

    def __ne__(self: Any, other: object) -> Tensor:  # type: ignore[override]
        return compare("not_equal", self, other)

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
