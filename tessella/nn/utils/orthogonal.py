"""Matrices with orthonormal columns as functions of any matrix: the exponential, Cayley's map, Householder's reflections.

All of it is products of matrices, and a loop over reflections: gradients, `jit` and batches of matrices come of themselves.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from tessella import autodiff
from tessella.arguments import public
from tessella.arguments.kinds import shown
from tessella.errors import MissingRuleError, ShapeError
from tessella.nn.module import Module
from tessella.nn.utils.parametrize import register_parametrization
from tessella.tensors.creation import asarray, eye, zeros
from tessella.tensors.elementwise import abs as absolute
from tessella.tensors.elementwise import ceil, clip, log2, where
from tessella.tensors.linear import matmul
from tessella.tensors.manipulation import broadcast_to, concat, expand_dims, moveaxis
from tessella.tensors.matrices import tril
from tessella.tensors.tensor import Tensor
from tessella.transforms.control import scan, while_loop

Map = Literal["matrix_exp", "cayley", "householder"]
_SQUARINGS = 16  # beyond which the angles are larger than what float32 tells apart
_STEPS = 64  # each brings what is stretched least nearer by half: a bound of 2**64 is beyond any rounding
_TERMS = 16  # of the series: up to half, the next one is below the rounding of float64


def _length(a: Tensor) -> Tensor:
    """The largest sum of absolute values of a column, which no stretching exceeds: (..., 1, 1)."""
    return absolute(a.detach()).sum(axis=-2, keepdims=True).max(axis=-1, keepdims=True)


def exponential(a: Tensor) -> Tensor:
    """e^A by scaling and squaring: the series of A / 2^s, squared s times.

    Shapes: (..., n, n); the same.

    Source: Moler & Van Loan, *Nineteen dubious ways to compute the exponential of a matrix* (2003), method 3; the
    series in blocks of four powers after Paterson & Stockmeyer (1973).

    >>> import tessella as ts
    >>> exponential(ts.asarray([[0.0, 1.0], [0.0, 0.0]]))
    tensor([[1., 1.],
            [0., 1.]])
    """
    times = clip(ceil(log2(clip(_length(a), 2.0**-20))) + 1.0, 0.0, _SQUARINGS)
    result = _series(a * 2.0**-times)
    for number in range(_SQUARINGS):
        result = where(number < times, matmul(result, result), result)
    return result


def _series(a: Tensor) -> Tensor:
    squared = matmul(a, a)
    powers = [eye(a.shape[-1], dtype=a.dtype), a, squared, matmul(squared, a)]
    fourth = matmul(squared, squared)
    total = fourth * (1.0 / math.factorial(_TERMS))
    for first in range(_TERMS - 4, -1, -4):
        block = [power * (1.0 / math.factorial(first + i)) for i, power in enumerate(powers)]
        total = total + (block[0] + block[1] + block[2] + block[3])
        total = matmul(total, fourth) if first else total
    return total


def cayley(a: Tensor) -> Tensor:
    """(1 + A / 2) (1 - A / 2)^-1 of a skew matrix.

    The inverse is found by Newton's iteration, which doubles the digits at each step (Schulz, 1933). Gradients go
    through the last two steps alone: these give its first three derivatives.

    Shapes: (..., n, n); the same.

    >>> import tessella as ts
    >>> cayley(ts.asarray([[0.0, 2.0], [-2.0, 0.0]]))
    tensor([[ 0.,  1.],
            [-1.,  0.]])
    """
    unit = eye(a.shape[-1], dtype=a.dtype)
    below = unit - a * 0.5
    inverse = _begun(below.detach(), 1.0 + (_length(a) * 0.5) ** 2)
    for _ in range(2):
        inverse = _nearer(below, inverse)
    return matmul(unit + a * 0.5, inverse)


def _nearer(matrix: Tensor, inverse: Tensor) -> Tensor:
    return 2.0 * inverse - matmul(inverse, matmul(matrix, inverse))


def _begun(matrix: Tensor, bound: Tensor) -> Tensor:
    """Nearly the inverse of a matrix.

    Args:
        bound: at least the square of what it stretches by; it shrinks nothing.
    """
    unit = eye(matrix.shape[-1], dtype=matrix.dtype)

    def is_far(carried: tuple[Tensor, Tensor]) -> Tensor:
        number, inverse = carried
        away = absolute(matmul(matrix, inverse) - unit).max()
        return (away > 0.125 / matrix.shape[-1]) & (number < _STEPS)

    def nearer(carried: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        number, inverse = carried
        return number + 1, _nearer(matrix, inverse)

    with autodiff.no_grad():
        _, found = while_loop(is_far, nearer, (asarray(0), matrix.mT / bound))
        return _nearer(matrix, _nearer(matrix, found)).detach()


def reflected(a: Tensor) -> Tensor:
    """The first columns of a product of reflections; a reflection for each column, of one there and what is below.

    Shapes: (..., n, k), k <= n; the same.

    Source: Householder, *Unitary triangularization of a nonsymmetric matrix* (1958).

    >>> import tessella as ts
    >>> reflected(ts.zeros((2, 1)))
    tensor([[-1.],
            [ 0.]])
    """
    *batch, n, k = a.shape
    unit = eye(n, k, dtype=a.dtype)
    directions = moveaxis(tril(a, -1) + unit, -1, 0)  # (k, ..., n)

    def reflect(columns: Tensor, direction: Tensor) -> tuple[Tensor, None]:
        along, across = expand_dims(direction, -2), expand_dims(direction, -1)
        scale = 2.0 / (direction * direction).sum(axis=-1)[..., None, None]
        return columns - across * scale * matmul(along, columns), None

    start = broadcast_to(unit, (*batch, n, k))
    columns: Tensor = scan(reflect, start, directions, reverse=True)[0]
    return columns


class _Orthogonal(Module):
    """A matrix with orthonormal columns (rows, if it is wide) for any matrix.

    Args:
        use_trivialization: whether it is one that was found at the beginning, `base`, turned by the function: then
            what is trained begins where the function is flat.
    """

    def __init__(
        self, shape: tuple[int, ...], orthogonal_map: Map, use_trivialization: bool
    ) -> None:
        super().__init__()
        self.shape, self.orthogonal_map = shape, orthogonal_map
        self.has_base = use_trivialization
        if use_trivialization:
            self.register_buffer("base", None)

    def forward(self, x: Tensor) -> Tensor:
        is_wide = x.shape[-2] < x.shape[-1]
        turned = self._turned(x.mT if is_wide else x)
        turned = matmul(self.base, turned) if self.has_base else turned
        return turned.mT if is_wide else turned

    def _turned(self, x: Tensor) -> Tensor:
        """Of a tall matrix."""
        n, k = x.shape[-2:]
        if self.orthogonal_map == "householder":
            signs = (x.detach() * eye(n, k, dtype=x.dtype)).sum(axis=-2, keepdims=True)
            return reflected(x) * signs.astype("int64").astype(x.dtype)
        lower = tril(x)
        if n != k:
            lower = concat([lower, zeros((*x.shape[:-1], n - k), dtype=x.dtype)], axis=-1)
        skew = lower - lower.mT
        square = exponential(skew) if self.orthogonal_map == "matrix_exp" else cayley(skew)
        return square[..., :k]

    def right_inverse(self, value: Tensor) -> Tensor:
        """What to train for a value; of one whose columns are not orthonormal, those of its QR decomposition.

        Raises:
            ShapeError: it has another shape.
            MissingRuleError: the map cannot be gone back through.
        """
        if value.shape != self.shape:
            raise ShapeError(f"orthogonal: a value of shape {value.shape}; expected {self.shape}")
        is_wide = value.shape[-2] < value.shape[-1]
        tall = np.asarray((value.mT if is_wide else value).detach().numpy(), np.float64)
        if self.has_base:
            self.base = asarray(_completed(tall), dtype=value.dtype)
            found = -np.eye(*tall.shape[-2:]) * np.ones((*tall.shape[:-2], 1, 1))
        elif self.orthogonal_map == "householder":
            found = _reflections(tall)
        else:
            raise MissingRuleError(
                f"orthogonal: a value is assigned, and the map {self.orthogonal_map!r} without trivialization cannot be "
                "gone back through; take use_trivialization=True"
            )
        made = asarray(found, dtype=value.dtype)
        return made.mT if is_wide else made


def _completed(tall: np.ndarray) -> np.ndarray:
    """An orthogonal matrix that begins with the columns of a tall one, made orthonormal if they are not."""
    n, k = tall.shape[-2:]
    grown = np.concatenate(
        [tall, np.random.default_rng(0).standard_normal((*tall.shape[:-1], n - k))], -1
    )
    q, r = np.linalg.qr(grown)
    return q * np.where(np.einsum("...ii->...i", r) < 0, -1.0, 1.0)[..., None, :]


def _reflections(tall: np.ndarray) -> np.ndarray:
    """What `reflected` makes the columns of a tall matrix of, with their signs on the diagonal."""
    k = tall.shape[-1]
    found = np.zeros_like(tall)
    for place in np.ndindex(*tall.shape[:-2]):
        left, made = tall[place].copy(), found[place]
        for i in range(k):
            x = left[i:, i].copy()
            sign = 1.0 if x[0] >= 0 else -1.0
            x[0] += sign * np.linalg.norm(x)  # of what is turned to the axis, never small
            x = x / x[0] if x[0] else np.eye(len(x))[0]
            left[i:] -= np.outer(x, 2.0 / (x @ x) * (x @ left[i:]))
            made[i + 1 :, i], made[i, i] = x[1:], -sign
    return found


@public
def orthogonal(
    module: Module, name: str = "weight",
    orthogonal_map: Literal["matrix_exp", "cayley", "householder"] | None = None, *,
    use_trivialization: bool = True,
) -> Module:  # fmt: skip
    """Let a weight have orthonormal columns; rows, if it is wide. Further axes in front are a batch of matrices.

    Args:
        orthogonal_map: "matrix_exp", the default for square ones, or "cayley", of a skew matrix; or "householder", of
            reflections, which is quicker for what is far from square.
        use_trivialization: whether what is trained turns a matrix that is kept under
            `parametrizations.weight.0.base`: the weight at the beginning.

    Raises:
        ShapeError: the weight is no matrix.

    Source: Lezcano-Casado, *Trivializations for gradient-based optimization on manifolds* (2019).

    >>> import tessella as ts
    >>> from tessella import nn
    >>> layer = orthogonal(nn.Linear(20, 40))
    >>> bool((layer.weight.mT @ layer.weight - ts.eye(20)).abs().max() < 1e-5)
    True
    """
    weight = getattr(module, name)
    if not isinstance(weight, Tensor) or weight.ndim < 2:
        given = f"shape {weight.shape}" if isinstance(weight, Tensor) else shown(weight)
        raise ShapeError(f"orthogonal: {name} has {given}; expected a matrix, or a batch of them")
    is_square = weight.shape[-2] == weight.shape[-1]
    chosen: Map = orthogonal_map or ("matrix_exp" if is_square else "householder")
    made = _Orthogonal(weight.shape, chosen, use_trivialization)
    return register_parametrization(module, name, made, unsafe=True)
