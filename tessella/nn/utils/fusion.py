"""Layers whose batch normalisation, once it is trained, is part of their weights."""

from __future__ import annotations

import copy
import functools
import math
from typing import Any

from tessella import autodiff
from tessella.arguments import public
from tessella.errors import ArgumentError
from tessella.nn.module import Module, Parameter
from tessella.tensors.elementwise import rsqrt
from tessella.tensors.manipulation import expand_dims, reshape
from tessella.tensors.tensor import Tensor


@public
def fuse_conv_bn_eval(conv: Module, bn: Module, transpose: bool = False) -> Module:
    """A convolution that does what another one and the batch normalisation after it do, both in `eval()`.

    Args:
        transpose: whether it is a transposed convolution.

    Raises:
        ArgumentError: one of them is in training, or the normalisation has no running statistics.

    >>> import tessella as ts
    >>> from tessella import nn
    >>> conv, bn = nn.Conv2d(1, 2, 3).eval(), nn.BatchNorm2d(2).eval()
    >>> fused, x = fuse_conv_bn_eval(conv, bn), ts.randn(1, 1, 5, 5)
    >>> ts.allclose(fused(x), bn(conv(x)), atol=1e-5)
    True
    """
    weights = functools.partial(fuse_conv_bn_weights, transpose=transpose)
    return _fused("fuse_conv_bn_eval", conv, bn, weights)


@public
def fuse_linear_bn_eval(linear: Module, bn: Module) -> Module:
    """A linear layer that does what another one and the batch normalisation after it do, both in `eval()`.

    Raises:
        ArgumentError: one of them is in training, the normalisation has no running statistics, or it is of another
            number of features.
    """
    features: Any = (getattr(linear, "out_features", None), getattr(bn, "num_features", None))
    if features[1] not in (features[0], 1):
        raise ArgumentError(
            f"fuse_linear_bn_eval: the layer has {features[0]} features, the normalisation {features[1]}; expected as "
            "many, or one"
        )
    return _fused("fuse_linear_bn_eval", linear, bn, fuse_linear_bn_weights)


@public
def fuse_conv_bn_weights(
    conv_w: Tensor, conv_b: Tensor | None, bn_rm: Tensor, bn_rv: Tensor, bn_eps: float,
    bn_w: Tensor | None, bn_b: Tensor | None, transpose: bool = False,
) -> tuple[Parameter, Parameter]:  # fmt: skip
    """Weight and bias of a convolution together with the batch normalisation after it.

    Args:
        conv_w, conv_b: of the convolution.
        bn_rm, bn_rv, bn_eps: running mean and variance, and what is added to the variance.
        bn_w, bn_b: of the normalisation; None for 1 and 0.
        transpose: whether the weight is (in, out / groups, ...), as of a transposed convolution.
    """
    scale, shift = _scale_and_shift(bn_rm, bn_rv, bn_eps, bn_w, bn_b)
    kernel = conv_w.shape[2:]
    if not transpose:
        weight = conv_w * reshape(scale, (-1, *(1,) * (len(kernel) + 1)))
        return _parameters(conv_w, weight, conv_b, scale, shift)
    groups = scale.size // conv_w.shape[1]
    grouped = reshape(
        conv_w, (groups, conv_w.shape[0] // groups, conv_w.shape[1], math.prod(kernel))
    )
    weight = reshape(grouped * reshape(scale, (groups, 1, -1, 1)), conv_w.shape)
    return _parameters(conv_w, weight, conv_b, scale, shift)


@public
def fuse_linear_bn_weights(
    linear_w: Tensor, linear_b: Tensor | None, bn_rm: Tensor, bn_rv: Tensor, bn_eps: float,
    bn_w: Tensor | None, bn_b: Tensor | None,
) -> tuple[Parameter, Parameter]:  # fmt: skip
    """Weight and bias of a linear layer together with the batch normalisation after it."""
    scale, shift = _scale_and_shift(bn_rm, bn_rv, bn_eps, bn_w, bn_b)
    return _parameters(linear_w, linear_w * expand_dims(scale, axis=-1), linear_b, scale, shift)


def _scale_and_shift(
    mean: Tensor, variance: Tensor, eps: float, weight: Tensor | None, bias: Tensor | None
) -> tuple[Tensor, Tensor]:
    """A normalisation as x scale + shift."""
    scale = rsqrt(variance + eps) if weight is None else rsqrt(variance + eps) * weight
    return scale, -mean * scale if bias is None else bias - mean * scale


def _parameters(
    old: Tensor, weight: Tensor, bias: Tensor | None, scale: Tensor, shift: Tensor
) -> tuple[Parameter, Parameter]:
    """They require gradients if those before did."""
    moved = shift if bias is None else bias * scale + shift
    with autodiff.no_grad():
        wanted = False if bias is None else bias.requires_grad
        kinds = old.dtype, old.dtype if bias is None else bias.dtype
        return (
            Parameter(weight.detach().astype(kinds[0]), old.requires_grad),
            Parameter(moved.detach().astype(kinds[1]), wanted),
        )


def _fused(name: str, layer: Module, bn: Any, weights: Any) -> Module:
    if layer.training or bn.training:
        raise ArgumentError(f"{name}: a layer is in training; call eval() of both first")
    if bn.running_mean is None or bn.running_var is None:
        raise ArgumentError(f"{name}: the normalisation keeps no running statistics; expected some")
    fused: Any = copy.deepcopy(layer)
    fused.weight, fused.bias = weights(
        fused.weight, fused.bias, bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias
    )
    made: Module = fused
    return made
