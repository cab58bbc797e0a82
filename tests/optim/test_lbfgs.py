"""L-BFGS: PyTorch's numbers and checkpoints, its line search, and what it says."""

import numpy as np
import pytest

import tessella as ts
from tessella import errors, nn, optim

ROWS = [
    dict(),
    dict(lr=0.1, max_iter=3),
    dict(lr=0.5, max_iter=7, history_size=2, max_eval=4),
    dict(line_search_fn="strong_wolfe"),
    dict(line_search_fn="strong_wolfe", max_iter=5, history_size=3, lr=0.3),
    dict(line_search_fn="strong_wolfe", max_iter=12, max_eval=6),
    dict(line_search_fn="strong_wolfe", tolerance_grad=1e-2, tolerance_change=1e-3),
]


def rosenbrock(x, y):  # whose valley makes of one rounding ten thousand
    """Of all neighbours in one vector, and of one more number."""
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum() + 0.5 * (y - x[0]) ** 2


def closure_of(optimiser, parameters, wrap=lambda f: f):
    @wrap
    def closure():
        optimiser.zero_grad()
        loss = rosenbrock(*parameters)
        loss.backward()
        return loss

    return closure


@pytest.mark.peers
@pytest.mark.parametrize("options", ROWS, ids=str)
def test_numbers_and_checkpoints_both_ways(options):
    torch = pytest.importorskip("torch")
    start = [np.array([-1.0, 0.7, 0.5, 0.2]), np.array(2.0)]
    own = [nn.Parameter(ts.asarray(x)) for x in start]
    peer = [torch.nn.Parameter(torch.tensor(x)) for x in start]
    o, p = optim.LBFGS(own, **options), torch.optim.LBFGS(peer, **options)

    def both(steps):
        for _ in range(steps):
            ours, theirs = o.step(closure_of(o, own)), p.step(closure_of(p, peer))
            np.testing.assert_allclose(ours.item(), theirs.item(), rtol=2e-4, atol=1e-8)
        for a, b in zip(own, peer, strict=True):
            np.testing.assert_allclose(a.numpy(), b.detach().numpy(), rtol=2e-4, atol=1e-5)

    both(2)
    saved, theirs = o.state_dict(), p.state_dict()
    assert saved["state"][0].keys() == theirs["state"][0].keys()
    assert saved["state"][0]["func_evals"] == theirs["state"][0]["func_evals"]
    assert set(saved["param_groups"][0]) == set(theirs["param_groups"][0])
    o.load_state_dict(theirs)
    both(1)

    def to_torch(value):
        if isinstance(value, list):
            return [to_torch(item) for item in value]
        return torch.tensor(value.numpy()) if isinstance(value, ts.Tensor) else value

    saved = o.state_dict()
    state = {name: to_torch(value) for name, value in saved["state"][0].items()}
    p.load_state_dict({"state": {0: state}, "param_groups": saved["param_groups"]})
    both(2)


def test_the_closure_may_be_compiled():
    x, y = nn.Parameter(ts.asarray([-1.0, 2.0])), nn.Parameter(ts.asarray(2.0))
    optimiser = optim.LBFGS([x, y], line_search_fn="strong_wolfe", max_iter=50)
    closure = closure_of(optimiser, (x, y), ts.jit)
    losses = [optimiser.step(closure).item() for _ in range(3)]
    assert losses[-1] < 1e-6 < losses[0]
    np.testing.assert_allclose(x.numpy(), 1.0, atol=1e-2)
    assert len(closure.traces) <= 2


def test_a_parameter_without_gradient_stays():
    x, idle = nn.Parameter(ts.asarray([3.0])), nn.Parameter(ts.ones((2, 2)))
    optimiser = optim.LBFGS([idle, x])

    def closure():
        optimiser.zero_grad()
        loss = (x * x).sum()
        loss.backward()
        return loss

    optimiser.step(closure)
    np.testing.assert_allclose(x.numpy(), 0.0, atol=1e-5)
    np.testing.assert_array_equal(idle.numpy(), np.ones((2, 2)))


def test_what_it_says():
    x = nn.Parameter(ts.ones(2))
    optimiser = optim.LBFGS([x])
    with pytest.raises(errors.ArgumentError, match="step needs a closure"):
        optimiser.step()
    with pytest.raises(errors.ArgumentTypeError, match="the closure gave None; expected the loss"):
        optimiser.step(lambda: None)
    with pytest.raises(errors.ArgumentError, match="a second group of parameters; expected one"):
        optim.LBFGS([{"params": [x]}, {"params": [nn.Parameter(ts.ones(1))]}])
    with pytest.raises(
        errors.ArgumentError, match="line_search_fn is 'wolfe'; expected 'strong_wolfe'"
    ):
        optim.LBFGS([x], line_search_fn="wolfe")
    with pytest.raises(errors.SideEffectError, match=r"optimiser.step\(ts.jit\(closure\)\)"):
        ts.jit(lambda: optimiser.step(lambda: (x * x).sum()))()
