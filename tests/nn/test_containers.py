"""Modules that hold others or parameters, as lists and dicts do; names, ties and checkpoints of trees of modules."""

import copy
import pickle
from collections import OrderedDict

import numpy as np
import pytest

import tessella as ts
from tessella import errors, nn


def both(build):
    """The same in PyTorch and here."""
    torch = pytest.importorskip("torch")
    return build(torch.nn, torch), build(nn, ts)


def names(module):
    return [name for name, _ in module.named_parameters()], list(module.state_dict())


# --- lists of modules --------------------------------------------------------------------------------


def changed(nn, _):
    net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 5), nn.Tanh())
    del net[1]
    net.insert(1, nn.Sigmoid())
    net.append(nn.Linear(5, 2)).extend([nn.ReLU()])
    net.pop(3)
    net[0] = nn.Linear(3, 4, bias=False)
    return nn.Sequential(*net[1:3]) + nn.Sequential(nn.Linear(5, 5)) * 2


@pytest.mark.peers
@pytest.mark.parametrize(
    "build",
    [
        changed,
        lambda nn, _: nn.Sequential(OrderedDict(a=nn.Linear(2, 2), b=nn.ReLU(), c=nn.Linear(2, 1)))[
            ::2
        ],
        lambda nn, _: nn.ModuleList([nn.Linear(2, 2)]) + nn.ModuleList([nn.ReLU(), nn.Linear(2, 3)]),
        lambda nn, _: nn.ModuleList([nn.Linear(2, 2) for _ in range(4)])[1:3].append(nn.Linear(2, 1)),
        lambda nn, _: nn.ModuleDict({"b": nn.Linear(2, 2), "a": nn.ModuleDict([("x", nn.Linear(2, 1))])}),
        lambda nn, t: nn.ParameterList([t.ones(2), nn.Parameter(t.ones(3))]).append(t.ones(1)),
        lambda nn, t: nn.ParameterDict({"b": t.ones(2), "a": nn.Parameter(t.ones(3))}),
        lambda nn, t: nn.ParameterDict(OrderedDict(b=t.ones(2), a=t.ones(3))),
        lambda nn, t: nn.ParameterDict({"a": t.ones(2)}) | nn.ParameterDict({"b": t.ones(1)}),
        lambda nn, t: nn.ParameterDict().fromkeys(["x", "y"], t.ones(2)),
    ],
)  # fmt: skip
def test_names_are_pytorchs(build):
    peer, own = both(build)
    assert names(own) == names(peer)
    assert [tuple(p.shape) for p in own.parameters()] == [tuple(p.shape) for p in peer.parameters()]
    assert len(own) == len(peer)


def test_a_sequence_repeated_shares_its_modules():
    net = nn.Sequential(nn.Linear(3, 3), nn.ReLU())
    net *= 2
    assert len(net) == 4
    assert net[0] is net[2]
    assert len(list(net.parameters())) == 2
    x = ts.ones((2, 3))
    expected = net[1](net[0](net[1](net[0](x))))
    np.testing.assert_array_equal(net(x).detach().numpy(), expected.detach().numpy())


def test_a_dict_of_modules():
    heads = nn.ModuleDict({"a": nn.Linear(2, 1), "b": nn.ReLU()})
    assert ("a" in heads, "c" in heads, list(heads), len(heads)) == (True, False, ["a", "b"], 2)
    assert list(heads.keys()) == ["a", "b"]
    assert next(iter(heads.values())) is heads["a"]
    first = heads.pop("a")
    heads["b"] = first
    assert dict(heads.items()) == {"b": first}
    assert heads.pop("x", None) is None
    del heads["b"]
    heads.update([("c", first)])
    heads.clear()
    assert len(heads) == 0

    class Chosen(nn.Module):
        def __init__(self):
            super().__init__()
            self.ways = nn.ModuleDict({"up": nn.Linear(2, 2), "down": nn.Linear(2, 2)})

        def forward(self, x, way):
            return self.ways[way](x)

    net, x = Chosen(), ts.ones((1, 2))
    compiled = ts.jit(net)
    for way in ("up", "down"):
        np.testing.assert_allclose(
            compiled(x, way).detach().numpy(), net(x, way).detach().numpy(), rtol=1e-6
        )
    net.ways["up"] = nn.Identity()
    np.testing.assert_array_equal(compiled(x, "up").numpy(), x.numpy())


def test_a_dict_and_a_list_of_parameters():
    scales = nn.ParameterDict({"a": ts.ones(2)})
    scales.setdefault("b", ts.zeros(1))
    assert scales.get("c") is None
    assert [*reversed(scales)] == ["b", "a"]
    assert scales.copy()["a"] is scales["a"]
    name, last = scales.popitem()
    assert (name, last.shape) == ("b", (1,))
    scales |= nn.ParameterDict({"c": ts.ones(1)})
    assert list(scales) == ["a", "c"]
    some = nn.ParameterList([ts.ones(2), ts.zeros(2)])
    some[0] = ts.full((2,), 3.0)
    some += [ts.ones(2)]
    assert [p.shape for p in some[1:]] == [(2,), (2,)]
    assert some[-1] is list(some)[2]
    total = ts.jit(lambda: sum((p for p in some), ts.zeros(2)).sum())
    assert total().item() == 8.0
    some[1] = ts.ones(2)
    assert total().item() == 10.0
    assert repr(scales).splitlines()[1] == "  (a): Parameter of float32 (2,)"


WRONG = [
    (lambda: nn.ModuleDict({"a": nn.ReLU()})["b"], errors.UnknownKeyError, "ModuleDict: no 'b'; there is: a"),
    (lambda: nn.ModuleDict({"a": 3}), errors.ArgumentTypeError, "ModuleDict: 'a' is to be 3; expected an nn.Module"),
    (lambda: nn.ModuleDict({"a.b": nn.ReLU()}), errors.ArgumentError, "has no dot"),
    (lambda: nn.ModuleDict({"keys": nn.ReLU()}), errors.ArgumentError, "has an attribute 'keys' already"),
    (lambda: nn.ModuleDict(3), errors.ArgumentTypeError, "ModuleDict.update: 3 was given"),
    (lambda: nn.ModuleDict([("a", nn.ReLU(), 1)]), errors.ArgumentTypeError, "expected a pair (name, value)"),
    (lambda: nn.ParameterDict({"a": 3.0}), errors.ArgumentTypeError, "ParameterDict: 'a' is to be 3.0; expected a tensor"),
    (lambda: nn.ParameterDict().popitem(), errors.UnknownKeyError, "there are no parameters"),
    (lambda: nn.ParameterList([ts.ones(1)])[1], errors.IndexingError, "index 1 for 1 parameters; expected an integer from -1 to 0"),
    (lambda: nn.ParameterList(ts.ones(2)), errors.ArgumentTypeError, "expected several tensors"),
    (lambda: nn.ParameterList([ts.asarray([1])]), errors.ArgumentError, "parameters are floating"),
    (lambda: nn.Sequential(nn.ReLU()) * 0, errors.ArgumentError, "0 times was asked for"),
    (lambda: nn.Sequential(nn.ReLU()).set_submodule("1.x", nn.ReLU()), errors.ArgumentError, "no '1'"),
    (lambda: nn.Sequential(nn.ReLU()).set_submodule("1", nn.ReLU(), strict=True), errors.ArgumentError, "no '1'"),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(WRONG)))
def test_what_is_refused(number):
    call, kind, told = WRONG[number]
    with pytest.raises(kind) as caught:
        call()
    assert told in str(caught.value)


# --- trees -------------------------------------------------------------------------------------------


def tied(nn, torch):
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.tokens = nn.Embedding(5, 3)
            self.out = nn.Linear(3, 5, bias=False)
            self.out.weight = self.tokens.weight
            self.again = self.out
            self.register_buffer("seen", torch.zeros(1))
            self.register_buffer("scratch", torch.zeros(2), persistent=False)

        def forward(self, x):
            return self.out(self.tokens(x))

    return Tied()


@pytest.mark.peers
def test_names_of_a_tree():
    peer, own = both(tied)
    for options in ({}, {"prefix": "model"}, {"remove_duplicate": False}, {"recurse": False}):
        for call in ("named_parameters", "named_buffers"):
            found = [[name for name, _ in getattr(m, call)(**options)] for m in (own, peer)]
            assert found[0] == found[1]
    for options in ({}, {"prefix": "model"}, {"remove_duplicate": False}):
        found = [[name for name, _ in m.named_modules(**options)] for m in (own, peer)]
        assert found[0] == found[1]
    assert [n for n, _ in own.named_children()] == [n for n, _ in peer.named_children()]
    assert list(own.state_dict()) == list(peer.state_dict())
    assert list(own.state_dict(prefix="x.")) == list(peer.state_dict(prefix="x."))


def test_weights_stay_tied():
    net = tied(nn, ts)
    ways = {
        "state_dict": lambda m: (m.load_state_dict(m.state_dict()), m)[1],
        "deepcopy": copy.deepcopy,
        "to": lambda m: m.to(ts.float64),
        "half and back": lambda m: m.half().float(),
    }
    for what, way in ways.items():
        found = way(net)
        assert found.out.weight is found.tokens.weight, what
        assert found.again is found.out, what
    copied = copy.deepcopy(net)
    assert copied.out.weight is not net.out.weight
    optimiser = ts.optim.SGD(copied.parameters(), lr=1e-3)

    @ts.jit
    def step(x):
        optimiser.zero_grad()
        loss = (copied(x) ** 2).sum()
        loss.backward()
        optimiser.step()
        return loss

    assert step(ts.asarray([1, 2])).item() > step(ts.asarray([1, 2])).item()
    assert copied.out.weight is copied.tokens.weight


def test_buffers_by_assignment():
    class Running(nn.Module):
        def __init__(self):
            super().__init__()
            self.mean = nn.Buffer(ts.zeros(2))
            self.scratch = nn.Buffer(ts.ones(2), persistent=False)

        def forward(self, x):
            self.mean = self.mean + x
            return self.mean * self.scratch

    net = Running()
    assert [name for name, _ in net.named_buffers()] == ["mean", "scratch"]
    assert list(net.state_dict()) == ["mean"]
    compiled = ts.jit(net)
    compiled(ts.ones(2))
    compiled(ts.ones(2))
    np.testing.assert_array_equal(net.mean.numpy(), [2, 2])
    net.scratch = nn.Buffer(ts.ones(2))
    assert list(net.state_dict()) == ["mean", "scratch"]
    for again in (copy.deepcopy(net), pickle.loads(pickle.dumps(nn.Buffer(ts.ones(1))))):
        assert isinstance(again, (Running, nn.Buffer))
    assert net.to(ts.float64).mean.dtype is ts.float64


# --- checkpoints -------------------------------------------------------------------------------------


def test_what_does_not_fit_is_told_at_once_and_nothing_is_loaded():
    net = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    before = {name: value.numpy().copy() for name, value in net.state_dict().items()}
    state = {"0.weight": ts.zeros((3, 2)), "0.bias": ts.zeros(4), "1.weight": ts.zeros((9, 9)), "x": ts.zeros(1)}  # fmt: skip
    with pytest.raises(errors.StateDictError) as caught:
        net.load_state_dict(state)
    for told in ("size of 0.bias", "size of 1.weight", "missing: 1.bias", "unexpected: x"):
        assert told in str(caught.value)
    with pytest.raises(errors.StateDictError) as caught:
        net.load_state_dict(state, strict=False)
    for told in ("size of 0.bias", "missing: 1.bias", "unexpected: x", "nothing has been loaded"):
        assert told in str(caught.value)
    assert "strict=False" not in str(caught.value)
    for name, value in net.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[name])
    found = net.load_state_dict({"0.weight": ts.zeros((3, 2)), "x": 1}, strict=False)
    assert found == (["0.bias", "1.weight", "1.bias"], ["x"])
    assert net[0].weight.detach().numpy().sum() == 0


def test_tensors_of_a_checkpoint_may_be_the_parameters():
    net = nn.Linear(2, 1)
    net.bias.requires_grad_(False)
    state = {"weight": ts.ones((1, 2), dtype=ts.float64), "bias": ts.ones(1)}
    net.load_state_dict(state, assign=True)
    assert net.weight.dtype is ts.float64
    assert isinstance(net.weight, nn.Parameter)
    assert (net.weight.requires_grad, net.bias.requires_grad) == (True, False)
    kept = net.state_dict(keep_vars=True)
    assert kept["weight"] is net.weight


def test_state_besides_tensors():
    class Counting(nn.Module):
        def __init__(self):
            super().__init__()
            self.count = 3

        def get_extra_state(self):
            return {"count": self.count}

        def set_extra_state(self, state):
            self.count = state["count"]

    net = nn.Sequential(Counting(), nn.Linear(1, 1))
    state = net.state_dict()
    assert state["0._extra_state"] == {"count": 3}
    state["0._extra_state"] = {"count": 5}
    net.load_state_dict(state)
    assert net[0].count == 5
    del state["0._extra_state"]
    with pytest.raises(errors.StateDictError, match=r"missing: 0\._extra_state"):
        net.load_state_dict(state)
