"""Tensors for `einops`: `rearrange`, `reduce`, `repeat`, `einsum` and its layers' functions work on them.

einops asks all subclasses of its `AbstractBackend` whether a tensor is theirs. This module defines one; it is
imported when einops is.
"""

from __future__ import annotations

from typing import Any

from einops._backends import AbstractBackend

from tessella.tensors import creation, manipulation, statistical
from tessella.tensors.einsum import einsum
from tessella.tensors.tensor import Tensor


class TessellaBackend(AbstractBackend):
    """What einops needs to know of tensors."""

    framework_name = "tessella"

    def is_appropriate_type(self, tensor: Any) -> bool:
        return isinstance(tensor, Tensor)

    def from_numpy(self, x: Any) -> Tensor:
        return creation.asarray(x)

    def to_numpy(self, x: Tensor) -> Any:
        return x.numpy()

    def arange(self, start: int, stop: int) -> Tensor:
        return creation.arange(start, stop)

    def reduce(self, x: Tensor, operation: str, axes: Any) -> Tensor:
        return getattr(statistical, operation)(x, axis=tuple(axes))

    def transpose(self, x: Tensor, axes: Any) -> Tensor:
        return manipulation.permute_dims(x, tuple(axes))

    def reshape(self, x: Tensor, shape: Any) -> Tensor:
        return manipulation.reshape(x, tuple(shape))

    def shape(self, x: Tensor) -> Any:
        return x.shape

    def stack_on_zeroth_dimension(self, tensors: Any) -> Tensor:
        return manipulation.stack(list(tensors))

    def add_axis(self, x: Tensor, new_position: int) -> Tensor:
        return manipulation.expand_dims(x, axis=new_position)

    def add_axes(self, x: Tensor, n_axes: int, pos2len: Any) -> Tensor:
        repeats = [1] * n_axes
        for position, length in pos2len.items():
            x = manipulation.expand_dims(x, axis=position)
            repeats[position] = length
        return manipulation.broadcast_to(
            x, tuple(n * r for n, r in zip(x.shape, repeats, strict=True))
        )

    def tile(self, x: Tensor, repeats: Any) -> Tensor:
        return manipulation.tile(x, tuple(repeats))

    def concat(self, tensors: Any, axis: int) -> Tensor:
        return manipulation.concat(list(tensors), axis=axis)

    def is_float_type(self, x: Tensor) -> bool:
        return x.dtype.is_float

    def einsum(self, pattern: str, *x: Tensor) -> Tensor:
        return einsum(pattern, *x)
