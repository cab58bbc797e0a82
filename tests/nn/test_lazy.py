"""Layers that take the number of their inputs from the first one."""

import copy

import numpy as np
import pytest

import tessella as ts
from tessella import errors, nn

LAYERS = {
    "LazyLinear": ((2,), {}, (5, 3)),
    "LazyConv1d": ((4, 3), {"padding": 1}, (2, 3, 8)),
    "LazyConv2d": ((4, 3), {"groups": 2, "bias": False}, (2, 6, 5, 5)),
    "LazyConv3d": ((2, 2), {}, (1, 3, 3, 3, 3)),
    "LazyConvTranspose1d": ((2, 2), {"stride": 2}, (2, 3, 5)),
    "LazyConvTranspose2d": ((2, 2), {}, (3, 4, 4)),
    "LazyConvTranspose3d": ((2, 2), {}, (1, 3, 2, 2, 2)),
    "LazyBatchNorm1d": ((), {}, (4, 3)),
    "LazyBatchNorm2d": ((), {"affine": False}, (4, 3, 2, 2)),
    "LazyBatchNorm3d": ((), {}, (4, 3, 2, 2, 2)),
    "LazyInstanceNorm1d": ((), {"affine": True}, (4, 3, 5)),
    "LazyInstanceNorm2d": ((), {"track_running_stats": True}, (4, 3, 2, 2)),
    "LazyInstanceNorm3d": ((), {}, (4, 3, 2, 2, 2)),
}


@pytest.mark.peers
@pytest.mark.filterwarnings("ignore:Lazy modules")
@pytest.mark.parametrize("name", LAYERS)
def test_they_become_pytorchs(name):
    torch = pytest.importorskip("torch")
    arguments, options, shape = LAYERS[name]
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    peer = getattr(torch.nn, name)(*arguments, **options)
    own = getattr(nn, name)(*arguments, **options)
    assert [n for n, _ in own.named_parameters()] == [n for n, _ in peer.named_parameters()]
    peer(torch.tensor(x))
    held = list(own.parameters())
    own(ts.asarray(x))
    assert type(own) is getattr(nn, name.removeprefix("Lazy"))
    assert all(a is b for a, b in zip(held, own.parameters(), strict=True))
    state = {key: value.detach().numpy() for key, value in peer.state_dict().items()}
    fresh = getattr(nn, name)(*arguments, **options)  # a checkpoint has the shapes, too
    for layer in (own, fresh):
        layer.load_state_dict(state)
        np.testing.assert_allclose(
            layer(ts.asarray(x)).detach().numpy(), peer(torch.tensor(x)).detach().numpy(), atol=1e-5
        )
        peer.load_state_dict({key: torch.tensor(value) for key, value in state.items()})


def test_a_network_of_them_trains():
    ts.manual_seed(0)
    net = nn.Sequential(nn.LazyConv2d(4, 3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(1))
    again = copy.deepcopy(net)
    optimiser = ts.optim.SGD(net.parameters(), lr=0.01)
    x = ts.ones((2, 1, 5, 5))
    losses = []
    for _ in range(3):
        loss = (net(x) ** 2).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[2] < losses[0]
    assert again(ts.ones((2, 3, 5, 5))).shape == (2, 1)
    assert net[0].weight.shape == (4, 1, 3, 3)


def test_they_may_be_called_first_in_a_compiled_function():
    net = nn.LazyLinear(2)
    compiled = ts.jit(lambda x: net(x))
    x = ts.ones((3, 4))
    first = compiled(x).detach().numpy()
    np.testing.assert_allclose(first, net(x).detach().numpy(), rtol=1e-6)
    np.testing.assert_allclose(first, compiled(x).detach().numpy(), rtol=1e-6)


def test_what_is_refused():
    layer = nn.LazyLinear(2)
    with pytest.raises(
        errors.UninitializedError, match="its shape is not known yet; call the module"
    ):
        print(layer.weight.shape)
    with pytest.raises(errors.ShapeError, match="LazyConv2d: shape"):
        nn.LazyConv2d(2, 3)(ts.ones(3))
    with pytest.raises(errors.ArgumentTypeError, match="LazyLinear: got an unexpected keyword"):
        nn.LazyLinear(2, in_features=3)
    with pytest.raises(errors.ArgumentError, match="out_features is 0"):
        nn.LazyLinear(0)
