"""The arguments of a function while it is traced: inputs of its graph; and what it does to containers among them."""

from __future__ import annotations

import collections
import ctypes
import dataclasses
import operator
from collections.abc import Iterator, Sequence
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


_MUTABLE = (list, dict, collections.deque)


class Step(NamedTuple):
    """One step into a container.

    Args:
        key: an index, a key, or the name of a field.
        is_field: whether it is a field of a dataclass.
    """

    key: Any
    is_field: bool

    def of(self, owner: Any) -> Any:
        return getattr(owner, self.key) if self.is_field else owner[self.key]


class Kept:
    """Stands for a part of the arguments that is the caller's own."""

    __slots__ = ("path",)

    def __init__(self, path: tuple[Step, ...]) -> None:
        self.path = path

    def of(self, arguments: Any) -> Any:
        """That part of some arguments."""
        for step in self.path:
            arguments = step.of(arguments)
        return arguments


class Changed(NamedTuple):
    """A container among the arguments that the function changed.

    Args:
        place: where it is.
        keys: those of a dict, or the names of fields; None for a list.
        items: what it holds now; `Kept` for what the caller gave.
    """

    place: Kept
    keys: list[Any] | None
    items: list[Any]


def _children(owner: Any) -> Iterator[tuple[Step, Any]]:
    """What a container holds, and how to get there."""
    if isinstance(owner, dict):
        for key, value in owner.items():
            yield Step(key, False), value
    elif isinstance(owner, (list, tuple, collections.deque)):
        for index, value in enumerate(owner):
            yield Step(index, False), value
    elif dataclasses.is_dataclass(owner) and not isinstance(owner, type):
        for field in dataclasses.fields(owner):
            if hasattr(owner, field.name):
                yield Step(field.name, True), getattr(owner, field.name)


class Containers:
    """The containers in the arguments that a function is traced with, as they were before."""

    def __init__(self, arguments: Any) -> None:
        self._places: dict[int, Kept] = {}
        self._before: list[tuple[Any, Kept, list[Any], list[Any]]] = []
        self._walk(arguments, ())

    def _walk(self, owner: Any, path: tuple[Step, ...]) -> None:
        if id(owner) in self._places:  # it is there twice, or holds itself
            return
        self._places[id(owner)] = Kept(path)
        children = list(_children(owner))
        top = len(path) < 2 and isinstance(owner, (tuple, dict))  # `args` and `kwargs` are nobody's
        mutable = isinstance(owner, _MUTABLE) or dataclasses.is_dataclass(owner)
        if mutable and not top:
            steps, held = [step for step, _ in children], [value for _, value in children]
            self._before.append((owner, Kept(path), steps, held))
        for step, child in children:
            self._walk(child, (*path, step))

    def changed(self) -> list[Changed]:
        """What was changed since, with `Kept` for what is the caller's own."""
        found = []
        for owner, place, steps, held in self._before:
            now = list(_children(owner))
            same = len(now) == len(held) and all(
                step == before and value is was
                for (step, value), before, was in zip(now, steps, held, strict=True)
            )
            if not same:
                by_key = not isinstance(owner, (list, collections.deque))
                keys = [step.key for step, _ in now] if by_key else None
                found.append(Changed(place, keys, [self._own(value) for _, value in now]))
        return found

    def _own(self, value: Any) -> Any:
        kept = self._places.get(id(value))
        immutable = isinstance(value, (str, int, float, bool, type(None)))
        return value if kept is None or immutable else kept


def change(changed: Sequence[Changed], items: Sequence[Sequence[Any]], arguments: Any) -> None:
    """Do to a caller's arguments what the function did to those it was traced with."""
    done = []
    for one, values in zip(changed, items, strict=True):
        own = [x.of(arguments) if isinstance(x, Kept) else x for x in values]
        done.append((one.place.of(arguments), one.keys, own))
    for owner, keys, values in done:
        if keys is None:
            owner.clear()
            owner.extend(values)
        elif isinstance(owner, dict):
            owner.clear()
            owner.update(zip(keys, values, strict=True))
        else:
            for key, value in zip(keys, values, strict=True):
                setattr(owner, key, value)
