"""Normalisation."""

from __future__ import annotations

from tessella import dtypes
from tessella.arguments import public
from tessella.arguments.kinds import Count, NotNegative, ShapeLike
from tessella.devices.array import check_shape
from tessella.errors import ShapeError
from tessella.nn import functional as F
from tessella.nn.module import Module, Parameter
from tessella.tensors.creation import ones, zeros
from tessella.tensors.tensor import Tensor


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
