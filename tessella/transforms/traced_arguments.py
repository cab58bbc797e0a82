"""The arguments of a function while it is traced: inputs of its graph."""

from __future__ import annotations

import ctypes
import operator
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from tessella import dtypes
from tessella.devices.array import ANYWHERE, Array, Layout, contiguous_layout
from tessella.devices.registry import host
from tessella.tensors.gradients import leaf_of
from tessella.tensors.numbers import FLOATS, TracedNumber, number_dtype
from tessella.tensors.tensor import Tensor, new_handle
from tessella.tracing.trace import Trace
from tessella.trees import map_leaves

NUMBER_LAYOUT = contiguous_layout((), dtypes.float64, host())
_INTEGER_LAYOUT = contiguous_layout((), dtypes.int64, host())


class Whole:
    """A static argument, or a container from outside in the result: its parts do not matter."""

    def __init__(self, value: Any) -> None:
        self.value = value


class Handle(NamedTuple):
    """A tensor that stands for an argument: the number of its input, and what it held at first."""

    number: int
    tensor: Tensor
    value: Any


class Arguments:
    """The arguments with traced tensors instead of concrete ones.

    Args:
        tree: the arguments, static ones in `Whole`.
        shapes: those of the tensors, arrays and floats among them, as the function is to see them.
    """

    def __init__(self, trace: Trace, tree: Any, shapes: Sequence[Any] | None) -> None:
        assert trace.reader is not None
        self.trace, self.around = trace, trace.reader.around
        self.shapes = None if shapes is None else iter(shapes)
        self.count = 0  # of those that are inputs
        self.handles: list[Handle] = []
        self.foreign: set[int] = set()  # numbers of the inputs that are NumPy's
        self.handed: set[int] = (
            set()
        )  # and of those that are no tensors: a program is handed them where it runs
        self.inner: list[Tensor] = []  # that need gradients
        self.inner_numbers: list[int] = []  # of the inputs that they are
        self.floats: list[float] = []  # as they were
        self._known: dict[int, Tensor] = {}
        self.tree = map_leaves(self._traced, tree)

    def changed(self) -> list[Handle]:
        """Those that hold other data now."""
        return [handle for handle in self.handles if handle.tensor._value is not handle.value]

    def _traced(self, leaf: Any) -> Any:
        if isinstance(leaf, Whole):
            self.around.know(leaf.value)
            return leaf.value
        if isinstance(leaf, np.ndarray):
            self.foreign.add(self.count)
            layout = contiguous_layout(leaf.shape, dtypes.as_dtype(leaf.dtype), ANYWHERE)
            return self._handle(self._handed(layout, "argument"))
        if type(leaf) in FLOATS:
            return self._number(leaf)
        if isinstance(leaf, Tensor):
            return self._tensor(leaf)
        self.around.know(leaf)
        return leaf

    def _number(self, given: float) -> TracedNumber:
        place = len(self.floats)
        self.floats.append(given)
        tensor = self._handed(contiguous_layout((), dtypes.float64, ANYWHERE), "number").astype(
            number_dtype(given)
        )
        places = frozenset([place])
        return TracedNumber(self.trace, given, tensor, places, operator.itemgetter(place))

    def _tensor(self, given: Tensor) -> Tensor:
        same = self._known.get(id(given))
        if same is not None:  # one tensor, given twice
            self._input(given._value.layout, "argument")
            return same
        made = self._handle(self._input(given._value.layout, "argument"))
        self._known[id(given)] = made
        if given._node is not None:
            made._node = leaf_of(made)
            self.inner.append(made)
            self.inner_numbers.append(self.count - 1)
        return made

    def _handed(self, layout: Layout, hint: str) -> Tensor:
        self.handed.add(self.count)
        return self._input(layout, hint)

    def _input(self, layout: Layout, hint: str) -> Tensor:
        if self.shapes is not None:
            layout = contiguous_layout(next(self.shapes), layout.dtype, layout.device)
        self.count += 1
        return new_handle(self.trace.argument(layout, hint), None, 0)  # type: ignore[arg-type]

    def _handle(self, tensor: Tensor) -> Tensor:
        self.handles.append(Handle(self.count - 1, tensor, tensor._value))
        return tensor


def number_array(value: float) -> Array:
    """A Python float or int as an input of a program, on the host."""
    layout = _INTEGER_LAYOUT if type(value) is int else NUMBER_LAYOUT
    block = host().allocate(8)
    if type(value) is int:
        ctypes.c_int64.from_address(block.address).value = value
    else:
        ctypes.c_double.from_address(block.address).value = value
    return Array(block, block.address, layout)
