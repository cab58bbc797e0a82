"""Order statistics, and sums that leave NaN aside; covariance."""

from __future__ import annotations

import math
from typing import NamedTuple

from tessella import dtypes
from tessella.arguments import public
from tessella.arguments.kinds import shown
from tessella.errors import ArgumentError, ShapeError
from tessella.primitives.base import normalise_axis
from tessella.tensors.creation import asarray
from tessella.tensors.elementwise import isnan, where
from tessella.tensors.indexing import take_along_axis
from tessella.tensors.linear import matmul
from tessella.tensors.manipulation import expand_dims, moveaxis, reshape
from tessella.tensors.operands import Axes, require, with_fractions
from tessella.tensors.scattering import selected_diagonal
from tessella.tensors.sorting import TopK, first_in_order, sort
from tessella.tensors.statistical import cumulative_prod, cumulative_sum, max, mean, min, sum
from tessella.tensors.tensor import Tensor

_INTERPOLATIONS = ("linear", "lower", "higher", "midpoint", "nearest")


@public
def amax(x: Tensor, /, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """The largest element along axes, as `max`."""
    return max(x, axis=axis, keepdims=keepdims)


@public
def amin(x: Tensor, /, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """The smallest element along axes, as `min`."""
    return min(x, axis=axis, keepdims=keepdims)


cumsum, cumprod = cumulative_sum, cumulative_prod


class Extremes(NamedTuple):
    """The smallest and the largest element."""

    min: Tensor
    max: Tensor


@public
def aminmax(x: Tensor, /, *, axis: Axes = None, keepdims: bool = False) -> Extremes:
    """The smallest and the largest element along axes.

    >>> import tessella as ts
    >>> aminmax(ts.asarray([3, 1, 2]))
    Extremes(min=tensor(1), max=tensor(3))
    """
    return Extremes(amin(x, axis, keepdims), amax(x, axis, keepdims))


@public
def topk(x: Tensor, k: int, /, axis: int = -1, largest: bool = True, sorted: bool = True) -> TopK:
    """The k largest elements of an axis, largest first (or the smallest, smallest first), and where they are.

    >>> import tessella as ts
    >>> topk(ts.asarray([3.0, 1.0, 2.0]), 2).indices
    tensor([0, 2])
    """
    return first_in_order(x, k, axis, largest, "topk")


# --- leaving NaN aside -------------------------------------------------------------------------------


@public
def nansum(x: Tensor, /, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """The sum along axes of what is not NaN; 0 of nothing.

    >>> import tessella as ts
    >>> nansum(ts.asarray([1.0, math.nan, 2.0]))
    tensor(3.)
    """
    return sum(_without_nan(x, "nansum"), axis=axis, keepdims=keepdims)


def _without_nan(x: Tensor, name: str) -> Tensor:
    return where(isnan(x), 0.0, x) if require(x, name).dtype.is_inexact else x


@public
def nanmean(x: Tensor, /, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """The mean along axes of what is not NaN; NaN of nothing.

    >>> import tessella as ts
    >>> nanmean(ts.asarray([1.0, math.nan, 2.0]))
    tensor(1.5)
    """
    if not x.dtype.is_inexact:
        return mean(x, axis=axis, keepdims=keepdims)
    known = (~isnan(x)).astype(x.dtype)
    share = mean(known, axis=axis, keepdims=keepdims)
    return mean(_without_nan(x, "nanmean"), axis=axis, keepdims=keepdims) / share


# --- order statistics --------------------------------------------------------------------------------


@public
def quantile(
    x: Tensor, q: float | Tensor, /, axis: int | None = None, keepdims: bool = False, *,
    interpolation: str = "linear",
) -> Tensor:  # fmt: skip
    """The element that a share q of an axis (of all by default) does not exceed; NaN if there is a NaN.

    Args:
        q: between 0 and 1; of a vector of them, the results lie along a new first axis.
        interpolation: what to take between two elements: on the line, the "lower", the "higher", their
            "midpoint", or the "nearest" (to even places).

    >>> import tessella as ts
    >>> quantile(ts.asarray([1.0, 2.0, 4.0]), ts.asarray([0.5, 0.75]))
    tensor([2., 3.])
    """
    return _quantile(x, q, axis, keepdims, interpolation, "quantile")


@public
def nanquantile(
    x: Tensor, q: float | Tensor, /, axis: int | None = None, keepdims: bool = False, *,
    interpolation: str = "linear",
) -> Tensor:  # fmt: skip
    """As `quantile`, of what is not NaN; NaN of nothing."""
    return _quantile(x, q, axis, keepdims, interpolation, "nanquantile", skips_nan=True)


@public
def median(x: Tensor, /, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """The element in the middle of an axis (of all by default); of an even number, the mean of the two.

    As in NumPy and JAX. PyTorch gives the lower of the two, which is
    `quantile(x, 0.5, interpolation="lower")`; and of an axis the place, too.

    >>> import tessella as ts
    >>> median(ts.asarray([4.0, 1.0, 3.0, 2.0]))
    tensor(2.5)
    """
    return _quantile(x, 0.5, axis, keepdims, "linear", "median")


@public
def nanmedian(x: Tensor, /, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """As `median`, of what is not NaN; NaN of nothing."""
    return _quantile(x, 0.5, axis, keepdims, "linear", "nanmedian", skips_nan=True)


def _quantile(
    x: Tensor, q: float | Tensor, axis: int | None, keepdims: bool, interpolation: str, name: str,
    skips_nan: bool = False,
) -> Tensor:  # fmt: skip
    x = with_fractions(name, require(x, name))
    place = None if axis is None else normalise_axis(axis, x.ndim, name)
    rows = reshape(x, (x.size,)) if place is None else moveaxis(x, place, -1)
    if rows.shape[-1] == 0:
        raise ArgumentError(f"{name}: shape {x.shape} has no elements along the axis")
    shares = _shares(q, name)
    rows = sort(rows)
    found = _between(rows, reshape(shares, (-1,)), interpolation, name)
    if not skips_nan:  # of a NaN in the data, which are sorted to the end
        found = where(isnan(rows[..., -1:]), math.nan, found)
    if keepdims:
        kept = tuple(1 if place in (None, i) else n for i, n in enumerate(x.shape))
        found = reshape(found, (*kept, found.shape[-1]))
    return moveaxis(found, -1, 0) if shares.ndim else found[..., 0]


def _shares(q: float | Tensor, name: str) -> Tensor:
    if isinstance(q, (int, float)) and not 0 <= q <= 1:
        raise ArgumentError(f"{name}: q is {q}; expected 0 to 1")
    shares = (
        asarray(q).astype(dtypes.float64)
        if isinstance(q, Tensor)
        else asarray(q, dtype=dtypes.float64)
    )
    if shares.ndim > 1:
        raise ShapeError(f"{name}: q has shape {shares.shape}; expected a number or a vector")
    return shares


def _between(rows: Tensor, shares: Tensor, interpolation: str, name: str) -> Tensor:
    """The elements at some shares of sorted rows, of those that are not NaN; (..., shares)."""
    if interpolation not in _INTERPOLATIONS:
        raise ArgumentError(
            f"{name}: interpolation is {shown(interpolation)}; expected one of {', '.join(_INTERPOLATIONS)}"
        )
    count = (~isnan(rows.detach())).sum(axis=-1, keepdims=True).astype(dtypes.float64)
    count = where(count > 0, count, 1.0)
    place = (count - 1.0) * shares
    place = {"lower": place.floor, "higher": place.ceil, "nearest": place.round}.get(
        interpolation, lambda: place
    )()
    below = place.floor()
    low = take_along_axis(rows, below.astype(dtypes.int64), axis=-1)
    high = take_along_axis(rows, place.ceil().astype(dtypes.int64), axis=-1)
    share = (place - below).astype(rows.dtype)
    if interpolation == "midpoint":
        share = where(share > 0, asarray(0.5, dtype=rows.dtype), share)
    # not low + share (high - low) where it is low: infinities would make NaN of themselves
    return where(low == high, low, low + share * where(low == high, 0.0, high - low))


# --- covariance --------------------------------------------------------------------------------------


@public
def cov(
    x: Tensor, /, *, correction: float = 1.0, fweights: Tensor | None = None,
    aweights: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The covariances of variables (rows) over observations (columns), divided by their count less `correction`.

    Args:
        fweights: how often each observation counts; aweights: how much.

    >>> import tessella as ts
    >>> cov(ts.asarray([[0.0, 1.0, 2.0], [2.0, 1.0, 0.0]])).tolist()
    [[1.0, -1.0], [-1.0, 1.0]]
    """
    if x.ndim > 2:
        raise ShapeError(
            f"cov: shape {x.shape}; expected variables in rows, observations in columns"
        )
    x = with_fractions("cov", x)
    rows = reshape(x, (1, x.size)) if x.ndim < 2 else x
    weights = asarray(1.0, dtype=rows.dtype)
    for given in (fweights, aweights):
        weights = weights if given is None else weights * given.astype(rows.dtype)
    weights = weights + rows[0] * 0.0 if weights.ndim == 0 else weights
    total = sum(weights)
    centred = rows - expand_dims(sum(rows * weights, axis=-1) / total, -1)
    lost = total if aweights is None else sum(weights * aweights) * (total / total)
    count = total - correction * (lost / total)
    result = matmul(centred * weights, centred.mT) / count
    return reshape(result, ()) if rows.shape[0] == 1 else result


@public
def corrcoef(x: Tensor, /) -> Tensor:
    """The correlations of variables (rows) over observations (columns).

    >>> import tessella as ts
    >>> corrcoef(ts.asarray([[0.0, 1.0, 2.0], [2.0, 1.0, 0.0]])).tolist()
    [[1.0, -1.0], [-1.0, 1.0]]
    """
    covariance = cov(x)
    if covariance.ndim == 0:
        return covariance / covariance
    deviation = selected_diagonal(covariance, 0, 0, 1, "corrcoef").sqrt()
    return (covariance / expand_dims(deviation, 1) / deviation).clip(-1.0, 1.0)
