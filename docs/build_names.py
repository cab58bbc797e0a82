"""Write docs/names.md from the table of foreign names and from what is there: `python docs/build_names.py`.

With `--check` nothing is written, and the exit status is 1 if the page is out of date.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

import tessella as ts
from tessella.names import foreign_names
from tessella.names.table import KEYWORDS, ROWS

PAGE = Path(__file__).parent / "names.md"
INTRODUCTION = """# Names

What PyTorch, JAX and NumPy call something, and what it is here. Functions of `ts` follow the Python Array API standard, and
most names of PyTorch and NumPy that mean the same work, too: the first lists have them. The tables say what to write
instead of the others; the errors say the same, as they are made from the same table (`tessella/names/table.py`).
This page is written by `docs/build_names.py`. The guides are [from PyTorch](from_pytorch.md), [from JAX](from_jax.md)
and [from NumPy](from_numpy.md).
"""
SPACES = {
    "ts": "Functions: `ts`", "Tensor": "Methods of `Tensor`", "nn": "Layers: `ts.nn`",
    "F": "Functions of networks: `ts.nn.functional`", "optim": "Optimisers: `ts.optim`", "random": "`ts.random`",
    "init": "`ts.nn.init`", "utils": "`ts.nn.utils`", "io": "`ts.io`", "data": "`ts.data`", "train": "`ts.train`", "debug": "`ts.debug`",
    "Module": "Attributes of a module", "Optimizer": "Attributes of an optimiser",
}  # fmt: skip


def listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def there() -> list[str]:
    """What works as it is."""
    methods = [name for name in dir(ts.Tensor) if not name.startswith("_")]
    return [
        "## What works\n",
        f"Functions of `ts`: {listed(name for name in ts.__all__ if not name.startswith('_'))}.\n",
        f"Methods of `Tensor`: {listed(methods)}.\n",
        f"Functions of `ts.nn.functional`: {listed(ts.nn.functional.__all__)}.\n",
    ]


def table(space: str) -> list[str]:
    """The rows of one namespace."""
    found = [f"## {SPACES[space]}\n", "| whose | name | here |", "|---|---|---|"]
    for row in ROWS.strip().splitlines():
        parts = [part.strip() for part in row.split("|", 3)]
        if len(parts) == 4 and parts[1] == space:
            here = parts[3].replace("|", "\\|")
            found.append(f"| {parts[0]} | {listed(parts[2].split())} | {here} |")
    return [*found, ""]


def keywords() -> list[str]:
    """The keywords that have another way."""
    found = ["## Keywords\n", "| function | keyword | instead |", "|---|---|---|"]
    for row in KEYWORDS.strip().splitlines():
        function, keyword, cure = (part.strip() for part in row.split("|", 2))
        found.append(f"| {'any' if function == '*' else f'`{function}`'} | `{keyword}` | {cure} |")
    return [*found, ""]


def page() -> str:
    rows = [line for space in SPACES for line in table(space)]
    count = len(list(foreign_names()))
    told = (
        f"The tables have {count} names; a name with a `*` stands for all of its kind. Of another name that PyTorch, JAX or\n"
        "NumPy has (`tessella/names/names.txt`) the error says that there is no counterpart yet.\n"
    )
    return "\n".join([INTRODUCTION, *there(), told, *rows, *keywords()]).rstrip() + "\n"


def main() -> int:
    text = page()
    if "--check" in sys.argv[1:]:
        current = PAGE.read_text(encoding="utf8") if PAGE.exists() else ""
        if current != text:
            print("docs/names.md is out of date; run `python docs/build_names.py`")
        return int(current != text)
    PAGE.write_text(text, encoding="utf8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
