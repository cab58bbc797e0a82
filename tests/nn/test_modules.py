"""The tree of modules: names, modes, hooks, checkpoints, copies, and how it shows itself."""

import copy
import pickle

import numpy as np
import pytest

import tessella as ts
from tessella import errors, nn, optim
from tessella.nn import functional as F


class Block(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.linear = nn.Linear(size, size)
        self.scale = nn.Parameter(ts.ones(1))
        self.register_buffer("steps", ts.zeros(1))
        self.register_buffer("scratch", ts.zeros(1), persistent=False)
        self.nothing = None
        self.dropout = nn.Dropout(0.5)

    def forward(self, x):
        return self.dropout(self.linear(x)) * self.scale


def model():
    return nn.Sequential(Block(3), nn.ReLU(), Block(3))


def test_names_in_order():
    net = model()
    names = [name for name, _ in net.named_parameters()]
    assert names == [
        "0.scale", "0.linear.weight", "0.linear.bias", "2.scale", "2.linear.weight", "2.linear.bias",
    ]  # fmt: skip
    assert [name for name, _ in net.named_buffers()] == [
        "0.steps",
        "0.scratch",
        "2.steps",
        "2.scratch",
    ]
    assert list(net.state_dict()) == [
        "0.scale", "0.steps", "0.linear.weight", "0.linear.bias",
        "2.scale", "2.steps", "2.linear.weight", "2.linear.bias",
    ]  # fmt: skip
    assert [name for name, _ in net.named_modules()][:4] == ["", "0", "0.linear", "0.dropout"]
    assert net.get_submodule("2.linear") is net[2].linear
    with pytest.raises(errors.ArgumentError, match="no 'lin'; there is: linear, dropout"):
        net.get_submodule("2.lin")


def test_a_shared_parameter_is_named_once():
    net = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    net[1].weight = net[0].weight
    assert [name for name, _ in net.named_parameters()] == ["0.weight", "0.bias", "1.bias"]
    assert "1.weight" in net.state_dict()


def test_attributes_find_their_places():
    block = Block(2)
    block.scale = nn.Parameter(ts.zeros(1))
    assert dict(block.named_parameters())["scale"].item() == 0
    block.steps = ts.ones(1)
    assert dict(block.named_buffers())["steps"].item() == 1
    block.linear = None
    assert block.linear is None
    with pytest.raises(errors.ArgumentTypeError, match=r"nn\.Parameter or None, not Tensor"):
        block.scale = ts.ones(1)
    del block.scale
    with pytest.raises(AttributeError, match="Block has no attribute 'scale'"):
        _ = block.scale
    assert "dropout" in dir(block)

    class Early(nn.Module):
        def __init__(self):
            self.weight = nn.Parameter(ts.ones(1))

    with pytest.raises(errors.ArgumentError, match=r"super\(\).__init__\(\)"):
        Early()
    with pytest.raises(NotImplementedError, match="define forward"):
        nn.Module()(1)


@pytest.mark.parametrize(
    ("act", "kind", "text"),
    [
        (lambda m: m.register_buffer("a.b", ts.ones(1)), "ArgumentError", r"'a\.b' cannot be a name.*'a_b'"),
        (lambda m: m.register_buffer("", ts.ones(1)), "ArgumentError", "not empty"),
        (lambda m: m.register_buffer(3, ts.ones(1)), "ArgumentTypeError", "name is 3; expected text"),
        (lambda m: m.register_buffer("scale", ts.ones(1)), "ArgumentError", "'scale' already"),
        (lambda m: m.register_buffer("linear", ts.ones(1)), "ArgumentError", "'linear' already"),
        (lambda m: m.register_buffer("forward", ts.ones(1)), "ArgumentError", "'forward' already"),
        (lambda m: m.register_buffer("x", "text"), "ArgumentTypeError", "tensor is 'text'; expected a Tensor"),
        (lambda m: m.register_parameter("a.b", nn.Parameter(ts.ones(1))), "ArgumentError", "has no dot"),
        (lambda m: m.register_parameter("steps", nn.Parameter(ts.ones(1))), "ArgumentError", "already"),
        (lambda m: m.register_parameter("x", ts.ones(1)), "ArgumentTypeError", r"expected an nn\.Parameter"),
        (lambda m: m.add_module("a.b", nn.ReLU()), "ArgumentError", "has no dot"),
        (lambda m: m.add_module("scale", nn.ReLU()), "ArgumentError", "already"),
        (lambda m: setattr(m, "a.b", nn.Parameter(ts.ones(1))), "ArgumentError", "has no dot"),
        (lambda m: setattr(m, "a.b", nn.ReLU()), "ArgumentError", "has no dot"),
        (lambda m: setattr(m, "eval", nn.Parameter(ts.ones(1))), "ArgumentError", "hides a parameter"),
    ],
)  # fmt: skip
def test_names_that_two_could_have_are_refused(act, kind, text):
    block = Block(2)
    before = list(block.state_dict())
    with pytest.raises(getattr(errors, kind), match=text):
        act(block)
    assert list(block.state_dict()) == before


def test_what_is_registered_can_be_registered_again():
    block = Block(2)
    block.register_buffer("steps", ts.ones(1))
    block.register_parameter("scale", None)
    block.add_module("linear", nn.Identity())
    assert list(block.state_dict()) == ["steps"]
    assert block.state_dict()["steps"].item() == 1.0


def test_a_part_of_a_sequence_grows():
    part = nn.Sequential(nn.ReLU(), nn.Linear(2, 2), nn.Tanh())[1:]
    part.append(nn.Sigmoid())
    assert [type(m).__name__ for m in part] == ["Linear", "Tanh", "Sigmoid"]


def test_training_and_evaluation():
    net = model()
    assert all(m.training for m in net.modules())
    x = ts.ones((4, 3))
    assert net(x).tolist() != net(x).tolist()
    assert net.eval() is net
    assert not any(m.training for m in net.modules())
    assert net(x).tolist() == net(x).tolist()
    assert net.train().training


def test_dropout_keeps_the_mean_and_is_reproducible():
    x = ts.ones((200, 200)).requires_grad_()
    ts.manual_seed(3)
    y = F.dropout(x, 0.25)
    ts.manual_seed(3)
    again = F.dropout(x, 0.25)
    np.testing.assert_array_equal(y.numpy(), again.numpy())
    kept = y.numpy() != 0
    assert kept.mean() == pytest.approx(0.75, abs=0.01)
    np.testing.assert_allclose(y.numpy()[kept], 1 / 0.75, rtol=1e-6)
    y.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), kept / 0.75, rtol=1e-6)
    assert F.dropout(x, 1.0).sum().item() == 0
    assert F.dropout(x, 0.0) is x


def test_hooks():
    net, seen = nn.Linear(2, 2), []
    before = net.register_forward_pre_hook(lambda m, inputs: (inputs[0] * 0,))
    after = net.register_forward_hook(lambda m, inputs, output: seen.append(output.shape))
    assert net(ts.ones((1, 2))).tolist() == [net.bias.tolist()]
    assert seen == [(1, 2)]
    before.remove()
    after.remove()
    assert net(ts.ones((1, 2))).tolist() != [net.bias.tolist()]
    assert len(seen) == 1
    with net.register_forward_hook(lambda m, inputs, output: output + 100):
        assert net(ts.zeros((1, 2))).min().item() > 50


def test_checkpoints():
    source, target = model(), model()
    state = source.state_dict()
    assert not any(t.requires_grad for t in state.values())
    kept = list(target.parameters())
    assert target.load_state_dict(state) == ([], [])
    assert all(p is q for p, q in zip(kept, target.parameters(), strict=True))
    for p, q in zip(source.parameters(), target.parameters(), strict=True):
        assert p.tolist() == q.tolist()
    with ts.no_grad():
        source[0].linear.weight.assign(source[0].linear.weight * 2)
    assert target[0].linear.weight.tolist() != source[0].linear.weight.tolist()
    partly = {"0.scale": np.array([9.0]), "other": ts.ones(1)}
    missing, unexpected = target.load_state_dict(partly, strict=False)
    assert unexpected == ["other"]
    assert "2.scale" in missing
    assert target[0].scale.item() == 9
    with pytest.raises(errors.ArgumentTypeError, match="expected a mapping"):
        target.load_state_dict([1])


def test_copies_and_pickles_are_independent():
    net = model()
    for other in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        for p, q in zip(net.parameters(), other.parameters(), strict=True):
            assert p is not q
            assert isinstance(q, nn.Parameter)
            assert p.tolist() == q.tolist()
        net.eval()
        assert np.array_equal(net(ts.ones((1, 3))).numpy(), other.eval()(ts.ones((1, 3))).numpy())
        other(ts.ones((1, 3))).sum().backward()
        assert net[0].scale.grad is None


def test_freezing_and_conversion():
    net = model()
    net[0].requires_grad_(False)
    net(ts.ones((2, 3))).sum().backward()
    assert net[0].linear.weight.grad is None
    assert net[2].linear.weight.grad is not None
    net.zero_grad()
    assert net[2].linear.weight.grad is None
    net.to(ts.float64)
    assert net(ts.ones((2, 3), dtype=ts.float64)).dtype == ts.float64
    assert net[2].steps.dtype == ts.float64
    with pytest.raises(errors.DeviceError, match="'cuda'"):
        net.to("cuda")
    with pytest.raises(errors.DTypeError, match="floating"):
        net.to(ts.int32)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("make", [
    lambda p: optim.SGD(p, lr=0.01, momentum=0.9), lambda p: optim.Adam(p, amsgrad=True), optim.AdamW,
])  # fmt: skip
def test_gradients_and_what_optimisers_remember_follow_the_dtype(make, compiled):
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
    optimiser = make(net.parameters())
    x = ts.asarray(np.random.default_rng(0).standard_normal((8, 3)).astype(np.float32))

    def step(x):
        optimiser.zero_grad()
        loss = (net(x) ** 2).mean()
        loss.backward()
        optimiser.step()
        return loss

    step = ts.jit(step) if compiled else step
    losses = [float(step(x))]
    for dtype in (ts.float64, ts.float32, ts.float64):
        net.to(dtype)
        for parameter in net.parameters():
            assert parameter.grad.dtype is dtype
            parameter.grad = parameter.grad  # fits
        losses.append(float(step(x.astype(dtype))))
        for parameter, state in optimiser.state.items():
            kinds = {name: value.dtype for name, value in state.items()}
            assert kinds.pop("step", ts.float32) is ts.float32
            assert set(kinds.values()) == {parameter.dtype} == {dtype}
    assert losses == sorted(losses, reverse=True)


def test_a_checkpoint_of_an_optimiser_takes_the_dtype_of_its_parameters():
    net, double = nn.Linear(2, 1), nn.Linear(2, 1).to(ts.float64)
    first, second = (optim.SGD(m.parameters(), lr=0.1, momentum=0.9) for m in (net, double))
    net(ts.ones((1, 2))).sum().backward()
    first.step()
    second.load_state_dict(first.state_dict())
    double(ts.ones((1, 2), dtype=ts.float64)).sum().backward()
    second.step()
    assert second.state[double.weight]["momentum_buffer"].dtype is ts.float64
    assert second.state[double.weight]["momentum_buffer"].tolist() == [[1.9, 1.9]]


def test_repr():
    text = repr(
        nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Flatten(), Block(2))
    )
    assert text == (
        "Sequential(\n"
        "  (0): Conv2d(1, 4, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))\n"
        "  (1): BatchNorm2d(4, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)\n"
        "  (2): Flatten(start_dim=1, end_dim=-1)\n"
        "  (3): Block(\n"
        "    (linear): Linear(in_features=2, out_features=2, bias=True)\n"
        "    (dropout): Dropout(p=0.5)\n"
        "  )\n"
        ")"
    )
    assert repr(nn.Parameter(ts.ones(1))).startswith("Parameter containing:\ntensor([1.]")


def test_sequences():
    net = nn.Sequential(nn.Linear(2, 3)).append(nn.ReLU())
    assert len(net) == 2
    assert isinstance(net[-1], nn.ReLU)
    assert isinstance(net[:1], nn.Sequential)
    assert net[0] is net[:1][0]
    with pytest.raises(errors.IndexingError, match="index 2 for 2 modules"):
        net[2]
    items = nn.ModuleList([nn.Linear(1, 1) for _ in range(3)])
    assert len(list(items.parameters())) == 6
    assert isinstance(items[1:], nn.ModuleList)
    assert items[1:][0] is items[1]


@pytest.mark.parametrize("kind", [nn.Sequential, lambda *modules: nn.ModuleList(modules)])
def test_sequences_are_changed_as_lists_are(kind):
    a, b, c, d = (nn.Linear(2, 2) for _ in range(4))
    net = kind(a, b)
    net[-1] = c
    assert list(net) == [a, c]
    net += [b]
    net.insert(1, d).extend([nn.ReLU()])
    assert list(net)[:4] == [a, d, c, b]
    assert net.pop(0) is a
    assert list(net.state_dict())[:2] == ["0.weight", "0.bias"]
    assert net[0] is d
    del net[1:3]
    assert [name for name, _ in net.named_children()] == ["0", "1"]
    del net[-1]
    assert list(net) == [d]
    with pytest.raises(
        errors.IndexingError, match="index 3 for 1 modules; expected an integer from -1 to 0"
    ):
        net.insert(3, a)
    net.pop()
    with pytest.raises(errors.IndexingError, match="index -1 for 0 modules; it has none"):
        net.pop()


def test_a_compiled_function_sees_a_module_that_was_exchanged():
    net = nn.Sequential(nn.Linear(3, 3), nn.ReLU())
    run, x = ts.jit(lambda x: net(x)), ts.ones((2, 3))
    assert run(x).shape == (2, 3)
    net[0] = nn.Linear(3, 5)
    assert run(x).shape == (2, 5)
    net.append(nn.Linear(5, 1))
    assert run(x).shape == (2, 1)
    net.pop()
    assert run(x).shape == (2, 5)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: nn.Sequential([nn.ReLU()]), r"Sequential: number 0 is a list of 1; expected an nn.Module; give "
         r"the modules one by one: nn.Sequential\(\*modules\)"),
        (lambda: nn.Sequential(nn.ReLU(), nn.functional.relu), "Sequential: number 1 is the function relu; expected an "
         "nn.Module; a function becomes one in a class whose forward calls it"),
        (lambda: nn.Sequential(nn.ReLU), r"number 0 is the class ReLU; expected an nn.Module; make one: ReLU\(...\)"),
        (lambda: nn.ModuleList(["relu"]), "ModuleList: number 0 is 'relu'; expected an nn.Module"),
        (lambda: nn.Sequential().extend(nn.ReLU()), "Sequential.extend: one ReLU was given; expected several modules"),
        (lambda: nn.ModuleList().extend(3), "ModuleList.extend: 3 was given; expected several modules"),
    ],
)  # fmt: skip
def test_what_is_no_module_is_told_how_to_become_one(make, said):
    with pytest.raises(errors.ArgumentTypeError, match=said):
        make()


def test_optimiser_groups_and_state():
    net = model()
    optimiser = optim.SGD(
        [{"params": net[0].parameters()}, {"params": [net[2].scale], "lr": 0.0}],
        lr=0.1,
        momentum=0.9,
    )
    before = [p.numpy().copy() for p in net.parameters()]
    net(ts.ones((2, 3))).sum().backward()
    optimiser.step()
    after = [p.numpy() for p in net.parameters()]
    assert not np.array_equal(before[0], after[0])
    np.testing.assert_array_equal(before[3], after[3])
    np.testing.assert_array_equal(before[4], after[4])
    state = optimiser.state_dict()
    assert state["param_groups"][1]["params"] == [3]
    with pytest.raises(errors.StateDictError, match="groups of"):
        optim.SGD(net.parameters(), lr=1.0).load_state_dict(state)
    with pytest.raises(errors.ArgumentError, match="two groups"):
        optimiser.add_param_group({"params": [net[2].scale]})
    with pytest.raises(errors.ArgumentError, match="history"):
        optim.SGD([net[0].scale * 2], lr=1.0)
    assert "lr=0.1" in repr(optimiser)


def test_a_closure_is_recorded_again():
    p = nn.Parameter(ts.asarray([4.0]))
    optimiser = optim.SGD([p], lr=0.25)

    def closure():
        optimiser.zero_grad()
        loss = (p * p).sum()
        loss.backward()
        return loss

    with ts.no_grad():
        assert optimiser.step(closure).item() == 16.0
    assert p.item() == 2.0


def test_convolutions_take_a_pair_of_paddings_for_each_axis():
    x, w = ts.randn(2, 3, 5, 6), ts.randn(4, 3, 2, 3)
    padded = ts.pad(x, [(0, 0), (0, 0), (0, 1), (2, 0)])
    found = F.conv2d(x, w, padding=[(0, 1), (2, 0)])
    np.testing.assert_allclose(found.numpy(), F.conv2d(padded, w).numpy(), rtol=1e-5, atol=1e-5)
    with pytest.raises(errors.ArgumentError, match=r"expected 2 pairs \(before, after\)"):
        F.conv2d(x, w, padding=[(0, 1)])


def test_the_first_gradient_counts_in_full_for_every_new_parameter_and_after_its_state_is_gone():
    for jit in (lambda f: f, ts.jit):
        first, second = (nn.Parameter(ts.zeros(1)) for _ in range(2))
        optimiser = optim.SGD([first], lr=1.0, momentum=0.5, dampening=0.5)

        def step(optimiser=optimiser):
            for group in optimiser.param_groups:
                for parameter in group["params"]:
                    parameter.grad = ts.ones(1)
            optimiser.step()

        step = jit(step)
        step(), step()
        assert first.tolist() == [-2.0]  # 1, then 0.5 + 0.5
        optimiser.state.clear()
        step()
        assert first.tolist() == [-3.0]
        optimiser.add_param_group({"params": [second]})
        step()
        assert second.tolist() == [-1.0]
        assert first.tolist() == [-4.0]


def test_hooks_of_other_arguments_are_told_how_they_are_called():
    net = nn.Linear(2, 2)
    with (
        net.register_forward_hook(lambda output: None),
        pytest.raises(
            errors.ArgumentTypeError,
            match=r"hook is called as hook\(module, inputs, output\); .* takes 1 positional",
        ),
    ):
        net(ts.ones(2))
    with (
        net.register_forward_pre_hook(lambda: None),
        pytest.raises(
            errors.ArgumentTypeError,
            match=r"register_forward_pre_hook: the hook is called as hook\(module, inputs\)",
        ),
    ):
        net(ts.ones(2))


@pytest.mark.parametrize(
    "make",
    [
        lambda **to: nn.Linear(3, 4, **to), lambda **to: nn.LSTM(3, 4, 2, **to), lambda **to: nn.Embedding(3, 4, **to),
        lambda **to: nn.LayerNorm(3, elementwise_affine=False, **to), lambda **to: nn.BatchNorm2d(3, **to),
        lambda **to: nn.TransformerEncoderLayer(4, 2, 8, **to), lambda **to: nn.LazyConv2d(4, 3, **to),
    ],
)  # fmt: skip
def test_layers_are_made_with_a_dtype_and_on_a_device(make):
    ts.manual_seed(0)
    expected = make().to(ts.float64).state_dict()
    ts.manual_seed(0)
    made = make(device="cpu", dtype=ts.float64)
    assert list(made.state_dict()) == list(expected)
    for name, tensor in made.state_dict().items():
        assert tensor.dtype is expected[name].dtype
        if not isinstance(made, nn.LazyConv2d):
            np.testing.assert_array_equal(tensor.numpy(), expected[name].numpy())
    make(device=None, dtype=None)
    with pytest.raises(errors.DeviceError, match="there is no device 'nowhere'"):
        make(device="nowhere")


def test_a_subclass_hands_a_dtype_on():
    class Square(nn.Linear):
        def __init__(self, size, **to):
            super().__init__(size, size, **to)

    assert Square(2, device="cpu", dtype=ts.float64).weight.dtype is ts.float64


def test_layers_without_tensors_are_made_nowhere():
    for kind in (nn.ReLU, nn.Dropout, nn.Flatten):
        for name in ("device", "dtype"):
            with pytest.raises(errors.ArgumentTypeError, match=f"no argument `{name}`"):
                kind(**{name: None})


def test_the_input_has_pytorchs_name():
    x = ts.ones((1, 3))
    assert nn.Linear(3, 4)(input=x).shape == (1, 4)
    assert nn.CrossEntropyLoss()(input=x, target=ts.asarray([1])).shape == ()
