"""Tracing: what tensors do is written down as a graph instead of being done.

While a trace is active in a thread, every primitive is recorded. A tensor from outside that the
traced function touches is *captured*: it becomes an implicit input of the graph, read again at every
call of the program. If the function gives it other data (`p.assign(...)`, `x += 1`), what it stands
for at the end is an implicit output. The same holds for gradients (`p.grad`).

What a captured tensor stands for is the trace's own affair: the trace keeps a handle for it, its *binding*,
and the tensor itself is not touched. So other threads go on with it as if nothing were, may trace other
functions with it at the same time, and when a trace ends, for whatever reason, nothing has to be put back.

Traces nest: a transformation (`tessella.transforms`) traces its function inside the trace of `jit`, or of
another transformation. What belongs to a trace further out is a tensor from outside for one further in.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tessella import autodiff, forking
from tessella.autodiff import Leaf
from tessella.blocks import Restoring, restoring, undoing
from tessella.devices.array import (
    ANYWHERE,
    Array,
    Layout,
    contiguous_layout,
    device_of,
    from_numpy,
)  # fmt: skip
from tessella.devices.device import Device
from tessella.devices.registry import host
from tessella.dtypes import DType
from tessella.errors import SideEffectError, TracedValueError
from tessella.primitives import graph as graphs
from tessella.primitives.base import Primitive, Shape, is_array_operation
from tessella.primitives.generate import Full
from tessella.primitives.graph import GraphNode, Value, Where
from tessella.sizes.scope import Scope
from tessella.sizes.size import AT_LEAST
from tessella.tracing.attributes import has
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
from tessella.tracing.lines import line_of, user_line

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
    """A tensor from outside, its array, and the value that stands for it.

    Args:
        binding: the handle that holds what the tensor stands for in the trace by now.
    """

    __slots__ = ("array", "binding", "cut", "tensor", "traced", "value")

    def __init__(self, tensor: Any, array: Array, traced: Traced, binding: Any) -> None:
        self.tensor = tensor
        self.array = array
        self.traced, self.value = traced, traced.value
        self.binding = binding
        self.cut = binding._node if type(binding._node) is Cut else None

    @property
    def end(self) -> autodiff.Node | None:
        """Where gradients by the tensor are asked for in the trace; None if it needs none."""
        node = self.binding._node
        return node if isinstance(node, Leaf) else self.cut


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

    __slots__ = ("current", "initial", "is_set", "read", "tensor")

    def __init__(self, tensor: Any) -> None:
        self.tensor = tensor
        self.read = self.is_set = False
        self.initial: Value | None = None
        self.current: Any = None

    @property
    def written(self) -> bool:
        """Whether it is another one by now, or holds something else."""
        return self.is_set or (
            self.initial is not None and self.current._value.value is not self.initial
        )


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
        self.nodes: list[GraphNode] = []
        self.lines: dict[Value, Where] = {}
        self.constants: dict[Value, Array] = {}
        self.arguments: list[Value] = []
        self.captures: dict[int, Capture] = {}
        self.standing: dict[int, Any] = {}  # the bindings of what tensors stand for, for a while
        self.gradients: dict[int, Gradient] = {}
        self.numbers: dict[Any, tuple[Value, Callable[[], Any]]] = {}
        self.guards = Guards()
        self.scope: Scope | None = None if outer is None else outer.scope  # of symbolic sizes
        self.reader: Reader | None = None  # who follows what the function reads around itself
        self.looked: dict[int, Where] = {}  # numbers among the arguments that were looked at, where
        self.looked_outside: dict[Any, Where] = {}  # and numbers from outside, by their sources
        self.texts: list[tuple[str, Where]] = []  # of tensors that are not known, and who made them

    # --- values ---------------------------------------------------------------------------------

    def traced(self, value: Value, device: Device | None = None) -> Traced:
        """What stands for a value that is, or will be, on a device, or on that of the thread."""
        return Traced(self, value, contiguous_layout(value.shape, value.dtype, device))

    def argument(self, layout: Layout, hint: str) -> Traced:
        """A new explicit input."""
        value = Value(layout.shape, layout.dtype, hint)
        self.arguments.append(value)
        return self.traced(value, layout.device)

    def value_of(self, tensor: Any) -> Value:
        """The graph's value for what a tensor holds; one from outside is captured."""
        value: Value = self.binding(tensor)._value.value
        return value

    def binding(self, tensor: Any) -> Any:
        """The handle that holds what a tensor stands for here: itself, or, of one from outside, the trace's own."""
        if id(tensor) in self.standing:
            return self.standing[id(tensor)]
        if self._is_own(tensor._value):
            return tensor
        known = self.captures.get(id(tensor))
        return (self.capture(tensor) if known is None else known).binding

    def seen(self, tensor: Any) -> Any:
        """The same handle, but a tensor that nothing was done with yet is not captured for it."""
        if id(tensor) in self.standing:
            return self.standing[id(tensor)]
        known = None if self._is_own(tensor._value) else self.captures.get(id(tensor))
        if known is not None:
            return known.binding
        return tensor if self.outer is None else self.outer.seen(tensor)

    def _is_own(self, held: Any) -> bool:
        return type(held) is Traced and held.trace is self

    def capture(self, tensor: Any) -> Capture:
        """Let a tensor from outside stand for an implicit input."""
        around = self._around(tensor)
        held: Any = around._value
        if type(held) is Traced and not self.is_inside(held.trace):
            held = held._concrete() if held.array is None else held.array  # complains
        value = Value(held.layout.shape, held.layout.dtype, "captured")
        traced = Traced(self, value, held.layout, held)
        binding = tensor.__tessella_holding__(traced)
        binding._node, binding._output = self.end_of(around)
        found = self.captures[id(tensor)] = Capture(tensor, held, traced, binding)
        return found

    def _around(self, tensor: Any) -> Any:
        """What a tensor from outside is there, where this trace began."""
        held = tensor._value
        if type(held) is Traced and held.trace.active and not self.is_inside(held.trace):
            with rebinding_lock:  # another thread lets it stand for another one: that will end
                pass
        return tensor if self.outer is None else self.outer.seen(tensor)

    def end_of(self, around: Any) -> tuple[Any, int]:
        """Where the history that a captured tensor has outside ends in this trace."""
        if around._node is None or isinstance(around._node, Leaf):
            return around._node, around._output
        return Cut(self, around), 0

    def is_inside(self, other: Trace) -> bool:
        """Whether another trace is around this one."""
        trace = self.outer
        while trace is not None and trace is not other:
            trace = trace.outer
        return trace is not None

    def detached(self, tensor: Any) -> Any:
        """The same data without history."""
        return tensor.__tessella_holding__(self.binding(tensor)._value)

    def initial(self, tensor: Any) -> Any:
        """What a tensor from outside held when this trace began; None of one that was made inside."""
        known = self.captures.get(id(tensor))
        return None if known is None else tensor.__tessella_holding__(known.traced)

    def random_key(self, generator: Any) -> Any:
        """The key of the next draw from a generator."""
        return generator.next_key()

    def constant(self, array: Array) -> Traced:
        """Data made during the trace."""
        value = Value(array.layout.shape, array.layout.dtype, "constant")
        self.constants[value] = array
        return Traced(self, value, array.layout)

    def full(self, value: Any, shape: Shape, dtype: DType, device: Device | None = None) -> Traced:
        """One number everywhere."""
        made: Value = graphs.add_node(self.nodes, Full(shape, dtype, value), (), None)
        return self.traced(made, device)

    def number(
        self, key: Any, read: Callable[[], Any], like: Array, hint: str = "number"
    ) -> Traced:
        """An implicit input that `read` gives anew for every call, of the layout of `like`."""
        found = self.numbers.get(key)
        if found is None:
            value = Value(like.layout.shape, like.layout.dtype, hint)
            found = self.numbers[key] = value, read
        return self.traced(found[0], ANYWHERE)

    # --- operations -----------------------------------------------------------------------------

    def record(self, primitive: Primitive, tensors: Sequence[Any]) -> Any:
        """Write down a primitive; gives what stands for its result (or a tuple)."""
        if not is_array_operation(primitive):
            return self._record(primitive, tensors)
        with ours():
            return self._record(primitive, tensors)

    def _record(self, primitive: Primitive, tensors: Sequence[Any]) -> Any:
        inputs = [self.value_of(tensor) for tensor in tensors]
        device = device_of([tensor._value.layout for tensor in tensors], primitive.name)
        where = _mode.where or line_of(self._line_of)
        made = graphs.add_node(self.nodes, primitive, inputs, where)
        for output in self.nodes[-1].outputs:
            self.lines[output] = where
        if primitive.multiple_results:
            return tuple([self.traced(value, device) for value in made])
        return self.traced(made, device)

    def _line_of(self, made: Any) -> Where | None:
        """The line that made what a tensor of this trace holds."""
        return self.lines.get(made.value) if type(made) is Traced else None

    # --- gradients of tensors from outside ------------------------------------------------------

    def gradient(self, tensor: Any) -> Any:
        """What `tensor.grad` is here."""
        if self._is_own(tensor._value):
            return tensor._grad
        entry = self.gradients.setdefault(id(tensor), Gradient(tensor))
        if not entry.is_set and not entry.read:
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
        if self._is_own(tensor._value):
            tensor._grad = gradient
            return
        entry = self.gradients.setdefault(id(tensor), Gradient(tensor))
        entry.is_set = True
        entry.current = gradient

    # --- what else a program depends on ---------------------------------------------------------

    def guard(
        self, owner: Any, name: Any, value: Any, make: Callable[..., Guard] = value_guard
    ) -> None:
        """The program is only right while an attribute (or an item of a dict) has this value.

        Args:
            make: gives the guard of a source and a value; another one than that it has this very value.
        """
        kind = "item" if isinstance(owner, dict) else "attribute"
        text = shown(name) if kind == "item" else f"{type(owner).__name__}.{str(name).strip('_')}"
        source = Source(kind, owner, name, text)
        if self.reader is None or not self.reader.writes.has(source):
            self.add_guard(make(source, value))

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
        if isinstance(self.seen(tensor)._value, Array):
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
        read = ForeignArray(array)
        return self.number(("array", id(array)), read, read(), "array")

    def end(self) -> None:
        """Nothing is written down any more."""
        self.active = False
        for capture in self.captures.values():
            capture.traced.array = None  # who counts references is not to find this one

    def rebound(self) -> Iterator[Capture]:
        """The captured tensors that stand for something else by now."""
        for capture in self.captures.values():
            if capture.binding._value is capture.traced:
                continue
            if capture.cut is not None and capture.cut.trace is self:
                raise SideEffectError(
                    f"{user_line()}: a tensor of shape {capture.tensor.shape} that was computed outside, with a "
                    "history, is given other data in a traced function (by assign, x += ... or the like), which a "
                    "program cannot add to its history; return the new data from the function instead"
                )
            yield capture


class ForeignArray:
    """Reads a NumPy array from outside as an input of a program.

    Args:
        copies: whether to take a copy: somebody looks at the input after the call, and the array may change.
    """

    def __init__(self, array: np.ndarray[Any, Any], copies: bool = False) -> None:
        self.array, self.copies = array, copies

    def __call__(self) -> Array:
        return from_numpy(np.asarray(self.array, order="C"), self.copies, host())


# While a tensor stands for another one, for every thread (`tensors/rebinding.py`): one thread at a time does that.
rebinding_lock = forking.lock()


@restoring
def tracing(trace: Trace) -> Generator[None, None, None]:
    """In the block this thread writes down what it does."""
    heard = autodiff.Recording(autodiff.is_enabled(), silent=False)
    with (
        forking.making.section(),
        autodiff.recording.block(heard),
        _holding(trace=trace, where=None),
    ):
        try:
            yield
        finally:
            trace.end()


@restoring
def _holding(**values: Any) -> Generator[None, None, None]:
    before = {name: getattr(_mode, name) for name in values}
    with undoing(lambda: vars(_mode).update(before)):
        vars(_mode).update(values)
        yield


def outside(trace: Trace) -> Restoring[None]:
    """Inside the block things are done as around a trace: at once, or in the trace further out."""
    return _holding(trace=trace.outer)


def attributed(where: Where | None) -> Restoring[None]:
    """What is recorded inside the block belongs to a line that is known already."""
    return _holding(where=where)


def suspended() -> Restoring[None]:
    """Inside the block things are done at once, even in a traced function: state is made this way."""
    return _holding(trace=None)


class ours:  # is used as a function
    """Inside the block code of this package alone runs, in a traced function.

    It is not followed, and asks of symbolic sizes what holds for all of them.
    """

    __slots__ = ("least", "paused", "scope")

    def __enter__(self) -> None:
        self.scope = None if _mode.trace is None else _mode.trace.scope
        if self.scope is not None:
            self.least, self.scope.least = self.scope.least, AT_LEAST
        self.paused = pause()

    def __exit__(self, *_: object) -> None:
        go_on(self.paused)
        if self.scope is not None:
            self.scope.least = self.least


def at_home(tensor: Any) -> Restoring[None]:
    """Inside the block things are done where a tensor was made: at once, if it is from outside a traced function.

    That is for what changes nothing when it is done again.

    Raises:
        SideEffectError: the function has worked with the tensor before.
    """
    if seen(tensor) is not tensor:
        raise SideEffectError(
            f"{user_line()}: a tensor of shape {tensor.shape} from outside becomes one of another dtype in a traced "
            "function that has worked with it before; do that first, or outside the function"
        )
    held = tensor._value
    return _holding(trace=held.trace if type(held) is Traced else None)


def is_open(trace: Trace) -> bool:
    """Whether what this thread does is written down in a trace, or in one inside it."""
    active: Trace | None = _mode.trace
    return active is trace or (active is not None and active.is_inside(trace))


def binding(tensor: Any) -> Any:
    """The handle that holds what a tensor stands for: itself, or, in a traced function, what the trace keeps for it."""
    return tensor if _mode.trace is None else _mode.trace.binding(tensor)


def seen(tensor: Any) -> Any:
    """The same handle, for who only looks: a tensor becomes no input of the graph by that."""
    return tensor if _mode.trace is None else _mode.trace.seen(tensor)


@restoring
def standing(tensors: Sequence[Any], others: Sequence[Any]) -> Generator[None, None, None]:
    """Inside the block tensors stand for others, of the same shapes and dtypes, in the trace there is."""
    trace: Trace = _mode.trace
    before = trace.standing
    found = {id(x): trace.binding(y) for x, y in zip(tensors, others, strict=True)}
    with undoing(lambda: setattr(trace, "standing", before)):
        trace.standing = before | found
        yield


def is_anothers(value: Any) -> bool:
    """Whether a tensor, or a number, stands for something in a trace of another thread."""
    kind = type(value)
    if has(kind, "__tessella_operand__"):
        trace = getattr(value, "trace", None)
    else:
        trace = value._value.trace if has(kind, "_node") and type(value._value) is Traced else None
    return isinstance(trace, Trace) and trace.active and not is_open(trace)


def is_known(tensor: Any) -> bool:
    """Whether the elements of a tensor can be asked for now."""
    held = seen(tensor)._value
    while type(held) is Traced:
        if held.array is None or not (held.trace.used_once or not is_open(held.trace)):
            return False
        held = held.array
    return True


def why_unknown(tensor: Any) -> str:
    """Why the elements of a tensor cannot be shown, and what to do, in words; empty if they can."""
    if is_known(tensor):
        return ""
    if seen(tensor)._value.trace.active:
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
    if (
        is_known(tensor) or not seen(tensor)._value.trace.active
    ):  # after its trace, reading it says more
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
    held = seen(tensor)._value
    return type(held) is Traced and held.trace is _mode.trace
