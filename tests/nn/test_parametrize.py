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


# --- orthogonal matrices ---------------------------------------------------------------------------------


def test_columns_or_rows_are_orthonormal():
    for shape in ((5, 5), (7, 3), (3, 7), (1, 4), (2, 6, 3)):
        for kind in ("matrix_exp", "cayley", "householder"):
            module = nn.Module()
            module.weight = nn.Parameter(ts.randn(*shape))
            parametrizations.orthogonal(module, orthogonal_map=kind)
            trained = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
            if kind == "householder":  # whose diagonal is of signs
                trained = trained * (1 - np.eye(*shape[-2:])) - np.eye(*shape[-2:])
            module.parametrizations.weight.original.assign(ts.asarray(trained.astype(np.float32)))
            weight = module.weight.detach().numpy()
            tall = weight if shape[-2] >= shape[-1] else np.swapaxes(weight, -1, -2)
            np.testing.assert_allclose(
                np.swapaxes(tall, -1, -2) @ tall, np.broadcast_to(np.eye(tall.shape[-1]), (*shape[:-2], *(2 * tall.shape[-1:]))),
                atol=2e-5,
            )  # fmt: skip


def test_an_orthogonal_weight_is_kept_and_another_one_can_be_assigned():
    q = np.linalg.qr(np.random.default_rng(0).standard_normal((4, 4)))[0].astype(np.float32)
    for kind in ("matrix_exp", "cayley", "householder"):
        layer = nn.Linear(4, 4)
        layer.weight.assign(ts.asarray(q))
        parametrizations.orthogonal(layer, orthogonal_map=kind)
        np.testing.assert_allclose(layer.weight.detach().numpy(), q, atol=1e-6)
        layer.weight = ts.eye(4)
        np.testing.assert_allclose(layer.weight.detach().numpy(), np.eye(4), atol=1e-6)


def test_what_cannot_be_orthogonal_is_refused():
    with pytest.raises(
        errors.ShapeError, match=r"orthogonal: bias has shape \(2,\); expected a matrix"
    ):
        parametrizations.orthogonal(nn.Linear(2, 2), "bias")
    with pytest.raises(
        errors.ArgumentError, match="orthogonal_map is 'qr'; expected 'matrix_exp' or"
    ):
        parametrizations.orthogonal(nn.Linear(2, 2), orthogonal_map="qr")
    layer = parametrizations.orthogonal(nn.Linear(2, 2), use_trivialization=False)
    with pytest.raises(errors.MissingRuleError, match="take use_trivialization=True"):
        layer.weight = ts.eye(2)


def test_an_orthogonal_weight_is_trained_in_a_compiled_step():
    layer = parametrizations.orthogonal(nn.Linear(6, 6))
    optimiser = ts.optim.Adam(layer.parameters(), lr=0.05)
    x, y = ts.randn(8, 6), ts.randn(8, 6)

    @ts.jit
    def step():
        loss = ((layer(x) - y) ** 2).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        return loss

    first = step().item()
    for _ in range(30):
        last = step().item()
    assert last < first
    weight = layer.weight.detach()
    np.testing.assert_allclose((weight.mT @ weight).numpy(), np.eye(6), atol=1e-5)


def test_exponentials_of_large_matrices_and_their_derivatives():
    from tessella.nn.utils.orthogonal import cayley, exponential

    a = np.random.default_rng(0).standard_normal((5, 5)) * 20
    a = a - a.T
    values, vectors = np.linalg.eig(a)
    expected = (vectors * np.exp(values)) @ np.linalg.inv(vectors)
    np.testing.assert_allclose(exponential(ts.asarray(a)).numpy(), expected.real, atol=1e-12)
    expected = np.linalg.solve(np.eye(5) - a / 2, np.eye(5) + a / 2)
    np.testing.assert_allclose(cayley(ts.asarray(a)).numpy(), expected, atol=1e-12)
    small, direction = ts.asarray(a / 40), ts.asarray(a.T[::-1] - a[:, ::-1])
    direction = direction - direction.mT
    for function in (exponential, cayley):
        along = lambda t, f=function: f(small + t * direction).sum() * 1.0  # noqa: E731
        second = ts.grad(ts.grad(along))(ts.asarray(0.0, dtype=ts.float64)).item()
        h = 1e-5
        slopes = [ts.grad(along)(ts.asarray(t, dtype=ts.float64)).item() for t in (-h, h)]
        assert second == pytest.approx((slopes[1] - slopes[0]) / (2 * h), rel=1e-5)


@pytest.mark.peers
@pytest.mark.parametrize("kind", [None, "matrix_exp", "cayley", "householder"])
@pytest.mark.parametrize("trivial", [True, False])
def test_orthogonal_as_in_pytorch(kind, trivial):
    torch = pytest.importorskip("torch")
    for rows, columns in ((5, 5), (6, 3), (3, 6), (1, 1), (4, 1)):
        torch.manual_seed(0)
        peer, own = torch.nn.Linear(columns, rows), nn.Linear(columns, rows)
        own.load_state_dict({name: ts.asarray(x.numpy()) for name, x in peer.state_dict().items()})
        torch.nn.utils.parametrizations.orthogonal(peer, "weight", kind, use_trivialization=trivial)
        parametrizations.orthogonal(own, "weight", kind, use_trivialization=trivial)
        np.testing.assert_allclose(own.weight.detach(), peer.weight.detach(), atol=1e-6)
        state = {name: x.clone() for name, x in peer.state_dict().items()}
        assert list(own.state_dict()) == list(state)
        key = "parametrizations.weight.original"
        state[key] = state[key] + torch.randn(rows, columns) * 0.3 * (1 - torch.eye(rows, columns))
        peer.load_state_dict(state)
        own.load_state_dict({name: ts.asarray(x.numpy()) for name, x in state.items()})
        weights = np.cos(np.arange(rows * columns, dtype=np.float32)).reshape(rows, columns)
        (peer.weight * torch.tensor(weights)).sum().backward()
        (own.weight * ts.asarray(weights)).sum().backward()
        np.testing.assert_allclose(own.weight.detach(), peer.weight.detach(), atol=2e-6)
        expected = peer.parametrizations.weight.original.grad
        np.testing.assert_allclose(
            own.parametrizations.weight.original.grad.numpy(), expected, atol=5e-6
        )


# --- computed once, and handed on -------------------------------------------------------------------------


class Counting(nn.Module):
    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        return x * 2.0


def test_within_cached_a_tensor_is_computed_once():
    counting = Counting()
    layer = parametrize.register_parametrization(nn.Linear(2, 2), "weight", counting)
    before = counting.calls
    with parametrize.cached():
        first = layer.weight
        with parametrize.cached():
            assert layer.weight is first
        assert layer.weight is first
    assert counting.calls == before + 1
    assert layer.weight is not first
    (first.sum() + layer.weight.sum()).backward()
    np.testing.assert_array_equal(
        layer.parametrizations.weight.original.grad.numpy(), np.full((2, 2), 4.0)
    )


def test_what_was_computed_once_leaves_no_trace_in_compiled_functions():
    layer = parametrizations.weight_norm(nn.Linear(2, 2))
    f = ts.jit(lambda x: layer(x) + layer(x))
    x = ts.ones((1, 2))
    expected = f(x).numpy()
    with parametrize.cached():
        kept = layer.weight
        np.testing.assert_array_equal(f(x).numpy(), expected)
        assert layer.weight is kept
    np.testing.assert_array_equal(f(x).numpy(), expected)


def test_parametrizations_are_handed_on():
    first = parametrizations.weight_norm(nn.Linear(3, 2))
    second = nn.Linear(3, 2)
    assert parametrize.transfer_parametrizations_and_params(first, second, "weight") is second
    np.testing.assert_array_equal(second.weight.detach().numpy(), first.weight.detach().numpy())
    assert second.parametrizations.weight.original0 is first.parametrizations.weight.original0
    third = parametrize.transfer_parametrizations_and_params(first, nn.Module())
    np.testing.assert_array_equal(third.weight.detach().numpy(), first.weight.detach().numpy())
    plain = nn.Linear(3, 2)
    assert parametrize.transfer_parametrizations_and_params(plain, second) is second
    assert list(second.state_dict()) == list(first.state_dict())
