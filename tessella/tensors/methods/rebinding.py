"""In place: a handle is rebound, data is never written over (docs/adr/0007)."""

from __future__ import annotations

from typing import Any

from tessella import autodiff, dtypes
from tessella.autodiff import Leaf, Node
from tessella.devices.array import Array
from tessella.errors import ArgumentError, ArgumentTypeError, DTypeError, GradientError, ShapeError
from tessella.tensors.indexing import set_item
from tessella.tensors.operands import Operand, require
from tessella.tensors.tensor import Tensor, still_there
from tessella.tracing.trace import seen

_mode = autodiff.mode


def rebind(tensor: Any, result: Tensor, operation: str) -> Tensor:
    """Let this handle stand for a result from now on.

    Raises:
        GradientError: a leaf that needs a gradient would lose its place on the tape.
        DTypeError, ArgumentError: the result has another dtype or shape.
    """
    if result is NotImplemented:
        return result
    held = tensor if _mode.trace is None else _mode.trace.binding(tensor)
    if autodiff.is_enabled() and isinstance(held._node, Leaf):
        raise GradientError(
            f"{operation}: a leaf tensor that requires a gradient cannot be changed in place "
            "while operations are recorded; do it in `with ts.no_grad():`, or make a new tensor"
        )
    if result.shape != tensor.shape:
        raise ShapeError(
            f"{operation}: the result has shape {result.shape}, the tensor {tensor.shape}; write "
            "x = x + y to let the shape change"
        )
    if result.dtype is not tensor.dtype:
        if not dtypes.can_cast(result.dtype, tensor.dtype):
            raise DTypeError(
                f"{operation}: the result is {result.dtype.name}, the tensor "
                f"{tensor.dtype.name}; write x = x + y to let the dtype change"
            )
        result = result.astype(tensor.dtype)
    given = result if _mode.trace is None else _mode.trace.binding(result)
    held._value = given._value
    if not isinstance(held._node, Leaf):
        held._node, held._output = given._node, given._output
    return tensor


def refuse_if_view(tensor: Any, operation: str) -> None:
    """Complain about writing through a view.

    Raises:
        ArgumentError: the tensor is a view of one that is still there.
    """
    handles = [] if tensor._base is None else [other() for other in still_there(tensor._base)]
    shared = [other for other in handles if other is not None and _share_memory(tensor, other)]
    if shared:
        raise ArgumentError(f"{operation}: {_through_which(tensor, shared[-1], operation)}")


class Rebinding:
    """`x += y` and its kin, `x[i] = y`, `x.assign(y)`."""

    __slots__ = ()

    _node: Node | None
    _output: int
    _value: Array

    def assign(self: Any, other: Tensor) -> Tensor:
        """Let this handle stand for other data of the same shape and dtype; no history."""
        if not isinstance(other, Tensor):
            raise ArgumentTypeError(
                f"assign: {type(other).__name__} was given; expected a Tensor; use ts.asarray(...), or "
                "x.copy_(...), which takes arrays and numbers, too"
            )
        with autodiff.no_grad():
            return rebind(self, require(other, "assign").detach().to_device(self.device), "assign")

    def __iadd__(self: Any, other: Operand) -> Tensor:
        return rebind(self, self + other, "+=")

    def __isub__(self: Any, other: Operand) -> Tensor:
        return rebind(self, self - other, "-=")

    def __imul__(self: Any, other: Operand) -> Tensor:
        return rebind(self, self * other, "*=")

    def __itruediv__(self: Any, other: Operand) -> Tensor:
        return rebind(self, self / other, "/=")

    def __ifloordiv__(self: Any, other: Operand) -> Tensor:
        return rebind(self, self // other, "//=")

    def __imod__(self: Any, other: Operand) -> Tensor:
        return rebind(self, self % other, "%=")

    def __ipow__(self: Any, other: Operand) -> Tensor:
        return rebind(self, self**other, "**=")

    def __imatmul__(self: Any, other: Any) -> Tensor:
        return rebind(self, self @ other, "@=")

    def __iand__(self: Any, other: Operand) -> Tensor:
        return rebind(self, self & other, "&=")

    def __ior__(self: Any, other: Operand) -> Tensor:
        return rebind(self, self | other, "|=")

    def __ixor__(self: Any, other: Operand) -> Tensor:
        return rebind(self, self ^ other, "^=")

    def __ilshift__(self: Any, other: Operand) -> Tensor:
        return rebind(self, self << other, "<<=")

    def __irshift__(self: Any, other: Operand) -> Tensor:
        return rebind(self, self >> other, ">>=")

    def __setitem__(self: Any, key: Any, value: Any) -> None:
        rebind(self, set_item(self, key, value), "x[...] =")


def _share_memory(view: Tensor, base: Tensor) -> bool:
    """Whether two tensors lie in the same memory; of traced ones, which have none yet, it may be."""
    one, other = seen(view)._value, seen(base)._value
    if isinstance(one, Array) and isinstance(other, Array):
        return one.buffer is other.buffer
    return True


def _through_which(view: Tensor, base: Tensor, operation: str) -> str:
    """Why nothing is written through a view, and what to write instead."""
    if seen(view)._value is seen(base)._value:  # all of it, without its history
        return (
            "the tensor is what `.data`, `detach()` or `state_dict()` gave of another one, of shape "
            f"{base.shape}, and nothing is written through it; write to that one: "
            f"`with ts.no_grad(): x.{operation}(...)`; or to a copy of it, x.clone()"
        )
    return (
        f"the tensor is a view of another one, of shape {base.shape}, and nothing is written through views; write to "
        "the other one (x[...] = value), or make a new tensor (y = x + 1, or x.clone())"
    )
