"""Attention over long sequences as a loop over batches and heads.

What a strip of attention gives to the gradients of the keys is added up over the strips. For all heads at once these
parts are large, and many are there at the same time; of one head they are small, as are its scores, and a loop has
only one head's of all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from tessella.primitives import graph as graphs
from tessella.primitives.attention import Attention, AttentionGradient
from tessella.primitives.base import Shape, Spec
from tessella.primitives.control import ScanLoop
from tessella.primitives.control.base import AFTERWARDS
from tessella.primitives.graph import Graph, GraphNode, Value, rewrite
from tessella.primitives.movement import Reshape
from tessella.sizes.size import is_symbolic


def loop_over_heads(graph: Graph) -> Graph:
    """Write attention that is computed in strips as a loop over its first axis, in whose body there may be one more."""
    return rewrite(graph, _rule)


def _rule(node: GraphNode, inputs: tuple[Value, ...], nodes: list[GraphNode]) -> Any:
    attention = node.primitive
    if not isinstance(attention, (Attention, AttentionGradient)):
        return None
    if any(is_symbolic(n) for x in inputs for n in x.shape):
        return None
    query, key = inputs[1:3] if isinstance(attention, AttentionGradient) else inputs[:2]
    several = [axis for axis, n in enumerate(query.shape[:-2]) if n > 1]
    if not several or len(list(attention.strips(*map(_spec, (query, key))))) < 2:
        return None
    first = several[0]
    found = _loop(attention, [_without_axes(x, first, nodes) for x in inputs], nodes)
    return (_reshaped(found, node.output.shape, nodes),)


def _loop(attention: Any, inputs: Sequence[Value], nodes: list[GraphNode]) -> Value:
    """One turn for each place of the first axis; what has only one there is the same for all."""
    ordered = sorted(
        dict.fromkeys(inputs), key=lambda x: x.shape[0] == 1
    )  # one may be both keys and values
    sliced = sum(x.shape[0] > 1 for x in ordered)
    inner = {x: Value(x.shape[1:], x.dtype, x.hint) for x in ordered}
    turn: list[GraphNode] = []
    result = graphs.add_node(turn, attention, [inner[x] for x in inputs])
    body = Graph([inner[x] for x in ordered], turn, [result], {})
    loop = ScanLoop(body, ordered[0].shape[0], 0, sliced, AFTERWARDS)
    same = [_without_axes(x, 1, nodes) for x in ordered[sliced:]]
    (found,) = graphs.add_node(nodes, loop, [*ordered[:sliced], *same])
    return cast(Value, found)


def _without_axes(value: Value, count: int, nodes: list[GraphNode]) -> Value:
    """A value without some axes in front, each of which is 1."""
    return _reshaped(value, value.shape[count:], nodes)


def _reshaped(value: Value, shape: Shape, nodes: list[GraphNode]) -> Value:
    if tuple(value.shape) == tuple(shape):
        return value
    return cast(Value, graphs.add_node(nodes, Reshape(tuple(shape)), (value,)))


def _spec(value: Value) -> Spec:
    return Spec(value.shape, value.dtype)
