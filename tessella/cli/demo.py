"""The demo: a small convolutional network learns to read real handwriting."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

import numpy as np

import tessella as ts
from tessella import nn, optim
from tessella.nn import functional as F

Array = np.ndarray[Any, Any]
BATCH = 64
PEAK_RATE = 8e-3


class DigitNet(nn.Module):
    """Two convolutions, each with pooling, and two linear layers: (N, 1, 8, 8) -> (N, 10)."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1),
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
        )
        self.classifier = nn.Sequential(
            nn.Linear(32 * 2 * 2, 64), nn.ReLU(), nn.Dropout(0.25), nn.Linear(64, 10)
        )

    def forward(self, x: ts.Tensor) -> ts.Tensor:
        return self.classifier(self.features(x))


@dataclass(frozen=True)
class Digits:
    """Images (N, 8, 8) from 0 to 16 and their labels, for training and held out."""

    train_images: Array
    train_labels: Array
    test_images: Array
    test_labels: Array


def load_digits(seed: int) -> Digits:
    """The 1,797 digits; a fifth of each class, chosen by the seed, is held out."""
    path = resources.files("tessella.cli") / "digits.npz"
    with path.open("rb") as file, np.load(file, allow_pickle=False) as data:
        images, labels = data["images"], data["labels"]
    random = np.random.default_rng(seed)
    held_out = np.zeros(len(labels), bool)
    for digit in range(10):
        places = random.permutation(np.flatnonzero(labels == digit))
        held_out[places[: round(len(places) / 5)]] = True
    return Digits(images[~held_out], labels[~held_out], images[held_out], labels[held_out])


@dataclass
class History:
    """What happened: one entry for each finished epoch, and the state at the end.

    Units: `seconds` are those of everything, `stepping` those of the training steps.
    """

    seed: int
    losses: list[float] = field(default_factory=list)
    train_accuracies: list[float] = field(default_factory=list)
    test_accuracies: list[float] = field(default_factory=list)
    seconds: float = 0.0
    images_seen: int = 0
    stepping: float = 0.0
    interrupted: bool = False
    predictions: Array | None = None

    @property
    def images_per_second(self) -> float:
        """How fast training steps went, the compilation of the first included."""
        return self.images_seen / self.stepping if self.stepping else 0.0

    @property
    def accuracy(self) -> float:
        """Held-out accuracy after the last finished epoch."""
        return self.test_accuracies[-1] if self.test_accuracies else 0.0


Step = Callable[[ts.Tensor, ts.Tensor, float], tuple[ts.Tensor, ts.Tensor]]
Progress = Callable[[int, int, float, float, float], None]


def train(digits: Digits, epochs: int, seed: int, progress: Progress) -> History:
    """Train, and tell `progress(epoch, step, loss, accuracy, images per second)` all along.

    An interrupt (Ctrl-C) ends training; what was learnt so far is kept.
    """
    ts.manual_seed(seed)
    random = np.random.default_rng(seed)
    history = History(seed)
    start = time.perf_counter()
    model = DigitNet()
    step = _training_step(model)
    steps = -(-len(digits.train_labels) // BATCH)
    try:
        for epoch in range(epochs):
            model.train()
            _epoch(step, digits, history, epoch, epochs * steps, random, progress)
            history.predictions = predict(model, digits.test_images)
            correct = history.predictions.argmax(axis=1) == digits.test_labels
            history.test_accuracies.append(float(correct.mean()))
    except KeyboardInterrupt:
        history.interrupted = True
        done = len(history.test_accuracies)  # forget the half epoch
        del history.losses[done:], history.train_accuracies[done:]
    history.seconds = time.perf_counter() - start
    if history.predictions is None:
        history.predictions = predict(model, digits.test_images)
    return history


def _training_step(model: DigitNet) -> Step:
    """One step of gradient descent, compiled: forward, backward and the optimiser as one program."""
    optimiser = optim.AdamW(model.parameters(), lr=PEAK_RATE, weight_decay=0.02)

    @ts.jit
    def step(images: ts.Tensor, labels: ts.Tensor, rate: float) -> tuple[ts.Tensor, ts.Tensor]:
        optimiser.param_groups[0]["lr"] = rate
        logits = model(images)
        loss = F.cross_entropy(logits, labels, label_smoothing=0.05)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        return loss, logits

    return step


def _epoch(
    step: Step, digits: Digits, history: History, epoch: int,
    total_steps: int, random: np.random.Generator, progress: Progress,
) -> None:  # fmt: skip
    order = random.permutation(len(digits.train_labels))
    loss_sum = correct = seen = 0.0
    start = time.perf_counter() - history.stepping
    for number, first in enumerate(range(0, len(order), BATCH)):
        chosen = order[first : first + BATCH]
        images = ts.asarray(augment(digits.train_images[chosen], random))
        labels = ts.asarray(digits.train_labels[chosen].astype(np.int64))
        rate = _rate(epoch * -(-len(order) // BATCH) + number, total_steps)
        loss, logits = step(images, labels, rate)
        loss_sum += float(loss) * len(chosen)
        correct += float((logits.numpy().argmax(axis=1) == digits.train_labels[chosen]).sum())
        seen += len(chosen)
        history.images_seen += len(chosen)
        history.stepping = time.perf_counter() - start
        progress(epoch, number, loss_sum / seen, correct / seen, history.images_per_second)
    history.losses.append(loss_sum / seen)
    history.train_accuracies.append(correct / seen)


def _rate(step: int, total: int) -> float:
    """The learning rate: a short rise, then half a cosine down to nothing."""
    rise = max(1, total // 10)
    if step < rise:
        return PEAK_RATE * (step + 1) / rise
    return PEAK_RATE * 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, total - rise)))


def augment(images: Array, random: np.random.Generator) -> Array:
    """Images (N, 8, 8) moved by up to a pixel, as float32 (N, 1, 8, 8) from -1 to 1."""
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1)))
    shifts = random.choice([0, 1, 1, 1, 2], size=(2, len(images)))
    rows = shifts[0][:, None, None] + np.arange(8)[None, :, None]
    columns = shifts[1][:, None, None] + np.arange(8)[None, None, :]
    moved = padded[np.arange(len(images))[:, None, None], rows, columns]
    return prepare(moved)


def prepare(images: Array) -> Array:
    """Pixels from 0 to 16 as float32 (N, 1, 8, 8) from -1 to 1."""
    return (images[:, None].astype(np.float32) / 8.0) - 1.0


def predict(model: DigitNet, images: Array) -> Array:
    """The probability of each digit for each image: (N, 10)."""
    model.eval()
    with ts.no_grad():
        return np.array(F.softmax(model(ts.asarray(prepare(images)))).numpy())


def mistakes_first(history: History, labels: Array) -> Array:
    """The order in which to show the held-out digits: wrong ones, then the least certain."""
    assert history.predictions is not None
    probabilities = history.predictions
    right = probabilities.argmax(axis=1) == labels
    certainty = probabilities[np.arange(len(labels)), labels]
    return np.lexsort((certainty, right))


def confusion(history: History, labels: Array) -> Array:
    """How often each digit (row) was read as each digit (column)."""
    assert history.predictions is not None
    table = np.zeros((10, 10), int)
    np.add.at(table, (labels, history.predictions.argmax(axis=1)), 1)
    return table
