"""Tasks 2.3 and 3.0: the four operations that a backend of tensors consists of, and `SimpleOps`.

A set of operations (`TensorOps`) makes functions of tensors from functions of numbers: `map`, `zip`,
`reduce`; and it has `matrix_multiply`. `TensorBackend` makes of such a set the operations that tensors
use. There are two sets, and both are Tessella: `SimpleOps` is its reference backend (NumPy: slow and
obvious), `FastOps` (`fast_ops.py`) its compiled kernels.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

import tessella as ts
from tessella import autodiff, dtypes
from tessella.arguments import public
from tessella.arguments.kinds import UNFIT, Kind, register_kind
from tessella.errors import MissingRuleError, ShapeError, TracingError
from tessella.minitorch import operators
from tessella.minitorch.asserting import asserting
from tessella.minitorch.taken import CourseTensor
from tessella.minitorch.tensor_data import shape_broadcast
from tessella.primitives.base import normalise_axis
from tessella.primitives.elementwise import Elementwise
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
        raise MissingRuleError(
            "TensorOps: a subclass defines map, zip, reduce and matrix_multiply, or elementwise"
        )

    @staticmethod
    def running() -> contextlib.AbstractContextManager[None]:
        """Where the tensors of this backend are computed, their gradients included."""
        return _HERE

    @classmethod
    def there(cls, kernel: Kernel) -> Kernel:
        """The kernel, computed where this backend computes."""
        if cls.running is TensorOps.running:
            return kernel

        def run(*xs: Any) -> ts.Tensor:
            with cls.running():
                return kernel(*xs)

        return run

    @classmethod
    def map(cls, fn: Callable[[float], float]) -> MapProto:
        """The function that applies fn to every element; given a second tensor, it writes there."""
        kernel = cls.there(cls.elementwise(fn))

        def mapped(a: Tensor, out: Tensor | None = None, /) -> Tensor:
            result = kernel(a._data)
            return a._like(result) if out is None else _deliver(result, out)

        return mapped

    @classmethod
    def zip(cls, fn: Callable[[float, float], float]) -> Callable[[Tensor, Tensor], Tensor]:
        """The function that applies fn to the elements of two tensors, broadcast together."""
        kernel = cls.there(cls.elementwise(fn))

        def zipped(a: Tensor, b: Tensor) -> Tensor:
            try:
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
        kernel = cls.there(reduction_kernel(fn, start, cls.elementwise))
        return lambda a, dim: a._like(kernel(a._data, dim))

    @classmethod
    @asserting
    @public
    def matrix_multiply(cls, a: CourseTensor, b: CourseTensor) -> Tensor:
        """The product of the last two axes; the others broadcast."""
        return a._like(cls.there(ts.matmul)(a._data, b._data))


def _deliver(result: ts.Tensor, out: Tensor) -> Tensor:
    """Write a result into a tensor.

    Raises:
        IndexingError, ShapeError: it does not broadcast to the tensor's shape.
    """
    if shape_broadcast(result.shape, out.shape) != out.shape:
        raise ShapeError(f"map: a result of shape {result.shape} does not fit out, {out.shape}")
    out._tensor.array()[...] = result.numpy()
    return out


def _operations(value: Any) -> Any:
    return value if isinstance(value, type) and issubclass(value, TensorOps) else UNFIT


register_kind("type[TensorOps]", Kind("a subclass of TensorOps", "False", _operations))


class TensorBackend:
    """The operations that tensors use, made from a set of four: `neg_map`, `add_zip`, `add_reduce`, ...

    Args:
        ops: a subclass of `TensorOps`.
    """

    maps = "id", "neg", "sigmoid", "relu", "log", "exp", "inv"
    zips = "add", "mul", "lt", "eq", "is_close", "relu_back", "log_back", "inv_back"
    reductions = ("add", 0.0), ("mul", 1.0)

    @public
    def __init__(self, ops: type[TensorOps]) -> None:
        self.ops, self.cuda, self.running = ops, ops.cuda, ops.running
        for name in self.maps:
            setattr(self, f"{name}_map", ops.map(getattr(operators, name)))
        for name in self.zips:
            setattr(self, f"{name}_zip", ops.zip(getattr(operators, name)))
        for name, start in self.reductions:
            setattr(self, f"{name}_reduce", ops.reduce(getattr(operators, name), start))
        self.id_cmap = ops.map(operators.id)
        self.matrix_multiply = ops.matrix_multiply

    if TYPE_CHECKING:  # `neg_map`, `add_zip`, `add_reduce` and their like

        def __getattr__(self, name: str) -> Callable[..., Tensor]: ...

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
    scalar = scalar_function(fn)
    each = np.frompyfunc(scalar.function, len(scalar.parameters), 1)

    def kernel(*xs: ts.Tensor) -> ts.Tensor:
        try:
            return operation(*xs)
        except TracingError:
            if autodiff.mode.trace is not None:
                raise
            elements = [x.numpy().astype(object) for x in xs]
            return ts.asarray(np.asarray(each(*elements), dtype=np.float64))

    return kernel


def reduction_kernel(
    fn: Callable[[float, float], float], start: float | None, elementwise: Callable[..., Kernel]
) -> Kernel:
    """kernel(x, axis): start combined with the elements along an axis, which becomes 1.

    Without a start there must be elements. Sums, products and maxima, whatever the function is called,
    are combined in any order; for other functions the order of the elements is kept.
    """
    combine, in_any_order = elementwise(fn), ts.reduce(fn, start)
    commutes = functools.cache(lambda: _commutes(fn))  # when it is needed: tracing takes a while

    def kernel(x: ts.Tensor, axis: int) -> ts.Tensor:
        if commutes():
            return in_any_order(x, axis=axis, keepdims=True)
        axis = normalise_axis(axis, x.ndim, "reduce")
        parts = ts.split(x, 1, axis=axis)
        if start is not None:
            shape = (*x.shape[:axis], 1, *x.shape[axis + 1 :])
            parts = (ts.full(shape, start, dtype=x.dtype), *parts)
        return functools.reduce(combine, parts)

    return kernel


def _commutes(fn: Callable[[float, float], float]) -> bool:
    """Whether a function of two numbers is a sum, product or maximum."""
    scalar, kinds = scalar_function(fn), (dtypes.float64, dtypes.float64)
    variables = scalar.variables(kinds)
    try:
        meaning = scalar.expression(kinds)
    except TracingError:
        return False
    usual = (ts.scalar.trace(f, variables) for f in (operators.add, operators.mul, operators.max))
    return any(meaning is expression for expression in usual)  # equal ones are one object


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


def make_tensor_backend(tensor_ops: type[TensorOps], is_cuda: bool = False) -> TensorBackend:
    """`TensorBackend(tensor_ops)`, as older editions of the course call it.

    Args:
        is_cuda: what the operations say themselves (`tensor_ops.cuda`).

    >>> make_tensor_backend(SimpleOps)
    TensorBackend(SimpleOps)
    """
    return TensorBackend(tensor_ops)


# --- the same on storages, shapes and strides -------------------------------------------------------


def read(storage: Any, shape: Any, strides: Any) -> np.ndarray[Any, Any]:
    """A storage as a NumPy array: what is written to it is written there."""
    steps = tuple(int(stride) * storage.itemsize for stride in strides)
    return np.lib.stride_tricks.as_strided(storage, tuple(int(n) for n in shape), steps)


def written(kernel: Kernel) -> Callable[..., None]:
    """A function (out..., a..., b...) of storages, shapes and strides that writes kernel(a, b) to out."""

    def run(*places: Any) -> None:
        out, *operands = (read(*places[i : i + 3]) for i in range(0, len(places), 3))
        out[...] = kernel(*(ts.asarray(x.astype(np.float64)) for x in operands)).numpy()

    return run


def diagnosed(function: Callable[..., None]) -> Callable[..., None]:
    """The function, with numba's `parallel_diagnostics`, which says where ours are to be seen."""

    def parallel_diagnostics(signature: Any = None, level: int = 1) -> None:
        print("The loops, and what runs in parallel: tessella course parallel")

    function.parallel_diagnostics = parallel_diagnostics  # type: ignore[attr-defined]
    return function


class LowLevel:
    """`tensor_map`, `tensor_zip` and `tensor_reduce` of a set of operations."""

    @public
    def __init__(self, ops: type[TensorOps]) -> None:
        self.ops = ops

    def tensor_map(self, fn: Callable[..., float]) -> Callable[..., None]:
        """A function (out..., a...) of storages, shapes and strides that writes fn(a) to out.

        For fn of two numbers (`tensor_zip`) it takes (out..., a..., b...), and writes fn(a, b).

        Shapes: what is read broadcasts to out.
        """
        return diagnosed(written(self.ops.there(self.ops.elementwise(fn))))

    tensor_zip = tensor_map

    def tensor_reduce(self, fn: Callable[[float, float], float]) -> Callable[..., None]:
        """A function (out..., a..., dim) that combines a along dim into what out holds.

        Shapes: out has size 1 along dim, and otherwise the sizes of a.
        """
        kernel = self.ops.there(reduction_kernel(fn, None, self.ops.elementwise))

        def run(*places: Any) -> None:
            out, a, dim = places[:3], places[3:6], places[6]
            first_and_a = written(lambda first, x: kernel(ts.concat([first, x], axis=dim), dim))
            first_and_a(*out, *out, *a)

        return diagnosed(run)


_simple = LowLevel(SimpleOps)
tensor_map, tensor_zip, tensor_reduce = (
    _simple.tensor_map,
    _simple.tensor_zip,
    _simple.tensor_reduce,
)

__all__ = [
    "MapProto", "SimpleBackend", "SimpleOps", "TensorBackend", "TensorOps", "make_tensor_backend",
    "tensor_map", "tensor_reduce", "tensor_zip",
]  # fmt: skip
