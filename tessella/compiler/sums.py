"""Sums of products as one product.

A weight that is used at every place of a sequence gets one gradient for each of them, a product of a
few rows, and all are added up: the sum is read and written once for every place. Side by side the
operands make one product, over all the rows at once:

    A1 B1 + A2 B2 + ...  =  [A1 A2 ...] [B1 B2 ...]ᵀ
"""

from __future__ import annotations

from typing import Any

from tessella.primitives import graph as graphs
from tessella.primitives.base import same_shape, size_of
from tessella.primitives.contraction import Contraction
from tessella.primitives.elementwise import elementwise
from tessella.primitives.graph import Graph, GraphNode, Value, rewrite
from tessella.primitives.movement import Concatenate

FEWEST = 3  # products that are worth putting side by side


def join_sums_of_products(graph: Graph) -> Graph:
    """Write sums of equal contractions as one contraction of concatenations, where those are smaller
    than what is summed.

    Before: permutations of contractions have become part of them.
    """
    producers, uses = graph.producers(), graph.uses()
    outputs = set(graph.outputs)
    alone = {value for value, readers in uses.items() if len(readers) == 1} - outputs
    inner = {v for node in graph.nodes if _is_sum(node) for v in node.inputs if v in alone}
    sums: dict[GraphNode, list[Value]] = {}
    for node in graph.nodes:
        if _is_sum(node) and node.output not in inner:
            terms = _terms(node, producers, alone)
            if len(terms) >= FEWEST:
                sums[node] = terms
    if not sums:
        return graph
    new: dict[Value, Value] = {}

    def rule(node: GraphNode, inputs: tuple[Value, ...], nodes: list[GraphNode]) -> Any:
        new.update(zip(node.inputs, inputs, strict=True))
        return (_joined(node, sums[node], producers, alone, new, nodes),) if node in sums else None

    return rewrite(graph, rule)


def _is_sum(node: GraphNode | None) -> bool:
    return (
        node is not None
        and node.primitive == elementwise("add")
        and all(
            same_shape(v.shape, node.output.shape) and v.dtype is node.output.dtype
            for v in node.inputs
        )
    )


def _terms(node: GraphNode, producers: dict[Value, GraphNode], alone: set[Value]) -> list[Value]:
    """What a sum of sums adds up, from left to right."""
    found: list[Value] = []
    waiting = [*reversed(node.inputs)]
    while waiting:
        value = waiting.pop()
        source = producers.get(value)
        if source is not None and value in alone and _is_sum(source):
            waiting += reversed(source.inputs)
        else:
            found.append(value)
    return found


def _kind(value: Value, producers: dict[Value, GraphNode], alone: set[Value]) -> Any:
    """What products must have in common to be joined; None for all else."""
    node = producers.get(value) if value in alone else None
    if node is None or not isinstance(node.primitive, Contraction) or node.primitive.geometry:
        return None
    primitive = node.primitive
    summed = set(primitive.left) & set(primitive.right) - set(primitive.output)
    small = sum(size_of(operand.shape) for operand in node.inputs) <= size_of(value.shape)
    if not summed or not small:
        return None
    return primitive, *[(operand.shape, operand.dtype) for operand in node.inputs]


def _joined(
    node: GraphNode, terms: list[Value], producers: dict[Value, GraphNode], alone: set[Value],
    new: dict[Value, Value], nodes: list[GraphNode],
) -> Value:  # fmt: skip
    """The sum of the joined products, and of what else there is."""
    groups: dict[Any, list[Value]] = {}
    for term in terms:
        groups.setdefault(_kind(term, producers, alone) or term, []).append(term)
    parts: list[Value] = []
    for kind, members in groups.items():
        if isinstance(kind, Value) or len(members) < FEWEST:
            parts += [new.get(term, term) for term in members]
            continue
        primitive: Contraction = kind[0]
        label = next(
            n for n in primitive.left if n in primitive.right and n not in primitive.output
        )
        operands = []
        for side, labels in enumerate((primitive.left, primitive.right)):
            values = [producers[term].inputs[side] for term in members]
            joined = Concatenate(labels.index(label))
            operands.append(
                graphs.add_node(nodes, joined, [new.get(v, v) for v in values], node.where)
            )
        parts.append(graphs.add_node(nodes, primitive, operands, node.where))
    total, *rest = parts
    for part in rest:
        total = graphs.add_node(nodes, node.primitive, (total, part), node.where)
    return total
