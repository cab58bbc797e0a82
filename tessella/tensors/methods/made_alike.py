"""New tensors of a tensor's dtype: PyTorch's `new_` methods."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tessella.tensors.tensor import Tensor


def _sizes(shape: tuple[Any, ...]) -> Any:
    return shape[0] if len(shape) == 1 else shape


class MadeAlike:
    """Methods that make other tensors."""

    __slots__ = ()

    def new_tensor(self: Any, data: Any, *, dtype: Any = None) -> Tensor:
        """A tensor of data, in this one's dtype.

        >>> import tessella as ts
        >>> ts.ones(1).new_tensor([1, 2])
        tensor([1., 2.])
        """
        from tessella.tensors.creation import asarray

        return asarray(data, dtype=self.dtype if dtype is None else dtype, copy=True).detach()

    def new_zeros(self: Any, *shape: Any, dtype: Any = None) -> Tensor:
        """Zeros of a shape, in this one's dtype.

        >>> import tessella as ts
        >>> ts.ones(1, dtype=ts.int32).new_zeros(2, 1).tolist()
        [[0], [0]]
        """
        from tessella.tensors.creation import zeros

        return zeros(_sizes(shape), dtype=self.dtype if dtype is None else dtype)

    def new_ones(self: Any, *shape: Any, dtype: Any = None) -> Tensor:
        """Ones of a shape, in this one's dtype."""
        from tessella.tensors.creation import ones

        return ones(_sizes(shape), dtype=self.dtype if dtype is None else dtype)

    def new_empty(self: Any, *shape: Any, dtype: Any = None) -> Tensor:
        """Unknown numbers of a shape, in this one's dtype."""
        from tessella.tensors.creation import empty

        return empty(_sizes(shape), dtype=self.dtype if dtype is None else dtype)

    def new_full(self: Any, shape: Any, fill_value: Any, *, dtype: Any = None) -> Tensor:
        """One value in a shape, in this one's dtype."""
        from tessella.tensors.creation import asarray, full
        from tessella.tensors.tensor import Tensor

        if isinstance(fill_value, Tensor):
            value = asarray(fill_value, dtype=self.dtype if dtype is None else dtype)
            return value.broadcast_to(shape).copy()
        return full(shape, fill_value, dtype=self.dtype if dtype is None else dtype)
