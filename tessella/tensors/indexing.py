"""Indexing: slices are views, integer and boolean tensors gather, assignment rebinds.

An index is read once, from left to right, into one `_Part` for each axis of the tensor and each
new axis; then slices are taken, new axes put in, and index arrays gathered. NumPy's rules decide
where the axes of index arrays go.
"""

from __future__ import annotations

import functools
import operator
from dataclasses import dataclass
from typing import Any

import numpy as np

from tessella import dtypes
from tessella.arguments import public
from tessella.arguments.kinds import shown
from tessella.devices.registry import host
from tessella.errors import ArgumentError, ArgumentTypeError, DTypeError, IndexingError, ShapeError
from tessella.primitives.base import Primitive, Shape, broadcast_shapes, normalise_axis, same_shape
from tessella.primitives.indexing import Gather, InRange, Limits, Pairs, Scatter
from tessella.primitives.movement import Reshape, Slice, UpdateSlice
from tessella.sizes.size import INTEGERS, Size, for_all, is_symbolic
from tessella.tensors.creation import arange, asarray
from tessella.tensors.dynamic_slices import (
    Range,
    begins_unknown,
    take_ranges,
    traced_range,
    write_ranges,
)
from tessella.tensors.elementwise import where
from tessella.tensors.manipulation import broadcast_to, expand_dims, moveaxis, reshape
from tessella.tensors.operands import operand
from tessella.tensors.tensor import Tensor, apply, is_traced, viewing
from tessella.tracing.trace import is_known, require_known


@dataclass
class _Part:
    """One entry of an index: a range of an axis, a new axis, one place, or an index array."""

    kind: str  # "slice", "new", "integer" or "array"
    start: int = 0
    size: int = 1
    step: int = 1
    array: Tensor | None = None
    fresh: bool = False  # an index array into a new axis of size 1


def get_item(x: Tensor, key: Any) -> Tensor:
    """x[key]."""
    plain = None if is_traced() else _plain(key if type(key) is tuple else (key,))
    if plain is not None:
        return _viewed(x, _known_steps(x._value.layout.shape, plain))
    for entry in key if type(key) is tuple else (key,):  # a loop of `ts.table`?
        read = getattr(type(entry), "__tessella_read__", None)
        if read is not None:
            return read(x, key)
        if begins_unknown(entry):
            ranges, rest = _split_ranges(x, key)
            return get_item(take_ranges(x, ranges), rest)
    if x.dtype is not dtypes.bool_ and isinstance(key, Tensor) and key.dtype.is_bool:
        _check_mask(x.shape, key, 0)
    parts = _parse(x.shape, key)
    if any(part.kind == "array" for part in parts):
        return _advanced(x, parts)
    return _viewed(x, _steps(parts))


def _plain(entries: tuple[Any, ...]) -> tuple[Any, ...] | None:
    """Integers, slices of integers, None and ... as what can be a key (slices as tuples); else None."""
    found: list[Any] = []
    for entry in entries:
        kind = type(entry)
        if kind is slice:
            entry = (entry.start, entry.stop, entry.step)
            for bound in entry:
                if bound is not None and type(bound) is not int:
                    return None
        elif kind is not int and entry is not None and entry is not Ellipsis:
            return None
        found.append(entry)
    return tuple(found)


@functools.lru_cache(maxsize=4096)
def _known_steps(shape: Shape, plain: tuple[Any, ...]) -> tuple[Primitive, ...]:
    entries = [slice(*entry) if type(entry) is tuple else entry for entry in plain]
    return _steps(_parse(shape, tuple(entries)))


def _steps(parts: list[_Part]) -> tuple[Primitive, ...]:
    """Take the ranges, then drop the single places and put in the new axes."""
    axes = [part for part in parts if part.kind != "new"]
    taken = Slice(
        tuple([part.start for part in axes]),
        tuple([part.size for part in axes]),
        tuple([part.step for part in axes]),
    )
    wanted = tuple([1 if p.kind == "new" else p.size for p in parts if p.kind != "integer"])
    return (taken,) if same_shape(wanted, taken.sizes) else (taken, Reshape(wanted))


def _viewed(x: Tensor, steps: tuple[Primitive, ...]) -> Tensor:
    """A handle of its own, even on all of x: rebinding it must not touch x."""
    result = x
    for step in steps:
        result = apply(step, (result,))
    return viewing(result, x)


def _parse(shape: Shape, key: Any) -> list[_Part]:
    """One part for every axis and new axis."""
    parts: list[_Part] = []
    axis = 0
    for entry in _entries(shape, key):
        found = _part(shape, entry, axis)
        parts += found
        axis += _axes_used(entry)
    return parts


def _entries(shape: Shape, key: Any) -> list[Any]:
    """What is said of every axis and new axis."""
    entries = list(key) if isinstance(key, tuple) else [key]
    entries = [_normalised(entry) for entry in entries]
    used = sum(_axes_used(entry) for entry in entries)
    dots = [i for i, entry in enumerate(entries) if entry is Ellipsis]
    if len(dots) > 1:
        raise IndexingError("an index can hold one ellipsis (...), several were given")
    if used > len(shape):
        raise IndexingError(
            f"too many indices: {used} for a tensor of {len(shape)} dimensions (shape {shape})"
        )
    fill = [slice(None)] * (len(shape) - used)
    place = dots[0] if dots else len(entries)
    return entries[:place] + fill + entries[place + bool(dots) :]


def _split_ranges(x: Tensor, key: Any, places: bool = False) -> tuple[list[Range], tuple[Any, ...]]:
    """The slices that begin at traced integers, and the index of what is left to be done in them.

    Args:
        places: whether single places that are traced integers are such slices too, if no index is an array.
    """
    entries = _entries(x.shape, key)
    places = places and not any(_is_array(entry) for entry in entries)
    ranges: list[Range] = []
    rest: list[Any] = []
    axis = 0
    for entry in entries:
        if begins_unknown(entry):
            ranges.append(traced_range(entry, x.shape[axis], axis))
            rest.append(slice(None, None, ranges[-1].step))
        elif places and isinstance(entry, Tensor):
            safe = apply(InRange(Limits(x.shape[axis], axis)), (entry,))
            ranges.append(Range(axis, safe, 1, 1))
            rest.append(0)
        else:
            rest.append(entry)
        axis += _axes_used(entry)
    return ranges, tuple(rest)


def _is_array(entry: Any) -> bool:
    """Whether an entry is not one place only, nor a range."""
    return isinstance(entry, Tensor) and not (entry.ndim == 0 and entry.dtype.is_integer)


def _normalised(entry: Any) -> Any:
    """Lists and NumPy arrays as tensors; 0-d integer tensors as integers."""
    if isinstance(entry, (list, np.ndarray)):
        entry = asarray(entry)
        if entry.size == 0 and entry.dtype.is_float:
            entry = entry.astype(dtypes.int64)  # an empty list has no dtype of its own
    if isinstance(entry, np.integer):
        return int(entry)
    if isinstance(entry, Tensor) and entry.ndim == 0 and entry.dtype.is_integer:
        return int(entry) if is_known(entry) else entry  # in a traced function it stays a tensor
    if isinstance(entry, (bool, np.bool_)):
        return asarray(bool(entry))
    return entry


def _axes_used(entry: Any) -> int:
    if entry is None or entry is Ellipsis:
        return 0
    if isinstance(entry, Tensor) and entry.dtype.is_bool:
        return entry.ndim
    return 1


def _part(shape: Shape, entry: Any, axis: int) -> list[_Part]:
    if entry is None:
        return [_Part("new")]
    if isinstance(entry, slice):
        return [_range(shape[axis], entry)]
    if isinstance(entry, (int, Size)):
        size, place = shape[axis], entry + shape[axis] if for_all(entry) < 0 else entry
        if not for_all(-size) <= entry < for_all(size):
            raise IndexingError(
                f"index {shown(entry)} is out of range for axis {axis} of size {size}"
            )
        return [_Part("integer", start=place)]  # type: ignore[arg-type]
    if isinstance(entry, Tensor):
        return _arrays(shape, entry, axis)
    raise ArgumentTypeError(
        f"an index must be an integer, a slice, None, ..., or a tensor of integers or bool; "
        f"{type(entry).__name__} was given"
    )


def _range(extent: Any, entry: slice) -> _Part:
    if any(is_symbolic(n) for n in (extent, entry.start, entry.stop, entry.step)):
        return _Part("slice", *_symbolic_range(entry, extent))
    try:
        start, stop, step = entry.indices(extent)
    except TypeError:
        raise IndexingError(f"slice {entry}: its bounds must be integers or None") from None
    except ValueError:
        raise IndexingError(f"slice {entry}: its step must not be 0") from None
    size = len(range(start, stop, step))
    return _Part("slice", start if size else 0, size, step)


def _symbolic_range(entry: slice, extent: Any) -> tuple[Any, Any, int]:
    """The first element of a slice, how many it has, and its step, where sizes are symbolic."""
    step = 1 if entry.step is None else operator.index(entry.step)
    if step == 0:
        raise IndexingError(f"slice {entry}: its step must not be 0")
    least, most = (0, extent) if step > 0 else (-1, extent - 1)

    def bound(value: Any, default: Any) -> Any:
        if value is None:
            return default
        if not isinstance(value, INTEGERS):
            raise IndexingError(f"slice {entry}: its bounds must be integers or None")
        value = value + extent if for_all(value) < 0 else value
        asked = for_all(value)
        return least if asked < for_all(least) else most if asked > for_all(most) else value

    first, last = (least, most) if step > 0 else (most, least)
    start, stop = bound(entry.start, first), bound(entry.stop, last)
    size = (stop - start + step - 1) // step if step > 0 else (start - stop - step - 1) // -step
    return (start, size, step) if for_all(size) > 0 else (0, 0, step)


def _arrays(shape: Shape, entry: Tensor, axis: int) -> list[_Part]:
    if entry.dtype.is_bool:
        if entry.ndim == 0:  # as in NumPy: of a new axis it takes the only place, or none
            taken = np.zeros(int(bool(entry)), np.int64)
            return [_Part("array", array=asarray(taken), fresh=True)]
        _check_mask(shape, entry, axis)
        require_known(
            entry,
            "x[mask]: how many elements the mask chooses decides a shape",
            "ts.where(mask, x, other) keeps the shape, and x[mask] = value may give all of them one value",
        )
        places = np.nonzero(entry.numpy())
        return [_Part("array", array=asarray(place)) for place in places]
    if not entry.dtype.is_integer:
        raise DTypeError(f"an index must be of integers or bool, not {entry.dtype.name}")
    return [_Part("array", array=entry)]


def _check_mask(shape: Shape, mask: Tensor, axis: int) -> None:
    covered = shape[axis : axis + mask.ndim]
    if covered != mask.shape:
        raise IndexingError(
            f"a bool index has shape {mask.shape}, but the axes it covers have {covered}"
        )


def _advanced(x: Tensor, parts: list[_Part]) -> Tensor:
    """Slices first, then the index arrays; single places count as index arrays."""
    x = _with_fresh_axes(x, parts)
    axes = [part for part in parts if part.kind != "new"]
    ranges = [
        part if part.kind == "slice" else _Part("slice", 0, n, 1)
        for part, n in zip(axes, x.shape, strict=True)
    ]
    x = _viewed(x, _steps(ranges))
    places = [i for i, part in enumerate(axes) if part.kind in ("array", "integer")]
    indices = [_index_array(axes[i]) for i in places]
    gathered: Tensor = apply(Gather(tuple(places)), (x, *indices))
    rank = len(broadcast_shapes([index.shape for index in indices], "index"))
    return _arranged(gathered, parts, rank)


def _with_fresh_axes(x: Tensor, parts: list[_Part]) -> Tensor:
    """x with the new axes of size 1 that masks without axes choose from."""
    if not any(part.fresh for part in parts):
        return x
    sizes = iter(x.shape)
    axes = [part for part in parts if part.kind != "new"]
    return reshape(x, tuple(1 if part.fresh else next(sizes) for part in axes))


def _index_array(part: _Part) -> Tensor:
    return asarray(part.start) if part.array is None else part.array


def _arranged(gathered: Tensor, parts: list[_Part], rank: int) -> Tensor:
    """Put in the new axes, and the indexed axes where NumPy has them."""
    where = [i for i, p in enumerate(parts) if p.kind in ("array", "integer")]
    adjacent = where[-1] - where[0] + 1 == len(where)
    front = gathered.shape[:rank]
    rest = iter(gathered.shape[rank:])
    others = [(1 if p.kind == "new" else next(rest)) for p in parts if p.kind in ("new", "slice")]
    result = reshape(gathered, (*front, *others))
    before = sum(1 for p in parts[: where[0]] if p.kind in ("new", "slice")) if adjacent else 0
    if before == 0 or rank == 0:
        return result
    return moveaxis(result, tuple(range(rank)), tuple(range(before, before + rank)))


# --- assignment ----------------------------------------------------------------------------------------


def set_item(x: Tensor, key: Any, value: Any) -> Tensor:
    """x with x[key] replaced by a value, which is broadcast and converted to x's dtype."""
    found = operand(value, x)
    if found is NotImplemented:
        found = asarray(value)
    if not dtypes.can_cast(found.dtype, x.dtype) and isinstance(value, Tensor):
        raise DTypeError(
            f"assignment: {found.dtype.name} values do not fit in a {x.dtype.name} tensor; convert "
            f"them first: value.astype(ts.{x.dtype.name})"
        )
    updates = found.astype(x.dtype)
    mask = _unknown_mask(key)
    if mask is not None and updates.ndim <= x.ndim - mask.ndim:
        return _where_masked(x, mask, updates)
    ranges, rest = _split_ranges(x, key, places=True) if is_traced() else ([], ())
    if ranges:
        return _written_at(x, ranges, rest, updates)
    parts = _parse(x.shape, key)
    if any(part.kind == "array" for part in parts):
        scattered = _scattered(x, parts, updates)
        return scattered if same_shape(scattered.shape, x.shape) else reshape(scattered, x.shape)
    axes = [part for part in parts if part.kind != "new"]
    starts, steps = tuple(p.start for p in axes), tuple(p.step for p in axes)
    return apply(UpdateSlice(starts, steps), (x, _region(parts, updates)))


def _region(parts: list[_Part], updates: Tensor) -> Tensor:
    """The updates with the axes of what they are written into."""
    shape = tuple(1 if p.kind == "new" else p.size for p in parts if p.kind != "integer")
    return reshape(_broadcast(updates, shape), tuple(p.size for p in parts if p.kind != "new"))


def _written_at(x: Tensor, ranges: list[Range], rest: tuple[Any, ...], updates: Tensor) -> Tensor:
    """x with updates in a part of what begins at traced integers, or in all of it."""
    sizes = list(x.shape)
    for found in ranges:
        sizes[found.axis] = found.span
    parts = _parse(tuple(sizes), rest)
    axes = [part for part in parts if part.kind != "new"]
    if all(
        p.kind != "array" and p.step == 1 and p.size == n for p, n in zip(axes, sizes, strict=True)
    ):
        return write_ranges(x, ranges, _region(parts, updates))
    return write_ranges(x, ranges, set_item(take_ranges(x, ranges), rest, updates))


def _unknown_mask(key: Any) -> Tensor | None:
    """A mask alone, whose elements are not known yet in a traced function."""
    if not is_traced():
        return None
    mask = key[0] if type(key) is tuple and len(key) == 1 else key
    if isinstance(mask, np.ndarray) and mask.dtype == bool and mask.ndim:
        mask = asarray(mask)
    if not isinstance(mask, Tensor) or not mask.dtype.is_bool or not mask.ndim or is_known(mask):
        return None
    return mask


def _where_masked(x: Tensor, mask: Tensor, updates: Tensor) -> Tensor:
    """x with one value (for the axes after those of the mask) wherever a mask holds: how often does not matter."""
    _check_mask(x.shape, mask, 0)
    after = x.shape[mask.ndim :]
    return where(reshape(mask, (*mask.shape, *(1,) * len(after))), _broadcast(updates, after), x)


def _broadcast(updates: Tensor, shape: tuple[int, ...]) -> Tensor:
    extra = updates.ndim - len(shape)
    if extra > 0 and all(n == 1 for n in updates.shape[:extra]):
        updates = reshape(updates, updates.shape[extra:])
    return broadcast_to(updates, shape)


def _scattered(x: Tensor, parts: list[_Part], updates: Tensor) -> Tensor:
    """Every axis by an index array: ranges become counting arrays on axes of their own."""
    axes = [part for part in parts if part.kind != "new"]
    target = get_item_shape(x, parts)
    x = _with_fresh_axes(x, parts)
    updates = _broadcast(updates, target)
    places = [i for i, part in enumerate(axes) if part.kind != "slice"]
    ranges = [i for i, part in enumerate(axes) if part.kind == "slice"]
    indices = [_index_array(axes[i]) for i in places]
    common = broadcast_shapes([index.shape for index in indices], "index")
    updates = _indices_first(updates, parts, len(common))
    arrays: dict[int, Tensor] = {}
    for i, index in zip(places, indices, strict=True):
        arrays[i] = reshape(broadcast_to(index, common), (*common, *(1,) * len(ranges)))
    for position, i in enumerate(ranges):
        part = axes[i]
        count = arange(part.size) * part.step + part.start
        after = len(ranges) - position - 1
        arrays[i] = (
            reshape(count, (1,) * (len(common) + position) + (-1,) + (1,) * after)
            if part.size
            else reshape(count, (1,) * (len(common) + position) + (0,) + (1,) * after)
        )
    ordered = [arrays[i] for i in range(x.ndim)]
    return apply(Scatter(tuple(range(x.ndim)), "set"), (x, updates, *ordered))


def get_item_shape(x: Tensor, parts: list[_Part]) -> tuple[int, ...]:
    """The shape of x[key]."""
    return _advanced(x.detach(), parts).shape


def _indices_first(updates: Tensor, parts: list[_Part], rank: int) -> Tensor:
    """Undo `_arranged`: index axes in front, new axes gone."""
    where = [i for i, p in enumerate(parts) if p.kind in ("array", "integer")]
    adjacent = where[-1] - where[0] + 1 == len(where)
    before = sum(1 for p in parts[: where[0]] if p.kind in ("new", "slice")) if adjacent else 0
    if before and rank:
        updates = moveaxis(updates, tuple(range(before, before + rank)), tuple(range(rank)))
    sizes = tuple(p.size for p in parts if p.kind == "slice")
    return reshape(updates, (*updates.shape[:rank], *sizes))


# --- functions -------------------------------------------------------------------------------------------


@public
def take(x: Tensor, indices: Tensor, /, axis: int | None = None) -> Tensor:
    """The elements of an axis at some places.

    >>> import tessella as ts
    >>> take(ts.asarray([5.0, 6.0, 7.0]), ts.asarray([2, 0]))
    tensor([7., 5.])
    """
    if axis is None:
        if x.ndim != 1:
            raise IndexingError(f"take: shape {x.shape}; say along which axis")
        axis = 0
    place = normalise_axis(axis, x.ndim, "take")
    taken: Tensor = apply(Gather((place,)), (x, indices))
    rank = indices.ndim
    return moveaxis(taken, tuple(range(rank)), tuple(range(place, place + rank))) if rank else taken


@public
def take_along_axis(x: Tensor, indices: Tensor, /, axis: int = -1) -> Tensor:
    """For each row along an axis, its elements at the places of the same row of indices."""
    place = normalise_axis(axis, x.ndim, "take_along_axis")
    if indices.ndim != x.ndim:
        raise ShapeError(
            f"take_along_axis: shape {x.shape}, and indices of shape {indices.shape}; expected as many axes"
        )
    inside = x.shape[place]
    shapes = [tuple(1 if i == place else n for i, n in enumerate(y.shape)) for y in (x, indices)]
    shape = broadcast_shapes(shapes, "take_along_axis")
    whole = broadcast_to(x, (*shape[:place], inside, *shape[place + 1 :]))
    return apply(Gather((place,), beside(x.ndim, place)), (whole, indices))


def beside(rank: int, axis: int) -> Pairs:
    """All axes but one, along with those of an index that has as many."""
    return tuple((i, i) for i in range(rank) if i != axis)


@public
def repeat(x: Tensor, repeats: int | Tensor, /, axis: int | None = None) -> Tensor:
    """Each element (along an axis) several times in a row, as in NumPy.

    PyTorch's `x.repeat` puts the whole tensor beside itself, which is `tile` here.
    """
    if axis is None:
        x, axis = reshape(x, (x.size,)), 0
    place = normalise_axis(axis, x.ndim, "repeat")
    counts = np.asarray(repeats.numpy() if isinstance(repeats, Tensor) else repeats)
    if counts.dtype.kind not in "iu" or (counts < 0).any():
        raise ArgumentError(f"repeat: repeats {repeats}; expected whole numbers of at least 0")
    extent = x.shape[place]
    if counts.size == 1:  # a new axis, repeated, and put together with the other
        before, after, count = x.shape[:place], x.shape[place + 1 :], int(counts.reshape(()))
        repeated = broadcast_to(expand_dims(x, place + 1), (*before, extent, count, *after))
        return reshape(repeated, (*before, extent * count, *after))
    if counts.shape != (extent,):
        raise ShapeError(
            f"repeat: {counts.size} repeats for axis {place} of size {extent}; give one "
            "number, or one for each element"
        )
    with host().memory_for(8 * sum(counts.tolist())):  # as Python's integers, which do not overflow
        order = np.repeat(np.arange(len(counts)), counts)
    return take(x, asarray(order), axis=place)


@public
def nonzero(x: Tensor, /) -> tuple[Tensor, ...]:
    """Where the elements are not zero: one index array for each axis, as in NumPy.

    PyTorch's `nonzero` gives rows of places, which is `argwhere` here.
    """
    if x.ndim == 0:
        raise ShapeError("nonzero: shape () has no axes; reshape it: ts.reshape(x, (1,))")
    require_known(
        x,
        "nonzero: how many elements are not zero decides a shape",
        "ts.where(condition, x, other) keeps the shape",
    )
    return tuple(asarray(place) for place in np.nonzero(x.numpy()))
