"""Shapes and joining under the names of PyTorch and NumPy, where the Array API has others or none."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from tessella.arguments import public, refuse
from tessella.arguments.kinds import PerAxis, shown
from tessella.devices.registry import host
from tessella.dtypes import DType
from tessella.errors import ArgumentError, ArgumentTypeError, AxisError, ShapeError
from tessella.primitives.base import normalise_axis, size_of
from tessella.sizes.size import INTEGERS
from tessella.tensors.indexing import repeat
from tessella.tensors.manipulation import (
    broadcast_arrays,
    broadcast_to,
    concat,
    expand_dims,
    flip,
    moveaxis,
    one_by_one,
    permute_dims,
    reshape,
    split,
    swapaxes,
    unstack,
)
from tessella.tensors.tensor import Tensor, another_handle

# --- other shapes ------------------------------------------------------------------------------------


@public
def view(x: Tensor, /, *shape: Any) -> Tensor:
    """The same elements in another shape; one size may be -1 and is worked out.

    As `reshape`: elements that no view can give in this order are copied, where PyTorch refuses.

    >>> import tessella as ts
    >>> view(ts.arange(6), 2, -1).shape
    (2, 3)
    """
    if len(shape) == 1 and isinstance(shape[0], (DType, type, str)):
        raise ArgumentTypeError(
            f"view: {shape[0]} is a dtype, and no view shows the same bits as another one; use "
            "x.astype(dtype) for the same numbers, or x.numpy().view(...)"
        )
    return reshape(x, _sizes(shape, "view"))


def reshaped(
    x: Tensor, /, *shape: Any, order: str = "C", copy: bool | None = None, **others: Any
) -> Tensor:
    """The same elements in another shape; one size may be -1 and is worked out. The method `reshape`.

    The sizes are given one by one, or as a tuple; `order` is NumPy's, and "C" is the only one.

    >>> import tessella as ts
    >>> ts.arange(6).reshape(2, -1).shape
    (2, 3)
    """
    if others:
        shape = (others.pop("shape"),) if "shape" in others and not shape else shape
        refuse("reshape", others, "shape", "order", "copy")
    if not isinstance(order, str) or order != "C":
        raise ArgumentError(
            f"reshape: order is {shown(order)}; expected 'C', rows first; use x.T for columns first"
        )
    return reshape(x, _sizes(shape, "reshape"), copy=copy)


def _sizes(shape: tuple[Any, ...], name: str) -> Any:
    """A shape that is given whole, or size by size."""
    return shape[0] if len(shape) == 1 else _whole(shape, name)


def _whole(sizes: Sequence[Any], name: str) -> Sequence[Any]:
    """Sizes that are whole numbers.

    Raises:
        ShapeError: one is not.
    """
    for size in sizes:
        if not isinstance(size, INTEGERS):
            raise ShapeError(f"{name}: {shown(size)} is among the sizes; expected whole numbers")
    return sizes


@public
def view_as(x: Tensor, other: Tensor, /) -> Tensor:
    """The elements of x in the shape of another tensor."""
    return reshape(x, other.shape)


@public
def ravel(x: Tensor, /) -> Tensor:
    """All elements as one axis."""
    return reshape(x, (x.size,))


@public
def unflatten(x: Tensor, /, axis: int, sizes: Sequence[int]) -> Tensor:
    """One axis as several; one of their sizes may be -1.

    >>> import tessella as ts
    >>> unflatten(ts.zeros((6, 4)), 0, (2, -1)).shape
    (2, 3, 4)
    """
    place = normalise_axis(axis, x.ndim, "unflatten")
    extent, parts = x.shape[place], list(_whole(sizes, "unflatten"))
    if parts.count(-1) == 1:
        known = size_of(tuple(n for n in parts if n != -1))
        parts[parts.index(-1)] = extent // known if known else -1
    if -1 in parts or size_of(tuple(parts)) != extent:
        raise ShapeError(
            f"unflatten: axis {place} has size {extent}, which {tuple(sizes)} cannot hold; the product of "
            "the sizes must be equal to it"
        )
    return reshape(x, (*x.shape[:place], *parts, *x.shape[place + 1 :]))


@public
def unsqueeze(x: Tensor, /, axis: int) -> Tensor:
    """A new axis of size 1 at one place of the result.

    >>> import tessella as ts
    >>> unsqueeze(ts.zeros(3), 1).shape
    (3, 1)
    """
    return expand_dims(x, axis)


@public
def expand(x: Tensor, /, *sizes: PerAxis) -> Tensor:
    """x repeated to a shape, as `broadcast_to`; -1 keeps the size of an axis.

    >>> import tessella as ts
    >>> expand(ts.ones((2, 1)), -1, 3).shape
    (2, 3)
    """
    wanted = one_by_one(sizes)
    new = len(wanted) - x.ndim
    if new < 0 or -1 in wanted[:new]:
        raise ShapeError(
            f"expand: {wanted} for shape {x.shape}; expected a size for every axis, and no -1 for new ones"
        )
    old = (1,) * new + tuple(x.shape)
    return broadcast_to(x, tuple(m if n == -1 else n for m, n in zip(old, wanted, strict=True)))


@public
def expand_as(x: Tensor, other: Tensor, /) -> Tensor:
    """x repeated to the shape of another tensor."""
    return broadcast_to(x, other.shape)


@public
def broadcast_tensors(*tensors: Tensor) -> list[Tensor]:
    """Tensors broadcast against each other, as `broadcast_arrays`."""
    return broadcast_arrays(*tensors)


@public
def atleast_1d(x: Tensor, /) -> Tensor:
    """x, with a new axis if it has none."""
    return reshape(x, (1,)) if x.ndim == 0 else another_handle(x)


@public
def atleast_2d(x: Tensor, /) -> Tensor:
    """x, with new axes in front up to two."""
    return reshape(x, (1,) * max(0, 2 - x.ndim) + tuple(x.shape))


@public
def atleast_3d(x: Tensor, /) -> Tensor:
    """x, with new axes up to three: a matrix gets one at its end, a vector one on each side."""
    if x.ndim == 2:
        return expand_dims(x, 2)
    return another_handle(x) if x.ndim > 2 else reshape(x, (1, x.size, 1))


# --- orders of axes ----------------------------------------------------------------------------------


@public
def transpose(x: Tensor, /, *axes: PerAxis | None) -> Tensor:
    """Two axes exchanged, as in PyTorch; or, as in NumPy, all backwards or in an order given as a tuple.

    `x.transpose(0, 1)` exchanges the axes of a matrix, where NumPy, which takes the two numbers for an
    order, would leave them as they are.

    >>> import tessella as ts
    >>> x = ts.zeros((2, 3, 4))
    >>> transpose(x, 0, 2).shape, transpose(x).shape, transpose(x, (1, 0, 2)).shape
    ((4, 3, 2), (4, 3, 2), (3, 2, 4))
    """
    if not axes or axes == (None,):
        return permute_dims(x, tuple(range(x.ndim))[::-1])
    if len(axes) == 2:
        first, second = one_by_one(axes)
        return swapaxes(x, first, second)
    return permute_dims(x, one_by_one(axes))


@public
def permute(x: Tensor, /, *axes: PerAxis) -> Tensor:
    """The axes in another order, as `permute_dims`; given one by one, or as a tuple."""
    return permute_dims(x, one_by_one(axes))


@public
def t(x: Tensor, /) -> Tensor:
    """A matrix with rows and columns exchanged; a vector or a number as it is.

    Raises:
        AxisError: more than two axes; `mT` transposes every matrix.
    """
    if x.ndim > 2:
        raise AxisError(f"t: shape {x.shape} is no matrix; use x.mT for the last two axes")
    return permute_dims(x, tuple(range(x.ndim))[::-1])


@public
def rot90(x: Tensor, /, k: int = 1, axes: Sequence[int] = (0, 1)) -> Tensor:
    """x turned by k right angles, from the first of two axes towards the second.

    >>> import tessella as ts
    >>> rot90(ts.asarray([[1, 2], [3, 4]])).tolist()
    [[2, 4], [1, 3]]
    """
    if len(axes) != 2:
        raise AxisError(f"rot90: the axes {tuple(axes)} were given; two are needed")
    first, second = (normalise_axis(a, x.ndim, "rot90") for a in axes)
    if first == second:
        raise AxisError(f"rot90: the axes {tuple(axes)} are one; two different ones are needed")
    turns = k % 4
    if turns == 2:
        return flip(x, axis=(first, second))
    if turns == 1:
        return swapaxes(flip(x, axis=second), first, second)
    return flip(swapaxes(x, first, second), axis=second) if turns == 3 else another_handle(x)


@public
def fliplr(x: Tensor, /) -> Tensor:
    """The second axis backwards."""
    if x.ndim < 2:
        raise ShapeError(f"fliplr: shape {x.shape} has no second axis")
    return flip(x, axis=1)


@public
def flipud(x: Tensor, /) -> Tensor:
    """The first axis backwards."""
    if x.ndim < 1:
        raise ShapeError(f"flipud: shape {x.shape} has no first axis")
    return flip(x, axis=0)


# --- parts of axes -----------------------------------------------------------------------------------


@public
def narrow(x: Tensor, /, axis: int, start: int, length: int) -> Tensor:
    """`length` places of an axis, from `start` on (which counts from the end if it is negative).

    >>> import tessella as ts
    >>> narrow(ts.arange(5), 0, 1, 3)
    tensor([1, 2, 3])
    """
    place = normalise_axis(axis, x.ndim, "narrow")
    extent = x.shape[place]
    first = start + extent if start < 0 else start
    if not 0 <= first <= extent or not 0 <= length <= extent - first:
        raise ShapeError(
            f"narrow: {length} places from {start} on, of axis {place} of size {extent}; they must lie within"
        )
    return x[(slice(None),) * place + (slice(first, first + length),)]


@public
def select(x: Tensor, /, axis: int, index: int) -> Tensor:
    """One place of an axis, which goes.

    >>> import tessella as ts
    >>> select(ts.asarray([[1, 2], [3, 4]]), 1, 0)
    tensor([1, 3])
    """
    place = normalise_axis(axis, x.ndim, "select")
    return x[(slice(None),) * place + (index,)]


@public
def chunk(x: Tensor, /, chunks: int, axis: int = 0) -> tuple[Tensor, ...]:
    """At most so many pieces of an axis, of one size (the last may be smaller).

    >>> import tessella as ts
    >>> [piece.shape[0] for piece in chunk(ts.arange(7), 3)]
    [3, 3, 1]
    """
    if chunks < 1:
        raise ArgumentError(f"chunk: {chunks} pieces; expected at least 1")
    extent = x.shape[normalise_axis(axis, x.ndim, "chunk")]
    return split(x, max(1, -(-extent // chunks)), axis=axis)


_BYTES_OF_A_TENSOR = 1000  # roughly, whatever it holds


@public
def tensor_split(x: Tensor, /, sections: int | Sequence[int], axis: int = 0) -> tuple[Tensor, ...]:
    """So many pieces of an axis, the first ones longer by 1 where needed; or cut before each of some places.

    >>> import tessella as ts
    >>> [piece.tolist() for piece in tensor_split(ts.arange(5), 2)]
    [[0, 1, 2], [3, 4]]
    """
    place = normalise_axis(axis, x.ndim, "tensor_split")
    extent = x.shape[place]
    if isinstance(sections, INTEGERS):
        if sections < 1:
            raise ArgumentError(f"tensor_split: {sections} sections; expected at least 1")
        host().require_available(sections * _BYTES_OF_A_TENSOR)
        base, longer = divmod(extent, sections)
        cuts = [i * base + min(i, longer) for i in range(1, sections)]
    else:
        cuts = list(sections)
    before = (slice(None),) * place
    bounds = [0, *cuts, extent]
    return tuple(x[(*before, slice(a, b))] for a, b in itertools.pairwise(bounds))


@public
def unbind(x: Tensor, /, axis: int = 0) -> tuple[Tensor, ...]:
    """The slices of a tensor along an axis, as `unstack`."""
    return unstack(x, axis=axis)


# --- joining -----------------------------------------------------------------------------------------


@public
def cat(arrays: Sequence[Tensor], /, axis: int = 0) -> Tensor:
    """Tensors one after the other along an axis, as `concat`.

    >>> import tessella as ts
    >>> cat([ts.zeros(2), ts.ones(1)], 0)
    tensor([0., 0., 1.])
    """
    return concat(arrays, axis=axis)


@public
def hstack(arrays: Sequence[Tensor], /) -> Tensor:
    """Tensors beside each other: along the second axis, vectors along the only one."""
    parts = [atleast_1d(x) for x in arrays]
    return concat(parts, axis=min(1, parts[0].ndim - 1) if parts else 0)


@public
def vstack(arrays: Sequence[Tensor], /) -> Tensor:
    """Tensors below each other: along the first axis, vectors as rows.

    >>> import tessella as ts
    >>> vstack([ts.zeros(2), ts.ones(2)]).tolist()
    [[0.0, 0.0], [1.0, 1.0]]
    """
    return concat([atleast_2d(x) for x in arrays], axis=0)


@public
def dstack(arrays: Sequence[Tensor], /) -> Tensor:
    """Tensors behind each other, along the third axis."""
    return concat([atleast_3d(x) for x in arrays], axis=2)


@public
def column_stack(arrays: Sequence[Tensor], /) -> Tensor:
    """Tensors beside each other; vectors as columns."""
    columns = [reshape(x, (x.size, 1)) if x.ndim < 2 else x for x in map(atleast_1d, arrays)]
    return concat(columns, axis=1)


movedim, swapdims, row_stack, concatenate = moveaxis, swapaxes, vstack, cat
repeat_interleave = repeat
