"""`Tensor`: what users hold. A handle on data, with its place on the tape; and how primitives are applied to it.

All other methods stand above, by rooms: `tessella.tensors.methods.binding` gives them to the class.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias, TypeVar

import numpy as np

from tessella import autodiff
from tessella.arguments import refuse
from tessella.autodiff import Edge, Leaf, Node
from tessella.compiler.eager import fill, run, run_binary, run_unary
from tessella.devices.array import ANYWHERE, Array, from_numpy, to_numpy
from tessella.devices.device import Device
from tessella.devices.registry import current
from tessella.dtypes import DType
from tessella.errors import ArgumentTypeError, GradientError
from tessella.names import missing
from tessella.primitives.base import Primitive, Shape, is_array_operation
from tessella.primitives.movement import Reshape
from tessella.tensors.methods.uses import Count
from tessella.tracing.trace import binding, ours, seen

if TYPE_CHECKING:
    from tessella.random.methods import Chances
    from tessella.tensors.methods.binding import Methods

    class _Methods(Methods, Chances):
        __slots__ = ()
else:
    _Methods = object  # they are bound later: their rooms need this class

Number: TypeAlias = bool | int | float | complex
Kind = TypeVar("Kind", bound="Tensor")

_mode = autodiff.mode
_reference, _new = weakref.ref, object.__new__
_innermost = autodiff.recording.innermost.get


class TensorNode(Node):
    """A primitive applied to tensors, with what its gradient needs."""

    __slots__ = ("outputs", "primitive", "saved")

    def __init__(self, primitive: Primitive, inputs: Sequence[Tensor], outputs: Any) -> None:
        self.name = primitive.name
        self.pullback = None
        self.hooks = None
        self.primitive = primitive
        # the handles may be rebound later, so what they hold now is kept
        self.saved: Any = tuple([(x._value, x._node, x._output) for x in inputs])
        self.parents = tuple([
            None if node is None else (node, output) for _, node, output in self.saved
        ])  # fmt: skip
        self.outputs: Any = outputs

    def pull(self, cotangents: list[Any]) -> Sequence[Any]:
        saved, values = self.saved, self.outputs  # another thread may be releasing them
        if saved is None or values is None:
            return super().pull(cotangents)  # explains that the history is gone
        if _mode.trace is None or not is_array_operation(self.primitive):
            return self._pull(cotangents, saved, values)
        with ours():
            return self._pull(cotangents, saved, values)

    def _pull(self, cotangents: list[Any], saved: Any, values: Any) -> Sequence[Any]:
        inputs = tuple([new_handle(*was) for was in saved])
        outputs = tuple([new_handle(value, self, i) for i, value in enumerate(values)])
        wanted = tuple([parent is not None for parent in self.parents])
        device = values[0].layout.device
        if device is not device.setting.get():  # what the rule makes is to be beside them
            with device:
                return self.primitive.vjp_of(wanted, tuple(cotangents), inputs, outputs)
        return self.primitive.vjp_of(wanted, tuple(cotangents), inputs, outputs)

    def release(self) -> None:
        self.saved = self.outputs = None


class Tensor(_Methods):
    """An n-dimensional array that can remember how it was computed.

    Make one with `tessella.asarray`, `zeros`, `randn`, ...

    >>> import tessella as ts
    >>> x = ts.asarray([1.0, 2.0, 3.0]).requires_grad_()
    >>> (x * x).sum().backward()
    >>> x.grad
    tensor([2., 4., 6.])
    """

    __slots__ = ("__weakref__", "_base", "_grad", "_node", "_output", "_value")
    __array_priority__ = 1000  # NumPy arrays leave mixed operations to us

    _value: Array
    _node: Node | None
    _output: int
    _grad: Tensor | None
    _base: (
        Any  # of views: a weak reference to the handle they were made from, or a tuple of several
    )

    def __init__(self, *_: Any, **__: Any) -> None:
        raise ArgumentTypeError(
            "a Tensor is not made by its class; use ts.asarray(data), ts.zeros(shape), ..."
        )

    @property
    def shape(self) -> Shape:
        """The size of each axis."""
        return self._value.layout.shape

    @property
    def dtype(self) -> DType:
        """What its elements are: `ts.float32`, ..."""
        return self._value.layout.dtype

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self._value.layout.ndim

    @property
    def size(self) -> int:
        """The number of elements. (PyTorch's `x.size()` is `x.shape`, `x.size(0)` is `x.shape[0]`.)"""
        size = self._value.layout.size
        return Count(size) if type(size) is int else size

    @property
    def device(self) -> Device:
        """Where its elements are: by default on `ts.device("cpu")`."""
        found: Any = self._value.layout.device
        return current() if found is ANYWHERE else found

    @property
    def strides(self) -> Shape:
        """How many elements further the next one along each axis is."""
        return seen(self)._value.layout.strides

    @property
    def nbytes(self) -> int:
        """The bytes its elements take, were each stored once."""
        return self._value.layout.nbytes

    def numpy(self, **others: Any) -> np.ndarray[Any, Any]:
        """The elements as a NumPy array: a read-only view, without copying."""
        if others:
            refuse("numpy", others)
        view = to_numpy(array_of(self))
        view.flags.writeable = False
        return view

    def __tessella_holding__(self, value: Array) -> Tensor:
        """A tensor of other data, without history."""
        return new_handle(value, None, 0)

    def __tessella_apply__(self, primitive: Primitive, inputs: Sequence[Tensor]) -> Any:
        return perform(primitive, inputs) if primitive.has_effect else apply(primitive, inputs)

    if not TYPE_CHECKING:  # for which it would mean that all names are there

        def __getattr__(self, name: str) -> NoReturn:
            """The error says what other libraries mean by this name, or which name is near it."""
            if name.startswith("__"):  # which Python itself and libraries look for
                raise AttributeError(f"'Tensor' object has no attribute {name!r}")
            own = getattr(type(self), name, None)
            if isinstance(own, property) and own.fget is not None:
                own.fget(self)  # whose error led here: it is raised again
            raise missing("Tensor", name)


# --- making tensors ----------------------------------------------------------------------------------


def new_handle(value: Array, node: Node | None, output: int) -> Tensor:
    tensor: Tensor = _new(Tensor)
    tensor._value = value
    tensor._node = node
    tensor._output = output
    tensor._grad = None
    tensor._base = None
    return tensor


def handle_of(kind: type[Kind], data: Tensor) -> Kind:
    """A tensor of a class, with the data of another one and no history."""
    tensor = _new(kind)
    tensor._value = binding(data)._value
    tensor._node = None
    tensor._output = 0
    tensor._grad = None
    tensor._base = None
    return tensor


def hold_data_of(tensor: Tensor, other: Tensor) -> None:
    """Give a handle the data of another one, of whatever dtype; nothing is recorded, its history is as it was.

    In a traced function that is done where the tensor is from (`at_home`).
    """
    tensor._value = other._value


def viewing(result: Tensor, base: Tensor) -> Tensor:
    """A tensor that may share its memory with another one, and knows it.

    It is a handle of its own, even where nothing moved: rebinding it must not touch the other one.
    """
    if result is base:
        result = apply(Reshape(base.shape), (base,))
    others = base._base
    result._base = _reference(base) if others is None else (_reference(base), *still_there(others))
    return result


def another_handle(x: Tensor) -> Tensor:
    """The same data with the same history, in a handle of its own: rebinding it must not touch x."""
    if isinstance(x._node, Leaf):  # whose gradient belongs to one handle
        return apply(Reshape(x.shape), (x,))
    return as_it_is(x)


def as_it_is(x: Tensor) -> Tensor:
    """A handle that goes on holding what a tensor holds now: its data, and its place on the tape."""
    x = binding(x)
    return new_handle(x._value, x._node, x._output)


def at_the_beginning(x: Tensor) -> Tensor | None:
    """What a tensor from outside held when the traced function began; None of one that was made inside."""
    found: Tensor | None = _mode.trace.initial(x)
    return found


def edge_of(x: Tensor) -> Edge | None:
    """The place of a tensor on the tape; None without a history. That of one from outside ends where a trace begins."""
    x = binding(x)
    return None if x._node is None else (x._node, x._output)


def array_of(x: Tensor) -> Array:
    """The elements, for who looks at them: a program that is being made is right for these only."""
    if _mode.trace is not None:
        _mode.trace.look_at(x)
    return seen(x)._value


def still_there(references: Any) -> list[weakref.ref[Tensor]]:
    """Those of one or several references whose tensors are still there."""
    several = references if type(references) is tuple else (references,)
    return [reference for reference in several if reference() is not None]


def from_array(value: Array) -> Tensor:
    """A tensor on concrete data."""
    if _mode.trace is not None and isinstance(value, Array):
        value = _mode.trace.constant(value)
    return new_handle(value, None, 0)


def from_ndarray(
    data: np.ndarray[Any, Any], copy: bool = True, device: Device | None = None
) -> Tensor:
    """A tensor of a NumPy array; in a traced function, one from outside is read anew for every call."""
    if _mode.trace is not None:
        traced = _mode.trace.array_from_outside(data)
        if traced is not None:
            return new_handle(traced, None, 0)
    return from_array(from_numpy(data, copy, device))


def filled(value: Number, shape: Shape, dtype: DType, device: Device | None = None) -> Tensor:
    """A tensor of one value, on a device or on that of the thread."""
    if _mode.trace is not None and not dtype.is_complex:
        return new_handle(_mode.trace.full(value, shape, dtype, device), None, 0)
    return from_array(fill(value, shape, dtype, device))


def alike(value: Number, x: Tensor) -> Tensor:
    """A tensor of one value, of the shape, dtype and device of another one."""
    layout = x._value.layout
    return filled(value, layout.shape, layout.dtype, layout.device)


# --- running and recording -----------------------------------------------------------------------------


def apply(primitive: Primitive, inputs: Sequence[Tensor]) -> Any:
    """Run a primitive on tensors, and record it if one of them needs a gradient."""
    if _mode.trace is None:
        count = len(inputs)
        if count == 2:
            first, second = inputs
            value = run_binary(primitive, first._value, second._value)
        elif count == 1:
            value = run_unary(primitive, inputs[0]._value)
        else:
            value = run(primitive, [x._value for x in inputs])
    else:
        inputs = [_mode.trace.binding(x) for x in inputs]
        value = _mode.trace.record(primitive, inputs)
    for x in inputs:
        if x._node is not None:
            block = _innermost()  # of `no_grad` and its kin; written out, as microseconds count
            if block is None or (block.value.enabled if block.is_open() else autodiff.is_enabled()):
                return recorded(primitive, inputs, value)
            break
    if primitive.multiple_results:
        return tuple([new_handle(v, None, 0) for v in value])
    tensor: Tensor = _new(Tensor)
    tensor._value = value
    tensor._node = None
    tensor._output = 0
    tensor._grad = None
    tensor._base = None
    return tensor


def perform(effect: Primitive, inputs: Sequence[Tensor]) -> None:
    """Do something with tensors that has no result, now, or at every call of a traced function."""
    if _mode.trace is None:
        effect.reference(*[to_numpy(x._value) for x in inputs])
    else:
        _mode.trace.record(effect, inputs)


def recorded(primitive: Primitive, inputs: Sequence[Tensor], value: Any) -> Any:
    if primitive.multiple_results:
        node = TensorNode(primitive, inputs, tuple(value))
        return tuple(
            new_handle(v, node if v.layout.dtype.is_float else None, i) for i, v in enumerate(value)
        )
    dtype = value.layout.dtype
    if dtype.is_complex:
        raise GradientError(
            f"{primitive.name}: the result is {dtype.name}, and gradients do not pass through complex "
            "numbers; use detach() on the operands, or compute with real and imaginary parts"
        )
    if not dtype.is_float:
        return new_handle(value, None, 0)  # integers have no gradient: the history ends here
    return new_handle(value, TensorNode(primitive, inputs, (value,)), 0)


def is_noted() -> bool:
    """Whether what this thread does is written down, or somebody looks on."""
    return _mode.trace is not None or _mode.watched


def is_traced() -> bool:
    """Whether a function is being traced in this thread."""
    return _mode.trace is not None
