"""Pooling: the largest element, the mean, or another norm of each window."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from tessella import dtypes
from tessella.arguments import public
from tessella.arguments.kinds import PerAxis
from tessella.errors import ArgumentError, DTypeError
from tessella.nn.functional.windows import (
    Windows,
    folded,
    over_windows,
    seen,
    sum_of_windows,
    windows_of,
)
from tessella.primitives.monoid import LEADING_MAXIMUM, lowest
from tessella.primitives.reduce import Reduce
from tessella.tensors.creation import asarray, zeros
from tessella.tensors.elementwise import where, zip_with
from tessella.tensors.manipulation import reshape
from tessella.tensors.statistical import argmax, narrowed, widened
from tessella.tensors.tensor import Tensor, apply
from tessella.transforms.at_once import at_once


class Pooled(NamedTuple):
    """The largest elements, and where in the flat input each stands."""

    values: Tensor
    indices: Tensor


def larger(a: Any, b: Any) -> Any:
    """The second number if it is larger, or NaN."""
    return b if (b > a) | (b != b) else a  # NaN is largest


_larger = zip_with(larger)


def largest(x: Tensor, axes: tuple[int, ...]) -> Tensor:
    """The largest element along axes; the first of equal ones has the gradient."""
    return apply(Reduce(LEADING_MAXIMUM, axes), (x,))


@at_once
def _max_pool(
    x: Tensor, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil: bool, indices: bool, rank: int
) -> Any:  # fmt: skip
    windows = windows_of(x, kernel, stride, padding, dilation, ceil, rank, f"max_pool{rank}d")
    values = over_windows(x, windows, lowest(x.dtype), _larger, largest)
    return Pooled(values, _where_largest(x.detach(), windows)) if indices else values


def _where_largest(x: Tensor, windows: list[Windows]) -> Tensor:
    """Where in the flat last axes the largest element of each window stands."""
    rank = len(windows)
    inside = _number_of_largest(x, windows)
    found: list[Tensor] = []
    for w in reversed(windows):
        found.insert(0, inside % w.size)
        inside = inside // w.size
    places = [_place(offset, w, rank - axis - 1) for axis, (offset, w) in enumerate(zip(found, windows, strict=True))]  # fmt: skip
    flat, outside = places[0]
    first = _first_inside(windows[0], rank - 1)
    for axis in range(1, rank):
        place, beyond = places[axis]
        flat, outside = flat * windows[axis].n + place, outside | beyond
        first = first * windows[axis].n + _first_inside(windows[axis], rank - axis - 1)
    return where(outside, first, flat)  # it stands outside if all within are minus infinity


def _number_of_largest(x: Tensor, windows: list[Windows]) -> Tensor:
    """Which element of each window is the largest, row by row; the first of equal ones, or the first NaN."""
    views = folded(x, windows, lowest(x.dtype))
    if views is None:
        view = seen(x, windows, lowest(x.dtype))
        inside = math.prod(w.size for w in windows)
        return argmax(reshape(view, (*view.shape[: view.ndim - len(windows)], inside)), axis=-1)
    best, *others = views
    number = zeros(best.shape, dtype=dtypes.int64)
    for place, view in enumerate(others, 1):
        is_larger = (view > best) | ((view != view) & (best == best))
        best, number = where(is_larger, view, best), where(is_larger, place, number)
    return number


def _place(offset: Tensor, w: Windows, behind: int) -> tuple[Tensor, Tensor]:
    """Where along its axis an element of a window stands, and whether that is outside."""
    starts = np.arange(int(w.places)).reshape(-1, *(1,) * behind) * w.step - w.pad
    place = asarray(starts) + offset * w.dilation
    return place, (place < 0) | (place >= w.n)


def _first_inside(w: Windows, behind: int) -> Tensor:
    """Where the first element of each window stands that is no padding."""
    starts = np.arange(int(w.places)) * w.step - w.pad
    steps = -(np.minimum(starts, 0) // w.dilation)
    return asarray((starts + steps * w.dilation).reshape(-1, *(1,) * behind))


def mean_of_windows(
    x: Tensor, windows: list[Windows], name: str, count_pad: bool, divisor: int | None
) -> Tensor:
    """The sum of each window divided by how many elements it has.

    Raises:
        DTypeError: the elements have no fractions.
    """
    if not x.dtype.is_inexact:
        raise DTypeError(
            f"{name}: {x.dtype.name} has no fractions; convert first: x.astype(ts.float32)"
        )
    total = sum_of_windows(widened(x), windows)
    return narrowed(total / (divisor or _counts(windows, count_pad, total)), x)


def _counts(windows: list[Windows], count_pad: bool, like: Tensor) -> Any:
    """How many elements the windows have: a number if all have as many."""
    if all(w.more <= (w.pad if count_pad else 0) and (count_pad or not w.pad) for w in windows):
        return math.prod(w.size for w in windows)
    counts: Any = 1
    for w in windows:
        reach = w.reach(w.pad, w.pad) if count_pad else w.reach(0, 0)
        counts = np.multiply.outer(counts, reach)
    return asarray(counts.astype(np.float64)).astype(like.dtype)


@at_once
def _avg_pool(
    x: Tensor, kernel: Any, stride: Any, padding: Any, ceil: bool, count_pad: bool, divisor: int | None, rank: int
) -> Tensor:  # fmt: skip
    name = f"avg_pool{rank}d"
    if divisor is not None and divisor == 0:
        raise ArgumentError(f"{name}: divisor_override is 0; expected another number")
    windows = windows_of(x, kernel, stride, padding, 1, ceil, rank, name)
    return mean_of_windows(x, windows, name, count_pad, divisor)


@at_once
def _lp_pool(x: Tensor, p: float, kernel: Any, stride: Any, ceil: bool, rank: int) -> Tensor:
    name = f"lp_pool{rank}d"
    windows = windows_of(x, kernel, stride, 0, 1, ceil, rank, name)
    means = mean_of_windows(x**p, windows, name, True, None)
    return (means * math.prod(w.size for w in windows)) ** (1.0 / p)


@public
def max_pool1d(
    x: Tensor, kernel_size: PerAxis, stride: PerAxis | None = None, padding: PerAxis = 0,
    dilation: PerAxis = 1, ceil_mode: bool = False, return_indices: bool = False,
) -> Any:  # fmt: skip
    """The largest element of each window of the last axis; NaN counts as largest.

    Of equal elements the first one has the gradient. What is padded is lower than all elements. With `ceil_mode` a
    window may end behind the axis, if it begins within the axis or the padding before it.

    Shapes: (N, C, L) -> (N, C, L'), also without N, L' = (L + 2 padding - dilation (kernel - 1) - 1) // stride + 1.

    Args:
        stride: from one window to the next; as large as the window, if it is not given.
        return_indices: whether to give (values, indices), where in the flat last axis each value stands.

    Raises:
        ArgumentError: the padding is more than half of the window.
        ShapeError: there is no room for a window.

    >>> import tessella as ts
    >>> max_pool1d(ts.asarray([[1.0, 3.0, 2.0, 0.0]]), 2)
    tensor([[3., 2.]])
    >>> max_pool1d(ts.asarray([[1.0, 3.0, 2.0, 0.0]]), 2, return_indices=True).indices
    tensor([[1, 2]])
    """
    return _max_pool(x, kernel_size, stride, padding, dilation, ceil_mode, return_indices, 1)


@public
def max_pool2d(
    x: Tensor, kernel_size: PerAxis, stride: PerAxis | None = None, padding: PerAxis = 0,
    dilation: PerAxis = 1, ceil_mode: bool = False, return_indices: bool = False,
) -> Any:  # fmt: skip
    """The largest element of each window of images; ties, arguments and errors as in `max_pool1d`.

    Shapes: (N, C, H, W) -> (N, C, H', W'), also without N; indices count the elements of an image, row by row.

    >>> import tessella as ts
    >>> max_pool2d(ts.reshape(ts.arange(16.0), (1, 1, 4, 4)), 2)
    tensor([[[[ 5.,  7.],
              [13., 15.]]]])
    """
    return _max_pool(x, kernel_size, stride, padding, dilation, ceil_mode, return_indices, 2)


@public
def max_pool3d(
    x: Tensor, kernel_size: PerAxis, stride: PerAxis | None = None, padding: PerAxis = 0,
    dilation: PerAxis = 1, ceil_mode: bool = False, return_indices: bool = False,
) -> Any:  # fmt: skip
    """The largest element of each window of volumes; ties, arguments and errors as in `max_pool1d`.

    Shapes: (N, C, D, H, W) -> (N, C, D', H', W'), also without N.

    >>> import tessella as ts
    >>> max_pool3d(ts.reshape(ts.arange(8.0), (1, 1, 2, 2, 2)), 2)
    tensor([[[[[7.]]]]])
    """
    return _max_pool(x, kernel_size, stride, padding, dilation, ceil_mode, return_indices, 3)


@public
def avg_pool1d(
    x: Tensor, kernel_size: PerAxis, stride: PerAxis | None = None, padding: PerAxis = 0,
    ceil_mode: bool = False, count_include_pad: bool = True,
) -> Tensor:  # fmt: skip
    """The mean of each window of the last axis.

    Shapes: (N, C, L) -> (N, C, L'), also without N; sizes as in `max_pool1d`.

    Args:
        stride: from one window to the next; as large as the window, if it is not given.
        count_include_pad: whether the zeros of the padding are counted; those behind it, where a window ends with
            `ceil_mode`, never are.

    Raises:
        ArgumentError: the padding is more than half of the window.
        ShapeError: there is no room for a window.
        DTypeError: the elements have no fractions.

    >>> import tessella as ts
    >>> avg_pool1d(ts.asarray([[1.0, 3.0, 2.0, 0.0]]), 2)
    tensor([[2., 1.]])
    """
    return _avg_pool(x, kernel_size, stride, padding, ceil_mode, count_include_pad, None, 1)


@public
def avg_pool2d(
    x: Tensor, kernel_size: PerAxis, stride: PerAxis | None = None, padding: PerAxis = 0,
    ceil_mode: bool = False, count_include_pad: bool = True, divisor_override: int | None = None,
) -> Tensor:  # fmt: skip
    """The mean of each window of images; arguments and errors as in `avg_pool1d`.

    Shapes: (N, C, H, W) -> (N, C, H', W'), also without N.

    Args:
        divisor_override: by which sums are divided, instead of the number of elements.

    >>> import tessella as ts
    >>> avg_pool2d(ts.reshape(ts.arange(16.0), (1, 1, 4, 4)), 2)
    tensor([[[[ 2.5,  4.5],
              [10.5, 12.5]]]])
    """
    return _avg_pool(
        x, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override, 2
    )


@public
def avg_pool3d(
    x: Tensor, kernel_size: PerAxis, stride: PerAxis | None = None, padding: PerAxis = 0,
    ceil_mode: bool = False, count_include_pad: bool = True, divisor_override: int | None = None,
) -> Tensor:  # fmt: skip
    """The mean of each window of volumes; arguments and errors as in `avg_pool2d`.

    Shapes: (N, C, D, H, W) -> (N, C, D', H', W'), also without N.

    >>> import tessella as ts
    >>> avg_pool3d(ts.reshape(ts.arange(8.0), (1, 1, 2, 2, 2)), 2)
    tensor([[[[[3.5]]]]])
    """
    return _avg_pool(
        x, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override, 3
    )


@public
def lp_pool1d(
    x: Tensor, norm_type: float, kernel_size: PerAxis, stride: PerAxis | None = None, ceil_mode: bool = False
) -> Tensor:  # fmt: skip
    """(sum of x**p)**(1/p) of each window of the last axis, p being `norm_type`.

    Of a window that ends behind the axis, as it may with `ceil_mode`, the mean stands for what is missing.

    Shapes: (N, C, L) -> (N, C, L'), also without N; sizes as in `max_pool1d`.

    >>> import tessella as ts
    >>> lp_pool1d(ts.asarray([[3.0, 4.0, 0.0, 2.0]]), 2, 2)
    tensor([[5., 2.]])
    """
    return _lp_pool(x, norm_type, kernel_size, stride, ceil_mode, 1)


@public
def lp_pool2d(
    x: Tensor, norm_type: float, kernel_size: PerAxis, stride: PerAxis | None = None, ceil_mode: bool = False
) -> Tensor:  # fmt: skip
    """(sum of x**p)**(1/p) of each window of images, as in `lp_pool1d`.

    >>> import tessella as ts
    >>> lp_pool2d(ts.ones((1, 2, 2)), 2, 2)
    tensor([[[2.]]])
    """
    return _lp_pool(x, norm_type, kernel_size, stride, ceil_mode, 2)


@public
def lp_pool3d(
    x: Tensor, norm_type: float, kernel_size: PerAxis, stride: PerAxis | None = None, ceil_mode: bool = False
) -> Tensor:  # fmt: skip
    """(sum of x**p)**(1/p) of each window of volumes, as in `lp_pool1d`.

    >>> import tessella as ts
    >>> lp_pool3d(ts.ones((1, 2, 2, 2)), 1, 2)
    tensor([[[[8.]]]])
    """
    return _lp_pool(x, norm_type, kernel_size, stride, ceil_mode, 3)
