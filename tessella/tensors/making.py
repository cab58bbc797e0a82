"""Making tensors, and asking about them, under further names of PyTorch and NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np

from tessella.arguments import public
from tessella.arguments.kinds import Device, DTypeLike
from tessella.devices import registry
from tessella.devices.array import check_count
from tessella.devices.device import Device as OneDevice
from tessella.dtypes import as_dtype
from tessella.tensors.creation import asarray, tracked
from tessella.tensors.surroundings import default_float
from tessella.tensors.tensor import Tensor


@public
def as_tensor(data: Any, dtype: DTypeLike = None, device: Device = None) -> Tensor:
    """A tensor from data, as `asarray`.

    >>> as_tensor([1, 2])
    tensor([1, 2])
    """
    return asarray(data, dtype=dtype, device=device)


@public
def from_numpy(data: Any, /) -> Tensor:
    """A tensor on the memory of a NumPy array, as `asarray(data, copy=False)`.

    Raises:
        ArgumentError: the memory cannot be shared.
    """
    return asarray(data, copy=False)


@public
def logspace(
    start: float, stop: float, /, num: int = 100, base: float = 10.0, *, dtype: DTypeLike = None,
    device: Device = None, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """`num` numbers from base^start to base^stop, evenly spaced by their exponents.

    >>> logspace(0, 2, 3)
    tensor([  1.,  10., 100.])
    """
    num = check_count(num, "logspace", "num")
    kind = as_dtype(dtype or default_float())
    with registry.host().memory_for(8 * num), np.errstate(all="ignore"):
        values = np.logspace(float(start), float(stop), num, base=float(base)).astype(kind.numpy)
    return tracked(asarray(values), requires_grad)


@public
def device(device: Device = None, /) -> OneDevice:
    """A device; without a name, that on which new tensors are made.

    In a `with` block, new tensors are made on it. Results are where operands are.

    Raises:
        DeviceError: there is no such device.

    >>> device("cpu")
    device('cpu')
    >>> import tessella as ts
    >>> with device("emulated"):
    ...     x = ts.ones(2)
    >>> (x + 1).device, ts.ones(2).device
    (device('emulated'), device('cpu'))
    """
    return registry.current()  # which is the one that was named, behind the gate


@public
def set_default_device(device: Device, /) -> None:
    """Let new tensors be made on a device, in all threads, outside of blocks that say another one.

    >>> set_default_device("cpu")
    """
    registry.choose(device)


@public
def get_default_device() -> OneDevice:
    """The device on which new tensors are made.

    >>> get_default_device()
    device('cpu')
    """
    return registry.current()


@public
def is_tensor(x: Any, /) -> bool:
    """Whether something is a `Tensor`."""
    return isinstance(x, Tensor)


@public
def numel(x: Tensor, /) -> int:
    """The number of elements, as `x.size`."""
    return x.size


@public
def is_floating_point(x: Tensor, /) -> bool:
    """Whether the dtype is a floating one."""
    return x.dtype.is_float


@public
def is_complex(x: Tensor, /) -> bool:
    """Whether the dtype is a complex one."""
    return x.dtype.is_complex


@public
def clone(x: Tensor, /) -> Tensor:
    """The same elements in memory of their own, with history: `x.copy()`."""
    return x.copy()


@public
def detach(x: Tensor, /) -> Tensor:
    """The same data without history: `x.detach()`."""
    return x.detach()
