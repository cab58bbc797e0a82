"""One graph with symbolic sizes, and its programs for the sizes that are met.

The passes run once on the symbolic graph. What they ask about sizes (`tessella.sizes`) is written down with the
graph that comes out: sizes that would be answered otherwise get a graph of their own, from the same trace. A
size of 0 or 1 is so short that its program is optimised for it alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from tessella import forking
from tessella.devices.array import Layout
from tessella.devices.registry import current
from tessella.primitives.graph import Graph
from tessella.primitives.sized import graph_at
from tessella.sizes.polynomials import Binding
from tessella.sizes.scope import Guard, Scope
from tessella.sizes.size import AT_LEAST

if TYPE_CHECKING:
    from tessella.compiler.program import Program


class _Optimised(NamedTuple):
    """What the passes made of the graph, and for which sizes."""

    graph: Graph
    guards: tuple[Guard, ...]

    def serves(self, binding: Binding) -> bool:
        return all(guard.holds(binding) for guard in self.guards)


class Programs:
    """The programs of a graph with symbolic sizes.

    Args:
        scope: what its sizes belong to.
        in_place, fixed: as in `Program`.
        name: for readers.
    """

    def __init__(
        self, graph: Graph, scope: Scope, in_place: dict[int, int], fixed: frozenset[int], name: str
    ) -> None:
        self.graph, self.scope, self.name = graph, scope, name
        self.in_place, self.fixed = in_place, fixed
        self.optimised: list[_Optimised] = []
        self.lock = forking.lock()
        self.arena: Any = None

    def program(self, layouts: Sequence[Layout], binding: Binding) -> Program:
        """The program for inputs of some layouts, in which the symbols have the sizes of a binding."""
        from tessella.compiler.pipeline import device_for

        with device_for(self.graph, layouts, self.name):
            return self._program(layouts, binding)

    def _program(self, layouts: Sequence[Layout], binding: Binding) -> Program:
        from tessella.compiler import pipeline

        if min(binding.values(), default=AT_LEAST) < AT_LEAST:
            optimised = pipeline.optimise(graph_at(self.graph, binding), self.name)
        else:
            optimised = graph_at(self._optimised_for(binding), binding)
        made = pipeline.finish(
            optimised, layouts, self.in_place, self.fixed, self.name,
            lambda: graph_at(self.graph, binding), self._room,
        )  # fmt: skip
        made.lock = self.lock
        return made

    def _room(self, nbytes: int) -> Any:
        """Memory for intermediate values, the same for all sizes: one program runs at a time.

        Where it does not suffice it is doubled: old blocks together are no larger than the new one.
        """
        before = 0 if self.arena is None else self.arena.nbytes
        if self.arena is None or before < nbytes:
            self.arena = current().allocate(max(nbytes, 2 * before))
        return self.arena

    def _optimised_for(self, binding: Binding) -> Graph:
        from tessella.compiler import pipeline

        for known in self.optimised:
            if known.serves(binding):
                return known.graph
        with self.scope.compiling(binding) as guards:
            found = pipeline.optimise(self.graph, self.name)
        self.optimised.append(_Optimised(found, tuple(guards)))
        return found
