"""Parametrizations that are much used: weights of a length, and of a spectral norm, of their own."""

from __future__ import annotations

from tessella import autodiff
from tessella.arguments import public
from tessella.arguments.kinds import Count
from tessella.nn.functional.similarities import normalize
from tessella.nn.module import Module
from tessella.nn.utils.orthogonal import orthogonal
from tessella.nn.utils.parametrize import register_parametrization
from tessella.primitives.base import normalise_axis
from tessella.random.generator import default
from tessella.tensors.linear import matmul
from tessella.tensors.manipulation import moveaxis, reshape
from tessella.tensors.matrices import norm
from tessella.tensors.tensor import Tensor


class _WeightNorm(Module):
    """g v / |v|, with a length for each place of an axis."""

    def __init__(self, dim: int | None = 0) -> None:
        super().__init__()
        self.dim = -1 if dim is None else dim

    def _length(self, x: Tensor) -> Tensor:
        """Over all axes but one; over all, for -1."""
        if self.dim == -1:
            return norm(x)
        return norm(x, 2.0, tuple(i for i in range(x.ndim) if i != self.dim), True)

    def forward(self, length: Tensor, direction: Tensor) -> Tensor:
        return direction * (length / self._length(direction))

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """The length and the direction of a weight."""
        return self._length(weight), weight


class _SpectralNorm(Module):
    """A weight divided by its largest singular value, which a few steps of the power method follow in training."""

    def __init__(
        self, weight: Tensor, n_power_iterations: int = 1, dim: int = 0, eps: float = 1e-12
    ) -> None:
        super().__init__()
        self.dim, self.eps = normalise_axis(dim, weight.ndim, "spectral_norm"), eps
        self.n_power_iterations = n_power_iterations
        if weight.ndim == 1:
            return  # whose norm is known
        matrix = self._matrix(weight.detach())
        for name, size in zip(("_u", "_v"), matrix.shape, strict=True):
            drawn = default.normal((size,)).astype(weight.dtype)
            self.register_buffer(name, normalize(drawn, dim=0, eps=eps))
        self._follow(matrix, 15)

    def _matrix(self, weight: Tensor) -> Tensor:
        front = moveaxis(weight, self.dim, 0)
        return reshape(front, (front.shape[0], -1))

    def _follow(self, matrix: Tensor, steps: int) -> None:
        """Go on with the power method."""
        with autodiff.no_grad():
            u, v = self._u, self._v
            for _ in range(steps):
                u = normalize(matmul(matrix, v), dim=0, eps=self.eps)
                v = normalize(matmul(matrix.mT, u), dim=0, eps=self.eps)
            self._u.assign(u)
            self._v.assign(v)

    def forward(self, weight: Tensor) -> Tensor:
        if weight.ndim == 1:
            return normalize(weight, dim=0, eps=self.eps)
        matrix = self._matrix(weight)
        if self.training:
            self._follow(matrix, self.n_power_iterations)
        u, v = self._u.detach(), self._v.detach()
        return weight / (u * matmul(matrix, v)).sum()

    def right_inverse(self, value: Tensor) -> Tensor:
        """The value itself, which is taken to have the norm 1."""
        return value


@public
def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """Let a weight be g v / |v|: its lengths and its direction are trained each by itself.

    Args:
        dim: the axis along which each place has a length of its own; None for one length of all.

    Source: Salimans & Kingma, *Weight normalization* (2016).

    >>> from tessella import nn
    >>> layer = weight_norm(nn.Linear(3, 2))
    >>> {key: value.shape for key, value in layer.state_dict().items() if "original" in key}
    {'parametrizations.weight.original0': (2, 1), 'parametrizations.weight.original1': (2, 3)}
    """
    return register_parametrization(module, name, _WeightNorm(dim), unsafe=True)


@public
def spectral_norm(
    module: Module, name: str = "weight", n_power_iterations: Count = 1, eps: float = 1e-12,
    dim: int | None = None,
) -> Module:  # fmt: skip
    """Let a weight be divided by its largest singular value.

    Args:
        n_power_iterations: steps of the power method at each use in training.
        dim: the axis of the outputs: 1 for transposed convolutions, 0 for all others.

    Source: Miyato, Kataoka, Koyama & Yoshida, *Spectral normalization for generative adversarial networks* (2018).

    >>> from tessella import nn
    >>> layer = spectral_norm(nn.Linear(20, 20), n_power_iterations=50)
    >>> import numpy as np
    >>> bool(abs(np.linalg.norm(layer.weight.detach(), 2) - 1) < 0.05)
    True
    """
    if dim is None:
        dim = 1 if type(module).__name__.startswith("ConvTranspose") else 0
    weight = getattr(module, name)
    return register_parametrization(
        module, name, _SpectralNorm(weight, n_power_iterations, dim, eps)
    )


__all__ = ["orthogonal", "spectral_norm", "weight_norm"]
