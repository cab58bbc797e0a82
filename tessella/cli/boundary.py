"""What a classifier of points makes of the unit square: live in the terminal, and as a PNG."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.text import Text

from tessella import files
from tessella.cli.drawing import has_greys
from tessella.data.png import png

Array = np.ndarray[Any, Any]
Point = tuple[float, float]
Predict = Callable[[Sequence[Point]], Sequence[float]]

_COLOURS = np.array([[49, 104, 168], [236, 240, 244], [214, 96, 46]])  # class 0, undecided, class 1
_MARKS = ("o", "x")
_SHARE = 0.15  # of the time may be spent on drawing
_BARS = " ▁▂▃▄▅▆▇█"


class BoundaryView:
    """Shows training: call it after an epoch with (epoch, total loss, correct, losses).

    Args:
        data: points `X` of the unit square and their classes `y`.
        predict: from points to the probabilities of class 1.
        epochs: how many there will be.
        live: draw in the terminal; without a terminal, a line is printed now and then.
        picture: a PNG to write at every drawing, too.
        cells: how fine the square is looked at; each drawing asks for cells x cells predictions.
    """

    def __init__(
        self, data: Any, predict: Predict, epochs: int,
        live: bool = True, picture: Path | None = None, cells: int = 44,
    ) -> None:  # fmt: skip
        self.data, self.predict, self.epochs = data, predict, epochs
        self.picture, self.cells = picture, cells
        self.console = Console(highlight=False)
        self.live = live and self.console.is_terminal
        self.last: tuple[int, float, int, Sequence[float]] | None = None
        self._start = self._drawn = time.perf_counter()
        self._cost = 0.0

    def __enter__(self) -> BoundaryView:
        self._screen = Live(console=self.console, auto_refresh=False) if self.live else None
        if self._screen is not None:
            self._screen.start()
        return self

    def __exit__(self, kind: Any, *_: Any) -> bool:
        if self.last is not None:
            self._draw()
        if self._screen is not None:
            self._screen.stop()
        stopped: bool = kind is KeyboardInterrupt
        if stopped:
            self.console.print("[yellow]Interrupted[/yellow]: this is what was learnt so far.")
        if self.picture is not None and self.last is not None:
            self.console.print(
                f"The picture is in [bold]{escape(str(self.picture))}[/bold]", soft_wrap=True
            )
        return stopped

    def __call__(self, epoch: int, loss: float, correct: int, losses: Sequence[float]) -> None:
        self.last = (epoch, loss, correct, losses)
        now = time.perf_counter()
        drawing = self.live or self.picture is not None
        if drawing and now - self._drawn > max(0.1, self._cost / _SHARE):
            self._draw()
        if not self.live and (epoch % max(1, self.epochs // 20) == 0 or epoch == self.epochs):
            self.console.print(self._line(), soft_wrap=True)

    def _line(self) -> str:
        assert self.last is not None
        epoch, loss, correct, _ = self.last
        seconds = time.perf_counter() - self._start
        return (
            f"epoch {epoch:>4}/{self.epochs}  loss {loss:8.3f}  correct {correct:>3}/{len(self.data.X)}"
            f"  {seconds:6.1f} s"
        )

    def _draw(self) -> None:
        begin = time.perf_counter()
        if self._screen is not None or self.picture is not None:
            square = grid(self.predict, self.cells)
            if self._screen is not None:
                assert self.last is not None
                shown = terminal(square, self.data, has_greys(self.console))
                curve = Text(sparkline(self.last[3], self.cells))
                self._screen.update(Group(shown, curve, Text(self._line())), refresh=True)
            if self.picture is not None:
                files.write(self.picture, png(picture(square, self.data)))
        self._drawn = time.perf_counter()
        self._cost = self._drawn - begin


def grid(predict: Predict, cells: int) -> Array:
    """The probabilities of class 1 over the unit square, (cells, cells), the first row on top."""
    middles = (np.arange(cells) + 0.5) / cells
    points = [(float(a), float(b)) for b in middles[::-1] for a in middles]
    return np.asarray(predict(points), dtype=np.float64).reshape(cells, cells)


def _colours(probabilities: Array) -> Array:
    """(...) -> (..., 3), from 0 to 255."""
    place = np.clip(np.nan_to_num(probabilities, nan=0.5), 0, 1) * 2
    below = np.minimum(place.astype(int), 1)
    share = (place - below)[..., None]
    return (_COLOURS[below] * (1 - share) + _COLOURS[below + 1] * share).round().astype(np.uint8)


def terminal(square: Array, data: Any, colour: bool = True) -> Text:
    """The square in half blocks, two rows of cells to a line, with the points as o (0) and x (1).

    Without colours, what is taken for class 1 is dotted.
    """
    cells = len(square)
    rows = np.repeat(square, 2, axis=0)[: 2 * cells : 2] if cells % 2 else square
    shades = _colours(rows)
    marks: dict[tuple[int, int], int] = {}
    lines = len(rows) // 2
    for (a, b), label in zip(data.X, data.y, strict=True):
        column, row = int(np.clip(a, 0, 0.999) * cells), int((1 - np.clip(b, 0.001, 1)) * lines)
        marks[row, column] = label
    text = Text()
    for row in range(lines):
        for column in range(cells):
            upper, lower = shades[2 * row, column], shades[2 * row + 1, column]
            label = marks.get((row, column))
            if not colour:
                inside = rows[2 * row : 2 * row + 2, column].mean() > 0.5
                text.append(("·" if inside else " ") if label is None else _MARKS[label])
            elif label is None:
                text.append("▀", style=f"{_hex(upper)} on {_hex(lower)}")
            else:
                middle = (upper.astype(int) + lower) // 2
                text.append(_MARKS[label], style=f"bold black on {_hex(middle)}")
        text.append("\n")
    return text


def _hex(rgb: Array) -> str:
    red, green, blue = (int(x) for x in rgb)
    return f"#{red:02x}{green:02x}{blue:02x}"


def sparkline(values: Sequence[float], width: int) -> str:
    """Numbers as a line of bars, from 0 to the largest; each bar is a mean.

    >>> sparkline([4.0, 2.0, 1.0, 0.0], 4)
    '█▄▂ '
    """
    if not len(values):
        return ""
    parts = np.array_split(np.asarray(values, float), min(width, len(values)))
    means = np.nan_to_num([part.mean() for part in parts])
    top = max(float(means.max()), 1e-12)
    return "".join(_BARS[round(float(mean) / top * (len(_BARS) - 1))] for mean in means)


def picture(square: Array, data: Any, size: int = 480) -> Array:
    """The square as an image (size, size, 3): colours, the boundary, and the points."""
    places = (np.arange(size) + 0.5) / size * len(square) - 0.5
    smooth = _resampled(_resampled(square, places).T, places).T
    image = _colours(smooth)
    inside = smooth > 0.5
    edge = np.zeros_like(inside)
    edge[1:] |= inside[1:] != inside[:-1]
    edge[:, 1:] |= inside[:, 1:] != inside[:, :-1]
    edge[:-1] |= edge[1:].copy()
    image[edge] = (255, 255, 255)
    rows, columns = np.mgrid[:size, :size] + 0.5
    for (a, b), label in zip(data.X, data.y, strict=True):
        distance = np.hypot(columns - a * size, rows - (1 - b) * size)
        image[distance < 7.5] = (255, 255, 255)
        image[distance < 6] = _COLOURS[2 * label] * 0.8
    return image


def _resampled(rows: Array, places: Array) -> Array:
    """Rows at places between them, by linear interpolation."""
    clipped = np.clip(places, 0, len(rows) - 1)
    low = np.minimum(clipped.astype(int), len(rows) - 2)
    share = (clipped - low)[:, None]
    return rows[low] * (1 - share) + rows[low + 1] * share
