"""Parametrized weights: PyTorch's numbers and names, training, assignment, removal."""

import copy

import numpy as np
import pytest

import tessella as ts
from tessella import errors, nn
from tessella.nn.utils import parametrizations, parametrize

LAYERS = {
    "Linear": ((4, 3), (5, 4)), "Conv2d": ((2, 3, 2), (1, 2, 4, 3)), "ConvTranspose1d": ((2, 3, 2), (2, 2, 4)),
}  # fmt: skip
KINDS = {
    "weight_norm": [{}, {"dim": 1}, {"dim": None}],
    "spectral_norm": [{}, {"n_power_iterations": 3, "eps": 1e-6}, {"dim": 1}],
}


@pytest.mark.peers
@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize(
    ("kind", "options"), [(kind, o) for kind, several in KINDS.items() for o in several]
)
def test_as_pytorch(kind, options, layer, compiled):
    torch = pytest.importorskip("torch")
    sizes, shape = LAYERS[layer]
    torch.manual_seed(0)
    peer = getattr(torch.nn.utils.parametrizations, kind)(
        getattr(torch.nn, layer)(*sizes), **options
    )
    own = getattr(parametrizations, kind)(getattr(nn, layer)(*sizes), **options)
    assert list(own.state_dict()) == list(peer.state_dict())
    assert [name for name, _ in own.named_parameters()] == [
        name for name, _ in peer.named_parameters()
    ]
    own.load_state_dict(
        {name: ts.asarray(value.numpy().copy()) for name, value in peer.state_dict().items()}
    )
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)

    def step():
        own.zero_grad()
        result = own(ts.asarray(x))
        (result * result).sum().backward()
        return result

    call = ts.jit(step) if compiled else step
    for training in (True, True, False):
        own.train(training)
        peer.train(training)
        peer.zero_grad()
        expected = peer(torch.tensor(x))
        (expected * expected).sum().backward()
        result = call()
        np.testing.assert_allclose(
            result.detach().numpy(), expected.detach().numpy(), rtol=1e-4, atol=1e-5
        )
        for (name, p), (_, q) in zip(own.named_parameters(), peer.named_parameters(), strict=True):
            np.testing.assert_allclose(
                p.grad.numpy(), q.grad.numpy(), rtol=1e-3, atol=1e-4, err_msg=name
            )
        for name, value in peer.state_dict().items():
            np.testing.assert_allclose(
                own.state_dict()[name].numpy(), value.numpy(), rtol=1e-4, atol=1e-5
            )


class Symmetric(nn.Module):
    def forward(self, x):
        return x.triu() + x.triu(1).mT


class Doubled(nn.Module):
    def forward(self, x):
        return 2.0 * x

    def right_inverse(self, x):
        return x / 2.0


def test_one_after_the_other_then_removed():
    layer = nn.Linear(3, 3)
    weight, before = layer.weight, layer.weight.numpy().copy()
    parametrize.register_parametrization(layer, "weight", Doubled())
    np.testing.assert_allclose(layer.weight.detach().numpy(), before, rtol=1e-6)
    assert layer.parametrizations.weight.original is weight
    parametrize.register_parametrization(layer, "weight", Symmetric())
    assert (layer.weight == layer.weight.mT).all() and repr(layer).startswith("ParametrizedLinear(")
    assert (
        isinstance(layer, nn.Linear)
        and parametrize.type_before_parametrizations(layer) is nn.Linear
    )
    value = layer.weight.detach().numpy()
    parametrize.remove_parametrizations(layer, "weight")
    assert type(layer) is nn.Linear and layer.weight is weight
    assert np.array_equal(layer.weight.numpy(), value) and list(layer.state_dict()) == [
        "bias",
        "weight",
    ]
    assert not parametrize.is_parametrized(layer)


def test_an_assignment_goes_back_to_what_is_trained():
    layer = parametrize.register_parametrization(nn.Linear(2, 2), "weight", Doubled())
    layer.weight = ts.full((2, 2), 4.0)
    assert layer.parametrizations["weight"].original.tolist() == [[2.0, 2.0], [2.0, 2.0]]
    layer.other = 3
    assert layer.other == 3
    with pytest.raises(
        errors.ArgumentTypeError,
        match=r"ParametrizedLinear.weight is parametrized; assign a Tensor",
    ):
        layer.weight = 3
    other = parametrize.register_parametrization(nn.Linear(2, 2), "weight", Symmetric())
    with pytest.raises(errors.ArgumentError, match="Symmetric has no right_inverse"):
        other.weight = ts.zeros((2, 2))


@pytest.mark.parametrize("compiled", [False, True])
def test_it_trains_and_copies_are_their_own(compiled):
    ts.manual_seed(0)
    layer = parametrizations.spectral_norm(parametrizations.weight_norm(nn.Linear(3, 3)), "bias")
    twin = copy.deepcopy(layer)
    optimiser = ts.optim.SGD(layer.parameters(), lr=0.1)
    x = ts.randn(8, 3)

    def step():
        optimiser.zero_grad()
        loss = ((layer(x) - x) ** 2).mean()
        loss.backward()
        optimiser.step()
        return loss

    call = ts.jit(step) if compiled else step
    losses = [call().item() for _ in range(30)]
    assert losses[-1] < 0.8 * losses[0]
    assert np.linalg.norm(layer.bias.detach().numpy()) == pytest.approx(1.0, rel=1e-5)
    parametrize.remove_parametrizations(layer, "weight")
    assert parametrize.is_parametrized(twin, "weight") and parametrize.is_parametrized(
        layer, "bias"
    )
    assert not np.allclose(twin.weight.detach().numpy(), layer.weight.detach().numpy())


def test_buffers_and_other_shapes():
    layer = nn.BatchNorm1d(3)
    parametrize.register_parametrization(layer, "running_mean", Doubled())
    assert "parametrizations.running_mean.original" in layer.state_dict()
    assert len(list(layer.parameters())) == 2
    half = type("Half", (nn.Module,), {"forward": lambda self, x: x[:1]})()
    with pytest.raises(
        errors.ShapeError, match=r"weight has shape \(2, 2\), its function gives \(1, 2\)"
    ):
        parametrize.register_parametrization(linear := nn.Linear(2, 2), "weight", half)
    assert list(linear.state_dict()) == ["weight", "bias"] and type(linear) is nn.Linear
    assert parametrize.register_parametrization(
        linear, "weight", half, unsafe=True
    ).weight.shape == (1, 2)


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda: parametrize.register_parametrization(nn.Linear(2, 2), "w", Doubled()), errors.ArgumentError, "Linear has no parameter or buffer 'w'"),
        (lambda: parametrize.register_parametrization(nn.Linear(2, 2), "weight", 3), errors.ArgumentTypeError, "parametrization is 3; expected an nn.Module"),
        (lambda: parametrize.remove_parametrizations(nn.Linear(2, 2), "weight"), errors.ArgumentError, "no parametrized tensor 'weight'"),
        (lambda: parametrize.remove_parametrizations(parametrizations.weight_norm(nn.Linear(2, 2)), "weight", False),
         errors.ArgumentError, "is computed from 2 tensors"),
        (lambda: parametrizations.spectral_norm(nn.Linear(2, 2), n_power_iterations=0), errors.ArgumentError, "n_power_iterations is 0"),
        (lambda: parametrizations.spectral_norm(nn.Linear(2, 2), dim=2), errors.AxisError, "2"),
        (lambda: nn.utils.weight_norm, errors.UnknownNameError, "ts.nn.utils.parametrizations.weight_norm"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(call, error, said):
    with pytest.raises(error) as caught:
        call()
    assert said in str(caught.value)
