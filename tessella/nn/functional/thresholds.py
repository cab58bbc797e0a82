"""Activations in pieces: each is one ordinary scalar function, as those of `activations`."""

from __future__ import annotations

import math

from tessella.arguments import public
from tessella.errors import ShapeError
from tessella.primitives.base import normalise_axis
from tessella.tensors.arithmetic import softmax
from tessella.tensors.elementwise import operation, sigmoid
from tessella.tensors.manipulation import reshape, split
from tessella.tensors.tensor import Tensor

_SELU_SCALE, _SELU_ALPHA = 1.0507009873554805, 1.6732632423543772
_relu6 = operation("relu6", lambda x: min(max(x, 0.0), 6.0))
_selu = operation(
    "selu", lambda x: _SELU_SCALE * (x if x > 0 else _SELU_ALPHA * math.expm1(min(x, 0.0)))
)
_celu = operation("celu", lambda x, alpha: x if x > 0 else alpha * math.expm1(min(x, 0.0) / alpha))
_hardsigmoid = operation("hardsigmoid", lambda x: min(max(x + 3.0, 0.0), 6.0) / 6.0)
_hardswish = operation("hardswish", lambda x: x * min(max(x + 3.0, 0.0), 6.0) / 6.0)
_threshold = operation("threshold", lambda x, least, value: x if x > least else value)
_hardshrink = operation("hardshrink", lambda x, size: x if x > size or x < -size else 0.0)
_softshrink = operation(
    "softshrink", lambda x, size: x - size if x > size else (x + size if x < -size else 0.0)
)
_tanhshrink = operation("tanhshrink", lambda x: x - math.tanh(x))
_prelu = operation("prelu", lambda x, slope: x if x > 0 else slope * x)


@public
def relu6(x: Tensor) -> Tensor:
    """x, but at least 0 and at most 6.

    >>> import tessella as ts
    >>> relu6(ts.asarray([-1.0, 2.0, 9.0]))
    tensor([0., 2., 6.])
    """
    return _relu6(x)


@public
def selu(x: Tensor) -> Tensor:
    """`elu`, scaled so that layers keep mean 0 and variance 1.

    Source: Klambauer, Unterthiner, Mayr & Hochreiter, *Self-normalizing neural networks* (2017).

    >>> import tessella as ts
    >>> selu(ts.asarray([-1.0, 1.0]))
    tensor([-1.1113,  1.0507])
    """
    return _selu(x)


@public
def celu(x: Tensor, alpha: float = 1.0) -> Tensor:
    """x where it is positive, else alpha (e^(x / alpha) - 1).

    Source: Barron, *Continuously differentiable exponential linear units* (2017).

    >>> import tessella as ts
    >>> celu(ts.asarray([-1.0, 2.0]), alpha=2.0)
    tensor([-0.7869,  2.    ])
    """
    return _celu(x, alpha)


@public
def hardsigmoid(x: Tensor) -> Tensor:
    """(x + 3) / 6, but at least 0 and at most 1.

    >>> import tessella as ts
    >>> hardsigmoid(ts.asarray([-4.0, 0.0, 4.0]))
    tensor([0. , 0.5, 1. ])
    """
    return _hardsigmoid(x)


@public
def hardswish(x: Tensor) -> Tensor:
    """x hardsigmoid(x).

    Source: Howard et al., *Searching for MobileNetV3* (2019).

    >>> import tessella as ts
    >>> hardswish(ts.asarray([-4.0, 1.0, 4.0]))
    tensor([-0.    ,  0.6667,  4.    ])
    """
    return _hardswish(x)


@public
def threshold(x: Tensor, threshold: float, value: float) -> Tensor:
    """x where it is above a threshold, else a value.

    >>> import tessella as ts
    >>> ts.nn.functional.threshold(ts.asarray([0.5, 2.0]), 1.0, -1.0)
    tensor([-1.,  2.])
    """
    return _threshold(x, threshold, value)


@public
def hardshrink(x: Tensor, lambd: float = 0.5) -> Tensor:
    """x where its size is above `lambd`, else 0.

    >>> import tessella as ts
    >>> hardshrink(ts.asarray([-1.0, 0.2]))
    tensor([-1.,  0.])
    """
    return _hardshrink(x, lambd)


@public
def softshrink(x: Tensor, lambd: float = 0.5) -> Tensor:
    """x brought nearer to 0 by `lambd`, but not beyond.

    >>> import tessella as ts
    >>> softshrink(ts.asarray([-1.0, 0.2]))
    tensor([-0.5,  0. ])
    """
    return _softshrink(x, lambd)


@public
def tanhshrink(x: Tensor) -> Tensor:
    """x - tanh(x).

    >>> import tessella as ts
    >>> tanhshrink(ts.asarray([0.0, 1.0]))
    tensor([0.    , 0.2384])
    """
    return _tanhshrink(x)


@public
def prelu(x: Tensor, weight: Tensor) -> Tensor:
    """x where it is positive, else weight x; one weight, or one for each channel (the second axis).

    Source: He, Zhang, Ren & Sun, *Delving deep into rectifiers* (2015).

    >>> import tessella as ts
    >>> prelu(ts.asarray([[-1.0, 2.0]]), ts.asarray([0.5, 0.25]))
    tensor([[-0.5,  2. ]])
    """
    if weight.size == 1:
        slope = reshape(weight, ())
    elif weight.ndim == 1 and x.ndim > 1 and x.shape[1] == weight.shape[0]:
        slope = reshape(weight, (1, weight.shape[0], *(1,) * (x.ndim - 2)))
    else:
        raise ShapeError(
            f"prelu: the weight has shape {weight.shape}, x {x.shape}; expected one number, or one for "
            "each place of x's second axis"
        )
    return _prelu(x, slope)


@public
def glu(x: Tensor, dim: int = -1) -> Tensor:
    """One half of an axis, times the sigmoid of the other half.

    Source: Dauphin, Fan, Auli & Grangier, *Language modeling with gated convolutional networks* (2017).

    >>> import tessella as ts
    >>> glu(ts.asarray([1.0, 2.0, 0.0, 0.0]))
    tensor([0.5, 1. ])
    """
    axis = normalise_axis(dim, x.ndim, "glu")
    if x.shape[axis] % 2:
        raise ShapeError(f"glu: axis {axis} has size {x.shape[axis]}, which has no halves")
    first, second = split(x, x.shape[axis] // 2 or 1, axis=axis) if x.shape[axis] else (x, x)
    return first * sigmoid(second)


@public
def softmin(x: Tensor, dim: int = -1) -> Tensor:
    """`softmax` of -x.

    >>> import tessella as ts
    >>> softmin(ts.zeros(2))
    tensor([0.5, 0.5])
    """
    return softmax(-x, dim)
