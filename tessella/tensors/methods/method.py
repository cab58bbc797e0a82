"""A method that is a function of a room above: it is looked up when it is first asked for."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from types import MethodType
from typing import Any, Generic, TypeVar

Result = TypeVar("Result", covariant=True)


class Method(Generic[Result]):
    """Stands in a class for a function of which its objects are the first argument.

    The rooms of functions need the class, so they cannot be imported with it. When the method is asked for
    the first time, the function itself takes this place, and is a method like any other from then on.

    Args:
        room: the module of `tessella.tensors` that has the function.
        function: its name, if the method has another one.
    """

    def __init__(self, room: str, function: str = "") -> None:
        self.room, self.function = room, function

    def __set_name__(self, owner: type, name: str) -> None:
        self.home, self.name = owner, name

    def __get__(self, tensor: Any, owner: type) -> Callable[..., Result]:
        room = import_module(f"tessella.tensors.{self.room}")
        function = getattr(room, self.function or self.name)
        setattr(self.home, self.name, function)
        return function if tensor is None else MethodType(function, tensor)
