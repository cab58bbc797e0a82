"""What is said about a name that is not here: what PyTorch, JAX or NumPy mean by it, or which one was meant.

Programs ask for attributes that may not be there all the time (`hasattr`, `copy`, `pickle`, notebooks), so an error
is made without looking anything up; its text is worked out when somebody reads it.
"""

from __future__ import annotations

import difflib
import functools
import sys
from collections.abc import Iterator
from typing import NamedTuple

from tessella.errors import UnknownNameError


class Foreign(NamedTuple):
    """A name that another library has.

    Args:
        library: which one.
        namespace: where users look for it here: "ts", "Tensor", "nn", "F", "optim" or "random".
        here: what it is here, in words.
    """

    library: str
    namespace: str
    name: str
    here: str


def foreign_names() -> Iterator[Foreign]:
    """All foreign names, in the order of the table.

    >>> next(name for name in foreign_names() if name.name == "compile").here
    '`ts.jit`'
    """
    from tessella.names.table import ROWS

    for row in ROWS.strip().splitlines():
        if row:
            library, namespace, names, here = (part.strip() for part in row.split("|", 3))
            yield from (Foreign(library, namespace, name, here) for name in names.split())


@functools.cache
def _by_name() -> dict[tuple[str, str], Foreign]:
    found: dict[tuple[str, str], Foreign] = {}
    for foreign in foreign_names():
        found.setdefault((foreign.namespace, foreign.name), foreign)
    return found


def _cures(rows: str) -> dict[tuple[str, str], str]:
    parts = (row.split("|", 2) for row in rows.strip().splitlines())
    return {(name.strip(), other.strip()): cure.strip() for name, other, cure in parts}


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


def missing(namespace: str, name: str) -> UnknownNameError:
    """The error for a name that a namespace does not have.

    >>> print(missing("ts", "vmapp"))
    module 'tessella' has no attribute 'vmapp'; did you mean `vmap` or `map`?
    """
    return UnknownNameError(functools.partial(explain, namespace, name))


def explain(namespace: str, name: str) -> str:
    """What is said about a name that a namespace does not have."""
    head = f"{_shown(namespace)} has no attribute {name!r}"
    for place in (namespace, *_BESIDE.get(namespace, ())):
        foreign = _by_name().get((place, name))
        if foreign is not None:
            is_here = foreign.here.startswith("`")
            return f"{head}: {foreign.library}'s `{name}` is {foreign.here}{' here' if is_here else ''}"
        if place != namespace and name in _public_names(place):
            return f"{head}; there is `{_SPELLED[place]}.{name}`"
    near = difflib.get_close_matches(name, _public_names(namespace), 3, 0.7)
    listed = " or ".join(f"`{other}`" for other in near)
    return f"{head}; did you mean {listed}?" if near else head


# Where else a name is looked for, and how it is written there: PyTorch has many at several places.
_BESIDE = {"ts": ("F", "Tensor"), "Tensor": ("ts", "F"), "F": ("ts",), "nn": ("F", "ts")}
_SPELLED = {"ts": "ts", "Tensor": "x", "F": "ts.nn.functional"}


def _shown(namespace: str) -> str:
    from tessella.names.table import NAMESPACES

    return "'Tensor' object" if namespace == "Tensor" else f"module '{NAMESPACES[namespace]}'"


def _public_names(namespace: str) -> list[str]:
    from tessella.names.table import NAMESPACES

    owner = sys.modules["tessella"]
    for part in NAMESPACES[namespace].split(".")[1:]:
        owner = getattr(owner, part)
    return [name for name in getattr(owner, "__all__", dir(owner)) if not name.startswith("_")]
