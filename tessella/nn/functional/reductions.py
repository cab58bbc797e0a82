"""What all losses share: the loss of each element or example becomes one number."""

from __future__ import annotations

from collections.abc import Callable

from tessella.arguments.kinds import shown
from tessella.errors import ArgumentError, ShapeError
from tessella.nn.functional.checks import check_sizes
from tessella.sizes.size import is_symbolic
from tessella.tensors.creation import ones_like
from tessella.tensors.elementwise import where
from tessella.tensors.statistical import narrowed, widened
from tessella.tensors.tensor import Tensor


def same_shape(x: Tensor, target: Tensor, name: str) -> tuple[Tensor, Tensor]:
    """Both, once it is sure that they do not broadcast: that is a mistake mostly.

    Raises:
        ShapeError: they have two shapes.
    """
    if x.shape != target.shape:
        raise ShapeError(
            f"{name}: the input has shape {x.shape}, the target {target.shape}; they must be the "
            "same: reshape one of them"
        )
    return x, target


def of_elements(
    function: Callable[..., Tensor], x: Tensor, target: Tensor, reduction: str
) -> Tensor:
    """A loss for each element, reduced."""
    loss = reduced(function(widened(x), widened(target)), reduction)
    return narrowed(loss, x, target)


def of_weighted_elements(
    function: Callable[..., Tensor], x: Tensor, target: Tensor, weight: Tensor, reduction: str,
    name: str,
) -> Tensor:  # fmt: skip
    """The same times a weight for each element, by whose sum a mean divides."""
    check_sizes(weight, x.shape, name, "weight")
    wide = widened(weight)
    loss = weighted(function(widened(x), widened(target)) * wide, wide, reduction)
    return narrowed(loss, x, target, weight)


def weighted(loss: Tensor, factor: Tensor | None, reduction: str) -> Tensor:
    """A mean counts each example by its factor; if all count 0, it is 0."""
    any_size = is_symbolic(loss.size)  # which is not asked whether it is 0
    if factor is None or reduction != "mean" or not (any_size or loss.size):
        return reduced(loss, reduction)
    total = factor.sum()
    none_counts = total == 0
    if any_size:  # the mean of no examples at all is NaN
        none_counts = none_counts & (ones_like(factor).sum() > 0)
    return loss.sum() / where(none_counts, 1.0, total)


def reduced(loss: Tensor, reduction: str) -> Tensor:
    """The mean of losses, their sum, or they themselves.

    Raises:
        ArgumentError: `reduction` is none of 'mean', 'sum' and 'none'.
    """
    if reduction == "mean":
        return loss.mean()
    if reduction == "sum":
        return loss.sum()
    if reduction == "none":
        return loss
    raise ArgumentError(f"reduction: {shown(reduction)}; expected 'mean', 'sum' or 'none'")
