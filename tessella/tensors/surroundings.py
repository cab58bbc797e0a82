"""What a traced function depends on besides its arguments: numbers, settings, writes; in eager mode nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tessella import autodiff, dtypes
from tessella.arguments.kinds import shown
from tessella.compiler.eager import fill
from tessella.devices.array import Array
from tessella.dtypes import DType
from tessella.errors import ArgumentError, ArgumentTypeError
from tessella.tensors.tensor import Tensor, new_handle, viewing
from tessella.tracing.guards import truth_guard

_mode = autodiff.mode


def number_in(
    owner: dict[str, Any], name: str, like: Tensor, change: Callable[[Any], Any] | None = None
) -> Any:
    """A number in a dict: itself, or, in a traced function, an input that is read at every call.

    So a program follows a learning rate that changes, and need not be compiled again.

    Args:
        like: a tensor of the dtype and on the device that it is for; beside halves it is a float32.
        change: makes the number of what is there, in Python's precision; the same function at every call.
    """
    value = entry(owner, name) if change is None else change(entry(owner, name))
    if type(value) is not float:
        _require_number(name, value)
    traced = isinstance(value, Tensor) or hasattr(type(value), "__tessella_operand__")
    if _mode.trace is None or traced:
        return value
    dtype, device = like.dtype.compute, like.device
    last: list[Any] = [None, None]

    def read() -> Array:
        now = owner[name]
        if now != last[0]:
            number = now if change is None else change(now)
            last[:] = now, fill(number, (), dtype, device)
        return last[1]

    key = (id(owner), name, change, dtype, device)
    return new_handle(_mode.trace.number(key, read, read()), None, 0)


def entry(owner: dict[str, Any], name: str) -> Any:
    """What a dict of options has under a name.

    Raises:
        ArgumentError: nothing.
    """
    try:
        return owner[name]
    except KeyError:
        raise ArgumentError(f"{name} is not among the options any more; set it again") from None


def _require_number(name: str, value: Any) -> None:
    known = isinstance(value, (int, float, np.number, Tensor)) and not isinstance(value, bool)
    if not known and not hasattr(type(value), "__tessella_operand__"):
        raise ArgumentTypeError(f"{name} is {shown(value)} among the options; expected a number")


def guarded(owner: Any, name: Any, value: Any) -> Any:
    """A setting that a traced function depends on: another value makes another program."""
    if _mode.trace is not None:
        _mode.trace.guard(owner, name, value)
    return value


def guarded_truth(owner: Any, name: Any, value: Any) -> bool:
    """Whether a setting is not 0, False or None; a traced function depends on that alone."""
    if _mode.trace is not None:
        _mode.trace.guard(owner, name, bool(value), truth_guard)
    return bool(value)


def default_float() -> DType:
    """The dtype of fractions that are made without one; a traced function depends on it."""
    return guarded(dtypes.defaults, "floating", dtypes.defaults.floating)


def touched(owner: Any, *parts: Any) -> None:
    """Our own code looks into a module or an optimiser, on which a traced function depends then."""
    if _mode.trace is not None:
        _mode.trace.touch(owner, *parts)


def about_to_write(owner: Any, name: str) -> None:
    """An attribute of a module or an optimiser gets another value, at every call of a traced function."""
    if _mode.trace is not None:
        _mode.trace.writes(owner, name)


def at_once(tensors: Sequence[Tensor]) -> list[Tensor]:
    """What some tensors hold at one moment, without history: no step of a program lies between two of them."""
    if _mode.trace is not None:
        return [tensor.detach() for tensor in tensors]
    while True:
        held = [tensor._value for tensor in tensors]
        for array in held:
            if isinstance(array, Array):
                array.address  # noqa: B018  # waits for a program that writes over it
        if all(x._value is array for x, array in zip(tensors, held, strict=True)):
            pairs = zip(held, tensors, strict=True)
            return [viewing(new_handle(array, None, 0), tensor) for array, tensor in pairs]
