"""What the course's functions take, by the annotations of their parameters (`tessella.arguments`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from tessella.arguments.kinds import UNFIT, Kind, register_class, register_kind
from tessella.devices.array import check_shape
from tessella.errors import TessellaError
from tessella.minitorch.handle import Handle

if TYPE_CHECKING:
    from tessella.minitorch.tensor import Tensor

CourseTensor: TypeAlias = "Tensor"
TileSizes: TypeAlias = tuple[int, int]


def _shape(value: Any) -> Any:
    """Sizes that make a shape; numbers like NumPy's are whole numbers, too."""
    if isinstance(value, (int, str, bytes, set, dict)):
        return UNFIT
    try:
        return check_shape(value, "shape")
    except TessellaError:
        return UNFIT


def _pair(value: Any) -> Any:
    found = _shape(value)
    return found if found is not UNFIT and len(found) == 2 else UNFIT


register_class("CourseTensor", lambda: Handle, "a minitorch.Tensor")
register_kind("UserShape", Kind("sizes, as a tuple of whole numbers", "False", _shape))
register_kind("TileSizes", Kind("two whole numbers, height and width", "False", _pair))
