"""Module 1: a network of scalars, each of which remembers how it was computed."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

import tessella.minitorch as minitorch
from tessella.cli.boundary import BoundaryView
from tessella.cli.course import MOST, Dataset, check, points_of
from tessella.cli.guard import run

Scalar = minitorch.Scalar


class Linear(minitorch.Module):
    """Weighted sums of the inputs, each with a bias."""

    def __init__(self, in_size: int, out_size: int) -> None:
        super().__init__()
        self.weights = [
            [self._parameter(f"weight_{i}_{j}") for j in range(out_size)] for i in range(in_size)
        ]
        self.bias = [self._parameter(f"bias_{j}") for j in range(out_size)]

    def _parameter(self, name: str) -> minitorch.Parameter:
        return self.add_parameter(name, Scalar(2 * (random.random() - 0.5)))

    def forward(self, inputs: list[Scalar]) -> list[Scalar]:
        totals = [bias.value for bias in self.bias]
        for x, weights in zip(inputs, self.weights, strict=True):
            totals = [t + x * w.value for t, w in zip(totals, weights, strict=True)]
        return totals


class Network(minitorch.Module):
    """Two hidden layers, and the probability of class 1."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.layer1 = Linear(2, hidden)
        self.layer2 = Linear(hidden, hidden)
        self.layer3 = Linear(hidden, 1)

    def forward(self, x: tuple[Scalar, Scalar]) -> Scalar:
        middle = [h.relu() for h in self.layer1(list(x))]
        end = [h.relu() for h in self.layer2(middle)]
        return self.layer3(end)[0].sigmoid()


class ScalarTrain:
    """Trains a network of scalars, one point after the other."""

    def __init__(self, hidden_layers: int) -> None:
        self.model = Network(hidden_layers)

    def run_one(self, x: tuple[float, float]) -> Scalar:
        return self.model((Scalar(x[0], name="x_1"), Scalar(x[1], name="x_2")))

    def train(
        self, data, learning_rate: float, max_epochs: int, log_fn: Callable[..., None]
    ) -> None:
        optim = minitorch.SGD(self.model.parameters(), learning_rate)
        losses: list[float] = []
        for epoch in range(1, max_epochs + 1):
            total_loss, correct = 0.0, 0
            optim.zero_grad()
            for x, label in zip(data.X, data.y, strict=True):
                out = self.run_one(x)
                probability = out if label == 1 else 1.0 - out
                correct += (out.data > 0.5) == (label == 1)
                loss = -probability.log()
                (loss / data.N).backward()
                total_loss += loss.data
            optim.step()
            losses.append(total_loss)
            log_fn(epoch, total_loss, correct, losses)


def main(
    dataset: Annotated[Dataset, typer.Option(help="Which points.")] = Dataset.simple,
    points: Annotated[int, typer.Option(help="How many.")] = 50,
    hidden: Annotated[int, typer.Option(help="Size of the hidden layers.")] = 4,
    rate: Annotated[float, typer.Option(help="Learning rate.")] = 0.5,
    epochs: Annotated[int, typer.Option(help="How often to go through the points.")] = 200,
    seed: Annotated[int, typer.Option(help="Decides the points and the start.")] = 0,
    plot: Annotated[bool, typer.Option(help="Draw in the terminal.")] = True,
    png: Annotated[Path | None, typer.Option(help="Draw to this file, too.")] = None,
) -> None:
    """Train a network of scalars (Module 1)."""
    limits = {**MOST, "hidden": 300}  # each weight is an object of Python
    check(points=points, hidden=hidden, epochs=epochs, rate=rate, png=png, most=limits)
    data = points_of(dataset, points, seed)
    training = ScalarTrain(hidden)

    def predict(X):
        return [training.run_one(x).data for x in X]

    with BoundaryView(data, predict, epochs, plot, png, cells=20) as view:
        training.train(data, rate, epochs, view)


if __name__ == "__main__":
    run(main)
