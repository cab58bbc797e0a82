"""Lion and LAMB do what their papers say, eagerly and compiled."""

import numpy as np
import pytest

import tessella as ts
from tessella import nn, optim
from tests.optim.rows import OWN, shapes


def lion(p, g, state, lr, betas=(0.9, 0.99), weight_decay=0.0):
    """Chen et al. 2023, algorithm 2."""
    m = state.setdefault("m", np.zeros_like(p))
    update = np.sign(betas[0] * m + (1 - betas[0]) * g)
    state["m"] = betas[1] * m + (1 - betas[1]) * g
    return p - lr * (update + weight_decay * p)


def lamb(p, g, state, lr, betas=(0.9, 0.999), eps=1e-6, weight_decay=0.0):
    """You et al. 2020, algorithm 2."""
    t = state["t"] = state.get("t", 0) + 1
    state["m"] = betas[0] * state.get("m", 0) + (1 - betas[0]) * g
    state["v"] = betas[1] * state.get("v", 0) + (1 - betas[1]) * g * g
    m, v = state["m"] / (1 - betas[0] ** t), state["v"] / (1 - betas[1] ** t)
    update = m / (np.sqrt(v) + eps) + weight_decay * p
    size, step = np.linalg.norm(p), np.linalg.norm(update)
    return p - lr * (size / step if size > 0 and step > 0 else 1.0) * update


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
@pytest.mark.parametrize(("name", "options"), OWN, ids=str)
def test_steps(name, options, compiled):
    random = np.random.default_rng(0)
    start = [random.standard_normal(shape) for shape in shapes(name)] + [np.zeros(3)]
    own = [nn.Parameter(ts.asarray(x)) for x in start]
    optimiser = getattr(optim, name)(own, **options)
    others = dict(options)
    sign = -1.0 if others.pop("maximize", False) else 1.0
    rule, states = {"Lion": lion, "LAMB": lamb}[name], [{} for _ in start]

    def step():
        optimiser.zero_grad()
        sum(((p - 1.0) ** 2).sum() for p in own).backward()
        optimiser.step()

    moved = ts.jit(step) if compiled else step
    for _ in range(5):
        moved()
        start = [
            rule(p, sign * 2 * (p - 1), s, **others) for p, s in zip(start, states, strict=True)
        ]
        others["lr"] *= 0.5
        optimiser.param_groups[0]["lr"] *= 0.5
    for ours, expected in zip(own, start, strict=True):
        np.testing.assert_allclose(ours.numpy(), expected, rtol=1e-9)
    assert not compiled or len(moved.traces) == 1
