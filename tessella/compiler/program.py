"""Programs: a whole graph as one native call.

The graph's nodes become native calls (`Recipe`s). Every array gets a place: an input, a result, a
constant, or a part of the *arena*, one block of memory in which values that do not live at the same
time may lie at the same place. The arguments of all calls are written down once. What changes from
call to call, the addresses of inputs and results, goes into a table of *slots*; the device
(`Device.run_program`) writes it where it belongs, and then makes the calls one after the other.
"""

from __future__ import annotations

import ctypes
import functools
import operator
import threading
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from tessella import forking
from tessella.compiler.builder import Builder
from tessella.compiler.control import Compile
from tessella.compiler.copies import write_over_originals
from tessella.compiler.machine_code import together
from tessella.compiler.memory import MemoryPlan
from tessella.compiler.observe import now, settings, stage, visiting
from tessella.compiler.recipe import RESULT, Recipe, Region
from tessella.compiler.results import Results, separate
from tessella.compiler.steps import (
    INPUT,
    RESULT_BUFFER,
    Check,
    HostStep,
    Location,
    ProgramBuffer,
    Step,
)
from tessella.compiler.tables import Addresses, Stretch, Tables, tables_of
from tessella.devices.array import Array, Layout, contiguous_layout, to_numpy, write
from tessella.devices.buffer import protect
from tessella.devices.device import Device
from tessella.errors import IndexingError, TracingError
from tessella.primitives.graph import NO_LINE, Graph, Value, Where

address_of = operator.attrgetter("address")


class Placed(NamedTuple):
    """The steps of a program and where everything lies; only the addresses of its kernels are open still.

    Args:
        keep: objects whose memory the steps point at.
        where: the places of the values.
        result_buffers: those of the result slots.
        in_place: for some of these, the input whose memory they may take.
        prepared: how many steps at the front depend on fixed inputs alone.
    """

    buffers: list[ProgramBuffer]
    steps: list[Step | HostStep | Check]
    keep: list[Any]
    where: dict[Value, Location]
    results: list[Location]
    result_buffers: list[int]
    in_place: dict[int, int]
    prepared: int
    addresses: Addresses


class Program:
    """A compiled graph.

    Args:
        graph: what to compute; already simplified and fused.
        layouts: those of the inputs.
        in_place: for some outputs, the input whose memory they take.
        fixed: inputs that mostly stay the same: what depends on them alone is computed by `prepare`.
        arena: gives the memory of intermediate values, given its bytes.
        compile: makes programs of the graphs within this one, of branches and loops.
        device: what runs it, and whose memory its inputs are in.
    """

    def __init__(
        self,
        graph: Graph,
        layouts: Sequence[Layout],
        in_place: dict[int, int],
        fixed: frozenset[int],
        arena: Callable[[int], Any],
        compile: Compile,
        device: Device,
    ) -> None:
        self.name, self.device = "program", device
        self.defined: Where | None = None  # where the function is that it was compiled from
        self.graph = graph
        self.as_traced: Callable[[], Graph] = lambda: graph  # as the function wrote it
        self.layouts = list(layouts)
        self.constants = list(graph.constants.values())
        for array in self.constants:  # a result may be one: whoever takes it must not write to it
            protect(array.buffer)
        self.lock = forking.lock()
        self.user: Any = None  # who set the slots last, and may rely on them
        self.visitor: int | None = None  # the thread whose effect has the floor
        with together(device) as work:
            builder = Builder(graph, layouts, fixed, work, in_place, compile, device)
            placed = _placed(builder, in_place, fixed, self.constants, arena)
            self.buffers, self.steps, self.keep = placed.buffers, placed.steps, placed.keep
            self.where, self.results = placed.where, placed.results
            self.result_buffers, self.in_place = placed.result_buffers, placed.in_place
            self.prepared, self._addresses = placed.prepared, placed.addresses
            slots = len(self.layouts) + len(self.result_buffers)
            self.slot_words = (ctypes.c_int64 * (slots + 1))()  # the last one stays 0
            self.native_steps = [step for step in self.steps if not isinstance(step, HostStep)]
            work.later(lambda: self.tables)

    @property
    def arena_plan(self) -> MemoryPlan:
        """Where the intermediate values lie."""
        return self._addresses.arena_plan

    @property
    def kept_plan(self) -> MemoryPlan:
        """Where what is prepared lies."""
        return self._addresses.kept_plan

    @functools.cached_property
    def traced(self) -> Graph:
        """The graph as the function wrote it, before any pass."""
        return self.as_traced()

    @functools.cached_property
    def tables(self) -> Tables:
        """What the device runs; made when all kernels have addresses, those of programs around this one, too."""
        with stage("write_tables"):
            return tables_of(
                self.steps, self._addresses, self.slot_words, self.prepared, self.device
            )

    def only_call(self) -> Recipe | None:
        """The recipe that the program is, if it is one call that writes its only result."""
        if len(self.steps) != 1 or len(self.results) != 1 or self.in_place or self.prepared:
            return None
        (step,), (result,) = self.steps, self.results
        layout = result.layout
        if not isinstance(step, Step) or step.epilogue is not None or result.offset:
            return None
        if result.buffer not in step.writes or layout != contiguous_layout(
            layout.shape, layout.dtype
        ):
            return None
        buffers = [self.buffers[number] for number, _ in step.places]
        if any(buffer.kind not in (INPUT, RESULT_BUFFER) for buffer in buffers):
            return None
        places = [
            Region(RESULT if buffer.kind == RESULT_BUFFER else buffer.number, offset)
            for buffer, (_, offset) in zip(buffers, step.places, strict=True)
        ]
        return Recipe(layout, (step.call._replace(places=tuple(places)),), keep=self.keep)

    # --- running --------------------------------------------------------------------------------

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """The outputs for inputs of the program's layouts, in memory of their own."""
        if self.visitor == threading.get_ident():
            raise TracingError(
                f"{self.name}: the program is called from its own print or breakpoint, where it is not "
                "done yet; call the function that it was compiled from"
            )
        with self.lock:
            self.set_inputs(inputs)
            fresh = self.fresh_results()
            self.prepare()
            self.execute()
        return [self.output(number, inputs, fresh) for number in range(len(self.results))]

    def set_inputs(
        self, inputs: Sequence[Array], address: Callable[[Any], int] = address_of
    ) -> None:
        """Let the slots of the inputs point at arrays."""
        self.user = None
        for number, array in enumerate(inputs):
            self.slot_words[number] = address(array)

    def fresh_results(self, given: Mapping[int | None, Any] = MappingProxyType({})) -> list[Any]:
        """A buffer for every result, new where none is given; their slots are set."""
        buffers = []
        for slot, number in enumerate(self.result_buffers):
            buffer = given.get(slot) or self.device.allocate(self.buffers[number].nbytes)
            self.slot_words[len(self.layouts) + slot] = buffer.address
            buffers.append(buffer)
        return buffers

    def output(self, number: int, inputs: Sequence[Array], fresh: Sequence[Any]) -> Array:
        """An output as an array."""
        location = self.results[number]
        buffer = self.buffers[location.buffer]
        if buffer.kind == RESULT_BUFFER:
            block = fresh[buffer.number]
            return Array(block, block.address + location.offset, location.layout)
        source = inputs[buffer.number] if buffer.kind == INPUT else self.constants[buffer.number]
        return Array(source.buffer, source.address + location.offset, location.layout)

    def prepare(self) -> None:
        """Compute what depends on fixed inputs alone; needed again when one of them has changed."""
        preparation = self.tables.preparation
        if preparation is None:
            return
        if not settings.observers:
            stopped = self.device.run_program(preparation.address)
            if stopped:
                self.complain(self.native_steps[stopped - 1])
            return
        begin = now()
        self._run_timed(preparation)
        end = now()
        for observer in settings.observers:
            observer.prepared(self, begin, end)

    def execute(self, effects: bool = True) -> None:
        """Run all segments; the slots are set.

        Args:
            effects: whether to print and to open debuggers; measurements do not.
        """
        if settings.observers:
            self._execute_observed(effects)
            return
        tables = self.tables
        if tables.alone_at is not None and tables.runner is not None:
            stopped = tables.runner(tables.alone_at)
            if stopped:
                self.complain(self.native_steps[self.prepared + stopped - 1])
            return
        for segment in tables.segments:
            if isinstance(segment, HostStep):
                if effects or not segment.node.primitive.has_effect:
                    self._run_host(segment)
                continue
            stopped = self.device.run_program(segment.address, tables.alone)
            if stopped:
                self.complain(self.native_steps[segment.first + stopped - 1])

    def _execute_observed(self, effects: bool) -> None:
        """Run all segments, and tell those who look on about every step."""
        observers = settings.observers
        for observer in observers:
            observer.before(self)
        start = now()
        for segment in self.tables.segments:
            if not isinstance(segment, HostStep):
                self._run_timed(segment)
                continue
            begin = now()
            if effects or not segment.node.primitive.has_effect:
                self._run_host(segment)
            end = now()
            for observer in observers:
                observer.step(self, segment, begin, end)
        end = now()
        for observer in observers:
            observer.after(self, start, end)

    def _run_timed(self, segment: Stretch) -> None:
        """Run a native stretch with a look at the clock after every call."""
        head, address, first = segment
        times = (ctypes.c_int64 * (2 * (head[1] + 1)))()
        stopped = self.device.run_timed(address, ctypes.addressof(times))
        if stopped:
            self.complain(self.native_steps[first + stopped - 1])
        ends = [times[i] * 1_000_000_000 + times[i + 1] for i in range(0, len(times), 2)]
        for step, begin, end in zip(self.native_steps[first:], ends, ends[1:], strict=False):
            for observer in settings.observers:
                observer.step(self, step, begin, end)

    def input(self, number: int) -> Array:
        """An input as an array, while the program runs."""
        return Array(self, self.slot_words[number], self.layouts[number])

    def array(self, location: Location) -> Array:
        """A value as an array, while the program runs."""
        return Array(self, self.address(location), location.layout)

    def view(self, location: Location) -> Any:
        """A value's memory for NumPy, while the program holds it."""
        return to_numpy(self.array(location))

    def place(self, location: Location) -> tuple[int, int]:
        """Where a value is: a slot, and how far behind what that points at."""
        slot, offset = self._addresses.of(location.buffer, location.offset)
        return len(self.slot_words) - 1 if slot is None else slot, offset

    def address(self, location: Location) -> int:
        """Where a value is, while the program runs."""
        slot, offset = self.place(location)
        return int(self.slot_words[slot]) + offset

    def _run_host(self, step: HostStep) -> None:
        if step.runner is not None:
            step.runner.run(
                [self.address(x) for x in step.inputs], [self.address(x) for x in step.outputs]
            )
            return
        if step.node.primitive.has_effect:
            self._run_effect(step)
            return
        found = step.node.primitive.reference(*[self.view(location) for location in step.inputs])
        values = found if step.node.primitive.multiple_results else (found,)
        for location, value in zip(step.outputs, values, strict=True):
            write(self.array(location), value)

    def _run_effect(self, step: HostStep) -> None:
        self.visitor = threading.get_ident()
        try:
            with visiting():
                step.node.primitive.reference(*[self.view(location) for location in step.inputs])
        finally:
            self.visitor = None

    def complain(self, step: Any) -> None:
        """An index was out of bounds: say which.

        Raises:
            IndexingError: always.
        """
        assert isinstance(step, Check)
        try:
            step.limits.check(self.view(step.indices))
        except IndexingError as error:
            place = None if step.node.where is NO_LINE else step.node.where
            wrong = IndexingError(f"{place}: {error}" if place else f"{error}")
            wrong.layer = (place.layer or None) if place else None
            raise wrong from None


def _placed(
    builder: Builder,
    in_place: dict[int, int],
    fixed: frozenset[int],
    constants: Sequence[Array],
    arena: Callable[[int], Any],
) -> Placed:
    """Lower a graph, and give everything in it a place."""
    with stage("lower"):
        builder.build()
        write_over_originals(builder)
    results = Results(builder, in_place)
    locations = results.place()
    prepared = separate(builder, fixed)
    buffers, steps = builder.buffers, builder.steps
    with stage("plan_memory"):
        inputs = len(builder.graph.inputs)
        addresses = Addresses(buffers, steps, inputs, constants, builder.device, arena)
    return Placed(
        buffers, steps, builder.keep, builder.where, locations, results.result_buffers,
        results.in_place, prepared, addresses,
    )  # fmt: skip
