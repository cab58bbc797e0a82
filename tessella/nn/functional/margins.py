"""Losses of pairs and triples: what belongs together is to be nearer, by a margin, than what does not."""

from __future__ import annotations

from collections.abc import Callable

from tessella.arguments import public
from tessella.arguments.kinds import Reduction, shown
from tessella.errors import ArgumentError, ArgumentTypeError, ShapeError
from tessella.nn.functional.reductions import of_elements, reduced
from tessella.nn.functional.similarities import pairwise_distance
from tessella.scalar.mathematics import softplus as scalar_softplus
from tessella.tensors.elementwise import minimum, operation
from tessella.tensors.manipulation import broadcast_shapes
from tessella.tensors.statistical import narrowed, widened
from tessella.tensors.tensor import Tensor

# At the margin itself the slope is 1, as in PyTorch. NaN stays NaN; of what is infinitely far away, nothing is left.
_hinge = operation("hinge", lambda x: 0.0 if x < 0 else x)
_hinge_embedding = operation(
    "hinge_embedding",
    lambda x, y, margin: (
        (x if y != -1 else 0.0) + (0.0 if y == 1 or margin - x < 0 else margin - x)
    ),
)
_ranking = operation("ranking", lambda x, y, margin: 0.0 if margin - y * x < 0 else margin - y * x)
_soft_margin = operation("soft_margin", lambda x, y: scalar_softplus(-y * x))
_cosine = operation(  # of a product and two squared lengths
    "cosine", lambda xy, xx, yy: xy / ((xx + 1e-12) * (yy + 1e-12)) ** 0.5
)
_cosine_embedding = operation(
    "cosine_embedding",
    lambda cosine, y, margin: (
        1 - cosine if y == 1 else (0.0 if y != -1 or cosine < margin else cosine - margin)
    ),
)


@public
def hinge_embedding_loss(
    x: Tensor, target: Tensor, margin: float = 1.0, reduction: Reduction = "mean"
) -> Tensor:
    """x where the target is 1, max(0, margin - x) where it is -1: x is a distance of what is alike or not.

    Shapes: any that broadcast.

    >>> import tessella as ts
    >>> hinge_embedding_loss(ts.asarray([0.25, 0.25]), ts.asarray([1, -1]), reduction="none")
    tensor([0.25, 0.75])
    """
    return of_elements(lambda x, y: _hinge_embedding(x, y, margin), x, target, reduction)


@public
def soft_margin_loss(x: Tensor, target: Tensor, reduction: Reduction = "mean") -> Tensor:
    """log(1 + e^(-target x)), for targets of 1 and -1.

    Shapes: any that broadcast.

    >>> import tessella as ts
    >>> soft_margin_loss(ts.zeros(2), ts.asarray([1.0, -1.0]))
    tensor(0.6931)
    """
    return of_elements(_soft_margin, x, target, reduction)


@public
def margin_ranking_loss(
    x1: Tensor, x2: Tensor, target: Tensor, margin: float = 0.0, reduction: Reduction = "mean"
) -> Tensor:
    """max(0, margin - target (x1 - x2)): x1 is to be larger where the target is 1, x2 where it is -1.

    Shapes: three that broadcast, of as many axes.

    Raises:
        ShapeError: they have not.

    >>> import tessella as ts
    >>> margin_ranking_loss(ts.asarray([1.0, 1.0]), ts.asarray([3.0, 0.0]), ts.ones(2))
    tensor(1.)
    """
    _check_axes("margin_ranking_loss", x1=x1, x2=x2, target=target)
    each = _ranking(widened(x1) - widened(x2), widened(target), margin)
    return narrowed(reduced(each, reduction), x1, x2)


@public
def cosine_embedding_loss(
    x1: Tensor, x2: Tensor, target: Tensor, margin: float = 0.0, reduction: Reduction = "mean"
) -> Tensor:
    """1 - cos(x1, x2) where the target is 1, max(0, cos(x1, x2) - margin) where it is -1.

    Shapes: (N, D), (N, D) and (N,) -> (N,), or (D,), (D,) and () -> ().

    Raises:
        ShapeError: of another number of axes, or shapes that do not broadcast.

    >>> import tessella as ts
    >>> cosine_embedding_loss(ts.asarray([[1.0, 0.0]]), ts.asarray([[2.0, 0.0]]), ts.asarray([-1]))
    tensor(1.)
    """
    if target.ndim > 1 or x1.ndim != target.ndim + 1 or x2.ndim != target.ndim + 1:
        raise ShapeError(
            f"cosine_embedding_loss: x1 has shape {x1.shape}, x2 {x2.shape}, the target {target.shape}; expected "
            "(N, D), (N, D) and (N,), or (D,), (D,) and ()"
        )
    first, second = widened(x1), widened(x2)
    cosines = _cosine(
        *((a * b).sum(axis=-1) for a, b in ((first, second), (first, first), (second, second)))
    )
    broadcast_shapes(cosines.shape, target.shape)
    each = _cosine_embedding(cosines, target.astype(cosines.dtype), margin)
    return narrowed(reduced(each, reduction), x1, x2)


@public
def triplet_margin_loss(
    anchor: Tensor, positive: Tensor, negative: Tensor, margin: float = 1.0, p: float = 2.0,
    eps: float = 1e-6, swap: bool = False, reduction: Reduction = "mean",
) -> Tensor:  # fmt: skip
    """max(0, margin + d(anchor, positive) - d(anchor, negative)), d being `pairwise_distance`.

    Shapes: three that broadcast, of as many axes, (..., D) -> (...).

    Args:
        swap: whether the positive takes the anchor's place if it is nearer to the negative.

    Raises:
        ShapeError: they have not as many axes.
        ArgumentError: the margin is not above 0.

    Source: Balntas, Riba, Ponsa & Mikolajczyk, *Learning local feature descriptors with triplets and shallow
    convolutional neural networks* (2016).

    >>> import tessella as ts
    >>> triplet_margin_loss(ts.zeros((1, 2)), ts.asarray([[3.0, 4.0]]), ts.asarray([[0.0, 2.0]]))
    tensor(4.)
    """
    wide = (widened(anchor), widened(positive), widened(negative))
    loss = _triplet(
        "triplet_margin_loss", wide, lambda x, y: pairwise_distance(x, y, p, eps), margin, swap
    )
    return narrowed(reduced(loss, reduction), anchor, positive, negative)


@public
def triplet_margin_with_distance_loss(
    anchor: Tensor, positive: Tensor, negative: Tensor, *,
    distance_function: Callable[[Tensor, Tensor], Tensor] | None = None, margin: float = 1.0,
    swap: bool = False, reduction: Reduction = "mean",
) -> Tensor:  # fmt: skip
    """`triplet_margin_loss` with a distance of your own, of two tensors.

    Raises:
        ShapeError: the tensors have not as many axes.
        ArgumentError: the margin is not above 0.

    >>> import tessella as ts
    >>> far = lambda x, y: (x - y).abs().max(axis=-1)
    >>> zeros, ones = ts.zeros((1, 2)), ts.ones((1, 2))
    >>> triplet_margin_with_distance_loss(zeros, ones, 3 * ones, distance_function=far, margin=5.0)
    tensor(3.)
    """
    three = (anchor, positive, negative)
    name = "triplet_margin_with_distance_loss"
    loss = _triplet(name, three, distance_function or pairwise_distance, margin, swap)
    return reduced(loss, reduction)


def _triplet(
    name: str, three: tuple[Tensor, Tensor, Tensor], distance: Callable[[Tensor, Tensor], Tensor],
    margin: float, swap: bool,
) -> Tensor:  # fmt: skip
    anchor, positive, negative = three
    _check_axes(name, anchor=anchor, positive=positive, negative=negative)
    if not margin > 0:
        raise ArgumentError(f"{name}: margin is {shown(margin)}; expected a number above 0")
    far = _distance(name, distance, anchor, negative)
    if swap:
        far = minimum(far, _distance(name, distance, positive, negative))
    return _hinge(margin + _distance(name, distance, anchor, positive) - far)


def _distance(
    name: str, distance: Callable[[Tensor, Tensor], Tensor], x: Tensor, y: Tensor
) -> Tensor:
    """
    Raises:
        ArgumentTypeError: the function that was given gives no tensor.
    """
    found = distance(x, y)
    if not isinstance(found, Tensor):
        raise ArgumentTypeError(
            f"{name}: distance_function gives {shown(found)}; expected a tensor of distances"
        )
    return found


def _check_axes(function: str, **tensors: Tensor) -> None:
    """All have as many axes: what would broadcast by one more is a mistake mostly."""
    if len({x.ndim for x in tensors.values()}) > 1:
        shapes = ", ".join(f"{name} has shape {x.shape}" for name, x in tensors.items())
        raise ShapeError(f"{function}: {shapes}; expected as many axes of all")
