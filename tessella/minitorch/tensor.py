"""Module 2: `Tensor`, with the course's names, around a tensor of Tessella."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

import tessella as ts
from tessella import dtypes, errors
from tessella.devices.array import Array, contiguous_layout, from_numpy, to_numpy
from tessella.devices.buffer import is_protected, protect
from tessella.minitorch import functions
from tessella.minitorch.autodiff import History, backpropagate, unique_ids
from tessella.minitorch.handle import Handle
from tessella.minitorch.tensor_data import TensorData, UserIndex, UserShape, checked_index
from tessella.minitorch.tensor_ops import SimpleBackend, TensorBackend
from tessella.primitives.elementwise import reduce_to
from tessella.tensors.tensor import filled, from_array, is_traced
from tessella.tracing.trace import is_known

TensorLike: TypeAlias = "float | int | Tensor"
Pairs: TypeAlias = "list[tuple[Tensor, Tensor]]"  # a method is called tuple, too


class Tensor(Handle):
    """An n-dimensional array of float64, with its history and, if it is a leaf, its gradient.

    Make one with `tensor`, `zeros`, `rand`. Axes that are reduced stay, with size 1.

    Args:
        v: how it lies in memory; the storage is used as it is, and not copied.
        back: how it was computed; None for a constant.
        name: for people.
        backend: what its operations run on.

    >>> from tessella import minitorch
    >>> x = minitorch.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> print(x.grad)
    [
        [2.00 4.00]
        [6.00 8.00]]
    """

    __slots__ = ()
    __array_priority__ = 1001
    functions = functions

    def __init__(
        self, v: TensorData, back: History | None = None, name: str | None = None,
        backend: TensorBackend | None = None,
    ) -> None:  # fmt: skip
        if not isinstance(v, TensorData):
            raise errors.CourseArgumentError(
                f"Tensor: {type(v).__name__} was given; expected TensorData; use "
                "minitorch.tensor([1.0, 2.0])"
            )
        self._data = from_array(from_numpy(v.array()))
        self._name = name
        self.backend = SimpleBackend if backend is None else backend
        self.history = back
        self.unique_id = next(unique_ids)

    @staticmethod
    def make(
        storage: Any, shape: UserShape, strides: Any = None, backend: TensorBackend | None = None
    ) -> Tensor:
        """A tensor of numbers in a row, a shape and strides."""
        return Tensor(TensorData(storage, shape, strides), backend=backend)

    # --- what it is -----------------------------------------------------------------------------

    @property
    def _tensor(self) -> TensorData:
        """How it lies in memory: what is written to the storage is written to the tensor."""
        array = self._dense()._value
        row = Array(array.buffer, array.address, contiguous_layout((self.size,), dtypes.float64))
        return TensorData(to_numpy(row), array.shape, array.layout.strides)

    def _like(self, data: ts.Tensor, history: History | None = None) -> Tensor:
        """A tensor of this backend around other data."""
        return wrapped(data, self.backend, history)

    def _dense(self) -> ts.Tensor:
        """The data with each element stored once: what is broadcast or shared is copied first."""
        self._data.numpy()  # complains inside a traced function, where there are no elements
        if is_protected(self._data._value.buffer):
            self._data = self._data.copy()
        shape, strides = self.shape, self._data.strides
        step = 1
        for n, stride in sorted(zip(shape, strides, strict=True), key=lambda pair: pair[1]):
            if n > 1 and stride != step:
                self._data.assign(self._data.copy())  # the same handle, with its gradient
                break
            step *= n
        return self._data

    def tuple(self) -> Any:
        """Storage, shape and strides."""
        return self._tensor.tuple()

    def to_numpy(self) -> np.ndarray[Any, Any]:
        """The elements as a NumPy array, copied."""
        return np.array(self._data.numpy())

    def __repr__(self) -> str:
        known = is_known(self._data)  # in a compiled function it is not
        return self._tensor.to_string() if known else repr(self._data)

    def __getitem__(self, key: int | UserIndex) -> float:
        return float(self._data.numpy()[checked_index(key, self.shape)])

    def __setitem__(self, key: int | UserIndex, val: float) -> None:
        self._tensor.set(key, val)

    # --- operators --------------------------------------------------------------------------------

    def _ensure(self, b: TensorLike) -> Tensor:
        """A number as a tensor of one element; a tensor as one of this backend."""
        if isinstance(b, Tensor):
            b.backend = self.backend
            return b
        if not isinstance(b, (int, float, np.number)):
            raise errors.ArgumentTypeError(
                f"{type(b).__name__} was given; expected a minitorch.Tensor or a number; "
                "minitorch.tensor(x) makes a tensor of lists and arrays"
            )
        return self._like(_constant(float(b)))

    def __matmul__(self, b: Tensor) -> Tensor:
        return functions.MatMul.apply(self, self._ensure(b))

    def is_close(self, y: TensorLike) -> Tensor:
        """1 where elements differ by less than 0.01, else 0."""
        return functions.IsClose.apply(self, self._ensure(y))

    def _along(self, reduction: Any, dim: int | None) -> Tensor:
        """A reduction along an axis, or of all elements in one row."""
        if dim is not None or self.dims == 1:
            return reduction.apply(self, dim or 0)
        whole = self if self.is_contiguous() else self.contiguous()
        return reduction.apply(whole.view(self.size), 0)

    def all(self, dim: int | None = None) -> Tensor:
        """1 if all elements (along an axis) are."""
        return self._along(functions.All, dim)

    def sum(self, dim: int | None = None) -> Tensor:
        """The sum of all elements, of shape (1,), or along an axis, which becomes 1."""
        return self._along(functions.Sum, dim)

    def mean(self, dim: int | None = None) -> Tensor:
        """The mean of all elements, of shape (1,), or along an axis, which becomes 1."""
        total = self.sum(dim)
        return total / (self.size if dim is None else self.shape[dim])

    def permute(self, *order: int) -> Tensor:
        """The axes in another order, of the same storage."""
        return functions.Permute.apply(self, order)

    def contiguous(self) -> Tensor:
        """A copy whose elements lie in row-major order."""
        return functions.Copy.apply(self)

    def is_contiguous(self) -> bool:
        """Whether the elements lie in row-major order."""
        return self._data._value.layout.contiguous or self._tensor.is_contiguous()

    def view(self, *shape: int) -> Tensor:
        """Another shape of the same storage.

        Raises:
            CourseShapeError: the elements do not lie in row-major order.
            ShapeError: they are not as many.
        """
        if not self.is_contiguous():
            raise errors.CourseShapeError(
                f"view: the elements do not lie in row-major order (shape {self.shape}, strides "
                f"{self._data.strides}); use x.contiguous().view{shape}"
            )
        return functions.View.apply(self, shape)

    def expand(self, other: Tensor) -> Tensor:
        """A gradient `other` as one of this tensor: broadcast to its shape, or summed over what was."""
        if other.shape == self.shape:
            return other
        with self.backend.running():
            return self._like(reduce_to(other._data, self.shape, dtypes.float64))

    def zeros(self, shape: UserShape | None = None) -> Tensor:
        """Zeros of this tensor's shape, or another."""
        return self._like(
            ts.zeros(self.shape if shape is None else tuple(shape), dtype=dtypes.float64)
        )

    def ones(self, shape: UserShape | None = None) -> Tensor:
        """Ones of this tensor's shape, or another."""
        return self._like(
            ts.ones(self.shape if shape is None else tuple(shape), dtype=dtypes.float64)
        )

    # --- as a variable of the chain rule ------------------------------------------------------------

    @property
    def grad(self) -> Tensor | None:
        """What backward passes have added up so far; None if none came by."""
        found = self._data.grad
        return None if found is None else self._like(found)

    @grad.setter
    def grad(self, gradient: Tensor | None) -> None:
        self._data.grad = None if gradient is None else gradient._data

    def requires_grad(self) -> bool:
        """Whether it is no constant."""
        return self.history is not None

    def zero_grad_(self) -> None:
        """Let the gradient be zeros."""
        self.grad = self.zeros()

    def accumulate_derivative(self, x: Tensor) -> None:
        """Add to the gradient.

        Raises:
            CourseGradientError: it is no leaf.
        """
        self._check_leaf()
        before = self._data.grad
        self._data.grad = x._data.copy() if before is None else before + x._data

    def chain_rule(self, d_output: Tensor) -> Pairs:
        """Each input that is no constant, with its gradient, which has the input's shape."""
        return [
            (x, gradient)
            if type(gradient) is Tensor and gradient.shape == x.shape
            else (x, x.expand(x._ensure(gradient)))
            for x, gradient in super().chain_rule(d_output)
        ]

    def backward(self, grad_output: Tensor | None = None) -> None:
        """Carry the gradient back to every leaf.

        Args:
            grad_output: that of this tensor; may be left out for shape (1,).

        Raises:
            CourseGradientError: it has another shape, or is missing though there are several elements.
        """
        grad_output = self.ones((1,)) if grad_output is None else grad_output
        if grad_output.shape != self.shape:
            raise errors.CourseGradientError(
                f"backward: grad_output has shape {grad_output.shape} ((1,) if it is left out), the "
                f"tensor {self.shape}; give one of the same shape, or use x.sum().backward()"
            )
        backpropagate(self, grad_output)

    def _take_place_of(self, old: Any) -> None:
        """Be what a parameter holds, instead of another tensor.

        The handle that compiled programs know goes from the old tensor to this one, so that a step
        under `ts.jit` finds its parameters again. The old tensor keeps its data.
        """
        if isinstance(old, Tensor) and old is not self and old.shape == self.shape:
            handle, data, gradient = old._data, self._data, old._data.grad
            old._data = handle.detach()
            if gradient is not None:
                old._data.grad, handle.grad = gradient, None
            handle.assign(data)
            self._data = handle


_constants: dict[float, ts.Tensor] = {}


def _constant(value: float) -> ts.Tensor:
    """A number as a tensor of shape (1,); common ones are made once."""
    found = _constants.get(value) if value and not is_traced() else None  # 0.0 and -0.0 are equal
    if found is None:
        found = filled(value, (1,), dtypes.float64)
        if value and not is_traced() and len(_constants) < 4096:
            _constants[value] = found
            protect(found._value.buffer)
    return found


def wrapped(data: ts.Tensor, backend: TensorBackend, history: History | None = None) -> Tensor:
    """A tensor of the course around one of Tessella."""
    made = object.__new__(Tensor)
    made._data = data
    made._name = None
    made.backend = backend
    made.history = history
    made.unique_id = next(unique_ids)
    return made


__all__ = ["Tensor", "TensorLike"]
