"""A function as it was traced for arguments of one kind: its graph, and the surroundings it was found in.

What it reads and writes there is noted by number: the inputs of the graph are the arguments, the captured
tensors, the gradients that were read, and the numbers that are read anew for every call.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator, Sequence
from typing import Any, NamedTuple

from tessella.blocks import restoring, undoing
from tessella.compiler.many_sizes import Programs
from tessella.compiler.observe import noted, now
from tessella.devices.array import Array, Layout, contiguous_layout
from tessella.garbage import collector_paused
from tessella.primitives.graph import Graph, Value, Where
from tessella.sizes.polynomials import Binding
from tessella.sizes.scope import Scope
from tessella.sizes.size import Size
from tessella.tensors.numbers import TracedNumber
from tessella.tensors.tensor import new_handle
from tessella.tracebacks import calls_users
from tessella.tracing.guards import Guards, Source, kind_guard, value_guard
from tessella.tracing.lines import user_line
from tessella.tracing.trace import Trace, tracing
from tessella.transforms.backward import Backward
from tessella.transforms.traced_arguments import Arguments, Containers, number_array
from tessella.transforms.traced_results import Left, Outcome, derivatives_of, left_by, results_of

_SHOWN = 40  # guards in an explanation


class Surroundings(NamedTuple):
    """What a function found around itself; the inputs that are no arguments are read there.

    Args:
        captured: the tensors it read, their layouts, and whether each needed a gradient.
        read_gradients: the tensors whose gradients it read, and the layouts of these; None for none.
        initial: the values of these gradients in the graph.
        numbers: what reads the other inputs anew for every call, and their values and layouts.
        looked: the floats whose values it asked for: number, value, and where it asked.
    """

    captured: list[Any]
    captured_values: list[Value]
    captured_layouts: list[Layout]
    leaf_flags: list[bool]
    read_gradients: list[Any]
    initial: list[Value | None]
    gradient_layouts: list[Layout | None]
    numbers: list[Any]
    number_values: list[Value]
    number_layouts: list[Layout]
    guards: Guards
    looked: list[tuple[int, float, Where]]

    @property
    def values(self) -> list[Value]:
        """The inputs of the graph that are no arguments."""
        present = [value for value in self.initial if value is not None]
        return [*self.captured_values, *present, *self.number_values]

    @property
    def layouts(self) -> list[Layout]:
        """Those of these inputs."""
        present = [layout for layout in self.gradient_layouts if layout is not None]
        return [*self.captured_layouts, *present, *self.number_layouts]


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
        trace = _new_trace(lent, scope)
        with collector_paused():
            begin = now()
            with tracing(trace):
                arguments = Arguments(trace, tree, shapes)
                outcome = _called(function, trace, arguments, lent)
                left = left_by(self.name, trace, arguments, outcome)
                self.results = results_of(trace, arguments, left.leaves)
                self.derivatives = derivatives_of(trace, arguments, left.leaves, self.results)
            noted("trace", self.name, begin)
            if scope is not None:
                scope.close()
            self.around = _surroundings_of(trace, arguments, left)
            # of the arguments: how many are inputs, and which of these need gradients
            self.count, self.inner_numbers = arguments.count, arguments.inner_numbers
            self.handed = arguments.handed
            self.writes, self.containers = outcome.writes, outcome.containers
            self.structure, self.has_effects = left.structure, left.has_effects
            self.written_arguments, self.with_history = left.written_arguments, left.with_history
            inputs = [*trace.arguments, *self.around.values]
            self.graph = Graph(inputs, trace.nodes, self.results.outputs, trace.constants)
            self.changes = self._changes()
            self.in_place = self._in_place()
            captured = range(self.count, self.count + len(self.around.captured))
            self.fixed = frozenset(captured) - frozenset(self.in_place.values())
            self.residuals = self._places_of_residuals()
            self.programs = self._programs()

    @property
    def backward(self) -> Backward | None:
        """The backward pass, if there is one."""
        return self.derivatives.backward

    def _changes(self) -> frozenset[int]:
        """The ids of tensors that must not be given as arguments, too."""
        found = {id(tensor) for tensor, _ in self.results.rebound}
        found |= {id(tensor) for tensor, _ in self.results.new_gradients}
        if self.written_arguments:
            found |= {id(tensor) for tensor in self.around.captured}
        return frozenset(found)

    def _in_place(self) -> dict[int, int]:
        """Which outputs go to the places of which inputs."""
        around, first = self.around, self.count
        numbers = {id(tensor): first + i for i, tensor in enumerate(around.captured)}
        found = {output: numbers[id(tensor)] for tensor, output in self.results.rebound}
        gradients = zip(around.read_gradients, around.initial, strict=True)
        present = [tensor for tensor, value in gradients if value is not None]
        numbers = {id(tensor): first + len(around.captured) + i for i, tensor in enumerate(present)}
        return found | {
            output: numbers[id(tensor)]
            for tensor, output in self.results.new_gradients
            if output is not None and id(tensor) in numbers
        }

    def _places_of_residuals(self) -> list[tuple[int, bool]]:
        """What the backward pass reads: the number of an input, or (True) that of an output."""
        place = {value: number for number, value in enumerate(self.graph.inputs)}
        return [
            (place[value], False) if number is None else (number, True)
            for value, number in self.derivatives.residuals
        ]

    def _programs(self) -> Programs | None:
        """The programs for many sizes, if there are symbolic ones."""
        if self.scope is None:
            return None
        if self.backward is not None:
            self.backward.for_many_sizes(self.scope, self.name)
        return Programs(self.graph, self.scope, self.in_place, self.fixed, self.name)

    def changed_number(self, numbers: Sequence[float]) -> str:
        """Which float among the arguments is not what the function saw when it looked at it."""
        for place, value, where in self.around.looked:
            if repr(numbers[place]) != repr(value):  # -0.0 is not 0.0, NaN is NaN
                return (
                    f"the float {numbers[place]!r} was {value!r} before, and {where} asks for its "
                    "value, in an `if` or in Python's own mathematics"
                )
        return ""

    def misfit(self) -> str:
        """What is not as it was, in words; empty if everything is."""
        around = self.around
        for tensor, layout, flag in zip(
            around.captured, around.captured_layouts, around.leaf_flags, strict=True
        ):
            now = tensor._value.layout
            if now is not layout:
                return (
                    f"a captured tensor is {now.dtype.name}{list(now.shape)} now, it was "
                    f"{layout.dtype.name}{list(layout.shape)}"
                )
            if (tensor._node is not None) is not flag:
                return "a captured tensor requires a gradient now, or no longer"
        for tensor, expected in zip(around.read_gradients, around.gradient_layouts, strict=True):
            gradient = tensor._grad
            found = None if gradient is None else gradient._value.layout
            if found is not expected:
                return "a gradient is there now, or gone, or has another layout"
        return self.changed_guard()

    def facts(self) -> list[tuple[str, str]]:
        """What the function has to do with its surroundings, with titles, for readers."""
        told = [guard.told for guard in sorted(self.around.guards, key=lambda guard: guard.watched)]
        more = f"; and {len(told) - _SHOWN} more" if len(told) > _SHOWN else ""
        found = [("guards", ("; ".join(told[:_SHOWN]) or "none") + more)]
        broken = self.around.guards.broken()
        if broken is not None:
            found.append(("broken by now", f"{broken.now()}; the next call traces again"))
        if self.writes:
            found.append(("writes outside", "; ".join(w.source.text for w in self.writes)))
        return found

    def changed_guard(self) -> str:
        """What the function read around itself and is not as it was; empty if everything is."""
        broken = None if self.around.guards.hold() else self.around.guards.broken()
        return "" if broken is None else broken.now()


def _new_trace(lent: Sequence[Source], scope: Scope | None) -> Trace:
    from tessella.tracing.reading import Reader

    trace = Trace()
    trace.reader = Reader(trace.guards, lent)
    if scope is not None:
        trace.scope = scope
        scope.line, scope.number = user_line, functools.partial(_number_of, trace)
    return trace


@calls_users
def _called(function: Any, trace: Trace, arguments: Arguments, lent: Sequence[Source]) -> Outcome:
    """Call the function; what it gave other values outside is noted, and taken back."""
    reader = trace.reader
    assert reader is not None
    args, kwargs = arguments.tree
    given = Containers(arguments.tree)
    with reader.writes.lasting():
        with _lent(trace, lent):
            try:
                try:
                    with reader.following(function):
                        result = function(*args, **kwargs)
                finally:
                    writes = reader.writes.take_back()
            except KeyboardInterrupt:  # there is no leaving half-way
                reader.writes.take_back()
                raise
        reader.writes.check()
        reader.writes.alone()  # guards are made of what nobody takes back
        reader.around.complete()
    return Outcome(result, writes, given.changed())


def _surroundings_of(trace: Trace, arguments: Arguments, left: Left) -> Surroundings:
    """What was read outside; it has its name there now, for readers of the graph."""
    _name_inputs(trace)
    captures, numbers = list(trace.captures.values()), list(trace.numbers.values())
    read = [entry for entry in trace.gradients.values() if entry.read]
    found = Surroundings(
        [capture.tensor for capture in captures],
        [capture.value for capture in captures],
        [capture.array.layout for capture in captures],
        [capture.end is not None for capture in captures],
        [entry.tensor for entry in read],
        [entry.initial for entry in read],
        [None if e.initial is None else e.tensor._grad._value.layout for e in read],
        [read for _, read in numbers] + [place.read for place in left.at_places],
        [value for value, _ in numbers] + [place.value for place in left.at_places],
        [contiguous_layout(value.shape, value.dtype) for value, _ in numbers]
        + [place.layout for place in left.at_places],
        trace.guards,
        [(n, arguments.floats[n], at) for n, at in trace.looked.items()],
    )
    for capture in captures:
        del capture.array
    trace.guards.settle()
    return found


def _name_inputs(trace: Trace) -> None:
    assert trace.reader is not None
    names = trace.reader.around.names()
    for capture in trace.captures.values():
        capture.value.hint = names.get(id(capture.tensor), capture.value.hint)
    for entry in trace.gradients.values():
        if entry.initial is not None and id(entry.tensor) in names:
            entry.initial.hint = f"{names[id(entry.tensor)]}.grad"


@restoring
def _lent(trace: Trace, lent: Sequence[Source]) -> Generator[None, None, None]:
    """In the block sources of numbers hold what stands for these numbers in the trace."""
    if lent and trace.reader is not None:
        trace.reader.writes.alone()
    before = [(source, source.get()) for source in lent]

    def give_back() -> None:
        for source, value in before:
            source.lend(value)

    with undoing(give_back):
        for source, value in before:
            source.lend(_number_from_outside(trace, source, value))
        yield
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
