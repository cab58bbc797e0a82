"""What a function needs to know of the tensors that it gets: their data, their backend, how to make one like them.

`Tensor` is made of the functions (its operators apply them), so they know this much of it and no more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import tessella as ts
from tessella.errors import ArgumentError, CourseArgumentError
from tessella.minitorch.arithmetic import Arithmetic
from tessella.minitorch.autodiff import History

if TYPE_CHECKING:
    from tessella.minitorch.tensor import Tensor
    from tessella.minitorch.tensor_ops import TensorBackend


class Handle(Arithmetic):
    """A tensor of Tessella and a backend; `Tensor` has all else."""

    __slots__ = ("_data", "backend")

    _data: ts.Tensor
    backend: TensorBackend

    if TYPE_CHECKING:  # `Tensor` has it

        def _like(self, data: ts.Tensor, history: History | None = None) -> Tensor:
            """A tensor of this backend around other data."""

    @property
    def shape(self) -> tuple[int, ...]:
        return self._data.shape

    @property
    def size(self) -> int:
        """The number of elements."""
        return self._data.size

    @property
    def dims(self) -> int:
        """The number of axes."""
        return self._data.ndim

    @property
    def f(self) -> TensorBackend:
        """The operations of the backend."""
        return self.backend

    def item(self) -> float:
        """The only element, as a number.

        Raises:
            CourseArgumentError: there are several.
        """
        try:
            return float(self._data.item())
        except ArgumentError as error:
            raise CourseArgumentError(str(error)) from None

    def detach(self) -> Tensor:
        """The same data without history."""
        return self._like(self._data.detach())
