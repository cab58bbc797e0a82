"""Sharing memory with other libraries, by DLPack."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from tessella import autodiff, dtypes
from tessella.arguments import public
from tessella.arguments.kinds import Device, shown
from tessella.devices.array import Array, brought, from_numpy, to_numpy, why_not_shared
from tessella.devices.buffer import is_protected
from tessella.devices.device import Device as OneDevice
from tessella.errors import ArgumentError, ArgumentTypeError, DeviceError
from tessella.tensors.tensor import (
    Tensor,
    array_of,
    from_array,
    is_traced,
    new_handle,
)  # fmt: skip

_CPU = 1  # the codes of DLPack's devices and types
_UNSIGNED = 1
_CODES = {  # of what NumPy does not know; DLPack's numbers of fewer bits than eight are packed
    "bfloat16": 4, "float8_e3m4": 7, "float8_e4m3": 8, "float8_e4m3b11fnuz": 9, "float8_e4m3fn": 10,
    "float8_e4m3fnuz": 11, "float8_e5m2": 12, "float8_e5m2fnuz": 13, "float8_e8m0fnu": 14,
}  # fmt: skip
_BY_CODE = {code: dtypes.as_dtype(name) for name, code in _CODES.items()}


def to_dlpack(
    tensor: Tensor, *, stream: Any = None, max_version: Any = None, dl_device: Any = None,
    copy: bool | None = None,
) -> Any:  # fmt: skip
    """The DLPack capsule of a tensor's memory.

    Memory that must not be written (a program's constants, what was read-only when it came, elements that are stored
    once and shown several times) is marked as read-only; who cannot be told so, because DLPack knows this
    since version 1.0 only, is given a copy.

    Source: Python Array API standard, `__dlpack__`; NumPy writes the capsule.

    Raises:
        BufferError: another device was asked for, or no copy where there must be one.
    """
    if stream is not None:
        raise BufferError("dlpack: a CPU tensor has no stream; pass stream=None")
    if dl_device is not None and not (
        isinstance(dl_device, tuple) and len(dl_device) == 2 and dl_device[0] == _CPU
    ):
        raise BufferError(f"dlpack: the tensor is on the CPU, not on device {shown(dl_device)}")
    if not tensor.device.shares_memory:
        if copy is False:
            raise BufferError(
                f"dlpack: the tensor is on {tensor.device.name!r}, whose memory nobody else can see; share x.cpu()"
            )
        copy = True
    if max_version is not None and not (isinstance(max_version, tuple) and len(max_version) == 2):
        raise ArgumentTypeError(
            f"dlpack: max_version is {shown(max_version)}; expected two whole numbers, such as (1, 0)"
        )
    array = array_of(tensor)
    data = to_numpy(array)
    if copy is not True and _is_read_only(array):
        data.flags.writeable = False
        untold = max_version is None or max_version[0] < 1
        if untold and copy is False:
            raise BufferError(
                "dlpack: the tensor's memory is read-only, which DLPack can say from version 1.0 on only; "
                "ask for max_version=(1, 0), or for a copy"
            )
        copy = untold
    if copy:
        data = np.array(data)
    if tensor.dtype.library != "numpy" and tensor.dtype.name not in _CODES:
        raise BufferError(
            f"dlpack: {tensor.dtype.name} is kept in a byte each here, which DLPack has no word for; share "
            "ts.pack(x), or x.astype(ts.int8)"
        )
    capsule = data.view(tensor.dtype.carrier).__dlpack__(max_version=max_version)
    if tensor.dtype.library != "numpy":
        _type_code(capsule).value = _CODES[tensor.dtype.name]
    return capsule


def _is_read_only(array: Array) -> bool:
    layout = array.layout
    repeated = any(s == 0 and n > 1 for n, s in zip(layout.shape, layout.strides, strict=True))
    return repeated or is_protected(array.buffer)


@public
def from_dlpack(x: Any, *, device: Device = None, copy: bool | None = None) -> Tensor:
    """A tensor on the memory of another library's array, without copying.

    Raises:
        ArgumentTypeError: the object does not speak DLPack.
        DeviceError: the array is not on the CPU.
        ArgumentError: it cannot be shared, and `copy=False` was given.

    >>> from_dlpack(np.arange(3.0))
    tensor([0., 1., 2.], dtype=float64)
    """
    data = ndarray_of(x)
    why = why_not_shared(data)
    if copy is False and why:
        raise ArgumentError(
            f"from_dlpack: the array cannot be shared: {why}, and copy=False was given; leave it out for "
            "a copy"
        )
    return from_array(from_numpy(data, copy=bool(copy)))


def moved(x: Tensor, device: OneDevice) -> Tensor:
    """A copy of a tensor on another device; gradients come back to where it was.

    Raises:
        DeviceError: a function is being traced.
    """
    home, node = x.device, None
    if is_traced():
        raise DeviceError(
            f"to_device: a function that is compiled or transformed works on one device, here {home.name!r}; bring "
            "tensors to another one before it is called, or its results afterwards"
        )
    if x._node is not None and autodiff.is_enabled():
        node = autodiff.Node(
            "to_device", ((x._node, x._output),), lambda cotangents: [cotangents[0].to_device(home)]
        )
    return new_handle(brought(x._value, device), node, 0)


def ndarray_of(x: Any) -> np.ndarray[Any, Any]:
    """Another library's array as one of NumPy on the same memory.

    Raises:
        ArgumentTypeError: the object does not speak DLPack, or not properly.
        DeviceError: the array is not on the CPU.
    """
    if isinstance(x, type) or not (hasattr(x, "__dlpack__") and hasattr(x, "__dlpack_device__")):
        raise ArgumentTypeError(
            f"from_dlpack: {shown(x)} has no __dlpack__; use ts.asarray for other data"
        )
    exported = _Exported(x)
    try:
        is_here = x.__dlpack_device__()[0] == _CPU
        data = np.from_dlpack(exported) if is_here else None
    except (BufferError, ValueError, TypeError, RuntimeError) as error:
        # text, objects, dates; and whatever other libraries say of what they cannot or will not export
        raise ArgumentTypeError(f"from_dlpack: {shown(x)} cannot be shared: {error}") from None
    if data is None:
        raise DeviceError("from_dlpack: the array is on another device; bring it to the CPU first")
    return data if exported.dtype is None else data.view(exported.dtype.numpy)


# --- what NumPy does not know passes as unsigned integers, and the code of its type is changed ---


class _Exported:
    """An array that shows numbers of a dtype that NumPy does not know as unsigned integers."""

    def __init__(self, array: Any) -> None:
        self.array = array
        self.dtype: dtypes.DType | None = None  # what they are, if it is such a dtype

    def __dlpack__(self, **options: Any) -> Any:
        capsule = self.array.__dlpack__(**options)
        code = _type_code(capsule)
        self.dtype = _BY_CODE.get(code.value)
        if self.dtype is not None:
            code.value = _UNSIGNED
        return capsule

    def __dlpack_device__(self) -> Any:
        return self.array.__dlpack_device__()


def _type_code(capsule: Any) -> ctypes.c_uint8:
    """Where a capsule says of which kind its elements are.

    Source: DLPack 1.0, `DLManagedTensor` and `DLManagedTensorVersioned`: the versioned one has four
    words (version, context, deleter, flags) before its `DLTensor`, whose type follows the address,
    the device and the number of axes.
    """
    name = _capsule_name(capsule)  # a ValueError says that it is no capsule
    if name not in (b"dltensor", b"dltensor_versioned"):
        raise ValueError(f"__dlpack__ gave a capsule of {name!r}; expected one of DLPack's")
    start = _capsule_pointer(capsule, name)
    return ctypes.c_uint8.from_address(start + (32 if name == b"dltensor_versioned" else 0) + 20)


_capsule_name = ctypes.pythonapi.PyCapsule_GetName
_capsule_name.restype, _capsule_name.argtypes = ctypes.c_char_p, [ctypes.py_object]
_capsule_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_capsule_pointer.restype = ctypes.c_void_p
_capsule_pointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
