"""Optimisers give PyTorch's numbers, eagerly and compiled, and take runs over from it and hand them back."""

import numpy as np
import pytest

import tessella as ts
from tessella import nn, optim
from tests.optim.rows import ROWS, shapes

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.peers

IDS = [f"{name}-{' '.join(map(str, options))}" for name, options in ROWS]


def numbers(name):
    random = np.random.default_rng(0)
    return [random.standard_normal(shape).astype(np.float32) for shape in shapes(name)]


def loss_of(parameters, targets):
    return sum(
        ((p - t) ** 2).sum() * 0.5 + (p * t).sum() * 0.1
        for p, t in zip(parameters, targets, strict=True)
    )


class Pair:
    """The same run here and in PyTorch."""

    def __init__(self, name, options, compiled):
        start, targets = numbers(name), [np.cos(3 * x) for x in numbers(name)]
        self.own = [nn.Parameter(ts.asarray(x)) for x in start]
        self.peer = [torch.nn.Parameter(torch.tensor(x)) for x in start]
        self.o, self.p = (
            getattr(optim, name)(self.own, **options),
            getattr(torch.optim, name)(self.peer, **options),
        )
        self.targets, self.name = targets, name
        self.step = ts.jit(self.own_step) if compiled else self.own_step

    def own_step(self):
        self.o.zero_grad()
        loss = loss_of(self.own, [ts.asarray(t) for t in self.targets])
        loss.backward()
        self.o.step()
        return loss

    def both(self, steps):
        for _ in range(steps):
            self.step()
            self.p.zero_grad()
            loss_of(self.peer, [torch.tensor(t) for t in self.targets]).backward()
            self.p.step()
            for group in (*self.o.param_groups, *self.p.param_groups):
                group["lr"] *= 0.8
        self.agree()

    def agree(self):
        # the products of Muon are bfloat16's, whose sums are cut differently
        rough = dict(rtol=0.02, atol=4e-3) if self.name == "Muon" else dict(rtol=2e-5, atol=2e-5)
        for ours, theirs in zip(self.own, self.peer, strict=True):
            np.testing.assert_allclose(ours.numpy(), theirs.detach().numpy(), **rough)


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
@pytest.mark.parametrize(("name", "options"), ROWS, ids=IDS)
def test_numbers_and_checkpoints_both_ways(name, options, compiled):
    run = Pair(name, options, compiled)
    run.both(6)
    if compiled:  # one program, though the rate has changed at every step
        assert len(run.step.traces) == 1
    saved, peer = run.o.state_dict(), run.p.state_dict()
    assert saved["state"].keys() == peer["state"].keys()
    for number, state in peer["state"].items():
        assert saved["state"][number].keys() == {n for n, v in state.items() if v is not None}
    assert [set(group) for group in saved["param_groups"]] == [
        set(group) for group in peer["param_groups"]
    ]
    run.o.load_state_dict(peer)
    for ours, theirs in zip(run.own, run.peer, strict=True):
        ours.assign(ts.asarray(theirs.detach().numpy()))
    run.both(3)
    saved = run.o.state_dict()
    states = {
        i: {n: torch.tensor(v.numpy()) for n, v in s.items()} for i, s in saved["state"].items()
    }
    run.p.load_state_dict({"state": states, "param_groups": saved["param_groups"]})
    for ours, theirs in zip(run.own, run.peer, strict=True):
        theirs.data = torch.tensor(ours.numpy())
    run.both(3)
    as_arrays = {
        i: {n: v.numpy() for n, v in s.items()} for i, s in run.p.state_dict()["state"].items()
    }
    run.o.load_state_dict({"state": as_arrays, "param_groups": run.p.state_dict()["param_groups"]})
    run.both(2)


@pytest.mark.parametrize("name", sorted({name for name, _ in ROWS}))
def test_arguments_and_defaults_are_pytorch_s(name):
    import inspect

    ours = inspect.signature(getattr(optim, name).__init__).parameters
    theirs = inspect.signature(getattr(torch.optim, name).__init__).parameters
    assert list(ours) == list(theirs)
    for (_, a), b in zip(ours.items(), theirs.values(), strict=True):
        assert (a.kind, a.default) == (b.kind, b.default), a.name


def test_every_optimiser_of_pytorch_is_here_or_says_why():
    for name, kind in vars(torch.optim).items():
        if isinstance(kind, type) and name != "SparseAdam":
            assert hasattr(optim, name), name
    with pytest.raises(AttributeError, match="tensors are dense"):
        optim.SparseAdam
