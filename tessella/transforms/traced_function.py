"""A function as it was traced for arguments of one kind: its graph, and the surroundings it was found in.

What it reads and writes there is noted by number: the inputs of the graph are the arguments, the captured
tensors, the gradients that were read, and the numbers that are read anew for every call.
"""

from __future__ import annotations

import collections
import ctypes
import enum
import functools
import operator
import types
from collections.abc import Callable, Generator, Sequence
from typing import Any

import numpy as np

from tessella import autodiff, dtypes
from tessella.autodiff import Leaf
from tessella.blocks import restoring
from tessella.compiler.many_sizes import Programs
from tessella.compiler.observe import noted, now
from tessella.devices.array import Array, Layout, contiguous_layout, from_numpy
from tessella.devices.registry import host
from tessella.dtypes import DType
from tessella.errors import SideEffectError
from tessella.garbage import collector_paused
from tessella.primitives.graph import Graph, Value
from tessella.sizes import Binding, Scope, Size
from tessella.tensors.gradients import leaf_of
from tessella.tensors.numbers import FLOATS, TracedNumber, number_dtype
from tessella.tensors.tensor import Tensor, new_handle
from tessella.tensors.tracing import Trace, Traced, tracing, user_line
from tessella.tracebacks import calls_users
from tessella.tracing.guards import Source, kind_guard, layout_guard, value_guard
from tessella.transforms.backward import backward_of
from tessella.transforms.given import Containers
from tessella.trees import flatten, map_leaves

_mode = autodiff.mode
NUMBER_LAYOUT = contiguous_layout((), dtypes.float64)
_SHOWN = 40  # guards in an explanation
_INTEGER_LAYOUT = contiguous_layout((), dtypes.int64)
# what a program can write outside again and again: it is made from the inputs, or never changes
_REPEATABLE = (
    Tensor, TracedNumber, Size, type(None), bool, int, float, complex, str, bytes, np.generic, range, type, DType,
    enum.Enum,
    types.ModuleType,
)  # fmt: skip


class Whole:
    """A static argument, or a container from outside in the result: its parts do not matter."""

    def __init__(self, value: Any) -> None:
        self.value = value


class Output:
    """Stands for an output of the program in the result."""

    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        self.number = number


class Again:
    """Stands for a number in the result that Python computes, from the floats among the arguments."""

    __slots__ = ("compute",)

    def __init__(self, compute: Callable[[Sequence[float]], Any]) -> None:
        self.compute = compute


class TracedFunction:
    """What a function does with arguments of one kind.

    Args:
        tree: the arguments, static ones in `Whole`.
        shapes: those of the tensors, arrays and floats among them, as the function is to see them.
        scope: what symbolic sizes in the shapes belong to, if there are any.
        lent: numbers from outside that differ from call to call: they become inputs.
    """

    def __init__(
        self,
        function: Any,
        tree: Any,
        shapes: Sequence[Any] | None = None,
        scope: Scope | None = None,
        lent: Sequence[Source] = (),
    ) -> None:
        self.name, self.function, self.scope = getattr(function, "__name__", "jit"), function, scope
        from tessella.tracing.reading import Reader

        trace = Trace()
        trace.reader = Reader(trace.guards, lent)
        if scope is not None:
            scope.line, scope.number = user_line, functools.partial(_number_of, trace)
        with collector_paused():
            begin = now()
            with tracing(trace):
                inner_args, inner_kwargs = self._arguments(trace, tree, shapes)
                given = Containers((inner_args, inner_kwargs))
                result = self._run(trace, inner_args, inner_kwargs, lent)
                self.containers = given.changed()
                leaves = self._flatten(trace, result)
                self._read_results(trace, leaves)
                self._differentiate(trace, leaves)
            noted("trace", self.name, begin)
            if scope is not None:
                scope.close()
            self._read_surroundings(trace)
            trace.guards.settle()

    @calls_users
    def _run(self, trace: Trace, args: Any, kwargs: Any, lent: Sequence[Source]) -> Any:
        """Call the function; what it gave other values outside is noted, and taken back."""
        reader = trace.reader
        assert reader is not None
        with _lent(trace, lent):
            try:
                try:
                    with reader.following(self.function):
                        result = self.function(*args, **kwargs)
                finally:
                    self.writes = reader.writes.take_back()
            except KeyboardInterrupt:  # there is no leaving half-way
                reader.writes.take_back()
                raise
        reader.writes.check()
        reader.around.complete()
        return result

    def _flatten(self, trace: Trace, result: Any) -> list[Any]:
        """The leaves of the result, of what was written outside, and the arguments that hold other data now."""
        self.written_arguments = [
            number for number, tensor, value in self.handles if tensor._value is not value
        ]
        changed = [tensor for _, tensor, value in self.handles if tensor._value is not value]
        if any(number in self.foreign for number in self.written_arguments):
            raise SideEffectError(
                f"{self.name}: a NumPy array that was given as an argument is changed in place (by x[...] = ..., "
                "x += ... or the like), which would not reach the array; give a tensor, or return the new data"
            )
        self.with_history = [  # captured tensors that got data with a history
            capture.tensor
            for capture, held in trace.rebound()
            if capture.tensor._node is not None and not isinstance(capture.tensor._node, Leaf)
        ]
        self._read_by_path(trace)
        histories = [new_handle(t._value, t._node, t._output) for t in self.with_history]
        written = [_kept(trace, write.value) for write in self.writes]
        result = _kept(trace, result)
        contents = [list(container.items) for container in self.containers]
        everything: Any = (result, written, changed, histories, contents)
        leaves, self.structure = flatten(everything)
        self.has_effects = bool(written or changed or histories or contents)
        if not self.has_effects:
            self.structure = self.structure.children()[0]
        self._check_written(trace)
        _check_texts(trace, leaves)
        return [self._moved.get(id(leaf), leaf) for leaf in leaves]

    def _check_written(self, trace: Trace) -> None:
        """What is written outside must be something that every call can make again."""
        assert trace.reader is not None
        for write in self.writes:
            for leaf in flatten(_kept(trace, write.value))[0]:
                if not isinstance(leaf, (*_REPEATABLE, Whole)) and not trace.reader.around.is_known(
                    leaf
                ):
                    raise SideEffectError(
                        f"{write.where}: {write.source.text} is from outside the traced function and is given a "
                        f"{type(leaf).__name__} made in it, which a program cannot make again at every call; "
                        "tensors and numbers can be written, all else belongs outside the compiled function"
                    )

    def _read_by_path(self, trace: Trace) -> None:
        """A tensor that is read at a place and then replaced there is read at that place by every call."""
        self.at_places: list[tuple[Value, Layout, Callable[[], Any]]] = []
        self._moved: dict[int, Tensor] = {}
        assert trace.reader is not None
        for write in self.writes:
            tensor, source = write.before, write.source
            if not isinstance(tensor, Tensor) or not isinstance(write.value, Tensor):
                continue
            held = {known.id for known in trace.reader.around.sources_of(tensor)}
            if held != {source.id} or tensor._node is not None:
                continue
            if id(tensor) not in trace.captures:
                trace.capture(tensor)
            capture = trace.captures[id(tensor)]
            held_now: Any = tensor._value
            if held_now is not capture.traced:
                continue  # it has been given other data, and keeps it
            tensor._value = capture.array
            del trace.captures[id(tensor)]
            layout = capture.array.layout
            self.at_places.append((capture.value, layout, _reads(source)))
            self._moved[id(tensor)] = new_handle(trace.traced(capture.value), None, 0)  # type: ignore[arg-type]
            trace.guards.replace(layout_guard(source, type(tensor), layout))

    def _arguments(self, trace: Trace, tree: Any, shapes: Sequence[Any] | None) -> Any:
        """The arguments with traced tensors instead of concrete ones."""
        given = None if shapes is None else iter(shapes)

        def argument(layout: Layout, hint: str) -> Tensor:
            if given is not None:
                layout = contiguous_layout(next(given), layout.dtype)
            self.count += 1
            return new_handle(trace.argument(layout, hint), None, 0)  # type: ignore[arg-type]

        def traced(leaf: Any) -> Any:
            if isinstance(leaf, Whole):
                around.know(leaf.value)
                return leaf.value
            if isinstance(leaf, np.ndarray):
                self.foreign.add(self.count)
                return handle(argument(from_numpy(leaf).layout, "argument"))
            if type(leaf) in FLOATS:
                self.numbers_given.append(leaf)
                tensor = argument(NUMBER_LAYOUT, "number").astype(number_dtype(leaf))
                place = len(self.numbers_given) - 1
                return TracedNumber(
                    trace, leaf, tensor, frozenset([place]), operator.itemgetter(place)
                )
            if not isinstance(leaf, Tensor):
                around.know(leaf)
                return leaf
            same = of.get(id(leaf))
            if same is not None:  # one tensor, given twice
                argument(leaf._value.layout, "argument")
                return same
            made = of[id(leaf)] = handle(argument(leaf._value.layout, "argument"))
            if leaf._node is not None:
                made._node = leaf_of(made)
                self.inner.append(made)
                self.inner_numbers.append(self.count - 1)
            return made

        def handle(tensor: Tensor) -> Tensor:
            self.handles.append((self.count - 1, tensor, tensor._value))
            return tensor

        assert trace.reader is not None
        around = trace.reader.around
        of: dict[int, Tensor] = {}
        self.count = 0  # of arguments that are inputs
        self.handles: list[tuple[int, Tensor, Any]] = []  # tensors among them, and what they held
        self.foreign: set[int] = set()  # numbers of those that are NumPy's
        self.inner: list[Tensor] = []  # arguments that need gradients
        self.inner_numbers: list[int] = []  # of the inputs that they are
        self.numbers_given: list[float] = []  # floats among the arguments, as they were
        return map_leaves(traced, tree)

    def _read_results(self, trace: Trace, leaves: Sequence[Any]) -> None:
        """What the function returned, rebound and left as gradients."""
        self.outputs: list[Value] = []
        self.returned: list[Any] = []  # numbers of outputs, or values that are no tensors
        first: dict[int, int] = {}  # where each tensor is among them
        self.repeated = [
            (position, first[id(leaf)])
            for position, leaf in enumerate(leaves)
            if isinstance(leaf, Tensor) and first.setdefault(id(leaf), position) != position
        ]
        for leaf in leaves:
            if isinstance(leaf, Tensor) and _is_made_in(trace, leaf):
                self.returned.append(Output(len(self.outputs)))
                self.outputs.append(trace.value_of(leaf))
            elif type(leaf) is TracedNumber:
                counts = not any(isinstance(source, Size) for source in leaf.sources)
                self.returned.append(Again(leaf.again) if counts else leaf.look())
            else:  # a tensor or a container from outside is itself
                self.returned.append(leaf.value if isinstance(leaf, Whole) else leaf)
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
        tensors = [x for x in leaves if isinstance(x, Tensor) and _is_made_in(trace, x)]
        self.differentiable = [i for i, y in enumerate(tensors) if y._node is not None]
        own = [c.tensor for c in trace.captures.values() if c.tensor._node is not None]
        results = [tensors[i] for i in self.differentiable] if autodiff.is_enabled() else []
        self.leaves = own
        self._residuals: list[tuple[Value, int | None]] = []  # and the outputs they are
        self.backward = backward_of(trace, results, [*self.inner, *own])
        if self.backward is not None:
            produced = {value for node in trace.nodes for value in node.outputs}
            known = {value: number for number, value in enumerate(self.outputs)}
            for value in self.backward.residuals:
                if value in produced and value not in known:
                    known[value] = len(self.outputs)
                    self.outputs.append(value)
                self._residuals.append((value, known[value] if value in produced else None))

    def _read_surroundings(self, trace: Trace) -> None:
        """The graph, and what its inputs and outputs are in the surroundings."""
        captures, numbers = list(trace.captures.values()), list(trace.numbers.values())
        self.captured = [capture.tensor for capture in captures]
        self.captured_layouts = [c.array.layout for c in captures]
        self.leaf_flags = [c.tensor._node is not None for c in captures]
        self.read_gradients = [e.tensor for e in trace.gradients.values() if e.read]
        initial = [e.initial for e in trace.gradients.values() if e.read]
        self.gradient_layouts = [
            None if entry.initial is None else entry.tensor._grad._value.layout
            for entry in trace.gradients.values()
            if entry.read
        ]
        self._name_inputs(trace)
        self.numbers = [read for _, read in numbers] + [read for _, _, read in self.at_places]
        self.guards = trace.guards
        self.changes = frozenset(  # ids of tensors that must not be given as arguments, too
            {id(tensor) for tensor, _ in self.rebound}
            | {id(tensor) for tensor, _ in self.new_gradients}
            | ({id(tensor) for tensor in self.captured} if self.written_arguments else set())
        )
        self.after = trace.after
        # the floats whose values the function asked for: number, value, and where it asked
        self.looked = [(n, self.numbers_given[n], at) for n, at in trace.looked.items()]
        inputs = [
            *trace.arguments,
            *[capture.value for capture in captures],
            *[value for value in initial if value is not None],
            *[value for value, _ in numbers],
            *[value for value, _, _ in self.at_places],
        ]
        self.graph = Graph(inputs, trace.nodes, self.outputs, trace.constants)
        # the layouts of the inputs that are no arguments
        self.other_layouts = [
            *self.captured_layouts,
            *[layout for layout in self.gradient_layouts if layout is not None],
            *[contiguous_layout(value.shape, value.dtype) for value, _ in numbers],
            *[layout for _, layout, _ in self.at_places],
        ]
        for capture in captures:
            del capture.array
        self._number_inputs(initial)

    def _name_inputs(self, trace: Trace) -> None:
        """Let what was read outside have its name there, for readers of the graph."""
        assert trace.reader is not None
        names = trace.reader.around.names()
        for capture in trace.captures.values():
            capture.value.hint = names.get(id(capture.tensor), capture.value.hint)
        for entry in trace.gradients.values():
            if entry.initial is not None and id(entry.tensor) in names:
                entry.initial.hint = f"{names[id(entry.tensor)]}.grad"

    def _number_inputs(self, initial: Sequence[Value | None]) -> None:
        """Which outputs go to the places of inputs, and which inputs are residuals."""
        first = self.count
        numbers = {id(tensor): first + i for i, tensor in enumerate(self.captured)}
        self.in_place = {output: numbers[id(tensor)] for tensor, output in self.rebound}
        present = [t for t, v in zip(self.read_gradients, initial, strict=True) if v is not None]
        numbers = {id(tensor): first + len(self.captured) + i for i, tensor in enumerate(present)}
        self.in_place |= {
            output: numbers[id(tensor)]
            for tensor, output in self.new_gradients
            if output is not None and id(tensor) in numbers
        }
        captured = range(first, first + len(self.captured))
        self.fixed = frozenset(captured) - frozenset(self.in_place.values())
        self.programs: Programs | None = None
        if self.scope is not None:
            if self.backward is not None:
                self.backward.for_many_sizes(self.scope, self.name)
            self.programs = Programs(self.graph, self.scope, self.in_place, self.fixed, self.name)
        place = {value: number for number, value in enumerate(self.graph.inputs)}
        # what the backward pass reads: the number of an input, or (True) that of an output
        self.residuals = [
            (place[value], False) if number is None else (number, True)
            for value, number in self._residuals
        ]

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
        return self.changed_guard()

    def facts(self) -> list[tuple[str, str]]:
        """What the function has to do with its surroundings, with titles, for readers."""
        told = [guard.told for guard in sorted(self.guards, key=lambda guard: guard.watched)]
        more = f"; and {len(told) - _SHOWN} more" if len(told) > _SHOWN else ""
        found = [("guards", ("; ".join(told[:_SHOWN]) or "none") + more)]
        broken = self.guards.broken()
        if broken is not None:
            found.append(("broken by now", f"{broken.now()}; the next call traces again"))
        if self.writes:
            found.append(("writes outside", "; ".join(w.source.text for w in self.writes)))
        return found

    def changed_guard(self) -> str:
        """What the function read around itself and is not as it was; empty if everything is."""
        broken = None if self.guards.hold() else self.guards.broken()
        return "" if broken is None else broken.now()


def _check_texts(trace: Trace, leaves: Sequence[Any]) -> None:
    """A text of what was not known yet would be the same at every call."""
    for text, where in trace.texts:
        if any(isinstance(leaf, str) and text in leaf for leaf in leaves):
            raise SideEffectError(
                f"{where}: the text of a tensor that is not known yet is returned from the traced function, or "
                "written outside, where it would be the same at every call; return or keep the tensor, or show it "
                'with ts.debug.print("{}", x)'
            )


def _is_made_in(trace: Trace, tensor: Tensor) -> bool:
    """Whether a tensor is one of the function's own, and not from outside."""
    held: Any = tensor._value
    return type(held) is Traced and id(tensor) not in trace.captures


def _kept(trace: Trace, value: Any) -> Any:
    """A value with containers from outside in `Whole`: they are themselves in the result, not made again."""
    assert trace.reader is not None
    if isinstance(value, (list, dict, set, collections.deque)) and trace.reader.around.is_known(
        value
    ):
        return Whole(value)
    return tuple([_kept(trace, x) for x in value]) if type(value) is tuple else value


def _reads(source: Source) -> Callable[[], Any]:
    return lambda: source.get()._value


@restoring
def _lent(trace: Trace, lent: Sequence[Source]) -> Generator[None, None, None]:
    """In the block sources of numbers hold what stands for these numbers in the trace."""
    before = [(source, source.get()) for source in lent]
    try:
        try:
            for source, value in before:
                source.lend(_number_from_outside(trace, source, value))
            yield
        finally:
            for source, value in before:
                source.lend(value)
    finally:
        for source, value in before:
            source.lend(value)
    for source, value in before:
        looked = source.id in trace.looked_outside
        trace.guards.replace(
            value_guard(source, value) if looked else kind_guard(source, type(value))
        )


def _number_from_outside(trace: Trace, source: Source, value: Any) -> TracedNumber:
    def read() -> Array:
        return number_array(source.get())

    array = trace.number(("outside", *source.id), read, number_array(value), source.text)
    tensor = new_handle(array, None, 0)  # type: ignore[arg-type]
    return TracedNumber(trace, value, tensor, frozenset([source]), lambda given: source.get())


def number_array(value: float) -> Array:
    """A Python float or int as an input of a program."""
    block = host().allocate(8)
    if type(value) is int:
        ctypes.c_int64.from_address(block.address).value = value
        return Array(block, block.address, _INTEGER_LAYOUT)
    ctypes.c_double.from_address(block.address).value = value
    return Array(block, block.address, NUMBER_LAYOUT)


class SizeNumber:
    """Reads a size as an input of a program."""

    def __init__(self, size: Size) -> None:
        self.size = size

    def at(self, binding: Binding) -> Callable[[], Array]:
        array = number_array(float(self.size.at(binding)))
        return lambda: array


def _number_of(trace: Trace, size: Size) -> TracedNumber:
    """A size as a number that takes part in floating-point arithmetic."""
    key = "size", size.terms
    traced = trace.number(key, SizeNumber(size), number_array(0.0), str(size))  # type: ignore[arg-type]
    tensor = new_handle(traced, None, 0)  # type: ignore[arg-type]
    return TracedNumber(trace, size.hint, tensor, frozenset([size]), lambda given: size.hint)


def _value_in(trace: Trace, held: Any) -> Value:
    if type(held) is Traced and held.trace is trace:
        return held.value
    raise SideEffectError(f"{user_line()}: a captured tensor was given data from another trace")
