"""`tessella course`: the course's training scripts, and what they share.

The scripts are `examples/course/run_*.py`: files to be read, changed and run by themselves, too. In an
installed package they lie in `tessella/examples/course`.
"""

from __future__ import annotations

import enum
import importlib.util
import math
import random
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import typer

import tessella
from tessella.errors import ArgumentError

SCRIPTS = {
    "manual": "run_manual",
    "scalar": "run_scalar",
    "tensor": "run_tensor",
    "fast": "run_fast_tensor",
    "mnist": "run_mnist_multiclass",
    "sentiment": "run_sentiment",
    "parallel": "parallel_check",
}


def load(name: str) -> ModuleType:
    """The script of a command.

    Raises:
        ArgumentError: the scripts are not there.
    """
    package = Path(tessella.__file__).parent
    for folder in (package / "examples" / "course", package.parent / "examples" / "course"):
        path = folder / f"{SCRIPTS[name]}.py"
        if path.is_file():
            spec = importlib.util.spec_from_file_location(f"tessella_course_{name}", path)
            assert spec is not None
            assert spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            return module
    raise ArgumentError(f"course: {SCRIPTS[name]}.py is not installed; reinstall tessella")


def run(name: str, arguments: list[str]) -> None:
    """Run a script with the arguments of the command line."""
    script = typer.Typer(pretty_exceptions_enable=False, add_completion=False)
    script.command()(load(name).main)
    script(arguments, prog_name=f"tessella course {name}")


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
