"""Curves as SVG: few points, round numbers at the axes, in the colours of the page."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tessella.train.pages.colours import coloured

Array = np.ndarray[Any, Any]
MOST_POINTS = 300  # of a curve: more than there are pixels show nothing
_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 420, 240, 50, 14, 10, 26
_ALONE = coloured("svg.tessella-chart") + (
    "svg.tessella-chart text { fill: var(--soft); font: 11px system-ui, sans-serif }"
)


@dataclass(frozen=True)
class Curve:
    """One line of a chart; what is not finite is a gap.

    Args:
        colour: a variable of the page's style.
        is_faint: drawn behind the others, and thin.
        has_dots: each point is marked.
    """

    name: str
    x: Sequence[float] | Array
    y: Sequence[float] | Array
    colour: str = "--first"
    is_faint: bool = False
    has_dots: bool = False


@dataclass(frozen=True)
class Axis:
    """From numbers to places.

    Args:
        start, end: places of the least and the largest.
    """

    low: float
    high: float
    start: float
    end: float
    is_log: bool = False

    def __call__(self, value: float) -> float:
        """Where a number stands."""
        low, high, value = (
            (math.log10(self.low), math.log10(self.high), math.log10(value))
            if self.is_log
            else (self.low, self.high, value)
        )
        return self.start + (self.end - self.start) * (value - low) / (high - low)


def ticks(low: float, high: float) -> list[float]:
    """Round numbers, about four steps, from at most `low` to at least `high`.

    >>> ticks(0.21, 1.0)
    [0.2, 0.4, 0.6, 0.8, 1.0]
    """
    rough = max(high - low, 1e-9 * max(abs(low), abs(high)), 1e-300) / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * m for m in (1, 2, 5, 10) if rough <= power * m * (1 + 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [float(f"{step * i:.12g}") for i in range(first, max(last, first + 1) + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Round numbers for a logarithmic axis, from at most `low` to at least `high`.

    >>> log_ticks(0.03, 4.0)
    [0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0]
    >>> log_ticks(1e-5, 3.0)
    [1e-05, 0.0001, 0.001, 0.01, 0.1, 1.0, 10.0]
    """
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    steps = (1, 2, 5) if math.log10(high / low) < 3 else (1,)
    every = [float(f"{m}e{power}") for power in range(first, last + 1) for m in steps]
    begin = max(i for i, value in enumerate(every) if value <= low * (1 + 1e-9))
    end = min(
        (i for i, value in enumerate(every) if value >= high * (1 - 1e-9)), default=len(every)
    )
    chosen = every[begin : max(end, begin + 1) + 1]
    return chosen[:: 1 + len(chosen) // 9]


def shown_number(value: float) -> str:
    """A number at an axis.

    >>> [shown_number(x) for x in (0.25, 1200, 45000, 2e6, 1e-5, 0.0)]
    ['0.25', '1,200', '45k', '2M', '1e-5', '0']
    """
    size = abs(value)
    for unit, sign in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if size >= unit:
            return f"{value / min(unit, 1e3 if sign == 'k' else unit):.4g}{sign}"
    if 0 < size < 1e-3:
        mantissa, _, power = f"{value:.3g}".partition("e")
        return f"{mantissa}e{int(power)}" if power else mantissa
    return f"{value:,.4g}" if size < 1000 else f"{value:,.0f}"


def smoothed(values: Sequence[float] | Array) -> Array:
    """A running mean that forgets after a fiftieth of the values; those that are not finite are left out.

    Source: Kingma & Ba, *Adam* (2015), section 3: the mean is divided by the weights that it has had so far.

    >>> smoothed([2.0, 2.0, float("nan"), 2.0])
    array([2., 2., 2., 2.])
    """
    numbers = np.asarray(values, np.float64)
    keep = 1 - 1 / max(1.0, len(numbers) / 50)
    found, mean, weight = np.full(len(numbers), np.nan), 0.0, 0.0
    for i, value in enumerate(numbers.tolist()):
        if math.isfinite(value):
            mean, weight = keep * mean + (1 - keep) * value, keep * weight + (1 - keep)
        found[i] = mean / weight if weight else math.nan
    return found


def thinned(x: Sequence[float] | Array, y: Sequence[float] | Array) -> tuple[Array, Array]:
    """At most `MOST_POINTS` points of a curve: the least and the largest of each stretch, so that no peak is lost.

    >>> x, y = thinned(range(10_000), [0.0] * 5_000 + [1.0] + [0.0] * 4_999)
    >>> len(x) <= MOST_POINTS, y.max()
    (True, np.float64(1.0))
    """
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if len(x) <= MOST_POINTS:
        return x, y
    places = {0, len(x) - 1}
    for part in np.array_split(np.arange(len(x)), MOST_POINTS // 2 - 1):
        known = part[np.isfinite(y[part])]
        if known.size:
            places |= {int(known[y[known].argmin()]), int(known[y[known].argmax()])}
    chosen = sorted(places)
    return x[chosen], y[chosen]


def wants_log(values: Sequence[float] | Array) -> bool:
    """Whether numbers are better seen on a logarithmic axis: all are positive, and go through two decades."""
    numbers = np.asarray(values, np.float64)
    known = numbers[np.isfinite(numbers)]
    return bool(known.size and known.min() > 0 and known.max() / known.min() > 100)


def chart(
    curves: Sequence[Curve], *, is_log: bool = False, x_is_log: bool = False, is_percent: bool = False,
    from_zero: bool = False, mark: tuple[float, str] | None = None, x_name: str = "",
) -> str:  # fmt: skip
    """Curves over one axis, as an SVG.

    Args:
        is_percent: numbers are shares: the axis ends with all.
        from_zero: the axis begins there, and ends where the numbers do.
        mark: a number of the horizontal axis, and what to write there.
        x_name: what the horizontal axis counts.
    """
    xs, ys = (_finite(curves, i, log) for i, log in ((0, x_is_log), (1, is_log)))
    levels = _levels(ys, is_log, is_percent, from_zero)
    across = _across(xs, x_is_log)
    up = Axis(levels[0], levels[-1], _HEIGHT - _BOTTOM, _TOP, is_log)
    parts = [_level(up(value), _label(value, is_percent)) for value in levels]
    parts += [_place(across(value), shown_number(value)) for value in _places(across)]
    if x_name:
        parts.append(f'<text x="0" y="{_HEIGHT - 8}">{html.escape(x_name)}</text>')
    if mark is not None and across.low <= mark[0] <= across.high:
        parts.append(_marked(across(mark[0]), mark[1]))
    parts += [_drawn(curve, across, up) for curve in sorted(curves, key=lambda c: not c.is_faint)]
    names = html.escape(", ".join(curve.name for curve in curves))
    return f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{names}">{"".join(parts)}</svg>'


def alone(curves: Sequence[Curve], **options: Any) -> str:
    """The same as a picture that needs no page: with its colours, for day and night, inside.

    >>> alone([Curve("loss", [1, 2], [3, 4])])[:43]
    '<svg xmlns="http://www.w3.org/2000/svg" cla'
    """
    start = '<svg xmlns="http://www.w3.org/2000/svg" class="tessella-chart" '
    drawn = chart(curves, **options).replace("<svg ", start, 1)
    place = drawn.index(">") + 1
    paper = '<rect width="100%" height="100%" fill="var(--paper)"/>'
    return f"{drawn[:place]}<style>{_ALONE}</style>{paper}{drawn[place:]}"


def key(curves: Sequence[Curve]) -> str:
    """What the colours mean."""
    marks = "".join(
        f'<span><i style="background:var({curve.colour})"></i>{html.escape(curve.name)}</span>'
        for curve in curves
        if not curve.is_faint
    )
    return f'<p class="key">{marks}</p>'


def _finite(curves: Sequence[Curve], which: int, is_log: bool) -> Array:
    """All numbers of the curves that can be shown."""
    parts = [np.asarray((curve.x, curve.y)[which], np.float64) for curve in curves]
    numbers = np.concatenate(parts) if parts else np.zeros(0)
    known = numbers[np.isfinite(numbers)]
    return known[known > 0] if is_log else known


def _levels(values: Array, is_log: bool, is_percent: bool, from_zero: bool) -> list[float]:
    if not values.size:
        return [0.1, 1.0] if is_log else [0.0, 1.0]
    low, high = float(values.min()), float(values.max())
    if is_log:
        return log_ticks(low, high)
    if is_percent and not from_zero:
        high = max(1.0, high)
    found = ticks(min(low, 0.0) if from_zero else low, high)
    return [value for value in found if not is_percent or value <= max(1.0, high)]


def _across(values: Array, is_log: bool) -> Axis:
    low, high = (float(values.min()), float(values.max())) if values.size else (1.0, 2.0)
    if low == high:
        low, high = (low / 2, high * 2) if is_log else (low - 1, high + 1)
    return Axis(low, high, _LEFT, _WIDTH - _RIGHT, is_log)


def _places(across: Axis) -> list[float]:
    found = (log_ticks if across.is_log else ticks)(across.low, across.high)
    inside = [value for value in found if across.low <= value <= across.high]
    whole = [value for value in inside if value == int(value)]
    return whole if len(whole) > 1 and not across.is_log else inside


def _label(value: float, is_percent: bool) -> str:
    return f"{100 * value:.4g} %" if is_percent else shown_number(value)


def _level(y: float, label: str) -> str:
    return (
        f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="var(--line)"/>'
        f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{label}</text>'
    )


def _place(x: float, label: str) -> str:
    return f'<text x="{x:.1f}" y="{_HEIGHT - 8}" text-anchor="middle">{label}</text>'


def _marked(x: float, label: str) -> str:
    side, shift = ("start", 5) if x < _WIDTH / 2 else ("end", -5)
    return (
        f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{_HEIGHT - _BOTTOM}" stroke="var(--wrong)" '
        f'stroke-dasharray="4 3"/><text x="{x + shift:.1f}" y="{_TOP + 10}" text-anchor="{side}">'
        f"{html.escape(label)}</text>"
    )


def _drawn(curve: Curve, across: Axis, up: Axis) -> str:
    x, y = thinned(curve.x, curve.y)
    shown = np.isfinite(x) & np.isfinite(y) & ((y > 0) | (not up.is_log))
    points = [
        f"{across(a):.1f},{up(b):.1f}" if good else ""
        for a, b, good in zip(x.tolist(), y.tolist(), shown.tolist(), strict=True)
    ]
    pieces = [piece.split() for piece in " ".join(p or "|" for p in points).split("|")]
    style = f'stroke="var({curve.colour})" stroke-linejoin="round" fill="none" ' + (
        'stroke-width="1" stroke-opacity="0.35"' if curve.is_faint else 'stroke-width="2.2"'
    )
    lines = [
        f'<polyline points="{" ".join(piece)}" {style}/>' for piece in pieces if len(piece) > 1
    ]
    alone = {piece[0] for piece in pieces if len(piece) == 1}
    dots = [
        _dot(point, curve, a, b)
        for point, a, b in zip(points, x.tolist(), y.tolist(), strict=True)
        if point and (point in alone or (curve.has_dots and len(points) <= 60))
    ]
    return "".join(lines + dots)


def _dot(point: str, curve: Curve, x: float, y: float) -> str:
    across, up = point.split(",")
    title = html.escape(f"{curve.name}: {y:.4g} at {x:g}")
    return f'<circle cx="{across}" cy="{up}" r="3" fill="var({curve.colour})"><title>{title}</title></circle>'
