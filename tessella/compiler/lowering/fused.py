"""Fused groups: one loop nest for many primitives.

The loops are those of the group's *space*. Axes that are reduced are the inner ones. Between two
reductions that depend on each other the inner loops are gone through again: softmax is a pass for the
maximum, one for the sum, and one for the result, over a row that stays in the cache.

    for row in parallel(kept axes):
        for i in reduced axes:   pass 0: what needs no reduction; reductions of it
        for i in reduced axes:   pass 1: what needs the results of pass 0
        ...
        what there is once for each row

Every value is followed back to what is in memory, through an index map (`tessella.primitives.index`):
movement costs nothing, and each element is computed where it is needed. A value that is expensive and
needed in several passes is kept in memory in between.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from tessella.compiler.lowering.access import (
    Evaluator,
    Splits,
    cast_parts,
    wanted_splits,
)
from tessella.compiler.lowering.elementwise import safe
from tessella.compiler.lowering.kernels import call, decode, lanes_for
from tessella.compiler.lowering.passes import Pass, Plan, splits
from tessella.compiler.lowering.reduce import CHUNK, MOST_CHUNKS, NARROW, second_stage
from tessella.compiler.lowering.spaces import Loops, Numbers
from tessella.compiler.recipe import MOST_KERNELS, FusedRecipe
from tessella.devices.array import Layout, contiguous_layout
from tessella.loops.nest import (
    Carried,
    Combine,
    Fetch,
    Kernel,
    Loop,
    Pointer,
    Statement,
    Store,
    index_constant,
    index_variable,
    load,
)
from tessella.primitives import index as maps
from tessella.primitives.base import Spec, size_of
from tessella.primitives.fused import Fused, Origin
from tessella.primitives.graph import Node, Value
from tessella.primitives.index import Dim, Index, Part
from tessella.primitives.monoid import neutral
from tessella.scalar import operators
from tessella.scalar.expression import Expression, postorder, variable
from tessella.scalar.precision import core
from tessella.scalar.rewriting import Substitution, substitute
from tessella.sizes import Guard, is_symbolic

MOST_STASHED = 8192  # elements of a row that are kept on the stack
LONG_ROW = 1024  # bytes from which on the next row is fetched ahead
LIGHT = 3  # up to this weight of what is done for an element, several vectors go abreast

_recipes: dict[Any, FusedRecipe] = {}


def lower(fused: Fused, layouts: Sequence[Layout], results: Sequence[Spec]) -> FusedRecipe:
    """The calls of a fused group; groups of one structure, as the layers of a model, share them."""
    if fused.origin is not None:
        recipe = _for_many_sizes(fused.origin, layouts)
        if recipe is not None:
            return recipe
    key = structure(fused, layouts)
    found = _recipes.get(key)
    if found is None:
        if len(_recipes) >= MOST_KERNELS:
            _recipes.clear()
        found = _recipes[key] = Nest(fused, layouts).recipe()
    return found


_symbolic_recipes: dict[Any, list[tuple[tuple[Guard, ...], FusedRecipe]]] = {}


def _for_many_sizes(origin: Origin, layouts: Sequence[Layout]) -> FusedRecipe | None:
    """The calls of a group with symbolic sizes; None if a layout is not known to be row-major.

    What the lowering asks about sizes goes with the recipe: it serves all sizes for which that holds.
    """
    fused, binding = origin.fused, origin.binding
    symbolic = []
    for value, layout in zip(fused.graph.inputs, layouts, strict=True):
        if any(is_symbolic(n) for n in value.shape):
            if layout is not contiguous_layout(layout.shape, layout.dtype):
                return None
            layout = contiguous_layout(value.shape, value.dtype)
        symbolic.append(layout)
    if len(_symbolic_recipes) >= MOST_KERNELS:
        _symbolic_recipes.clear()
    known = _symbolic_recipes.setdefault(structure(fused, symbolic), [])
    for guards, recipe in known:
        if all(guard.holds(binding) for guard in guards):
            return recipe.at(binding)
    with origin.scope.compiling(binding) as asked:
        recipe = Nest(fused, symbolic).recipe()
    known.append((tuple(asked), recipe))
    return recipe.at(binding)


def structure(fused: Fused, layouts: Sequence[Layout]) -> Any:
    """What a group's kernel depends on: its nodes and how they hang together, but not who they are."""
    numbers = {value: number for number, value in enumerate(fused.graph.inputs)}
    nodes = []
    for node in fused.graph.nodes:
        nodes.append((node.primitive, tuple(numbers[value] for value in node.inputs)))
        numbers[node.output] = len(numbers)
    outputs = tuple(numbers[value] for value in fused.graph.outputs)
    return tuple(nodes), outputs, tuple(layouts), fused.space, fused.axes


class Nest:
    """Writes the loop nest of one group."""

    def __init__(self, fused: Fused, layouts: Sequence[Layout]) -> None:
        self.fused = fused
        self.plan = Plan(fused)
        self.layouts = layouts
        self.results = tuple(contiguous_layout(v.shape, v.dtype) for v in fused.graph.outputs)
        self.number = Numbers()
        self.chunked = splits(fused.space, fused.axes) and bool(self.plan.looped)
        self.inputs = tuple(Pointer(f"x{i}", layout.dtype) for i, layout in enumerate(layouts))
        self.splits: Splits = {}
        self.placed_at: Any = None  # the loops for which `placed` was made
        self._evaluate()
        while len(wanted := self._wanted()) > len(self.splits):
            self.splits = wanted
            self._evaluate()
        self._choose_loops()
        if self._row_length() > MOST_STASHED:  # too long for the stack: computed again instead
            outputs = set(fused.graph.outputs)
            self.plan.stash = {v: n for v, n in self.plan.stash.items() if v in outputs}
            self._evaluate()
            self._choose_loops()

    def _wanted(self) -> Splits:
        """The splits there are, and those that would make index maps simpler; wishes go first."""
        wishes = {d: n for d, n in self.of.wishes.items() if d not in self.splits}
        if wishes:
            return {**self.splits, **wishes}
        return wanted_splits(self._indices(), self.splits)

    def _row_length(self) -> int:
        """Elements of a row: all reduced axes, and those that vectors go along."""
        length = math.prod(dim.size for dim in self.loops.reduced)
        return length * self.loops.kept[-1].size if self.columns and self.loops.kept else length

    # --- expressions ----------------------------------------------------------------------------

    def _evaluate(self) -> None:
        """The expressions of every pass, with placeholders."""
        of, plan = Evaluator(self.fused, self.layouts, self.splits), self.plan
        self.of = of
        self.items: dict[Node, tuple[Expression, ...]] = {}
        self.values: dict[Value, Expression] = {}
        self.carried: dict[Node, tuple[Expression, ...]] = {}
        self.read_back: dict[Value, Expression] = {}
        for number, step in enumerate(plan.passes):
            of.next_pass()
            for value, first in plan.stash.items():
                if first < number:
                    name = variable(f"kept{len(self.read_back)}", value.dtype)
                    of.kept[value] = self.read_back.setdefault(value, name)
            for node in step.reductions:
                self._reduction(node)
            wanted = [*step.stores, *(v for v, first in plan.stash.items() if first == number)]
            for value in wanted:
                where = maps.unflatten(of.position, value.shape)
                self.values[value] = of.at(value, where, None)
            for node in step.reductions:
                of.known[node.output] = self._final(node)
        of.next_pass()
        for value in plan.rows:
            if value not in of.known:
                self.values[value] = of.at(value, maps.unflatten(of.row, value.shape), None)
            else:
                self.values[value] = of.known[value]

    def _reduction(self, node: Node) -> None:
        primitive: Any = node.primitive
        (x,) = node.inputs
        monoid, kinds = primitive.monoid, primitive.monoid.accumulator(x.dtype)
        element = self.of.at(x, self.of.full, None)
        inner = [self.of.full[axis] for axis in self.fused.axes]
        sizes = [self.fused.space[axis] for axis in self.fused.axes]
        position = index_constant(0)
        if monoid.output:  # argmax and its kin ask where an element is
            position = self.of.number(maps.flatten(inner, sizes))
        self.items[node] = cast_parts(monoid.lift(element, position), kinds)
        count = len(self.carried)
        self.carried[node] = tuple(
            variable(f"total{count}_{part}", kind) for part, kind in enumerate(kinds)
        )

    def _final(self, node: Node) -> Expression:
        primitive: Any = node.primitive
        return operators.convert(self.carried[node][primitive.monoid.output], node.output.dtype)

    # --- loops ----------------------------------------------------------------------------------

    def _indices(self) -> list[Index]:
        """Everything that is computed from the loops' positions."""
        of = self.of
        indices = [access.where for access in of.accesses] + list(of.positions)
        return [*indices, of.position, *([of.row] if self.fused.axes else [])]

    def _choose_loops(self) -> None:
        indices = self._indices()
        self.loops = Loops(self.of.dims, self.fused.axes, indices)
        self.columns = self._by_columns(indices)
        self._count_lanes()

    def _count_lanes(self) -> None:
        roots = [*(e for items in self.items.values() for e in items), *self.values.values()]
        self.lanes = lanes_for(*roots)

    def _by_columns(self, indices: Sequence[Index]) -> bool:
        """Whether vectors go along the last kept axis, for groups that reduce."""
        if not self.loops.reduced:
            return True
        if not self.loops.kept or self.loops.kept[-1].size < NARROW:
            return False
        renamed = [self.loops.rename(access.where) for access in self.of.accesses]
        stored = sum(len(step.stores) for step in self.plan.passes)
        renamed += [self.loops.rename(self.of.position)] * stored
        score = {}
        for dim in (self.loops.kept[-1], self.loops.reduced[-1]):
            steps = [index.factor(dim) for index in renamed if index.is_affine]
            score[dim] = sum((step == 1) - 2 * (step not in (0, 1)) for step in steps)
        return score[self.loops.kept[-1]] > score[self.loops.reduced[-1]]

    def recipe(self) -> FusedRecipe:
        chunks = self._chunk_count() if self.chunked else 1
        self.chunks = chunks
        outputs = self._outputs(chunks)
        body = self._body(chunks)
        names = self.number.names
        label = safe(self.fused.label)[:60]
        kernel = Kernel(
            f"fused_{label}",
            (*self.inputs, *outputs, *self.locals), tuple(names.values()), (body,),
        )  # fmt: skip
        places = self._places(chunks)
        first = call(kernel, self.number.values(), self.total, self._work(), *places)
        calls = [first]
        scratch: list[int] = []
        if chunks > 1:
            calls += self._second_stages(chunks, scratch)
        return FusedRecipe(self.results, tuple(calls), tuple(scratch), self._in_step())

    def _chunk_count(self) -> int:
        wanted = min(MOST_CHUNKS, size_of(self.fused.space) // CHUNK)
        return max(1, min(wanted, self.loops.reduced[0].size)) if self.loops.reduced else 1

    def _outputs(self, chunks: int) -> tuple[Pointer, ...]:
        """A pointer for each result, or for the partial results of a chunked reduction."""
        pointers: list[Pointer] = []
        self.target: dict[Value, tuple[Pointer, ...]] = {}
        for number, value in enumerate(self.fused.graph.outputs):
            node = self.plan.producers[value]
            if chunks > 1 and node in self.carried:
                own = tuple(
                    Pointer(f"part{number}_{i}", part.dtype, written=True)
                    for i, part in enumerate(self.carried[node])
                )
            else:
                own = (Pointer(f"y{number}", value.dtype, written=True),)
            self.target[value] = own
            pointers += own
        self.locals: list[Pointer] = []
        for value in self.plan.stash:
            if value not in self.target:
                extent = self.number(self._row_length())
                local = Pointer(f"row{len(self.locals)}", value.dtype, True, extent)
                self.locals.append(local)
        return tuple(pointers)

    def _places(self, chunks: int) -> list[int]:
        """The buffers of the kernel's pointers."""
        inputs = len(self.inputs)
        scratch = inputs + len(self.results)
        places = list(range(inputs))
        for number, value in enumerate(self.fused.graph.outputs):
            if chunks > 1 and self.plan.producers[value] in self.carried:
                for _ in self.target[value]:
                    places.append(scratch)
                    scratch += 1
            else:
                places.append(inputs + number)
        return places

    def _second_stages(self, chunks: int, scratch: list[int]) -> Iterator[Any]:
        inputs = len(self.inputs)
        for number, value in enumerate(self.fused.graph.outputs):
            node = self.plan.producers[value]
            if node not in self.carried:
                continue
            primitive: Any = node.primitive
            count = size_of(value.shape)
            places = []
            for pointer in self.target[value]:
                places.append(inputs + len(self.results) + len(scratch))
                scratch.append(count * chunks * pointer.dtype.itemsize)
            dtype = node.inputs[0].dtype
            yield second_stage(primitive.monoid, dtype, chunks, count, *places, inputs + number)

    def _work(self) -> int:
        roots = [*(e for items in self.items.values() for e in items), *self.values.values()]
        weight = 1 + sum(1 for _ in postorder(*[core(root) for root in roots])) // 8
        return size_of(self.fused.space) * weight

    def _in_step(self) -> frozenset[int]:
        """Operands that are read only where the result is written, once."""
        if len(self.plan.passes) > 1 or self.plan.looped:
            return frozenset()
        wrong = {a.operand for a in self.of.accesses if a.where != self.of.position}
        return frozenset(range(len(self.inputs))) - wrong

    # --- the nest -------------------------------------------------------------------------------

    def _body(self, chunks: int) -> Loop:
        kept, reduced = self.loops.kept, self.loops.reduced
        self.at: dict[Dim, Expression] = {}
        self.vector: Dim | None = None
        row = index_variable("row")
        if self.columns:
            inner = kept[-1] if kept else Dim(-1, 1)
            outer = kept[:-1]
            self.vector = inner
        else:
            inner, outer = None, kept
            self.vector = reduced[-1]
        self.chunk: Expression = index_constant(0)
        position = row
        if chunks > 1:
            self.chunk = operators.modulo(row, self.number(chunks))
            position = operators.quotient(row, self.number(chunks))
        for dim, expression in zip(
            outer, decode(position, [self.number(dim.size) for dim in outer]), strict=True
        ):
            self.at[dim] = expression
        rows = math.prod(dim.size for dim in outer)
        self.count = rows * (inner.size if inner else 1)
        if inner is None:
            self.total = rows * chunks
            return Loop(row, None, self._passes(), parallel=True)
        column = index_variable("j")
        self.at[inner] = column
        lanes = self._fitting(self._column_lanes(inner), inner.size)
        if not outer and chunks == 1:
            self.total = inner.size
            return Loop(column, self.number(inner.size), self._passes(), parallel=True, lanes=lanes)
        self.total = rows * chunks
        inside = Loop(column, self.number(inner.size), self._passes(), lanes=lanes)
        return Loop(row, None, (inside,), parallel=True)

    def _fitting(self, lanes: int, size: int) -> int:
        """No more lanes than there are turns, so that short loops come in vectors too."""
        while lanes > 1 and lanes > size:
            lanes //= 2
        return lanes

    def _passes(self) -> tuple[Statement, ...]:
        statements: list[Statement] = []
        again = range(1, len(self.plan.passes))  # the passes that find the row in the caches
        busiest = max(again, key=self._pass_weight, default=None)
        for number, step in enumerate(self.plan.passes):
            stores = [*step.stores]
            stores += [
                v for v, first in self.plan.stash.items()
                if first == number and v not in self.target
            ]  # fmt: skip
            if not self.loops.reduced:
                statements += self._stores(stores)
                statements += self._alone(step)
            elif step.reductions or stores:
                ahead = self._next_row() if number == busiest else []
                statements.append(self._nest(number, stores, ahead, 0))
        for value in self.plan.rows:
            node = self.plan.producers[value]
            if self.chunks > 1 and node in self.carried:
                at = self.chunk * self.number(self.count) + self._expression(self.of.row)
                for pointer, part in zip(self.target[value], self.carried[node], strict=True):
                    statements.append(Store(pointer, at, part))
            else:
                place = self._expression(self.of.row)
                statements.append(
                    Store(self.target[value][0], place, self._ready(self.values[value]))
                )
        return tuple(statements)

    def _next_row(self) -> list[Pointer]:
        """What the next row reads and writes, to be fetched while this one is gone through again.

        The processor by itself fetches no further than the end of a page, and a row is often one.
        """
        reduced, rank = self.fused.axes, len(self.fused.space)
        in_order = reduced == tuple(range(rank - len(reduced), rank))
        if self.columns or self.chunks > 1 or not in_order:
            return []
        along = {a.operand for a in self.of.accesses if a.where == self.of.position}
        pointers = [self.inputs[operand] for operand in sorted(along)]
        pointers += [own[0] for value, own in self.target.items() if value not in self.plan.rows]
        return [p for p in pointers if self._row_length() * p.dtype.itemsize >= LONG_ROW]

    def _fetches(self, pointers: Sequence[Pointer]) -> list[Statement]:
        if not pointers:
            return []
        place = self._expression(self.of.position) + self.number(self._row_length())
        return [Fetch(pointer, place) for pointer in pointers]

    def _alone(self, step: Pass) -> list[Statement]:
        """Reductions over axes of size 1: a loop of one turn."""
        if not step.reductions:
            return []
        items = {
            node: tuple(self._ready(part) for part in self.items[node]) for node in step.reductions
        }
        carries = self._carries(step, items, 0)
        return [Loop(index_variable("once"), index_constant(1), (), carried=carries)]

    def _nest(self, number: int, stores: list[Value], ahead: list[Pointer], level: int) -> Loop:
        """The loops of a pass, from a level inwards; the innermost stores values and fetches ahead."""
        step, reduced = self.plan.passes[number], self.loops.reduced
        dim = reduced[level]
        r = index_variable(f"i{level}")
        extent: Expression = self.number(dim.size)
        index: Expression = r
        if self.chunks > 1 and level == 0:
            per_chunk = self.number(-(-dim.size // self.chunks))
            index = self.chunk * per_chunk + r
            left = operators.maximum(extent - self.chunk * per_chunk, 0)
            extent = operators.minimum(left, per_chunk)
        self.at[dim] = index
        if level < len(reduced) - 1:
            inner = self._nest(number, stores, ahead, level + 1)
            items = {node: self._carried_at(node, level + 1) for node in step.reductions}
            return Loop(r, extent, (inner,), carried=self._carries(step, items, level))
        body = (*self._stores(stores), *self._fetches(ahead))
        items = {
            node: tuple(self._ready(part) for part in self.items[node]) for node in step.reductions
        }
        carries = self._carries(step, items, level)
        if self.columns:
            return Loop(r, extent, body, carried=carries)
        lanes = self._fitting(self._unrolled_lanes(number, dim), dim.size)
        combine = self._combine(step) if carries and lanes > 1 else None
        return Loop(r, extent, body, lanes=lanes, carried=carries, combine=combine)

    def _carried_at(self, node: Node, level: int) -> tuple[Expression, ...]:
        """The running values of a reduction in a loop; the outermost one holds the final ones."""
        if level == 0:
            return self.carried[node]
        return tuple(variable(f"{c.static}_{level}", c.dtype) for c in self.carried[node])

    def _pass_weight(self, number: int) -> int:
        """What a pass does for an element, in simple operations by eights."""
        step = self.plan.passes[number]
        kept = [value for value, first in self.plan.stash.items() if first == number]
        roots = [part for node in step.reductions for part in self.items[node]]
        roots += [self.values[value] for value in {*step.stores, *kept}]
        return len(roots) + sum(1 for _ in postorder(*map(core, roots))) // 8

    def _unrolled_lanes(self, number: int, dim: Dim) -> int:
        """Several accumulators hide the latency of additions, where rows are long and little is done
        for an element; with much to do there is no latency to hide, and registers would not suffice.
        """
        carried = [c for node in self.plan.passes[number].reductions for c in self.carried[node]]
        parts = len(carried)
        # bits have no latency, and long vectors of them are slow to compile
        if any(c.dtype.is_bool for c in carried):
            return self.lanes
        long, light = dim.size >= 8 * self.lanes, self._pass_weight(number) <= LIGHT
        few = parts == 1 and len(self.inputs) <= 3
        return 4 * self.lanes if long and light and few else self.lanes

    def _column_lanes(self, inner: Dim) -> int:
        """Several vectors side by side, where sums of columns would wait for each other."""
        parts = sum(len(carried) for carried in self.carried.values())
        if not 0 < parts <= 2 or inner.size < 8 * self.lanes or len(self.inputs) > 4:
            return self.lanes
        return 4 * self.lanes

    def _starts(self, node: Node) -> tuple[Expression, ...]:
        primitive: Any = node.primitive
        return neutral(primitive.monoid, node.inputs[0].dtype)

    def _carries(
        self, step: Pass, items: dict[Node, tuple[Expression, ...]], level: int
    ) -> tuple[Carried, ...]:
        carries: list[Carried] = []
        for node, item in items.items():
            primitive: Any = node.primitive
            carried = self._carried_at(node, level)
            kinds = [c.dtype for c in carried]
            nexts = cast_parts(primitive.monoid.combine(carried, item), kinds)
            carries += [
                Carried(c, s, n) for c, s, n in zip(carried, self._starts(node), nexts, strict=True)
            ]
        return tuple(carries)

    def _combine(self, step: Pass) -> Combine:
        left: list[Expression] = []
        right: list[Expression] = []
        results: list[Expression] = []
        for node in step.reductions:
            primitive: Any = node.primitive
            kinds = [c.dtype for c in self.carried[node]]
            a = tuple(variable(f"left{len(left) + i}", kind) for i, kind in enumerate(kinds))
            b = tuple(variable(f"right{len(right) + i}", kind) for i, kind in enumerate(kinds))
            left += a
            right += b
            results += cast_parts(primitive.monoid.combine(a, b), kinds)
        return Combine(tuple(left), tuple(right), tuple(results))

    def _stores(self, values: Sequence[Value]) -> list[Statement]:
        statements: list[Statement] = []
        for value in values:
            pointer, place = self._kept_at(value)
            statements.append(Store(pointer, place, self._ready(self.values[value])))
        return statements

    def _kept_at(self, value: Value) -> tuple[Pointer, Expression]:
        """Where a full value is stored: in its result, or in a row on the stack."""
        if value in self.target:
            return self.target[value][0], self._expression(self.of.position)
        unstored = [v for v in self.plan.stash if v not in self.target]
        local = self.locals[unstored.index(value)]
        place = index_constant(0)
        for dim in self.loops.reduced:
            place = place * self.number(dim.size) + self.at[dim]
        if self.columns and self.vector in self.at:
            place = place * self.number(self.vector.size) + self.at[self.vector]
        return local, place

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
        for value, name in self.read_back.items():
            if set(self.loops.reduced) <= set(self.at):
                pointer, place = self._kept_at(value)
                replaced[name] = load(pointer, place)
        for access, name in self.of.accesses.items():
            if access.where.dims() <= self._present():
                mask = None if access.mask is None else substitute(access.mask, replaced)
                place = self._expression(access.where)
                replaced[name] = load(self.inputs[access.operand], place, mask)
        return replaced

    def _present(self) -> set[Dim]:
        """The axes whose loops are open."""
        return {dim for dim, (whole, _) in self.loops.renamed.items() if whole in self.at}
