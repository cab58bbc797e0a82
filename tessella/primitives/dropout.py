"""Dropout: what is dropped is drawn, compared and chosen in one kernel, and drawn again for the gradient.

Source: Srivastava et al., *Dropout* (2014).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tessella.errors import DTypeError, ShapeError
from tessella.primitives.base import Composite, NumPyArray, Sample, Shape, Spec, sum_over
from tessella.primitives.elementwise import Elementwise
from tessella.primitives.movement import batch_front, move_axis, reshape
from tessella.primitives.random import RandomBits, unit_float32
from tessella.scalar.function import ScalarFunction


def _drop_below(x: Any, uniform: Any, limit: Any, scale: Any) -> Any:
    return 0.0 if uniform < limit else x * scale


drop = Elementwise(ScalarFunction(_drop_below, "dropout"))


@dataclass(frozen=True)
class Dropout(Composite):
    """0 where a number that is drawn for the element lies below a limit, elsewhere x times a scale.

    It is linear in x, so nothing but the key is kept for the gradient.

    Inputs: x, floating; the key of the draw (many keys draw for the first axes of x); limit and scale.

    Args:
        shape: of what one key draws: the last axes of x.
    """

    shape: Shape

    fuses = True
    shared = True

    def result(self, *inputs: Spec) -> Spec:
        x, key, limit, scale = inputs
        keys = tuple(key.shape[:-1])
        if not x.dtype.is_float or limit.dtype is not x.dtype or scale.dtype is not x.dtype:
            raise DTypeError(f"dropout: {x.dtype.name}, {limit.dtype.name}, {scale.dtype.name}")
        drawn = RandomBits(self.shape).result(key).shape
        if len(drawn) != len(x.shape) or tuple(x.shape[len(keys) :]) != tuple(self.shape):
            raise ShapeError(f"dropout: numbers of shape {drawn} for elements of shape {x.shape}")
        return Spec(tuple(x.shape), x.dtype)

    def steps(self, apply: Any, operands: Sequence[Any]) -> Any:
        x, key, limit, scale = operands
        uniform = apply(unit_float32, (apply(RandomBits(self.shape), (key,)),))
        return apply(drop, (x, uniform, limit, scale))

    def reference(self, *inputs: NumPyArray) -> NumPyArray:
        x, key, limit, scale = inputs
        bits = RandomBits(self.shape).reference(key)
        uniform = (bits >> np.uint32(8)).astype(np.float32) * np.float32(2.0**-24)
        return np.where(uniform < limit, np.zeros((), x.dtype), x * scale).astype(x.dtype)

    def vjp(self, cotangents: Any, inputs: Any, outputs: Any) -> Sequence[Any]:
        return self.vjp_of((True, False, False, True), cotangents, inputs, outputs)

    def vjp_of(
        self, wanted: tuple[bool, ...], cotangents: Any, inputs: Any, outputs: Any
    ) -> Sequence[Any]:
        (ct,), (x, key, limit, scale) = cotangents, inputs
        of_scale = None
        if wanted[3]:
            one = scale.__tessella_zero__() + 1
            products = self(x, key, limit, one) * ct
            of_scale = reshape(sum_over(products, tuple(range(len(x.shape)))), tuple(scale.shape))
        return [self(ct, key, limit, scale) if wanted[0] else None, None, None, of_scale]

    def jvp(self, inputs: Any, tangents: Any) -> Any:
        x, key, limit, scale = inputs
        of_x = None if tangents[0] is None else self(tangents[0], key, limit, scale)
        if tangents[3] is None:
            return of_x
        of_scale = self(x, key, limit, tangents[3])
        return of_scale if of_x is None else of_x + of_scale

    def batch(self, inputs: Any, axes: Any, size: int) -> tuple[Any, Any]:
        x, key, limit, scale = inputs
        x = batch_front(x, axes[0], size)
        plain = axes[2] is None and axes[3] is None
        if plain and axes[1] is not None:
            return self(x, move_axis(key, axes[1], 0), limit, scale), 0
        bits = RandomBits(self.shape)(key if axes[1] is None else move_axis(key, axes[1], 0))
        if axes[1] is None:
            bits = reshape(bits, (1, *bits.shape))
        limit, scale = (
            v
            if axis is None
            else reshape(move_axis(v, axis, 0), (size, *(1,) * (len(x.shape) - 1)))
            for v, axis in ((limit, axes[2]), (scale, axes[3]))
        )
        return drop(x, unit_float32(bits), limit, scale), 0

    @classmethod
    def samples(cls) -> Iterable[Sample]:
        x = np.random.default_rng(11).standard_normal((3, 4, 5))
        key = np.array([17, 4_000_000_000], np.uint32)
        limit, scale = np.asarray(0.3), np.asarray(1 / 0.7)
        yield Sample(cls((3, 4, 5)), (x, key, limit, scale))
        yield Sample(cls(()), (x[0, 0, 0], key, limit, scale))
        keys = np.arange(6, dtype=np.uint32).reshape(3, 2)
        yield Sample(cls((4, 5)), (x, keys, limit, scale))
        yield Sample(cls((0,)), (x[0, 0, :0], key, limit, scale))
