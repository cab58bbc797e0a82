"""`GradScaler`: what PyTorch's does, and in compiled steps without looking at any number."""

import numpy as np
import pytest

import tessella as ts
from tessella import errors, nn, optim
from tessella.nn import functional as F

OVERFLOWING = (0, 3)  # the first step, and a later one
STEPS = 7


def _data():
    random = np.random.default_rng(0)
    weight = random.standard_normal((2, 3)).astype(np.float32)
    inputs = [random.standard_normal((4, 3)).astype(np.float32) for _ in range(STEPS)]
    for number in OVERFLOWING:
        inputs[number][0, 0] = np.inf
    return weight, inputs


def _trained(wrap, name, **options):
    """The weights and scales after each step, and why the step was traced."""
    weight, inputs = _data()
    model = nn.Linear(3, 2, bias=False)
    model.weight.assign(ts.asarray(weight))
    optimiser = getattr(optim, name)(model.parameters(), lr=0.1, **options)
    scaler = ts.GradScaler(init_scale=1024.0, growth_interval=2)

    def step(x):
        optimiser.zero_grad()
        with ts.autocast(ts.float16):
            loss = F.mse_loss(model(x), ts.ones((4, 2)))
        scaler.scale(loss).backward()
        scaler.unscale_(optimiser)
        nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        scaler.step(optimiser)
        scaler.update()

    step, found = wrap(step), []
    for x in inputs:
        step(ts.asarray(x))
        found.append((model.weight.numpy().copy(), scaler.get_scale()))
    return found, getattr(step, "traces", ())


KINDS = [
    ("SGD", {}), ("SGD", {"momentum": 0.9, "nesterov": True}), ("SGD", {"momentum": 0.9, "dampening": 0.5}), ("Adam", {}), ("AdamW", {"amsgrad": True}),
    ("RMSprop", {"centered": True}), ("Adadelta", {}), ("Lion", {}), ("Adafactor", {}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "options"), KINDS)
def test_a_compiled_step_is_left_out_like_a_plain_one_and_is_traced_once(name, options):
    plain, _ = _trained(lambda step: step, name, **options)
    compiled, traces = _trained(ts.jit, name, **options)
    assert len(traces) == 1
    assert [scale for _, scale in plain] == [512.0, 512.0, 1024.0, 512.0, 512.0, 1024.0, 1024.0]
    for (weight, scale), (ours, same) in zip(plain, compiled, strict=True):
        assert scale == same
        np.testing.assert_allclose(ours, weight, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(plain[3][0], plain[2][0])  # the fourth step was left out
    assert (plain[0][0] == _data()[0]).all()


@pytest.mark.peers
@pytest.mark.parametrize(("name", "options"), KINDS[:7])
def test_weights_and_scales_are_pytorch_s(name, options):
    torch = pytest.importorskip("torch")
    weight, inputs = _data()
    model = torch.nn.Linear(3, 2, bias=False)
    model.weight.data = torch.tensor(weight)
    optimiser = getattr(torch.optim, name)(model.parameters(), lr=0.1, **options)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0, growth_interval=2)
    ours, _ = _trained(lambda step: step, name, **options)
    for x, (found, scale) in zip(inputs, ours, strict=True):
        optimiser.zero_grad()
        with torch.autocast("cpu", torch.float16):
            y = model(torch.tensor(x))
        scaler.scale(torch.nn.functional.mse_loss(y.float(), torch.ones(4, 2))).backward()
        scaler.unscale_(optimiser)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        scaler.step(optimiser)
        scaler.update()
        assert scaler.get_scale() == scale
        np.testing.assert_allclose(found, model.weight.detach().numpy(), atol=3e-3)
    mine, theirs = ts.GradScaler(init_scale=2.0), scaler.state_dict()
    assert mine.state_dict().keys() == theirs.keys()
    mine.load_state_dict(theirs)
    assert mine.state_dict() == theirs
    scaler.load_state_dict(mine.state_dict())


def test_a_scaler_that_is_not_enabled_does_nothing():
    weight = nn.Parameter(ts.ones(2))
    optimiser, scaler = optim.SGD([weight], lr=0.5), ts.GradScaler(enabled=False)
    loss = (weight * 2.0).sum()
    assert scaler.scale(loss) is loss
    loss.backward()
    scaler.unscale_(optimiser)
    scaler.step(optimiser)
    scaler.update()
    assert weight.tolist() == [0.0, 0.0]
    assert scaler.state_dict() == {}
    assert scaler.get_scale() == 1.0
    assert repr(scaler) == "GradScaler(enabled=False)"


def test_several_losses_and_options():
    scaler = ts.GradScaler(init_scale=4.0)
    first, second = scaler.scale((ts.ones(()), [ts.ones(2, dtype=ts.float16)]))
    assert float(first) == 4.0
    assert second[0].dtype is ts.float32
    scaler.set_growth_factor(3.0)
    scaler.set_backoff_factor(0.25)
    scaler.set_growth_interval(7)
    assert (
        repr(scaler)
        == "GradScaler(scale=4, growth_factor=3.0, backoff_factor=0.25, growth_interval=7)"
    )
    scaler.update(8.0)
    assert (scaler.get_scale(), scaler.get_growth_factor(), scaler.get_growth_interval()) == (
        8.0,
        3.0,
        7,
    )


def _scaled(dtype=ts.float32):
    weight = nn.Parameter(ts.ones(2, dtype=dtype))
    optimiser, scaler = optim.SGD([weight], lr=0.5), ts.GradScaler()
    scaler.scale((weight * 2.0).sum()).backward()
    return optimiser, scaler


def _twice(name):
    optimiser, scaler = _scaled()
    for _ in range(2):
        getattr(scaler, name)(optimiser)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda: _twice("unscale_"), "have been divided by the scale already; call update()"),
        (lambda: _twice("step"), "this optimiser has done its step; call update()"),
        (lambda: ts.GradScaler().update(), "update: no gradients have been looked at; call step(optimizer) first"),
        (lambda: ts.GradScaler().step(optim.SGD([nn.Parameter(ts.ones(2))], lr=0.1)), "no parameter of the optimiser has a gradient"),
        (lambda: ts.GradScaler().step(_scaled()[0], lambda: None), "step: a closure cannot be scaled"),
        (lambda: (lambda pair: pair[1].step(pair[0]))(_scaled(ts.float16)), "is float16, and so is its gradient"),
        (lambda: ts.GradScaler(init_scale=0.0), "init_scale is 0.0; expected a positive number"),
        (lambda: ts.GradScaler(backoff_factor=1.0), "backoff_factor is 1.0; expected a number between 0 and 1"),
        (lambda: ts.GradScaler(1024.0), "device is 1024.0; expected 'cpu', or another device"),
        (lambda: ts.GradScaler().scale(3.0), "scale: 3.0 was given; expected a tensor"),
        (lambda: ts.GradScaler().load_state_dict({}), "load_state_dict: scale, growth_factor"),
    ],
)  # fmt: skip
def test_what_is_said(wrong, said):
    with pytest.raises(errors.TessellaError) as caught:
        wrong()
    assert said in str(caught.value)


@pytest.mark.parametrize("dtype", [ts.bfloat16, ts.float16])
@pytest.mark.parametrize("name", ["Adam", "Adafactor", "SGD"])
def test_what_is_remembered_of_halves_is_float32_and_goes_through_pytorch_s_layout(name, dtype):
    options = {"momentum": 0.9} if name == "SGD" else {}
    weight = nn.Parameter(ts.ones((2, 2), dtype=dtype))
    optimiser = getattr(optim, name)([weight], lr=0.1, **options)
    (weight * 0.001).sum().backward()
    optimiser.step()
    saved = optimiser.state_dict()
    halves = {
        n: v.astype(dtype) if v.ndim else v for n, v in saved["state"][0].items()
    }  # as PyTorch keeps them
    optimiser.load_state_dict({**saved, "state": {0: halves}})
    optimiser.step()
    for name, value in optimiser.state[weight].items():
        assert value.dtype is ts.float32, name
    assert weight.dtype is dtype
