"""Training steps in float32 and inside `ts.autocast(ts.bfloat16)`: times for several processors, and losses.

Times are those that one thread had the processor for, as the machine is shared. One processor serves as several: `TESSELLA_CPU` leaves out instructions, in a process of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from report import Table
from timer import Measurement, compare

WORKS = {
    "gpt": "GPT 6×384, T 128, batch 8, AdamW, train",
    "cnn": "CNN 28×28, batch 64, Adam, train",
}
LEVELS = {"x86-64-v4+bf16": "≤ 0.67", "x86-64-v4": "≤ 1.05", "x86-64-v3": "≤ 1.05"}
SEEDS, AT = (0, 1), (1, 10, 20, 40)  # of losses: the seeds, and after which steps


def precision() -> Table:
    """bfloat16 against float32, in turns."""
    table = Table("precision", ["work", "bfloat16", "float32", "ratio", "must reach"])
    for level, target in LEVELS.items():
        answer = subprocess.run(
            [sys.executable, __file__],
            env={**os.environ, "TESSELLA_CPU": level},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        for name, seconds in json.loads(answer.stdout.splitlines()[-1]).items():
            found = {precision: Measurement(each) for precision, each in seconds.items()}
            table.add(f"{WORKS[name]}, {level}", found, target)
    return table


def losses() -> Table:
    """Losses after some steps on one batch, in both precisions, from two seeds."""
    table = Table("losses", ["work", *(f"step {number}" for number in AT)])
    for name, title in WORKS.items():
        for seed in SEEDS:
            for dtype in ("float32", "bfloat16"):
                found = curve(name, dtype, seed)
                shown = [f"{found[number - 1]:.4f}" for number in AT]
                table.rows.append([f"{title}, seed {seed}, {dtype}", *shown])
                table.raw.append({"work": name, "seed": seed, "dtype": dtype, "losses": found})
                print("  ", table.rows[-1])
    return table


def curve(name: str, dtype: str, seed: int) -> list[float]:
    """The losses of the first steps."""
    step, data = trained(name, dtype, seed)
    return [float(step(*data)) for _ in range(max(AT))]


def trained(name: str, dtype: str, seed: int = 0) -> tuple[Callable[..., Any], Any]:
    """A compiled step of training, and its data: the same numbers in both precisions."""
    from works import own

    import tessella as ts

    ts.manual_seed(seed)
    own.random = np.random.default_rng(seed)
    step, data = getattr(own, name)()
    with_dtype = ts.autocast(ts.bfloat16, enabled=dtype == "bfloat16")
    return ts.jit(with_dtype(step)), data


def times() -> dict[str, dict[str, list[float]]]:
    """Seconds of a step of each work, in each precision: of the processor, in one thread."""
    import tessella as ts

    ts.set_num_threads(1)
    found = {}
    for name in WORKS:
        steps = {dtype: trained(name, dtype) for dtype in ("bfloat16", "float32")}
        contenders = {dtype: lambda s=step, d=data: s(*d) for dtype, (step, data) in steps.items()}
        rounds = 5 if name == "gpt" else 15
        measured = compare(contenders, rounds, clock=time.thread_time)
        found[name] = {dtype: one.seconds for dtype, one in measured.items()}
    return found


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    print(json.dumps(times()))
