"""Looking at a program: what each of its kernels does, how long it takes, and how far that is from
what the machine can do."""

from __future__ import annotations

import ctypes
import html
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tessella import files
from tessella.backends.array import Array
from tessella.backends.cpu import limits, threads
from tessella.backends.llvm import core
from tessella.backends.loops import Kernel, source
from tessella.compiler.control import on_zeros
from tessella.compiler.machine_code import llvm_of
from tessella.compiler.observe import Observer, observed, unobserved
from tessella.compiler.program import Program
from tessella.compiler.steps import Check, HostStep, Step
from tessella.dtypes import DType, float32, float64
from tessella.primitives.base import size_of
from tessella.primitives.contraction import Contraction
from tessella.primitives.elementwise import Elementwise
from tessella.primitives.fused import Fused
from tessella.primitives.graph import Node, Where, describe
from tessella.primitives.indexing import InRange
from tessella.primitives.movement import Expand, Permute, Reshape, Slice
from tessella.primitives.window import Window
from tessella.scalar.expression import postorder

VIEWS = (Reshape, Permute, Expand, Slice, Window, InRange)
ROUNDS = 3
SHORT = 3e-4  # seconds; what takes less is timed several times at once
REPEATS = 12


@dataclass
class Row:
    """One kernel on operands of some shapes, and all its calls together.

    Args:
        dtype: that it multiplies and adds in, float32 or float64.
        note: why it is a kernel of its own, and what is in it.
        ran: what ran it: threads, NumPy or Python.

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

    @property
    def limit(self) -> float:
        """The seconds that the machine needs at least, for the arithmetic or the memory."""
        return max(self.arithmetic, self.memory)

    @property
    def bound(self) -> str:
        """What limits it: arithmetic or memory."""
        return "FMA" if self.arithmetic > self.memory else "memory"

    @property
    def arithmetic(self) -> float:
        """The seconds that it needs for the arithmetic, if nothing has to be fetched."""
        return self.flops / limits.multiply_adds_per_second(self.dtype)

    @property
    def memory(self) -> float:
        """The seconds that it needs to move its bytes."""
        return self.nbytes / limits.bytes_per_second()


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
        plan = self.program.arena_plan
        native = sum(isinstance(step, Step) for step in self.program.steps)
        host = _host_steps(self.program)
        views = [
            n.primitive.name for n in self.program.graph.nodes if isinstance(n.primitive, VIEWS)
        ]
        facts = [
            ("traced", "; ".join(f"{i + 1}. {why}" for i, why in enumerate(self.traces))),
            *self.depends,
            ("native calls", f"{native}, of {len(self.rows) - len({_key_of(s) for s in host})} kinds"),
            ("memory of intermediate values", f"{_bytes(plan.nbytes)} "
             f"({_bytes(plan.unshared)} if each had its own)"),
        ]  # fmt: skip
        if self.program.prepared:
            kept = _bytes(self.program.kept_plan.nbytes)
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
        lines = [self.title]
        lines += [f"  {name}: {value}" for name, value in self.facts()]
        lines += ["", "      time  share  calls   GFLOP/s     GB/s  of the limit  kernel"]
        for row in self.rows:
            lines.append(
                f"{time_of(row.seconds):>10} {row.seconds / max(self.seconds, 1e-12):6.1%} {row.calls:6} "
                f"{row.flops / row.seconds / 1e9:9.1f} {row.nbytes / row.seconds / 1e9:8.1f} "
                f"{row.limit / row.seconds:6.0%} {row.bound:<7} {row.name} {row.shapes}"
            )
            if row.where is not None:
                lines.append(f"{'':58}{row.where}")
            lines.append(f"{'':58}{row.ran}{f': {row.note}' if row.note else ''}")
        return "\n".join(lines)

    __repr__ = __str__

    def to_html(self, path: str | Path) -> None:
        """Write a page with everything inside.

        Raises:
            OSError: it cannot be written; a file that was there stays.
        """
        files.write(path, _page(self))


def explain(
    title: str, traces: Sequence[str], program: Program, inputs: Sequence[Array],
    depends: Sequence[tuple[str, str]] = (),
) -> Explanation:  # fmt: skip
    """Time every call of a program on some inputs; results go nowhere.

    Args:
        depends: facts about what the program depends on, with titles.
    """
    with unobserved():
        times, host_times = _measure(program, inputs)
    rows: dict[Any, Row] = {}
    of_nodes = _seconds_of_nodes(program, times)
    for number, (step, seconds) in enumerate(zip(program.native_steps, times, strict=True)):
        if not isinstance(step, Step) or number < program.prepared:
            continue
        node = step.nodes[0] if step.nodes else None
        shapes = "" if node is None else ", ".join(describe(value) for value in node.inputs[:4])
        key = step.call.kernel, step.name, shapes
        row = rows.setdefault(key, Row(step.name, shapes, step.where))
        row.calls += 1
        row.seconds += seconds
        row.note = _note(step)
        if step.call.chunk > 0:
            row.ran = f"{threads.count()} threads"
        if node is not None:
            row.dtype = _multiplied_in(node)
            share = seconds / of_nodes[id(node), _is_product(step)]
            row.flops += share * _flops(node, step)
            row.nbytes += share * _nbytes(node)
    for host, seconds in zip(_host_steps(program), host_times, strict=True):
        shapes = ", ".join(describe(value) for value in host.node.inputs[:4])
        primitive = host.node.primitive
        row = rows.setdefault(
            _key_of(host), Row(primitive.name, shapes, host.node.where, note=host.node.note)
        )
        row.calls += 1
        row.seconds += seconds
        row.ran = "Python" if primitive.has_effect else "NumPy"
        if host.runner is not None:
            row.ran = "programs of their own"
        row.nbytes += _nbytes(host.node)
    ordered = sorted(rows.values(), key=lambda row: -row.seconds)
    return Explanation(title, traces, program, ordered, depends)


def _note(step: Step) -> str:
    """Why a native call is one of its own."""
    notes = [node.note for node in step.nodes if node.note]
    if step.epilogue is None:
        return notes[0] if notes else ""
    product, group = notes
    return f"{product}; as each block is stored: {group.split('; ')[0]}"  # they are not apart now


def _host_steps(program: Program) -> list[HostStep]:
    return [step for step in program.steps if isinstance(step, HostStep)]


def _key_of(step: HostStep) -> Any:
    return step.node.primitive, tuple(describe(value) for value in step.node.inputs)


def _time_on_host(program: Program, step: HostStep) -> float:
    """The time NumPy takes for a step; an effect is not had for a measurement."""
    if step.node.primitive.has_effect:
        return 1e-9
    if step.runner is not None:
        start = time.perf_counter()
        on_zeros(step)
        return max(time.perf_counter() - start, 1e-9)
    inputs = [program.view(location) for location in step.inputs]
    start = time.perf_counter()
    step.node.primitive.reference(*inputs)
    return max(time.perf_counter() - start, 1e-9)


def _measure(program: Program, inputs: Sequence[Array]) -> tuple[list[float], list[float]]:
    """The best time of each native step, and the time of each step in Python."""
    if any(isinstance(step, Check) for step in program.native_steps):
        return _measure_whole(program, inputs)
    base = ctypes.addressof(program._steps)
    patches = program.patch_count
    best = [math.inf] * len(program.native_steps)
    with program.lock:
        program.set_inputs(inputs)
        held = program.fresh_results()
        program.prepare()
        program.execute(effects=False)
        on_host = [_time_on_host(program, step) for step in _host_steps(program)]
        for _ in range(ROUNDS):
            for number in range(len(best)):
                head = threads.head_of(
                    base + 32 * number, 1, ctypes.addressof(program._patches), patches,
                    ctypes.addressof(program._slots),
                )  # fmt: skip
                best[number] = min(best[number], _timed(head))
                if best[number] < SHORT:  # without the time it takes to wake a thread
                    rows = (ctypes.c_int64 * 4 * REPEATS)()
                    for turn in range(REPEATS):
                        ctypes.memmove(rows[turn], base + 32 * number, 32)
                    head[0], head[1] = ctypes.addressof(rows), REPEATS
                    best[number] = min(best[number], _timed(head) / REPEATS)
        del held
    return [max(seconds, 1e-9) for seconds in best], on_host


class _Fastest(Observer):
    """The best time of every step of a program, by the step's identity."""

    def __init__(self) -> None:
        self.seconds: dict[int, float] = {}

    def step(self, program: Any, step: Any, begin: int, end: int) -> None:
        seconds = max((end - begin) * 1e-9, 1e-9)
        self.seconds[id(step)] = min(seconds, self.seconds.get(id(step), math.inf))


def _measure_whole(program: Program, inputs: Sequence[Array]) -> tuple[list[float], list[float]]:
    """The same, of whole runs: a step that reads at computed places needs what was just checked.

    In the memory of the indices there may be something else by the end of the program.
    """
    fastest = _Fastest()
    with program.lock, observed(fastest):
        program.set_inputs(inputs)
        held = program.fresh_results()
        for _ in range(ROUNDS):
            program.prepare()
            program.execute(effects=False)
        del held
    native = [fastest.seconds.get(id(step), 1e-9) for step in program.native_steps]
    return native, [fastest.seconds.get(id(step), 1e-9) for step in _host_steps(program)]


def _timed(head: Any) -> float:
    start = time.perf_counter()
    threads.run_program(ctypes.addressof(head))
    return time.perf_counter() - start


def _is_product(step: Step) -> bool:
    return step.call.kernel.name.startswith(("product", "contraction"))


def _seconds_of_nodes(program: Program, times: Sequence[float]) -> dict[tuple[int, bool], float]:
    """The time of all calls of a node, which share its work by their times; packing counts apart."""
    found: dict[tuple[int, bool], float] = {}
    for step, seconds in zip(program.native_steps, times, strict=True):
        if isinstance(step, Step) and step.nodes:
            key = id(step.nodes[0]), _is_product(step)
            found[key] = found.get(key, 0.0) + seconds
    return found


def _flops(node: Node, step: Step) -> float:
    primitive: Any = node.primitive
    if isinstance(primitive, Contraction):
        sizes = primitive.sizes(*node.inputs)  # type: ignore[arg-type]
        labels = {*primitive.left, *primitive.right, *primitive.output}
        labels -= {g.input for g in primitive.geometry}
        return 2.0 * math.prod(sizes[label] for label in labels) if _is_product(step) else 0.0
    members = primitive.graph.nodes if isinstance(primitive, Fused) else [node]
    return float(sum(_operations(member) for member in members))


def _multiplied_in(node: Node) -> DType:
    """The dtype of a node's arithmetic, as far as speed goes."""
    wide = any(value.dtype is float64 for value in (*node.inputs, *node.outputs))
    return float64 if wide else float32


def _operations(node: Node) -> int:
    """Simple operations on elements, roughly."""
    if isinstance(node.primitive, Elementwise):
        kinds = tuple(value.dtype for value in node.inputs)
        each = sum(
            bool(n.arguments) for n in postorder(core(node.primitive.function.expression(kinds)))
        )
        return each * size_of(node.output.shape)
    return size_of(node.inputs[0].shape) if hasattr(node.primitive, "monoid") else 0


def _nbytes(node: Node) -> float:
    values = {*node.inputs, *node.outputs}
    return float(sum(size_of(value.shape) * value.dtype.itemsize for value in values))


def sources(program: Program, kind: str) -> str:
    """The distinct kernels of a program as text: "loops", "llvm" or "asm"."""
    from tessella.backends.cpu import engine

    parts = []
    for kernel in kernels_of(program):
        if kind == "loops":
            shown = (
                source(kernel) if isinstance(kernel, Kernel) else f"kernel {kernel.name}: LLVM IR"
            )
        elif kind == "llvm":
            shown = engine.optimised(llvm_of(kernel))
        else:
            shown = engine.assembly(llvm_of(kernel))
        parts.append(shown)
    return "\n\n".join(parts)


def kernels_of(program: Program) -> list[Any]:
    """The distinct kernels, epilogues too, in the order of their first call."""
    found: dict[Any, None] = {}
    for step in program.steps:
        if isinstance(step, HostStep) and step.runner is not None:
            for part in step.runner.parts:
                found.update(dict.fromkeys(kernels_of(part.program)))
        if isinstance(step, Step):
            found[step.call.kernel] = None
            if step.epilogue is not None:
                found[step.epilogue.kernel] = None
    return list(found)


def summary(program: Program) -> str:
    """How large a program is, in one line."""
    native = sum(isinstance(step, Step) for step in program.steps)
    host = len(_host_steps(program))
    kernels = kernels_of(program)
    calls = f"{native} native call{'s' if native != 1 else ''}"
    parts = [f"{calls} of {len(kernels)} kernel{'s' if len(kernels) != 1 else ''}"]
    if program.prepared:
        parts.append(f"{program.prepared} of them once only")
    if host:
        parts.append(f"{host} steps in Python")
    parts.append(f"{_bytes(program.arena_plan.nbytes)} of intermediate values")
    return ", ".join(parts)


def _bytes(count: float) -> str:
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if count < 1024 or unit == "GiB":
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1024
    raise AssertionError


def time_of(seconds: float) -> str:
    """A time with a fitting unit."""
    if seconds >= 1e-3:
        return f"{seconds * 1e3:.2f} ms"
    return f"{seconds * 1e6:.2f} µs"


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


def _page(found: Explanation) -> str:
    facts = "".join(
        f"<tr><td>{html.escape(name)}</td><td>{html.escape(value)}</td></tr>"
        for name, value in found.facts()
    )
    rows = []
    for row in found.rows:
        share = row.seconds / max(found.seconds, 1e-12)
        reached = row.limit / row.seconds
        quality = "good" if reached > 0.7 else "poor" if reached < 0.3 and share > 0.02 else ""
        where = f"<br><small>{html.escape(str(row.where))}</small>" if row.where else ""
        note = html.escape(f"{row.ran}{f': {row.note}' if row.note else ''}")
        rows.append(
            f'<tr><td>{time_of(row.seconds)}</td><td class="share" style="--p:{share:.1%}">{share:.1%}</td>'
            f"<td>{row.calls}</td><td>{row.flops / row.seconds / 1e9:.1f}</td>"
            f"<td>{row.nbytes / row.seconds / 1e9:.1f}</td>"
            f'<td class="{quality}">{reached:.0%} {row.bound}</td>'
            f"<td>{html.escape(row.name)} <small>{html.escape(row.shapes)}</small>{where}<br><small>{note}</small></td></tr>"
        )
    heads = ("time", "share", "calls", "GFLOP/s", "GB/s", "of the limit", "kernel")
    head = "".join(f"<th>{name}</th>" for name in heads)
    graph = found.program.graph
    text = html.escape(str(graph))
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{html.escape(found.title)}</title>"
        f"<style>{_STYLE}</style><h1>{html.escape(found.title)}</h1>"
        f"<table class=facts>{facts}</table><h2>Kernels</h2><table><tr>{head}</tr>{''.join(rows)}</table>"
        f"<h2>The fused graph</h2><p><small>{_CAPTION}</small></p>"
        f"<div class=picture>{graph.to_svg()}</div>"
        f"<details><summary>The graph as text</summary><pre>{text}</pre></details></html>\n"
    )
