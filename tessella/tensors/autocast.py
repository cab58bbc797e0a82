"""`autocast`: functions in the precision that pays for them. Which computes how is `arguments.precision.TABLE`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from tessella import autodiff
from tessella.arguments import public
from tessella.arguments.kinds import DTypeLike, shown
from tessella.arguments.precision import (
    AS_GIVEN,
    LOWER,
    WIDEST,
    AutocastBlock,
    Casting,
    lower_dtype,
)
from tessella.autodiff import Leaf
from tessella.devices.array import Array
from tessella.devices.device import Device
from tessella.devices.registry import device
from tessella.dtypes import DType, as_dtype, bfloat16, float16, float32
from tessella.errors import ArgumentError, DTypeError
from tessella.tensors.statistical import widened
from tessella.tensors.tensor import Tensor, TensorNode

_mode = autodiff.mode


@public
def autocast(
    device_type: Any = None, dtype: DTypeLike = None, enabled: bool = True,
    cache_enabled: bool | None = None,
) -> AutocastBlock:  # fmt: skip
    """Compute products in half precision, and what needs digits or range in float32; a `with` block or a decorator.

    Parameters stay float32, and so do their gradients: what is cast is the operands of functions, when they are
    called. docs/precision.md shows which function computes in which precision. What computes gradients does so
    in the dtypes of the forward pass, whether `backward()` is called inside or outside.

    Args:
        device_type: the dtype, `ts.bfloat16` or `ts.float16`; or, as in PyTorch, a device, whose dtype is then the
            argument after it. The block serves tensors on every device.
        dtype: of lower precision; by default bfloat16.
        enabled: False switches off a block around this one.
        cache_enabled: whether a parameter is cast once for all functions inside, as long as it stays as it is
            (the default). Compiled functions cast it once in any case.

    Raises:
        DTypeError: another dtype than bfloat16 and float16.
        DeviceError: no device of this name.

    Source: Micikevicius et al., *Mixed precision training* (2018).

    >>> import tessella as ts
    >>> x, weight = ts.ones((2, 3)), ts.ones((3, 4))
    >>> with ts.autocast(ts.bfloat16):
    ...     y = x @ weight
    ...     y.dtype, ts.softmax(y, axis=-1).dtype
    (tessella.bfloat16, tessella.float32)
    """
    lower = _lower(device_type, dtype)
    return AutocastBlock(lower if enabled else None, cache_enabled is not False, _cast)


def _lower(first: Any, dtype: Any) -> DType:
    """The dtype of lower precision, which may stand first, or behind a device."""
    if first is not None and not _is_device(first):
        if dtype is not None:
            raise ArgumentError(
                f"autocast: dtype was given twice, as {shown(first)} and as {dtype}; give it once"
            )
        dtype = first
    kind = bfloat16 if dtype is None else as_dtype(dtype)
    if kind is not bfloat16 and kind is not float16:
        raise DTypeError(f"autocast: {kind.name} was given; expected ts.bfloat16 or ts.float16")
    return kind


def _is_device(given: Any) -> bool:
    """Whether a device is meant, or the name of one; what is no dtype is asked for as a device, which may raise."""
    if isinstance(given, str) and given not in ("bfloat16", "float16", "float32", "float64"):
        device(given)
        return True
    return isinstance(given, Device)


@public
def is_autocast_enabled(device_type: Any = None) -> bool:
    """Whether functions are cast in this thread, or task.

    >>> import tessella as ts
    >>> with ts.autocast(ts.float16):
    ...     ts.is_autocast_enabled()
    True
    """
    return lower_dtype() is not None


def _cast(values: Sequence[Any], row: str, now: Casting) -> list[Any]:
    """Arguments in the precision of a row of the table."""
    if row is AS_GIVEN or (row is WIDEST and not _has_float32(values)):
        return [*values]
    return [_cast_one(value, row, now) for value in values]


def _has_float32(value: Any) -> bool:
    """Whether it is a tensor of float32, or holds one."""
    if isinstance(value, (list, tuple)):
        return any(map(_has_float32, value))
    return isinstance(value, Tensor) and value.dtype is float32


def _cast_one(value: Any, row: str, now: Casting) -> Any:
    """One of them; tuples and lists of tensors item by item."""
    if isinstance(value, Tensor):
        if row is not LOWER:
            return widened(value)
        may = value.dtype is float32 or value.dtype.is_narrow
        return value if not may or value.dtype is now.dtype else _cast_once(value, now)
    if isinstance(value, (list, tuple)):
        items = [_cast_one(item, row, now) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    return value


def _cast_once(x: Tensor, now: Casting) -> Tensor:
    """x in lower precision: parameters are cast once, until they change or the cast's history is gone.

    In a traced function equal casts become one by themselves.
    """
    if now.casts is None or _mode.trace is not None or not isinstance(x._node, Leaf):
        return x.astype(now.dtype)
    known = now.casts.get(id(x))
    if known is not None and known.serves(x):
        return known.cast
    made = x.astype(now.dtype)
    now.casts[id(x)] = _Cast(x, x._value, made)
    return made


class _Cast(NamedTuple):
    """A parameter in lower precision, and what it held then."""

    parameter: Tensor  # held, so that no other tensor has its number
    value: Array
    cast: Tensor

    def serves(self, x: Tensor) -> bool:
        """Whether the parameter is as it was, and the cast has a history if one is wanted."""
        if x._value is not self.value:
            return False
        node = self.cast._node
        return not autodiff.is_enabled() or (
            isinstance(node, TensorNode) and node.saved is not None
        )
