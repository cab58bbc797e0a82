"""The sweep over learning rates: what it finds, that it leaves nothing behind, and its picture."""

import random
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

import tessella as ts
from tessella import nn
from tessella.errors import ArgumentError, ArgumentTypeError
from tessella.nn import functional as F
from tessella.train import LearningRates, find_learning_rate, rates


class Batches:
    """Data that know their place."""

    def __init__(self, batches):
        self.batches, self.place = batches, 3

    def __iter__(self):
        for batch in self.batches:
            self.place += 1
            yield batch

    def state_dict(self):
        return {"place": self.place}

    def load_state_dict(self, state):
        self.place = state["place"]


def made(optimizer="SGD", **options):
    ts.manual_seed(3)
    model = nn.Sequential(
        nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.1), nn.Linear(8, 1)
    )
    x = ts.randn(60, 4)
    data = [(x[i : i + 20], x[i : i + 20].sum(axis=1, keepdims=True)) for i in range(0, 60, 20)]
    return model, data, getattr(ts.optim, optimizer)(model.parameters(), **options)


def numbers(tree):
    return [x.numpy().copy() if isinstance(x, ts.Tensor) else x for x in ts.trees.tree_leaves(tree)]


@pytest.mark.parametrize(("name", "options"), [("SGD", {"momentum": 0.9}), ("AdamW", {"lr": 3e-4})])
@pytest.mark.parametrize("is_begun", [False, True])
def test_nothing_is_left_behind(name, options, is_begun):
    model, data, optimiser = made(name, **options)
    if is_begun:
        F.mse_loss(model(data[0][0]), data[0][1]).backward()
        optimiser.step()
    model.eval()
    model[0].train()
    feed = Batches(data)
    before = numbers(
        [model.state_dict(), optimiser.state_dict(), [p.grad for p in model.parameters()]]
    )
    ts.manual_seed(7)
    random.seed(7)
    found = find_learning_rate(model, feed, F.mse_loss, optimiser, steps=12, highest=0.1)
    after = numbers(
        [model.state_dict(), optimiser.state_dict(), [p.grad for p in model.parameters()]]
    )
    np.testing.assert_equal(after, before)
    assert feed.place == 3
    assert [module.training for module in model] == [True, False, False, False, False]
    assert not model.training
    assert len(found.rates) == len(found.losses) == 12
    drawn = ts.randn(3).tolist(), random.random()
    ts.manual_seed(7)
    random.seed(7)
    assert drawn == (ts.randn(3).tolist(), random.random())


def test_it_is_compiled_once(monkeypatch):
    model, data, optimiser = made("Adam")
    steps = []

    class Seen(rates.CompiledStep):
        def __init__(self, *args, **options):
            super().__init__(*args, **options)
            steps.append(self)

    monkeypatch.setattr(rates, "CompiledStep", Seen)
    find_learning_rate(model, data, F.mse_loss, optimiser, steps=30, highest=1e-3)
    (program,) = steps[0]._programs.values()
    assert len(program.function.traces) == 1


def test_the_rate_at_which_a_parabola_falls_fastest():
    weight = nn.Linear(1, 1, bias=False)
    nn.init.constant_(weight.weight, 1.0)
    data = [(ts.ones((1, 1)), ts.zeros((1, 1)))]  # loss w^2: it grows from a rate of 1 on
    found = find_learning_rate(
        weight, data, F.mse_loss, ts.optim.SGD(weight.parameters()), lowest=1e-4
    )
    assert 1e-2 < found.suggestion < 1.0
    assert found.rates[-1] < 10.0  # it ended early
    assert weight.weight.item() == 1.0


def test_groups_keep_their_ratios():
    model, data, _ = made()
    optimiser = ts.optim.SGD([
        {"params": model[0].parameters(), "lr": 0.1}, {"params": model[4].parameters(), "lr": 0.01},
    ])  # fmt: skip
    seen = []

    def forward(model, x, y):
        return F.mse_loss(model(x), y)

    class Watching(Batches):
        def __iter__(self):
            for batch in self.batches:
                seen.append([group["lr"] for group in optimiser.param_groups])
                yield batch

    find_learning_rate(
        model, Watching(data), None, optimiser, forward=forward, steps=3, lowest=1e-3, highest=1e-1
    )
    assert seen[1] == pytest.approx([1e-3, 1e-4])
    assert seen[2] == pytest.approx([1e-2, 1e-3])
    assert [group["lr"] for group in optimiser.param_groups] == [0.1, 0.01]


def test_a_loss_that_is_no_number_ends_it():
    model, data, optimiser = made()
    found = find_learning_rate(model, data, lambda a, b: F.mse_loss(a, b) * float("nan"), optimiser)
    assert len(found.losses) == 1
    assert repr(found) == "LearningRates(the loss never fell; 1 steps from 1e-07 to 1e-07)"


def test_what_is_suggested():
    swept = np.geomspace(1e-6, 1.0, 200)
    falling = 2.0 - 1.5 / (1 + (1e-3 / swept) ** 2) + np.where(swept > 0.1, 50 * (swept - 0.1), 0.0)
    noise = np.random.default_rng(0).normal(size=200) * 0.02
    assert LearningRates(swept, falling + noise).suggestion == pytest.approx(1e-3, rel=0.6)
    assert LearningRates(swept, np.full(200, 2.0) + swept).suggestion is None
    assert LearningRates(swept, falling - 5.0).suggestion == pytest.approx(
        1e-3, rel=0.3
    )  # below zero
    assert LearningRates([], []).suggestion is None
    assert repr(LearningRates(swept, falling)).startswith("LearningRates(0.00")


def test_its_picture(tmp_path):
    swept = np.geomspace(1e-6, 1.0, 50)
    found = LearningRates(swept, 3.0 - np.log10(swept / 1e-6) * 0.4)
    found.plot(tmp_path / "rates.svg")
    svg = ElementTree.fromstring((tmp_path / "rates.svg").read_text())
    assert svg.tag == "{http://www.w3.org/2000/svg}svg"
    assert any(
        "suggested: " in (text.text or "") for text in svg.iter("{http://www.w3.org/2000/svg}text")
    )
    assert found.to_svg() in found._repr_html_()
    with pytest.raises(
        ArgumentError, match=re.escape("'rates.png' does not end with .svg; use 'rates.svg'")
    ):
        found.plot("rates.png")
    with pytest.raises(ArgumentTypeError, match="plot: path is of type int"):
        found.plot(3)
    ElementTree.fromstring(LearningRates([], []).to_svg())


def test_what_is_wrong_is_said():
    with pytest.raises(
        ArgumentError, match="there are 2 rates and 1 losses; expected as many, and positive"
    ):
        LearningRates([0.1, 0.2], [1.0])
    with pytest.raises(
        ArgumentTypeError, match="LearningRates: 'a' is among the losses; expected numbers"
    ):
        LearningRates([0.1], ["a"])
    model, data, optimiser = made()
    with pytest.raises(
        ArgumentError, match=re.escape("lowest is 1.0, highest 0.1; expected 0 < lowest < highest")
    ):
        find_learning_rate(model, data, F.mse_loss, optimiser, lowest=1.0, highest=0.1)
    with pytest.raises(ArgumentError, match="expected a module and an optimiser, for example"):
        find_learning_rate(model, data, F.mse_loss)
    with pytest.raises(ArgumentError, match="data has no batch, or can be gone through once only"):
        find_learning_rate(model, [], F.mse_loss, optimiser)
    with pytest.raises(ArgumentError, match="data has no batch, or can be gone through once only"):
        find_learning_rate(model, iter(data), F.mse_loss, optimiser)
    with pytest.raises(ArgumentTypeError, match="data: 3 was given; expected batches"):
        find_learning_rate(model, 3, F.mse_loss, optimiser)
