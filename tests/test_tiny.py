"""The whole system in a second: if one of these fails, look here first."""

import numpy as np
import pytest

import tessella as ts
from tessella import nn, optim
from tessella.nn import functional as F


def test_a_tensor_knows_its_gradient():
    x = ts.asarray([1.0, 2.0, 3.0]).requires_grad_()
    (x * x).sum().backward()
    assert x.grad.tolist() == [2.0, 4.0, 6.0]


def test_a_function_of_numbers_becomes_an_operation():
    cube = ts.map(lambda x: x * x * x)
    x = ts.asarray([2.0]).requires_grad_()
    y = cube(x)
    y.sum().backward()
    assert (y.item(), x.grad.item()) == (8.0, 12.0)


def test_second_derivatives():
    x = ts.asarray([2.0], dtype=ts.float64).requires_grad_()
    (first,) = ts.gradients([(x**3).sum()], [x], create_graph=True)
    (second,) = ts.gradients([first.sum()], [x])
    assert second.item() == pytest.approx(12.0)


@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_a_network_learns(backend):
    points = np.random.default_rng(0).uniform(-1, 1, (64, 2)).astype(np.float32)
    inside = (np.abs(points).sum(axis=1) < 0.8).astype(np.int64)
    with ts.backend(backend):
        model = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 2))
        optimiser = optim.Adam(model.parameters(), lr=0.05)
        losses = []
        for _ in range(40):
            loss = F.cross_entropy(model(ts.asarray(points)), ts.asarray(inside))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_transformations_nest():
    f = lambda w, x: (ts.tanh(x @ w) ** 2).sum()  # noqa: E731
    w, xs = ts.asarray([0.5, -1.0]), ts.asarray([[1.0, 2.0], [3.0, -1.0]])
    each = ts.vmap(ts.grad(f), in_axes=(None, 0))
    assert ts.jit(each)(w, xs).shape == each(w, xs).shape == (2, 2)
    assert float(ts.hessian(f)(w, xs)[0, 1]) == pytest.approx(float(ts.hessian(f)(w, xs)[1, 0]))


def test_a_loop_compiles():
    total = ts.jit(lambda x: ts.scan(lambda c, v: (c + v, c), ts.asarray(0.0), x))
    last, before = total(ts.asarray([1.0, 2.0, 3.0]))
    assert (last.item(), before.tolist()) == (6.0, [0.0, 1.0, 3.0])
