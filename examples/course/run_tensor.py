"""Module 2: the same network on tensors; all points go through it at once."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

import tessella.minitorch as minitorch
from tessella.cli.boundary import BoundaryView
from tessella.cli.course import Backend, Dataset, check, points_of
from tessella.cli.guard import run


def RParam(*shape: int, backend: minitorch.TensorBackend) -> minitorch.Parameter:
    return minitorch.Parameter(2 * (minitorch.rand(shape, backend=backend) - 0.5))


class Linear(minitorch.Module):
    """x W + b, without a matrix product: broadcast, multiply, sum."""

    def __init__(self, in_size: int, out_size: int, backend: minitorch.TensorBackend) -> None:
        super().__init__()
        self.weights = RParam(in_size, out_size, backend=backend)
        self.bias = RParam(out_size, backend=backend)

    def forward(self, x: minitorch.Tensor) -> minitorch.Tensor:
        batch, in_size = x.shape
        weights = self.weights.value
        products = x.view(batch, in_size, 1) * weights.view(1, *weights.shape)
        return products.sum(1).view(batch, weights.shape[1]) + self.bias.value


class Network(minitorch.Module):
    """Two hidden layers, and the probability of class 1."""

    def __init__(self, hidden: int, backend: minitorch.TensorBackend) -> None:
        super().__init__()
        self.layer1 = Linear(2, hidden, backend)
        self.layer2 = Linear(hidden, hidden, backend)
        self.layer3 = Linear(hidden, 1, backend)

    def forward(self, x: minitorch.Tensor) -> minitorch.Tensor:
        middle = self.layer1(x).relu()
        end = self.layer2(middle).relu()
        return self.layer3(end).sigmoid()


class TensorTrain:
    """Trains a network of tensors on all points at once."""

    def __init__(
        self, hidden_layers: int, backend: minitorch.TensorBackend = minitorch.SimpleBackend
    ) -> None:
        self.backend = backend
        self.model = Network(hidden_layers, backend)

    def run_one(self, x: tuple[float, float]) -> minitorch.Tensor:
        return self.run_many([x])

    def run_many(self, X) -> minitorch.Tensor:
        return self.model(minitorch.tensor(X, backend=self.backend))

    def train(
        self, data, learning_rate: float, max_epochs: int, log_fn: Callable[..., None]
    ) -> None:
        optim = minitorch.SGD(self.model.parameters(), learning_rate)
        X = minitorch.tensor(data.X, backend=self.backend)
        y = minitorch.tensor(data.y, backend=self.backend)
        losses: list[float] = []
        for epoch in range(1, max_epochs + 1):
            optim.zero_grad()
            out = self.model(X).view(data.N)
            probability = out * y + (out - 1.0) * (y - 1.0)
            loss = -probability.log()
            (loss / data.N).sum().backward()
            optim.step()
            total_loss = loss.sum().item()
            losses.append(total_loss)
            correct = int(((out.detach() > 0.5) == y).sum().item())
            log_fn(epoch, total_loss, correct, losses)


def main(
    dataset: Annotated[Dataset, typer.Option(help="Which points.")] = Dataset.simple,
    points: Annotated[int, typer.Option(help="How many.")] = 50,
    hidden: Annotated[int, typer.Option(help="Size of the hidden layers.")] = 10,
    rate: Annotated[float, typer.Option(help="Learning rate.")] = 0.5,
    epochs: Annotated[int, typer.Option(help="How often to go through the points.")] = 500,
    backend: Annotated[
        Backend, typer.Option(help="What tensors are computed by.")
    ] = Backend.simple,
    seed: Annotated[int, typer.Option(help="Decides the points and the start.")] = 0,
    plot: Annotated[bool, typer.Option(help="Draw in the terminal.")] = True,
    png: Annotated[Path | None, typer.Option(help="Draw to this file, too.")] = None,
) -> None:
    """Train a network of tensors (Module 2)."""
    check(points=points, hidden=hidden, epochs=epochs, rate=rate, png=png)
    data = points_of(dataset, points, seed)
    training = TensorTrain(hidden, backend.operations())

    def predict(X):
        return training.run_many(X).to_numpy()

    with BoundaryView(data, predict, epochs, plot, png) as view:
        training.train(data, rate, epochs, view)


if __name__ == "__main__":
    run(main)
