"""How tensors become what is not one: NumPy arrays, Python numbers, text, other libraries' arrays."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tessella import autodiff
from tessella.arguments import public
from tessella.arguments.kinds import shown
from tessella.devices.array import from_numpy
from tessella.dtypes import DType, as_dtype
from tessella.errors import ArgumentError, ArgumentTypeError, DTypeError, GradientError
from tessella.names import package
from tessella.tensors.methods.method import Method
from tessella.tensors.tensor import Tensor, from_array

_mode = autodiff.mode
_API_VERSIONS = ("2021.12", "2022.12", "2023.12", "2024.12")  # of the Array API standard


class Leaving:
    """Conversions to what is no tensor."""

    __slots__ = ()

    __repr__: Method[str] = Method("formatting", "represent")
    _repr_html_: Method[str] = Method("formatting", "represent_html")
    __dlpack__: Method[Any] = Method("interchange", "to_dlpack")

    def __format__(self: Any, specification: str) -> str:
        if not specification:
            return str(self)
        if self.numpy().ndim:  # of a traced tensor it is an error that says what to do
            raise ArgumentTypeError(
                f"format: {specification!r} is for one number, and the tensor has the shape {self.shape}; reduce it, "
                "or round it: ts.round(x * 1000) / 1000"
            )
        number = self.item()
        try:
            return format(number, specification)
        except ValueError as error:
            raise ArgumentError(
                f"format: {specification!r} does not fit a number of {self.dtype.name}: {error}"
            ) from None

    def __array__(self: Any, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        if _mode.trace is not None:
            _mode.trace.given_to_numpy(self)
        view = self.numpy()
        if dtype is not None and np.dtype(dtype) != view.dtype:
            if copy is False:
                raise ArgumentError(f"numpy: {self.dtype.name} to {dtype} needs a copy")
            return view.astype(dtype)
        return np.array(view) if copy else view

    def item(self: Any, *place: int) -> Any:
        """The only element, as a Python number; of several, the one at a place (one index for each axis).

        Raises:
            ArgumentError: the tensor has none or several, and no place was given.
        """
        if place:
            return (self[place] if len(place) > 1 else self.reshape(-1)[place[0]]).item()
        if self.size != 1:
            raise ArgumentError(
                f"item: the tensor has {self.size} elements (shape {self.shape}); exactly one can "
                "become a Python number; use tolist() for more"
            )
        return self.numpy().reshape(()).astype(_python_kind(self.dtype)).item()

    @public
    def tolist(self: Any) -> Any:
        """The elements as nested lists of Python numbers."""
        return self.numpy().astype(_python_kind(self.dtype)).tolist()

    def __float__(self: Any) -> float:
        return float(self._real_item("float"))

    def __int__(self: Any) -> int:
        number = self._real_item("int")
        if not math.isfinite(number):
            raise ArgumentError(f"int: the tensor holds {number}, which is no whole number")
        return int(number)

    def _real_item(self: Any, name: str) -> float:
        number: Any = self.item()
        if isinstance(number, complex):
            raise DTypeError(
                f"{name}: the tensor is {self.dtype.name}; take its real part first: {name}(x.real)"
            )
        return number

    def __complex__(self: Any) -> complex:
        return complex(self.item())

    def __index__(self: Any) -> int:
        if not self.dtype.is_integer:
            raise ArgumentTypeError(f"an index must be an integer, not {self.dtype.name}")
        return int(self.item())

    def __bool__(self: Any) -> bool:
        if self.size != 1:
            raise ArgumentError(
                f"the truth of a tensor of {self.size} elements is not one answer; use any() or all(), and for each "
                "element &, | and ~ in place of `and`, `or` and `not`: (x > 0) & (x < 1)"
            )
        return bool(self.item())

    def __dlpack_device__(self: Any) -> tuple[int, int]:
        return (1, 0)  # kDLCPU

    def __array_namespace__(self: Any, *, api_version: str | None = None) -> Any:
        if api_version is not None and api_version not in _API_VERSIONS:
            raise ArgumentError(
                f"__array_namespace__: api_version is {shown(api_version)}; expected one of {', '.join(_API_VERSIONS)}"
            )
        return package()

    def __reduce__(self: Any) -> tuple[Any, ...]:
        data = np.array(self.numpy())
        data = data.view(self.dtype.carrier)  # whoever reads it need not have ml_dtypes imported
        return (_rebuild, (data, self.dtype.name, self.requires_grad and self.is_leaf))

    def __deepcopy__(self: Any, memo: dict[int, Any]) -> Tensor:
        if not self.is_leaf:
            raise GradientError(
                "deepcopy: the tensor has a history, and only leaves can be copied; copy x.detach()"
            )
        fresh = self.detach().copy()
        if self.requires_grad:
            fresh.requires_grad_()
        if self.grad is not None:
            fresh.grad = self.grad.detach().copy()
        memo[id(self)] = fresh
        return fresh


def _rebuild(data: np.ndarray[Any, Any], dtype: str, requires_grad: bool) -> Tensor:
    """Unpickle."""
    tensor = from_array(from_numpy(data.view(as_dtype(dtype).numpy), copy=True))
    return tensor.requires_grad_() if requires_grad else tensor


def _python_kind(dtype: DType) -> Any:
    """A NumPy dtype whose items are Python numbers."""
    return np.float64 if dtype.is_float else dtype.numpy
