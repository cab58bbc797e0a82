"""Contractions: tiles where they pay, plain loops elsewhere."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from tessella.compiler.lowering import plain_contraction
from tessella.compiler.lowering.plain_contraction import axes_of
from tessella.compiler.recipe import MOST_KERNELS, Recipe
from tessella.devices.array import Layout
from tessella.primitives.base import Primitive, Spec
from tessella.primitives.contraction import Contraction
from tessella.targets.cpu import machine
from tessella.targets.cpu.lowering import dots, tiled_contraction, winograd
from tessella.targets.cpu.lowering.tiled_contraction import Groups

SHORT = 8  # sums of straight columns that are done sooner as they stand than a tile is set up
LEAST_WORK = 1 << 15  # multiply-adds: less is not worth a kernel for each height of tile


def lower(
    primitive: Contraction, layouts: list[Layout], result: Spec,
    fixed: tuple[bool, bool] = (False, False),
) -> Recipe:  # fmt: skip
    """The recipe of a contraction whose operands need no preparation.

    Args:
        fixed: operands that stay the same from call to call: they are packed whole, and only once.
    """
    key = primitive, *layouts, fixed
    found = _recipes.get(key)
    if found is None:
        if len(_recipes) >= MOST_KERNELS:
            _recipes.clear()
        found = _recipes[key] = _lowered(primitive, layouts, result, fixed)
    return found


_recipes: dict[Any, Recipe] = {}  # equal products, as in the places of a sequence, pack alike


def _lowered(
    primitive: Contraction, layouts: list[Layout], result: Spec, fixed: tuple[bool, bool]
) -> Recipe:
    x, y = layouts
    short = winograd.plan(primitive, Spec(x.shape, x.dtype), Spec(y.shape, y.dtype))
    if short is not None:
        return winograd.lower(primitive, layouts, result, short)
    groups, swapped = _groups(primitive, x, y)
    left = 1 if swapped else 0
    if not any(fixed) and dots.suits(groups, left, x.dtype):
        return dots.lower(groups, left, x.dtype, result)
    if x.dtype.is_float and _worth_tiling(groups, swapped, x.dtype.itemsize):
        return tiled_contraction.lower(groups, swapped, x.dtype, result, fixed)
    if dots.suits(groups, left, x.dtype, narrow=True):
        return dots.lower(groups, left, x.dtype, result)
    return plain_contraction.lower(primitive, layouts, result)


def _groups(primitive: Contraction, x: Layout, y: Layout) -> tuple[Groups, bool]:
    """The axes by their part; columns are those that the result's last axis belongs to."""
    kept, summed = axes_of(primitive, x, y)
    batch = [axis for axis in kept if axis.member == (True, True, True)]
    left = [axis for axis in kept if axis.member == (True, False, True)]
    right = [axis for axis in kept if axis.member == (False, True, True)]
    summed = sorted(summed, key=lambda axis: -max(map(abs, axis.strides)))
    swapped = bool(kept) and kept[-1].member == (True, False, True)
    rows, columns = (right, left) if swapped else (left, right)
    return Groups(batch, rows, columns, summed), swapped


def _worth_tiling(groups: Groups, swapped: bool, itemsize: int) -> bool:
    """Whether there are enough rows and columns to reuse what a tile reads.

    Few rows are enough for a right operand whose rows are read straight on: then every element of it
    is fetched once. A single row is so if the right operand comes from memory, not from a cache.
    """
    rows, columns, inner = (
        math.prod(axis.size for axis in group)
        for group in (groups.rows, groups.columns, groups.inner)
    )
    batch = math.prod(axis.size for axis in groups.batch)
    if columns < 8 or inner < 4 or batch * rows * columns * inner < LEAST_WORK:
        return False
    straight = groups.columns[-1].strides[0 if swapped else 1] == 1
    if straight and inner < SHORT:
        return False
    far = columns * inner * itemsize > machine.cache_bytes(3, 1 << 23) // 2
    return rows >= 4 or (straight and (rows >= 2 or far))


def forget() -> None:
    """Let every product be lowered anew."""
    _recipes.clear()


LOWERINGS: Mapping[type[Primitive], Callable[..., Any]] = {Contraction: lower}
