"""Slices whose place is a tensor: of known sizes, and so the same operation in every call of a compiled function."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

from tessella import dtypes
from tessella.arguments import public
from tessella.arguments.kinds import ShapeLike, shown
from tessella.errors import DTypeError, IndexingError, ShapeError, TracedValueError
from tessella.primitives.dynamic_slice import DynamicSlice, DynamicUpdateSlice, clamped
from tessella.primitives.indexing import InRange, Length
from tessella.primitives.movement import Slice, UpdateSlice
from tessella.tensors.affine import difference
from tessella.tensors.creation import asarray
from tessella.tensors.elementwise import clip, maximum, minimum, where
from tessella.tensors.tensor import Tensor, apply, viewing
from tessella.tracing.lines import user_line
from tessella.tracing.trace import is_known

Starts: TypeAlias = "Sequence[int | Tensor] | Tensor"


@public
def dynamic_slice(x: Tensor, /, starts: Starts, sizes: ShapeLike) -> Tensor:
    """The block of x of some sizes that begins at starts, which may be tensors of a compiled function.

    A start that is negative counts from the end; then it is moved so far that the block fits, as in JAX. (The slice
    `x[i:i + n]` is not moved: where it leaves the axis, it has fewer elements, or raises in a compiled function.)

    Args:
        starts: where the block begins along each axis: integers and tensors of one, or one tensor of them.
        sizes: of the block along each axis.

    Shapes: sizes.

    Raises:
        ShapeError: not as many starts or sizes as axes, or the block is larger than x.
        DTypeError: a start is no integer.

    Source: `jax.lax.dynamic_slice`.

    >>> import tessella as ts
    >>> x = ts.asarray([[0, 1, 2], [3, 4, 5]])
    >>> ts.dynamic_slice(x, (0, ts.asarray(1)), (2, 2))
    tensor([[1, 2],
            [4, 5]])
    >>> ts.dynamic_slice(x, ts.asarray([1, 2]), (1, 2))
    tensor([[4, 5]])
    """
    block = (sizes,) if isinstance(sizes, int) else tuple(sizes)
    places = _starts_of(x, starts, "dynamic_slice")
    _check_block(x, block, "dynamic_slice", "sizes")
    ranges = [
        (0, n) if isinstance(start, Tensor) else (clamped(start, size, n), size)
        for start, size, n in zip(places, block, x.shape, strict=True)
    ]
    moving = tuple([axis for axis, start in enumerate(places) if isinstance(start, Tensor)])
    if len(moving) < x.ndim:
        begin, size = zip(*ranges, strict=True)
        x = apply(Slice(begin, size, (1,) * x.ndim), (x,))
    if not moving:
        return x
    dynamic = DynamicSlice(moving, 0, tuple([block[axis] for axis in moving]))
    return apply(dynamic, (x, *[start for start in places if isinstance(start, Tensor)]))


@public
def dynamic_update_slice(x: Tensor, update: Tensor, /, starts: Starts) -> Tensor:
    """A copy of x in which the block that begins at starts holds an update; `dynamic_slice` says where that is.

    A compiled function that needs x no more writes into its memory, and copies nothing but the update.

    Shapes: that of x; the update has as many axes, none of them longer.

    Raises:
        ShapeError: not as many starts as axes, or the update is larger than x.
        DTypeError: a start is no integer, or x and the update differ in dtype.

    Source: `jax.lax.dynamic_update_slice`.

    >>> import tessella as ts
    >>> ts.dynamic_update_slice(ts.zeros(5), ts.ones(2), (ts.asarray(3),))
    tensor([0., 0., 0., 1., 1.])
    """
    name = "dynamic_update_slice"
    places = _starts_of(x, starts, name)
    _check_block(x, update.shape, name, "update")
    if update.dtype is not x.dtype:
        raise DTypeError(
            f"{name}: the update is {update.dtype.name}, the tensor {x.dtype.name}; convert one of them: "
            f"update.astype(ts.{x.dtype.name})"
        )
    if not any(isinstance(start, Tensor) for start in places):
        begin = [clamped(*of) for of in zip(places, update.shape, x.shape, strict=True)]  # type: ignore[arg-type]
        return apply(UpdateSlice(tuple(begin), (1,) * x.ndim), (x, update))
    starting = [start if isinstance(start, Tensor) else asarray(start) for start in places]
    return apply(DynamicUpdateSlice(tuple(range(x.ndim)), 0), (x, update, *starting))


def _starts_of(x: Tensor, starts: Starts, name: str) -> list[int | Tensor]:
    """One start for each axis."""
    if isinstance(starts, Tensor):
        if starts.ndim != 1:
            raise ShapeError(
                f"{name}: the starts have shape {starts.shape}; expected one vector, with a start for each axis"
            )
        starts = [starts[axis] for axis in range(starts.shape[0])]
    if len(starts) != x.ndim:
        raise ShapeError(
            f"{name}: {len(starts)} starts for a tensor of shape {x.shape}; give one for each axis"
        )
    for axis, start in enumerate(starts):
        if isinstance(start, Tensor) and not start.dtype.is_integer:
            raise DTypeError(
                f"{name}: the start of axis {axis} is {start.dtype.name}; expected an integer"
            )
    return list(starts)


def _check_block(x: Tensor, block: tuple[int, ...], name: str, what: str) -> None:
    fits = len(block) == x.ndim and all(
        0 <= size <= n for size, n in zip(block, x.shape, strict=True)
    )
    if not fits:
        raise ShapeError(
            f"{name}: {what}: {shown(tuple(block))} for a tensor of shape {x.shape}; expected as many axes, none of them "
            "longer"
        )


# --- slices that begin at a traced integer -----------------------------------------------------------------


class Range(NamedTuple):
    """Elements of an axis from a place on that is a tensor: how many, and the step within them that is wanted."""

    axis: int
    start: Tensor
    span: int
    step: int


def begins_unknown(entry: object) -> bool:
    """Whether an entry of an index is a slice with a bound that is not known while its function is traced."""
    return isinstance(entry, slice) and any(
        isinstance(bound, Tensor) and not is_known(bound) for bound in (entry.start, entry.stop)
    )


def traced_range(entry: slice, extent: int, axis: int) -> Range:
    """What a slice takes whose bounds are not known, but how far they are apart.

    When the function runs it is checked that the slice has as many elements as the uncompiled one would.

    Raises:
        TracedValueError: it is not known how far they are apart.
        IndexingError: the axis is too short for it, or its step is 0 or unknown.
    """
    step = 1 if entry.step is None else entry.step
    if not isinstance(step, int) or step == 0:
        raise IndexingError(f"slice: its step is {shown(step)}; expected an integer that is not 0")
    bounds = (entry.start, entry.stop)
    for bound in bounds:
        if isinstance(bound, Tensor) and not (bound.dtype.is_integer and bound.ndim == 0):
            raise IndexingError(f"slice: its bounds must be integers or None, not {shown(bound)}")
    apart = None if None in _kinds(bounds) else difference(entry.stop, entry.start)
    if apart is None:
        raise TracedValueError(
            f"{user_line()}: x[start:stop] along axis {axis}: how many elements it has decides a shape, and a bound "
            "is not known yet while its function is being traced; write x[i:i + n] with a number n, whatever i is, "
            "or choose by ts.where(condition, x, other), which keeps the shape"
        )
    count = len(range(0, apart, step))
    span = (count - 1) * abs(step) + 1 if count else 0
    if span > extent:
        raise IndexingError(
            f"slice: {count} elements with step {step} from axis {axis}, which has {extent}; in a traced function "
            "a slice has as many in every call"
        )
    first, last = (_bound(bound, extent, step) for bound in bounds)
    way = last - first if step > 0 else first - last
    length = maximum((way + abs(step) - 1) // abs(step), 0)
    apply(InRange(Length(count, axis)), (length,))
    return Range(axis, first if step > 0 else first - (span - 1), span, step)


def _kinds(bounds: Sequence[object]) -> list[object]:
    """None for bounds that are left out."""
    return [None if bound is None else type(bound) for bound in bounds]


def _bound(bound: Tensor | int, extent: int, step: int) -> Tensor:
    """A bound of a slice counted from the front, as `slice.indices` does it."""
    if not isinstance(bound, Tensor):
        bound = asarray(bound, dtype=dtypes.int64)
    if bound.dtype is dtypes.uint64:  # 2**64 - 1 must not become -1
        bound = minimum(bound, asarray(2**63 - 1, dtype=dtypes.uint64))
    place = bound.astype(dtypes.int64)
    place = where(place < 0, place + extent, place)
    return clip(place, 0, extent) if step > 0 else clip(place, -1, extent - 1)


def take_ranges(x: Tensor, ranges: Sequence[Range]) -> Tensor:
    """The elements of x in some ranges, along the other axes all."""
    axes = tuple([found.axis for found in ranges])
    block = DynamicSlice(axes, 0, tuple([found.span for found in ranges]))
    return viewing(apply(block, (x, *[found.start for found in ranges])), x)


def write_ranges(x: Tensor, ranges: Sequence[Range], values: Tensor) -> Tensor:
    """x with other elements in some ranges."""
    update = DynamicUpdateSlice(tuple([found.axis for found in ranges]), 0)
    return apply(update, (x, values, *[found.start for found in ranges]))
