"""Control: primitives that hold graphs, and compute one of them, or one of them many times.

Their rules for differentiation and batching make new graphs of those they hold; they need the transformations
for that, and stand with them (`tessella.transforms.control_rules`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from tessella.errors import DTypeError, ShapeError
from tessella.primitives.base import NumPyArray, Primitive, Spec, same_shape
from tessella.primitives.graph import Graph


class Control(Primitive):
    """Holds graphs; its operands are theirs."""

    multiple_results: ClassVar[bool] = True

    @property
    def graphs(self) -> dict[str, Graph]:
        """The graphs by what they are for."""
        raise self._missing("graphs")


@dataclass(frozen=True, eq=False)
class Cond(Control):
    """One of several graphs of the same operands; an index, the first operand, says which.

    An index beyond the last graph means the last one, a negative one the first.
    """

    branches: tuple[Graph, ...]

    @property
    def name(self) -> str:
        return "cond"

    @property
    def graphs(self) -> dict[str, Graph]:
        return {f"branch {number}": graph for number, graph in enumerate(self.branches)}

    def result(self, *inputs: Spec) -> tuple[Spec, ...]:
        index, *operands = inputs
        if tuple(index.shape) != () or not index.dtype.is_integer:
            raise DTypeError(
                f"cond: the index is {index.dtype.name} {tuple(index.shape)}; expected one integer"
            )
        _require_fit("cond", self.branches[0], operands)
        return _specs(self.branches[0])

    def reference(self, *inputs: NumPyArray) -> tuple[NumPyArray, ...]:
        index, *operands = inputs
        chosen = min(max(int(index), 0), len(self.branches) - 1)
        return tuple(interpret(self.branches[chosen], operands))


@dataclass(frozen=True, eq=False)
class While(Control):
    """A graph again and again on what it gave, as long as another one says so.

    The first `carried` operands are carried from turn to turn; the others are the same for all turns.

    Args:
        called: what the user called, for messages.
    """

    condition: Graph
    body: Graph
    carried: int
    called: str = field(default="while_loop", repr=False)

    @property
    def name(self) -> str:
        return "while_loop"

    @property
    def graphs(self) -> dict[str, Graph]:
        return {"while": self.condition, "do": self.body}

    def result(self, *inputs: Spec) -> tuple[Spec, ...]:
        _require_fit(self.called, self.body, inputs)
        return _specs(self.body)

    def reference(self, *inputs: NumPyArray) -> tuple[NumPyArray, ...]:
        carry, same = list(inputs[: self.carried]), inputs[self.carried :]
        while bool(interpret(self.condition, [*carry, *same])[0]):
            carry = interpret(self.body, [*carry, *same])
        return tuple(carry)


@dataclass(frozen=True, eq=False)
class ScanLoop(Control):
    """A graph for each place of a sequence, on what it gave for the place before.

    The first `carried` operands are carried from place to place, the next `sliced` ones are sequences along
    their first axis, the others are the same for all places. The results are what was carried at last, then what
    was given at each place, stacked.
    """

    body: Graph
    length: int
    carried: int
    sliced: int
    reverse: bool = False

    @property
    def name(self) -> str:
        return "scan"

    @property
    def graphs(self) -> dict[str, Graph]:
        return {"for each place": self.body}

    def result(self, *inputs: Spec) -> tuple[Spec, ...]:
        own = [
            Spec(tuple(x.shape[1:]), x.dtype)
            if self.carried <= i < self.carried + self.sliced
            else x
            for i, x in enumerate(inputs)
        ]
        _require_fit("scan", self.body, own)
        specs = _specs(self.body)
        stacked = [Spec((self.length, *s.shape), s.dtype) for s in specs[self.carried :]]
        return (*specs[: self.carried], *stacked)

    def places(self) -> range:
        """The places in the order in which they are gone through."""
        return range(self.length - 1, -1, -1) if self.reverse else range(self.length)

    def reference(self, *inputs: NumPyArray) -> tuple[NumPyArray, ...]:
        carry = list(inputs[: self.carried])
        sequences = inputs[self.carried : self.carried + self.sliced]
        same = inputs[self.carried + self.sliced :]
        stacked = [
            np.empty((self.length, *v.shape), v.dtype.numpy)
            for v in self.body.outputs[self.carried :]
        ]
        for place in self.places():
            found = interpret(self.body, [*carry, *[x[place] for x in sequences], *same])
            carry = found[: self.carried]
            for whole, part in zip(stacked, found[self.carried :], strict=True):
                whole[place] = part
        return (*carry, *stacked)


def _specs(graph: Graph) -> tuple[Spec, ...]:
    return tuple(Spec(value.shape, value.dtype) for value in graph.outputs)


def _require_fit(name: str, graph: Graph, operands: Sequence[Any]) -> None:
    for number, (value, x) in enumerate(zip(graph.inputs, operands, strict=True)):
        if not same_shape(value.shape, tuple(x.shape)) or value.dtype is not x.dtype:
            raise ShapeError(
                f"{name}: operand {number} is {x.dtype.name} {tuple(x.shape)}; the graph was made for "
                f"{value.dtype.name} {value.shape}"
            )


def interpret(graph: Graph, arrays: Sequence[NumPyArray]) -> list[NumPyArray]:
    """The outputs of a graph, by the meaning of its primitives.

    >>> from tessella import dtypes
    >>> from tessella.primitives.elementwise import elementwise
    >>> from tessella.primitives.graph import Value, apply
    >>> x, nodes = Value((), dtypes.float64), []
    >>> y = apply(nodes, elementwise("square"), (x,))
    >>> [float(found) for found in interpret(Graph([x], nodes, [y]), [np.float64(3.0)])]
    [9.0]
    """
    known: dict[Any, Any] = dict(zip(graph.inputs, arrays, strict=True))
    known |= {value: array.numpy() for value, array in graph.constants.items()}
    for node in graph.nodes:
        found = node.primitive.reference(*[np.asarray(known[value]) for value in node.inputs])
        several = found if node.primitive.multiple_results else (found,)
        known.update(zip(node.outputs, several, strict=True))
    return [np.asarray(known[value]) for value in graph.outputs]
