"""What the machine can do at most: multiply-adds of its processors, and its memory."""

from __future__ import annotations

import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from report import Table
from timer import compare

import tessella as ts
from tessella.targets.cpu import threads
from tessella.targets.cpu.limits import multiply_adds


def limits() -> Table:
    """The peak of fused multiply-adds, without memory; and large copies and reads."""
    table = Table("limits", ["limit", "one thread", "all threads"])
    for dtype in (ts.float32, ts.float64):
        run, flops = multiply_adds(1 << 20, dtype)
        name = f"{dtype.name} fused multiply-adds"
        _add(table, name, "GFLOP/s", 8 * flops / 1e9, functools.partial(run, 8))
    large = ts.asarray(np.zeros(64 << 20, np.float32))
    _add(table, "copy of 256 MiB, read and written", "GB/s", 2 * large.nbytes / 1e9, large.copy)
    _add(table, "update of 256 MiB in place, read and written", "GB/s", 2 * large.nbytes / 1e9, _update())  # fmt: skip
    small = ts.asarray(np.zeros(4 << 20, np.float32))
    _add(table, "sum of 16 MiB, read", "GB/s", small.nbytes / 1e9, small.sum)
    return table


def _update() -> Callable[[], None]:
    """NumPy adds a number in place, a part on each thread: no line is written that was not read."""
    numbers = np.zeros(64 << 20, np.float32)

    def run() -> None:
        parts = np.array_split(numbers, threads.count())
        with ThreadPoolExecutor(len(parts)) as pool:
            list(pool.map(lambda part: np.add(part, np.float32(1), out=part), parts))

    return run


def _add(table: Table, name: str, unit: str, amount: float, function: Callable[[], object]) -> None:
    rates = []
    for count in (1, threads.count()):
        with threads.limited(count):
            rates.append(amount / compare({"all": function}, rounds=7)["all"].median)
    table.rows.append([name, *(f"{rate:.0f} {unit}" for rate in rates)])
    table.raw.append({"limit": name, "unit": unit, "one": rates[0], "all": rates[1]})
    print(f"  {name}: {rates[0]:.0f} {rates[1]:.0f} {unit}")
