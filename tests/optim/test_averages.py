"""Averages of models: PyTorch's numbers and names, also inside a compiled step; groups without decay."""

import numpy as np
import pytest

import tessella as ts
from tessella import errors, nn, optim
from tessella.nn import functional as F
from tessella.optim import swa_utils


def build(n):
    return n.Sequential(n.Linear(3, 4), n.BatchNorm1d(4), n.Linear(4, 2))


BATCHES = [np.random.default_rng(i).standard_normal((6, 3)).astype(np.float32) for i in range(5)]
# How an average is made, there as here.
WAYS = {
    "equal": lambda s: {},
    "equal, buffers": lambda s: {"use_buffers": True, "avg_fn": s.get_swa_avg_fn()},
    "exponential": lambda s: {"multi_avg_fn": s.get_ema_multi_avg_fn(0.8)},
    "exponential, one by one": lambda s: {"avg_fn": s.get_ema_avg_fn(0.8)},
    "a function of one's own": lambda s: {"avg_fn": lambda a, x, n: 0.3 * a + 0.7 * x},
    "equal, all": lambda s: {"multi_avg_fn": s.get_swa_multi_avg_fn()},
}


@pytest.mark.peers
@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
@pytest.mark.parametrize("way", WAYS)
def test_averages_are_pytorch_s(way, compiled):
    torch = pytest.importorskip("torch")
    peers = pytest.importorskip("torch.optim.swa_utils")
    peer, own = build(torch.nn), build(nn)
    own.load_state_dict(peer.state_dict())
    averaged = swa_utils.AveragedModel(own, **WAYS[way](swa_utils))
    averaged_peer = peers.AveragedModel(peer, **WAYS[way](peers))
    o, p = optim.SGD(own.parameters(), lr=0.1), torch.optim.SGD(peer.parameters(), lr=0.1)

    def step(x):
        o.zero_grad()
        (own(x) ** 2).mean().backward()
        o.step()
        averaged.update_parameters(own)

    moved = ts.jit(step) if compiled else step
    for x in BATCHES:
        moved(ts.asarray(x))
        p.zero_grad()
        (peer(torch.tensor(x)) ** 2).mean().backward()
        p.step()
        averaged_peer.update_parameters(peer)
    if compiled:
        assert len(moved.traces) == 1
    ours, theirs = averaged.state_dict(), averaged_peer.state_dict()
    assert list(ours) == list(theirs)
    for name, value in theirs.items():
        np.testing.assert_allclose(
            ours[name].numpy(), value.numpy(), rtol=1e-4, atol=1e-5, err_msg=name
        )
    swa_utils.update_bn([(ts.asarray(x), 1) for x in BATCHES], averaged)
    peers.update_bn([(torch.tensor(x), 1) for x in BATCHES], averaged_peer)
    averaged.eval(), averaged_peer.eval()
    found, expected = averaged(ts.asarray(BATCHES[0])), averaged_peer(torch.tensor(BATCHES[0]))
    np.testing.assert_allclose(found.numpy(), expected.detach().numpy(), rtol=1e-3, atol=1e-4)
    averaged.load_state_dict(theirs)


@pytest.mark.peers
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "options",
    [dict(), dict(anneal_epochs=0), dict(anneal_epochs=4, anneal_strategy="linear")],
    ids=str,
)
def test_the_schedule_is_pytorch_s(options):
    torch = pytest.importorskip("torch")
    peers = pytest.importorskip("torch.optim.swa_utils")
    o = optim.SGD(
        [{"params": [nn.Parameter(ts.ones(1))]}, {"params": [nn.Parameter(ts.ones(1))], "lr": 0.3}],
        lr=1.0,
    )
    p = torch.optim.SGD(
        [
            {"params": [torch.nn.Parameter(torch.ones(1))]},
            {"params": [torch.nn.Parameter(torch.ones(1))], "lr": 0.3},
        ],
        lr=1.0,
    )
    ours, theirs = (
        swa_utils.SWALR(o, [0.05, 0.5], **options),
        peers.SWALR(p, [0.05, 0.5], **options),
    )
    for number in range(15):
        np.testing.assert_allclose(
            ours.get_last_lr(), theirs.get_last_lr(), rtol=1e-9, err_msg=str(number)
        )
        if number == 7:
            ours.load_state_dict(theirs.state_dict())
        ours.step(), theirs.step()


def test_the_statistics_of_all_batches():
    model = build(nn)
    swa_utils.update_bn(map(ts.asarray, BATCHES), model.eval())
    x = F.linear(ts.asarray(np.stack(BATCHES)), model[0].weight, model[0].bias).detach().numpy()
    np.testing.assert_allclose(model[1].running_mean.numpy(), x.mean((0, 1)), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(model[1].running_var.numpy(), x.var(1, ddof=1).mean(0), rtol=1e-4)
    assert model[1].momentum == 0.1
    assert not model.training
    assert model[1].num_batches_tracked.item() == 5


def test_only_batch_normalisations_are_measured_anew():
    model = nn.Sequential(
        nn.BatchNorm1d(3, track_running_stats=False), nn.InstanceNorm1d(3, track_running_stats=True)
    )
    before = model[1].running_mean.numpy().copy()
    swa_utils.update_bn([ts.ones((2, 3, 4))], model)  # there is none that keeps statistics
    np.testing.assert_array_equal(model[1].running_mean.numpy(), before)


def test_the_copy_goes_its_own_way():
    model = nn.Linear(2, 1)
    averaged = swa_utils.AveragedModel(model)
    before = averaged.module.weight.numpy().copy()
    nn.init.zeros_(model.weight)
    np.testing.assert_array_equal(averaged.module.weight.numpy(), before)
    averaged.update_parameters(model)
    assert not averaged.module.weight.numpy().any()
    nn.init.ones_(model.weight)
    assert not averaged.module.weight.numpy().any()


def test_what_is_said():
    model = nn.Linear(2, 1)
    with pytest.raises(errors.ArgumentError, match="avg_fn: it was given, and multi_avg_fn, too"):
        swa_utils.AveragedModel(model, None, max, max)
    with pytest.raises(errors.ShapeError, match="other parameters than the one that was copied"):
        swa_utils.AveragedModel(model).update_parameters(nn.Linear(3, 1))
    with pytest.raises(errors.ArgumentError, match="decay is 2; expected a probability"):
        swa_utils.get_ema_multi_avg_fn(2)


def test_norms_and_biases_do_not_decay():
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Linear(4, 4))
            self.norm = nn.LayerNorm((2, 4))  # whose weight is a matrix
            self.head = nn.Linear(4, 2)
            self.head.weight = self.body[2].weight  # tied
            self.scale = nn.Parameter(ts.ones(()))

    model = Model()
    groups = optim.decay_groups(model, weight_decay=0.3)
    assert [group["weight_decay"] for group in groups] == [0.3, 0.0]
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    decaying, others = ({names[id(p)] for p in group["params"]} for group in groups)
    assert decaying == {"body.0.weight", "body.2.weight"}
    assert decaying | others == set(names.values())
    optim.AdamW(groups)
    assert len(optim.decay_groups(nn.Linear(2, 2, bias=False))) == 1
