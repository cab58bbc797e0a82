"""What is said about a name that is not here: what PyTorch, JAX or NumPy mean by it, or which one was meant.

Programs ask for attributes that may not be there all the time (`hasattr`, `copy`, `pickle`, notebooks), so an error
is made without looking anything up; its text is worked out when somebody reads it.
"""

from __future__ import annotations

import difflib
import fnmatch
import functools
import re
import sys
import typing
from collections.abc import Iterator
from types import ModuleType
from typing import Any, NamedTuple

from tessella.errors import UnknownNameError


class Foreign(NamedTuple):
    """A name that another library has.

    Args:
        library: which one.
        namespace: where users look for it here, as the table calls it: "ts", "Tensor", "nn", ...
        name: it, or what names of a kind are like: `sparse_*`.
        here: what it is here, in words.
    """

    library: str
    namespace: str
    name: str
    here: str


def _rows() -> Iterator[Foreign]:
    from tessella.names.table import ROWS

    for row in ROWS.strip().splitlines():
        if row:
            library, namespace, names, here = (part.strip() for part in row.split("|", 3))
            spelled = names.split()
            for name, cure in zip(spelled, _one_each(here, len(spelled)), strict=True):
                yield Foreign(library, namespace, name, cure)


_CODES = re.compile(r"`[^`]+`(, `[^`]+`)+")


def _one_each(here: str, count: int) -> list[str]:
    """What each of some names is here; a list of as many spellings has one for each, all else is said of all."""
    codes = re.findall("`[^`]+`", here) if _CODES.fullmatch(here) else []
    return codes if len(codes) == count else [here] * count


def foreign_names() -> Iterator[Foreign]:
    """All foreign names, in the order of the table.

    >>> next(name for name in foreign_names() if name.name == "compile").here
    '`ts.jit`'
    """
    return (row for row in _rows() if "*" not in row.name)


@functools.cache
def _patterns() -> list[Foreign]:
    """The rows of kinds of names, such as `sparse_*`."""
    return [row for row in _rows() if "*" in row.name]


@functools.cache
def _by_name() -> dict[tuple[str, str], Foreign]:
    found: dict[tuple[str, str], Foreign] = {}
    for foreign in foreign_names():
        found.setdefault((foreign.namespace, foreign.name), foreign)
    return found


def _cures(rows: str) -> dict[tuple[str, str], str]:
    parts = (row.split("|", 2) for row in rows.strip().splitlines())
    return {
        (name, other): cure.strip()
        for names, others, cure in parts
        for name in names.split()
        for other in others.split()
    }


@functools.cache
def keywords() -> dict[tuple[str, str], str]:
    """What to do instead of a keyword that other libraries have, by function ("*" for any) and keyword."""
    from tessella.names.table import KEYWORDS

    return _cures(KEYWORDS)


@functools.cache
def _arguments() -> dict[tuple[str, str], str]:
    from tessella.names.table import ARGUMENTS

    return _cures(ARGUMENTS)


def argument_cure(function: str, parameter: str) -> str | None:
    """What may have been meant by an argument that does not fit a parameter, or by one too many ("*").

    >>> argument_cure("max", "axis")
    'the larger of two tensors is ts.maximum(x, y)'
    """
    return _arguments().get((function, parameter))


def keyword_cure(function: str, keyword: str) -> str | None:
    """What to do instead of a keyword that a function does not have; None if nobody has it.

    >>> keyword_cure("std", "unbiased")
    'write correction=1 for unbiased=True, correction=0 for False'
    """
    return keywords().get((function, keyword)) or keywords().get(("*", keyword))


def library_with(function: str, keyword: str) -> str | None:
    """Whose function of this name has a keyword; None if nobody's.

    >>> library_with("Conv2d", "padding_mode")
    'PyTorch'
    """
    from tessella.names.known import libraries_with

    return next(iter(libraries_with(function, keyword)), None)


def missing(
    namespace: str, name: str, owner: object = None, where: str | None = None
) -> UnknownNameError:
    """The error for a name that a namespace does not have.

    Args:
        owner: the object that was asked, if a namespace stands for the objects of a class.
        where: what the owner itself knows about the name, in words.

    >>> print(missing("ts", "vmapp"))
    module 'tessella' has no attribute 'vmapp'; did you mean `vmap` or `map`?
    """
    return UnknownNameError(functools.partial(explain, namespace, name, owner, where))


def explain(namespace: str, name: str, owner: object = None, where: str | None = None) -> str:
    """What is said about a name that a namespace does not have.

    >>> explain("ts", "Future")
    "module 'tessella' has no attribute 'Future': PyTorch has `torch.Future`; Tessella has no counterpart yet"
    """
    head = f"{_shown(namespace, owner)} has no attribute {name!r}"
    told = f"; {where}" if where else _cured(namespace, name) or _known(namespace, name)
    return head + (told or _near(namespace, name, owner))


def _cured(namespace: str, name: str) -> str | None:
    """What the table says, or where else the name is."""
    for place in (namespace, *_BESIDE.get(namespace, ())):
        foreign = _by_name().get((place, name)) or _by_pattern(place, name)
        if foreign is not None:
            is_here = foreign.here.startswith("`")
            return f": {foreign.library}'s `{name}` is {foreign.here}{' here' if is_here else ''}"
        if place != namespace and name in _public_names(place):
            return f"; there is `{_SPELLED[place]}.{name}`"
    return None


def _by_pattern(namespace: str, name: str) -> Foreign | None:
    """The row of a kind of names; only of those that the library has indeed."""
    from tessella.names.known import places_of

    for row in _patterns():
        same = row.namespace == namespace and fnmatch.fnmatchcase(name, row.name)
        if same and any(place.library == row.library for place in places_of(namespace, name)):
            return row
    return None


def _known(namespace: str, name: str) -> str | None:
    """That another library has the name, though nothing is known to do instead; or Python itself."""
    from tessella.names.known import places_of

    for place in (namespace, *_BESIDE.get(namespace, ())):
        for found in places_of(place, name):
            return f": {found.library} has `{found.path}.{name}`; Tessella has no counterpart yet"
    return None if namespace in _OF_OBJECTS else _of_python(name)


def _of_python(name: str) -> str | None:
    """That a name is Python's own, which other libraries show because they import it themselves."""
    if name in sys.stdlib_module_names:
        return f": `{name}` is a module of Python's own; write `import {name}`"
    if name in typing.__all__:
        return f": `{name}` is Python's own; write `from typing import {name}`"
    return None


def _near(namespace: str, name: str, owner: object) -> str:
    near = difflib.get_close_matches(name, _public_names(namespace, owner), 3, 0.7)
    if not near:
        beside = {
            f"{_SPELLED[place]}.{other}": other
            for place in _BESIDE.get(namespace, ())
            for other in _public_names(place)
        }
        close = difflib.get_close_matches(name, list(beside.values()), 1, 0.8)
        near = [path for path, other in beside.items() if other in close][:1]
    listed = " or ".join(f"`{other}`" for other in near)
    return f"; did you mean {listed}?" if near else ""


# Where else a name is looked for, and how it is written there: PyTorch has many at several places.
_BESIDE = {
    "ts": ("F", "Tensor", "nn", "optim"),
    "Tensor": ("ts", "F"),
    "F": ("ts", "nn"),
    "nn": ("F", "ts", "init"),
    "optim": ("nn",),
    "init": ("F",),
    "random": ("ts",),
}
_SPELLED = {
    "ts": "ts",
    "Tensor": "x",
    "F": "ts.nn.functional",
    "nn": "ts.nn",
    "optim": "ts.optim",
    "init": "ts.nn.init",
}
_OF_OBJECTS = ("Tensor", "Module", "Optimizer")


def _shown(namespace: str, owner: object) -> str:
    from tessella.names.table import NAMESPACES

    if owner is not None:
        return type(owner).__name__
    path = ".".join(["tessella", *NAMESPACES[namespace].split()])
    return "'Tensor' object" if namespace == "Tensor" else f"module '{path}'"


_roots: list[ModuleType] = []


def look_in(package: ModuleType) -> None:
    """Say which package has the public names: what stands below it cannot import it."""
    _roots[:] = [package]


def package() -> ModuleType:
    """The package that has the public names."""
    return _roots[0]


def _public_names(namespace: str, owner: object = None) -> list[str]:
    from tessella.names.table import NAMESPACES

    found: Any = package() if owner is None else owner
    if owner is None:
        for part in filter(None, NAMESPACES[namespace].split(".")):
            found = getattr(found, part)
    return [name for name in getattr(found, "__all__", dir(found)) if not name.startswith("_")]
