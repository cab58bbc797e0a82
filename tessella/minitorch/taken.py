"""What the course's functions take, by the annotations of their parameters (`tessella.arguments`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from tessella.arguments.kinds import UNFIT, Kind, register_class, register_kind
from tessella.backends.array import check_shape
from tessella.errors import TessellaError

if TYPE_CHECKING:
    from tessella.minitorch.tensor import Tensor

CourseTensor: TypeAlias = "Tensor"
TileSizes: TypeAlias = tuple[int, int]


def _tensor() -> type:
    from tessella.minitorch.tensor import Tensor

    return Tensor


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


def _operations(value: Any) -> Any:
    from tessella.minitorch.tensor_ops import TensorOps

    return value if isinstance(value, type) and issubclass(value, TensorOps) else UNFIT


register_class("CourseTensor", _tensor, "a minitorch.Tensor")
register_kind("UserShape", Kind("sizes, as a tuple of whole numbers", "False", _shape))
register_kind("TileSizes", Kind("two whole numbers, height and width", "False", _pair))
register_kind("type[TensorOps]", Kind("a subclass of TensorOps", "False", _operations))
