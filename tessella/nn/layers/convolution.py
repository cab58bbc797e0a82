"""Convolutions."""

from __future__ import annotations

from tessella.arguments import public
from tessella.arguments.kinds import Count, Padding, PerAxis
from tessella.errors import ArgumentError
from tessella.nn.functional.convolution import check_padding, convolution, per_axis
from tessella.nn.layers.linear import reset
from tessella.nn.module import Module, Parameter
from tessella.tensors.creation import empty
from tessella.tensors.tensor import Tensor


class _Convolution(Module):
    """What the convolutions share; `rank` is the number of spatial axes."""

    rank: int
    bias: Parameter | None

    @public
    def __init__(
        self, in_channels: Count, out_channels: Count, kernel_size: PerAxis, stride: PerAxis = 1,
        padding: Padding = 0, dilation: PerAxis = 1, groups: Count = 1, bias: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        name = type(self).__name__
        if in_channels % groups or out_channels % groups:
            raise ArgumentError(
                f"{name}: groups={groups} must divide in_channels={in_channels} and "
                f"out_channels={out_channels}"
            )
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size = self._counts("kernel_size", kernel_size)
        self.stride = self._counts("stride", stride)
        if isinstance(padding, str):
            check_padding(name, padding, self.stride)
        self.padding = (
            padding if isinstance(padding, str) else per_axis(padding, self.rank, "padding")
        )
        self.dilation = self._counts("dilation", dilation)
        self.weight = Parameter(empty((out_channels, in_channels // groups, *self.kernel_size)))
        self.register_parameter("bias", Parameter(empty(out_channels)) if bias else None)
        reset(self.weight, self.bias)

    def _counts(self, argument: str, value: PerAxis) -> tuple[int, ...]:
        numbers = per_axis(value, self.rank, f"{type(self).__name__}: {argument}")
        if min(numbers) < 1:
            raise ArgumentError(
                f"{type(self).__name__}: {argument} is {value}; expected whole numbers of at least 1"
            )
        return numbers

    def forward(self, x: Tensor) -> Tensor:
        return convolution(
            x, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups,
            self.rank,
        )  # fmt: skip

    def extra_repr(self) -> str:
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        if self.padding != (0,) * self.rank:
            text += f", padding={self.padding}"
        if self.dilation != (1,) * self.rank:
            text += f", dilation={self.dilation}"
        text += f", groups={self.groups}" if self.groups != 1 else ""
        return text if self.bias is not None else text + ", bias=False"


class Conv1d(_Convolution):
    """Correlation with a bank of kernels along one axis.

    Shapes: (N, in, L) -> (N, out, L').
    Initialisation: weights and biases evenly over +-1/sqrt(in / groups * kernel).
    """

    rank = 1


class Conv2d(_Convolution):
    """Correlation with a bank of kernels over images.

    Shapes: (N, in, H, W) -> (N, out, H', W'),
        H' = (H + 2 padding - dilation (kernel - 1) - 1) // stride + 1.
    Initialisation: weights and biases evenly over +-1/sqrt(in / groups * kernel area).

    >>> import tessella as ts
    >>> Conv2d(1, 4, 3, padding=1)(ts.zeros((2, 1, 8, 8))).shape
    (2, 4, 8, 8)
    """

    rank = 2


class Conv3d(_Convolution):
    """Correlation with a bank of kernels over volumes."""

    rank = 3
