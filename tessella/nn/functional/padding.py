"""Padding: what stands around a tensor, by mode."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from tessella.arguments import public
from tessella.arguments.kinds import shown
from tessella.errors import ArgumentError, ShapeError
from tessella.tensors import manipulation
from tessella.tensors.manipulation import concat, flip
from tessella.tensors.tensor import Tensor
from tessella.transforms.at_once import at_once

Widths = list[tuple[int, int]]  # (before, after) of each axis, from the first


def part(x: Tensor, axis: int, start: int, stop: int) -> Tensor:
    """The elements from start up to stop of one axis."""
    return x[(*(slice(None),) * axis, slice(start, stop))]


def widths_of(pad: Sequence[int], rank: int, name: str) -> Widths:
    """(before, after) of each axis, from what is told of the last axis first.

    Raises:
        ArgumentError: not two for each axis, or of more axes than there are.
    """
    if len(pad) % 2 or len(pad) > 2 * rank:
        raise ArgumentError(
            f"{name}: pad is {shown(tuple(pad))}; expected (before, after) for the last axis, then "
            f"for the one before it, and so on: an even count of numbers, here at most {2 * rank}"
        )
    pairs = [(pad[i], pad[i + 1]) for i in range(0, len(pad), 2)]
    return [(0, 0)] * (rank - len(pairs)) + pairs[::-1]


def _reflect(x: Tensor, axis: int, before: int, after: int) -> list[Tensor]:
    n = x.shape[axis]
    return [
        flip(part(x, axis, 1, before + 1), axis=axis), x, flip(part(x, axis, n - 1 - after, n - 1), axis=axis),
    ]  # fmt: skip


def _replicate(x: Tensor, axis: int, before: int, after: int) -> list[Tensor]:
    def repeated(edge: Tensor, count: int) -> Tensor:
        return edge.broadcast_to((*x.shape[:axis], count, *x.shape[axis + 1 :]))

    n = x.shape[axis]
    return [
        repeated(part(x, axis, 0, 1), before), x, repeated(part(x, axis, n - 1, n), after),
    ]  # fmt: skip


def _circular(x: Tensor, axis: int, before: int, after: int) -> list[Tensor]:
    n = x.shape[axis]
    return [part(x, axis, n - before, n), x, part(x, axis, 0, after)]


# What stands before, the axis itself, and what stands after it, and how many fewer than the axis has there may be.
_MODES: dict[str, tuple[Callable[[Tensor, int, int, int], list[Tensor]], int | None]] = {
    "reflect": (_reflect, 1),
    "replicate": (_replicate, None),
    "circular": (_circular, 0),
}


def _check_reach(x: Tensor, axis: int, pair: tuple[int, int], fewer: int | None, mode: str) -> None:
    n = x.shape[axis]
    most = n - fewer if fewer is not None else None
    if not n > 0 or (most is not None and max(pair) > most):
        limit = "at least one element" if most is None else f"widths of at most {most}"
        raise ShapeError(
            f"pad: mode {mode!r} with {pair} around axis {axis} of shape {x.shape}; expected {limit}"
        )


@at_once
def _extended(x: Tensor, widths: Widths, mode: str) -> Tensor:
    around, fewer = _MODES[mode]
    for axis, pair in enumerate(widths):
        if pair != (0, 0):
            _check_reach(x, axis, pair, fewer, mode)
            pieces = zip(around(x, axis, *pair), (pair[0], 1, pair[1]), strict=True)
            x = concat([piece for piece, count in pieces if count], axis=axis)
    return x


def _cropped(x: Tensor, widths: Widths) -> Tensor:
    """x without what negative widths take away."""
    for axis, (before, after) in enumerate(widths):
        if min(before, after) < 0:
            n = x.shape[axis]
            first, last = max(0, -before), n - max(0, -after)
            if first > last:
                raise ShapeError(
                    f"pad: widths ({before}, {after}) take more than axis {axis} of shape {x.shape} has"
                )
            x = part(x, axis, first, last)
    return x


@public
def pad(
    x: Tensor, pad: Sequence[int],
    mode: Literal["constant", "reflect", "replicate", "circular"] = "constant",
    value: float | None = None,
) -> Tensor:  # fmt: skip
    """x with more elements around it: (before, after) of the last axis first, as PyTorch has it.

    `constant` puts a value there, `reflect` what lies as far on the other side of the edge, `replicate` the edge
    itself, `circular` what comes when the axis begins anew. Negative widths take elements away.

    Shapes: (..., n) -> (..., before + n + after), and so on for the axes before it.

    Args:
        value: of mode `constant`; zero, if it is not given.

    Raises:
        ArgumentError: the widths come not in pairs, or a value is given for another mode.
        ShapeError: a width reaches beyond what there is to reflect or to repeat, or takes away more than there is.

    >>> import tessella as ts
    >>> pad([1.0, 2.0, 3.0], (2, 1), mode="reflect")
    tensor([3., 2., 1., 2., 3., 2.])
    >>> pad([1.0, 2.0, 3.0], (-1, 1))
    tensor([2., 3., 0.])
    """
    widths = widths_of(pad, x.ndim, "pad")
    more = [(max(0, before), max(0, after)) for before, after in widths]
    if mode == "constant":
        return manipulation.pad(_cropped(x, widths), more, 0 if value is None else value)
    if value:
        raise ArgumentError(f"pad: value={value} with mode {mode!r}; it is of mode 'constant'")
    if mode == "circular":  # of what is left
        return _extended(_cropped(x, widths), more, mode)
    return _cropped(_extended(x, more, mode), widths)
