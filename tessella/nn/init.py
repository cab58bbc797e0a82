"""How parameters start: PyTorch's initialisations, under its names.

Sources: Glorot & Bengio (2010) for Xavier, He et al. (2015) for Kaiming, Saxe et al. (2014) for
orthogonal.
"""

from __future__ import annotations

import math

import numpy as np

from tessella.errors import ArgumentError, ShapeError
from tessella.tensors import random
from tessella.tensors.creation import asarray, full
from tessella.tensors.tensor import Tensor


def _set(tensor: Tensor, values: Tensor) -> Tensor:
    return tensor.assign(values.astype(tensor.dtype))


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0) -> Tensor:
    """Numbers spread evenly over [a, b)."""
    return _set(tensor, random.default.uniform(tensor.shape, a, b))


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0) -> Tensor:
    """Normally distributed numbers."""
    return _set(tensor, random.default.normal(tensor.shape, mean, std))


def constant_(tensor: Tensor, value: float) -> Tensor:
    """One value everywhere."""
    return _set(tensor, full(tensor.shape, value, dtype=tensor.dtype))


def zeros_(tensor: Tensor) -> Tensor:
    """Zeros."""
    return constant_(tensor, 0.0)


def ones_(tensor: Tensor) -> Tensor:
    """Ones."""
    return constant_(tensor, 1.0)


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


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor that keeps the variance through a nonlinearity."""
    gains = {"linear": 1.0, "sigmoid": 1.0, "tanh": 5 / 3, "relu": math.sqrt(2.0), "selu": 0.75}
    gains |= {f"conv{n}d": 1.0 for n in (1, 2, 3)}
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        return math.sqrt(2.0 / (1 + slope**2))
    if nonlinearity not in gains:
        raise ArgumentError(f"calculate_gain: unknown nonlinearity {nonlinearity!r}")
    return gains[nonlinearity]


def _fan(tensor: Tensor, mode: str) -> int:
    if mode not in ("fan_in", "fan_out"):
        raise ArgumentError(f"kaiming: mode {mode!r}; expected 'fan_in' or 'fan_out'")
    return fans(tensor)[mode == "fan_out"]


def kaiming_uniform_(
    tensor: Tensor, a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu"
) -> Tensor:
    """He's initialisation, evenly spread."""
    bound = calculate_gain(nonlinearity, a) * math.sqrt(3.0 / max(1, _fan(tensor, mode)))
    return uniform_(tensor, -bound, bound)


def kaiming_normal_(
    tensor: Tensor, a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu"
) -> Tensor:
    """He's initialisation, normally distributed."""
    std = calculate_gain(nonlinearity, a) / math.sqrt(max(1, _fan(tensor, mode)))
    return normal_(tensor, 0.0, std)


def xavier_uniform_(tensor: Tensor, gain: float = 1.0) -> Tensor:
    """Glorot's initialisation, evenly spread."""
    bound = gain * math.sqrt(6.0 / sum(fans(tensor)))
    return uniform_(tensor, -bound, bound)


def xavier_normal_(tensor: Tensor, gain: float = 1.0) -> Tensor:
    """Glorot's initialisation, normally distributed."""
    return normal_(tensor, 0.0, gain * math.sqrt(2.0 / sum(fans(tensor))))


def orthogonal_(tensor: Tensor, gain: float = 1.0) -> Tensor:
    """Rows (or columns) that are orthonormal."""
    rows = tensor.shape[0]
    columns = math.prod(tensor.shape[1:])
    flat = random.default.normal((max(rows, columns), min(rows, columns))).numpy()
    q, r = np.linalg.qr(flat.astype(np.float64))
    q = q * np.sign(np.diag(r))
    q = q.T if rows < columns else q
    return _set(tensor, asarray((gain * q).reshape(tensor.shape)))
