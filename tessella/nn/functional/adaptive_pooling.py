"""Pooling into a given number of windows."""

from __future__ import annotations

from typing import Any

import numpy as np

from tessella.arguments import public
from tessella.arguments.kinds import Sizes, shown
from tessella.errors import ArgumentError, ShapeError
from tessella.nn.functional.checks import check_room
from tessella.nn.functional.pooling import Pooled, largest
from tessella.primitives.indexing import Gather
from tessella.tensors.creation import arange, asarray
from tessella.tensors.elementwise import where
from tessella.tensors.indexing import take
from tessella.tensors.manipulation import reshape
from tessella.tensors.statistical import argmax, narrowed, widened
from tessella.tensors.tensor import Tensor, apply
from tessella.transforms.at_once import at_once


def _wanted(x: Tensor, output_size: Any, rank: int, name: str) -> tuple[int, ...]:
    """How many windows there are to be along each of the last axes.

    Raises:
        ArgumentError: not one number, or None, for each.
        ShapeError: there are no such axes, or nothing in them.
    """
    if x.ndim < rank + 1 or any(not n > 0 for n in x.shape[x.ndim - rank :]):
        raise ShapeError(
            f"{name}: shape {x.shape}; expected (N, C, ...) or (C, ...) with {rank} axes of at least one element"
        )
    several = isinstance(output_size, (tuple, list))
    sizes = tuple(output_size) if several else (output_size,) * rank
    if len(sizes) != rank or any(size is not None and size < 0 for size in sizes):
        raise ArgumentError(
            f"{name}: output_size is {shown(output_size)}; expected a number of at least 0, or {rank} of them; None "
            "for the size of the input"
        )
    extents = x.shape[x.ndim - rank :]
    wanted = tuple([n if size is None else size for size, n in zip(sizes, extents, strict=True)])
    check_room((*x.shape[: x.ndim - rank], *wanted), name)
    return wanted


def _bounds(n: int, count: int) -> tuple[Any, Any]:
    """Where windows begin and end that share an axis as evenly as they can."""
    places = np.arange(count)
    return places * n // count, -(-(places + 1) * n // count)


def _spread(x: Tensor, axis: int, count: int) -> tuple[Tensor, Any]:
    """One axis as its windows and their elements, the last one repeated, and how many each has."""
    n = x.shape[axis]
    if count and n % count == 0:
        shape = (*x.shape[:axis], count, n // count, *x.shape[axis + 1 :])
        return reshape(x, shape), None
    first, last = _bounds(int(n), count)
    width = int(max(last - first, default=1))
    places = np.minimum(first[:, None] + np.arange(width), last[:, None] - 1)
    return take(x, asarray(places), axis=axis), last - first


def _mean_along(x: Tensor, axis: int, count: int) -> Tensor:
    windows, counts = _spread(x, axis, count)
    if counts is None:
        return windows.mean(axis=axis + 1)
    behind = (1,) * (x.ndim - axis - 1)
    inside = np.arange(windows.shape[axis + 1]) < counts[:, None]
    total = where(asarray(inside.reshape(*inside.shape, *behind)), windows, 0.0).sum(axis=axis + 1)
    return total / asarray(counts.reshape(-1, *behind).astype(np.float64)).astype(x.dtype)


@at_once
def _adaptive_avg(x: Tensor, output_size: Any, rank: int) -> Tensor:
    sizes = _wanted(x, output_size, rank, f"adaptive_avg_pool{rank}d")
    result = widened(x)
    for axis, count in zip(range(x.ndim - 1, x.ndim - 1 - rank, -1), sizes[::-1], strict=True):
        result = _mean_along(result, axis, count)
    return narrowed(result, x)


@at_once
def _adaptive_max(x: Tensor, output_size: Any, indices: bool, rank: int) -> Any:
    sizes = _wanted(x, output_size, rank, f"adaptive_max_pool{rank}d")
    result = x
    for axis, count in zip(range(x.ndim - 1, x.ndim - 1 - rank, -1), sizes[::-1], strict=True):
        result = largest(_spread(result, axis, count)[0], (axis + 1,))
    if not indices:
        return result
    return Pooled(result, _where_largest(x.detach(), sizes))


def _where_largest(x: Tensor, sizes: tuple[int, ...]) -> Tensor:
    """Where in the flat last axes the largest element of each window stands."""
    rank, front = len(sizes), x.ndim - len(sizes)
    places = reshape(arange(int(np.prod(x.shape[front:]))), x.shape[front:])
    view, numbers = x, places
    for axis in range(rank - 1, -1, -1):
        view = _spread(view, front + axis, sizes[axis])[0]
        numbers = _spread(numbers, axis, sizes[axis])[0]
    order = (*range(0, 2 * rank, 2), *range(1, 2 * rank, 2))
    view = view.permute((*range(front), *[front + i for i in order]))
    rows = reshape(numbers.permute(order), (*sizes, -1))
    inside = argmax(reshape(view, (*x.shape[:front], *sizes, rows.shape[-1])), axis=-1)
    return apply(Gather((rank,), tuple((i, front + i) for i in range(rank))), (rows, inside))


@public
def adaptive_avg_pool1d(x: Tensor, output_size: Sizes) -> Tensor:
    """The means of so many windows of the last axis, as equal in size as they can be; they may overlap.

    Window i of m goes from floor(i L / m) to ceil((i + 1) L / m).

    Shapes: (N, C, L) -> (N, C, m), also without N.

    Args:
        output_size: m; None for L.

    Raises:
        ShapeError: there is nothing in the axis.

    >>> import tessella as ts
    >>> adaptive_avg_pool1d(ts.asarray([[1.0, 3.0, 5.0]]), 2)
    tensor([[2., 4.]])
    """
    return _adaptive_avg(x, output_size, 1)


@public
def adaptive_avg_pool2d(x: Tensor, output_size: Sizes) -> Tensor:
    """The means of windows of images, so many in each direction; as in `adaptive_avg_pool1d`.

    >>> import tessella as ts
    >>> adaptive_avg_pool2d(ts.ones((1, 5, 7)), (1, None)).shape
    (1, 1, 7)
    """
    return _adaptive_avg(x, output_size, 2)


@public
def adaptive_avg_pool3d(x: Tensor, output_size: Sizes) -> Tensor:
    """The means of windows of volumes, so many in each direction; as in `adaptive_avg_pool1d`.

    >>> import tessella as ts
    >>> adaptive_avg_pool3d(ts.ones((1, 5, 7, 3)), 2).shape
    (1, 2, 2, 2)
    """
    return _adaptive_avg(x, output_size, 3)


@public
def adaptive_max_pool1d(x: Tensor, output_size: Sizes, return_indices: bool = False) -> Any:
    """The largest elements of windows as in `adaptive_avg_pool1d`; ties and indices as in `max_pool1d`.

    >>> import tessella as ts
    >>> adaptive_max_pool1d(ts.asarray([[1.0, 3.0, 2.0]]), 2, return_indices=True)
    Pooled(values=tensor([[3., 3.]]), indices=tensor([[1, 1]]))
    """
    return _adaptive_max(x, output_size, return_indices, 1)


@public
def adaptive_max_pool2d(x: Tensor, output_size: Sizes, return_indices: bool = False) -> Any:
    """The largest elements of windows of images, so many in each direction; as in `adaptive_max_pool1d`.

    >>> import tessella as ts
    >>> adaptive_max_pool2d(ts.reshape(ts.arange(6.0), (1, 2, 3)), 1)
    tensor([[[5.]]])
    """
    return _adaptive_max(x, output_size, return_indices, 2)


@public
def adaptive_max_pool3d(x: Tensor, output_size: Sizes, return_indices: bool = False) -> Any:
    """The largest elements of windows of volumes, so many in each direction; as in `adaptive_max_pool1d`.

    >>> import tessella as ts
    >>> adaptive_max_pool3d(ts.reshape(ts.arange(6.0), (1, 2, 3, 1)), 1)
    tensor([[[[5.]]]])
    """
    return _adaptive_max(x, output_size, return_indices, 3)
