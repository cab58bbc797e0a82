"""What `ts.tune` changes: products before and after it, in turns, in one process."""

from __future__ import annotations

import os
import tempfile

import numpy as np
from report import Table
from timer import Measurement, compare, readable

import tessella as ts

SHAPES = (
    (64, 64, 64), (256, 256, 256), (512, 512, 512), (1024, 1024, 1024), (128, 784, 512),
    (784, 128, 512), (8, 1024, 1024), (16, 4096, 64), (2048, 64, 64),
)  # fmt: skip


def tuning() -> Table:
    """Programs compiled before and after tuning; the choices are kept in a folder of their own."""
    table = Table("tuning", ["product", "untuned", "tuned", "ratio", "what was found"])
    before = os.environ.get("TESSELLA_CACHE_DIR")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TESSELLA_CACHE_DIR"] = folder
        try:
            for shape in SHAPES:
                _row(table, *shape)
        finally:
            ts.forget_tuning()
            del os.environ["TESSELLA_CACHE_DIR"]
            if before is not None:
                os.environ["TESSELLA_CACHE_DIR"] = before
    return table


def _row(table: Table, m: int, k: int, n: int) -> None:
    random = np.random.default_rng(0)
    x, y = (ts.asarray(random.random(s, np.float32)) for s in ((m, k), (k, n)))
    plain, tuned = ts.jit(lambda x, y: x @ y), ts.jit(lambda x, y: x @ y)
    plain(x, y)  # its program is made before anything is found
    (found,) = ts.tune(tuned, x, y).found
    tuned(x, y)
    times = compare({"untuned": lambda: plain(x, y), "tuned": lambda: tuned(x, y)})
    changed = found.choice != found.was
    what = str(found).partition("; ")[2] if changed else "nothing better"
    work = f"{m}×{k} @ {k}×{n}"
    ratio = _ratio(times["tuned"], times["untuned"])
    cells = [readable(times[name].median) for name in ("untuned", "tuned")]
    table.rows.append([work, *cells, f"{ratio:.2f} ×", what])
    table.raw.append({"work": work, "seconds": {n: t.median for n, t in times.items()},
                      "choice": list(found.choice)})  # fmt: skip
    print("  " + ", ".join(table.rows[-1]))


def _ratio(tuned: Measurement, untuned: Measurement) -> float:
    """The median over the rounds."""
    return float(np.median([a / b for a, b in zip(tuned.seconds, untuned.seconds, strict=True)]))
