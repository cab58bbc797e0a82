"""The peak of memory of each work, in processes of their own."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from compiled import WORKS
from report import Table

CODE = """
import json, sys
sys.path.insert(0, "benchmarks")
from peak import peak_bytes
which, work, arguments = sys.argv[1], sys.argv[2], map(int, sys.argv[3:])
if which == "Tessella":
    import tessella as ts
    from works import own
    step, data = getattr(own, work)(*arguments)
    step = ts.jit(step)
elif which == "JAX":
    from works import with_jax
    step, data = getattr(with_jax, work)(*arguments)
else:
    from works import pytorch
    step, data = getattr(pytorch, work)(*arguments)
before = peak_bytes()
for _ in range(3):
    result = step(*data)
    getattr(result, "block_until_ready", lambda: None)()
print(json.dumps({"process": peak_bytes(), "steps": peak_bytes() - before}))
"""
FRAMEWORKS = ("Tessella", "PyTorch", "JAX")
LEFT_OUT = ("product_bfloat16 1024", "product_bfloat16 2048")  # minutes in some frameworks


def memory(names: list[str] | None = None) -> Table:
    """The peak of a process with three steps, and by how much the steps raised it."""
    columns = ["work"]
    for name in FRAMEWORKS:
        columns += [name, f"{name}, of it the steps"]
    table = Table("memory", columns)
    for name, (title, arguments, _) in WORKS.items():
        if name in LEFT_OUT or (names and name not in names):
            continue
        found = {which: _measure(which, name.split()[0], arguments) for which in FRAMEWORKS}
        cells = [cell for which in FRAMEWORKS for cell in _cells(found[which])]
        table.rows.append([title, *cells])
        table.raw.append({"work": title, "bytes": found})
        print("  " + ", ".join(table.rows[-1]))
    return table


def _cells(found: dict[str, int] | None) -> list[str]:
    if found is None:
        return ["", ""]
    return [f"{found[part] / 2**20:.0f} MiB" for part in ("process", "steps")]


def _measure(which: str, work: str, arguments: tuple[int, ...]) -> dict[str, int] | None:
    """In one process; None where the framework has no such work."""
    if which == "JAX":
        from works import with_jax

        if not hasattr(with_jax, work):
            return None
    done = subprocess.run(
        [sys.executable, "-c", CODE, which, work, *map(str, arguments)],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found
