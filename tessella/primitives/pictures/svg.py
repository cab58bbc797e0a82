"""A picture as SVG: it needs no program and no font, and follows the reader's light or dark mode."""

from __future__ import annotations

import html
from collections.abc import Sequence

from tessella.primitives.graph import Graph
from tessella.primitives.pictures import layout
from tessella.primitives.pictures.picture import FAMILIES, Box, Picture, picture

MOST_ENDS = 14  # inputs and results that get boxes of their own
MOST_LINES = 7
MOST_CHARACTERS = 52
_MARGIN, _LEGEND = 18, 34
_TITLE_WIDTH, _TEXT_WIDTH = 8.3, 6.8  # of a character, in pixels; most fonts have less
_TITLE_HEIGHT, _LINE_HEIGHT, _PADDING = 18, 15, 12

COLOURS = {  # fill and border by day, fill and border at night
    "input": ("#eef2f7", "#94a3b8", "#1d2533", "#64748b"),
    "constant": ("#f5f5f4", "#a8a29e", "#23211f", "#78716c"),
    "map": ("#e3eeff", "#3b82f6", "#14284d", "#60a5fa"),
    "rows": ("#e2f6ea", "#16a34a", "#0f3320", "#4ade80"),
    "product": ("#ffecd9", "#ea7a1f", "#40230b", "#fb923c"),
    "movement": ("#f3f4f6", "#9ca3af", "#1f2430", "#6b7280"),
    "indexing": ("#efe8fe", "#8b5cf6", "#2b1e4f", "#a78bfa"),
    "random": ("#fde8f2", "#db2777", "#431029", "#f472b6"),
    "host": ("#fff5d1", "#ca8a04", "#3a2c05", "#facc15"),
    "other": ("#f3f4f6", "#6b7280", "#1f2430", "#9ca3af"),
    "output": ("#dcf7f3", "#0d9488", "#0b322f", "#2dd4bf"),
}


def to_svg(graph: Graph) -> str:
    """The graph as an SVG: boxes from top to bottom, coloured by family, with sizes and lines.

    With many inputs these are named in the boxes that read them. In a large graph an arrow over many
    layers is told in words in both its boxes.

    >>> from tessella import jit, ones
    >>> jit(lambda x: x + 1).graph(ones(3)).to_svg()[:24]
    '<svg class="tessella-gra'
    """
    shown = picture(graph, MOST_ENDS)
    arrows = list(dict.fromkeys((arrow.source, arrow.target) for arrow in shown.arrows))
    layers = layout.layers_of(len(shown.boxes), arrows)
    cut = layout.too_long(layers, arrows)
    _tell(shown, cut)
    drawn = [arrow for arrow in arrows if arrow not in set(cut)]
    sizes = [_size(box) for box in shown.boxes]
    return _draw(shown, sizes, layout.lay_out(sizes, layers, drawn, layout.Spacing()), bool(cut))


def _tell(shown: Picture, cut: Sequence[tuple[int, int]]) -> None:
    """Write long arrows into the boxes at both their ends."""
    for a, b in cut:
        shown.boxes[b].lines.append(f"↑ {a}: {shown.boxes[a].title}")
    targets: dict[int, list[int]] = {}
    for a, b in cut:
        targets.setdefault(a, []).append(b)
    for a, readers in targets.items():
        shown.boxes[a].lines.append(f"↓ {', '.join(map(str, readers))}")


def _lines(box: Box) -> list[str]:
    """What is written below the title; the rest is in the tooltip."""
    if len(box.lines) <= MOST_LINES:
        return box.lines
    rest = len(box.lines) - MOST_LINES + 1
    return [*box.lines[: MOST_LINES - 1], f"and {rest} more"]


def _short(text: str) -> str:
    return text if len(text) <= MOST_CHARACTERS else f"{text[: MOST_CHARACTERS - 1]}…"


def _size(box: Box) -> layout.Size:
    lines = _lines(box)
    widths = [_TITLE_WIDTH * (len(_short(box.title)) + 4)]
    widths += [_TEXT_WIDTH * len(_short(line)) for line in lines]
    height = _TITLE_HEIGHT + _LINE_HEIGHT * len(lines) + 1.5 * _PADDING
    return layout.Size(max(90, max(widths)) + 2 * _PADDING, height)


# --- drawing ------------------------------------------------------------------------------------------


def _draw(
    shown: Picture, sizes: Sequence[layout.Size], where: layout.Layout, numbered: bool
) -> str:
    families = [f for f in FAMILIES if any(box.family == f for box in shown.boxes)]
    legend = _legend(families)
    legend_width = 8.0 + sum(_TEXT_WIDTH * len(FAMILIES[f]) + 40 for f in families)
    width = max(where.width, legend_width) + 2 * _MARGIN
    height = where.height + 2 * _MARGIN + _LEGEND
    shift = _MARGIN + (width - 2 * _MARGIN - where.width) / 2
    parts = [
        f'<svg class="tessella-graph" xmlns="http://www.w3.org/2000/svg" role="img" '
        f'width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}">',
        f"<style>{_style()}</style>",
        '<rect class="paper" width="100%" height="100%"/>',
        legend,
        f'<g transform="translate({shift:.1f} {_MARGIN + _LEGEND})">',
    ]
    parts += [_arrow(way) for way in where.ways.values()]
    for number, (box, size, place) in enumerate(zip(shown.boxes, sizes, where.places, strict=True)):
        parts.append(_box(number if numbered else None, box, size, place))
    return "\n".join([*parts, "</g>", "</svg>"])


def _arrow(way: Sequence[tuple[float, float]]) -> str:
    """A smooth line downwards, with a head."""
    (x, y), *rest = way
    path = [f"M{x:.1f} {y:.1f}"]
    for number, (to_x, to_y) in enumerate(rest):
        end = to_y - 6 if number == len(rest) - 1 else to_y
        bend = 0.0 if to_x == x else (end - y) / 2
        path.append(f"C{x:.1f} {y + bend:.1f} {to_x:.1f} {end - bend:.1f} {to_x:.1f} {end:.1f}")
        x, y = to_x, end
    head = f"M{x - 4:.1f} {y:.1f}L{x:.1f} {y + 6:.1f}L{x + 4:.1f} {y:.1f}Z"
    return f'<path class="way" d="{"".join(path)}"/><path class="head" d="{head}"/>'


def _box(number: int | None, box: Box, size: layout.Size, place: tuple[float, float]) -> str:
    x, y = place[0] - size.width / 2, place[1]
    tip = "\n".join(part for part in (box.title, *box.lines, box.note) if part)
    mark = "" if number is None else f'<tspan class="number">{number} </tspan>'
    parts = [
        f'<g class="box {box.family}"><title>{html.escape(tip)}</title>',
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{size.width:.1f}" height="{size.height:.1f}" rx="7"/>',
        _text(place[0], y + _PADDING + 6, mark + html.escape(_short(box.title)), "title"),
    ]
    for row, line in enumerate(_lines(box), start=1):
        height = y + _PADDING + 6 + _TITLE_HEIGHT + _LINE_HEIGHT * (row - 1)
        parts.append(_text(place[0], height, html.escape(_short(line)), "line"))
    return "".join([*parts, "</g>"])


def _text(x: float, y: float, words: str, kind: str) -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{words}</text>'


def _legend(families: Sequence[str]) -> str:
    parts, x = [], float(_MARGIN)
    for family in families:
        name = FAMILIES[family]
        parts.append(
            f'<g class="box {family}"><rect x="{x:.1f}" y="{_MARGIN}" width="14" height="14" rx="3"/>'
            f'<text class="legend" x="{x + 20:.1f}" y="{_MARGIN + 11}">{name}</text></g>'
        )
        x += _TEXT_WIDTH * len(name) + 40
    return "".join(parts)


def _style() -> str:
    """The colours by day, and those at night where the reader's system says so."""
    day = {"--ink": "#1c2230", "--soft": "#5b6576", "--way": "#8b95a7", "--paper": "#ffffff"}
    night = {"--ink": "#e6e9ef", "--soft": "#a3adbd", "--way": "#6b7588", "--paper": "#12161f"}
    for family, (fill, border, dark_fill, dark_border) in COLOURS.items():
        day |= {f"--{family}": fill, f"--{family}-border": border}
        night |= {f"--{family}": dark_fill, f"--{family}-border": dark_border}
    own = ".tessella-graph"
    rules = [
        f"{own}{{{_declared(day)}}}",
        f"@media (prefers-color-scheme:dark){{{own}{{{_declared(night)}}}}}",
        f"{own} text{{font-family:ui-sans-serif,system-ui,'DejaVu Sans',sans-serif;fill:var(--ink)}}",
        f"{own} .title,{own} .line{{text-anchor:middle}}",
        f"{own} .title{{font-size:13px;font-weight:600}}",
        f"{own} .line,{own} .legend{{font-size:11.5px}}{own} .line,{own} .number{{fill:var(--soft)}}",
        f"{own} .number{{font-weight:400}}{own} .paper{{fill:var(--paper)}}",
        f"{own} .way{{fill:none;stroke:var(--way);stroke-width:1.2}}{own} .head{{fill:var(--way)}}",
    ]
    rules += [
        f"{own} .{family} rect{{fill:var(--{family});stroke:var(--{family}-border)}}"
        for family in COLOURS
    ]
    return "".join(rules)


def _declared(variables: dict[str, str]) -> str:
    return "".join(f"{name}:{value};" for name, value in variables.items())
