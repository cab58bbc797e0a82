"""The demo's report: one HTML page with everything inside, drawn as SVG."""

from __future__ import annotations

import html
import math
import platform
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

import tessella
from tessella import files
from tessella.cli.demo import Digits, History, confusion, mistakes_first
from tessella.devices.registry import host

Array = np.ndarray[Any, Any]
SHOWN = 24

_STYLE = """
:root { color-scheme: light dark; --ink: #1c2230; --soft: #667085; --line: #d8dde6;
  --paper: #ffffff; --card: #f6f8fb; --first: #2563eb; --second: #d97706; --wrong: #dc2626; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ef; --soft: #98a2b3; --line: #344054;
  --paper: #12161f; --card: #1b212d; --first: #60a5fa; --second: #fbbf24; --wrong: #f87171; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 960px; padding: 24px 16px 48px; background: var(--paper);
  color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; margin: 0 0 4px; } h2 { font-size: 1.1rem; margin: 32px 0 8px; }
p { margin: 4px 0; } .soft { color: var(--soft); }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px;
  margin: 20px 0; }
.figure { background: var(--card); border-radius: 10px; padding: 12px 16px; }
.figure b { display: block; font-size: 1.5rem; } .figure span { color: var(--soft); }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(300px, 1fr)); gap: 16px; }
.chart { background: var(--card); border-radius: 10px; padding: 12px; }
svg { display: block; width: 100%; height: auto; } svg text { fill: var(--soft); font-size: 11px; }
.samples { display: grid; grid-template-columns: repeat(auto-fill, minmax(86px, 1fr)); gap: 10px; }
.sample { background: var(--card); border-radius: 8px; padding: 8px; text-align: center;
  font-size: 0.85rem; } .sample.wrong { outline: 2px solid var(--wrong); }
table { border-collapse: collapse; } td { padding: 2px 16px 2px 0; vertical-align: top; }
td:first-child { color: var(--soft); } code { overflow-wrap: anywhere; }
.key { font-size: 0.85rem; color: var(--soft); }
.key i { display: inline-block; width: 14px; height: 3px; margin: 0 6px 3px 12px; }
"""


def ticks(low: float, high: float) -> list[float]:
    """Round numbers, about four steps, from at most `low` to at least `high`.

    >>> ticks(0.21, 1.0)
    [0.2, 0.4, 0.6, 0.8, 1.0]
    """
    rough = max(high - low, 1e-3) / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * m for m in (1, 2, 5, 10) if rough <= power * m)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(step * i, 10) for i in range(first, last + 1)]


def curves(series: Sequence[tuple[str, str, Sequence[float]]], percent: bool) -> str:
    """Line chart of series (name, colour variable, values), one value for each epoch."""
    width, height, left, bottom = 420, 240, 48, 28
    every = [value for _, _, values in series for value in values] or [0.0, 1.0]
    levels = ticks(min(every), 1.0) if percent else ticks(0.0, max(every))
    low, span = levels[0], levels[-1] - levels[0]
    count = max(len(values) for _, _, values in series)

    def x(i: int) -> float:
        return left + (width - left - 12) * (i / max(count - 1, 1))

    def y(value: float) -> float:
        return 10 + (height - bottom - 10) * (1 - (value - low) / span)

    parts = []
    for value in levels:
        label = f"{100 * value:.3g} %" if percent else f"{value:g}"
        parts.append(
            f'<line x1="{left}" x2="{width - 12}" y1="{y(value):.1f}" y2="{y(value):.1f}" '
            f'stroke="var(--line)"/><text x="{left - 6}" y="{y(value) + 4:.1f}" '
            f'text-anchor="end">{label}</text>'
        )
    for i in sorted({0, count // 2, max(count - 1, 0)}):
        parts.append(f'<text x="{x(i):.1f}" y="{height - 8}" text-anchor="middle">{i + 1}</text>')
    for _, colour, values in series:
        points = " ".join(f"{x(i):.1f},{y(v):.1f}" for i, v in enumerate(values))
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="var({colour})" stroke-width="2.5" '
            'stroke-linejoin="round"/>'
        )
        if len(values) == 1:
            parts.append(
                f'<circle cx="{x(0)}" cy="{y(values[0]):.1f}" r="4" fill="var({colour})"/>'
            )
    return f'<svg viewBox="0 0 {width} {height}" role="img">{"".join(parts)}</svg>'


def confusion_chart(table: Array) -> str:
    """How often each digit (row) was read as each digit (column)."""
    cell, left, top = 34, 30, 30
    size = left + 10 * cell + 6
    parts = []
    for digit in range(10):
        middle = left + digit * cell + cell / 2
        parts.append(f'<text x="{middle}" y="{top - 10}" text-anchor="middle">{digit}</text>')
        parts.append(f'<text x="{left - 10}" y="{middle + 4}" text-anchor="end">{digit}</text>')
    for true in range(10):
        total = max(int(table[true].sum()), 1)
        for read in range(10):
            number = int(table[true, read])
            colour = "--first" if true == read else "--wrong"
            strength = 0.15 + 0.75 * (number / total) ** 0.5 if number else 0.04
            x, y = left + read * cell, top + true * cell
            parts.append(
                f'<rect x="{x}" y="{y}" width="{cell - 2}" height="{cell - 2}" rx="4" '
                f'fill="var({colour})" fill-opacity="{strength:.2f}"><title>{true} read as {read}: '
                f"{number}</title></rect>"
            )
            if number:
                parts.append(
                    f'<text x="{x + cell / 2 - 1}" y="{y + cell / 2 + 3}" text-anchor="middle" '
                    f'style="fill:{"#fff" if true == read else "var(--ink)"}">{number}</text>'
                )
    return f'<svg viewBox="0 0 {size} {size}" role="img">{"".join(parts)}</svg>'


def digit_image(image: Array) -> str:
    """An 8x8 image of 0 to 16."""
    cells = "".join(
        f'<rect x="{x}" y="{y}" width="1.02" height="1.02" fill="#fff" '
        f'fill-opacity="{image[y, x] / 16:.2f}"/>'
        for y in range(8)
        for x in range(8)
        if image[y, x]
    )
    return f'<svg viewBox="0 0 8 8" style="background:#0b0e14;border-radius:4px">{cells}</svg>'


def _samples(history: History, digits: Digits) -> str:
    assert history.predictions is not None
    parts = []
    for place in mistakes_first(history, digits.test_labels)[:SHOWN]:
        read = int(history.predictions[place].argmax())
        true = int(digits.test_labels[place])
        certainty = 100 * history.predictions[place, read]
        wrong = " wrong" if read != true else ""
        note = f"read <b>{read}</b>, is <b>{true}</b>" if wrong else f"read <b>{read}</b>"
        picture = digit_image(digits.test_images[place])
        parts.append(
            f'<div class="sample{wrong}">{picture}{note}<br>'
            f'<span class="soft">{certainty:.0f} % sure</span></div>'
        )
    return f'<div class="samples">{"".join(parts)}</div>'


def machine_facts() -> dict[str, str]:
    """What this ran on."""
    return {
        "processor": host().limits.name,
        "threads": str(host().limits.threads),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "numpy": np.__version__,
        "tessella": tessella.__version__,
    }


def _key(*entries: tuple[str, str]) -> str:
    marks = "".join(f'<i style="background:var({colour})"></i>{name}' for name, colour in entries)
    return f'<p class="key">{marks}</p>'


def page(history: History, digits: Digits) -> str:
    """The whole report as HTML."""
    wrong = round((1 - history.accuracy) * len(digits.test_labels))
    figures = [
        (f"{100 * history.accuracy:.1f} %", "held-out accuracy"),
        (f"{wrong} of {len(digits.test_labels)}", "misread"),
        (f"{history.seconds:.1f} s", f"training, {len(history.losses)} epochs"),
        (f"{history.images_per_second:,.0f}", "images per second of training steps"),
    ]
    boxes = "".join(f'<div class="figure"><b>{a}</b><span>{b}</span></div>' for a, b in figures)
    loss = curves([("loss", "--first", history.losses)], percent=False)
    accuracy = curves(
        [
            ("training", "--second", history.train_accuracies),
            ("held out", "--first", history.test_accuracies),
        ],
        percent=True,
    )
    facts = {
        **machine_facts(),
        "seed": str(history.seed),
        "command": " ".join(["tessella", *sys.argv[1:]]),
        "made": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }
    rows = "".join(
        f"<tr><td>{name}</td><td><code>{html.escape(value)}</code></td></tr>"
        for name, value in facts.items()
    )
    note = (
        "<p><b>Interrupted:</b> what follows is as far as it got.</p>"
        if history.interrupted
        else ""
    )
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Tessella reads handwriting</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head>
<body><h1>Tessella reads handwriting</h1>
<p class="soft">A convolutional network trained on {len(digits.train_labels):,} of 1,797 handwritten
digits (8 by 8 pixels), tested on the {len(digits.test_labels)} it never saw.</p>{note}
<div class="figures">{boxes}</div>
<div class="charts"><div class="chart"><h2 style="margin-top:0">Loss</h2>{loss}
{_key(("training loss per epoch", "--first"))}</div>
<div class="chart"><h2 style="margin-top:0">Accuracy</h2>{accuracy}
{_key(("training (shifted images)", "--second"), ("held out", "--first"))}</div></div>
<h2>What it reads, mistakes first</h2>{_samples(history, digits)}
<h2>Confusion</h2><p class="soft">Row: what is written. Column: what was read.</p>
<div class="chart" style="max-width:460px">{confusion_chart(confusion(history, digits.test_labels))}</div>
<h2>How it was made</h2><table>{rows}</table>
<p class="soft">Digits: E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits, UCI
Machine Learning Repository, CC BY 4.0.</p></body></html>
"""


def write(history: History, digits: Digits, folder: Path) -> Path:
    """Write the report; gives its path.

    Raises:
        OSError: the folder cannot be written to.
    """
    path = folder / "report.html"
    files.write(path, page(history, digits))
    return path
