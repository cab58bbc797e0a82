"""Tasks 4.3 and 4.4: pooling, softmax, dropout."""

from __future__ import annotations

from typing import Any

import tessella as ts
from tessella.arguments import public
from tessella.arguments.kinds import Probability
from tessella.errors import CourseShapeError
from tessella.minitorch.functions import Composed, number_of
from tessella.minitorch.taken import CourseTensor, TileSizes
from tessella.minitorch.tensor import Tensor
from tessella.nn import functional as F


def _check(input: Tensor, kernel: tuple[int, int], name: str) -> None:
    if input.dims != 4:
        raise CourseShapeError(
            f"{name}: the shape is {input.shape}; expected batch, channel, height, width"
        )
    if min(kernel) < 1 or input.shape[2] % kernel[0] or input.shape[3] % kernel[1]:
        raise CourseShapeError(
            f"{name}: a kernel {kernel} does not divide an image {input.shape[2:]}"
        )


@public
def tile(input: CourseTensor, kernel: TileSizes) -> tuple[Tensor, int, int]:
    """An image cut in tiles, for pooling.

    Shapes: (batch, channel, height, width) -> (batch, channel, height / kh, width / kw, kh * kw).

    Returns:
        the tiles, and how many there are from top to bottom and from left to right.

    Raises:
        CourseShapeError: the kernel does not divide the image.
    """
    _check(input, kernel, "tile")
    batch, channel, height, width = input.shape
    kh, kw = kernel
    rows, columns = height // kh, width // kw
    cut = input.contiguous().view(batch, channel, rows, kh, columns, kw)
    together = cut.permute(0, 1, 2, 4, 3, 5).contiguous()
    return together.view(batch, channel, rows, columns, kh * kw), rows, columns


class _AveragePool(Composed):
    compute = F.avg_pool2d


class _MaxPool(Composed):
    compute = F.max_pool2d


@public
def avgpool2d(input: CourseTensor, kernel: TileSizes) -> Tensor:
    """The mean of each tile.

    Shapes: (batch, channel, height, width) -> (batch, channel, height / kh, width / kw).

    Raises:
        CourseShapeError: the kernel does not divide the image.
    """
    _check(input, kernel, "avgpool2d")
    return _AveragePool.apply(input, kernel)


class Max(Composed):
    """The largest element along an axis, which becomes 1; its gradient goes to where that was."""

    @staticmethod
    def compute(a: ts.Tensor, dim: Any) -> ts.Tensor:
        return ts.max(a, axis=number_of(dim), keepdims=True)


@public
def max(input: CourseTensor, dim: Any) -> Tensor:
    """The largest element along an axis, which becomes 1."""
    return Max.apply(input, dim)


@public
def argmax(input: CourseTensor, dim: Any) -> Tensor:
    """1 where the largest element along an axis is, else 0."""
    return max(input.detach(), dim) == input.detach()


@public
def maxpool2d(input: CourseTensor, kernel: TileSizes) -> Tensor:
    """The largest element of each tile.

    Shapes: (batch, channel, height, width) -> (batch, channel, height / kh, width / kw).

    Raises:
        CourseShapeError: the kernel does not divide the image.
    """
    _check(input, kernel, "maxpool2d")
    return _MaxPool.apply(input, kernel)


class _Softmax(Composed):
    compute = F.softmax


class _LogSoftmax(Composed):
    compute = F.log_softmax


@public
def softmax(input: CourseTensor, dim: Any) -> Tensor:
    """e^x, divided by its sum along an axis."""
    return _Softmax.apply(input, dim)


@public
def logsoftmax(input: CourseTensor, dim: Any) -> Tensor:
    """The logarithm of `softmax`, without overflow."""
    return _LogSoftmax.apply(input, dim)


@public
def dropout(input: CourseTensor, rate: Probability, ignore: bool = False) -> Tensor:
    """input with elements dropped (set to 0) at random.

    The course does not scale what is left: the mean becomes smaller by the rate.

    Args:
        rate: the share to drop, from 0 to 1.
        ignore: drop nothing, for evaluation.

    Raises:
        ArgumentError: the rate is no share.
    """
    if ignore:
        return input
    kept = ts.rand(input.shape) >= rate
    return input * input._like(kept.astype(ts.float64))


__all__ = [
    "Max", "argmax", "avgpool2d", "dropout", "logsoftmax", "max", "maxpool2d", "softmax", "tile",
]  # fmt: skip
