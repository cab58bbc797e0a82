"""Activations: each is one ordinary scalar function, which the system differentiates and compiles."""

from __future__ import annotations

import math
from collections.abc import Callable

from tessella.arguments import public
from tessella.arguments.kinds import Approximation, DTypeLike, shown
from tessella.errors import ArgumentError
from tessella.nn.functional.checks import as_vector
from tessella.nn.functional.in_place import always_in_place, settled
from tessella.primitives.base import normalise_axis
from tessella.primitives.elementwise import elementwise
from tessella.primitives.softmax import LogSoftmax, Softmax
from tessella.scalar.mathematics import sigmoid as scalar_sigmoid
from tessella.scalar.mathematics import softplus as scalar_softplus
from tessella.tensors.elementwise import clip, operation
from tessella.tensors.manipulation import reshape
from tessella.tensors.tensor import Tensor, apply


@public
def relu(x: Tensor, inplace: bool = False) -> Tensor:
    """max(x, 0); its derivative at 0 is 0.

    >>> import tessella as ts
    >>> relu(ts.asarray([-1.0, 2.0]))
    tensor([0., 2.])
    """
    result = apply(_RELU, (x,))
    return settled(x, result, True, "relu") if inplace else result


@public
def sigmoid(x: Tensor) -> Tensor:
    """1 / (1 + e^-x).

    >>> import tessella as ts
    >>> sigmoid(ts.asarray([0.0]))
    tensor([0.5])
    """
    return apply(_SIGMOID, (x,))


@public
def tanh(x: Tensor) -> Tensor:
    """The hyperbolic tangent.

    >>> import tessella as ts
    >>> tanh(ts.asarray([0.0]))
    tensor([0.])
    """
    return apply(_TANH, (x,))


@public
def softplus(x: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """log(1 + e^(beta x)) / beta, without overflow; x itself where beta x is above a threshold.

    Raises:
        ArgumentError: beta is 0.

    >>> import tessella as ts
    >>> softplus(ts.asarray([0.0, 100.0]))
    tensor([  0.6931, 100.    ])
    """
    if type(beta) is float and type(threshold) is float and beta == 1.0 and threshold == 20.0:
        return apply(_SOFTPLUS, (x,))  # which is as near to x above 20
    if beta == 0:
        raise ArgumentError(f"softplus: beta is {shown(beta)}; expected another number than 0")
    return _softplus_of(x, beta, threshold)


@public
def logsigmoid(x: Tensor) -> Tensor:
    """log(1 / (1 + e^-x)), without underflow.

    >>> import tessella as ts
    >>> logsigmoid(ts.asarray([0.0, -100.0]))
    tensor([  -0.6931, -100.    ])
    """
    return apply(_LOG_SIGMOID, (x,))


_RELU, _SIGMOID, _TANH = elementwise("relu"), elementwise("sigmoid"), elementwise("tanh")
_SOFTPLUS, _LOG_SIGMOID = elementwise("softplus"), elementwise("log_sigmoid")
_softplus_of = operation(
    "softplus", lambda x, beta, most: x if x * beta > most else scalar_softplus(x * beta) / beta
)
_leaky_relu = operation("leaky_relu", lambda x, slope: x if x > 0 else slope * x)
_elu = operation("elu", lambda x, alpha: x if x > 0 else alpha * math.expm1(min(x, 0)))
_silu = operation("silu", lambda x: x * scalar_sigmoid(x))
_gelu = operation("gelu", lambda x: 0.5 * x * (1 + math.erf(x * math.sqrt(0.5))))
_gelu_tanh = operation(
    "gelu_tanh",
    lambda x: 0.5 * x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x))),
)
_mish = operation("mish", lambda x: x * math.tanh(scalar_softplus(x)))
_softsign = operation("softsign", lambda x: x / (1 + abs(x)))
_hardtanh = operation(
    "hardtanh", lambda x, low, high: low if x <= low else (high if x >= high else x)
)


@public
def leaky_relu(x: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """x where it is positive, else slope x.

    >>> import tessella as ts
    >>> leaky_relu(ts.asarray([-1.0, 2.0]))
    tensor([-0.01,  2.  ])
    """
    return settled(x, _leaky_relu(x, negative_slope), inplace, "leaky_relu")


@public
def elu(x: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """x where it is positive, else alpha (e^x - 1).

    Source: Clevert, Unterthiner & Hochreiter, *Exponential linear units* (2016).

    >>> import tessella as ts
    >>> elu(ts.asarray([-1.0, 2.0]))
    tensor([-0.6321,  2.    ])
    """
    return settled(x, _elu(x, alpha), inplace, "elu")


@public
def silu(x: Tensor, inplace: bool = False) -> Tensor:
    """x sigmoid(x), also called swish.

    >>> import tessella as ts
    >>> silu(ts.asarray([0.0, 1.0]))
    tensor([0.    , 0.7311])
    """
    return settled(x, _silu(x), inplace, "silu")


@public
def gelu(x: Tensor, approximate: Approximation = "none") -> Tensor:
    """x times the normal distribution function of x (or its tanh approximation).

    Raises:
        ArgumentError: `approximate` is neither 'none' nor 'tanh'.

    Source: Hendrycks & Gimpel, *Gaussian error linear units* (2016).

    >>> import tessella as ts
    >>> gelu(ts.asarray([0.0, 1.0]))
    tensor([0.    , 0.8413])
    """
    return (_gelu_tanh if approximate == "tanh" else _gelu)(x)


@public
def mish(x: Tensor, inplace: bool = False) -> Tensor:
    """x tanh(softplus(x)).

    Source: Misra, *Mish* (2019).

    >>> import tessella as ts
    >>> mish(ts.asarray([0.0, 1.0]))
    tensor([0.    , 0.8651])
    """
    return settled(x, _mish(x), inplace, "mish")


@public
def softsign(x: Tensor) -> Tensor:
    """x / (1 + |x|).

    >>> import tessella as ts
    >>> softsign(ts.asarray([-1.0, 3.0]))
    tensor([-0.5 ,  0.75])
    """
    return _softsign(x)


@public
def hardtanh(
    x: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False
) -> Tensor:
    """x, but at least `min_val` and at most `max_val`.

    >>> import tessella as ts
    >>> hardtanh(ts.asarray([-3.0, 0.5, 3.0]))
    tensor([-1. ,  0.5,  1. ])
    """
    if not min_val <= max_val:
        raise ArgumentError(
            f"hardtanh: min_val is {shown(min_val)}, max_val {shown(max_val)}; expected the smaller one first"
        )
    return settled(x, between(x, min_val, max_val, _hardtanh), inplace, "hardtanh")


def between(
    x: Tensor, low: float, high: float, of_fractions: Callable[[Tensor, float, float], Tensor]
) -> Tensor:
    """x within bounds; whole numbers stay whole, within bounds cut to whole ones."""
    return clip(x, int(low), int(high)) if x.dtype.is_integer else of_fractions(x, low, high)


@public
def softmax(x: Tensor, dim: int = -1, *, dtype: DTypeLike = None) -> Tensor:
    """e^x, divided by its sum along an axis.

    Shapes: any; the same. `dtype` is that of the computation and of the result.

    >>> import tessella as ts
    >>> softmax(ts.zeros((1, 4)))
    tensor([[0.25, 0.25, 0.25, 0.25]])
    """
    if not x.ndim:
        return reshape(softmax(as_vector(x), dim, dtype=dtype), ())
    axis = normalise_axis(dim, x.ndim, "softmax")
    return apply(Softmax(axis), (x if dtype is None else x.astype(dtype),))


@public
def log_softmax(x: Tensor, dim: int = -1, *, dtype: DTypeLike = None) -> Tensor:
    """The logarithm of `softmax`, without overflow.

    Shapes: any; the same. `dtype` is that of the computation and of the result.

    >>> import tessella as ts
    >>> log_softmax(ts.asarray([0.0, 1000.0]))
    tensor([-1000.,     0.])
    """
    if not x.ndim:
        return reshape(log_softmax(as_vector(x), dim, dtype=dtype), ())
    axis = normalise_axis(dim, x.ndim, "log_softmax")
    return apply(LogSoftmax(axis), (x if dtype is None else x.astype(dtype),))


relu_ = always_in_place(relu)
leaky_relu_ = always_in_place(leaky_relu)
elu_ = always_in_place(elu)
hardtanh_ = always_in_place(hardtanh)
