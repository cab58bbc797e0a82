"""Eager mode: the cost of one small operation, and of the operations that people wait for."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from report import Table
from timer import compare

import tessella as ts
from tessella.nn import functional as F

Work = Callable[[], object]
COLUMNS = ["work", "Tessella", "PyTorch", "NumPy", "ratio to the best", "must reach"]
MILLIONS = 4 * 1024 * 1024


def small() -> Table:
    """One elementwise operation on ten numbers: what Python and the dispatch cost."""
    table = Table("small", COLUMNS)
    x, m = np.random.rand(10).astype(np.float32), np.random.rand(10, 10).astype(np.float32)
    a, b, ma, mb = ts.asarray(x), torch.tensor(x), ts.asarray(m), torch.tensor(m)
    ag, bg = ts.asarray(x).requires_grad_(), torch.tensor(x, requires_grad=True)
    limit = "≤ 8 µs"
    works = {
        "`a + a`": (lambda: a + a, lambda: b + b, lambda: x + x, limit),
        "`a * 2.0`": (lambda: a * 2.0, lambda: b * 2.0, lambda: x * 2.0, limit),
        "`exp(a)`": (lambda: ts.exp(a), lambda: torch.exp(b), lambda: np.exp(x), limit),
        "`a + a`, recorded": (lambda: ag + ag, lambda: bg + bg, None, limit),
        "`a.sum()`": (lambda: a.sum(), lambda: b.sum(), lambda: x.sum(), ""),
        "`m @ m`, 10×10": (lambda: ma @ ma, lambda: mb @ mb, lambda: m @ m, ""),
        "`m[1:, ::2]`": (lambda: ma[1:, ::2], lambda: mb[1:, ::2], lambda: m[1:, ::2], ""),
    }
    for work, (own, peer, numpy, must) in works.items():
        # the processor is slow for some milliseconds after a pause, so blocks are long
        table.add(work, compare(_contenders(own, peer, numpy), block=0.1), must)
    return table


def _contenders(own: Work, peer: Work, numpy: Work | None) -> dict[str, Work]:
    found = {"Tessella": own, "PyTorch": peer}
    return found if numpy is None else {**found, "NumPy": numpy}


def large() -> Table:
    """Elementwise operations and reductions on 4 Mi numbers, in float32."""
    table = Table("large", COLUMNS)
    x = np.random.rand(MILLIONS).astype(np.float32)
    y = np.random.rand(MILLIONS).astype(np.float32)
    m = x.reshape(4096, 1024)
    a, a2, am = ts.asarray(x), ts.asarray(y), ts.asarray(m)
    b, b2, bm = torch.tensor(x), torch.tensor(y), torch.tensor(m)
    level = "≤ 1.0 × PyTorch"
    works = {
        "`a + b`": (lambda: a + a2, lambda: b + b2, lambda: x + y),
        "`a * 2`": (lambda: a * 2.0, lambda: b * 2.0, lambda: x * np.float32(2)),
        "`exp(a)`": (lambda: ts.exp(a), lambda: torch.exp(b), lambda: np.exp(x)),
        "`tanh(a)`": (lambda: ts.tanh(a), lambda: torch.tanh(b), lambda: np.tanh(x)),
        "`sigmoid(a)`": (lambda: ts.sigmoid(a), lambda: torch.sigmoid(b), None),
        "`log(a)`": (lambda: ts.log(a), lambda: torch.log(b), lambda: np.log(x)),
        "`sin(a)`": (lambda: ts.sin(a), lambda: torch.sin(b), lambda: np.sin(x)),
        "`sqrt(a)`": (lambda: ts.sqrt(a), lambda: torch.sqrt(b), lambda: np.sqrt(x)),
        "`erf(a)`": (lambda: ts.erf(a), lambda: torch.erf(b), None),
        "`relu(a)`": (lambda: ts.relu(a), lambda: torch.relu(b), lambda: np.maximum(x, 0)),
        "`where(a > b, a, b)`": (
            lambda: ts.where(a > a2, a, a2), lambda: torch.where(b > b2, b, b2), lambda: np.where(x > y, x, y),
        ),
        "`m + row`, 4096×1024": (lambda: am + am[0], lambda: bm + bm[0], lambda: m + m[0]),
        "`m.T + 0` (a copy)": (
            lambda: am.T + 0.0, lambda: (bm.T + 0.0).contiguous(), lambda: np.ascontiguousarray(m.T + np.float32(0)),
        ),
        "`a.astype(float64)`": (lambda: a.astype(ts.float64), lambda: b.double(), lambda: x.astype(np.float64)),
        "`a ** 1.7`": (lambda: a**1.7, lambda: b**1.7, lambda: x ** np.float32(1.7)),
        "`a // b`": (lambda: a // a2, lambda: b // b2, lambda: x // y),
        "`asin(a)`": (lambda: ts.asin(a), lambda: torch.asin(b), lambda: np.arcsin(x)),
        "`tan(a)`": (lambda: ts.tan(a), lambda: torch.tan(b), lambda: np.tan(x)),
        "`lgamma(a)`": (lambda: ts.lgamma(a), lambda: torch.lgamma(b), None),
        "`gelu(a)`": (lambda: F.gelu(a), lambda: torch.nn.functional.gelu(b), None),
        "`sum(a)`": (lambda: a.sum(), lambda: b.sum(), lambda: x.sum()),
        "`max(a)`": (lambda: ts.max(a), lambda: b.max(), lambda: x.max()),
        "`mean(m, axis=0)`": (lambda: am.mean(axis=0), lambda: bm.mean(dim=0), lambda: m.mean(axis=0)),
        "`sum(m, axis=1)`": (lambda: am.sum(axis=1), lambda: bm.sum(dim=1), lambda: m.sum(axis=1)),
        "`max(m, axis=0)`": (lambda: ts.max(am, axis=0), lambda: bm.amax(dim=0), lambda: m.max(axis=0)),
        "`max(m, axis=1)`": (lambda: ts.max(am, axis=1), lambda: bm.amax(dim=1), lambda: m.max(axis=1)),
        "`argmax(m, axis=1)`": (lambda: ts.argmax(am, axis=1), lambda: bm.argmax(dim=1), lambda: m.argmax(axis=1)),
        "`std(a)`": (lambda: ts.std(a), lambda: b.std(correction=0), lambda: x.std()),
        "`var(m, axis=1)`": (lambda: ts.var(am, axis=1), lambda: bm.var(dim=1, correction=0), lambda: m.var(axis=1)),
        "`cumulative_sum(m, axis=1)`": (
            lambda: ts.cumulative_sum(am, axis=1), lambda: bm.cumsum(dim=1), lambda: m.cumsum(axis=1),
        ),
    }  # fmt: skip
    for work, (own, peer, numpy) in works.items():
        contenders = _contenders(own, peer, numpy)
        table.add(work, compare(contenders, block=0.05), level, rivals=["PyTorch"])
    return table


def products() -> Table:
    """Matrix products and convolutions, in float32."""
    table = Table("products", COLUMNS)
    for size in (64, 128, 256, 512, 1024, 2048):
        x, y = (np.random.rand(size, size).astype(np.float32) for _ in range(2))
        a, a2, b, b2 = ts.asarray(x), ts.asarray(y), torch.tensor(x), torch.tensor(y)
        contenders = {"Tessella": lambda: a @ a2, "PyTorch": lambda: b @ b2, "NumPy": lambda: x @ y}
        found = compare(contenders, block=0.1)
        rate = 2 * size**3 / found["Tessella"].median / 1e9
        table.add(f"{size}³ ({rate:.0f} GFLOP/s)", found, "≤ 1.0 ×" if size == 1024 else "")
    for m, k, n in ((128, 784, 512), (64, 9216, 128), (1, 1024, 1024)):
        x, y = np.random.rand(m, k).astype(np.float32), np.random.rand(k, n).astype(np.float32)
        a, a2, b, b2 = ts.asarray(x), ts.asarray(y), torch.tensor(x), torch.tensor(y)
        contenders = {"Tessella": lambda: a @ a2, "PyTorch": lambda: b @ b2, "NumPy": lambda: x @ y}
        table.add(f"{m}×{k} @ {k}×{n}", compare(contenders), "")
    for channels, results, size, batch, target in ((64, 64, 56, 8, "≤ 1.3 ×"), (4, 8, 28, 16, "")):
        a, a2, b, b2 = _images_and_weights((batch, channels, size, size), (results, channels, 3, 3))
        contenders = {
            "Tessella": lambda: F.conv2d(a, a2, padding=1),
            "PyTorch": lambda: torch.nn.functional.conv2d(b, b2, padding=1),
        }
        title = f"conv {channels}→{results} 3×3, {size}×{size}, batch {batch}"
        table.add(title, compare(contenders), target)
        table.add("the same, ReLU, both gradients", compare(_convolution_step(a, a2, b, b2)), "")
    return table


def _images_and_weights(*shapes: tuple[int, ...]) -> list:
    arrays = [np.random.rand(*shape).astype(np.float32) for shape in shapes]
    return [*map(ts.asarray, arrays), *map(torch.tensor, arrays)]


def _convolution_step(a: ts.Tensor, a2: ts.Tensor, b: torch.Tensor, b2: torch.Tensor) -> dict:
    a, a2 = a.copy().requires_grad_(), a2.copy().requires_grad_()
    b, b2 = b.clone().requires_grad_(), b2.clone().requires_grad_()

    def own() -> None:
        a.grad = a2.grad = None
        F.conv2d(a, a2, padding=1).relu().sum().backward()

    def peer() -> None:
        b.grad = b2.grad = None
        torch.nn.functional.conv2d(b, b2, padding=1).relu().sum().backward()

    return {"Tessella": own, "PyTorch": peer}
