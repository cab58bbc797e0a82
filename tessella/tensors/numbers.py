"""Python numbers that a compiled function is given: inputs of the program, not parts of it.

A float among the arguments of a compiled function is a `TracedNumber` while the function is traced. It
counts with other numbers as Python does, in float64, and takes the dtype of the tensors it meets, as a
Python float would. NumPy's float64 is one of Python's floats; its float32 and float16 keep their dtype, among
numbers by NumPy's rules and beside tensors as tensors do. All of that is recorded, so the program serves every value.

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
from tessella.dtypes import DType, as_dtype
from tessella.sizes.size import Size
from tessella.tensors.surroundings import default_float
from tessella.tensors.tensor import Tensor
from tessella.tracing.guards import Source
from tessella.tracing.lines import user_line
from tessella.tracing.trace import Trace, is_open

_mode = autodiff.mode
# what a program takes as an input that is given anew for every call, in words
FLOATS: dict[type, str] = {
    float: "a float",
    np.float64: "a NumPy float64",
    np.float32: "a NumPy float32",
    np.float16: "a NumPy float16",
}
_NUMBERS = (bool, int, *FLOATS)


def number_dtype(value: Any) -> DType:
    """The dtype in which a number is counted with: that of NumPy's own, float64 or int64 for Python's."""
    if _keeps_dtype(value):
        return as_dtype(type(value))
    return dtypes.int64 if type(value) is int else dtypes.float64


def _keeps_dtype(value: Any) -> bool:
    """Whether a number has a dtype of its own beside a tensor, too."""
    return isinstance(value, np.generic) and not isinstance(value, float)


class TracedNumber:
    """A float whose value is known and recorded.

    Args:
        value: what it is in this call.
        tensor: what stands for it in the graph, of no dimensions and of the dtype it is counted with in.
        sources: the numbers of the arguments it was computed from, sizes, and places outside.
        again: computes it in Python, from the floats among the arguments of another call.
    """

    __slots__ = ("_value", "again", "sources", "tensor", "trace")
    __array_priority__ = 1000  # NumPy's numbers and arrays leave mixed operations to it

    def __init__(
        self, trace: Trace, value: float, tensor: Tensor, sources: frozenset[int | Size | Source],
        again: Callable[[Sequence[float]], Any],
    ) -> None:  # fmt: skip
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
        if _keeps_dtype(self._value):
            return self.tensor
        kind = default_float() if type(self._value) is float else as_dtype(type(self._value))
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
            other = other.as_number()
        theirs: Any = other
        sources, mine_again, theirs_again = self.sources, self.again, _constantly(other)
        if type(other) is TracedNumber and other.trace is self.trace:
            theirs_again = other.again
            theirs, other, sources = other._value, other.tensor, sources | other.sources
        elif type(other) not in _NUMBERS or not is_open(self.trace):
            mine = self.look()
            return function(other, mine) if swapped else function(mine, other)
        value = function(theirs, self._value) if swapped else function(self._value, theirs)
        kind = number_dtype(value)
        own = self.tensor.astype(kind)
        beside: Any = other.astype(kind) if isinstance(other, Tensor) else other
        tensor = function(beside, own) if swapped else function(own, beside)
        if swapped:
            mine_again, theirs_again = theirs_again, mine_again
        again = functools.partial(_both, function, mine_again, theirs_again)
        return TracedNumber(self.trace, value, tensor.astype(kind), sources, again)

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

    def __copy__(self) -> TracedNumber:
        return self

    def __deepcopy__(self, memo: Any) -> TracedNumber:
        return self  # as all numbers of Python: nobody can change it

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


def _counting(name: str, swapped: bool = False) -> Callable[..., Any]:
    """An operator that is recorded."""
    function = getattr(operator, name)
    return lambda self, other: self._with(other, function, swapped)


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


for _name in ("add", "sub", "mul", "truediv"):
    setattr(TracedNumber, f"__{_name}__", _counting(_name))
    setattr(TracedNumber, f"__r{_name}__", _counting(_name, swapped=True))
for _name in ("lt", "le", "gt", "ge", "eq", "ne", "pow", "floordiv", "mod"):
    setattr(TracedNumber, f"__{_name}__", _asking(_name))
for _name in ("pow", "floordiv", "mod"):
    setattr(TracedNumber, f"__r{_name}__", _asking_swapped(_name))
