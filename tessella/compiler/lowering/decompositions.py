"""Primitives that are computed as several simpler ones.

A decomposition is written in primitives and an `apply` that it is given: eager mode passes one that
runs them, the compiler one that records them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from tessella.devices.device import Device, Growth
from tessella.dtypes import DType
from tessella.primitives.base import Composite, Primitive, Spec, same_shape
from tessella.primitives.contraction import Contraction, Geometry
from tessella.primitives.elementwise import Elementwise
from tessella.primitives.indexing import Scatter
from tessella.primitives.movement import Pad, Slice
from tessella.scalar.function import cast_function

Apply = Callable[[Primitive, Sequence[Any]], Any]
Steps = Callable[[Apply, Sequence[Any]], Any]


def composite(primitive: Composite, inputs: Sequence[Spec], device: Device) -> Steps:
    return primitive.steps


def contraction(primitive: Contraction, inputs: Sequence[Spec], device: Device) -> Steps | None:
    """Products of half precision are added in float32; convolutions have their input prepared."""
    x, y = inputs
    if x.dtype.is_narrow and not primitive.wide:
        return _rounded(primitive, x.dtype)
    return _prepared(primitive, x, y, device)


def scatter(primitive: Scatter, inputs: Sequence[Spec], device: Device) -> Steps | None:
    """Sums of half precision are added in float32."""
    x, *_ = inputs
    is_sum = primitive.mode == "add" and x.dtype.is_narrow
    return _in_float32(primitive, inputs, count=2) if is_sum else None


def _cast(dtype: DType) -> Primitive:
    return Elementwise(cast_function(dtype))


def _rounded(primitive: Contraction, narrow: DType) -> Steps:
    """Products of half precision are added in float32, and rounded once."""
    wide = replace(primitive, wide=True)
    return lambda apply, operands: apply(_cast(narrow), (apply(wide, operands),))


def _in_float32(primitive: Primitive, inputs: Sequence[Spec], count: int) -> Steps:
    """Half precision is added in float32, and rounded once."""
    narrow = inputs[0].dtype
    wide = narrow.compute

    def steps(apply: Apply, operands: Sequence[Any]) -> Any:
        widened = [apply(_cast(wide), (operand,)) for operand in operands[:count]]
        return apply(_cast(narrow), (apply(primitive, (*widened, *operands[count:])),))

    return steps


def _prepared(primitive: Contraction, x: Spec, y: Spec, device: Device) -> Steps | None:
    """Spread and pad the input of a convolution first, and cut off what is not read."""
    preparation = _preparation(primitive, x)
    bare = replace(primitive, geometry=tuple(_bare(g) for g in primitive.geometry))
    padded = x
    for step in preparation:
        padded = step.result(padded)
    growth = device.growth(bare, padded, y)
    if growth is not None and any(growth.axes):
        return _in_whole_tiles(primitive, growth, x, y)
    if not preparation:
        return None

    def steps(apply: Apply, operands: Sequence[Any]) -> Any:
        x, y = operands
        for step in preparation:
            x = apply(step, (x,))
        return apply(bare, (x, y))

    return steps


def _in_whole_tiles(primitive: Contraction, growth: Growth, x: Spec, y: Spec) -> Steps:
    """A convolution made larger, so that its tiles are whole; the result is cut."""
    larger = replace(
        primitive,
        geometry=tuple(
            replace(g, high=g.high + more)
            for g, more in zip(primitive.geometry, growth.axes, strict=True)
        ),
    )
    preparation = _preparation(larger, x)
    bare = replace(larger, geometry=tuple(_bare(g) for g in larger.geometry))
    none = (0,) * len(y.shape)
    behind = list(none)
    for g, more in zip(primitive.geometry, growth.axes, strict=True):
        behind[primitive.right.index(g.kernel)] = more
    shape = primitive.result(x, y).shape
    cut = Slice((0,) * len(shape), shape, (1,) * len(shape))

    def steps(apply: Apply, operands: Sequence[Any]) -> Any:
        x, y = operands
        for step in preparation:
            x = apply(step, (x,))
        if growth.of_result:
            return apply(cut, (apply(bare, (x, y)),))
        return apply(bare, (x, apply(Pad(none, tuple(behind), none), (y,))))

    return steps


def _bare(g: Geometry) -> Geometry:
    return replace(g, low=0, high=0, input_dilation=1)


def _preparation(primitive: Contraction, x: Spec) -> list[Primitive]:
    """Padding and spreading, then what a negative padding leaves out is cut off."""
    rank = len(x.shape)
    low, high, interior = [0] * rank, [0] * rank, [0] * rank
    for g in primitive.geometry:
        axis = primitive.left.index(g.input)
        low[axis], high[axis], interior[axis] = g.low, g.high, g.input_dilation - 1
    steps: list[Primitive] = []
    pad = Pad(tuple(max(n, 0) for n in low), tuple(max(n, 0) for n in high), tuple(interior))
    shape = pad.shape_of(x.shape)
    if not same_shape(shape, x.shape):
        steps.append(pad)
    starts = tuple(max(-n, 0) for n in low)
    sizes = tuple(
        max(0, n - start - max(-end, 0)) for n, start, end in zip(shape, starts, high, strict=True)
    )
    if sizes != shape:
        steps.append(Slice(starts, sizes, (1,) * rank))
    return steps
