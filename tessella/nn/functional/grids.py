"""Elements read at places that tensors give: spatial transformers.

Source: Jaderberg et al., *Spatial transformer networks* (2015).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from tessella.arguments import public
from tessella.arguments.kinds import shown
from tessella.errors import ArgumentError, ShapeError
from tessella.nn.functional.checks import check_room
from tessella.nn.functional.interpolation import cubic_weights
from tessella.primitives.indexing import Gather
from tessella.tensors.creation import asarray
from tessella.tensors.elementwise import clip, floor, round, where
from tessella.tensors.linear import matmul
from tessella.tensors.manipulation import moveaxis, reshape, stack
from tessella.tensors.statistical import narrowed, widened
from tessella.tensors.tensor import Tensor, apply
from tessella.transforms.at_once import at_once


@public
def affine_grid(theta: Tensor, size: Sequence[int], align_corners: bool | None = None) -> Tensor:
    """Where `grid_sample` is to read, for results that are turned, scaled, sheared and moved.

    Shapes: (N, 2, 3) and size (N, C, H, W) -> (N, H, W, 2); (N, 3, 4) and (N, C, D, H, W) -> (N, D, H, W, 3). The last
        axis is (x, y) or (x, y, z), from -1 to 1.

    Args:
        theta: of each example, what x, y (and z) are made of: x, y (z) and 1.
        size: of the result.
        align_corners: whether -1 and 1 are the middles of the first and last elements, not their outer edges.

    Raises:
        ShapeError: the matrices do not fit the size.

    >>> import tessella as ts
    >>> affine_grid(ts.asarray([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]]), (1, 1, 1, 2), align_corners=True)
    tensor([[[[-1.,  0.],
              [ 1.,  0.]]]])
    """
    n, _, *extents = size if len(size) in (4, 5) else (0, 0)
    rank = len(extents)
    if rank not in (2, 3) or theta.shape != (n, rank, rank + 1) or min(size) < 1:
        raise ShapeError(
            f"affine_grid: theta has shape {theta.shape}, size is {shown(tuple(size))}; expected (N, 2, 3) and "
            "(N, C, H, W), or (N, 3, 4) and (N, C, D, H, W), all at least 1"
        )
    check_room((n, *extents, rank + 1), "affine_grid")
    lines = [_line(extent, bool(align_corners)) for extent in reversed(extents)]
    planes = np.meshgrid(*lines[::-1], np.ones(1), indexing="ij")
    columns = [*planes[rank - 1 :: -1], planes[rank]]
    base = asarray(np.stack(columns, axis=-1).reshape(1, -1, rank + 1)).astype(theta.dtype)
    return reshape(matmul(base, theta.permute((0, 2, 1))), (n, *extents, rank))


def _line(extent: int, corners: bool) -> np.ndarray[Any, Any]:
    line = np.linspace(-1.0, 1.0, extent) if extent > 1 else np.zeros(extent)
    return line if corners else line * (extent - 1) / extent


def _unnormalised(place: Tensor, n: int, corners: bool) -> Tensor:
    """From -1 to 1, as the number of an element."""
    return (place + 1) * (0.5 * (n - 1)) if corners else ((place + 1) * n - 1) * 0.5


def _reflected(place: Tensor, low: float, span: float) -> Tensor:
    """Places thrown back at both ends until they lie between them."""
    if span == 0:
        return place * 0.0
    distance = abs(place - low)
    turns = floor(distance / span).detach()
    inside = distance - turns * span
    return where(turns % 2 == 0, inside, span - inside) + low


def _bounded(place: Tensor, n: int, padding_mode: str, corners: bool) -> Tensor:
    """Places outside as the mode has it; of zeros, as they are."""
    if padding_mode == "zeros":
        return place
    if padding_mode == "reflection":
        place = _reflected(place, 0.0, n - 1.0) if corners else _reflected(place, -0.5, float(n))
    return clip(place, 0.0, n - 1.0)


def _taps(place: Tensor, mode: str) -> tuple[Tensor, Tensor | None]:
    """Whole places near each one, along a last axis, and their weights; None for all."""
    if mode == "nearest":
        return round(place.detach())[..., None], None
    low = floor(place.detach())
    part = place - low
    if mode == "bilinear":
        return low[..., None] + asarray([0.0, 1.0], dtype=low.dtype), stack([1 - part, part], -1)
    near = low[..., None] + asarray([-1.0, 0.0, 1.0, 2.0], dtype=low.dtype)
    return near, stack(cubic_weights(part), -1)


def _taps_of(
    place: Tensor, n: int, mode: str, padding_mode: str, corners: bool
) -> tuple[Tensor, Tensor | None]:
    """`_taps` within an axis of n elements; of `bicubic` each place that is read is bounded by itself."""
    if mode != "bicubic":
        return _taps(_bounded(place, n, padding_mode, corners), mode)
    near, weights = _taps(place, mode)
    return _bounded(near, n, padding_mode, corners), weights


def _beside(x: Tensor, axis: int, rank: int) -> Tensor:
    """The last axis as one of `rank` last ones."""
    shape = [1] * rank
    shape[axis] = x.shape[-1]
    return reshape(x, (*x.shape[:-1], *shape))


def _read(x: Tensor, taps: list[tuple[Tensor, Tensor | None]]) -> Tensor:
    """The sums of elements at whole places, times their weights; zeros outside, whatever the weight.

    All elements of a place stand side by side while they are read: one gather, whose gradient is one scatter.

    Shapes: (N, C, *in), and for each axis (N, *out, taps) -> (N, *out, C).
    """
    rank, (count, channels) = len(taps), x.shape[:2]
    flat: Any = 0
    inside: Any = True
    weight: Any = None
    for axis, (place, share) in enumerate(taps):
        extent = x.shape[2 + axis]
        there = (place >= 0) & (place <= extent - 1)
        index = clip(where(there, place, 0.0).astype("int64"), 0, extent - 1)
        flat = flat * extent + _beside(index, axis, rank)
        inside = _beside(there, axis, rank) & inside
        if share is not None:
            share = _beside(share, axis, rank)
            weight = share if weight is None else weight * share
    rows = reshape(moveaxis(x, 1, -1), (count, -1, channels))
    read = apply(Gather((1,), ((0, 0),)), (rows, flat))
    found = where(inside[..., None], read if weight is None else read * weight[..., None], 0.0)
    return found.sum(axis=tuple(range(found.ndim - 1 - rank, found.ndim - 1)))


def _check(x: Tensor, grid: Tensor, mode: str) -> None:
    rank = x.ndim - 2
    fits = rank in (2, 3) and grid.ndim == x.ndim and grid.shape[-1] == rank
    if not fits or grid.shape[0] != x.shape[0] or min(x.shape[2:], default=0) < 1:
        raise ShapeError(
            f"grid_sample: the input has shape {x.shape}, the grid {grid.shape}; expected (N, C, H, W) and (N, H', W', 2), "
            "or (N, C, D, H, W) and (N, D', H', W', 3), with at least one element to read"
        )
    if mode == "bicubic" and rank == 3:
        raise ArgumentError(
            "grid_sample: mode 'bicubic' is of images; expected 'bilinear' or 'nearest'"
        )


@public
@at_once
def grid_sample(
    x: Tensor, grid: Tensor, mode: Literal["bilinear", "nearest", "bicubic"] = "bilinear",
    padding_mode: Literal["zeros", "border", "reflection"] = "zeros", align_corners: bool | None = None,
) -> Tensor:  # fmt: skip
    """x read at the places of a grid.

    Shapes: (N, C, H, W) and (N, H', W', 2) -> (N, C, H', W'); (N, C, D, H, W) and (N, D', H', W', 3) ->
        (N, C, D', H', W'). The last axis of the grid is (x, y) or (x, y, z): the last axis of the input first, from -1
        to 1.

    Args:
        mode: which elements near a place are weighed (`bilinear` is trilinear for volumes).
        padding_mode: what lies outside: zeros, the edge, or what is thrown back at it.
        align_corners: whether -1 and 1 are the middles of the first and last elements, not their outer edges.

    Raises:
        ShapeError: input and grid do not fit.
        ArgumentError: `bicubic` of volumes.

    >>> import tessella as ts
    >>> grid_sample(ts.asarray([[[[1.0, 3.0]]]]), ts.asarray([[[[0.0, 0.0]]]]))
    tensor([[[[2.]]]])
    """
    _check(x, grid, mode)
    corners = bool(align_corners)
    wide, extents = widened(x), x.shape[2:]
    places = [
        _unnormalised(widened(grid)[..., len(extents) - 1 - axis], n, corners)
        for axis, n in enumerate(extents)
    ]
    taps = [_taps_of(place, n, mode, padding_mode, corners) for place, n in zip(places, extents, strict=True)]  # fmt: skip
    return narrowed(moveaxis(_read(wide, taps), -1, 1), x)
