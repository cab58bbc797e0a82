"""Convolutions as functions."""

from __future__ import annotations

from typing import Any

from tessella.arguments import public
from tessella.arguments.kinds import Padding, PaddingMode, PerAxis, shown
from tessella.errors import ArgumentError, ShapeError
from tessella.nn.functional.checks import check_floating, check_sizes
from tessella.nn.functional.padding import pad
from tessella.primitives.contraction import Contraction, Geometry, promote_pair
from tessella.sizes.size import INTEGERS, as_integer
from tessella.tensors.manipulation import reshape
from tessella.tensors.tensor import Tensor, apply


def per_axis(value: Any, rank: int, name: str) -> tuple[int, ...]:
    """One whole number for each spatial axis; a single one, also in a sequence, stands for all."""
    if isinstance(value, int):
        return (value,) * rank
    numbers = tuple(value) * rank if len(tuple(value)) == 1 else tuple(value)
    if len(numbers) != rank or not all(isinstance(n, INTEGERS) for n in numbers):
        raise ArgumentError(f"{name}: {shown(value)}; expected an integer or {rank} integers")
    return tuple([as_integer(n) for n in numbers])


def check_padding(name: str, padding: str, stride: tuple[int, ...]) -> None:
    """Complain about a padding in words that there is not, or not with these strides.

    Raises:
        ArgumentError: it is neither "same" nor "valid", or "same" and a stride is not 1.
    """
    if padding not in ("same", "valid"):
        raise ArgumentError(
            f"{name}: padding {shown(padding)}; expected numbers, 'same' or 'valid'"
        )
    if padding == "same" and any(step != 1 for step in stride):
        raise ArgumentError(f"{name}: padding 'same' needs stride 1")


def _padding(
    padding: Any, rank: int, kernel: tuple[int, ...], dilation: tuple[int, ...],
    stride: tuple[int, ...],
) -> list[tuple[int, int]]:  # fmt: skip
    """(before, after) for each axis."""
    if isinstance(padding, str):
        check_padding("conv", padding, stride)
    if padding == "valid":
        return [(0, 0)] * rank
    if padding == "same":
        spans = [(k - 1) * d for k, d in zip(kernel, dilation, strict=True)]
        return [(span // 2, span - span // 2) for span in spans]
    if not isinstance(padding, int) and all(isinstance(pair, (tuple, list)) for pair in padding):
        pairs = [per_axis(pair, 2, "padding") for pair in padding]
        if len(pairs) != rank:
            raise ArgumentError(f"padding: {shown(padding)}; expected {rank} pairs (before, after)")
        return [(before, after) for before, after in pairs]
    widths = per_axis(padding, rank, "padding")
    if min(widths) < 0:
        raise ArgumentError(
            f"conv{rank}d: padding is {shown(padding)}; expected numbers of at least 0"
        )
    return [(p, p) for p in widths]


@public
def convolution(
    x: Tensor, weight: Tensor, bias: Tensor | None, stride: Any, padding: Any, dilation: Any,
    groups: int, rank: int, mode: PaddingMode = "zeros",
) -> Tensor:  # fmt: skip
    """`conv1d`, `conv2d`, `conv3d` for `rank` spatial axes.

    Args:
        mode: what the padding is made of: zeros, or as `pad` has it.

    Raises:
        ShapeError: channels do not fit, or the kernel is larger than the padded input.
        DTypeError: the input is of whole numbers, the weight of fractions.
    """
    name = f"conv{rank}d"
    unbatched = x.ndim == rank + 1
    x = reshape(x, (1, *x.shape)) if unbatched else x
    check_axes(x, weight, groups, rank, name, "(out, C / groups, ...)")
    check_floating(x, name, weight)
    if x.shape[1] // groups != weight.shape[1]:
        raise ShapeError(
            f"{name}: the input has {x.shape[1]} channels, the weight expects "
            f"{weight.shape[1] * groups} (weight {weight.shape}, groups {groups})"
        )
    check_sizes(bias, weight.shape[:1], name, "bias")
    steps, spacing = steps_of(stride, dilation, rank, name)
    pads = _padding(padding, rank, weight.shape[2:], spacing, steps)
    if mode != "zeros":
        x = pad(x, [width for pair in reversed(pads) for width in pair], mode)
        pads = [(0, 0)] * rank
    x, weight = promote_pair(x, weight)
    result = _contract(x, weight, steps, pads, spacing, groups, rank)
    if any(n < 1 for n in result.shape[2:]):
        raise ShapeError(
            f"{name}: the kernel {weight.shape[2:]} is larger than the padded input {x.shape[2:]}"
        )
    if bias is not None:
        result = result + reshape(bias, (1, -1, *(1,) * rank))
    return reshape(result, result.shape[1:]) if unbatched else result


def check_axes(x: Tensor, weight: Tensor, groups: int, rank: int, name: str, layout: str) -> None:
    """Input and weight have all their axes, and groups divide the channels.

    Raises:
        ShapeError: they have not, or do not.
    """
    if x.ndim != rank + 2 or weight.ndim != rank + 2:
        raise ShapeError(
            f"{name}: the input has shape {x.shape}, the weight {weight.shape}; expected "
            f"{rank + 2} axes each: (N, C, ...) and {layout}"
        )
    if groups < 1 or x.shape[1] % groups or weight.shape[0] % groups:
        raise ShapeError(
            f"{name}: groups={groups} does not divide the channels {x.shape[1]}, {weight.shape[0]}"
        )


def steps_of(stride: Any, dilation: Any, rank: int, name: str) -> tuple[tuple[int, ...], ...]:
    """Strides and dilations for each axis."""
    steps, spacing = per_axis(stride, rank, "stride"), per_axis(dilation, rank, "dilation")
    if min(steps) < 1 or min(spacing) < 1:
        raise ArgumentError(f"{name}: stride {stride} and dilation {dilation} must be at least 1")
    return steps, spacing


def _contract(
    x: Tensor, weight: Tensor, steps: tuple[int, ...], pads: list[tuple[int, int]],
    spacing: tuple[int, ...], groups: int, rank: int,
) -> Tensor:  # fmt: skip
    """The convolution as a contraction; groups are a batch label."""
    n, c, o, g = 0, 1, 2, 3
    places = tuple(range(4, 4 + rank))
    inside = tuple(range(4 + rank, 4 + 2 * rank))
    outside = tuple(range(4 + 2 * rank, 4 + 3 * rank))
    geometry = tuple(
        Geometry(place, kernel, out, step, low, high, 1, gap)
        for place, kernel, out, step, (low, high), gap in zip(
            places, inside, outside, steps, pads, spacing, strict=True
        )
    )
    if groups == 1:
        product = Contraction((n, c, *places), (o, c, *inside), (n, o, *outside), geometry)
        return apply(product, (x, weight))
    left = reshape(x, (x.shape[0], groups, x.shape[1] // groups, *x.shape[2:]))
    right = reshape(weight, (groups, -1, *weight.shape[1:]))
    product = Contraction((n, g, c, *places), (g, o, c, *inside), (n, g, o, *outside), geometry)
    result = apply(product, (left, right))
    return reshape(result, (x.shape[0], weight.shape[0], *result.shape[3:]))


@public
def conv1d(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, stride: PerAxis = 1, padding: Padding = 0,
    dilation: PerAxis = 1, groups: int = 1,
) -> Tensor:  # fmt: skip
    """Correlation with a bank of kernels along one axis.

    Shapes: (N, C, L) and (out, C / groups, K) -> (N, out, L'), also without N.

    >>> import tessella as ts
    >>> conv1d(ts.ones((1, 1, 4)), ts.ones((1, 1, 2)))
    tensor([[[2., 2., 2.]]])
    """
    return convolution(x, weight, bias, stride, padding, dilation, groups, 1)


@public
def conv2d(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, stride: PerAxis = 1, padding: Padding = 0,
    dilation: PerAxis = 1, groups: int = 1,
) -> Tensor:  # fmt: skip
    """Correlation with a bank of kernels over images.

    Shapes: (N, C, H, W) and (out, C / groups, KH, KW) -> (N, out, H', W').

    >>> import tessella as ts
    >>> conv2d(ts.ones((1, 1, 3, 3)), ts.ones((1, 1, 2, 2)))
    tensor([[[[4., 4.],
              [4., 4.]]]])
    """
    return convolution(x, weight, bias, stride, padding, dilation, groups, 2)


@public
def conv3d(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, stride: PerAxis = 1, padding: Padding = 0,
    dilation: PerAxis = 1, groups: int = 1,
) -> Tensor:  # fmt: skip
    """Correlation with a bank of kernels over volumes.

    Shapes: (N, C, D, H, W) and (out, C / groups, KD, KH, KW) -> (N, out, D', H', W').

    >>> import tessella as ts
    >>> conv3d(ts.ones((1, 1, 2, 2, 2)), ts.ones((1, 1, 2, 2, 2)))
    tensor([[[[[8.]]]]])
    """
    return convolution(x, weight, bias, stride, padding, dilation, groups, 3)
