"""Operators of scalars and of tensors: each applies a function of their kind, which is remembered."""

from __future__ import annotations

from typing import Any

import numpy as np

from tessella.minitorch import operators
from tessella.minitorch.autodiff import Recorded


class Arithmetic(Recorded):
    """A value with a history and with operators; numbers may stand on either side of them."""

    __slots__ = ()
    __hash__ = object.__hash__  # by identity, as == compares numbers

    functions: Any  # has the functions: Add, Mul, Log, ...

    def _ensure(self, b: Any) -> Any:
        """b as what the functions take beside a value of this kind."""
        return b

    def __add__(self, b: Any) -> Any:
        return self.functions.Add.apply(self, self._ensure(b))

    def __sub__(self, b: Any) -> Any:
        return self + -b

    def __rsub__(self, b: Any) -> Any:
        return -self + b

    def __mul__(self, b: Any) -> Any:
        return self.functions.Mul.apply(self, self._ensure(b))

    __radd__, __rmul__ = __add__, __mul__

    def __truediv__(self, b: Any) -> Any:
        if isinstance(b, (int, float, np.number)) and b:
            return self * operators.inv(b)
        return self * self.functions.Inv.apply(self._ensure(b))

    def __rtruediv__(self, b: Any) -> Any:
        return self.functions.Inv.apply(self) * b

    def __neg__(self) -> Any:
        return self.functions.Neg.apply(self)

    def __lt__(self, b: Any) -> Any:
        return self.functions.LT.apply(self, self._ensure(b))

    def __gt__(self, b: Any) -> Any:
        return self.functions.LT.apply(self._ensure(b), self)

    def __eq__(self, b: Any) -> Any:
        return self.functions.EQ.apply(self, self._ensure(b))

    def log(self) -> Any:
        return self.functions.Log.apply(self)

    def exp(self) -> Any:
        return self.functions.Exp.apply(self)

    def sigmoid(self) -> Any:
        return self.functions.Sigmoid.apply(self)

    def relu(self) -> Any:
        return self.functions.ReLU.apply(self)
