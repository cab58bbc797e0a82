"""Sliding windows of the last axes: where they lie, and what is made of each.

Small windows are folded, one place of all windows after the other: their elements are read through strided views and
combined in one kernel, and so are their gradients. Where they lie side by side a reshape and a reduction have the
cheaper gradients: no element has to look for the windows that it is in.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from functools import reduce
from typing import Any, NamedTuple

import numpy as np

from tessella.arguments.kinds import shown
from tessella.errors import ArgumentError, ShapeError
from tessella.nn.functional.convolution import per_axis
from tessella.primitives.movement import Pad, Slice
from tessella.primitives.window import Window
from tessella.tensors.manipulation import moveaxis, reshape
from tessella.tensors.tensor import Tensor, apply

_FOLDED = 16  # so many elements are combined one after the other; more are reduced


class Windows(NamedTuple):
    """The windows along one axis of n elements: `places` of them, the first one beginning `pad` before the axis."""

    n: int
    size: int
    step: int
    pad: int
    dilation: int
    places: int

    @property
    def span(self) -> int:
        return (self.size - 1) * self.dilation + 1

    @property
    def more(self) -> int:
        """How far the last window reaches behind the axis."""
        return max(0, (self.places - 1) * self.step + self.span - self.n - self.pad)

    @property
    def are_tiles(self) -> bool:
        """Whether they lie side by side and cover the axis."""
        plain = self.pad == 0 and self.dilation == 1 and self.step == self.size
        return plain and self.places * self.size == self.n

    def reach(self, before: int, behind: int) -> np.ndarray[Any, Any]:
        """How many elements of each window lie in the axis, made longer by so many elements on both sides."""
        starts = np.arange(int(self.places)) * self.step - self.pad
        return np.minimum(starts + self.size, self.n + behind) - np.maximum(starts, -before)


def windows_of(
    x: Tensor, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil: bool, rank: int, name: str
) -> list[Windows]:  # fmt: skip
    """The windows of the last axes.

    Args:
        ceil: whether a window may begin within the axis and end behind it.

    Raises:
        ArgumentError: a number is too small, or a padding more than half of a window.
        ShapeError: there is no room for one window.
    """
    sizes = per_axis(kernel, rank, f"{name}: kernel_size")
    steps = sizes if stride is None or stride == () else per_axis(stride, rank, f"{name}: stride")
    pads, gaps = per_axis(padding, rank, f"{name}: padding"), per_axis(dilation, rank, name)
    if min((*sizes, *steps, *gaps)) < 1:
        raise ArgumentError(
            f"{name}: window {sizes}, stride {steps} and dilation {gaps} must be at least 1"
        )
    if x.ndim not in (rank + 1, rank + 2):
        raise ShapeError(
            f"{name}: shape {x.shape}; expected (N, C, ...) or (C, ...), {rank + 2} axes or {rank + 1}"
        )
    if any(not 0 <= 2 * p <= (k - 1) * d + 1 for p, k, d in zip(pads, sizes, gaps, strict=True)):
        raise ArgumentError(
            f"{name}: padding {shown(padding)} is more than half of the window {shown(kernel)}"
        )
    found = [
        Windows(*numbers, _places(*numbers, ceil))
        for numbers in zip(x.shape[x.ndim - rank :], sizes, steps, pads, gaps, strict=True)
    ]
    if any(not windows.places > 0 for windows in found):
        raise ShapeError(f"{name}: the window {sizes} is larger than the input {x.shape}")
    return found


def _places(n: int, size: int, step: int, pad: int, dilation: int, ceil: bool) -> int:
    room = n + 2 * pad - (size - 1) * dilation - 1
    if not ceil:
        return room // step + 1
    places = -(-room // step) + 1
    return places - 1 if (places - 1) * step >= n + pad else places


def padded(x: Tensor, windows: list[Windows], fill: float) -> Tensor:
    """x with room for all windows."""
    front = (0,) * (x.ndim - len(windows))
    low, high = tuple([w.pad for w in windows]), tuple([w.more for w in windows])
    if not any((*low, *high)):
        return x
    return apply(Pad((*front, *low), (*front, *high), (0,) * x.ndim, fill), (x,))


def seen(x: Tensor, windows: list[Windows], fill: float) -> Tensor:
    """A view of all windows: (..., *places, *sizes)."""
    view = Window(
        tuple([w.size for w in windows]), tuple([w.step for w in windows]), tuple([w.dilation for w in windows])
    )  # fmt: skip
    return apply(view, (padded(x, windows, fill),))


def over_windows(
    x: Tensor, windows: list[Windows], fill: float, combine: Callable[[Tensor, Tensor], Tensor],
    reduction: Callable[[Tensor, tuple[int, ...]], Tensor],
) -> Tensor:  # fmt: skip
    """What is made of each window: (..., *places).

    Args:
        fill: stands outside.
        combine: two elements as one.
        reduction: the same along axes.
    """
    rank = len(windows)
    views = folded(x, windows, fill)
    if (x.requires_grad or views is None) and all(w.are_tiles for w in windows):
        return _tiled(x, windows, reduction)
    if views is not None:
        return reduce(combine, views)
    if rank > 1:  # the last axis first: of equal elements the first one leads then, too
        x = over_windows(x, windows[-1:], fill, combine, reduction)
        return _before_last(x, windows[:-1], fill, combine, reduction)
    return reduction(seen(x, windows, fill), (x.ndim,))


def sum_of_windows(x: Tensor, windows: list[Windows]) -> Tensor:
    """The sum of each window: (..., *places). Of large windows axis by axis, each of their gradients a fold."""
    few = math.prod(w.size for w in windows) <= _FOLDED
    if few or all(w.are_tiles for w in windows):
        return over_windows(
            x, windows, 0, lambda a, b: a + b, lambda y, axes: y.sum(axis=axes)
        )  # fmt: skip
    for back, w in enumerate(reversed(windows), 1):
        views = seen(moveaxis(x, -back, -1), [w], 0)
        x = moveaxis(views.sum(axis=-1), -1, -back)
    return x


def _tiled(
    x: Tensor, windows: list[Windows], reduction: Callable[[Tensor, tuple[int, ...]], Tensor]
) -> Tensor:
    """`over_windows` of what lies side by side, one axis after the other, so that ties are led by the first element."""
    for back, w in enumerate(reversed(windows), 1):
        axis = x.ndim - back
        shape = (*x.shape[:axis], w.places, w.size, *x.shape[axis + 1 :])
        x = reduction(reshape(x, shape), (axis + 1,))
    return x


def _before_last(
    x: Tensor, windows: list[Windows], fill: float, combine: Any, reduction: Any
) -> Tensor:
    """`over_windows` of the axes before the last one."""
    last = x.ndim - 1
    order = (*range(last - len(windows)), last, *range(last - len(windows), last))
    result = over_windows(x.permute(order), windows, fill, combine, reduction)
    back = tuple(sorted(range(x.ndim), key=order.__getitem__))
    return result.permute(back)


def folded(x: Tensor, windows: list[Windows], fill: float) -> list[Tensor] | None:
    """One place of all windows after the other, row by row; None if they are too many."""
    if math.prod(w.size for w in windows) > _FOLDED:
        return None
    x = padded(x, windows, fill)
    front = x.ndim - len(windows)
    sizes = (*x.shape[:front], *[w.places for w in windows])
    steps = (*(1,) * front, *[w.step for w in windows])
    starts = itertools.product(*[range(0, w.span, w.dilation) for w in windows])
    return [apply(Slice((*(0,) * front, *start), sizes, steps), (x,)) for start in starts]
