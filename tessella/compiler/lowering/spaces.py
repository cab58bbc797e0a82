"""The loops of a group: neighbouring axes are put together where every index map allows it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from tessella.loops.nest import (
    index_constant,
    index_variable,
)
from tessella.primitives.index import Dim, Index, Part
from tessella.scalar.expression import Expression
from tessella.sizes.size import is_symbolic

MOST_WRITTEN_OUT = 4  # turns of an innermost loop


class Loops:
    """The loops of a nest, after neighbouring axes have been put together where that is possible."""

    def __init__(
        self,
        dims: Sequence[list[Dim]],
        axes: tuple[int, ...],
        indices: Sequence[Index],
        runs: Sequence[list[Dim]] | None = None,
    ) -> None:
        kept = [d for axis, own in enumerate(dims) if axis not in axes for d in own if d.size != 1]
        reduced = [d for axis, own in enumerate(dims) if axis in axes for d in own if d.size != 1]
        self.renamed: dict[Dim, tuple[Dim, int]] = {}
        inside_parts: set[Dim] = set()
        for index in indices:
            for atom, _ in index.terms:
                if isinstance(atom, Part):
                    inside_parts |= atom.of.dims()
        if runs is not None:  # only what stands in one run may be put together
            self.kept = [d for run in runs for d in self._merge(run, indices, inside_parts)]
            self.reduced = []
            return
        self.kept = self._merge(kept, indices, inside_parts)
        self.reduced = self._merge(reduced, indices, inside_parts)

    def short(self) -> Dim | None:
        """The innermost loop, if it has few turns: it is written out, and vectors go along the one before it.

        Of what is reduced, only if the two are parts that one axis was split into.
        """
        dims = self.reduced or self.kept
        if len(dims) < 2 or any(is_symbolic(dim.size) for dim in dims[-2:]):
            return None
        before, last = dims[-2:]
        if self.reduced and (
            last.number >> 32 != before.number >> 32 or last.size == MOST_WRITTEN_OUT
        ):
            return None
        return last if 1 < last.size <= MOST_WRITTEN_OUT <= before.size else None

    def _merge(self, dims: list[Dim], indices: Sequence[Index], fixed: set[Dim]) -> list[Dim]:
        merged: list[list[Dim]] = []
        for dim in dims:
            if merged and dim not in fixed and merged[-1][-1] not in fixed:
                before = merged[-1][-1]
                if all(i.factor(before) == i.factor(dim) * dim.size for i in indices):
                    merged[-1].append(dim)
                    continue
            merged.append([dim])
        result = []
        for group in merged:
            whole = Dim(group[-1].number, math.prod(dim.size for dim in group))
            for dim in group:
                self.renamed[dim] = (whole, int(dim is group[-1]))
            result.append(whole)
        return result

    def rename(self, index: Index) -> Index:
        """An index over the loops as they are now."""
        factors: dict[Any, int] = {}
        for atom, factor in index.terms:
            if isinstance(atom, Part):
                factors[atom] = factors.get(atom, 0) + factor
                continue
            whole, counts = self.renamed[atom]
            if counts:
                factors[whole] = factor
        return Index(tuple(factors.items()), index.constant)


class Numbers:
    """The sizes of a kernel: every number that is not 0 or 1 becomes an argument."""

    def __init__(self) -> None:
        self.names: dict[int, Expression] = {}

    def __call__(self, value: int) -> Expression:
        if not is_symbolic(value) and value in (0, 1, -1):
            return index_constant(value)
        if value not in self.names:
            self.names[value] = index_variable(f"n{len(self.names)}")
        return self.names[value]

    def values(self) -> dict[str, int]:
        return {str(name.static): value for value, name in self.names.items()}
