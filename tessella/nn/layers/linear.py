"""Linear layers, and layers that only change the shape."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from tessella.arguments import public
from tessella.arguments.kinds import Count, Natural
from tessella.nn import functional as F
from tessella.nn import init
from tessella.nn.module import Module, Parameter
from tessella.tensors.creation import empty
from tessella.tensors.shapes import unflatten
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

    def forward(self, input: Tensor) -> Tensor:
        return F.linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, "
            f"bias={self.bias is not None}"
        )


class Bilinear(Module):
    """y = x1^T W x2 + b, for each output.

    Shapes: (..., in1_features) and (..., in2_features) -> (..., out_features); W is (out_features, in1_features,
    in2_features).
    Initialisation: W and b evenly over +-1/sqrt(in1_features).

    >>> import tessella as ts
    >>> Bilinear(3, 4, 2)(ts.zeros((5, 3)), ts.zeros((5, 4))).shape
    (5, 2)
    """

    bias: Parameter | None

    @public
    def __init__(
        self, in1_features: Count, in2_features: Natural, out_features: Count, bias: bool = True
    ) -> None:
        super().__init__()
        self.in1_features, self.in2_features = in1_features, in2_features
        self.out_features = out_features
        self.weight = Parameter(empty((out_features, in1_features, in2_features)))
        self.register_parameter("bias", Parameter(empty(out_features)) if bias else None)
        bound = 1 / math.sqrt(in1_features)
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound)

    def forward(self, input1: Tensor, input2: Tensor) -> Tensor:
        return F.bilinear(input1, input2, self.weight, self.bias)

    def extra_repr(self) -> str:
        return (
            f"in1_features={self.in1_features}, in2_features={self.in2_features}, "
            f"out_features={self.out_features}, bias={self.bias is not None}"
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

    def forward(self, input: Tensor) -> Tensor:
        return input


class Flatten(Module):
    """The axes from `start_dim` to `end_dim` as one."""

    @public
    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim, self.end_dim = start_dim, end_dim

    @public
    def forward(self, input: Tensor) -> Tensor:
        return F.flatten(input, self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Module):
    """One axis as several; one of their sizes may be -1.

    >>> import tessella as ts
    >>> Unflatten(1, (2, -1))(ts.zeros((5, 6))).shape
    (5, 2, 3)
    """

    @public
    def __init__(self, dim: int, unflattened_size: Sequence[int]) -> None:
        super().__init__()
        self.dim, self.unflattened_size = dim, tuple(unflattened_size)

    def forward(self, input: Tensor) -> Tensor:
        return unflatten(input, self.dim, self.unflattened_size)

    def extra_repr(self) -> str:
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"
