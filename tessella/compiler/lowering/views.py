"""Views: a new layout on the same buffer."""

from __future__ import annotations

import itertools

from tessella.compiler.recipe import View
from tessella.devices.array import Layout, layout_of, row_major
from tessella.primitives.base import Spec
from tessella.primitives.movement import Rearrangement

Strides = tuple[int, ...]


def view(primitive: Rearrangement, layouts: list[Layout], result: Spec) -> View | None:
    """The operand with the steps of the index map; None where no strides tell it."""
    (layout,) = layouts
    axes = primitive.along(layout.shape, result.shape)
    if axes is None:
        reshaped = reshaped_strides(layout, result.shape)
        return None if reshaped is None else View(layout_of(result.shape, reshaped, result.dtype))
    strides, offset = [0] * len(result.shape), 0
    for (steps, start, divisor, _), stride in zip(axes, layout.strides, strict=True):
        if divisor != 1:
            return None
        offset += start * stride
        for axis, step in steps:
            strides[axis] += step * stride
    offset = 0 if 0 in result.shape else offset * layout.dtype.itemsize
    return View(layout_of(result.shape, tuple(strides), result.dtype), offset)


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


def broadcast_strides(layout: Layout, shape: tuple[int, ...]) -> Strides:
    """Strides of a layout seen in a larger shape: 0 along what is repeated."""
    missing = len(shape) - layout.ndim
    return (0,) * missing + tuple(
        0 if n == 1 and target != 1 else stride
        for n, stride, target in zip(layout.shape, layout.strides, shape[missing:], strict=True)
    )
