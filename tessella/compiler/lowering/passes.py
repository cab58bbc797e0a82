"""How often a group goes through its reduced axes, and what each pass computes."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import NamedTuple

from tessella.compiler.lowering.access import (
    unrolls,
)
from tessella.compiler.lowering.reduce import CHUNK, NARROW
from tessella.primitives.base import Shape, size_of
from tessella.primitives.elementwise import Elementwise
from tessella.primitives.fused import Fused
from tessella.primitives.graph import GraphNode, Value
from tessella.primitives.random import RandomBits
from tessella.primitives.reduce import Reduce
from tessella.scalar.expression import postorder
from tessella.scalar.precision import core

EXPENSIVE = 24  # simple operations from which on a value is rather kept than computed again


def splits(space: Shape, axes: tuple[int, ...]) -> bool:
    """Whether a reduction has so few rows that each is cut into chunks for the threads."""
    if not axes:
        return False
    kept = [n for axis, n in enumerate(space) if axis not in axes]
    columns = bool(kept) and len(space) - 1 not in axes and kept[-1] >= NARROW
    rows = math.prod(kept[:-1]) if columns else math.prod(kept)
    wide = columns and kept[-1] >= 4096
    return rows < 16 and size_of(space) >= 4 * CHUNK and not wide


class Pass(NamedTuple):
    """One walk over the reduced axes: reductions of it, and full values to store."""

    reductions: list[GraphNode]
    stores: list[Value]


class PassPlan:
    """Which pass computes what, and what is kept in between."""

    def __init__(self, fused: Fused) -> None:
        graph = fused.graph
        self.fused = fused
        self.depth: dict[Value, int] = dict.fromkeys(graph.inputs, 0)
        self.rows: list[Value] = []  # outputs there is one of for each row
        self.looped = [
            node for node in graph.nodes
            if isinstance(node.primitive, Reduce) and not unrolls(node)
        ]  # fmt: skip
        looped = set(self.looped)
        self.per_row: set[Value] = set()
        for node in graph.nodes:
            inner = max((self.depth[value] for value in node.inputs), default=0)
            self.depth[node.output] = inner + (node in looped)
            if node in looped:
                self.per_row.add(node.output)
        count = size_of(fused.space)
        rows = size_of(tuple(n for a, n in enumerate(fused.space) if a not in fused.axes))
        self.producers = graph.producers()
        last = max((self.depth[node.inputs[0]] for node in self.looped), default=0)
        for value in graph.outputs:
            if self.producers[value] in looped or (
                size_of(value.shape) == rows != count and fused.axes
            ):
                self.rows.append(value)
            else:
                last = max(last, self.depth[value])
        self.passes = [Pass([], []) for _ in range(last + 1)]
        for node in self.looped:
            self.passes[self.depth[node.inputs[0]]].reductions.append(node)
        for value in graph.outputs:
            if value not in self.rows:
                self.passes[self.depth[value]].stores.append(value)
        self.stash = self._stash() if last else {}

    def kept_by(self, number: int) -> list[Value]:
        """What a pass computes and keeps for later ones."""
        return [value for value, first in self.stash.items() if first == number]

    def keeping(self, values: Sequence[Value]) -> PassPlan:
        """This plan, if nothing else than some values is kept; the rest is computed again."""
        plan = copy.copy(self)
        plan.stash = {value: first for value, first in self.stash.items() if value in values}
        return plan

    def _stash(self) -> dict[Value, int]:
        """Expensive values that several passes need, and the pass that computes them first."""
        seen: dict[Value, int] = {}
        kept: dict[Value, int] = {}
        for number, step in enumerate(self.passes):
            waiting = [node.inputs[0] for node in step.reductions] + list(step.stores)
            here: set[Value] = set()
            while waiting:
                value = waiting.pop()
                node = self.producers.get(value)
                if value in here or node is None or value in self.per_row:
                    continue
                here.add(value)
                if seen.setdefault(value, number) < number and self._is_expensive(node):
                    kept[value] = seen[value]
                    continue
                waiting += node.inputs
        return kept

    def _is_expensive(self, node: GraphNode) -> bool:
        if size_of(node.output.shape) != size_of(self.fused.space):
            return False
        if isinstance(node.primitive, RandomBits):
            return True
        if not isinstance(node.primitive, Elementwise):
            return False
        kinds = tuple(value.dtype for value in node.inputs)
        expression = core(node.primitive.function.expression(kinds))
        return sum(1 for _ in postorder(expression)) >= EXPENSIVE
