"""How the cost grows with the work: depth, batch, and width."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from report import Table
from timer import compare, readable

import tessella as ts
from tessella import nn, optim
from tessella.nn import functional as F


def scaling() -> Table:
    """Step time and first call against depth and batch of the GPT, and against the width of an MLP."""
    from works import own

    columns = ["work", "step", "time per unit", "first call, warm cache", "native calls"]
    table = Table("scaling", columns)
    own_gpt = own.gpt
    for layers in (1, 2, 4, 8, 16):
        _add(table, f"GPT of {layers} layers, batch 2", lambda n=layers: own_gpt(n, 2), layers)
    for batch in (1, 2, 4, 8):
        _add(table, f"GPT of 2 layers, batch {batch}", lambda n=batch: own_gpt(2, n), batch)
    for width in (256, 512, 1024, 2048):
        _add(
            table,
            f"MLP {width}-{width}-{width}, batch 128",
            lambda n=width: _mlp(n),
            width**2 / 1e6,
        )
    return table


def _mlp(width: int) -> Any:
    from works.own import classes, floats, trained

    model = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))
    data = [floats(128, width), classes(width, 128)]
    loss = lambda m, x, y: F.cross_entropy(m(x), y)  # noqa: E731
    return trained(model, loss, optim.SGD(model.parameters(), lr=0.1), data)


def _add(table: Table, name: str, make: Callable[[], Any], units: float) -> None:
    step, data = make()
    ts.jit(step)(*data)  # kernels are in the cache from here on
    step, data = make()
    jitted = ts.jit(step)
    start = time.perf_counter()
    jitted(*data)
    first = time.perf_counter() - start
    median = compare({"step": lambda: jitted(*data)}, rounds=5)["step"].median
    calls = len(jitted._program_for((), {}).program.native_steps)
    row = [name, readable(median), readable(median / units), readable(first), str(calls)]
    table.rows.append(row)
    table.raw.append({"work": name, "step": median, "first": first, "calls": calls})
    print("  " + ", ".join(row))
