"""What a tensor is, and the same numbers as another dtype or elsewhere, under PyTorch's names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tessella import dtypes
from tessella.arguments import public, refuse
from tessella.arguments.kinds import Device, shown
from tessella.devices.device import Device as OneDevice
from tessella.dtypes import DType, as_dtype
from tessella.errors import ArgumentTypeError, DeviceError
from tessella.primitives.base import normalise_axis
from tessella.primitives.elementwise import cast_to
from tessella.tensors.interchange import moved
from tessella.tensors.tensor import Tensor, another_handle, apply
from tessella.tracing.trace import seen


class Facts:
    """What a tensor is."""

    __slots__ = ()

    def dim(self: Any) -> int:
        """The number of axes, as `ndim`.

        >>> import tessella as ts
        >>> ts.zeros((2, 3)).dim()
        2
        """
        return self.ndim

    ndimension = dim

    def numel(self: Any) -> int:
        """The number of elements, as `size`.

        >>> import tessella as ts
        >>> ts.zeros((2, 3)).numel()
        6
        """
        return self.size

    nelement = numel

    @property
    def itemsize(self: Any) -> int:
        """The bytes of one element."""
        return self.dtype.itemsize

    def element_size(self: Any) -> int:
        """The bytes of one element, as `itemsize`."""
        return self.itemsize

    def stride(self: Any, axis: int | None = None, **others: Any) -> Any:
        """How many elements further the next one along each axis (or along one) is, as `strides`."""
        if others:
            axis = others.pop("dim", axis)
            refuse("stride", others, "axis")
        if axis is None:
            return self.strides
        return self.strides[normalise_axis(axis, self.ndim, "stride")]

    def is_contiguous(self: Any, **others: Any) -> bool:
        """Whether the elements lie in row-major order."""
        if others:
            refuse("is_contiguous", others)
        return self.contiguous() is self

    def is_floating_point(self: Any) -> bool:
        """Whether the dtype is a floating one."""
        return self.dtype.is_float

    def is_complex(self: Any) -> bool:
        """Whether the dtype is a complex one."""
        return self.dtype.is_complex


class Copies:
    """The same numbers as any dtype, elsewhere, in memory of their own."""

    __slots__ = ()

    def astype(self: Any, dtype: Any, copy: bool = True, **others: Any) -> Tensor:
        """The elements as another dtype.

        Args:
            copy: False to have this tensor itself if it is of this dtype, as `to` gives it; else it is another one,
                which `y += 1` changes alone.
        """
        if others:
            refuse("astype", others, "dtype", "copy")
        if copy is not True and copy is not False:
            raise ArgumentTypeError(f"astype: copy is {shown(copy)}; expected True or False")
        target = as_dtype(dtype)
        if target is self.dtype:
            return another_handle(self) if copy else self
        return apply(cast_to(target), (self,))

    @public
    def to_device(self: Any, device: Device, /, *, stream: Any = None) -> Tensor:
        """The tensor on a device: itself if it is there, else a copy, through which gradients go back.

        Raises:
            DeviceError: there is no such device; or a function is being traced, which works on one device.

        >>> import tessella as ts
        >>> ts.ones(2).to_device("emulated").device
        device('emulated')
        """
        return self if device is None or device is self.device else moved(self, device)

    def copy(self: Any, **others: Any) -> Tensor:
        """The same elements in memory of their own, in row-major order."""
        if others:
            refuse("copy", others)
        return apply(cast_to(self.dtype), (self,))

    def contiguous(self: Any, **others: Any) -> Tensor:
        """The tensor itself if its elements lie in row-major order, else a copy that does."""
        if others:
            refuse("contiguous", others)
        return self if seen(self)._value.layout.contiguous else self.copy()


def _as(name: str, dtype: DType, meaning: str = "") -> Callable[..., Tensor]:
    """The method of that name, which gives the numbers as a dtype."""

    def method(self: Any, **others: Any) -> Tensor:
        if others:
            refuse(name, others)
        return self.astype(dtype, copy=False)

    method.__name__ = name
    method.__doc__ = meaning or f"The numbers as {dtype.name}."
    return method


class Conversions:
    """The same numbers as another dtype. (These names hide the built-in ones in this class.)"""

    __slots__ = ()

    def to(
        self: Any, *where: Any, dtype: Any = None, device: Any = None, copy: Any = False,
        non_blocking: Any = False, **others: Any,
    ) -> Tensor:  # fmt: skip
        """The tensor as another dtype, on another device, or as another tensor is in both.

        >>> import tessella as ts
        >>> ts.asarray([1.5]).to(ts.int64), ts.asarray([1.5]).to("cpu")
        (tensor([1]), tensor([1.5]))
        """
        if others:
            where = (*where, *_other(others))
        for wanted in where:
            if wanted is None:
                continue
            if isinstance(wanted, Tensor):
                where_from, wanted = wanted.device, wanted.dtype
                device = where_from if device is None else device
            is_device = isinstance(wanted, OneDevice) or (
                isinstance(wanted, str) and not dtypes.is_known(wanted)
            )
            if (device if is_device else dtype) is not None:
                what = "a device" if is_device else "a dtype"
                raise ArgumentTypeError(f"to: {what} was given twice; give it once")
            if is_device:
                device = wanted
            else:
                dtype = wanted
        if copy is not True and copy is not False:
            raise ArgumentTypeError(f"to: copy is {shown(copy)}; expected True or False")
        result = self if device is None else self.to_device(device)
        result = result if dtype is None else result.astype(dtype, copy=False)
        return result.copy() if copy and result is self else result

    def type(self: Any, dtype: Any = None, non_blocking: Any = False, **others: Any) -> Any:
        """The tensor as another dtype; without one, the dtype it has."""
        if others:
            refuse("type", others, "dtype", "non_blocking")
        return self.dtype if dtype is None else self.astype(dtype, copy=False)

    def type_as(self: Any, tensor: Tensor) -> Tensor:
        """The tensor as the dtype of another one.

        >>> import tessella as ts
        >>> ts.asarray([1]).type_as(ts.ones(1))
        tensor([1.])
        """
        if not isinstance(tensor, Tensor):
            raise ArgumentTypeError(
                f"type_as: {shown(tensor)} was given; expected a Tensor; use x.astype(dtype) for a dtype"
            )
        return self.astype(tensor.dtype, copy=False)

    def cpu(self: Any, **others: Any) -> Tensor:
        """The tensor on the CPU."""
        if others:
            refuse("cpu", others)
        return self.to_device("cpu")

    def cuda(self: Any, device: Any = None, **others: Any) -> Tensor:
        """There is no GPU yet.

        Raises:
            DeviceError: always.
        """
        raise DeviceError("cuda: there is no GPU yet; leave .cuda() out")

    def clone(self: Any, **others: Any) -> Tensor:
        """The same elements in memory of their own, with history, as `copy`."""
        if others:
            refuse("clone", others)
        return self.copy()

    float = _as("float", dtypes.float32)
    double = _as("double", dtypes.float64)
    half = _as("half", dtypes.float16)
    bfloat16 = _as("bfloat16", dtypes.bfloat16)
    long = _as("long", dtypes.int64)
    int = _as("int", dtypes.int32)
    short = _as("short", dtypes.int16)
    char = _as("char", dtypes.int8)
    byte = _as("byte", dtypes.uint8)
    bool = _as("bool", dtypes.bool_, "Whether each number is not 0.")


def _other(others: dict[str, Any]) -> list[Any]:
    """The tensor whose dtype is wanted, by its name in PyTorch."""
    wanted = [others.pop("other")] if "other" in others else []
    refuse("to", others, "dtype", "device", "copy", "non_blocking")
    return wanted
