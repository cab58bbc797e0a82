"""What the poolings say of what does not fit, ties, NaN, and what is drawn."""

import pytest

import tessella as ts
from tessella import errors, nn
from tessella.nn import functional as F

X = ts.reshape(ts.arange(48.0), (1, 2, 4, 6))


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: F.max_pool2d(X, 3, padding=2), "max_pool2d: padding 2 is more than half of the window 3"),
        (lambda: F.max_pool2d(X, 3, padding=-1), "padding -1 is more than half"),
        (lambda: F.max_pool2d(X, (5, 2)), r"max_pool2d: the window \(5, 2\) is larger than the input \(1, 2, 4, 6\)"),
        (lambda: F.max_pool3d(X[0, 0], 2), r"max_pool3d: shape \(4, 6\); expected \(N, C, \.\.\.\) or \(C, \.\.\.\)"),
        (lambda: F.avg_pool2d(X, 0), r"avg_pool2d: window \(0, 0\), stride \(0, 0\) and dilation \(1, 1\) must be at least 1"),
        (lambda: F.avg_pool2d(X, (2, 2, 2)), r"avg_pool2d: kernel_size: \(2, 2, 2\); expected an integer or 2 integers"),
        (lambda: F.avg_pool2d(X, 2, divisor_override=0), "avg_pool2d: divisor_override is 0"),
        (lambda: F.avg_pool2d(X.astype(ts.int32), 2), "avg_pool2d: int32 has no fractions; convert first"),
        (lambda: F.adaptive_avg_pool2d(X, (1, 2, 3)), r"adaptive_avg_pool2d: output_size is \(1, 2, 3\); expected a number of at least 0, or 2"),
        (lambda: F.adaptive_max_pool2d(X[..., :0], 1), r"adaptive_max_pool2d: shape \(1, 2, 4, 0\); expected .* of at least one element"),
        (lambda: F.fractional_max_pool2d(X, 2), "fractional_max_pool2d: give output_size or output_ratio, one of them"),
        (lambda: nn.FractionalMaxPool2d(2, output_ratio=1.5), "FractionalMaxPool2d: output_ratio is 1.5; expected a number between 0 and 1"),
        (lambda: F.fractional_max_pool2d(X, 2, 5), r"shape \(1, 2, 4, 6\) has no room for \(5, 5\) windows of size \(2, 2\)"),
        (lambda: F.fractional_max_pool2d(X, 2, 2, _random_samples=ts.ones((1, 2, 3))), r"_random_samples has shape \(1, 2, 3\); expected \(1, 2, 2\)"),
        (lambda: F.max_unpool1d(ts.ones((1, 2)), ts.asarray([[0]]), 2), r"max_unpool1d: shape \(1, 2\), indices of shape \(1, 1\); expected the same"),
        (lambda: F.max_unpool1d(ts.ones((1, 2)), ts.asarray([[0, 9]]), 2), "index 9 is out of range"),
        (lambda: nn.MaxUnpool1d(2)(ts.ones((1, 2)), ts.asarray([[0, 2]]), (7,)), r"output_size is \(7,\); expected less than a stride \(2,\) from \(4,\)"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_said(call, said):
    with pytest.raises(errors.TessellaError, match=said):
        call()


@pytest.mark.parametrize("size", [2, 5])
def test_the_first_of_equal_elements_has_the_gradient(size):
    x = ts.zeros((1, 10, 10))
    for pool in (lambda x: F.max_pool2d(x, size), lambda x: F.adaptive_max_pool2d(x, 10 // size)):
        gradient = ts.grad(lambda x, pool=pool: pool(x).sum())(x)
        assert ts.allclose(gradient[:, ::size, ::size], 1.0)
        assert gradient.sum().item() == (10 // size) ** 2


@pytest.mark.parametrize("kernel", [2, (3, 7)])
def test_nan_is_largest(kernel):
    x = ts.where(ts.arange(32).reshape(1, 4, 8) == 10, ts.nan, 0.0)
    assert ts.isnan(F.max_pool2d(x, kernel)).sum().item() == 1


def test_random_windows_are_drawn_and_lie_within():
    ts.manual_seed(0)
    x = ts.reshape(ts.arange(400.0), (1, 1, 20, 20))
    values, places = nn.FractionalMaxPool2d(3, output_ratio=0.4, return_indices=True)(x)
    assert values.shape == (1, 1, 8, 8)
    assert (values == places.astype(ts.float32)).all()
    assert values[0, 0, -1, -1].item() == 399.0
    other = nn.FractionalMaxPool2d(3, output_ratio=0.4)(x)
    assert not ts.allclose(other, values)


def test_pools_are_mapped_and_take_half_precision():
    x = ts.randn(3, 2, 6, 6)
    for pool in (
        lambda x: F.max_pool2d(x, 3, 2, 1), lambda x: F.avg_pool2d(x, 5, 1), lambda x: F.adaptive_avg_pool2d(x, 4),
        lambda x: F.max_pool2d(x, 3, return_indices=True).indices.astype(ts.float32),
    ):  # fmt: skip
        assert ts.allclose(ts.vmap(pool)(x), pool(x), atol=1e-6)
    large = ts.full(
        (1, 1, 40, 40), 60.0, dtype=ts.float16
    )  # the sum of all is beyond half precision
    assert F.avg_pool2d(large, 40).item() == 60.0
    assert F.adaptive_avg_pool2d(large, 1).dtype is ts.float16
    assert F.adaptive_avg_pool2d(large, (0, 2)).shape == (1, 1, 0, 2)


def test_what_is_said_of_them():
    assert repr(nn.MaxPool2d(2)) == (
        "MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, return_indices=False, ceil_mode=False)"
    )
    assert repr(nn.AdaptiveAvgPool2d((1, None))) == "AdaptiveAvgPool2d(output_size=(1, None))"
