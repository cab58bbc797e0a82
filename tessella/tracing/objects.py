"""Kinds of objects, as far as following what a function reads is concerned."""

from __future__ import annotations

import collections
import types
from typing import Any

import numpy as np

from tessella.tracing.attributes import attribute, has, of_class
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
    return has(kind, "__tessella_apply__") or has(kind, "__tessella_operand__")


def is_writable(array: np.ndarray[Any, Any]) -> bool:
    """Whether the elements of an array can change."""
    part: Any = array
    while isinstance(part, np.ndarray):
        if part.flags.writeable:
            return True
        part = part.base
    return part is not None and not isinstance(part, bytes)


def memory_of(value: Any) -> memoryview | None:
    """The memory of an object that may change: of a `bytearray`, an `array`, a view of one, an object of `ctypes`."""
    if isinstance(value, (np.ndarray, np.generic)) or is_tensor(value):
        return None  # whose elements are looked at elsewhere
    try:
        memory = memoryview(value)
    except (TypeError, ValueError):  # it has none, or has given it back
        return None
    return None if isinstance(memory.obj, bytes) else memory


def bytes_of(value: Any) -> bytes | None:
    """What its memory holds."""
    memory = memory_of(value)
    return None if memory is None else memory.tobytes()


def keeps_items(kind: type) -> bool:
    """Whether a class of containers takes items as its built-in base does."""
    base = next(b for b in (*SEQUENCES, dict) if issubclass(kind, b))
    getter = getattr(kind, "__getitem__", None)
    return getter is base.__getitem__  # what `__missing__` does is followed


_BASES: tuple[type, ...] = (
    collections.OrderedDict,
    dict,
    list,
    tuple,
    set,
    frozenset,
    collections.deque,
)


def base_of(owner: Any) -> Any:
    """The built-in class of a container, whose methods do what they say whatever those of a user's class do."""
    return next(base for base in _BASES if isinstance(owner, base))


def items_of(owner: Any) -> list[Any]:
    """What a container really holds; of a dict the pairs.

    >>> class Doubling(list):
    ...     def __iter__(self):
    ...         return (2 * x for x in super().__iter__())
    >>> items_of(Doubling([1, 2]))
    [1, 2]
    """
    base = base_of(owner)
    return list(base.items(owner) if issubclass(base, dict) else base.__iter__(owner))


def is_of_a_users_class(value: Any) -> bool:
    """Whether the class of a value is written in Python, and none of ours that counts changes."""
    return bool(type(value).__flags__ & _HEAP_TYPE) and not is_watched(value)


_HEAP_TYPE = 1 << 9  # Py_TPFLAGS_HEAPTYPE


def is_module_of_ours(value: Any) -> bool:
    return is_watched(value) and hasattr(type(value), "__tessella_children__")


def children_of(value: Any) -> list[Any]:
    """The modules in a module; nothing else has any."""
    ask = getattr(type(value), "__tessella_children__", None)
    return [] if ask is None else [child for _, child in ask(value)]


def is_ours(kind: type, name: str) -> bool:
    """Whether an attribute is defined by a class of this package."""
    for base in kind.__mro__:
        if name in base.__dict__:
            return base.__module__.partition(".")[0] == "tessella"
    return False


def has_value(owner: Any, name: str) -> bool:
    """Whether an object or a class has a value of a name."""
    if isinstance(owner, (types.FunctionType, types.MethodType, types.ModuleType)):
        return False
    return is_looked_into(owner) and attribute(owner, name).kind in ("own", "class", "method")


def has_fields(value: Any) -> bool:
    """Whether an object has a `__dict__`, without asking it."""
    return isinstance(value, type) or type(value).__dictoffset__ != 0


def has_item_as_attribute(owner: Any, name: str) -> bool:
    """Whether an attribute is an item, as in dicts whose class says `__getattr__ = dict.__getitem__`."""
    if not isinstance(owner, dict) or of_class(owner, "__getattr__") not in _GETTERS:
        return False
    return of_class(owner, name) is None


_GETTERS = (dict.__getitem__, dict.get)


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
    if is_tensor(owner):
        return False
    if isinstance(owner, (*CONTAINERS, tuple, frozenset)):
        return is_of_a_users_class(owner)
    return not isinstance(owner, _NOT_LOOKED_INTO)
