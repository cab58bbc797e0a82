"""`Tensor`: what users hold. A handle on data, with its gradient and its place on the tape."""

from __future__ import annotations

import math
import sys
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

import numpy as np

from tessella import autodiff, dtypes, forking
from tessella.arguments import public, refuse, taking
from tessella.arguments.kinds import shown
from tessella.autodiff import Leaf, Node
from tessella.backends.array import Array, from_numpy, plain_ndarray, to_numpy
from tessella.backends.cpu.buffers import protect
from tessella.compiler.eager import fill, run
from tessella.dtypes import DType, as_dtype
from tessella.errors import (
    AbsentAttributeError,
    ArgumentError,
    ArgumentTypeError,
    DTypeError,
    GradientError,
    ShapeError,
)
from tessella.names import missing, package
from tessella.primitives.base import Primitive, Shape, is_array_operation, normalise_axes
from tessella.primitives.elementwise import Elementwise, cast_to, elementwise
from tessella.primitives.monoid import SUM
from tessella.primitives.reduce import Reduce
from tessella.sizes import Size
from tessella.tensors.methods.conversions import Conversions, Facts
from tessella.tensors.methods.functions import (
    ElementwiseMethods,
    MatrixMethods,
    PlaceMethods,
    ReductionMethods,
    ShapeMethods,
)
from tessella.tensors.methods.in_place import InPlace
from tessella.tensors.methods.made_alike import MadeAlike
from tessella.tensors.methods.method import Method
from tessella.tensors.methods.uses import Count, check_unpacked
from tessella.tracing.following import go_on, pause

Number: TypeAlias = bool | int | float | complex
Axes: TypeAlias = int | tuple[int, ...] | None

_ADD, _SUBTRACT = elementwise("add"), elementwise("subtract")
_MULTIPLY, _DIVIDE = elementwise("multiply"), elementwise("divide")
_mode = autodiff._mode
_reference, _new = weakref.ref, object.__new__
_innermost = autodiff.recording.innermost.get


_INSTEAD_OF_T = (
    "it has no axes to exchange",
    "a row or a column is x[None, :] or x[:, None], and x @ y needs neither",
    "",
    "use mT for the last two axes, or permute_dims",
)


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
        paused = pause()
        try:
            return self._pull(cotangents, saved, values)
        finally:
            go_on(paused)

    def _pull(self, cotangents: list[Any], saved: Any, values: Any) -> Sequence[Any]:
        inputs = tuple([_make(*was) for was in saved])
        outputs = tuple([_make(value, self, i) for i, value in enumerate(values)])
        wanted = tuple([parent is not None for parent in self.parents])
        return self.primitive.vjp_of(wanted, tuple(cotangents), inputs, outputs)

    def release(self) -> None:
        self.saved = self.outputs = None


class Tensor(
    ElementwiseMethods, ReductionMethods, ShapeMethods, PlaceMethods, MatrixMethods, Conversions, Facts,
    InPlace, MadeAlike,
):  # fmt: skip
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

    def __init__(self, *_: Any) -> None:
        raise ArgumentTypeError(
            "a Tensor is not made by its class; use ts.asarray(data), ts.zeros(shape), ..."
        )

    # --- what it is -----------------------------------------------------------------------------

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
    def device(self) -> str:
        """Where its elements are: on the "cpu"."""
        return "cpu"

    @property
    def strides(self) -> Shape:
        """How many elements further the next one along each axis is."""
        return self._value.layout.strides

    @property
    def nbytes(self) -> int:
        """The bytes its elements take, were each stored once."""
        return self._value.layout.nbytes

    def __len__(self) -> int:
        if not self.shape:
            raise ArgumentTypeError("len: a zero-dimensional tensor has no length")
        return self.shape[0]

    def __repr__(self) -> str:
        from tessella.tensors.formatting import represent

        return represent(self)

    def _repr_html_(self) -> str:
        from tessella.tensors.formatting import represent_html

        return represent_html(self)

    def __format__(self, specification: str) -> str:
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

    if not TYPE_CHECKING:  # for which it would mean that all names are there

        def __getattr__(self, name: str) -> NoReturn:
            """The error says what other libraries mean by this name, or which name is near it."""
            if name.startswith("__"):  # which Python itself and libraries look for
                raise AttributeError(f"'Tensor' object has no attribute {name!r}")
            if name in ("T", "mT"):  # whose own error led here
                raise _no_transpose(name, self)
            raise missing("Tensor", name)

    # --- leaving Tessella -------------------------------------------------------------------------

    def numpy(self, **others: Any) -> np.ndarray[Any, Any]:
        """The elements as a NumPy array: a read-only view, without copying."""
        if others:
            refuse("numpy", others)
        if _mode.trace is not None:
            _mode.trace.look_at(self)
        view = to_numpy(self._value)
        view.flags.writeable = False
        return view

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        if _mode.trace is not None:
            _mode.trace.given_to_numpy(self)
        view = self.numpy()
        if dtype is not None and np.dtype(dtype) != view.dtype:
            if copy is False:
                raise ArgumentError(f"numpy: {self.dtype.name} to {dtype} needs a copy")
            return view.astype(dtype)
        return np.array(view) if copy else view

    def item(self, *place: int) -> Any:
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
    def tolist(self) -> Any:
        """The elements as nested lists of Python numbers."""
        return self.numpy().astype(_python_kind(self.dtype)).tolist()

    def __float__(self) -> float:
        return float(self._real_item("float"))

    def __int__(self) -> int:
        number = self._real_item("int")
        if not math.isfinite(number):
            raise ArgumentError(f"int: the tensor holds {number}, which is no whole number")
        return int(number)

    def _real_item(self, name: str) -> float:
        number: Any = self.item()
        if isinstance(number, complex):
            raise DTypeError(
                f"{name}: the tensor is {self.dtype.name}; take its real part first: {name}(x.real)"
            )
        return number

    def __complex__(self) -> complex:
        return complex(self.item())

    def __index__(self) -> int:
        if not self.dtype.is_integer:
            raise ArgumentTypeError(f"an index must be an integer, not {self.dtype.name}")
        return int(self.item())

    def __bool__(self) -> bool:
        if self.size != 1:
            raise ArgumentError(
                f"the truth of a tensor of {self.size} elements is not one answer; use any() or all(), and for each "
                "element &, | and ~ in place of `and`, `or` and `not`: (x > 0) & (x < 1)"
            )
        return bool(self.item())

    def __dlpack__(
        self,
        *,
        stream: Any = None,
        max_version: Any = None,
        dl_device: Any = None,
        copy: bool | None = None,
    ) -> Any:
        from tessella.tensors.interchange import to_dlpack

        return to_dlpack(self, stream, max_version, dl_device, copy)

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)  # kDLCPU

    def __array_namespace__(self, *, api_version: str | None = None) -> Any:
        if api_version is not None and api_version not in _API_VERSIONS:
            raise ArgumentError(
                f"__array_namespace__: api_version is {shown(api_version)}; expected one of {', '.join(_API_VERSIONS)}"
            )
        return package()

    def __reduce__(self) -> tuple[Any, ...]:
        data = np.array(self.numpy())
        if self.dtype is dtypes.bfloat16:
            data = data.view(np.uint16)
        return (_rebuild, (data, self.dtype.name, isinstance(self._node, Leaf)))

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        if self._node is not None and not isinstance(self._node, Leaf):
            raise GradientError(
                "deepcopy: the tensor has a history, and only leaves can be copied; copy x.detach()"
            )
        fresh = self.detach().copy()
        if self._node is not None:
            fresh.requires_grad_()
        if self.grad is not None:
            fresh.grad = self.grad.detach().copy()
        memo[id(self)] = fresh
        return fresh

    # --- gradients ----------------------------------------------------------------------------------

    @property
    def grad(self) -> Tensor | None:
        """What backward passes have added up so far; None if none came by."""
        return self._grad if _mode.trace is None else _mode.trace.gradient(self)

    @grad.setter
    def grad(self, gradient: Tensor | None) -> None:
        if gradient is not None:
            _check_gradient(self, gradient)
        if _mode.trace is None:
            self._grad = gradient
        else:
            _mode.trace.set_gradient(self, gradient)

    @property
    def requires_grad(self) -> bool:
        """Whether operations on it are recorded."""
        return self._node is not None

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        self.requires_grad_(value)

    @property
    def is_leaf(self) -> bool:
        """Whether it was made by the user, not computed from what needs gradients."""
        return self._node is None or isinstance(self._node, Leaf)

    @public
    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Keep a gradient for this tensor from now on (or no longer).

        Raises:
            GradientError: integers and bool have no gradients; only a leaf can be switched off.
        """
        if not requires_grad:
            if not self.is_leaf:
                raise GradientError(
                    "requires_grad_(False): the tensor was computed from others; use detach()"
                )
            self._node = None
        elif self._node is None:
            if not self.dtype.is_float:
                raise GradientError(
                    f"requires_grad_: only floating point tensors have gradients, and this one is "
                    f"{self.dtype.name}; convert it first: x.astype(ts.float32)"
                )
            self._node, self._output = _leaf(self), 0
        return self

    @public
    def retain_grad(self) -> None:
        """Keep the gradient of a tensor that is not a leaf, too."""
        if not self.is_leaf:
            reference = weakref.ref(self)

            def keep(gradient: Tensor) -> None:
                target = reference()
                if target is not None:
                    _accumulate(target, gradient)

            self.register_hook(keep)

    @public
    def register_hook(self, hook: Callable[[Tensor], Tensor | None]) -> autodiff.HookHandle:
        """Call `hook(gradient)` in the backward pass; what it returns replaces the gradient.

        >>> import tessella as ts
        >>> x = ts.ones(2).requires_grad_()
        >>> with x.register_hook(lambda gradient: gradient * 10):
        ...     x.sum().backward()
        >>> x.grad
        tensor([10., 10.])
        """
        if self._node is None:
            raise GradientError(
                "register_hook: the tensor needs no gradient; call requires_grad_() first"
            )
        told = "register_hook: the hook is called as hook(gradient)"
        return self._node.add_hook(self._output, taking(told, hook))

    def detach(self) -> Tensor:
        """The same data without history."""
        if _mode.trace is not None:
            return viewing(_mode.trace.detached(self), self)
        return viewing(_make(self._value, None, 0), self)

    @property
    def data(self) -> Tensor:
        """The same data without history, as `detach()`. Giving it a tensor is `assign`."""
        return self.detach()

    @data.setter
    def data(self, other: Tensor) -> None:
        self.assign(other)

    @public
    def backward(
        self,
        gradient: Tensor | None = None,
        retain_graph: bool | None = None,
        create_graph: bool = False,
    ) -> None:
        """Add the gradient of this tensor to `grad` of every leaf it was computed from.

        Args:
            gradient: that of this tensor; may be left out for a single element (it is 1).
            retain_graph: keep the history, to go through it again (default: `create_graph`).
            create_graph: record the backward pass too, for higher derivatives.

        Raises:
            GradientError: no history, history gone, or several elements and no gradient.
        """
        retain = create_graph if retain_graph is None else retain_graph
        root = _root(self, gradient, "backward")
        with autodiff.set_enabled(create_graph):
            autodiff.backward([root], retain)

    # --- the dispatch -------------------------------------------------------------------------------

    def __tessella_apply__(self, primitive: Primitive, inputs: Sequence[Tensor]) -> Any:
        return perform(primitive, inputs) if primitive.has_effect else apply(primitive, inputs)

    def __tessella_zero__(self) -> Tensor:
        """A zero of this tensor's dtype."""
        return _scalar(False if self.dtype.is_bool else 0, self.dtype)

    def __tessella_sum__(self, axes: tuple[int, ...]) -> Tensor:
        """The sum over some axes."""
        return apply(Reduce(SUM, axes), (self,))

    # --- operators ----------------------------------------------------------------------------------
    # The commonest are written out for two tensors: one call less, of the few that a small operation takes.

    def __add__(self, other: Operand) -> Tensor:
        if type(other) is Tensor:
            return apply(_ADD, (self, other))
        return binary(_ADD, self, other)

    def __radd__(self, other: Operand) -> Tensor:
        return binary(_ADD, other, self)

    def __sub__(self, other: Operand) -> Tensor:
        if type(other) is Tensor:
            return apply(_SUBTRACT, (self, other))
        return binary(_SUBTRACT, self, other)

    def __rsub__(self, other: Operand) -> Tensor:
        return binary(_SUBTRACT, other, self)

    def __mul__(self, other: Operand) -> Tensor:
        if type(other) is Tensor:
            return apply(_MULTIPLY, (self, other))
        return binary(_MULTIPLY, self, other)

    def __rmul__(self, other: Operand) -> Tensor:
        return binary(_MULTIPLY, other, self)

    def __truediv__(self, other: Operand) -> Tensor:
        if type(other) is Tensor:
            return apply(_DIVIDE, (self, other))
        return binary(_DIVIDE, self, other)

    def __rtruediv__(self, other: Operand) -> Tensor:
        return binary(_DIVIDE, other, self)

    def __floordiv__(self, other: Operand) -> Tensor:
        return binary(elementwise("floor_divide"), self, other)

    def __rfloordiv__(self, other: Operand) -> Tensor:
        return binary(elementwise("floor_divide"), other, self)

    def __mod__(self, other: Operand) -> Tensor:
        return binary(elementwise("remainder"), self, other)

    def __rmod__(self, other: Operand) -> Tensor:
        return binary(elementwise("remainder"), other, self)

    def __pow__(self, other: Operand) -> Tensor:
        from tessella.tensors.elementwise import power

        return power(self, other)

    def __rpow__(self, other: Operand) -> Tensor:
        return binary(elementwise("pow"), other, self)

    def __matmul__(self, other: Any) -> Tensor:
        from tessella.tensors.linear import matmul

        return matmul(self, other) if isinstance(other, ARRAYS) else NotImplemented

    def __rmatmul__(self, other: Any) -> Tensor:
        from tessella.tensors.linear import matmul

        return matmul(other, self) if isinstance(other, ARRAYS) else NotImplemented

    def __and__(self, other: Operand) -> Tensor:
        return binary(elementwise("bitwise_and"), self, other)

    def __rand__(self, other: Operand) -> Tensor:
        return binary(elementwise("bitwise_and"), other, self)

    def __or__(self, other: Operand) -> Tensor:
        return binary(elementwise("bitwise_or"), self, other)

    def __ror__(self, other: Operand) -> Tensor:
        return binary(elementwise("bitwise_or"), other, self)

    def __xor__(self, other: Operand) -> Tensor:
        return binary(elementwise("bitwise_xor"), self, other)

    def __rxor__(self, other: Operand) -> Tensor:
        return binary(elementwise("bitwise_xor"), other, self)

    def __lshift__(self, other: Operand) -> Tensor:
        return binary(elementwise("left_shift"), self, other)

    def __rlshift__(self, other: Operand) -> Tensor:
        return binary(elementwise("left_shift"), other, self)

    def __rshift__(self, other: Operand) -> Tensor:
        return binary(elementwise("right_shift"), self, other)

    def __rrshift__(self, other: Operand) -> Tensor:
        return binary(elementwise("right_shift"), other, self)

    def __lt__(self, other: Operand) -> Tensor:
        return compare("less", self, other)

    def __le__(self, other: Operand) -> Tensor:
        return compare("less_equal", self, other)

    def __gt__(self, other: Operand) -> Tensor:
        return compare("greater", self, other)

    def __ge__(self, other: Operand) -> Tensor:
        return compare("greater_equal", self, other)

    def __eq__(self, other: object) -> Tensor:  # type: ignore[override]
        return compare("equal", self, other)

    def __ne__(self, other: object) -> Tensor:  # type: ignore[override]
        return compare("not_equal", self, other)

    __hash__ = object.__hash__  # by identity, as == compares elements

    def __neg__(self) -> Tensor:
        return apply(elementwise("negative"), (self,))

    def __pos__(self) -> Tensor:
        return self

    def __round__(self, decimals: int | None = None) -> Tensor:
        """Python's `round`: whole numbers or decimal places, halves to even, in the tensor's dtype."""
        from tessella.tensors.elementwise import round

        return round(self, 0 if decimals is None else decimals)

    def __divmod__(self, other: Operand) -> tuple[Tensor, Tensor]:
        return self // other, self % other

    def __rdivmod__(self, other: Operand) -> tuple[Tensor, Tensor]:
        return other // self, other % self

    def __abs__(self) -> Tensor:
        return apply(elementwise("absolute"), (self,))

    def __invert__(self) -> Tensor:
        return apply(elementwise("bitwise_invert"), (self,))

    # --- in place: the handle is rebound, data is never written over ----------------------------------

    def _rebind(self, result: Tensor, operation: str) -> Tensor:
        """Let this handle stand for a result from now on.

        Raises:
            GradientError: a leaf that needs a gradient would lose its place on the tape.
            DTypeError, ArgumentError: the result has another dtype or shape.
        """
        if result is NotImplemented:
            return result
        if autodiff.is_enabled() and isinstance(self._node, Leaf):
            raise GradientError(
                f"{operation}: a leaf tensor that requires a gradient cannot be changed in place "
                "while operations are recorded; do it in `with ts.no_grad():`, or make a new tensor"
            )
        if result.shape != self.shape:
            raise ShapeError(
                f"{operation}: the result has shape {result.shape}, the tensor {self.shape}; write "
                "x = x + y to let the shape change"
            )
        if result.dtype is not self.dtype:
            if not dtypes.can_cast(result.dtype, self.dtype):
                raise DTypeError(
                    f"{operation}: the result is {result.dtype.name}, the tensor "
                    f"{self.dtype.name}; write x = x + y to let the dtype change"
                )
            result = result.astype(self.dtype)
        if _mode.trace is not None:
            _mode.trace.value_of(self)  # captured first, so that it is seen to change
            _mode.trace.value_of(result)
        self._value = result._value
        if not isinstance(self._node, Leaf):
            self._node, self._output = result._node, result._output
        return self

    def _refuse_if_view(self, operation: str) -> None:
        """Complain about writing through a view.

        Raises:
            ArgumentError: the tensor is a view of one that is still there.
        """
        handles = [] if self._base is None else [other() for other in _alive(self._base)]
        shared = [other for other in handles if other is not None and _share_memory(self, other)]
        if shared:
            raise ArgumentError(f"{operation}: {_through_which(self, shared[-1], operation)}")

    def assign(self, other: Tensor) -> Tensor:
        """Let this handle stand for other data of the same shape and dtype; no history."""
        if not isinstance(other, Tensor):
            raise ArgumentTypeError(
                f"assign: {type(other).__name__} was given; expected a Tensor; use ts.asarray(...), or "
                "x.copy_(...), which takes arrays and numbers, too"
            )
        with autodiff.no_grad():
            return self._rebind(require(other, "assign").detach(), "assign")

    def __iadd__(self, other: Operand) -> Tensor:
        return self._rebind(self + other, "+=")

    def __isub__(self, other: Operand) -> Tensor:
        return self._rebind(self - other, "-=")

    def __imul__(self, other: Operand) -> Tensor:
        return self._rebind(self * other, "*=")

    def __itruediv__(self, other: Operand) -> Tensor:
        return self._rebind(self / other, "/=")

    def __ifloordiv__(self, other: Operand) -> Tensor:
        return self._rebind(self // other, "//=")

    def __imod__(self, other: Operand) -> Tensor:
        return self._rebind(self % other, "%=")

    def __ipow__(self, other: Operand) -> Tensor:
        return self._rebind(self**other, "**=")

    def __imatmul__(self, other: Any) -> Tensor:
        return self._rebind(self @ other, "@=")

    def __iand__(self, other: Operand) -> Tensor:
        return self._rebind(self & other, "&=")

    def __ior__(self, other: Operand) -> Tensor:
        return self._rebind(self | other, "|=")

    def __ixor__(self, other: Operand) -> Tensor:
        return self._rebind(self ^ other, "^=")

    def __ilshift__(self, other: Operand) -> Tensor:
        return self._rebind(self << other, "<<=")

    def __irshift__(self, other: Operand) -> Tensor:
        return self._rebind(self >> other, ">>=")

    # --- indexing -------------------------------------------------------------------------------------

    __getitem__: Method[Tensor] = Method("indexing", "get_item")

    def __setitem__(self, key: Any, value: Any) -> None:
        from tessella.tensors.indexing import set_item

        self._rebind(set_item(self, key, value), "x[...] =")

    def __iter__(self) -> Iterator[Tensor]:
        if not self.shape:
            raise ArgumentTypeError("a zero-dimensional tensor cannot be iterated over")
        check_unpacked(sys._getframe(1), self.shape)
        return (self[i] for i in range(self.shape[0]))

    def __contains__(self, value: object) -> bool:
        same = self == value
        return isinstance(same, Tensor) and bool(same.any())

    # --- methods that mirror functions ----------------------------------------------------------------

    def astype(self, dtype: Any, copy: bool = True, **others: Any) -> Tensor:
        """The elements as another dtype."""
        if others:
            refuse("astype", others, "dtype", "copy")
        target = as_dtype(dtype)
        if target is self.dtype:
            return self
        return apply(cast_to(target), (self,))

    @public
    def to_device(self, device: Any, /, *, stream: Any = None) -> Tensor:
        """The tensor on a device; there is only 'cpu' yet.

        Raises:
            DeviceError: there is no such device.
        """
        from tessella.tensors.creation import checked_device

        checked_device(device)
        return self

    def copy(self, **others: Any) -> Tensor:
        """The same elements in memory of their own, in row-major order."""
        if others:
            refuse("copy", others)
        return apply(cast_to(self.dtype), (self,))

    def contiguous(self, **others: Any) -> Tensor:
        """The tensor itself if its elements lie in row-major order, else a copy that does."""
        if others:
            refuse("contiguous", others)
        return self if self._value.layout.contiguous else self.copy()

    @property
    def T(self) -> Tensor:
        """A matrix with rows and columns exchanged."""
        if self.ndim != 2:
            raise _no_transpose("T", self)
        return self.permute_dims((1, 0))

    @property
    def real(self) -> Tensor:
        """The real part of each element; of numbers that are no complex ones, these."""
        from tessella.tensors.elementwise import real

        return real(self) if self.dtype.is_complex else self

    @property
    def imag(self) -> Tensor:
        """The imaginary part of each element.

        Raises:
            DTypeError: the numbers are no complex ones.
        """
        from tessella.tensors.elementwise import imag

        return imag(self)

    @property
    def mT(self) -> Tensor:
        """Every matrix (the last two axes) transposed."""
        from tessella.tensors.linear import matrix_transpose

        if self.ndim < 2:
            raise _no_transpose("mT", self)
        return matrix_transpose(self)

    def repeat(self, *repeats: int | Tensor, axis: int | None = None, **others: Any) -> Tensor:
        """Each element (along an axis) several times in a row, as in NumPy and the Array API standard.

        PyTorch's `repeat` puts the whole tensor beside itself, which is `tile` here.
        """
        from tessella.tensors.manipulation import repeat

        given = (others.pop("repeats"),) if "repeats" in others and not repeats else repeats
        refuse("repeat", others, "repeats", "axis")
        if len(given) != 1 or isinstance(given[0], (tuple, list)):
            raise ArgumentTypeError(
                f"repeat: {', '.join(map(shown, given)) or 'no numbers'} were given; PyTorch's x.repeat(2, 3) is x.tile(2, 3) here; "
                "x.repeat(2, axis=0) repeats each element, as repeat_interleave does"
            )
        return repeat(self, given[0], axis=axis)


Operand: TypeAlias = Tensor | Number
ARRAYS: Any = (Tensor, np.ndarray)  # what `@` takes
_API_VERSIONS = ("2021.12", "2022.12", "2023.12", "2024.12")  # of the Array API standard


def _no_transpose(name: str, x: Tensor) -> AbsentAttributeError:
    return AbsentAttributeError(f"{name}: {x.ndim} dimensions; {_INSTEAD_OF_T[min(x.ndim, 3)]}")


# --- making tensors ----------------------------------------------------------------------------------


def _make(value: Array, node: Node | None, output: int) -> Tensor:
    tensor: Tensor = _new(Tensor)
    tensor._value = value
    tensor._node = node
    tensor._output = output
    tensor._grad = None
    tensor._base = None
    return tensor


def viewing(result: Tensor, base: Tensor) -> Tensor:
    """A tensor that may share its memory with another one, and knows it."""
    others = base._base
    result._base = _reference(base) if others is None else (_reference(base), *_alive(others))
    return result


def _alive(references: Any) -> list[weakref.ref[Tensor]]:
    """Those of one or several references whose tensors are still there."""
    several = references if type(references) is tuple else (references,)
    return [reference for reference in several if reference() is not None]


def _share_memory(view: Tensor, base: Tensor) -> bool:
    """Whether two tensors lie in the same memory; of traced ones, which have none yet, it may be."""
    if isinstance(view._value, Array) and isinstance(base._value, Array):
        return view._value.buffer is base._value.buffer
    return True


def _through_which(view: Tensor, base: Tensor, operation: str) -> str:
    """Why nothing is written through a view, and what to write instead."""
    if view._value is base._value:  # all of it, without its history
        return (
            "the tensor is what `.data`, `detach()` or `state_dict()` gave of another one, of shape "
            f"{base.shape}, and nothing is written through it; write to that one: "
            f"`with ts.no_grad(): x.{operation}(...)`; or to a copy of it, x.clone()"
        )
    return (
        f"the tensor is a view of another one, of shape {base.shape}, and nothing is written through views; write to "
        "the other one (x[...] = value), or make a new tensor (y = x + 1, or x.clone())"
    )


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
            return [viewing(_make(array, None, 0), tensor) for array, tensor in pairs]


def from_array(value: Array) -> Tensor:
    """A tensor on concrete data."""
    if _mode.trace is not None and isinstance(value, Array):
        value = _mode.trace.constant(value)
    return _make(value, None, 0)


def from_ndarray(data: np.ndarray[Any, Any], copy: bool = True) -> Tensor:
    """A tensor of a NumPy array; in a traced function, one from outside is read anew for every call."""
    if _mode.trace is not None:
        traced = _mode.trace.array_from_outside(data)
        if traced is not None:
            return _make(traced, None, 0)
    return from_array(from_numpy(data, copy=copy))


def filled(value: Number, shape: Shape, dtype: DType) -> Tensor:
    """A tensor of one value."""
    if _mode.trace is not None and not dtype.is_complex:
        return _make(_mode.trace.full(value, shape, dtype), None, 0)
    return from_array(fill(value, shape, dtype))


def _rebuild(data: np.ndarray[Any, Any], dtype: str, requires_grad: bool) -> Tensor:
    """Unpickle."""
    tensor = from_array(from_numpy(data.view(as_dtype(dtype).numpy), copy=True))
    return tensor.requires_grad_() if requires_grad else tensor


_scalars: dict[Any, Tensor] = {}


def _scalar(value: Number, like: DType) -> Tensor:
    """A zero-dimensional tensor of a Python number beside a dtype; common ones are made once."""
    tracing = _mode.trace is not None
    key = (value, type(value), like)
    found = None if tracing or not value else _scalars.get(key)  # 0.0 and -0.0 are equal keys
    if found is not None:
        return found
    dtype = dtypes.python_scalar_dtype(value, like)
    if tracing:
        return filled(fitting(value, dtype), (), dtype)
    found = from_array(fill(fitting(value, dtype), (), dtype))
    if value:
        protect(found._value.buffer)
        if len(_scalars) > 4096:
            _scalars.clear()
        _scalars[key] = found
    return found


_LARGEST = 1 << 1023  # whole numbers that floats can still be made of


def fitting(value: Any, dtype: DType) -> Any:
    """A Python number, which a dtype must be able to hold if it is one of integers.

    Raises:
        ArgumentError: it cannot. (Fractions are cut off where a float is to be an integer.)
    """
    number = dtype.is_integer and isinstance(value, (int, float))
    if number and not dtype.low <= value < dtype.high + 1:
        raise ArgumentError(
            f"the number {shown(value)} does not fit in {dtype.name} ({dtype.low} to {dtype.high}); "
            "convert the tensor to a wider dtype first"
        )
    if type(value) is int and dtype.is_inexact and not -(1 << 63) <= value < 1 << 63:
        return _as_float(value, dtype)
    return value


def _as_float(value: int, dtype: DType) -> float:
    """A whole number beyond those of NumPy."""
    if not -_LARGEST < value < _LARGEST:
        raise ArgumentError(
            f"the number is {shown(value)}, which does not fit in {dtype.name}; no dtype holds it"
        )
    return float(value)


def operand(value: Any, like: Tensor) -> Any:
    """A Python number or NumPy array as a tensor beside `like`; NotImplemented for others."""
    if isinstance(value, Tensor):
        return value
    if isinstance(value, (bool, int, float, complex)):
        return _scalar(value, like._value.layout.dtype)
    if isinstance(value, (np.ndarray, np.generic)):
        return from_ndarray(plain_ndarray(value))
    # a number among the arguments of a trace; asked of the class, as Python asks for special methods
    bind = getattr(type(value), "__tessella_operand__", None)
    return NotImplemented if bind is None else operand(bind(value, like), like)


def binary(primitive: Elementwise, x: Any, y: Any) -> Tensor:
    """An elementwise primitive of two operands, one of which is a tensor."""
    if type(y) is float or type(y) is int:  # as it mostly is
        return apply(primitive, (x, _scalar(y, x._value.layout.dtype)))
    if not isinstance(y, Tensor):
        y = operand(y, x)
        if y is NotImplemented:
            return NotImplemented
    elif not isinstance(x, Tensor):
        x = operand(x, y)
        if x is NotImplemented:
            return NotImplemented
    return apply(primitive, (x, y))


_MIRRORED = {
    "equal": "equal", "not_equal": "not_equal", "less": "greater", "greater": "less",
    "less_equal": "greater_equal", "greater_equal": "less_equal",
}  # fmt: skip


def compare(name: str, x: Any, y: Any) -> Tensor:
    """A comparison of two operands, one of which is a tensor.

    Integers and Python numbers are compared as mathematics has it, even if the integers' dtype could
    not hold the number: every uint8 is below 300, and none equals 0.5.
    """
    if isinstance(y, Tensor):
        if isinstance(x, Tensor):
            return apply(elementwise(name), (x, y))
        if y.dtype.is_inexact:
            return binary(elementwise(name), x, y)
        return _compare_integers(_MIRRORED[name], y, x)
    dtype = x._value.layout.dtype
    if dtype.is_inexact or (type(y) is int and dtype.low <= y <= dtype.high):
        y = operand(y, x)
        return NotImplemented if y is NotImplemented else apply(elementwise(name), (x, y))
    return _compare_integers(name, x, y)


def _compare_integers(name: str, x: Tensor, number: Any) -> Tensor:
    """Integers (or bool) beside a Python number; a fraction, or what does not fit, is a float64."""
    if isinstance(number, (int, float)):
        low, high = dtypes.limits(dtypes.int64 if x.dtype.is_bool else x.dtype)
        if not low <= number <= high and number == number:
            number = math.inf if number > high else -math.inf
        if isinstance(number, float):
            number = _scalar(number, dtypes.float64)
    elif hasattr(type(number), "__tessella_operand__") and not isinstance(number, Size):
        number = _traced_beside_integers(number, x.dtype)
    return binary(elementwise(name), x, number)


def _traced_beside_integers(number: Any, dtype: DType) -> Any:
    """A float of a traced function as a float64 that compares with integers as it would untraced."""
    wide: Any = number.__tessella_operand__(_scalar(0.0, dtypes.float64))
    if dtype.bits < 64 or not isinstance(wide, Tensor):
        return wide
    # the greatest integers are rounded up, to what is too large
    top = _scalar(float(dtypes.limits(dtype)[1]), dtypes.float64)
    return apply(elementwise("select"), (wide >= top, _scalar(math.inf, dtypes.float64), wide))


def unary(name: str, x: Tensor) -> Tensor:
    """An elementwise function of one tensor, by its name."""
    return apply(elementwise(name), (require(x, name),))


def require(x: Any, name: str) -> Tensor:
    """x, which must be a tensor.

    Raises:
        ArgumentTypeError: it is something else.
    """
    if not isinstance(x, Tensor):
        raise ArgumentTypeError(
            f"{name}: a Tensor was expected, {type(x).__name__} was given; use ts.asarray(...)"
        )
    return x


def require_all(name: str, *values: Any) -> list[Tensor]:
    """Tensors and NumPy arrays, all as tensors; one at least must be a tensor.

    Raises:
        ArgumentTypeError: none is a tensor, or one is neither.
    """
    strange = [x for x in values if not isinstance(x, Tensor)]
    if not strange:
        return [*values]
    if len(strange) == len(values):
        require(values[0], name)
    return [
        from_ndarray(plain_ndarray(x))
        if isinstance(x, (np.ndarray, np.generic))
        else require(x, name)
        for x in values
    ]


# --- running and recording -----------------------------------------------------------------------------


def apply(primitive: Primitive, inputs: Sequence[Tensor]) -> Any:
    """Run a primitive on tensors, and record it if one of them needs a gradient."""
    if _mode.trace is None:
        count = len(inputs)
        if count == 2:  # written out, too: a comprehension takes longer
            first, second = inputs
            value = run(primitive, [first._value, second._value])
        elif count == 1:
            value = run(primitive, [inputs[0]._value])
        else:
            value = run(primitive, [x._value for x in inputs])
    else:
        value = _mode.trace.record(primitive, inputs)
    for x in inputs:
        if x._node is not None:
            block = _innermost()  # of `no_grad` and its kin; written out, as microseconds count
            if block is None or (block.value.enabled if block.is_open() else autodiff.is_enabled()):
                return _record(primitive, inputs, value)
            break
    if primitive.multiple_results:
        return tuple([_make(v, None, 0) for v in value])
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


def _record(primitive: Primitive, inputs: Sequence[Tensor], value: Any) -> Any:
    if primitive.multiple_results:
        node = TensorNode(primitive, inputs, tuple(value))
        return tuple(
            _make(v, node if v.layout.dtype.is_float else None, i) for i, v in enumerate(value)
        )
    dtype = value.layout.dtype
    if dtype.is_complex:
        raise GradientError(
            f"{primitive.name}: the result is {dtype.name}, and gradients do not pass through complex "
            "numbers; use detach() on the operands, or compute with real and imaginary parts"
        )
    if not dtype.is_float:
        return _make(value, None, 0)  # integers have no gradient: the history ends here
    return _make(value, TensorNode(primitive, inputs, (value,)), 0)


def number_in(owner: dict[str, Any], name: str, like: Tensor) -> Any:
    """A number in a dict: itself, or, in a traced function, an input that is read at every call.

    So a program follows a learning rate that changes, and need not be compiled again.
    """
    value = entry(owner, name)
    if type(value) is not float:
        _require_number(name, value)
    traced = isinstance(value, Tensor) or hasattr(type(value), "__tessella_operand__")
    if _mode.trace is None or traced:
        return value
    dtype = like.dtype
    last: list[Any] = [None, None]

    def read() -> Array:
        now = owner[name]
        if now != last[0]:
            last[:] = now, fill(now, (), dtype)
        array: Array = last[1]
        return array

    return _make(_mode.trace.number((id(owner), name, dtype), read, read()), None, 0)


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


def is_traced() -> bool:
    """Whether a function is being traced in this thread."""
    return _mode.trace is not None


def guarded(owner: Any, name: Any, value: Any) -> Any:
    """A setting that a traced function depends on: another value makes another program."""
    if _mode.trace is not None:
        _mode.trace.guard(owner, name, value)
    return value


def default_float() -> DType:
    """The dtype of fractions that are made without one; a traced function depends on it."""
    floating: DType = guarded(dtypes.defaults, "floating", dtypes.defaults.floating)
    return floating


def touched(owner: Any, *parts: Any) -> None:
    """Our own code looks into a module or an optimiser, on which a traced function depends then."""
    if _mode.trace is not None:
        _mode.trace.touch(owner, *parts)


def about_to_write(owner: Any, name: str) -> None:
    """An attribute of a module or an optimiser gets another value, at every call of a traced function."""
    if _mode.trace is not None:
        _mode.trace.writes(owner, name)


def after_call(action: Callable[[], Any]) -> None:
    """Do something now, or, in a traced function, after every call of its program."""
    if _mode.trace is None:
        action()
    else:
        _mode.trace.after.append(action)


def _check_gradient(tensor: Tensor, gradient: Any) -> None:
    if not isinstance(gradient, Tensor):
        raise ArgumentTypeError(
            f"grad: {type(gradient).__name__} was given; expected a Tensor or None"
        )
    if gradient.shape != tensor.shape or gradient.dtype is not tensor.dtype:
        raise GradientError(
            f"grad: {gradient.dtype.name} {gradient.shape} was given for a tensor of "
            f"{tensor.dtype.name} {tensor.shape}; they must be equal"
        )


def _leaf(tensor: Tensor) -> Leaf:
    """The node of a leaf; it does not keep the tensor alive."""
    reference = weakref.ref(tensor)

    def accumulate(gradient: Tensor) -> None:
        target = reference()
        if target is not None:
            _accumulate(target, gradient)

    return Leaf(accumulate)


_accumulating = forking.lock()


def _accumulate(target: Tensor, gradient: Tensor) -> None:
    """Add to `grad`. Several threads may do so at once: who finds that another was faster adds anew."""
    if _mode.trace is not None:
        target.grad = gradient if target.grad is None else target.grad + gradient
        return
    while True:
        before = target._grad
        total = gradient if before is None else before + gradient
        with _accumulating:
            if target._grad is before:
                target.grad = total
                return


def _root(tensor: Tensor, gradient: Tensor | None, name: str) -> tuple[autodiff.Edge, Tensor]:
    """Where a backward pass starts, and with what."""
    if tensor._node is None:
        why = (
            f"{tensor.dtype.name} values have no gradients, so the history ended before them"
            if not tensor.dtype.is_inexact
            else "nothing it was computed from requires a gradient, or it was made in no_grad()"
        )
        raise GradientError(
            f"{name}: the tensor has no history: {why}; call requires_grad_() on the inputs first"
        )
    if gradient is None:
        if tensor.size != 1:
            raise GradientError(
                f"{name}: the tensor has shape {tensor.shape}; its gradient can only be left out "
                "for a single element; reduce it first (for example .sum()), or pass gradient="
            )
        gradient = filled(1, tensor.shape, tensor.dtype)
    if not isinstance(gradient, Tensor):
        raise ArgumentTypeError(
            f"{name}: gradient is a {type(gradient).__name__}; expected a Tensor"
        )
    if gradient.shape != tensor.shape:
        raise GradientError(
            f"{name}: gradient has shape {gradient.shape}, the tensor {tensor.shape}; they must be "
            "equal"
        )
    return (tensor._node, tensor._output), gradient.astype(tensor.dtype)


def gradients(
    outputs: Sequence[Tensor],
    inputs: Sequence[Tensor],
    cotangents: Sequence[Tensor | None] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
) -> list[Tensor | None]:
    """The gradients of outputs by inputs, without touching `grad`; None where they do not depend.

    >>> import tessella as ts
    >>> x = ts.asarray([3.0]).requires_grad_()
    >>> ts.gradients([x * x], [x])
    [tensor([6.])]
    """
    for name, tensors in (("outputs", outputs), ("inputs", inputs)):
        if not isinstance(tensors, (list, tuple)) or not all(
            isinstance(x, Tensor) for x in tensors
        ):
            raise ArgumentTypeError(
                f"gradients: {name} is {shown(tensors)}; expected a list or a tuple of tensors"
            )
    if cotangents is None:
        cotangents = [None] * len(outputs)
    if not isinstance(cotangents, (list, tuple)) or len(cotangents) != len(outputs):
        raise ArgumentTypeError(
            f"gradients: cotangents is {shown(cotangents)}; expected a list with a gradient, or None, for each of "
            f"the {len(outputs)} outputs"
        )
    roots = [_root(y, ct, "gradients") for y, ct in zip(outputs, cotangents, strict=True)]
    targets = []
    for x in inputs:
        if x._node is None:
            raise GradientError("gradients: an input requires no gradient; use requires_grad_()")
        targets.append((x._node, x._output))
    retain = create_graph if retain_graph is None else retain_graph
    with autodiff.set_enabled(create_graph):
        return autodiff.gradients(roots, targets, retain)


def _python_kind(dtype: DType) -> Any:
    """A NumPy dtype whose items are Python numbers."""
    return np.float64 if dtype.is_float else dtype.numpy


def axes_of(x: Tensor, axis: Axes, name: str) -> tuple[int, ...]:
    """The axes an argument names, counted from the front."""
    return normalise_axes(axis, x.ndim, name)
