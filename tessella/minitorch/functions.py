"""Tasks 2.3, 2.4 and 4.4: functions of tensors, forward and backward.

Forward, a function uses the operations of its tensors' backend (`a.f.mul_zip`). Backward, the
derivatives are Tessella's: of a scalar function for elementwise ones, of a primitive for the others.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

import tessella as ts
from tessella import autodiff
from tessella.arguments.kinds import shown
from tessella.errors import ArgumentTypeError, MissingRuleError
from tessella.minitorch import operators
from tessella.minitorch.autodiff import Context, History, wrap_tuple
from tessella.minitorch.handle import Handle
from tessella.primitives import movement
from tessella.primitives.elementwise import Elementwise
from tessella.scalar.function import scalar_function

if TYPE_CHECKING:
    from tessella.minitorch.tensor import Tensor


class Function:
    """A function of tensors. Write `forward(ctx, ...)` and `backward(ctx, grad_output)` in a subclass.

    `forward` gets tensors without history and gives one. `backward` gives the gradient by each input:
    one, or a tuple; a number (0.0) where there is none.

    >>> from tessella import minitorch
    >>> class Double(Function):
    ...     @staticmethod
    ...     def forward(ctx, a):
    ...         return a + a
    ...
    ...     @staticmethod
    ...     def backward(ctx, grad_output):
    ...         return grad_output + grad_output
    >>> x = minitorch.tensor([1.0, 2.0], requires_grad=True)
    >>> Double.apply(x).sum().backward()
    >>> print(x.grad)
    [2.00 2.00]
    """

    forward: Callable[..., Any]
    backward: Callable[..., Any]
    records = True  # whether `forward` uses operators, which would be remembered

    @classmethod
    def _backward(cls, ctx: Context, grad_output: Tensor) -> tuple[Any, ...]:
        return wrap_tuple(cls.backward(ctx, grad_output))

    @classmethod
    def apply(cls, *vals: Any) -> Tensor:
        """Apply to tensors (and whatever else `forward` takes), and remember it."""
        if not hasattr(cls, "forward"):
            raise MissingRuleError(f"{cls.__name__} has no forward; define forward(ctx, ...) in it")
        if not cls.records and not (vals and isinstance(vals[0], Handle)):
            raise ArgumentTypeError(
                f"{cls.__name__}: {shown(vals[0]) if vals else 'nothing'} was given; expected a minitorch.Tensor"
            )
        wanted = tuple([isinstance(v, Handle) and v.history is not None for v in vals])
        needed = True in wanted
        ctx = Context(not needed, (), wanted)
        if not cls.records:
            result: Tensor = cls.forward(ctx, *vals)  # a tensor of its own
        else:
            inputs = [v.detach() if isinstance(v, Handle) else v for v in vals]
            result = cls.forward(ctx, *inputs)
            result = result._like(result._data)  # may be an input
        if needed:
            result.history = History(cls, ctx, vals)
        return result


def number_of(dim: Any) -> int:
    """An axis or size that may come as a tensor of one element, as the course passes them."""
    if isinstance(dim, (int, np.integer)):
        return int(dim)
    if not isinstance(dim, (Handle, ts.Tensor)) or dim.size != 1:
        raise ArgumentTypeError(f"dim is {shown(dim)}; expected the number of an axis")
    return int(dim.item())


def numbers_of(sizes: Any) -> tuple[int, ...]:
    """Sizes or axes that may come as a tensor."""
    found = sizes if isinstance(sizes, (tuple, list)) else sizes.to_numpy().reshape(-1)
    return tuple(int(n) for n in found)


class _Elementwise(Function):
    """A function whose backward pass is the derivative of a scalar function."""

    operation: str
    primitive: Elementwise
    records = False

    @classmethod
    def forward(cls, ctx: Context, *inputs: Any) -> Tensor:
        ctx.save_for_backward(*inputs)
        return getattr(inputs[0].f, cls.operation)(*inputs)

    @classmethod
    def backward(cls, ctx: Context, grad_output: Tensor) -> tuple[Any, ...]:
        inputs = tuple([x._data for x in ctx.saved_values])
        with grad_output.backend.running():
            found = cls.primitive.vjp_of(
                ctx.wanted or (True,) * len(inputs), (grad_output._data,), inputs, ()
            )
        return tuple([0.0 if g is None else grad_output._like(g) for g in found])


def _elementwise(name: str, operation: str, meaning: Callable[..., float]) -> type[Function]:
    """A function from its line in the table: the backend's operation, and its scalar function."""
    fields = {"operation": operation, "primitive": Elementwise(scalar_function(meaning))}
    documentation = f"`operators.{meaning.__name__}` for every element."
    return type(name, (_Elementwise,), {**fields, "__doc__": documentation})


Neg = _elementwise("Neg", "neg_map", operators.neg)
Inv = _elementwise("Inv", "inv_map", operators.inv)
Sigmoid = _elementwise("Sigmoid", "sigmoid_map", operators.sigmoid)
ReLU = _elementwise("ReLU", "relu_map", operators.relu)
Log = _elementwise("Log", "log_map", operators.log)
Exp = _elementwise("Exp", "exp_map", operators.exp)
Copy = _elementwise("Copy", "id_map", operators.id)
Add = _elementwise("Add", "add_zip", operators.add)
Mul = _elementwise("Mul", "mul_zip", operators.mul)
LT = _elementwise("LT", "lt_zip", operators.lt)
EQ = _elementwise("EQ", "eq_zip", operators.eq)
IsClose = _elementwise("IsClose", "is_close_zip", operators.is_close)


class _WithArgument(Function):
    """A function of a tensor and an axis or sizes; `pull` is the gradient by the tensor, if it has one."""

    compute: Callable[[Tensor, Any], Tensor]
    pull: Callable[[ts.Tensor, tuple[int, ...], Any], ts.Tensor | None]  # also gets the shape
    records = False

    @classmethod
    def forward(cls, ctx: Context, a: Tensor, argument: Any) -> Tensor:
        ctx.save_for_backward(a.shape, argument)
        return cls.compute(a, argument)

    @classmethod
    def backward(cls, ctx: Context, grad_output: Tensor) -> tuple[Any, ...]:
        found = cls.pull(grad_output._data, *ctx.saved_values)
        return 0.0 if found is None else grad_output._like(found), 0.0


class Sum(_WithArgument):
    """The sum along an axis, which becomes 1."""

    compute = staticmethod(lambda a, dim: a.f.add_reduce(a, number_of(dim)))
    pull = staticmethod(lambda gradient, shape, dim: ts.broadcast_to(gradient, shape))


class All(_WithArgument):
    """1 if all elements along an axis are; without a gradient."""

    compute = staticmethod(lambda a, dim: a.f.mul_reduce(a, number_of(dim)))
    pull = staticmethod(lambda gradient, shape, dim: None)


class Permute(_WithArgument):
    """The axes in another order."""

    compute = staticmethod(lambda a, order: a._like(ts.permute_dims(a._data, numbers_of(order))))
    pull = staticmethod(lambda gradient, shape, order: ts.permute_dims(gradient, _inverse(order)))


class View(_WithArgument):
    """Another shape of the same elements, which must lie in row-major order."""

    compute = staticmethod(lambda a, shape: a._like(ts.reshape(a._data, numbers_of(shape))))
    pull = staticmethod(lambda gradient, shape, _: ts.reshape(gradient, shape))


def _inverse(order: Any) -> tuple[int, ...]:
    """The order that undoes an order of axes."""
    axes = numbers_of(order)
    return tuple(sorted(range(len(axes)), key=axes.__getitem__))


class MatMul(Function):
    """The product of matrices, the last two axes; the others broadcast."""

    records = False

    @staticmethod
    def forward(ctx: Context, t1: Tensor, t2: Tensor) -> Tensor:
        ctx.save_for_backward(t1, t2)
        return t1.f.matrix_multiply(t1, t2)

    @staticmethod
    def backward(ctx: Context, grad_output: Tensor) -> tuple[Any, ...]:
        t1, t2 = ctx.saved_values
        multiply = grad_output.f.matrix_multiply
        first, second = ctx.wanted or (True, True)
        return (
            multiply(grad_output, _transposed(t2)) if first else 0.0,
            multiply(_transposed(t1), grad_output) if second else 0.0,
        )


def _transposed(a: Tensor) -> Tensor:
    return a._like(_exchange(a.dims)(a._data))


@functools.cache
def _exchange(rank: int) -> movement.Permute:
    """The last two axes exchanged."""
    return movement.Permute((*range(rank - 2), rank - 1, rank - 2))


class Composed(Function):
    """A function made of Tessella's own; its backward pass is Tessella's tape. Give `compute`.

    `compute` gets Tessella's tensors (`tessella.Tensor`), and whatever else was passed to `apply`.
    """

    compute: Callable[..., ts.Tensor]
    records = False

    @classmethod
    def forward(cls, ctx: Context, *inputs: Any) -> Tensor:
        values = [x._data.detach() if isinstance(x, Handle) else x for x in inputs]
        wanted = ctx.wanted or tuple(isinstance(x, Handle) for x in inputs)
        if not ctx.no_grad:
            for value, want in zip(values, wanted, strict=True):
                if want:
                    value.requires_grad_()
        with inputs[0].backend.running(), ts.enable_grad():
            result = cls.compute(*values)
        ctx.save_for_backward(result, *values)
        return inputs[0]._like(result.detach())

    @classmethod
    def backward(cls, ctx: Context, grad_output: Tensor) -> tuple[Any, ...]:
        result, *inputs = ctx.saved_values
        needs = [isinstance(x, ts.Tensor) and x.requires_grad for x in inputs]
        targets = [(x._node, 0) for x, need in zip(inputs, needs, strict=True) if need]
        root = ((result._node, result._output), grad_output._data)
        with grad_output.backend.running(), ts.no_grad():
            found = iter(autodiff.gradients([root], targets, retain_graph=True))
        return tuple([grad_output._like(next(found)) if need else 0.0 for need in needs])


__all__ = [
    "EQ", "LT", "Add", "All", "Composed", "Copy", "Exp", "Function", "Inv", "IsClose", "Log", "MatMul", "Mul", "Neg",
    "Permute", "ReLU", "Sigmoid", "Sum", "View",
]  # fmt: skip
