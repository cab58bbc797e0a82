"""Where a second thread begins to pay: each size with one thread, and with all."""

from __future__ import annotations

import numpy as np
from report import Table
from timer import Measurement, compare, readable

import tessella as ts
from tessella.targets.cpu import threads as pool


def threads() -> Table:
    """Small sizes must not be slower for being parallel: the same work with one thread and with all."""
    columns = ["work", "one thread", "all threads", "all by one", "must reach"]
    table = Table("threads", columns)
    for size in (1 << 12, 1 << 14, 1 << 15, 1 << 16, 1 << 17, 1 << 18, 1 << 20):
        x = ts.asarray(np.random.rand(size).astype(np.float32))
        _add(table, f"`x + x`, {size:,}", lambda: x + x)
    for size in (1 << 12, 1 << 14, 1 << 16, 1 << 18):
        x = ts.asarray(np.random.rand(size).astype(np.float32))
        _add(table, f"`exp(x)`, {size:,}", lambda: ts.exp(x))
    for size in (1 << 14, 1 << 16, 1 << 17, 1 << 18, 1 << 20):
        x = ts.asarray(np.random.rand(size).astype(np.float32))
        _add(table, f"`x.sum()`, {size:,}", lambda: x.sum())
    for size in (32, 64, 80, 96, 128, 192, 256):
        m = ts.asarray(np.random.rand(size, size).astype(np.float32))
        _add(table, f"`m @ m`, {size}³", lambda: m @ m)
    return table


def _add(table: Table, work: str, function: object) -> None:
    everybody = pool.count()
    one, every = Measurement(), Measurement()
    for _ in range(3):  # a few long turns: changing the number of threads starts new ones
        pool.set_count(1)
        one.seconds += compare({"one": function}, rounds=5)["one"].seconds
        pool.set_count(everybody)
        every.seconds += compare({"all": function}, rounds=5)["all"].seconds
    ratio = every.median / one.median
    table.rows.append(
        [
            work,
            readable(one.median),
            readable(every.median),
            f"{ratio:.2f} ×",
            "≤ 1.0 × (noise apart)",
        ]
    )
    table.raw.append({"work": work, "one": one.median, "all": every.median, "ratio": ratio})
    print(f"  {work}: {readable(one.median)} {readable(every.median)} {ratio:.2f}")
