"""Losses of numbers: how far they are from what they should be, or how unlikely that is.

All take `reduction`: 'mean', 'sum', or 'none' for one loss for each element or example. Half precision is
computed, added and counted in float32, and rounded once. `class_losses`, `margins` and `ctc` have the others.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from tessella.arguments import public
from tessella.arguments.kinds import DivergenceReduction, NotNegative, Reduction
from tessella.errors import ArgumentError, ShapeError
from tessella.nn.functional.checks import check_sizes
from tessella.nn.functional.reductions import (
    of_elements,
    of_weighted_elements,
    reduced,
    same_shape,
)
from tessella.scalar.function import ScalarFunction
from tessella.scalar.mathematics import softplus as scalar_softplus
from tessella.tensors.arithmetic import xlogy
from tessella.tensors.creation import full
from tessella.tensors.elementwise import exp, operation, zip_with
from tessella.tensors.manipulation import broadcast_shapes, expand_dims
from tessella.tensors.statistical import narrowed, widened
from tessella.tensors.tensor import Tensor, is_traced

_squared_error = operation("squared_error", lambda x, y: (x - y) * (x - y))
_absolute_error = operation("absolute_error", lambda x, y: abs(x - y))
_huber = operation(
    "huber", lambda d, delta: 0.5 * d * d if abs(d) < delta else delta * (abs(d) - 0.5 * delta)
)
_bce_with_logits = operation("bce_with_logits", lambda x, y: scalar_softplus(x) - x * y)
_bce_of_logits = operation(
    "bce_of_logits",
    lambda x, y, positive: (1 - y) * x + (1 + (positive - 1) * y) * scalar_softplus(-x),
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
def mse_loss(
    x: Tensor, target: Tensor, reduction: Reduction = "mean", weight: Tensor | None = None
) -> Tensor:
    """The squared difference.

    Shapes: any, and the same. A mean divides by the sum of the weights.

    >>> import tessella as ts
    >>> mse_loss(ts.asarray([1.0, 4.0]), ts.asarray([1.0, 2.0]))
    tensor(2.)
    """
    x, target = same_shape(x, target, "mse_loss")
    if weight is not None:
        return of_weighted_elements(_squared_error, x, target, weight, reduction, "mse_loss")
    return of_elements(_squared_error, x, target, reduction)


@public
def l1_loss(
    x: Tensor, target: Tensor, reduction: Reduction = "mean", weight: Tensor | None = None
) -> Tensor:
    """The absolute difference.

    Shapes: any, and the same. A mean divides by the sum of the weights.

    >>> import tessella as ts
    >>> l1_loss(ts.asarray([1.0, 4.0]), ts.asarray([1.0, 2.0]))
    tensor(1.)
    """
    x, target = same_shape(x, target, "l1_loss")
    if weight is not None:
        return of_weighted_elements(_absolute_error, x, target, weight, reduction, "l1_loss")
    return of_elements(_absolute_error, x, target, reduction)


@public
def huber_loss(
    x: Tensor, target: Tensor, reduction: Reduction = "mean", delta: float = 1.0,
    weight: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Quadratic near zero, linear beyond delta.

    Shapes: any, and the same. A mean divides by the number of elements, weighted or not, as in PyTorch.

    Source: Huber, *Robust estimation of a location parameter* (1964).

    >>> import tessella as ts
    >>> huber_loss(ts.asarray([1.0, 4.0]), ts.asarray([0.0, 0.0]), reduction="none")
    tensor([0.5, 3.5])
    """
    x, target = same_shape(x, target, "huber_loss")
    if delta <= 0:
        raise ArgumentError(f"huber_loss: delta is {delta}; expected more than 0")
    if weight is None:
        return of_elements(lambda x, y: _huber(x - y, delta), x, target, reduction)
    check_sizes(weight, x.shape, "huber_loss", "weight")
    each = _huber(widened(x) - widened(target), delta) * widened(weight)
    return narrowed(reduced(each, reduction), x, target, weight)


@public
def smooth_l1_loss(
    x: Tensor, target: Tensor, reduction: Reduction = "mean", beta: float = 1.0
) -> Tensor:
    """The Huber loss divided by beta; the absolute difference for beta 0.

    Shapes: any, and the same.

    >>> import tessella as ts
    >>> smooth_l1_loss(ts.asarray([1.0, 4.0]), ts.asarray([0.0, 0.0]), "none", 2.0)
    tensor([0.25, 3.  ])
    """
    x, target = same_shape(x, target, "smooth_l1_loss")
    if beta == 0:
        return l1_loss(x, target, reduction)
    if beta < 0:
        raise ArgumentError(f"smooth_l1_loss: beta is {beta}; expected at least 0")
    return of_elements(lambda x, y: _huber(x - y, beta) / beta, x, target, reduction)


@public
def binary_cross_entropy_with_logits(
    x: Tensor, target: Tensor, weight: Tensor | None = None, reduction: Reduction = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The cross entropy of independent yes-or-no answers, from their logits.

    Shapes: any, and the same; `weight` and `pos_weight` broadcast to it.

    Args:
        weight: of each loss; a mean divides by the number of elements all the same.
        pos_weight: of the part for the answer yes.

    >>> import tessella as ts
    >>> binary_cross_entropy_with_logits(ts.asarray([0.0]), ts.asarray([1.0]))
    tensor(0.6931)
    """
    name = "binary_cross_entropy_with_logits"
    x, target = same_shape(x, target, name)
    _check_spread(pos_weight, x, name, "pos_weight")
    if pos_weight is None:
        return _spread(_bce_with_logits, x, target, weight, reduction, name)
    wide = widened(pos_weight)
    return _spread(lambda x, y: _bce_of_logits(x, y, wide), x, target, weight, reduction, name)


@public
def binary_cross_entropy(
    x: Tensor, target: Tensor, weight: Tensor | None = None, reduction: Reduction = "mean"
) -> Tensor:
    """The cross entropy of independent yes-or-no answers; logarithms are at least -100.

    Shapes: any, and the same; `weight`, of each loss, broadcasts to it.

    Raises:
        ArgumentError: x is no probability somewhere; in a traced function nobody looks.

    >>> import tessella as ts
    >>> binary_cross_entropy(ts.asarray([0.5, 0.0]), ts.asarray([1.0, 1.0]), reduction="none")
    tensor([  0.6931, 100.    ])
    """
    x, target = same_shape(x, target, "binary_cross_entropy")
    if not is_traced() and not bool(((x >= 0) & (x <= 1)).all()):
        raise ArgumentError(
            "binary_cross_entropy: the input has entries outside of 0 to 1; expected probabilities: give them by sigmoid, or "
            "take binary_cross_entropy_with_logits"
        )
    return _spread(_bce, x, target, weight, reduction, "binary_cross_entropy")


def _spread(
    function: Callable[..., Tensor], x: Tensor, target: Tensor, weight: Tensor | None, reduction: str,
    name: str,
) -> Tensor:  # fmt: skip
    """A loss for each element times a weight that broadcasts, reduced."""
    if weight is None:
        return of_elements(function, x, target, reduction)
    _check_spread(weight, x, name, "weight")
    each = function(widened(x), widened(target)) * widened(weight)
    return narrowed(reduced(each, reduction), x, target, weight)


def _check_spread(weight: Tensor | None, x: Tensor, function: str, name: str) -> None:
    if weight is not None and broadcast_shapes(weight.shape, x.shape) != x.shape:
        raise ShapeError(
            f"{function}: {name} has shape {weight.shape}; expected one that broadcasts to {x.shape}"
        )


# --- likelihoods ---------------------------------------------------------------------------------

_poisson_of_logs = operation("poisson_of_logs", lambda x, y: math.exp(x) - y * x)
_poisson = operation("poisson", lambda x, y, eps: x - y * math.log(x + eps))
_stirling = operation(  # of log(y!), where y is above 1
    "stirling",
    lambda y: 0.0 if y <= 1 else y * math.log(y) - y + 0.5 * math.log(2 * math.pi * y),
)
_gaussian = operation(
    "gaussian", lambda x, y, variance: 0.5 * (math.log(variance) + (x - y) * (x - y) / variance)
)
_at_least = zip_with(
    ScalarFunction(  # what is too small counts as `least`, and its gradient is that of `least`
        lambda x, least: max(x, least), "at_least",
        derivatives=(lambda x, least: 1.0, lambda x, least: 0.0),
    )
)  # fmt: skip


@public
def poisson_nll_loss(
    x: Tensor, target: Tensor, log_input: bool = True, full: bool = False,
    eps: float = 1e-8, reduction: Reduction = "mean",
) -> Tensor:  # fmt: skip
    """Minus the logarithm of the probability of counts, whose rates are e^x: e^x - target x.

    Shapes: any that broadcast.

    Args:
        log_input: whether x holds logarithms of rates; if not, the loss is x - target log(x + eps).
        full: whether Stirling's approximation of log(target!) is added, for targets above 1.

    >>> import tessella as ts
    >>> poisson_nll_loss(ts.asarray([0.0, 0.0]), ts.asarray([1.0, 3.0]))
    tensor(1.)
    """
    y = widened(target)
    each = _poisson_of_logs(widened(x), y) if log_input else _poisson(widened(x), y, eps)
    return narrowed(reduced(each + _stirling(y) if full else each, reduction), x, target)


@public
def gaussian_nll_loss(
    x: Tensor, target: Tensor, var: float | Tensor, full: bool = False, eps: NotNegative = 1e-6,
    reduction: Reduction = "mean",
) -> Tensor:  # fmt: skip
    """Minus the logarithm of the density of targets that are normal about x:
    (log var + (x - target)^2 / var) / 2.

    Shapes: x and target any that broadcast; `var` a number, or of x's shape, or of that shape without the
    last axis, or with one axis of size 1.

    Args:
        var: variances; those below `eps` count as `eps`.
        full: whether log(2 pi) / 2 is added.

    Raises:
        ShapeError: of `var`.
        ArgumentError: a variance is negative (under `jit` it counts as `eps`).

    Source: Nix & Weigend, *Estimating the mean and variance of the target probability distribution* (1994).

    >>> import tessella as ts
    >>> gaussian_nll_loss(ts.asarray([1.0, 2.0]), ts.asarray([1.0, 4.0]), ts.ones(2))
    tensor(1.)
    """
    variance = _at_least(widened(_variances(x, var)), eps)
    each = _gaussian(widened(x), widened(target), variance)
    if full:
        each = each + 0.5 * math.log(2 * math.pi)
    return narrowed(reduced(each, reduction), x, target)


def _variances(x: Tensor, var: float | Tensor) -> Tensor:
    """One for each element of x, but for sizes of 1."""
    variances = var if isinstance(var, Tensor) else full(x.shape, var, dtype=x.dtype)
    if not is_traced() and bool((variances < 0).any()):
        raise ArgumentError("gaussian_nll_loss: var has negative entries; expected variances")
    if variances.shape == x.shape:
        return variances
    if x.ndim and variances.shape == x.shape[:-1]:
        return expand_dims(variances, axis=-1)
    others = [n for n, m in zip(variances.shape, x.shape, strict=False) if n != m]
    if variances.ndim != x.ndim or others != [1]:
        raise ShapeError(
            f"gaussian_nll_loss: var has shape {variances.shape}; expected {x.shape}, {x.shape[:-1]}, or "
            "one axis of size 1"
        )
    return variances


@public
def kl_div(
    x: Tensor, target: Tensor, reduction: DivergenceReduction = "mean", log_target: bool = False
) -> Tensor:
    """Kullback and Leibler's divergence of a target from log-probabilities x: target (log target - x).

    Shapes: any that broadcast.

    Args:
        reduction: "batchmean" is the divergence itself: the sum, divided by the size of the first axis;
            "mean", the default as in PyTorch, divides by the number of elements; "sum" or "none".
        log_target: whether the target is of log-probabilities, too.

    >>> import tessella as ts
    >>> kl_div(ts.log(ts.asarray([[0.5, 0.5]])), ts.asarray([[0.5, 0.5]]), reduction="batchmean")
    tensor(0.)
    """
    logs, wide = widened(x), widened(target)
    each = exp(wide) * (wide - logs) if log_target else xlogy(wide, wide) - wide * logs
    if reduction == "batchmean":
        return narrowed(each.sum() / (x.shape[0] if x.ndim else 1), x, target)
    return narrowed(reduced(each, reduction), x, target)
