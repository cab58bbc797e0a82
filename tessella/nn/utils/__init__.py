"""What is done with the gradients and the numbers of many parameters at once, under PyTorch's names."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from tessella import autodiff
from tessella.arguments import public
from tessella.arguments.kinds import shown
from tessella.errors import ArgumentError, ArgumentTypeError, GradientError, ShapeError
from tessella.names import missing
from tessella.nn.utils import parametrizations, parametrize, rnn
from tessella.nn.utils.fusion import (
    fuse_conv_bn_eval,
    fuse_conv_bn_weights,
    fuse_linear_bn_eval,
    fuse_linear_bn_weights,
)
from tessella.tensors.creation import zeros
from tessella.tensors.elementwise import abs as absolute
from tessella.tensors.elementwise import clip, isfinite
from tessella.tensors.manipulation import concat, reshape, stack
from tessella.tensors.tensor import Tensor

if not TYPE_CHECKING:  # for which it would mean that all names are there

    def __getattr__(name: str) -> NoReturn:
        """The error says what other libraries mean by this name, or which name is near it."""
        raise missing("utils", name)


@public
def get_total_norm(
    tensors: Any, norm_type: float = 2.0, error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:  # fmt: skip
    """The norm of several tensors as one vector.

    Args:
        tensors: one, or several.
        norm_type: which norm: 2, 1, `math.inf`, ...
        foreach: speaks of speed in PyTorch, and of nothing here.

    Raises:
        GradientError: the norm is not finite, and `error_if_nonfinite` asks for that.

    >>> import tessella as ts
    >>> get_total_norm([ts.asarray([3.0]), ts.asarray([[4.0]])])
    tensor(5.)
    """
    return _total_norm(
        "get_total_norm", _several("get_total_norm", tensors), norm_type, error_if_nonfinite
    )


def _total_norm(
    name: str, tensors: Sequence[Tensor], norm_type: float, error_if_nonfinite: bool
) -> Tensor:
    if not norm_type > 0.0:
        raise ArgumentError(f"{name}: norm_type is {norm_type}; expected a number above 0")
    if not tensors:
        return zeros(())
    norms = [_norm(_wide(x), norm_type) for x in tensors]
    total = _norm(stack([norm.astype(norms[0].dtype) for norm in norms]), norm_type)
    if error_if_nonfinite and not bool(isfinite(total)):
        raise GradientError(
            f"{name}: the norm of the gradients is {total.item()}; look for its cause with "
            "ts.debug.check_nan, or leave error_if_nonfinite out"
        )
    return total


@public
def clip_grads_with_norm_(
    parameters: Any, max_norm: float, total_norm: Tensor, foreach: bool | None = None
) -> None:
    """Make all gradients together no longer than `max_norm`, given the length that they have.

    >>> import tessella as ts
    >>> x = ts.asarray([3.0, 4.0]).requires_grad_()
    >>> (x * x / 2).sum().backward()
    >>> clip_grads_with_norm_(x, 1.0, get_total_norm(x.grad))
    >>> x.grad.round(decimals=2)
    tensor([0.6, 0.8])
    """
    _scale(_with_gradients("clip_grads_with_norm_", parameters), max_norm, total_norm)


def _scale(parameters: Sequence[Tensor], max_norm: float, total: Tensor) -> None:
    with autodiff.no_grad():
        factor = clip(max_norm / (total + 1e-6), max=1.0)
        for parameter in parameters:
            gradient = _gradient(parameter)
            parameter.grad = gradient * factor.astype(gradient.dtype)


@public
def clip_grad_norm_(
    parameters: Any, max_norm: float, norm_type: float = 2.0, error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:  # fmt: skip
    """Make all gradients together no longer than `max_norm`, and give the length that they had.

    Args:
        parameters: a tensor, or several; those without a gradient count for nothing.
        norm_type: which norm, of all gradients as one vector: 2, 1, `math.inf`, ...
        foreach: speaks of speed in PyTorch, and of nothing here.

    Raises:
        GradientError: the length is not finite, and `error_if_nonfinite` asks for that.

    Source: Pascanu, Mikolov & Bengio, *On the difficulty of training recurrent neural networks* (2013).

    >>> import tessella as ts
    >>> x = ts.asarray([3.0, 4.0]).requires_grad_()
    >>> (x * x / 2).sum().backward()
    >>> clip_grad_norm_(x, 1.0), x.grad.round(decimals=2)
    (tensor(5.), tensor([0.6, 0.8]))
    """
    held = _with_gradients("clip_grad_norm_", parameters)
    with autodiff.no_grad():
        gradients = [_gradient(parameter) for parameter in held]
        total = _total_norm("clip_grad_norm_", gradients, norm_type, error_if_nonfinite)
    _scale(held, max_norm, total)
    return total


@public
def clip_grad_value_(parameters: Any, clip_value: float, foreach: bool | None = None) -> None:
    """Keep each number of the gradients between -clip_value and clip_value.

    >>> import tessella as ts
    >>> x = ts.asarray([3.0, -4.0]).requires_grad_()
    >>> (x * x / 2).sum().backward()
    >>> clip_grad_value_(x, 3.5)
    >>> x.grad
    tensor([ 3. , -3.5])
    """
    with autodiff.no_grad():
        for parameter in _with_gradients("clip_grad_value_", parameters):
            parameter.grad = clip(_gradient(parameter), -clip_value, clip_value)


@public
def parameters_to_vector(parameters: Any) -> Tensor:
    """All parameters as one vector, in their order.

    >>> import tessella as ts
    >>> parameters_to_vector([ts.zeros((2, 2)), ts.ones(1)]).shape
    (5,)
    """
    return concat([reshape(p, (-1,)) for p in _several("parameters_to_vector", parameters)])


@public
def vector_to_parameters(vec: Tensor, parameters: Any) -> None:
    """Let each parameter stand for its part of a vector, as `parameters_to_vector` gives it.

    Raises:
        ShapeError: the vector has more or fewer numbers than the parameters.
    """
    several = _several("vector_to_parameters", parameters)
    count = sum(p.size for p in several)
    if vec.shape != (count,):
        raise ShapeError(
            f"vector_to_parameters: vec has the shape {vec.shape}, and the parameters have {count} numbers; "
            f"expected the shape ({count},)"
        )
    start = 0
    for parameter in several:
        part = vec[start : start + parameter.size].detach()
        parameter.assign(reshape(part, parameter.shape).astype(parameter.dtype))
        start += parameter.size


def _several(function: str, parameters: Any) -> list[Tensor]:
    """Parameters, of which one alone may be given."""
    if isinstance(parameters, Tensor):
        return [parameters]
    found = list(parameters) if isinstance(parameters, Iterable) else [parameters]
    for parameter in found:
        if not isinstance(parameter, Tensor):
            raise ArgumentTypeError(
                f"{function}: {shown(parameter)} is among the parameters; expected tensors, for example "
                "model.parameters()"
            )
    return found


def _with_gradients(function: str, parameters: Any) -> list[Tensor]:
    return [p for p in _several(function, parameters) if p.grad is not None]


def _gradient(parameter: Tensor) -> Tensor:
    gradient = parameter.grad
    assert gradient is not None  # as the callers have asked
    return gradient.detach()


def _wide(gradient: Tensor) -> Tensor:
    """In a dtype in which squares of half precision can be added."""
    return gradient.astype(gradient.dtype.compute)


def _norm(x: Tensor, p: float) -> Tensor:
    if not x.size:
        return x.new_zeros(())
    if p == math.inf:
        return absolute(x).max()
    return (x * x).sum() ** 0.5 if p == 2.0 else (absolute(x) ** p).sum() ** (1.0 / p)


__all__ = [
    "clip_grad_norm_", "clip_grad_value_", "clip_grads_with_norm_", "fuse_conv_bn_eval",
    "fuse_conv_bn_weights", "fuse_linear_bn_eval", "fuse_linear_bn_weights", "get_total_norm",
    "parameters_to_vector", "parametrizations", "parametrize", "rnn", "vector_to_parameters",
]  # fmt: skip
