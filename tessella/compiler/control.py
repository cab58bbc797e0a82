"""Control in a program: the graphs of a `Control` primitive are programs of their own.

A branch is one call of its program. A loop is a native loop around its program's native loop: between two
turns it moves the slots of what is gone through place by place, and that is all. What is carried lies at one
place for the whole loop, and each turn writes over it; the memory plan of the body sees to it that everything
has been read by then (`tessella.compiler.results`).
"""

from __future__ import annotations

import abc
import ctypes
import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tessella.compiler.observe import choice
from tessella.compiler.steps import Check, HostStep
from tessella.compiler.tables import Stretch
from tessella.devices.array import Layout, contiguous_layout
from tessella.devices.device import Device
from tessella.devices.registry import current
from tessella.devices.table import LOOP_STOPPED, LOOP_WORDS
from tessella.dtypes import bool_, int32, uint8
from tessella.primitives.base import size_of
from tessella.primitives.control import Cond, Control, ScanLoop, While
from tessella.primitives.graph import Graph, Value

TURNS_AT_ONCE = 1 << 14  # of a native loop, before Python looks whether somebody wants it to stop


# a graph, the layouts of its inputs, outputs that take the memory of inputs, fixed inputs, a name: a program
Compile = Callable[[Graph, Sequence[Layout], dict[int, int], frozenset[int], str], Any]


class Part:
    """A graph as a program that reads and writes where it is told.

    Args:
        replaced: for some outputs the input whose memory they are written over; the other outputs get
            addresses of their own.
        same: the inputs that do not change from turn to turn.
        compile: makes a program of a graph.
    """

    def __init__(
        self,
        graph: Graph,
        replaced: dict[int, int],
        same: frozenset[int],
        name: str,
        compile: Compile,
    ) -> None:
        count = len(graph.inputs)
        own = [k for k in range(len(graph.outputs)) if k not in replaced]
        # an output that nothing is replaced by takes the place of an input that nobody reads
        extra = [Value(graph.outputs[k].shape, graph.outputs[k].dtype, "result") for k in own]
        inputs = [*graph.inputs, *extra]
        layouts = [contiguous_layout(value.shape, value.dtype) for value in inputs]
        places = {**replaced, **{k: count + i for i, k in enumerate(own)}}
        whole = Graph(inputs, graph.nodes, graph.outputs, graph.constants)
        self.program = compile(whole, layouts, places, same, name)
        slot_of = {number: [len(layouts) + slot] for slot, number in self.program.in_place.items()}
        # the slots of every input, and those of the results that are written there
        self.slots = [[number, *slot_of.get(number, [])] for number in range(len(layouts))]
        self.outputs = {k: self.slots[place] for k, place in places.items()}

    @functools.cached_property
    def head(self) -> int | None:
        """The program as a native loop takes it, if it is one native call."""
        segments = self.program.tables.segments
        only = segments[0] if len(segments) == 1 else None
        return only.address if isinstance(only, Stretch) else None

    def point(self, slots: Sequence[int], address: int) -> None:
        """Let an input or an output be at an address."""
        for slot in slots:
            self.program.slot_words[slot] = address

    def places(self, slots: Sequence[int]) -> list[int]:
        """The addresses of slots, which a native loop may move."""
        base = ctypes.addressof(self.program.slot_words)
        return [base + 8 * slot for slot in slots]

    def run(self) -> None:
        self.program.execute()


def runner(primitive: Control, name: str, compile: Compile) -> Runner:
    """What computes a primitive of control; its graphs are made programs by `compile`."""
    if isinstance(primitive, Cond):
        return _Branches(primitive, name, compile)
    if isinstance(primitive, While):
        return _While(primitive, name, compile)
    assert isinstance(primitive, ScanLoop)
    return _Scan(primitive, name, compile)


class Runner(abc.ABC):
    """Programs of the graphs of a primitive of control, and how they are run."""

    parts: list[Part]

    @property
    def device(self) -> Device:
        """What runs the parts."""
        found: Device = self.parts[0].program.device
        return found

    @abc.abstractmethod
    def run(self, inputs: Sequence[int], outputs: Sequence[int]) -> None:
        """Compute from the inputs at some addresses the outputs at others."""

    @property
    def may_stop(self) -> bool:
        """Whether a part may raise an exception: it has a check, or Python has its turn."""
        return any(
            part.head is None or any(isinstance(s, Check) for s in part.program.native_steps)
            for part in self.parts
        )


class _Branches(Runner):
    def __init__(self, primitive: Cond, name: str, compile: Compile) -> None:
        self.parts = [
            Part(graph, {}, frozenset(), f"{name}, branch {number}", compile)
            for number, graph in enumerate(primitive.branches)
        ]

    def run(self, inputs: Sequence[int], outputs: Sequence[int]) -> None:
        index, *operands = inputs
        number = self.device.read(index, int32)
        part = self.parts[min(max(number, 0), len(self.parts) - 1)]
        for place, address in enumerate(operands):
            part.point(part.slots[place], address)
        for k, address in enumerate(outputs):
            part.point(part.outputs[k], address)
        part.program.prepare()
        part.run()


class _Loop(Runner):
    """What both loops share: the body, what is carried, and the native loop."""

    def __init__(self, body: Graph, carried: int, sliced: int, name: str, compile: Compile) -> None:
        self.carried, self.sliced = carried, sliced
        same = frozenset(range(carried + sliced, len(body.inputs)))
        self.body = Part(body, {k: k for k in range(carried)}, same, name, compile)
        self.parts = [self.body]
        self.carry_bytes = [_nbytes(value) for value in body.inputs[:carried]]

    def _begin(self, inputs: Sequence[int], outputs: Sequence[int]) -> None:
        """What is carried starts where the results will be."""
        for source, target, count in zip(inputs, outputs, self.carry_bytes, strict=False):
            if source != target:
                self.device.copy_within(target, source, count)
        for place, address in enumerate(outputs[: self.carried]):
            self.body.point(self.body.slots[place], address)
        for place in range(self.carried + self.sliced, len(inputs)):
            self.body.point(self.body.slots[place], inputs[place])

    def _table(
        self, turns: int, moves: Sequence[tuple[int, int]], condition: Part | None, flag: int
    ) -> Any:
        flat = [word for move in moves for word in move]
        self._moves = (ctypes.c_int64 * max(1, len(flat)))(*flat)
        head = 0 if condition is None else condition.head
        assert self.body.head is not None
        return (ctypes.c_int64 * LOOP_WORDS)(
            self.body.head, turns, len(moves), ctypes.addressof(self._moves), head or 0, -1, flag
        )


class _While(_Loop):
    def __init__(self, primitive: While, name: str, compile: Compile) -> None:
        super().__init__(primitive.body, primitive.carried, 0, f"{name}, body", compile)
        same = frozenset(range(primitive.carried, len(primitive.body.inputs)))
        self.condition = Part(primitive.condition, {}, same, f"{name}, condition", compile)
        self.parts.append(self.condition)
        self.flag = self.device.allocate(1)

    def run(self, inputs: Sequence[int], outputs: Sequence[int]) -> None:
        self._begin(inputs, outputs)
        for place, address in enumerate(outputs[: self.carried]):
            self.condition.point(self.condition.slots[place], address)
        for place in range(self.carried, len(inputs)):
            self.condition.point(self.condition.slots[place], inputs[place])
        self.condition.point(self.condition.outputs[0], self.flag.address)
        self.condition.program.prepare()
        native = self.body.head is not None and self.condition.head is not None
        if native and not choice.observers:
            if not self._prepare_body():
                return
            table = self._table(TURNS_AT_ONCE, [], self.condition, self.flag.address)
            while (
                self.device.run_loop(
                    table, self.body.program.tables.alone and self.condition.program.tables.alone
                )
                == 0
            ):
                pass
            self._complain(table)
            return
        prepared = False
        while True:
            self.condition.run()
            if not self._goes_on():
                return
            if not prepared:
                self.body.program.prepare()
                prepared = True
            self.body.run()

    def _prepare_body(self) -> bool:
        """Compute what the body needs once; not for a loop without turns, as an index may be out of range.

        Gives whether there is a turn.
        """
        if self.body.program.tables.preparation is not None:
            self.condition.run()
            if not self._goes_on():
                return False
            self.body.program.prepare()
        return True

    def _goes_on(self) -> bool:
        return bool(self.device.read(self.flag.address, bool_))

    def _complain(self, table: Any) -> None:
        stopped = table[LOOP_STOPPED]
        if stopped:
            part = self.condition if stopped < 0 else self.body
            steps = part.program.native_steps
            part.program.complain(steps[part.program.prepared + abs(stopped) - 1])


class _Scan(_Loop):
    def __init__(self, primitive: ScanLoop, name: str, compile: Compile) -> None:
        super().__init__(
            primitive.body, primitive.carried, primitive.sliced, f"{name}, body", compile
        )
        self.length, self.reverse = primitive.length, primitive.reverse
        n, m = primitive.carried, primitive.sliced
        self.steps_in = [_nbytes(value) for value in primitive.body.inputs[n : n + m]]
        self.steps_out = [_nbytes(value) for value in primitive.body.outputs[n:]]

    def run(self, inputs: Sequence[int], outputs: Sequence[int]) -> None:
        self._begin(inputs, outputs)
        if not self.length:
            return
        n = self.carried
        moving = [
            (self.body.slots[n + i], inputs[n + i], step) for i, step in enumerate(self.steps_in)
        ]
        moving += [
            (self.body.outputs[n + i], outputs[n + i], step)
            for i, step in enumerate(self.steps_out)
        ]
        first = self.length - 1 if self.reverse else 0
        sign = -1 if self.reverse else 1
        for slots, address, step in moving:
            self.body.point(slots, address + first * step)
        self.body.program.prepare()
        if self.body.head is None or choice.observers:
            for turn in range(self.length):
                for slots, address, step in moving:
                    self.body.point(slots, address + (first + sign * turn) * step)
                self.body.run()
            return
        moves = [
            (place, sign * step) for slots, _, step in moving for place in self.body.places(slots)
        ]
        left = self.length
        while left:
            turns = min(left, TURNS_AT_ONCE)
            table = self._table(turns, moves, None, 0)
            self.device.run_loop(table, self.body.program.tables.alone)
            if table[LOOP_STOPPED]:
                steps = self.body.program.native_steps
                number = self.body.program.prepared + table[LOOP_STOPPED] - 1
                self.body.program.complain(steps[number])
            left -= turns


def _nbytes(value: Value) -> int:
    return size_of(value.shape) * value.dtype.itemsize


def on_zeros(step: HostStep) -> None:
    """Run a step of control on memory of its own, for a measurement."""
    held: list[Any] = []
    device = current()

    def room(values: Sequence[Value]) -> list[int]:
        blocks = [device.allocate(max(1, _nbytes(value))) for value in values]
        for block, value in zip(blocks, values, strict=True):
            device.copy_in(block.address, np.zeros(_nbytes(value), uint8.numpy))
        held.extend(blocks)
        return [block.address for block in blocks]

    step.runner.run(room(step.node.inputs), room(step.node.outputs))
