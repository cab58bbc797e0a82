"""New tensors of a tensor's dtype: PyTorch's `new_` methods."""

from __future__ import annotations

from typing import Any

from tessella.arguments import refuse
from tessella.tensors.creation import asarray, empty, full, ones, tensor, tracked, zeros
from tessella.tensors.tensor import Tensor

_OPTIONS = ("dtype", "device", "requires_grad")


def _sizes(shape: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """The shape that is given, size by size, whole or as `size=`."""
    if "size" in options and not shape:
        return options.pop("size")
    return shape[0] if len(shape) == 1 else shape


def _options(like: Any, name: str, given: dict[str, Any]) -> dict[str, Any]:
    """Options of what is made: the dtype and the device are those of a tensor, unless others are given."""
    refuse(name, {key: value for key, value in given.items() if key not in _OPTIONS}, *_OPTIONS)
    found = {name: value for name, value in given.items() if value is not None}
    return {"dtype": like.dtype, "device": like.device, **found}


class MadeAlike:
    """Methods that make other tensors. They take `dtype`, `device` and `requires_grad`."""

    __slots__ = ()

    def new_tensor(self: Any, data: Any, **options: Any) -> Tensor:
        """A tensor of data, in this one's dtype.

        >>> import tessella as ts
        >>> ts.ones(1).new_tensor([1, 2])
        tensor([1., 2.])
        """
        return tensor(data, **_options(self, "new_tensor", options))

    def new_zeros(self: Any, *shape: Any, **options: Any) -> Tensor:
        """Zeros of a shape, in this one's dtype.

        >>> import tessella as ts
        >>> ts.ones(1, dtype=ts.int32).new_zeros(2, 1).tolist()
        [[0], [0]]
        """
        sizes = _sizes(shape, options)
        return zeros(sizes, **_options(self, "new_zeros", options))

    def new_ones(self: Any, *shape: Any, **options: Any) -> Tensor:
        """Ones of a shape, in this one's dtype."""
        sizes = _sizes(shape, options)
        return ones(sizes, **_options(self, "new_ones", options))

    def new_empty(self: Any, *shape: Any, **options: Any) -> Tensor:
        """Unknown numbers of a shape, in this one's dtype."""
        sizes = _sizes(shape, options)
        return empty(sizes, **_options(self, "new_empty", options))

    def new_full(self: Any, size: Any, fill_value: Any, **options: Any) -> Tensor:
        """One value in a shape, in this one's dtype."""
        taken = _options(self, "new_full", options)
        if isinstance(fill_value, Tensor):
            requires_grad = taken.pop("requires_grad", False)
            made = asarray(fill_value, **taken).broadcast_to(size).copy()
            return tracked(made, requires_grad)
        return full(size, fill_value, **taken)
