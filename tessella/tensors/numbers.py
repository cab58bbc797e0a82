"""Python numbers that a compiled function is given: inputs of the program, not parts of it.

A float among the arguments of a compiled function is a `TracedNumber` while the function is traced. It
counts with other numbers as Python does, in float64, and takes the dtype of the tensors it meets, as a
Python float would. All of that is recorded, so the program serves every value.

Where a function asks for the value itself (`if rate > 0`, `math.sqrt(rate)`, `float(rate)`), it is told,
and the trace remembers that it asked: then the program serves this value only.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tessella import autodiff, dtypes
from tessella.dtypes import as_dtype
from tessella.sizes import Size
from tessella.tensors.tensor import Tensor
from tessella.tensors.tracing import Trace, is_open, user_line
from tessella.tracing.guards import Source

_mode = autodiff._mode
_NUMBERS = (bool, int, float)


class TracedNumber:
    """A float whose value is known and recorded.

    Args:
        value: what it is in this call.
        tensor: what stands for it in the graph, a float64 (or int64) of no dimensions.
        sources: the numbers of the arguments it was computed from, sizes, and places outside.
        again: computes it in Python, from the floats among the arguments of another call.
    """

    __slots__ = ("_value", "again", "sources", "tensor", "trace")

    def __init__(
        self,
        trace: Trace,
        value: float,
        tensor: Tensor,
        sources: frozenset[int | Size | Source],
        again: Callable[[Sequence[float]], Any],
    ) -> None:
        self.trace = trace
        self._value = value
        self.tensor = tensor
        self.sources = sources
        self.again = again

    def look(self) -> float:
        """The value; from now on the program is right for this value only."""
        if self.trace.active:
            where = user_line()
            for source in self.sources:
                if isinstance(source, Size):
                    operator.index(source)  # leaves a guard
                elif isinstance(source, Source):
                    self.trace.looked_outside.setdefault(source.id, where)
                else:
                    self.trace.looked.setdefault(source, where)
        return self._value

    def __tessella_operand__(self, like: Tensor | None) -> Tensor | float:
        """What stands for it beside a tensor: another tensor; or a number, if the trace has ended."""
        if not is_open(self.trace):
            return self._value
        kind = as_dtype(type(self._value))
        if like is not None:
            kind = dtypes.python_scalar_dtype(self._value, like.dtype)
        if kind.is_integer and kind is not dtypes.int64:
            return self.look()  # whether it fits must be known
        return self.tensor.astype(kind)

    # --- counting ---------------------------------------------------------------------------------

    def _with(self, other: Any, function: Callable[[Any, Any], Any], swapped: bool = False) -> Any:
        if isinstance(other, Tensor):
            return NotImplemented  # the tensor does it
        if isinstance(other, Size):
            other = other._number()
        theirs: Any = other
        sources, mine_again, theirs_again = self.sources, self.again, _constantly(other)
        if type(other) is TracedNumber and other.trace is self.trace:
            theirs_again = other.again
            theirs, other, sources = other._value, other.tensor, sources | other.sources
        elif type(other) not in _NUMBERS or not is_open(self.trace):
            mine = self.look()
            return function(other, mine) if swapped else function(mine, other)
        if swapped:
            value, tensor = function(theirs, self._value), function(other, self.tensor)
            mine_again, theirs_again = theirs_again, mine_again
        else:
            value, tensor = function(self._value, theirs), function(self.tensor, other)
        again = functools.partial(_both, function, mine_again, theirs_again)
        return TracedNumber(self.trace, value, _of_kind(tensor, value), sources, again)

    def __add__(self, other: Any) -> Any:
        return self._with(other, operator.add)

    def __radd__(self, other: Any) -> Any:
        return self._with(other, operator.add, swapped=True)

    def __sub__(self, other: Any) -> Any:
        return self._with(other, operator.sub)

    def __rsub__(self, other: Any) -> Any:
        return self._with(other, operator.sub, swapped=True)

    def __mul__(self, other: Any) -> Any:
        return self._with(other, operator.mul)

    def __rmul__(self, other: Any) -> Any:
        return self._with(other, operator.mul, swapped=True)

    def __truediv__(self, other: Any) -> Any:
        return self._with(other, operator.truediv)

    def __rtruediv__(self, other: Any) -> Any:
        return self._with(other, operator.truediv, swapped=True)

    def __neg__(self) -> TracedNumber:
        return self._of_one(operator.neg)

    def __pos__(self) -> TracedNumber:
        return self

    def __abs__(self) -> TracedNumber:
        return self._of_one(abs)

    def _of_one(self, function: Callable[[Any], Any]) -> TracedNumber:
        again = functools.partial(_one, function, self.again)
        value, tensor = function(self._value), function(self.tensor)
        return TracedNumber(self.trace, value, tensor, self.sources, again)

    # --- asking for the value ---------------------------------------------------------------------

    def __float__(self) -> float:
        return self.look()

    def __int__(self) -> int:
        return int(self.look())

    def __index__(self) -> int:
        return operator.index(self.look())  # type: ignore[arg-type]

    def __complex__(self) -> complex:
        return complex(self.look())

    def __bool__(self) -> bool:
        return bool(self.look())

    def __round__(self, digits: int | None = None) -> Any:
        return round(self.look(), digits)

    def __trunc__(self) -> int:
        return math.trunc(self.look())

    def __floor__(self) -> int:
        return math.floor(self.look())

    def __ceil__(self) -> int:
        return math.ceil(self.look())

    def __repr__(self) -> str:
        return repr(self.look())

    def __format__(self, specification: str) -> str:
        return format(self.look(), specification)

    def __hash__(self) -> int:
        return hash(self.look())

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        return np.asarray(self.look(), dtype)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # what libraries look for in objects of their own
            raise AttributeError(f"a number in a traced function has no {name}")
        return getattr(self.look(), name)  # is_integer, hex, real, ...


def _constantly(value: Any) -> Callable[[Sequence[float]], Any]:
    return lambda given: value


def _both(function: Any, mine: Any, theirs: Any, given: Sequence[float]) -> Any:
    return function(mine(given), theirs(given))


def _one(function: Any, mine: Any, given: Sequence[float]) -> Any:
    return function(mine(given))


def _of_kind(tensor: Tensor, value: Any) -> Tensor:
    """What stands for a number, in the dtype in which Python counts."""
    kind = dtypes.int64 if type(value) is int else dtypes.float64
    return tensor.astype(kind)


def _asking(name: str) -> Callable[..., Any]:
    """An operator that needs the values."""
    function = getattr(operator, name)

    def method(self: TracedNumber, other: Any) -> Any:
        if isinstance(other, Tensor):
            return NotImplemented
        theirs = other.look() if type(other) is TracedNumber else other
        return function(self.look(), theirs)

    return method


def _asking_swapped(name: str) -> Callable[..., Any]:
    function = getattr(operator, name)

    def method(self: TracedNumber, other: Any) -> Any:
        return NotImplemented if isinstance(other, Tensor) else function(other, self.look())

    return method


for _name in ("lt", "le", "gt", "ge", "eq", "ne", "pow", "floordiv", "mod"):
    setattr(TracedNumber, f"__{_name}__", _asking(_name))
for _name in ("pow", "floordiv", "mod"):
    setattr(TracedNumber, f"__r{_name}__", _asking_swapped(_name))
