"""Programs: a whole graph as one native call.

The graph's nodes become native calls (`Recipe`s). Every array gets a place: an input, a result, a
constant, or a part of the *arena*, one block of memory in which values that do not live at the same
time may lie at the same place. The arguments of all calls are written down once. What changes from
call to call, the addresses of inputs and results, goes into a table of *slots*; the native loop
(`threads.run_program`) writes it where it belongs, and then makes the calls one after the other.
"""

from __future__ import annotations

import ctypes
import struct
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, NamedTuple

from tessella.backends.array import Array, Layout, contiguous_layout, to_numpy
from tessella.backends.cpu import threads
from tessella.backends.cpu.buffers import allocate
from tessella.compiler import memory
from tessella.compiler.lowering import bounds, contraction, epilogue, fused, lower, lower_view
from tessella.compiler.lowering.epilogue import Epilogue
from tessella.compiler.lowering.kernels import address_of, compile_all
from tessella.compiler.observe import choice, now, stage, visiting
from tessella.compiler.recipe import RESULT, Call, Recipe, View
from tessella.errors import IndexingError, TracingError
from tessella.primitives.base import size_of
from tessella.primitives.contraction import Contraction
from tessella.primitives.fused import Fused
from tessella.primitives.graph import Graph, Node, Value, Where
from tessella.primitives.host import Host
from tessella.primitives.indexing import check_bounds


class Location(NamedTuple):
    """Where a value is: a buffer, how many bytes into it, and its layout."""

    buffer: int
    offset: int
    layout: Layout


class Step(NamedTuple):
    """A native call of the program, and where it comes from."""

    call: Call
    places: tuple[tuple[int, int], ...]  # buffers and offsets in bytes
    reads: tuple[int, ...]
    writes: tuple[int, ...]
    nodes: tuple[Node, ...]
    in_step: frozenset[int] = frozenset()  # buffers read only where the results are written
    epilogue: Epilogue | None = None
    epilogue_places: tuple[tuple[int, int], ...] = ()

    @property
    def where(self) -> Where | None:
        return self.nodes[-1].where if self.nodes else None

    @property
    def name(self) -> str:
        """The kernel's name, with that of its epilogue."""
        name = self.call.kernel.name
        return name if self.epilogue is None else f"{name} + {self.epilogue.kernel.name}"


class HostStep(NamedTuple):
    """A primitive that NumPy computes between native calls."""

    node: Node
    inputs: tuple[Location, ...]
    outputs: tuple[Location, ...]

    @property
    def reads(self) -> tuple[int, ...]:
        return tuple(location.buffer for location in self.inputs)

    @property
    def writes(self) -> tuple[int, ...]:
        return tuple(location.buffer for location in self.outputs)


class Check(NamedTuple):
    """Stop the program if the word at a place is not zero."""

    place: tuple[int, int]
    node: Node
    axis: int
    extent: int
    indices: Location

    @property
    def reads(self) -> tuple[int, ...]:
        return (self.place[0], self.indices.buffer)

    @property
    def writes(self) -> tuple[int, ...]:
        return ()


INPUT, RESULT_BUFFER, CONSTANT, ARENA, KEPT = "input", "result", "constant", "arena", "kept"


class Buffer:
    """A block of memory of a program: what kind, its number among its kind, and its bytes."""

    def __init__(self, kind: str, number: int, nbytes: int, name: str = "") -> None:
        self.kind, self.number, self.nbytes, self.name = kind, number, nbytes, name


class Builder:
    """Turns the nodes of a graph into steps on buffers."""

    def __init__(self, graph: Graph, layouts: Sequence[Layout], fixed: frozenset[int]) -> None:
        self.graph = graph
        self.fixed = {graph.inputs[number] for number in fixed} | {*graph.constants}
        self.buffers: list[Buffer] = []
        self.where: dict[Value, Location] = {}
        self.steps: list[Step | HostStep | Check] = []
        self.keep: list[Any] = []
        for number, (value, layout) in enumerate(zip(graph.inputs, layouts, strict=True)):
            self.where[value] = Location(self.buffer(INPUT, number, 0, value.hint), 0, layout)
        for number, (value, array) in enumerate(graph.constants.items()):
            self.where[value] = Location(self.buffer(CONSTANT, number, 0), 0, array.layout)

    def buffer(self, kind: str, number: int, nbytes: int, name: str = "") -> int:
        self.buffers.append(Buffer(kind, number, nbytes, name))
        return len(self.buffers) - 1

    def array(self, layout: Layout) -> Location:
        """Room in the arena for an array."""
        nbytes = layout.size * layout.dtype.itemsize
        return Location(self.buffer(ARENA, 0, nbytes), 0, layout)

    def build(self) -> None:
        """Add the steps of every node."""
        self.readers = self.graph.uses()
        self.merged: set[Node] = set()  # groups that became epilogues
        self.packed: dict[Any, int] = {}  # calls that pack an operand, and the buffers they fill
        self.shared = self._shared_operands()
        for node in self.graph.nodes:
            if node not in self.merged:
                self.add(node)

    def _shared_operands(self) -> set[Any]:
        """Operands that several products need packed in the same way."""
        seen: set[Any] = set()
        shared: set[Any] = set()
        for node in self.graph.nodes:
            if isinstance(node.primitive, Contraction):
                for position, value in enumerate(node.inputs):
                    key = node.primitive, position, value
                    (shared if key in seen else seen).add(key)
        return shared

    def add(self, node: Node) -> None:
        """Add the steps of one node."""
        primitive = node.primitive
        if all(value in self.fixed for value in node.inputs):
            self.fixed.update(node.outputs)
        inputs = [self.where[value] for value in node.inputs]
        layouts = [location.layout for location in inputs]
        if isinstance(primitive, Fused):
            self._fused(node, inputs)
            return
        if isinstance(primitive, Host):
            self._host(node, inputs)
            return
        view = lower_view(primitive, layouts, node.output)  # type: ignore[arg-type]
        if view is not None:
            for bound in view.bounds:
                self._check(bound, inputs[bound.operand], node)
            self._view(node.output, inputs[0], view)
            return
        if any(value.dtype.is_complex for value in (*node.inputs, *node.outputs)):
            self._host(node, inputs)
            return
        if isinstance(primitive, Contraction):
            left, right = node.inputs
            fixed = (
                left in self.fixed or (primitive, 0, left) in self.shared,
                right in self.fixed or (primitive, 1, right) in self.shared,
            )
            recipe: Any = contraction.lower(primitive, layouts, node.output, fixed)  # type: ignore[arg-type]
        else:
            recipe = lower(primitive, layouts, node.output)  # type: ignore[arg-type]
        self.where[node.output] = self.follow(recipe, inputs, (node,))
        if recipe.blocks is not None:
            self._attach(node, recipe)

    def _view(self, value: Value, source: Location, view: View) -> None:
        self.where[value] = Location(source.buffer, source.offset + view.offset, view.layout)

    def _attach(self, node: Node, recipe: Recipe) -> None:
        """Let the first group that reads a product be its epilogue, if it can."""
        product = self.where[node.output]
        for group in self.readers.get(node.output, ()):
            primitive = group.primitive
            if not isinstance(primitive, Fused) or primitive.axes:
                continue
            if size_of(primitive.space) != size_of(node.output.shape):
                continue
            if group.inputs.count(node.output) != 1:
                continue
            primitive = replace(primitive, space=node.output.shape)
            if any(value not in self.where for value in group.inputs):
                continue
            inputs = [self.where[value] for value in group.inputs]
            layouts = [location.layout for location in inputs]
            number = group.inputs.index(node.output)
            assert recipe.blocks is not None
            found = epilogue.lower(primitive, layouts, number, recipe.blocks)
            if found is not None:
                self._merge(node, group, found, product, inputs)
                return

    def _merge(
        self, node: Node, group: Node, found: Epilogue, product: Location, inputs: list[Location]
    ) -> None:
        """Give the product's last calls an epilogue that makes the group's results."""
        alone = self.readers[node.output] == [group] and node.output not in self.graph.outputs
        results = []
        for value in group.outputs:
            layout = contiguous_layout(value.shape, value.dtype)
            if alone and layout is product.layout:
                results.append(product)  # written over the product, element by element
                alone = False
            else:
                results.append(self.array(layout))
        places = tuple((where.buffer, where.offset) for where in (*inputs, *results))
        self.where.update(zip(group.outputs, results, strict=True))
        for number, step in enumerate(self.steps):
            if isinstance(step, Step) and step.nodes == (node,) and step.call.completes:
                self.steps[number] = step._replace(
                    epilogue=found,
                    epilogue_places=places,
                    reads=step.reads + tuple(where.buffer for where in inputs),
                    writes=step.writes + tuple(where.buffer for where in results),
                    nodes=(node, group),
                    in_step=frozenset(inputs[i].buffer for i in found.in_step),
                )
        self.merged.add(group)

    def _fused(self, node: Node, inputs: list[Location]) -> None:
        recipe = fused.lower(node.primitive, [location.layout for location in inputs])  # type: ignore[arg-type]
        results = [self.array(layout) for layout in recipe.results]
        scratch = [Location(self.buffer(ARENA, 0, n), 0, recipe.results[0]) for n in recipe.scratch]
        places = [*inputs, *results, *scratch]
        for call in recipe.calls:
            where = tuple(
                (places[buffer].buffer, places[buffer].offset + offset)
                for buffer, offset in call.places
            )
            written = [i for i in range(len(where)) if _writes(call, i)]
            reads = tuple(where[i][0] for i in range(len(where)) if i not in written)
            writes = tuple(where[i][0] for i in written)
            in_step = frozenset(inputs[i].buffer for i in recipe.in_step)
            self.steps.append(Step(call, where, reads, writes, (node,), in_step))
        self.where.update(zip(node.outputs, results, strict=True))

    def _host(self, node: Node, inputs: list[Location]) -> None:
        outputs = []
        for value in node.outputs:
            self.where[value] = self.array(contiguous_layout(value.shape, value.dtype))
            outputs.append(self.where[value])
        self.steps.append(HostStep(node, tuple(inputs), tuple(outputs)))

    def follow(
        self, recipe: Recipe, inputs: Sequence[Location], nodes: tuple[Node, ...]
    ) -> Location:
        """Add the calls of a recipe; gives where its result is."""
        for bound in recipe.bounds:
            self._check(bound, inputs[bound.operand], nodes[-1])
        result = self.array(recipe.result)
        scratch = [self.buffer(ARENA, 0, nbytes) for nbytes in recipe.scratch]
        self.keep.append(recipe.keep)
        for call in recipe.calls:
            if call.packs:
                source, target = call.places
                key = call._replace(places=()), inputs[source.buffer][:2]
                if key in self.packed:
                    scratch[RESULT - 1 - target.buffer] = self.packed[key]
                    continue
                self.packed[key] = scratch[RESULT - 1 - target.buffer]
            places: list[tuple[int, int]] = []
            reads: list[int] = []
            writes: list[int] = []
            for number, (buffer, offset) in enumerate(call.places):
                if buffer >= 0:
                    places.append((inputs[buffer].buffer, inputs[buffer].offset + offset))
                elif buffer == RESULT:
                    places.append((result.buffer, result.offset + offset))
                else:
                    places.append((scratch[RESULT - 1 - buffer], offset))
                written = buffer < 0 and _writes(call, number)
                (writes if written else reads).append(places[-1][0])
            self.steps.append(Step(call, tuple(places), tuple(reads), tuple(writes), nodes))
        return result if recipe.shown is None else result._replace(layout=recipe.shown)

    def _check(self, bound: Any, index: Location, node: Node) -> None:
        recipe = bounds.lower(index.layout, bound.extent)
        flag = self.follow(recipe, [index], (node,))
        self.steps.append(Check((flag.buffer, flag.offset), node, bound.axis, bound.extent, index))


def _writes(call: Call, number: int) -> bool:
    """Whether a call writes through a pointer (an LLVM kernel: through the last one)."""
    pointers = getattr(call.kernel, "pointers", None)
    return number == len(call.places) - 1 if pointers is None else pointers[number].written


class Program:
    """A compiled graph.

    Args:
        graph: what to compute; already simplified and fused.
        layouts: those of the inputs.
        in_place: for some outputs, the input whose memory they take.
        fixed: inputs that mostly stay the same: what depends on them alone is computed by `prepare`.
    """

    def __init__(
        self,
        graph: Graph,
        layouts: Sequence[Layout],
        in_place: dict[int, int] | None = None,
        fixed: frozenset[int] = frozenset(),
    ) -> None:
        self.name = "program"
        self.defined: Where | None = None  # where the function is that it was compiled from
        self.graph = graph
        self.traced = graph  # as the function wrote it, before any pass
        self.layouts = list(layouts)
        self.constants = list(graph.constants.values())
        self.lock = threading.RLock()
        self.user: Any = None  # who set the slots last, and may rely on them
        self.visitor: int | None = None  # the thread whose effect has the floor
        builder = Builder(graph, layouts, fixed)
        with stage("lower"):
            builder.build()
        self.buffers, self.steps, self.keep = builder.buffers, builder.steps, builder.keep
        self.where = builder.where
        self.results = self._place_results(builder, in_place or {})
        self._separate(fixed)
        with stage("plan_memory"):
            self.arena_plan = memory.plan(self.buffers, self.steps, ARENA)
            self.arena = allocate(self.arena_plan.nbytes)
        native = [step for step in self.steps if isinstance(step, Step)]
        with stage("machine_code"):
            compile_all(
                [step.call.kernel for step in native]
                + [step.epilogue.kernel for step in native if step.epilogue is not None]
            )
        with stage("write_tables"):
            self._write_tables()

    # --- building -------------------------------------------------------------------------------

    def _place_results(self, builder: Builder, in_place: dict[int, int]) -> list[Location]:
        """Take the outputs out of the arena, or copy what has no memory of its own."""
        self._save_overwritten(builder, in_place)
        self._writes_of: dict[int, list[int]] = {}  # buffer -> steps
        self._reads_of: dict[int, list[int]] = {}  # input -> steps
        for at, step in enumerate(self.steps):
            for written in dict.fromkeys(step.writes):
                self._writes_of.setdefault(written, []).append(at)
            for number in {
                self.buffers[b].number for b in step.reads if self.buffers[b].kind == INPUT
            }:
                self._reads_of.setdefault(number, []).append(at)
        results: list[Location] = []
        self.result_buffers: list[int] = []  # of each result slot
        taken: dict[int, int] = {}
        self.in_place: dict[int, int] = {}  # result slot -> number of the input it may share
        for number, value in enumerate(self.graph.outputs):
            location = self.where[value]
            buffer = self.buffers[location.buffer]
            wanted = in_place.get(number)
            whole = location.offset == 0 and location.layout.contiguous
            if wanted is not None:
                fits = buffer.kind == ARENA and whole and location.buffer not in taken
                if not fits or not self._may_share(location.buffer, wanted):
                    location = self._copied(builder, location)
                self._become_result(location.buffer, taken)
                self.in_place[taken[location.buffer]] = wanted
            elif buffer.kind == ARENA:
                self._become_result(location.buffer, taken)
            results.append(location)
        return results

    def _save_overwritten(self, builder: Builder, in_place: dict[int, int]) -> None:
        """Copy, before anything else, outputs that are inputs whose memory is written over."""
        written = set(in_place.values())
        count = len(self.steps)
        for value in dict.fromkeys(self.graph.outputs):
            location = self.where[value]
            buffer = self.buffers[location.buffer]
            if buffer.kind == INPUT and buffer.number in written:
                self.where[value] = self._copied(builder, location)
        self.steps[:] = self.steps[count:] + self.steps[:count]

    def _separate(self, fixed: frozenset[int]) -> None:
        """Move the steps that depend on fixed inputs alone to the front; their results are kept."""
        known = {i for i, b in enumerate(self.buffers) if b.kind == CONSTANT}
        known |= {i for i, b in enumerate(self.buffers) if b.kind == INPUT and b.number in fixed}
        writers: dict[int, list[Any]] = {}
        for step in self.steps:
            for buffer in step.writes:
                writers.setdefault(buffer, []).append(step)
        first: list[Any] = []
        moved: set[int] = set()
        for step in self.steps:
            alone = all(len(writers[b]) == 1 and self.buffers[b].kind == ARENA for b in step.writes)
            if isinstance(step, Step) and alone and all(b in known for b in step.reads):
                first.append(step)
                moved.add(id(step))
                known.update(step.writes)
        # what nobody else reads is not worth keeping apart: it goes with its reader
        for step in first:
            for buffer in step.writes:
                self.buffers[buffer].kind = KEPT
                self.buffers[buffer].number = 0
        self.steps = first + [step for step in self.steps if id(step) not in moved]
        self.prepared = len(first)
        self.kept_plan = memory.plan(self.buffers, self.steps, KEPT, share=False)
        self.kept = allocate(self.kept_plan.nbytes)

    def _become_result(self, number: int, taken: dict[int, int]) -> None:
        if number not in taken:
            taken[number] = len(taken)
            buffer = self.buffers[number]
            buffer.kind, buffer.number = RESULT_BUFFER, taken[number]
            self.result_buffers.append(number)

    def _copied(self, builder: Builder, location: Location) -> Location:
        from tessella.compiler.lowering.movement import copy

        return builder.follow(copy(location.layout), [location], ())

    def _may_share(self, buffer: int, number: int) -> bool:
        """Whether a result may be written over an input: everything else has read it by then.

        The step that writes may itself read the input if it does so element by element.
        """
        written, read = self._writes_of.get(buffer, []), self._reads_of.get(number, [])
        writers = [self.steps[i] for i in written]
        first = writers[0] if writers else None
        if not isinstance(first, Step) or not all(
            step is first
            or (isinstance(step, Step) and step.epilogue is first.epilogue is not None)
            for step in writers
        ):
            return False  # several writers share a result only as the blocks of one epilogue
        if any(i > written[0] and i not in written for i in read):
            return False
        own = [b for b in first.reads if self._is_input(b, number)]
        return all(b in first.in_step for b in own)

    def _is_input(self, buffer: int, number: int) -> bool:
        return self.buffers[buffer].kind == INPUT and self.buffers[buffer].number == number

    def _write_tables(self) -> None:
        """The arguments of all steps, and where slots go."""
        native = [step for step in self.steps if not isinstance(step, HostStep)]
        self.slot_count = len(self.layouts) + len(self.result_buffers)
        arguments: list[int] = []
        patches: list[tuple[int, int, int]] = []
        starts = []
        starts_of_epilogues: dict[int, int] = {}
        for step in native:
            starts.append(len(arguments))
            places = step.places if isinstance(step, Step) else (step.place,)
            for buffer, offset in places:
                slot, address = self._address(buffer, offset)
                if slot is not None:
                    patches.append((len(arguments), slot, address))
                arguments.append(0 if slot is not None else address)
            if isinstance(step, Step):
                numbers = step.call.numbers
                arguments += struct.unpack(f"<{len(numbers) // 8}q", numbers)
                if step.epilogue is not None:
                    starts_of_epilogues[len(starts) - 1] = len(arguments)
                    for buffer, offset in step.epilogue_places:
                        slot, address = self._address(buffer, offset)
                        if slot is not None:
                            patches.append((len(arguments), slot, address))
                        arguments.append(0 if slot is not None else address)
                    more = step.epilogue.numbers
                    arguments += struct.unpack(f"<{len(more) // 8}q", more)
        self._arguments = (ctypes.c_int64 * max(1, len(arguments)))(*arguments)
        base = ctypes.addressof(self._arguments)
        self._slots = (ctypes.c_int64 * max(1, self.slot_count))()
        flat = [word for at, slot, offset in patches for word in (base + 8 * at, slot, offset)]
        self._patches = (ctypes.c_int64 * max(1, len(flat)))(*flat)
        for number, at in starts_of_epilogues.items():
            self._set_epilogue(native[number], at, base)  # type: ignore[arg-type]
        rows = []
        self.alone = True
        for step, start in zip(native, starts, strict=True):
            if isinstance(step, Step):
                call = step.call
                self.alone &= call.chunk == 0
                rows += [address_of(call.kernel), base + 8 * start, call.total, call.chunk]
            else:
                rows += [0, base + 8 * start, 0, 0]
        self._steps = (ctypes.c_int64 * max(1, len(rows)))(*rows)
        self.segments = self._segments(len(patches))

    def _set_epilogue(self, step: Step, start: int, base: int) -> None:
        """Write the last words of a product's arguments: kernel, arguments, and how many they are."""
        assert step.epilogue is not None
        words = len(step.epilogue_places) + len(step.epilogue.numbers) // 8
        found = address_of(step.epilogue.kernel), base + 8 * start, words
        for slot, word in enumerate(found, start=start - 3):
            self._arguments[slot] = word

    def _address(self, buffer: int, offset: int) -> tuple[int | None, int]:
        """The slot of a buffer and the offset in it; or None and an address."""
        found = self.buffers[buffer]
        if found.kind == INPUT:
            return found.number, offset
        if found.kind == RESULT_BUFFER:
            return len(self.layouts) + found.number, offset
        if found.kind == CONSTANT:
            return None, self.constants[found.number].address + offset
        if found.kind == KEPT:
            return None, self.kept.address + self.kept_plan.offsets[buffer] + offset
        return None, self.arena.address + self.arena_plan.offsets[buffer] + offset

    def _segments(self, patches: int) -> list[Any]:
        """Native stretches (the head of a table, its address, the number of its first step) and what
        the host does between them."""
        self.patch_count = patches
        segments: list[Any] = []
        begin = number = self.prepared
        base = ctypes.addressof(self._steps)

        def native(first: int, count: int) -> None:
            if count:
                head = (ctypes.c_int64 * threads.HEAD)(
                    base + 32 * first, count, ctypes.addressof(self._patches),
                    patches, ctypes.addressof(self._slots), -1,
                )  # fmt: skip
                segments.append((head, ctypes.addressof(head), first))

        native(0, self.prepared)
        self.preparation = segments.pop() if segments else None
        for step in self.steps[self.prepared :]:
            if isinstance(step, HostStep):
                native(begin, number - begin)
                segments.append(step)
                begin = number
            else:
                number += 1
        native(begin, number - begin)
        self.native_steps = [step for step in self.steps if not isinstance(step, HostStep)]
        # a small program is one call that keeps the interpreter lock
        quick = self.alone and len(segments) == 1 and not isinstance(segments[0], HostStep)
        self.alone_at: int | None = segments[0][1] if quick else None
        self.native = threads.quick_runner()
        return segments

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

    def set_inputs(self, inputs: Sequence[Array]) -> None:
        """Let the slots of the inputs point at arrays."""
        self.user = None
        for number, array in enumerate(inputs):
            self._slots[number] = array.address

    def fresh_results(self, given: Mapping[int | None, Any] = MappingProxyType({})) -> list[Any]:
        """A buffer for every result, new where none is given; their slots are set."""
        buffers = []
        for slot, number in enumerate(self.result_buffers):
            buffer = given.get(slot) or allocate(self.buffers[number].nbytes)
            self._slots[len(self.layouts) + slot] = buffer.address
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
        if self.preparation is None:
            return
        if not choice.observers:
            threads.run_program(self.preparation[1])
            return
        begin = now()
        self._run_timed(self.preparation)
        end = now()
        for observer in choice.observers:
            observer.prepared(self, begin, end)

    def execute(self, effects: bool = True) -> None:
        """Run all segments; the slots are set.

        Args:
            effects: whether to print and to open debuggers; measurements do not.
        """
        if choice.observers:
            self._execute_observed()
            return
        if self.alone_at is not None:
            stopped = self.native(self.alone_at)
            if stopped:
                self._complain(self.native_steps[stopped - 1])
            return
        for segment in self.segments:
            if isinstance(segment, HostStep):
                if effects or not segment.node.primitive.has_effect:
                    self._run_host(segment)
                continue
            stopped = threads.run_program(segment[1], self.alone)
            if stopped:
                self._complain(self.native_steps[segment[2] + stopped - 1])

    def _execute_observed(self) -> None:
        """Run all segments, and tell those who look on about every step."""
        observers = choice.observers
        for observer in observers:
            observer.before(self)
        start = now()
        for segment in self.segments:
            if not isinstance(segment, HostStep):
                self._run_timed(segment)
                continue
            begin = now()
            self._run_host(segment)
            end = now()
            for observer in observers:
                observer.step(self, segment, begin, end)
        end = now()
        for observer in observers:
            observer.after(self, start, end)

    def _run_timed(self, segment: Any) -> None:
        """Run a native stretch with a look at the clock after every call."""
        head, address, first = segment
        times = (ctypes.c_int64 * (2 * (head[1] + 1)))()
        stopped = threads.run_timed(address, ctypes.addressof(times))
        if stopped:
            self._complain(self.native_steps[first + stopped - 1])
        ends = [times[i] * 1_000_000_000 + times[i + 1] for i in range(0, len(times), 2)]
        for step, begin, end in zip(self.native_steps[first:], ends, ends[1:], strict=False):
            for observer in choice.observers:
                observer.step(self, step, begin, end)

    def input(self, number: int) -> Array:
        """An input as an array, while the program runs."""
        return Array(self, self._slots[number], self.layouts[number])

    def view(self, location: Location) -> Any:
        """A value's memory for NumPy, while the program holds it."""
        slot, address = self._address(location.buffer, location.offset)
        place = address if slot is None else self._slots[slot] + address
        return to_numpy(Array(self, place, location.layout))

    def _run_host(self, step: HostStep) -> None:
        if step.node.primitive.has_effect:
            self._run_effect(step)
            return
        found = step.node.primitive.reference(*[self.view(location) for location in step.inputs])
        values = found if step.node.primitive.multiple_results else (found,)
        for location, value in zip(step.outputs, values, strict=True):
            self.view(location)[...] = value

    def _run_effect(self, step: HostStep) -> None:
        self.visitor = threading.get_ident()
        try:
            with visiting():
                step.node.primitive.reference(*[self.view(location) for location in step.inputs])
        finally:
            self.visitor = None

    def _complain(self, step: Any) -> None:
        """An index was out of bounds: say which.

        Raises:
            IndexingError: always.
        """
        assert isinstance(step, Check)
        try:
            check_bounds(self.view(step.indices), step.extent, step.axis)
        except IndexingError as error:
            where = f"{step.node.where}: " if step.node.where else ""
            raise IndexingError(f"{where}{step.node.primitive.name}: {error}") from None
