"""`fit` does what the loop does that one would write."""

import numpy as np
import pytest

import tessella as ts
from tessella import nn, optim
from tessella.nn import functional as F


def batches(count: int = 6, size: int = 8):
    """Points in a plane and the quadrant's sign."""
    random = np.random.default_rng(0)
    x = random.standard_normal((count * size, 2)).astype(np.float32)
    y = (x[:, 0] * x[:, 1] > 0).astype(np.int64)
    cuts = range(0, count * size, size)
    return [(ts.asarray(x[i : i + size]), ts.asarray(y[i : i + size])) for i in cuts]


def network():
    ts.manual_seed(0)
    return nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 2))


def fit(model, data, optimizer, **options):
    return ts.train.fit(
        model, data, F.cross_entropy, optimizer, progress=False, log_every=1, **options
    )


def by_hand(data, epochs, accumulate=1, clip_norm=None):
    """The losses of a loop that is written out, eagerly."""
    model = network()
    optimiser = optim.Adam(model.parameters(), lr=0.05)
    losses = []
    for _ in range(epochs):
        for start in range(0, len(data), accumulate):
            group = data[start : start + accumulate]
            optimiser.zero_grad()
            total = 0.0
            for x, y in group:
                loss = F.cross_entropy(model(x), y)
                (loss / len(group)).backward()
                total += loss.item() / len(group)
            if clip_norm is not None:
                nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
            optimiser.step()
            losses.append(total)
    return losses


@pytest.mark.parametrize(
    "options", [{}, {"accumulate": 2}, {"accumulate": 4}, {"clip_norm": 0.1}], ids=str
)
def test_losses_are_those_of_a_loop_written_out(options):
    data, model = batches(), network()
    history = fit(model, data, optim.Adam(model.parameters(), lr=0.05), epochs=3, **options)
    np.testing.assert_allclose(history.losses, by_hand(data, 3, **options), rtol=1e-5)
    assert history.stopped == "epochs"


def test_a_step_of_ones_own():
    data, model = batches(), network()
    optimiser = optim.Adam(model.parameters(), lr=0.05)

    @ts.jit
    def step(x, y):
        optimiser.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimiser.step()
        return loss

    history = ts.train.fit(
        model, data, optimizer=optimiser, step=step, epochs=2, log_every=1, progress=False
    )
    np.testing.assert_allclose(history.losses, by_hand(data, 2), rtol=1e-5)


def test_the_limit_in_steps_ends_within_an_epoch():
    data, model = batches(), network()
    history = fit(model, data, optim.SGD(model.parameters(), lr=0.1), steps=8)
    assert len(history.losses) == 8 and history.stopped == "steps"
    assert [line["step"] for line in history.epochs] == [6]


def test_callbacks_are_told_and_may_stop():
    data, model, told = batches(), network(), []

    def callback(event):
        told.append((event.kind, event.step, event.epoch))
        if event.kind == "step" and event.step == 7:
            assert event.loss == event.history.losses[-1]
            assert set(event.gradient_norms) == {name for name, _ in model.named_parameters()}
            event.stop("enough")

    history = fit(
        model, data, optim.SGD(model.parameters(), lr=0.1), epochs=5, validation=data[:1],
        callbacks=[callback],
    )  # fmt: skip
    assert history.stopped == "enough"
    assert told[0] == ("start", 0, 1) and told[-1] == ("end", 7, 2)
    assert told[7:10] == [("epoch", 6, 1), ("validation_step", 6, 1), ("validation", 6, 1)]
