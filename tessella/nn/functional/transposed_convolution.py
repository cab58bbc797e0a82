"""Transposed convolutions: what a convolution does to gradients, as a function of its own.

Elements of the result that are as far from a multiple of the stride read the same places of the kernel. So there is one
convolution of stride 1 for each remainder, all of them in one product, and their results lie between each other:
nothing is multiplied by the zeros that a stride would put between the elements of the input.

Source: Dumoulin & Visin, *A guide to convolution arithmetic for deep learning* (2016), chapter 4; Shi et al., *Is the
deconvolution layer the same as a convolutional layer?* (2016).
"""

from __future__ import annotations

from typing import Any, NamedTuple

from tessella.arguments import public
from tessella.arguments.kinds import PerAxis, shown
from tessella.errors import ArgumentError, ShapeError
from tessella.nn.functional.checks import check_floating, check_sizes
from tessella.nn.functional.convolution import check_axes, per_axis, steps_of
from tessella.primitives.contraction import Contraction, Geometry, promote_pair
from tessella.primitives.movement import Pad, Slice
from tessella.tensors.manipulation import flip, reshape
from tessella.tensors.tensor import Tensor, apply


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

    @property
    def spread(self) -> int:
        """What stands from one place of the kernel to the next: with a stride, zeros are put there."""
        return self.dilation if self.stride > 1 else 1

    @property
    def rows(self) -> int:
        """How many places of the kernel one element of the result reads."""
        return -(-self.span // self.stride) if self.stride > 1 else self.kernel

    @property
    def first(self) -> int:
        """The first group of `stride` elements of which one is in the result."""
        return self.padding // self.stride

    def length(self, n: int) -> int:
        """The size of the result."""
        return (n - 1) * self.stride - 2 * self.padding + self.span + self.output_padding

    def geometry(self, place: int, row: int, group: int) -> Geometry:
        """How groups of elements of the result read the input."""
        gap = self.dilation if self.stride == 1 else 1
        low = (self.rows - 1) * gap - self.first
        high = -(-(self.span - self.padding + self.output_padding) // self.stride) - 1
        return Geometry(place, row, group, 1, low, high, 1, gap)


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
    result = _cut(_product(x, _phases(weight, axes), axes, groups), x.shape[2:], axes)
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


def _phases(weight: Tensor, axes: list[_Axis]) -> Tensor:
    """The kernel by rows, backwards, and remainders: (C, out / groups, row, remainder, row, ...)."""
    gaps = tuple(axis.spread - 1 for axis in axes)
    behind = tuple(axis.rows * axis.stride - (axis.kernel - 1) * axis.spread - 1 for axis in axes)
    if any((*gaps, *behind)):
        none = (0,) * weight.ndim
        weight = apply(Pad(none, (0, 0, *behind), (0, 0, *gaps)), (weight,))
    split = [n for axis in axes for n in (axis.rows, axis.stride)]
    places = tuple(range(2, 2 + 2 * len(axes), 2))
    return flip(reshape(weight, (*weight.shape[:2], *split)), axis=places)


def _product(x: Tensor, weight: Tensor, axes: list[_Axis], groups: int) -> Tensor:
    """(N, out, group, remainder, group, ...), groups of channels being a batch label."""
    n, c, o, g = 0, 1, 2, 3
    rank = len(axes)
    places, rows, groups_of, remainders = (
        tuple(range(4 + i * rank, 4 + (i + 1) * rank)) for i in range(4)
    )
    geometry = tuple(
        axis.geometry(*labels) for axis, *labels in zip(axes, places, rows, groups_of, strict=True)
    )
    inside = [label for pair in zip(rows, remainders, strict=True) for label in pair]
    outside = [label for pair in zip(groups_of, remainders, strict=True) for label in pair]
    if groups == 1:
        product = Contraction((n, c, *places), (c, o, *inside), (n, o, *outside), geometry)
        return apply(product, (x, weight))
    left = reshape(x, (x.shape[0], groups, x.shape[1] // groups, *x.shape[2:]))
    right = reshape(weight, (groups, -1, *weight.shape[1:]))
    product = Contraction((n, g, c, *places), (g, c, o, *inside), (n, g, o, *outside), geometry)
    result = apply(product, (left, right))
    return reshape(result, (x.shape[0], result.shape[1] * result.shape[2], *result.shape[3:]))


def _cut(result: Tensor, extents: tuple[int, ...], axes: list[_Axis]) -> Tensor:
    """Groups and remainders as one axis each, without what the padding takes away."""
    front, inner = result.shape[:2], result.shape[2:]
    merged = tuple([inner[i] * inner[i + 1] for i in range(0, len(inner), 2)])
    result = reshape(result, (*front, *merged))
    starts = tuple([axis.padding - axis.first * axis.stride for axis in axes])
    sizes = tuple([axis.length(n) for axis, n in zip(axes, extents, strict=True)])
    if merged == sizes:
        return result
    return apply(Slice((0, 0, *starts), (*front, *sizes), (1,) * result.ndim), (result,))


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
