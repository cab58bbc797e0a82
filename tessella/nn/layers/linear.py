"""Linear layers, and layers that only change the shape."""

from __future__ import annotations

import math
from typing import Any

from tessella.arguments import public
from tessella.arguments.kinds import Count, Natural
from tessella.nn import functional as F
from tessella.nn import init
from tessella.nn.module import Module, Parameter
from tessella.tensors.creation import empty
from tessella.tensors.tensor import Tensor


class Linear(Module):
    """y = x W^T + b.

    Shapes: (..., in_features) -> (..., out_features); W is (out_features, in_features).
    Initialisation: W and b evenly over +-1/sqrt(in_features).

    >>> import tessella as ts
    >>> Linear(3, 2)(ts.zeros((5, 3))).shape
    (5, 2)
    """

    bias: Parameter | None

    @public
    def __init__(self, in_features: Natural, out_features: Count, bias: bool = True) -> None:
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        self.weight = Parameter(empty((out_features, in_features)))
        self.register_parameter("bias", Parameter(empty(out_features)) if bias else None)
        reset(self.weight, self.bias)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.bias)

    def extra_repr(self) -> str:
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, "
            f"bias={self.bias is not None}"
        )


def reset(weight: Parameter, bias: Parameter | None) -> None:
    """PyTorch's default: Kaiming uniform with a = sqrt(5), that is +-1/sqrt(fan in)."""
    init.kaiming_uniform_(weight, a=math.sqrt(5))
    if bias is not None:
        fan_in = init.fans(weight)[0]
        bound = 1 / math.sqrt(fan_in) if fan_in else 0.0
        init.uniform_(bias, -bound, bound)


class Identity(Module):
    """The input itself."""

    def __init__(self, *_: Any, **__: Any) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        return x


class Flatten(Module):
    """The axes from `start_dim` to `end_dim` as one."""

    @public
    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim, self.end_dim = start_dim, end_dim

    @public
    def forward(self, x: Tensor) -> Tensor:
        return F.flatten(x, self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"
