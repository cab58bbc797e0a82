"""Event files, read back by TensorBoard's own reader; and what is said where it is not installed."""

import importlib.util
import math
from types import SimpleNamespace

import numpy as np
import pytest

import tessella as ts
from tessella.errors import ArgumentTypeError, MissingPackageError
from tessella.train import TensorBoard


def event(kind, lines, **more):
    return SimpleNamespace(
        kind=kind,
        history=SimpleNamespace(lines=lines),
        **{"step": 0, "epoch": 0, "model": None, **more},
    )


def step(number, loss):
    return {
        "kind": "step",
        "step": number,
        "epoch": 1,
        "time": 0.1 * number,
        "loss": loss,
        "lr": 0.5,
    }


@pytest.fixture
def reader():
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    def read(folder):
        return EventAccumulator(str(folder), {"scalars": 0, "histograms": 0}).Reload()

    return read


def scalars(read, name):
    return [(found.step, found.value) for found in read.Scalars(name)]


@pytest.mark.peers
def test_what_is_written_is_read_by_tensorboard(tmp_path, reader):
    board = TensorBoard(tmp_path, histograms=2)
    model = ts.nn.Linear(20, 30)
    lines = []
    board(event("start", lines))
    for number in range(1, 7):
        lines.append(step(number, 1.0 / number))
        board(event("step", lines, step=number))
    lines.append(
        {
            "kind": "epoch",
            "step": 6,
            "epoch": 1,
            "time": 1.0,
            "loss": 0.25,
            "flag": True,
            "words": "a",
        }
    )
    board(event("epoch", lines, step=6, epoch=1, model=model))
    lines.append({
        "kind": "validation", "step": 6, "epoch": 1, "time": 1.0, "loss": math.nan, "recall": [0.5, None],
        "table": [[1, 2], [3, 4]], "more": {"a": 2},
    })  # fmt: skip
    board(event("validation", lines, step=6, epoch=1))
    board(event("epoch", lines, step=12, epoch=2, model=model))
    board(event("end", lines, step=12, epoch=2))
    train, validation = reader(tmp_path / "train"), reader(tmp_path / "validation")
    assert sorted(train.Tags()["scalars"]) == ["epoch_loss", "loss", "lr"]
    assert scalars(train, "loss") == [(n, np.float32(1.0 / n)) for n in range(1, 7)]
    assert scalars(train, "epoch_loss") == [(6, 0.25)]
    assert sorted(validation.Tags()["scalars"]) == ["loss", "more/a", "recall/0"]
    assert math.isnan(scalars(validation, "loss")[0][1])
    (weights,) = train.Histograms("parameters/weight")
    found, values = weights.histogram_value, model.weight.numpy().astype(np.float64)
    assert weights.step == 12
    assert (found.min, found.max, found.num) == (values.min(), values.max(), 600)
    assert sum(found.bucket) == 600
    assert found.sum == pytest.approx(values.sum())
    assert found.bucket_limit[0] == found.min
    assert found.bucket_limit[-1] == found.max


@pytest.mark.peers
def test_a_training_that_goes_on_takes_back_what_was_lost(tmp_path, reader):
    lines = []
    first = TensorBoard(tmp_path)
    first(event("start", lines))
    for number in range(1, 9):
        lines.append(step(number, 1.0))
        first(event("step", lines, step=number))
    first(event("end", lines))
    second = TensorBoard(tmp_path)  # from a checkpoint after step 5
    kept = lines[:5]
    second(event("start", kept, step=5))
    for number in range(6, 10):
        kept.append(step(number, 2.0))
        second(event("step", kept, step=number))
    second(event("end", kept))
    found = scalars(reader(tmp_path / "train"), "loss")
    assert found == [(n, 1.0) for n in range(1, 6)] + [(n, 2.0) for n in range(6, 10)]


@pytest.mark.peers
def test_parameters_without_numbers_are_left_out(tmp_path, reader):
    model = ts.nn.Linear(2, 2)
    ts.nn.init.constant_(model.weight, math.nan)
    ts.nn.init.constant_(model.bias, 0.0)
    board = TensorBoard(tmp_path, histograms=1)
    board(event("epoch", [], epoch=1, model=model))
    board(event("end", []))
    assert reader(tmp_path / "train").Tags()["histograms"] == ["parameters/bias"]


def test_without_the_package_it_is_refused_by_name(monkeypatch, tmp_path):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        MissingPackageError,
        match=r"need the package tensorboard, which is not installed; pip install 'tessella\[tensorboard\]'",
    ):
        TensorBoard(tmp_path)
    with pytest.raises(ImportError):
        TensorBoard(tmp_path)
    with pytest.raises(ArgumentTypeError, match="TensorBoard: folder is of type int"):
        TensorBoard(3)
