"""Products of matrices and vectors under PyTorch's and NumPy's names; diagonals, norms, distances."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tessella.arguments import public
from tessella.arguments.kinds import shown
from tessella.devices.array import check_shape
from tessella.devices.registry import host
from tessella.errors import ArgumentError, ShapeError
from tessella.primitives.base import broadcast_shapes, normalise_axis
from tessella.primitives.elementwise import Elementwise
from tessella.scalar.function import ScalarFunction
from tessella.tensors.creation import arange, asarray
from tessella.tensors.elementwise import square, where
from tessella.tensors.linear import matmul, outer, tensordot, vecdot
from tessella.tensors.manipulation import (
    broadcast_to,
    expand_dims,
    moveaxis,
    permute_dims,
    reshape,
    roll,
)
from tessella.tensors.operands import Axes, require_all, with_fractions
from tessella.tensors.scattering import embedded_diagonal, selected_diagonal
from tessella.tensors.statistical import max, min, sum
from tessella.tensors.tensor import Number, Tensor, apply

# The root of a sum of squares: its slope at 0 is taken as 0, as of |x| it is.
_root = Elementwise(
    ScalarFunction(math.sqrt, "root", ["x"], [lambda x: 0.0 if x == 0.0 else 0.5 / math.sqrt(x)])
)
# Whether a number is not 0, as a number; its slope is 0 everywhere.
_is_some = Elementwise(
    ScalarFunction(lambda x: 1.0 if x != 0.0 else 0.0, "is_some", ["x"], [lambda x: 0.0])
)


# --- products ----------------------------------------------------------------------------------------


def _of_rank(name: str, x1: Tensor, x2: Tensor, first: int, second: int) -> list[Tensor]:
    x1, x2 = require_all(name, x1, x2)
    if (x1.ndim, x2.ndim) != (first, second):
        raise ShapeError(
            f"{name}: shapes {x1.shape} and {x2.shape}; expected {first} axes and {second}; use matmul "
            "(@) for others"
        )
    return [x1, x2]


@public
def mm(x1: Tensor, x2: Tensor, /) -> Tensor:
    """The product of two matrices.

    >>> import tessella as ts
    >>> mm(ts.ones((2, 3)), ts.ones((3, 4))).shape
    (2, 4)
    """
    return matmul(*_of_rank("mm", x1, x2, 2, 2))


@public
def bmm(x1: Tensor, x2: Tensor, /) -> Tensor:
    """The products of two batches of matrices, (b, m, k) and (b, k, n)."""
    x1, x2 = _of_rank("bmm", x1, x2, 3, 3)
    if x1.shape[0] != x2.shape[0]:
        raise ShapeError(
            f"bmm: batches of {x1.shape[0]} and {x2.shape[0]} matrices; they must be equal"
        )
    return matmul(x1, x2)


@public
def mv(x1: Tensor, x2: Tensor, /) -> Tensor:
    """The product of a matrix and a vector."""
    return matmul(*_of_rank("mv", x1, x2, 2, 1))


@public
def dot(x1: Tensor, x2: Tensor, /) -> Tensor:
    """The sum of products over the last axis of x1 and the last but one of x2 (the only one of a vector).

    >>> import tessella as ts
    >>> dot(ts.asarray([1.0, 2.0]), ts.asarray([3.0, 4.0]))
    tensor(11.)
    """
    x1, x2 = require_all("dot", x1, x2)
    if x1.ndim == 0 or x2.ndim == 0:
        return x1 * x2
    return tensordot(x1, x2, axes=((-1,), (-2 if x2.ndim > 1 else -1,)))


@public
def inner(x1: Tensor, x2: Tensor, /) -> Tensor:
    """The sum of products over the last axes."""
    x1, x2 = require_all("inner", x1, x2)
    return x1 * x2 if x1.ndim == 0 or x2.ndim == 0 else tensordot(x1, x2, axes=((-1,), (-1,)))


@public
def vdot(x1: Tensor, x2: Tensor, /) -> Tensor:
    """The sum of products of all elements, those of x1 conjugated, whatever their shapes.

    >>> import tessella as ts
    >>> vdot(ts.asarray([[1.0, 2.0]]), ts.asarray([[3.0], [4.0]]))
    tensor(11.)
    """
    x1, x2 = require_all("vdot", x1, x2)
    return vecdot(reshape(x1, (x1.size,)), reshape(x2, (x2.size,)))


ger = outer


def _added(x: Tensor, product: Tensor, beta: Number, alpha: Number) -> Tensor:
    product = product if alpha == 1 else product * alpha
    if beta == 0:  # x is not looked at, whatever it holds
        return product
    return (x if beta == 1 else x * beta) + product


@public
def addmm(
    x: Tensor, mat1: Tensor, mat2: Tensor, /, *, beta: Number = 1, alpha: Number = 1
) -> Tensor:
    """beta x + alpha mat1 @ mat2.

    >>> import tessella as ts
    >>> addmm(ts.ones(2), ts.ones((1, 3)), ts.ones((3, 2))).tolist()
    [[4.0, 4.0]]
    """
    return _added(x, mm(mat1, mat2), beta, alpha)


@public
def baddbmm(
    x: Tensor, batch1: Tensor, batch2: Tensor, /, *, beta: Number = 1, alpha: Number = 1
) -> Tensor:
    """beta x + alpha batch1 @ batch2, of batches of matrices."""
    return _added(x, bmm(batch1, batch2), beta, alpha)


@public
def addmv(x: Tensor, mat: Tensor, vec: Tensor, /, *, beta: Number = 1, alpha: Number = 1) -> Tensor:
    """beta x + alpha mat @ vec."""
    return _added(x, mv(mat, vec), beta, alpha)


@public
def addr(
    x: Tensor, vec1: Tensor, vec2: Tensor, /, *, beta: Number = 1, alpha: Number = 1
) -> Tensor:
    """beta x + alpha times every product of an element of vec1 with one of vec2."""
    product = tensordot(*_of_rank("addr", vec1, vec2, 1, 1), axes=0)
    return _added(x, product, beta, alpha)


@public
def kron(x1: Tensor, x2: Tensor, /) -> Tensor:
    """Kronecker's product: x2 in place of each element of x1, times that element.

    >>> import tessella as ts
    >>> kron(ts.asarray([1, 10]), ts.asarray([1, 2]))
    tensor([ 1,  2, 10, 20])
    """
    x1, x2 = require_all("kron", x1, x2)
    rank = x1.ndim if x1.ndim > x2.ndim else x2.ndim
    a = (1,) * (rank - x1.ndim) + tuple(x1.shape)
    b = (1,) * (rank - x2.ndim) + tuple(x2.shape)
    every = reshape(tensordot(reshape(x1, a), reshape(x2, b), axes=0), (*a, *b))
    order = tuple(axis for i in range(rank) for axis in (i, rank + i))
    return reshape(permute_dims(every, order), tuple(n * m for n, m in zip(a, b, strict=True)))


@public
def cross(x1: Tensor, x2: Tensor, /, axis: int = -1) -> Tensor:
    """The vector product along an axis of size 3, the others broadcast.

    >>> import tessella as ts
    >>> cross(ts.asarray([1.0, 0.0, 0.0]), ts.asarray([0.0, 1.0, 0.0]))
    tensor([0., 0., 1.])
    """
    x1, x2 = require_all("cross", x1, x2)
    for x in (x1, x2):
        if x.ndim == 0 or x.shape[normalise_axis(axis, x.ndim, "cross")] != 3:
            raise ShapeError(
                f"cross: shapes {x1.shape} and {x2.shape} along axis {axis}; both sizes must be 3"
            )
    common = broadcast_shapes([x1.shape, x2.shape], "cross")
    place = normalise_axis(axis, len(common), "cross")
    x1, x2 = broadcast_to(x1, common), broadcast_to(x2, common)
    return roll(x1, -1, axis=place) * roll(x2, -2, axis=place) - roll(x1, -2, axis=place) * roll(
        x2, -1, axis=place
    )


# --- diagonals ---------------------------------------------------------------------------------------


@public
def diagonal(x: Tensor, /, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """The elements of two axes whose places differ by `offset`, along a last axis.

    >>> import tessella as ts
    >>> diagonal(ts.asarray([[1, 2], [3, 4]]))
    tensor([1, 4])
    """
    if x.ndim < 2:
        raise ShapeError(f"diagonal: shape {x.shape} has no diagonal; two axes are needed")
    return selected_diagonal(x, offset, axis1, axis2, "diagonal")


@public
def diag(x: Tensor, /, k: int = 0) -> Tensor:
    """A matrix with a vector on diagonal k; or diagonal k of a matrix.

    >>> import tessella as ts
    >>> diag(ts.asarray([1, 2])).tolist()
    [[1, 0], [0, 2]]
    """
    if x.ndim == 1:
        return embedded_diagonal(x, k)
    if x.ndim == 2:
        return selected_diagonal(x, k, 0, 1, "diag")
    raise ShapeError(
        f"diag: shape {x.shape}; expected a vector or a matrix; see diagonal, diag_embed"
    )


@public
def diag_embed(x: Tensor, /, offset: int = 0, axis1: int = -2, axis2: int = -1) -> Tensor:
    """Matrices with the last axis of x on their diagonals, in two axes of the result."""
    if x.ndim < 1:
        raise ShapeError("diag_embed: a number has no axis to be a diagonal")
    return moveaxis(embedded_diagonal(x, offset), (-2, -1), (axis1, axis2))


@public
def diagflat(x: Tensor, /, k: int = 0) -> Tensor:
    """A matrix with all elements of x on diagonal k."""
    return embedded_diagonal(reshape(x, (x.size,)), k)


@public
def trace(x: Tensor, /, offset: int = 0) -> Tensor:
    """The sum of a diagonal.

    >>> import tessella as ts
    >>> trace(ts.asarray([[1.0, 2.0], [3.0, 4.0]]))
    tensor(5.)
    """
    return sum(diagonal(x, offset), axis=-1)


@public
def tril_indices(row: int, col: int, offset: int = 0) -> Tensor:
    """The places of the lower triangle of a (row, col) matrix: rows and columns, (2, count)."""
    _require_room("tril_indices", row, col)
    return asarray(np.stack(np.tril_indices(row, offset, col)))


@public
def triu_indices(row: int, col: int, offset: int = 0) -> Tensor:
    """The places of the upper triangle of a (row, col) matrix: rows and columns, (2, count).

    >>> import tessella as ts
    >>> triu_indices(2, 2).tolist()
    [[0, 0, 1], [0, 1, 1]]
    """
    _require_room("triu_indices", row, col)
    return asarray(np.stack(np.triu_indices(row, offset, col)))


def _require_room(name: str, rows: int, columns: int) -> None:
    """Complain if there is no memory for the places of a matrix, which are found by way of all its elements."""
    rows, columns = check_shape((rows, columns), name)
    host().require_available(2 * 8 * rows * columns)


# --- norms and distances -----------------------------------------------------------------------------


@public
def norm(x: Tensor, /, p: Any = 2.0, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """The p-norm along axes, of all elements by default: (sum |x|^p)^(1/p).

    Args:
        p: any number; inf and -inf give the largest and the smallest size, 0 counts what is not 0. "fro" is 2.

    >>> import tessella as ts
    >>> norm(ts.asarray([3.0, 4.0])), norm(ts.asarray([3.0, -4.0]), p=1)
    (tensor(5.), tensor(7.))
    """
    order = _order(p)
    x = with_fractions("norm", x)
    size = x if order == 2.0 and x.dtype.is_float else abs(x)  # a square has no sign
    if order == 2.0:
        wide = size.astype(size.dtype.compute)
        return apply(_root, (sum(square(wide), axis=axis, keepdims=keepdims),)).astype(size.dtype)
    if math.isinf(order):
        return (max if order > 0 else min)(size, axis=axis, keepdims=keepdims)
    if order == 0.0:
        return sum(apply(_is_some, (size,)), axis=axis, keepdims=keepdims)
    if order == 1.0:
        return sum(size, axis=axis, keepdims=keepdims)
    total = sum(_power(size, order), axis=axis, keepdims=keepdims)
    return where(total == 0, 0.0, where(total == 0, 1.0, total) ** (1.0 / order))


def _power(size: Tensor, order: float) -> Tensor:
    """Sizes to a power; where one is 0 the slope is taken as 0, as of |x| it is, and not as infinite."""
    if order > 1.0:
        return size**order
    nothing = size == 0
    return where(nothing, 0.0 if order > 0.0 else math.inf, where(nothing, 1.0, size) ** order)


_LARGE = 1 << 53  # whole numbers that floats tell apart


def _order(p: Any) -> float:
    if isinstance(p, str) and p == "fro":
        return 2.0
    known = isinstance(p, (int, float)) and not isinstance(p, bool) and p == p
    if not known or (isinstance(p, int) and not -_LARGE < p < _LARGE):
        raise ArgumentError(f"norm: p is {shown(p)}; expected a number, inf, -inf or 'fro'")
    return float(p)


@public
def dist(x1: Tensor, x2: Tensor, /, p: float = 2.0) -> Tensor:
    """The p-norm of the difference."""
    x1, x2 = require_all("dist", x1, x2)
    return norm(x1 - x2, p)


@public
def cdist(x1: Tensor, x2: Tensor, /, p: float = 2.0) -> Tensor:
    """The distances of every row of x1 from every row of x2.

    Shapes: (..., m, d) and (..., n, d); (..., m, n).

    >>> import tessella as ts
    >>> cdist(ts.asarray([[0.0, 0.0]]), ts.asarray([[3.0, 4.0], [0.0, 1.0]]))
    tensor([[5., 1.]])
    """
    x1, x2 = require_all("cdist", x1, x2)
    if x1.ndim < 2 or x2.ndim < 2 or x1.shape[-1] != x2.shape[-1]:
        raise ShapeError(
            f"cdist: shapes {x1.shape} and {x2.shape}; expected rows of one length in both"
        )
    return norm(expand_dims(x1, -2) - expand_dims(x2, -3), p, -1)


@public
def tril(x: Tensor, /, k: int = 0) -> Tensor:
    """The lower triangle of each matrix; zeros above diagonal k."""
    return _triangle(x, lambda rows, columns: columns - rows <= k, "tril")


@public
def triu(x: Tensor, /, k: int = 0) -> Tensor:
    """The upper triangle of each matrix; zeros below diagonal k."""
    return _triangle(x, lambda rows, columns: columns - rows >= k, "triu")


def _triangle(x: Tensor, inside: Any, name: str) -> Tensor:
    if x.ndim < 2:
        raise ShapeError(f"{name}: shape {x.shape} holds no matrices; two axes are needed")
    rows, columns = arange(x.shape[-2]), arange(x.shape[-1])
    mask = inside(expand_dims(rows, 1), expand_dims(columns, 0))
    return where(mask, x, x.__tessella_zero__())
