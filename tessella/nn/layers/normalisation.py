"""Normalisation."""

from __future__ import annotations

from tessella import dtypes
from tessella.arguments import public
from tessella.arguments.kinds import Count, NotNegative, ShapeLike
from tessella.devices.array import check_shape
from tessella.errors import ArgumentError, ShapeError
from tessella.nn import functional as F
from tessella.nn.module import Module, Parameter
from tessella.tensors.creation import ones, zeros
from tessella.tensors.manipulation import reshape
from tessella.tensors.tensor import Tensor


class _ChannelNorm(Module):
    """What the normalisations by channels share: parameters and running statistics; `rank` is of the places."""

    rank: int

    def _take(
        self, num_features: int, eps: float, momentum: float | None, affine: bool, track: bool, bias: bool
    ) -> None:  # fmt: skip
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track
        _register_affine(self, (num_features,), affine, affine and bias)
        self.register_buffer("running_mean", zeros(num_features) if track else None)
        self.register_buffer("running_var", ones(num_features) if track else None)
        count = zeros((), dtype=dtypes.int64) if track else None
        self.register_buffer("num_batches_tracked", count)

    def _check(self, x: Tensor, ranks: tuple[int, ...], channels: int) -> None:
        free = not self.affine and not self.track_running_stats  # nothing has a size of its own
        wrong = x.ndim in ranks and x.shape[channels] != self.num_features and not free
        if x.ndim not in ranks or wrong:
            raise ShapeError(
                f"{type(self).__name__}: shape {x.shape}; expected {' or '.join(map(str, ranks))} "
                f"axes, the {'second' if channels == 1 else f'one before the last {self.rank}'} of size {self.num_features}"
            )

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"track_running_stats={self.track_running_stats}"
        )


def _register_affine(module: Module, shape: tuple[int, ...], weight: bool, bias: bool) -> None:
    """Ones to scale with and zeros to shift with, or None."""
    module.register_parameter("weight", Parameter(ones(shape)) if weight else None)
    module.register_parameter("bias", Parameter(zeros(shape)) if bias else None)


class _BatchNorm(_ChannelNorm):
    @public
    def __init__(
        self, num_features: Count, eps: NotNegative = 1e-5, momentum: float | None = 0.1,
        affine: bool = True, track_running_stats: bool = True, *, bias: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        self._take(num_features, eps, momentum, affine, track_running_stats, bias)

    @public
    def forward(self, input: Tensor) -> Tensor:
        self._check(input, (2, 3) if self.rank == 1 else (self.rank + 2,), 1)
        momentum = self.momentum
        if self.training and self.track_running_stats:
            self.num_batches_tracked.assign(self.num_batches_tracked + 1)
            if momentum is None:
                momentum = 1.0 / self.num_batches_tracked
        return F.batch_norm(
            input, self.running_mean, self.running_var, self.weight, self.bias,
            self.training or not self.track_running_stats,
            0.0 if momentum is None else momentum, self.eps,
        )  # fmt: skip


class _InstanceNorm(_ChannelNorm):
    @public
    def __init__(
        self, num_features: Count, eps: NotNegative = 1e-5, momentum: float | None = 0.1,
        affine: bool = False, track_running_stats: bool = False, *, bias: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        self._take(num_features, eps, momentum, affine, track_running_stats, bias)

    @public
    def forward(self, input: Tensor) -> Tensor:
        self._check(input, (self.rank + 1, self.rank + 2), input.ndim - self.rank - 1)
        batched = input if input.ndim == self.rank + 2 else reshape(input, (1, *input.shape))
        result = F.instance_norm(
            batched, self.running_mean, self.running_var, self.weight, self.bias,
            self.training or not self.track_running_stats,
            0.0 if self.momentum is None else self.momentum, self.eps,
        )  # fmt: skip
        return reshape(result, input.shape)


class BatchNorm1d(_BatchNorm):
    """Each channel of (N, C) or (N, C, L) with mean 0 and variance 1, scaled and shifted."""

    rank = 1


class BatchNorm2d(_BatchNorm):
    """Each channel of (N, C, H, W) with mean 0 and variance 1, scaled and shifted.

    y = (x - mean) / sqrt(var + eps) * weight + bias, with the batch's statistics in training and
    the running ones in evaluation.

    Source: Ioffe & Szegedy, *Batch normalization* (2015).
    """

    rank = 2


class BatchNorm3d(_BatchNorm):
    """Each channel of (N, C, D, H, W) with mean 0 and variance 1, scaled and shifted; as `BatchNorm2d`."""

    rank = 3


class InstanceNorm1d(_InstanceNorm):
    """Each channel of each example of (N, C, L), also without N, with mean 0 and variance 1.

    With `affine` it is scaled and shifted, with `track_running_stats` evaluation takes the statistics of training.

    Source: Ulyanov, Vedaldi & Lempitsky, *Instance normalization* (2016).

    >>> InstanceNorm1d(1, eps=0.0)([[[1.0, 3.0]]])
    tensor([[[-1.,  1.]]])
    """

    rank = 1


class InstanceNorm2d(_InstanceNorm):
    """Each channel of each example of (N, C, H, W), also without N, with mean 0 and variance 1; as `InstanceNorm1d`."""

    rank = 2


class InstanceNorm3d(_InstanceNorm):
    """Each channel of each example of (N, C, D, H, W), also without N; as `InstanceNorm1d`."""

    rank = 3


class GroupNorm(Module):
    """Each group of channels of each example with mean 0 and variance 1, then each channel scaled and shifted.

    Shapes: (N, C, ...); the same.

    Raises:
        ArgumentError: the groups do not divide the channels.

    Source: Wu & He, *Group normalization* (2018).

    >>> GroupNorm(2, 4, eps=1e-9)([[1.0, 3.0, 5.0, 5.0]]).detach()
    tensor([[-1.,  1.,  0.,  0.]])
    """

    @public
    def __init__(
        self, num_groups: Count, num_channels: Count, eps: NotNegative = 1e-5, affine: bool = True,
        *, bias: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        if num_channels % num_groups:
            raise ArgumentError(
                f"GroupNorm: num_groups={num_groups} does not divide num_channels={num_channels}"
            )
        self.num_groups, self.num_channels, self.eps, self.affine = (
            num_groups, num_channels, eps, affine,
        )  # fmt: skip
        _register_affine(self, (num_channels,), affine, affine and bias)

    @public
    def forward(self, input: Tensor) -> Tensor:
        if input.ndim < 2 or input.shape[1] != self.num_channels:
            raise ShapeError(
                f"GroupNorm: shape {input.shape}; expected (N, {self.num_channels}, ...)"
            )
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}"


class LocalResponseNorm(Module):
    """Each element divided by (k + alpha mean(square))**beta, the mean over channels near its own.

    Source: Krizhevsky, Sutskever & Hinton, *ImageNet classification with deep convolutional neural networks* (2012).
    """

    @public
    def __init__(
        self, size: Count, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
    ) -> None:
        super().__init__()
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, input: Tensor) -> Tensor:
        return F.local_response_norm(input, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"


class LayerNorm(Module):
    """The last axes with mean 0 and variance 1, scaled and shifted.

    Source: Ba, Kiros & Hinton, *Layer normalization* (2016).
    """

    @public
    def __init__(
        self, normalized_shape: ShapeLike, eps: NotNegative = 1e-5, elementwise_affine: bool = True,
        bias: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        self.normalized_shape, self.eps = check_shape(normalized_shape, "LayerNorm"), eps
        self.elementwise_affine = elementwise_affine
        _register_affine(
            self, self.normalized_shape, elementwise_affine, elementwise_affine and bias
        )

    def forward(self, input: Tensor) -> Tensor:
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"
        )


class RMSNorm(Module):
    """The last axes divided by the root of their mean square, then scaled.

    Args:
        eps: added to the mean square; if it is not given, the smallest step from one in the input's dtype.

    Source: Zhang & Sennrich, *Root mean square layer normalization* (2019).

    >>> RMSNorm(2, eps=0.0)([3.0, -3.0]).detach()
    tensor([ 1., -1.])
    """

    @public
    def __init__(
        self, normalized_shape: ShapeLike, eps: NotNegative | None = None, elementwise_affine: bool = True
    ) -> None:  # fmt: skip
        super().__init__()
        self.normalized_shape, self.eps = check_shape(normalized_shape, "RMSNorm"), eps
        self.elementwise_affine = elementwise_affine
        weight = Parameter(ones(self.normalized_shape)) if elementwise_affine else None
        self.register_parameter("weight", weight)

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"
        )
