"""How parameters start: PyTorch's initialisations, under its names.

Sources: Glorot & Bengio (2010) for Xavier, He et al. (2015) for Kaiming, Saxe et al. (2014) for
orthogonal.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal, NoReturn, TypeAlias

import numpy as np

from tessella.arguments import public
from tessella.arguments.kinds import Count, Probability, register_class, shown
from tessella.errors import ArgumentError, ShapeError
from tessella.names import missing
from tessella.random.distributions import truncated_normal as _truncated_normal
from tessella.random.generator import Generator, default
from tessella.tensors.creation import asarray, full
from tessella.tensors.creation import eye as identity
from tessella.tensors.elementwise import where
from tessella.tensors.sorting import argsort
from tessella.tensors.tensor import Tensor

if not TYPE_CHECKING:  # for which it would mean that all names are there

    def __getattr__(name: str) -> NoReturn:
        """The error says what other libraries mean by this name, or which name is near it."""
        raise missing("init", name)


Filled: TypeAlias = Tensor  # no array, whose copy would be filled
register_class("Filled", lambda: Tensor, "a Tensor, which is filled in place")
register_class("Generator", lambda: Generator, "a ts.random.Generator")


def _set(tensor: Tensor, values: Tensor) -> Tensor:
    return tensor.assign(values.astype(tensor.dtype))


@public
def uniform_(
    tensor: Filled, a: float = 0.0, b: float = 1.0, generator: Generator | None = None
) -> Tensor:
    """Numbers spread evenly over [a, b)."""
    return _set(tensor, (generator or default).uniform(tensor.shape, a, b))


@public
def normal_(
    tensor: Filled, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None
) -> Tensor:
    """Normally distributed numbers."""
    return _set(tensor, (generator or default).normal(tensor.shape, mean, std))


@public
def trunc_normal_(
    tensor: Filled, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0,
    generator: Generator | None = None,
) -> Tensor:  # fmt: skip
    """Normally distributed numbers, of those that lie between a and b.

    Raises:
        ArgumentError: a lies above b, or std is not positive.

    >>> import tessella as ts
    >>> bool((trunc_normal_(ts.zeros(100), std=0.02, a=-0.04, b=0.04).abs() <= 0.04).all())
    True
    """
    if not std > 0.0:
        raise ArgumentError(f"trunc_normal_: std is {std}; expected a number above 0")
    low, high = (a - mean) / std, (b - mean) / std
    drawn = _truncated_normal((generator or default).key(), low, high, tensor.shape)
    return _set(tensor, (mean + std * drawn).clip(a, b))


@public
def constant_(tensor: Filled, value: float) -> Tensor:
    """One value everywhere."""
    return _set(tensor, full(tensor.shape, value, dtype=tensor.dtype))


@public
def zeros_(tensor: Filled) -> Tensor:
    """Zeros."""
    return constant_(tensor, 0.0)


@public
def ones_(tensor: Filled) -> Tensor:
    """Ones."""
    return constant_(tensor, 1.0)


@public
def eye_(tensor: Filled) -> Tensor:
    """The identity: ones where the row is the column, zeros elsewhere.

    Raises:
        ShapeError: it is no matrix.

    >>> import tessella as ts
    >>> eye_(ts.zeros((2, 3)))
    tensor([[1., 0., 0.],
            [0., 1., 0.]])
    """
    _require_matrix(tensor, "eye_")
    return _set(tensor, identity(*tensor.shape))


def _require_matrix(tensor: Tensor, name: str) -> None:
    if tensor.ndim != 2:
        raise ShapeError(f"{name}: shape {tensor.shape}; expected a matrix")


@public
def dirac_(tensor: Filled, groups: Count = 1) -> Tensor:
    """The weight of a convolution that gives its input channels back, as many as there are outputs for.

    Shapes: (out, in, kernel), with one to three sizes of the kernel; its middle is 1.

    Args:
        groups: of the convolution; each gives its channels back.

    Raises:
        ShapeError: it is no weight of a convolution, or the outputs do not make so many groups.

    >>> import tessella as ts
    >>> dirac_(ts.empty((1, 1, 3)))
    tensor([[[0., 1., 0.]]])
    """
    if tensor.ndim not in (3, 4, 5) or tensor.shape[0] % groups:
        raise ShapeError(
            f"dirac_: shape {tensor.shape} with groups={groups}; expected (out, in, kernel), with one to three sizes "
            "of the kernel, and out to be divisible by groups"
        )
    values = np.zeros(tensor.shape)
    each = tensor.shape[0] // groups
    channels = np.arange(min(each, tensor.shape[1]))
    middle = tuple(size // 2 for size in tensor.shape[2:])
    for first in range(0, tensor.shape[0] if tensor.size else 0, each):
        places: tuple[Any, ...] = (first + channels, channels, *middle)
        values[places] = 1.0
    return _set(tensor, asarray(values))


@public
def sparse_(
    tensor: Filled, sparsity: Probability, std: float = 0.01, generator: Generator | None = None
) -> Tensor:
    """Normally distributed numbers, of which a share of each column is zero, at places that are drawn.

    Shapes: (rows, columns).

    Args:
        sparsity: the share; ceil(sparsity rows) are zero.

    Raises:
        ShapeError: it is no matrix.

    Source: Martens, *Deep learning via Hessian-free optimization* (2010).

    >>> import tessella as ts
    >>> (sparse_(ts.empty((4, 3)), sparsity=0.5) == 0).sum(axis=0)
    tensor([2, 2, 2])
    """
    _require_matrix(tensor, "sparse_")
    source = generator or default
    zeros = math.ceil(sparsity * tensor.shape[0])
    numbers = source.normal(tensor.shape, 0.0, std)
    rank = argsort(argsort(source.uniform(tensor.shape), axis=0), axis=0)
    return _set(tensor, where(rank < zeros, 0.0, numbers))


@public
def fans(tensor: Tensor) -> tuple[int, int]:
    """How many inputs and outputs one unit has: (fan in, fan out).

    >>> import tessella as ts
    >>> fans(ts.zeros((8, 4, 3, 3)))
    (36, 72)
    """
    if tensor.ndim < 2:
        raise ShapeError(f"init: shape {tensor.shape} has no fan; two axes are needed")
    field = math.prod(tensor.shape[2:])
    return tensor.shape[1] * field, tensor.shape[0] * field


@public
def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor that keeps the variance through a nonlinearity.

    Args:
        nonlinearity: 'linear', 'sigmoid', 'tanh', 'relu', 'leaky_relu', 'selu', or a convolution: 'conv1d', ...
        param: the negative slope of a leaky ReLU, 0.01 by default.

    Raises:
        ArgumentError: there is no such nonlinearity.

    >>> calculate_gain("tanh")
    1.6666666666666667
    """
    gains = {"linear": 1.0, "sigmoid": 1.0, "tanh": 5 / 3, "relu": math.sqrt(2.0), "selu": 0.75}
    gains |= {f"conv{kind}{n}d": 1.0 for n in (1, 2, 3) for kind in ("", "_transpose")}
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        return math.sqrt(2.0 / (1 + slope**2))
    if nonlinearity not in gains:
        raise ArgumentError(
            f"calculate_gain: unknown nonlinearity {shown(nonlinearity)}; expected one of "
            f"{', '.join([*gains, 'leaky_relu'])}"
        )
    return gains[nonlinearity]


def _fan(tensor: Tensor, mode: str) -> int:
    return fans(tensor)[mode == "fan_out"]


@public
def kaiming_uniform_(
    tensor: Filled, a: float = 0.0, mode: Literal["fan_in", "fan_out"] = "fan_in",
    nonlinearity: str = "leaky_relu", generator: Generator | None = None,
) -> Tensor:  # fmt: skip
    """He's initialisation, evenly spread."""
    bound = calculate_gain(nonlinearity, a) * math.sqrt(3.0 / max(1, _fan(tensor, mode)))
    return uniform_(tensor, -bound, bound, generator)


@public
def kaiming_normal_(
    tensor: Filled, a: float = 0.0, mode: Literal["fan_in", "fan_out"] = "fan_in",
    nonlinearity: str = "leaky_relu", generator: Generator | None = None,
) -> Tensor:  # fmt: skip
    """He's initialisation, normally distributed."""
    std = calculate_gain(nonlinearity, a) / math.sqrt(max(1, _fan(tensor, mode)))
    return normal_(tensor, 0.0, std, generator)


@public
def xavier_uniform_(
    tensor: Filled, gain: float = 1.0, generator: Generator | None = None
) -> Tensor:
    """Glorot's initialisation, evenly spread."""
    bound = gain * math.sqrt(6.0 / max(1, sum(fans(tensor))))
    return uniform_(tensor, -bound, bound, generator)


@public
def xavier_normal_(tensor: Filled, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Glorot's initialisation, normally distributed."""
    return normal_(tensor, 0.0, gain * math.sqrt(2.0 / max(1, sum(fans(tensor)))), generator)


@public
def orthogonal_(tensor: Filled, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Rows (or columns) that are orthonormal."""
    if tensor.ndim < 2:
        raise ShapeError(
            f"orthogonal_: shape {tensor.shape} has no rows and columns; two axes are needed"
        )
    rows = tensor.shape[0]
    columns = math.prod(tensor.shape[1:])
    flat = (generator or default).normal((max(rows, columns), min(rows, columns))).numpy()
    q, r = np.linalg.qr(flat.astype(np.float64))
    q = q * np.sign(np.diag(r))
    q = q.T if rows < columns else q
    return _set(tensor, asarray((gain * q).reshape(tensor.shape)))


__all__ = [
    "calculate_gain", "constant_", "dirac_", "eye_", "fans", "kaiming_normal_", "kaiming_uniform_", "normal_", "ones_",
    "orthogonal_", "sparse_", "trunc_normal_", "uniform_", "xavier_normal_", "xavier_uniform_", "zeros_",
]  # fmt: skip
