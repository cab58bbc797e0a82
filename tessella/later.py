"""What is imported later: public names when they are first asked for, and what goes with another library."""

from __future__ import annotations

import ast
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple


class Home(NamedTuple):
    """Where a public name stands: a module, and the name that it has there."""

    module: str
    name: str


ABSENT = object()


def homes(stub: str | Path) -> dict[str, Home]:
    """Where the public names of a package stand, by its stub, which editors and type checkers read: there is one list.

    Its lines are `from tessella.dtypes import float32 as float32`, and `float = float32` for another name of it.
    """
    known: dict[str, Home] = {}
    for statement in ast.parse(Path(stub).read_text(encoding="utf-8")).body:
        if isinstance(statement, ast.ImportFrom):
            for alias in statement.names:
                known[alias.name] = Home(statement.module or "", alias.name)
        elif isinstance(statement, ast.Assign):
            (target,) = statement.targets
            known[ast.unparse(target)] = _same_as(statement.value, known)
    return known


def _same_as(value: ast.expr, known: Mapping[str, Home]) -> Home:
    """Where a name stands that is another one of what has a name already, or of what a module has."""
    module, _, name = ast.unparse(value).rpartition(".")
    return Home(".".join(known[module]), name) if module else known[name]


def found(package: str, name: str, of: Mapping[str, Home]) -> Any:
    """A public name of a package, or a module in it, imported now; `ABSENT` if there is none."""
    place = of.get(name)
    if place is None:
        place = Home(package, name)
        if name.startswith("_") or importlib.util.find_spec(f"{package}.{name}") is None:
            return ABSENT
    home = importlib.import_module(place.module)
    known = vars(home).get(place.name, ABSENT)
    return importlib.import_module(".".join(place)) if known is ABSENT else known


def when_imported(library: str, module: str) -> None:
    """Import a module of this package as soon as a library's module has been imported, or now if it has.

    >>> when_imported("sys", "tessella.errors")
    """
    if library in sys.modules:
        importlib.import_module(module)
    else:
        sys.meta_path.insert(0, _Finder(library, module))


class _Finder(importlib.abc.MetaPathFinder):
    """Finds one module, as the others would, and has ours follow it."""

    def __init__(self, library: str, module: str) -> None:
        self.library, self.module = library, module

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self.library:
            return None
        sys.meta_path.remove(self)
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader, self.module)
        return spec


class _Loader(importlib.abc.Loader):
    """Loads a module as its own loader does, and ours after it."""

    def __init__(self, own: importlib.abc.Loader, module: str) -> None:
        self.own, self.module = own, module

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self.own.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self.own.exec_module(module)
        importlib.import_module(self.module)
