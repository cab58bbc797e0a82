"""Reading and writing at places that tensors name: gather, scatter, masks. `x` itself stays as it is."""

from __future__ import annotations

from typing import Any, Literal

from tessella import dtypes
from tessella.arguments import public
from tessella.errors import ArgumentError, DTypeError, ShapeError
from tessella.primitives.base import normalise_axis
from tessella.primitives.indexing import Gather, Scatter
from tessella.tensors.creation import arange, asarray
from tessella.tensors.elementwise import where
from tessella.tensors.indexing import beside, nonzero, take, take_along_axis
from tessella.tensors.manipulation import broadcast_arrays, broadcast_to, moveaxis, reshape, stack
from tessella.tensors.operands import Operand, operand, require
from tessella.tensors.tensor import Number, Tensor, apply


def _along(x: Tensor, axis: int, index: Tensor, name: str) -> int:
    """The axis that the index is for, once it is sure that the index fits."""
    place = normalise_axis(axis, require(x, name).ndim, name)
    if require(index, name).ndim != x.ndim:
        raise ShapeError(
            f"{name}: the index has shape {index.shape}, the tensor {x.shape}; they must have as many axes"
        )
    for i, (n, m) in enumerate(zip(index.shape, x.shape, strict=True)):
        if i != place and n > m:
            raise ShapeError(
                f"{name}: the index has shape {index.shape}, the tensor {x.shape}; but for axis {place} the "
                "index must be no larger"
            )
    return place


def _part(x: Tensor, place: int, index: Tensor) -> Tensor:
    """The part of x that the index may name something of."""
    return x[tuple(slice(None) if i == place else slice(0, n) for i, n in enumerate(index.shape))]


def _scattered(
    x: Tensor, axis: int, index: Tensor, source: Operand, mode: Literal["set", "add"], name: str
) -> Tensor:
    place = _along(x, axis, index, name)
    updates = _updates(x, index, source, name)
    if all(i == place or n == x.shape[i] for i, n in enumerate(index.shape)):
        return apply(Scatter((place,), mode, beside(x.ndim, place)), (x, updates, index))
    places = [reshape(arange(n), (n, *(1,) * (x.ndim - i - 1))) for i, n in enumerate(index.shape)]
    places[place] = index
    return apply(Scatter(tuple(range(x.ndim)), mode), (x, updates, *places))


@public
def gather(x: Tensor, /, axis: int, index: Tensor) -> Tensor:
    """For each place of an index the element of x that lies there, but for one axis, where the index says.

    Shapes: the index'; it has as many axes as x, and but for `axis` is no larger.

    >>> import tessella as ts
    >>> gather(ts.asarray([[1, 2], [3, 4]]), 1, ts.asarray([[0, 0], [1, 0]])).tolist()
    [[1, 1], [4, 3]]
    """
    place = _along(x, axis, index, "gather")
    read = Gather((place,), beside(x.ndim, place))
    return apply(read, (_part(x, place, index), index)) if x.ndim else x


def _updates(x: Tensor, index: Tensor, source: Any, name: str) -> Tensor:
    """What is written at the places of an index: the same part of a tensor, or a number everywhere."""
    found = operand(source, x)
    found = require(source if found is NotImplemented else found, name)
    if found.ndim == 0:
        return broadcast_to(found, index.shape).astype(x.dtype)
    if found.dtype is not x.dtype:
        raise DTypeError(
            f"{name}: the source is {found.dtype.name}, the tensor {x.dtype.name}; convert one of them: "
            f"source.astype(ts.{x.dtype.name})"
        )
    fits = found.ndim == index.ndim and all(
        n <= m for n, m in zip(index.shape, found.shape, strict=True)
    )
    if not fits:
        raise ShapeError(
            f"{name}: the index has shape {index.shape}, the source {found.shape}; the source must be as "
            "large along each axis"
        )
    return found[tuple(slice(0, n) for n in index.shape)]


@public
def scatter(x: Tensor, /, axis: int, index: Tensor, src: Operand) -> Tensor:
    """A copy of x with elements of `src` (or a number) at the places that `gather` would read.

    Where a place is named twice, the last one stays.

    >>> import tessella as ts
    >>> scatter(ts.zeros((2, 3)), 1, ts.asarray([[2], [0]]), 1.0).tolist()
    [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    """
    return _scattered(x, axis, index, src, "set", "scatter")


@public
def scatter_add(x: Tensor, /, axis: int, index: Tensor, src: Tensor) -> Tensor:
    """A copy of x with elements of `src` added at the places that `gather` would read.

    >>> import tessella as ts
    >>> scatter_add(ts.zeros(3), 0, ts.asarray([0, 0, 2]), ts.asarray([1.0, 2.0, 3.0]))
    tensor([3., 0., 3.])
    """
    return _scattered(x, axis, index, src, "add", "scatter_add")


# --- whole slices ------------------------------------------------------------------------------------


@public
def index_select(x: Tensor, /, axis: int, index: Tensor) -> Tensor:
    """The slices of an axis at some places, as `take`."""
    return take(x, index, axis=axis)


def _slices(x: Tensor, axis: int, index: Tensor, source: Tensor, name: str) -> tuple[int, Tensor]:
    """An axis, and the slices to write, counted by the first axis."""
    place = normalise_axis(axis, require(x, name).ndim, name)
    expected = (*x.shape[:place], *require(index, name).shape, *x.shape[place + 1 :])
    if index.ndim != 1 or require(source, name).shape != expected:
        raise ShapeError(
            f"{name}: the index has shape {index.shape}, the source {source.shape}; expected a vector, and "
            f"a slice of {x.shape} for each of its elements along axis {place}"
        )
    return place, moveaxis(source, place, 0)


@public
def index_add(
    x: Tensor, /, axis: int, index: Tensor, source: Tensor, *, alpha: Number = 1
) -> Tensor:
    """A copy of x with `alpha` times slices of `source` added at some places of an axis.

    >>> import tessella as ts
    >>> index_add(ts.zeros(3), 0, ts.asarray([0, 0]), ts.asarray([1.0, 2.0]))
    tensor([3., 0., 0.])
    """
    place, slices = _slices(x, axis, index, source, "index_add")
    updates = (slices if alpha == 1 else slices * alpha).astype(x.dtype)
    return apply(Scatter((place,), "add"), (x, updates, index))


@public
def index_copy(x: Tensor, /, axis: int, index: Tensor, source: Tensor) -> Tensor:
    """A copy of x with slices of `source` at some places of an axis."""
    place, slices = _slices(x, axis, index, source, "index_copy")
    return apply(Scatter((place,), "set"), (x, slices.astype(x.dtype), index))


@public
def index_fill(x: Tensor, /, axis: int, index: Tensor, value: Operand) -> Tensor:
    """A copy of x with one value at some places of an axis."""
    place = normalise_axis(axis, x.ndim, "index_fill")
    rest = tuple(n for i, n in enumerate(x.shape) if i != place)
    filling = broadcast_to(asarray(value), (*index.shape, *rest))
    return apply(Scatter((place,), "set"), (x, filling.astype(x.dtype), index))


@public
def take_along_dim(x: Tensor, indices: Tensor, /, axis: int | None = None) -> Tensor:
    """As `take_along_axis`; of all elements in one row, if no axis is given."""
    if axis is None:
        return take_along_axis(reshape(x, (x.size,)), reshape(indices, (indices.size,)), axis=0)
    return take_along_axis(x, indices, axis=axis)


@public
def argwhere(x: Tensor, /) -> Tensor:
    """Where the elements are not zero: a row of places for each, as PyTorch's `nonzero`.

    >>> import tessella as ts
    >>> argwhere(ts.asarray([[0, 1], [2, 0]])).tolist()
    [[0, 1], [1, 0]]
    """
    found = nonzero(x)
    if not found:
        return asarray([[]] * int(bool(x)), dtype=dtypes.int64).reshape((int(bool(x)), 0))
    return stack(found, axis=1)


# --- masks -------------------------------------------------------------------------------------------


def _mask(x: Tensor, mask: Tensor, name: str) -> Tensor:
    if not require(mask, name).dtype.is_bool:
        raise DTypeError(
            f"{name}: the mask is {mask.dtype.name}; expected bool, for example mask != 0"
        )
    require(x, name)
    return mask


@public
def masked_fill(x: Tensor, mask: Tensor, value: Operand, /) -> Tensor:
    """A copy of x with a value where a mask holds; the dtype is x's.

    >>> import tessella as ts
    >>> masked_fill(ts.asarray([1.0, 2.0]), ts.asarray([True, False]), 0.0)
    tensor([0., 2.])
    """
    return where(_mask(x, mask, "masked_fill"), value, x).astype(x.dtype)


@public
def masked_select(x: Tensor, mask: Tensor, /) -> Tensor:
    """The elements of x where a mask holds, in one row; how many depends on the data."""
    x, mask = broadcast_arrays(x, _mask(x, mask, "masked_select"))
    return x[mask]


@public
def bincount(x: Tensor, /, weights: Tensor | None = None, minlength: int = 0) -> Tensor:
    """How often each number from 0 to the largest is in a vector, or the sum of the weights beside it.

    How many there are depends on the data.

    Raises:
        ArgumentError: a number is negative.

    >>> import tessella as ts
    >>> bincount(ts.asarray([0, 2, 2]), minlength=4)
    tensor([1, 0, 2, 0])
    """
    if x.ndim != 1 or not x.dtype.is_integer:
        raise ShapeError(f"bincount: {x.dtype.name} {x.shape}; expected a vector of integers")
    least, most = (int(x.min()), int(x.max())) if x.size else (0, -1)
    if least < 0:
        raise ArgumentError(f"bincount: the number {least} was found; expected none below 0")
    one = asarray(1) if weights is None else weights
    counts = broadcast_to(asarray(0, dtype=one.dtype), (max(most + 1, minlength),))
    updates = broadcast_to(one, x.shape) if weights is None else _of_shape(one, x)
    return apply(Scatter((0,), "add"), (counts, updates, x))


def _of_shape(weights: Tensor, x: Tensor) -> Tensor:
    if weights.shape != x.shape:
        raise ShapeError(
            f"bincount: the weights have shape {weights.shape}, x {x.shape}; they must be equal"
        )
    return weights


@public
def histc(x: Tensor, /, bins: int = 100, min: float = 0.0, max: float = 0.0) -> Tensor:
    """How many elements lie in each of some bins between `min` and `max`; those outside are not counted.

    If both are 0, they are the least and the largest element. The last bin holds its upper end, too.

    Dtypes: x's, which is floating.

    >>> import tessella as ts
    >>> histc(ts.asarray([1.0, 2.0, 1.0]), bins=4, min=0, max=3)
    tensor([0., 2., 1., 0.])
    """
    if not x.dtype.is_float:
        raise DTypeError(f"histc: {x.dtype.name} was given; convert first: x.astype(ts.float32)")
    if bins < 1:
        raise ArgumentError(f"histc: {bins} bins; expected at least 1")
    x = x.detach()
    low, high = asarray(min, dtype=x.dtype), asarray(max, dtype=x.dtype)
    if min == max == 0 and x.size:
        low, high = x.min(), x.max()
    flat = low == high
    low, high = where(flat, low - 1, low), where(flat, high + 1, high)
    inside = ((x >= low) & (x <= high)).astype(x.dtype)
    places = ((x - low) / (high - low) * bins).floor()
    places = where(inside > 0, places, 0.0).astype(dtypes.int64).clip(0, bins - 1)
    counts = broadcast_to(asarray(0, dtype=x.dtype), (bins,))
    flattened = (reshape(inside, (x.size,)), reshape(places, (x.size,)))
    return apply(Scatter((0,), "add"), (counts, *flattened))


def embedded_diagonal(x: Tensor, k: int) -> Tensor:
    """Matrices with the last axis of x on diagonal k, zeros elsewhere."""
    size = x.shape[-1] + abs(k)
    counter = arange(x.shape[-1])
    rows, columns = (counter - k, counter) if k < 0 else (counter, counter + k)
    zeros = broadcast_to(x.__tessella_zero__(), (*x.shape[:-1], size, size))
    axes = (x.ndim - 1, x.ndim)
    return apply(Scatter(axes, "set"), (zeros, moveaxis(x, -1, 0), rows, columns))


def selected_diagonal(x: Tensor, k: int, first: int, second: int, name: str) -> Tensor:
    """The diagonals k of two axes of x, as a last axis."""
    a, b = normalise_axis(first, x.ndim, name), normalise_axis(second, x.ndim, name)
    if a == b:
        raise ShapeError(f"{name}: the axes {first} and {second} are one; two are needed")
    rows, columns = x.shape[a], x.shape[b]
    size = max(0, min(rows + k, columns) if k < 0 else min(rows, columns - k))
    counter = arange(size)
    places = (counter - k, counter) if k < 0 else (counter, counter + k)
    return moveaxis(apply(Gather((a, b)), (x, *places)), 0, -1)
