"""Arrays: concrete data. A buffer, where the first element is, and a layout."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from tessella import dtypes
from tessella.devices.buffer import protect
from tessella.devices.device import Device, chosen
from tessella.devices.registry import current, host
from tessella.dtypes import DType
from tessella.errors import ArgumentError, DeviceError, OutOfMemoryError, ShapeError
from tessella.sizes.size import Size, as_integer, for_all

Shape = tuple[int, ...]
_LARGEST = 1 << 62


class Layout:
    """Shape, strides (in elements), dtype and device. Equal layouts are one object: keys of plan caches."""

    __slots__ = (
        "contiguous", "device", "dtype", "nbytes", "ndim", "numbers", "shape", "size", "strides",
    )  # fmt: skip

    shape: Shape
    strides: Shape
    dtype: DType
    device: Device
    numbers: dict[Any, Any]  # Python's beside arrays of this dtype and device, each once
    size: int
    nbytes: int  # if each element is stored once
    ndim: int
    contiguous: bool


def layout_of(shape: Shape, strides: Shape, dtype: DType, device: Device | None = None) -> Layout:
    """The one layout of this shape, strides and dtype on a device, or on that of the thread."""
    device = device or current()
    key = (shape, strides, dtype)
    found: Layout | None = device.layouts.get(key)
    if found is None:
        if (
            len(device.layouts) > 100_000
        ):  # plans that refer to them are dropped with their own cache
            device.layouts.clear()
            device.row_major_layouts.clear()
        found = Layout()
        found.shape, found.strides, found.dtype, found.device = shape, strides, dtype, device
        found.numbers = device.numbers.setdefault(dtype, {})
        found.ndim, found.size = len(shape), math.prod(shape)
        _require_addresses(shape, dtype, found.size)
        found.nbytes = found.size * dtype.itemsize
        found.contiguous = (
            all(
                stride == expected or n == 1
                for n, stride, expected in zip(shape, strides, row_major(shape), strict=True)
            )
            or found.size == 0
        )
        made: Layout = device.layouts.setdefault(key, found)
        return made
    return found


def _require_addresses(shape: Shape, dtype: DType, size: Any) -> None:
    """Complain about a shape whose places have no addresses, although its elements may be stored once."""
    known = [
        n for n in shape if type(n) is int and n
    ]  # none at all of what is too many: NumPy cannot say it
    if math.prod(known) * dtype.itemsize > _LARGEST:
        raise OutOfMemoryError(
            f"a tensor of shape {_short(shape)} and dtype {dtype.name} has more elements than any machine can "
            "address; use a smaller shape"
        )


def _short(sizes: Sequence[Any]) -> str:
    """Sizes in a message: those that no machine has are not written out, as Python would not do it."""
    texts = [
        f"2**{n.bit_length()} or so" if type(n) is int and abs(n) > _LARGEST else repr(n)
        for n in sizes
    ]
    return f"({', '.join(texts)}{',' * (len(texts) == 1)})"


def contiguous_layout(shape: Shape, dtype: DType, device: Device | None = None) -> Layout:
    """The row-major layout of a shape on a device, or on that of the thread."""
    device = device or chosen.get() or current()  # microseconds count
    key = (shape, dtype)
    found: Layout | None = device.row_major_layouts.get(key)
    if found is None:
        found = layout_of(shape, row_major(shape), dtype, device)
        device.row_major_layouts[key] = found
    return found


class _Anywhere:
    """What stands for a device in the layout of a number that a program is to be handed where it runs."""

    name = "any device"

    def __init__(self) -> None:
        self.layouts, self.row_major_layouts, self.numbers = {}, {}, {}  # type: ignore[var-annotated]


ANYWHERE: Any = _Anywhere()


def device_of(layouts: Iterable[Layout], doing: str) -> Device:
    """The device that operands are on; that of the thread if there are none.

    Raises:
        DeviceError: they are on several.
    """
    found = dict.fromkeys([layout.device for layout in layouts])
    if len(found) > 1:
        found.pop(ANYWHERE, None)
    if len(found) > 1:
        first, second, *_ = found
        raise DeviceError(
            f"{doing}: some tensors are on {first.name!r} and some on {second.name!r}; bring them together first, "
            f"with x.to_device({first.name!r})"
        )
    return next(iter(found), None) or current()


def row_major(shape: Shape) -> Shape:
    """The strides of a contiguous array.

    >>> row_major((2, 3, 4))
    (12, 4, 1)
    """
    strides, step = [], 1
    for extent in reversed(shape):
        strides.append(step)
        step *= max(for_all(extent), 1)
    return tuple(reversed(strides))


class Array:
    """Concrete data: the address of the first element, its layout, and what keeps it alive."""

    __slots__ = ("address", "buffer", "layout")

    def __init__(self, buffer: Any, address: int, layout: Layout) -> None:
        self.buffer = buffer
        self.address = address
        self.layout = layout

    @property
    def shape(self) -> Shape:
        return self.layout.shape

    @property
    def dtype(self) -> DType:
        return self.layout.dtype

    @property
    def device(self) -> Device:
        """Whose memory it lies in."""
        return self.layout.device

    def numpy(self) -> np.ndarray[Any, Any]:
        """A writable NumPy view of the memory, without copying."""
        return to_numpy(self)


def empty(layout: Layout) -> Array:
    """An array with unknown contents; `layout` is contiguous.

    Raises:
        OutOfMemoryError: the machine has no such amount of memory.
    """
    nbytes = layout.nbytes
    if nbytes > _LARGEST:
        raise OutOfMemoryError(
            f"an array of shape {layout.shape} and dtype {layout.dtype.name} would take {nbytes} "
            "bytes, more than any machine can address; use a smaller shape"
        )
    buffer = layout.device.allocator(nbytes)()  # `allocate`, with fewer calls
    return Array(buffer, buffer.address, layout)


def maker(layout: Layout) -> Callable[[], Array]:
    """What makes arrays of one layout as `empty` does, for those who need many."""
    block = layout.device.allocator(layout.nbytes)

    def make() -> Array:
        array = Array.__new__(Array)
        array.buffer = buffer = block()
        array.address, array.layout = buffer.address, layout
        return array

    return make


def from_numpy(x: np.ndarray[Any, Any], copy: bool = False, device: Device | None = None) -> Array:
    """An array on NumPy's memory if its strides allow it, else on a copy; on another device than the host a copy."""
    if type(x) is not np.ndarray:
        x = plain_ndarray(x)
    dtype = dtypes.as_dtype(x.dtype)
    device = device or current()
    if copy or device is not host() or why_not_shared(x):
        result = empty(contiguous_layout(x.shape, dtype, device))
        write(result, x)
        return result
    item = x.dtype.itemsize
    address = x.__array_interface__["data"][0]
    layout = layout_of(x.shape, tuple(stride // item for stride in x.strides), dtype, device)
    buffer = host().wrap(x, address, x.nbytes)
    if not x.flags.writeable:
        protect(buffer)
    return Array(buffer, address, layout)


def brought(array: Array, device: Device) -> Array:
    """An array on a device: itself if it is there, else a copy."""
    return array if array.device is device else from_numpy(to_numpy(array), True, device)


def plain_ndarray(x: np.ndarray[Any, Any] | np.generic) -> np.ndarray[Any, Any]:
    """Elements of NumPy as an array of its own class, which knows of nothing but elements.

    Raises:
        ArgumentError: some of them are masked.
    """
    masked = sys.modules.get("numpy.ma")  # as long as nobody has loaded it, nothing is masked
    if type(x) is not np.ndarray and masked is not None and masked.is_masked(x):
        raise ArgumentError(
            f"asarray: {masked.count_masked(x)} of the array's {x.size} elements are masked, and tensors have no "
            "masks; fill them first, array.filled(0), or take the data as it is, array.data"
        )
    return np.asarray(x)


def why_not_shared(x: np.ndarray[Any, Any]) -> str:
    """Why NumPy's memory cannot be an array's as it is; nothing if it can."""
    if not x.dtype.isnative:
        return "its bytes are in another order than this machine's"
    if not x.flags.aligned:
        return "its elements are not aligned"
    if any(stride % x.dtype.itemsize for stride in x.strides):
        return "its strides are no multiples of the size of an element"
    return ""


class _Window:
    """What NumPy needs to look at an array's memory; keeps the buffer alive."""

    __slots__ = ("__array_interface__", "buffer")

    def __init__(self, array: Array) -> None:
        layout = array.layout
        item = layout.dtype.itemsize
        self.buffer = array.buffer
        self.__array_interface__ = {
            "shape": layout.shape,
            "strides": tuple(stride * item for stride in layout.strides),
            "typestr": layout.dtype.carrier.str,
            "data": (array.address, False),
            "version": 3,
        }


def to_numpy(array: Array) -> np.ndarray[Any, Any]:
    """A writable NumPy view of an array's memory, without copying; of memory that the host cannot see, a copy to read."""
    if array.layout.size == 0:
        return np.zeros(array.layout.shape, array.layout.dtype.numpy)
    return _view(array) if array.layout.device.shares_memory else _copied_out(array)


def _view(array: Array) -> np.ndarray[Any, Any]:
    view = np.asarray(_Window(array))
    return view if array.dtype.library == "numpy" else view.view(array.dtype.numpy)


def _copied_out(array: Array) -> np.ndarray[Any, Any]:
    """An array's elements, and what lies between them, on the host."""
    layout, item = array.layout, array.layout.dtype.itemsize
    reach = [(n - 1) * stride for n, stride in zip(layout.shape, layout.strides, strict=True)]
    before = -sum(far for far in reach if far < 0)
    memory = np.empty(before + 1 + sum(far for far in reach if far > 0), layout.dtype.carrier)
    layout.device.copy_out(memory, array.address - before * item)
    strides = [stride * item for stride in layout.strides]
    view = np.lib.stride_tricks.as_strided(memory[before:], layout.shape, strides, writeable=False)
    return view.view(layout.dtype.numpy)


def write(array: Array, values: Any) -> None:
    """Let a contiguous array hold some values, which are broadcast."""
    if not array.layout.size:
        return
    if array.layout.device.shares_memory:
        _view(array)[...] = values
        return
    elements = np.empty(array.layout.shape, array.layout.dtype.numpy)
    elements[...] = values
    array.device.copy_in(array.address, elements)


def check_count(value: Any, name: str, argument: str, least: int = 0) -> int:
    """A count of something as a Python integer.

    Raises:
        ArgumentError: it is no whole number, too small, or more than any machine can count through.

    >>> check_count(np.int32(3), "diff", "n")
    3
    """
    if isinstance(value, Size):
        return as_integer(value)
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not whole or not least <= value <= _LARGEST:
        raise ArgumentError(
            f"{name}: {argument} is {value!r}; expected a whole number of at least {least}"
            + (f" and at most {_LARGEST}" if whole and value > _LARGEST else "")
        )
    return int(value)


def is_plain(shape: Any) -> bool:
    """Whether a shape is a tuple of Python's integers, none of them negative or too large."""
    return type(shape) is tuple and not [
        n for n in shape if type(n) is not int or not 0 <= n <= _LARGEST
    ]


def check_shape(shape: Any, name: str) -> Shape:
    """A shape as a tuple of Python integers.

    Raises:
        ShapeError: a size is negative or no integer.

    >>> check_shape(3, "zeros"), check_shape([2, 3], "zeros")
    ((3,), (2, 3))
    """
    if is_plain(shape):  # as it mostly comes
        return shape
    if isinstance(shape, (int, np.integer, Size)):
        shape = (shape,)
    try:
        sizes = tuple(shape)
    except (TypeError, ValueError):  # a length that is none
        raise ArgumentError(
            f"{name}: shape is {shape!r}; expected an integer or a tuple of integers"
        ) from None
    for extent in sizes:
        if not isinstance(extent, (int, np.integer, Size)) or isinstance(extent, bool):
            raise ShapeError(
                f"{name}: shape {_short(sizes)} holds {extent!r}; sizes must be integers"
            )
        if extent < 0:
            raise ShapeError(
                f"{name}: shape {_short(sizes)} holds {_short([extent])[1:-2]}; sizes must not be negative"
            )
        if not isinstance(extent, Size) and extent > _LARGEST:
            raise OutOfMemoryError(
                f"{name}: shape {_short(sizes)} has more elements than any machine can address; use a smaller one"
            )
    return tuple(as_integer(n) for n in sizes)
