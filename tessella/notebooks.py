"""How things show themselves in notebooks: small pieces of HTML that need nothing from elsewhere.

They take the colours of the page around them: ink is `currentColor`, lines and bars are grey and blue that can be seen on
light and on dark paper, so that no theme has to be known. Every text is escaped here.
"""

from __future__ import annotations

import html
from collections.abc import Sequence

_STYLE = (
    ".tessella{font:13px/1.5 system-ui,sans-serif;color:inherit;text-align:left;overflow-x:auto}"
    ".tessella .head{font-weight:600;margin:2px 0}"
    ".tessella .soft{opacity:.68;font-weight:400}"
    ".tessella table{border-collapse:collapse;margin:4px 0;font-size:12.5px}"
    ".tessella th,.tessella td{padding:2px 8px;text-align:right;vertical-align:top;white-space:nowrap;background:none;"
    "border:0;border-bottom:1px solid rgba(128,128,128,.28);font-variant-numeric:tabular-nums}"
    ".tessella th{font-weight:600;opacity:.68}"
    ".tessella .words{text-align:left;white-space:normal}"
    ".tessella code,.tessella pre{font-family:ui-monospace,'DejaVu Sans Mono',monospace;font-size:12px;"
    "background:none;color:inherit;margin:2px 0}"
    ".tessella ul{list-style:none;margin:0;padding-left:18px;border-left:1px solid rgba(128,128,128,.28)}"
    ".tessella summary{cursor:pointer}"
    ".tessella .share{background:linear-gradient(90deg,rgba(59,130,246,.28) var(--share),transparent var(--share))}"
)


class Cell:
    """Something in a table.

    Args:
        words: whether it is text, which begins on the left, and may be broken.
        share: from 0 to 1: a bar behind it.
        soft: what is said below, less loud.
    """

    def __init__(
        self, text: object, words: bool = False, share: float | None = None, soft: str = ""
    ) -> None:
        self.text, self.words, self.share, self.soft = str(text), words, share, soft

    def __str__(self) -> str:
        bar = "" if self.share is None else f' style="--share:{100 * self.share:.1f}%"'
        kinds = ["words"] * self.words + ["share"] * (self.share is not None)
        named = f' class="{" ".join(kinds)}"' if kinds else ""
        below = "".join(f"<br>{soft(line)}" for line in self.soft.splitlines())
        return f"<td{named}{bar}>{html.escape(self.text)}{below}</td>"


def piece(*parts: str) -> str:
    """A piece of HTML for a notebook.

    >>> piece(head("tensor", "float32")).endswith('<span class="soft">float32</span></div></div>')
    True
    """
    return f'<div class="tessella"><style>{_STYLE}</style>{"".join(parts)}</div>'


def head(title: str, more: str = "") -> str:
    """A heading, and something less loud beside it."""
    beside = f" {soft(more)}" if more else ""
    return f'<div class="head">{html.escape(title)}{beside}</div>'


def soft(text: str) -> str:
    """Something that is said less loud."""
    return f'<span class="soft">{html.escape(text)}</span>'


def code(text: str) -> str:
    """Text as it would be in a terminal."""
    return f"<pre>{html.escape(text)}</pre>"


def table(heads: Sequence[str], rows: Sequence[Sequence[Cell]], last_is_words: bool = True) -> str:
    """A table; `heads` may be empty."""
    top = ""
    if heads:
        kinds = [""] * (len(heads) - 1) + [' class="words"' if last_is_words else ""]
        cells = zip(kinds, heads, strict=True)
        top = f"<tr>{''.join(f'<th{kind}>{html.escape(name)}</th>' for kind, name in cells)}</tr>"
    body = "".join(f"<tr>{''.join(map(str, row))}</tr>" for row in rows)
    return f"<table>{top}{body}</table>"


def folded(summary: str, inner: str, is_open: bool = True) -> str:
    """Something that can be folded away; both are HTML already."""
    return f"<details{' open' * is_open}><summary>{summary}</summary>{inner}</details>"


def listed(items: Sequence[str]) -> str:
    """A list of what is HTML already."""
    return f"<ul>{''.join(f'<li>{item}</li>' for item in items)}</ul>"
