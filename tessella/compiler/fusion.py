"""Fusion: which primitives become one kernel.

The nodes are gone through in order. Each joins the group of one of its producers if the two can share
their loops, else it starts a group of its own. Two can share loops if every element that one of them
makes is used by the other at the very same place of the loops (or, for what a reduction gives, of the
row). Movement belongs to no group: a group reads through it.

A group is not joined if its own results would come back to it by another way, as nothing can be
computed before what it needs.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Sequence

from tessella.compiler import reasons
from tessella.compiler.lowering.access import MAPS, unrolls
from tessella.compiler.lowering.passes import splits
from tessella.dtypes import DType
from tessella.primitives import index as maps
from tessella.primitives.base import Shape, size_of
from tessella.primitives.elementwise import Elementwise
from tessella.primitives.fused import Fused
from tessella.primitives.graph import Graph, GraphNode, Note, Value
from tessella.primitives.index import Dim, Index
from tessella.primitives.movement import Movement
from tessella.primitives.random import RandomBits
from tessella.primitives.reduce import Reduce
from tessella.scalar.expression import postorder
from tessella.scalar.function import ScalarFunction
from tessella.scalar.precision import core

MOST_NODES = 120  # of a group: larger kernels take long to compile, and registers run out
MOST_OPERATIONS = 300  # of a group: each is written in two or three loops, and LLVM takes its time
MOST_TRIED = 8  # of the groups that read a value, how many that follow one are looked at
MOST_INPUTS = 48
MOST_PIECES = 4  # of a concatenation
OPERATIONS_OF_BITS = 120  # of Threefry, for each element
CHEAP = 4  # operations that are rather done again than kept in memory
SHARED_FROM = 1 << 12  # elements of a value that is worth reading only once


class Group:
    """Nodes that are computed together, or one node that cannot be fused."""

    def __init__(
        self, number: int, node: GraphNode, space: Shape | None, axes: tuple[int, ...]
    ) -> None:
        self.number = number
        self.nodes = [node]
        self.space = space  # None: not to be joined
        self.axes = axes
        self.needs: set[Group] = set()
        self.needed_by: set[Group] = set()
        # as sets of bits: its own number (and those of groups put into it), and the numbers of all
        # that it needs, directly or through others
        self.own = 1 << number
        self.reached = 0
        self.full: set[Value] = set()
        self.rows: set[Value] = set()
        self.reads: dict[Value, None] = {}  # what its nodes read that others make
        self.operations = 0
        self.apart: dict[Group, str] = {}  # groups that it reads from, and why it is none of them

    @property
    def label(self) -> str:
        return "_".join(_names(self.nodes))

    @property
    def kept(self) -> Shape:
        assert self.space is not None
        return tuple(n for axis, n in enumerate(self.space) if axis not in self.axes)

    def reaches(self, target: Group) -> bool:
        """Whether it is the other group, or needs it, directly or through others."""
        return bool((self.own | self.reached) & target.own)

    def need(self, others: Iterable[Group]) -> None:
        """Need other groups from now on."""
        bits = 0
        for other in others:
            if other is not self:
                self.needs.add(other)
                other.needed_by.add(self)
                bits |= other.own | other.reached
        self._reach(bits)

    def _reach(self, bits: int) -> None:
        waiting: list[Group] = [self]
        while waiting:
            group = waiting.pop()
            if bits & ~group.reached:
                group.reached |= bits
                waiting += group.needed_by

    def absorb(self, other: Group) -> None:
        """Stand for another group too: need what it needs, and be needed where it is."""
        for needed in other.needs:
            needed.needed_by.discard(other)
        self.own |= other.own
        self.need(needed for needed in other.needs)
        for third in other.needed_by:
            third.needs.discard(other)
            third.need([self])
        self.needs.discard(other)


def fuse(graph: Graph) -> Graph:
    """Put nodes into `Fused` primitives.

    Before: every node is a view, has a lowering, or runs on the host.
    """
    return _Fusion(graph).run()


class _Fusion:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.producers = graph.producers()
        self.uses = graph.uses()
        self.outputs = set(graph.outputs)
        self.group_of: dict[Value, Group] = {}
        self.groups: dict[Group, None] = {}  # in the order in which they were formed
        self.formed = 0
        self.inlined: dict[GraphNode, int] = {}  # cheap nodes, and how many operations they are
        # of what is read through: the values that are no movement from which it is read
        self.bases: dict[Value, tuple[Value, ...]] = {}
        self.below: dict[Value, Value] = {}  # of movement: what is moved
        self.last_effect: Group | None = None
        self.spaces = {node: _space(node) for node in graph.nodes}
        self.open = self._read_by_groups()

    def run(self) -> Graph:
        for node in self.graph.nodes:
            if node.primitive.transparent:
                for source in node.inputs[:1]:
                    self.below[node.output] = self.below.get(source, source)
                self._read_through(node)
                continue
            cost = self._cost(node)
            if cost <= CHEAP and node.output in self.open:
                self.inlined[node] = cost
                self._read_through(node)
            else:
                self._place(node)
        self._merge_neighbours()
        return self._rebuild()

    def _read_through(self, node: GraphNode) -> None:
        found = dict.fromkeys(base for source in node.inputs for base in self._bases(source))
        self.bases[node.output] = tuple(found)

    # --- cheap nodes are computed where they are needed ------------------------------------------

    def _is_read_through(self, node: GraphNode | None) -> bool:
        """Whether groups read through a node instead of reading its result."""
        return node is not None and (node.primitive.transparent or node in self.inlined)

    def _cost(self, node: GraphNode) -> int:
        """The operations of an elementwise node and of what is computed on the way to it."""
        if not isinstance(node.primitive, Elementwise) or self.spaces[node][0] is None:
            return CHEAP + 1
        own = operations_of(node.primitive.function, tuple(value.dtype for value in node.inputs))
        large = sum(size_of(value.shape) == size_of(node.output.shape) for value in node.inputs)
        if large > 2:
            return CHEAP + 1
        below = {self.producers.get(self.below.get(value, value)) for value in node.inputs}
        return own + sum(self.inlined[n] for n in below if n in self.inlined)

    def _read_by_groups(self) -> set[Value]:
        """The values of which all that read them can compute them themselves."""
        found: set[Value] = set()
        for node in reversed(self.graph.nodes):
            if len(node.outputs) != 1 or node.output in self.outputs:
                continue
            if all(
                use.output in found
                if use.primitive.transparent
                else self.spaces[use][0] is not None
                for use in self.uses.get(node.output, ())
            ):
                found.add(node.output)
        return found

    # --- forming groups -------------------------------------------------------------------------

    def _place(self, node: GraphNode) -> None:
        sources = dict.fromkeys(s for value in node.inputs for s in self._bases(value))
        needed = {self.group_of[s] for s in sources if s in self.group_of}
        space, axes = self.spaces[node]
        apart: dict[Group, str] = {}
        if space is not None:
            for group in sorted(needed, key=lambda g: -g.number):
                why_not = self._join(group, node, space, axes, needed)
                if not why_not:
                    group.apart |= apart
                    for other in sorted(needed - {group}, key=lambda g: -g.number):
                        self._merge(other, group)
                    return
                apart[group] = why_not
        group = Group(self.formed, node, space, axes)
        self.formed += 1
        group.apart = apart
        group.need(needed)
        if node.primitive.has_effect:  # effects keep their order
            group.need([] if self.last_effect is None else [self.last_effect])
            self.last_effect = group
        self._add_value(group, node)
        group.reads, group.operations = self._reads_of(node), _size(node)
        self.groups[group] = None

    def _add_value(self, group: Group, node: GraphNode) -> None:
        for value in node.outputs:
            self.group_of[value] = group
        if group.space is not None:
            row = isinstance(node.primitive, Reduce) and not unrolls(node)
            if row or size_of(node.output.shape) != size_of(group.space):
                group.rows.add(node.output)
            else:
                group.full.add(node.output)

    def _bases(self, value: Value) -> tuple[Value, ...]:
        """The values that are not movement from which a value is read."""
        found = self.bases.get(value)
        return (value,) if found is None else found

    def _reads_of(self, node: GraphNode) -> dict[Value, None]:
        """What a node reads, each value once, as they come."""
        return dict.fromkeys(base for value in node.inputs for base in self._bases(value))

    def _join(
        self, group: Group, node: GraphNode, space: Shape, axes: tuple[int, ...], needed: set[Group]
    ) -> str:
        """Let a node join a group, if it can; else say why not."""
        if group.space is None:
            return "it has a kernel of its own"
        if len(group.nodes) >= MOST_NODES:
            return f"{MOST_NODES} operations are the most for one kernel"
        if group.operations + _size(node) > MOST_OPERATIONS:
            return f"together they would be more than {MOST_OPERATIONS} operations on numbers"
        joined = self._shared_space(group, node, space, axes)
        if joined is None:
            assert group.space is not None
            cut = size_of(space) == size_of(group.kept) and splits(group.space, group.axes)
            return reasons.other_loops((space, axes), (group.space, group.axes), bool(cut))
        if any(other is not group and other.reaches(group) for other in needed):
            return "what it makes is needed by way of a third kernel, too"
        reads = group.reads | _made_outside(self._reads_of(node), group)
        if len(reads) > MOST_INPUTS:
            return f"together they would read more than {MOST_INPUTS} arrays"
        shared, shared_axes, is_row = joined
        if not self._aligned(group, node, shared, shared_axes, is_row):
            return "its elements are needed at other places of the loops than where they are made"
        group.space, group.axes = shared, shared_axes
        group.nodes.append(node)
        group.reads = reads
        group.operations += _size(node)
        group.need(needed)
        for value in node.outputs:
            self.group_of[value] = group
        (group.rows if is_row else group.full).add(node.output)
        return ""

    def _merge(self, other: Group, group: Group) -> bool:
        """Put two groups together that walk the same loops, if neither needs a third in between."""
        if other.space is None or group.space is None or other is group:
            return False
        if len(other.nodes) + len(group.nodes) > MOST_NODES:
            return False
        if other.operations + group.operations > MOST_OPERATIONS:
            return False
        joined = _common_space(other, group)
        if joined is None:
            return False
        if other.reaches(group) or any(
            third.reaches(other) for third in group.needs if third is not other
        ):
            return False
        reads = _made_outside(_made_outside(other.reads | group.reads, other), group)
        if len(reads) > MOST_INPUTS:
            return False
        space, axes = joined
        for node in group.nodes:
            is_row = node.output in group.rows
            if not self._aligned(other, node, space, axes, is_row):
                return False
        group.space, group.axes = space, axes
        group.nodes = other.nodes + group.nodes
        group.absorb(other)
        group.reads = reads
        group.operations += other.operations
        group.full |= other.full
        group.rows |= other.rows
        group.apart |= other.apart
        for node in other.nodes:
            self.group_of[node.output] = group
        del self.groups[other]
        return True

    def _merge_neighbours(self) -> None:
        """Put groups together that read the same large values in the same loops.

        Of many that read a value each is tried with some that follow: all pairs would be too many.
        """
        readers: dict[Value, list[Group]] = {}
        for group in list(self.groups):
            if group.space is None:
                continue
            for value in group.reads:
                if size_of(value.shape) == size_of(group.space) >= SHARED_FROM:
                    readers.setdefault(value, []).append(group)
        for groups in readers.values():
            for i, first in enumerate(groups):
                for second in groups[i + 1 : i + 1 + MOST_TRIED]:
                    if first in self.groups and second in self.groups:
                        self._merge(first, second)

    def _shared_space(
        self, group: Group, node: GraphNode, space: Shape, axes: tuple[int, ...]
    ) -> tuple[Shape, tuple[int, ...], bool] | None:
        """The loops of the group with the node in it, and whether the node is one value a row."""
        assert group.space is not None
        if axes:  # a reduction: its result is one value a row
            if not group.axes and size_of(group.space) == size_of(space):
                return space, axes, True
            return (space, axes, True) if (space, axes) == (group.space, group.axes) else None
        split = splits(group.space, group.axes)
        if size_of(space) == size_of(group.space):
            return group.space, group.axes, False
        if group.axes and size_of(space) == size_of(group.kept) and not split:
            return group.space, group.axes, True
        return None

    def _aligned(
        self, group: Group, node: GraphNode, space: Shape, axes: tuple[int, ...], is_row: bool
    ) -> bool:
        """Whether the node uses what the group makes at the place where the group makes it."""
        full, position, row = _loops(space, axes)
        reduces = bool(axes) and isinstance(node.primitive, Reduce) and not unrolls(node)
        chunked = splits(space, axes)
        for value in node.inputs:
            if reduces:
                where: Sequence[Index] | None = full if value.shape == space else None
            else:
                shape = node.output.shape
                own = _unflattened(row if is_row else position, shape)
                where = _operand_index(node, value, own)
            for source, index in self._reads(value, where):
                if self.group_of.get(source) is not group:
                    continue
                if index is None:
                    return False
                place = _flattened(tuple(index), source.shape)
                if source in group.rows:
                    if chunked or place != row:
                        return False
                elif place != position or (is_row and not reduces):
                    return False
        return True

    def _reads(
        self, value: Value, where: Sequence[Index] | None
    ) -> Iterator[tuple[Value, Sequence[Index] | None]]:
        """What a value is read from, through movement, and at which index (None: unknown)."""
        waiting = [(value, where)]
        while waiting:
            value, where = waiting.pop()
            node = self.producers.get(value)
            if node is None or not self._is_read_through(node):
                yield value, where
                continue
            for source in reversed(node.inputs):
                waiting.append(
                    (source, None if where is None else _operand_index(node, source, where))
                )

    # --- the new graph --------------------------------------------------------------------------

    def _rebuild(self) -> Graph:
        """Groups in an order in which they can run, each as one node."""
        nodes: list[GraphNode] = []
        made: set[Value] = {*self.graph.inputs, *self.graph.constants}
        for group in _in_order(self.groups):
            for member in group.nodes:
                for value in member.inputs:
                    self._show(value, nodes, made, group)
            if group.space is None:
                (node,) = group.nodes
                note = Note(reasons.of_single(node, MOST_PIECES))
                nodes.append(GraphNode(node.primitive, node.inputs, node.outputs, node.where, note))
                made.update(node.outputs)
            else:
                nodes.append(self._fused(group))
                made.update(nodes[-1].outputs)
        for value in self.graph.outputs:
            self._show(value, nodes, made, None)
        return Graph(self.graph.inputs, nodes, self.graph.outputs, self.graph.constants)

    def _show(
        self, value: Value, nodes: list[GraphNode], made: set[Value], group: Group | None
    ) -> None:
        """Add the movement that leads to a value, for those who cannot read through it."""
        if group is not None and group.space is not None:
            return
        shown: list[GraphNode] = []
        waiting = [value]
        while waiting:
            value = waiting.pop()
            node = self.producers.get(value)
            if value not in made and node is not None and node.primitive.transparent:
                shown.append(node)
                made.add(value)
                waiting += node.inputs
        nodes += reversed(shown)

    def _fused(self, group: Group) -> GraphNode:
        outputs = [v for node in group.nodes for v in node.outputs if self._leaves(v, group)]
        inputs, nodes = self._collect(outputs, set(group.nodes))
        inner = Graph(inputs, nodes, outputs)
        shown = [node for node in nodes if not node.primitive.transparent]
        label = "_".join(_names(shown))
        assert group.space is not None
        primitive = Fused(inner, group.space, group.axes, label)
        note = self._note(group, nodes)
        return GraphNode(primitive, inputs, outputs, group.nodes[-1].where, note)

    def _collect(
        self, outputs: Sequence[Value], members: set[GraphNode]
    ) -> tuple[list[Value], list[GraphNode]]:
        """What values are computed from outside of their group, and the nodes that do so, in order."""
        inputs: dict[Value, None] = {}
        nodes: dict[GraphNode, None] = {}
        waiting = list(reversed(outputs))
        opened: set[Value] = set()
        while waiting:
            value = waiting[-1]
            node = self.producers.get(value)
            if node is None or not (node in members or self._is_read_through(node)):
                inputs[value] = None
            elif value not in opened:
                opened.add(value)
                waiting += [x for x in reversed(node.inputs) if x not in opened and x not in inputs]
                continue
            else:
                nodes[node] = None
            waiting.pop()
        return list(inputs), list(nodes)

    def _note(self, group: Group, nodes: Sequence[GraphNode]) -> Note:
        shown = [node for node in nodes if not node.primitive.transparent]
        again = sum(node in self.inlined for node in nodes)
        apart = [
            (other.label, why)
            for other, why in group.apart.items()
            if other in self.groups and other is not group
        ]
        assert group.space is not None
        return reasons.of_group(len(shown), again, CHEAP, (group.space, group.axes), apart)

    def _leaves(self, value: Value, group: Group) -> bool:
        """Whether anything outside the group reads a value."""
        waiting, seen = [value], {value}
        while waiting:
            value = waiting.pop()
            if value in self.outputs:
                return True
            for node in self.uses.get(value, ()):
                if self._is_read_through(node):
                    if node.output not in seen:
                        seen.add(node.output)
                        waiting.append(node.output)
                elif not node.outputs or self.group_of[node.outputs[0]] is not group:
                    return True
        return False


def _made_outside(reads: dict[Value, None], group: Group) -> dict[Value, None]:
    """What is read but not made by a group."""
    return {value: None for value in reads if value not in group.full and value not in group.rows}


def _size(node: GraphNode) -> int:
    """How many operations on numbers a node is for each element of its loops."""
    if isinstance(node.primitive, RandomBits):
        return OPERATIONS_OF_BITS
    if not isinstance(node.primitive, Elementwise):
        return 1
    if any(value.dtype.is_complex for value in node.inputs):
        return 1
    return operations_of(node.primitive.function, tuple(value.dtype for value in node.inputs))


# The layers of a model ask for the same index maps again and again.


@functools.lru_cache(maxsize=4096)
def _loops(space: Shape, axes: tuple[int, ...]) -> tuple[tuple[Index, ...], Index, Index]:
    """The loops of a space, the place of an element, and the number of its row."""
    full = tuple(maps.loop(Dim(axis, n)) for axis, n in enumerate(space))
    kept = [axis for axis in range(len(space)) if axis not in axes]
    row = maps.flatten([full[axis] for axis in kept], tuple(space[axis] for axis in kept))
    return full, maps.flatten(full, space), row


@functools.lru_cache(maxsize=4096)
def _flattened(indices: tuple[Index, ...], shape: Shape) -> Index:
    return maps.flatten(indices, shape)


@functools.lru_cache(maxsize=4096)
def _unflattened(position: Index, shape: Shape) -> tuple[Index, ...]:
    return tuple(maps.unflatten(position, shape))


@functools.lru_cache(maxsize=4096)
def operations_of(function: ScalarFunction, kinds: tuple[DType, ...]) -> int:
    """How many operations a scalar function is."""
    return sum(bool(part.arguments) for part in postorder(core(function.expression(kinds))))


def _common_space(a: Group, b: Group) -> tuple[Shape, tuple[int, ...]] | None:
    """The loops in which two groups could run together."""
    assert a.space is not None
    assert b.space is not None
    if (a.space, a.axes) == (b.space, b.axes):
        return a.space, a.axes
    if size_of(a.space) != size_of(b.space) or (a.axes and b.axes):
        return None
    return (a.space, a.axes) if a.axes else (b.space, b.axes)


def _names(nodes: Sequence[GraphNode]) -> list[str]:
    """The names of what a kernel does, shortened in the middle."""
    names = [node.primitive.name for node in nodes]
    distinct = list(dict.fromkeys(names))
    return distinct if len(distinct) <= 6 else [*distinct[:3], "to", *distinct[-2:]]


def _space(node: GraphNode) -> tuple[Shape | None, tuple[int, ...]]:
    """The loops of a node, or None if it cannot be fused."""
    if len(node.outputs) != 1:
        return None, ()
    for value in (*node.inputs, *node.outputs):
        if value.dtype.is_complex or 0 in value.shape:
            return None, ()
    if isinstance(node.primitive, Reduce) and not unrolls(node):
        if not node.primitive.axes:
            return None, ()
        return node.inputs[0].shape, node.primitive.axes
    if isinstance(node.primitive, Movement) and len(node.inputs) > MOST_PIECES:
        return None, ()  # one copy for each piece is better than asking everywhere which one it is
    if isinstance(node.primitive, RandomBits) and len(node.inputs[0].shape) > 1:
        return None, ()  # many keys
    if isinstance(node.primitive, MAPS) or unrolls(node):
        return node.output.shape, ()
    return None, ()


def _operand_index(node: GraphNode, value: Value, own: Sequence[Index]) -> Sequence[Index] | None:
    """Where a map reads an operand, if that is one place only."""
    if isinstance(node.primitive, Elementwise):
        return maps.broadcast(own, value.shape)
    if not isinstance(node.primitive, Movement):
        return None
    found = node.primitive.index_map([x.shape for x in node.inputs], node.output.shape)
    pieces = [piece for piece in found.pieces if node.inputs[piece.operand] is value]
    if len(pieces) != 1 or not pieces[0].is_whole:
        return None
    if pieces[0].axes is None:
        return _unflattened(_flattened(tuple(own), node.output.shape), value.shape)
    return pieces[0].source(own, value.shape, node.output.shape)


def _in_order(groups: Iterable[Group]) -> list[Group]:
    """The groups, each after those it needs; otherwise as they were formed."""
    done: dict[Group, None] = {}

    def visit(root: Group) -> None:
        stack = [(root, iter(sorted(root.needs, key=lambda g: g.number)))]
        opened = {root}
        while stack:
            group, needs = stack[-1]
            following = next((g for g in needs if g not in done and g not in opened), None)
            if following is None:
                stack.pop()
                done[group] = None
            else:
                opened.add(following)
                stack.append((following, iter(sorted(following.needs, key=lambda g: g.number))))

    for group in groups:
        if group not in done:
            visit(group)
    return list(done)
