"""Run benchmarks and write what they find: `python benchmarks/run.py [name ...]`.

Each one writes benchmarks/results/<name>.json and its table in the documents. Without names, all run.
`compiled:gpt,bert` makes only these rows of a table anew, and leaves the others as they are.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import report

ROWS_ALONE = (
    "compiled",
    "course",
    "memory",
    "training",
    "recipes",
)  # suites whose rows can be made anew one by one


def _suites() -> dict[str, tuple[str, Callable[[], report.Table]]]:
    """Name -> (document, function); imported late, so that one needs only its own peers."""
    import accuracy
    import chains
    import compiled
    import course
    import demo
    import dynamic
    import eager
    import files
    import first_calls
    import fitting
    import layers
    import limits
    import loading
    import memory
    import networks
    import overhead
    import precision
    import recipes
    import scaling
    import startup
    import threads
    import training
    import transformations
    import tuning

    return {
        "limits": ("performance.md", limits.limits),
        "small": ("performance.md", eager.small),
        "large": ("performance.md", eager.large),
        "products": ("performance.md", eager.products),
        "networks": ("performance.md", networks.networks),
        "layers": ("performance.md", layers.layers),
        "compiled": ("performance.md", compiled.compiled),
        "training": ("performance.md", training.training),
        "recipes": ("performance.md", recipes.recipes),
        "fitting": ("performance.md", fitting.fitting),
        "precision": ("performance.md", precision.precision),
        "losses": ("performance.md", precision.losses),
        "first_calls": ("performance.md", first_calls.first_calls),
        "chains": ("performance.md", chains.chains),
        "overhead": ("performance.md", overhead.overhead),
        "tuning": ("performance.md", tuning.tuning),
        "memory": ("performance.md", memory.memory),
        "transformations": ("performance.md", transformations.transformations),
        "checkpoints": ("performance.md", transformations.checkpoints),
        "dynamic": ("performance.md", dynamic.dynamic),
        "scaling": ("performance.md", scaling.scaling),
        "threads": ("performance.md", threads.threads),
        "files": ("performance.md", files.files),
        "startup": ("performance.md", startup.startup),
        "course": ("performance.md", course.course),
        "loading": ("performance.md", loading.loading),
        "demo": ("performance.md", demo.demo),
        "accuracy": ("mathematics.md", accuracy.accuracy),
    }


def main(names: list[str]) -> None:
    suites = _suites()
    chosen = [name.partition(":")[::2] for name in names]
    unknown = {name for name, _ in chosen} - set(suites)
    if unknown:
        raise SystemExit(
            f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(suites)}"
        )
    for name, rows in chosen or [(name, "") for name in suites]:
        document, function = suites[name]
        print(f"{name}: {(function.__doc__ or '').splitlines()[0]}")
        place = Path(__file__).parents[1] / "docs" / document
        if not rows:
            report.write(function(), place)
        elif name in ROWS_ALONE:
            of_rows: Callable[[list[str]], report.Table] = function  # type: ignore[assignment]
            report.write(report.merged(of_rows(rows.split(","))), place)
        else:
            raise SystemExit(
                f"{name}: its rows are made together; only {', '.join(ROWS_ALONE)} have single ones"
            )


if __name__ == "__main__":
    main(sys.argv[1:])
