"""How alike vectors are, and how far from each other; vectors of length 1."""

from __future__ import annotations

from tessella.arguments import public
from tessella.tensors.elementwise import maximum, sqrt
from tessella.tensors.matrices import norm
from tessella.tensors.tensor import Tensor


@public
def normalize(x: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Tensor:
    """x divided by its p-norms along an axis (by `eps`, where they are less).

    >>> import tessella as ts
    >>> normalize(ts.asarray([[3.0, 4.0]]))
    tensor([[0.6, 0.8]])
    """
    return x / maximum(norm(x, p, dim, True), eps)


@public
def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """The cosine of the angle between vectors along an axis; their lengths count as at least `eps`.

    >>> import tessella as ts
    >>> cosine_similarity(ts.asarray([[1.0, 0.0]]), ts.asarray([[1.0, 1.0]]))
    tensor([0.7071])
    """
    products = (x1 * x2).sum(axis=dim)
    squares = [maximum((x * x).sum(axis=dim), eps * eps) for x in (x1, x2)]
    return products / (sqrt(squares[0]) * sqrt(squares[1]))


@public
def pairwise_distance(
    x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdims: bool = False
) -> Tensor:
    """The p-norms of x1 - x2 + eps along the last axis.

    >>> import tessella as ts
    >>> pairwise_distance(ts.asarray([[3.0, 4.0]]), ts.zeros((1, 2)))
    tensor([5.])
    """
    return norm(x1 - x2 + eps, p, -1, keepdims)
