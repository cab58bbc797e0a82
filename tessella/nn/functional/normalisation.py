"""Normalisation as functions."""

from __future__ import annotations

from tessella.arguments import public
from tessella.arguments.kinds import ShapeLike, shown
from tessella.errors import ShapeError
from tessella.nn.functional.checks import check_sizes
from tessella.sizes.size import for_this_call
from tessella.tensors.manipulation import reshape
from tessella.tensors.operands import unary
from tessella.tensors.statistical import narrowed, widened
from tessella.tensors.tensor import Tensor


@public
def batch_norm(
    x: Tensor, running_mean: Tensor | None, running_var: Tensor | None,
    weight: Tensor | None = None, bias: Tensor | None = None, training: bool = False,
    momentum: float | Tensor = 0.1, eps: float = 1e-5,
) -> Tensor:  # fmt: skip
    """Each channel with mean 0 and variance 1, then scaled and shifted.

    Running statistics (the variance without bias) are updated in training.

    Shapes: (N, C, ...); the same. Weight, bias and statistics are (C,).
    Dtypes: floating; the same. Half precision is computed in float32 and rounded once.

    Raises:
        ShapeError: there is no axis of channels; in training, there is one value for each channel.

    Source: Ioffe & Szegedy, *Batch normalization* (2015).

    >>> import tessella as ts
    >>> batch_norm(ts.asarray([[1.0], [3.0]]), None, None, eps=0.0)
    tensor([[-1.],
            [ 1.]])
    """
    if x.ndim < 2:
        raise ShapeError(
            f"batch_norm: the input has shape {x.shape}; expected (N, C) or (N, C, ...): reshape it"
        )
    check_sizes(running_mean, x.shape[1:2], "batch_norm", "running_mean")
    check_sizes(running_var, x.shape[1:2], "batch_norm", "running_var")
    check_sizes(weight, x.shape[1:2], "batch_norm", "weight")
    check_sizes(bias, x.shape[1:2], "batch_norm", "bias")
    operands = [y for y in (x, weight, bias) if y is not None]
    x = widened(x)
    axes = tuple(axis for axis in range(x.ndim) if axis != 1)
    shape = (1, -1, *(1,) * (x.ndim - 2))
    if training or running_mean is None or running_var is None:
        mean = x.mean(axis=axes, keepdims=True)
        centred = x - mean
        variance = (centred * centred).mean(axis=axes, keepdims=True)
        if training and running_mean is not None and running_var is not None:
            count = x.size // x.shape[1]
            if not for_this_call(count) > 1:
                raise ShapeError(
                    f"batch_norm: shape {x.shape} has one value for each channel; training needs "
                    "at least two"
                )
            _update(running_mean, mean, momentum, 1.0)
            _update(running_var, variance, momentum, count / (count - 1))
    else:
        centred = x - reshape(running_mean, shape)
        variance = reshape(running_var, shape)
    factor = unary("rsqrt", variance + eps)
    if weight is not None:
        factor = factor * reshape(weight, shape)
    result = centred * factor
    result = result if bias is None else result + reshape(bias, shape)
    return narrowed(result, *operands)


def _update(running: Tensor, now: Tensor, momentum: float | Tensor, scale: float) -> None:
    fresh = reshape(now.detach(), running.shape) * scale
    running.assign((running.detach() * (1 - momentum) + fresh * momentum).astype(running.dtype))


@public
def layer_norm(
    x: Tensor, normalized_shape: ShapeLike, weight: Tensor | None = None, bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:  # fmt: skip
    """The last axes with mean 0 and variance 1, then scaled and shifted.

    Shapes: (..., *normalized_shape); the same.
    Dtypes: floating; the same. Half precision is computed in float32 and rounded once.

    Source: Ba, Kiros & Hinton, *Layer normalization* (2016).

    >>> import tessella as ts
    >>> layer_norm(ts.asarray([1.0, 3.0]), 2, eps=0.0)
    tensor([-1.,  1.])
    """
    shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    if x.shape[x.ndim - len(shape) :] != shape:
        raise ShapeError(
            f"layer_norm: the input has shape {x.shape}, which does not end in {shown(shape)}"
        )
    check_sizes(weight, shape, "layer_norm", "weight")
    check_sizes(bias, shape, "layer_norm", "bias")
    axes = tuple(range(x.ndim - len(shape), x.ndim))
    operands = [y for y in (x, weight, bias) if y is not None]
    x = widened(x)
    centred = x - x.mean(axis=axes, keepdims=True)
    variance = (centred * centred).mean(axis=axes, keepdims=True)
    result = centred * unary("rsqrt", variance + eps)
    result = result if weight is None else result * weight
    result = result if bias is None else result + bias
    return narrowed(result, *operands)
