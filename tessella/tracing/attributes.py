"""What an attribute of an object is, found without running any code of the object's class."""

from __future__ import annotations

import types
from typing import Any, NamedTuple

_MISSING = object()


class Found(NamedTuple):
    """An attribute.

    Args:
        kind: "own" (of the object itself), "class" (a value of its class), "method", "absent", or "computed": by a
            property, a descriptor or `__getattr__`.
        value: what it is, unless it is computed or absent.
    """

    kind: str
    value: Any = None


ABSENT, COMPUTED = Found("absent"), Found("computed")
_METHODS = (types.FunctionType, classmethod, staticmethod)
_SLOTS = (types.MemberDescriptorType, types.GetSetDescriptorType)
_TABLES = ("_parameters", "_buffers", "_modules")


def attribute(owner: Any, name: str) -> Found:
    """An attribute of an object.

    >>> class A:
    ...     size = 3
    ...     def grow(self): ...
    >>> a = A()
    >>> a.own = 1
    >>> [attribute(a, name).kind for name in ("own", "size", "grow", "nothing")]
    ['own', 'class', 'method', 'absent']
    """
    if isinstance(owner, types.ModuleType):
        found = owner.__dict__.get(name, _MISSING)
        return Found("own", found) if found is not _MISSING else COMPUTED
    if isinstance(owner, type):
        return _of_class(owner, name)
    return _of_instance(owner, name)


def _of_class(owner: type, name: str) -> Found:
    found = _in_class(owner, name)
    if found is _MISSING:
        return COMPUTED if _in_class(type(owner), name) is not _MISSING else ABSENT
    if isinstance(found, _METHODS):
        return Found("method", getattr(owner, name))
    return COMPUTED if hasattr(type(found), "__get__") else Found("class", found)


def _of_instance(owner: Any, name: str) -> Found:
    kind = type(owner)
    if isinstance(kind.__getattribute__, types.FunctionType):
        return COMPUTED
    in_class = _in_class(kind, name)
    if isinstance(in_class, _SLOTS):
        try:
            return Found("own", in_class.__get__(owner, kind))
        except AttributeError:
            return ABSENT
    if in_class is not _MISSING and hasattr(type(in_class), "__set__"):
        return COMPUTED  # a property, which stands before the object's own attributes
    own = getattr(owner, "__dict__", None)
    if isinstance(own, dict):
        if name in own:
            return Found("own", own[name])
        for table in _TABLES:  # of modules, whose `__getattr__` looks there
            held = own.get(table)
            if isinstance(held, dict) and name in held and in_class is _MISSING:
                return Found("own", held[name])
    if in_class is _MISSING:
        return COMPUTED if hasattr(kind, "__getattr__") and not _is_table_owner(own) else ABSENT
    if isinstance(in_class, _METHODS):
        return Found("method", in_class)
    return COMPUTED if hasattr(type(in_class), "__get__") else Found("class", in_class)


def _is_table_owner(own: Any) -> bool:
    return isinstance(own, dict) and "_parameters" in own


def _in_class(kind: type, name: str) -> Any:
    for base in kind.__mro__:
        if name in base.__dict__:
            return base.__dict__[name]
    return _MISSING


def sets_itself(owner: Any, name: str) -> bool:
    """Whether giving an attribute a value runs code of the class: then that code says what is written."""
    found = _in_class(type(owner), name)
    return found is not _MISSING and isinstance(found, property)
