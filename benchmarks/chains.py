"""How long programs of many steps take to be traced and compiled, in new processes with empty caches."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile

from report import Table
from timer import readable

CODE = """
import json, sys, time
sys.path.insert(0, "benchmarks")
from works.chains import steps
which, work, count, gradient = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4] == "True"
if which == "Tessella":
    import tessella as xp
    jit, grad = xp.jit, xp.grad
else:
    import jax, jax.numpy as xp
    jit, grad = jax.jit, jax.grad
x, weight = xp.ones((32, 32)), xp.ones((32, 32)) * 0.01
float(jit(lambda x: (x * 3.0).sum())(x))  # what every program needs once
function = steps(xp, work, count)
start = time.perf_counter()
result = jit(grad(function) if gradient else function)(x, weight)
float(result.sum())
print(json.dumps(time.perf_counter() - start))
"""
WORKS = (
    ("sin(x) + 1", 300, False, "≤ 1 s"), ("sin(x) + 1", 300, True, "≤ 1 s"),
    ("sin(x) + 1", 1200, True, "≤ 4.5 × the line above"), ("tanh(x)", 300, True, "≤ 1 s"),
    ("1.5 x + 0.5", 300, True, "≤ 1 s"), ("mixed", 300, True, ""), ("mixed", 5000, False, "≤ 3 × JAX"),
)  # fmt: skip
LONG = 1000  # mixed operations from which on one run is enough: it takes minutes


def chains() -> Table:
    """Seconds of the first call of chains of operations on 32×32 numbers."""
    table = Table("chains", ["work", "steps", "Tessella", "JAX", "ratio", "must reach"])
    for work, count, gradient, target in WORKS:
        runs: dict[str, list[float]] = {"Tessella": [], "JAX": []}
        for _ in range(1 if work == "mixed" and count >= LONG else 3):
            for which, seconds in runs.items():
                seconds.append(_first_call(which, work, count, gradient))
        own, other = (statistics.median(seconds) for seconds in runs.values())
        title = f"{work}, gradient" if gradient else work
        table.rows.append(
            [title, str(count), readable(own), readable(other), f"{own / other:.2f} ×", target]
        )
        table.raw.append({"work": title, "steps": count, **runs})
        print("  " + ", ".join(table.rows[-1]))
    return table


def _first_call(which: str, work: str, count: int, gradient: bool) -> float:
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-c", CODE, which, work, str(count), str(gradient)], check=True,
            capture_output=True, text=True, env={**os.environ, "TESSELLA_CACHE_DIR": folder},
        )  # fmt: skip
    return float(json.loads(done.stdout.splitlines()[-1]))
