"""What is to be imported when another library is: nothing is imported for a library that nobody uses."""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import sys
from collections.abc import Sequence
from types import ModuleType


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
