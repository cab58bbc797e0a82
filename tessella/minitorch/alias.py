"""`import minitorch` as another name of `tessella.minitorch`; `import numba` where there is none."""

from __future__ import annotations

import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from typing import Any

NOTE = (
    "note: numba is not installed, and Tessella does without it: njit and jit give a function back as it is "
    "(their options are ignored), prange is range, cuda.is_available() is False.\n"
)


class _StandsIn(MetaPathFinder):
    """Finds `numba` where nobody else does (it comes last)."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name != "numba":
            return None
        sys.stderr.write(NOTE)
        folder = Path(__file__).parent / "numba"
        found = [str(folder)]
        return spec_from_file_location(
            name, folder / "__init__.py", submodule_search_locations=found
        )


_stands_in = _StandsIn()


def install() -> None:
    """Let `import minitorch`, and imports of its modules, mean Tessella's from now on in this process.

    For scripts and tests that were written for MiniTorch; in a `conftest.py`, for example. Where numba is not
    installed, `import numba` works too: a note on stderr says what is ignored.

    >>> from tessella import minitorch
    >>> minitorch.install()
    >>> from minitorch.tensor_data import IndexingError
    >>> IndexingError is minitorch.IndexingError
    True
    """
    own = "tessella.minitorch"
    for name, module in list(sys.modules.items()):
        if name == own or name.startswith(own + "."):
            sys.modules[name.removeprefix("tessella.")] = module
    if _stands_in not in sys.meta_path:
        sys.meta_path.append(_stands_in)


__all__ = ["install"]
