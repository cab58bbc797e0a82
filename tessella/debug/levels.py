"""`TESSELLA_DEBUG=1..5`: what the compiler does, on standard error, rung by rung.

1: a line for every compiled program; 2: also the graph after every pass that changed it; 3: also the
loop nests; 4: also the LLVM IR; 5: also the assembly.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator
from typing import Any

from tessella.compiler.observe import Observer, look_on, observed
from tessella.errors import ConfigurationError

VARIABLE = "TESSELLA_DEBUG"
HIGHEST = 5
_SOURCES = {3: "loops", 4: "llvm", 5: "asm"}
_STAGES = {  # all others are passes that simplify
    "trace": "trace",
    "fuse": "fuse",
    "lower": "lower",
    "plan_memory": "plan memory",
    "machine_code": "machine code",
    "write_tables": "write tables",
}


def level() -> int:
    """The rung that the environment asks for; 0 for silence.

    Raises:
        ConfigurationError: `TESSELLA_DEBUG` is no whole number from 0 to 5.
    """
    text = os.environ.get(VARIABLE, "0").strip()
    if not text.isdecimal() or int(text) > HIGHEST:
        raise ConfigurationError(
            f"{VARIABLE} is {text!r}; expected a whole number from 0 (silent) to {HIGHEST}: 1 a line "
            "for every program, 2 graphs, 3 loop nests, 4 LLVM IR, 5 assembly"
        )
    return int(text)


def say(text: str) -> None:
    """Write to standard error."""
    print(text, file=sys.stderr, flush=True)


class _Report(Observer):
    """The time of every stage of compiling one program, and what came out."""

    def __init__(self) -> None:
        self.milliseconds: dict[str, float] = {}
        self.outcome = ""

    def stage(self, name: str, subject: str, begin: int, end: int) -> None:
        shown = _STAGES.get(name, "simplify")
        self.milliseconds[shown] = self.milliseconds.get(shown, 0.0) + (end - begin) / 1e6

    def compiled(self, program: Any) -> None:
        from tessella.compiler.texts import summary

        self.outcome = summary(program)

    def __str__(self) -> str:
        times = ", ".join(f"{stage} {ms:.1f} ms" for stage, ms in self.milliseconds.items())
        return f"{self.outcome}; {times}, {sum(self.milliseconds.values()):.1f} ms in all"


class Levels(Observer):
    """Says what is compiled, as far as the environment asks for it."""

    def __init__(self) -> None:
        self.last = threading.local()  # the text of the graph that came out of the last pass

    @contextlib.contextmanager
    def compiling(self, name: str, number: int, why: str) -> Iterator[None]:
        """Say afterwards what was compiled, why, and how long each stage took."""
        if level() < 1:
            yield
            return
        report = _Report()
        with observed(report):
            yield
        say(f"tessella: {name}: trace {number}, because {why}: {report}")

    def passed(self, name: str, step: str, graph: Any) -> None:
        """Show a graph if it is another one than before the pass."""
        if level() < 2:
            return
        title, text = f"{name}: after {step}" if step else f"{name}: as traced", str(graph)
        is_same = bool(step) and text == getattr(self.last, "text", None)
        say(f"--- {title}: unchanged" if is_same else f"--- {title}\n{text}")
        self.last.text = text

    def compiled(self, program: Any) -> None:
        """Show what became of a program."""
        wanted = level()
        if wanted < min(_SOURCES):
            return
        from tessella.compiler.texts import sources

        for rung, kind in _SOURCES.items():
            if wanted >= rung:
                say(f"--- {program.name}: {kind}\n{sources(program, kind)}")


look_on(Levels())
