"""Dropout."""

from __future__ import annotations

from tessella.arguments import public
from tessella.dtypes import float32
from tessella.errors import ArgumentError
from tessella.primitives.dropout import Dropout, drop
from tessella.random.generator import default
from tessella.tensors.elementwise import zip_with
from tessella.tensors.operands import operand
from tessella.tensors.surroundings import default_float
from tessella.tensors.tensor import Tensor, apply

_drop = zip_with(drop.function)


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
    if not 0.0 <= p <= 1.0:
        raise ArgumentError(f"dropout: p is {p}; expected a probability from 0 to 1")
    if not training or p == 0.0:
        return x
    if p == 1.0:
        return _drop(x, 0.0, 1.0, 0.0)
    scale = 1.0 / (1.0 - p)
    if not x.dtype.is_float or default_float() is not float32:
        return _drop(x, default.uniform(x.shape), p, scale)
    return apply(Dropout(x.shape), (x, default.key(), operand(p, x), operand(scale, x)))
