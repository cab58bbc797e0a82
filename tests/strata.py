"""The strata of the package, from top to bottom; who imports whom; and what is allowed still.

`python -m tests.strata --shorten` takes out of the list of offences what is no longer there. It adds nothing.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
PACKAGE = "tessella"
DOOR, BEHIND = "devices/registry.py", "targets/"  # the registry alone loads targets, by their names
OFFENCES = Path(__file__).parent / "strata_offences.txt"


class Stratum(NamedTuple):
    """A floor of the house: it may import itself and what stands below it.

    Args:
        holds: its folders and files, from the package; a longer path goes before a shorter one, so that a file
            may belong elsewhere than its folder. What does not stand in a folder of the stratum's name moves there.
    """

    name: str
    purpose: str
    holds: str


STRATA = (
    Stratum("cli", "the command line", "cli __main__.py"),
    Stratum("minitorch", "the course's names", "minitorch"),
    Stratum("public", "the names of `import tessella`", "__init__.py __init__.pyi"),
    Stratum("train", "the training loop: progress, metrics, checkpoints, resuming", "train"),
    Stratum("data", "datasets, samplers, loaders", "data"),
    Stratum("io", "files of tensors", "io"),
    Stratum(
        "debug",
        "what people see of what runs below: explain, levels, prints, NaN, times",
        "debug profiling.py",
    ),
    Stratum("nn", "modules, functions, optimisers", "nn optim"),
    Stratum("random", "keys, generators, distributions", "random"),
    Stratum("transforms", "grad, vmap, jvp, control flow, jit, checkpoint", "transforms"),
    Stratum("tensors", "Tensor, and its functions by room", "tensors defaults.py"),
    Stratum(
        "tracing",
        "the stack of traces, captures and guards, the user's line",
        "tracing",
    ),
    Stratum(
        "targets",
        "all that one device is; the registry loads it by name",
        "targets",
    ),
    Stratum("compiler", "passes, one dispatch, shared lowerings, memory plan, program", "compiler"),
    Stratum(
        "devices",
        "the contract: Device, Buffer, Array, Layout, the registry",
        "devices",
    ),
    Stratum("primitives", "one class per operation with all its rules; graphs", "primitives"),
    Stratum(
        "loops",
        "the loop-nest language, its printer, its translation to LLVM IR",
        "loops",
    ),
    Stratum("scalar", "operators, expressions, derivatives, the maths library", "scalar"),
    Stratum("autodiff", "the tape and the chain rule", "autodiff.py"),
    Stratum(
        "ground",
        "dtypes, sizes, errors, arguments, containers, blocks, threads, text",
        "dtypes.py sizes errors.py arguments names trees.py tree_nodes.py blocks.py "
        "forking.py garbage.py uninterrupted.py weak.py files.py later.py tracebacks.py "
        "notebooks.py terminal.py release.py",
    ),
)


def shown() -> str:
    """The strata as docs/architecture.md shows them, the highest first."""
    width = max(len(stratum.name) for stratum in STRATA)
    return "\n".join(f"{stratum.name:{width}}  {stratum.purpose}" for stratum in STRATA)


def level(file: str) -> int | None:
    """The place of a file in the strata, 0 for the highest: that of the longest path that leads to it."""
    found = [
        (len(path), number)
        for number, stratum in enumerate(STRATA)
        for path in stratum.holds.split()
        if file == path or file.startswith(f"{path}/")
    ]
    return max(found)[1] if found else None


class Arrow(NamedTuple):
    """One file needs another, and says so at a line. Both are paths from the package."""

    source: str
    line: int
    target: str

    def __str__(self) -> str:
        return f"{self.source}:{self.line} imports {self.target}"


def _by_the_door(arrow: Arrow) -> bool:
    return arrow.source == DOOR and arrow.target.startswith(BEHIND)


class Package:
    """The files of a package, parsed, and the arrows between them.

    An import is an import wherever it stands, in a function too, but not under `TYPE_CHECKING`. So is a module
    named in a string, a row of a table of what is loaded later, and a hook: what a file sets in another one is
    needed there. Python's own import of the packages around a module is none.
    """

    def __init__(self, folder: Path) -> None:
        self.name = folder.name
        self.trees = {
            str(path.relative_to(folder)): ast.parse(path.read_text(encoding="utf-8"))
            for path in sorted(folder.rglob("*.py*"))
            if path.suffix in (".py", ".pyi")
        }
        self.nodes = {file: _running(tree) for file, tree in self.trees.items()}
        self.loaders = {file: _prefixes(self, file) for file in self.trees}

    def file(self, module: str) -> str | None:
        """The file of a module, None if it is none of this package."""
        head, _, rest = module.partition(".")
        path = rest.replace(".", "/")
        if head != self.name or module.endswith("."):
            return None
        candidates = [f"{path}.py", f"{path}/__init__.py"] if path else ["__init__.py"]
        return next((file for file in candidates if file in self.trees), None)

    def module(self, file: str) -> str:
        """The module of a file, as it is imported."""
        parts = [self.name, *Path(file).with_suffix("").parts]
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    def arrows(self) -> list[Arrow]:
        """All arrows between different files, by file and line; but those by which the registry loads targets."""
        found = (arrow for file in self.trees for arrow in self._of(file))
        return sorted(
            {arrow for arrow in found if arrow.source != arrow.target and not _by_the_door(arrow)}
        )

    def _of(self, file: str) -> Iterator[Arrow]:
        names = dict(self._names(file))
        for node in self.nodes[file]:
            for module in self._named(file, node, names):
                target = self.file(module)
                if target is not None:
                    yield Arrow(file, node.lineno, target)
            yield from self._hooks(file, node, names)

    def _names(self, file: str) -> Iterator[tuple[str, str]]:
        """What imported names stand for: a module, or a module and a name in it."""
        for node in self.nodes[file]:
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield (
                        (alias.asname or alias.name.split(".")[0]),
                        (alias.name if alias.asname else alias.name.split(".")[0]),
                    )
            elif isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    yield alias.asname or alias.name, f"{self._origin(file, node)}.{alias.name}"

    def _origin(self, file: str, node: ast.ImportFrom) -> str:
        """The module that names are imported from, written absolutely."""
        parts = self.module(file).split(".")
        if not file.endswith("__init__.py"):
            parts = parts[:-1]
        above = parts[: len(parts) - node.level + 1] if node.level else []
        return ".".join([*above, *([node.module] if node.module else [])])

    def owner(self, name: str) -> str | None:
        """The file of a module, or of the module that a name is in."""
        return self.file(name) or self.file(name.rpartition(".")[0])

    def _named(self, file: str, node: ast.AST, names: Mapping[str, str]) -> Iterator[str]:
        """The modules that a piece of a file names."""
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = self._origin(file, node)
            for alias in node.names:
                yield f"{origin}.{alias.name}" if self.file(f"{origin}.{alias.name}") else origin
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from self._strings(file, node.value)
        elif isinstance(node, ast.Subscript) and ast.unparse(node.value) == "sys.modules":
            yield from (piece.value for piece in [node.slice] if isinstance(piece, ast.Constant))
        elif isinstance(node, ast.Call):
            yield from self._called(node, names)

    def _strings(self, file: str, text: str) -> Iterator[str]:
        """The module that a string names, in full or after a prefix that the file imports by; not what it is in."""
        is_around = self.module(file).startswith(f"{text}.")
        if text.startswith(f"{self.name}.") and not is_around:
            yield text
        yield from (f"{prefix}{text}" for prefix in self.loaders[file] if text)

    def _called(self, call: ast.Call, names: Mapping[str, str]) -> Iterator[str]:
        """The modules that are named to a function or class which imports by name."""
        meant = names.get(_root(call.func), "")
        prefixes = self.loaders.get(self.owner(meant) or "", frozenset())
        if meant in ("importlib", "importlib.import_module") or _root(call.func) == "__import__":
            prefixes = prefixes | {""}
        for argument in [*call.args, *(keyword.value for keyword in call.keywords)]:
            if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                yield from (f"{prefix}{argument.value}" for prefix in prefixes)

    def _hooks(self, file: str, node: ast.AST, names: Mapping[str, str]) -> Iterator[Arrow]:
        """What this file sets in another one is needed there, if it is code of this one and is used there."""
        for target, value in _settings(node):
            meant = names.get(_root(target), "")
            owner = self.owner(meant)
            if owner is None or not self._is_code_of(file, value, names):
                continue
            if self.file(meant) or _last(target) in _used(self.trees[owner]):
                yield Arrow(owner, node.lineno, file)

    def _is_code_of(self, file: str, value: ast.AST, names: Mapping[str, str]) -> bool:
        """Whether a value is made by code: a function, a class or an import of the file, not an argument."""
        known = {
            node.name
            for node in self.trees[file].body
            if isinstance(node, ast.FunctionDef | ast.ClassDef)
        }
        return any(
            isinstance(part, ast.Lambda)
            or (isinstance(part, ast.Name) and part.id in known | names.keys())
            for part in ast.walk(value)
        )


def _prefixes(package: Package, file: str) -> frozenset[str]:
    """What the names of modules begin with that a file puts together: `f"tessella.tensors.{room}"`."""
    found = set()
    for node in package.nodes[file]:
        if isinstance(node, ast.JoinedStr) and isinstance(node.values[0], ast.Constant):
            start = str(node.values[0].value)
            folder = start.removeprefix(f"{package.name}.").replace(".", "/")
            if folder != start and any(other.startswith(folder) for other in package.trees):
                found.add(start)
    return frozenset(found)


def _running(tree: ast.AST) -> list[ast.AST]:
    """The parts of a tree that run: not those for type checkers, nor annotations, nor docstrings."""
    found: list[ast.AST] = []
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            waiting += node.body if isinstance(node.test, ast.UnaryOp) else node.orelse
        elif not _is_docstring(node):
            found.append(node)
            waiting += _parts(node)
    return found


def _parts(node: ast.AST) -> Iterator[ast.AST]:
    for field, value in ast.iter_fields(node):
        if field not in ("annotation", "returns", "ctx"):
            for part in value if isinstance(value, list) else (value,):
                if isinstance(part, ast.AST):
                    yield part


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _settings(node: ast.AST) -> Iterator[tuple[ast.AST, ast.AST]]:
    """What is set in something else and the value: `a.b = value`, `a[b] = value`, `setattr(a, "b", value)`."""
    if isinstance(node, ast.Assign):
        yield from ((target, node.value) for target in node.targets if not _is_name(target))
    elif isinstance(node, ast.AnnAssign | ast.AugAssign) and node.value is not None:
        if not _is_name(node.target):
            yield node.target, node.value
    elif isinstance(node, ast.Call) and _root(node.func) == "setattr" and len(node.args) == 3:
        where, name, value = node.args
        shown = name.value if isinstance(name, ast.Constant) else ""
        yield ast.Attribute(where, str(shown)), value


def _is_name(node: ast.AST) -> bool:
    return isinstance(node, ast.Name | ast.Tuple)


def _root(node: ast.AST) -> str:
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def _last(node: ast.AST) -> str:
    while isinstance(node, ast.Subscript):
        node = node.value
    return node.attr if isinstance(node, ast.Attribute) else _root(node)


def _used(tree: ast.AST) -> set[str]:
    """The names and attributes that a file reads."""
    loads = (node for node in ast.walk(tree) if isinstance(getattr(node, "ctx", None), ast.Load))
    return {_last(node) for node in loads}


def upward(arrows: list[Arrow]) -> list[Arrow]:
    """The arrows from a stratum to one above it."""
    return [arrow for arrow in arrows if _below(arrow.source) > _below(arrow.target)]


def _below(file: str) -> int:
    found = level(file)
    if found is None:
        raise LookupError(
            f"{PACKAGE}/{file} stands in no stratum; give it one in `STRATA`, in tests/strata.py"
        )
    return found


def circles(arrows: list[Arrow]) -> list[tuple[str, ...]]:
    """The sets of files that need each other, directly or by way of others of the set."""
    reached = _reachable(arrows)
    rings = {
        tuple(sorted(other for other in to if file in reached.get(other, ())))
        for file, to in reached.items()
        if file in to
    }
    return sorted(rings)


def _reachable(arrows: list[Arrow]) -> dict[str, set[str]]:
    following: dict[str, set[str]] = {}
    for arrow in arrows:
        following.setdefault(arrow.source, set()).add(arrow.target)
    return {file: _from(file, following) for file in following}


def _from(file: str, following: Mapping[str, set[str]]) -> set[str]:
    found: set[str] = set()
    waiting = [file]
    while waiting:
        new = following.get(waiting.pop(), set()) - found
        found |= new
        waiting += new
    return found


def way_round(circle: tuple[str, ...], arrows: list[Arrow]) -> list[Arrow]:
    """The arrows of a shortest way round in a circle."""
    inside = [arrow for arrow in arrows if arrow.source in circle and arrow.target in circle]
    return min((_round_from(file, inside) for file in circle), key=len)


def _round_from(start: str, arrows: list[Arrow]) -> list[Arrow]:
    ways: dict[str, list[Arrow]] = {start: []}
    waiting = [start]
    for file in waiting:
        for arrow in arrows:
            if arrow.source == file and arrow.target == start:
                return [*ways[file], arrow]
            if arrow.source == file and arrow.target not in ways:
                ways[arrow.target] = [*ways[file], arrow]
                waiting.append(arrow.target)
    raise LookupError(f"there is no way from {start} back to it")


def told_of_an_arrow(arrow: Arrow) -> str:
    """What is said about an arrow up."""
    low, high = (STRATA[_below(file)].name for file in (arrow.source, arrow.target))
    return (
        f"{PACKAGE}/{arrow}: `{low}` stands below `{high}`; move what is needed down to `{low}` or below, move the "
        f"importing code up to `{high}`, or have it handed over as an argument"
    )


def told_of_a_circle(circle: tuple[str, ...], arrows: list[Arrow]) -> str:
    """What is said about a circle."""
    way = ", ".join(f"{PACKAGE}/{arrow}" for arrow in way_round(circle, arrows))
    return (
        f"circle of files: {way}; put what they share into a file below them, make one file of those that are one "
        "idea, or hand over as an argument what is needed from above"
    )


class Offences(NamedTuple):
    """What is against the law: arrows up, as pairs of files, and circles."""

    upward: frozenset[tuple[str, str]]
    circles: frozenset[tuple[str, ...]]


def offences(arrows: list[Arrow]) -> Offences:
    """The offences of a package."""
    pairs = ((arrow.source, arrow.target) for arrow in upward(arrows))
    return Offences(frozenset(pairs), frozenset(circles(arrows)))


def listed(text: str) -> Offences:
    """The offences of a list: `up: file -> file`, and `circle: file file file`."""
    rows = [row.split("#")[0].split() for row in text.splitlines()]
    pairs = ((row[1], row[3]) for row in rows if row[:1] == ["up:"])
    rings = (tuple(sorted(row[1:])) for row in rows if row[:1] == ["circle:"])
    return Offences(frozenset(pairs), frozenset(rings))


def rows(found: Offences) -> str:
    """Offences, one a row."""
    rings = [f"circle: {' '.join(ring)}" for ring in sorted(found.circles)]
    pairs = [f"up: {source} -> {target}" for source, target in sorted(found.upward)]
    return "".join(f"{row}\n" for row in [*rings, "", *pairs])


def written(found: Offences) -> str:
    """Offences as the list has them."""
    return f"{HEAD}\n{rows(found)}"


HEAD = """\
# What is against the law of the strata still: circles of files, and arrows to a stratum above. Nothing may be added.
# What is gone must go from here too: `python -m tests.strata --shorten` takes it out.
"""


def shortened(old: Offences, now: Offences) -> Offences:
    """The old list without what is gone; of a circle that became smaller, what is left."""
    rings = (
        ring for ring in now.circles if any(set(ring) <= set(before) for before in old.circles)
    )
    return Offences(old.upward & now.upward, frozenset(rings))


def main(arguments: list[str]) -> None:
    """Shorten the list of offences, or show the arrows of circles."""
    arrows = Package(ROOT / PACKAGE).arrows()
    before = listed(OFFENCES.read_text(encoding="utf-8"))
    if "--shorten" in arguments:
        OFFENCES.write_text(written(shortened(before, offences(arrows))), encoding="utf-8")
    for circle in circles(arrows):
        print(*circle, sep=" ")
        for arrow in arrows:
            if arrow.source in circle and arrow.target in circle:
                print(f"    {arrow}")


if __name__ == "__main__":
    main(sys.argv[1:])
