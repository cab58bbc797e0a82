"""The statements of a group, in the loops that are open: placeholders become reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from tessella.compiler.lowering.access import cast_parts
from tessella.compiler.lowering.computation import Computation, Shape
from tessella.compiler.lowering.passes import Pass
from tessella.compiler.lowering.spaces import Numbers
from tessella.loops.nest import (
    Carried,
    Combine,
    Fetch,
    Loop,
    Pointer,
    Statement,
    Store,
    index_constant,
    index_variable,
    load,
)
from tessella.primitives.graph import GraphNode, Value
from tessella.primitives.index import Dim, Index, Part
from tessella.primitives.monoid import neutral
from tessella.scalar import operators
from tessella.scalar.expression import Expression, variable
from tessella.scalar.rewriting import Substitution, substitute
from tessella.sizes.size import is_symbolic

LONG_ROW = 1024  # bytes from which on the next row is fetched ahead
SHORTEST = 4  # lanes of a vector for what is left of a row
LONG_LOOP = 8  # vectors, of which what is left over is a small part
LIGHT = 3  # up to this weight of what is done for an element, several vectors go abreast


class Memory(NamedTuple):
    """What the kernel of a group writes to.

    Args:
        target: the pointers of each result, several for the partial results of a chunked reduction.
        local: rows on the stack.
    """

    target: dict[Value, tuple[Pointer, ...]]
    local: dict[Value, Pointer]

    @property
    def outputs(self) -> tuple[Pointer, ...]:
        return tuple(pointer for own in self.target.values() for pointer in own)


def memory_of(computation: Computation, number: Numbers, row: int, chunks: int = 1) -> Memory:
    """Pointers for the results of a group, and for what it keeps.

    Args:
        row: the elements of a row.
        chunks: in how many parts a row is reduced.
    """
    target: dict[Value, tuple[Pointer, ...]] = {}
    plan, carried = computation.plan, computation.carried
    for place, value in enumerate(computation.fused.graph.outputs):
        node = plan.producers[value]
        if chunks > 1 and node in carried:
            target[value] = tuple(
                Pointer(f"part{place}_{i}", part.dtype, written=True)
                for i, part in enumerate(carried[node])
            )
        else:
            target[value] = (Pointer(f"y{place}", value.dtype, written=True),)
    local: dict[Value, Pointer] = {}
    for value in plan.stash:
        if value not in target:
            local[value] = Pointer(f"row{len(local)}", value.dtype, True, number(row))
    return Memory(target, local)


class Chunk(NamedTuple):
    """A part of a row that a thread reduces.

    Args:
        parts: how many a row has.
        place: which one it is.
        rows: how many rows there are.
    """

    parts: int
    place: Expression
    rows: int


class Writer:
    """Writes the statements of a group.

    Args:
        number: the sizes of the kernel.
        at: the loops that are open, and where each one is; more are opened as statements are written.
        vector: the loop that vectors go along.
        chunk: which part of a row is reduced, if it is cut into several.
    """

    def __init__(
        self, computation: Computation, shape: Shape, memory: Memory, number: Numbers,
        at: dict[Dim, Expression], vector: Dim, chunk: Chunk | None = None,
    ) -> None:  # fmt: skip
        self.computation, self.plan, self.of = computation, computation.plan, computation.of
        self.fused, self.shape, self.loops = computation.fused, shape, shape.loops
        self.memory, self.number, self.at = memory, number, at
        self.vector, self.chunk = vector, chunk
        self.placed_at: Any = None  # the loops for which `placed` was made
        self.placed = Substitution({})

    def passes(self) -> tuple[Statement, ...]:
        """All passes, and what there is once for each row."""
        statements: list[Statement] = []
        again = range(1, len(self.plan.passes))  # the passes that find the row in the caches
        busiest = max(again, key=self.computation.weight_of, default=None)
        for number, step in enumerate(self.plan.passes):
            kept = [v for v in self.plan.kept_by(number) if v not in self.memory.target]
            stores = [*step.stores, *kept]
            if not self.loops.reduced:
                statements += [store for _ in self._turns() for store in self._stores(stores)]
                statements += self._alone(step)
            elif step.reductions or stores:
                ahead = self._next_row() if number == busiest else []
                statements.append(self._nest(number, stores, ahead, 0))
        for value in self.plan.rows:
            statements += self._row(value)
        return tuple(statements)

    def _row(self, value: Value) -> list[Statement]:
        """What there is once for each row, or for each part of it."""
        pointers, place = self.memory.target[value], self._expression(self.of.row)
        carried = self.computation.carried.get(self.plan.producers[value])
        if self.chunk is None or carried is None:
            return [Store(pointers[0], place, self._ready(self.computation.values[value]))]
        at = self.chunk.place * self.number(self.chunk.rows) + place
        return [Store(pointer, at, part) for pointer, part in zip(pointers, carried, strict=True)]

    def _next_row(self) -> list[Pointer]:
        """What the next row reads and writes, to be fetched while this one is gone through again.

        The processor by itself fetches no further than the end of a page, and a row is often one.
        """
        reduced, rank = self.fused.axes, len(self.fused.space)
        in_order = reduced == tuple(range(rank - len(reduced), rank))
        if self.shape.columns or self.chunk is not None or not in_order:
            return []
        along = {a.operand for a in self.of.accesses if a.where == self.of.position}
        pointers = [self.computation.inputs[operand] for operand in sorted(along)]
        target = self.memory.target
        pointers += [own[0] for value, own in target.items() if value not in self.plan.rows]
        row = self.shape.row_length()
        return [p for p in pointers if row * p.dtype.itemsize >= LONG_ROW]

    def _fetches(self, pointers: Sequence[Pointer]) -> list[Statement]:
        if not pointers:
            return []
        place = self._expression(self.of.position) + self.number(self.shape.row_length())
        return [Fetch(pointer, place) for pointer in pointers]

    def _alone(self, step: Pass) -> list[Statement]:
        """Reductions over axes of size 1: a loop of one turn."""
        if not step.reductions:
            return []
        carries = self._carries([self._items(step)], 0)
        return [Loop(index_variable("once"), index_constant(1), (), carried=carries)]

    def _items(self, step: Pass) -> dict[GraphNode, tuple[Expression, ...]]:
        """What each reduction of a pass is given for an element."""
        items = self.computation.items
        return {node: tuple(self._ready(part) for part in items[node]) for node in step.reductions}

    def _nest(self, number: int, stores: list[Value], ahead: list[Pointer], level: int) -> Loop:
        """The loops of a pass, from a level inwards; the innermost stores values and fetches ahead."""
        step, reduced = self.plan.passes[number], self.shape.walked()
        dim = reduced[level]
        r = index_variable(f"i{level}")
        extent: Expression = self.number(dim.size)
        index: Expression = r
        if self.chunk is not None and level == 0:
            per_chunk = self.number(-(-dim.size // self.chunk.parts))
            index = self.chunk.place * per_chunk + r
            left = operators.maximum(extent - self.chunk.place * per_chunk, 0)
            extent = operators.minimum(left, per_chunk)
        self.at[dim] = index
        if level < len(reduced) - 1:
            inner = self._nest(number, stores, ahead, level + 1)
            items = {node: self._carried_at(node, level + 1) for node in step.reductions}
            return Loop(r, extent, (inner,), carried=self._carries([items], level))
        body, given = [], []
        for _ in self._turns():
            body += self._stores(stores)
            given.append(self._items(step))
        carries = self._carries(given, level)
        body += self._fetches(ahead)
        if self.shape.columns:
            return Loop(r, extent, tuple(body), carried=carries)
        lanes = fitting(self._unrolled_lanes(number, dim), dim.size)
        combine = self._combine(step) if carries and lanes > 1 else None
        rest = rest_of(lanes, dim.size)
        return Loop(
            r, extent, tuple(body), lanes=lanes, carried=carries, combine=combine, rest=rest
        )

    def _turns(self) -> Iterator[None]:
        """Once for each turn of the loop that is written out, which is open then; once if there is none."""
        short = self.shape.short
        for turn in range(1 if short is None else short.size):
            if short is not None:
                self.at[short] = index_constant(turn)
            yield

    # --- running values -------------------------------------------------------------------------

    def _carried_at(self, node: GraphNode, level: int) -> tuple[Expression, ...]:
        """The running values of a reduction in a loop; the outermost one holds the final ones."""
        carried = self.computation.carried[node]
        if level == 0:
            return carried
        return tuple(variable(f"{c.static}_{level}", c.dtype) for c in carried)

    def _carries(
        self, turns: Sequence[dict[GraphNode, tuple[Expression, ...]]], level: int
    ) -> tuple[Carried, ...]:
        """What a loop carries, which is given so many items in each turn."""
        carries: list[Carried] = []
        for node in turns[0]:
            monoid: Any = node.primitive.monoid  # type: ignore[attr-defined]
            carried, starts = self._carried_at(node, level), neutral(monoid, node.inputs[0].dtype)
            nexts = carried
            for items in turns:
                combined = monoid.combine(nexts, items[node])
                nexts = cast_parts(combined, [c.dtype for c in carried])
            carries += [Carried(*one) for one in zip(carried, starts, nexts, strict=True)]
        return tuple(carries)

    def _combine(self, step: Pass) -> Combine:
        left: list[Expression] = []
        right: list[Expression] = []
        results: list[Expression] = []
        for node in step.reductions:
            primitive: Any = node.primitive
            kinds = [c.dtype for c in self.computation.carried[node]]
            a = tuple(variable(f"left{len(left) + i}", kind) for i, kind in enumerate(kinds))
            b = tuple(variable(f"right{len(right) + i}", kind) for i, kind in enumerate(kinds))
            left += a
            right += b
            results += cast_parts(primitive.monoid.combine(a, b), kinds)
        return Combine(tuple(left), tuple(right), tuple(results))

    def _unrolled_lanes(self, number: int, dim: Dim) -> int:
        """Several accumulators hide the latency of additions, where rows are long and little is done
        for an element; with much to do there is no latency to hide, and registers would not suffice.
        """
        lanes, reductions = self.shape.lanes, self.plan.passes[number].reductions
        carried = [c for node in reductions for c in self.computation.carried[node]]
        # bits have no latency, and long vectors of them are slow to compile
        if any(c.dtype.is_bool for c in carried):
            return lanes
        long, light = dim.size >= 8 * lanes, self.computation.weight_of(number) <= LIGHT
        few = len(carried) == 1 and len(self.computation.inputs) <= 3
        return 4 * lanes if long and light and few else lanes

    # --- stores -----------------------------------------------------------------------------------

    def _stores(self, values: Sequence[Value]) -> list[Statement]:
        statements: list[Statement] = []
        for value in values:
            pointer, place = self._kept_at(value)
            statements.append(Store(pointer, place, self._ready(self.computation.values[value])))
        return statements

    def _kept_at(self, value: Value) -> tuple[Pointer, Expression]:
        """Where a full value is stored: in its result, or in a row on the stack."""
        if value in self.memory.target:
            return self.memory.target[value][0], self._expression(self.of.position)
        place = index_constant(0)
        for dim in self.loops.reduced:
            place = place * self.number(dim.size) + self.at[dim]
        if self.shape.columns and self.vector in self.at:
            place = place * self.number(self.vector.size) + self.at[self.vector]
        return self.memory.local[value], place

    # --- placeholders become reads --------------------------------------------------------------

    def _expression(self, index: Index) -> Expression:
        return self._sum(self.loops.rename(index))

    def _sum(self, index: Index) -> Expression:
        total = self.number(index.constant) if index.constant else index_constant(0)
        for atom, factor in index.terms:
            if isinstance(atom, Part):
                inner = self._sum(atom.of)
                rule = operators.quotient if atom.kind == "//" else operators.modulo
                value = rule(inner, self._fixed(atom.divisor))
            else:
                value = self.at[atom]
            step = self._fixed(factor) if atom == self.vector else self.number(factor)
            total = total + value * step
        return total

    def _fixed(self, value: Any) -> Expression:
        """A number that is a part of the kernel, if it is known."""
        return self.number(value) if is_symbolic(value) else index_constant(value)

    def _ready(self, root: Expression) -> Expression:
        """An expression with its placeholders replaced by reads and positions."""
        where = tuple(self.at.items())
        if where != self.placed_at:
            self.placed_at, self.placed = where, Substitution(self._placed())
        return self.placed(root)

    def _placed(self) -> dict[Expression, Expression]:
        """What stands for each placeholder in the loops that are open."""
        replaced: dict[Expression, Expression] = {}
        for index, name in self.of.positions.items():
            if index.dims() <= self._present():
                replaced[name] = self._expression(index)
        for size, name in self.of.sizes.items():
            replaced[name] = self.number(size)
        for value, name in self.computation.read_back.items():
            if set(self.loops.reduced) <= set(self.at):
                pointer, place = self._kept_at(value)
                replaced[name] = load(pointer, place)
        for access, name in self.of.accesses.items():
            if access.where.dims() <= self._present():
                mask = None if access.mask is None else substitute(access.mask, replaced)
                place = self._expression(access.where)
                replaced[name] = load(self.computation.inputs[access.operand], place, mask)
        return replaced

    def _present(self) -> set[Dim]:
        """The axes whose loops are open."""
        return {dim for dim, (whole, _) in self.loops.renamed.items() if whole in self.at}


def fitting(lanes: int, size: int) -> int:
    """No more lanes than there are turns, so that short loops come in vectors too."""
    while lanes > 1 and lanes > size:
        lanes //= 2
    return lanes


def rest_of(lanes: int, size: int) -> int:
    """The lanes of shorter vectors for what is left of a row; 1 where that is little, or the row long."""
    if is_symbolic(size) or lanes < 2 * SHORTEST or size > LONG_LOOP * lanes:
        return 1
    vector = lanes // 4 if lanes > 16 else lanes
    return SHORTEST if size % vector >= SHORTEST else 1
