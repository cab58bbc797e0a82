"""What a network is made of, as a table."""

import pytest

import tessella as ts
from tessella import nn


def network():
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1, groups=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(128, 10),
    )


def test_each_call_is_a_row_and_the_network_the_first():
    model = network()
    model[0].weight.requires_grad_(False)
    summary = model.summary((4, 3, 8, 8))
    assert [(row.name, row.kind) for row in summary.layers] == [
        ("", "Sequential"), ("0", "Conv2d"), ("1", "BatchNorm2d"), ("2", "ReLU"), ("3", "Flatten"), ("4", "Linear"),
    ]  # fmt: skip
    convolution = summary.layers[1]
    assert convolution.inputs == ((4, 3, 8, 8),)
    assert convolution.outputs == ((4, 8, 4, 4),)
    assert convolution.parameters == 3 * 8 * 9 + 8
    assert convolution.flops == 2 * (4 * 8 * 4 * 4) * (3 * 9)
    assert convolution.nbytes == 4 * (4 * 8 * 4 * 4)
    assert summary.flops == convolution.flops + 2 * 4 * 128 * 10
    assert summary.frozen == 3 * 8 * 9
    assert summary.trainable + summary.frozen == sum(p.size for p in model.parameters())
    assert summary.activations == sum(row.nbytes for row in summary.layers[1:])
    assert "0: Conv2d" in str(summary)
    assert "4×3×8×8" in summary._repr_html_()


def test_nothing_is_changed_and_nothing_is_computed():
    model = network()
    before = {name: value.numpy().copy() for name, value in model.state_dict().items()}
    model[1].eval()
    huge = nn.Linear(3, 3).summary((2**20, 2**20, 3))
    assert huge.activations == 2**40 * 3 * 4  # 12 TiB, which nobody has asked for
    model.summary((4, 3, 8, 8))
    assert [layer.training for layer in model] == [True, False, True, True, True]
    assert not any(layer._forward_hooks or layer._forward_pre_hooks for layer in model.modules())
    for name, value in model.state_dict().items():
        assert (value.numpy() == before[name]).all()


def test_shared_layers_count_once_and_loops_as_often_as_they_turn():
    layer = nn.Linear(4, 4)
    summary = nn.Sequential(layer, nn.Tanh(), layer).summary((2, 4))
    assert [row.parameters for row in summary.layers] == [20, 20, 0, 0]
    assert summary.trainable == 20
    once, often = (nn.GRU(3, 5).summary((length, 2, 3)).flops for length in (1, 7))
    assert often == 7 * once


def test_a_failure_leaves_the_network_as_it_was():
    model = network()
    with pytest.raises(ts.errors.TessellaError):
        model.summary((4, 5, 8, 8))
    assert model.training
    assert not any(layer._forward_hooks or layer._forward_pre_hooks for layer in model.modules())


@pytest.mark.peers
def test_flops_are_those_that_pytorch_counts():
    torch = pytest.importorskip("torch")
    from torch.utils.flop_counter import FlopCounterMode

    peer = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, stride=2, padding=1), torch.nn.Flatten(), torch.nn.Linear(128, 10)
    )
    with FlopCounterMode(display=False) as counter:
        peer(torch.zeros(4, 3, 8, 8))
    assert network().summary((4, 3, 8, 8)).flops == counter.get_total_flops()
