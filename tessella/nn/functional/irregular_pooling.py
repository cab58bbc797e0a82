"""Pooling into random windows, and the way back from where largest elements stood."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from tessella.arguments import public
from tessella.arguments.kinds import Factors, PerAxis, shown
from tessella.errors import ArgumentError, ShapeError
from tessella.nn.functional.convolution import per_axis
from tessella.nn.functional.pooling import Pooled, largest
from tessella.primitives.indexing import Gather
from tessella.random.generator import default
from tessella.tensors.creation import arange, zeros
from tessella.tensors.elementwise import where
from tessella.tensors.indexing import take_along_axis
from tessella.tensors.manipulation import broadcast_to, reshape
from tessella.tensors.scattering import scatter, scatter_add
from tessella.tensors.statistical import argmax
from tessella.tensors.tensor import Tensor, apply
from tessella.transforms.at_once import at_once
from tessella.transforms.custom import custom_jvp


def _random_sizes(
    x: Tensor, kernel: tuple[int, ...], output_size: Any, output_ratio: Any, rank: int, name: str
) -> tuple[int, ...]:  # fmt: skip
    """How many windows there are along each axis.

    Raises:
        ArgumentError: neither their number nor their share is given, or both.
        ShapeError: there is no room for them.
    """
    check_share(output_size, output_ratio, rank, name)
    extents = x.shape[x.ndim - rank :]
    if output_size is not None:
        sizes = per_axis(output_size, rank, f"{name}: output_size")
    else:
        ratios = _ratios(output_ratio, rank)
        sizes = tuple([int(n * ratio) for n, ratio in zip(extents, ratios, strict=False)])
    room = zip(extents, kernel, sizes, strict=False)
    if x.ndim not in (rank + 1, rank + 2) or any(m < 1 or m + k - 1 > n for n, k, m in room):
        raise ShapeError(
            f"{name}: shape {x.shape} has no room for {sizes} windows of size {kernel}; expected (N, C, ...) or (C, ...)"
        )
    return sizes


def _ratios(output_ratio: Any, rank: int) -> tuple[float, ...]:
    several = isinstance(output_ratio, (tuple, list))
    return tuple(output_ratio) if several else (output_ratio,) * rank


def check_share(output_size: Any, output_ratio: Any, rank: int, name: str) -> None:
    """Either the number of windows is given, or their share.

    Raises:
        ArgumentError: neither is, or both, or the share is no number between 0 and 1.
    """
    if (output_size is None) == (output_ratio is None):
        raise ArgumentError(f"{name}: give output_size or output_ratio, one of them")
    if output_ratio is not None:
        ratios = _ratios(output_ratio, rank)
        if len(ratios) != rank or not all(0 < ratio < 1 for ratio in ratios):
            raise ArgumentError(
                f"{name}: output_ratio is {shown(output_ratio)}; expected a number between 0 and 1, or {rank} of them"
            )


def _starts(samples: Tensor, n: int, kernel: int, count: int) -> Tensor:
    """Where windows begin: steps of two lengths, in an order that a number in [0, 1) gives; the last one ends last.

    Shapes: (N, C) -> (N, C, count).
    """
    last, samples = n - kernel, samples[..., None]
    step = last / max(count - 1, 1)
    inner = ((arange(count) + samples) * step).astype("int64") - (samples * step).astype("int64")
    return where(arange(count) == count - 1, last, inner)


def _random_windows(x: Tensor, samples: Tensor, kernel: Any, sizes: Any) -> tuple[Tensor, Tensor]:
    """The elements of all windows, (N, C, *places, *kernel), and where in the flat last axes they stand."""
    rank = len(sizes)
    n, channels, *extents = x.shape
    arrays = []
    flat: Any = 0
    for axis in range(rank):
        sample = samples[
            ..., rank - 1 - axis if rank == 2 else axis
        ]  # of images the width comes first
        starts = _starts(sample, extents[axis], kernel[axis], sizes[axis])
        shape = [n, channels, *(1,) * (2 * rank)]
        shape[2 + axis] = sizes[axis]
        inside = reshape(arange(kernel[axis]), (kernel[axis], *(1,) * (rank - 1 - axis)))
        arrays.append(reshape(starts, tuple(shape)) + inside)
        flat = flat * extents[axis] + arrays[-1]
    view = apply(Gather(tuple(range(2, rank + 2)), ((0, 0), (1, 1))), (x, *arrays))
    return view, broadcast_to(flat, view.shape)


def _fractional(
    x: Tensor, kernel_size: Any, output_size: Any, output_ratio: Any, indices: bool, samples: Tensor | None, rank: int
) -> Any:  # fmt: skip
    name = f"fractional_max_pool{rank}d"
    kernel = per_axis(kernel_size, rank, f"{name}: kernel_size")
    sizes = _random_sizes(x, kernel, output_size, output_ratio, rank, name)
    batched = x if x.ndim == rank + 2 else reshape(x, (1, *x.shape))
    shape = (*batched.shape[:2], rank)
    samples = default.uniform(shape) if samples is None else samples
    if samples.ndim != 3 or samples.shape[0] < shape[0] or samples.shape[1:] != shape[1:]:
        raise ShapeError(f"{name}: _random_samples has shape {samples.shape}; expected {shape}")
    found = _in_random_windows(batched, samples[: shape[0]], kernel, sizes, indices)
    if x is batched:
        return found
    return Pooled(*[y[0] for y in found]) if indices else found[0]


@at_once
def _in_random_windows(x: Tensor, samples: Tensor, kernel: Any, sizes: Any, indices: bool) -> Any:
    """The largest elements of windows, and where they stand, if that is asked for."""
    view, flat = _random_windows(x, samples, kernel, sizes)
    rank = len(sizes)
    pooled = view.shape[:-rank]
    values = reshape(largest(view, tuple(range(view.ndim - rank, view.ndim))), pooled)
    if not indices:
        return values
    rows = (*view.shape[:-rank], math.prod(kernel))
    inside = argmax(reshape(view.detach(), rows), axis=-1, keepdims=True)
    return Pooled(values, reshape(take_along_axis(reshape(flat, rows), inside), pooled))


@public
def fractional_max_pool2d(
    x: Tensor, kernel_size: PerAxis, output_size: PerAxis | None = None, output_ratio: Factors | None = None,
    return_indices: bool = False, _random_samples: Tensor | None = None,
) -> Any:  # fmt: skip
    """The largest elements of windows of images that begin at random steps of two lengths.

    Shapes: (N, C, H, W) -> (N, C, H', W'), also without N.

    Args:
        output_size: (H', W'), or one number for both.
        output_ratio: H' / H and W' / W, instead.
        return_indices: whether to give (values, indices), as `max_pool2d`.
        _random_samples: (N, C, 2), numbers in [0, 1), from which the steps follow; drawn, if it is not given.

    Raises:
        ArgumentError: size and ratio are both given, or neither is.
        ShapeError: there is no room for so many windows.

    Source: Graham, *Fractional max-pooling* (2014).

    >>> import tessella as ts
    >>> fractional_max_pool2d(ts.ones((1, 1, 7, 7)), 2, output_ratio=0.5).shape
    (1, 1, 3, 3)
    """
    return _fractional(x, kernel_size, output_size, output_ratio, return_indices, _random_samples, 2)  # fmt: skip


@public
def fractional_max_pool3d(
    x: Tensor, kernel_size: PerAxis, output_size: PerAxis | None = None, output_ratio: Factors | None = None,
    return_indices: bool = False, _random_samples: Tensor | None = None,
) -> Any:  # fmt: skip
    """The largest elements of windows of volumes that begin at random steps; as `fractional_max_pool2d`.

    Shapes: (N, C, D, H, W) -> (N, C, D', H', W'), also without N; the samples are (N, C, 3).

    >>> import tessella as ts
    >>> fractional_max_pool3d(ts.ones((1, 5, 5, 5)), 2, output_size=(2, 3, 4)).shape
    (1, 2, 3, 4)
    """
    return _fractional(x, kernel_size, output_size, output_ratio, return_indices, _random_samples, 3)  # fmt: skip


def _unpooled_sizes(
    x: Tensor, kernel_size: Any, stride: Any, padding: Any, output_size: Any, rank: int, name: str
) -> tuple[int, ...]:  # fmt: skip
    """The sizes before the pooling, of which the windows leave some open.

    Raises:
        ShapeError: they can not have been these.
    """
    kernel = per_axis(kernel_size, rank, f"{name}: kernel_size")
    steps = kernel if stride is None else per_axis(stride, rank, f"{name}: stride")
    pads = per_axis(padding, rank, f"{name}: padding")
    numbers = zip(x.shape[x.ndim - rank :], kernel, steps, pads, strict=True)
    usual = tuple([(n - 1) * s + k - 2 * p for n, k, s, p in numbers])
    if output_size is None:
        return usual
    sizes = tuple(output_size)[-rank:]
    fits = len(output_size) in (rank, rank + 2) and all(
        abs(size - n) < s for size, n, s in zip(sizes, usual, steps, strict=True)
    )
    if not fits:
        raise ShapeError(
            f"{name}: output_size is {shown(tuple(output_size))}; expected less than a stride {steps} from {usual}"
        )
    return sizes


@at_once
def _unpool(
    x: Tensor, indices: Tensor, kernel_size: Any, stride: Any, padding: Any, output_size: Any, rank: int
) -> Tensor:  # fmt: skip
    name = f"max_unpool{rank}d"
    if x.ndim not in (rank + 1, rank + 2) or x.shape != indices.shape:
        raise ShapeError(
            f"{name}: shape {x.shape}, indices of shape {indices.shape}; expected the same for both, (N, C, ...) or "
            "(C, ...)"
        )
    sizes = _unpooled_sizes(x, kernel_size, stride, padding, output_size, rank, name)
    front, inside = x.shape[: x.ndim - rank], (math.prod(x.shape[x.ndim - rank :]),)
    empty = zeros((*front, math.prod(sizes)), dtype=x.dtype)
    flat = _put(empty, reshape(indices, (*front, *inside)), reshape(x, (*front, *inside)))
    return reshape(flat, (*front, *sizes))


@custom_jvp
def _put(empty: Tensor, places: Tensor, x: Tensor) -> Tensor:
    return scatter(empty, -1, places, x)


@_put.defjvp
def _put_tangent(
    primals: tuple[Tensor, ...], tangents: tuple[Tensor, ...]
) -> tuple[Tensor, Tensor]:
    """Where windows overlap, an element is found by several: each is given the gradient of its place, as in PyTorch."""
    empty, places, x = primals
    return scatter(empty, -1, places, x), scatter_add(empty, -1, places, tangents[2])


@public
def max_unpool1d(
    x: Tensor, indices: Tensor, kernel_size: PerAxis, stride: PerAxis | None = None, padding: PerAxis = 0,
    output_size: Sequence[int] | None = None,
) -> Tensor:  # fmt: skip
    """Elements where `max_pool1d` found them, zeros elsewhere; of two that stood at one place the last one.

    Shapes: (N, C, L) and the same -> (N, C, L'), also without N, L' = (L - 1) stride + kernel - 2 padding.

    Args:
        indices: as `max_pool1d` gives them with `return_indices`.
        output_size: less than a stride from that L'.

    Raises:
        ShapeError: the indices have another shape, or there can be no such output.
        IndexingError: an index lies outside the output.

    >>> import tessella as ts
    >>> max_unpool1d(ts.asarray([[3.0, 2.0]]), ts.asarray([[1, 2]]), 2)
    tensor([[0., 3., 2., 0.]])
    """
    return _unpool(x, indices, kernel_size, stride, padding, output_size, 1)


@public
def max_unpool2d(
    x: Tensor, indices: Tensor, kernel_size: PerAxis, stride: PerAxis | None = None, padding: PerAxis = 0,
    output_size: Sequence[int] | None = None,
) -> Tensor:  # fmt: skip
    """Elements where `max_pool2d` found them, zeros elsewhere; as `max_unpool1d`.

    >>> import tessella as ts
    >>> max_unpool2d(ts.asarray([[[7.0]]]), ts.asarray([[[2]]]), 2)
    tensor([[[0., 0.],
             [7., 0.]]])
    """
    return _unpool(x, indices, kernel_size, stride, padding, output_size, 2)


@public
def max_unpool3d(
    x: Tensor, indices: Tensor, kernel_size: PerAxis, stride: PerAxis | None = None, padding: PerAxis = 0,
    output_size: Sequence[int] | None = None,
) -> Tensor:  # fmt: skip
    """Elements where `max_pool3d` found them, zeros elsewhere; as `max_unpool1d`.

    >>> import tessella as ts
    >>> max_unpool3d(ts.asarray([[[[7.0]]]]), ts.asarray([[[[5]]]]), 2).flatten()
    tensor([0., 0., 0., 0., 0., 7., 0., 0.])
    """
    return _unpool(x, indices, kernel_size, stride, padding, output_size, 3)
