"""The page of a training: what it has come to, its curves, its mistakes, and how it was made."""

from __future__ import annotations

import html
import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tessella.train.pages import charts, frame, tables
from tessella.train.pages.charts import Curve
from tessella.train.reports.mistakes import cards
from tessella.train.reports.record import Line, Record

Array = np.ndarray[Any, Any]
SECONDS = 5.0  # after which an open page looks for news
_APART = (
    "loss",
    "lr",
    "gradient_norm",
    "examples_per_second",
    "waiting",
)  # that have charts of their own
_WORDS = {"lr": "learning rate", "auroc": "AUROC", "f1": "F1", "r2": "R²"}
MOST_LAYERS = 40


def page(record: Record, seconds: float = SECONDS) -> str:
    """The whole page as HTML.

    Args:
        seconds: after which it looks for news, while the training runs.
    """
    sections = [
        _head(record), frame.figures(_figures(record)), f'<div class="charts">{_charts(record)}</div>',
        *_pictures(record), *_confusions(record), _mistakes(record), _layers(record), _made(record),
    ]  # fmt: skip
    again = (seconds, time.time()) if record.is_running else None
    return frame.page(record.title, "".join(sections), again)


def _head(record: Record) -> str:
    if record.is_running:
        state = 'running; written <span id="age">just now</span>'
    else:
        state = f"ended: {html.escape(record.stopped)}" if record.stopped else "ended"
    lost = "; its last line was cut off" if record.damaged else ""
    return f'<h1>{html.escape(record.title)}</h1><p class="soft">{state}{lost}</p>'


# --- numbers -------------------------------------------------------------------------------------


def _figures(record: Record) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for kind, told in (
        ("step", "training loss"),
        ("epoch", "training loss"),
        ("validation", "validation loss"),
    ):
        _, losses = record.curve(kind, "loss")
        if losses and told not in [what for _, what in found]:
            value = charts.smoothed(losses)[-1] if kind == "step" else losses[-1]
            found.append((_shown(float(value)), told))
    found += _best(record)
    last = record.lines[-1] if record.lines else {}
    if "step" in last:
        epoch = f"steps, epoch {last['epoch']}" if "epoch" in last else "steps"
        found.append((f"{last['step']:,}", epoch))
    if "time" in last:
        found.append((_duration(float(last["time"])), "since the beginning"))
    return found + _speed(record)


def _best(record: Record) -> list[tuple[str, str]]:
    """The metrics of the last validation, or of the last epoch."""
    lines = record.of("validation") or record.of("epoch")
    numbers = [name for name in record.names() if name not in _APART]
    last = lines[-1] if lines else {}
    told = "validation" if record.of("validation") else "training"
    return [
        (_shown(float(last[name]), _is_share(record, name)), f"{told} {_words(name)}")
        for name in numbers
        if isinstance(last.get(name), (int, float))
    ][:3]


def _speed(record: Record) -> list[tuple[str, str]]:
    found = []
    if record.examples_per_second:
        found.append((f"{record.examples_per_second:,.0f}", "examples per second"))
    if record.waiting is not None:
        found.append((f"{100 * record.waiting:.1f} %", "of the time waiting for data"))
    return found


def _shown(value: float, is_share: bool = False) -> str:
    if not math.isfinite(value):
        return str(value)
    return f"{100 * value:.1f} %" if is_share else f"{value:.4g}"


def _duration(seconds: float) -> str:
    """Seconds in words.

    >>> _duration(3.26), _duration(95), _duration(1500), _duration(7322)
    ('3.3 s', '1 min 35 s', '25 min', '2 h 02 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60:02} min"
    return f"{minutes} min {rest:02} s" if minutes < 10 else f"{minutes} min"


def _words(name: str) -> str:
    return _WORDS.get(name, name.replace("_", " "))


# --- curves --------------------------------------------------------------------------------------


def _charts(record: Record) -> str:
    return "".join([
        _loss(record),
        *(_metric(record, name) for name in record.names() if name not in _APART),
        _of_steps(record, "lr", from_zero=True), _of_steps(record, "gradient_norm", is_restless=True), _pace(record),
        _of_steps(record, "examples_per_second", from_zero=True, is_restless=True),
        _of_steps(record, "waiting", is_percent=True, from_zero=True),
    ])  # fmt: skip


def _loss(record: Record) -> str:
    """The loss of steps with its running mean, of epochs where there are no steps, and of validations."""
    curves = _with_mean("training", *record.curve("step", "loss"))
    if not curves:
        curves = [Curve("training", *record.curve("epoch", "loss"), has_dots=True)]
    validation = Curve("validation", *record.curve("validation", "loss"), "--second", has_dots=True)
    return _card("Loss", [*curves, validation])


def _with_mean(name: str, x: Sequence[float], y: Sequence[float]) -> list[Curve]:
    """A restless curve, and its running mean before it; nothing of a single point."""
    if len(y) < 2:
        return []
    return [Curve(name, x, y, is_faint=True), Curve(name, x, charts.smoothed(y))]


def _metric(record: Record, name: str) -> str:
    curves = [
        Curve("training", *record.curve("epoch", name), has_dots=True),
        Curve("validation", *record.curve("validation", name), "--second", has_dots=True),
    ]
    if not any(len(curve.x) for curve in curves):
        curves = [Curve(_words(name), *record.curve("step", name))]
    return _card(_words(name), curves, is_percent=_is_share(record, name))


def _is_share(record: Record, name: str) -> bool:
    """Whether a metric is a share: all its numbers are from 0 to 1, and its name is that of one."""
    kinds = ("accuracy", "precision", "recall", "f1", "share")
    values = [
        x
        for kind in ("epoch", "validation")
        for x in record.curve(kind, name)[1]
        if math.isfinite(x)
    ]
    return any(kind in name for kind in kinds) and all(0 <= x <= 1 for x in values)


def _of_steps(record: Record, name: str, is_restless: bool = False, **options: bool) -> str:
    steps, values = record.curve("step", name)
    restless = _with_mean(_words(name), steps, values) if is_restless else []
    return _card(_words(name), restless or [Curve(_words(name), steps, values)], **options)


def _pace(record: Record) -> str:
    """Steps in a second, between two lines of steps with nothing between them."""
    steps, paces = [], []
    for before, line in zip(record.lines, record.lines[1:], strict=False):
        if before.get("kind") == line.get("kind") == "step" and _is_later(before, line):
            steps.append(line["step"])
            paces.append((line["step"] - before["step"]) / (line["time"] - before["time"]))
    return _card("steps per second", _with_mean("steps per second", steps, paces), from_zero=True)


def _is_later(before: Line, line: Line) -> bool:
    return all(
        isinstance(x.get("time"), (int, float)) and isinstance(x.get("step"), int) for x in (before, line)
    ) and (line["time"] > before["time"] and line["step"] > before["step"])  # fmt: skip


def _card(
    title: str, curves: Sequence[Curve], is_percent: bool = False, from_zero: bool = False
) -> str:
    """A chart with a title, if there is anything to draw."""
    curves = [curve for curve in curves if len(curve.x)]
    if not curves:
        return ""
    is_log = not (is_percent or from_zero) and charts.wants_log(
        np.concatenate([np.asarray(c.y, float) for c in curves])
    )
    drawn = charts.chart(
        curves, is_log=is_log, is_percent=is_percent, from_zero=from_zero, x_name="step"
    )
    notes = [] if {curve.name for curve in curves} == {title} else [charts.key(curves)]
    lost = sum(max(_lost(c) for c in curves if c.name == name) for name in {c.name for c in curves})
    if lost:
        notes.append(f'<p class="key">{lost} not finite</p>')
    return frame.card(title[:1].upper() + title[1:], drawn, *notes)


def _lost(curve: Curve) -> int:
    return int((~np.isfinite(np.asarray(curve.y, float))).sum())


# --- mistakes, layers, facts ---------------------------------------------------------------------


def _pictures(record: Record) -> list[str]:
    return [
        f'<h2>{html.escape(name)}</h2><div class="chart"><img alt="" class="picture" src="{url}"></div>'
        for name, url in record.pictures.items()
    ]


def _confusions(record: Record) -> list[str]:
    return [_confusion(name, table, record) for name, table in record.tables().items()]


def _confusion(name: str, table: Array, record: Record) -> str:
    names = record.classes if record.classes and len(record.classes) == len(table) else None
    parts = []
    if len(table) <= tables.MOST_CLASSES:
        parts.append(tables.confusion_chart(table, names))
    if len(table) > tables.WITH_NUMBERS:
        parts.append(tables.most_confused(table, names))
    told = '<p class="soft">Row: what is true. Column: what it was taken for.</p>'
    cells = "".join(f'<div class="chart fit">{part}</div>' for part in parts)
    return (
        f'<h2>{html.escape(_words(name).capitalize())}</h2>{told}<div class="charts">{cells}</div>'
    )


def _mistakes(record: Record) -> str:
    return f"<h2>Worst mistakes</h2>{cards(record.mistakes)}" if record.mistakes else ""


def _layers(record: Record) -> str:
    """The norms of gradients, layer by layer."""
    if not record.norms:
        return ""
    times = [step for step, _ in record.norms]
    names = list(dict.fromkeys(name for _, norms in record.norms for name in norms))
    parts = _grouped(names)
    rows = {
        group: [_norm([norms.get(name, 0.0) for name in members]) for _, norms in record.norms]
        for group, members in parts.items()
    }
    told = f'<p class="soft">From step {times[0]:,} to {times[-1]:,}: the stronger, the larger.</p>'
    return f'<h2>Norms of gradients</h2>{told}<div class="chart">{tables.strips(times, rows)}</div>'


def _grouped(names: Sequence[str]) -> Mapping[str, list[str]]:
    """Parameters by layers: as deep in the network as leaves few enough of them."""
    depths = max((name.count(".") + 1 for name in names), default=1)
    for depth in range(depths, 0, -1):
        groups: dict[str, list[str]] = {}
        for name in names:
            groups.setdefault(".".join(name.split(".")[:depth]), []).append(name)
        if len(groups) <= MOST_LAYERS:
            break
    return groups


def _norm(parts: Sequence[float]) -> float:
    return math.sqrt(sum(part * part for part in parts))


def _made(record: Record) -> str:
    return f"<h2>How it was made</h2>{frame.facts_table(record.facts)}" if record.facts else ""
