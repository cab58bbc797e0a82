"""The names and keywords that PyTorch, JAX and NumPy have, whether or not there is something like them here.

`names.txt` and `keywords.txt` are written by docs/build_known_names.py.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from importlib import resources
from typing import NamedTuple


class Library(NamedTuple):
    """Where a library has a name: `torch.linalg`."""

    library: str
    path: str


def places_of(namespace: str, name: str) -> list[Library]:
    """Where others have a name that users look for in a namespace.

    >>> places_of("ts", "svdvals")[0]
    Library(library='PyTorch', path='torch.linalg')
    """
    return _names().get((namespace, name), [])


def libraries_with(function: str, keyword: str) -> list[str]:
    """Whose functions of this name have this keyword.

    >>> libraries_with("sum", "initial")
    ['JAX', 'NumPy']
    """
    return _keywords().get((function, keyword), [])


def lines(file: str) -> Iterator[list[str]]:
    """The rows of one of the two files, in their parts."""
    text = resources.files("tessella.names").joinpath(file).read_text(encoding="utf8")
    return ([part.strip() for part in line.split("|")] for line in text.splitlines())


@functools.cache
def _names() -> dict[tuple[str, str], list[Library]]:
    found: dict[tuple[str, str], list[Library]] = {}
    for library, namespace, path, names in lines("names.txt"):
        for name in names.split():
            found.setdefault((namespace, name), []).append(Library(library, path))
    return found


@functools.cache
def _keywords() -> dict[tuple[str, str], list[str]]:
    found: dict[tuple[str, str], list[str]] = {}
    for function, library, keywords in lines("keywords.txt"):
        for keyword in keywords.split():
            found.setdefault((function, keyword), []).append(library)
    return found
