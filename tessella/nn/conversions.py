"""What PyTorch calls the conversions of a module; beside it, as their names hide Python's own in the class they are in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from tessella import dtypes
from tessella.arguments import public
from tessella.arguments.kinds import DTypeLike

C = TypeVar("C", bound="Conversions")


class Conversions:
    """Other spellings of `Module.to`."""

    if TYPE_CHECKING:

        def to(self: C, *to: Any, dtype: Any = None, device: Any = None) -> C: ...

    @public
    def cpu(self: C) -> C:
        """Bring all parameters and buffers to the CPU, as `to("cpu")` does."""
        return self.to("cpu")

    @public
    def type(self: C, dst_type: DTypeLike) -> C:
        """Convert all floating parameters and buffers, as `to(dtype)` does."""
        return self.to(dtype=dst_type)

    @public
    def half(self: C) -> C:
        """Convert all floating parameters and buffers to float16."""
        return self.to(dtype=dtypes.float16)

    @public
    def bfloat16(self: C) -> C:
        """Convert all floating parameters and buffers to bfloat16."""
        return self.to(dtype=dtypes.bfloat16)

    @public
    def float(self: C) -> C:
        """Convert all floating parameters and buffers to float32."""
        return self.to(dtype=dtypes.float32)

    @public
    def double(self: C) -> C:
        """Convert all floating parameters and buffers to float64.

        >>> from tessella import nn
        >>> nn.Linear(2, 1).double().weight.dtype
        tessella.float64
        """
        return self.to(dtype=dtypes.float64)
