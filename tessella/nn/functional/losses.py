"""Losses: one number for how far a network is from what it should say.

All take `reduction`: 'mean', 'sum', or 'none' for one loss for each element or example. Half precision is
computed, added and counted in float32, and rounded once.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from tessella import dtypes
from tessella.arguments import public
from tessella.arguments.kinds import Reduction, shown
from tessella.errors import ArgumentError, DTypeError, ShapeError
from tessella.nn.functional.activations import log_softmax
from tessella.nn.functional.checks import check_sizes
from tessella.primitives.indexing import InRange, Limits
from tessella.scalar.function import ScalarFunction
from tessella.scalar.mathematics import softplus as scalar_softplus
from tessella.tensors.creation import arange
from tessella.tensors.elementwise import operation, where, zip_with
from tessella.tensors.indexing import get_item
from tessella.tensors.manipulation import expand_dims, moveaxis, reshape
from tessella.tensors.statistical import narrowed, widened
from tessella.tensors.tensor import Tensor, apply, is_traced

# --- numbers -------------------------------------------------------------------------------------


_squared_error = operation("squared_error", lambda x, y: (x - y) * (x - y))
_absolute_error = operation("absolute_error", lambda x, y: abs(x - y))
_huber = operation(
    "huber", lambda d, delta: 0.5 * d * d if abs(d) < delta else delta * (abs(d) - 0.5 * delta)
)
_bce_with_logits = operation("bce_with_logits", lambda x, y: scalar_softplus(x) - x * y)
_if_counted = zip_with(
    ScalarFunction(  # x itself; but what is ignored gets no gradient, not even NaN
        lambda x, counted: x,
        "if_counted",
        derivatives=(lambda x, counted: 1.0 if counted else 0.0, lambda x, counted: 0.0),
    )
)
_bce = zip_with(
    ScalarFunction(
        lambda x, y: -(y * max(math.log(x), -100) + (1 - y) * max(math.log1p(-x), -100)),
        "bce",
        derivatives=(  # finite at 0 and 1, where the slopes of the logarithms are not
            lambda x, y: (x - y) / max(x * (1 - x), 1e-12),
            lambda x, y: max(math.log1p(-x), -100) - max(math.log(x), -100),
        ),
    )
)


@public
def mse_loss(x: Tensor, target: Tensor, reduction: Reduction = "mean") -> Tensor:
    """The squared difference.

    Shapes: any, and the same.

    >>> import tessella as ts
    >>> mse_loss(ts.asarray([1.0, 4.0]), ts.asarray([1.0, 2.0]))
    tensor(2.)
    """
    x, target = _same_shape(x, target, "mse_loss")
    return _of_elements(_squared_error, x, target, reduction)


@public
def l1_loss(x: Tensor, target: Tensor, reduction: Reduction = "mean") -> Tensor:
    """The absolute difference.

    Shapes: any, and the same.

    >>> import tessella as ts
    >>> l1_loss(ts.asarray([1.0, 4.0]), ts.asarray([1.0, 2.0]))
    tensor(1.)
    """
    x, target = _same_shape(x, target, "l1_loss")
    return _of_elements(_absolute_error, x, target, reduction)


@public
def huber_loss(
    x: Tensor, target: Tensor, delta: float = 1.0, reduction: Reduction = "mean"
) -> Tensor:
    """Quadratic near zero, linear beyond delta.

    Shapes: any, and the same.

    Source: Huber, *Robust estimation of a location parameter* (1964).

    >>> import tessella as ts
    >>> huber_loss(ts.asarray([1.0, 4.0]), ts.asarray([0.0, 0.0]), reduction="none")
    tensor([0.5, 3.5])
    """
    x, target = _same_shape(x, target, "huber_loss")
    if delta <= 0:
        raise ArgumentError(f"huber_loss: delta is {delta}; expected more than 0")
    return _of_elements(lambda x, y: _huber(x - y, delta), x, target, reduction)


@public
def smooth_l1_loss(
    x: Tensor, target: Tensor, beta: float = 1.0, reduction: Reduction = "mean"
) -> Tensor:
    """The Huber loss divided by beta; the absolute difference for beta 0.

    Shapes: any, and the same.

    >>> import tessella as ts
    >>> smooth_l1_loss(ts.asarray([1.0, 4.0]), ts.asarray([0.0, 0.0]), 2.0, reduction="none")
    tensor([0.25, 3.  ])
    """
    x, target = _same_shape(x, target, "smooth_l1_loss")
    if beta == 0:
        return l1_loss(x, target, reduction)
    if beta < 0:
        raise ArgumentError(f"smooth_l1_loss: beta is {beta}; expected at least 0")
    return _of_elements(lambda x, y: _huber(x - y, beta) / beta, x, target, reduction)


@public
def binary_cross_entropy_with_logits(
    x: Tensor, target: Tensor, reduction: Reduction = "mean"
) -> Tensor:
    """The cross entropy of independent yes-or-no answers, from their logits.

    Shapes: any, and the same.

    >>> import tessella as ts
    >>> binary_cross_entropy_with_logits(ts.asarray([0.0]), ts.asarray([1.0]))
    tensor(0.6931)
    """
    x, target = _same_shape(x, target, "binary_cross_entropy_with_logits")
    return _of_elements(_bce_with_logits, x, target, reduction)


@public
def binary_cross_entropy(x: Tensor, target: Tensor, reduction: Reduction = "mean") -> Tensor:
    """The cross entropy of independent yes-or-no answers; logarithms are at least -100.

    Shapes: any, and the same.

    >>> import tessella as ts
    >>> binary_cross_entropy(ts.asarray([0.5, 0.0]), ts.asarray([1.0, 1.0]), reduction="none")
    tensor([  0.6931, 100.    ])
    """
    x, target = _same_shape(x, target, "binary_cross_entropy")
    return _of_elements(_bce, x, target, reduction)


def _of_elements(
    function: Callable[..., Tensor], x: Tensor, target: Tensor, reduction: str
) -> Tensor:
    """A loss for each element, reduced."""
    loss = _reduced(function(widened(x), widened(target)), reduction)
    return narrowed(loss, x, target)


# --- classes -------------------------------------------------------------------------------------


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
    _check_weight(x, weight, "nll_loss")
    counted = _counted(x, target, ignore_index, "nll_loss")
    loss, factor = _nll(x, target, weight, counted, "nll_loss")
    return narrowed(_weighted(loss, factor, reduction), x)


@public
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

    >>> import tessella as ts
    >>> cross_entropy(ts.zeros((1, 4)), ts.asarray([2]))
    tensor(1.3863)
    """
    if not 0.0 <= label_smoothing <= 1.0:
        raise ArgumentError(f"cross_entropy: label_smoothing is {label_smoothing}; expected 0 to 1")
    axis = 1 if x.ndim > 1 else 0
    _check_weight(x, weight, "cross_entropy")
    if target.dtype.is_float:
        soft = _soft_cross_entropy(x, target, weight, reduction, label_smoothing, axis)
        return narrowed(soft, x, target)
    counted = _counted(x, target, ignore_index, "cross_entropy")
    seen = widened(x)
    if counted is not None:
        seen = _if_counted(seen, expand_dims(counted, axis=axis))
    logs = log_softmax(seen, axis)
    loss, factor = _nll(logs, target, weight, counted, "cross_entropy")
    hard = _weighted(loss, factor, reduction)
    if label_smoothing == 0.0:
        return narrowed(hard, x)
    even = -_by_class(logs, weight, axis).sum(axis=axis)
    if counted is not None:
        even = where(counted, even, 0.0)
    smooth = (
        even.sum() / (target.size if factor is None else factor.sum())
        if reduction == "mean"
        else _reduced(even, reduction)
    )
    return narrowed(hard * (1.0 - label_smoothing) + smooth * (label_smoothing / x.shape[axis]), x)


def _check_weight(x: Tensor, weight: Tensor | None, name: str) -> None:
    if x.ndim == 0:
        raise ShapeError(f"{name}: the input has shape (); expected (N, C, ...) or (C,)")
    check_sizes(weight, (x.shape[min(1, x.ndim - 1)],), name, "weight")


def _counted(x: Tensor, target: Tensor, ignore_index: int, name: str) -> Tensor | None:
    """Which examples count; None if it is known that all do."""
    target = _checked_classes(x, target, name)
    limits = np.iinfo(target.dtype.numpy)
    if not limits.min <= ignore_index <= limits.max:  # a byte is never -100
        return None
    counted = target != ignore_index
    return counted if is_traced() or not bool(counted.all()) else None


def _nll(
    logs: Tensor, target: Tensor, weight: Tensor | None, counted: Tensor | None, name: str
) -> tuple[Tensor, Tensor | None]:
    """The loss of each example, and what it counts in a mean (None if all count 1)."""
    safe = target if counted is None else where(counted, target, 0)
    limits = Limits(logs.shape[min(1, logs.ndim - 1)], purpose=name)
    safe = apply(InRange(limits), (safe,)).astype(dtypes.int64)
    loss = widened(-(_matching if is_traced() else _picked)(logs, safe))
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
    if not target.dtype.is_integer:
        raise DTypeError(
            f"{name}: the target is {target.dtype.name}; class numbers are integers: "
            "target.astype(ts.int64)"
        )
    expected = () if logs.ndim == 1 else (*logs.shape[:1], *logs.shape[2:])
    if logs.ndim == 0 or target.shape != expected:
        raise ShapeError(
            f"{name}: the input has shape {logs.shape}, the target {target.shape}; expected (N, C, "
            "...) and (N, ...)"
        )
    return target


def _soft_cross_entropy(
    x: Tensor, target: Tensor, weight: Tensor | None, reduction: str, smoothing: float, axis: int
) -> Tensor:
    """The target is a distribution over the classes; the mean is over examples."""
    x, target = _same_shape(x, target, "cross_entropy")
    if smoothing:
        target = target * (1.0 - smoothing) + smoothing / x.shape[axis]
    logs = _by_class(log_softmax(widened(x), axis), weight, axis)
    return _reduced(-(logs * target).sum(axis=axis), reduction)


def _by_class(logs: Tensor, weight: Tensor | None, axis: int) -> Tensor:
    if weight is None:
        return logs
    return logs * reshape(weight, tuple(-1 if i == axis else 1 for i in range(logs.ndim)))


# --- what all share ------------------------------------------------------------------------------


def _same_shape(x: Tensor, target: Tensor, name: str) -> tuple[Tensor, Tensor]:
    if x.shape != target.shape:
        raise ShapeError(
            f"{name}: the input has shape {x.shape}, the target {target.shape}; they must be the "
            "same: reshape one of them"
        )
    return x, target


def _weighted(loss: Tensor, factor: Tensor | None, reduction: str) -> Tensor:
    """A mean counts each example by its factor."""
    if factor is None or reduction != "mean":
        return _reduced(loss, reduction)
    return loss.sum() / factor.sum()


def _reduced(loss: Tensor, reduction: str) -> Tensor:
    if reduction == "mean":
        return loss.mean()
    if reduction == "sum":
        return loss.sum()
    if reduction == "none":
        return loss
    raise ArgumentError(f"reduction: {shown(reduction)}; expected 'mean', 'sum' or 'none'")
