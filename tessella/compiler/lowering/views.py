"""Views: a new layout on the same buffer."""

from __future__ import annotations

import itertools

from tessella.compiler.recipe import View
from tessella.devices.array import Layout, layout_of, row_major
from tessella.primitives.barrier import Barrier
from tessella.primitives.base import Spec
from tessella.primitives.movement import Expand, Permute, Reshape, Slice
from tessella.primitives.window import Window

Strides = tuple[int, ...]


def reshape(primitive: Reshape, layouts: list[Layout], result: Spec) -> View | None:
    layout = layouts[0]
    strides = reshaped_strides(layout, result.shape)
    return None if strides is None else View(layout_of(result.shape, strides, result.dtype))


def reshaped_strides(layout: Layout, shape: tuple[int, ...]) -> Strides | None:
    """Strides under which a view has the new shape, or None if elements must move.

    Both shapes are cut into the shortest runs of axes with equal products; within a run the old
    axes must lie evenly.
    """
    if layout.contiguous:
        return row_major(shape)
    old = [(n, s) for n, s in zip(layout.shape, layout.strides, strict=True) if n != 1]
    strides: list[int] = []
    position = 0
    sizes = [n for n in shape if n != 1]
    index = 0
    while index < len(sizes):
        run, product = [old[position]], old[position][0]
        new, total = [sizes[index]], sizes[index]
        position, index = position + 1, index + 1
        while product != total:
            if product < total:
                run.append(old[position])
                product, position = product * old[position][0], position + 1
            else:
                new.append(sizes[index])
                total, index = total * sizes[index], index + 1
        if any(a[1] != b[0] * b[1] for a, b in itertools.pairwise(run)):
            return None
        strides += [run[-1][1] * step for step in row_major(tuple(new))]
    return _with_ones(strides, shape)


def _with_ones(strides: list[int], shape: tuple[int, ...]) -> Strides:
    remaining = iter(strides)
    return tuple(1 if n == 1 else next(remaining) for n in shape)


def barrier(primitive: Barrier, layouts: list[Layout], result: Spec) -> View:
    return View(layouts[0])


def permute(primitive: Permute, layouts: list[Layout], result: Spec) -> View:
    strides = tuple(layouts[0].strides[axis] for axis in primitive.order)
    return View(layout_of(result.shape, strides, result.dtype))


def expand(primitive: Expand, layouts: list[Layout], result: Spec) -> View:
    return View(layout_of(result.shape, broadcast_strides(layouts[0], result.shape), result.dtype))


def broadcast_strides(layout: Layout, shape: tuple[int, ...]) -> Strides:
    """Strides of a layout seen in a larger shape: 0 along what is repeated."""
    missing = len(shape) - layout.ndim
    return (0,) * missing + tuple(
        0 if n == 1 and target != 1 else stride
        for n, stride, target in zip(layout.shape, layout.strides, shape[missing:], strict=True)
    )


def slice_(primitive: Slice, layouts: list[Layout], result: Spec) -> View:
    layout = layouts[0]
    offset = sum(a * b for a, b in zip(primitive.starts, layout.strides, strict=True))
    offset = 0 if 0 in result.shape else offset
    strides = tuple(a * b for a, b in zip(primitive.steps, layout.strides, strict=True))
    return View(layout_of(result.shape, strides, result.dtype), offset * layout.dtype.itemsize)


def window(primitive: Window, layouts: list[Layout], result: Spec) -> View:
    layout = layouts[0]
    outer = layout.ndim - primitive.rank
    inner = layout.strides[outer:]
    places = tuple(a * b for a, b in zip(inner, primitive.steps, strict=True))
    inside = tuple(a * b for a, b in zip(inner, primitive.dilations, strict=True))
    strides = layout.strides[:outer] + places + inside
    return View(layout_of(result.shape, strides, result.dtype))
