"""Modules that hold others, or parameters, under names or in an order: `ModuleDict`, `ParameterDict`, `ParameterList`."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tessella.arguments import items_of, public
from tessella.arguments.kinds import shown
from tessella.errors import (
    ArgumentError,
    ArgumentTypeError,
    IndexingError,
    MissingRuleError,
    UnknownKeyError,
)
from tessella.nn.module import Module, Parameter
from tessella.tensors.surroundings import touched
from tessella.tensors.tensor import Tensor

_REQUIRED = object()


class _Named(Module):
    """What both have in common: they are read and changed as Python's dicts are, and keep their order."""

    def __getitem__(self, key: str) -> Any:
        return self._table()[self._known(key)]

    def __setitem__(self, key: str, value: Any) -> None:
        checked = self._checked(key, value)
        if key in self:
            self._table()[key] = checked
        else:
            self._add(key, checked)

    def __delitem__(self, key: str) -> None:
        del self._table()[self._known(key)]

    def __len__(self) -> int:
        return len(self._table())

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._table()))

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and key in self._table()

    def keys(self) -> Iterable[str]:
        """The names, in their order."""
        return self._table().keys()

    def items(self) -> Iterable[tuple[str, Any]]:
        """The names and what they stand for."""
        return self._table().items()

    def values(self) -> Iterable[Any]:
        """What the names stand for."""
        return self._table().values()

    def clear(self) -> None:
        """Take everything out."""
        self._table().clear()

    def pop(self, key: str, default: Any = _REQUIRED) -> Any:
        """Take out what a name stands for, and give it back.

        Raises:
            UnknownKeyError: the name stands for nothing, and no `default` is given.
        """
        if default is not _REQUIRED and key not in self:
            return default
        return self._table().pop(self._known(key))

    def update(self, others: Any) -> None:
        """Put in what a mapping or pairs of names and values hold; names that are there stand for it from now on."""
        kind = type(self).__name__
        if isinstance(others, (Mapping, _Named)):
            pairs: list[Any] = list(others.items())
        elif isinstance(others, Iterable):
            pairs = items_of(f"{kind}.update", others, "pairs of names and values")
        else:
            raise ArgumentTypeError(
                f"{kind}.update: {shown(others)} was given; expected a dict, or pairs of names and values"
            )
        for number, pair in enumerate(pairs):
            if not isinstance(pair, (tuple, list)) or len(pair) != 2:
                raise ArgumentTypeError(
                    f"{kind}.update: element {number} is {shown(pair)}; expected a pair (name, value)"
                )
        for key, value in pairs:
            self[key] = value

    def _known(self, key: Any) -> str:
        """
        Raises:
            UnknownKeyError: a name stands for nothing.
        """
        table = self._table()
        if not isinstance(key, str) or key not in table:
            names = ", ".join(table) or "none"
            raise UnknownKeyError(f"{type(self).__name__}: no {shown(key)}; there is: {names}")
        return key

    def _table(self) -> dict[str, Any]:
        """What the names stand for."""
        raise self._missing("_table")

    def _add(self, key: str, value: Any) -> None:
        raise self._missing("_add")

    def _checked(self, key: Any, value: Any) -> Any:
        """What is to stand under a name.

        Raises:
            ArgumentTypeError: it cannot.
        """
        raise self._missing("_checked")

    def _missing(self, name: str) -> MissingRuleError:
        return MissingRuleError(f"{type(self).__name__} has no {name}; define it")


class ModuleDict(_Named):
    """Modules under names, which is changed as Python's dicts are; it has no forward.

    >>> import tessella as ts
    >>> from tessella import nn
    >>> heads = nn.ModuleDict({"digit": nn.Linear(2, 10), "colour": nn.Linear(2, 3)})
    >>> heads["colour"](ts.ones(2)).shape, [name for name, _ in heads.named_parameters()][:2]
    ((3,), ['digit.weight', 'digit.bias'])
    """

    @public
    def __init__(self, modules: Any = None) -> None:
        super().__init__()
        if modules is not None:
            self.update(modules)

    def _table(self) -> dict[str, Any]:
        touched(self)
        return self._modules

    def _add(self, key: str, value: Any) -> None:
        self.add_module(key, value)

    def _checked(self, key: Any, value: Any) -> Any:
        if value is not None and not isinstance(value, Module):
            raise ArgumentTypeError(
                f"ModuleDict: {shown(key)} is to be {shown(value)}; expected an nn.Module"
            )
        return value


class ParameterDict(_Named):
    """Parameters under names, which is changed as Python's dicts are. Tensors become parameters.

    >>> import tessella as ts
    >>> from tessella import nn
    >>> scales = nn.ParameterDict({"left": ts.ones(2)})
    >>> scales["right"] = ts.zeros(3)
    >>> list(scales.state_dict())
    ['left', 'right']
    """

    @public
    def __init__(self, parameters: Any = None) -> None:
        super().__init__()
        if parameters is not None:
            self.update(parameters)

    def update(self, others: Any) -> None:
        """Put in what a mapping or pairs of names and parameters hold; a plain dict in the order of its names, as PyTorch."""
        plain = isinstance(others, Mapping) and not isinstance(others, OrderedDict)
        super().update(sorted(others.items()) if plain else others)

    def copy(self) -> ParameterDict:
        """Another one of the same parameters."""
        return ParameterDict(OrderedDict(self.items()))

    def get(self, key: str, default: Any = None) -> Any:
        """What a name stands for, or `default`."""
        return self._table().get(key, default) if isinstance(key, str) else default

    def setdefault(self, key: str, default: Any = None) -> Any:
        """What a name stands for; if that is nothing, `default` from now on."""
        if key not in self:
            self[key] = default
        return self[key]

    def popitem(self) -> tuple[str, Any]:
        """Take out the last parameter, and give it with its name."""
        if not len(self):
            raise UnknownKeyError("ParameterDict.popitem: there are no parameters")
        name = list(self)[-1]
        return name, self.pop(name)

    def fromkeys(self, keys: Iterable[str], default: Any = None) -> ParameterDict:
        """One in which several names stand for one value."""
        several = items_of("ParameterDict.fromkeys", keys, "several names")
        return ParameterDict([(key, default) for key in several])

    def __reversed__(self) -> Iterator[str]:
        return reversed(list(self))

    def __or__(self, other: Any) -> ParameterDict:
        found = self.copy()
        found |= other
        return found

    def __ior__(self, other: Any) -> ParameterDict:
        if not isinstance(other, (Mapping, _Named)):
            return NotImplemented
        self.update(OrderedDict(other.items()))
        return self

    def extra_repr(self) -> str:
        return _told(self.items())

    def _table(self) -> dict[str, Any]:
        touched(self)
        return self._parameters

    def _add(self, key: str, value: Any) -> None:
        self.register_parameter(key, value)

    def _checked(self, key: Any, value: Any) -> Any:
        return None if value is None else _parameter(value, f"ParameterDict: {shown(key)}")


class ParameterList(Module):
    """A list of parameters, to which more can be added. Tensors become parameters.

    >>> import tessella as ts
    >>> from tessella import nn
    >>> scales = nn.ParameterList([ts.ones(2), ts.zeros(3)])
    >>> scales.append(ts.ones(1))
    ParameterList(
      (0): Parameter of float32 (2,)
      (1): Parameter of float32 (3,)
      (2): Parameter of float32 (1,)
    )
    """

    @public
    def __init__(self, values: Any = None) -> None:
        super().__init__()
        if values is not None:
            self.extend(values)

    def __len__(self) -> int:
        touched(self)
        return len(self._parameters)

    def __iter__(self) -> Iterator[Parameter]:
        touched(self)
        return iter([p for p in self._parameters.values() if p is not None])

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return ParameterList(list(self)[index])
        return list(self)[self._checked(index)]

    def __setitem__(self, index: int, value: Any) -> None:
        number = self._checked(index)
        self._parameters[str(number)] = _parameter(value, f"ParameterList: number {number}")

    def __iadd__(self, values: Iterable[Any]) -> ParameterList:
        return self.extend(values)

    def append(self, value: Any) -> ParameterList:
        """Add a parameter at the end."""
        number = len(self)
        self.register_parameter(str(number), _parameter(value, f"ParameterList: number {number}"))
        return self

    def extend(self, values: Any) -> ParameterList:
        """Add several parameters at the end."""
        if isinstance(values, Tensor) or not isinstance(values, Iterable):
            raise ArgumentTypeError(
                f"ParameterList.extend: {shown(values)} was given; expected several tensors, for example a list"
            )
        for value in items_of("ParameterList.extend", values, "several tensors"):
            self.append(value)
        return self

    def extra_repr(self) -> str:
        return _told((f"{number}", p) for number, p in enumerate(self))

    def _checked(self, index: Any) -> int:
        """
        Raises:
            IndexingError: there is no parameter of this number.
        """
        count = len(self)
        if not isinstance(index, int) or isinstance(index, bool) or not -count <= index < count:
            expected = f"an integer from {-count} to {count - 1}" if count else "none: it is empty"
            raise IndexingError(
                f"ParameterList: index {shown(index)} for {count} parameters; expected {expected}"
            )
        return index % count


def _parameter(value: Any, place: str) -> Parameter:
    """A tensor as a parameter.

    Raises:
        ArgumentTypeError: it is none.
    """
    if isinstance(value, Parameter):
        return value
    if not isinstance(value, Tensor):
        raise ArgumentTypeError(f"{place} is to be {shown(value)}; expected a tensor")
    if not value.dtype.is_float:
        raise ArgumentError(
            f"{place} is to be of {value.dtype.name}; parameters are floating, others are buffers"
        )
    return Parameter(value)


def _told(parameters: Iterable[tuple[str, Any]]) -> str:
    """Parameters in lines, for `repr`."""
    lines = [
        f"({name}): None" if p is None else f"({name}): Parameter of {p.dtype.name} {p.shape}"
        for name, p in parameters
    ]
    return "\n  ".join(["", *lines]) + "\n" if lines else ""


__all__ = ["ModuleDict", "ParameterDict", "ParameterList"]
