"""Module 3: the same network with matrix products, in batches, on compiled kernels.

With --jit, a whole step (forward, backward, update) becomes one program.
"""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

import tessella as ts
import tessella.minitorch as minitorch
from tessella.cli.boundary import BoundaryView
from tessella.cli.course import Backend, Dataset, check, points_of
from tessella.cli.guard import run

BATCH = 10


class Linear(minitorch.Module):
    """x W + b."""

    def __init__(self, in_size: int, out_size: int, backend: minitorch.TensorBackend) -> None:
        super().__init__()
        self.weights = minitorch.Parameter(minitorch.rand((in_size, out_size), backend) - 0.5)
        self.bias = minitorch.Parameter(minitorch.zeros((out_size,), backend) + 0.1)

    def forward(self, x: minitorch.Tensor) -> minitorch.Tensor:
        return x @ self.weights.value + self.bias.value


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


class FastTrain:
    """Trains a network of tensors in batches of ten points."""

    def __init__(
        self, hidden_layers: int, backend: minitorch.TensorBackend, jit: bool = False
    ) -> None:
        self.backend = backend
        self.model = Network(hidden_layers, backend)
        self.jit = jit

    def run_one(self, x: tuple[float, float]) -> minitorch.Tensor:
        return self.run_many([x])

    def run_many(self, X) -> minitorch.Tensor:
        return self.model(minitorch.tensor(X, backend=self.backend))

    def train(
        self, data, learning_rate: float, max_epochs: int, log_fn: Callable[..., None]
    ) -> None:
        optim = minitorch.SGD(self.model.parameters(), learning_rate)

        def step(X: minitorch.Tensor, y: minitorch.Tensor) -> tuple:
            optim.zero_grad()
            out = self.model(X).view(y.shape[0])
            probability = (out * y) + (out - 1.0) * (y - 1.0)
            loss = -probability.log()
            (loss / y.shape[0]).sum().backward()
            optim.step()
            return loss.sum(), ((out.detach() > 0.5) == y).sum()

        if self.jit:
            step = ts.jit(step)
        losses: list[float] = []
        pairs = list(zip(data.X, data.y, strict=True))
        for epoch in range(1, max_epochs + 1):
            total_loss, correct = 0.0, 0
            random.shuffle(pairs)
            for first in range(0, len(pairs), BATCH):
                X, y = zip(*pairs[first : first + BATCH], strict=True)
                loss, right = step(
                    minitorch.tensor(X, backend=self.backend),
                    minitorch.tensor(y, backend=self.backend),
                )
                total_loss += loss.item()
                correct += int(right.item())
            losses.append(total_loss)
            log_fn(epoch, total_loss, correct, losses)


def main(
    dataset: Annotated[Dataset, typer.Option(help="Which points.")] = Dataset.split,
    points: Annotated[int, typer.Option(help="How many.")] = 50,
    hidden: Annotated[int, typer.Option(help="Size of the hidden layers.")] = 100,
    rate: Annotated[float, typer.Option(help="Learning rate.")] = 0.05,
    epochs: Annotated[int, typer.Option(help="How often to go through the points.")] = 500,
    backend: Annotated[Backend, typer.Option(help="What tensors are computed by.")] = Backend.cpu,
    jit: Annotated[bool, typer.Option(help="Compile whole steps.")] = False,
    seed: Annotated[int, typer.Option(help="Decides the points and the start.")] = 0,
    plot: Annotated[bool, typer.Option(help="Draw in the terminal.")] = True,
    png: Annotated[Path | None, typer.Option(help="Draw to this file, too.")] = None,
) -> None:
    """Train a network of tensors in batches, on compiled kernels (Module 3)."""
    check(points=points, hidden=hidden, epochs=epochs, rate=rate, png=png)
    data = points_of(dataset, points, seed)
    training = FastTrain(hidden, backend.operations(), jit)

    def predict(X):
        return training.run_many(X).to_numpy()

    with BoundaryView(data, predict, epochs, plot, png) as view:
        training.train(data, rate, epochs, view)


if __name__ == "__main__":
    run(main)
