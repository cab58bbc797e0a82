"""Module 0: a classifier of points whose parameters you choose by hand.

tessella course manual --dataset simple --x1 -6 --bias 3 finds the left half.
"""

from pathlib import Path
from typing import Annotated

import typer

import tessella.minitorch as minitorch
from tessella.cli.boundary import BoundaryView
from tessella.cli.course import Dataset, check, points_of
from tessella.cli.guard import run


class Linear(minitorch.Module):
    """The probability of class 1 on either side of a straight line."""

    def __init__(self, x1: float, x2: float, bias: float) -> None:
        super().__init__()
        self.x1 = minitorch.Parameter(x1)
        self.x2 = minitorch.Parameter(x2)
        self.bias = minitorch.Parameter(bias)

    def forward(self, point: tuple[float, float]) -> float:
        line = self.x1.value * point[0] + self.x2.value * point[1] + self.bias.value
        return minitorch.operators.sigmoid(line)


def main(
    dataset: Annotated[Dataset, typer.Option(help="Which points.")] = Dataset.simple,
    points: Annotated[int, typer.Option(help="How many.")] = 50,
    x1: Annotated[float, typer.Option(help="What the first coordinate counts.")] = -6.0,
    x2: Annotated[float, typer.Option(help="What the second coordinate counts.")] = 0.0,
    bias: Annotated[float, typer.Option(help="What is added.")] = 3.0,
    seed: Annotated[int, typer.Option(help="Decides the points.")] = 0,
    plot: Annotated[bool, typer.Option(help="Draw in the terminal.")] = True,
    png: Annotated[Path | None, typer.Option(help="Draw to this file, too.")] = None,
) -> None:
    """Classify points with parameters that you choose."""
    check(points=points, png=png)
    data = points_of(dataset, points, seed)
    model = Linear(x1, x2, bias)
    found = [model(point) for point in data.X]
    correct = sum((p > 0.5) == bool(label) for p, label in zip(found, data.y, strict=True))
    right = [p if label else 1 - p for p, label in zip(found, data.y, strict=True)]
    loss = -sum(minitorch.operators.log(p) for p in right)
    with BoundaryView(data, lambda X: [model(x) for x in X], 1, plot, png) as view:
        view(1, loss, correct, [loss])


if __name__ == "__main__":
    run(main)
