"""Digits in the terminal, two pixels in each character cell; and the bar of a training."""

from __future__ import annotations

from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

Array = np.ndarray[Any, Any]
_INK = {
    (False, False): " ",
    (True, False): "\u2580",
    (False, True): "\u2584",
    (True, True): "\u2588",
}


def _grey(value: float) -> str:
    level = round(255 * min(max(value / 16, 0.0), 1.0))
    return f"#{level:02x}{level:02x}{level:02x}"


def has_greys(console: Console) -> bool:
    """Whether a terminal can show half blocks in colours."""
    return console.color_system is not None and not console.options.ascii_only


def digit_rows(image: Array, colour: bool = True) -> list[Text]:
    """An image of 0 to 16 in half blocks, two rows to a line, in greys or black and white."""
    rows = []
    for top, bottom in zip(image[0::2], image[1::2], strict=True):
        line = Text()
        for upper, lower in zip(top, bottom, strict=True):
            if colour:
                line.append("\u2580", style=f"{_grey(upper)} on {_grey(lower)}")
            else:
                line.append(_INK[bool(upper >= 8), bool(lower >= 8)])
        rows.append(line)
    return rows


def digit_strip(
    images: Array, predictions: Array, truths: Array, colour: bool = True
) -> list[Text]:
    """Digits side by side, with what was read and what is true below each."""
    height, width = images.shape[1] // 2, images.shape[2]
    lines = [Text() for _ in range(height + 1)]
    for image, read, true in zip(images, predictions, truths, strict=True):
        for line, row in zip(lines, digit_rows(image, colour), strict=False):
            line.append("  ")
            line.append_text(row)
        right = read == true
        note = f"read {read}" if right else f"{read} not {true}"
        lines[height].append(f"  {note:<{width}}", style="green" if right else "bold red")
    return lines


def training_bar(epochs: int, console: Console) -> Progress:
    """A bar of the steps of all epochs, whose tasks have the field `epoch`."""
    return Progress(
        TextColumn("epoch {task.fields[epoch]:>2}/" + str(epochs)), BarColumn(bar_width=28),
        TextColumn("{task.description}"), TimeElapsedColumn(), console=console,
    )  # fmt: skip
