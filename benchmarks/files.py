"""Checkpoints written and read: against what the disk does, by `dd` with fsync, and beside PyTorch and safetensors.

`MEGABYTES=50 python benchmarks/run.py files` tries it with smaller ones.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from report import Table

import tessella as ts

MEGABYTES = int(os.environ.get("MEGABYTES", "500"))
ROUNDS = 5
LAYERS = 20


def files() -> Table:
    """A checkpoint of 500 MB written and read, and a safetensors file of as much loaded."""
    table = Table("files", ["what", "figure", "of `dd`", "must reach"])
    with tempfile.TemporaryDirectory(dir=os.environ.get("FOLDER")) as folder:
        _written(table, Path(folder))
        _read(table, Path(folder), warm=True)
        _read(table, Path(folder), warm=False)
        _loaded(table, Path(folder))
    return table


def _tree() -> dict[str, Any]:
    """A checkpoint: a third parameters, two thirds what an optimiser keeps of them."""
    each = MEGABYTES * 1_000_000 // (3 * LAYERS * 4)
    shape = (each // 1000, 1000)
    random = np.random.default_rng(0)

    def tensors() -> dict[str, np.ndarray[Any, Any]]:
        return {f"layer.{n}.weight": random.random(shape, np.float32) for n in range(LAYERS)}

    states = {n: {"step": 1.0, "exp_avg": a, "exp_avg_sq": b} for n, (a, b) in enumerate(zip(tensors().values(), tensors().values(), strict=True))}  # fmt: skip
    return {"model": tensors(), "optimizer": {"state": states, "param_groups": [{"lr": 0.1, "params": list(range(LAYERS))}]}}  # fmt: skip


def _mapped(tree: Any, function: Callable[[Any], Any]) -> Any:
    if isinstance(tree, dict):
        return {key: _mapped(item, function) for key, item in tree.items()}
    return function(tree) if isinstance(tree, np.ndarray) else tree


def _flat(tree: Any, function: Callable[[Any], Any]) -> dict[str, Any]:
    states = tree["optimizer"]["state"]
    found = {name: function(x) for name, x in tree["model"].items()}
    for n, state in states.items():
        found.update({f"{n}.{name}": function(state[name]) for name in ("exp_avg", "exp_avg_sq")})
    return found


# --- writing -----------------------------------------------------------------------------------------------


def _written(table: Table, folder: Path) -> None:
    tree = _tree()
    ours, theirs = _mapped(tree, ts.asarray), _mapped(tree, torch.from_numpy)
    flat = _flat(tree, torch.from_numpy)
    ts.save(ours, folder / "ours")
    size = (folder / "ours").stat().st_size
    contenders: dict[str, Callable[[], Any]] = {
        "dd": lambda: _dd(folder / "ours", folder / "dd", "conv=fsync"),
        "`ts.save`": lambda: ts.save(ours, folder / "other"),
        "`torch.save`, and fsync": lambda: _synced(folder / "torch", lambda path: torch.save(theirs, path)),
        "`safetensors.torch.save_file`, and fsync": lambda: _synced(folder / "safe", lambda path: safetensors.torch.save_file(flat, path)),
    }  # fmt: skip
    _rows(table, "written", _timed(contenders), size, "≥ 70 %")


def _dd(source: Path, target: Path | str, *options: str) -> None:
    command = ["dd", f"if={source}", f"of={target}", "bs=1M", "status=none", *options]
    subprocess.run(command, check=True)


def _synced(path: Path, save: Callable[[Path], Any]) -> None:
    save(path)
    with path.open("rb") as file:
        os.fsync(file.fileno())


# --- reading -----------------------------------------------------------------------------------------------


def _read(table: Table, folder: Path, warm: bool) -> None:
    """Until every element has been looked at; warm: the file is in the system's cache."""
    size = (folder / "ours").stat().st_size

    def read(path: Path, load: Callable[[Path], Any]) -> Callable[[], None]:
        return lambda: _looked_at(load(path))

    contenders: dict[str, tuple[Path, Callable[[], Any]]] = {
        "dd": (folder / "ours", lambda: _dd(folder / "ours", "/dev/null")),
        "`ts.load`": (folder / "ours", read(folder / "ours", ts.load)),
        "`torch.load`": (folder / "torch", read(folder / "torch", torch.load)),
        "`torch.load(mmap=True)`": (folder / "torch", read(folder / "torch", lambda path: torch.load(path, mmap=True))),
        "`safetensors.torch.load_file`": (folder / "safe", read(folder / "safe", safetensors.torch.load_file)),
    }  # fmt: skip
    prepared = {name: (lambda path=path: _cached(path, warm)) for name, (path, _) in contenders.items()}  # fmt: skip
    found = _timed({name: work for name, (_, work) in contenders.items()}, prepared)
    _rows(table, "read, warm" if warm else "read, cold", found, size, "≥ 70 %")


def _cached(path: Path, warm: bool) -> None:
    """Let the system have a file in its cache, or not."""
    if warm:
        _dd(path, "/dev/null")
        return
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _looked_at(tree: Any) -> None:
    if isinstance(tree, dict):
        for item in tree.values():
            _looked_at(item)
    elif isinstance(tree, (ts.Tensor, torch.Tensor)):
        tree.numpy().reshape(-1).view(np.uint64).max()


def _loaded(table: Table, folder: Path) -> None:
    """Until there are tensors, whose elements are read when they are looked at."""
    path = folder / "safe"
    contenders: dict[str, Callable[[], Any]] = {
        "`ts.io.load_file`": lambda: ts.io.load_file(path),
        "`safetensors.torch.load_file`": lambda: safetensors.torch.load_file(path),
    }
    for name, seconds in _timed(contenders).items():
        middle = statistics.median(seconds)
        limit = "< 0.3 s" if name == "`ts.io.load_file`" else ""
        _add(table, f"{path.stat().st_size / 1e6:.0f} MB loaded by {name}", f"{middle * 1e3:.2f} ms", "", limit, seconds)  # fmt: skip


# --- both --------------------------------------------------------------------------------------------------


def _timed(
    contenders: dict[str, Callable[[], Any]],
    prepared: dict[str, Callable[[], Any]] | None = None,
) -> dict[str, list[float]]:
    """Seconds of each, round by round: in a round all meet the same machine."""
    found: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(ROUNDS):
        for name, work in contenders.items():
            (prepared or {}).get(name, lambda: None)()
            start = time.perf_counter()
            work()
            found[name].append(time.perf_counter() - start)
    return found


def _rows(table: Table, what: str, found: dict[str, list[float]], size: int, limit: str) -> None:
    measure = found["dd"]
    for name, seconds in found.items():
        share = statistics.median(a / b for a, b in zip(measure, seconds, strict=True))
        speed = size / 1e6 / statistics.median(seconds)
        shown = {"dd": "`dd`, with fsync" if what == "written" else "`dd`"}.get(name, name)
        must = limit if name.startswith("`ts.") else ""
        told = f"{size / 1e6:.0f} MB {what} by {shown}"
        _add(table, told, f"{speed:.0f} MB/s", "" if name == "dd" else f"{share:.0%}", must, seconds)  # fmt: skip


def _add(
    table: Table, what: str, figure: str, share: str, limit: str, seconds: list[float]
) -> None:
    table.rows.append([what, figure, share, limit])
    table.raw.append({"what": what, "seconds": seconds, "must_reach": limit})
    print(f"  {what}: {figure} {share}")
