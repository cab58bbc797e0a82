"""Methods that stand elsewhere than their class: functions of other rooms, and classes of methods."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from types import FunctionType, MethodType
from typing import Any, Generic, TypeVar

Result = TypeVar("Result", covariant=True)
Made = TypeVar("Made")


class Method(Generic[Result]):
    """Stands in a class for a function of which its objects are the first argument; under several names for several.

    When the method is asked for the first time, its room is imported, and the function itself takes this place:
    it is a method like any other from then on.

    Args:
        room: the module that has the function; by its whole name, or by that in `tessella.tensors`.
        function: its name, if the method has another one.
    """

    home: type
    name: str

    def __init__(self, room: str, function: str = "") -> None:
        self.room, self.function = room, function

    def named(self, owner: type, name: str) -> Method[Result]:
        """The one of a name in a class."""
        one: Method[Result] = Method(self.room, self.function or name)
        one.home, one.name = owner, name
        return one

    def __get__(self, tensor: Any, owner: type) -> Callable[..., Result]:
        room = import_module(
            self.room if self.room.startswith("tessella.") else f"tessella.tensors.{self.room}"
        )
        function = getattr(room, self.function)
        setattr(self.home, self.name, function)
        return function if tensor is None else MethodType(function, tensor)


class _ByName:
    """Stands in a class, under one name or several, for methods that are made of their names."""

    def __init__(self, make: Callable[[str], Any]) -> None:
        self.make = make

    def named(self, owner: type, name: str) -> Any:
        return self.make(name)


def by_name(make: Callable[[str], Made]) -> Made:
    """What stands in a class for make(name), for each name that it has there: `abs_ = add_ = by_name(make)`."""
    placeholder: Any = _ByName(make)
    return placeholder


def bind(owner: type, *kinds: type) -> None:
    """Give a class the methods that stand in others, which need the class and so are made after it.

    Args:
        kinds: classes that hold nothing but methods; no two of the same name.
    """
    for kind in kinds:
        for name, method in vars(kind).items():
            if isinstance(method, (Method, _ByName)):
                setattr(owner, name, method.named(owner, name))
            elif callable(method) or isinstance(method, property):  # not what every class has
                if isinstance(method, FunctionType):
                    method.__qualname__ = f"{owner.__name__}.{name}"
                setattr(owner, name, method)
