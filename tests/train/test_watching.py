"""What is said of steps that go wrong, and how a training is shown."""

import io
import re

import numpy as np
import pytest

import tessella as ts
from tessella import errors, nn, optim
from tessella.nn import functional as F
from tessella.train.progress import Progress
from tests.train.test_fit import batches, network


class Logarithm(nn.Module):
    """NaN as soon as an output of the first layer is negative."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(2, 4), nn.Linear(4, 2)

    def forward(self, x):
        return self.second(ts.log(self.first(x) + 100.0 * (x[:, :1] < 9.0)))


def fit(model, data, **options):
    optimiser = optim.Adam(model.parameters(), lr=0.01)
    return ts.train.fit(model, data, F.cross_entropy, optimiser, progress=False, **options)


def test_a_loss_that_is_nan_names_step_operation_parameter_and_checkpoint(tmp_path):
    ts.manual_seed(0)
    model, data, seen = Logarithm(), batches(4), []
    x, y = data[2]
    data[2] = (x + 100.0 * (ts.arange(8) == 3)[:, None], y)
    with ts.no_grad():
        model.first.weight.assign(-ts.abs(model.first.weight.detach()))

    def keep(event):
        if event.kind == "step":
            seen.append([p.detach().numpy().copy() for p in model.parameters()])

    with pytest.raises(errors.NotFiniteError) as raised:
        fit(model, data, epochs=2, folder=tmp_path, config={}, callbacks=[keep])
    text = str(raised.value)
    assert text.startswith(
        "fit: step 3 (epoch 1): the loss is nan, of second.bias first, and 3 more;"
    )
    assert re.search(r"test_watching.py:\d+ in forward: log made 4 NaN", text)
    assert "it was left out, and the model was not changed by it" in text
    assert f"the last checkpoint, which is good, is {tmp_path}/checkpoints/step-00000000" in text
    for before, after in zip(seen[1], seen[2], strict=True):
        np.testing.assert_array_equal(before, after)
    assert all(bool(ts.isfinite(p).all()) for p in model.parameters())


def test_a_gradient_that_is_nan_is_noticed_at_its_own_step():
    model = network()

    def forward(model, x, y):
        rest = ((model[0].weight - model[0].weight.detach()) ** 2).sum()
        return F.cross_entropy(model(x), y) + ts.sqrt(rest)  # whose slope at 0 is infinite, times 0

    with pytest.raises(
        errors.NotFiniteError, match=r"step 1 .* but its gradient is not finite, of 0.weight first"
    ):
        ts.train.fit(
            model, batches(2), None, optim.SGD(model.parameters()), forward=forward, epochs=1, progress=False
        )  # fmt: skip
    assert all(bool(ts.isfinite(p).all()) for p in model.parameters())


def test_overflowing_halves_are_left_out_by_the_scaler_and_end_nothing():
    model, data = network(), batches(4)
    scaler = ts.GradScaler(init_scale=2.0**40)
    history = fit(model, data, epochs=6, precision=ts.float16, scaler=scaler)
    assert history.stopped == "epochs" and scaler.get_scale() < 2.0**40


def test_errors_of_a_step_say_which_it_was():
    data = batches(4)
    data[2] = (data[2][0], data[2][1] + 5 * (ts.arange(8) == 6))
    with pytest.raises(
        errors.IndexingError, match=r"is out of range for 2 classes; it stands at 6"
    ) as raised:
        fit(network(), data, epochs=1)
    assert "fit: in step 3, batch 3 of epoch 1" in raised.value.__notes__


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"data": []}, errors.ArgumentError, "data: there is no batch in it"),
        ({"data": ts.ones((3, 2))}, errors.ArgumentTypeError, "expected batches: ts.data.DataLoader"),
        ({"epochs": None}, errors.ArgumentError, "say how long to train: epochs=, steps="),
        ({"optimizer": None}, errors.ArgumentTypeError, "optimizer: nothing was given; expected one such as"),
        ({"model": F.relu}, errors.ArgumentTypeError, "model: .* was given; expected a module"),
        ({"monitor": "accuracy"}, errors.ArgumentError, "there is no 'accuracy'; expected one of loss"),
        ({"metrics": [ts.train.ConfusionMatrix()], "monitor": ts.train.ConfusionMatrix().name}, errors.ArgumentError, "give mode='max'"),
        ({"forward": F.relu}, errors.ArgumentError, "loss was given, and forward, too"),
        ({"ema": 2}, errors.ArgumentTypeError, "expected a decay, for example 0.999"),
        ({"data": [ts.ones((3, 2))]}, errors.ArgumentTypeError, "it has to be \\(inputs, targets\\)"),
        ({"loss": lambda o, y: o}, errors.ArgumentTypeError, "loss gave a tensor of shape \\(8, 2\\); expected a tensor of one"),
        ({"epochs": 0}, errors.ArgumentError, "epochs"),
    ],
    ids=lambda x: str(x)[:30],
)  # fmt: skip
def test_arguments_that_make_no_sense(arguments, error, text):
    model = network()
    usual = {"model": model, "data": batches(2), "loss": F.cross_entropy, "epochs": 1}
    usual["optimizer"] = optim.SGD(model.parameters())
    with pytest.raises(error, match=text):
        ts.train.fit(**{**usual, **arguments}, progress=False)


def test_patience_ends_it_and_the_best_is_known():
    model, results = network(), iter([3.0, 2.0, 2.5, 2.0, 1.0])

    class Given(ts.train.Metric):
        """Results that are given."""

        def empty(self):
            return {}

        def update(self, outputs, targets):
            pass

        def compute(self):
            return next(results)

    history = fit(
        model,
        batches(2),
        epochs=9,
        metrics=[Given("given")],
        monitor="given",
        mode="min",
        patience=2,
    )
    assert history.stopped == "no improvement"
    assert [line["given"] for line in history.epochs] == [3.0, 2.0, 2.5, 2.0]
    assert history.best == history.epochs[1]


def test_validation_changes_nothing_and_measures_the_average():
    data = batches(4)
    alone, seen = network(), network()
    fit(alone, data, epochs=2)
    history = fit(seen, data, epochs=2, validation=data[:2], ema=0.5, metrics=[ts.train.Accuracy()])
    for one, other in zip(alone.parameters(), seen.parameters(), strict=True):
        np.testing.assert_array_equal(one.detach().numpy(), other.detach().numpy())
    again = ts.train.evaluate(
        history.average.module, data[:2], F.cross_entropy, metrics=[ts.train.Accuracy()]
    )
    measured = {name: history.validations[-1][name] for name in again}
    assert again == pytest.approx(measured, rel=1e-6)


class Terminal(io.StringIO):
    """A terminal that remembers."""

    encoding = "utf-8"

    def isatty(self):
        return True


@pytest.mark.parametrize("kind", [io.StringIO, Terminal])
def test_how_it_goes_is_shown_in_eighty_columns(monkeypatch, kind):
    stream = kind()
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setenv("COLUMNS", "80")
    model, data = network(), batches(4)
    ts.train.fit(
        model, data, F.cross_entropy, optim.SGD(model.parameters()), epochs=2, validation=data[:1],
        metrics=[ts.train.Accuracy()],
    )  # fmt: skip
    text = stream.getvalue()
    assert "epoch 2: loss " in text and "; validation: loss " in text
    assert "done: 8 steps in 0:0" in text and "of the time waiting for data" in text
    assert ("compiling the first step" in text) == (kind is Terminal)
    if kind is io.StringIO:
        assert max(map(len, text.splitlines())) <= 80


def test_a_bar_fits_the_terminal():

    model, data, rows = network(), batches(4), []

    def draw(event):
        if event.kind == "step":
            shown = Progress(event._training, Terminal())
            shown.step()
            rows.append([str(shown._bar(width)) for width in (80, 60)])

    fit(model, data, epochs=2, callbacks=[draw])
    assert all(
        len(row) <= width for pair in rows for row, width in zip(pair, (80, 60), strict=True)
    )
    assert "epoch 2/2 " in rows[-1][0] and "100%" in rows[-1][0]
