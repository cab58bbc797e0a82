"""Transformed functions, compiled, against JAX: the time of a call, and of the first one."""

from __future__ import annotations

import itertools
import os
import tempfile
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from report import Table
from timer import PAUSE, compare, readable

random = np.random.default_rng(0)


def floats(*shape: int) -> np.ndarray[Any, Any]:
    return random.standard_normal(shape).astype(np.float32)


SIZES = (784, 512, 512, 10)
WEIGHTS = [
    (floats(n, m) / np.float32(np.sqrt(n)), floats(m) * 0) for n, m in itertools.pairwise(SIZES)
]
IMAGES, LABELS = floats(256, 784), random.integers(0, 10, 256)
SMALL = floats(64) * np.float32(0.5)
POINTS = floats(32, 5)
UNITS, STEPS = 128, 1000
CELL = [floats(UNITS, 4 * UNITS) * np.float32(0.05) for _ in range(2)]
SEQUENCE = floats(STEPS, 16, UNITS)
NUMBERS = np.abs(floats(4096)) + np.float32(0.1)


def per_example(xp: Any, api: Any) -> tuple[Callable[..., Any], list[Any]]:
    """The gradients of 256 examples, each by itself: 256 times the weights' memory is written."""

    def loss(weights: Any, x: Any, label: Any) -> Any:
        for number, (weight, bias) in enumerate(weights):
            x = x @ weight + bias
            if number < 2:
                x = xp.maximum(x, 0.0)
        top = xp.max(x)
        total = xp.log(xp.sum(xp.exp(x - top))) + top
        return total - xp.take(x, label.reshape((1,))).sum()

    gradients = api.vmap(api.grad(loss), in_axes=(None, 0, 0))
    return gradients, [WEIGHTS, IMAGES, LABELS]


def hessian(xp: Any, api: Any) -> tuple[Callable[..., Any], list[Any]]:
    """All second derivatives of the loss of a network with 64 parameters."""

    def loss(parameters: Any, x: Any) -> Any:
        first = parameters[:50].reshape((5, 10))
        second = parameters[50:60]
        hidden = xp.tanh(x @ first)
        return xp.sum((xp.tanh(hidden @ second) - xp.sum(parameters[60:])) ** 2)

    return api.hessian(loss), [SMALL, POINTS]


def lstm(xp: Any, api: Any) -> tuple[Callable[..., Any], list[Any]]:
    """1000 steps of an LSTM cell, 128 units, batch 16."""

    def run(weights: Any, xs: Any) -> Any:
        def cell(state: Any, x: Any) -> Any:
            h, c = state
            gates = x @ weights[0] + h @ weights[1]
            i, f, g, o = (gates[:, k * UNITS : (k + 1) * UNITS] for k in range(4))
            c = api.sigmoid(f) * c + api.sigmoid(i) * xp.tanh(g)
            h = api.sigmoid(o) * xp.tanh(c)
            return (h, c), h

        zeros = xp.zeros((16, UNITS))
        return api.scan(cell, (zeros, zeros), xs)[1]

    return run, [CELL, SEQUENCE]


def newton(xp: Any, api: Any) -> tuple[Callable[..., Any], list[Any]]:
    """Cube roots of 4096 numbers by Newton's method, each until it is done."""

    def root(a: Any) -> Any:
        def more(state: Any) -> Any:
            y, step = state
            return xp.abs(step) > 1e-6 * xp.abs(y)

        def turn(state: Any) -> Any:
            y, _ = state
            after = y - (y * y * y - a) / (3.0 * y * y)
            return after, after - y

        return api.while_loop(more, turn, (a + 1.0, a + 1.0))[0]

    return api.vmap(root), [NUMBERS]


WORKS = {
    "256 gradients, 784-512-512-10, each by itself": per_example,
    "hessian, 64 parameters": hessian,
    "scan of an LSTM cell, 1000 steps": lstm,
    "Newton's method in a while loop under vmap": newton,
}


class OfTessella:
    def __init__(self) -> None:
        import tessella as ts

        self.xp = ts
        self.vmap, self.grad, self.hessian = ts.vmap, ts.grad, ts.hessian
        self.scan, self.while_loop, self.sigmoid = ts.scan, ts.while_loop, ts.sigmoid

    def compiled(self, function: Any, data: Any) -> Callable[[], Any]:
        import tessella as ts
        from tessella.transforms import trees

        given = [trees.map_leaves(ts.asarray, x) for x in data]
        step = ts.jit(function)
        return lambda: step(*given)


class OfJax:
    def __init__(self) -> None:
        import jax
        import jax.numpy as jnp

        self.xp = jnp
        self.vmap, self.grad, self.hessian = jax.vmap, jax.grad, jax.hessian
        self.scan, self.while_loop = jax.lax.scan, jax.lax.while_loop
        self.sigmoid = jax.nn.sigmoid

    def compiled(self, function: Any, data: Any) -> Callable[[], Any]:
        import jax

        given = [jax.tree.map(jax.numpy.asarray, x) for x in data]
        step = jax.jit(function)
        return lambda: jax.block_until_ready(step(*given))


def transformations() -> Table:
    """What transformations make, compiled: calls, and first calls with an empty cache."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TESSELLA_CACHE_DIR"] = folder
        columns = [
            "work",
            "Tessella",
            "JAX",
            "ratio to the best",
            "first call",
            "JAX, first call",
            "must reach",
        ]
        table = Table("transformations", columns)
        apis = {"Tessella": OfTessella(), "JAX": OfJax()}
        for title, work in WORKS.items():
            calls, firsts, results = {}, {}, {}
            for name, api in apis.items():
                call = api.compiled(*work(api.xp, api))
                time.sleep(PAUSE)  # until the threads of what ran before have gone to sleep
                start = time.perf_counter()
                results[name] = call()
                firsts[name] = time.perf_counter() - start
                calls[name] = call
            _require_same(results)
            found = compare(calls)
            ratio = float(np.median(np.divide(found["Tessella"].seconds, found["JAX"].seconds)))
            table.rows.append([
                title, *[readable(m.median) for m in found.values()], f"{ratio:.2f} ×",
                *[f"{seconds:.2f} s" for seconds in firsts.values()], "≤ 1.0 ×, first call ≤ 1/2",
            ])  # fmt: skip
            table.raw.append({"work": title, "ratio": ratio, "first": firsts,
                              "seconds": {n: m.median for n, m in found.items()}})  # fmt: skip
            print("  " + ", ".join(table.rows[-1]))
        return table


def checkpoints() -> Table:
    """Training steps with and without `ts.checkpoint` around every block: what they keep, and their time."""
    from works import own

    import tessella as ts

    columns = ["work", "kept", "kept, checkpoints", "step", "step, checkpoints"]
    table = Table("checkpoints", columns)
    for layers, batch in ((6, 8), (12, 8), (6, 32)):
        calls, kept = {}, []
        for name, wanted in (("plain", False), ("checkpoints", True)):
            step, data = own.gpt(layers, batch, wanted)
            jitted = ts.jit(step)
            jitted(*data)
            kept.append(jitted.explain(*data).program.arena_plan.nbytes)
            calls[name] = lambda jitted=jitted, data=data: jitted(*data)
        found = compare(calls, rounds=3)
        table.rows.append([
            f"GPT {layers}×384, T 128, batch {batch}, AdamW, train",
            *[f"{nbytes / 2**20:.0f} MiB" for nbytes in kept], *[readable(m.median) for m in found.values()],
        ])  # fmt: skip
        table.raw.append({"layers": layers, "batch": batch, "kept": kept,
                          "seconds": {n: m.median for n, m in found.items()}})  # fmt: skip
        print("  " + ", ".join(table.rows[-1]))
    return table


def _require_same(results: dict[str, Any]) -> None:
    import jax

    from tessella.transforms import trees

    own = [x.numpy() for x in trees.flatten(results["Tessella"])[0]]
    other = [np.asarray(x) for x in jax.tree.leaves(results["JAX"])]
    for a, b in zip(own, other, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-3, atol=2e-3)
