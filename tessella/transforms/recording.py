"""What a function does with tensors, as a graph: the first half of `vmap`, `jvp` and their kin.

A transformation records its function for inputs of some shapes, and then goes through the graph node by
node, with other rules (`tessella.transforms.batching`, `tessella.transforms.forward_mode`). What the rules
do is recorded in its turn, if there is a trace or a tape around: so transformations nest in any order.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Sequence
from typing import Any, NamedTuple

from tessella import autodiff
from tessella.arguments.gates import device_beside
from tessella.blocks import restoring
from tessella.devices.array import ANYWHERE, contiguous_layout
from tessella.devices.device import Device
from tessella.devices.registry import current
from tessella.errors import SideEffectError
from tessella.primitives.base import Primitive, Spec
from tessella.primitives.elementwise import Elementwise
from tessella.primitives.graph import Graph, GraphNode, Value
from tessella.scalar.function import ScalarFunction
from tessella.tensors.tensor import Tensor, apply, from_array, is_noted, new_handle, perform
from tessella.tracing.lines import user_line
from tessella.tracing.trace import Trace, attributed, outside, tracing
from tessella.transforms import trees

_mode = autodiff.mode
STOP_GRADIENT = Elementwise(
    ScalarFunction(lambda x: x, "stop_gradient", derivatives=[lambda x: x * 0])
)


def _passed_on(name: str) -> Callable[..., None]:
    """A method that the trace further out has its say in alone, if there is one."""

    def method(self: Trace, *arguments: Any) -> None:
        if self.outer is not None:
            getattr(self.outer, name)(*arguments)

    return method


class InnerTrace(Trace):
    """The trace of a transformation: whatever is not its own comes from around it.

    Args:
        name: of the transformation, for messages.
        inlines: whether functions with rules of their own are gone through like others.
    """

    used_once = True

    def __init__(self, name: str, inlines: bool = False) -> None:
        super().__init__(_mode.trace)
        self.name, self.inlines = name, inlines
        self.silent: set[GraphNode] = set()  # what was done in `no_grad`

    def end_of(self, around: Any) -> tuple[Any, int]:
        """Histories go on: what is done with a tensor is done again outside."""
        return around._node, around._output

    def detached(self, tensor: Any) -> Any:
        """No gradient goes through it, of whatever kind: the graph says so."""
        if not tensor.dtype.is_float:
            return super().detached(tensor)
        return new_handle(self.record(STOP_GRADIENT, (tensor,)), None, 0)

    def record(self, primitive: Primitive, tensors: Sequence[Any]) -> Any:
        made = super().record(primitive, tensors)
        if autodiff.recording.get().silent:
            self.silent.add(self.nodes[-1])
        return made

    def captured(self, tensor: Tensor) -> Tensor:
        """What stands here for a tensor from outside."""
        return new_handle(self.traced(self.value_of(tensor), tensor.device), None, 0)  # type: ignore[arg-type]

    def random_key(self, generator: Any) -> Tensor:
        with outside(self):
            key = generator.key()
        return self.captured(key)

    def number(self, key: Any, read: Callable[[], Any], like: Any, hint: str = "number") -> Any:
        """A number that may differ from call to call is known in this one."""
        found = self.numbers.get(key)
        if found is None:
            with outside(self):
                if self.outer is None:
                    tensor = from_array(read())
                else:
                    tensor = new_handle(self.outer.number(key, read, like, hint), None, 0)  # type: ignore[arg-type]
            found = self.numbers[key] = self.value_of(tensor), read
        return self.traced(found[0], ANYWHERE)

    # what is known here may be no part of the program around, which depends on it
    guard, add_guard, look_at = _passed_on("guard"), _passed_on("add_guard"), _passed_on("look_at")
    touch, writes = _passed_on("touch"), _passed_on("writes")

    def array_from_outside(self, array: Any) -> Any:
        """One that is read anew for every call of the program around is known in this one."""
        if self.outer is None or self.outer.array_from_outside(array) is None:
            return None
        tensor = new_handle(self.outer.array_from_outside(array), None, 0)  # type: ignore[arg-type]
        return self.traced(self.value_of(tensor), ANYWHERE)

    def gradient(self, tensor: Any) -> Any:
        if self._is_own(tensor._value):
            return tensor._grad
        with outside(self):
            return tensor.grad

    def set_gradient(self, tensor: Any, gradient: Any) -> None:
        """Gradients of tensors from outside are not to be set.

        Raises:
            SideEffectError: they are.
        """
        if not self._is_own(tensor._value):
            raise SideEffectError(
                f"{user_line()}: {self.name}: the gradient of a tensor from outside is set (by backward(), "
                f"or p.grad = ...) in a function that {self.name} transforms, where it would not be right "
                "afterwards; use ts.grad, which returns gradients"
            )
        tensor._grad = gradient


class Recorded(NamedTuple):
    """A function as a graph.

    Args:
        graph: its inputs are those that were asked for, then the captured ones.
        captured: the tensors that were captured.
        outputs: the leaves of the result: tensors' values, or whatever else was returned.
        structure: of the result.
        silent: nodes through which no gradients go backwards.
    """

    graph: Graph
    captured: list[Tensor]
    outputs: list[Any]
    structure: Any
    silent: set[GraphNode]

    def result(self, tensors: Sequence[Tensor]) -> Any:
        """The result with tensors for the graph's outputs."""
        following = iter(tensors)
        leaves = [next(following) if isinstance(x, Value) else x for x in self.outputs]
        return trees.unflatten(self.structure, leaves)

    @property
    def values(self) -> list[Value]:
        """Those among the leaves of the result that the graph computes."""
        return [x for x in self.outputs if isinstance(x, Value)]


def record(
    trace: InnerTrace, function: Callable[..., Any], specs: Sequence[Spec], name: str = "argument"
) -> Recorded:
    """Call a function with tensors of some shapes and dtypes, and write down what it does.

    Raises:
        SideEffectError: it gives a tensor from outside other data.
    """
    with tracing(trace):
        layouts = [contiguous_layout(tuple(spec.shape), spec.dtype) for spec in specs]
        arguments: list[Any] = [
            new_handle(trace.argument(layout, name), None, 0)  # type: ignore[arg-type]
            for layout in layouts
        ]
        result = function(*arguments)
        leaves, structure = trees.results_of(result)
        outputs = [trace.value_of(x) if isinstance(x, Tensor) else x for x in leaves]
        for capture in trace.rebound():
            raise SideEffectError(
                f"{user_line()}: {trace.name}: a tensor of shape {capture.tensor.shape} from outside the "
                f"function is given other data in it (by assign, x += ... or the like), which "
                f"{trace.name} cannot undo or repeat; return the new data from the function instead"
            )
    captures = list(trace.captures.values())
    graph = Graph(
        [*trace.arguments, *[capture.value for capture in captures]],
        trace.nodes,
        [x for x in outputs if isinstance(x, Value)],
        trace.constants,
    )
    captured = [capture.tensor for capture in captures]
    return Recorded(graph, captured, outputs, structure, trace.silent)


# --- going through a graph again ----------------------------------------------------------------------


def replay(recorded: Recorded, inputs: Sequence[Tensor]) -> list[Tensor]:
    """The outputs of a recorded function for other inputs; effects are not repeated."""
    with beside(inputs):
        return _replay(recorded, inputs)


def beside(leaves: Sequence[Any]) -> Device:
    """The device of the first tensor; what a function makes in a `with` block is there."""
    return device_beside(leaves) or current()


def _replay(recorded: Recorded, inputs: Sequence[Tensor]) -> list[Tensor]:
    graph = recorded.graph
    known = known_at_first(graph, inputs)
    last = last_readers(graph)
    for node in graph.nodes:
        if node.primitive.has_effect and not node.outputs:
            continue
        do_again(node, recorded, known)
        for value in last.get(node, ()):
            del known[value]
    return [known[value] for value in graph.outputs]


def known_at_first(graph: Graph, inputs: Sequence[Tensor]) -> dict[Value, Tensor]:
    """The tensors of a graph that are there before its first node: inputs and constants."""
    known = dict(zip(graph.inputs, inputs, strict=True))
    return known | {value: from_array(array) for value, array in graph.constants.items()}


def do_again(node: GraphNode, recorded: Recorded, known: dict[Value, Tensor]) -> None:
    """Do what a node does with the tensors that are known; its results are known then, too."""
    with again(node, recorded):
        made = apply_any(node.primitive, tuple([known[value] for value in node.inputs]))
    if node.outputs:
        several = made if node.primitive.multiple_results else (made,)
        known.update(zip(node.outputs, several, strict=True))


def last_readers(graph: Graph) -> dict[GraphNode, list[Value]]:
    """What nobody needs any more after each node."""
    kept = set(graph.outputs)
    found: dict[GraphNode, list[Value]] = {}
    for node in reversed(graph.nodes):
        for value in (*node.inputs, *node.outputs):
            if value not in kept:
                kept.add(value)
                found.setdefault(node, []).append(value)
    return found


def apply_any(primitive: Primitive, tensors: Sequence[Tensor]) -> Any:
    """A primitive applied to tensors, of which there may be none."""
    own = getattr(primitive, "apply", None)  # what is no array operation knows how
    if own is not None:
        return own(tensors)
    return perform(primitive, tensors) if primitive.has_effect else apply(primitive, tensors)


@restoring
def again(node: GraphNode, recorded: Recorded) -> Generator[None, None, None]:
    """What is done in the block is for a node: it belongs to its line, and records as it did."""
    line = attributed(node.where) if is_noted() else contextlib.nullcontext()
    heard = autodiff.no_grad() if node in recorded.silent else contextlib.nullcontext()
    with line, heard:
        yield
