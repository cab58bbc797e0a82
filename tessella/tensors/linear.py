"""Linear algebra: products are contractions; decompositions are NumPy's."""

from __future__ import annotations

from collections.abc import Sequence

from tessella.arguments import public
from tessella.errors import AxisError, ShapeError
from tessella.primitives.base import broadcast_shapes, normalise_axis
from tessella.primitives.contraction import Contraction, matmul_labels, promote_pair
from tessella.primitives.movement import expand
from tessella.tensors.elementwise import conj
from tessella.tensors.manipulation import permute_dims, reshape
from tessella.tensors.statistical import narrowed, widened
from tessella.tensors.tensor import Tensor, apply


@public
def matmul(x1: Tensor, x2: Tensor, /) -> Tensor:
    """The matrix product; axes before the last two are batches and broadcast.

    Shapes: (..., m, k) @ (..., k, n) -> (..., m, n); a vector is a row on the left, a column on
        the right.
    Dtypes: promoted; half precision is accumulated in float32.

    Raises:
        ShapeError: the inner sizes differ.

    >>> import tessella as ts
    >>> ts.matmul(ts.asarray([[1.0, 2.0]]), ts.asarray([[3.0], [4.0]]))
    tensor([[11.]])
    """
    if x1.ndim == 0 or x2.ndim == 0:
        raise ShapeError(f"matmul: {x1.shape} @ {x2.shape}: a number has no inner axis; use *")
    inner = (x1.shape[-1], x2.shape[-2] if x2.ndim > 1 else x2.shape[0])
    if inner[0] != inner[1]:
        raise ShapeError(
            f"matmul: inner sizes differ: {x1.shape} @ {x2.shape}; the {inner[0]} and the "
            f"{inner[1]} must be equal"
        )
    x1, x2 = promote_pair(x1, x2)
    batches = x1.shape[:-2], x2.shape[:-2]
    if x1.ndim > 2 and x2.ndim == 2:  # one matrix for all: its rows are the batch's
        rows = reshape(x1, (-1, x1.shape[-1])) if x1.size else None
        if rows is not None:
            return reshape(matmul(rows, x2), (*x1.shape[:-1], x2.shape[-1]))
    if batches[0] != batches[1]:
        common = broadcast_shapes(batches, "matmul")
        x1 = expand(x1, (*common, *x1.shape[-2:])) if x1.ndim > 1 else x1
        x2 = expand(x2, (*common, *x2.shape[-2:])) if x2.ndim > 1 else x2
    return apply(matmul_labels(x1.ndim, x2.ndim), (x1, x2))


@public
def matrix_transpose(x: Tensor, /) -> Tensor:
    """Every matrix (the last two axes) transposed."""
    if x.ndim < 2:
        raise ShapeError(f"matrix_transpose: shape {x.shape} holds no matrix; two axes are needed")
    order = (*range(x.ndim - 2), x.ndim - 1, x.ndim - 2)
    return permute_dims(x, order)


@public
def vecdot(x1: Tensor, x2: Tensor, /, *, axis: int = -1) -> Tensor:
    """The dot product along an axis, the others broadcast; complex numbers of x1 are conjugated.

    Dtypes: promoted, and no wider: int8 gives int8. Half precision is added in float32.

    >>> import tessella as ts
    >>> ts.vecdot(ts.asarray([1, 2, 3]), ts.asarray([4, 5, 6]))
    tensor(32)
    """
    x1, x2 = promote_pair(x1, x2)
    products = conj(widened(x1)) * widened(x2)
    return narrowed(products.sum(axis=axis).astype(products.dtype), x1)


@public
def tensordot(
    x1: Tensor, x2: Tensor, /, *, axes: int | tuple[Sequence[int], Sequence[int]] = 2
) -> Tensor:
    """Products summed over axes: the last `axes` of x1 with the first of x2, or named pairs."""
    if isinstance(axes, int):
        if not 0 <= axes <= min(x1.ndim, x2.ndim):
            raise AxisError(
                f"tensordot: axes is {axes}, the tensors have {x1.ndim} and {x2.ndim} axes"
            )
        pairs = (tuple(range(x1.ndim - axes, x1.ndim)), tuple(range(axes)))
    else:
        if len(axes) != 2 or any(isinstance(each, int) for each in axes):
            raise AxisError(f"tensordot: axes is {axes}; expected two lists of axes, or how many")
        pairs = (
            tuple(normalise_axis(a, x1.ndim, "tensordot") for a in axes[0]),
            tuple(normalise_axis(a, x2.ndim, "tensordot") for a in axes[1]),
        )
    if len(pairs[0]) != len(pairs[1]) or any(len(set(each)) != len(each) for each in pairs):
        raise AxisError(f"tensordot: axes is {axes}; expected as many of x1 as of x2, each once")
    left = list(range(x1.ndim))
    right = list(range(x1.ndim, x1.ndim + x2.ndim))
    for a, b in zip(*pairs, strict=True):
        right[b] = left[a]
    output = [label for label in left + right if (label in left) != (label in right)]
    x1, x2 = promote_pair(x1, x2)
    return apply(Contraction(tuple(left), tuple(right), tuple(output)), (x1, x2))


@public
def outer(x1: Tensor, x2: Tensor, /) -> Tensor:
    """Every product of an element of x1 with one of x2."""
    return tensordot(reshape(x1, (x1.size,)), reshape(x2, (x2.size,)), axes=0)
