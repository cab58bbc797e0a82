"""Activations beside PyTorch's table: in place, drawn slopes and samples, what is shown and refused."""

import numpy as np
import pytest

import tessella as ts
from tessella import errors, nn
from tessella.nn import functional as F

IN_PLACE = {
    "relu": (), "relu6": (), "selu": (), "silu": (), "mish": (), "hardswish": (), "hardsigmoid": (),
    "elu": (0.5,), "celu": (0.5,), "leaky_relu": (0.5,), "hardtanh": (-0.5, 0.5), "threshold": (0.1, 7.0),
    "rrelu": (0.25, 0.5),
}  # fmt: skip
X = [-2.0, -0.25, 0.0, 0.25, 4.0]


@pytest.mark.parametrize("name", IN_PLACE)
def test_in_place_the_tensor_stands_for_the_result(name):
    function, options = getattr(F, name), IN_PLACE[name]
    expected = function(ts.asarray(X), *options).tolist()
    x = ts.asarray(X)
    assert function(x, *options, inplace=True) is x
    assert x.tolist() == expected
    if hasattr(F, f"{name}_"):
        y = ts.asarray(X)
        assert getattr(F, f"{name}_")(y, *options) is y
        assert y.tolist() == expected
    kind = {each.lower(): each for each in nn.__all__}[name.replace("_", "")]
    layer, z = getattr(nn, kind)(*options, inplace=True), ts.asarray(X)
    layer.eval()
    assert layer(z) is z and z.tolist() == expected
    assert "inplace=True" in repr(layer)


def test_gradients_go_through_what_was_changed_in_place():
    x = ts.asarray([-2.0, 3.0], dtype=ts.float32).requires_grad_()
    y = x * 2.0
    F.elu_(y, 0.5)
    (y * y).sum().backward()
    peer = ts.grad(lambda x: (F.elu(x * 2.0, 0.5) ** 2).sum())(x.detach())
    np.testing.assert_allclose(x.grad.numpy(), peer.numpy(), rtol=1e-6)


def test_under_jit_the_callers_tensor_changes_too():
    x = ts.asarray([-2.0, 3.0])
    assert ts.jit(lambda: F.relu(x, inplace=True) + 1.0)().tolist() == [1.0, 4.0]
    assert x.tolist() == [0.0, 3.0]


def test_what_cannot_change_in_place_says_so():
    with pytest.raises(errors.GradientError, match="relu: a leaf tensor that requires a gradient"):
        F.relu(ts.asarray([1.0]).requires_grad_(), inplace=True)
    base = ts.asarray([[1.0, -1.0]])
    with pytest.raises(errors.ArgumentError, match="hardtanh: "):
        F.hardtanh_(base[0])
    assert base.tolist() == [[1.0, -1.0]]


@pytest.mark.parametrize("compiled", [False, True])
def test_slopes_are_drawn_for_each_element(compiled):
    ts.manual_seed(3)
    layer = nn.RReLU(0.2, 0.4)
    call = ts.jit(layer) if compiled else layer
    x = -ts.ones(20_000)
    slopes = -call(x).numpy()
    assert slopes.min() >= 0.2 and slopes.max() < 0.4
    assert abs(slopes.mean() - 0.3) < 0.002 and abs(slopes.std() - 0.2 / 12**0.5) < 0.001
    assert not np.array_equal(slopes, -call(x).numpy())
    x = ts.asarray([-1.0, -2.0, 3.0]).requires_grad_()
    y = F.rrelu(x, 0.2, 0.4, training=True)
    y.sum().backward()
    np.testing.assert_allclose(x.grad.numpy()[:2], y.detach().numpy()[:2] / [-1.0, -2.0], rtol=1e-6)
    assert x.grad.numpy()[2] == 1.0


def test_gumbel_softmax_samples_the_distribution():
    ts.manual_seed(5)
    p = np.array([0.1, 0.2, 0.7], np.float32)
    logits = ts.broadcast_to(ts.log(ts.asarray(p)), (20_000, 3))
    soft, hard = F.gumbel_softmax(logits, tau=0.5), F.gumbel_softmax(logits, hard=True)
    np.testing.assert_allclose(soft.sum(axis=1).numpy(), 1.0, rtol=1e-5)
    assert set(np.unique(hard.numpy())) <= {0.0, 1.0}
    np.testing.assert_allclose(hard.mean(axis=0).numpy(), p, atol=0.012)
    along = F.gumbel_softmax(ts.zeros((3, 4, 5)), hard=True, dim=1)
    assert (along.numpy().sum(axis=1) == 1.0).all()
    assert F.gumbel_softmax(ts.zeros((0, 3))).shape == (0, 3)


def test_the_hard_sample_has_the_gradient_of_the_soft_one():
    def gradient(hard):
        ts.manual_seed(7)
        weights = ts.asarray([1.0, 2.0, 4.0])
        return ts.grad(lambda x: (F.gumbel_softmax(x, 0.7, hard) * weights).sum())(ts.zeros((2, 3)))

    np.testing.assert_allclose(gradient(True).numpy(), gradient(False).numpy(), rtol=1e-6)


@pytest.mark.parametrize(
    ("layer", "shown"),
    [
        (nn.ELU(2.0, True), "ELU(alpha=2.0, inplace=True)"), (nn.ReLU(), "ReLU()"),
        (nn.PReLU(3), "PReLU(num_parameters=3)"), (nn.Hardshrink(), "Hardshrink(0.5)"),
        (nn.Threshold(0.5, 1.0), "Threshold(threshold=0.5, value=1.0)"),
        (nn.Softplus(), "Softplus(beta=1.0, threshold=20.0)"), (nn.GLU(), "GLU(dim=-1)"),
        (nn.Hardtanh(), "Hardtanh(min_val=-1.0, max_val=1.0)"), (nn.Softmax2d(), "Softmax2d()"),
    ],
)  # fmt: skip
def test_layers_show_their_options(layer, shown):
    assert repr(layer) == shown


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda x: F.hardtanh(x, 1.0, -1.0), errors.ArgumentError, "min_val is 1.0, max_val -1.0; expected the smaller"),
        (lambda x: F.rrelu(x, 0.5, 0.25), errors.ArgumentError, "rrelu: lower is 0.5, upper 0.25; expected the smaller"),
        (lambda x: F.celu(x, 0.0), errors.ArgumentError, "celu: alpha is 0.0; expected another number than 0"),
        (lambda x: F.softplus(x, 0), errors.ArgumentError, "softplus: beta is 0; expected another number than 0"),
        (lambda x: F.softshrink(x, -1.0), errors.ArgumentError, "softshrink: lambd is -1.0; expected at least 0"),
        (lambda x: F.gumbel_softmax(x, 0.0), errors.ArgumentError, "tau is 0.0; expected a number above 0"),
        (lambda x: nn.Softmax2d()(x), errors.ShapeError, r"Softmax2d: the input has shape (2, 3); expected (N, C, H, W)"),
        (lambda x: F.glu(x), errors.ShapeError, "glu: axis 1 has size 3, which has no halves"),
        (lambda x: nn.PReLU(2)(x), errors.ShapeError, "prelu: the weight has shape (2,), x (2, 3)"),
        (lambda x: nn.PReLU(0), errors.ArgumentError, "PReLU: num_parameters is 0; expected a whole number of at least 1"),
        (lambda x: nn.ReLU(dtype=ts.float64), errors.ArgumentTypeError, "ReLU: no argument `dtype`: convert first"),
        (lambda x: nn.Threshold(1.0), errors.ArgumentTypeError, "Threshold: `value` was not given"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(call, error, said):
    with pytest.raises(error) as caught:
        call(ts.ones((2, 3)))
    assert said in str(caught.value)


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "softmin"])
def test_the_dtype_of_a_softmax(name):
    found = getattr(F, name)(ts.ones((2, 4), dtype=ts.float16), 1, dtype=ts.float32)
    assert found.dtype is ts.float32
