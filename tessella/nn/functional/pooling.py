"""Pooling: a reduction of each window. Windows that lie side by side are only a reshape."""

from __future__ import annotations

from typing import Any

from tessella.arguments import public
from tessella.arguments.kinds import PerAxis
from tessella.errors import ArgumentError, ShapeError
from tessella.nn.functional.convolution import per_axis
from tessella.primitives.monoid import lowest
from tessella.primitives.movement import Pad
from tessella.primitives.window import Window
from tessella.tensors.manipulation import reshape
from tessella.tensors.tensor import Tensor, apply


def _sizes(kernel: Any, stride: Any, rank: int, name: str) -> tuple[Any, Any]:
    """The window's sizes and steps."""
    sizes = per_axis(kernel, rank, name)
    steps = sizes if stride is None else per_axis(stride, rank, name)
    if min(sizes) < 1 or min(steps) < 1:
        raise ArgumentError(f"{name}: window {sizes} and stride {steps} must be at least 1")
    return sizes, steps


def _windows(
    x: Tensor, kernel: Any, stride: Any, padding: Any, dilation: Any, rank: int, name: str,
    reduction: str,
) -> Tensor:  # fmt: skip
    """The windows of the last axes, each as one axis: (..., *places, window)."""
    sizes, steps = _sizes(kernel, stride, rank, name)
    pads, spacing = per_axis(padding, rank, name), per_axis(dilation, rank, name)
    if x.ndim < rank + 1:
        raise ShapeError(f"{name}: shape {x.shape}; expected (N, C, ...) or (C, ...)")
    if any(2 * p > k for p, k in zip(pads, sizes, strict=True)):
        raise ArgumentError(f"{name}: padding {padding} is more than half of the window {kernel}")
    if any(pads):
        widths = (0,) * (x.ndim - rank) + pads
        fill = lowest(x.dtype) if reduction == "max" else 0
        x = apply(Pad(widths, widths, (0,) * x.ndim, fill), (x,))
    seen: Tensor = apply(Window(sizes, steps, spacing), (x,))
    if min(seen.shape[-2 * rank :]) < 1:
        raise ShapeError(f"{name}: the window {sizes} is larger than the input {x.shape}")
    return seen


def _tiled(x: Tensor, kernel: Any, stride: Any, padding: Any, dilation: Any, rank: int) -> bool:
    """Whether windows lie side by side and cover the input: then they are a reshape."""
    sizes = per_axis(kernel, rank, "pool")
    same = stride is None or per_axis(stride, rank, "pool") == sizes
    plain = (
        per_axis(padding, rank, "pool") == (0,) * rank
        and per_axis(dilation, rank, "pool") == (1,) * rank
    )
    return (
        same
        and plain
        and all(n % k == 0 for n, k in zip(x.shape[x.ndim - rank :], sizes, strict=True))
    )


def _pool(
    x: Tensor, kernel: Any, stride: Any, padding: Any, dilation: Any, rank: int, name: str,
    reduction: str,
) -> Tensor:  # fmt: skip
    _sizes(kernel, stride, rank, name)
    if x.ndim > rank and _tiled(x, kernel, stride, padding, dilation, rank):
        sizes = per_axis(kernel, rank, name)
        shape: tuple[int, ...] = x.shape[: x.ndim - rank]
        for n, k in zip(x.shape[x.ndim - rank :], sizes, strict=True):
            shape += (n // k, k)
        axes = tuple(range(len(shape) - 2 * rank + 1, len(shape), 2))
        seen = reshape(x, shape)
    else:
        seen = _windows(x, kernel, stride, padding, dilation, rank, name, reduction)
        axes = tuple(range(seen.ndim - rank, seen.ndim))
    return getattr(seen, reduction)(axis=axes)


@public
def max_pool2d(
    x: Tensor, kernel_size: PerAxis, stride: PerAxis | None = None, padding: PerAxis = 0,
    dilation: PerAxis = 1,
) -> Tensor:  # fmt: skip
    """The largest element of each window; the gradient of a tie is shared equally.

    Shapes: (N, C, H, W) -> (N, C, H', W').

    >>> import tessella as ts
    >>> max_pool2d(ts.reshape(ts.arange(16.0), (1, 1, 4, 4)), 2)
    tensor([[[[ 5.,  7.],
              [13., 15.]]]])
    """
    return _pool(x, kernel_size, stride, padding, dilation, 2, "max_pool2d", "max")


@public
def max_pool1d(
    x: Tensor, kernel_size: PerAxis, stride: PerAxis | None = None, padding: PerAxis = 0,
    dilation: PerAxis = 1,
) -> Tensor:  # fmt: skip
    """The largest element of each window along one axis.

    Shapes: (N, C, L) -> (N, C, L').

    >>> import tessella as ts
    >>> max_pool1d(ts.asarray([[1.0, 3.0, 2.0, 0.0]]), 2)
    tensor([[3., 2.]])
    """
    return _pool(x, kernel_size, stride, padding, dilation, 1, "max_pool1d", "max")


@public
def avg_pool2d(
    x: Tensor, kernel_size: PerAxis, stride: PerAxis | None = None, padding: PerAxis = 0
) -> Tensor:
    """The mean of each window; padding counts as zeros.

    Shapes: (N, C, H, W) -> (N, C, H', W').

    >>> import tessella as ts
    >>> avg_pool2d(ts.reshape(ts.arange(16.0), (1, 1, 4, 4)), 2)
    tensor([[[[ 2.5,  4.5],
              [10.5, 12.5]]]])
    """
    return _pool(x, kernel_size, stride, padding, 1, 2, "avg_pool2d", "mean")


@public
def avg_pool1d(
    x: Tensor, kernel_size: PerAxis, stride: PerAxis | None = None, padding: PerAxis = 0
) -> Tensor:
    """The mean of each window along one axis; padding counts as zeros.

    Shapes: (N, C, L) -> (N, C, L').

    >>> import tessella as ts
    >>> avg_pool1d(ts.asarray([[1.0, 3.0, 2.0, 0.0]]), 2)
    tensor([[2., 1.]])
    """
    return _pool(x, kernel_size, stride, padding, 1, 1, "avg_pool1d", "mean")
