"""`Fused`: several primitives as one. The compiler makes it, and lowers it to one kernel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from tessella.primitives.base import NumPyArray, Primitive, Shape, Spec
from tessella.primitives.graph import Graph
from tessella.sizes.polynomials import Binding
from tessella.sizes.scope import Scope


class Origin(NamedTuple):
    """The same with symbolic sizes, what these belong to, and what they are."""

    fused: Fused
    scope: Scope
    binding: Binding


@dataclass(frozen=True, eq=False)
class Fused(Primitive):
    """The nodes of a graph over one space of loops.

    Args:
        graph: what is computed; its inputs are this primitive's.
        space: the shape of the loops.
        axes: those axes of the space that reductions in the graph sum over.
        label: the names of what is in it, for readers.
        origin: what it was made of, if that had symbolic sizes.
    """

    multiple_results: ClassVar[bool] = True
    computes = False  # its nodes do

    graph: Graph
    space: Shape
    axes: tuple[int, ...]
    label: str
    origin: Origin | None = None

    @property
    def name(self) -> str:
        return self.label

    @property
    def family(self) -> str:  # type: ignore[override]
        return "rows" if self.axes else "map"

    def result(self, *inputs: Spec) -> Any:
        return tuple(Spec(value.shape, value.dtype) for value in self.graph.outputs)

    def reference(self, *inputs: NumPyArray) -> Any:
        known = dict(zip(self.graph.inputs, inputs, strict=True))
        for node in self.graph.nodes:
            found = node.primitive.reference(*[known[value] for value in node.inputs])
            known[node.output] = found
        return tuple(known[value] for value in self.graph.outputs)
