"""`nn.utils`: gradients and numbers of many parameters at once."""

import math

import numpy as np
import pytest

import tessella as ts
from tessella import errors, nn

DATA = np.random.default_rng(0).standard_normal((5, 4)).astype(np.float32)


def model():
    layer = nn.Linear(4, 3)
    nn.init.normal_(layer.weight)
    layer(ts.asarray(DATA)).square().sum().backward()
    return layer


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0, math.inf])
@pytest.mark.parametrize("most", [0.5, 1e6])
def test_clip_grad_norm(p, most):
    layer = model()
    before = [parameter.grad.numpy().copy() for parameter in layer.parameters()]
    flat = np.concatenate([gradient.ravel() for gradient in before]).astype(np.float64)
    total = nn.utils.clip_grad_norm_(layer.parameters(), most, norm_type=p)
    expected = np.linalg.norm(flat, p)
    assert total.item() == pytest.approx(expected, rel=1e-5)
    for parameter, gradient in zip(layer.parameters(), before, strict=True):
        factor = min(1.0, most / expected)
        np.testing.assert_allclose(parameter.grad.numpy(), gradient * factor, rtol=1e-4)


def test_half_precision_keeps_its_dtype_and_does_not_overflow():
    x = ts.zeros(4, dtype=ts.float16).requires_grad_()
    x.grad = ts.full((4,), 300.0, dtype=ts.float16)
    assert nn.utils.clip_grad_norm_(x, 6.0).item() == pytest.approx(600.0)
    assert x.grad.dtype is ts.float16
    np.testing.assert_allclose(x.grad.numpy(), 3.0, rtol=1e-2)


def test_without_gradients_there_is_nothing_to_clip():
    x = ts.ones(2).requires_grad_()
    assert nn.utils.clip_grad_norm_([x], 1.0).item() == 0.0
    nn.utils.clip_grad_value_([x], 1.0)
    assert x.grad is None


def test_clipping_in_a_compiled_step():
    def step(x):
        layer.zero_grad()
        layer(x).square().sum().backward()
        total = nn.utils.clip_grad_norm_(layer.parameters(), 1.0)
        nn.utils.clip_grad_value_(layer.parameters(), 0.3)
        return total

    layer, x = model(), ts.asarray(DATA)
    plain = step(x).item(), [p.grad.numpy().copy() for p in layer.parameters()]
    compiled = ts.jit(step)
    for _ in range(3):
        assert compiled(x).item() == pytest.approx(plain[0], rel=1e-5)
        for parameter, gradient in zip(layer.parameters(), plain[1], strict=True):
            np.testing.assert_allclose(parameter.grad.numpy(), gradient, rtol=1e-4, atol=1e-6)


def test_vectors_of_parameters():
    layer, other = model(), nn.Linear(4, 3)
    vector = nn.utils.parameters_to_vector(layer.parameters())
    assert vector.shape == (15,) and vector.requires_grad
    nn.utils.vector_to_parameters(vector, other.parameters())
    assert other.weight.tolist() == layer.weight.tolist() and other.weight.is_leaf
    assert nn.utils.parameters_to_vector(other.parameters()).tolist() == vector.tolist()


@pytest.mark.parametrize(
    ("call", "kind", "text"),
    [
        (lambda x: nn.utils.clip_grad_norm_([x, 3], 1.0), errors.ArgumentTypeError, "3 is among the parameters"),
        (lambda x: nn.utils.clip_grad_norm_(3, 1.0), errors.ArgumentTypeError, "expected tensors"),
        (lambda x: nn.utils.clip_grad_norm_(x, "1"), errors.ArgumentTypeError, "max_norm is '1'"),
        (lambda x: nn.utils.clip_grad_norm_(x, 1.0, 0.0), errors.ArgumentError, "norm_type is 0.0; expected"),
        (lambda x: nn.utils.clip_grad_norm_(x, 1.0, error_if_nonfinite=True), errors.GradientError, "is nan"),
        (lambda x: nn.utils.vector_to_parameters(ts.ones(3), [x]), errors.ShapeError, r"expected the shape \(2,\)"),
        (lambda x: nn.utils.clip_grad_nrom_(x, 1.0), errors.UnknownNameError, "did you mean `clip_grad_norm_`"),
        (lambda x: nn.utils.spectral_norm(x), errors.UnknownNameError, "PyTorch"),
    ],
)  # fmt: skip
def test_messages(call, kind, text):
    x = ts.ones(2).requires_grad_()
    x.grad = ts.asarray([1.0, math.nan])
    with pytest.raises(kind, match=text):
        call(x)


@pytest.mark.peers
@pytest.mark.parametrize("p", [1.0, 2.0, math.inf])
def test_as_pytorch(p):
    torch = pytest.importorskip("torch")
    mine, theirs = ts.asarray(DATA).requires_grad_(), torch.tensor(DATA, requires_grad=True)
    for x in (mine, theirs):
        (x**3).sum().backward()
    total = nn.utils.clip_grad_norm_([mine], 2.0, p)
    expected = torch.nn.utils.clip_grad_norm_([theirs], 2.0, p)
    assert total.item() == pytest.approx(expected.item(), rel=1e-5)
    np.testing.assert_allclose(mine.grad.numpy(), theirs.grad.numpy(), rtol=1e-4)


def test_the_norm_is_taken_once_for_many_clips():
    layer, other = model(), model()
    other.load_state_dict(layer.state_dict())
    for one, two in zip(layer.parameters(), other.parameters(), strict=True):
        two.grad = one.grad
    total = nn.utils.get_total_norm([parameter.grad for parameter in layer.parameters()])
    nn.utils.clip_grads_with_norm_(layer.parameters(), 0.5, total)
    assert nn.utils.clip_grad_norm_(other.parameters(), 0.5, foreach=True).item() == total.item()
    for one, two in zip(layer.parameters(), other.parameters(), strict=True):
        assert one.grad.tolist() == two.grad.tolist()
    assert nn.utils.get_total_norm([]).item() == 0.0
    with pytest.raises(
        errors.GradientError, match="get_total_norm: the norm of the gradients is inf"
    ):
        nn.utils.get_total_norm(ts.asarray([ts.inf]), error_if_nonfinite=True)


def normalised(kind, features, **options):
    """A batch normalisation that has seen something."""
    layer = kind(features, **options)
    for tensor, low, high in ((layer.running_mean, -1, 1), (layer.running_var, 0.5, 2)):
        nn.init.uniform_(tensor, low, high)
    if layer.weight is not None:
        nn.init.uniform_(layer.weight, 0.5, 2)
        nn.init.uniform_(layer.bias, -1, 1)
    return layer.eval()


@pytest.mark.parametrize(
    ("layer", "normalisation", "shape", "transpose"),
    [
        (nn.Conv2d(3, 4, 3), normalised(nn.BatchNorm2d, 4), (2, 3, 5, 4), False),
        (nn.Conv1d(4, 6, 2, groups=2, bias=False), normalised(nn.BatchNorm1d, 6, affine=False), (2, 4, 5), False),
        (nn.ConvTranspose2d(4, 6, 3, stride=2, groups=2), normalised(nn.BatchNorm2d, 6), (2, 4, 3, 2), True),
        (nn.ConvTranspose1d(2, 3, 3), normalised(nn.BatchNorm1d, 3), (1, 2, 4), True),
        (nn.Linear(3, 5), normalised(nn.BatchNorm1d, 5), (4, 3), None),
        (nn.Linear(3, 5, bias=False), normalised(nn.BatchNorm1d, 5), (1, 3), None),
    ],
)  # fmt: skip
def test_a_normalisation_becomes_part_of_the_layer_before(layer, normalisation, shape, transpose):
    layer.eval()
    state = {name: value.tolist() for name, value in layer.state_dict().items()}
    fused = (
        nn.utils.fuse_linear_bn_eval(layer, normalisation)
        if transpose is None
        else nn.utils.fuse_conv_bn_eval(layer, normalisation, transpose)
    )
    x = ts.randn(*shape)
    np.testing.assert_allclose(
        fused(x).detach().numpy(), normalisation(layer(x)).detach().numpy(), rtol=1e-4, atol=1e-5
    )
    assert type(fused) is type(layer) and fused.weight.requires_grad
    assert {name: value.tolist() for name, value in layer.state_dict().items()} == state


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: nn.utils.fuse_conv_bn_eval(nn.Conv1d(1, 2, 1), nn.BatchNorm1d(2).eval()), "a layer is in training; call eval()"),
        (lambda: nn.utils.fuse_linear_bn_eval(nn.Linear(1, 2).eval(), nn.BatchNorm1d(3).eval()), "the layer has 2 features, the normalisation 3"),
        (lambda: nn.utils.fuse_conv_bn_eval(nn.Conv1d(1, 2, 1).eval(), nn.BatchNorm1d(2, track_running_stats=False).eval()), "keeps no running statistics"),
    ],
)  # fmt: skip
def test_what_cannot_be_fused(call, said):
    with pytest.raises(errors.ArgumentError, match=said.replace("(", r"\(").replace(")", r"\)")):
        call()
