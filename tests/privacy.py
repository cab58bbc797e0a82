"""What one file keeps to itself, and who reads it all the same; what is allowed still.

`python -m tests.privacy --shorten` takes out of the list of offences what is no longer there. It adds nothing.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.strata import PACKAGE, ROOT, STRATA, level

OFFENCES = Path(__file__).parent / "privacy_offences.txt"
HEAD = """\
# What one file reads of another that keeps it to itself, still. Nothing may be added.
# What is gone must go from here too: `python -m tests.privacy --shorten` takes it out.
"""
# The slots of the handle, and the strata that work on them (docs/adr/0034-the-slots-of-the-handle.md).
HANDLE = frozenset(["_value", "_node", "_output", "_grad", "_base"])
ON_THE_HANDLE = ("tensors", "tracing", "transforms", "minitorch")
# The course's handle: its public names are the course's (and `_tensor`, `_backward` are names of the course, too).
COURSE = frozenset(["_data", "_like", "_ensure", "_take_place_of", "_tensor", "_backward"])
# Of named tuples and locks, where Python has no other names for what everybody may use.
PYTHON = frozenset(["_replace", "_fields", "_asdict", "_make", "_is_owned", "_at_fork_reinit"])
BY_NAME = ("getattr", "setattr", "hasattr", "delattr")


class Reading(NamedTuple):
    """A file uses a private name of another one."""

    file: str
    line: int
    name: str

    def __str__(self) -> str:
        return (
            f"{PACKAGE}/{self.file}:{self.line} uses {self.name!r}, which another file keeps to itself; make its name "
            "public there, give it a method there that does what is needed, or move this code to that file"
        )


def is_private(name: str) -> bool:
    """Whether a name is for its own file only."""
    return name.startswith("_") and not name.startswith("__") and name != "_"


def readings(file: str, tree: ast.Module) -> list[Reading]:
    """The private names that a file uses and that are not its own.

    Its own are those that it defines: functions and variables, what its classes have, and what is set on `self`.
    What a class has from a base in another file is read on `self` or `cls`, which is nobody else's.
    """
    own, foreign, ours = set(_defined(tree)), _foreign(tree), _ours(tree)
    found = (
        Reading(file, node.lineno, name)
        for node in ast.walk(tree)
        for name, of in _used(node)
        if is_private(name) and name not in PYTHON
        if of is None or not (_root(of) in foreign or _is_self(of))
        if of is None or name not in own or (isinstance(of, ast.Name) and of.id in ours)
    )
    return sorted({reading for reading in found if not is_shared(file, reading.name)})


def is_shared(file: str, name: str) -> bool:
    """Whether a file may use the name of a slot that its stratum works on."""
    number = level(file)
    stratum = None if number is None else STRATA[number].name
    return (name in HANDLE and stratum in ON_THE_HANDLE) or (
        name in COURSE and stratum == "minitorch"
    )


def _used(node: ast.AST) -> Iterator[tuple[str, ast.expr | None]]:
    """The names that a piece of code uses, and of what; imported ones are of no object."""
    if isinstance(node, ast.ImportFrom) and _is_from_ours(node):
        yield from ((alias.name, None) for alias in node.names)
    elif isinstance(node, ast.Attribute):
        yield node.attr, node.value
    elif isinstance(node, ast.Call) and _called(node) in BY_NAME:
        named = [part.value for part in node.args[1:2] if isinstance(part, ast.Constant)]
        yield from ((str(name), node.args[0]) for name in named)


def _is_from_ours(node: ast.ImportFrom) -> bool:
    return bool(node.level) or (node.module or "").startswith(PACKAGE)


def _called(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else ""


def _defined(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield from [node.attr] if _is_self(node.value) else []
        elif isinstance(node, ast.Assign) and _assigns_slots(node):
            yield from (c.value for c in ast.walk(node.value) if isinstance(c, ast.Constant))


def _assigns_slots(node: ast.Assign) -> bool:
    return any(isinstance(target, ast.Name) and target.id == "__slots__" for target in node.targets)


def _foreign(tree: ast.Module) -> set[str]:
    """The names of what was imported from other packages: how they keep house is their affair."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {
                (alias.asname or alias.name).split(".")[0]
                for alias in node.names
                if not alias.name.startswith(PACKAGE)
            }
        elif isinstance(node, ast.ImportFrom) and not _is_from_ours(node):
            found |= {alias.asname or alias.name for alias in node.names}
    return found


def _ours(tree: ast.Module) -> set[str]:
    """The names of what was imported from other files of this package."""
    return {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and _is_from_ours(node)
        for alias in node.names
    }


def _is_self(node: ast.expr) -> bool:
    if isinstance(node, ast.Call):
        return _called(node) == "super" or (_called(node) == "type" and _is_self(node.args[0]))
    return isinstance(node, ast.Name) and node.id in ("self", "cls")


def _root(node: ast.AST) -> str:
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


def all_readings(folder: Path) -> list[Reading]:
    """Those of all files of a package."""
    paths = sorted(folder.rglob("*.py"))
    return [
        reading
        for path in paths
        for reading in readings(
            str(path.relative_to(folder)), ast.parse(path.read_text(encoding="utf-8"))
        )
    ]


def listed(text: str) -> frozenset[tuple[str, str]]:
    """The offences of a list: a file and a name in each row."""
    rows = [row.split("#")[0].split() for row in text.splitlines()]
    return frozenset((row[0], row[1]) for row in rows if row)


def written(offences: frozenset[tuple[str, str]]) -> str:
    """Offences as the list has them."""
    return HEAD + "".join(f"{file} {name}\n" for file, name in sorted(offences))


def main(arguments: list[str]) -> None:
    """Show who reads what; shorten the list of offences."""
    found = all_readings(ROOT / PACKAGE)
    if "--shorten" in arguments:
        now = frozenset((reading.file, reading.name) for reading in found)
        before = listed(OFFENCES.read_text(encoding="utf-8"))
        OFFENCES.write_text(written(before & now), encoding="utf-8")
    for reading in found:
        print(reading)


if __name__ == "__main__":
    main(sys.argv[1:])
