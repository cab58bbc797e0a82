"""What a traced function did, step by step: what it left outside, what it returned, and the derivatives of that."""

from __future__ import annotations

import collections
import enum
import types
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from tessella import autodiff
from tessella.autodiff import Leaf
from tessella.devices.array import Layout
from tessella.dtypes import DType
from tessella.errors import SideEffectError
from tessella.primitives.graph import Value
from tessella.sizes.size import Size
from tessella.tensors.numbers import TracedNumber
from tessella.tensors.tensor import Tensor, as_it_is, edge_of, new_handle
from tessella.tracing.guards import Source, layout_guard
from tessella.tracing.trace import Trace, Traced
from tessella.tracing.writing import Write
from tessella.transforms.backward import Backward, backward_of
from tessella.transforms.traced_arguments import Arguments, Changed, Whole
from tessella.trees import flatten

# what a program can write outside again and again: it is made from the inputs, or never changes
_REPEATABLE = (
    Tensor, TracedNumber, Size, type(None), bool, int, float, complex, str, bytes, np.generic, range, type, DType,
    enum.Enum,
    types.ModuleType,
)  # fmt: skip


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


class Outcome(NamedTuple):
    """What calling the function gave, and what it changed.

    Args:
        result: what it returned.
        writes: what it gave other values outside; they are taken back.
        containers: those among the arguments that hold other things.
    """

    result: Any
    writes: list[Write]
    containers: list[Changed]


class AtPlace(NamedTuple):
    """A tensor that is read at a place by every call, since it is replaced there."""

    value: Value
    layout: Layout
    read: Callable[[], Any]


class Left(NamedTuple):
    """What the function leaves to its caller.

    Args:
        leaves: of the result, of what was written outside, and of the arguments that hold other data now.
        structure: the tree of these leaves.
        has_effects: whether there is more among them than the result.
        written_arguments: the numbers of the arguments that hold other data.
        with_history: captured tensors that got data with a history.
    """

    leaves: list[Any]
    structure: Any
    has_effects: bool
    written_arguments: list[int]
    with_history: list[Any]
    at_places: list[AtPlace]


class Results(NamedTuple):
    """What the outputs of the graph are.

    Args:
        returned: numbers of outputs, or values that are no tensors.
        repeated: positions of leaves, and the first ones where the same tensor is.
        rebound: captured tensors, and the outputs they become.
        argument_gradients: of the arguments with these numbers, and their outputs.
        new_gradients: tensors from outside, and the outputs their gradients are; None for none.
    """

    outputs: list[Value]
    returned: list[Any]
    repeated: list[tuple[int, int]]
    rebound: list[tuple[Any, int]]
    argument_gradients: list[tuple[int, int]]
    new_gradients: list[tuple[Any, int | None]]


class Derivatives(NamedTuple):
    """The gradients of what was returned, if somebody may ask for them.

    Args:
        differentiable: which of the returned tensors have a history.
        leaves: captured tensors that need gradients.
        residuals: what the backward pass reads, and the output it is; None for an input or a constant.
    """

    differentiable: list[int]
    leaves: list[Any]
    backward: Backward | None
    residuals: list[tuple[Value, int | None]]


# --- what is left ------------------------------------------------------------------------------------------


def left_by(name: str, trace: Trace, arguments: Arguments, outcome: Outcome) -> Left:
    """What a function leaves behind; nothing in it changes from call to call in a way a program cannot follow.

    Raises:
        SideEffectError: it does.
    """
    changed = arguments.changed()
    if any(handle.number in arguments.foreign for handle in changed):
        raise SideEffectError(
            f"{name}: a NumPy array that was given as an argument is changed in place (by x[...] = ..., "
            "x += ... or the like), which would not reach the array; give a tensor, or return the new data"
        )
    with_history = [
        capture
        for capture in trace.rebound()
        if capture.binding._node is not None and not isinstance(capture.binding._node, Leaf)
    ]
    at_places, moved = _read_by_path(trace, outcome.writes)
    everything = (
        _kept(trace, outcome.result),
        [_kept(trace, write.value) for write in outcome.writes],
        [handle.tensor for handle in changed],
        [as_it_is(capture.binding) for capture in with_history],
        [list(container.items) for container in outcome.containers],
    )
    leaves, structure = flatten(everything)
    has_effects = any(everything[1:])
    _check_written(trace, outcome.writes)
    _check_texts(trace, leaves)
    return Left(
        [moved.get(id(leaf), leaf) for leaf in leaves],
        structure if has_effects else structure.children()[0],
        has_effects,
        [handle.number for handle in changed],
        [capture.tensor for capture in with_history],
        at_places,
    )


def _read_by_path(trace: Trace, writes: Sequence[Write]) -> tuple[list[AtPlace], dict[int, Tensor]]:
    """A tensor that is read at a place and then replaced there is read at that place by every call."""
    found: list[AtPlace] = []
    moved: dict[int, Tensor] = {}  # what stands for these tensors in the result, by their ids
    assert trace.reader is not None
    for write in writes:
        tensor, source = write.before, write.source
        if not isinstance(tensor, Tensor) or not isinstance(write.value, Tensor):
            continue
        held = {known.id for known in trace.reader.around.sources_of(tensor)}
        if held != {source.id} or tensor._node is not None:
            continue
        capture = trace.captures.get(id(tensor)) or trace.capture(tensor)
        if capture.binding._value is not capture.traced:
            continue  # it has been given other data, and keeps it
        del trace.captures[id(tensor)]
        layout = capture.array.layout
        found.append(AtPlace(capture.value, layout, _reads(source)))
        stands: Any = trace.traced(capture.value, layout.device)
        moved[id(tensor)] = new_handle(stands, None, 0)
        trace.guards.replace(layout_guard(source, type(tensor), layout))
    return found, moved


def _reads(source: Source) -> Callable[[], Any]:
    return lambda: source.get()._value


def _check_written(trace: Trace, writes: Sequence[Write]) -> None:
    """What is written outside must be something that every call can make again."""
    assert trace.reader is not None
    for write in writes:
        for leaf in flatten(_kept(trace, write.value))[0]:
            if not isinstance(leaf, (*_REPEATABLE, Whole)) and not trace.reader.around.is_known(
                leaf
            ):
                raise SideEffectError(
                    f"{write.where}: {write.source.text} is from outside the traced function and is given a "
                    f"{type(leaf).__name__} made in it, which a program cannot make again at every call; "
                    "tensors and numbers can be written, all else belongs outside the compiled function"
                )


def _check_texts(trace: Trace, leaves: Sequence[Any]) -> None:
    """A text of what was not known yet would be the same at every call."""
    for text, where in trace.texts:
        if any(isinstance(leaf, str) and text in leaf for leaf in leaves):
            raise SideEffectError(
                f"{where}: the text of a tensor that is not known yet is returned from the traced function, or "
                "written outside, where it would be the same at every call; return or keep the tensor, or show it "
                'with ts.debug.print("{}", x)'
            )


def _kept(trace: Trace, value: Any) -> Any:
    """A value with containers from outside in `Whole`: they are themselves in the result, not made again."""
    assert trace.reader is not None
    if isinstance(value, (list, dict, set, collections.deque)) and trace.reader.around.is_known(
        value
    ):
        return Whole(value)
    return tuple([_kept(trace, x) for x in value]) if type(value) is tuple else value


# --- results ------------------------------------------------------------------------------------------------


def results_of(trace: Trace, arguments: Arguments, leaves: Sequence[Any]) -> Results:
    """What the function returned, rebound and left as gradients."""
    outputs: list[Value] = []

    def output(value: Value) -> int:
        outputs.append(value)
        return len(outputs) - 1

    return Results(
        outputs,
        [_returned(trace, leaf, output) for leaf in leaves],
        _repeated(leaves),
        [(capture.tensor, output(trace.value_of(capture.binding))) for capture in trace.rebound()],
        [
            (number, output(trace.value_of(argument._grad)))
            for number, argument in enumerate(arguments.inner)
            if argument._grad is not None
        ],
        [
            (entry.tensor, None if entry.current is None else output(trace.value_of(entry.current)))
            for entry in trace.gradients.values()
            if entry.written
        ],
    )


def _returned(trace: Trace, leaf: Any, output: Callable[[Value], int]) -> Any:
    if isinstance(leaf, Tensor) and _is_made_here(leaf):
        return Output(output(trace.value_of(leaf)))
    if type(leaf) is TracedNumber:
        counts = not any(isinstance(source, Size) for source in leaf.sources)
        return Again(leaf.again) if counts else leaf.look()
    return leaf.value if isinstance(leaf, Whole) else leaf  # from outside, it is itself


def _repeated(leaves: Sequence[Any]) -> list[tuple[int, int]]:
    first: dict[int, int] = {}  # where each tensor is among them
    return [
        (position, first[id(leaf)])
        for position, leaf in enumerate(leaves)
        if isinstance(leaf, Tensor) and first.setdefault(id(leaf), position) != position
    ]


def _is_made_here(tensor: Tensor) -> bool:
    """Whether a tensor is one of the function's own, and not from outside."""
    held: Any = tensor._value
    return type(held) is Traced


# --- derivatives --------------------------------------------------------------------------------------------


def derivatives_of(
    trace: Trace, arguments: Arguments, leaves: Sequence[Any], results: Results
) -> Derivatives:
    """The backward pass of a function; values that it needs become outputs, too."""
    tensors = [x for x in leaves if isinstance(x, Tensor) and _is_made_here(x)]
    differentiable = [i for i, y in enumerate(tensors) if y._node is not None]
    own = [c for c in trace.captures.values() if c.end is not None]
    roots = [tensors[i] for i in differentiable] if autodiff.is_enabled() else []
    targets = [edge_of(x) for x in arguments.inner] + [(c.end, 0) for c in own]
    backward = backward_of(trace, roots, targets)
    residuals = [] if backward is None else _residuals(trace, backward, results)
    return Derivatives(differentiable, [c.tensor for c in own], backward, residuals)


def _residuals(
    trace: Trace, backward: Backward, results: Results
) -> list[tuple[Value, int | None]]:
    """What the backward pass reads; what no output has that stays with the call is added to them."""
    produced = {value for node in trace.nodes for value in node.outputs}
    outputs = results.outputs
    away = {number for _, number in (*results.rebound, *results.new_gradients)}  # tensors hold them
    known = {value: number for number, value in enumerate(outputs) if number not in away}
    for value in backward.residuals:
        if value in produced and value not in known:
            known[value] = len(outputs)
            outputs.append(value)
    return [(value, known[value] if value in produced else None) for value in backward.residuals]
