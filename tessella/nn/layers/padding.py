"""Padding: elements around the last axes."""

from __future__ import annotations

from typing import ClassVar, Literal

from tessella.arguments import public
from tessella.arguments.kinds import PerAxis, shown
from tessella.errors import ArgumentError, ShapeError
from tessella.nn import functional as F
from tessella.nn.module import Module
from tessella.tensors.tensor import Tensor


class _Padding(Module):
    """What the paddings share; `rank` is the number of axes that are padded."""

    rank: ClassVar[int]
    mode: ClassVar[Literal["constant", "reflect", "replicate", "circular"]] = "constant"

    @public
    def __init__(self, padding: PerAxis) -> None:
        super().__init__()
        count = 2 * self.rank
        self.padding = (padding,) * count if isinstance(padding, int) else tuple(padding)
        if len(self.padding) != count:
            raise ArgumentError(
                f"{type(self).__name__}: padding is {shown(padding)}; expected one whole number or {count}: "
                "(before, after) of the last axis first"
            )

    @public
    def forward(self, input: Tensor) -> Tensor:
        if self.mode != "constant" and input.ndim not in (self.rank + 1, self.rank + 2):
            raise ShapeError(
                f"{type(self).__name__}: shape {input.shape}; expected (N, C, ...) or (C, ...), {self.rank + 2} axes or "
                f"{self.rank + 1}"
            )
        return F.pad(input, self.padding, self.mode)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class _ConstantPad(_Padding):
    @public
    def __init__(self, padding: PerAxis, value: float) -> None:
        super().__init__(padding)
        self.value = value

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, "constant", self.value)

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class ConstantPad1d(_ConstantPad):
    """A value before and after the last axis.

    Shapes: (..., L) -> (..., before + L + after). Negative widths take elements away.

    >>> ConstantPad1d(1, 7.0)([[1.0, 2.0]])
    tensor([[7., 1., 2., 7.]])
    """

    rank = 1


class ConstantPad2d(_ConstantPad):
    """A value around the last two axes: (left, right, top, bottom)."""

    rank = 2


class ConstantPad3d(_ConstantPad):
    """A value around the last three axes: (left, right, top, bottom, front, back)."""

    rank = 3


class ZeroPad1d(_Padding):
    """Zeros before and after the last axis."""

    rank = 1


class ZeroPad2d(_Padding):
    """Zeros around the last two axes: (left, right, top, bottom)."""

    rank = 2


class ZeroPad3d(_Padding):
    """Zeros around the last three axes: (left, right, top, bottom, front, back)."""

    rank = 3


class ReflectionPad1d(_Padding):
    """Before and after the last axis what lies as far on the other side of its edge.

    >>> ReflectionPad1d(2)([[1.0, 2.0, 3.0]])
    tensor([[3., 2., 1., 2., 3., 2., 1.]])
    """

    rank, mode = 1, "reflect"


class ReflectionPad2d(_Padding):
    """The last two axes reflected at their edges: (left, right, top, bottom)."""

    rank, mode = 2, "reflect"


class ReflectionPad3d(_Padding):
    """The last three axes reflected at their edges: (left, right, top, bottom, front, back)."""

    rank, mode = 3, "reflect"


class ReplicationPad1d(_Padding):
    """The first and the last element of the last axis repeated.

    >>> ReplicationPad1d((2, 1))([[1.0, 2.0]])
    tensor([[1., 1., 1., 2., 2.]])
    """

    rank, mode = 1, "replicate"


class ReplicationPad2d(_Padding):
    """The edges of the last two axes repeated: (left, right, top, bottom)."""

    rank, mode = 2, "replicate"


class ReplicationPad3d(_Padding):
    """The edges of the last three axes repeated: (left, right, top, bottom, front, back)."""

    rank, mode = 3, "replicate"


class CircularPad1d(_Padding):
    """The last axis goes on with its other end.

    >>> CircularPad1d((2, 1))([[1.0, 2.0, 3.0]])
    tensor([[2., 3., 1., 2., 3., 1.]])
    """

    rank, mode = 1, "circular"


class CircularPad2d(_Padding):
    """The last two axes go on with their other ends: (left, right, top, bottom)."""

    rank, mode = 2, "circular"


class CircularPad3d(_Padding):
    """The last three axes go on with their other ends: (left, right, top, bottom, front, back)."""

    rank, mode = 3, "circular"
