"""Control in a program: the graphs of a `Control` primitive are programs of their own.

A branch is one call of its program. A loop is a native loop around its program's native loop: between two
turns it moves the slots of what is gone through place by place, and that is all. What is carried lies at one
place for the whole loop, and each turn writes over it; the memory plan of the body sees to it that everything
has been read by then (`tessella.compiler.results`). A loop in a loop is a row of its body's table: the patches
of the body write the slots of the inner body.
"""

from __future__ import annotations

import abc
import ctypes
import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from tessella.compiler.observe import settings
from tessella.compiler.steps import HostStep
from tessella.devices.array import Layout, contiguous_layout
from tessella.devices.device import Device
from tessella.devices.registry import current
from tessella.devices.table import LOOP_STOPPED, head_of, words_of
from tessella.dtypes import bool_, int32, uint8
from tessella.primitives.base import size_of
from tessella.primitives.control import Cond, Control, ScanLoop, While
from tessella.primitives.graph import Graph, Value

TURNS_AT_ONCE = 1 << 14  # of a native loop, before Python looks whether somebody wants it to stop
ENDLESS = 1 << 62  # turns


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
    def native(self) -> Native | None:
        """The program as a native loop takes it; None if the host has work in it."""
        return _native(self.program)

    @property
    def alone(self) -> bool:
        """Whether every call runs on the calling thread, those of the loops in it, too."""
        return self.program.tables.alone and not any(
            isinstance(s, HostStep) for s in self.program.steps
        )

    def point(self, slots: Sequence[int], address: int) -> None:
        """Let an input or an output be at an address."""
        for slot in slots:
            self.program.slot_words[slot] = address

    def places(self, slots: Sequence[int]) -> list[int]:
        """The addresses of slots, which a native program may write and a loop move."""
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
    carried = 0  # at the front, results that are written over what they start with
    loops: Sequence[Loop] | None = None  # how it is run natively, if it can be

    @property
    def device(self) -> Device:
        """What runs the parts."""
        found: Device = self.parts[0].program.device
        return found

    @abc.abstractmethod
    def run(self, inputs: Sequence[int], outputs: Sequence[int]) -> None:
        """Compute from the inputs at some addresses the outputs at others."""


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


class Native(NamedTuple):
    """A program behind its preparation as one native stretch, with its loops in it.

    Args:
        head: what the device is given; `rows` and `patches` are what it points at.
        stops: the steps and loops that the rows stand for.
    """

    head: Any
    rows: Any
    patches: Any
    stops: list[Any]


def _native(program: Any) -> Native | None:
    tables, number, stops = program.tables, program.prepared, list[Any]()
    rows, patches = list[int](), tables.patches[: 3 * tables.patch_count]
    for step in program.steps[number:]:
        if not isinstance(step, HostStep):
            rows += tables.steps[4 * number : 4 * number + 4]
            stops.append(step)
            number += 1
        elif step.runner is None or step.runner.loops is None or not program.device.signals():
            return None
        else:
            for loop in step.runner.loops:
                rows += 0, ctypes.addressof(loop.words), 0, 1
            stops += step.runner.loops
            patches += step.runner.patches(
                [program.place(x) for x in (*step.inputs, *step.outputs)]
            )
    held = words_of(rows), words_of(patches)
    head = head_of(
        ctypes.addressof(held[0]), len(stops), ctypes.addressof(held[1]), len(patches) // 3,
        ctypes.addressof(program.slot_words), program.device.signals(),
    )  # fmt: skip
    return Native(head, *held, stops)


class Loop:
    """A native loop (`tessella.devices.table`).

    Args:
        body: what is run; or, if it is `prepared`, what it needs once.
        moves: slots of the body, and by how much they move between two turns.
        condition: what says at `flag` whether to go on.
    """

    def __init__(
        self, body: Part, turns: int, moves: Sequence[tuple[int, int]] = (), condition: Part | None = None,
        flag: int = 0, prepared: bool = False,
    ) -> None:  # fmt: skip
        def head(part: Part | None) -> int:
            return 0 if part is None or part.native is None else ctypes.addressof(part.native.head)

        program = body.program
        preparation = program.tables.preparation
        self.body, self.condition, self.prepared = body, condition, prepared
        self.moves = words_of([w for slot, by in moves for w in (*body.places([slot]), by)])
        self.words = words_of(
            (
                preparation.address if prepared else head(body), turns, len(moves),
                ctypes.addressof(self.moves), head(condition), -1, flag, 0,
            )
        )  # fmt: skip

    def run(self, device: Device, alone: bool) -> None:
        """Take all turns."""
        words = type(self.words).from_buffer_copy(self.words)
        left = words[1]
        while left > 0:
            words[1] = min(left, TURNS_AT_ONCE)
            left -= TURNS_AT_ONCE
            if device.run_loop(words, alone):
                break
        self.complain(words[LOOP_STOPPED])

    def complain(self, stopped: int) -> None:
        """Raise what stopped a turn, if something did: the step of the body, or, negative, of the condition."""
        if not stopped:
            return
        part = self.condition if stopped < 0 else self.body
        assert part is not None
        assert part.native is not None
        steps = part.program.steps if self.prepared and stopped > 0 else part.native.stops
        found = steps[abs(stopped) - 1]
        if isinstance(found, Loop):
            found.complain(found.words[LOOP_STOPPED])
        else:
            part.program.complain(found)


class _Loop(Runner):
    """What both loops share: parts, what is carried, and where their slots point."""

    def __init__(self, carried: int, parts: Sequence[Part]) -> None:
        self.carried, self.parts = carried, list(parts)
        # of a part: slots, the operand that they point into, of the inputs and outputs, and how far
        self.pointers: list[tuple[Part, list[int], int, int]] = []

    @functools.cached_property
    def loops(self) -> Sequence[Loop] | None:  # type: ignore[override]
        return None if any(part.native is None for part in self.parts) else self._loops()

    @abc.abstractmethod
    def _loops(self) -> list[Loop]:
        """The native loops that are run one after the other."""

    @abc.abstractmethod
    def _take_turns(self) -> None:
        """Run the parts turn by turn."""

    def patches(self, operands: Sequence[tuple[int, int]]) -> list[int]:
        """What writes the slots of the parts, by the slots and offsets of the inputs and outputs."""
        return [
            word
            for part, slots, operand, offset in self.pointers
            for place in part.places(slots)
            for word in (place, operands[operand][0], operands[operand][1] + offset)
        ]

    def run(self, inputs: Sequence[int], outputs: Sequence[int]) -> None:
        operands = (*inputs, *outputs)
        for part, slots, operand, offset in self.pointers:
            part.point(slots, operands[operand] + offset)
        if self.loops is None or settings.observers:
            self._take_turns()
            return
        alone = all(part.alone for part in self.parts)
        for loop in self.loops:
            loop.run(self.device, alone)


class _While(_Loop):
    def __init__(self, primitive: While, name: str, compile: Compile) -> None:
        carried, inputs = primitive.carried, len(primitive.body.inputs)
        same = frozenset(range(carried, inputs))
        self.body = Part(
            primitive.body, {k: k for k in range(carried)}, same, f"{name}, body", compile
        )
        self.condition = Part(primitive.condition, {}, same, f"{name}, condition", compile)
        super().__init__(carried, [self.body, self.condition])
        self.flag = self.device.allocate(1)
        self.condition.point(self.condition.outputs[0], self.flag.address)
        for part in self.parts:
            self.pointers += [(part, part.slots[i], i, 0) for i in range(inputs)]

    def _loops(self) -> list[Loop]:
        """The body needs nothing if there is no turn, and what it would read may be out of range."""
        asked = self.condition, self.flag.address
        once = [Loop(self.condition, 1, prepared=True)] if _prepares(self.condition) else []
        if _prepares(self.body):
            once.append(Loop(self.body, 1, (), *asked, prepared=True))
        return [*once, Loop(self.body, ENDLESS, (), *asked)]

    def _take_turns(self) -> None:
        self.condition.program.prepare()
        prepared = False
        while True:
            self.condition.run()
            if not self.device.read(self.flag.address, bool_):
                return
            if not prepared:
                self.body.program.prepare()
                prepared = True
            self.body.run()


class _Scan(_Loop):
    def __init__(self, primitive: ScanLoop, name: str, compile: Compile) -> None:
        body, n, m = primitive.body, primitive.carried, primitive.sliced
        inputs, self.length = len(body.inputs), primitive.length
        same = frozenset(range(n + m, inputs))
        self.body = Part(body, {k: k for k in range(n)}, same, f"{name}, body", compile)
        super().__init__(n, [self.body])
        first, sign = (self.length - 1, -1) if primitive.reverse else (0, 1)
        moving = [(self.body.slots[i], i, _nbytes(body.inputs[i])) for i in range(n, n + m)]
        moving += [
            (self.body.outputs[k], inputs + k, _nbytes(body.outputs[k]))
            for k in range(n, len(body.outputs))
        ]
        self.moves = [(slot, sign * step) for slots, _, step in moving for slot in slots]
        resting = [*range(n), *range(n + m, inputs)]
        self.pointers = [(self.body, self.body.slots[i], i, 0) for i in resting]
        self.pointers += [(self.body, slots, i, first * step) for slots, i, step in moving]

    def _loops(self) -> list[Loop]:
        once = [Loop(self.body, 1, prepared=True)] if _prepares(self.body) else []
        return [*once, Loop(self.body, self.length, self.moves)] if self.length else []

    def _take_turns(self) -> None:
        if self.length:
            self.body.program.prepare()
        for _ in range(self.length):
            self.body.run()
            for slot, step in self.moves:
                self.body.program.slot_words[slot] += step


def _prepares(part: Part) -> bool:
    return part.program.tables.preparation is not None


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
