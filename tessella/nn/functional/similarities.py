"""How alike vectors are, and how far from each other; vectors of length 1."""

from __future__ import annotations

from collections.abc import Sequence

from tessella.arguments import public
from tessella.errors import ShapeError
from tessella.nn.functional.checks import as_vector
from tessella.tensors.elementwise import maximum, sqrt
from tessella.tensors.manipulation import broadcast_arrays, expand_dims, reshape
from tessella.tensors.matrices import norm, triu_indices
from tessella.tensors.tensor import Tensor
from tessella.transforms.at_once import at_once
from tessella.transforms.rematerialisation import checkpoint


@public
@at_once
def normalize(
    x: Tensor, p: float = 2.0, dim: int | Sequence[int] = 1, eps: float = 1e-12
) -> Tensor:
    """x divided by its p-norms along an axis, or several (by `eps`, where they are less).

    >>> import tessella as ts
    >>> normalize(ts.asarray([[3.0, 4.0]]))
    tensor([[0.6, 0.8]])
    """
    axis = dim if isinstance(dim, int) else tuple(dim)
    rows = as_vector(x)
    return reshape(rows / maximum(norm(rows, p, axis, True), eps), x.shape)


@public
@at_once
def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """The cosine of the angle between vectors along an axis; their lengths count as at least `eps`.

    Shapes: any that broadcast; the axis is one of the common shape.

    >>> import tessella as ts
    >>> cosine_similarity(ts.asarray([[1.0, 0.0]]), ts.asarray([[1.0, 1.0]]))
    tensor([0.7071])
    """
    x1, x2 = map(as_vector, broadcast_arrays(x1, x2))
    products = (x1 * x2).sum(axis=dim)
    squares = [maximum((x * x).sum(axis=dim), eps * eps) for x in (x1, x2)]
    return products / (sqrt(squares[0]) * sqrt(squares[1]))


@public
@at_once
def pairwise_distance(
    x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdims: bool = False
) -> Tensor:
    """The p-norms of x1 - x2 + eps along the last axis.

    >>> import tessella as ts
    >>> pairwise_distance(ts.asarray([[3.0, 4.0]]), ts.zeros((1, 2)))
    tensor([5.])
    """
    return norm(x1 - x2 + eps, p, -1, keepdims)


@public
@at_once
def pdist(x: Tensor, p: float = 2.0) -> Tensor:
    """The p-norms of the differences of all pairs of rows: of the first one and each that follows, and so on.

    Shapes: (N, D) -> (N (N - 1) / 2,).

    Raises:
        ShapeError: x is no matrix.

    >>> import tessella as ts
    >>> pdist(ts.asarray([[0.0, 0.0], [3.0, 4.0], [0.0, 1.0]])).round(decimals=2)
    tensor([5.  , 1.  , 4.24])
    """
    if x.ndim != 2:
        raise ShapeError(f"pdist: the input has shape {x.shape}; expected (N, D)")
    first, second = triu_indices(x.shape[0], x.shape[0], 1)
    return checkpoint(_of_all_pairs)(x, p)[first, second]


def _of_all_pairs(x: Tensor, p: float) -> Tensor:
    """In one kernel: to copy the rows of each pair takes longer than to subtract them twice."""
    return norm(expand_dims(x, 1) - expand_dims(x, 0), p, -1)
