"""Sorting, searching and sets: NumPy does the sorting, gradients follow the order."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np

from tessella import dtypes
from tessella.arguments import public
from tessella.arguments.kinds import shown
from tessella.errors import ArgumentError, IndexingError, ShapeError
from tessella.primitives.base import normalise_axis
from tessella.primitives.host import ArgSort
from tessella.sizes.size import for_all
from tessella.tensors.creation import asarray
from tessella.tensors.indexing import take_along_axis
from tessella.tensors.operands import computable
from tessella.tensors.tensor import Tensor, apply
from tessella.tracing.trace import require_known


@public
def argsort(
    x: Tensor, /, axis: int = -1, descending: bool = False, *, stable: bool = True
) -> Tensor:
    """The order that sorts an axis; NaN comes last."""
    return apply(ArgSort(normalise_axis(axis, x.ndim, "argsort"), descending), (x,))


@public
def sort(x: Tensor, /, axis: int = -1, descending: bool = False, *, stable: bool = True) -> Tensor:
    """The elements of an axis in order. (PyTorch's gives the places, too, which are `argsort` here.)

    >>> import tessella as ts
    >>> sort(ts.asarray([3.0, 1.0, 2.0]))
    tensor([1., 2., 3.])
    """
    return take_along_axis(x, argsort(x, axis=axis, descending=descending), axis=axis)


class TopK(NamedTuple):
    """The largest elements and where they are."""

    values: Tensor
    indices: Tensor


@public
def top_k(x: Tensor, k: int, /, axis: int = -1) -> TopK:
    """The k largest elements of an axis, largest first."""
    return first_in_order(x, k, axis, True, "top_k")


def first_in_order(x: Tensor, k: int, axis: int, descending: bool, name: str) -> TopK:
    """The first k elements of an axis that is put in order, and where they are."""
    place = normalise_axis(axis, x.ndim, name)
    if not isinstance(k, int) or not 0 <= k <= for_all(x.shape[place]):
        raise ArgumentError(
            f"{name}: k is {shown(k)}; expected 0 to {x.shape[place]}, the axis' size"
        )
    order = argsort(x, axis=place, descending=descending)
    index = order[(slice(None),) * place + (slice(0, k),)]
    return TopK(take_along_axis(x, index, axis=place), index)


@public
def searchsorted(
    x1: Tensor, x2: Tensor, /, *, side: Literal["left", "right"] = "left",
    sorter: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Where elements of x2 belong in the sorted vector x1.

    >>> import tessella as ts
    >>> searchsorted(ts.asarray([1.0, 2.0, 4.0]), ts.asarray([3.0, 0.0]))
    tensor([2, 0])
    """
    if x1.ndim != 1:
        raise ShapeError(f"searchsorted: x1 has shape {x1.shape}; expected a vector")
    computable("searchsorted", x1, x2)
    order = None if sorter is None else _order(sorter, x1.size)
    return asarray(np.searchsorted(x1.numpy(), x2.numpy(), side=side, sorter=order))


def _order(sorter: Tensor, size: int) -> np.ndarray[Any, Any]:
    """The places of a vector's elements in their order, as NumPy has it."""
    order = sorter.numpy()
    if not sorter.dtype.is_integer or sorter.shape != (size,):
        raise ArgumentError(
            f"searchsorted: sorter is {sorter.dtype.name} of shape {sorter.shape}; expected integers of "
            f"shape ({size},), as ts.argsort(x1) gives them"
        )
    if size and not 0 <= order.min() <= order.max() < size:
        raise IndexingError(f"searchsorted: sorter holds other places than 0 to {size - 1}")
    return order.astype(np.int64)


@public
def isin(x1: Tensor, x2: Tensor, /, *, invert: bool = False) -> Tensor:
    """Which elements of x1 are somewhere in x2 (or, inverted, nowhere); NaN equals nothing.

    Shapes: x1's; x2 is any.

    >>> import tessella as ts
    >>> isin(ts.asarray([1, 2, 3]), ts.asarray([3, 1]))
    tensor([ True, False,  True])
    """
    computable("isin", x1, x2)
    common = dtypes.promote(x1.dtype, x2.dtype)
    found = np.isin(x1.astype(common).numpy(), x2.astype(common).numpy(), invert=invert)
    return asarray(found)


def _require_known(x: Tensor, name: str) -> None:
    require_known(
        x, f"{name}: how many values are distinct decides a shape", "ts.sort(x) keeps the shape"
    )


class UniqueAll(NamedTuple):
    """Distinct values, where each is first, which one each element is, how often each is there."""

    values: Tensor
    indices: Tensor
    inverse_indices: Tensor
    counts: Tensor


@public
def unique_all(x: Tensor, /) -> UniqueAll:
    """The distinct values and all about them."""
    _require_known(computable("unique_all", x), "unique_all")
    found = np.unique(
        x.numpy(), return_index=True, return_inverse=True, return_counts=True, equal_nan=False
    )
    values, first, inverse, counts = found
    return UniqueAll(
        asarray(values), asarray(first), asarray(inverse.reshape(x.shape)), asarray(counts)
    )


class UniqueCounts(NamedTuple):
    """Distinct values and how often each is there."""

    values: Tensor
    counts: Tensor


@public
def unique_counts(x: Tensor, /) -> UniqueCounts:
    """The distinct values and how often each is there."""
    found = unique_all(x)
    return UniqueCounts(found.values, found.counts)


class UniqueInverse(NamedTuple):
    """Distinct values and which one each element is."""

    values: Tensor
    inverse_indices: Tensor


@public
def unique_inverse(x: Tensor, /) -> UniqueInverse:
    """The distinct values and which one each element is."""
    found = unique_all(x)
    return UniqueInverse(found.values, found.inverse_indices)


@public
def unique_values(x: Tensor, /) -> Tensor:
    """The distinct values, in order."""
    _require_known(computable("unique_values", x), "unique_values")
    return asarray(np.unique(x.numpy(), equal_nan=False))
