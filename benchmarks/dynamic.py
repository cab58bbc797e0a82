"""Many sizes through one compiled function: what a new size costs, and what a call costs."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from report import Table
from timer import compare

SIZES = (128, 64, 96, 32, 100, 48, 17, 200, 8, 3, 80, 256, 25, 150, 5, 72, 12, 1, 37, 512)
FEW = (16, 8, 12, 6, 10, 3, 7, 14, 5, 1)
TIMED = (1, 5, 32, 100, 256)
TIMED_FEW = (1, 6, 12)
WORKS = {
    "MLP 784-512-512-10, SGD, train": ("mlp", SIZES, TIMED),
    "CNN 1-32-64, Adam, train": ("cnn", FEW, TIMED_FEW),
    "GPT 6×384, T 128, AdamW, train": ("gpt", FEW[:6], TIMED_FEW[:2]),
}


def dynamic() -> Table:
    """Training steps for batches of many sizes: how often a function is traced, and at what price."""
    import tessella as ts

    columns = [
        "work", "sizes", "traces", "kernels", "first calls, all sizes", "JAX, first calls, all sizes",
        "one more size, beyond the call", "call: dynamic / specialised", "must reach",
    ]  # fmt: skip
    table = Table("dynamic", columns)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TESSELLA_CACHE_DIR"] = folder
        from works import own, with_jax

        for title, (work, sizes, timed) in WORKS.items():
            step, data = getattr(own, work)()
            jitted = ts.jit(step)
            firsts = [_seconds(lambda n=n: float(jitted(*_resized(data, n)))) for n in sizes]
            kernels = {
                native.call.kernel
                for found in jitted.specialisations.values()
                for native in found[0].program.native_steps
                if hasattr(native, "call")
            }
            another = _resized(data, sizes[0] - 1)
            first, second = (_seconds(lambda: float(jitted(*another))) for _ in range(2))
            more = first - second
            theirs, their_data = getattr(with_jax, work)()
            their_firsts = [
                _seconds(lambda n=n: float(theirs(*_resized(their_data, n)))) for n in sizes
            ]
            ratios = [_ratio(own, work, jitted, data, n) for n in timed]
            worst = int(np.argmax(ratios))
            table.rows.append([
                title, str(len(sizes)), str(len(jitted.traces)), str(len(kernels)),
                f"{sum(firsts):.2f} s", f"{sum(their_firsts):.2f} s", f"{more * 1e3:.0f} ms",
                f"{np.median(ratios):.2f} × ({ratios[worst]:.2f} × at {timed[worst]})",
                "≤ 3 traces, ≤ 1.15 ×",
            ])  # fmt: skip
            table.raw.append({
                "work": title, "sizes": sizes, "traces": jitted.traces, "kernels": len(kernels),
                "first": firsts, "jax": their_firsts, "more": more,
                "ratios": dict(zip(map(str, timed), ratios, strict=True)),
            })  # fmt: skip
            print("  " + ", ".join(table.rows[-1]))
    return table


def _ratio(own: Any, work: str, jitted: Callable[..., Any], data: Any, size: int) -> float:
    """The time of a call by that of a program that was traced for this size alone."""
    import tessella as ts

    step, _ = getattr(own, work)()
    alone, given = ts.jit(step, dynamic=False), _resized(data, size)
    found = compare({
        "dynamic": lambda: jitted(*given), "specialised": lambda: alone(*given),
    })  # fmt: skip
    return float(np.median(np.divide(found["dynamic"].seconds, found["specialised"].seconds)))


def _resized(data: Any, size: int) -> list[Any]:
    """The examples again and again, until there are so many."""
    kind = type(data[0])
    rows = [np.resize(np.asarray(x), (size, *x.shape[1:])) for x in data]
    if kind.__module__.startswith("tessella"):
        import tessella as ts

        return [ts.asarray(x) for x in rows]
    import jax.numpy as jnp

    return [jnp.asarray(x) for x in rows]


def _seconds(function: Callable[[], Any]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start
