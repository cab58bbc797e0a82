"""Methods that stand elsewhere than their class: functions of other rooms, and classes of methods."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from types import FunctionType, MethodType
from typing import Any, Generic, TypeVar

Result = TypeVar("Result", covariant=True)


class Method(Generic[Result]):
    """Stands in a class for a function of which its objects are the first argument.

    When the method is asked for the first time, its room is imported, and the function itself takes this place:
    it is a method like any other from then on.

    Args:
        room: the module that has the function; by its whole name, or by that in `tessella.tensors`.
        function: its name, if the method has another one.
    """

    def __init__(self, room: str, function: str = "") -> None:
        self.room, self.function = room, function

    def __set_name__(self, owner: type, name: str) -> None:
        self.home, self.name = owner, name

    def __get__(self, tensor: Any, owner: type) -> Callable[..., Result]:
        room = import_module(
            self.room if self.room.startswith("tessella.") else f"tessella.tensors.{self.room}"
        )
        function = getattr(room, self.function or self.name)
        setattr(self.home, self.name, function)
        return function if tensor is None else MethodType(function, tensor)


_OF_CLASSES = {
    "__module__",
    "__qualname__",
    "__doc__",
    "__slots__",
    "__dict__",
    "__weakref__",
    "__annotations__",
}
_OF_CLASSES |= {"__static_attributes__", "__firstlineno__", "__parameters__", "__orig_bases__"}


def bind(owner: type, *kinds: type) -> None:
    """Give a class the methods that stand in others, which need the class and so are made after it.

    Args:
        kinds: classes that hold nothing but methods; no two of the same name.
    """
    for kind in kinds:
        for name, method in vars(kind).items():
            if name in _OF_CLASSES:
                continue
            if isinstance(method, Method):
                method.__set_name__(owner, name)
            elif isinstance(method, FunctionType):
                method.__qualname__ = f"{owner.__name__}.{name}"
            setattr(owner, name, method)
