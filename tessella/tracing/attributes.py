"""What an attribute of an object is, found without running any code of the object's class."""

from __future__ import annotations

import collections
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
_FIELD_OF_NAMED_TUPLE = type(vars(collections.namedtuple("_", "x"))["x"])
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
        return _of_metaclass(type(owner), name)
    if isinstance(found, _METHODS):
        return Found("method", getattr(owner, name))
    return COMPUTED if has(type(found), "__get__") else Found("class", found)


def _of_metaclass(kind: type, name: str) -> Found:
    found = _in_class(kind, name)
    if found is _MISSING:
        return COMPUTED if has(kind, "__getattr__") else ABSENT
    return COMPUTED if has(type(found), "__get__") else Found("class", found)


def _of_instance(owner: Any, name: str) -> Found:
    kind = type(owner)
    if isinstance(_in_class(kind, "__getattribute__"), types.FunctionType):
        return COMPUTED
    in_class = _in_class(kind, name)
    if isinstance(in_class, _SLOTS):
        try:
            return Found("own", in_class.__get__(owner, kind))
        except AttributeError:
            return ABSENT
    if isinstance(in_class, _FIELD_OF_NAMED_TUPLE) and isinstance(owner, tuple):
        return Found("own", in_class.__get__(owner, kind))
    if in_class is not _MISSING and has(type(in_class), "__set__"):
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
        return COMPUTED if has(kind, "__getattr__") and not _is_table_owner(kind) else ABSENT
    if isinstance(in_class, _METHODS):
        return Found("method", in_class)
    return COMPUTED if has(type(in_class), "__get__") else Found("class", in_class)


def _is_table_owner(kind: type) -> bool:
    """Whether it is a module's or an optimiser's class, whose `__getattr__` looks in tables alone, or raises."""
    return has(kind, "__tessella_tables__")


def _in_class(kind: type, name: str) -> Any:
    for base in kind.__mro__:
        if name in base.__dict__:
            return base.__dict__[name]
    return _MISSING


def has(kind: type, name: str) -> bool:
    """Whether a class defines a name, without asking its metaclass."""
    return _in_class(kind, name) is not _MISSING


def of_class(owner: Any, name: str) -> Any:
    """What the class of an object defines by a name, as it stands there; None if nothing."""
    found = _in_class(type(owner), name)
    return None if found is _MISSING else found


def definition(kind: type, code: types.CodeType) -> tuple[type, str] | None:
    """Where a class or one of its bases defines a method or a property that runs some code, and by which name."""
    for base in kind.__mro__:
        for name, value in base.__dict__.items():
            function = value.fget if isinstance(value, property) else value
            function = (
                getattr(function, "__func__", function) if isinstance(value, _METHODS) else function
            )
            if isinstance(function, types.FunctionType) and function.__code__ is code:
                return base, name
    return None


def sets_itself(owner: Any, name: str) -> bool:
    """Whether giving an attribute a value runs code of the class: then that code says what is written."""
    found = _in_class(type(owner), name)
    return found is not _MISSING and not isinstance(found, _SLOTS) and has(type(found), "__set__")
