"""The same elements elsewhere: shuffles of channels and places, windows as columns and back."""

from __future__ import annotations

import math
from typing import Any

from tessella.arguments import public
from tessella.arguments.kinds import Count, PerAxis, shown
from tessella.errors import ArgumentError, ShapeError
from tessella.nn.functional.convolution import per_axis
from tessella.primitives import window
from tessella.primitives.movement import Pad, Slice
from tessella.tensors.manipulation import reshape
from tessella.tensors.tensor import Tensor, apply
from tessella.transforms.at_once import at_once


@public
@at_once
def pixel_shuffle(x: Tensor, upscale_factor: Count) -> Tensor:
    """Channels as places: each r * r of them become r * r pixels.

    Shapes: (..., C r r, H, W) -> (..., C, H r, W r), r being the factor.

    Raises:
        ShapeError: the channels do not divide so.

    Source: Shi et al., *Real-time single image and video super-resolution* (2016).

    >>> import tessella as ts
    >>> pixel_shuffle(ts.reshape(ts.arange(4), (4, 1, 1)), 2)
    tensor([[[0, 1],
             [2, 3]]])
    """
    r = upscale_factor
    if x.ndim < 3 or x.shape[-3] % (r * r):
        raise ShapeError(
            f"pixel_shuffle: shape {x.shape}; expected (..., C, H, W), C a multiple of {r * r}"
        )
    *front, channels, height, width = x.shape
    split = reshape(x, (*front, channels // (r * r), r, r, height, width))
    k = len(front)
    mixed = split.permute((*range(k), k, k + 3, k + 1, k + 4, k + 2))
    return reshape(mixed, (*front, channels // (r * r), height * r, width * r))


@public
@at_once
def pixel_unshuffle(x: Tensor, downscale_factor: Count) -> Tensor:
    """Places as channels, the inverse of `pixel_shuffle`.

    Shapes: (..., C, H r, W r) -> (..., C r r, H, W), r being the factor.

    Raises:
        ShapeError: the places do not divide so.

    >>> import tessella as ts
    >>> pixel_unshuffle(ts.reshape(ts.arange(4), (1, 2, 2)), 2).flatten()
    tensor([0, 1, 2, 3])
    """
    r = downscale_factor
    if x.ndim < 3 or x.shape[-2] % r or x.shape[-1] % r:
        raise ShapeError(
            f"pixel_unshuffle: shape {x.shape}; expected (..., C, H, W), H and W multiples of {r}"
        )
    *front, channels, height, width = x.shape
    split = reshape(x, (*front, channels, height // r, r, width // r, r))
    k = len(front)
    mixed = split.permute((*range(k), k, k + 2, k + 4, k + 1, k + 3))
    return reshape(mixed, (*front, channels * r * r, height // r, width // r))


@public
@at_once
def channel_shuffle(x: Tensor, groups: Count) -> Tensor:
    """The first channels of all groups, then the second ones, and so on.

    Shapes: (N, C, ...), one axis at least after the channels; the same.

    Raises:
        ShapeError: the groups do not divide the channels.

    Source: Zhang et al., *ShuffleNet* (2018).

    >>> import tessella as ts
    >>> channel_shuffle(ts.reshape(ts.arange(4), (1, 4, 1)), 2).flatten()
    tensor([0, 2, 1, 3])
    """
    if x.ndim < 3 or x.shape[1] % groups:
        raise ShapeError(
            f"channel_shuffle: shape {x.shape}; expected (N, C, ...), C a multiple of {groups}"
        )
    n, channels, *places = x.shape
    split = reshape(x, (n, groups, channels // groups, *places))
    return reshape(split.permute((0, 2, 1, *range(3, split.ndim))), x.shape)


def _windows(
    extents: tuple[int, ...], kernel_size: Any, dilation: Any, padding: Any, stride: Any, name: str
) -> tuple[window.Window, tuple[int, ...], tuple[int, ...]]:
    """The windows, the padding, and how many windows there are along each axis.

    Raises:
        ArgumentError: a number is too small.
        ShapeError: there is no room for one window.
    """
    rank = len(extents)
    sizes, gaps = per_axis(kernel_size, rank, f"{name}: kernel_size"), per_axis(dilation, rank, f"{name}: dilation")  # fmt: skip
    pads, steps = per_axis(padding, rank, f"{name}: padding"), per_axis(stride, rank, f"{name}: stride")  # fmt: skip
    if min((*sizes, *gaps, *steps)) < 1 or min(pads) < 0:
        raise ArgumentError(
            f"{name}: kernel_size {sizes}, dilation {gaps} and stride {steps} must be at least 1, padding {pads} at least 0"
        )
    windows = window.Window(sizes, steps, gaps)
    places = windows.places(tuple([n + 2 * p for n, p in zip(extents, pads, strict=True)]))
    if any(not n > 0 for n in places):
        raise ShapeError(f"{name}: the window {sizes} is larger than the padded input {extents}")
    return windows, pads, places


@public
@at_once
def unfold(
    x: Tensor, kernel_size: PerAxis, dilation: PerAxis = 1, padding: PerAxis = 0, stride: PerAxis = 1
) -> Tensor:  # fmt: skip
    """Windows of images as columns.

    Shapes: (N, C, H, W) -> (N, C * window, number of windows), also without N.

    Raises:
        ShapeError: it has other axes, or there is no room for a window.

    >>> import tessella as ts
    >>> unfold(ts.reshape(ts.arange(4), (1, 2, 2)), (1, 2))
    tensor([[0, 2],
            [1, 3]])
    """
    if x.ndim not in (3, 4):
        raise ShapeError(f"unfold: shape {x.shape}; expected (N, C, H, W) or (C, H, W)")
    windows, pads, places = _windows(x.shape[-2:], kernel_size, dilation, padding, stride, "unfold")
    front, channels = x.shape[:-3], x.shape[-3]
    if any(pads):
        widths = (*(0,) * (x.ndim - 2), *pads)
        x = apply(Pad(widths, widths, (0,) * x.ndim), (x,))
    k = len(front)
    columns = apply(windows, (x,)).permute((*range(k + 1), k + 3, k + 4, k + 1, k + 2))
    return reshape(columns, (*front, channels * math.prod(windows.sizes), math.prod(places)))


@public
@at_once
def fold(
    x: Tensor, output_size: PerAxis, kernel_size: PerAxis, dilation: PerAxis = 1, padding: PerAxis = 0,
    stride: PerAxis = 1,
) -> Tensor:  # fmt: skip
    """Columns added up where `unfold` took them from: its transpose.

    Shapes: (N, C * window, number of windows) -> (N, C, H, W), also without N.

    Args:
        output_size: (H, W).

    Raises:
        ShapeError: these are not the columns of an image of that size.

    >>> import tessella as ts
    >>> fold(ts.ones((2, 2)), (1, 3), (1, 2))
    tensor([[[1., 2., 1.]]])
    """
    extents = per_axis(output_size, 2, "fold: output_size")
    windows, pads, places = _windows(extents, kernel_size, dilation, padding, stride, "fold")
    area, count = math.prod(windows.sizes), math.prod(places)
    if x.ndim not in (2, 3) or x.shape[-2] % area or x.shape[-1] != count:
        raise ShapeError(
            f"fold: shape {x.shape}; of output_size {shown(extents)} expected (N, C * {area}, {count}) or (C * {area}, {count})"
        )
    front, channels = x.shape[:-2], x.shape[-2] // area
    k = len(front)
    split = reshape(x, (*front, channels, *windows.sizes, *places))
    seen = split.permute((*range(k + 1), k + 3, k + 4, k + 1, k + 2))
    whole = tuple([n + 2 * p for n, p in zip(extents, pads, strict=True)])
    image = apply(window.Fold(windows.sizes, windows.steps, windows.dilations, whole), (seen,))
    if not any(pads):
        return image
    starts, shape = (*(0,) * (k + 1), *pads), (*front, channels, *extents)
    return apply(Slice(starts, shape, (1,) * image.ndim), (image,))
