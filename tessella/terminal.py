"""Text that fits a terminal of eighty columns: lines are broken between words, names and paths shortened."""

from __future__ import annotations

import textwrap

WIDTH = 80
_INDENT = 8


def shortened(text: str, width: int) -> str:
    """A text without its middle, if it is too long.

    >>> shortened("fused_exp_add_multiply_sum", 16)
    'fused_ex…ply_sum'
    """
    if len(text) <= width:
        return text
    last = (width - 1) // 2
    return f"{text[: width - 1 - last]}…{text[len(text) - last :]}"


def tail(text: str, width: int) -> str:
    """The end of a text that is too long: of a path it says the most.

    >>> tail("/home/somebody/project/train.py:12 in step", 22)
    '…t/train.py:12 in step'
    """
    return text if len(text) <= width else f"…{text[len(text) - width + 1 :]}"


def wrapped(text: str, first: int = _INDENT, rest: int = _INDENT) -> list[str]:
    """The lines of a text.

    Args:
        first, rest: how far the first line and the others begin from the left.
    """
    return textwrap.wrap(
        text, WIDTH, initial_indent=" " * first, subsequent_indent=" " * rest,
        break_on_hyphens=False,
    )  # fmt: skip


def placed(text: str) -> str:
    """A line of a user's file, below what belongs to it."""
    return f"{'':{_INDENT}}{tail(text, WIDTH - _INDENT)}"


def time_of(seconds: float) -> str:
    """A time with a fitting unit."""
    if seconds >= 1e-3:
        return f"{seconds * 1e3:.2f} ms"
    return f"{seconds * 1e6:.2f} µs"


def bytes_of(count: float) -> str:
    """An amount of memory with a fitting unit.

    >>> bytes_of(1536)
    '1.5 KiB'
    """
    for unit in ("bytes", "KiB", "MiB", "GiB", "TiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} PiB"
