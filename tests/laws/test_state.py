"""Random histories of a training run: between calls things are rolled back, replaced, rebound, frozen and changed.

Two worlds that are made alike go through the same history, one with a compiled step, one with the plain one. After
every call both must have returned the same and hold the same.
"""

import copy
import types
import warnings

import numpy as np
import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

import tessella as ts
from tessella import errors, nn, optim
from tessella.nn import functional as F

RATE = 1.0  # a global that histories rebind


class Scaled(nn.Module):
    """A user's layer: a number, a flag, a buffer that is replaced, and one that is written in place."""

    def __init__(self):
        super().__init__()
        self.by, self.shift, self.calls = 1.5, False, 0
        self.register_buffer("mean", ts.zeros(3))
        self.register_buffer("count", ts.zeros(()))

    def forward(self, x):
        self.mean = self.mean * 0.5 + x.detach().mean(axis=0)
        self.count += 1
        self.calls += 1
        y = x * self.by
        return y + self.mean if self.shift else y


class World:
    def __init__(self, seed, kind, jit):
        ts.manual_seed(seed)
        self.model = nn.Sequential(
            nn.Linear(3, 3), Scaled(), nn.BatchNorm1d(3), nn.Tanh(), nn.Linear(3, 2)
        )
        options = {
            "sgd": lambda p: optim.SGD(p, lr=0.1),
            "momentum": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, dampening=0.1),
            "adam": lambda p: optim.Adam(p, lr=0.05),
            "adamw": lambda p: optim.AdamW(p, lr=0.05, amsgrad=True),
        }
        self.optimiser = options[kind](self.model.parameters())
        self.settings = {"weight": 1.0, "power": 2, "names": ["a", "b"]}
        self.config = types.SimpleNamespace(scale=1.0, extra=[0.5], mode="mean")
        self.losses, self.steps, self.last = [], 0, None
        self.saved = None
        self.array = np.ones(2, np.float32)
        self.clip = 5.0
        self.rng = np.random.default_rng(seed)
        clip = 1.0

        def loss_of(y, target):
            loss = F.mse_loss(y * self.array, target) * clip * RATE
            return loss * self.config.scale + sum(self.config.extra)

        def set_clip(value):
            nonlocal clip
            clip = value

        self.set_clip = set_clip

        def step(x, target):
            self.optimiser.zero_grad()
            loss = loss_of(self.model(x), target) ** self.settings["power"]
            if self.config.mode == "sum":
                loss = loss * len(self.settings["names"])
            loss = loss * self.settings["weight"]
            loss.backward()
            self.optimiser.step()
            self.steps += 1
            self.last = loss.detach()
            self.losses.append(self.last)
            return loss

        self.step = jit(step)

    def state(self):
        """All that can be seen from outside."""
        model = {k: v.numpy().copy() for k, v in self.model.state_dict().items()}
        scaled = [(m.by, m.calls) for m in self.model.modules() if isinstance(m, Scaled)]
        optimiser = {
            i: {k: np.asarray(v.numpy()) for k, v in s.items()}
            for i, s in self.optimiser.state_dict()["state"].items()
        }
        return model, scaled, optimiser, self.steps, self.last, self.losses[:]


def save(world, _):
    world.saved = copy.deepcopy((world.model.state_dict(), world.optimiser.state_dict()))


def roll_back(world, _):
    if world.saved is not None:
        model, optimiser = copy.deepcopy(world.saved)
        if model.keys() == world.model.state_dict().keys():
            world.model.load_state_dict(model)
            world.optimiser.load_state_dict(optimiser)


def clear_state(world, _):
    world.optimiser.state.clear()


def replace_head(world, n):
    ts.manual_seed(n)
    world.optimiser.state.pop(world.model[0].weight, None)
    world.model[0].weight = nn.Parameter(ts.rand(3, 3))
    world.optimiser.param_groups[0]["params"][0] = world.model[0].weight


def replace_layer(world, n):
    ts.manual_seed(n)
    setattr(world.model, "3", nn.ReLU() if n % 2 else nn.Tanh())


def replace_scaled(world, n):
    fresh = Scaled()
    fresh.by = 1.0 + n
    setattr(world.model, "1", fresh)


def replace_buffer(world, n):
    for module in world.model.modules():
        if isinstance(module, Scaled):
            module.mean = ts.full((3,), float(n))


def freeze(world, n):
    world.model[4].requires_grad_(bool(n % 2))


def switch_mode(world, n):
    world.model.train(bool(n % 2))


def change_by(world, n):
    for module in world.model.modules():
        if isinstance(module, Scaled):
            module.by = 0.5 * n


def flip_shift(world, _):
    for module in world.model.modules():
        if isinstance(module, Scaled):
            module.shift = not module.shift


def change_rate(world, n):
    for group in world.optimiser.param_groups:
        group["lr"] = 0.01 * (n + 1)


def change_decay(world, n):
    world.optimiser.param_groups[0]["weight_decay"] = 0.1 * (n % 2)


def change_settings(world, n):
    world.settings["weight"] = 0.25 * (n + 1)


def change_power(world, n):
    world.settings["power"] = 1 + n % 2


def change_names(world, n):
    world.settings["names"].append(str(n))


def rebind_settings(world, n):
    world.settings = {**world.settings, "weight": float(n)}


def change_config(world, n):
    world.config.scale = 1.0 + n


def change_extra(world, n):
    world.config.extra.append(0.25 * n)
    world.config.extra[0] = float(n)


def change_config_mode(world, n):
    world.config.mode = ("mean", "sum")[n % 2]


def rebind_config(world, n):
    world.config = types.SimpleNamespace(scale=2.0, extra=[float(n)], mode="mean")


def change_array(world, n):
    world.array[:] = n


def rebind_array(world, n):
    world.array = np.full(2, n + 1, np.float32)


def change_variable(world, n):
    world.set_clip(1.0 + 0.5 * n)


def change_global(world, n):
    global RATE
    RATE = 1.0 + 0.5 * n


def momentum(world, n):
    epsilon = 1e-5 * (n + 1)
    world.model[2].eps, world.model[2].momentum = epsilon, 0.1 * (n + 1)


def write_weights(world, n):
    with ts.no_grad():
        world.model[0].weight *= 0.5 + n


def write_item(world, n):
    with ts.no_grad():
        world.model[0].bias[n % 3] = float(n)


def forget_losses(world, _):
    world.losses = []


ACTIONS = [
    save, roll_back, clear_state, replace_head, replace_layer, replace_scaled, replace_buffer, freeze, switch_mode,
    change_by, flip_shift, change_rate, change_decay, change_settings, change_power, change_names, rebind_settings,
    change_config, change_extra, change_config_mode, rebind_config, change_array, rebind_array, change_variable,
    change_global, momentum, write_weights, write_item, forget_losses,
]  # fmt: skip


def same(a, b):
    if isinstance(a, dict):
        assert list(a) == list(b)
        for key in a:
            same(a[key], b[key])
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            same(x, y)
    elif isinstance(a, (ts.Tensor, np.ndarray)):
        x, y = (np.asarray(v.detach() if isinstance(v, ts.Tensor) else v) for v in (a, b))
        assert x.dtype == y.dtype
        np.testing.assert_allclose(x, y, rtol=2e-3, atol=2e-4)
    else:
        assert a == b or (a is None and b is None)


def run(kind, history, seed=0):
    global RATE
    RATE = 1.0
    plain, compiled = World(seed, kind, lambda f: f), World(seed, kind, ts.jit)
    rng = np.random.default_rng(seed)
    for actions in history:
        for action, n in actions:
            note(f"{action.__name__}({n})")
            for world in (plain, compiled):
                action(world, n)
        x = ts.asarray(rng.normal(size=(4, 3)).astype(np.float32))
        target = ts.asarray(rng.normal(size=(4, 2)).astype(np.float32))
        same(compiled.step(x, target), plain.step(x, target))
        same(compiled.state(), plain.state())


ACTION = st.tuples(st.sampled_from(ACTIONS), st.integers(0, 3))


@pytest.mark.parametrize("kind", ["sgd", "momentum", "adam", "adamw"])
@settings(max_examples=settings.default.max_examples // 4)
@given(history=st.lists(st.lists(ACTION, max_size=2), min_size=2, max_size=6))
def test_a_compiled_step_follows_whatever_happens_between_calls(kind, history):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", errors.RetraceWarning)
        warnings.simplefilter("ignore", RuntimeWarning)
        run(kind, history)
