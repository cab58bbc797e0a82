"""Tasks 2.3 and 3.0: the four operations that a backend of tensors consists of, and `SimpleOps`.

A set of operations (`TensorOps`) makes functions of tensors from functions of numbers: `map`, `zip`,
`reduce`; and it has `matrix_multiply`. `TensorBackend` makes of such a set the operations that tensors
use. There are two sets, and both are Tessella: `SimpleOps` is its reference backend (NumPy: slow and
obvious), `FastOps` (`fast_ops.py`) its compiled kernels.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

import tessella as ts
from tessella import autodiff, dtypes
from tessella.errors import ShapeError, TracingError
from tessella.minitorch import operators
from tessella.minitorch.tensor_data import shape_broadcast
from tessella.primitives.base import normalise_axis
from tessella.primitives.elementwise import Elementwise
from tessella.scalar.expression import Expression, variable
from tessella.scalar.function import scalar_function
from tessella.tensors.tensor import apply

if TYPE_CHECKING:
    from tessella.minitorch.tensor import Tensor

Kernel = Callable[..., ts.Tensor]
_HERE = contextlib.nullcontext()


class MapProto(Protocol):
    """A function of one tensor; with `out`, it writes there."""

    def __call__(self, x: Tensor, out: Tensor | None = ..., /) -> Tensor: ...


class TensorOps:
    """A set of operations: `map`, `zip`, `reduce`, `matrix_multiply`.

    A subclass says how a function of numbers becomes one of Tessella's tensors (`elementwise`) and where
    that runs (`running`); or it defines the four operations itself.
    """

    cuda = False

    @staticmethod
    def elementwise(fn: Callable[..., float]) -> Kernel:
        """fn for every element of tensors, broadcast together."""
        raise NotImplementedError(
            "TensorOps: a subclass defines map, zip, reduce and matrix_multiply, or elementwise"
        )

    @staticmethod
    def running() -> contextlib.AbstractContextManager[None]:
        """Where the tensors of this backend are computed, their gradients included."""
        return _HERE

    @classmethod
    def map(cls, fn: Callable[[float], float]) -> MapProto:
        """The function that applies fn to every element; given a second tensor, it writes there."""
        kernel, running = cls.elementwise(fn), cls.running

        def mapped(a: Tensor, out: Tensor | None = None, /) -> Tensor:
            with running():
                result = kernel(a._data)
            return a._like(result) if out is None else _deliver(result, out)

        return mapped

    @classmethod
    def cmap(cls, fn: Callable[[float], float]) -> MapProto:
        """The same as `map`."""
        return cls.map(fn)

    @classmethod
    def zip(cls, fn: Callable[[float, float], float]) -> Callable[[Tensor, Tensor], Tensor]:
        """The function that applies fn to the elements of two tensors, broadcast together."""
        kernel, running = cls.elementwise(fn), cls.running

        def zipped(a: Tensor, b: Tensor) -> Tensor:
            try:
                with running():
                    return a._like(kernel(a._data, b._data))
            except ShapeError:
                shape_broadcast(a.shape, b.shape)  # complains as the course does
                raise

        return zipped

    @classmethod
    def reduce(
        cls, fn: Callable[[float, float], float], start: float = 0.0
    ) -> Callable[[Tensor, int], Tensor]:
        """The function that combines the elements along an axis, one after the other; it becomes 1."""
        kernel, running = reduction_kernel(fn, start, cls.elementwise), cls.running

        def reduced(a: Tensor, dim: int) -> Tensor:
            with running():
                return a._like(kernel(a._data, dim))

        return reduced

    @classmethod
    def matrix_multiply(cls, a: Tensor, b: Tensor) -> Tensor:
        """The product of the last two axes; the others broadcast."""
        with cls.running():
            return a._like(ts.matmul(a._data, b._data))


def _deliver(result: ts.Tensor, out: Tensor) -> Tensor:
    """Write a result into a tensor.

    Raises:
        IndexingError, ShapeError: it does not broadcast to the tensor's shape.
    """
    if shape_broadcast(result.shape, out.shape) != out.shape:
        raise ShapeError(f"map: a result of shape {result.shape} does not fit out, {out.shape}")
    out._tensor.array()[...] = result.numpy()
    return out


class TensorBackend:
    """The operations that tensors use, made from a set of four.

    Args:
        ops: a subclass of `TensorOps`.
    """

    def __init__(self, ops: type[TensorOps]) -> None:
        self.ops = ops
        self.running = ops.running
        self.cuda = ops.cuda
        self.id_map = ops.map(operators.id)
        self.id_cmap = ops.cmap(operators.id)
        self.neg_map = ops.map(operators.neg)
        self.sigmoid_map = ops.map(operators.sigmoid)
        self.relu_map = ops.map(operators.relu)
        self.log_map = ops.map(operators.log)
        self.exp_map = ops.map(operators.exp)
        self.inv_map = ops.map(operators.inv)
        self.add_zip = ops.zip(operators.add)
        self.mul_zip = ops.zip(operators.mul)
        self.lt_zip = ops.zip(operators.lt)
        self.eq_zip = ops.zip(operators.eq)
        self.is_close_zip = ops.zip(operators.is_close)
        self.relu_back_zip = ops.zip(operators.relu_back)
        self.log_back_zip = ops.zip(operators.log_back)
        self.inv_back_zip = ops.zip(operators.inv_back)
        self.add_reduce = ops.reduce(operators.add, 0.0)
        self.mul_reduce = ops.reduce(operators.mul, 1.0)
        self.matrix_multiply = ops.matrix_multiply

    def __repr__(self) -> str:
        return f"TensorBackend({self.ops.__name__})"


# --- kernels: functions of numbers as functions of Tessella's tensors --------------------------------


def elementwise_kernel(fn: Callable[..., float]) -> Kernel:
    """fn for every element of float64 tensors; the result is float64, too."""
    primitive = Elementwise(scalar_function(fn))

    def kernel(*xs: ts.Tensor) -> ts.Tensor:
        result: ts.Tensor = apply(primitive, xs)
        return result if result.dtype is dtypes.float64 else result.astype(dtypes.float64)

    return kernel


def python_kernel(fn: Callable[..., float]) -> Kernel:
    """Like `elementwise_kernel`; what cannot be an expression is called for each element, as it is.

    That is for the reference backend: Python is the meaning of a Python function.
    """
    operation = elementwise_kernel(fn)
    each = np.frompyfunc(fn, len(scalar_function(fn).parameters), 1)

    def kernel(*xs: ts.Tensor) -> ts.Tensor:
        try:
            return operation(*xs)
        except TracingError:
            if autodiff._mode.trace is not None:
                raise
            elements = [x.numpy().astype(object) for x in xs]
            return ts.asarray(np.asarray(each(*elements), dtype=np.float64))

    return kernel


def reduction_kernel(
    fn: Callable[[float, float], float], start: float, elementwise: Callable[..., Kernel]
) -> Kernel:
    """kernel(x, axis, first=start): `first` combined with the elements along an axis, which becomes 1.

    Sums, products and maxima, whatever the function is called, are combined in any order; for other
    functions the order of the elements is kept.
    """
    combine = elementwise(fn)
    found: list[Any] = []  # looked up when it is needed: tracing a function takes a while

    def kernel(x: ts.Tensor, axis: int, first: ts.Tensor | None = None) -> ts.Tensor:
        axis = normalise_axis(axis, x.ndim, "reduce")
        if not found:
            found.extend(_known_reduction(fn))
        known, neutral = found
        if known is not None and x.shape[axis]:
            total: ts.Tensor = known(x, axis=axis, keepdims=True)
            if first is None and start == neutral:
                return total
            return combine(ts.full((), start, dtype=x.dtype) if first is None else first, total)
        total = ts.full((), start, dtype=x.dtype) if first is None else first
        total = ts.broadcast_to(total, (*x.shape[:axis], 1, *x.shape[axis + 1 :]))
        for place in range(x.shape[axis]):
            total = combine(total, x[(slice(None),) * axis + (slice(place, place + 1),)])
        return total

    return kernel


def _known_reduction(fn: Callable[[float, float], float]) -> tuple[Any, float | None]:
    """Tessella's reduction by the function that fn computes, and its neutral element; or None twice."""
    found = _meaning(fn)
    for known, reduction, neutral in (
        (operators.add, ts.sum, 0.0),
        (operators.mul, ts.prod, 1.0),
        (operators.max, ts.max, None),
    ):
        if found is not None and found is _meaning(known):
            return reduction, neutral
    return None, None


def _meaning(fn: Callable[[float, float], float]) -> Expression | None:
    """A function of two numbers as an expression; expressions of equal structure are one object."""
    try:
        x, y = variable("x", dtypes.float64), variable("y", dtypes.float64)
        return ts.scalar.trace(fn, (x, y))
    except TracingError:
        return None


class SimpleOps(TensorOps):
    """Tessella's reference backend: any Python function of numbers may be mapped.

    A function is followed once and its expression evaluated by NumPy; what cannot be an expression is
    called for each element.
    """

    elementwise = staticmethod(python_kernel)

    @staticmethod
    def running() -> contextlib.AbstractContextManager[None]:
        return ts.backend("reference")


SimpleBackend = TensorBackend(SimpleOps)


# --- the same on storages, shapes and strides -------------------------------------------------------


def _read(storage: Any, shape: Any, strides: Any) -> np.ndarray[Any, Any]:
    """A storage as a NumPy array: what is written to it is written there."""
    steps = tuple(int(stride) * storage.itemsize for stride in strides)
    return np.lib.stride_tricks.as_strided(storage, tuple(int(n) for n in shape), steps)


class LowLevel:
    """`tensor_map`, `tensor_zip` and `tensor_reduce` of a set of operations."""

    def __init__(self, ops: type[TensorOps]) -> None:
        self.elementwise, self.running = ops.elementwise, ops.running

    def tensor_map(self, fn: Callable[[float], float]) -> Callable[..., None]:
        """A function (out, out_shape, out_strides, in, in_shape, in_strides) that writes fn(in) to out.

        Shapes: in broadcasts to out.
        """
        return self._written(self.elementwise(fn))

    def tensor_zip(self, fn: Callable[[float, float], float]) -> Callable[..., None]:
        """A function (out..., a..., b...) of storages, shapes and strides that writes fn(a, b) to out."""
        return self._written(self.elementwise(fn))

    def _written(self, kernel: Kernel) -> Callable[..., None]:
        def run(out: Any, out_shape: Any, out_strides: Any, *operands: Any) -> None:
            each = zip(operands[0::3], operands[1::3], operands[2::3], strict=True)
            xs = [ts.asarray(_read(*operand).astype(np.float64)) for operand in each]
            with self.running():
                _read(out, out_shape, out_strides)[...] = kernel(*xs).numpy()

        return run

    def tensor_reduce(self, fn: Callable[[float, float], float]) -> Callable[..., None]:
        """A function (out..., a..., dim) that combines a along dim into what out holds.

        Shapes: out has size 1 along dim, and otherwise the sizes of a.
        """
        kernel = reduction_kernel(fn, 0.0, self.elementwise)

        def run(
            out: Any, out_shape: Any, out_strides: Any,
            a: Any, a_shape: Any, a_strides: Any, reduce_dim: int,
        ) -> None:  # fmt: skip
            target = _read(out, out_shape, out_strides)
            first, x = (ts.asarray(np.array(y)) for y in (target, _read(a, a_shape, a_strides)))
            with self.running():
                target[...] = kernel(x, reduce_dim, first).numpy()

        return run


_simple = LowLevel(SimpleOps)
tensor_map, tensor_zip, tensor_reduce = (
    _simple.tensor_map,
    _simple.tensor_zip,
    _simple.tensor_reduce,
)

__all__ = [
    "MapProto", "SimpleBackend", "SimpleOps", "TensorBackend", "TensorOps", "tensor_map",
    "tensor_reduce", "tensor_zip",
]  # fmt: skip
