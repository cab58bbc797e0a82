"""The course's trainings in MiniTorch's API, beside MiniTorch itself and PyTorch.

A solved MiniTorch is not part of this repository. Name one, and a Python that has numba (of which llvmlite
has another version), and it takes part; otherwise its column stays empty:

    MINITORCH=folder-of-the-package MINITORCH_PYTHON=venv/bin/python python benchmarks/run.py course
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from report import Table
from timer import compare, readable
from works import course as works

import tessella as ts
from tessella import minitorch
from tessella.targets.cpu.limits import multiply_adds

WORKER = Path(works.__file__).with_name("minitorch_worker.py")
TURN = 0.3  # seconds at least of each contender's turns: training goes on and on, a step seldom comes alone
FIRST_EPOCH = """
import sys
sys.path.insert(0, sys.argv[1])
from works.course import fast_epoch
from tessella import minitorch
import tessella as ts
fast_epoch(minitorch, jit=ts.jit if len(sys.argv) > 2 else None)()
"""


class _Rival:
    """A MiniTorch in another process."""

    def __init__(self) -> None:
        command = [os.environ.get("MINITORCH_PYTHON", sys.executable), str(WORKER)]
        self.process = subprocess.Popen(
            [*command, os.environ["MINITORCH"]],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def work(self, name: str) -> Callable[[], None]:
        def run() -> None:
            assert self.process.stdin is not None
            assert self.process.stdout is not None
            self.process.stdin.write(name + "\n")
            self.process.stdin.flush()
            if self.process.stdout.readline() != "done\n":
                raise SystemExit(f"MiniTorch failed at {name}; see above")

        return run


def course(rows: Sequence[str] = ()) -> Table:
    """The course's trainings: eager, compiled, MiniTorch, PyTorch.

    Args:
        rows: names of works (`fast`, `mnist`, ...); all of them, and the first epochs, by default.
    """
    table = Table(
        "course",
        ["work", "Tessella", "with ts.jit", "MiniTorch", "PyTorch", "ratio", "must reach"],
    )
    rival = _Rival() if "MINITORCH" in os.environ else None
    for name, title, least in (
        ("fast", "Split, hidden 100, batch 10: an epoch (5 steps)", "1/8"),
        ("mnist", "MNIST, batch 16: a step", "1/40"),
        ("sentiment", "sentences, batch 10: a step", "1/40"),
        ("product", "a product of 1024³", "1/100"),
        ("tensor", "Simple, hidden 10, on SimpleOps: an epoch", "2"),
        ("scalar", "Simple, hidden 4, on scalars: an epoch", "2"),
    ):
        if not rows or name in rows:
            _row(table, rival, name, title, f"≤ {least} × MiniTorch")
    if rival is not None:
        rival.process.kill()
    if not rows:
        _first_epochs(table)
    return table


def _row(table: Table, rival: _Rival | None, name: str, title: str, target: str) -> None:
    make: Any = works.WORKS[name]
    contenders: dict[str, Callable[[], object]] = {"Tessella": make(minitorch)}
    if rival is not None:
        contenders["MiniTorch"] = rival.work(name)
    torch = _pytorch(name)
    if torch is not None:
        contenders["PyTorch"] = torch
    if name == "product":
        contenders["limit"] = _multiply_adds_alone(1024**3)
    compiled = make(minitorch, jit=ts.jit) if name in ("fast", "mnist", "sentiment") else None
    if compiled is not None:
        contenders["with ts.jit"] = compiled
    found = compare(contenders, rounds=9, block=TURN)
    limit = found.pop("limit", None)
    rivals = ["MiniTorch"] if rival is not None else []
    table.add(title, found, target, rivals)
    if limit is not None:
        alone = {"Tessella": limit, **{name: found[name] for name in rivals}}
        table.add("as many multiply-adds on registers, and nothing else", alone, "", rivals)
        x = ts.ones((1024, 1024), dtype=ts.float64)
        ts.tune(lambda a, b: a @ b, x, x)
        pair = {name: contenders[name] for name in ("Tessella", *rivals)}
        again = compare(pair, rounds=9, block=TURN)
        table.add(f"{title}, after ts.tune", again, target, rivals)
        ts.forget_tuning()
    if name == "fast":
        steps = {"with ts.jit": found["with ts.jit"], "Tessella": found["Tessella"]}
        table.add("the same epoch, its step compiled", steps, "≤ 1/5 × eager", ["Tessella"])


def _multiply_adds_alone(count: int) -> Callable[[], None]:
    """So many multiply-adds of float64 on all threads: no product of so many is faster."""
    run, operations = multiply_adds(1 << 14, ts.float64)
    return lambda: run(round(2 * count / operations))


def _first_epochs(table: Table) -> None:
    """From the start of the process to the end of the first epoch."""
    for name, options in (("eager", []), ("with ts.jit", ["jit"])):
        cold, warm = [], []
        with tempfile.TemporaryDirectory() as folder:
            _process(folder, options)  # leaves bytecode, as an installation does
        for _ in range(5):
            with tempfile.TemporaryDirectory() as folder:
                cold.append(_process(folder, options))
                warm.append(_process(folder, options))
        for cache, times, limit in (("cold", cold, "≤ 3 s"), ("warm", warm, "≤ 1 s")):
            median = statistics.median(times)
            title = f"from the start of the process through the first epoch, {name}, {cache} cache"
            table.rows.append([title, readable(median), "", "", "", "", limit])
            table.raw.append({"work": title, "seconds": {"Tessella": median}, "all": times})
            print("  " + ", ".join(table.rows[-1]))


def _process(folder: str, options: list[str]) -> float:
    surroundings = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    environment = {**surroundings, "TESSELLA_CACHE_DIR": folder}
    command = [sys.executable, "-c", FIRST_EPOCH, str(WORKER.parents[1]), *options]
    start = time.perf_counter()
    subprocess.run(command, check=True, env=environment)
    return time.perf_counter() - start


def _pytorch(name: str) -> Callable[[], object] | None:
    """The same in PyTorch's own way, eager, in float64 as the course computes."""
    try:
        import torch
    except ImportError:
        return None
    torch.set_num_threads(os.cpu_count() or 1)
    torch.manual_seed(0)
    nn, F = torch.nn, torch.nn.functional
    if name == "product":
        a, b = (torch.randn(1024, 1024, dtype=torch.float64) for _ in range(2))
        return lambda: a @ b
    if name == "fast":
        model = nn.Sequential(
            nn.Linear(2, 100), nn.ReLU(), nn.Linear(100, 100), nn.ReLU(), nn.Linear(100, 1)
        )
        shapes, batches, loss = (10, 2), 5, F.binary_cross_entropy_with_logits
        target = torch.randint(0, 2, (10, 1)).double()
    elif name == "mnist":
        model = nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 8, 3, padding=1), nn.ReLU(),
            nn.AvgPool2d(4), nn.Flatten(), nn.Linear(392, 64), nn.ReLU(), nn.Dropout(0.25),
            nn.Linear(64, 10),
        )  # fmt: skip
        shapes, batches, loss = (16, 1, 28, 28), 1, F.cross_entropy
        target = torch.arange(16) % 10
    elif name == "sentiment":
        model = _TorchSentences(nn)
        shapes, batches, loss = (10, 50, 52), 1, F.binary_cross_entropy_with_logits
        target = (torch.arange(10) % 2).double()[:, None]
    else:
        return None
    model = model.double()
    x = torch.randn(*shapes, dtype=torch.float64)
    optimiser = torch.optim.SGD(model.parameters(), 0.01)

    def run() -> None:
        for _ in range(batches):
            optimiser.zero_grad()
            found = loss(model(x), target)
            found.backward()
            optimiser.step()
            found.item()

    return run


def _TorchSentences(nn: Any) -> Any:
    class Sentences(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.convs = nn.ModuleList(nn.Conv1d(50, 100, k, padding=k - 1) for k in (3, 4, 5))
            self.last = nn.Sequential(nn.Linear(100, 1), nn.Dropout(0.25))

        def forward(self, x: Any) -> Any:
            return self.last(sum(conv(x)[..., :52].relu().amax(2) for conv in self.convs))

    return Sentences()
