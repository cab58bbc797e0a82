"""Tables of numbers as pictures: which class was taken for which, and how numbers of many layers change."""

from __future__ import annotations

import html
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
MOST_CLASSES = 60  # that are drawn one by one
WITH_NUMBERS = 16
MOST_TIMES = 60
_RANGE = 1e4  # times what looks empty


def confusion_chart(table: Array, names: Sequence[str] | None = None) -> str:
    """How often each class (row) was taken for each class (column).

    Shapes: (C, C).
    """
    size = len(table)
    labels = [html.escape(str(name)) for name in (names or range(size))]
    longest = max((len(str(name)) for name in (names or range(size))), default=1)
    cell = max(6.0, min(34.0, 480 / max(size, 1)))
    left = 16 + min(longest, 14) * 6.4
    parts = _class_names(labels, cell, left, longest <= 2)
    for true, row in enumerate(table.tolist()):
        total = sum(row) or 1
        parts += [
            _cell(left + j * cell, left + true * cell, cell, number, number / total, true == j,
                  f"{labels[true]} taken for {labels[j]}: {number:g}", size <= WITH_NUMBERS)
            for j, number in enumerate(row)
        ]  # fmt: skip
    side = left + size * cell + 4
    return (
        f'<svg viewBox="0 0 {side:.0f} {side:.0f}" role="img" aria-label="confusion" '
        f'style="max-width:{max(side, 200):.0f}px">{"".join(parts)}</svg>'
    )


def _class_names(labels: Sequence[str], cell: float, left: float, is_short: bool) -> list[str]:
    step = max(1, math.ceil(11 / cell))  # where cells are smaller than letters, some go without
    parts = []
    for i in range(0, len(labels), step):
        middle = left + i * cell + cell / 2 - 1
        parts.append(
            f'<text x="{left - 7:.1f}" y="{middle + 4:.1f}" text-anchor="end">{_cut(labels[i])}</text>'
        )
        turned = "" if is_short else f' transform="rotate(-90 {middle + 4:.1f} {left - 7:.1f})"'
        anchor = "middle" if is_short else "start"
        x = middle if is_short else middle + 4
        parts.append(
            f'<text x="{x:.1f}" y="{left - 7:.1f}" text-anchor="{anchor}"{turned}>{_cut(labels[i])}</text>'
        )
    return parts


def _cut(label: str) -> str:
    return (
        label if len(html.unescape(label)) <= 14 else f"{html.escape(html.unescape(label)[:13])}…"
    )


def _cell(
    x: float, y: float, cell: float, number: float, share: float, is_right: bool, title: str, has_number: bool
) -> str:  # fmt: skip
    strength = 0.15 + 0.75 * share**0.5 if number else 0.04
    colour = "--first" if is_right else "--wrong"
    box = (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{cell - 1.5:.1f}" height="{cell - 1.5:.1f}" rx="{cell / 9:.1f}" '
        f'fill="var({colour})" fill-opacity="{strength:.2f}"><title>{title}</title></rect>'
    )
    if not number or not has_number:
        return box
    ink = "#fff" if strength > 0.6 else "var(--ink)"
    text = f"{number:g}" if number == int(number) else f"{number:.2f}"
    size = min(11.0, 1.55 * cell / max(len(text), 2))
    return box + (
        f'<text x="{x + cell / 2 - 1:.1f}" y="{y + cell / 2 + 3:.1f}" text-anchor="middle" '
        f'style="fill:{ink};font-size:{size:.1f}px;pointer-events:none">{text}</text>'
    )


def most_confused(table: Array, names: Sequence[str] | None = None, most: int = 10) -> str:
    """The pairs of classes that are confused most often, as a table."""
    wrong = np.array(table, np.float64)
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:most]
    places = [(int(i) // len(wrong), int(i) % len(wrong)) for i in order]
    told = [html.escape(str(name)) for name in (names or range(len(wrong)))]
    rows = [
        f"<tr><td>{wrong[i, j]:g}</td><td>{told[i]} taken for {told[j]}</td></tr>"
        for i, j in places
        if wrong[i, j]
    ]
    return f"<table>{''.join(rows)}</table>" if rows else ""


def strips(times: Sequence[int], rows: Mapping[str, Sequence[float]]) -> str:
    """Numbers of many layers over time: one strip each, the stronger the larger, on a logarithmic scale for all.

    Args:
        times: steps, one for each column.
        rows: from the name of a layer to its numbers; NaN where there are none.
    """
    chosen = np.unique(
        np.linspace(0, len(times) - 1, min(len(times), MOST_TIMES)).round().astype(int)
    )
    table = {name: np.asarray(values, np.float64)[chosen] for name, values in rows.items()}
    every = np.concatenate([*table.values(), np.zeros(0)])
    known = every[np.isfinite(every) & (every > 0)]
    high = float(known.max()) if known.size else 1.0
    low = max(float(known.min()), high / _RANGE) if known.size else 1.0
    steps, shared = [times[i] for i in chosen], _shared(list(rows))
    return "".join(
        f'<div class="strip"><span title="{html.escape(name)}">{html.escape(name[shared:])}</span>'
        f"{_strip(values, steps, low, high)}<b>{values[-1]:.2g}</b></div>"
        for name, values in table.items()
    )


def _shared(names: Sequence[str]) -> int:
    """How many letters, up to a point, all names begin with.

    >>> _shared(["net.layers.10.weight", "net.layers.1.bias"])
    11
    """
    if len(names) < 2:
        return 0
    first, last = min(names), max(names)  # between which all others stand
    same = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
    return first.rfind(".", 0, sum(1 for _ in same)) + 1


def _strip(values: Array, steps: Sequence[int], low: float, high: float) -> str:
    cells = "".join(
        f'<rect x="{i}" width="1" height="1" {_paint(value, low, high)}><title>step {step}: {value:.3g}</title></rect>'
        for i, (value, step) in enumerate(zip(values.tolist(), steps, strict=True))
    )
    return f'<svg viewBox="0 0 {len(steps)} 1" preserveAspectRatio="none" shape-rendering="crispEdges">{cells}</svg>'


def _paint(value: float, low: float, high: float) -> str:
    if not math.isfinite(value):
        return 'fill="var(--wrong)"'
    if value <= 0:
        return 'fill="var(--line)"'
    place = max(math.log(value / low) / math.log(high / low), 0.0) if high > low else 1.0
    return f'fill="var(--first)" fill-opacity="{0.08 + 0.92 * place:.2f}"'
