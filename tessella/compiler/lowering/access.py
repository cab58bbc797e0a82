"""Where the elements of a value come from: the index map of every primitive that groups read through.

Each rule is given the index of an element of the result, and asks for the elements of the operands that
it is made of. What comes out is a scalar expression in placeholders: for reads of operands in memory, and
for positions that take part in the computation (a mask, a count).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any, NamedTuple

from tessella import dtypes
from tessella.compiler.lowering.elementwise import value_of
from tessella.compiler.lowering.random import bits_at
from tessella.devices.array import Layout
from tessella.dtypes import DType
from tessella.errors import MissingRuleError
from tessella.loops.nest import (
    index_constant,
)
from tessella.primitives import index as maps
from tessella.primitives.base import Shape
from tessella.primitives.elementwise import Elementwise
from tessella.primitives.fused import Fused
from tessella.primitives.generate import Full, Iota
from tessella.primitives.graph import GraphNode, Value
from tessella.primitives.index import Dim, Index, Part, Piece
from tessella.primitives.monoid import neutral
from tessella.primitives.movement import Movement
from tessella.primitives.random import RandomBits
from tessella.primitives.reduce import Reduce
from tessella.scalar import operators
from tessella.scalar.expression import Expression, constant, variable
from tessella.sizes.size import is_symbolic

UNROLLED = 16  # elements of a reduction that is written out instead of looped over


def unrolls(node: GraphNode) -> bool:
    """Whether a reduction is so short that it is written out, element by element."""
    if not isinstance(node.primitive, Reduce):
        return False
    axes = node.primitive.axes
    count = math.prod(node.inputs[0].shape[axis] for axis in axes)
    most = UNROLLED if len(axes) > 1 else 4
    return 0 < count <= most and len(node.primitive.monoid.accumulator(dtypes.float32)) == 1


Splits = dict[Dim, int]  # loops that are two: by how many turns the inner one goes


def _split_axis(axis: int, size: int, splits: Splits) -> list[Dim]:
    """The loops of an axis, outer ones first."""
    return list(_parts_of(Dim((axis << 32) + 1, size), splits))


def _parts_of(dim: Dim, splits: Splits) -> Iterator[Dim]:
    if dim not in splits:
        yield dim
        return
    base, below = dim.number >> 32 << 32, dim.number & 0xFFFFFFFF
    yield from _parts_of(Dim(base + 2 * below, dim.size // splits[dim]), splits)
    yield from _parts_of(Dim(base + 2 * below + 1, splits[dim]), splits)


def wanted_splits(indices: Sequence[Index], splits: Splits) -> Splits:
    """Loops that are divided into parts by some index map: the parts become loops."""
    found = dict(splits)
    for index in indices:
        for atom, _ in index.terms:
            if isinstance(atom, Part):
                terms = atom.of.terms
                whole = terms[0][0] if len(terms) == 1 and terms[0][1] == 1 else None
                if isinstance(whole, Dim) and not atom.of.constant:
                    if whole.size % atom.divisor == 0 and whole not in found:
                        found[whole] = atom.divisor
                else:
                    found = wanted_splits([atom.of], found)
    return found


Where = Sequence[Index]
Mask = Expression | None


class Element(NamedTuple):
    """The element of a value at some indices; where the mask is false anything will do."""

    value: Value
    where: tuple[Index, ...]
    mask: Expression | None


# A rule asks for elements of the operands by yielding them, is sent their expressions, and returns its own.
Steps = Generator[Element, Any, Expression]
Rule = Callable[["Evaluator", GraphNode, Where, Mask], Steps]


class Access(NamedTuple):
    """A read of an operand: which, where, and under which condition."""

    operand: int
    where: Index
    mask: Expression | None


class Evaluator:
    """Gives the scalar expression of a value at an index, in placeholders for reads and positions."""

    def __init__(self, fused: Fused, layouts: Sequence[Layout], splits: Splits) -> None:
        graph = fused.graph
        self.operands = {value: number for number, value in enumerate(graph.inputs)}
        self.layouts = layouts
        self.producers = graph.producers()
        self.space, self.axes = fused.space, fused.axes
        self.dims = [_split_axis(axis, n, splits) for axis, n in enumerate(fused.space)]
        self.full = [
            maps.flatten([maps.loop(dim) for dim in dims], [dim.size for dim in dims])
            for dims in self.dims
        ]
        kept = [axis for axis in range(len(fused.space)) if axis not in fused.axes]
        self.kept_shape = tuple(fused.space[axis] for axis in kept)
        self.position = maps.flatten(self.full, fused.space)
        self.row = maps.flatten([self.full[axis] for axis in kept], self.kept_shape)
        self.accesses: dict[Access, Expression] = {}
        self.positions: dict[Index, Expression] = {}
        self.sizes: dict[Any, Expression] = {}  # that are not known
        self.known: dict[Value, Expression] = {}  # reductions and rows that are done
        self.kept: dict[Value, Expression] = {}  # full values read back in this pass
        self.memo: dict[Any, Expression] = {}
        self.wishes: Splits = {}

    def wish(self, index: Index, size: int) -> None:
        """Ask for a loop to be split into blocks of a size, if an index walks along it."""
        if len(index.terms) == 1 and index.constant % size == 0:
            dim, factor = index.terms[0]
            if (
                isinstance(dim, Dim)
                and factor == 1
                and dim.size % size == 0
                and 1 < size < dim.size
            ):
                self.wishes[dim] = size

    def next_pass(self) -> None:
        """Forget what was computed: loops that are over."""
        self.memo.clear()

    def number(self, index: Index) -> Expression:
        """An index as an expression."""
        index = maps.plain(index)
        if index.is_constant:
            return self.size(index.constant)
        found = self.positions.get(index)
        if found is None:
            name = f"position{len(self.positions)}"
            found = self.positions[index] = variable(name, dtypes.int64)
        return found

    def size(self, value: Any) -> Expression:
        """A number as an expression; what stands for it, if it is not known."""
        if not is_symbolic(value):
            return index_constant(value)
        name = f"size{len(self.sizes)}"
        return self.sizes.setdefault(value, variable(name, dtypes.int64))

    def at(self, value: Value, where: Sequence[Index], mask: Expression | None) -> Expression:
        """The expression of an element."""
        wanted = Element(value, tuple(where), mask)
        found = self.memo.get(wanted)
        unfinished = [] if found is not None else [(wanted, self._begin(wanted))]
        while unfinished:  # not by recursion: a group may be a longer chain than Python's stack
            element, rule = unfinished[-1]
            try:
                wanted = rule.send(found)
            except StopIteration as end:
                found = self.memo[element] = end.value
                unfinished.pop()
                continue
            found = self.memo.get(wanted)
            if found is None:
                unfinished.append((wanted, self._begin(wanted)))
        assert found is not None
        return found

    def _begin(self, element: Element) -> Steps:
        value, where, mask = element
        simple = self._without_operands(value, where, mask)
        if simple is not None:
            return _given(simple)
        return self._rule(value)(self, self.producers[value], where, mask)

    def _without_operands(self, value: Value, where: Where, mask: Mask) -> Expression | None:
        if value in self.known:
            return self.known[value]
        if value in self.kept and maps.flatten(where, value.shape) == self.position:
            return self.kept[value]
        if value in self.operands:
            return self._read(value, where, mask)
        return None

    def _rule(self, value: Value) -> Rule:
        node = self.producers[value]
        if isinstance(node.primitive, Reduce):
            return _written_out
        for kind in type(node.primitive).__mro__:
            if kind in _RULES:
                return _RULES[kind]
        raise MissingRuleError(
            f"{node.primitive.name} has no index map; make it a Movement that has one, or add a rule to _RULES in "
            "tessella/compiler/lowering/access.py"
        )

    def _read(self, value: Value, where: Sequence[Index], mask: Expression | None) -> Expression:
        number = self.operands[value]
        strides = self.layouts[number].strides
        parts = [maps.scale(i, s) for i, s in zip(where, strides, strict=True)]
        access = Access(number, maps.plain(maps.add(maps.number(0), *parts)), mask)
        found = self.accesses.get(access)
        if found is None:
            name = f"read{len(self.accesses)}"
            found = self.accesses[access] = variable(name, value.dtype)
        return found


def _given(expression: Expression) -> Steps:
    return expression
    yield  # a rule that asks for nothing


def _elementwise(of: Evaluator, node: GraphNode, where: Where, mask: Mask) -> Steps:
    operands = []
    for value in node.inputs:
        operands.append((yield Element(value, tuple(maps.broadcast(where, value.shape)), mask)))
    kinds = tuple(value.dtype for value in node.inputs)
    return value_of(node.primitive.function, kinds, operands)  # type: ignore[attr-defined]


def _movement(of: Evaluator, node: GraphNode, where: Where, mask: Mask) -> Steps:
    """The element of the first piece that has it: pieces behind one that has all are not asked."""
    primitive: Any = node.primitive
    found = primitive.index_map([value.shape for value in node.inputs], node.output.shape)
    chosen: list[tuple[Expression, Expression]] = []
    result: Expression = constant(found.fill, node.output.dtype)
    for piece in found.pieces:
        x = node.inputs[piece.operand]
        if 0 in x.shape:
            continue
        source, inside, condition = _within(
            of, piece, where, x.shape, node.output.shape, found.in_order
        )
        value = yield Element(x, tuple(source), _both(mask, inside))
        if condition is None:
            result = value
            break
        chosen.append((condition, value))
    for condition, value in reversed(chosen):
        result = operators.select(condition, value, result)
    return result


def _within(
    of: Evaluator, piece: Piece, where: Where, shape: Shape, result: Shape, in_order: bool
) -> tuple[list[Index], Mask, Mask]:
    """The index in a piece's operand, whether it is inside, and what tells it from the pieces behind."""
    if piece.is_whole:
        return piece.source(where, shape, result), None, None
    source = []
    inside: Mask = None
    condition: Mask = None
    for along, size in zip(piece.axes or (), shape, strict=True):
        above: Mask = None
        below: Mask = None
        if not along.guarded:
            index = along.at(where)
        elif in_order:
            index, above, below = _between(of, along.undivided(where), size)
        else:
            index, below = _inside(of, along.undivided(where), along.divisor, size)
        source.append(index)
        inside = _both(inside, _both(above, below))
        condition = _both(condition, below)
    return source, inside, condition


def _both(a: Mask, b: Mask) -> Mask:
    if a is None or b is None:
        return a if b is None else b
    return a & b


def _inside(of: Evaluator, index: Index, step: int, size: int) -> tuple[Index, Mask]:
    """index / step, and the condition that it is a whole number in [0, size)."""
    low, high = index.bounds()
    if step == 1 and (low < 0 or high >= size):
        of.wish(index, size)
        block, place = maps.quotient(index, size), maps.remainder(index, size)
        if block.is_affine and place.is_affine:  # blocks of this size: one of them is inside
            return place, operators.equal(of.number(block), 0)
    conditions: list[Expression] = []
    if low < 0:
        conditions.append(operators.greater_equal(of.number(index), 0))
    if high > (size - 1) * step:
        conditions.append(operators.less_equal(of.number(index), of.size((size - 1) * step)))
    if step > 1:
        conditions.append(operators.equal(of.number(maps.remainder(index, step)), 0))
    mask: Mask = None
    for condition in conditions:
        mask = _both(mask, condition)
    return maps.within(maps.quotient(index, step), size), mask


def _between(of: Evaluator, index: Index, size: int) -> tuple[Index, Mask, Mask]:
    """An index, and the conditions that it is not below 0, and below a size."""
    low, high = index.bounds()
    above = None if low >= 0 else operators.greater_equal(of.number(index), 0)
    below = None if high < size else operators.less(of.number(index), of.size(size))
    return maps.within(index, size), above, below


def _full(of: Evaluator, node: GraphNode, where: Where, mask: Mask) -> Steps:
    return constant(node.primitive.value, node.output.dtype)  # type: ignore[attr-defined]
    yield


def _iota(of: Evaluator, node: GraphNode, where: Where, mask: Mask) -> Steps:
    return operators.convert(of.number(where[0]), node.output.dtype)
    yield


def _written_out(of: Evaluator, node: GraphNode, where: Where, mask: Mask) -> Steps:
    """A short reduction, element after element."""
    primitive: Any = node.primitive
    (x,) = node.inputs
    monoid, kinds = primitive.monoid, primitive.monoid.accumulator(x.dtype)
    kept = iter(where)
    source = [None if axis in primitive.axes else next(kept) for axis in range(len(x.shape))]
    total = neutral(monoid, x.dtype)
    for position, place in enumerate(
        itertools.product(*[range(x.shape[axis]) for axis in primitive.axes])
    ):
        inner = iter(place)
        whole = [maps.number(next(inner)) if index is None else index for index in source]
        element = yield Element(x, tuple(whole), mask)
        item = cast_parts(monoid.lift(element, index_constant(position)), kinds)
        total = item if position == 0 else cast_parts(monoid.combine(total, item), kinds)
    return operators.convert(total[monoid.output], node.output.dtype)


def cast_parts(parts: Sequence[Expression], kinds: Sequence[DType]) -> tuple[Expression, ...]:
    return tuple(operators.convert(p, kind) for p, kind in zip(parts, kinds, strict=True))


def _random_bits(of: Evaluator, node: GraphNode, where: Where, mask: Mask) -> Steps:
    (key,) = node.inputs
    first = yield Element(key, (maps.number(0),), mask)
    second = yield Element(key, (maps.number(1),), mask)
    return bits_at(of.number(maps.flatten(where, node.output.shape)), first, second)


_RULES: dict[Any, Rule] = {
    Elementwise: _elementwise,
    Movement: _movement,
    Full: _full,
    Iota: _iota,
    RandomBits: _random_bits,
}
MAPS = tuple(_RULES)
