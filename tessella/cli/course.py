"""What the course's training scripts (`examples/course/run_*.py`) share."""

from __future__ import annotations

import enum
import math
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

import tessella

MOST = {
    "points": 1_000_000,
    "hidden": 10_000,
    "size": 20_000,
    "batch": 100_000,
    "features": 100_000,
}


# --- what the scripts share ---------------------------------------------------------------------------


class Dataset(enum.Enum):
    """The course's data."""

    simple = "simple"
    diag = "diag"
    split = "split"
    xor = "xor"
    circle = "circle"
    spiral = "spiral"


class Backend(enum.Enum):
    """What tensors are computed by."""

    cpu = "cpu"
    simple = "simple"

    def operations(self) -> Any:
        """The backend of the course of this name."""
        from tessella import minitorch

        ops = minitorch.FastOps if self is Backend.cpu else minitorch.SimpleOps
        return minitorch.TensorBackend(ops)


def seeded(seed: int) -> None:
    """Let a number decide all that is random."""
    random.seed(seed)
    tessella.manual_seed(seed)


def points_of(dataset: Dataset, points: int, seed: int) -> Any:
    """The points of a dataset; the seed decides them and what comes after."""
    from tessella import minitorch

    seeded(seed)
    return minitorch.datasets[dataset.value.capitalize()](points)


def check(
    *, png: Path | None = None, rate: float = 1.0, most: Mapping[str, int] = MOST, **counts: int
) -> None:
    """Complain about options that make no sense, before any time is spent.

    Args:
        most: the largest counts.

    Raises:
        typer.BadParameter: names the option, what was given and what is expected.
    """
    for name, count in counts.items():
        least, largest = 2 if name == "points" else 1, most.get(name, 1_000_000_000)
        if not least <= count <= largest:
            raise typer.BadParameter(
                f"{count} was given; expected a whole number from {least:,} to {largest:,}",
                param_hint=f"--{name}",
            )
    if not (math.isfinite(rate) and rate > 0):
        raise typer.BadParameter(
            f"{rate} was given; expected a number above 0", param_hint="--rate"
        )
    if png is not None and not png.absolute().parent.is_dir():
        raise typer.BadParameter(
            f"{png} cannot be written: there is no folder {png.absolute().parent}",
            param_hint="--png",
        )
