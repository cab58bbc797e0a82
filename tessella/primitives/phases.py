"""Convolutions of inputs that are spread out, without multiplying by the zeros in between.

The gradient of a strided convolution, and a transposed convolution, read an input with s - 1 zeros between its elements.
Results that are as far from a multiple of s (of one phase) meet elements at the same places of the kernel. So each phase
is a convolution of the input as it is with every s-th place of the kernel; all phases are made in one product, and lie
between each other in its result.

Source: Shi et al., *Is the deconvolution layer the same as a convolutional layer?* (2016), section 2.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from tessella.primitives.base import Spec
from tessella.primitives.movement import Pad, Slice, flip, reshape

if TYPE_CHECKING:
    from tessella.primitives.contraction import Contraction, Geometry


@dataclasses.dataclass(frozen=True)
class _Phases:
    """One spread axis: elements of the result are `low + spread * group - phase`.

    Place `spread * row + phase` of the kernel reads element `group + row` of the input.

    Args:
        kernel, extent, size: of the kernel, the input and the result.
        label: of the phases, a new one.
    """

    geometry: Geometry
    kernel: int
    extent: int
    size: int
    label: int

    @property
    def spread(self) -> int:
        return self.geometry.input_dilation

    @property
    def span(self) -> int:
        """How far the kernel reaches."""
        return (self.kernel - 1) * self.geometry.kernel_dilation + 1

    @property
    def rows(self) -> int:
        """How many elements of the input meet an element of the result."""
        return -(-self.span // self.spread)

    @property
    def count(self) -> int:
        """How many phases meet the kernel; the others are zero."""
        return min(self.spread, self.span)

    @property
    def first(self) -> int:
        """The group of the first element of the result."""
        return -(self.geometry.low // self.spread)

    @property
    def groups(self) -> int:
        """How many have an element in the result; of a kernel of one place, only its phase is one."""
        last = self.size - 1 - self.geometry.low
        return (-(-last // self.spread) if self.count > 1 else last // self.spread) - self.first + 1

    @property
    def start(self) -> int:
        """Where the first group has the first element of the result."""
        return self.spread - 1 - self.geometry.low - self.spread * self.first

    def plain(self) -> Geometry:
        """How groups read the input."""
        high = self.groups + self.rows - 1 - self.extent + self.first
        return dataclasses.replace(
            self.geometry, low=-self.first, high=high, stride=1, input_dilation=1, kernel_dilation=1
        )


def spread_contraction(contraction: Contraction, x: Any, y: Any) -> Any:
    """What `contraction(x, y)` is, made of a contraction whose left operand is not spread, where that is less work.

    >>> import tessella as ts
    >>> from tessella.primitives.contraction import Contraction, Geometry
    >>> spread = Contraction((0,), (1,), (2,), (Geometry(0, 1, 2, 1, 2, 2, input_dilation=2),))
    >>> spread_contraction(spread, ts.asarray([1.0, 2.0]), ts.asarray([3.0, 5.0, 7.0]))
    tensor([ 7.,  5., 17., 10.,  6.])
    """
    axes = _split(contraction, Spec(x.shape, x.dtype), Spec(y.shape, y.dtype))
    if not axes:
        return contraction(x, y)
    right, output = contraction.right, contraction.output
    several = [phases for phases in axes if phases.count > 1]
    for phases in several:
        kernel = right.index(phases.geometry.kernel)
        y = _rows(y, kernel, phases)
        right = _behind(right, kernel, phases.label)
        output = _behind(output, output.index(phases.geometry.output), phases.label)
    plain = {phases.geometry: phases.plain() for phases in axes}
    geometry = tuple([plain.get(g, g) for g in contraction.geometry])
    result = dataclasses.replace(contraction, right=right, output=output, geometry=geometry)(x, y)
    result = _merged(result, {output.index(phases.label): phases for phases in several})
    alone = [phases for phases in axes if phases.count == 1]
    places = {contraction.output.index(phases.geometry.output): phases for phases in alone}
    return _apart(result, places)


def _split(contraction: Contraction, x: Spec, y: Spec) -> list[_Phases]:
    """The axes to be split into phases, with new labels."""
    sizes = contraction.sizes(x, y)
    free = 1 + max(sizes)
    found = [
        _Phases(g, sizes[g.kernel], sizes[g.input], sizes[g.output], free + i)
        for i, g in enumerate(contraction.geometry)
        if g.input_dilation > g.kernel_dilation
        and g.stride == 1
        and g.output in contraction.output
        and g.kernel not in contraction.output
        and all(sizes[label] > 0 for label in (g.kernel, g.input, g.output))
    ]
    return [phases for phases in found if phases.count > 1 or phases.groups > 0]  # all is cropped


def _behind(labels: tuple[int, ...], place: int, label: int) -> tuple[int, ...]:
    return (*labels[: place + 1], label, *labels[place + 1 :])


def _rows(y: Any, axis: int, phases: _Phases) -> Any:
    """The kernel's axis as rows, and phases from the last one to the first."""
    gap, behind = phases.geometry.kernel_dilation - 1, phases.rows * phases.count - phases.span
    if gap or behind:
        none, high, between = (_only(y.ndim, axis, width) for width in (0, behind, gap))
        y = Pad(none, high, between)(y)
    y = reshape(y, (*y.shape[:axis], phases.rows, phases.count, *y.shape[axis + 1 :]))
    return flip(y, (axis + 1,))


def _only(rank: int, axis: int, width: int) -> tuple[int, ...]:
    return tuple([width if i == axis else 0 for i in range(rank)])


def _merged(result: Any, axes: dict[int, _Phases]) -> Any:
    """Each axis of phases as one with the axis of groups before it; phases without a place in the kernel are zeros."""
    missing, none = [0] * result.ndim, (0,) * result.ndim
    for axis, phases in axes.items():
        missing[axis] = phases.spread - phases.count
    result = Pad(tuple(missing), none, none)(result) if any(missing) else result
    starts, shape, sizes = [], [], []
    for axis, extent in enumerate(result.shape):
        if axis + 1 not in axes:  # groups go before their phases
            own = axes.get(axis)
            starts.append(own.start if own else 0)
            shape.append(own.groups * own.spread if own else extent)
            sizes.append(own.size if own else extent)
    result = reshape(result, tuple(shape))
    if shape == sizes:
        return result
    return Slice(tuple(starts), tuple(sizes), (1,) * len(sizes))(result)


def _apart(result: Any, axes: dict[int, _Phases]) -> Any:
    """Zeros around and between what a single phase has made."""
    if not axes:
        return result
    low, high, interior = ([0] * result.ndim for _ in range(3))
    for axis, phases in axes.items():
        low[axis] = phases.geometry.low + phases.spread * phases.first
        high[axis] = phases.size - 1 - low[axis] - phases.spread * (phases.groups - 1)
        interior[axis] = phases.spread - 1
    return Pad(tuple(low), tuple(high), tuple(interior))(result)
