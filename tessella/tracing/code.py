"""Which code is a user's, and is followed while a function is traced: neither ours nor Python's own."""

from __future__ import annotations

import functools
import os
import sysconfig
import types
from types import CodeType
from typing import Any

# packages of others that we stand on, and whose inner workings are nobody's state
_OTHERS = ("numpy", "optree", "opt_einsum", "einops", "llvmlite", "ml_dtypes", "rich", "typer")
_SITES = ("site-packages", "dist-packages")


@functools.cache
def _passed_over() -> tuple[str, ...]:
    """Where code lies that is not followed."""
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
    found = [here, "<frozen", "<guards>"]
    sites = {sysconfig.get_path(name) for name in ("purelib", "platlib")}
    found += [os.path.join(site, other) + os.sep for site in sites for other in _OTHERS]
    return tuple(found)


@functools.cache
def _library() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Where Python's own library lies, and what lies in there without belonging to it."""
    homes = {os.path.realpath(sysconfig.get_path(n)) + os.sep for n in ("stdlib", "platstdlib")}
    homes |= {sysconfig.get_path(n) + os.sep for n in ("stdlib", "platstdlib")}
    sites = tuple(os.path.join(home, name) for home in homes for name in _SITES)
    return tuple(homes), sites


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
    if file.startswith(_passed_over()) or code.co_name == "<module>":
        return False
    homes, sites = _library()
    return not file.startswith(homes) or file.startswith(sites)


def is_users(function: types.FunctionType) -> bool:
    """Whether a function is a user's."""
    return is_followed(function.__code__, function.__globals__)


def is_library_module(owner: Any) -> bool:
    """Whether it is a Python module of ours, of NumPy or of Python itself."""
    if not isinstance(owner, types.ModuleType):
        return False
    file = getattr(owner, "__file__", None)
    if file is None:
        return True
    homes, sites = _library()
    return file.startswith(_passed_over()) or (
        file.startswith(homes) and not file.startswith(sites)
    )


def is_of_the_library(function: Any) -> bool:
    """Whether it is a function of Python's library, written in Python."""
    code = getattr(getattr(function, "__func__", function), "__code__", None)
    return code is not None and code.co_filename.startswith(_library()[0])
