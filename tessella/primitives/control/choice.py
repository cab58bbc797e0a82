"""One of several graphs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tessella import dtypes
from tessella.errors import DTypeError
from tessella.primitives.base import NumPyArray, Spec
from tessella.primitives.collective import Collective, Operation
from tessella.primitives.control import base
from tessella.primitives.control.base import Control, Transformations
from tessella.primitives.elementwise import chosen
from tessella.primitives.graph import Graph
from tessella.primitives.movement import move_axis


@dataclass(frozen=True, eq=False)
class Cond(Control):
    """One of several graphs of the same operands; an index, the first operand, says which.

    An index beyond the last graph means the last one, a negative one the first.
    """

    branches: tuple[Graph, ...]
    by: Transformations = field(repr=False)

    @property
    def name(self) -> str:
        return "cond"

    @property
    def graphs(self) -> dict[str, Graph]:
        return {f"branch {number}": graph for number, graph in enumerate(self.branches)}

    def with_graphs(self, graphs: Sequence[Graph]) -> Cond:
        return replace(self, branches=tuple(graphs))

    def result(self, *inputs: Spec) -> tuple[Spec, ...]:
        index, *operands = inputs
        if tuple(index.shape) != () or not index.dtype.is_integer:
            raise DTypeError(
                f"cond: the index is {index.dtype.name} {tuple(index.shape)}; expected one integer"
            )
        base.require_fit("cond", self.branches[0], operands)
        return base.specs_of(self.branches[0])

    def _branch(self, number: int) -> Graph:
        return self.branches[min(max(number, 0), len(self.branches) - 1)]

    def reference(self, *inputs: NumPyArray) -> tuple[NumPyArray, ...]:
        index, *operands = inputs
        return tuple(base.interpret(self._branch(int(index)), operands))

    def step_by_step(self, tensors: Sequence[Any]) -> list[Any]:
        index, *operands = tensors
        found: list[Any] = self.by.again(self._branch(int(index.item())))(*operands)
        return found

    def _choose(self, index: Any, functions: Sequence[Any], given: Sequence[Any]) -> list[Any]:
        """One of several functions of the same operands."""
        graphs = tuple([self.by.graph("cond", function, given) for function in functions])
        return self.by.run(Cond(graphs, self.by), [index, *given])

    def vjp(self, cotangents: Any, inputs: Any, outputs: Any) -> Any:
        index, *operands = inputs
        pulled = [self.by.pulled(graph) for graph in self.branches]
        cts = self.by.gradients_of(cotangents, outputs)
        if self.axis_names:
            found = self._gradients_for_all(pulled, index, operands, cts)
        else:
            found = self._choose(index, pulled, [*operands, *cts])
        return [None, *base.spread(found, base.floats(operands), len(operands))]

    def _gradients_for_all(
        self, pulled: Sequence[Any], index: Any, operands: list[Any], cts: list[Any]
    ) -> list[Any]:
        """Where examples speak to each other, an example has a part in the branches that others take.

        So every branch gives gradients to all examples, from those of the examples that take it; it is left out if
        none does.
        """
        index = index.clip(0, len(self.branches) - 1)
        like = [Spec(operands[i].shape, operands[i].dtype) for i in base.floats(operands)]

        def nothing(*own: Any) -> list[Any]:
            return [self.by.zeros(spec) for spec in like]

        totals: list[Any] = [None] * len(like)
        for number, pull in enumerate(pulled):
            taken = index == number
            anyone = taken.astype(dtypes.int32)
            for axis_name in sorted(self.axis_names):
                anyone = Collective(axis_name, Operation.MAXIMUM)(anyone)
            given = [*operands, *[chosen(taken, ct) for ct in cts]]
            found = self._choose(anyone, [nothing, pull], given)
            totals = [y if x is None else x + y for x, y in zip(totals, found, strict=True)]
        return totals

    def jvp(self, inputs: Any, tangents: Any) -> Any:
        index, *operands = inputs
        given = [*operands, *self.by.tangents_of(operands, tangents[1:])]
        found = self._choose(index, [self.by.pushed(graph) for graph in self.branches], given)
        count = len(self.branches[0].outputs)
        return base.spread(found[count:], base.floats(self.branches[0].outputs), count)

    def batch_over(self, inputs: Any, axes: Any, size: int, axis_name: str | None) -> Any:
        (index, *operands), (index_axis, *operand_axes) = inputs, axes
        front = base.in_front(operands, operand_axes)
        places = tuple([None if axis is None else 0 for axis in operand_axes])
        batched = [self.by.batched(graph, places, size, axis_name) for graph in self.branches]
        zeros = (0,) * len(self.branches[0].outputs)
        if index_axis is None:
            return self._choose(index, batched, front), zeros
        index = move_axis(index, index_axis, 0).clip(0, len(self.branches) - 1)
        found: list[Any] = []
        for number, graph in enumerate(self.branches):
            mask = index == number
            taken = self._taken(graph, batched[number], mask, front, places, size)
            found = (
                [base.masked(mask, x, y) for x, y in zip(taken, found, strict=True)]
                if number
                else taken
            )
        return found, zeros

    def _taken(
        self, graph: Graph, batched: Any, mask: Any, operands: list[Any], places: Any, size: int
    ) -> list[Any]:
        """A branch for the examples that take it; if there are none it is not computed, but zeros are given."""

        def some(mask: Any, *own: Any) -> list[Any]:
            return list(batched(*(own if graph.axis_names else base.of_active(mask, own, places))))

        def none(mask: Any, *own: Any) -> list[Any]:
            return [self.by.zeros(Spec((size, *v.shape), v.dtype)) for v in graph.outputs]

        return self._choose(mask.any().astype(dtypes.int32), [none, some], [mask, *operands])
