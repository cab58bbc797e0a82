"""Layers with parameters and state, under PyTorch's names."""

from __future__ import annotations

import math
from typing import Any

from tessella import dtypes
from tessella.arguments import public
from tessella.arguments.kinds import (
    Count,
    Natural,
    NotNegative,
    Padding,
    PerAxis,
    Probability,
    ShapeLike,
)
from tessella.devices.array import check_shape
from tessella.errors import ArgumentError, ShapeError
from tessella.nn import functional as F
from tessella.nn import init
from tessella.nn.functional.convolution import check_padding, convolution, per_axis
from tessella.nn.module import Module, Parameter
from tessella.tensors.creation import empty, ones, zeros
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
        _reset(self.weight, self.bias)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.bias)

    def extra_repr(self) -> str:
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, "
            f"bias={self.bias is not None}"
        )


def _reset(weight: Parameter, bias: Parameter | None) -> None:
    """PyTorch's default: Kaiming uniform with a = sqrt(5), that is +-1/sqrt(fan in)."""
    init.kaiming_uniform_(weight, a=math.sqrt(5))
    if bias is not None:
        fan_in = init.fans(weight)[0]
        bound = 1 / math.sqrt(fan_in) if fan_in else 0.0
        init.uniform_(bias, -bound, bound)


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
        _reset(self.weight, self.bias)

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


class _Pool(Module):
    @public
    def __init__(
        self, kernel_size: PerAxis, stride: PerAxis | None = None, padding: PerAxis = 0
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxPool2d(_Pool):
    """The largest element of each window of images."""

    @public
    def __init__(
        self,
        kernel_size: PerAxis,
        stride: PerAxis | None = None,
        padding: PerAxis = 0,
        dilation: PerAxis = 1,
    ) -> None:
        super().__init__(kernel_size, stride, padding)
        self.dilation = dilation

    def forward(self, x: Tensor) -> Tensor:
        return F.max_pool2d(x, self.kernel_size, self.stride, self.padding, self.dilation)


class MaxPool1d(_Pool):
    """The largest element of each window of sequences."""

    def forward(self, x: Tensor) -> Tensor:
        return F.max_pool1d(x, self.kernel_size, self.stride, self.padding)


class AvgPool2d(_Pool):
    """The mean of each window of images; padding counts as zeros."""

    def forward(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(x, self.kernel_size, self.stride, self.padding)


class AvgPool1d(_Pool):
    """The mean of each window of sequences; padding counts as zeros."""

    def forward(self, x: Tensor) -> Tensor:
        return F.avg_pool1d(x, self.kernel_size, self.stride, self.padding)


class _BatchNorm(Module):
    """What the batch normalisations share; `ranks` says how many axes the input may have."""

    ranks: tuple[int, ...]

    @public
    def __init__(
        self, num_features: Count, eps: NotNegative = 1e-5, momentum: float | None = 0.1,
        affine: bool = True, track_running_stats: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        self.num_features = num_features
        self.eps, self.momentum, self.affine = eps, momentum, affine
        self.track_running_stats = track_running_stats
        self.register_parameter("weight", Parameter(ones(num_features)) if affine else None)
        self.register_parameter("bias", Parameter(zeros(num_features)) if affine else None)
        track = track_running_stats
        self.register_buffer("running_mean", zeros(num_features) if track else None)
        self.register_buffer("running_var", ones(num_features) if track else None)
        count = zeros((), dtype=dtypes.int64) if track else None
        self.register_buffer("num_batches_tracked", count)

    @public
    def forward(self, x: Tensor) -> Tensor:
        if x.ndim not in self.ranks or x.shape[1] != self.num_features:
            raise ShapeError(
                f"{type(self).__name__}: shape {x.shape}; expected {' or '.join(map(str, self.ranks))} "
                f"axes, the second of size {self.num_features}"
            )
        momentum = self.momentum
        if self.training and self.track_running_stats:
            self.num_batches_tracked.assign(self.num_batches_tracked + 1)
            if momentum is None:
                momentum = 1.0 / self.num_batches_tracked
        return F.batch_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias,
            self.training or not self.track_running_stats,
            0.0 if momentum is None else momentum, self.eps,
        )  # fmt: skip

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"track_running_stats={self.track_running_stats}"
        )


class BatchNorm1d(_BatchNorm):
    """Each channel of (N, C) or (N, C, L) with mean 0 and variance 1, scaled and shifted."""

    ranks = (2, 3)


class BatchNorm2d(_BatchNorm):
    """Each channel of (N, C, H, W) with mean 0 and variance 1, scaled and shifted.

    y = (x - mean) / sqrt(var + eps) * weight + bias, with the batch's statistics in training and
    the running ones in evaluation.

    Source: Ioffe & Szegedy, *Batch normalization* (2015).
    """

    ranks = (4,)


class LayerNorm(Module):
    """The last axes with mean 0 and variance 1, scaled and shifted.

    Source: Ba, Kiros & Hinton, *Layer normalization* (2016).
    """

    @public
    def __init__(
        self, normalized_shape: ShapeLike, eps: NotNegative = 1e-5, bias: bool = True
    ) -> None:
        super().__init__()
        shape = check_shape(normalized_shape, "LayerNorm")
        self.normalized_shape, self.eps = shape, eps
        self.weight = Parameter(ones(shape))
        self.register_parameter("bias", Parameter(zeros(shape)) if bias else None)

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}"


class Embedding(Module):
    """The rows of a table at some places.

    Initialisation: normal with mean 0 and deviation 1.
    """

    @public
    def __init__(self, num_embeddings: Natural, embedding_dim: Natural) -> None:
        super().__init__()
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.weight = Parameter(empty((num_embeddings, embedding_dim)))
        init.normal_(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        return F.embedding(x, self.weight)

    def extra_repr(self) -> str:
        return f"{self.num_embeddings}, {self.embedding_dim}"


class Dropout(Module):
    """In training, zero with probability p, the rest scaled by 1 / (1 - p)."""

    @public
    def __init__(self, p: Probability = 0.5) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.p, self.training)

    def extra_repr(self) -> str:
        return f"p={self.p}"


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


class Identity(Module):
    """The input itself."""

    def __init__(self, *_: Any, **__: Any) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        return x
