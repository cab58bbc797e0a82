"""What a benchmark found: rows, written as JSON and as a table in the documents."""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from timer import Measurement, readable

from tessella.train.pages.machine import machine_facts

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results"


@dataclass
class Table:
    """One benchmark's figures: a header, rows of text, and the raw numbers behind them."""

    name: str
    columns: list[str]
    rows: list[list[str]] = field(default_factory=list)
    raw: list[dict[str, Any]] = field(default_factory=list)

    def add(
        self, work: str, found: dict[str, Measurement], target: str, rivals: list[str] | None = None,
        note: str | None = None,
    ) -> None:  # fmt: skip
        """A row of times: our own first, then the peers', the ratio to the best and the target.

        Args:
            note: what stands between the times and the ratio, if the table has such a column.
        """
        own = next(iter(found.values()))
        rivals = [n for n in list(found)[1:] if rivals is None or n in rivals]
        ratio = _ratio(own, [found[n] for n in rivals]) if rivals else None
        names = self.columns[1 : -2 if note is None else -3]
        assert set(found) <= set(names), (list(found), names)
        cells = [readable(found[name].median) if name in found else "" for name in names]
        cells += [] if note is None else [note]
        self.rows.append([work, *cells, _times(ratio) if ratio else "", target])
        self.raw.append(
            {
                "work": work,
                "seconds": {name: m.median for name, m in found.items()},
                "spread": {name: round(m.spread, 4) for name, m in found.items()},
                "ratio": ratio,
                "target": target,
                "note": note,
            }
        )
        print(
            f"  {ratio and round(ratio, 2)} {work}: "
            + ", ".join(f"{n} {readable(m.median)}" for n, m in found.items())
        )


def _times(ratio: float) -> str:
    """A ratio with two digits or more: "0.97 ×", or "1/41 ×" where that says more."""
    return f"{ratio:.2f} ×" if ratio >= 0.2 else f"1/{1 / ratio:.3g} ×"


def _ratio(own: Measurement, rivals: list[Measurement]) -> float:
    """The median over the rounds of our time by that of the fastest rival.

    Within a round all contenders met the same machine; between rounds it changes.
    """
    best = min(rivals, key=lambda rival: rival.median)
    return statistics.median(a / b for a, b in zip(own.seconds, best.seconds, strict=True))


def facts() -> dict[str, Any]:
    """What machine, versions and commit the figures belong to."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    found = {
        **machine_facts(),
        "commit": commit.stdout.strip(),
        "date": datetime.now(UTC).date().isoformat(),
    }
    try:
        import torch
    except ImportError:
        return found
    return {**found, "torch": torch.__version__}


def write(table: Table, document: Path) -> None:
    """Write benchmarks/results/<name>.json, and the table between its marks in the document."""
    RESULTS.mkdir(exist_ok=True)
    data = {"machine": facts(), "columns": table.columns, "rows": table.rows, "raw": table.raw}
    path = RESULTS / f"{table.name}.json"
    path.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", encoding="utf8")
    text = document.read_text(encoding="utf8")
    begin, end = f"<!-- table: {table.name} -->", f"<!-- end: {table.name} -->"
    if begin not in text:
        raise SystemExit(f"{document} has no place for the table: {begin} ... {end}")
    line = ", ".join(f"{key} {value}" for key, value in facts().items() if key != "system")
    body = "\n".join([begin, "", *_markdown(table), "", f"*{line}*", "", end])
    marked = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    document.write_text(marked.sub(lambda _: body, text), encoding="utf8")
    print(f"  wrote {os.path.relpath(path)} and the table in {os.path.relpath(document)}")


def merged(table: Table) -> Table:
    """The last table, with the rows of this one in their places; those that it has not come behind."""
    old = json.loads((RESULTS / f"{table.name}.json").read_text(encoding="utf8"))
    rows = {row[0]: row for row in table.rows}
    raw = {entry["work"]: entry for entry in table.raw}
    whole = Table(table.name, old["columns"])
    whole.rows = [rows.pop(row[0], row) for row in old["rows"]] + [*rows.values()]
    whole.raw = [raw.pop(entry["work"], entry) for entry in old["raw"]] + [*raw.values()]
    return whole


def _markdown(table: Table) -> list[str]:
    head = ["| " + " | ".join(table.columns) + " |", "|" + "---|" * len(table.columns)]
    return head + ["| " + " | ".join(row) + " |" for row in table.rows]
