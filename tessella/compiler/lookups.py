"""Products with rows that were looked up in a small table, as rows of the table's product.

A network that reads letters looks up a row for each of them and multiplies it by a weight: of two thousand letters
there are sixty, so that the same rows are multiplied again and again. With rows looked up by an index i in a table E,

    E[i] W  =  (E W)[i]           E[i]ᵀ Y  =  Eᵀ S        and the gradient of E, the rows Y Wᵀ added up, is  S Wᵀ

where S has the rows of Y added up that belong to the same row of the table.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from tessella import dtypes
from tessella.primitives import graph as graphs
from tessella.primitives.base import Primitive, Shape, Spec, size_of
from tessella.primitives.contraction import Contraction, Labels
from tessella.primitives.elementwise import elementwise
from tessella.primitives.generate import Full
from tessella.primitives.graph import Graph, GraphNode, Value, rewrite
from tessella.primitives.indexing import Gather, Scatter
from tessella.primitives.movement import Expand, Permute, Reshape
from tessella.sizes.size import is_symbolic

DEPTH = 64  # multiply-adds for each number that is looked up or added up in their place: from here they take longer
OFTEN = 2  # times that a row of the table is looked up
ROWS = (0,)


class _Lookup(NamedTuple):
    """Rows of a table: (..., row), for the places of an index."""

    gather: Gather
    table: Value
    at: Value
    places: int  # axes of the value that stand for the index


class _Product(NamedTuple):
    """A contraction of one operand with another, whose axes have labels."""

    labels: Labels
    other: Labels
    output: Labels
    side: int  # of the operand


def multiply_tables(graph: Graph) -> Graph:
    """Multiply tables instead of the rows that are looked up in them, where those are many more.

    Before: permutations of contractions have become part of them.
    """
    return rewrite(graph, _Rewriting(graph).rule)


class _Rewriting:
    def __init__(self, graph: Graph) -> None:
        self.producers = graph.producers()
        uses, outputs = graph.uses(), set(graph.outputs)
        self.alone = {v for v, readers in uses.items() if len(readers) == 1} - outputs
        self.new: dict[Value, Value] = {}
        self.sums: dict[tuple[Value, Value, Labels], Value] = {}
        self.seen: dict[tuple[Value, int], Value] = {}

    def rule(self, node: GraphNode, inputs: tuple[Value, ...], nodes: list[GraphNode]) -> Any:
        self.new.update(zip(node.inputs, inputs, strict=True))
        found = None
        if isinstance(node.primitive, Contraction):
            found = self._of_contraction(node, nodes)
        elif node.primitive == Scatter(ROWS, "add"):
            found = self._of_scatter(node, nodes)
        return None if found is None else (found,)

    # --- which ones ---------------------------------------------------------------------------------

    def _through_reshape(self, value: Value, alone: bool = False) -> tuple[GraphNode | None, bool]:
        """The node that makes a value, whatever its shape, and whether nobody else reads it, if that is asked for."""
        node = self.producers.get(value)
        is_alone = value in self.alone
        if node is not None and isinstance(node.primitive, Reshape):
            value = node.inputs[0]
            node, is_alone = self.producers.get(value), is_alone and value in self.alone
        return node, is_alone or not alone

    def _lookup(self, value: Value) -> _Lookup | None:
        node, _ = self._through_reshape(value)
        gather = None if node is None else node.primitive
        if (
            node is None
            or not isinstance(gather, Gather)
            or (gather.axes, gather.along) != (ROWS, ())
        ):
            return None
        table, index = node.inputs
        places = _leading(value.shape, table.shape[1:])
        return (
            None
            if places is None or not _often(table, index)
            else _Lookup(gather, table, index, places)
        )

    def _of_contraction(self, node: GraphNode, nodes: list[GraphNode]) -> Value | None:
        contraction: Contraction = node.primitive  # type: ignore[assignment]
        if not _is_plain(node):
            return None
        for side, value in enumerate(node.inputs):
            lookup = self._lookup(value)
            if lookup is None:
                continue
            product = _sides(contraction, side)
            places = product.labels[: lookup.places]
            sizes = _sizes(node)
            given = set(product.output), set(product.other)
            if _all_in(places, *given) and _depth(product.labels, product.output, sizes) >= DEPTH:
                return self._rows_of_product(node, lookup, product, nodes)
            row = tuple(label for label in product.labels if label not in places)
            if _all_in(places, *given[::-1]) and _depth(row, product.other, sizes) >= DEPTH:
                return self._product_with_sums(node, lookup, product, nodes)
        return None

    def _of_scatter(self, node: GraphNode, nodes: list[GraphNode]) -> Value | None:
        x, updates, index = node.inputs
        source, is_alone = self._through_reshape(updates, alone=True)
        if source is None or not is_alone or not isinstance(source.primitive, Contraction):
            return None
        count = _leading(source.output.shape, x.shape[1:])
        if count is None or not _often(x, index) or not _is_plain(source):
            return None
        contraction = source.primitive
        sizes = _sizes(source)
        for side in (0, 1):
            product = _sides(contraction, side)
            places = product.output[:count]
            row = product.output[count:]
            if _all_in(places, set(product.labels), set(product.other)):
                if _depth(row, product.labels, sizes) < DEPTH:
                    return None
                return self._sums_times(node, source, product, count, nodes)
        return None

    # --- what stands in their place -----------------------------------------------------------------

    def _rows_of_product(
        self, node: GraphNode, lookup: _Lookup, product: _Product, nodes: list[GraphNode]
    ) -> Value:  # fmt: skip
        """(E W)[i]"""
        places, row = product.labels[: lookup.places], product.labels[lookup.places :]
        rest = tuple(label for label in product.output if label not in places)
        label = _fresh(product)
        other = self.new[node.inputs[1 - product.side]]
        table = self._contracted(
            (label, *row), product, (label, *rest), self._now(lookup.table), other, nodes
        )
        rows = graphs.add_node(nodes, lookup.gather, (table, self._now(lookup.at)), node.where)
        order = (*places, *rest)
        sizes = dict(zip(product.output, node.output.shape, strict=True))
        found = _shaped(rows, tuple(sizes[label] for label in order), nodes)
        return _ordered(found, order, product.output, nodes)

    def _product_with_sums(
        self, node: GraphNode, lookup: _Lookup, product: _Product, nodes: list[GraphNode]
    ) -> Value:  # fmt: skip
        """Eᵀ S. Rows that nobody looked up do not count, whatever they are."""
        places, row = product.labels[: lookup.places], product.labels[lookup.places :]
        label = _fresh(product)
        value = self.new[node.inputs[1 - product.side]]
        sums, rest = self._sums(value, product.other, places, lookup, nodes)
        table = self._where_seen(self._now(lookup.table), lookup, nodes)
        changed = product._replace(other=(label, *rest))
        return self._contracted((label, *row), changed, product.output, table, sums, nodes)

    def _sums_times(
        self, node: GraphNode, source: GraphNode, product: _Product, count: int, nodes: list[GraphNode]
    ) -> Value:  # fmt: skip
        """S Wᵀ, and what it is added to. Nothing is added to rows that nobody looked up."""
        x, _, index = node.inputs
        places, row = product.output[:count], product.output[count:]
        label = _fresh(product)
        lookup = _Lookup(Gather(ROWS), x, index, count)
        value, other = (self._now(source.inputs[side]) for side in (product.side, 1 - product.side))
        sums, rest = self._sums(value, product.labels, places, lookup, nodes)
        found = self._contracted((label, *rest), product, (label, *row), sums, other, nodes)
        found = self._where_seen(_shaped(found, tuple(x.shape), nodes), lookup, nodes)
        return graphs.add_node(nodes, elementwise("add"), (self._now(x), found), node.where)

    def _contracted(
        self, labels: Labels, product: _Product, output: Labels, value: Value, other: Value, nodes: list[GraphNode]
    ) -> Value:  # fmt: skip
        sides = [(labels, value), (product.other, other)][:: -1 if product.side else 1]
        (left, x), (right, y) = sides
        return graphs.add_node(nodes, Contraction(left, right, output), (x, y))

    def _sums(
        self, value: Value, labels: Labels, places: Labels, lookup: _Lookup, nodes: list[GraphNode]
    ) -> tuple[Value, Labels]:  # fmt: skip
        """For each row of the table, the rows of a value added up that belong to it; and the labels of such a row."""
        rest = tuple(label for label in labels if label not in places)
        index = self._now(lookup.at)
        key = value, index, (*(labels.index(label) for label in places), lookup.table.shape[0])
        if key not in self.sums:
            moved = _ordered(value, labels, (*places, *rest), nodes)
            shape = tuple(moved.shape[len(places) :])
            updates = _shaped(moved, (*index.shape, *shape), nodes)
            zeros = _filled((lookup.table.shape[0], *shape), value.dtype, 0, nodes)
            self.sums[key] = graphs.add_node(nodes, Scatter(ROWS, "add"), (zeros, updates, index))
        return self.sums[key], rest

    def _where_seen(self, value: Value, lookup: _Lookup, nodes: list[GraphNode]) -> Value:
        """The rows of a value that were looked up; zeros for the others."""
        index, rows = self._now(lookup.at), value.shape[0]
        if (index, rows) not in self.seen:
            nobody = _filled((rows,), dtypes.bool_, False, nodes)
            everybody = _filled(tuple(index.shape), dtypes.bool_, True, nodes)
            seen = _step(nodes, Scatter(ROWS, "set"), nobody, everybody, index)
            self.seen[index, rows] = seen
        seen = _shaped(self.seen[index, rows], (rows, *(1,) * (len(value.shape) - 1)), nodes)
        zeros = _filled(tuple(value.shape), value.dtype, 0, nodes)
        return _step(nodes, elementwise("select"), seen, value, zeros)

    def _now(self, value: Value) -> Value:
        return self.new.get(value, value)


def _leading(shape: Shape, row: Shape) -> int | None:
    """How many axes stand in front of those of a row, if a shape ends in them."""
    count = len(shape) - len(row)
    ends = count > 0 and tuple(shape[count:]) == tuple(row)
    return count if ends else None


def _often(table: Value, index: Value) -> bool:
    sizes = (*table.shape, *index.shape)
    if any(is_symbolic(n) for n in sizes):
        return False
    return 0 < OFTEN * int(table.shape[0]) <= size_of(index.shape)


def _is_plain(node: GraphNode) -> bool:
    """Whether it is a product of numbers that are computed with as they are stored."""
    contraction: Contraction = node.primitive  # type: ignore[assignment]
    symbolic = any(is_symbolic(n) for value in node.inputs for n in value.shape)
    return not (contraction.geometry or contraction.wide or symbolic) and all(
        value.dtype in (dtypes.float32, dtypes.float64) for value in node.inputs
    )


def _sizes(node: GraphNode) -> dict[int, int]:
    """Of the labels of a contraction."""
    x, y = (Spec(value.shape, value.dtype) for value in node.inputs)
    contraction: Contraction = node.primitive  # type: ignore[assignment]
    return contraction.sizes(x, y)


def _sides(contraction: Contraction, side: int) -> _Product:
    labels = contraction.left, contraction.right
    return _Product(labels[side], labels[1 - side], contraction.output, side)


def _fresh(product: _Product) -> int:
    return max((*product.labels, *product.other, *product.output)) + 1


def _all_in(places: Labels, these: set[int], others: set[int]) -> bool:
    """Whether all are in the one and none in the other."""
    return these.issuperset(places) and others.isdisjoint(places)


def _depth(labels: Labels, without: Sequence[int], sizes: dict[int, int]) -> int:
    return size_of(tuple(sizes[label] for label in labels if label not in without))


def _filled(shape: Shape, dtype: Any, value: Any, nodes: list[GraphNode]) -> Value:
    return _step(nodes, Expand(shape), _step(nodes, Full((1,) * len(shape), dtype, value)))


def _step(nodes: list[GraphNode], primitive: Primitive, *inputs: Value) -> Value:
    return graphs.add_node(nodes, primitive, inputs)


def _shaped(value: Value, shape: Shape, nodes: list[GraphNode]) -> Value:
    return value if tuple(value.shape) == shape else _step(nodes, Reshape(shape), value)


def _ordered(value: Value, labels: Labels, order: Labels, nodes: list[GraphNode]) -> Value:
    """A value whose axes have labels, with these in another order."""
    if labels == order:
        return value
    return _step(nodes, Permute(tuple(labels.index(label) for label in order)), value)
