"""Tracing: what tensors do is written down as a graph instead of being done.

While a trace is active in a thread, every primitive is recorded. A tensor from outside that the
traced function touches is *captured*: it becomes an implicit input of the graph, read again at every
call of the program. If the function gives it other data (`p.assign(...)`, `x += 1`), what it stands
for at the end is an implicit output. The same holds for gradients (`p.grad`).

During the trace a captured tensor holds a `Traced` value. Other threads can go on with it, because a
`Traced` that stands for a captured array can be used as that array. When the trace ends, for
whatever reason, every captured tensor holds again what it held before.

Traces nest: a transformation (`tessella.transforms`) traces its function inside the trace of `jit`, or of
another transformation. What belongs to a trace further out is a tensor from outside for one further in.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from types import FrameType
from typing import TYPE_CHECKING, Any

import numpy as np

from tessella import autodiff, forking
from tessella.autodiff import Leaf
from tessella.blocks import Restoring, restoring
from tessella.devices.array import Array, Layout, contiguous_layout, from_numpy
from tessella.dtypes import DType
from tessella.errors import SideEffectError, TracedValueError
from tessella.primitives import graph as graphs
from tessella.primitives.base import Primitive, Shape, is_array_operation
from tessella.primitives.generate import Full
from tessella.primitives.graph import Node, Value, Where
from tessella.tracebacks import NOT_USERS
from tessella.tracing.following import go_on, pause
from tessella.tracing.guards import (
    Guard,
    Guards,
    Source,
    data_guard,
    shape_guard,
    shown,
    value_guard,
)

if TYPE_CHECKING:
    from tessella.tracing.reading import Reader  # loaded with the first compiled function

_mode = autodiff.mode


class Traced:
    """What a tensor holds while a function is traced: a value of the graph."""

    __slots__ = ("array", "layout", "trace", "value")

    def __init__(
        self, trace: Trace, value: Value, layout: Layout, array: Array | None = None
    ) -> None:
        self.trace = trace
        self.value = value
        self.layout = layout
        self.array = array  # what it stands for outside the trace

    def _concrete(self) -> Array:
        if self.array is not None and (self.trace.used_once or not is_open(self.trace)):
            return self.array
        if self.trace.active:
            raise TracedValueError(
                f"{user_line()}: the elements of a tensor of shape {self.layout.shape} were asked "
                "for (by item(), bool(), int(), numpy(), a format or an `if`) while its function is "
                "being traced, when they are not known yet; choose with ts.where(condition, x, y), show "
                'them with ts.debug.print("{}", x), pass what decides as a static argument, or take this '
                "part out of the function"
            )
        raise TracedValueError(
            f"a tensor of shape {self.layout.shape} was kept from a traced function that has ended; "
            "it never had elements: return it from the function instead"
        )

    @property
    def address(self) -> int:
        return self._concrete().address

    @property
    def buffer(self) -> Any:
        return self._concrete().buffer

    @property
    def shape(self) -> Shape:
        return self.layout.shape

    @property
    def dtype(self) -> DType:
        return self.layout.dtype


class Capture:
    """A tensor from outside, its array, and the value that stands for it."""

    __slots__ = ("array", "node", "tensor", "traced", "value")

    def __init__(self, tensor: Any, array: Array, value: Value, traced: Traced) -> None:
        self.tensor = tensor
        self.array = array
        self.value = value
        self.traced = traced
        self.node = tensor._node, tensor._output


class Cut(autodiff.Node):
    """Where the history of a traced function ends, and that of a captured tensor goes on outside.

    Gradients of the function are asked for here; the node of a call hands them on. For another thread it is no end.
    """

    __slots__ = ("trace",)

    is_end = True

    def __init__(self, trace: Trace, tensor: Any) -> None:
        self.trace = trace
        super().__init__("captured", ((tensor._node, tensor._output),), self._on)

    def _on(self, cotangents: list[Any]) -> Sequence[Any]:
        if is_open(self.trace):
            raise TracedValueError(
                f"{user_line()}: backward() inside a traced function goes on into what was computed outside of it, "
                "which a program could not do again; call backward() outside, on what the function returns, or "
                "pass x.detach()"
            )
        return cotangents[:1]

    def release(self) -> None:
        """It keeps nothing."""


class Gradient:
    """The `grad` of a tensor from outside, as the trace sees it.

    `initial` is what it was: None, or the value that stands for it; it is only known if it was read
    before it was written.
    """

    __slots__ = ("current", "initial", "read", "tensor", "written")

    def __init__(self, tensor: Any) -> None:
        self.tensor = tensor
        self.read = self.written = False
        self.initial: Value | None = None
        self.current: Any = None


class Trace:
    """The graph of what a thread does, while it is written.

    Args:
        outer: the trace around it.
    """

    used_once = (
        False  # whether the graph is used for nothing but this call: then captured data is known
    )

    def __init__(self, outer: Trace | None = None) -> None:
        self.outer = outer
        self.active = True
        self.nodes: list[Node] = []
        self.lines: dict[Value, Where] = {}
        self.constants: dict[Value, Array] = {}
        self.arguments: list[Value] = []
        self.captures: dict[int, Capture] = {}
        self.cuts: dict[int, tuple[Any, int]] = {}  # where histories of captured tensors end
        self.gradients: dict[int, Gradient] = {}
        self.numbers: dict[Any, tuple[Value, Callable[[], Any]]] = {}
        self.guards = Guards()
        self.reader: Reader | None = None  # who follows what the function reads around itself
        self.after: list[Callable[[], None]] = []  # to be done after every call
        self.looked: dict[int, Where] = {}  # numbers among the arguments that were looked at, where
        self.looked_outside: dict[Any, Where] = {}  # and numbers from outside, by their sources
        self.texts: list[tuple[str, Where]] = []  # of tensors that are not known, and who made them

    # --- values ---------------------------------------------------------------------------------

    def traced(self, value: Value) -> Traced:
        return Traced(self, value, contiguous_layout(value.shape, value.dtype))

    def argument(self, layout: Layout, hint: str) -> Traced:
        """A new explicit input."""
        value = Value(layout.shape, layout.dtype, hint)
        self.arguments.append(value)
        return self.traced(value)

    def value_of(self, tensor: Any) -> Value:
        """The graph's value for what a tensor holds; one from outside is captured."""
        held = tensor._value
        if type(held) is not Traced:
            return self.capture(tensor).value
        if held.trace is self:
            return held.value
        if held.array is not None or self.is_inside(held.trace):  # or captured by another thread
            return self.capture(tensor).value
        held._concrete()  # complains
        raise AssertionError

    def capture(self, tensor: Any) -> Traced:
        """Let a tensor from outside stand for an implicit input."""
        held: Any = tensor._value
        from_another_thread = type(held) is Traced and not self.is_inside(held.trace)
        array: Any = held.array if from_another_thread else held
        value = Value(array.layout.shape, array.layout.dtype, "captured")
        traced = Traced(self, value, array.layout, array)
        self.captures[id(tensor)] = Capture(tensor, array, value, traced)
        tensor._value = traced
        self.cut(tensor)
        return traced

    def cut(self, tensor: Any) -> None:
        """Let the history that a captured tensor has outside end here."""
        if tensor._node is not None and not isinstance(tensor._node, Leaf):
            tensor._node, tensor._output = self.cuts[id(tensor)] = Cut(self, tensor), 0

    def is_inside(self, other: Trace) -> bool:
        """Whether another trace is around this one."""
        trace = self.outer
        while trace is not None and trace is not other:
            trace = trace.outer
        return trace is not None

    def detached(self, tensor: Any) -> Any:
        """The same data without history."""
        self.value_of(tensor)
        return tensor.__tessella_holding__(tensor._value)

    def random_key(self, generator: Any) -> Any:
        """The key of the next draw from a generator."""
        return generator.next_key()

    def constant(self, array: Array) -> Traced:
        """Data made during the trace."""
        value = Value(array.layout.shape, array.layout.dtype, "constant")
        self.constants[value] = array
        return Traced(self, value, array.layout)

    def full(self, value: Any, shape: Shape, dtype: DType) -> Traced:
        """One number everywhere."""
        made: Value = graphs.apply(self.nodes, Full(shape, dtype, value), (), None)
        return self.traced(made)

    def number(
        self, key: Any, read: Callable[[], Any], like: Array, hint: str = "number"
    ) -> Traced:
        """An implicit input that `read` gives anew for every call, of the layout of `like`."""
        found = self.numbers.get(key)
        if found is None:
            value = Value(like.layout.shape, like.layout.dtype, hint)
            found = self.numbers[key] = value, read
        return self.traced(found[0])

    # --- operations -----------------------------------------------------------------------------

    def record(self, primitive: Primitive, tensors: Sequence[Any]) -> Any:
        """Write down a primitive; gives what stands for its result (or a tuple)."""
        paused = pause() if is_array_operation(primitive) else None
        try:
            return self._record(primitive, tensors)
        finally:
            go_on(paused)

    def _record(self, primitive: Primitive, tensors: Sequence[Any]) -> Any:
        inputs = [self.value_of(tensor) for tensor in tensors]
        where = _mode.where or line_of(self._line_of)
        made = graphs.apply(self.nodes, primitive, inputs, where)
        for output in self.nodes[-1].outputs:
            self.lines[output] = where
        if primitive.multiple_results:
            return tuple(self.traced(value) for value in made)
        return self.traced(made)

    def _line_of(self, made: Any) -> Where | None:
        """The line that made what a tensor of this trace holds."""
        return self.lines.get(made.value) if type(made) is Traced else None

    # --- gradients of tensors from outside ------------------------------------------------------

    def _is_outside(self, tensor: Any) -> bool:
        held = tensor._value
        return type(held) is not Traced or held.trace is not self or id(tensor) in self.captures

    def gradient(self, tensor: Any) -> Any:
        """What `tensor.grad` is here."""
        if not self._is_outside(tensor):
            return tensor._grad
        entry = self.gradients.get(id(tensor))
        if entry is None:
            entry = self.gradients[id(tensor)] = Gradient(tensor)
        if not entry.written and not entry.read:
            entry.read = True
            before = tensor._grad
            if before is not None:
                array = before._value
                entry.initial = Value(array.layout.shape, array.layout.dtype, "gradient")
                traced: Any = Traced(self, entry.initial, array.layout)
                entry.current = tensor.__tessella_holding__(traced)
        return entry.current

    def set_gradient(self, tensor: Any, gradient: Any) -> None:
        """Let `tensor.grad` be a tensor, or None."""
        if not self._is_outside(tensor):
            tensor._grad = gradient
            return
        entry = self.gradients.get(id(tensor))
        if entry is None:
            entry = self.gradients[id(tensor)] = Gradient(tensor)
        entry.written = True
        entry.current = gradient

    # --- what else a program depends on ---------------------------------------------------------

    def guard(self, owner: Any, name: Any, value: Any) -> None:
        """The program is only right while an attribute (or an item of a dict) has this value."""
        kind = "item" if isinstance(owner, dict) else "attribute"
        text = shown(name) if kind == "item" else f"{type(owner).__name__}.{str(name).strip('_')}"
        source = Source(kind, owner, name, text)
        if self.reader is None or not self.reader.writes.has(source):
            self.add_guard(value_guard(source, value))

    def add_guard(self, guard: Guard) -> None:
        """The program is only right while a guard holds."""
        self.guards.add(guard)

    def writes(self, owner: Any, name: str) -> None:
        """An attribute of a module or an optimiser is about to get another value."""
        if self.reader is not None and self.reader.around.is_known(owner):
            source = Source("attribute", owner, name, f"{type(owner).__name__}.{name}")
            self.reader.writes.write(source)

    def look_at(self, tensor: Any) -> None:
        """The elements of a tensor are asked for: the program is right for this data of it only."""
        if isinstance(tensor._value, Array):
            self.add_guard(data_guard(tensor))

    def given_to_numpy(self, tensor: Any) -> None:
        """A function of NumPy asks for the elements of a tensor.

        Raises:
            TracedValueError: they are not known yet.
        """
        require_known(
            tensor,
            "NumPy was given a tensor",
            "take the function of ts instead (ts.sin(x) for np.sin(x)), which is compiled",
        )

    def touch(self, owner: Any, *parts: Any) -> None:
        """Our own code looks into a module or an optimiser: the program depends on what it holds.

        Args:
            parts: what belongs to it, and is handed on to a user's code.
        """
        if self.reader is not None:
            self.reader.around.touch(owner, *parts)

    def array_from_outside(self, array: np.ndarray[Any, Any]) -> Traced | None:
        """What stands for a NumPy array from outside, which is read anew for every call; None for others.

        One that the function made is data like any other, and so is one that cannot change.
        """
        if self.reader is None or not self.reader.around.is_outside(array):
            return None
        self.guards.add(shape_guard(array))
        return self.number(("array", id(array)), ForeignArray(array), _contiguous(array), "array")

    def end(self) -> None:
        """Give every captured tensor its array back."""
        self.active = False
        for capture in self.captures.values():
            if capture.tensor._value is not capture.array and self._is_mine(capture.tensor._value):
                capture.tensor._value = capture.array
                if not isinstance(capture.tensor._node, Leaf):  # one of a value in this trace
                    capture.tensor._node, capture.tensor._output = capture.node
            if id(capture.tensor) in self.cuts:
                cut, _ = self.cuts[id(capture.tensor)]
                capture.tensor._node, capture.tensor._output = cut.parents[0]
            capture.traced.array = None  # who counts references is not to find this one

    def _is_mine(self, held: Any) -> bool:
        """Whether it stands for something in this trace; another thread may have put data there."""
        return type(held) is Traced and held.trace is self

    def rebound(self) -> Iterator[tuple[Capture, Any]]:
        """The captured tensors that stand for something else by now, and for what."""
        for capture in self.captures.values():
            held = capture.tensor._value
            if held is capture.traced:
                continue
            if id(capture.tensor) in self.cuts:
                raise SideEffectError(
                    f"{user_line()}: a tensor of shape {capture.tensor.shape} that was computed outside, with a "
                    "history, is given other data in a traced function (by assign, x += ... or the like), which a "
                    "program cannot add to its history; return the new data from the function instead"
                )
            yield capture, held


class ForeignArray:
    """Reads a NumPy array from outside as an input of a program.

    Args:
        copies: whether to take a copy: somebody looks at the input after the call, and the array may change.
    """

    def __init__(self, array: np.ndarray[Any, Any], copies: bool = False) -> None:
        self.array, self.copies = array, copies

    def __call__(self) -> Array:
        return from_numpy(self.array, copy=True) if self.copies else _contiguous(self.array)


def _contiguous(array: np.ndarray[Any, Any]) -> Array:
    return from_numpy(np.ascontiguousarray(array))


# A tensor of the surroundings can stand for something in the traces of one thread at a time.
tracing_lock = forking.lock()


@restoring
def tracing(trace: Trace) -> Generator[None, None, None]:
    """In the block this thread writes down what it does; afterwards all tensors are as they were."""
    before = _mode.trace, _mode.where
    heard = autodiff.Recording(autodiff.is_enabled(), silent=False)
    with forking.making.section(), tracing_lock, autodiff.recording.block(heard):
        try:
            try:
                _mode.trace, _mode.where = trace, None
                yield
            finally:
                _mode.trace, _mode.where = before
                trace.end()
        finally:  # again, for a Ctrl-C in the first one: there is no leaving half-way
            _mode.trace, _mode.where = before
            trace.end()


@restoring
def _holding(name: str, value: Any) -> Generator[None, None, None]:
    before = getattr(_mode, name)
    try:
        try:
            setattr(_mode, name, value)
            yield
        finally:
            setattr(_mode, name, before)
    finally:  # again, for a Ctrl-C in the first one
        setattr(_mode, name, before)


def outside(trace: Trace) -> Restoring[None]:
    """Inside the block things are done as around a trace: at once, or in the trace further out."""
    return _holding("trace", trace.outer)


def attributed(where: Where | None) -> Restoring[None]:
    """What is recorded inside the block belongs to a line that is known already."""
    return _holding("where", where)


def suspended() -> Restoring[None]:
    """Inside the block things are done at once, even in a traced function: state is made this way."""
    return _holding("trace", None)


def user_frame() -> FrameType | None:
    """The frame of the caller that is no part of this package."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(NOT_USERS):
        frame = frame.f_back
    return frame


def where_of(frame: FrameType | None) -> Where:
    """The line a frame is at."""
    if frame is None:
        return Where("<unknown>", 0, "?")
    code = frame.f_code
    return Where(code.co_filename, frame.f_lineno, code.co_name)


def user_line() -> Where:
    """The line of the caller that is no part of this package."""
    return where_of(user_frame())


def line_of(known: Callable[[Any], Where | None]) -> Where:
    """The user's line that what is being done belongs to.

    In a backward pass it is the line of the forward operation. Nothing was written down for that: the
    frames tell whose gradient is being computed, and `known` which line made that node's result.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(NOT_USERS):
        if id(frame.f_code) in autodiff.WALKING:
            node = frame.f_locals.get("node")
            outputs = getattr(node, "outputs", None)  # a leaf has none
            where = known(outputs[0]) if outputs else None
            if where is not None:
                return Where(where.file, where.line, where.function, backward=True)
        frame = frame.f_back
    return where_of(frame)


class Lines:
    """The lines of eager operations, for who looks on at them: known by the arrays they made.

    An id is another array's after its array has gone, but that one is noted, too.
    """

    def __init__(self) -> None:
        self._of: dict[int, Where] = {}

    def note(self, results: Sequence[Any]) -> Where:
        """The line that the operation which has just made these arrays belongs to."""
        where = line_of(lambda made: self._of.get(id(made)))
        self._of.update({id(result): where for result in results})
        return where


def is_open(trace: Trace) -> bool:
    """Whether what this thread does is written down in a trace, or in one inside it."""
    active: Trace | None = _mode.trace
    return active is trace or (active is not None and active.is_inside(trace))


def is_known(tensor: Any) -> bool:
    """Whether the elements of a tensor can be asked for now."""
    held = tensor._value
    while type(held) is Traced:
        if held.array is None or not (held.trace.used_once or not is_open(held.trace)):
            return False
        held = held.array
    return True


def why_unknown(tensor: Any) -> str:
    """Why the elements of a tensor cannot be shown, and what to do, in words; empty if they can."""
    if is_known(tensor):
        return ""
    if tensor._value.trace.active:
        return "not known yet while its function is traced; ts.debug.print shows it at every call"
    return "kept from a traced function that has ended; return it from the function instead"


def require_known(tensor: Any, what: str, instead: str) -> None:
    """Complain if elements are asked for that are not known yet, because a function is being traced.

    Args:
        what: needs them, in words, and why.
        instead: what to do, in words.

    Raises:
        TracedValueError: they are not.
    """
    if is_known(tensor) or not tensor._value.trace.active:  # after its trace, reading it says more
        return
    raise TracedValueError(
        f"{user_line()}: {what}, and the elements of a tensor of shape {tensor.shape} are not known yet while "
        f"its function is being traced; {instead}, or take this part out of the function"
    )


def note_text(text: str) -> None:
    """A text stands for a tensor that is not known yet: it is no result of the functions being traced."""
    trace: Trace | None = _mode.trace
    while trace is not None:
        trace.texts.append((text, user_line()))
        trace = trace.outer


def holds_noted_text(text: str) -> bool:
    """Whether a text was made from that of a tensor which is not known yet."""
    trace: Trace | None = _mode.trace
    return trace is not None and any(known in text for known, _ in trace.texts)


def is_own_value(tensor: Any) -> bool:
    """Whether a tensor stands for a value of the function that is being traced."""
    held = tensor._value
    return type(held) is Traced and held.trace is _mode.trace
