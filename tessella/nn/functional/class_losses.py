"""Losses of classes: how little is said for the right one of several, or for the right ones.

Class numbers that are out of range are refused, in compiled functions too.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tessella import dtypes
from tessella.arguments import public
from tessella.arguments.kinds import Reduction, shown
from tessella.errors import ArgumentError, DTypeError, ShapeError
from tessella.nn.functional.activations import log_softmax
from tessella.nn.functional.checks import as_vector, check_floating, check_no_options, check_sizes
from tessella.nn.functional.reductions import reduced, same_shape, weighted
from tessella.primitives.indexing import InRange, Limits
from tessella.scalar.function import ScalarFunction
from tessella.scalar.mathematics import softplus as scalar_softplus
from tessella.tensors.creation import arange
from tessella.tensors.elementwise import operation, where, zip_with
from tessella.tensors.indexing import get_item
from tessella.tensors.linear import tensordot
from tessella.tensors.manipulation import expand_dims, moveaxis, reshape
from tessella.tensors.scattering import take_along_dim
from tessella.tensors.statistical import any as any_of
from tessella.tensors.statistical import cumulative_max, narrowed, widened
from tessella.tensors.tensor import Tensor, apply, is_traced
from tessella.transforms.at_once import at_once

_if_counted = zip_with(
    ScalarFunction(  # x itself; but what is ignored gets no gradient, not even NaN
        lambda x, counted: x,
        "if_counted",
        derivatives=(lambda x, counted: 1.0 if counted else 0.0, lambda x, counted: 0.0),
    )
)


@public
def nll_loss(
    x: Tensor, target: Tensor, weight: Tensor | None = None, ignore_index: int = -100,
    reduction: Reduction = "mean",
) -> Tensor:  # fmt: skip
    """Minus the log probability of the right class; what is ignored may be anything, NaN too.

    Shapes: (N, C, ...) and (N, ...), or (C,) and (). `weight` is (C,).

    Raises:
        DTypeError: the target is not made of integers.
        IndexingError: there is no such class.

    >>> import tessella as ts
    >>> nll_loss(ts.asarray([[-1.0, -0.5]]), ts.asarray([1]))
    tensor(0.5)
    """
    return _nll_loss(x, target, weight, ignore_index, reduction, not is_traced())


@at_once
def _nll_loss(
    x: Tensor,
    target: Tensor,
    weight: Tensor | None,
    ignore_index: int,
    reduction: Reduction,
    picks: bool,
) -> Tensor:
    _check_weight(x, weight, "nll_loss")
    counted = _counted(x, target, ignore_index, "nll_loss")
    loss, factor = _nll(x, target, weight, counted, "nll_loss", picks)
    return narrowed(weighted(loss, factor, reduction), x)


@public
@at_once
def cross_entropy(
    x: Tensor, target: Tensor, weight: Tensor | None = None, ignore_index: int = -100,
    reduction: Reduction = "mean", label_smoothing: float = 0.0,
) -> Tensor:  # fmt: skip
    """Minus the log of the probability that `softmax(x)` gives to the right class.

    Examples of the class `ignore_index` do not count, whatever they hold: -inf and NaN reach neither the
    loss nor the gradient.

    Shapes: (N, C, ...) and class numbers (N, ...), or probabilities of x's shape; or (C,) and ().

    Raises:
        IndexingError: there is no such class.
        ArgumentError: the target is of probabilities, and a class is to be ignored.

    >>> import tessella as ts
    >>> cross_entropy(ts.zeros((1, 4)), ts.asarray([2]))
    tensor(1.3863)
    """
    if not 0.0 <= label_smoothing <= 1.0:
        raise ArgumentError(f"cross_entropy: label_smoothing is {label_smoothing}; expected 0 to 1")
    axis = 1 if x.ndim > 1 else 0
    _check_weight(x, weight, "cross_entropy")
    if target.dtype.is_float:
        _check_nothing_ignored(ignore_index)
        soft = _soft_cross_entropy(x, target, weight, reduction, label_smoothing, axis)
        return narrowed(soft, x, target)
    counted = _counted(x, target, ignore_index, "cross_entropy")
    seen = widened(x)
    if counted is not None:
        seen = _if_counted(seen, expand_dims(counted, axis=axis))
    logs = log_softmax(seen, axis)
    loss, factor = _nll(logs, target, weight, counted, "cross_entropy")
    hard = weighted(loss, factor, reduction)
    if label_smoothing == 0.0:
        return narrowed(hard, x)
    even = -_by_class(logs, weight, axis).sum(axis=axis)
    if counted is not None:
        even = where(counted, even, 0.0)
    smooth = weighted(even, factor, reduction)
    return narrowed(hard * (1.0 - label_smoothing) + smooth * (label_smoothing / x.shape[axis]), x)


@public
def linear_cross_entropy(
    x: Tensor, linear_weight: Tensor, target: Tensor, *, linear_bias: Tensor | None = None,
    weight: Tensor | None = None, reduction: Reduction = "mean", ignore_index: int | None = None,
    label_smoothing: float = 0.0, options: Any = None,
) -> Tensor:  # fmt: skip
    """`cross_entropy` of a linear function of x: a head and its loss.

    Shapes: (N, E), a weight (C, E) or (C, d_1, ..., E), a bias of the weight's shape without E; class numbers (N,) or
        (N, d_1, ...), or probabilities (N, C, d_1, ...); or all without N.

    Raises:
        ShapeError: x and the weight do not fit.
        IndexingError: there is no such class.

    >>> import tessella as ts
    >>> linear_cross_entropy(ts.zeros((1, 3)), ts.ones((4, 3)), ts.asarray([2]))
    tensor(1.3863)
    """
    if not x.ndim or linear_weight.ndim < 2 or x.shape[-1] != linear_weight.shape[-1]:
        raise ShapeError(
            f"linear_cross_entropy: the input has shape {x.shape}, the weight {linear_weight.shape}; expected (N, E) and "
            "(C, E) or (C, d_1, ..., E)"
        )
    if x.ndim == 1 and linear_weight.ndim > 2:
        raise ShapeError(
            f"linear_cross_entropy: the input has shape {x.shape}, the weight {linear_weight.shape}; expected (N, E) for "
            "such a weight: x[None]"
        )
    check_floating(x, "linear_cross_entropy", linear_weight)
    check_no_options(options, "linear_cross_entropy")
    scores = tensordot(x, linear_weight, axes=((x.ndim - 1,), (linear_weight.ndim - 1,)))
    if linear_bias is not None:
        check_sizes(linear_bias, linear_weight.shape[:-1], "linear_cross_entropy", "linear_bias")
        scores = scores + linear_bias
    ignored = -100 if ignore_index is None else ignore_index
    return cross_entropy(scores, target, weight, ignored, reduction, label_smoothing)


def _check_weight(x: Tensor, weight: Tensor | None, name: str) -> None:
    if x.ndim == 0:
        raise ShapeError(f"{name}: the input has shape (); expected (N, C, ...) or (C,)")
    check_sizes(weight, (x.shape[min(1, x.ndim - 1)],), name, "weight")


def _check_nothing_ignored(ignore_index: int) -> None:
    if ignore_index >= 0:
        raise ArgumentError(
            f"cross_entropy: ignore_index is {ignore_index}, and the target is of probabilities; expected class "
            "numbers, or no ignore_index: give what does not count the probability 0"
        )


def _counted(x: Tensor, target: Tensor, ignore_index: int, name: str) -> Tensor | None:
    """Which examples count; None if it is known that all do."""
    target = _checked_classes(x, target, name)
    limits = target.dtype
    if not limits.low <= ignore_index <= limits.high:  # a byte is never -100
        return None
    counted = target != ignore_index
    return counted if is_traced() or not bool(counted.all()) else None


def _nll(
    logs: Tensor, target: Tensor, weight: Tensor | None, counted: Tensor | None, name: str,
    picks: bool = False,
) -> tuple[Tensor, Tensor | None]:  # fmt: skip
    """The loss of each example, and what it counts in a mean (None if all count 1).

    Args:
        picks: whether the logarithms are in memory, so that only one of each example need be read.
    """
    safe = target if counted is None else where(counted, target, 0)
    safe = _in_range(safe, logs.shape[min(1, logs.ndim - 1)], name)
    picks = picks or not is_traced()
    loss = widened(-(_picked if picks else _matching)(logs, safe))
    factor = None
    if weight is not None:
        factor = widened(get_item(weight, safe))
        loss = loss * factor
    if counted is not None:  # chosen, not multiplied: zero times NaN is NaN
        loss = where(counted, loss, 0.0)
        factor = counted.astype(loss.dtype) if factor is None else where(counted, factor, 0.0)
    return loss, factor


def _picked(logs: Tensor, target: Tensor) -> Tensor:
    """The entry of each example's class: (N, C, ...) and (N, ...) -> (N, ...)."""
    classes = logs.shape[min(1, logs.ndim - 1)]
    rows = reshape(moveaxis(logs, 1, -1) if logs.ndim > 2 else logs, (target.size, classes))
    found: Tensor = get_item(rows, (arange(target.size), reshape(target, (target.size,))))
    return reshape(found, target.shape)


def _matching(logs: Tensor, target: Tensor) -> Tensor:
    """The same without indexing, for compiled programs: it becomes a part of the softmax's loops."""
    axis = 1 if logs.ndim > 1 else 0
    shape = [1] * logs.ndim
    shape[axis] = logs.shape[axis]
    classes = reshape(arange(logs.shape[axis]), tuple(shape))
    return where(expand_dims(target, axis=axis) == classes, logs, 0.0).sum(axis=axis)


def _checked_classes(logs: Tensor, target: Tensor, name: str) -> Tensor:
    target = _whole(target, name)
    expected = () if logs.ndim == 1 else (*logs.shape[:1], *logs.shape[2:])
    if logs.ndim == 0 or target.shape != expected:
        raise ShapeError(
            f"{name}: the input has shape {logs.shape}, the target {target.shape}; expected (N, C, "
            "...) and (N, ...)"
        )
    return target


def _whole(target: Tensor, name: str) -> Tensor:
    if not target.dtype.is_integer:
        raise DTypeError(
            f"{name}: the target is {target.dtype.name}; class numbers are integers: "
            "target.astype(ts.int64)"
        )
    return target


def _in_range(target: Tensor, classes: int, name: str) -> Tensor:
    """Class numbers, once it is sure that there are such classes; in compiled functions when they run."""
    return apply(InRange(Limits(classes, purpose=name)), (target,)).astype(dtypes.int64)


def _soft_cross_entropy(
    x: Tensor, target: Tensor, weight: Tensor | None, reduction: str, smoothing: float, axis: int
) -> Tensor:
    """The target is a distribution over the classes; the mean is over examples."""
    x, target = same_shape(x, target, "cross_entropy")
    if smoothing:
        target = target * (1.0 - smoothing) + smoothing / x.shape[axis]
    logs = _by_class(log_softmax(widened(x), axis), weight, axis)
    return reduced(-(logs * target).sum(axis=axis), reduction)


def _by_class(logs: Tensor, weight: Tensor | None, axis: int) -> Tensor:
    if weight is None:
        return logs
    return logs * reshape(weight, tuple(-1 if i == axis else 1 for i in range(logs.ndim)))


# --- margins -------------------------------------------------------------------------------------

_margin = operation("margin", lambda x: 0.0 if x <= 0 else x)
_squared_margin = operation("squared_margin", lambda x: 0.0 if x <= 0 else x * x)
_yes_or_no = operation(
    "yes_or_no", lambda x, y: y * scalar_softplus(-x) + (1 - y) * scalar_softplus(x)
)


@public
@at_once
def multi_margin_loss(
    x: Tensor, target: Tensor, p: int = 1, margin: float = 1.0,
    weight: Tensor | None = None, reduction: Reduction = "mean",
) -> Tensor:  # fmt: skip
    """How far other classes come within a margin of the right one: sum_i max(0, margin - x_y + x_i)^p / C, i not y.

    Shapes: (N, C) and (N,), or (C,) and (). `weight` is (C,).

    Raises:
        ArgumentError: p is neither 1 nor 2.
        IndexingError: there is no such class.

    Source: Crammer & Singer, *On the algorithmic implementation of multiclass kernel-based vector machines* (2001).

    >>> import tessella as ts
    >>> multi_margin_loss(ts.asarray([[0.5, 1.0, 0.0]]), ts.asarray([1]))
    tensor(0.1667)
    """
    name = "multi_margin_loss"
    if p not in (1, 2):
        raise ArgumentError(f"multi_margin_loss: p is {shown(p)}; expected 1 or 2")
    x = _of_as_many_axes(as_vector(x), target)
    _check_weight(x, weight, name)
    _check_at_most_two_axes(x, name)
    target = _in_range(_checked_classes(x, target, name), x.shape[-1], name)
    rows = widened(x)
    chosen = take_along_dim(rows, expand_dims(target, axis=-1), -1)
    each = (_margin if p == 1 else _squared_margin)(margin - chosen + rows)
    if weight is not None:
        each = each * expand_dims(widened(get_item(weight, target)), axis=-1)
    others = where(_is_class(target, x.shape[-1]), 0.0, each)
    return narrowed(reduced(others.sum(axis=-1) / x.shape[-1], reduction), x)


@public
def multilabel_margin_loss(x: Tensor, target: Tensor, reduction: Reduction = "mean") -> Tensor:
    """How far wrong classes come within 1 of right ones: sum_ij max(0, 1 - x_j + x_i) / C, j right, i not.

    Shapes: (N, C) and (N, C), or (C,) and (C,).

    Args:
        target: the numbers of the right classes of each example, ended by -1 if there are less than C; what
            follows does not count.

    Raises:
        DTypeError: the target is not made of integers.
        IndexingError: there is no such class.

    >>> import tessella as ts
    >>> multilabel_margin_loss(ts.asarray([0.1, 0.2, 0.4, 0.8]), ts.asarray([3, 0, -1, 1]))
    tensor(0.85)
    """
    name = "multilabel_margin_loss"
    x, target = as_vector(x), as_vector(target)
    _check_at_most_two_axes(x, name)
    x, target = same_shape(x, _whole(target, name), name)
    if not x.size:
        return narrowed(reduced(widened(x).sum(axis=-1), reduction), x)
    if not is_traced():  # what follows the last label of all need not be looked at
        target = target[..., : _most_labels(target)]
    return _of_labels(x, target, reduction)


def _most_labels(target: Tensor) -> int:
    """How many labels an example has at most; at least 1."""
    ends = target.detach().numpy() == -1
    counts = np.where(ends.any(axis=-1), ends.argmax(axis=-1), ends.shape[-1])
    return max(1, int(counts.max()))


@at_once
def _of_labels(x: Tensor, target: Tensor, reduction: Reduction) -> Tensor:
    """(N, C) and (N, up to C)."""
    name = "multilabel_margin_loss"
    ended = cumulative_max((target == -1).astype(dtypes.int64), axis=-1) != 0
    safe = _in_range(where(target == -1, 0, target), x.shape[-1], name)
    rows = widened(x)
    right = any_of(_is_class(safe, x.shape[-1]) & ~expand_dims(ended, axis=-1), axis=-2)
    chosen = take_along_dim(rows, safe, -1)  # (..., C), of each label
    each = _margin(1.0 - expand_dims(chosen, axis=-1) + expand_dims(rows, axis=-2))
    counted = ~(expand_dims(ended, axis=-1) | expand_dims(right, axis=-2))
    loss = where(counted, each, 0.0).sum(axis=(-2, -1)) / x.shape[-1]
    return narrowed(reduced(loss, reduction), x)


@public
@at_once
def multilabel_soft_margin_loss(
    x: Tensor, target: Tensor, weight: Tensor | None = None, reduction: Reduction = "mean"
) -> Tensor:
    """The mean over the classes of independent yes-or-no answers' cross entropies, from their logits.

    Shapes: (..., C) and (..., C) -> (...); `weight` broadcasts to it.

    >>> import tessella as ts
    >>> multilabel_soft_margin_loss(ts.zeros((1, 2)), ts.asarray([[1.0, 0.0]]))
    tensor(0.6931)
    """
    x, target = same_shape(x, target, "multilabel_soft_margin_loss")
    if not x.ndim:
        raise ShapeError("multilabel_soft_margin_loss: the input has shape (); expected (..., C)")
    each = _yes_or_no(widened(x), widened(target))
    if weight is not None:
        each = each * widened(weight)
    return narrowed(reduced(each.sum(axis=-1) / x.shape[-1], reduction), x, target)


def _of_as_many_axes(x: Tensor, target: Tensor) -> Tensor:
    """One example with, or without, an axis of examples, as its class number has one or not."""
    if (x.ndim, target.shape) == (1, (1,)):
        return expand_dims(x, 0)
    return x[0] if x.ndim == 2 and x.shape[0] == 1 and not target.ndim else x


def _check_at_most_two_axes(x: Tensor, name: str) -> None:
    if x.ndim not in (1, 2):
        raise ShapeError(f"{name}: the input has shape {x.shape}; expected (N, C) or (C,)")


def _is_class(target: Tensor, classes: int) -> Tensor:
    """(...) -> (..., C): whether a class is the one that is meant."""
    return expand_dims(target, axis=-1) == arange(classes)
