"""One program of a compiled function: a traced function for arguments of some layouts, and what a call does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tessella import forking
from tessella.autodiff import Leaf
from tessella.compiler.steps import INPUT
from tessella.devices.array import Array, Layout, brought, contiguous_layout, from_numpy
from tessella.devices.registry import host
from tessella.garbage import collector_paused
from tessella.primitives.graph import Where
from tessella.sizes.polynomials import Binding
from tessella.sizes.size import at
from tessella.tensors.gradients import accumulate_in
from tessella.tensors.tensor import Tensor, new_handle
from tessella.tracing.trace import ForeignArray
from tessella.transforms.backward import Backward
from tessella.transforms.recording import Recorded, replay
from tessella.transforms.traced_arguments import change
from tessella.transforms.traced_function import SizeNumber, TracedFunction
from tessella.transforms.traced_results import Again, Output

if TYPE_CHECKING:
    from tessella.compiler.program import Program
    from tessella.transforms.state import State


def _program_of(
    traced: TracedFunction, layouts: Sequence[Layout], binding: Binding | None
) -> Program:
    """The program of a function that was traced, for arguments of some layouts."""
    from tessella.compiler import pipeline

    layouts = [*layouts, *traced.around.layouts]
    handed = {*traced.handed, *range(len(layouts) - len(traced.around.numbers), len(layouts))}
    given = [layout for number, layout in enumerate(layouts) if number not in handed]
    device = pipeline.device_for(traced.graph, given, traced.name)
    layouts = [
        contiguous_layout(layout.shape, layout.dtype, device)
        if number in handed and layout.device is not device
        else layout
        for number, layout in enumerate(layouts)
    ]
    if traced.programs is None or binding is None:
        made = pipeline.compile(traced.graph, layouts, traced.in_place, traced.fixed, traced.name)
    else:
        made = traced.programs.program(layouts, binding)
    made.defined = _definition(traced.function)
    return made


def _state_of(traced: TracedFunction, program: Program) -> State:
    """What a program reads and writes around it."""
    from tessella.transforms.places import gradient_place_of, place_of
    from tessella.transforms.state import State

    around, results = traced.around, traced.results
    places = [place_of(tensor) for tensor in around.captured]
    writes: list[tuple[Any, int]] = [(place_of(t), number) for t, number in results.rebound]
    writes += [(gradient_place_of(t), n) for t, n in results.new_gradients if n is not None]
    return State(
        program, traced.count,
        [*places, *[gradient_place_of(tensor) for tensor in around.read_gradients]],
        [*around.captured_layouts, *around.gradient_layouts],
        [places[number - traced.count] for number in traced.fixed],
        writes, [tensor for tensor, number in results.new_gradients if number is None],
        _hidden(traced),
    )  # fmt: skip


def _hidden(traced: TracedFunction) -> frozenset[int]:
    """The outputs that only the gradient needs."""
    results = traced.results
    shown = {leaf.number for leaf in results.returned if type(leaf) is Output}
    shown |= {number for _, number in results.argument_gradients}
    kept = {number for number, is_output in traced.residuals if is_output}
    return frozenset(kept - shown)


class Specialisation:
    """A program for arguments of some layouts.

    Args:
        layouts: those of the arguments.
        binding: what symbolic sizes are in them.
    """

    def __init__(
        self, traced: TracedFunction, layouts: Sequence[Layout], binding: Binding | None = None
    ) -> None:
        self.traced, self.layouts, self.binding = traced, list(layouts), binding
        with collector_paused():
            self.program = _program_of(traced, layouts, binding)
            self.state = _state_of(traced, self.program)
        self.device = self.program.device
        self.brings = self.device is not host()  # what is no tensor is on the host
        self.backward = None if traced.backward is None else traced.backward.at(binding)
        kept = self._kept_inputs()
        self.kept = frozenset(number for number in kept if number < traced.count)
        first = len(self.layouts) + len(traced.around.layouts) - len(traced.around.numbers)
        self.numbers = [
            self._reader(read, first + number in kept)
            for number, read in enumerate(traced.around.numbers)
        ]
        self.returned = [at(leaf, binding or {}) for leaf in traced.results.returned]
        self.looked, self.guards = traced.around.looked, traced.around.guards
        self.structure = traced.structure
        self.has_effects = traced.has_effects
        self.needs_numbers = bool(self.looked) or any(type(x) is Again for x in self.returned)
        self.counts = any(type(leaf) is Again for leaf in self.returned)
        self.argument_gradients = traced.results.argument_gradients
        single = self.structure.is_leaf() and type(self.returned[0]) is Output
        self.only = self.returned[0].number if single else None
        self.unflatten = _unflatten

    def fits(self, settled: bool, numbers: Sequence[float] = ()) -> bool:
        """Whether it may be called: `settled`, if nothing has touched the tensors around it.

        Args:
            numbers: the floats among the arguments.
        """
        traced = self.traced
        if self.looked and traced.changed_number(numbers):
            return False
        if not settled:
            return traced.misfit() == ""
        return self.guards.hold()

    # --- running --------------------------------------------------------------------------------

    def inputs(self, arguments: Sequence[Array] | None) -> list[Array]:
        """All inputs of the program as they are now; zeros for arguments that are not given."""
        if arguments is None:
            arguments = [_zeros(layout) for layout in self.layouts]
        inner = [tensor._value for tensor in self.traced.around.captured]
        inner += [t._grad._value for t in self.traced.around.read_gradients if t._grad is not None]
        numbers = [read() for read in self.numbers]
        return [*self._brought(arguments), *inner, *self._brought(numbers)]

    def _brought(self, arrays: Sequence[Array]) -> list[Array]:
        return [brought(array, self.device) for array in arrays]

    def call(
        self,
        arguments: Sequence[Array],
        tensors: Sequence[Tensor],
        settled: bool,
        handles: Sequence[Any] = (),
        given: Sequence[float] = (),
        tree: Any = None,
    ) -> Any:
        """Run the program on arguments that fit.

        Args:
            tensors: those among the arguments that need gradients.
            handles: all tensors among the arguments, by the numbers of their inputs.
            given: the floats among them.
            tree: the arguments as the caller gave them.
        """
        if self.backward is not None:
            return self._call_recorded(
                self.backward, arguments, tensors, settled, handles, given, tree
            )
        numbers = [read() for read in self.numbers]
        if self.brings:
            arguments, numbers = self._brought(arguments), self._brought(numbers)
        outputs = self.state.run(arguments, numbers, settled)
        if self.argument_gradients:
            self._finish(outputs, tensors)
        if self.only is not None:
            return new_handle(outputs[self.only], None, 0)
        leaves: list[Any] = [
            new_handle(outputs[leaf.number], None, 0) if type(leaf) is Output else leaf
            for leaf in self.returned
        ]
        return self._result(leaves, handles, given, tree)

    def _result(
        self, leaves: list[Any], handles: Sequence[Any], given: Sequence[float], tree: Any
    ) -> Any:
        """What the function returned; what it wrote outside is written."""
        if self.counts:
            leaves = [x.compute(given) if type(x) is Again else x for x in leaves]
        for position, first in self.traced.results.repeated:  # one tensor, wherever it is
            leaves[position] = leaves[first]
        made: Any = self.unflatten(self.structure, leaves)
        if not self.has_effects:
            return made
        result, written, changed, histories, contents = made
        for write, value in zip(self.traced.writes, written, strict=True):
            write.do(value)
        targets = [handles[number] for number in self.traced.written_arguments]
        for target, tensor in zip(targets, changed, strict=True):
            target._value = tensor._value
            if not isinstance(target._node, Leaf):
                target._node, target._output = tensor._node, tensor._output
        for target, tensor in zip(self.traced.with_history, histories, strict=True):
            target._value = tensor._value
            target._node, target._output = tensor._node, tensor._output
        if contents:
            change(self.traced.containers, contents, tree)
        return result

    def _kept_inputs(self) -> frozenset[int]:
        """The inputs whose memory somebody may look at after the call: in results, or for gradients."""
        program = self.program
        kept = {
            program.buffers[location.buffer].number
            for location in program.results
            if program.buffers[location.buffer].kind == INPUT
        }
        if self.backward is not None:
            kept |= {number for number, is_output in self.traced.residuals if not is_output}
        return frozenset(kept)

    def _reader(self, read: Any, is_kept: bool) -> Any:
        """What gives an input anew for every call."""
        if isinstance(read, SizeNumber):
            return read.at(self.binding or {})
        return ForeignArray(read.array, is_kept) if isinstance(read, ForeignArray) else read

    def _finish(self, outputs: Sequence[Array], tensors: Sequence[Tensor]) -> None:
        """What else the function did: gradients of arguments."""
        for number, output in self.argument_gradients:
            accumulate_in(tensors[number], new_handle(outputs[output], None, 0))

    def _call_recorded(
        self,
        backward: Backward,
        arguments: Sequence[Array],
        tensors: Sequence[Tensor],
        settled: bool,
        handles: Sequence[Any],
        floats: Sequence[float],
        tree: Any,
    ) -> Any:
        """Run the program, and leave a node on the tape."""
        inputs = self.inputs(arguments)  # these arrays are held now, and will not be written over
        given = inputs[len(inputs) - len(self.numbers) :]
        outputs = self.state.run(inputs[: len(arguments)], given, settled and not self.state.writes)
        self._finish(outputs, tensors)
        traced = self.traced
        residuals = [
            outputs[number] if is_output else inputs[number]
            for number, is_output in traced.residuals
        ]
        numbers = [leaf.number for leaf in self.returned if type(leaf) is Output]
        shown = [numbers[i] for i in traced.derivatives.differentiable]
        results = [outputs[number] for number in shown]
        targets = [*tensors, *traced.derivatives.leaves]
        node = backward.node(traced.name, results, targets, residuals, self._forward(inputs, shown))
        leaves: list[Any] = []
        for leaf in self.returned:
            if type(leaf) is not Output:
                leaves.append(leaf)
            elif leaf.number in shown:
                leaves.append(new_handle(outputs[leaf.number], node, shown.index(leaf.number)))
            else:
                leaves.append(new_handle(outputs[leaf.number], None, 0))
        return self._result(leaves, handles, floats, tree)

    def _forward(
        self, inputs: Sequence[Array], outputs: Sequence[int]
    ) -> Callable[[Sequence[Tensor]], list[Tensor]]:
        """The function from the tensors that need gradients to some outputs, step by step."""
        traced = self.traced
        places = list(traced.inner_numbers)
        places += [traced.count + i for i, flag in enumerate(traced.around.leaf_flags) if flag]
        graph = self.program.traced

        def forward(targets: Sequence[Tensor]) -> list[Tensor]:
            given = [new_handle(array, None, 0) for array in inputs]
            for place, tensor in zip(places, targets, strict=True):
                given[place] = tensor
            found = replay(Recorded(graph, [], [], None, set()), given)
            return [found[number] for number in outputs]

        return forward


def _unflatten(structure: Any, leaves: Sequence[Any]) -> Any:
    import optree

    with forking.making.section():  # no thread is cut off in C++
        return optree.tree_unflatten(structure, leaves)


def _definition(function: Any) -> Where | None:
    """The line at which a function is defined, if it is one of Python's."""
    code = getattr(function, "__code__", None)
    if code is None:
        return None
    return Where(code.co_filename, code.co_firstlineno, code.co_name)


def _zeros(layout: Layout) -> Array:
    """Zeros in a layout, which need not be row-major."""
    last = sum(max(0, (n - 1) * s) for n, s in zip(layout.shape, layout.strides, strict=True))
    first = sum(max(0, -(n - 1) * s) for n, s in zip(layout.shape, layout.strides, strict=True))
    item = layout.dtype.itemsize
    block = from_numpy(np.zeros((first + last + 1) * item, np.uint8), device=layout.device)
    return Array(block.buffer, block.address + first * item, layout)
