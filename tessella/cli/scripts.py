"""Scripts that are commands, too: files of `examples/`, to be read, changed and run by themselves.

In an installed package they lie in `tessella/examples`.
"""

from __future__ import annotations

import functools
import importlib.util
import inspect
from pathlib import Path
from types import ModuleType
from typing import Any

import typer
from rich.markup import escape

import tessella
from tessella.cli.guard import INTERRUPTED
from tessella.errors import ArgumentError
from tessella.train.history import History


def load(place: str) -> ModuleType:
    """The module of a script.

    Args:
        place: its path in `examples`, without `.py`.

    Raises:
        ArgumentError: it is not there.
    """
    package = Path(tessella.__file__).parent
    for folder in (package / "examples", package.parent / "examples"):
        path = folder / f"{place}.py"
        if path.is_file():
            name = "tessella_" + place.replace("/", "_")
            spec = importlib.util.spec_from_file_location(name, path)
            assert spec is not None
            assert spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            return module
    raise ArgumentError(f"{place}.py is not installed; reinstall tessella")


def run(place: str, name: str, arguments: list[str]) -> None:
    """Call a script's `main` with the arguments of the command line; its `--help` begins with the script's own words.

    Args:
        name: of the command.
    """
    module = load(place)

    @functools.wraps(module.main)
    def main(*args: Any, **options: Any) -> None:
        found = module.main(*args, **options)
        if isinstance(found, History) and found.interrupted:
            raise typer.Exit(INTERRUPTED)

    script = typer.Typer(pretty_exceptions_enable=False, add_completion=False)
    told = inspect.getdoc(module.main) or inspect.getdoc(module) or ""
    script.command(help=escape(unbroken(told)))(main)
    script(arguments, prog_name=name)


def unbroken(text: str) -> str:
    """The lines of each paragraph as one, which a terminal breaks where it ends; those of lists and programs stay.

    >>> unbroken("A network\\nreads.\\n\\n- one\\n- two\\n\\n    code\\n    more")
    'A network reads.\\n\\n- one\\n- two\\n\\n    code\\n    more'
    """
    paragraphs = text.split("\n\n")
    return "\n\n".join(
        part if any(line.startswith((" ", "- ", "* ")) for line in part.splitlines()) else part.replace("\n", " ")
        for part in paragraphs
    )  # fmt: skip
