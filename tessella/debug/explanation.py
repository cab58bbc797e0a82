"""What `Jitted.explain` gives: the kernels of a program with their figures, as text and as a page."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tessella import files, notebooks
from tessella.arguments.kinds import shown
from tessella.compiler.program import Program
from tessella.compiler.steps import HostStep, Step
from tessella.compiler.texts import host_steps
from tessella.devices.device import Limits
from tessella.devices.registry import host as host_device
from tessella.dtypes import DType, float32, float64
from tessella.errors import ArgumentTypeError
from tessella.notebooks import Cell
from tessella.primitives.graph import Where, describe
from tessella.primitives.indexing import InRange
from tessella.primitives.movement import Rearrangement
from tessella.primitives.pictures import to_svg
from tessella.terminal import bytes_of, placed, shortened, time_of, wrapped

HEADS = ("time", "share", "calls", "GFLOP/s", "GB/s", "of the limit", "kernel")
_MOST_NAME = 24  # characters of a kernel's name in a terminal
_EXACT = 1.05  # no measurement is more exact than this


def _plans(program: Program) -> Iterator[Any]:
    """The memory plans of a program, and of those of its loops and branches."""
    yield program.arena_plan
    for step in host_steps(program):
        for part in step.runner.parts if step.runner is not None else ():
            yield from _plans(part.program)


@dataclass
class Row:
    """One kernel on operands of some shapes, and all its calls together.

    Args:
        dtype: that it multiplies and adds in, float32 or float64.
        note: why it is a kernel of its own, and what is in it.
        ran: what ran it: threads, NumPy or Python.
        limits: of the device that it ran on.
        is_timed: an effect is not, as a measurement is not to have it.

    Units: seconds; floating point operations; bytes that must be moved at least.
    """

    name: str
    shapes: str
    where: Where | None
    calls: int = 0
    seconds: float = 0.0
    flops: float = 0.0
    nbytes: float = 0.0
    dtype: DType = float32
    note: str = ""
    ran: str = "1 thread"
    is_timed: bool = True
    limits: Limits = field(default_factory=lambda: host_device().limits, repr=False)

    @property
    def limit(self) -> float:
        """The seconds that the machine needs at least, for the arithmetic or the memory."""
        return max(self.arithmetic, self.memory)

    @property
    def bound(self) -> str:
        """What limits it: arithmetic or memory."""
        return "FMA" if self.arithmetic > self.memory else "memory"

    @property
    def reached(self) -> float:
        """The share of what the machine can do."""
        return self.limit / self.seconds

    @property
    def is_in_cache(self) -> bool:
        """Whether all that it moves fits in the caches, so that memory need not be its limit."""
        second = self.limits.cache_bytes(2, 1 << 20)
        return self.nbytes <= self.limits.cache_bytes(3, second)

    @property
    def of_the_limit(self) -> str:
        """How much of what limits it was reached, in words."""
        if not self.is_timed:
            return "not timed"
        if self.reached <= _EXACT:
            return f"{min(self.reached, 1.0):.0%} {self.bound}"
        return "in cache" if self.bound == "memory" and self.is_in_cache else f">100% {self.bound}"

    def figures(self, whole: float) -> list[str]:
        """Its time, its share of the whole, calls, rates and how much of the limit was reached."""
        if not self.is_timed:
            return ["–", "–", f"{self.calls}", "–", "–", self.of_the_limit]
        rates = [f"{amount / self.seconds / 1e9:.1f}" for amount in (self.flops, self.nbytes)]
        share = f"{self.seconds / max(whole, 1e-12):.1%}"
        return [time_of(self.seconds), share, f"{self.calls}", *rates, self.of_the_limit]

    @property
    def told(self) -> str:
        """What ran it, and why it is a kernel of its own."""
        return f"{self.ran}: {self.note}" if self.note else self.ran

    @property
    def arithmetic(self) -> float:
        """The seconds that it needs for the arithmetic, if nothing has to be fetched."""
        return self.flops / self.limits.multiply_adds_per_second(self.dtype)

    @property
    def memory(self) -> float:
        """The seconds that it needs to move its bytes."""
        return self.nbytes / self.limits.bytes_per_second()


class Explanation:
    """What `Jitted.explain` gives; print it, or write it as a page."""

    def __init__(
        self, title: str, traces: Sequence[str], program: Program, rows: list[Row],
        depends: Sequence[tuple[str, str]] = (),
    ) -> None:  # fmt: skip
        self.title, self.traces, self.program, self.rows = title, list(traces), program, rows
        self.depends = list(depends)  # on sizes, and on what is outside
        self.guards: list[str] = []  # all of them

    @property
    def seconds(self) -> float:
        """All kernels together, each timed by itself."""
        return sum(row.seconds for row in self.rows)

    def facts(self) -> list[tuple[str, str]]:
        """What there is to say about the whole program."""
        plans = list(_plans(self.program))
        native = sum(isinstance(step, Step) for step in self.program.steps)
        host = host_steps(self.program)
        views = [
            n.primitive.name
            for n in self.program.graph.nodes
            if isinstance(n.primitive, (Rearrangement, InRange))
        ]
        facts = [
            ("traced", "; ".join(f"{i + 1}. {why}" for i, why in enumerate(self.traces))),
            *self.depends,
            ("native calls", f"{native}, of {len(self.rows) - len({key_of(s) for s in host})} kinds"),
            ("memory of intermediate values", f"{bytes_of(sum(plan.nbytes for plan in plans))} "
             f"({bytes_of(sum(plan.unshared for plan in plans))} if each had its own)"),
        ]  # fmt: skip
        if self.program.prepared:
            kept = bytes_of(self.program.kept_plan.nbytes)
            facts.append(("done only once", f"{self.program.prepared} calls, {kept} kept"))
        effects = sum(step.node.primitive.has_effect for step in host)
        control = sum(step.runner is not None for step in host)
        if len(host) > effects + control:
            facts.append(("by NumPy, between native calls", str(len(host) - effects - control)))
        if control:
            facts.append(("loops and branches, programs of their own", str(control)))
        if effects:
            facts.append(("effects in Python, between native calls", str(effects)))
        if views:
            facts.append(("views, which may cost nothing", f"{len(views)} "
                          f"({', '.join(dict.fromkeys(views))})"))  # fmt: skip
        limits = self.program.device.limits
        peaks = [
            f"{limits.multiply_adds_per_second(dtype) / 1e9:.0f} GFLOP/s in {dtype.name}"
            for dtype in (float32, float64)
            if any(row.dtype is dtype for row in self.rows)
        ]
        memory = f"{limits.bytes_per_second() / 1e9:.0f} GB/s"
        facts.append(("limits of this machine", ", ".join([*peaks, memory])))
        flops = sum(row.flops for row in self.rows)
        facts.append(("time of all kernels", f"{time_of(self.seconds)}, "
                      f"{flops / max(self.seconds, 1e-12) / 1e9:.0f} GFLOP/s"))  # fmt: skip
        return facts

    def __str__(self) -> str:
        lines = wrapped(self.title, 0, 2)
        for name, value in self.facts():
            lines += wrapped(f"{name}: {value}", 2, 4)
        lines += ["", _columns(HEADS)]
        for row in self.rows:
            lines.append(_columns([*row.figures(self.seconds), shortened(row.name, _MOST_NAME)]))
            lines += wrapped(row.name) if len(row.name) > _MOST_NAME else []
            lines += wrapped(row.shapes)
            lines += [] if row.where is None else [placed(str(row.where))]
            lines += wrapped(row.told)
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        facts = [[Cell(name, words=True), Cell(value, words=True)] for name, value in self.facts()]
        rows = [[*self._cells(row), _kernel_cell(row)] for row in self.rows]
        return notebooks.piece(
            notebooks.head(self.title, f"{time_of(self.seconds)} in all kernels"),
            notebooks.table(HEADS, rows),
            notebooks.folded("what the program is", notebooks.table((), facts), is_open=False),
        )

    def _cells(self, row: Row) -> Iterator[Cell]:
        for number, text in enumerate(row.figures(self.seconds)):
            is_share = HEADS[number] == "share" and row.is_timed
            yield Cell(text, share=row.seconds / max(self.seconds, 1e-12) if is_share else None)

    def to_html(self, path: str | Path) -> None:
        """Write a page with everything inside.

        Raises:
            OSError: it cannot be written; a file that was there stays.
        """
        if not isinstance(path, (str, Path)) or "\0" in str(path):
            raise ArgumentTypeError(f"explain: the path is {shown(path)}; expected text or a Path")
        files.write(path, _page(self))


def _columns(parts: Sequence[str]) -> str:
    """A line of the table; 80 characters with a name that is not too long."""
    time, share, calls, flops, nbytes, reached, name = parts
    return f"{time:>10} {share:>6} {calls:>5} {flops:>8} {nbytes:>7}  {reached:<12}  {name}"


def _kernel_cell(row: Row) -> Cell:
    below = [row.shapes, "" if row.where is None else str(row.where), row.told]
    return Cell(row.name, words=True, soft="\n".join(filter(None, below)))


def key_of(step: HostStep) -> Any:
    return step.node.primitive, tuple(describe(value) for value in step.node.inputs)


_STYLE = """
:root { color-scheme: light dark; --ink: #1c2230; --soft: #667085; --line: #d8dde6;
  --paper: #fff; --bar: #2563eb33; --good: #15803d; --poor: #b45309; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ef; --soft: #98a2b3; --line: #344054;
  --paper: #12161f; --bar: #60a5fa44; --good: #4ade80; --poor: #fbbf24; } }
body { margin: 0 auto; max-width: 1200px; padding: 24px 16px; background: var(--paper);
  color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
table { border-collapse: collapse; width: 100%; } td, th { padding: 4px 10px; text-align: right;
  border-bottom: 1px solid var(--line); vertical-align: top; white-space: nowrap; }
td:last-child, th:last-child, .facts td { text-align: left; white-space: normal; }
.facts { width: auto; } .facts td:first-child, small { color: var(--soft); }
.share { background: linear-gradient(90deg, var(--bar) var(--p), transparent var(--p)); }
.good { color: var(--good); } .poor { color: var(--poor); }
.picture { overflow: auto; max-height: 90vh; border: 1px solid var(--line); border-radius: 8px;
  text-align: center; } summary { cursor: pointer; padding: 12px 0; }
pre { overflow-x: auto; border: 1px solid var(--line); border-radius: 8px; padding: 12px; }
"""

_CAPTION = (
    "Each box is a kernel, a view, or what is done while a product stores its blocks. Point at one for "
    "what is in it. In large graphs views are not drawn, and arrows over many layers are told in words: "
    "↑ from which box, ↓ to which."
)


def _quality(row: Row, whole: float) -> str:
    """How what was reached is coloured."""
    if not row.is_timed or row.reached > _EXACT:
        return ""
    if row.reached > 0.7:
        return "good"
    return "poor" if row.reached < 0.3 and row.seconds > 0.02 * whole else ""


def _page(found: Explanation) -> str:
    facts = "".join(
        f"<tr><td>{html.escape(name)}</td><td>{html.escape(value)}</td></tr>"
        for name, value in found.facts()
    )
    rows = []
    for row in found.rows:
        time, share, calls, flops, nbytes, reached = row.figures(found.seconds)
        where = f"<br><small>{html.escape(str(row.where))}</small>" if row.where else ""
        bar = f' class="share" style="--p:{share}"' if row.is_timed else ""
        rows.append(
            f"<tr><td>{time}</td><td{bar}>{share}</td><td>{calls}</td><td>{flops}</td><td>{nbytes}</td>"
            f'<td class="{_quality(row, found.seconds)}">{html.escape(reached)}</td>'
            f"<td>{html.escape(row.name)} <small>{html.escape(row.shapes)}</small>{where}<br><small>{html.escape(row.told)}</small></td></tr>"
        )
    head = "".join(f"<th>{name}</th>" for name in HEADS)
    graph = found.program.graph
    text = html.escape(str(graph))
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{html.escape(found.title)}</title>"
        f"<style>{_STYLE}</style><h1>{html.escape(found.title)}</h1>"
        f"<table class=facts>{facts}</table><h2>Kernels</h2><table><tr>{head}</tr>{''.join(rows)}</table>"
        f"<h2>The fused graph</h2><p><small>{_CAPTION}</small></p>"
        f"<div class=picture>{to_svg(graph)}</div>"
        f"<details><summary>The graph as text</summary><pre>{text}</pre></details></html>\n"
    )
