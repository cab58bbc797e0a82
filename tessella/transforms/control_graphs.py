"""What the rules of control are handed (`tessella.primitives.control`): how their graphs are run, recorded and transformed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tessella import autodiff
from tessella.primitives.control import Control, Transformations
from tessella.primitives.graph import Graph
from tessella.tensors.tensor import Tensor, apply, filled, new_handle, recorded
from tessella.tracing.trace import binding
from tessella.transforms.batching import vmap
from tessella.transforms.closed import again, graph_of, inlined
from tessella.transforms.custom_rules import CustomCall
from tessella.transforms.forward_mode import jvp
from tessella.transforms.reverse_mode import vjp

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
