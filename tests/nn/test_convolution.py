"""What convolutions say of what does not fit, and laws of the transposed ones."""

import pytest

import tessella as ts
from tessella import errors, nn
from tessella.nn import functional as F

X, W = ts.ones((1, 4, 5)), ts.ones((4, 2, 3))


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: F.conv_transpose1d(X, W[:3]), r"conv_transpose1d: the input has 4 channels, the weight expects 3 \(weight \(3, 2, 3\)\)"),
        (lambda: F.conv_transpose1d(X, W, groups=3), "groups=3 does not divide the channels 4, 4"),
        (lambda: F.conv_transpose2d(X, W), r"expected 4 axes each: \(N, C, \.\.\.\) and \(C, out / groups, \.\.\.\)"),
        (lambda: F.conv_transpose1d(X, W, ts.ones(3)), r"bias has shape \(3,\); expected \(2,\)"),
        (lambda: F.conv_transpose1d(X, W, stride=2, output_padding=2), r"output_padding 2; expected numbers of at least 0, and the output's less than the stride \(2,\)"),
        (lambda: F.conv_transpose1d(X, W, padding=4), r"of an input of size \(5,\), padding 4 leaves \(-1,\); expected at least 1"),
        (lambda: F.conv_transpose1d(X, W, stride=0), "stride 0 and dilation 1 must be at least 1"),
        (lambda: nn.ConvTranspose1d(4, 2, 3, padding_mode="reflect"), "ConvTranspose1d: padding_mode is 'reflect'; expected 'zeros'"),
        (lambda: nn.ConvTranspose1d(4, 2, 3, stride=2)(X, (14,)), r"output_size is \(14,\); of an input of shape \(1, 4, 5\) come sizes from \(11,\) to \(12,\)"),
        (lambda: nn.ConvTranspose1d(4, 2, 3)(X, (1, 4)), r"output_size is \(1, 4\); expected 1 numbers"),
        (lambda: nn.ConvTranspose1d(4, 2, 3)(ts.ones(4), (4,)), r"ConvTranspose1d: shape \(4,\); expected 2 or 3 axes"),
        (lambda: nn.ConvTranspose1d(4, 3, 3, groups=2), "groups=2 must divide in_channels=4 and out_channels=3"),
        (lambda: nn.Conv1d(4, 2, 3, padding=-1), "Conv1d: padding is -1; expected whole numbers of at least 0"),
        (lambda: nn.Conv1d(4, 2, 3, padding_mode="mirror"), "padding_mode is 'mirror'; expected 'zeros' or 'reflect'"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_said(call, said):
    with pytest.raises(errors.TessellaError, match=said):
        call()


def test_it_is_the_transpose_of_a_convolution():
    """<conv(x), y> = <x, conv_transpose(y)>, twice differentiable and mapped."""
    ts.manual_seed(0)
    x, w = ts.randn(2, 3, 7, 7), ts.randn(4, 3, 3, 2)
    y, pull = ts.vjp(lambda x: F.conv2d(x, w, stride=(2, 3), padding=1), x)
    ct = ts.randn(*y.shape)
    (expected,) = pull(ct)
    transposed = F.conv_transpose2d(ct, w, stride=(2, 3), padding=1, output_padding=(0, 1))
    assert ts.allclose(transposed, expected, atol=1e-5)
    one = lambda c: F.conv_transpose2d(c, w, stride=(2, 3), padding=1)  # noqa: E731
    assert ts.allclose(ts.vmap(one)(ct), one(ct), atol=1e-5)
    kernels = lambda w: (F.conv_transpose2d(ct, w, stride=2) ** 2).sum()  # noqa: E731
    v = ts.randn(*w.shape)
    second = ts.grad(lambda w: (ts.grad(kernels)(w) * v).sum())(w)
    assert ts.allclose(second, ts.grad(kernels)(v), rtol=1e-4, atol=1e-3)


def test_what_is_said_of_them():
    layer = nn.ConvTranspose2d(
        4, 2, 3, stride=2, output_padding=1, padding_mode="zeros", bias=False
    )
    assert repr(layer) == (
        "ConvTranspose2d(4, 2, kernel_size=(3, 3), stride=(2, 2), output_padding=(1, 1), bias=False)"
    )
    assert "padding_mode=circular" in repr(nn.Conv1d(4, 2, 3, padding_mode="circular"))
    half = nn.ConvTranspose1d(2, 2, 2, stride=2).to(ts.float16)(
        ts.ones((1, 2, 3), dtype=ts.float16)
    )
    assert half.dtype is ts.float16
