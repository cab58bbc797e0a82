"""The course's tensors under `tessella.jit`: the same numbers as eagerly, compiled."""

import random

import numpy as np
import pytest

import tessella as ts
from tessella import minitorch
from tessella.errors import TracedValueError

SHAPES = {"first": (2, 8), "first_bias": (8,), "second": (8, 1), "second_bias": (1,)}


class Network(minitorch.Module):
    def __init__(self, backend):
        super().__init__()
        chance = np.random.default_rng(0)
        for name, shape in SHAPES.items():
            self.add_parameter(name, minitorch.tensor(chance.normal(size=shape), backend))

    def forward(self, x):
        hidden = (x @ self.first.value + self.first_bias.value).relu()
        return (hidden @ self.second.value + self.second_bias.value).sigmoid()


class Training:
    """A network, and a step of its training as the course writes it."""

    def __init__(self, backend):
        self.network = Network(backend)
        self.optim = minitorch.SGD(self.network.parameters(), lr=0.5)

    def step(self, x, y):
        self.optim.zero_grad()
        out = self.network(x).view(y.shape[0])
        loss = -(out * y + (out - 1.0) * (y - 1.0)).log()
        (loss / y.shape[0]).sum().view(1).backward()
        total = loss.sum()
        self.optim.step()
        return total

    def parameters(self):
        return {name: p.value.to_numpy() for name, p in self.network.named_parameters()}


def points(backend):
    random.seed(0)
    graph = minitorch.datasets["Xor"](20)
    return minitorch.tensor(graph.X, backend), minitorch.tensor(graph.y, backend)


def agree(eager, compiled):
    for name, expected in eager.parameters().items():
        np.testing.assert_allclose(compiled.parameters()[name], expected, rtol=1e-9, err_msg=name)


def pair(backend):
    """The same training twice: eager, and with its step compiled."""
    eager, compiled = Training(backend), Training(backend)
    return eager, compiled, ts.jit(compiled.step)


def test_training(backend):
    x, y = points(backend)
    eager, compiled, step = pair(backend)
    before, losses = compiled.parameters(), []
    for _ in range(5):
        losses.append(eager.step(x, y).item())
        assert step(x, y).item() == pytest.approx(losses[-1], rel=1e-9)
        agree(eager, compiled)
    assert len(step.traces) == 1
    assert losses == sorted(losses, reverse=True)
    assert all((compiled.parameters()[name] != a).any() for name, a in before.items())


def test_other_data_at_each_step(backend):
    eager, compiled, step = pair(backend)
    for seed in range(3):
        chance = np.random.default_rng(seed)
        x, y = chance.normal(size=(10, 2)), chance.integers(0, 2, size=10)
        batch = [minitorch.tensor(a, backend) for a in (x, y)]
        assert step(*batch).item() == pytest.approx(eager.step(*batch).item(), rel=1e-9)
    agree(eager, compiled)
    assert len(step.traces) == 1


def test_parameters_that_were_updated_in_between_are_seen(backend):
    x, y = points(backend)
    eager, compiled, step = pair(backend)
    for change in (
        lambda p: p.update(p.value * 0.5),
        lambda p: p.update(minitorch.ones(p.value.shape, backend)),
        lambda p: p.value.__setitem__((1, 2), 3.0),
    ):
        for training in (eager, compiled):
            change(training.network.first)
        assert step(x, y).item() == pytest.approx(eager.step(x, y).item(), rel=1e-9)
        agree(eager, compiled)


def test_eager_and_compiled_steps_take_turns(backend):
    x, y = points(backend)
    eager, compiled, step = pair(backend)
    for turn in range(4):
        eager.step(x, y)
        (step if turn % 2 else compiled.step)(x, y)
        agree(eager, compiled)


def test_parameters_remain_leaves_without_gradients(backend):
    x, y = points(backend)
    _, compiled, step = pair(backend)
    step(x, y)
    compiled.optim.zero_grad()
    for parameter in compiled.network.parameters():
        assert parameter.value.is_leaf()
        assert parameter.value.grad is None
        assert parameter.value.backend is backend


def test_arguments_and_results_are_tensors_of_the_course(backend):
    seen = []

    @ts.jit
    def f(pair, factor):
        seen.extend([type(pair["x"]), pair["x"].backend is backend])
        return {"sum": pair["x"] + pair["y"], "same": [pair["x"]], "factor": factor}

    x, y = minitorch.ones((2, 3), backend), minitorch.rand((2, 3), backend)
    for _ in range(2):
        found = f({"x": x, "y": y}, 3)
        assert type(found["sum"]) is type(found["same"][0]) is minitorch.Tensor
        assert found["sum"].backend is found["same"][0].backend is backend
        np.testing.assert_array_equal(found["sum"].to_numpy(), (x + y).to_numpy())
        np.testing.assert_array_equal(found["same"][0].to_numpy(), x.to_numpy())
        assert found["factor"] == 3
    assert seen == [minitorch.Tensor, True] * 2
    assert len(f.traces) == 1


def test_gradients_inside(backend):
    @ts.jit
    def gradient(x):
        x.requires_grad_(True)
        (x.exp() * x).sum().backward()
        return x.grad

    a = np.array([[0.5, -1.0]])
    for scale in (1.0, 2.0):
        found = gradient(minitorch.tensor(a * scale, backend))
        expected = np.exp(a * scale) * (1 + a * scale)
        np.testing.assert_allclose(found.to_numpy(), expected, rtol=1e-12)


def test_leaves_are_leaves_inside(backend):
    @ts.jit
    def gradients(x, constant):
        (x * x * constant).sum().backward()
        return x, x.grad, constant

    a = np.array([[0.5, -1.0]])
    for _ in range(2):
        x, gradient, constant = gradients(
            minitorch.tensor(a, backend, requires_grad=True), minitorch.tensor(a + 2, backend)
        )
        np.testing.assert_allclose(gradient.to_numpy(), 2 * a * (a + 2), rtol=1e-12)
        assert x.is_leaf()
        assert constant.is_constant()


def test_dropout_draws_anew_at_each_call(backend):
    drop = ts.jit(lambda x: minitorch.dropout(x, 0.5))
    x = minitorch.ones((200,), backend)
    masks = [drop(x).to_numpy() for _ in range(3)]
    assert len(drop.traces) == 1
    for mask in masks:
        assert set(mask) == {0.0, 1.0}
        assert 60 < mask.sum() < 140
    assert (masks[0] != masks[1]).any()
    assert (masks[1] != masks[2]).any()


@pytest.mark.parametrize("ask", [lambda x: x[0], lambda x: x.to_numpy(), lambda x: x._tensor])
def test_elements_are_not_known_while_tracing(backend, ask):
    with pytest.raises(TracedValueError, match=r"the elements of a tensor .* were asked for"):
        ts.jit(ask)(minitorch.ones((3,), backend))


def test_what_is_not_known_can_be_printed(backend, capsys):
    ts.jit(lambda x: print(x) or x)(minitorch.ones((3,), backend))
    assert capsys.readouterr().out.startswith("tensor(shape=(3,), dtype=float64, not known yet")
