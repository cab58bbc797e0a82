"""Resampling, and the same elements elsewhere."""

from __future__ import annotations

from typing import Any, Literal

from tessella.arguments import public
from tessella.arguments.kinds import Count, Factors, PerAxis
from tessella.nn import functional as F
from tessella.nn.module import Module
from tessella.tensors.tensor import Tensor


class Upsample(Module):
    """Resampling to a size or by a factor; options as those of `functional.interpolate`.

    Shapes: (N, C, ...) with one to three axes after the channels -> (N, C, *size).

    >>> import tessella as ts
    >>> Upsample(scale_factor=2, mode="bilinear")(ts.zeros((1, 1, 3, 4))).shape
    (1, 1, 6, 8)
    """

    mode: Any

    @public
    def __init__(
        self, size: PerAxis | None = None, scale_factor: Factors | None = None,
        mode: Literal["nearest", "nearest-exact", "linear", "bilinear", "bicubic", "trilinear", "area"] = "nearest",
        align_corners: bool | None = None, recompute_scale_factor: bool | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.size, self.scale_factor, self.mode = size, scale_factor, mode
        self.align_corners, self.recompute_scale_factor = align_corners, recompute_scale_factor

    def forward(self, input: Tensor) -> Tensor:
        return F.interpolate(
            input, self.size, self.scale_factor, self.mode, self.align_corners, self.recompute_scale_factor
        )  # fmt: skip

    def extra_repr(self) -> str:
        by = (
            f"size={self.size}"
            if self.scale_factor is None
            else f"scale_factor={self.scale_factor}"
        )
        return f"{by}, mode={self.mode!r}"


class UpsamplingNearest2d(Upsample):
    """Each pixel several times; `Upsample` does the same and more."""

    @public
    def __init__(self, size: PerAxis | None = None, scale_factor: Factors | None = None) -> None:
        super().__init__(size, scale_factor, "nearest")


class UpsamplingBilinear2d(Upsample):
    """Bilinear resampling of images whose corners stay; `Upsample` does the same and more."""

    @public
    def __init__(self, size: PerAxis | None = None, scale_factor: Factors | None = None) -> None:
        super().__init__(size, scale_factor, "bilinear", True)


class PixelShuffle(Module):
    """Channels as places: (..., C r r, H, W) -> (..., C, H r, W r)."""

    @public
    def __init__(self, upscale_factor: Count) -> None:
        super().__init__()
        self.upscale_factor = upscale_factor

    def forward(self, input: Tensor) -> Tensor:
        return F.pixel_shuffle(input, self.upscale_factor)

    def extra_repr(self) -> str:
        return f"upscale_factor={self.upscale_factor}"


class PixelUnshuffle(Module):
    """Places as channels: (..., C, H r, W r) -> (..., C r r, H, W)."""

    @public
    def __init__(self, downscale_factor: Count) -> None:
        super().__init__()
        self.downscale_factor = downscale_factor

    def forward(self, input: Tensor) -> Tensor:
        return F.pixel_unshuffle(input, self.downscale_factor)

    def extra_repr(self) -> str:
        return f"downscale_factor={self.downscale_factor}"


class ChannelShuffle(Module):
    """The first channels of all groups, then the second ones, and so on, of (N, C, ...)."""

    @public
    def __init__(self, groups: Count) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, input: Tensor) -> Tensor:
        return F.channel_shuffle(input, self.groups)

    def extra_repr(self) -> str:
        return f"groups={self.groups}"


class Unfold(Module):
    """Windows of images as columns: (N, C, H, W) -> (N, C * window, number of windows), also without N."""

    @public
    def __init__(
        self, kernel_size: PerAxis, dilation: PerAxis = 1, padding: PerAxis = 0, stride: PerAxis = 1
    ) -> None:  # fmt: skip
        super().__init__()
        self.kernel_size, self.dilation, self.padding, self.stride = (
            kernel_size,
            dilation,
            padding,
            stride,
        )

    def forward(self, input: Tensor) -> Tensor:
        return F.unfold(input, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, dilation={self.dilation}, padding={self.padding}, stride={self.stride}"


class Fold(Unfold):
    """Columns added up where `Unfold` took them from: (N, C * window, number of windows) -> (N, C, H, W)."""

    @public
    def __init__(
        self, output_size: PerAxis, kernel_size: PerAxis, dilation: PerAxis = 1, padding: PerAxis = 0,
        stride: PerAxis = 1,
    ) -> None:  # fmt: skip
        super().__init__(kernel_size, dilation, padding, stride)
        self.output_size = output_size

    def forward(self, input: Tensor) -> Tensor:
        return F.fold(input, self.output_size, self.kernel_size, self.dilation, self.padding, self.stride)  # fmt: skip

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}, {super().extra_repr()}"
