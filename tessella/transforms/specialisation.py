"""One program of a compiled function: how it is traced, when it fits, and what a call of it does."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tessella import autodiff, dtypes
from tessella.backends.array import Array, Layout, contiguous_layout, from_numpy
from tessella.backends.cpu.buffers import allocate
from tessella.compiler.observe import noted, now
from tessella.errors import SideEffectError
from tessella.garbage import collector_paused
from tessella.primitives.graph import Graph, Value, Where
from tessella.tensors.numbers import TracedNumber
from tessella.tensors.tensor import Tensor, _accumulate, _leaf, _make
from tessella.tensors.tracing import Trace, Traced, tracing, user_line
from tessella.transforms.backward import Backward, backward_of
from tessella.transforms.recording import Recorded, replay

_mode = autodiff._mode


class Whole:
    """A static argument: its parts do not matter."""

    def __init__(self, value: Any) -> None:
        self.value = value


class Specialisation:
    """A program for arguments of one kind, and the surroundings it was traced in."""

    def __init__(self, function: Any, args: Any, kwargs: Any, tree: Any) -> None:
        import optree

        self.name, self.function = getattr(function, "__name__", "jit"), function
        trace = Trace()
        with collector_paused():
            begin = now()
            with tracing(trace):
                inner_args, inner_kwargs = self._arguments(trace, tree)
                result = function(*inner_args, **inner_kwargs)
                leaves, self.structure = optree.tree_flatten(
                    result, none_is_leaf=True, namespace="tessella"
                )
                self._read_results(trace, leaves)
                self._differentiate(trace, leaves)
            noted("trace", self.name, begin)
            self._compile(trace)

    def _arguments(self, trace: Trace, tree: Any) -> Any:
        """The arguments with traced tensors instead of concrete ones."""
        import optree

        def traced(leaf: Any) -> Any:
            if isinstance(leaf, Whole):
                return leaf.value
            if isinstance(leaf, np.ndarray):
                layout = from_numpy(leaf).layout
                self.layouts.append(layout)
                return _make(trace.argument(layout, "argument"), None, 0)  # type: ignore[arg-type]
            if type(leaf) is float:
                self.layouts.append(_NUMBER_LAYOUT)
                self.numbers_given.append(leaf)
                tensor = _make(trace.argument(_NUMBER_LAYOUT, "number"), None, 0)  # type: ignore[arg-type]
                return TracedNumber(trace, leaf, tensor, frozenset([len(self.numbers_given) - 1]))
            if not isinstance(leaf, Tensor):
                return leaf
            made = _make(trace.argument(leaf._value.layout, "argument"), None, 0)  # type: ignore[arg-type]
            if leaf._node is not None:
                made._node = _leaf(made)
                self.inner.append(made)
                self.inner_numbers.append(len(self.layouts))
            self.layouts.append(leaf._value.layout)
            return made

        self.layouts: list[Layout] = []
        self.inner: list[Tensor] = []  # arguments that need gradients
        self.inner_numbers: list[int] = []  # of the inputs that they are
        self.numbers_given: list[float] = []  # floats among the arguments, as they were
        return optree.tree_map(traced, tree, none_is_leaf=True, namespace="tessella")

    def _read_results(self, trace: Trace, leaves: Sequence[Any]) -> None:
        """What the function returned, rebound and left as gradients."""
        self.outputs: list[Value] = []
        self.returned: list[Any] = []  # numbers of outputs, or values that are no tensors
        for leaf in leaves:
            if isinstance(leaf, Tensor):
                self.returned.append(_Output(len(self.outputs)))
                self.outputs.append(trace.value_of(leaf))
            else:
                self.returned.append(leaf.look() if type(leaf) is TracedNumber else leaf)
        self.rebound: list[tuple[Any, int]] = []  # captures, and the outputs they become
        for capture, held in trace.rebound():
            self.rebound.append((capture.tensor, len(self.outputs)))
            self.outputs.append(_value_in(trace, held))
        self.argument_gradients: list[tuple[int, int]] = []  # of arguments, and their outputs
        for number, argument in enumerate(self.inner):
            if argument._grad is not None:
                self.argument_gradients.append((number, len(self.outputs)))
                self.outputs.append(trace.value_of(argument._grad))
        self.new_gradients: list[tuple[Any, int | None]] = []
        for entry in trace.gradients.values():
            if not entry.written:
                continue
            if entry.current is None:
                self.new_gradients.append((entry.tensor, None))
            else:
                self.new_gradients.append((entry.tensor, len(self.outputs)))
                self.outputs.append(trace.value_of(entry.current))

    def _differentiate(self, trace: Trace, leaves: Sequence[Any]) -> None:
        """Prepare the gradients of what was returned, if somebody may ask for them."""
        tensors = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
        self.differentiable = [i for i, y in enumerate(tensors) if y._node is not None]
        own = [c.tensor for c in trace.captures.values() if c.tensor._node is not None]
        results = [tensors[i] for i in self.differentiable] if _mode.enabled else []
        self.leaves = own
        self.backward = backward_of(trace, results, [*self.inner, *own])
        if self.backward is not None:
            produced = {value for node in trace.nodes for value in node.outputs}
            known = {value: number for number, value in enumerate(self.outputs)}
            self.residuals: list[tuple[Value, int | None]] = []  # and the outputs they are
            for value in self.backward.residuals:
                if value in produced and value not in known:
                    known[value] = len(self.outputs)
                    self.outputs.append(value)
                self.residuals.append((value, known[value] if value in produced else None))

    def _compile(self, trace: Trace) -> None:
        import optree

        from tessella.compiler import pipeline
        from tessella.transforms.places import gradient_place_of, place_of
        from tessella.transforms.state import State

        self.captured = [capture.tensor for capture in trace.captures.values()]
        self.captured_layouts = [c.array.layout for c in trace.captures.values()]
        self.leaf_flags = [c.tensor._node is not None for c in trace.captures.values()]
        self.read_gradients = [e.tensor for e in trace.gradients.values() if e.read]
        initial = [e.initial for e in trace.gradients.values() if e.read]
        self.gradient_layouts = [
            None if value is None else contiguous_layout(value.shape, value.dtype)
            for value in initial
        ]
        self.numbers = [read for _, read in trace.numbers.values()]
        self.guards = list(trace.guards.values())
        self.after = trace.after
        # the floats whose values the function asked for: number, value, and where it asked
        self.looked = [(n, self.numbers_given[n], at) for n, at in trace.looked.items()]
        inputs = [
            *trace.arguments,
            *[capture.value for capture in trace.captures.values()],
            *[value for value in initial if value is not None],
            *[value for value, _ in trace.numbers.values()],
        ]
        self.input_numbers = {value: number for number, value in enumerate(inputs)}
        graph = Graph(inputs, trace.nodes, self.outputs, trace.constants)
        first = len(trace.arguments)
        numbers = {id(tensor): first + i for i, tensor in enumerate(self.captured)}
        in_place = {output: numbers[id(tensor)] for tensor, output in self.rebound}
        present = [t for t, v in zip(self.read_gradients, initial, strict=True) if v is not None]
        numbers = {id(tensor): first + len(self.captured) + i for i, tensor in enumerate(present)}
        in_place |= {
            output: numbers[id(tensor)]
            for tensor, output in self.new_gradients
            if output is not None and id(tensor) in numbers
        }
        layouts = self._input_layouts(trace, inputs)
        captured = range(first, first + len(self.captured))
        fixed = frozenset(captured) - frozenset(in_place.values())
        self.program = pipeline.compile(graph, layouts, in_place, fixed, self.name)
        self.program.defined = _definition(self.function)
        for capture in trace.captures.values():
            del capture.array
        places = [place_of(tensor) for tensor in self.captured]
        writes: list[tuple[Any, int]] = [(place_of(t), number) for t, number in self.rebound]
        writes += [(gradient_place_of(t), n) for t, n in self.new_gradients if n is not None]
        self.state = State(
            self.program, first,
            [*places, *[gradient_place_of(tensor) for tensor in self.read_gradients]],
            [*self.captured_layouts, *self.gradient_layouts],
            [places[number - first] for number in fixed],
            writes, [tensor for tensor, number in self.new_gradients if number is None],
        )  # fmt: skip
        single = self.structure.is_leaf() and type(self.returned[0]) is _Output
        self.only = self.returned[0].number if single else None
        self.unflatten = optree.tree_unflatten

    def _input_layouts(self, trace: Trace, inputs: Sequence[Value]) -> list[Layout]:
        known = dict(zip(trace.arguments, self.layouts, strict=True))
        known |= {c.value: c.array.layout for c in trace.captures.values()}
        return [known.get(v) or contiguous_layout(v.shape, v.dtype) for v in inputs]

    # --- does it fit? ---------------------------------------------------------------------------

    def fits(self, settled: bool, numbers: Sequence[float] = ()) -> bool:
        """Whether it may be called: `settled`, if nothing has touched the tensors around it.

        Args:
            numbers: the floats among the arguments.
        """
        if self.looked and self.changed_number(numbers):
            return False
        if not settled:
            return self.misfit() == ""
        return not self.guards or self._changed_guard() == ""

    def changed_number(self, numbers: Sequence[float]) -> str:
        """Which float among the arguments is not what the function saw when it looked at it."""
        for place, value, where in self.looked:
            if repr(numbers[place]) != repr(value):  # -0.0 is not 0.0, NaN is NaN
                return (
                    f"the float {numbers[place]!r} was {value!r} before, and {where} asks for its "
                    "value, in an `if` or in Python's own mathematics"
                )
        return ""

    def misfit(self) -> str:
        """What is not as it was, in words; empty if everything is."""
        for tensor, layout, flag in zip(
            self.captured, self.captured_layouts, self.leaf_flags, strict=True
        ):
            now = tensor._value.layout
            if now is not layout:
                return (
                    f"a captured tensor is {now.dtype.name}{list(now.shape)} now, it was "
                    f"{layout.dtype.name}{list(layout.shape)}"
                )
            if (tensor._node is not None) is not flag:
                return "a captured tensor requires a gradient now, or no longer"
        for tensor, expected in zip(self.read_gradients, self.gradient_layouts, strict=True):
            gradient = tensor._grad
            found = None if gradient is None else gradient._value.layout
            if found is not expected:
                return "a gradient is there now, or gone, or has another layout"
        return self._changed_guard()

    def _changed_guard(self) -> str:
        for owner, name, value in self.guards:
            now = owner.get(name) if isinstance(owner, dict) else getattr(owner, name)
            if now != value and name == "_value":
                return "a tensor from outside, whose elements the function looked at, has other data now"
            if now != value:
                return f"{str(name).strip('_')} of {type(owner).__name__} is {now!r} now, it was {value!r}"
        return ""

    # --- running --------------------------------------------------------------------------------

    def inputs(self, arguments: Sequence[Array] | None) -> list[Array]:
        """All inputs of the program as they are now; zeros for arguments that are not given."""
        if arguments is None:
            arguments = [_zeros(layout) for layout in self.layouts]
        inner = [tensor._value for tensor in self.captured]
        inner += [t._grad._value for t in self.read_gradients if t._grad is not None]
        return [*arguments, *inner, *[read() for read in self.numbers]]

    def call(self, arguments: Sequence[Array], tensors: Sequence[Tensor], settled: bool) -> Any:
        """Run the program on arguments that fit; `tensors` are those that need gradients."""
        if self.backward is not None:
            return self._call_recorded(self.backward, arguments, tensors, settled)
        outputs = self.state.run(arguments, [read() for read in self.numbers], settled)
        if self.after or self.argument_gradients:
            self._finish(outputs, tensors)
        if self.only is not None:
            return _make(outputs[self.only], None, 0)
        leaves = [
            _make(outputs[leaf.number], None, 0) if type(leaf) is _Output else leaf
            for leaf in self.returned
        ]
        return self.unflatten(self.structure, leaves)

    def _finish(self, outputs: Sequence[Array], tensors: Sequence[Tensor]) -> None:
        """What else the function did: gradients of arguments, draws of random numbers."""
        for number, output in self.argument_gradients:
            _accumulate(tensors[number], _make(outputs[output], None, 0))
        for action in self.after:
            action()

    def _call_recorded(
        self,
        backward: Backward,
        arguments: Sequence[Array],
        tensors: Sequence[Tensor],
        settled: bool,
    ) -> Any:
        """Run the program, and leave a node on the tape."""
        inputs = self.inputs(arguments)  # these arrays are held now, and will not be written over
        given = inputs[len(inputs) - len(self.numbers) :]
        outputs = self.state.run(arguments, given, settled and not self.state.writes)
        self._finish(outputs, tensors)
        residuals = [
            inputs[self.input_numbers[value]] if number is None else outputs[number]
            for value, number in self.residuals
        ]
        numbers = [leaf.number for leaf in self.returned if type(leaf) is _Output]
        results = [outputs[numbers[i]] for i in self.differentiable]
        targets = [*tensors, *self.leaves]
        shown = [numbers[i] for i in self.differentiable]
        node = backward.node(self.name, results, targets, residuals, self._forward(inputs, shown))
        leaves = []
        for leaf in self.returned:
            if type(leaf) is not _Output:
                leaves.append(leaf)
            elif (place := numbers.index(leaf.number)) in self.differentiable:
                leaves.append(_make(outputs[leaf.number], node, self.differentiable.index(place)))
            else:
                leaves.append(_make(outputs[leaf.number], None, 0))
        return self.unflatten(self.structure, leaves)

    def _forward(
        self, inputs: Sequence[Array], outputs: Sequence[int]
    ) -> Callable[[Sequence[Tensor]], list[Tensor]]:
        """The function from the tensors that need gradients to some outputs, step by step."""
        first = len(self.layouts)
        places = list(self.inner_numbers)
        places += [first + i for i, flag in enumerate(self.leaf_flags) if flag]
        graph = self.program.traced

        def forward(targets: Sequence[Tensor]) -> list[Tensor]:
            given = [_make(array, None, 0) for array in inputs]
            for place, tensor in zip(places, targets, strict=True):
                given[place] = tensor
            found = replay(Recorded(graph, [], [], None, set()), given)
            return [found[number] for number in outputs]

        return forward


_NUMBER_LAYOUT = contiguous_layout((), dtypes.float64)


def number_array(value: float) -> Array:
    """A Python float as an input of a program."""
    block = allocate(8)
    ctypes.c_double.from_address(block.address).value = value
    return Array(block, block.address, _NUMBER_LAYOUT)


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
    block = from_numpy(np.zeros((first + last + 1) * item, np.uint8))
    return Array(block.buffer, block.address + first * item, layout)


class _Output:
    """Stands for an output of the program in the result."""

    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        self.number = number


def _value_in(trace: Trace, held: Any) -> Value:
    if type(held) is Traced and held.trace is trace:
        return held.value
    raise SideEffectError(f"{user_line()}: a captured tensor was given data from another trace")
