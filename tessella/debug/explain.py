"""Looking at a program: what each of its kernels does, how long it takes, and how far that is from
what the machine can do."""

from __future__ import annotations

import ctypes
import math
import time
from collections.abc import Iterable, Sequence
from typing import Any

from tessella.compiler.control import on_zeros
from tessella.compiler.fusion import operations_of
from tessella.compiler.observe import Observer, observed, unobserved
from tessella.compiler.program import Program
from tessella.compiler.recipe import Role
from tessella.compiler.steps import Check, HostStep, Step
from tessella.compiler.texts import host_steps
from tessella.debug.explanation import Explanation, Row, key_of
from tessella.devices.array import Array
from tessella.devices.table import STEP_BYTES, head_of
from tessella.dtypes import DType, float32, float64
from tessella.primitives.base import size_of
from tessella.primitives.contraction import Contraction
from tessella.primitives.elementwise import Elementwise
from tessella.primitives.fused import Fused
from tessella.primitives.graph import GraphNode, describe
from tessella.transforms.jit import Subject

ROUNDS = 3
SHORT = 3e-4  # seconds; what takes less is timed several times at once
REPEATS = 12


def explain(subject: Subject) -> Explanation:
    """Time every call of a program on some inputs; results go nowhere."""
    program = subject.program
    with unobserved():
        times, host_times = _measure(program, subject.inputs)
    rows: dict[Any, Row] = {}
    limits = program.device.limits
    of_nodes = _seconds_of_nodes(program, times)
    for number, (step, seconds) in enumerate(zip(program.native_steps, times, strict=True)):
        if not isinstance(step, Step) or number < program.prepared:
            continue
        node = step.nodes[0] if step.nodes else None
        shapes = "" if node is None else ", ".join(describe(value) for value in node.inputs[:4])
        key = step.call.kernel, step.name, shapes
        row = rows.setdefault(key, Row(step.name, shapes, step.where, limits=limits))
        row.calls += 1
        row.seconds += seconds
        row.note = _note(step)
        if step.call.chunk > 0:
            row.ran = f"{limits.threads} threads"
        if node is not None:
            row.dtype = _multiplied_in(node)
            share = seconds / of_nodes[id(node), _is_product(step)]
            row.flops += share * _flops(node, step)
            row.nbytes += share * _nbytes(node)
    for host, seconds in zip(host_steps(program), host_times, strict=True):
        shapes = ", ".join(describe(value) for value in host.node.inputs[:4])
        primitive = host.node.primitive
        row = rows.setdefault(
            key_of(host),
            Row(
                primitive.name,
                shapes,
                host.node.where,
                note=str(host.node.note or ""),
                limits=limits,
            ),
        )
        row.calls += 1
        row.seconds += seconds
        row.ran = "Python" if primitive.has_effect else "NumPy"
        row.is_timed = not primitive.has_effect
        if host.runner is not None:
            row.ran = "programs of their own"
        row.nbytes += _nbytes(host.node)
    _doubt_limits(rows.values())
    ordered = sorted(rows.values(), key=lambda row: -row.seconds)
    found = Explanation(subject.title, subject.traces, program, ordered, subject.depends)
    found.guards = subject.guards
    return found


def _doubt_limits(rows: Iterable[Row]) -> None:
    """What ran faster than the machine can tells that its limits were measured while it was disturbed."""
    for row in rows:
        if row.is_timed:
            nbytes = 0.0 if row.is_in_cache else row.nbytes
            row.limits.doubt(row.flops / row.seconds, row.dtype, nbytes / row.seconds)


def _note(step: Step) -> str:
    """Why a native call is one of its own."""
    notes = [node.note for node in step.nodes if node.note is not None]
    if step.epilogue is None:
        return str(notes[0]) if notes else ""
    product, group = notes
    return f"{product}; as each block is stored: {group.what}"  # they are not apart now


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
    base = ctypes.addressof(program.tables.steps)
    patches = program.tables.patch_count
    best = [math.inf] * len(program.native_steps)
    with program.lock:
        program.set_inputs(inputs)
        held = program.fresh_results()
        program.prepare()
        program.execute(effects=False)
        on_host = [_time_on_host(program, step) for step in host_steps(program)]
        for _ in range(ROUNDS):
            for number in range(len(best)):
                head = head_of(
                    base + STEP_BYTES * number, 1, ctypes.addressof(program.tables.patches), patches,
                    ctypes.addressof(program.slot_words), program.device.signals(),
                )  # fmt: skip
                best[number] = min(best[number], _timed(program, head))
                if best[number] < SHORT:  # without the time it takes to wake a thread
                    rows = (ctypes.c_int64 * 4 * REPEATS)()
                    for turn in range(REPEATS):
                        ctypes.memmove(rows[turn], base + STEP_BYTES * number, STEP_BYTES)
                    head[0], head[1] = ctypes.addressof(rows), REPEATS
                    best[number] = min(best[number], _timed(program, head) / REPEATS)
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
    return native, [fastest.seconds.get(id(step), 1e-9) for step in host_steps(program)]


def _timed(program: Program, head: Any) -> float:
    start = time.perf_counter()
    program.device.run_program(ctypes.addressof(head))
    return time.perf_counter() - start


def _is_product(step: Step) -> bool:
    return step.call.role is Role.MULTIPLY


def _seconds_of_nodes(program: Program, times: Sequence[float]) -> dict[tuple[int, bool], float]:
    """The time of all calls of a node, which share its work by their times; packing counts apart."""
    found: dict[tuple[int, bool], float] = {}
    for step, seconds in zip(program.native_steps, times, strict=True):
        if isinstance(step, Step) and step.nodes:
            key = id(step.nodes[0]), _is_product(step)
            found[key] = found.get(key, 0.0) + seconds
    return found


def _flops(node: GraphNode, step: Step) -> float:
    primitive: Any = node.primitive
    if isinstance(primitive, Contraction):
        x, y = node.inputs
        return 2.0 * primitive.multiply_adds(x, y) if _is_product(step) else 0.0  # type: ignore[arg-type]
    members = primitive.graph.nodes if isinstance(primitive, Fused) else [node]
    return float(sum(_operations(member) for member in members))


def _multiplied_in(node: GraphNode) -> DType:
    """The dtype of a node's arithmetic, as far as speed goes."""
    wide = any(value.dtype is float64 for value in (*node.inputs, *node.outputs))
    return float64 if wide else float32


def _operations(node: GraphNode) -> int:
    """Simple operations on elements, roughly."""
    if isinstance(node.primitive, Elementwise):
        kinds = tuple(value.dtype for value in node.inputs)
        return operations_of(node.primitive.function, kinds) * size_of(node.output.shape)
    return size_of(node.inputs[0].shape) if hasattr(node.primitive, "monoid") else 0


def _nbytes(node: GraphNode) -> float:
    values = {*node.inputs, *node.outputs}
    return float(sum(size_of(value.shape) * value.dtype.itemsize for value in values))
