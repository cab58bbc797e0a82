"""Graphs: recorded programs of primitives.

Every value is made once, by a node or as an input of the graph, before it is used (static single
assignment). Compiler passes and transformations are functions from graph to graph.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, NamedTuple

from tessella.dtypes import DType
from tessella.errors import TessellaError
from tessella.primitives.base import TOLD, Primitive, Shape, result_of


class Where(NamedTuple):
    """The line of the user's program that an operation comes from.

    `backward` tells that it belongs to the gradient of what that line does, `layer` in which layer of a network.
    """

    file: str
    line: int
    function: str
    backward: bool = False
    layer: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line} in {self.function}{' (backward)' if self.backward else ''}"


NO_LINE = Where("", 0, "")  # of what is traced once for many callers


class Value:
    """What a node computes, or an input: a shape and a dtype."""

    __slots__ = ("dtype", "hint", "shape")

    def __init__(self, shape: Shape, dtype: DType, hint: str = "") -> None:
        self.shape = tuple(shape)
        self.dtype = dtype
        self.hint = hint  # a name for readers

    def __repr__(self) -> str:
        return f"<{self.hint or 'value'}: {describe(self)}>"


class Note(NamedTuple):
    """Why a node is as it is, in words for readers, and why it is apart from others."""

    what: str
    apart: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "; ".join([self.what, *self.apart])


class GraphNode:
    """A primitive applied to values; `note` says, for readers, why it is as it is."""

    __slots__ = ("inputs", "note", "outputs", "primitive", "where")

    def __init__(
        self,
        primitive: Primitive,
        inputs: Sequence[Value],
        outputs: Sequence[Value],
        where: Where | None = None,
        note: Note | None = None,
    ) -> None:
        self.note = note
        self.primitive = primitive
        self.inputs = tuple(inputs)
        self.outputs = tuple(outputs)
        self.where = where

    @property
    def output(self) -> Value:
        """The only result."""
        (value,) = self.outputs
        return value

    def __repr__(self) -> str:
        return f"<node {self.primitive.name}>"


class Graph:
    """Inputs, constants, nodes in an order in which they can run, and outputs.

    Args:
        constants: values whose data is known, with the data.
    """

    def __init__(
        self,
        inputs: Sequence[Value],
        nodes: Sequence[GraphNode],
        outputs: Sequence[Value],
        constants: dict[Value, Any] | None = None,
    ) -> None:
        self.inputs = list(inputs)
        self.nodes = list(nodes)
        self.outputs = list(outputs)
        self.constants = constants if constants is not None else {}

    def __str__(self) -> str:
        return to_text(self)

    def __repr__(self) -> str:
        counts = [
            (len(self.inputs), "input"), (len(self.nodes), "operation"), (len(self.outputs), "result"),
        ]  # fmt: skip
        told = [f"{count} {name}{'s' * (count != 1)}" for count, name in counts]
        return f"<graph of {', '.join(told)}; print it to read it>"

    @property
    def axis_names(self) -> frozenset[str]:
        """The axes over which the collectives in it go."""
        return frozenset().union(*[node.primitive.axis_names for node in self.nodes])

    def producers(self) -> dict[Value, GraphNode]:
        """The node that makes each value."""
        return {value: node for node in self.nodes for value in node.outputs}

    def uses(self) -> dict[Value, list[GraphNode]]:
        """The nodes that read each value, once for each time they do."""
        found: dict[Value, list[GraphNode]] = {}
        for node in self.nodes:
            for value in node.inputs:
                found.setdefault(value, []).append(node)
        return found


def add_node(
    nodes: list[GraphNode], primitive: Primitive, inputs: Sequence[Any], where: Where | None = None
) -> Any:
    """Add a node for a primitive on values; gives its result, or a tuple of results."""
    spec = result_of(primitive, *inputs)
    specs = spec if primitive.multiple_results else (spec,)
    outputs = [Value(s.shape, s.dtype) for s in specs]
    nodes.append(GraphNode(primitive, inputs, outputs, where))
    return tuple(outputs) if primitive.multiple_results else outputs[0]


Rule = Callable[[GraphNode, tuple[Value, ...], list[GraphNode]], Sequence[Value] | None]


def rewrite(graph: Graph, rule: Rule) -> Graph:
    """The graph with every node replaced by what a rule says.

    The rule is given the node, its inputs in the new graph, and the new list of nodes, to which it
    may add. It gives the values that stand for the node's results, or None to keep the node.
    """
    known: dict[Value, Value] = {}
    nodes: list[GraphNode] = []
    for node in graph.nodes:
        inputs = node.inputs
        if known and not known.keys().isdisjoint(inputs):
            inputs = tuple([known.get(value, value) for value in inputs])
        replaced = rule(node, inputs, nodes)
        if replaced is None:
            kept = node if inputs is node.inputs else GraphNode(
                node.primitive, inputs, node.outputs, node.where
            )  # fmt: skip
            nodes.append(kept)
        else:
            known.update(zip(node.outputs, replaced, strict=True))
    outputs = [known.get(value, value) for value in graph.outputs]
    return Graph(graph.inputs, nodes, outputs, graph.constants)


class GraphError(TessellaError, ValueError):
    """A graph breaks a rule: a mistake in a compiler pass."""


def verify(graph: Graph) -> Graph:
    """Check that every value is made once, before it is used, with the shape its primitive gives.

    Raises:
        GraphError: it is not so.
    """
    made = {*graph.inputs, *graph.constants}
    for node in graph.nodes:
        for value in node.inputs:
            if value not in made:
                raise GraphError(f"{node.primitive.name} uses {value!r} before it is made")
        inputs: Any = node.inputs
        result = node.primitive.result(*inputs)
        specs = result if node.primitive.multiple_results else (result,)
        for value, spec in zip(node.outputs, specs, strict=True):
            if value in made:
                raise GraphError(f"{node.primitive.name} makes {value!r} a second time")
            if (value.shape, value.dtype) != (tuple(spec.shape), spec.dtype):
                raise GraphError(
                    f"{node.primitive.name} gives {spec.dtype.name}{list(spec.shape)}, but its "
                    f"value is {describe(value)}"
                )
            made.add(value)
    for value in graph.outputs:
        if value not in made:
            raise GraphError(f"the output {value!r} is never made")
    return graph


# --- reading ------------------------------------------------------------------------------------------


def describe(value: Any) -> str:
    """A shape and dtype as in `float32[3,4]`."""
    return f"{value.dtype.name}[{','.join(map(str, value.shape))}]"


def names_of(graph: Graph) -> dict[Value, str]:
    """A short name for every value: hints for inputs, then %0, %1, ..."""
    names: dict[Value, str] = {}
    taken: set[str] = set()
    for value in [*graph.inputs, *graph.constants]:
        hint = value.hint or "input"
        name, number = hint, 1
        while name in taken:
            name, number = f"{hint}_{number}", number + 1
        taken.add(name)
        names[value] = name
    for count, value in enumerate(v for node in graph.nodes for v in node.outputs):
        names[value] = f"%{count}"
    return names


def to_text(graph: Graph) -> str:
    """The graph as text: one line for each node.

    >>> from tessella import dtypes
    >>> from tessella.primitives.elementwise import elementwise
    >>> x = Value((3,), dtypes.float32, "x")
    >>> nodes = []
    >>> y = add_node(nodes, elementwise("exp"), (x,))
    >>> print(Graph([x], nodes, [y]))
    graph(x: float32[3])
      %0: float32[3] = exp(x)
      return %0
    """
    names = names_of(graph)
    heads = ", ".join(f"{names[v]}: {describe(v)}" for v in graph.inputs)
    lines = [f"graph({heads})"]
    lines += [f"  {names[v]}: {describe(v)} = constant" for v in graph.constants]
    for node in graph.nodes:
        left = ", ".join(f"{names[v]}: {describe(v)}" for v in node.outputs)
        arguments = ", ".join([names[v] for v in node.inputs])
        inner = getattr(node.primitive, "graph", None)
        several = getattr(node.primitive, "graphs", None) or {}
        parameters = _parameters(node.primitive) if inner is None else ""
        made = f"{left} = " if left else ""
        lines.append(f"  {made}{node.primitive.name}({arguments}){parameters}")
        if inner is not None:
            lines += [f"    {line}" for line in to_text(inner).splitlines()]
        for title, part in several.items():
            lines.append(f"    {title}:")
            lines += [f"      {line}" for line in to_text(part).splitlines()]
    lines.append(f"  return {', '.join(names[v] for v in graph.outputs)}")
    return "\n".join(lines)


def _holds_graphs(value: Any) -> bool:
    return isinstance(value, Graph) or (
        isinstance(value, tuple) and bool(value) and isinstance(value[0], Graph)
    )


def _parameters(primitive: Primitive) -> str:
    """The static parameters, as far as the name and the result do not tell them."""
    found: Any = fields(primitive) if is_dataclass(primitive) else ()
    names = [field.name for field in found if field.repr and TOLD not in field.metadata]
    names = [name for name in names if not _holds_graphs(getattr(primitive, name))]
    shown = [f"{name}={getattr(primitive, name)!r}" for name in names]
    return f" {{{', '.join(shown)}}}" if shown else ""
