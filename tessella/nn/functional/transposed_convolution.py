"""Transposed convolutions: what a convolution does to gradients, as a function of its own.

Elements of the input are put `stride` apart, and the kernel goes over them backwards; nothing is multiplied by the zeros
in between (`primitives/phases.py`).

Source: Dumoulin & Visin, *A guide to convolution arithmetic for deep learning* (2016), chapter 4.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from tessella.arguments import public
from tessella.arguments.kinds import PerAxis, shown
from tessella.errors import ArgumentError, ShapeError
from tessella.nn.functional.checks import check_floating, check_sizes
from tessella.nn.functional.convolution import check_axes, per_axis, steps_of
from tessella.primitives.contraction import Contraction, Geometry, promote_pair
from tessella.primitives.phases import spread_contraction
from tessella.tensors.manipulation import flip, reshape
from tessella.tensors.tensor import Tensor


class _Axis(NamedTuple):
    """One spatial axis of a transposed convolution."""

    kernel: int
    stride: int
    padding: int
    output_padding: int
    dilation: int

    @property
    def span(self) -> int:
        """How far the kernel reaches."""
        return (self.kernel - 1) * self.dilation + 1

    def length(self, n: int) -> int:
        """The size of the result."""
        return (n - 1) * self.stride - 2 * self.padding + self.span + self.output_padding

    def geometry(self, place: int, kernel: int, result: int) -> Geometry:
        """How the result reads the input, which is spread out."""
        low = self.span - 1 - self.padding
        return Geometry(
            place, kernel, result, 1, low, low + self.output_padding, self.stride, self.dilation
        )


@public
def transposed_convolution(
    x: Tensor, weight: Tensor, bias: Tensor | None, stride: Any, padding: Any, output_padding: Any,
    groups: int, dilation: Any, rank: int,
) -> Tensor:  # fmt: skip
    """`conv_transpose1d`, `conv_transpose2d`, `conv_transpose3d` for `rank` spatial axes.

    Raises:
        ArgumentError: an output padding is not less than the stride or the dilation.
        ShapeError: channels do not fit, or nothing is left.
        DTypeError: the input is of whole numbers, the weight of fractions.
    """
    name = f"conv_transpose{rank}d"
    unbatched = x.ndim == rank + 1
    x = reshape(x, (1, *x.shape)) if unbatched else x
    check_axes(x, weight, groups, rank, name, "(C, out / groups, ...)")
    check_floating(x, name, weight)
    if x.shape[1] != weight.shape[0]:
        raise ShapeError(
            f"{name}: the input has {x.shape[1]} channels, the weight expects {weight.shape[0]} "
            f"(weight {weight.shape})"
        )
    out = weight.shape[1] * groups
    check_sizes(bias, (out,), name, "bias")
    axes = _axes(weight.shape[2:], stride, padding, output_padding, dilation, rank, name)
    if any(axis.length(n) < 1 for axis, n in zip(axes, x.shape[2:], strict=True)):
        sizes = tuple([axis.length(n) for axis, n in zip(axes, x.shape[2:], strict=True)])
        raise ShapeError(
            f"{name}: of an input of size {x.shape[2:]}, padding {shown(padding)} leaves {sizes}; expected at least 1"
        )
    x, weight = promote_pair(x, weight)
    result = _product(x, flip(weight, axis=tuple(range(2, weight.ndim))), axes, groups)
    if bias is not None:
        result = result + reshape(bias, (1, -1, *(1,) * rank))
    return reshape(result, result.shape[1:]) if unbatched else result


def _axes(
    kernel: tuple[int, ...], stride: Any, padding: Any, output_padding: Any, dilation: Any, rank: int, name: str
) -> list[_Axis]:  # fmt: skip
    steps, spacing = steps_of(stride, dilation, rank, name)
    pads, more = (
        per_axis(padding, rank, "padding"),
        per_axis(output_padding, rank, "output_padding"),
    )
    if min(pads) < 0 or any(
        not 0 <= m < max(s, d) for m, s, d in zip(more, steps, spacing, strict=True)
    ):
        raise ArgumentError(
            f"{name}: padding {shown(padding)}, output_padding {shown(output_padding)}; expected numbers of at least 0, "
            f"and the output's less than the stride {steps} or the dilation {spacing}"
        )
    return [_Axis(*numbers) for numbers in zip(kernel, steps, pads, more, spacing, strict=True)]


def _product(x: Tensor, weight: Tensor, axes: list[_Axis], groups: int) -> Tensor:
    """(N, out, ...), groups of channels being a batch label."""
    n, c, o, g = 0, 1, 2, 3
    rank = len(axes)
    places, kernels, results = (tuple(range(4 + i * rank, 4 + (i + 1) * rank)) for i in range(3))
    labels = zip(axes, places, kernels, results, strict=True)
    geometry = tuple([axis.geometry(*each) for axis, *each in labels])
    if groups == 1:
        product = Contraction((n, c, *places), (c, o, *kernels), (n, o, *results), geometry)
        return spread_contraction(product, x, weight)
    left = reshape(x, (x.shape[0], groups, x.shape[1] // groups, *x.shape[2:]))
    right = reshape(weight, (groups, -1, *weight.shape[1:]))
    product = Contraction((n, g, c, *places), (g, c, o, *kernels), (n, g, o, *results), geometry)
    result = spread_contraction(product, left, right)
    return reshape(result, (x.shape[0], result.shape[1] * result.shape[2], *result.shape[3:]))


@public
def conv_transpose1d(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, stride: PerAxis = 1, padding: PerAxis = 0,
    output_padding: PerAxis = 0, groups: int = 1, dilation: PerAxis = 1,
) -> Tensor:  # fmt: skip
    """The transpose of `conv1d`: each element adds a multiple of the kernel to the result.

    Shapes: (N, C, L) and (C, out / groups, K) -> (N, out, L'), also without N,
        L' = (L - 1) stride - 2 padding + dilation (K - 1) + output_padding + 1.

    >>> import tessella as ts
    >>> conv_transpose1d(ts.asarray([[[1.0, 2.0]]]), ts.ones((1, 1, 3)), stride=2)
    tensor([[[1., 1., 3., 2., 2.]]])
    """
    return transposed_convolution(
        x, weight, bias, stride, padding, output_padding, groups, dilation, 1
    )


@public
def conv_transpose2d(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, stride: PerAxis = 1, padding: PerAxis = 0,
    output_padding: PerAxis = 0, groups: int = 1, dilation: PerAxis = 1,
) -> Tensor:  # fmt: skip
    """The transpose of `conv2d`.

    Shapes: (N, C, H, W) and (C, out / groups, KH, KW) -> (N, out, H', W'), also without N; sizes as in
        `conv_transpose1d`.

    >>> import tessella as ts
    >>> conv_transpose2d(ts.ones((1, 1, 2, 2)), ts.ones((1, 1, 2, 2)))
    tensor([[[[1., 2., 1.],
              [2., 4., 2.],
              [1., 2., 1.]]]])
    """
    return transposed_convolution(
        x, weight, bias, stride, padding, output_padding, groups, dilation, 2
    )


@public
def conv_transpose3d(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, stride: PerAxis = 1, padding: PerAxis = 0,
    output_padding: PerAxis = 0, groups: int = 1, dilation: PerAxis = 1,
) -> Tensor:  # fmt: skip
    """The transpose of `conv3d`.

    Shapes: (N, C, D, H, W) and (C, out / groups, KD, KH, KW) -> (N, out, D', H', W'), also without N; sizes as in
        `conv_transpose1d`.

    >>> import tessella as ts
    >>> conv_transpose3d(ts.ones((1, 1, 1, 1, 1)), ts.ones((1, 1, 2, 1, 1)), stride=2)
    tensor([[[[[1.]],
    <BLANKLINE>
              [[1.]]]]])
    """
    return transposed_convolution(
        x, weight, bias, stride, padding, output_padding, groups, dilation, 3
    )
