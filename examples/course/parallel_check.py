"""Module 3: what becomes of the operations, as in the course's report on parallel loops.

For each operation: its loops, which of them run on all processors, how many numbers go through one
instruction, what is computed outside of loops, and what was joined with what.
"""

from collections.abc import Callable
from typing import Annotated

import typer

import tessella as ts
import tessella.minitorch as minitorch
from tessella.cli.course import check
from tessella.cli.guard import run
from tessella.cli.loops import report

BACKEND = minitorch.TensorBackend(minitorch.FastOps)


def square_plus_one(x: float) -> float:
    return x * x + 1.0


def operations(size: int) -> dict[str, tuple[Callable, tuple]]:
    """Each operation with what it is applied to."""
    a, b = (minitorch.rand((size, size), backend=BACKEND) for _ in range(2))
    f = a.f
    return {
        "MAP": (minitorch.FastOps.map(square_plus_one), (a,)),
        "ZIP": (f.add_zip, (a, b)),
        "REDUCE": (lambda a: f.add_reduce(a, 1), (a,)),
        "MATRIX MULTIPLY": (f.matrix_multiply, (a, b)),
        "A CHAIN, FUSED": (lambda a, b: ((a @ b).relu() * 2.0 + b).sum(1), (a, b)),
    }


def main(
    size: Annotated[int, typer.Option(help="Rows and columns of the tensors.")] = 512,
    everything: Annotated[
        bool, typer.Option("--everything", help="Show what packs operands of products, too.")
    ] = False,
    only: Annotated[str | None, typer.Option(help="One of them, as in --only map.")] = None,
) -> None:
    """Show the loops of each operation, and what runs in parallel (Module 3)."""
    check(size=size)
    found = operations(size)
    chosen = {name: one for name, one in found.items() if only is None or only.upper() in name}
    if not chosen:
        raise typer.BadParameter(f"{only!r}; there are {', '.join(found)}", param_hint="--only")
    for name, (function, arguments) in chosen.items():
        report(name, ts.jit(function), arguments, everything)


if __name__ == "__main__":
    run(main)
