"""Distances beside PyTorch's table: single rows, transformations, what is refused."""

import numpy as np
import pytest

import tessella as ts
from tessella import errors, nn
from tessella.nn import functional as F


@pytest.mark.parametrize("rows", [0, 1])
def test_less_than_two_rows_have_no_distances(rows):
    x = ts.ones((rows, 3))
    assert F.pdist(x).shape == (0,)
    assert not ts.grad(lambda x: F.pdist(x).sum())(x).numpy().any()


def test_what_is_zero_has_a_finite_gradient():
    zeros = ts.zeros((2, 3))
    for loss in (
        lambda x: F.normalize(x).sum(), lambda x: F.cosine_similarity(x, x + 1).sum(),
        lambda x: F.pdist(x).sum(), lambda x: F.pairwise_distance(x, x, eps=0.0).sum(),
    ):  # fmt: skip
        assert np.isfinite(ts.grad(loss)(zeros).numpy()).all()


@pytest.mark.peers
@pytest.mark.parametrize("p", [-1.0, 0.0, 0.5, 1.0, 1.5])
def test_gradients_where_numbers_are_the_same_are_pytorch_s(p):
    torch = pytest.importorskip("torch")
    numbers = np.random.default_rng(0).standard_normal((4, 3)).astype(np.float32)
    numbers[1, 0], numbers[2] = numbers[0, 0], numbers[3]
    for ours, theirs in (
        (lambda x: F.pdist(x, abs(p)), lambda x: torch.nn.functional.pdist(x, abs(p))),
        (lambda x: ts.norm(x - x[0].detach(), p, axis=1), lambda x: torch.linalg.vector_norm(x - x[0].detach(), p, dim=1)),
    ):  # fmt: skip
        peer = torch.tensor(numbers, requires_grad=True)
        loss = theirs(peer) * 1.0
        if loss.requires_grad:
            loss.sum().backward()
        wanted = np.zeros_like(numbers) if peer.grad is None else peer.grad.numpy()
        for wrap in (lambda f: f, ts.jit):
            x = ts.asarray(numbers)
            found = wrap(ts.grad(lambda x: ours(x).sum()))(x)  # noqa: B023
            np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-4, atol=1e-6)
            np.testing.assert_allclose(ours(x).numpy(), loss.detach().numpy(), rtol=1e-5)


def test_what_is_not_zero_is_counted():
    for kind in (ts.float32, ts.float64, ts.bfloat16):
        found = ts.norm(ts.asarray([float("nan"), float("inf"), 0.0, -0.0, 3.0], dtype=kind), 0)
        assert found.dtype is kind
        assert found.item() == 3.0


def test_distances_under_vmap_and_twice_differentiated():
    x = ts.randn(4, 5, 3)
    for function in (F.pdist, F.normalize, lambda x: F.bilinear(x, x, ts.ones((2, 3, 3)))):
        each = ts.stack([function(y) for y in x])
        np.testing.assert_allclose(ts.jit(ts.vmap(function))(x).numpy(), each.numpy(), rtol=1e-5)
    hessian = ts.hessian(lambda x: F.cosine_similarity(x, x[::-1], dim=0))(
        ts.asarray([1.0, 2.0, 4.0])
    )
    assert np.isfinite(hessian.numpy()).all() and hessian.numpy().any()


def test_how_they_start_and_what_they_show():
    ts.manual_seed(0)
    layer = nn.Bilinear(4, 3, 500)
    bound = layer.weight.abs().max().item()
    assert 0.49 < bound <= 0.5 and layer.bias.abs().max().item() <= 0.5
    assert (
        repr(nn.Bilinear(2, 3, 4))
        == "Bilinear(in1_features=2, in2_features=3, out_features=4, bias=True)"
    )
    assert repr(nn.Unflatten(1, (2, 3))) == "Unflatten(dim=1, unflattened_size=(2, 3))"
    assert list(nn.Bilinear(2, 3, 4, bias=False).state_dict()) == ["weight"]


X = ts.ones((2, 3))


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda: F.pdist(X[0]), errors.ShapeError, "pdist: the input has shape (3,); expected (N, D)"),
        (lambda: F.bilinear(X, X, X), errors.ShapeError, "bilinear: the inputs have shapes (2, 3) and (2, 3), the weight (2, 3)"),
        (lambda: F.bilinear(X, X[:1], ts.ones((1, 3, 3))), errors.ShapeError, "expected (..., in1), (..., in2) and (out, in1, in2)"),
        (lambda: F.bilinear(X, X, ts.ones((1, 3, 3)), X), errors.ShapeError, "bilinear: bias has shape (2, 3); expected (1,)"),
        (lambda: nn.Bilinear(0, 2, 3), errors.ArgumentError, "Bilinear: in1_features is 0"),
        (lambda: nn.PairwiseDistance(dtype=ts.float64), errors.ArgumentTypeError, "no argument `dtype`"),
        (lambda: nn.Unflatten(1, (2, 2))(X), errors.ShapeError, "unflatten: axis 1 has size 3"),
        (lambda: nn.Unflatten(1, "22"), errors.ArgumentTypeError, "Unflatten: unflattened_size is '22'; expected several"),
        (lambda: F.cosine_similarity(X, X, dim=2), errors.AxisError, "2"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(call, error, said):
    with pytest.raises(error) as caught:
        call()
    assert said in str(caught.value)


def test_short_vectors_count_as_long_as_eps_and_that_has_no_slope():
    x, y = ts.asarray([0.3, 0.4]), ts.asarray([3.0, 4.0])
    value, slope = ts.value_and_grad(lambda x: F.cosine_similarity(x, y, dim=0, eps=2.0))(x)
    assert value.item() == pytest.approx(2.5 / (2.0 * 5.0))
    np.testing.assert_allclose(slope.numpy(), y.numpy() / (2.0 * 5.0), rtol=1e-6)
