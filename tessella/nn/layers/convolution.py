"""Convolutions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tessella.arguments import public
from tessella.arguments.kinds import Count, Padding, PaddingMode, PerAxis, shown
from tessella.errors import ArgumentError, ShapeError
from tessella.nn.functional.convolution import check_padding, convolution, per_axis
from tessella.nn.functional.transposed_convolution import transposed_convolution
from tessella.nn.layers.linear import reset
from tessella.nn.module import Module, Parameter
from tessella.tensors.creation import empty
from tessella.tensors.tensor import Tensor


class _Convolution(Module):
    """What all convolutions share; `rank` is the number of spatial axes."""

    rank: int
    bias: Parameter | None
    padding: Any
    padding_mode: PaddingMode

    def _take(
        self, in_channels: int, out_channels: int, kernel_size: PerAxis, stride: PerAxis,
        dilation: PerAxis, groups: int,
    ) -> None:  # fmt: skip
        """What is the same for all of them."""
        if in_channels % groups or out_channels % groups:
            raise ArgumentError(
                f"{type(self).__name__}: groups={groups} must divide in_channels={in_channels} and "
                f"out_channels={out_channels}"
            )
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size = self._numbers("kernel_size", kernel_size, 1)
        self.stride = self._numbers("stride", stride, 1)
        self.dilation = self._numbers("dilation", dilation, 1)

    def _make(self, rows: int, columns: int, bias: bool) -> None:
        """The parameters; rows and columns of the weight are channels."""
        self.weight = Parameter(empty((rows, columns, *self.kernel_size)))
        self.register_parameter("bias", Parameter(empty(self.out_channels)) if bias else None)
        reset(self.weight, self.bias)

    def _numbers(self, argument: str, value: Any, least: int) -> tuple[int, ...]:
        numbers = per_axis(value, self.rank, f"{type(self).__name__}: {argument}")
        if min(numbers) < least:
            raise ArgumentError(
                f"{type(self).__name__}: {argument} is {value}; expected whole numbers of at least {least}"
            )
        return numbers

    def extra_repr(self) -> str:
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        zeros, ones = (0,) * self.rank, (1,) * self.rank
        usual = {
            "padding": zeros, "output_padding": zeros, "dilation": ones, "groups": 1,
            "padding_mode": "zeros",
        }  # fmt: skip
        for name, value in usual.items():
            text += f", {name}={given}" if (given := getattr(self, name, value)) != value else ""
        return text if self.bias is not None else text + ", bias=False"


class _Correlation(_Convolution):
    @public
    def __init__(
        self, in_channels: Count, out_channels: Count, kernel_size: PerAxis, stride: PerAxis = 1,
        padding: Padding = 0, dilation: PerAxis = 1, groups: Count = 1, bias: bool = True,
        padding_mode: PaddingMode = "zeros",
    ) -> None:  # fmt: skip
        super().__init__()
        self._take(in_channels, out_channels, kernel_size, stride, dilation, groups)
        if isinstance(padding, str):
            check_padding(type(self).__name__, padding, self.stride)
            self.padding = padding
        else:
            self.padding = self._numbers("padding", padding, 0)
        self.padding_mode = padding_mode
        self._make(out_channels, in_channels // groups, bias)

    def forward(self, input: Tensor) -> Tensor:
        return convolution(
            input, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups,
            self.rank, self.padding_mode,
        )  # fmt: skip


class _TransposedConvolution(_Convolution):
    @public
    def __init__(
        self, in_channels: Count, out_channels: Count, kernel_size: PerAxis, stride: PerAxis = 1,
        padding: PerAxis = 0, output_padding: PerAxis = 0, groups: Count = 1, bias: bool = True,
        dilation: PerAxis = 1, padding_mode: PaddingMode = "zeros",
    ) -> None:  # fmt: skip
        super().__init__()
        if padding_mode != "zeros":
            raise ArgumentError(
                f"{type(self).__name__}: padding_mode is {padding_mode!r}; expected 'zeros', as a transposed "
                "convolution takes its padding away"
            )
        self._take(in_channels, out_channels, kernel_size, stride, dilation, groups)
        self.padding = self._numbers("padding", padding, 0)
        self.output_padding = self._numbers("output_padding", output_padding, 0)
        self._make(in_channels, out_channels // groups, bias)

    @public
    def forward(self, input: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        more = self.output_padding if output_size is None else self._missing(input, output_size)
        return transposed_convolution(
            input, self.weight, self.bias, self.stride, self.padding, more, self.groups, self.dilation,
            self.rank,
        )  # fmt: skip

    def _missing(self, x: Tensor, output_size: Sequence[int]) -> tuple[int, ...]:
        """What the output is padded with to have a size."""
        if x.ndim not in (self.rank + 1, self.rank + 2):
            raise ShapeError(
                f"{type(self).__name__}: shape {x.shape}; expected {self.rank + 1} or {self.rank + 2} axes"
            )
        wanted = tuple(output_size)[-self.rank :]
        if len(output_size) not in (self.rank, x.ndim):
            raise ArgumentError(
                f"{type(self).__name__}: output_size is {shown(tuple(output_size))}; expected {self.rank} numbers, "
                "one for each spatial axis, or a whole shape"
            )
        numbers = zip(
            x.shape[x.ndim - self.rank :], self.stride, self.padding, self.kernel_size, self.dilation, strict=True
        )  # fmt: skip
        least = [(n - 1) * s - 2 * p + (k - 1) * d + 1 for n, s, p, k, d in numbers]
        more = tuple([size - low for size, low in zip(wanted, least, strict=True)])
        if any(not 0 <= m < s for m, s in zip(more, self.stride, strict=True)):
            most = [low + s - 1 for low, s in zip(least, self.stride, strict=True)]
            raise ShapeError(
                f"{type(self).__name__}: output_size is {shown(wanted)}; of an input of shape {x.shape} come sizes from "
                f"{tuple(least)} to {tuple(most)}"
            )
        return more


class Conv1d(_Correlation):
    """Correlation with a bank of kernels along one axis.

    Shapes: (N, in, L) -> (N, out, L'), also without N.
    Initialisation: weights and biases evenly over +-1/sqrt(in / groups * kernel).
    """

    rank = 1


class Conv2d(_Correlation):
    """Correlation with a bank of kernels over images.

    Shapes: (N, in, H, W) -> (N, out, H', W'), also without N,
        H' = (H + 2 padding - dilation (kernel - 1) - 1) // stride + 1.
    Initialisation: weights and biases evenly over +-1/sqrt(in / groups * kernel area).

    >>> import tessella as ts
    >>> Conv2d(1, 4, 3, padding=1)(ts.zeros((2, 1, 8, 8))).shape
    (2, 4, 8, 8)
    """

    rank = 2


class Conv3d(_Correlation):
    """Correlation with a bank of kernels over volumes."""

    rank = 3


class ConvTranspose1d(_TransposedConvolution):
    """The transpose of `Conv1d`: each element adds a multiple of the kernel to the result.

    Shapes: (N, in, L) -> (N, out, L'), also without N,
        L' = (L - 1) stride - 2 padding + dilation (kernel - 1) + output_padding + 1;
        `output_size` of the call chooses among those that a convolution takes to the same L.
    Parameters: `weight` (in, out / groups, kernel) and `bias` (out,).
    Initialisation: weights and biases evenly over +-1/sqrt(out / groups * kernel).

    Raises:
        ShapeError: no output has that size.

    >>> import tessella as ts
    >>> ConvTranspose1d(3, 2, 4, stride=2, padding=1)(ts.zeros((1, 3, 5)), output_size=(11,)).shape
    (1, 2, 11)
    """

    rank = 1


class ConvTranspose2d(_TransposedConvolution):
    """The transpose of `Conv2d`; sizes, parameters and errors as those of `ConvTranspose1d`.

    >>> import tessella as ts
    >>> ConvTranspose2d(3, 2, 2, stride=2)(ts.zeros((1, 3, 4, 5))).shape
    (1, 2, 8, 10)
    """

    rank = 2


class ConvTranspose3d(_TransposedConvolution):
    """The transpose of `Conv3d`; sizes, parameters and errors as those of `ConvTranspose1d`."""

    rank = 3
