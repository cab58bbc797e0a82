"""What it costs to have Tessella: the installed size, and the time of the first import."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

from report import ROOT, Table

ROUNDS = 11


def startup() -> Table:
    """Import time (warm, medians of fresh processes), first operations, and installed size."""
    table = Table("startup", ["what", "figure", "must reach"])
    bare = _seconds("pass")
    for name, code, limit in (
        ("`import tessella`", "import tessella", "≤ 0.25 s"),
        ("of which `import numpy`", "import numpy", ""),
        ("`import torch`", "import torch", ""),
        (
            "import and `(ts.ones(3) + 1).sum()`, kernels from the cache on disk",
            "import tessella as ts; (ts.ones(3) + 1).sum().item()",
            "",
        ),
    ):
        seconds = _seconds(code) - bare
        _add(table, name, f"{seconds:.3f} s", limit, seconds)
    for name, code in (
        ("the same with an empty cache: what compiling costs", "(ts.ones(3) + 1).sum().item()"),
        ("import and a product of 64×64, empty cache", "(ts.ones((64, 64)) @ ts.ones((64, 64)))[0, 0].item()"),
    ):  # fmt: skip
        seconds = _seconds(f"import tessella as ts; {code}", empty_cache=True) - bare
        _add(table, name, f"{seconds:.3f} s", "", seconds)
    size = _installed_bytes() / 1e6
    _add(
        table, "installed, with all dependencies (without pip)", f"{size:.0f} MB", "≤ 320 MB", size
    )
    return table


def _add(table: Table, name: str, figure: str, limit: str, raw: float) -> None:
    table.rows.append([name, figure, limit])
    table.raw.append({"what": name, "value": raw, "must_reach": limit})
    print(f"  {name}: {figure}")


def _seconds(code: str, empty_cache: bool = False) -> float:
    """The median time of a fresh Python process that runs some code; its bytecode is there, as it is
    after `pip install`, whatever the surroundings say of writing it."""
    found = []
    surroundings = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-c", code]
    subprocess.run(command, check=True, cwd=ROOT, env=surroundings)
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as folder:
            cache = {"TESSELLA_CACHE_DIR": folder} if empty_cache else {}
            start = time.perf_counter()
            subprocess.run(command, check=True, cwd=ROOT, env={**surroundings, **cache})
            found.append(time.perf_counter() - start)
    return statistics.median(found)


def _installed_bytes() -> int:
    """What a fresh virtual environment holds after `pip install .`, pip itself left out."""
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder) / "bin" / "python"
        command = [python, "-m", "pip", "install", "-q", ROOT]
        subprocess.run(command, check=True, capture_output=True)
        packages = next((Path(folder) / "lib").glob("python*/site-packages"))
        return sum(
            path.stat().st_size
            for path in packages.rglob("*")
            if path.is_file() and path.relative_to(packages).parts[0].split("-")[0] not in ("pip", "setuptools")
        )  # fmt: skip
