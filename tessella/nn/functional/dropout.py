"""Dropout."""

from __future__ import annotations

from typing import Any

from tessella.arguments import public
from tessella.dtypes import float32
from tessella.errors import ArgumentError, ShapeError
from tessella.primitives.dropout import Dropout, drop
from tessella.random.generator import default
from tessella.tensors.elementwise import zip_with
from tessella.tensors.manipulation import reshape
from tessella.tensors.operands import operand
from tessella.tensors.surroundings import default_float
from tessella.tensors.tensor import Tensor, apply

_drop = zip_with(drop.function)


def _check(p: float, name: str) -> None:
    if not 0.0 <= p <= 1.0:
        raise ArgumentError(f"{name}: p is {p}; expected a probability from 0 to 1")


@public
def dropout(x: Tensor, p: float = 0.5, training: bool = True) -> Tensor:
    """Zero (even for NaN) with probability p, the rest scaled by 1 / (1 - p); nothing outside training.

    Raises:
        ArgumentError: p is no probability.

    Source: Srivastava et al., *Dropout* (2014).

    >>> import tessella as ts
    >>> dropout(ts.ones(3), training=False)
    tensor([1., 1., 1.])
    """
    _check(p, "dropout")
    if not training or p == 0.0:
        return x
    if p == 1.0:
        return _drop(x, 0.0, 1.0, 0.0)
    scale = 1.0 / (1.0 - p)
    if not x.dtype.is_float or default_float() is not float32:
        return _drop(x, default.uniform(x.shape), p, scale)
    return apply(Dropout(x.shape), (x, default.key(), operand(p, x), operand(scale, x)))


_SATURATED = -1.7580993408473766  # what SELU tends to: -scale * alpha


def _feature_shape(x: Tensor) -> tuple[int, ...]:
    """One number for each channel of each example."""
    return (*x.shape[:2], *(1,) * (x.ndim - 2))


def _dropout_of_channels(x: Tensor, p: float, training: bool, rank: int, ranks: str) -> Tensor:
    name = f"dropout{rank}d"
    _check(p, name)
    if str(x.ndim) not in ranks:
        raise ShapeError(f"{name}: shape {x.shape}; expected {' or '.join(ranks)} axes")
    if not training or p == 0.0:
        return x
    unbatched = x.ndim == rank + 1 and rank != 2
    batched = reshape(x, (1, *x.shape)) if unbatched else x
    scale = 0.0 if p == 1.0 else 1.0 / (1.0 - p)
    dropped = _drop(batched, default.uniform(_feature_shape(batched)), p, scale)
    return reshape(dropped, x.shape)


@public
def dropout1d(x: Tensor, p: float = 0.5, training: bool = True) -> Tensor:
    """Whole channels zero with probability p, the others scaled by 1 / (1 - p); nothing outside training.

    Shapes: (N, C, L), or (C, L) without N; the same.

    Raises:
        ArgumentError: p is no probability.
        ShapeError: it has other axes.

    Source: Tompson et al., *Efficient object localization using convolutional networks* (2015).

    >>> import tessella as ts
    >>> dropout1d(ts.ones((1, 1, 2)), 1.0)
    tensor([[[0., 0.]]])
    """
    return _dropout_of_channels(x, p, training, 1, "23")


@public
def dropout2d(x: Tensor, p: float = 0.5, training: bool = True) -> Tensor:
    """Whole channels of images zero; as `dropout1d`.

    Shapes: (N, C, H, W), or, as in PyTorch, (N, C, L); the same.

    >>> import tessella as ts
    >>> dropout2d(ts.ones((1, 1, 1, 2)), 1.0)
    tensor([[[[0., 0.]]]])
    """
    return _dropout_of_channels(x, p, training, 2, "34")


@public
def dropout3d(x: Tensor, p: float = 0.5, training: bool = True) -> Tensor:
    """Whole channels of volumes zero; as `dropout1d`.

    Shapes: (N, C, D, H, W), or (C, D, H, W) without N; the same.

    >>> import tessella as ts
    >>> dropout3d(ts.ones((1, 1, 1, 2)), 1.0)
    tensor([[[[0., 0.]]]])
    """
    return _dropout_of_channels(x, p, training, 3, "45")


def _saturate(x: Any, uniform: Any, p: Any, scale: Any, shift: Any) -> Any:
    return (_SATURATED if uniform < p else x) * scale + shift


_saturated = zip_with(_saturate)


def _alpha_dropout(x: Tensor, p: float, training: bool, shape: tuple[int, ...]) -> Tensor:
    if not training or p == 0.0:
        return x
    if p == 1.0:
        return _drop(x, 0.0, 1.0, 0.0)
    scale = ((_SATURATED**2 * p + 1) * (1 - p)) ** -0.5
    return _saturated(x, default.uniform(shape), p, scale, -_SATURATED * scale * p)


@public
def alpha_dropout(x: Tensor, p: float = 0.5, training: bool = False) -> Tensor:
    """What SELU tends to with probability p, then scaled and shifted so that mean 0 and variance 1 stay.

    Shapes: any; the same.

    Raises:
        ArgumentError: p is no probability.

    Source: Klambauer et al., *Self-normalizing neural networks* (2017).

    >>> import tessella as ts
    >>> alpha_dropout(ts.ones(3))
    tensor([1., 1., 1.])
    """
    _check(p, "alpha_dropout")
    return _alpha_dropout(x, p, training, x.shape)


@public
def feature_alpha_dropout(x: Tensor, p: float = 0.5, training: bool = False) -> Tensor:
    """`alpha_dropout` of whole channels.

    Shapes: (N, C, ...); the same.

    Raises:
        ArgumentError: p is no probability.
        ShapeError: there is no axis of channels.

    >>> import tessella as ts
    >>> feature_alpha_dropout(ts.ones((1, 3)))
    tensor([[1., 1., 1.]])
    """
    _check(p, "feature_alpha_dropout")
    if x.ndim < 2 and training and 0.0 < p < 1.0:
        raise ShapeError(f"feature_alpha_dropout: shape {x.shape}; expected (N, C, ...)")
    return _alpha_dropout(x, p, training, _feature_shape(x))
