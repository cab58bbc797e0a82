"""Changing shapes, joining and splitting. Most of these are views and cost nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from tessella.arguments import public
from tessella.arguments.gates import as_tensors
from tessella.arguments.kinds import PerAxis, ShapeLike, shown
from tessella.devices.array import check_count, check_shape, is_plain
from tessella.devices.registry import host
from tessella.dtypes import DType
from tessella.errors import ArgumentError, ArgumentTypeError, AxisError, ShapeError
from tessella.primitives import movement as moves
from tessella.primitives.base import Shape, normalise_axes, normalise_axis, size_of
from tessella.primitives.base import broadcast_shapes as _broadcast_shapes
from tessella.primitives.window import Window
from tessella.sizes.size import INTEGERS, as_integer, for_all
from tessella.tensors.operands import Axes, common_dtype, fitting
from tessella.tensors.tensor import Tensor, another_handle, apply, is_traced, viewing


@public
def reshape(x: Tensor, /, shape: ShapeLike, *, copy: bool | None = None) -> Tensor:
    """The same elements in another shape; one size may be -1 and is worked out.

    Args:
        copy: True for memory of its own; False to refuse what cannot be another view of the same memory
            (in a traced function, where memory is the compiler's affair, it asks for nothing).

    Raises:
        ShapeError: the number of elements differs.
        ArgumentError: it needs a copy, and `copy=False` was given.

    >>> import tessella as ts
    >>> ts.reshape(ts.arange(6), (2, -1)).shape
    (2, 3)
    """
    target = _inferred(x.shape, shape)
    result: Tensor = apply(moves.Reshape(target), (x,))
    if copy is False and not is_traced() and result._value.buffer is not x._value.buffer:
        raise ArgumentError(
            f"reshape: {x.shape} with strides {x.strides} to {target} needs a copy, and copy=False was "
            "given; leave it out for a copy"
        )
    return result.copy() if copy else viewing(result, x)


def _inferred(old: Shape, shape: int | Sequence[int]) -> Shape:
    if is_plain(shape):
        return shape  # type: ignore[return-value]
    sizes = [shape] if isinstance(shape, INTEGERS) else list(shape)
    strange = [n for n in sizes if not isinstance(n, INTEGERS)]
    if strange:  # which is said there
        check_shape(tuple(strange), "reshape")
    if sizes.count(-1) > 1:
        raise ShapeError(
            f"reshape: shape {tuple(sizes)} has several -1; only one can be worked out"
        )
    if -1 in sizes:
        place = sizes.index(-1)
        others = size_of(tuple(as_integer(n) for i, n in enumerate(sizes) if i != place))
        total = size_of(old)
        if others == 0 or total % others:
            raise ShapeError(
                f"reshape: {old} has {total} elements, which {tuple(sizes)} cannot hold for any -1"
            )
        sizes[place] = total // others
    return check_shape(tuple(sizes), "reshape")


def one_by_one(sizes: tuple[Any, ...]) -> tuple[Any, ...]:
    """Sizes, or axes, that are given one by one, or together as one tuple."""
    together = len(sizes) == 1 and not isinstance(sizes[0], INTEGERS)
    return tuple(sizes[0]) if together else sizes


@public
def permute_dims(x: Tensor, /, axes: Sequence[int]) -> Tensor:
    """The axes in another order.

    >>> import tessella as ts
    >>> ts.permute_dims(ts.zeros((2, 3, 4)), (2, 0, 1)).shape
    (4, 2, 3)
    """
    rank = x.ndim
    order = tuple(normalise_axis(axis, rank, "permute_dims") for axis in axes)
    if sorted(order) != list(range(rank)):
        raise AxisError(
            f"permute_dims: axes {tuple(axes)} are not an order of the {rank} axes of shape "
            f"{x.shape}"
        )
    result: Tensor = moves.permute(x, order)
    return viewing(result, x)


@public
def moveaxis(x: Tensor, source: int | Sequence[int], destination: int | Sequence[int], /) -> Tensor:
    """Axes elsewhere, the others in their order."""
    sources = [source] if isinstance(source, int) else list(source)
    targets = [destination] if isinstance(destination, int) else list(destination)
    from_ = [normalise_axis(axis, x.ndim, "moveaxis") for axis in sources]
    to = [normalise_axis(axis, x.ndim, "moveaxis") for axis in targets]
    if len(set(from_)) != len(from_) or len(set(to)) != len(to) or len(from_) != len(to):
        raise AxisError(f"moveaxis: {source} and {destination} do not match axis for axis")
    order = [axis for axis in range(x.ndim) if axis not in from_]
    for place, axis in sorted(zip(to, from_, strict=True)):
        order.insert(place, axis)
    return permute_dims(x, order)


@public
def swapaxes(x: Tensor, a: int, b: int, /) -> Tensor:
    """Two axes exchanged."""
    order = list(range(x.ndim))
    a, b = normalise_axis(a, x.ndim, "swapaxes"), normalise_axis(b, x.ndim, "swapaxes")
    order[a], order[b] = order[b], order[a]
    return permute_dims(x, order)


@public
def broadcast_to(x: Tensor, /, shape: ShapeLike) -> Tensor:
    """x repeated to a shape, by NumPy's rules; what is repeated is stored once."""
    result: Tensor = moves.expand(x, check_shape(shape, "broadcast_to"))
    return viewing(result, x)


@public
def broadcast_shapes(*shapes: ShapeLike) -> Shape:
    """The shape that arrays of these shapes have together."""
    checked = [check_shape(shape, "broadcast_shapes") for shape in shapes]
    return _broadcast_shapes(checked, "broadcast_shapes") if shapes else ()


@public
def broadcast_arrays(*arrays: Tensor) -> list[Tensor]:
    """Tensors broadcast against each other."""
    shape = broadcast_shapes(*[x.shape for x in arrays])
    return [broadcast_to(x, shape) for x in arrays]


@public
def expand_dims(x: Tensor, /, axis: int | Sequence[int] = 0) -> Tensor:
    """A new axis of size 1 at each of these places of the result."""
    axes = [axis] if isinstance(axis, int) else list(axis)
    rank = x.ndim + len(axes)
    places = normalise_axes(tuple(axes), rank, "expand_dims")
    sizes = iter(x.shape)
    return reshape(x, tuple(1 if i in places else next(sizes) for i in range(rank)))


@public
def squeeze(x: Tensor, /, axis: Axes = None) -> Tensor:
    """x without these axes, which must have size 1; if none is named, without all that have.

    >>> import tessella as ts
    >>> ts.squeeze(ts.zeros((1, 3, 1))).shape, ts.squeeze(ts.zeros((1, 3, 1)), 0).shape
    ((3,), (3, 1))
    """
    if axis is None:
        axis = tuple(i for i, n in enumerate(x.shape) if n == 1)
    axes = normalise_axes(axis, x.ndim, "squeeze")
    for place in axes:
        if x.shape[place] != 1:
            raise ShapeError(
                f"squeeze: axis {place} of shape {x.shape} has size {x.shape[place]}; only axes of "
                "size 1 can be removed"
            )
    return reshape(x, tuple(n for i, n in enumerate(x.shape) if i not in axes))


@public
def flatten(x: Tensor, /, start: int = 0, end: int = -1) -> Tensor:
    """The axes from `start` to `end` as one."""
    if x.ndim == 0:
        return reshape(x, (1,))
    first = normalise_axis(start, x.ndim, "flatten")
    last = normalise_axis(end, x.ndim, "flatten")
    if first > last:
        raise AxisError(f"flatten: start {start} comes after end {end}")
    middle = size_of(x.shape[first : last + 1])
    return reshape(x, (*x.shape[:first], middle, *x.shape[last + 1 :]))


@public
def flip(x: Tensor, /, *places: PerAxis, axis: Axes = None) -> Tensor:
    """The elements of some axes (all by default) backwards; axes may be given one by one, too.

    >>> import tessella as ts
    >>> ts.flip(ts.asarray([[1, 2], [3, 4]]), 0, 1).tolist()
    [[4, 3], [2, 1]]
    """
    if places:
        axis = one_by_one(places)
    result: Tensor = moves.flip(x, normalise_axes(axis, x.ndim, "flip"))
    return viewing(result, x)


@public
def roll(x: Tensor, /, shift: int | Sequence[int], axis: Axes = None) -> Tensor:
    """Elements moved along axes; those that leave at the end come back at the start."""
    if axis is None:
        if not isinstance(shift, INTEGERS):
            raise ArgumentError("roll: several shifts need as many axes")
        return (
            reshape(roll(reshape(x, (-1,)) if x.size else x, shift, axis=0), x.shape)
            if x.size
            else another_handle(x)
        )
    axes = [axis] if isinstance(axis, int) else list(axis)
    shifts = [shift] * len(axes) if isinstance(shift, INTEGERS) else list(shift)
    if len(shifts) != len(axes):
        raise ArgumentError(f"roll: {len(shifts)} shifts for {len(axes)} axes; give one for each")
    if not all(isinstance(amount, INTEGERS) for amount in shifts):
        raise ArgumentTypeError(
            f"roll: shift is {shown(shift)}; expected a whole number for each axis"
        )
    result = x
    for place, amount in zip(axes, shifts, strict=True):
        place = normalise_axis(place, x.ndim, "roll")
        extent, asked = x.shape[place], for_all(x.shape[place])
        if asked and for_all(amount % asked):
            cut = extent - amount % asked
            parts = [_range(result, place, cut, extent), _range(result, place, 0, cut)]
            result = concat(parts, axis=place)
    return another_handle(x) if result is x else result


def _range(x: Tensor, axis: int, start: int, stop: int) -> Tensor:
    starts = tuple(start if i == axis else 0 for i in range(x.ndim))
    sizes = tuple(stop - start if i == axis else n for i, n in enumerate(x.shape))
    return viewing(apply(moves.Slice(starts, sizes, (1,) * x.ndim), (x,)), x)


def _all_tensors(arrays: Sequence[Tensor], name: str) -> list[Tensor]:
    found = list(arrays)
    if not found:
        raise ArgumentError(f"{name}: no tensors were given; at least one is needed")
    found = as_tensors(name, found)
    common = common_dtype(name, *found)
    return [x.astype(common) for x in found]


@public
def concat(arrays: Sequence[Tensor], /, axis: int | None = 0) -> Tensor:
    """Tensors one after the other along an axis (flattened first if it is None).

    >>> import tessella as ts
    >>> ts.concat([ts.zeros(2), ts.ones(1)])
    tensor([0., 0., 1.])
    """
    found = _all_tensors(arrays, "concat")
    if axis is None:
        found, axis = [reshape(x, (x.size,)) for x in found], 0
    place = normalise_axis(axis, found[0].ndim, "concat")
    return found[0] if len(found) == 1 else apply(moves.Concatenate(place), tuple(found))


@public
def stack(arrays: Sequence[Tensor], /, axis: int = 0) -> Tensor:
    """Tensors of one shape beside each other along a new axis."""
    found = _all_tensors(arrays, "stack")
    for x in found:
        if x.shape != found[0].shape:
            raise ShapeError(f"stack: shapes differ: {found[0].shape} and {x.shape}")
    place = normalise_axis(axis, found[0].ndim + 1, "stack")
    return concat([expand_dims(x, place) for x in found], axis=place)


@public
def unstack(x: Tensor, /, axis: int = 0) -> tuple[Tensor, ...]:
    """The slices of a tensor along an axis."""
    place = normalise_axis(axis, x.ndim, "unstack")
    return tuple(squeeze(_range(x, place, i, i + 1), place) for i in range(x.shape[place]))


@public
def split(x: Tensor, sizes: int | Sequence[int], /, axis: int = 0) -> tuple[Tensor, ...]:
    """A tensor cut along an axis: pieces of one size (the last may be smaller), or of given sizes.

    As in PyTorch. NumPy's takes the number of pieces, or the places of the cuts, as `tensor_split` does here.
    """
    place = normalise_axis(axis, x.ndim, "split")
    extent = x.shape[place]
    if isinstance(sizes, INTEGERS):
        if sizes < 1:
            raise ArgumentError(f"split: size {sizes}; it must be at least 1")
        sizes = [min(sizes, extent - start) for start in range(0, extent, sizes)]
    else:
        sizes = check_shape(sizes, "split")
    if builtins_sum(sizes) != extent:
        raise ShapeError(
            f"split: sizes {tuple(sizes)} add up to {builtins_sum(sizes)}, not {extent}"
        )
    pieces, start = [], 0
    for size in sizes:
        pieces.append(_range(x, place, start, start + size))
        start += size
    return tuple(pieces)


builtins_sum = sum


@public
def tile(x: Tensor, /, *repetitions: PerAxis) -> Tensor:
    """x repeated whole along each axis; the counts are given as a tuple, or one by one.

    >>> import tessella as ts
    >>> ts.tile(ts.asarray([1, 2]), (2,)), ts.asarray([1, 2]).tile(2)
    (tensor([1, 2, 1, 2]), tensor([1, 2, 1, 2]))
    """
    times = tuple([check_count(count, "tile", "a repetition") for count in one_by_one(repetitions)])
    rank = max(x.ndim, len(times))
    times = (1,) * (rank - len(times)) + times
    x = reshape(x, (1,) * (rank - x.ndim) + x.shape)
    host().require_available(x.nbytes * math.prod(times))
    apart = [
        n for size in x.shape for n in (1, size)
    ]  # a new axis before each, along which it repeats
    whole = [n for pair in zip(times, x.shape, strict=True) for n in pair]
    repeated = broadcast_to(reshape(x, tuple(apart)), tuple(whole))
    return reshape(
        repeated, tuple([n * size for n, size in zip(times, x.shape, strict=True)])
    ).copy()


@public
def pad(x: Tensor, widths: Sequence[Sequence[int]], /, value: bool | int | float = 0.0) -> Tensor:
    """x with `value` around it: (before, after) for each axis.

    >>> import tessella as ts
    >>> ts.pad(ts.ones(2), [(1, 2)])
    tensor([0., 1., 1., 0., 0.])
    """
    pairs = [tuple(pair) for pair in widths]
    if len(pairs) != x.ndim or any(len(pair) != 2 for pair in pairs):
        raise ShapeError(f"pad: {len(pairs)} pairs of widths for {x.ndim} axes")
    if not pairs:
        return x.copy()
    pairs = [tuple(check_count(width, "pad", "a width") for width in pair) for pair in pairs]
    low, high = tuple(a for a, _ in pairs), tuple(b for _, b in pairs)
    return apply(moves.Pad(low, high, (0,) * x.ndim, _filling(value, x.dtype)), (x,))


def _filling(value: float, dtype: DType) -> float:
    """A number to fill with, exact if the elements are integers."""
    if dtype.is_inexact:
        return float(value)
    if value != int(value):
        raise ArgumentError(
            f"pad: value is {value}; expected a whole number, as the elements are {dtype.name}"
        )
    return fitting(int(value), dtype)


@public
def sliding_window(
    x: Tensor, sizes: Sequence[int], /, steps: Sequence[int] | None = None,
    dilations: Sequence[int] | None = None,
) -> Tensor:  # fmt: skip
    """A view of every window of the last axes: (..., *places, *sizes).

    >>> import tessella as ts
    >>> ts.sliding_window(ts.arange(4), (2,)).tolist()
    [[0, 1], [1, 2], [2, 3]]
    """
    ones = (1,) * len(sizes)
    kinds = {"a size": sizes, "a step": steps or ones, "a dilation": dilations or ones}
    counts = [
        tuple([check_count(n, "sliding_window", name, 1) for n in each])
        for name, each in kinds.items()
    ]
    if not len(counts[0]) == len(counts[1]) == len(counts[2]) <= x.ndim:
        raise ShapeError(
            f"sliding_window: shape {x.shape}, sizes {counts[0]}, steps {counts[1]} and dilations "
            f"{counts[2]}; expected one of each for each of the last axes"
        )
    return viewing(apply(Window(*counts), (x,)), x)
