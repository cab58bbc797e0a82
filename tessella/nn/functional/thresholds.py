"""Activations in pieces: each is one ordinary scalar function, as those of `activations`."""

from __future__ import annotations

import math

from tessella.arguments import public
from tessella.arguments.kinds import DTypeLike, shown
from tessella.errors import ArgumentError, ShapeError
from tessella.nn.functional.activations import between, softmax
from tessella.nn.functional.in_place import always_in_place, settled
from tessella.primitives.base import normalise_axis
from tessella.random.distributions import gumbel
from tessella.random.generator import default
from tessella.scalar.function import ScalarFunction
from tessella.tensors.creation import arange
from tessella.tensors.elementwise import operation, sigmoid, zip_with
from tessella.tensors.manipulation import reshape, split
from tessella.tensors.statistical import argmax
from tessella.tensors.tensor import Tensor
from tessella.transforms.at_once import at_once

_SELU_SCALE, _SELU_ALPHA = 1.0507009873554805, 1.6732632423543772
# In comparisons NaN stays what it is; at a corner the slope is that of the flat side, as in PyTorch.
_relu6 = operation("relu6", lambda x: 0.0 if x <= 0.0 else (6.0 if x >= 6.0 else x))
_selu = operation(
    "selu", lambda x: _SELU_SCALE * (x if x > 0 else _SELU_ALPHA * math.expm1(min(x, 0.0)))
)
_celu = operation("celu", lambda x, alpha: x if x > 0 else alpha * math.expm1(min(x, 0.0) / alpha))
_hardsigmoid = operation(
    "hardsigmoid", lambda x: 0.0 if x <= -3.0 else (1.0 if x >= 3.0 else (x + 3.0) / 6.0)
)
_hardswish = zip_with(
    ScalarFunction(
        lambda x: x * min(max(x + 3.0, 0.0), 6.0) / 6.0, "hardswish",
        derivatives=(lambda x: 0.0 if x <= -3.0 else (1.0 if x >= 3.0 else x / 3.0 + 0.5),),
    )
)  # fmt: skip
_threshold = operation("threshold", lambda x, least, value: value if x <= least else x)
_hardshrink = operation("hardshrink", lambda x, size: 0.0 if x <= size and x >= -size else x)
_softshrink = operation(
    "softshrink",
    lambda x, size: x - size if x > size else (x + size if x < -size else 0.0 * x),
)
_tanhshrink = operation("tanhshrink", lambda x: x - math.tanh(x))
_prelu = operation("prelu", lambda x, slope: x if x > 0 else slope * x)


@public
def relu6(x: Tensor, inplace: bool = False) -> Tensor:
    """x, but at least 0 and at most 6.

    >>> import tessella as ts
    >>> relu6(ts.asarray([-1.0, 2.0, 9.0]))
    tensor([0., 2., 6.])
    """
    return settled(x, between(x, 0, 6, lambda y, *_: _relu6(y)), inplace, "relu6")


@public
def selu(x: Tensor, inplace: bool = False) -> Tensor:
    """`elu`, scaled so that layers keep mean 0 and variance 1.

    Source: Klambauer, Unterthiner, Mayr & Hochreiter, *Self-normalizing neural networks* (2017).

    >>> import tessella as ts
    >>> selu(ts.asarray([-1.0, 1.0]))
    tensor([-1.1113,  1.0507])
    """
    return settled(x, _selu(x), inplace, "selu")


@public
def celu(x: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """x where it is positive, else alpha (e^(x / alpha) - 1).

    Source: Barron, *Continuously differentiable exponential linear units* (2017).

    >>> import tessella as ts
    >>> celu(ts.asarray([-1.0, 2.0]), alpha=2.0)
    tensor([-0.7869,  2.    ])
    """
    if alpha == 0:
        raise ArgumentError(f"celu: alpha is {shown(alpha)}; expected another number than 0")
    return settled(x, _celu(x, alpha), inplace, "celu")


@public
def hardsigmoid(x: Tensor, inplace: bool = False) -> Tensor:
    """(x + 3) / 6, but at least 0 and at most 1.

    >>> import tessella as ts
    >>> hardsigmoid(ts.asarray([-4.0, 0.0, 4.0]))
    tensor([0. , 0.5, 1. ])
    """
    return settled(x, _hardsigmoid(x), inplace, "hardsigmoid")


@public
def hardswish(x: Tensor, inplace: bool = False) -> Tensor:
    """x hardsigmoid(x).

    Source: Howard et al., *Searching for MobileNetV3* (2019).

    >>> import tessella as ts
    >>> hardswish(ts.asarray([-4.0, 1.0, 4.0]))
    tensor([-0.    ,  0.6667,  4.    ])
    """
    return settled(x, _hardswish(x), inplace, "hardswish")


@public
def threshold(x: Tensor, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """x where it is above a threshold, else a value.

    >>> import tessella as ts
    >>> ts.nn.functional.threshold(ts.asarray([0.5, 2.0]), 1.0, -1.0)
    tensor([-1.,  2.])
    """
    return settled(x, _threshold(x, threshold, value), inplace, "threshold")


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
    if not lambd >= 0:
        raise ArgumentError(f"softshrink: lambd is {shown(lambd)}; expected at least 0")
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
@at_once
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
def softmin(x: Tensor, dim: int = -1, *, dtype: DTypeLike = None) -> Tensor:
    """`softmax` of -x.

    >>> import tessella as ts
    >>> softmin(ts.zeros(2))
    tensor([0.5, 0.5])
    """
    return softmax(-x, dim, dtype=dtype)


@public
def rrelu(
    x: Tensor, lower: float = 1.0 / 8, upper: float = 1.0 / 3, training: bool = False,
    inplace: bool = False,
) -> Tensor:  # fmt: skip
    """x where it is positive, else x times a slope: in training drawn for each element, evenly from `lower` to
    `upper`; otherwise the middle of the two.

    Raises:
        ArgumentError: `lower` lies above `upper`.

    Source: Xu, Wang, Chen & Li, *Empirical evaluation of rectified activations* (2015).

    >>> import tessella as ts
    >>> rrelu(ts.asarray([-4.0, 2.0]), 0.25, 0.75)
    tensor([-2.,  2.])
    """
    if not lower <= upper:
        raise ArgumentError(
            f"rrelu: lower is {shown(lower)}, upper {shown(upper)}; expected the smaller one first"
        )
    drawn = default.uniform(x.shape, lower, upper).astype(x.dtype) if training else None
    slope = (lower + upper) / 2 if drawn is None else drawn
    return settled(x, _prelu(x, slope), inplace, "rrelu")


@public
def gumbel_softmax(
    logits: Tensor, tau: float = 1.0, hard: bool = False, eps: float = 1e-10, dim: int = -1
) -> Tensor:
    """A sample of the Gumbel-softmax distribution: `softmax` of (logits + noise) / tau.

    Args:
        hard: whether the result has a single 1, at the largest place, and the gradient of the soft sample.
        eps: is not used, as in PyTorch.

    Raises:
        ArgumentError: tau is not above 0.

    Sources: Jang, Gu & Poole (2017); Maddison, Mnih & Teh (2017).

    >>> import tessella as ts
    >>> gumbel_softmax(ts.zeros((3, 4)), hard=True).sum(axis=1)
    tensor([1., 1., 1.])
    """
    if not tau > 0:
        raise ArgumentError(f"gumbel_softmax: tau is {shown(tau)}; expected a number above 0")
    axis = normalise_axis(dim, logits.ndim, "gumbel_softmax")
    noise = gumbel(default.key(), logits.shape).astype(logits.dtype)
    soft = softmax((logits + noise) / tau, axis)
    if not hard:
        return soft
    places = reshape(arange(logits.shape[axis]), (-1, *(1,) * (logits.ndim - axis - 1)))
    largest = (argmax(soft, axis=axis, keepdims=True) == places).astype(soft.dtype)
    return (largest - soft.detach()) + soft


selu_ = always_in_place(selu)
celu_ = always_in_place(celu)
rrelu_ = always_in_place(rrelu)
threshold_ = always_in_place(threshold)
