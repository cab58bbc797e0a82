"""Functions of tensors as graphs, and what the rules of control are handed: how such graphs are run and transformed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from tessella import autodiff, dtypes
from tessella.errors import ArgumentError
from tessella.primitives.base import Spec
from tessella.primitives.control import Control, Transformations
from tessella.primitives.graph import Graph, Value
from tessella.primitives.random import fold_key
from tessella.tensors.tensor import Tensor, apply, filled, new_handle, recorded
from tessella.tracing.lines import user_line
from tessella.tracing.trace import binding
from tessella.transforms.batching import vmap
from tessella.transforms.custom_rules import CustomCall
from tessella.transforms.forward_mode import jvp
from tessella.transforms.recording import InnerTrace, Recorded, record, replay
from tessella.transforms.reverse_mode import vjp

_UNBOUNDED = ("while_loop", "fori_loop")  # loops whose number of turns is not known


class LoopTrace(InnerTrace):
    """The trace of a body that is gone through many times: every turn draws random numbers of its own.

    Args:
        turns: whether the loop counts its turns, so that a key can be made for each.
    """

    def __init__(self, name: str, turns: bool) -> None:
        super().__init__(name)
        self.turns = turns
        self.turn: Any = None  # the number of the turn, once somebody asks for it

    def random_key(self, generator: Any) -> Tensor:
        if not self.turns:
            raise ArgumentError(
                f"{user_line()}: {self.name}: random numbers are drawn in a loop of unknown length, in a traced "
                "function, where every turn would draw the same; draw them before, or use ts.fori_loop with "
                "bounds that are Python integers, or ts.scan"
            )
        key = super().random_key(generator)
        if self.turn is None:
            value = Value((), dtypes.uint32, "turn")
            self.turn = new_handle(self.traced(value), None, 0)  # type: ignore[arg-type]
        found: Tensor = fold_key(key, self.turn)
        return found


def closed(
    name: str, functions: Sequence[Callable[..., Any]], specs: Sequence[Spec]
) -> tuple[list[Graph], list[Tensor]]:
    """Functions as graphs of the same inputs: their arguments, then all that any of them captures."""
    return _closed([(_trace(name), function) for function in functions], specs)


def _closed(
    functions: Iterable[tuple[InnerTrace, Callable[..., Any]]], specs: Sequence[Spec]
) -> tuple[list[Graph], list[Tensor]]:
    recorded = [record(trace, function, specs, "carried") for trace, function in functions]
    captured: dict[int, Tensor] = {}
    for one in recorded:
        captured.update({id(x): x for x in one.captured})
    graphs = [_with_inputs(one, len(specs), captured) for one in recorded]
    return graphs, list(captured.values())


def inlined(name: str, graphs: Sequence[Graph]) -> tuple[list[Graph], list[Tensor]]:
    """Graphs of the same inputs without calls of functions with rules of their own, but with what these do.

    Gives also the tensors that the functions read from around, which are further inputs of all graphs.
    """
    specs = [Spec(value.shape, value.dtype) for value in graphs[0].inputs]
    return _closed([(InnerTrace(name, inlines=True), again(graph)) for graph in graphs], specs)


def _trace(name: str) -> InnerTrace:
    return LoopTrace(name, turns=False) if name in _UNBOUNDED else InnerTrace(name)


def _with_inputs(recorded: Recorded, count: int, captured: dict[int, Tensor]) -> Graph:
    graph = recorded.graph
    own = dict(zip((id(x) for x in recorded.captured), graph.inputs[count:], strict=True))
    rest = [own.get(key) or Value(x.shape, x.dtype, "captured") for key, x in captured.items()]
    return Graph([*graph.inputs[:count], *rest], graph.nodes, graph.outputs, graph.constants)


def graph_of(name: str, function: Callable[..., Any], like: Sequence[Any]) -> Graph:
    """A function of tensors alone as a graph; it captures nothing.

    Args:
        like: what has the shapes and dtypes of its arguments.
    """
    (graph,), captured = closed(name, [function], [Spec(tuple(x.shape), x.dtype) for x in like])
    assert not captured, captured
    return graph


def again(graph: Graph) -> Callable[..., list[Tensor]]:
    """A graph as a function of tensors."""
    recorded = Recorded(graph, [], [], None, set())
    return lambda *inputs: replay(recorded, inputs)


_mode = autodiff.mode


def _run(primitive: Control, tensors: Sequence[Tensor]) -> list[Tensor]:
    """A primitive of control on tensors: recorded, or done by Python."""
    trace = _mode.trace
    if trace is None:
        return primitive.step_by_step(tensors)
    if getattr(trace, "inlines", True) and any(map(_calls_rules, primitive.graphs.values())):
        return _inlined(primitive, tensors)
    return list(apply(primitive, tensors))


def _remembers(tensors: Sequence[Tensor]) -> bool:
    is_on_tape = any(x._node is not None for x in tensors)
    return is_on_tape and _mode.trace is not None and autodiff.is_enabled()


def _zeros(spec: Any) -> Tensor:
    return filled(0, tuple(spec.shape), spec.dtype)


TRANSFORMATIONS = Transformations(_run, _remembers, again, graph_of, _zeros, vjp, jvp, vmap)


def _inlined(primitive: Control, tensors: Sequence[Tensor]) -> list[Tensor]:
    """A primitive recorded for a program, which needs to know what functions with rules of their own do.

    On the tape it stands with their rules.
    """
    graphs, read = inlined(primitive.name, list(primitive.graphs.values()))
    tensors = [binding(x) for x in tensors]
    values = _mode.trace.record(primitive.with_graphs(graphs), [*tensors, *read])
    if _remembers(tensors):
        return list(recorded(primitive, tensors, values))
    return [new_handle(value, None, 0) for value in values]


def _calls_rules(graph: Graph) -> bool:
    return any(
        isinstance(node.primitive, CustomCall)
        or (
            isinstance(node.primitive, Control)
            and any(map(_calls_rules, node.primitive.graphs.values()))
        )
        for node in graph.nodes
    )
