"""What a call of a compiled step costs before and after its kernels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from report import Table
from timer import compare, readable

import tessella as ts

MOST = {1: "", 20: "≤ 15 µs", 200: "≤ 60 µs"}


def overhead() -> Table:
    """A step that rebinds many small tensors: whole, its native part, and the rest, which is Python."""
    columns = [
        "tensors rebound",
        "Tessella",
        "native part",
        "Python part",
        "must reach",
        "PyTorch",
        "JAX",
    ]
    table = Table("overhead", columns)
    for count, target in MOST.items():
        found = compare(_contenders(count))
        whole, native = found["Tessella"].median, found["native"].median
        table.rows.append([
            str(count), readable(whole), readable(native), readable(max(whole - native, 1e-9)),
            target, readable(found["PyTorch"].median), readable(found["JAX"].median),
        ])  # fmt: skip
        table.raw.append({"count": count, "seconds": {n: m.median for n, m in found.items()}})
        print("  " + ", ".join(table.rows[-1]))
    return table


def _contenders(count: int) -> dict[str, Callable[[], Any]]:
    step, x = _own(count)
    step(x)
    program = step._program_for((), {}).program
    return {
        "Tessella": lambda: step(x),
        "native": program.execute,
        "PyTorch": _pytorch(count),
        "JAX": _jax(count),
    }


def _own(count: int) -> tuple[Any, ts.Tensor]:
    state = [ts.zeros(4) for _ in range(count)]

    @ts.jit
    def step(x: ts.Tensor) -> ts.Tensor:
        for tensor in state:
            tensor.assign(tensor * 0.5 + x)
        return x * 2.0

    return step, ts.ones(4)


def _pytorch(count: int) -> Callable[[], Any]:
    import torch

    state, x = [torch.zeros(4) for _ in range(count)], torch.ones(4)

    def step() -> Any:
        for tensor in state:
            tensor.mul_(0.5).add_(x)
        return x * 2.0

    return step


def _jax(count: int) -> Callable[[], Any]:
    import jax

    state = [jax.numpy.asarray(np.zeros(4, np.float32)) for _ in range(count)]
    x = jax.numpy.asarray(np.ones(4, np.float32))
    step = jax.jit(lambda state, x: ([s * 0.5 + x for s in state], x * 2.0), donate_argnums=0)

    def run() -> Any:
        state[:], shown = step(state, x)
        return shown.block_until_ready()

    return run
