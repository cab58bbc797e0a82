"""Which code is a user's, and is followed while a function is traced: neither ours nor Python's own."""

from __future__ import annotations

import collections
import collections.abc as abc
import functools
import itertools
import os
import types
from types import CodeType
from typing import Any

# packages of others that we stand on, and whose inner workings are nobody's state
_OTHERS = ("numpy", "optree", "opt_einsum", "einops", "llvmlite", "ml_dtypes", "rich", "typer")
_SITES = ("site-packages", "dist-packages")
_HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_LIBRARY = tuple(
    {os.path.dirname(file(os.__file__)) + os.sep for file in (os.path.abspath, os.path.realpath)}
)
# Python's own containers that are written in Python are followed like those of users: `UserDict`, `ChainMap`, ...
_CONTAINERS_IN_PYTHON = (collections.__file__, "<frozen _collections_abc>", abc.__file__)


@functools.cache
def _is_of_the_library(file: str) -> bool:
    """Whether a file is one of Python's own library."""
    return file.startswith(_LIBRARY) and not any(site in file.split(os.sep) for site in _SITES)


@functools.cache
def _is_passed_over(file: str) -> bool:
    """Whether a file is ours, Python's own, or of those that we stand on."""
    if file in _CONTAINERS_IN_PYTHON:
        return False
    if file.startswith((_HERE, "<frozen", "<guards>")) or _is_of_the_library(file):
        return True
    parts = file.split(os.sep)
    return any(a in _SITES and b in _OTHERS for a, b in itertools.pairwise(parts))


def is_followed(code: CodeType, scope: dict[str, Any]) -> bool:
    """Whether a function is a user's: neither ours nor Python's own.

    Args:
        scope: its global variables, which tell whose it is if it was made from a string.
    """
    file = code.co_filename
    if file.startswith("<"):
        home = str(scope.get("__name__", ""))
        if home.partition(".")[0] in ("tessella", *_OTHERS) or home.startswith("namedtuple_"):
            return False
    return not _is_passed_over(file) and code.co_name != "<module>"


def is_users(function: types.FunctionType) -> bool:
    """Whether a function is a user's."""
    return is_followed(function.__code__, function.__globals__)


def setter_of_user(kind: type) -> bool:
    """Whether setting attributes of a class's objects runs a `__setattr__` of a user's."""
    setter = next(
        base.__dict__["__setattr__"] for base in kind.__mro__ if "__setattr__" in base.__dict__
    )
    return isinstance(setter, types.FunctionType) and is_users(setter)


def plain_setter(kind: type) -> Any:
    """What a user's `__setattr__` would call in the end."""
    setters = [
        base.__dict__["__setattr__"] for base in kind.__mro__ if "__setattr__" in base.__dict__
    ]
    return next(s for s in setters if not (isinstance(s, types.FunctionType) and is_users(s)))


def is_library_module(owner: Any) -> bool:
    """Whether it is a Python module of ours, of NumPy or of Python itself."""
    if not isinstance(owner, types.ModuleType):
        return False
    file = getattr(owner, "__file__", None)
    return file is None or _is_passed_over(file)


def is_of_the_library(function: Any) -> bool:
    """Whether it is a function of Python's library, written in Python."""
    code = getattr(getattr(function, "__func__", function), "__code__", None)
    return code is not None and _is_of_the_library(code.co_filename)
