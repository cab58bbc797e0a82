"""The recipes of `tessella train` on real data, with their defaults: what they reach, and how long it takes.

`TESSELLA_DATA` names a folder with `mnist` (IDX files), `sentiment` (*.neg, *.pos) and `text` (a text file).
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from report import Table
from timer import readable

from tessella.cli import scripts

RECIPES: dict[str, tuple[str, str, str]] = {
    # name: (data, what is measured on what was held out, what must be reached)
    "handwriting": ("mnist", "accuracy", "≥ 98.3 %, within 30 s of training"),
    "sentiment": ("sentiment", "accuracy", "≥ 75 %"),
    "gpt": ("text/tinyshakespeare.txt", "loss", "≤ 1.90"),
}


def recipes(names: list[str] | None = None) -> Table:
    """One run of each: the last validation, the best one, and the seconds of training with all validations."""
    table = Table("recipes", ["recipe", "last", "best", "steps", "training", "waiting for data", "must reach"])  # fmt: skip
    data = os.environ.get("TESSELLA_DATA")
    if data is None:
        raise SystemExit("recipes: set TESSELLA_DATA to a folder with mnist, sentiment and text")
    for name in names or RECIPES:
        place, measured, target = RECIPES[name]
        with tempfile.TemporaryDirectory() as folder:
            found: Any = scripts.load(f"train/{name}").main(Path(data) / place, Path(folder))
        values = [line[measured] for line in found.validations]
        best = max(values) if measured == "accuracy" else min(values)
        shown = [f"{measured} {value:.4f}" for value in (values[-1], best)]
        last = found.lines[-1]
        row = [f"`tessella train {name}`", *shown, f"{last['step']:,}", readable(last["time"]), f"{found.waiting:.1%}"]  # fmt: skip
        table.rows.append([*row, target])
        table.raw.append({"work": row[0], "last": values[-1], "best": best, "steps": last["step"], "seconds": last["time"], "waiting": found.waiting})  # fmt: skip
        print("  ", row)
    return table
