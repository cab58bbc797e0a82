"""Rows of a table by their numbers."""

from __future__ import annotations

import math
from typing import Literal

from tessella import dtypes
from tessella.arguments import public
from tessella.autodiff import no_grad
from tessella.errors import ArgumentError, DTypeError, ShapeError
from tessella.primitives.indexing import Gather, InRange, Limits, Scatter
from tessella.tensors.creation import arange, ones_like, zeros
from tessella.tensors.elementwise import abs, clip, maximum, where
from tessella.tensors.indexing import get_item
from tessella.tensors.manipulation import concat, expand_dims, reshape
from tessella.tensors.scattering import index_add
from tessella.tensors.statistical import cumulative_sum
from tessella.tensors.tensor import Tensor, apply
from tessella.transforms.at_once import at_once
from tessella.transforms.custom import custom_vjp, stop_gradient


@public
def one_hot(x: Tensor, num_classes: int = -1) -> Tensor:
    """1 at the class number, 0 elsewhere, as int64.

    Shapes: (...) -> (..., num_classes).

    Args:
        num_classes: -1 for one more than the largest number, which is looked at: not in a traced function.

    Raises:
        IndexingError: there is no such class.
        ArgumentError: there are less than no classes, or no number that tells how many.

    >>> import tessella as ts
    >>> one_hot(ts.asarray([0, 2]), 3)
    tensor([[1, 0, 0],
            [0, 0, 1]])
    """
    if not x.dtype.is_integer:
        raise DTypeError(f"one_hot: {x.dtype.name}; class numbers are integers: x.astype(ts.int64)")
    if num_classes < -1 or (num_classes == -1 and not x.size):
        given = f"num_classes is {num_classes}, the input has shape {x.shape}"
        raise ArgumentError(f"one_hot: {given}; expected a number of classes, which no input tells")
    num_classes = int(x.max()) + 1 if num_classes == -1 else num_classes
    limits = Limits(num_classes, purpose="one_hot")
    classes = apply(InRange(limits), (x,)).astype(dtypes.int64)
    return (reshape(classes, (*x.shape, 1)) == arange(num_classes)).astype(dtypes.int64)


@public
def embedding(
    x: Tensor, weight: Tensor, padding_idx: int | None = None, max_norm: float | None = None,
    norm_type: float = 2.0, scale_grad_by_freq: bool = False, sparse: bool = False,
) -> Tensor:  # fmt: skip
    """The rows of a table at some places.

    Args:
        padding_idx: a row that gets no gradient.
        max_norm: rows that are asked for and are longer are shortened to it first, in the table itself.
        norm_type: the p of the norm that `max_norm` bounds.
        scale_grad_by_freq: whether the gradient of a row is divided by how often it is asked for.

    Shapes: (...) and (V, D) -> (..., D).
    Dtypes: integers, and any.

    Raises:
        ShapeError: the weight is no matrix.
        ArgumentError: `sparse`, which there are no gradients for here, or a `padding_idx` beyond the table.
        DTypeError: the places are no integers.
        IndexingError: there is no such row; places do not count from the end.

    >>> import tessella as ts
    >>> embedding(ts.asarray([1, 1]), ts.asarray([[0.0, 1.0], [2.0, 3.0]]))
    tensor([[2., 3.],
            [2., 3.]])
    """
    return _embedded(
        "embedding", x, weight, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse
    )


def _embedded(
    name: str, x: Tensor, weight: Tensor, padding_idx: int | None, max_norm: float | None, norm_type: float,
    scale_grad_by_freq: bool, sparse: bool,
) -> Tensor:  # fmt: skip
    padding_idx = _row(name, weight, padding_idx, sparse)
    if not x.dtype.is_integer:
        raise DTypeError(
            f"{name}: the input is {x.dtype.name}, of shape {x.shape}; expected integers, the numbers of rows: "
            "convert it with x.astype(ts.int64)",
            name,
        )
    rows = apply(Gather((0,), purpose=name), (weight, x))
    if max_norm is not None:
        _shorten(weight, x, max_norm, norm_type)
        rows = _replaced(rows, apply(Gather((0,), purpose=name), (weight.detach(), x)))
    if padding_idx is None and not scale_grad_by_freq:
        return rows
    return _with_own_gradient(rows, x, padding_idx, scale_grad_by_freq, weight.shape[0])


@at_once
def _with_own_gradient(
    rows: Tensor, x: Tensor, padding_idx: int | None, scale_grad_by_freq: bool, count: int
) -> Tensor:
    """Rows of which some have no gradient, or less."""
    if padding_idx is not None:
        rows = where(expand_dims(x == padding_idx, -1), stop_gradient(rows), rows)
    if scale_grad_by_freq:
        rows = _scaled_gradient(rows, 1.0 / _count(x, count).astype(rows.dtype))
    return rows


def _row(name: str, weight: Tensor, padding_idx: int | None, sparse: bool) -> int | None:
    """The number of the padding's row, counted from the front."""
    if sparse:
        raise ArgumentError(
            f"{name}: sparse is True; gradients are dense here, which gives the same numbers: leave it out"
        )
    if weight.ndim != 2:
        raise ShapeError(f"{name}: the weight has shape {weight.shape}; expected (rows, length)")
    count = weight.shape[0]
    if padding_idx is None or 0 <= padding_idx < count:
        return padding_idx
    if not -count <= padding_idx < 0:
        raise ArgumentError(
            f"{name}: padding_idx is {padding_idx}; expected a row of the table, of which there are {count}"
        )
    return padding_idx + count


def _shorten(weight: Tensor, x: Tensor, most: float, p: float) -> None:
    """Shorten the rows that are asked for and longer than `most`, in place."""
    with no_grad():
        weight.assign(_shortened(weight.detach(), x, most, p))


@at_once
def _shortened(table: Tensor, x: Tensor, most: float, p: float) -> Tensor:
    """The table with the rows that are asked for; who is asked for twice is written twice, and alike."""
    places = reshape(x, (x.size,))
    rows = get_item(table, places)
    norms = (abs(rows) ** p).sum(axis=1, keepdims=True) ** (1.0 / p)
    rows = where(norms > most, rows * (most / (norms + _TINY)), rows)
    return apply(Scatter((0,), "set"), (table, rows, places))


_TINY = 1e-7  # as PyTorch has it


def _occurrences(x: Tensor, count: int) -> Tensor:
    places = reshape(x, (x.size,)).astype(dtypes.int64)
    return index_add(zeros(count, dtype=dtypes.int64), 0, places, ones_like(places))


def _count(x: Tensor, count: int) -> Tensor:
    """How often each row is asked for, at the places where it is, as a column: (..., 1)."""
    return expand_dims(get_item(_occurrences(x, count), x), -1)


@custom_vjp
def _scaled_gradient(rows: Tensor, factor: Tensor) -> Tensor:
    """Rows whose gradient is multiplied by a factor."""
    return rows


_scaled_gradient.defvjp(
    lambda rows, factor: (rows, factor), lambda factor, gradient: (gradient * factor, None)
)


@custom_vjp
def _replaced(rows: Tensor, values: Tensor) -> Tensor:
    """Other values with the gradient of the rows."""
    return values


_replaced.defvjp(lambda rows, values: (values, None), lambda _, gradient: (gradient, None))


@public
def embedding_bag(
    x: Tensor, weight: Tensor, offsets: Tensor | None = None, max_norm: float | None = None,
    norm_type: float = 2.0, scale_grad_by_freq: bool = False,
    mode: Literal["sum", "mean", "max"] = "mean", sparse: bool = False,
    per_sample_weights: Tensor | None = None, include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Tensor:  # fmt: skip
    """Sums, means or maxima of rows of a table, a bag of places each; of an empty bag, zeros.

    Args:
        offsets: where bags begin in x, if that is a vector.
        include_last_offset: whether the last of the offsets is the end of the last bag.
        per_sample_weights: by which rows are multiplied, of x's shape; for sums only.
        padding_idx: a row that does not count and gets no gradient.

    Shapes: (B, N), or (N,) with offsets (B,), and (V, D) -> (B, D).

    Raises:
        ShapeError: x is no matrix, and there are no offsets, or the reverse; weights of another shape.
        ArgumentError: weights for something else than sums; see `embedding`.
        IndexingError: the offsets do not begin with 0, or go beyond x.

    >>> import tessella as ts
    >>> table = ts.asarray([[1.0], [2.0], [4.0]])
    >>> embedding_bag(ts.asarray([0, 1, 2]), table, ts.asarray([0, 1]), mode="sum")
    tensor([[1.],
            [6.]])
    """
    padding_idx = _row("embedding_bag", weight, padding_idx, sparse)
    if per_sample_weights is not None and mode != "sum":
        raise ArgumentError(f"embedding_bag: per_sample_weights with mode={mode!r}; expected 'sum'")
    if per_sample_weights is not None and per_sample_weights.shape != x.shape:
        raise ShapeError(
            f"embedding_bag: per_sample_weights {per_sample_weights.shape}; expected {x.shape}"
        )
    if (x.ndim, offsets is None) not in ((2, True), (1, False)):
        raise ShapeError(
            f"embedding_bag: x {x.shape} {'without' if offsets is None else 'with'} offsets; expected (B, N) without, or (N,) with"
        )
    rows = _embedded(
        "embedding_bag", x, weight, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse
    )
    counts = ones_like(x) if padding_idx is None else (x != padding_idx).astype(dtypes.int64)
    if per_sample_weights is not None:
        rows = rows * expand_dims(per_sample_weights, -1)
    seen = expand_dims(counts, -1) > 0
    rows = rows if padding_idx is None and mode != "max" else where(seen, rows, _NEUTRAL[mode])
    if offsets is None:
        found = rows.max(axis=1) if mode == "max" and x.shape[1] else rows.sum(axis=1)
        count = counts.sum(axis=1)
    else:
        starts = offsets[:-1] if include_last_offset else offsets
        bags = _bags(starts, x.shape[0])
        count = index_add(zeros(starts.shape[0], dtype=dtypes.int64), 0, bags, counts)
        found = _of_bags(rows, bags, starts, mode)
    count = expand_dims(count, -1)
    if mode == "mean":
        return found / maximum(count, 1).astype(found.dtype)
    return where(count > 0, found, 0.0) if mode == "max" else found


_NEUTRAL = {"sum": 0.0, "mean": 0.0, "max": -math.inf}


def _bags(starts: Tensor, size: int) -> Tensor:
    """In which bag each of so many places is."""
    places = apply(InRange(Limits(size + 1, purpose="embedding_bag: offsets")), (starts,))
    begun = index_add(zeros(size + 1, dtype=dtypes.int64), 0, places, ones_like(starts))
    bags = cumulative_sum(begun)[:size] - 1
    limits = Limits(max(1, starts.shape[0]), purpose="embedding_bag: offsets do not begin with 0")
    return apply(InRange(limits), (bags,))


def _of_bags(rows: Tensor, bags: Tensor, starts: Tensor, mode: str) -> Tensor:
    empty = zeros((starts.shape[0], rows.shape[1]), dtype=rows.dtype)
    if mode != "max":
        return index_add(empty, 0, bags, rows)
    last = clip(concat([starts[1:], starts[:1] * 0 + rows.shape[0]]) - 1, 0)
    return get_item(_running_maxima(rows, bags), last) if rows.shape[0] else empty


def _running_maxima(rows: Tensor, bags: Tensor) -> Tensor:
    """The largest of the rows so far in each bag: over twice as many in every round (Hillis & Steele, 1986)."""
    reach = 1
    while reach < rows.shape[0]:
        same = expand_dims(bags[reach:] == bags[:-reach], -1)
        later = where(same, maximum(rows[reach:], rows[:-reach]), rows[reach:])
        rows = concat([rows[:reach], later])
        reach *= 2
    return rows
