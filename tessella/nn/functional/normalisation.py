"""Normalisation as functions."""

from __future__ import annotations

import math

from tessella.arguments import public
from tessella.arguments.kinds import Count, ShapeLike, shown
from tessella.dtypes import float32
from tessella.errors import ShapeError
from tessella.nn.functional.checks import check_floating, check_sizes
from tessella.nn.functional.padding import pad
from tessella.sizes.size import for_this_call
from tessella.tensors.inspection import finfo
from tessella.tensors.manipulation import moveaxis, reshape, sliding_window
from tessella.tensors.operands import unary
from tessella.tensors.statistical import narrowed, widened
from tessella.tensors.tensor import Tensor
from tessella.transforms.at_once import at_once


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
    _check_channels(
        x, "batch_norm", running_mean=running_mean, running_var=running_var, weight=weight, bias=bias
    )  # fmt: skip
    if running_mean is None or running_var is None:
        return _by_own_statistics(x, weight, bias, eps)
    if not training:
        return _by_given_statistics(x, running_mean, running_var, weight, bias, eps)
    if not x.size:  # of an empty batch nothing is learnt
        return _by_own_statistics(x, weight, bias, eps)
    if not for_this_call(x.size // x.shape[1]) > 1:
        raise ShapeError(
            f"batch_norm: shape {x.shape} has one value for each channel; training needs at least two"
        )
    share = momentum if isinstance(momentum, Tensor) else float(momentum)
    result, *now = _with_statistics(
        x, running_mean.detach(), running_var.detach(), weight, bias, share, eps
    )
    for running, statistic in zip((running_mean, running_var), now, strict=True):
        running.assign(statistic.detach())
    return result


@at_once
def _by_own_statistics(x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float) -> Tensor:
    centred, _, variance = _statistics(x, _all_but_channels(x))
    return _of_channels(centred, variance, weight, bias, eps, x)


@at_once
def _by_given_statistics(
    x: Tensor,
    mean: Tensor,
    variance: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    eps: float,
) -> Tensor:
    shape = _beside_channels(x)
    centred = widened(x) - reshape(mean, shape)
    return _of_channels(centred, reshape(variance, shape), weight, bias, eps, x)


@at_once
def _with_statistics(
    x: Tensor, running_mean: Tensor, running_var: Tensor, weight: Tensor | None, bias: Tensor | None,
    momentum: float | Tensor, eps: float,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """The batch normalised, and the running statistics after it."""
    centred, mean, variance = _statistics(x, _all_but_channels(x))
    result = _of_channels(centred, variance, weight, bias, eps, x)
    count = x.size // x.shape[1]
    return (
        result,
        _moved(running_mean, mean, momentum, 1.0),
        _moved(running_var, variance, momentum, count / (count - 1)),
    )


def _all_but_channels(x: Tensor) -> tuple[int, ...]:
    return tuple(axis for axis in range(x.ndim) if axis != 1)


def _statistics(x: Tensor, axes: tuple[int, ...]) -> tuple[Tensor, Tensor, Tensor]:
    """x without its mean along axes, that mean, and the variance."""
    wide = widened(x)
    mean = wide.mean(axis=axes, keepdims=True)
    centred = wide - mean
    return centred, mean, (centred * centred).mean(axis=axes, keepdims=True)


def _of_channels(
    centred: Tensor,
    variance: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    eps: float,
    x: Tensor,
) -> Tensor:
    factor = unary("rsqrt", variance + eps)
    if weight is not None:  # of a channel: it costs nothing beside one product for each element
        factor = factor * reshape(weight, _beside_channels(x))
    result = centred * factor
    result = result if bias is None else result + reshape(bias, _beside_channels(x))
    return _rounded(result, x, weight, bias)


def _check_channels(x: Tensor, name: str, **of_channels: Tensor | None) -> None:
    """There are channels, of fractions, and as many of what belongs to them.

    Raises:
        ShapeError: there are not.
        DTypeError: they are of whole numbers.
    """
    if x.ndim < 2:
        raise ShapeError(
            f"{name}: the input has shape {x.shape}; expected (N, C) or (N, C, ...): reshape it"
        )
    check_floating(x, name)
    for argument, value in of_channels.items():
        check_sizes(value, x.shape[1:2], name, argument)


def _beside_channels(x: Tensor) -> tuple[int, ...]:
    """The shape with which what belongs to channels stands beside x."""
    return (1, x.shape[1], *(1,) * (x.ndim - 2))


def _moved(running: Tensor, now: Tensor, momentum: float | Tensor, scale: float) -> Tensor:
    """A running statistic, moved towards that of a batch."""
    fresh = reshape(now.detach(), running.shape) * scale
    return (running * (1 - momentum) + fresh * momentum).astype(running.dtype)


@public
@at_once
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
    shape, axes = _ending(x, normalized_shape, "layer_norm")
    check_sizes(weight, shape, "layer_norm", "weight")
    check_sizes(bias, shape, "layer_norm", "bias")
    result = _centred(widened(x), axes)
    return _scaled(result * _factor(result, axes, eps), weight, bias, x)


def _centred(x: Tensor, axes: tuple[int, ...]) -> Tensor:
    return x - x.mean(axis=axes, keepdims=True)


def _factor(x: Tensor, axes: tuple[int, ...], eps: float) -> Tensor:
    """What makes the mean square along axes one."""
    return unary("rsqrt", (x * x).mean(axis=axes, keepdims=True) + eps)


def _scaled(
    result: Tensor, weight: Tensor | None, bias: Tensor | None, x: Tensor, channels: bool = False
) -> Tensor:
    """What was made of x, scaled and shifted, in the precision of all three.

    Args:
        channels: whether weight and bias are of the second axis, not of the last ones.
    """
    for_each = (lambda y: reshape(y, _beside_channels(x))) if channels else (lambda y: y)
    scaled = result if weight is None else result * for_each(weight)
    shifted = scaled if bias is None else scaled + for_each(bias)
    return narrowed(shifted, *[y for y in (x, weight, bias) if y is not None])


def _rounded(result: Tensor, x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    """What was made of x, in its dtype; weight and bias may be float32 beside half precision, as PyTorch has it."""
    wider = [y for y in (weight, bias) if y is not None and y.dtype is not float32]
    return narrowed(result, x, *wider)


def _ending(x: Tensor, normalized_shape: ShapeLike, name: str) -> tuple[tuple[int, ...], ...]:
    """The shape in which x ends, and its axes.

    Raises:
        ShapeError: x does not end in it.
        DTypeError: x is of whole numbers.
    """
    shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    if x.shape[max(0, x.ndim - len(shape)) :] != shape:
        raise ShapeError(
            f"{name}: the input has shape {x.shape}, which does not end in {shown(shape)}"
        )
    check_floating(x, name)
    return shape, tuple(range(x.ndim - len(shape), x.ndim))


@public
@at_once
def rms_norm(
    x: Tensor, normalized_shape: ShapeLike, weight: Tensor | None = None, eps: float | None = None
) -> Tensor:
    """The last axes divided by the root of their mean square, then scaled.

    Shapes: (..., *normalized_shape); the same.
    Dtypes: floating; the same. Half precision is computed in float32 and rounded once.

    Args:
        eps: added to the mean square; if it is not given, the smallest step from one in the input's dtype.

    Source: Zhang & Sennrich, *Root mean square layer normalization* (2019).

    >>> import tessella as ts
    >>> rms_norm(ts.asarray([3.0, -3.0]), 2, eps=0.0)
    tensor([ 1., -1.])
    """
    shape, axes = _ending(x, normalized_shape, "rms_norm")
    check_sizes(weight, shape, "rms_norm", "weight")
    wide = widened(x)
    least = finfo(x.dtype).eps if eps is None else eps
    return _scaled(wide * _factor(wide, axes, least), weight, None, x)


@public
@at_once
def group_norm(
    x: Tensor, num_groups: Count, weight: Tensor | None = None, bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:  # fmt: skip
    """Each group of channels of each example with mean 0 and variance 1, then each channel scaled and shifted.

    Shapes: (N, C, ...); the same. Weight and bias are (C,).
    Dtypes: floating; the same. Half precision is computed in float32 and rounded once.

    Raises:
        ShapeError: there is no axis of channels, or the groups do not divide them.

    Source: Wu & He, *Group normalization* (2018).

    >>> import tessella as ts
    >>> group_norm(ts.asarray([[1.0, 3.0, 5.0, 5.0]]), 2, eps=1e-9)
    tensor([[-1.,  1.,  0.,  0.]])
    """
    _check_channels(x, "group_norm", weight=weight, bias=bias)
    n, channels, *places = x.shape
    if channels % num_groups:
        raise ShapeError(
            f"group_norm: {num_groups} groups do not divide the {channels} channels of shape {x.shape}"
        )
    grouped = reshape(widened(x), (n, num_groups, channels // num_groups, *places))
    axes = tuple(range(2, grouped.ndim))
    result = _centred(grouped, axes)
    result = reshape(result * _factor(result, axes, eps), x.shape)
    return _scaled(result, weight, bias, x, channels=True)


@public
def instance_norm(
    x: Tensor, running_mean: Tensor | None = None, running_var: Tensor | None = None,
    weight: Tensor | None = None, bias: Tensor | None = None, use_input_stats: bool = True,
    momentum: float = 0.1, eps: float = 1e-5,
) -> Tensor:  # fmt: skip
    """Each channel of each example with mean 0 and variance 1, then scaled and shifted.

    Running statistics (the mean of those of the examples; the variance without bias) are updated if there are any
    and the input's are used; if these are not, the running ones take their place.

    Shapes: (N, C, ...), one axis at least after the channels; the same. All others are (C,).
    Dtypes: floating; the same. Half precision is computed in float32 and rounded once.

    Raises:
        ShapeError: there is no axis after the channels, or but one value for each channel.

    Source: Ulyanov, Vedaldi & Lempitsky, *Instance normalization* (2016).

    >>> import tessella as ts
    >>> instance_norm(ts.asarray([[[1.0, 3.0], [5.0, 5.0]]]), eps=1e-9)
    tensor([[[-1.,  1.],
             [ 0.,  0.]]])
    """
    if not use_input_stats:
        return batch_norm(x, running_mean, running_var, weight, bias, False, momentum, eps)
    _check_channels(
        x, "instance_norm", running_mean=running_mean, running_var=running_var, weight=weight, bias=bias
    )  # fmt: skip
    count = math.prod(x.shape[2:])
    if x.ndim < 3 or for_this_call(count) == 1:
        raise ShapeError(
            f"instance_norm: the input has shape {x.shape}; expected (N, C, ...) with two values at least for each channel"
        )
    if running_mean is None or running_var is None:
        return _of_instances(x, None, None, weight, bias, 0.0, eps)[0]
    given = running_mean.detach(), running_var.detach()
    result, *now = _of_instances(x, *given, weight, bias, momentum, eps)
    for running, statistic in zip((running_mean, running_var), now, strict=True):
        running.assign(statistic.detach())
    return result


@at_once
def _of_instances(
    x: Tensor, running_mean: Tensor | None, running_var: Tensor | None, weight: Tensor | None, bias: Tensor | None,
    momentum: float, eps: float,
) -> tuple[Tensor, ...]:  # fmt: skip
    """Each channel of each example normalised, and the running statistics after it, if there are any."""
    centred, mean, variance = _statistics(x, tuple(range(2, x.ndim)))
    result = _scaled(centred * unary("rsqrt", variance + eps), weight, bias, mean, channels=True)
    result = _rounded(result, x, weight, bias)
    if running_mean is None or running_var is None:
        return (result,)
    count = math.prod(x.shape[2:])
    return (
        result,
        _moved(running_mean, mean.mean(axis=0), momentum, 1.0),
        _moved(running_var, variance.mean(axis=0), momentum, count / (count - 1)),
    )


@public
@at_once
def local_response_norm(
    x: Tensor, size: Count, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Tensor:
    """Each element divided by (k + alpha mean(square))**beta, the mean over channels near its own.

    Of an even size there is one channel more before than behind; what lies outside counts as zeros.

    Shapes: (N, C, ...), one axis at least after the channels; the same.

    Raises:
        ShapeError: it has fewer axes.

    Source: Krizhevsky, Sutskever & Hinton, *ImageNet classification with deep convolutional neural networks* (2012).

    >>> import tessella as ts
    >>> local_response_norm(ts.ones((1, 2, 1)), 1, alpha=3.0, beta=0.5)
    tensor([[[0.5],
             [0.5]]])
    """
    if x.ndim < 3:
        raise ShapeError(
            f"local_response_norm: the input has shape {x.shape}; expected (N, C, ...), with three axes at least"
        )
    check_floating(x, "local_response_norm")
    last = moveaxis(widened(x), 1, -1)
    squares = pad(last * last, (size // 2, (size - 1) // 2))
    near = sliding_window(squares, (size,)).mean(axis=-1)
    return narrowed(moveaxis(last / (near * alpha + k) ** beta, -1, 1), x)
