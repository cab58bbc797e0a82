"""Digits in the terminal: two pixels in each character cell."""

from __future__ import annotations

from typing import Any

import numpy as np
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


def digit_rows(image: Array, colour: bool = True) -> list[Text]:
    """An 8x8 image of 0 to 16 as four lines of eight half blocks, in greys or black and white."""
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
    lines = [Text() for _ in range(5)]
    for image, read, true in zip(images, predictions, truths, strict=True):
        for line, row in zip(lines, digit_rows(image, colour), strict=False):
            line.append("  ")
            line.append_text(row)
        right = read == true
        note = f"read {read}" if right else f"{read} not {true}"
        lines[4].append(f"  {note:<8}", style="green" if right else "bold red")
    return lines
