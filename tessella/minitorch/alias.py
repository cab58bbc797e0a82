"""`import minitorch` as another name of `tessella.minitorch`."""

from __future__ import annotations

import sys


def install() -> None:
    """Let `import minitorch`, and imports of its modules, mean Tessella's from now on in this process.

    For scripts and tests that were written for MiniTorch; in a `conftest.py`, for example.

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


__all__ = ["install"]
