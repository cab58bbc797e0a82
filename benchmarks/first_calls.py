"""The first call of a compiled step in a new process, and the memory that training takes."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from typing import Any

from report import Table

RUNS = 3
CODE = """
import json, sys, time
sys.path.insert(0, "benchmarks")
from peak import peak_bytes
which, work = sys.argv[1:3]
if which == "Tessella":
    import tessella as ts
    from works import own
    step, data = getattr(own, work)()
    step = ts.jit(step)
elif which == "JAX":
    from works import with_jax
    step, data = getattr(with_jax, work)()
else:
    import torch
    from works import pytorch
    step, data = getattr(pytorch, work)()
    step = torch.compile(step) if which == "torch.compile" else step
times = []
for _ in range(4):
    start = time.perf_counter()
    float(step(*data))
    times.append(time.perf_counter() - start)
print(json.dumps({"first": times[0], "later": min(times[1:]), "peak": peak_bytes()}))
"""
LIMITS = {
    "split": "≤ 0.6 s cold, ≤ 0.15 s warm",
    "gpt": "≤ 4 s cold, ≤ 0.7 s warm, peak ≤ 0.8 × PyTorch eager",
}


def first_calls() -> Table:
    """Seconds of the first call with an empty cache and with a full one, and the peak of memory."""
    columns = ["work", "", "first call, cold", "first call, warm", "peak memory", "must reach"]
    table = Table("first_calls", columns)
    for work, title in (("split", "MLP 2-100-100-1"), ("gpt", "GPT 6×384")):
        for which in ("Tessella", "PyTorch", "torch.compile", "JAX"):
            cold, warm = _measure(which, work)
            table.raw.append({"work": work, "which": which, "cold": cold, "warm": warm})
            peak = statistics.median(run["peak"] for run in warm)
            table.rows.append([
                title, which, f"{_median(cold):.2f} s", f"{_median(warm):.2f} s",
                f"{peak / 2**20:.0f} MiB", LIMITS[work] if which == "Tessella" else "",
            ])  # fmt: skip
            print("  " + ", ".join(table.rows[-1]))
    return table


def _median(runs: list[dict[str, float]]) -> float:
    return statistics.median(run["first"] for run in runs)


def _measure(which: str, work: str) -> tuple[list[Any], list[Any]]:
    cold, warm = [], []
    for _ in range(RUNS):
        with tempfile.TemporaryDirectory() as folder:
            cold.append(_run(which, work, folder))
            warm.append(_run(which, work, folder))
    return cold, warm


def _run(which: str, work: str, folder: str) -> dict[str, float]:
    """One process; every framework keeps what it compiles in the folder."""
    caches = {
        "TESSELLA_CACHE_DIR": f"{folder}/tessella",
        "TORCHINDUCTOR_CACHE_DIR": f"{folder}/inductor",
        "JAX_COMPILATION_CACHE_DIR": f"{folder}/jax",
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }
    done = subprocess.run(
        [sys.executable, "-c", CODE, which, work], check=True, capture_output=True, text=True,
        env={**os.environ, **caches},
    )  # fmt: skip
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found
