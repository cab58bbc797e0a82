"""Tasks 2.3 and 2.4: how tensors are made, and how gradients are checked.

The course has the functions of tensors here, too; they are in `functions.py`, as tensors are made of them.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import tessella as ts
from tessella import dtypes
from tessella.arguments import public
from tessella.arguments.kinds import shown
from tessella.errors import ArgumentError, ArgumentTypeError, ShapeError
from tessella.minitorch.autodiff import History, assert_gradient
from tessella.minitorch.functions import *  # noqa: F403
from tessella.minitorch.functions import Function as Function
from tessella.minitorch.tensor import Tensor, wrapped
from tessella.minitorch.tensor_data import UserShape
from tessella.minitorch.tensor_ops import SimpleBackend, TensorBackend

# --- making tensors ----------------------------------------------------------------------------------


def _made(data: ts.Tensor, backend: TensorBackend, requires_grad: bool) -> Tensor:
    history = History() if requires_grad else None
    return wrapped(data, backend, history)


@public
def zeros(shape: UserShape, backend: Any = SimpleBackend, requires_grad: bool = False) -> Tensor:
    """A tensor of zeros."""
    return _made(ts.zeros(tuple(shape), dtype=dtypes.float64), backend, requires_grad)


@public
def ones(shape: UserShape, backend: Any = SimpleBackend, requires_grad: bool = False) -> Tensor:
    """A tensor of ones."""
    return _made(ts.ones(tuple(shape), dtype=dtypes.float64), backend, requires_grad)


@public
def rand(shape: UserShape, backend: Any = SimpleBackend, requires_grad: bool = False) -> Tensor:
    """A tensor of uniform numbers from 0 (included) to 1 (excluded); see `tessella.manual_seed`."""
    return _made(ts.rand(tuple(shape), dtype=dtypes.float64), backend, requires_grad)


@public
def tensor(ls: Any, backend: Any = SimpleBackend, requires_grad: bool = False) -> Tensor:
    """A tensor of nested lists of numbers (or a NumPy array), in float64.

    Raises:
        ShapeError: lists at one depth have different lengths.

    >>> tensor([[1, 2], [3, 4]]).shape
    (2, 2)
    """
    try:
        data = np.array(ls, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise ShapeError(
            "tensor: the lists do not make a tensor of numbers; those at one depth must be equally "
            f"long ({error})"
        ) from None
    return _made(ts.asarray(data), backend, requires_grad)


# --- checking derivatives -----------------------------------------------------------------------------


def _require_tensors(name: str, f: Any, vals: Sequence[Any]) -> None:
    strange = [x for x in vals if not isinstance(x, Tensor)]
    if not callable(f) or strange:
        what = shown(strange[0] if callable(f) else f)
        raise ArgumentTypeError(
            f"{name}: {what} was given; expected a function, and minitorch.Tensors as its arguments"
        )


def grad_central_difference(
    f: Callable[..., Tensor], *vals: Tensor, arg: int = 0, epsilon: float = 1e-6, ind: Sequence[int]
) -> float:
    """An approximation of the derivative of the sum of f by one element of one argument."""
    _require_tensors("grad_central_difference", f, vals)
    if not isinstance(arg, int) or not -len(vals) <= arg < len(vals):
        raise ArgumentError(
            f"grad_central_difference: arg is {shown(arg)}; expected the number of one of {len(vals)} arguments"
        )
    up = zeros(vals[arg].shape, backend=vals[arg].backend)
    up[ind] = epsilon
    above, below = list(vals), list(vals)
    above[arg], below[arg] = vals[arg] + up, vals[arg] - up
    difference: Tensor = f(*above).sum() - f(*below).sum()
    return difference.item() / (2.0 * epsilon)


def grad_check(f: Callable[..., Tensor], *vals: Tensor) -> None:
    """Compare the gradients of f, at a random element of each argument, with central differences.

    Raises:
        AssertionError: says which argument, where, and the numbers that differ.
    """
    _require_tensors("grad_check", f, vals)
    for x in vals:
        x.requires_grad_(True)
        x.zero_grad_()
    random.seed(10)
    result = f(*vals)
    if not isinstance(result, Tensor):
        raise ArgumentTypeError(
            f"grad_check: the function gave {shown(result)}; expected a minitorch.Tensor"
        )
    result.sum().backward()
    for i, x in enumerate(vals):
        ind = x._tensor.sample()
        name = getattr(f, "__name__", f)
        where = f"grad_check: {name}, argument {i}, element {ind} of shape {x.shape}"
        gradient = x.grad and x.grad[ind]
        assert_gradient(where, gradient, grad_central_difference(f, *vals, arg=i, ind=ind))


# functions of scalars have the same names: `minitorch.tensor_functions.Add`, `scalar_functions.Add`
__all__ = [
    "Function", "grad_central_difference", "grad_check", "ones", "rand", "tensor", "zeros",
]  # fmt: skip
