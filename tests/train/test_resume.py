"""A run that was broken off goes on bit for bit."""

import functools
import random

import numpy as np
import pytest

import tessella as ts
from tessella import nn, optim
from tessella.nn import functional as F
from tests.train import kill
from tests.train.test_fit import batches


class Broken(Exception):
    """What ends a run in the middle."""


def breaking_at(step):
    """A callback that ends the run."""

    def callback(event):
        if event.kind == "step" and event.step == step:
            raise Broken

    return callback


def without_times(lines):
    """What was measured."""
    return [{name: x for name, x in line.items() if name != "time"} for line in lines]


def run(make, folder, *, stop_at=None, also=(), steps=10, **options):
    """A run of ten steps with a checkpoint after each third, from the beginning or from where it was."""
    ts.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 8), nn.Dropout(0.2), nn.Tanh(), nn.Linear(8, 2))
    optimiser = make(model)
    return ts.train.fit(
        model, batches(4), F.cross_entropy, optimiser, steps=steps, every=3, log_every=1, folder=folder,
        config={}, callbacks=[breaking_at(stop_at), *also], progress=False, **options,
    )  # fmt: skip


def _made(name, model):
    return getattr(optim, name)(model.parameters())


OPTIMISERS = {
    name: functools.partial(_made, name)
    for name in sorted(optim.__all__)
    if isinstance(getattr(optim, name), type) and name not in ("Optimizer", "LBFGS", "Muon")
}
OPTIMISERS["SGD with momentum"] = lambda model: optim.SGD(model.parameters(), 0.1, momentum=0.9)
OPTIMISERS["Muon"] = lambda model: optim.Muon([p for p in model.parameters() if p.ndim == 2])


@pytest.mark.parametrize("name", OPTIMISERS)
def test_every_optimiser_goes_on(tmp_path, name):
    whole = run(OPTIMISERS[name], tmp_path / "whole")
    with pytest.raises(Broken):
        run(OPTIMISERS[name], tmp_path / "broken", stop_at=5)
    found = run(OPTIMISERS[name], tmp_path / "broken")
    assert without_times(found.lines) == without_times(whole.lines)
    assert kill.lines(tmp_path / "broken") == kill.lines(tmp_path / "whole")


def test_killed_at_random_moments(tmp_path):
    kill.whole(tmp_path / "whole", "halves")
    killed = kill.kill_until_done(tmp_path / "killed", "halves", 3, random.Random(1))
    assert killed and kill.lines(tmp_path / "killed") == kill.lines(tmp_path / "whole")


class Loop(nn.Module):
    """Looks at texts of any length."""

    def __init__(self):
        super().__init__()
        self.embedding, self.out = nn.Embedding(20, 16), nn.Linear(16, 2)

    def forward(self, x):
        h = self.embedding(x)  # (B, T, 16)
        return self.out(ts.max(h @ ts.permute_dims(h, (0, 2, 1)) @ h, axis=1))


def test_sizes_that_were_compiled_first_are_those_that_were_then(tmp_path):
    random = np.random.default_rng(0)
    data = [(random.integers(0, 20, (4, n)), random.integers(0, 2, 4)) for n in (51, 40, 33, 19)]

    def train(folder, stop_at=None):
        ts.manual_seed(0)
        model = Loop()
        return ts.train.fit(
            model, data, F.cross_entropy, optim.Adam(model.parameters(), lr=0.01), epochs=2, every=1, log_every=1,
            folder=folder, config={}, callbacks=[breaking_at(stop_at)], progress=False,
        )  # fmt: skip

    whole = train(tmp_path / "whole")
    with pytest.raises(Broken):
        train(tmp_path / "broken", 5)
    assert train(tmp_path / "broken").losses == whole.losses


@pytest.mark.parametrize("stop_at", [3, 9, 12])
def test_epochs_of_a_loader_go_on_with_the_schedule_that_follows_them(tmp_path, stop_at):
    def train(folder, stop_at=None):
        ts.manual_seed(0)
        model = nn.Sequential(nn.Linear(2, 8), nn.Dropout(0.2), nn.Linear(8, 2))
        optimiser = optim.SGD(model.parameters(), lr=0.5, momentum=0.9)
        schedule = optim.lr_scheduler.ReduceLROnPlateau(optimiser, patience=0)
        rows = tuple(ts.concat([batch[i] for batch in batches(4)]) for i in range(2))
        return ts.train.fit(
            model, ts.data.DataLoader(rows, batch_size=6, shuffle=True), F.cross_entropy, optimiser,
            epochs=4, patience=3, scheduler=schedule, schedule_by="epoch", folder=folder, config={}, log_every=2,
            callbacks=[breaking_at(stop_at)], metrics=[ts.train.Accuracy()], validation=batches(1), progress=False,
        )  # fmt: skip

    whole = train(tmp_path / "whole")
    with pytest.raises(Broken):
        train(tmp_path / "broken", stop_at)
    found = train(tmp_path / "broken")
    assert without_times(found.lines) == without_times(whole.lines)
    assert found.stopped == whole.stopped
    assert without_times([found.best]) == without_times([whole.best])
    assert train(tmp_path / "broken").lines == found.lines  # it is done, and stays so


class Noisy(nn.Module):
    """A model that draws random numbers when it is measured, too."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 2)

    def forward(self, x):
        found = self.layer(x)
        return found + ts.randn_like(found)


def test_what_a_validation_draws_does_not_hang_on_those_before(tmp_path):
    """A loader draws a seed when it is first gone through, which is another time in a run that goes on."""

    def go(folder, stop_at=None):
        ts.manual_seed(0)
        model = Noisy()
        held_out = ts.data.DataLoader((np.ones((8, 2), np.float32), np.arange(8) % 2), 4)
        return ts.train.fit(
            model, batches(4), F.cross_entropy, optim.SGD(model.parameters(), 0.1), steps=9, every=3, folder=folder,
            config={}, validation=held_out, callbacks=[breaking_at(stop_at)], progress=False,
        )  # fmt: skip

    whole = go(tmp_path / "whole")
    with pytest.raises(Broken):
        go(tmp_path / "broken", 5)
    assert without_times(go(tmp_path / "broken").lines) == without_times(whole.lines)
