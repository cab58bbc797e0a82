"""What `fit` costs over the compiled loop that one would write, and how much of its time it waits for data."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

from report import Table

import tessella as ts
from tessella import nn, optim
from tessella.nn import functional as F

ROUNDS = 15
SECONDS = 1.0  # of a block of steps


class TextNetwork(nn.Module):
    """The course's: an embedding that is trained, convolutions of three widths, the largest of each."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(8000, 50)
        self.convolutions = nn.ModuleList([nn.Conv1d(50, 100, width) for width in (3, 4, 5)])
        self.dropout, self.out = nn.Dropout(0.25), nn.Linear(100, 2)

    def forward(self, words: ts.Tensor) -> ts.Tensor:
        x = ts.permute_dims(self.words(words), (0, 2, 1))  # (B, d, T)
        features = sum(ts.max(F.relu(layer(x)), axis=2) for layer in self.convolutions)
        return self.out(self.dropout(features))


def _images() -> tuple[nn.Module, Any, Callable[..., Any], int]:
    model = nn.Sequential(
        nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(9216, 128), nn.ReLU(), nn.Linear(128, 10),
    )  # fmt: skip
    rows = ts.randn(6000, 1, 28, 28), ts.randint(0, 10, (6000,))
    return model, rows, F.cross_entropy, 64


def _sentences() -> tuple[nn.Module, Any, Callable[..., Any], int]:
    rows = ts.randint(0, 8000, (6000, 52)), ts.randint(0, 2, (6000,))
    return TextNetwork(), rows, F.cross_entropy, 50


def _characters() -> tuple[nn.Module, Any, Callable[..., Any], int]:
    from works.own import GPT

    rows = ts.randint(0, 65, (6000, 64)), ts.randint(0, 65, (6000, 64))

    def loss(outputs: ts.Tensor, targets: ts.Tensor) -> ts.Tensor:
        return F.cross_entropy(ts.reshape(outputs, (-1, 65)), ts.reshape(targets, (-1,)))

    return GPT(65, 128, 4, 4, 64, False), rows, loss, 12


WORKS = {
    "CNN, 28×28, batch 64": _images,
    "sentiment CNN, batch 50": _sentences,
    "GPT 4×128, context 64, batch 12": _characters,
}


class Bare:
    """The loop that one would write: a compiled step on batches of a loader, whose losses are read now and then."""

    def __init__(self, make: Callable[[], Any]) -> None:
        model, rows, loss, size = make()
        optimiser = optim.AdamW(model.parameters(), lr=1e-4)
        self.batches = _without_end(ts.data.DataLoader(rows, batch_size=size, shuffle=True))
        self.losses: list[float] = []

        @ts.jit
        def step(inputs: ts.Tensor, targets: ts.Tensor) -> ts.Tensor:
            optimiser.zero_grad()
            found = loss(model(inputs), targets)
            found.backward()
            optimiser.step()
            return found

        self.step = step

    def take(self, steps: int) -> float:
        """Do some steps; the seconds of one."""
        start = time.perf_counter()
        for number in range(steps):
            found = self.step(*next(self.batches))
            if number % 10 == 0:
                self.losses.append(float(found))
        return (time.perf_counter() - start) / steps


def _without_end(loader: Any) -> Iterator[Any]:
    while True:
        yield from loader


class Turns:
    """Batches for `fit`, which are held back after each block of steps, while the bare loop does as many.

    What `fit` does between its first batch of a block and the moment when it asks for the first of the next is its time.
    """

    def __init__(self, loader: Any, bare: Bare) -> None:
        self.loader, self.bare = loader, bare
        self.fitted: list[float] = []
        self.written: list[float] = []

    def __iter__(self) -> Iterator[Any]:
        batches = _without_end(self.loader)
        for _ in range(3):
            yield next(batches)
        self.bare.take(3)
        steps = max(10, round(SECONDS / self.bare.take(10)))
        for number in range(ROUNDS):
            if number % 2:
                self.written.append(self.bare.take(steps))
            start = time.perf_counter()
            for _ in range(steps):
                yield next(batches)
            self.fitted.append((time.perf_counter() - start) / steps)
            if not number % 2:
                self.written.append(self.bare.take(steps))


def fitting() -> Table:
    """A step of `fit`, with its progress shown, beside a step of the bare loop; and the share of waiting."""
    columns = ["work", "fit", "bare loop", "ratio", "waiting for data", "must reach"]
    table = Table("fitting", columns)
    for title, make in WORKS.items():
        ts.manual_seed(0)
        model, rows, loss, size = make()
        loader = ts.data.DataLoader(rows, batch_size=size, shuffle=True)
        turns = Turns(loader, Bare(make))
        optimiser = optim.AdamW(model.parameters(), lr=1e-4)
        ts.train.fit(model, turns, loss, optimiser, epochs=1)
        history = ts.train.fit(model, loader, loss, optimiser, max_time=5.0, progress=False)
        ratio = statistics.median(a / b for a, b in zip(turns.fitted, turns.written, strict=True))
        fit, bare = statistics.median(turns.fitted), statistics.median(turns.written)
        table.rows.append([
            title, f"{fit * 1e3:.2f} ms", f"{bare * 1e3:.2f} ms", f"{ratio:.3f} ×", f"{history.waiting:.1%}",
            "≤ 1.02 ×, < 2 %",
        ])  # fmt: skip
        table.raw.append(
            {"work": title, "fit": fit, "bare": bare, "ratio": ratio, "waiting": history.waiting}
        )
        print(f"  {table.rows[-1]}")
    return table
