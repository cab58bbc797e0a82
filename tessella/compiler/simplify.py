"""Passes that leave less to compute. Each is a pure function from graph to graph."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from tessella.compiler.lowering import steps_of
from tessella.devices.registry import current
from tessella.dtypes import DType
from tessella.primitives import graph as graphs
from tessella.primitives.base import Primitive, broadcast_shapes, same_shape
from tessella.primitives.contraction import Contraction
from tessella.primitives.control import ScanLoop
from tessella.primitives.elementwise import Elementwise, elementwise
from tessella.primitives.generate import Full
from tessella.primitives.graph import Graph, GraphNode, Value, rewrite
from tessella.primitives.indexing import Gather, InRange, Scatter, limits_of
from tessella.primitives.movement import Concatenate, Pad, Permute, Rearrangement
from tessella.scalar.expression import Expression, postorder
from tessella.scalar.function import ScalarFunction
from tessella.scalar.rewriting import substitute


def decompose(graph: Graph) -> Graph:
    """Write primitives that are computed as several others as those others.

    Afterwards: every primitive has a lowering on the device, or is a view, or runs on the host.
    """
    device = current()

    def rule(node: GraphNode, inputs: tuple[Value, ...], nodes: list[GraphNode]) -> Any:
        steps = steps_of(node.primitive, inputs, device)  # type: ignore[arg-type]
        if steps is None:
            return None

        def apply(primitive: Primitive, operands: Sequence[Any]) -> Any:
            inner = steps_of(primitive, operands, device)
            if inner is not None:
                return inner(apply, operands)
            return graphs.add_node(nodes, primitive, operands, node.where)

        return (steps(apply, inputs),)

    return rewrite(graph, rule)


def remove_dead_code(graph: Graph) -> Graph:
    """Drop nodes and constants that no output and no effect needs.

    Of what is dropped the checks of its indices stay: a function that fails does so also if it makes
    nothing of the result.
    """
    needed = set(graph.outputs)
    kept: list[GraphNode] = []
    for node in reversed(graph.nodes):
        live = node.primitive.has_effect or isinstance(node.primitive, InRange)
        if live or any(value in needed for value in node.outputs):
            needed.update(node.inputs)
            kept.append(_needed_of(node, needed))
        elif isinstance(node.primitive, (Gather, Scatter)):
            for check in _checks_of(node):
                needed.update(check.inputs)
                kept.append(check)
    constants = {value: data for value, data in graph.constants.items() if value in needed}
    return Graph(graph.inputs, kept[::-1], graph.outputs, constants)


def _needed_of(node: GraphNode, needed: set[Value]) -> GraphNode:
    """A loop without the results of its places that nobody needs; any other node as it is."""
    loop = node.primitive
    if not isinstance(loop, ScanLoop) or all(value in needed for value in node.outputs):
        return node
    given = zip(loop.body.outputs, node.outputs, strict=True)
    pairs = [pair for i, pair in enumerate(given) if i < loop.carried or pair[1] in needed]
    fewer = loop.with_results([inner for inner, _ in pairs])
    return GraphNode(fewer, node.inputs, [outer for _, outer in pairs], node.where, node.note)


def _checks_of(node: GraphNode) -> list[GraphNode]:
    """What is left of a gather or a scatter whose result nobody needs; the last check first."""
    axes = node.primitive.axes  # type: ignore[attr-defined]
    checks: list[GraphNode] = []
    purpose = getattr(node.primitive, "purpose", "")
    limits = limits_of(axes, node.inputs[0].shape, purpose)
    for index, limit in zip(node.inputs[-len(axes) :], limits, strict=True):
        graphs.add_node(checks, InRange(limit), (index,), node.where)
    return checks[::-1]


def drop_unused_operands(graph: Graph) -> Graph:
    """Let elementwise nodes read only what their expressions need.

    The derivative of a selection is given both choices, and uses neither: without them, they need not
    be kept for the backward pass.
    """

    def rule(node: GraphNode, inputs: tuple[Value, ...], nodes: list[GraphNode]) -> Any:
        if not isinstance(node.primitive, Elementwise):
            return None
        if any(value.dtype.is_complex for value in inputs):
            return None
        function, kinds = node.primitive.function, tuple(value.dtype for value in inputs)
        kept = _used(function, kinds)
        shapes = [inputs[i].shape for i in kept]
        if len(kept) == len(inputs) or not kept:
            return None
        if broadcast_shapes(shapes, node.primitive.name) != node.output.shape:
            return None
        fewer = Elementwise(_without(function, kinds, kept))
        return (graphs.add_node(nodes, fewer, [inputs[i] for i in kept], node.where),)

    return rewrite(graph, rule)


@functools.lru_cache(maxsize=4096)
def _used(function: ScalarFunction, kinds: tuple[DType, ...]) -> tuple[int, ...]:
    """The operands that a function's expression needs."""
    used = set(postorder(function.expression(kinds)))
    return tuple(i for i, v in enumerate(function.variables(kinds)) if v in used)


@functools.lru_cache(maxsize=4096)
def _without(
    function: ScalarFunction, kinds: tuple[DType, ...], kept: tuple[int, ...]
) -> ScalarFunction:
    """A function of only some operands; the others do not matter."""
    variables = [function.variables(kinds)[i] for i in kept]

    def fewer(*operands: Expression) -> Expression:
        return substitute(function.expression(kinds), dict(zip(variables, operands, strict=True)))

    fewer.makes_expression = True  # type: ignore[attr-defined]
    return ScalarFunction(fewer, function.name, [function.parameters[i] for i in kept])


def compose_movement(graph: Graph) -> Graph:
    """Let views of views look at what is there: slices of slices, other orders of other orders, other shapes.

    What reads through a long chain of them would go through the whole chain each time.
    """
    made: dict[Value, GraphNode] = {}

    def rule(node: GraphNode, inputs: tuple[Value, ...], nodes: list[GraphNode]) -> Any:
        primitive: Any = node.primitive
        if not isinstance(primitive, Rearrangement):
            return None
        below = made.get(inputs[0])
        if below is not None and type(below.primitive) is type(primitive):
            both = primitive.after(below.primitive)
            primitive, inputs = (both, below.inputs) if both is not None else (primitive, inputs)
        if primitive is not node.primitive or inputs is not node.inputs:
            node = GraphNode(primitive, inputs, node.outputs, node.where)
        made[node.output] = node
        nodes.append(node)
        return node.outputs

    return rewrite(graph, rule)


class _Pieces(NamedTuple):
    """An array that is zero but for pieces along an axis.

    Args:
        start, end: everything outside is zero.
        parts: one piece, or two of these, the first of which ends where the second one starts or before.
    """

    axis: int
    start: int
    end: int
    parts: Value | tuple[_Pieces, _Pieces]

    def merged(self, other: _Pieces) -> _Pieces | None:
        """Both together, if they do not overlap."""
        if self.axis != other.axis:
            return None
        first, second = (self, other) if self.start <= other.start else (other, self)
        if first.end <= second.start:  # as a rule they come in order
            return first._before(second)
        pieces = sorted((*first.pieces(), *second.pieces()), key=lambda piece: piece.start)
        if any(a.end > b.start for a, b in itertools.pairwise(pieces)):
            return None
        return functools.reduce(_Pieces._before, pieces)

    def _before(self, other: _Pieces) -> _Pieces:
        return _Pieces(self.axis, self.start, other.end, (self, other))

    def pieces(self) -> list[_Pieces]:
        """The single pieces, in order."""
        found: list[_Pieces] = []
        waiting = [self]
        while waiting:
            piece = waiting.pop()
            if isinstance(piece.parts, Value):
                found.append(piece)
            else:
                waiting += reversed(piece.parts)
        return found


def join_padded_pieces(graph: Graph) -> Graph:
    """Write the sum of arrays that are padded with zeros, each in another place, as a concatenation.

    The gradients of the parts of an array (the places of a sequence; query, key and value) come so.
    """
    pieces: dict[Value, _Pieces] = {}
    for node in graph.nodes:
        found = _pieces_of(node, pieces)
        if found is not None:
            pieces[node.output] = found
    inner = {
        v for node in graph.nodes if _is_add(node) and node.output in pieces for v in node.inputs
    }
    renamed: dict[Value, Value] = {}

    def rule(node: GraphNode, inputs: tuple[Value, ...], nodes: list[GraphNode]) -> Any:
        if not _is_add(node) or node.output not in pieces or node.output in inner:
            return None
        joined = _joined(pieces[node.output], node, renamed, nodes)
        renamed[node.output] = joined
        return (joined,)

    return rewrite(graph, rule)


def _is_add(node: GraphNode) -> bool:
    return bool(node.primitive == elementwise("add"))


def _pieces_of(node: GraphNode, known: dict[Value, _Pieces]) -> _Pieces | None:
    primitive = node.primitive
    if isinstance(primitive, Pad) and primitive.value == 0 and not any(primitive.interior):
        (x,) = node.inputs
        axes = [a for a in range(len(x.shape)) if primitive.low[a] or primitive.high[a]]
        if len(axes) == 1 and min(*primitive.low, *primitive.high) >= 0:
            low = primitive.low[axes[0]]
            return _Pieces(axes[0], low, low + x.shape[axes[0]], x)
    elif _is_add(node) and all(value in known for value in node.inputs):
        x, y = node.inputs
        if same_shape(x.shape, y.shape) and x.dtype is y.dtype:
            return known[x].merged(known[y])
    return None


def _joined(
    found: _Pieces, node: GraphNode, renamed: dict[Value, Value], nodes: list[GraphNode]
) -> Value:
    """The concatenation of the pieces, with zeros where there is none."""
    axis, shape = found.axis, node.output.shape
    parts: list[Value] = []
    end = 0

    def fill(until: int) -> None:
        if until > end:
            gap = (*shape[:axis], until - end, *shape[axis + 1 :])
            parts.append(graphs.add_node(nodes, Full(gap, node.output.dtype, 0), (), node.where))

    for piece in found.pieces():
        fill(piece.start)
        assert isinstance(piece.parts, Value)
        parts.append(renamed.get(piece.parts, piece.parts))
        end = piece.end
    fill(shape[axis])
    joined: Value = graphs.add_node(nodes, Concatenate(axis), parts, node.where)
    return joined


def permute_contractions(graph: Graph) -> Graph:
    """Let a contraction write its result with the axes in the order in which it is used.

    A weight's gradient is needed as the weight lies, but the rule of the product gives it transposed.
    """
    uses = graph.uses()
    outputs = set(graph.outputs)
    orders: dict[GraphNode, tuple[int, ...]] = {}
    for node in graph.nodes:
        if isinstance(node.primitive, Contraction) and node.output not in outputs:
            wanted = {use.primitive for use in uses.get(node.output, ())}
            if len(wanted) == 1 and isinstance(permute := wanted.pop(), Permute):
                orders[node] = permute.order
    permuted: dict[Value, Value] = {}

    def rule(node: GraphNode, inputs: tuple[Value, ...], nodes: list[GraphNode]) -> Any:
        if node in orders:
            primitive: Any = node.primitive
            output = tuple(primitive.output[axis] for axis in orders[node])
            made = graphs.add_node(nodes, replace(primitive, output=output), inputs, node.where)
            permuted[node.output] = made
            return (made,)
        if node.inputs and node.inputs[0] in permuted:
            return (permuted[node.inputs[0]],)
        return None

    return rewrite(graph, rule)


def share_common_subexpressions(graph: Graph) -> Graph:
    """Compute what is computed twice only once: equal primitives on the same values."""
    known: dict[Any, Sequence[Value]] = {}

    def rule(node: GraphNode, inputs: tuple[Value, ...], nodes: list[GraphNode]) -> Any:
        if node.primitive.has_effect:
            return None
        key = (node.primitive, inputs)
        found = known.get(key)
        if found is None:
            known[key] = node.outputs
        return found

    return rewrite(graph, rule)
