"""Graphs with symbolic sizes, for known sizes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields, is_dataclass, replace
from typing import Any

from tessella.primitives.base import Primitive
from tessella.primitives.contraction import Geometry
from tessella.primitives.fused import Fused, Origin
from tessella.primitives.graph import Graph, GraphNode, Value
from tessella.sizes.polynomials import Binding
from tessella.sizes.size import Size, is_symbolic


def graph_at(graph: Graph, binding: Binding) -> Graph:
    """The graph with a number for every size; what has none in it stays the very same.

    >>> from tessella import dtypes
    >>> from tessella.primitives.elementwise import elementwise
    >>> from tessella.primitives.graph import add_node
    >>> from tessella.sizes.scope import Scope
    >>> n = Scope({"n": 8}).symbol("n")
    >>> x, nodes = Value((n, 3), dtypes.float32, "x"), []
    >>> y = add_node(nodes, elementwise("exp"), (x,))
    >>> print(graph_at(Graph([x], nodes, [y]), {"n": 5}))
    graph(x: float32[5,3])
      %0: float32[5,3] = exp(x)
      return %0
    """
    known: dict[Value, Value] = {}

    def at(value: Value) -> Value:
        found = known.get(value)
        if found is None:
            found = known[value] = _value_at(value, binding)
        return found

    inputs = [at(value) for value in graph.inputs]
    constants = {at(value): array for value, array in graph.constants.items()}
    nodes = [_node_at(node, at, binding) for node in graph.nodes]
    return Graph(inputs, nodes, [at(value) for value in graph.outputs], constants)


def _value_at(value: Value, binding: Binding) -> Value:
    if not any(is_symbolic(extent) for extent in value.shape):
        return value
    return Value(at(value.shape, binding), value.dtype, value.hint)


def _node_at(node: GraphNode, value_at: Any, binding: Binding) -> GraphNode:
    primitive = at(node.primitive, binding)
    inputs = tuple([value_at(value) for value in node.inputs])
    outputs = tuple([value_at(value) for value in node.outputs])
    if primitive is node.primitive and inputs == node.inputs and outputs == node.outputs:
        return node
    return GraphNode(primitive, inputs, outputs, node.where, node.note)


def at(value: Any, binding: Binding) -> Any:
    """A parameter of a primitive, or a primitive, with numbers for the sizes in it."""
    if type(value) is Size:
        return value.at(binding)
    if isinstance(value, tuple):
        found = [at(item, binding) for item in value]
        if all(new is old for new, old in zip(found, value, strict=True)):
            return value
        return type(value)(*found) if hasattr(value, "_fields") else tuple(found)
    if isinstance(value, Graph):
        return value if _size_in(value) is None else graph_at(value, binding)
    if isinstance(value, Fused):
        size = _size_in(value.graph)
        if size is None:
            return value
        return replace(_parameters_at(value, binding), origin=Origin(value, size.scope, binding))
    if isinstance(value, (Primitive, Geometry)):
        return _parameters_at(value, binding)
    return value


def _parameters_at(primitive: Any, binding: Binding) -> Any:
    names = (
        [field.name for field in fields(primitive) if field.init] if is_dataclass(primitive) else []
    )
    before = [getattr(primitive, name) for name in names]
    after = [at(value, binding) for value in before]
    if all(new is old for new, old in zip(after, before, strict=True)):
        return primitive
    return type(primitive)(**dict(zip(names, after, strict=True)))


def _size_in(value: Any) -> Size | None:
    """A size that is not known in a parameter, a primitive or a graph, if there is any."""
    if type(value) is Size:
        return value
    inner: Iterable[Any] = ()
    if isinstance(value, tuple):
        inner = value
    elif isinstance(value, Graph):
        values = [*value.inputs, *(v for node in value.nodes for v in node.outputs)]
        inner = (*(v.shape for v in values), *(node.primitive for node in value.nodes))
    elif isinstance(value, (Primitive, Geometry)) and is_dataclass(value):
        inner = [getattr(value, field.name) for field in fields(value)]
    return next((found for found in map(_size_in, inner) if found is not None), None)
