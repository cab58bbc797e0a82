"""Resampling along the last axes: each element of the result is a weighted sum of elements near its place.

The axes are independent of each other. For each, a table says which elements are read for each place of the result, and
with what weights; it depends on sizes alone, so compiled functions hold it as constants.

Source: Keys, *Cubic convolution interpolation for digital image processing* (1981).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np

from tessella.arguments import public
from tessella.arguments.kinds import Factors, PerAxis, shown
from tessella.errors import ArgumentError, DTypeError, ShapeError
from tessella.nn.functional import adaptive_pooling
from tessella.nn.functional.checks import check_room
from tessella.nn.functional.convolution import per_axis
from tessella.tensors.creation import asarray
from tessella.tensors.indexing import take
from tessella.tensors.manipulation import broadcast_to, reshape
from tessella.tensors.statistical import narrowed, widened
from tessella.tensors.tensor import Tensor
from tessella.transforms.at_once import at_once

Mode = Literal[
    "nearest", "nearest-exact", "linear", "bilinear", "bicubic", "trilinear", "area"
]  # fmt: skip
Table = tuple["np.ndarray[Any, Any]", "np.ndarray[Any, Any] | None"]
_RANKS = {
    "nearest": (1, 2, 3), "nearest-exact": (1, 2, 3), "area": (1, 2, 3), "linear": (1,), "bilinear": (2,),
    "bicubic": (2,), "trilinear": (3,),
}  # fmt: skip
_AREA = (
    adaptive_pooling.adaptive_avg_pool1d, adaptive_pooling.adaptive_avg_pool2d, adaptive_pooling.adaptive_avg_pool3d,
)  # fmt: skip


class _Axis(NamedTuple):
    """One axis: its size, that of the result, and how far apart the results' places are."""

    n: int
    size: int
    step: float
    corners: bool

    def sources(self) -> np.ndarray[Any, Any]:
        """Where in the axis the elements of the result lie."""
        places = np.arange(self.size)
        if not self.corners:
            return (places + 0.5) * self.step - 0.5
        return places * ((self.n - 1) / (self.size - 1) if self.size > 1 else 0.0)


def _nearest(axis: _Axis, shift: float) -> Table:
    """In float32, in which PyTorch decides which one is nearest."""
    sources = (np.arange(axis.size, dtype=np.float32) + np.float32(shift)) * np.float32(axis.step)
    return np.minimum(np.floor(sources).astype(np.int64), axis.n - 1), None


def _linear(axis: _Axis) -> Table:
    sources = np.maximum(axis.sources(), 0.0)
    low = np.minimum(np.floor(sources).astype(np.int64), axis.n - 1)
    part = np.clip(sources - low, 0.0, 1.0)
    places = np.stack([low, np.minimum(low + 1, axis.n - 1)], axis=-1)
    return places, np.stack([1 - part, part], axis=-1)


def cubic_weights(part: Any, bend: float = -0.75) -> list[Any]:
    """The weights of the elements at -1, 0, 1 and 2 for a place between 0 and 1.

    >>> cubic_weights(0.5)
    [-0.09375, 0.59375, 0.59375, -0.09375]
    """

    def near(t: Any) -> Any:
        return ((bend + 2) * t - (bend + 3)) * t * t + 1

    def far(t: Any) -> Any:
        return ((bend * t - 5 * bend) * t + 8 * bend) * t - 4 * bend

    return [far(part + 1), near(part), near(1 - part), far(2 - part)]


def _cubic(axis: _Axis) -> Table:
    sources = axis.sources()
    low = np.floor(sources)
    places = low.astype(np.int64)[:, None] + np.arange(-1, 3)
    return np.clip(places, 0, axis.n - 1), np.stack(cubic_weights(sources - low), axis=-1)


def _triangle(t: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.maximum(1 - np.abs(t), 0.0)


def _bell(t: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The cubic filter by distance."""
    distance = np.abs(t)
    far, near, *_ = cubic_weights(distance % 1.0, -0.5)
    return np.where(distance < 1, near, np.where(distance < 2, far, 0.0))


def _smooth(axis: _Axis, filtered: Callable[[Any], Any], reach: float) -> Table:
    """A filter as wide as the steps are long, so that nothing between them is left out."""
    step = axis.step
    if axis.corners:
        step = (axis.n - 1) / (axis.size - 1) if axis.size > 1 else 0.0
    width = max(step, 1.0)
    centres = step * (np.arange(axis.size) + 0.5)
    first = np.maximum((centres - reach * width + 0.5).astype(np.int64), 0)
    last = np.minimum((centres + reach * width + 0.5).astype(np.int64), axis.n)
    places = first[:, None] + np.arange(max(int((last - first).max()), 1))
    weights = filtered((places - centres[:, None] + 0.5) / width) * (places < last[:, None])
    return np.minimum(places, axis.n - 1), weights / weights.sum(axis=-1, keepdims=True)


_TABLES: dict[str, Callable[[_Axis], Table]] = {
    "nearest": lambda axis: _nearest(axis, 0.0),
    "nearest-exact": lambda axis: _nearest(axis, 0.5),
    **dict.fromkeys(("linear", "bilinear", "trilinear"), _linear),
    "bicubic": _cubic,
}
_SMOOTH: dict[str, Callable[[_Axis], Table]] = {
    "bilinear": lambda axis: _smooth(axis, _triangle, 1.0),
    "bicubic": lambda axis: _smooth(axis, _bell, 2.0),
}


def _along(x: Tensor, axis: int, table: Table) -> Tensor:
    """One axis resampled."""
    places, weights = table
    if weights is None:
        return _chosen(x, axis, places)
    behind = (1,) * (x.ndim - axis - 1)
    total: Any = None
    for tap in range(weights.shape[-1]):
        weight = asarray(weights[:, tap].reshape(-1, *behind)).astype(x.dtype)
        term = take(x, asarray(places[:, tap]), axis=axis) * weight
        total = term if total is None else total + term
    return total


def _chosen(x: Tensor, axis: int, places: np.ndarray[Any, Any]) -> Tensor:
    n, size = x.shape[axis], len(places)
    if size % n == 0 and (places == np.arange(size) // (size // n)).all():  # each one several times
        front, behind = x.shape[:axis], x.shape[axis + 1 :]
        repeated = broadcast_to(
            reshape(x, (*front, n, 1, *behind)), (*front, n, size // n, *behind)
        )
        return reshape(repeated, (*front, size, *behind))
    return take(x, asarray(places), axis=axis)


def _sizes(x: Tensor, size: Any, scale_factor: Any, rank: int) -> tuple[list[int], list[float]]:
    """The sizes of the result, and the factors, if they are given.

    Raises:
        ArgumentError: size and factor are both given, or neither is, or there are not as many as axes.
    """
    if (size is None) == (scale_factor is None):
        raise ArgumentError("interpolate: give size or scale_factor, one of them")
    if size is not None:
        return list(per_axis(size, rank, "interpolate: size")), []
    several = isinstance(scale_factor, (tuple, list))
    factors = [float(f) for f in (scale_factor if several else (scale_factor,) * rank)]
    if len(factors) != rank or not all(0 < f < math.inf for f in factors):
        raise ArgumentError(
            f"interpolate: scale_factor is {shown(scale_factor)}; expected a positive number, or {rank} of them"
        )
    return [math.floor(int(n) * f) for n, f in zip(x.shape[2:], factors, strict=True)], factors


def _check(
    x: Tensor, sizes: list[int], mode: str, align_corners: bool | None, antialias: bool
) -> None:
    """What the modes ask for.

    Raises:
        ArgumentError: of the options.
        ShapeError: of the axes.
        DTypeError: weighted sums need fractions.
    """
    if align_corners is not None and (mode.startswith("nearest") or mode == "area"):
        raise ArgumentError(
            f"interpolate: align_corners={align_corners} with mode {mode!r}; it is of linear, bilinear, bicubic, trilinear"
        )
    if antialias and mode not in _SMOOTH:
        raise ArgumentError(
            f"interpolate: antialias with mode {mode!r}; it is of bilinear, bicubic"
        )
    if min((*sizes, *x.shape[1:])) < 1:
        raise ShapeError(
            f"interpolate: from shape {x.shape} to the sizes {tuple(sizes)}; expected at least 1 of each"
        )
    if not x.dtype.is_float and not mode.startswith("nearest"):
        raise DTypeError(
            f"interpolate: mode {mode!r} of {x.dtype.name}; convert first: x.astype(ts.float32)"
        )


@public
def interpolate(
    x: Tensor, size: PerAxis | None = None, scale_factor: Factors | None = None,
    mode: Literal["nearest", "nearest-exact", "linear", "bilinear", "bicubic", "trilinear", "area"] = "nearest",
    align_corners: bool | None = None, recompute_scale_factor: bool | None = None, antialias: bool = False,
) -> Tensor:  # fmt: skip
    """x resampled to other sizes.

    `nearest` takes the element at floor(i / factor), `nearest-exact` the one that is nearest to the middle; `linear`,
    `bilinear`, `trilinear` (by the number of axes) and `bicubic` weigh 2 or 4 elements of each axis; `area` is
    `adaptive_avg_pool`.

    Shapes: (N, C, ...) with one to three axes after the channels -> (N, C, *size).

    Args:
        scale_factor: by which sizes grow, instead of `size`; they are rounded down.
        align_corners: whether the middles of the first and last elements stay in place, not their outer edges.
        recompute_scale_factor: whether the factors follow from the rounded sizes.
        antialias: whether filters are as wide as steps are long, where sizes shrink (`bilinear`, `bicubic`).

    Raises:
        ArgumentError: options that do not go together.
        ShapeError: the mode is of other axes, or there is nothing to resample.
        DTypeError: integers, unless the mode is `nearest` or `nearest-exact`.

    >>> import tessella as ts
    >>> interpolate(ts.asarray([[[1.0, 3.0]]]), scale_factor=2.0)
    tensor([[[1., 1., 3., 3.]]])
    >>> interpolate(ts.asarray([[[1.0, 3.0]]]), size=3, mode="linear", align_corners=True)
    tensor([[[1., 2., 3.]]])
    """
    rank = x.ndim - 2
    if rank not in _RANKS[mode]:
        raise ShapeError(
            f"interpolate: shape {x.shape} with mode {mode!r}; expected (N, C, ...) with "
            f"{' or '.join(map(str, _RANKS[mode]))} axes after the channels"
        )
    sizes, factors = _sizes(x, size, scale_factor, rank)
    _check(x, sizes, mode, align_corners, antialias)
    if recompute_scale_factor and size is not None:
        raise ArgumentError("interpolate: recompute_scale_factor with size; it is of scale_factor")
    check_room((*x.shape[:2], *sizes), "interpolate")
    if mode == "area":
        return _AREA[rank - 1](x, sizes)
    steps = [1 / f for f in factors] if factors and not recompute_scale_factor else [n / m for n, m in zip(x.shape[2:], sizes, strict=True)]  # fmt: skip
    return _resampled(x, tuple(sizes), tuple(steps), mode, bool(align_corners), antialias)


@at_once
def _resampled(
    x: Tensor, sizes: tuple[int, ...], steps: tuple[float, ...], mode: str, corners: bool, antialias: bool
) -> Tensor:  # fmt: skip
    """One axis after the other."""
    tables = _SMOOTH if antialias else _TABLES
    result = widened(x)
    for place, axis in enumerate(zip(x.shape[2:], sizes, steps, strict=True), 2):
        n, m, step = axis
        result = _along(result, place, tables[mode](_Axis(int(n), m, step, corners)))
    return narrowed(result, x)
