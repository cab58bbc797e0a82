"""What the passes of a group compute: expressions, with placeholders for what is read and for positions.

`passes.Plan` says which pass computes what, a `Computation` says how, a `Shape` in which loops; `writer.Writer` makes
statements of the three.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from tessella.compiler.lowering.access import Evaluator, Splits, cast_parts, wanted_splits
from tessella.compiler.lowering.kernels import lanes_for
from tessella.compiler.lowering.passes import Pass, PassPlan
from tessella.compiler.lowering.spaces import Loops
from tessella.devices.array import Layout
from tessella.loops.nest import Pointer, index_constant
from tessella.primitives import index as maps
from tessella.primitives.base import size_of
from tessella.primitives.fused import Fused
from tessella.primitives.graph import GraphNode, Value
from tessella.primitives.index import Dim, Index
from tessella.scalar import operators
from tessella.scalar.expression import Expression, postorder, variable
from tessella.scalar.precision import core


class Computation:
    """The expressions of a group.

    Args:
        plan: which pass computes what.
        splits: loops that are two.
    """

    def __init__(
        self, fused: Fused, layouts: Sequence[Layout], plan: PassPlan, splits: Splits
    ) -> None:
        self.fused, self.layouts, self.plan, self.splits = fused, layouts, plan, splits
        self.inputs = tuple(Pointer(f"x{i}", layout.dtype) for i, layout in enumerate(layouts))
        self.of = Evaluator(fused, layouts, splits)
        self.items: dict[
            GraphNode, tuple[Expression, ...]
        ] = {}  # what a reduction is given for an element
        self.carried: dict[GraphNode, tuple[Expression, ...]] = {}  # its running values
        self.values: dict[Value, Expression] = {}  # of what is stored
        self.read_back: dict[Value, Expression] = {}  # what an earlier pass has kept
        for number, step in enumerate(plan.passes):
            self._pass(number, step)
        self.of.next_pass()
        for value in plan.rows:
            known = self.of.known.get(value)
            self.values[value] = self._at(value, self.of.row) if known is None else known

    def _pass(self, number: int, step: Pass) -> None:
        self.of.next_pass()
        for value, first in self.plan.stash.items():
            if first < number:
                name = variable(f"kept{len(self.read_back)}", value.dtype)
                self.of.kept[value] = self.read_back.setdefault(value, name)
        for node in step.reductions:
            self._reduction(node)
        for value in (*step.stores, *self.plan.kept_by(number)):
            self.values[value] = self._at(value, self.of.position)
        for node in step.reductions:
            total = self.carried[node][node.primitive.monoid.output]  # type: ignore[attr-defined]
            self.of.known[node.output] = operators.convert(total, node.output.dtype)

    def _at(self, value: Value, place: Index) -> Expression:
        return self.of.at(value, maps.unflatten(place, value.shape), None)

    def _reduction(self, node: GraphNode) -> None:
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

    # --- what is asked about it -----------------------------------------------------------------

    def wanted(self) -> Splits:
        """The splits there are, and those that would make index maps simpler; wishes go first."""
        wishes = {d: n for d, n in self.of.wishes.items() if d not in self.splits}
        if wishes:
            return {**self.splits, **wishes}
        return wanted_splits(self.indices(), self.splits)

    def indices(self) -> list[Index]:
        """Everything that is computed from the loops' positions."""
        of = self.of
        indices = [access.where for access in of.accesses] + list(of.positions)
        return [*indices, of.position, *([of.row] if self.fused.axes else [])]

    def _roots(self) -> list[Expression]:
        return [*(e for items in self.items.values() for e in items), *self.values.values()]

    def lanes(self) -> int:
        """Elements of a vector, so that all that is computed for them stays in registers."""
        return lanes_for(*self._roots())

    def work(self) -> int:
        """What there is to do, in simple operations."""
        weight = 1 + sum(1 for _ in postorder(*[core(root) for root in self._roots()])) // 8
        return size_of(self.fused.space) * weight

    def weight_of(self, number: int) -> int:
        """What a pass does for an element, in simple operations by eights."""
        step = self.plan.passes[number]
        roots = [part for node in step.reductions for part in self.items[node]]
        roots += [self.values[value] for value in {*step.stores, *self.plan.kept_by(number)}]
        return len(roots) + sum(1 for _ in postorder(*map(core, roots))) // 8

    def in_step(self) -> frozenset[int]:
        """Operands that are read only where the result is written, once."""
        if len(self.plan.passes) > 1 or self.plan.looped:
            return frozenset()
        wrong = {a.operand for a in self.of.accesses if a.where != self.of.position}
        return frozenset(range(len(self.inputs))) - wrong


def computation_of(fused: Fused, layouts: Sequence[Layout], plan: PassPlan) -> Computation:
    """The expressions of a group, with loops split where that makes index maps simpler."""
    found = Computation(fused, layouts, plan, {})
    while len(wanted := found.wanted()) > len(found.splits):
        found = Computation(fused, layouts, plan, wanted)
    return found


class Shape(NamedTuple):
    """The loops of a group.

    Args:
        columns: whether vectors go along the last kept axis, and not along a reduced one.
        lanes: elements of a vector.
        short: the innermost loop, if its turns are written out.
    """

    loops: Loops
    columns: bool
    lanes: int
    short: Dim | None

    def walked(self) -> list[Dim]:
        """The reduced axes that are looped over."""
        reduced = self.loops.reduced
        return reduced[:-1] if self.short in reduced else reduced

    def row_length(self) -> int:
        """Elements of a row: all reduced axes, and those that vectors go along."""
        length = math.prod(dim.size for dim in self.loops.reduced)
        return length * self.loops.kept[-1].size if self.columns and self.loops.kept else length
