"""`profile`: what ran, when, and for how long; as a table, or as a trace for Perfetto and Chrome.

Source: *Trace Event Format* (Google, 2016), for `to_chrome`; complete events (`ph: "X"`) nest by time.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tessella import files
from tessella.blocks import Undone
from tessella.compiler import observe
from tessella.compiler.observe import Observer, now
from tessella.compiler.steps import Check, HostStep
from tessella.devices.registry import host
from tessella.errors import ArgumentError
from tessella.primitives.graph import Where, describe
from tessella.terminal import placed, shortened, time_of, wrapped
from tessella.tracing.lines import Lines

EAGER, PROGRAM, KERNEL, HOST, COMPILE = "eager", "program", "kernel", "host", "compile"
_MOST_SHAPES = 4
_MOST_ROWS = 40  # in a notebook
_MOST_NAME = 30  # characters of a name in a terminal


@dataclass
class Event:
    """Something that took time.

    Units: nanoseconds, of the clock of `time.perf_counter_ns`.

    Args:
        kind: "eager" (an operation), "program" (a call of one), "kernel" or "host" (a step of a
            program: native, or in Python), "compile" (a stage of compiling).
    """

    kind: str
    name: str
    begin: int
    end: int
    where: Where | None = None
    shapes: str = ""

    @property
    def nanoseconds(self) -> int:
        return self.end - self.begin


@dataclass
class Row:
    """All events of one kind and name, on operands of the same shapes, from one line.

    Units: seconds.
    """

    kind: str
    name: str
    shapes: str
    where: Where | None
    calls: int = 0
    seconds: float = 0.0
    shortest: float = field(default=float("inf"))


class Profile(Observer):
    """What `profile` gives: print it, look at `events` and `rows()`, or write it with `to_chrome`."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.begin = self.end = 0
        self._thread = threading.get_ident()
        self._lines = Lines()
        self._watching = observe.observed(self)
        self.undo = self._watching.undo

    def __enter__(self) -> Profile:
        if self.begin:
            raise ArgumentError("profile: this profile has been taken; make another: ts.profile()")
        self._thread = threading.get_ident()
        host().prepare_timing()  # compiled before the clock runs
        self.begin = now()
        self._watching.__enter__()
        return self

    __exit__ = Undone()

    def finish(self, *error: object) -> None:
        """Look away."""
        self.end = self.end or now()
        self.undo()

    # --- what is seen ---------------------------------------------------------------------------

    def _note(
        self, kind: str, name: str, begin: int, end: int, where: Where | None, shapes: str
    ) -> None:
        line = (
            where._replace(layer="") if where else None
        )  # what all layers do at a line is one row
        self.events.append(Event(kind, name, begin, end, line, shapes))

    def operation(
        self, primitive: Any, arrays: Sequence[Any], results: Sequence[Any], begin: int, end: int
    ) -> None:
        where = self._lines.note(results)
        self._note(EAGER, primitive.name, begin, end, where, _shapes(arrays))

    def step(self, program: Any, step: Any, begin: int, end: int) -> None:
        if isinstance(step, HostStep):
            node = step.node
            self._note(HOST, node.primitive.name, begin, end, node.where, _shapes(node.inputs))
        elif isinstance(step, Check):
            self._note(KERNEL, "check bounds", begin, end, step.node.where, "")
        else:
            inputs = step.nodes[0].inputs if step.nodes else ()
            self._note(KERNEL, step.name, begin, end, step.where, _shapes(inputs))

    def prepared(self, program: Any, begin: int, end: int) -> None:
        self._note(PROGRAM, f"{program.name}, done once", begin, end, program.defined, "")

    def after(self, program: Any, begin: int, end: int) -> None:
        self._note(PROGRAM, program.name, begin, end, program.defined, "")

    def stage(self, name: str, subject: str, begin: int, end: int) -> None:
        self._note(COMPILE, f"{name} {subject}".rstrip(), begin, end, None, "")

    # --- what is shown --------------------------------------------------------------------------

    @property
    def seconds(self) -> float:
        """From the beginning of the block to its end."""
        return ((self.end or now()) - self.begin) / 1e9 if self.begin else 0.0

    def rows(self) -> list[Row]:
        """The events put together, those that took longest first."""
        rows: dict[Any, Row] = {}
        for event in self.events:
            key = event.kind, event.name, event.shapes, event.where
            row = rows.setdefault(key, Row(*key))
            row.calls += 1
            row.seconds += event.nanoseconds / 1e9
            row.shortest = min(row.shortest, event.nanoseconds / 1e9)
        return sorted(rows.values(), key=lambda row: -row.seconds)

    def __str__(self) -> str:
        lines = [self._summary()]
        lines.append(f"{'time':>12}{'share':>8}{'calls':>7}{'shortest':>12}  {'what':<8} name")
        for row in self.rows():
            time, share, calls, shortest = self._figures(row)
            name = shortened(row.name, _MOST_NAME)
            lines.append(f"{time:>12}{share:>8}{calls:>7}{shortest:>12}  {row.kind:<8} {name}")
            lines += wrapped(row.name) if len(row.name) > _MOST_NAME else []
            lines += wrapped(row.shapes)
            lines += [] if row.where is None else [placed(str(row.where))]
        return "\n".join(lines)

    __repr__ = __str__

    def _summary(self) -> str:
        return f"{time_of(self.seconds)} in all, {len(self.events)} events"

    def _figures(self, row: Row) -> list[str]:
        share = f"{row.seconds / max(self.seconds, 1e-12):.1%}"
        return [time_of(row.seconds), share, f"{row.calls}", time_of(row.shortest)]

    def _repr_html_(self) -> str:
        from tessella import notebooks
        from tessella.notebooks import Cell

        rows, found = [], self.rows()
        for row in found[:_MOST_ROWS]:
            time, share, calls, shortest = self._figures(row)
            bar = Cell(share, share=min(row.seconds / max(self.seconds, 1e-12), 1.0))
            below = [row.shapes, "" if row.where is None else str(row.where)]
            name = Cell(row.name, words=True, soft="\n".join(filter(None, below)))
            rows.append([Cell(time), bar, Cell(calls), Cell(shortest), Cell(row.kind), name])
        heads = ("time", "share", "calls", "shortest", "what", "name")
        rest = len(found) - len(rows)
        more = notebooks.soft(f"and {rest} more; print it to read them") if rest else ""
        title = notebooks.head("Profile", self._summary())
        return notebooks.piece(title, notebooks.table(heads, rows), more)

    def to_chrome(self, path: str | Path | None = None) -> dict[str, Any]:
        """The trace, and if a path is given also as a JSON file, for ui.perfetto.dev or chrome://tracing.

        Units: microseconds, from the beginning of the block.

        Raises:
            OSError: the file cannot be written; one that was there stays.

        >>> import tessella as ts
        >>> with ts.profile() as p:
        ...     _ = ts.ones(3) + 1.0
        >>> trace = p.to_chrome()
        >>> "add" in [event["name"] for event in trace["traceEvents"]]
        True
        """
        import json

        place = {"pid": os.getpid(), "tid": self._thread}
        names = {"process_name": "Tessella", "thread_name": _thread_name(self._thread)}
        events: list[dict[str, Any]] = [
            {"ph": "M", **place, "name": kind, "args": {"name": name}}
            for kind, name in names.items()
        ]
        ordered = sorted(self.events, key=lambda event: (event.begin, -event.end))
        events += [{"ph": "X", **place, **self._as_chrome(event)} for event in ordered]
        trace = {"traceEvents": events, "displayTimeUnit": "ns"}
        if path is not None:
            files.write(path, json.dumps(trace))
        return trace

    def _as_chrome(self, event: Event) -> dict[str, Any]:
        shown = {"operands": event.shapes, "line": "" if event.where is None else str(event.where)}
        return {
            "name": event.name,
            "cat": event.kind,
            "ts": (event.begin - self.begin) / 1e3,
            "dur": event.nanoseconds / 1e3,
            "args": {name: text for name, text in shown.items() if text},
        }


def profile() -> Profile:
    """Record what this thread runs inside a `with` block: operations, programs, kernels, compilation.

    The kernels of a program are timed inside its real calls: the native loop looks at the clock
    after each of them, which takes some tens of nanoseconds. Eager operations are timed one by one. While
    no profile is taken, nothing of this is there.

    >>> import tessella as ts
    >>> f = ts.jit(lambda x: ts.exp(x).sum())
    >>> with ts.profile() as p:
    ...     _ = f(ts.ones((64, 64)))
    >>> [row.name for row in p.rows() if row.kind == "kernel"]
    ['fused_exp_sum']
    """
    return Profile()


def _shapes(arrays: Sequence[Any]) -> str:
    shown = [describe(array) for array in arrays[:_MOST_SHAPES]]
    return ", ".join(shown + ["..."] * (len(arrays) > _MOST_SHAPES))


def _thread_name(number: int) -> str:
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    return names.get(number, "thread")
