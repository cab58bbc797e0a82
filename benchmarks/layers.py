"""Every layer and function, forward and backward, eagerly: `python benchmarks/layers.py [NAME ...]`.

Without names this is the suite `layers` of run.py. With names only these rows are timed and printed; nothing is written.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from report import Table
from timer import Measurement, compare, readable
from works.layers import SIZES, Row, rows

import tessella as ts
from tessella import nn

ROUNDS = 3
PAUSE = 0.01  # for the caches alone: with one thread nobody goes on spinning
BLOCK, TRIES = 0.004, 5  # the quickest of short blocks: others use the machine, too
# containers, bases, what becomes another layer at its first call, and what PyTorch has not
_OTHERS = (
    "Module", "ModuleDict", "ModuleList", "Parameter", "ParameterDict", "ParameterList", "Sequential", "Buffer", "RNNBase",
    "RNNCellBase", "RotaryEmbedding", "SinusoidalEmbedding", "UninitializedBuffer", "UninitializedParameter",
    "TransformerEncoder", "TransformerDecoder",
)  # fmt: skip


def layers() -> Table:
    """Every layer and function, forward and backward, eagerly: medium sizes and small ones; the slowest first."""
    _require_all()
    torch.set_num_threads(1)
    titles = [f"{size}: {name}" for size in SIZES for name in ("Tessella", "PyTorch", "ratio")]
    table = Table("layers", ["layer", *titles])
    found: dict[str, dict[str, dict[str, Measurement]]] = {}
    for size in SIZES:
        for row in rows(size):
            found.setdefault(str(row), {})[size] = _timed(row, compiled=False)
    for name, times in sorted(found.items(), key=lambda each: -max(map(_ratio, each[1].values()))):
        cells = [name]
        for each in times.values():
            cells += [readable(each[who].median) for who in ("Tessella", "PyTorch")]
            cells.append(f"{_ratio(each):.2f} ×")
        table.rows.append(cells)
        seconds = {size: {who: m.median for who, m in each.items()} for size, each in times.items()}
        ratios = {size: round(_ratio(each), 3) for size, each in times.items()}
        table.raw.append({"layer": name, "seconds": seconds, "ratios": ratios})
    return table


def _require_all() -> None:
    """Complain about a layer that the table has not."""
    named = {row.name for row in rows("small")}
    layers = {name for name in nn.__all__ if name[0].isupper() and not name.startswith("Lazy")}
    missing = layers - named - set(_OTHERS)
    if missing:
        raise SystemExit(
            f"works/layers.py: no row for {', '.join(sorted(missing))}; add one, or say why not in layers.py"
        )


def _ratio(times: dict[str, Measurement], name: str = "Tessella") -> float:
    pairs = zip(times[name].seconds, times["PyTorch"].seconds, strict=True)
    return statistics.median(own / peer for own, peer in pairs)


def _timed(row: Row, rounds: int = ROUNDS, compiled: bool = True) -> dict[str, Measurement]:
    own, of_own = _step(ts, nn, nn.functional, ts.asarray, row)
    peer, _ = _step(torch, torch.nn, torch.nn.functional, torch.tensor, row)
    contenders = {"Tessella": own}
    if compiled:
        contenders["compiled"] = ts.jit(own)
    contenders["PyTorch"] = peer
    times = compare(contenders, rounds, BLOCK, PAUSE, TRIES)
    contenders.pop("PyTorch")
    told = ", ".join(f"{_ratio(times, name):.2f} × {name}" for name in contenders)
    print(
        f"  {told}: {row} {list(of_own)}: {', '.join(readable(m.median) for m in times.values())}",
        flush=True,
    )
    gc.collect()
    return times


def _step(
    library: Any, modules: Any, functions: Any, tensor: Callable[[Any], Any], row: Row
) -> tuple[Callable[[], None], tuple[int, ...]]:
    """Forward and backward of a row in one library, and the shape of its first result."""

    def given(x: Any) -> Any:
        return tensor(x) if isinstance(x, np.ndarray) else x

    def is_float(x: Any) -> bool:
        return isinstance(x, np.ndarray) and x.dtype.kind == "f"

    leaves = [given(x).requires_grad_() if is_float(x) else given(x) for x in row.inputs]
    moving = [x for x, array in zip(leaves, row.inputs, strict=True) if is_float(array)]
    options = {name: given(value) for name, value in row.options.items()}
    call = {name: given(value) for name, value in row.call.items()}
    if row.name[0].isupper():
        function = getattr(modules, row.name)(**options)
        moving += function.parameters()
    else:
        function, call = getattr(functions, row.name), options
    inputs = leaves if row.wrap is None else row.wrap(library, leaves)

    def forward() -> Any:
        found = function(*inputs, **call)
        while isinstance(found, tuple):
            found = found[0]
        return found

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        first = forward()
    weights = given(np.ones(tuple(first.shape), np.float32))

    def step() -> None:
        for x in moving:
            x.grad = None
        if row.wrap is not None:  # a packed sequence has the history of what was packed
            inputs[:] = row.wrap(library, leaves)
        forward().backward(weights)

    return step, tuple(first.shape)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="rows whose name and label begin so")
    parser.add_argument("--size", choices=list(SIZES), help="both without")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--eager", action="store_true", help="leave out what is compiled")
    parser.add_argument("--threads", type=int, help="of PyTorch")
    parser.add_argument("--above", type=float, default=0.0, help="show at the end what is above")
    chosen = parser.parse_args()
    if chosen.threads:
        torch.set_num_threads(chosen.threads)
    found = []
    for size in [chosen.size] if chosen.size else SIZES:
        for row in rows(size):
            if not chosen.names or any(str(row).startswith(name) for name in chosen.names):
                times = _timed(row, chosen.rounds, not chosen.eager)
                found.append((_ratio(times, "Tessella"), size, str(row)))
    for ratio, size, name in sorted(found, reverse=True):
        if ratio > chosen.above:
            print(f"{ratio:8.2f} × {size:7} {name}")


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # of PyTorch's about its own kernels
    main()
