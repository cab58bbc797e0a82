"""From the nodes of a graph to steps on buffers.

Every node is lowered in turn: a view becomes another layout of the same buffer, a recipe becomes its calls,
what NumPy does becomes a step of the host. A group that follows a product may become its epilogue.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from tessella.compiler.control import Compile, runner
from tessella.compiler.lowering import NEITHER, bounds, epilogue, lower
from tessella.compiler.lowering.epilogue import Epilogue
from tessella.compiler.lowering.movement import duplicate
from tessella.compiler.machine_code import Together
from tessella.compiler.recipe import (
    RESULT,
    Bound,
    Call,
    Elsewhere,
    FusedRecipe,
    Recipe,
    View,
)
from tessella.compiler.steps import (
    ARENA,
    CONSTANT,
    INPUT,
    Check,
    HostStep,
    Location,
    ProgramBuffer,
    Step,
)
from tessella.devices.array import Layout, contiguous_layout
from tessella.devices.device import Device
from tessella.primitives.base import size_of
from tessella.primitives.contraction import Contraction
from tessella.primitives.fused import Fused
from tessella.primitives.graph import Graph, GraphNode, Value


class Builder:
    """Turns the nodes of a graph into steps on buffers."""

    def __init__(
        self, graph: Graph, layouts: Sequence[Layout], fixed: frozenset[int], work: Together,
        updates: Iterable[int], compile: Compile, device: Device,
    ) -> None:  # fmt: skip
        self.graph, self.work, self.compile, self.device = graph, work, compile, device
        self.updates = {graph.outputs[number] for number in updates}  # go to the memory of inputs
        self.fixed = {graph.inputs[number] for number in fixed} | {*graph.constants}
        self.buffers: list[ProgramBuffer] = []
        self.where: dict[Value, Location] = {}
        self.steps: list[Step | HostStep | Check] = []
        self.begun = 0  # where the steps of the node begin that is being added
        self.keep: list[Any] = []
        self.readers = graph.uses()
        self.merged: set[GraphNode] = set()  # groups that became epilogues
        self.packed: dict[Any, int] = {}  # calls that pack an operand, and the buffers they fill
        self.shared = _shared_operands(graph)
        self.checked: set[tuple[Location, int, int]] = set()  # indices, and what they may be
        for number, (value, layout) in enumerate(zip(graph.inputs, layouts, strict=True)):
            self.where[value] = Location(self.buffer(INPUT, number, 0, value.hint), 0, layout)
        for number, (value, array) in enumerate(graph.constants.items()):
            self.where[value] = Location(self.buffer(CONSTANT, number, 0), 0, array.layout)

    def buffer(self, kind: str, number: int, nbytes: int, name: str = "") -> int:
        self.buffers.append(ProgramBuffer(kind, number, nbytes, name))
        return len(self.buffers) - 1

    def array(self, layout: Layout) -> Location:
        """Room in the arena for an array."""
        nbytes = layout.nbytes
        return Location(self.buffer(ARENA, 0, nbytes), 0, layout)

    def _step(self, step: Step) -> None:
        """Add a native call; its machine code is made while others are lowered."""
        self.steps.append(step)
        self.work.begin(step.call)

    def build(self) -> None:
        """Add the steps of every node."""
        for node in self.graph.nodes:
            if node not in self.merged:
                self.add(node)
        self.steps = checks_first(self.steps)

    def add(self, node: GraphNode) -> None:
        """Add the steps of one node."""
        primitive = node.primitive
        self.begun = len(self.steps)
        if all(value in self.fixed for value in node.inputs):
            self.fixed.update(node.outputs)
        inputs = [self.where[value] for value in node.inputs]
        layouts = [location.layout for location in inputs]
        lowered = lower(primitive, layouts, _result(node), self.device, self._same(node))
        match lowered:
            case View():
                self._view(node, inputs, lowered)
            case Recipe():
                self.where[node.output] = self.follow(lowered, inputs, (node,))
                if lowered.blocks is not None:
                    self._attach(node, lowered)
            case FusedRecipe():
                self._fused(node, inputs, lowered)
            case Elsewhere.NUMPY:
                self._host(node, inputs)
            case Elsewhere.PROGRAMS:
                self._programs(node, inputs)

    def _same(self, node: GraphNode) -> tuple[bool, bool]:
        """Which operands of a product are packed whole: they stay the same, or another product reads them, too."""
        if not isinstance(node.primitive, Contraction):
            return NEITHER
        left, right = (
            value in self.fixed or (node.primitive, position, value) in self.shared
            for position, value in enumerate(node.inputs)
        )
        return left, right

    def _view(self, node: GraphNode, inputs: list[Location], view: View) -> None:
        for bound in view.bounds:
            self._check(bound, inputs[bound.operand], node)
        source = inputs[0]
        self.where[node.output] = source._replace(
            offset=source.offset + view.offset, layout=view.layout
        )

    def _attach(self, node: GraphNode, recipe: Recipe) -> None:
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
        self,
        node: GraphNode,
        group: GraphNode,
        found: Epilogue,
        product: Location,
        inputs: list[Location],
    ) -> None:
        """Give the product's last calls an epilogue that makes the group's results."""
        alone = self.readers[node.output] == [group] and node.output not in self.graph.outputs
        results = []
        for value in group.outputs:
            layout = contiguous_layout(value.shape, value.dtype)
            # an epilogue that reads the old data of what it updates still finds it, if the product
            # lies elsewhere
            reads_old = value in self.updates and len(group.inputs) > 1
            if alone and layout is product.layout and not reads_old:
                results.append(product)  # written over the product, element by element
                alone = False
            else:
                results.append(self.array(layout))
        places = tuple((where.buffer, where.offset) for where in (*inputs, *results))
        self.work.begin_kernel(found.kernel)
        self.where.update(zip(group.outputs, results, strict=True))
        for number in range(self.begun, len(self.steps)):  # the steps of the product are the last
            step = self.steps[number]
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

    def _fused(self, node: GraphNode, inputs: list[Location], recipe: FusedRecipe) -> None:
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
            self._step(Step(call, where, reads, writes, (node,), in_step))
        self.where.update(zip(node.outputs, results, strict=True))

    def _programs(self, node: GraphNode, inputs: list[Location]) -> None:
        """Programs for the graphs of a node; they read operands in order, and loops write over what they carry."""
        made = runner(node.primitive, node.primitive.name, self.compile)  # type: ignore[arg-type]
        straight = [
            self.follow(duplicate(where.layout), [where], ())
            if number < made.carried or not where.layout.contiguous
            else where
            for number, where in enumerate(inputs)
        ]
        self.where.update(zip(node.outputs, straight[: made.carried], strict=False))
        self._host(node, straight, made)

    def _host(self, node: GraphNode, inputs: list[Location], runner: Any = None) -> None:
        for value in node.outputs:
            if value not in self.where:
                self.where[value] = self.array(contiguous_layout(value.shape, value.dtype))
        outputs = tuple(self.where[value] for value in node.outputs)
        self.steps.append(HostStep(node, tuple(inputs), outputs, runner))

    def follow(
        self, recipe: Recipe, inputs: Sequence[Location], nodes: tuple[GraphNode, ...]
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
            whole = call.duplicates and places[0][1] == 0
            in_step = frozenset(reads if whole else ())
            self._step(Step(call, tuple(places), tuple(reads), tuple(writes), nodes, in_step))
        return result if recipe.shown is None else result._replace(layout=recipe.shown)

    def _check(self, bound: Bound, index: Location, node: GraphNode) -> None:
        limits = index, bound.limits.least, bound.limits.extent
        if index.layout.size == 0 or limits in self.checked:
            return
        self.checked.add(limits)
        flag = self.follow(bounds.lower(index.layout, bound.limits), [index], (node,))
        self.steps.append(Check((flag.buffer, flag.offset), node, bound.limits, index))


def _shared_operands(graph: Graph) -> set[Any]:
    """Operands that several products need packed in the same way."""
    seen: set[Any] = set()
    shared: set[Any] = set()
    for node in graph.nodes:
        if isinstance(node.primitive, Contraction):
            for position, value in enumerate(node.inputs):
                key = node.primitive, position, value
                (shared if key in seen else seen).add(key)
    return shared


def _result(node: GraphNode) -> Any:
    return tuple(node.outputs) if node.primitive.multiple_results else node.output


def checks_first(steps: Sequence[Step | HostStep | Check]) -> list[Step | HostStep | Check]:
    """Every check of indices as soon as the indices are there.

    The rest of a program can then rely on them, and write over what it was given: an index that is out of
    range stops the program before. One check does not overtake another: of several indices that are out of
    range the function as it is written meets the first.
    """
    made = {buffer: step for step in steps for buffer in step.writes}
    follow: dict[int | None, list[Step | HostStep | Check]] = {}  # by the step they wait for
    moved: set[int] = set()
    written = {
        buffer: at for at, step in enumerate(steps) for buffer in step.writes
    }  # for the last time
    latest = -1
    for check in steps:
        if not isinstance(check, Check):
            continue
        test = made[check.place[0]]
        if id(test) in moved:
            continue
        latest = max([latest, *(written[buffer] for buffer in test.reads if buffer in written)])
        after = id(steps[latest]) if latest >= 0 else None
        follow.setdefault(after, []).extend((test, check))
        moved |= {id(test), id(check)}
    found = [*follow.get(None, ())]
    for step in steps:
        if id(step) not in moved:
            found.append(step)
        found += follow.get(id(step), ())
    return found


def _writes(call: Call, number: int) -> bool:
    """Whether a call writes through a pointer (an LLVM kernel: through the last one)."""
    pointers = getattr(call.kernel, "pointers", None)
    return number == len(call.places) - 1 if pointers is None else pointers[number].written
