"""Tasks 4.1 and 4.2: convolutions with the course's geometry.

The output is as long as the input; a kernel begins at each place, and reads zeros beyond the end. One
contraction of Tessella computes it, and two more its gradients.
"""

from __future__ import annotations

import tessella as ts
from tessella.arguments import public
from tessella.minitorch.asserting import asserting
from tessella.minitorch.functions import Composed
from tessella.minitorch.taken import CourseTensor
from tessella.minitorch.tensor import Tensor
from tessella.nn import functional as F


class Conv1dFun(Composed):
    """out[b, o, i] = sum over c, k of input[b, c, i + k] weight[o, c, k].

    Shapes: (batch, in, width) and (out, in, kernel width) -> (batch, out, width).
    """

    @staticmethod
    def compute(input: ts.Tensor, weight: ts.Tensor) -> ts.Tensor:
        return F.conv1d(input, weight, padding=_beyond_the_end(weight))


class Conv2dFun(Composed):
    """out[b, o, i, j] = sum over c, k, l of input[b, c, i + k, j + l] weight[o, c, k, l].

    Shapes: (batch, in, height, width) and (out, in, kernel height, kernel width) -> (batch, out,
    height, width).
    """

    @staticmethod
    def compute(input: ts.Tensor, weight: ts.Tensor) -> ts.Tensor:
        return F.conv2d(input, weight, padding=_beyond_the_end(weight))


def _beyond_the_end(weight: ts.Tensor) -> list[tuple[int, int]]:
    return [(0, n - 1) for n in weight.shape[2:]]


@asserting
@public
def conv1d(input: CourseTensor, weight: CourseTensor) -> Tensor:
    """`Conv1dFun` of a sequence and a bank of kernels."""
    return Conv1dFun.apply(input, weight)


@asserting
@public
def conv2d(input: CourseTensor, weight: CourseTensor) -> Tensor:
    """`Conv2dFun` of images and a bank of kernels."""
    return Conv2dFun.apply(input, weight)


__all__ = ["Conv1dFun", "Conv2dFun", "conv1d", "conv2d"]
