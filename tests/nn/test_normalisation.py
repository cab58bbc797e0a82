"""What the normalisations say of what does not fit, and half precision."""

import pytest

import tessella as ts
from tessella import errors, nn
from tessella.nn import functional as F

X = ts.ones((2, 6, 4))


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: F.group_norm(X, 4), r"group_norm: 4 groups do not divide the 6 channels of shape \(2, 6, 4\)"),
        (lambda: F.group_norm(ts.ones(6), 2), r"group_norm: the input has shape \(6,\); expected \(N, C\)"),
        (lambda: F.group_norm(X, 2, ts.ones(4)), r"group_norm: weight has shape \(4,\); expected \(6,\)"),
        (lambda: nn.GroupNorm(4, 6), "GroupNorm: num_groups=4 does not divide num_channels=6"),
        (lambda: nn.GroupNorm(2, 4)(X), r"GroupNorm: shape \(2, 6, 4\); expected \(N, 4, \.\.\.\)"),
        (lambda: F.instance_norm(X[..., :1]), r"instance_norm: the input has shape \(2, 6, 1\); expected \(N, C, \.\.\.\) with two values"),
        (lambda: F.instance_norm(X, ts.ones(4), ts.ones(4)), r"running_mean has shape \(4,\); expected \(6,\)"),
        (lambda: nn.InstanceNorm1d(4, affine=True)(X), r"InstanceNorm1d: shape \(2, 6, 4\); expected 2 or 3 axes, the one before the last 1 of size 4|the second of size 4"),
        (lambda: nn.InstanceNorm2d(6)(X[0]), r"InstanceNorm2d: shape \(6, 4\); expected 3 or 4 axes"),
        (lambda: nn.BatchNorm3d(6)(X), r"BatchNorm3d: shape \(2, 6, 4\); expected 5 axes, the second of size 6"),
        (lambda: F.rms_norm(X, (5,)), r"rms_norm: the input has shape \(2, 6, 4\), which does not end in \(5,\)"),
        (lambda: F.layer_norm(ts.ones(3), (2, 3)), r"layer_norm: the input has shape \(3,\), which does not end in \(2, 3\)"),
        (lambda: F.rms_norm(X, 4, ts.ones(3)), r"rms_norm: weight has shape \(3,\); expected \(4,\)"),
        (lambda: F.local_response_norm(ts.ones((2, 3)), 2), r"local_response_norm: the input has shape \(2, 3\); expected \(N, C, \.\.\.\)"),
        (lambda: nn.LocalResponseNorm(0), "LocalResponseNorm: size is 0; expected a whole number of at least 1"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_said(call, said):
    with pytest.raises(errors.TessellaError, match=said):
        call()


@pytest.mark.parametrize(
    "layer", [nn.GroupNorm(2, 6), nn.InstanceNorm1d(6), nn.RMSNorm(4), nn.LocalResponseNorm(3)], ids=repr
)  # fmt: skip
def test_half_precision_is_computed_wide_and_mapped(layer):
    ts.manual_seed(1)
    x = ts.randn(2, 6, 4) * 100  # whose squares are beyond half precision
    half = layer(x.astype(ts.float16))
    assert half.dtype is (ts.float16 if not list(layer.parameters()) else ts.float32)
    assert ts.allclose(half.astype(ts.float32), layer(x), rtol=5e-3, atol=5e-3)
    each = ts.vmap(lambda one: layer(one[None])[0])(x)
    assert ts.allclose(each, layer(x), rtol=1e-4, atol=1e-5)
