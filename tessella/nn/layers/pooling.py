"""Pooling: the largest element, the mean, or another norm of each window."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from tessella.arguments import public
from tessella.arguments.kinds import Factors, PerAxis, Sizes
from tessella.nn import functional as F
from tessella.nn.functional.irregular_pooling import check_share
from tessella.nn.module import Module
from tessella.tensors.tensor import Tensor


class _Windowed(Module):
    """What the poolings share: options with the names of the function's parameters, shown in this order."""

    rank: ClassVar[int]
    family: ClassVar[str]

    def _options(self, **options: Any) -> None:
        self._names = tuple(options)
        for name, value in options.items():
            setattr(self, name, value)

    def _of(self, *given: Any, **more: Any) -> Any:
        function = getattr(F, f"{self.family}{self.rank}d")
        return function(*given, **{name: getattr(self, name) for name in self._names}, **more)

    def extra_repr(self) -> str:
        return ", ".join(f"{name}={getattr(self, name)}" for name in self._names)


class _Pool(_Windowed):
    def forward(self, input: Tensor) -> Any:
        return self._of(input)


class _MaxPool(_Pool):
    family = "max_pool"

    @public
    def __init__(
        self, kernel_size: PerAxis, stride: PerAxis | None = None, padding: PerAxis = 0, dilation: PerAxis = 1,
        return_indices: bool = False, ceil_mode: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self._options(
            kernel_size=kernel_size, stride=kernel_size if stride is None else stride, padding=padding,
            dilation=dilation, return_indices=return_indices, ceil_mode=ceil_mode,
        )  # fmt: skip


class _AvgPool(_Pool):
    family = "avg_pool"

    @public
    def __init__(
        self, kernel_size: PerAxis, stride: PerAxis | None = None, padding: PerAxis = 0, ceil_mode: bool = False,
        count_include_pad: bool = True, divisor_override: int | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self._options(
            kernel_size=kernel_size, stride=kernel_size if stride is None else stride, padding=padding,
            ceil_mode=ceil_mode, count_include_pad=count_include_pad, divisor_override=divisor_override,
        )  # fmt: skip


class _LPPool(_Pool):
    family = "lp_pool"

    @public
    def __init__(
        self,
        norm_type: float,
        kernel_size: PerAxis,
        stride: PerAxis | None = None,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self._options(
            norm_type=norm_type, kernel_size=kernel_size, stride=stride, ceil_mode=ceil_mode
        )


class _AdaptiveAvgPool(_Pool):
    family = "adaptive_avg_pool"

    @public
    def __init__(self, output_size: Sizes) -> None:
        super().__init__()
        self._options(output_size=output_size)


class _AdaptiveMaxPool(_Pool):
    family = "adaptive_max_pool"

    @public
    def __init__(self, output_size: Sizes, return_indices: bool = False) -> None:
        super().__init__()
        self._options(output_size=output_size, return_indices=return_indices)


class _FractionalMaxPool(_Pool):
    family = "fractional_max_pool"

    @public
    def __init__(
        self, kernel_size: PerAxis, output_size: PerAxis | None = None, output_ratio: Factors | None = None,
        return_indices: bool = False, _random_samples: Tensor | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        check_share(output_size, output_ratio, self.rank, type(self).__name__)
        self._options(
            kernel_size=kernel_size, output_size=output_size, output_ratio=output_ratio,
            return_indices=return_indices,
        )  # fmt: skip
        self.register_buffer("_random_samples", _random_samples)

    def forward(self, input: Tensor) -> Any:
        return self._of(input, _random_samples=self._random_samples)


class _MaxUnpool(_Windowed):
    family = "max_unpool"

    @public
    def __init__(
        self, kernel_size: PerAxis, stride: PerAxis | None = None, padding: PerAxis = 0
    ) -> None:
        super().__init__()
        self._options(
            kernel_size=kernel_size, stride=kernel_size if stride is None else stride, padding=padding
        )  # fmt: skip

    @public
    def forward(
        self, input: Tensor, indices: Tensor, output_size: Sequence[int] | None = None
    ) -> Tensor:
        unpooled: Tensor = self._of(input, indices, output_size=output_size)
        return unpooled


class MaxPool1d(_MaxPool):
    """The largest element of each window of sequences; options as those of `functional.max_pool1d`.

    Shapes: (N, C, L) -> (N, C, L'), also without N.
    """

    rank = 1


class MaxPool2d(_MaxPool):
    """The largest element of each window of images; options as those of `functional.max_pool2d`.

    Shapes: (N, C, H, W) -> (N, C, H', W'), also without N.

    >>> import tessella as ts
    >>> MaxPool2d(3, stride=2, padding=1)(ts.zeros((1, 4, 9, 9))).shape
    (1, 4, 5, 5)
    """

    rank = 2


class MaxPool3d(_MaxPool):
    """The largest element of each window of volumes; options as those of `functional.max_pool3d`.

    Shapes: (N, C, D, H, W) -> (N, C, D', H', W'), also without N.
    """

    rank = 3


class AvgPool1d(_Pool):
    """The mean of each window of sequences; options as those of `functional.avg_pool1d`.

    Shapes: (N, C, L) -> (N, C, L'), also without N.
    """

    rank, family = 1, "avg_pool"

    @public
    def __init__(
        self, kernel_size: PerAxis, stride: PerAxis | None = None, padding: PerAxis = 0, ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        self._options(
            kernel_size=kernel_size, stride=kernel_size if stride is None else stride, padding=padding,
            ceil_mode=ceil_mode, count_include_pad=count_include_pad,
        )  # fmt: skip


class AvgPool2d(_AvgPool):
    """The mean of each window of images; options as those of `functional.avg_pool2d`.

    Shapes: (N, C, H, W) -> (N, C, H', W'), also without N.
    """

    rank = 2


class AvgPool3d(_AvgPool):
    """The mean of each window of volumes; options as those of `functional.avg_pool3d`.

    Shapes: (N, C, D, H, W) -> (N, C, D', H', W'), also without N.
    """

    rank = 3


class LPPool1d(_LPPool):
    """(sum of x**p)**(1/p) of each window of sequences, p being `norm_type`.

    Shapes: (N, C, L) -> (N, C, L'), also without N.
    """

    rank = 1


class LPPool2d(_LPPool):
    """(sum of x**p)**(1/p) of each window of images, p being `norm_type`.

    Shapes: (N, C, H, W) -> (N, C, H', W'), also without N.
    """

    rank = 2


class LPPool3d(_LPPool):
    """(sum of x**p)**(1/p) of each window of volumes, p being `norm_type`.

    Shapes: (N, C, D, H, W) -> (N, C, D', H', W'), also without N.
    """

    rank = 3


class AdaptiveAvgPool1d(_AdaptiveAvgPool):
    """The means of so many windows of sequences as there are to be results.

    Shapes: (N, C, L) -> (N, C, L'), also without N.
    """

    rank = 1


class AdaptiveAvgPool2d(_AdaptiveAvgPool):
    """The means of so many windows of images as there are to be results.

    Shapes: (N, C, H, W) -> (N, C, H', W'), also without N.

    >>> import tessella as ts
    >>> AdaptiveAvgPool2d((1, None))(ts.zeros((1, 4, 9, 7))).shape
    (1, 4, 1, 7)
    """

    rank = 2


class AdaptiveAvgPool3d(_AdaptiveAvgPool):
    """The means of so many windows of volumes as there are to be results.

    Shapes: (N, C, D, H, W) -> (N, C, D', H', W'), also without N.
    """

    rank = 3


class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """The largest elements of so many windows of sequences as there are to be results.

    Shapes: (N, C, L) -> (N, C, L'), also without N.
    """

    rank = 1


class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """The largest elements of so many windows of images as there are to be results.

    Shapes: (N, C, H, W) -> (N, C, H', W'), also without N.
    """

    rank = 2


class AdaptiveMaxPool3d(_AdaptiveMaxPool):
    """The largest elements of so many windows of volumes as there are to be results.

    Shapes: (N, C, D, H, W) -> (N, C, D', H', W'), also without N.
    """

    rank = 3


class FractionalMaxPool2d(_FractionalMaxPool):
    """The largest elements of windows of images that begin at random steps.

    Shapes: (N, C, H, W) -> (N, C, H', W'), also without N.
    """

    rank = 2


class FractionalMaxPool3d(_FractionalMaxPool):
    """The largest elements of windows of volumes that begin at random steps.

    Shapes: (N, C, D, H, W) -> (N, C, D', H', W'), also without N.
    """

    rank = 3


class MaxUnpool1d(_MaxUnpool):
    """Elements where a pooling of sequences found them, zeros elsewhere.

    Shapes: (N, C, L) -> (N, C, L'), also without N.

    >>> import tessella as ts
    >>> values, places = MaxPool1d(2, return_indices=True)(ts.asarray([[1.0, 3.0, 2.0, 0.0]]))
    >>> MaxUnpool1d(2)(values, places)
    tensor([[0., 3., 2., 0.]])
    """

    rank = 1


class MaxUnpool2d(_MaxUnpool):
    """Elements where a pooling of images found them, zeros elsewhere.

    Shapes: (N, C, H, W) -> (N, C, H', W'), also without N.
    """

    rank = 2


class MaxUnpool3d(_MaxUnpool):
    """Elements where a pooling of volumes found them, zeros elsewhere.

    Shapes: (N, C, D, H, W) -> (N, C, D', H', W'), also without N.
    """

    rank = 3
