"""Modules that hold others in an order: `Sequential` and `ModuleList`."""

from __future__ import annotations

import itertools
import operator
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar, overload

from tessella.arguments import items_of, public
from tessella.arguments.kinds import shown
from tessella.errors import ArgumentError, ArgumentTypeError, IndexingError
from tessella.nn.module import Module
from tessella.tensors.surroundings import touched

S = TypeVar("S", bound="_Listed")


class _Listed(Module):
    """What lists of modules have in common: they are counted, gone through and changed as Python's lists are.

    After an item has been put in or taken out, the names are the numbers from 0 on, as in PyTorch.
    """

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Module]:
        touched(self)
        return iter([module for module in self._modules.values() if module is not None])

    def __setitem__(self, index: int, module: Module) -> None:
        names = list(self._modules)
        name = names[_checked_index(self, index)]
        self._modules[name] = self._checked(module, index)

    def __delitem__(self, index: int | slice) -> None:
        items = list(self._modules.values())
        if isinstance(index, slice):
            del items[_checked_slice(self, index)]
        else:
            del items[_checked_index(self, index)]
        self._hold(items)

    def __iadd__(self: S, modules: Iterable[Module]) -> S:
        return self.extend(modules)

    def __add__(self: S, modules: Iterable[Module]) -> S:
        return type(self)().extend(self).extend(modules)

    def append(self: S, module: Module) -> S:
        """Add a module at the end."""
        self.add_module(self._next_number(), self._checked(module, len(self)))
        return self

    def extend(self: S, modules: Iterable[Module]) -> S:
        """Add several modules at the end.

        >>> import tessella as ts
        >>> from tessella import nn
        >>> len(nn.Sequential(nn.Linear(2, 3)).extend([nn.ReLU(), nn.Linear(3, 1)]))
        3
        """
        for module in self._several("extend", modules):
            self.append(module)
        return self

    def insert(self: S, index: int, module: Module) -> S:
        """Put a module before the one at an index; those after it have other numbers then.

        Raises:
            IndexingError: there is no such place.
        """
        items = list(self._modules.values())
        index = len(items) if _integer(index) == len(items) else _checked_index(self, index)
        items.insert(index, self._checked(module, index))
        self._hold(items)
        return self

    def pop(self, index: int = -1) -> Module:
        """Take a module out, and give it back.

        Raises:
            IndexingError: there is none at this index.
        """
        items = list(self._modules.values())
        found: Any = items.pop(_checked_index(self, index))
        self._hold(items)
        return found

    def _hold(self, modules: Iterable[Module | None]) -> None:
        """Hold these modules, under the numbers from 0 on."""
        numbered = {str(number): module for number, module in enumerate(modules)}
        self._modules.clear()
        self._modules.update(numbered)

    def _next_number(self) -> str:
        """The name of one more module: a part of a `Sequential` keeps its names, so some numbers may be taken."""
        names = self._modules
        return next(str(n) for n in itertools.count(len(names)) if str(n) not in names)

    def _several(self, call: str, modules: Any) -> list[Any]:
        if isinstance(modules, Module) and not isinstance(modules, _Listed):
            raise ArgumentTypeError(
                f"{type(self).__name__}.{call}: one {type(modules).__name__} was given; expected several modules, "
                "for example a list"
            )
        name = f"{type(self).__name__}.{call}"
        return items_of(name, modules, "several modules, for example a list")

    def _checked(self, module: Any, place: Any) -> Module:
        """A module that is to stand at a place.

        Raises:
            ArgumentTypeError: it is none; a list and a function are told what to write.
        """
        if isinstance(module, Module):
            return module
        kind, cure = type(self).__name__, ""
        if isinstance(module, (list, tuple)):
            cure = (
                f"; give the modules one by one: nn.{kind}(*modules)"
                if kind == "Sequential"
                else ""
            )
        elif isinstance(module, type):
            cure = f"; make one: {module.__name__}(...)"
        elif callable(module):
            cure = "; a function becomes one in a class whose forward calls it; nn.ReLU() and its kin are there"
        raise ArgumentTypeError(
            f"{kind}: number {place} is {_what(module)}; expected an nn.Module{cure}"
        )


class Sequential(_Listed):
    """Modules one after the other; takes modules, or one ordered mapping of names to modules.

    They are changed as in a list: `net[-1] = nn.Linear(8, 2)`, `del net[0]`, `insert`, `pop`, `extend`.

    >>> import tessella as ts
    >>> from tessella import nn
    >>> net = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 10))
    >>> net[-1] = nn.Linear(8, 2)
    >>> net(ts.ones((5, 3))).shape
    (5, 2)
    """

    @public
    def __init__(self, *modules: Any) -> None:
        super().__init__()
        if len(modules) == 1 and isinstance(modules[0], OrderedDict):
            for name, module in modules[0].items():
                self.add_module(name, module)
        else:
            for index, module in enumerate(modules):
                self.add_module(
                    str(index), None if module is None else self._checked(module, index)
                )

    def forward(self, input: Any) -> Any:
        for module in self:
            input = module(input)
        return input

    def __mul__(self, times: int) -> Sequential:
        return Sequential(*[*self] * _checked_times(times))

    __rmul__ = __mul__

    def __imul__(self, times: int) -> Sequential:
        self._hold([*self] * _checked_times(times))
        return self

    @overload
    def __getitem__(self, index: int) -> Module: ...
    @overload
    def __getitem__(self, index: slice) -> Sequential: ...
    def __getitem__(self, index: int | slice) -> Module:
        touched(self)
        items = list(self._modules.items())
        if isinstance(index, slice):
            return Sequential(OrderedDict(items[_checked_slice(self, index)]))
        found: Any = items[_checked_index(self, index)][1]
        return found


class ModuleList(_Listed):
    """A list of modules, which is changed as Python's are; it has no forward.

    >>> import tessella as ts
    >>> from tessella import nn
    >>> layers = nn.ModuleList([nn.Linear(2, 2) for _ in range(3)])
    >>> len(layers[1:]), len(list(layers.parameters()))
    (2, 6)
    """

    @public
    def __init__(self, modules: Iterable[Any] = ()) -> None:
        super().__init__()
        for module in modules:
            self.append(module)

    @overload
    def __getitem__(self, index: int) -> Module: ...
    @overload
    def __getitem__(self, index: slice) -> ModuleList: ...
    def __getitem__(self, index: int | slice) -> Module:
        items = list(self)
        if isinstance(index, slice):
            return ModuleList(items[_checked_slice(self, index)])
        return items[_checked_index(self, index)]


def _what(value: Any) -> str:
    """What was given instead of a module, in a message."""
    if isinstance(value, (list, tuple)):
        return f"a {type(value).__name__} of {len(value)}"
    if callable(value) and not isinstance(value, type):
        return f"the function {getattr(value, '__name__', type(value).__name__)}"
    return shown(value)


def _checked_index(modules: Any, index: Any) -> int:
    """An index of a list of modules.

    Raises:
        IndexingError: it is no integer, or there is no module there.
    """
    count, place = len(modules), _integer(index)
    if place is None or not -count <= place < count:
        expected = f"expected an integer from {-count} to {count - 1}" if count else "it has none"
        raise IndexingError(
            f"{type(modules).__name__}: index {shown(index)} for {count} modules; {expected}"
        )
    return place % count


def _checked_times(times: Any) -> int:
    """
    Raises:
        ArgumentError: it is no number of at least 1.
    """
    number = _integer(times)
    if number is None or number < 1:
        raise ArgumentError(
            f"Sequential: {shown(times)} times was asked for; expected a whole number of at least 1"
        )
    return number


def _integer(index: Any) -> int | None:
    """An integer as Python's lists take them; None for all else."""
    try:
        return operator.index(index)
    except TypeError:
        return None


def _checked_slice(modules: Any, index: slice) -> slice:
    parts = (index.start, index.stop, index.step)
    if index.step == 0 or not all(n is None or _integer(n) is not None for n in parts):
        raise IndexingError(
            f"{type(modules).__name__}: {index}; expected integers, and a step that is not 0"
        )
    return index
