"""Draws the strata, docs/strata.svg, from the list that the test of imports knows (`tests/strata.py`).

python docs/build_strata.py
"""

import colorsys
import sys
from html import escape
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.strata import STRATA

TARGET = Path(__file__).parent / "strata.svg"
WIDTH, ROW, GAP, TOP = 780, 31, 4, 12

# Where the course is at home.
MODULES = {
    "minitorch": "Modules 0 to 4", "nn": "Module 4", "tensors": "Module 2", "autodiff": "Module 1",
    "compiler": "Module 3", "targets": "Module 3", "loops": "Module 3", "primitives": "Module 2", "scalar": "Modules 0, 1",
}  # fmt: skip


def drawn() -> str:
    """The picture, the highest stratum first."""
    height = TOP + len(STRATA) * (ROW + GAP) + 30
    names = ", ".join(stratum.name for stratum in STRATA)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        'font-family="ui-sans-serif, system-ui, Helvetica, Arial, sans-serif" role="img" '
        f'aria-label="The strata of Tessella, from the highest to the lowest: {escape(names)}">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
    ]
    for number, stratum in enumerate(STRATA):
        lines += _row(TOP + number * (ROW + GAP), number / (len(STRATA) - 1), *stratum[:2])
    bottom = height - 34
    x = WIDTH - 44
    lines += [
        f'<path d="M{x} {TOP + 6} V{bottom - 8}" stroke="#6b7488" stroke-width="2"/>',
        f'<path d="M{x - 6} {bottom - 10} H{x + 6} L{x} {bottom} Z" fill="#6b7488"/>',
        f'<text x="{x + 22}" y="{height / 2}" font-size="13" fill="#6b7488" text-anchor="middle" '
        f'transform="rotate(90 {x + 22} {height / 2})">imports only what stands below</text>',
        f'<text x="12" y="{height - 9}" font-size="13" fill="#6b7488">A reader goes top-down, a learner '
        "bottom-up.</text>",
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _row(y: int, place: float, name: str, purpose: str) -> list[str]:
    red, green, blue = (
        round(255 * part) for part in colorsys.hls_to_rgb(0.64 - 0.5 * place, 0.5, 0.5)
    )
    colour = f"#{red:02x}{green:02x}{blue:02x}"
    width = WIDTH - 84
    middle = y + ROW / 2 + 5
    return [
        f'<rect x="12" y="{y}" width="{width}" height="{ROW}" rx="5" fill="{colour}" fill-opacity="0.13" stroke="{colour}"/>',
        f'<rect x="12" y="{y}" width="5" height="{ROW}" rx="2.5" fill="{colour}"/>',
        f'<text x="30" y="{middle}" font-size="15" font-weight="600" fill="#1d2433">{name}</text>',
        f'<text x="142" y="{middle}" font-size="13.5" fill="#3a4356">{escape(purpose.replace("`", ""))}</text>',
        f'<text x="{width}" y="{middle}" font-size="12" fill="#6b7488" text-anchor="end">{MODULES.get(name, "")}</text>',
    ]


if __name__ == "__main__":
    TARGET.write_text(drawn(), encoding="utf8")
