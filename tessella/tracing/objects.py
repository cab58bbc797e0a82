"""Kinds of objects, as far as following what a function reads is concerned."""

from __future__ import annotations

import collections
import types
from typing import Any

import numpy as np

from tessella.tracing.attributes import attribute
from tessella.tracing.changes import is_watched

CONTAINERS = (list, dict, set, collections.deque)
SEQUENCES = (list, tuple, collections.deque)
SIMPLE = (type(None), bool, int, float, complex, str, bytes, range, type(...), slice)
_NOT_LOOKED_INTO = (
    *SIMPLE,
    *CONTAINERS,
    tuple,
    frozenset,
    np.generic,
    np.dtype,
    types.BuiltinFunctionType,
)


def is_tensor(value: Any) -> bool:
    """Whether operations on a value are recorded."""
    kind = type(value)
    return hasattr(kind, "__tessella_apply__") or hasattr(kind, "__tessella_operand__")


def is_writable(array: np.ndarray[Any, Any]) -> bool:
    """Whether the elements of an array can change."""
    part: Any = array
    while isinstance(part, np.ndarray):
        if part.flags.writeable:
            return True
        part = part.base
    return part is not None and not isinstance(part, bytes)


def keeps_items(kind: type) -> bool:
    """Whether a class of containers takes items as its built-in base does."""
    base = next(b for b in (*SEQUENCES, dict) if issubclass(kind, b))
    getter = getattr(kind, "__getitem__", None)
    return getter is base.__getitem__ and not hasattr(kind, "__missing__")


def is_module_of_ours(value: Any) -> bool:
    return is_watched(value) and hasattr(value, "_modules")


def is_ours(kind: type, name: str) -> bool:
    """Whether an attribute is defined by a class of this package."""
    for base in kind.__mro__:
        if name in base.__dict__:
            return base.__module__.partition(".")[0] == "tessella"
    return False


def has_value(owner: Any, name: str) -> bool:
    """Whether an object or a class has a value of a name."""
    if isinstance(
        owner, (*_NOT_LOOKED_INTO, types.FunctionType, types.MethodType, types.ModuleType)
    ):
        return False
    return not is_tensor(owner) and attribute(owner, name).kind in ("own", "class", "method")


def is_plain(value: Any) -> bool:
    """Whether a value is an object of a user's class."""
    return (
        not isinstance(value, (*_NOT_LOOKED_INTO, types.FunctionType, types.MethodType, type))
        and not isinstance(value, types.ModuleType)
        and hasattr(value, "__dict__")
        and not is_watched(value)
        and not is_tensor(value)
    )


def is_looked_into(owner: Any) -> bool:
    """Whether attributes of an object are a matter of their own."""
    return not isinstance(owner, _NOT_LOOKED_INTO) and not is_tensor(owner)
