"""The frame of a page: one style for day and night, for phones and large screens; nothing comes from a network."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping

from tessella.train.pages.colours import coloured

STYLE = (
    f":root {{ color-scheme: light dark }}\n{coloured(':root')}"
    + """
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 960px; padding: 24px 16px 48px; background: var(--paper);
  color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; margin: 0 0 4px; } h2 { font-size: 1.1rem; margin: 32px 0 8px; }
p { margin: 4px 0; } .soft { color: var(--soft); }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px;
  margin: 20px 0; }
.figure { background: var(--card); border-radius: 10px; padding: 12px 16px; }
.figure b { display: block; font-size: 1.5rem; } .figure span { color: var(--soft); }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(300px, 100%), 1fr));
  gap: 16px; }
.chart { background: var(--card); border-radius: 10px; padding: 12px; min-width: 0; }
.chart h2 { margin-top: 0; } .chart.fit { max-width: 540px; }
svg { display: block; width: 100%; height: auto; } svg text { fill: var(--soft); font-size: 11px; }
.samples { display: grid; grid-template-columns: repeat(auto-fill, minmax(104px, 1fr)); gap: 10px; }
.samples.wide { grid-template-columns: repeat(auto-fill, minmax(min(280px, 100%), 1fr)); }
.sample { background: var(--card); border-radius: 8px; padding: 8px; text-align: center;
  font-size: 0.85rem; min-width: 0; overflow-wrap: anywhere; }
.sample.wrong { outline: 2px solid var(--wrong); }
.sample img { display: block; width: 100%; image-rendering: pixelated; border-radius: 4px;
  margin-bottom: 4px; }
.picture { display: block; max-width: 100%; margin: 0 auto; border-radius: 4px; }
.wide .sample { text-align: left; } .wide .sample p { margin: 0 0 6px; }
table { border-collapse: collapse; } td { padding: 2px 16px 2px 0; vertical-align: top; }
td:first-child { color: var(--soft); } code { overflow-wrap: anywhere; }
.key { font-size: 0.85rem; color: var(--soft); } .key span { margin-right: 12px; }
.key i { display: inline-block; width: 14px; height: 3px; margin: 0 6px 3px 0; }
.strip { display: grid; grid-template-columns: minmax(0, 11rem) 1fr 3.6rem; gap: 10px;
  align-items: center; font-size: 0.85rem; line-height: 1.7; }
.strip span { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.strip svg { height: 14px; border-radius: 3px; } .strip b { font-weight: normal; color: var(--soft);
  text-align: right; }
@media (max-width: 480px) { .strip { grid-template-columns: minmax(0, 7rem) 1fr 3rem; }
  .figures { grid-template-columns: 1fr 1fr; } .figure b { font-size: 1.2rem; } }
"""
)

_AGAIN = """<noscript><meta http-equiv="refresh" content="{seconds}"></noscript><script>
const written = {written}, note = () => {{
  const age = Math.round(Date.now() / 1000 - written), place = document.getElementById("age");
  if (place) place.textContent = age < 90 ? age + " s ago" : Math.round(age / 60) + " min ago";
}};
addEventListener("DOMContentLoaded", () => {{ note(); setInterval(note, 1000); }});
setInterval(() => {{ if (!document.hidden) location.reload(); }}, {milliseconds});
</script>"""


def page(title: str, body: str, again: tuple[float, float] | None = None) -> str:
    """A whole page.

    Args:
        body: HTML.
        again: after how many seconds the page is to look for news, and when it was written, in seconds since 1970: it
            says so where the body has a place with the id `age`.
    """
    script = ""
    if again is not None:
        seconds, written = again
        script = _AGAIN.format(
            seconds=f"{seconds:.0f}", written=f"{written:.1f}", milliseconds=f"{1000 * seconds:.0f}"
        )
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style>{script}</head>
<body>{body}</body></html>
"""


def figures(entries: Iterable[tuple[str, str]]) -> str:
    """Numbers in large letters, with what they are below."""
    boxes = "".join(
        f'<div class="figure"><b>{html.escape(number)}</b><span>{html.escape(what)}</span></div>'
        for number, what in entries
    )
    return f'<div class="figures">{boxes}</div>'


def card(title: str, *content: str) -> str:
    """A chart under its title."""
    return f'<div class="chart"><h2>{html.escape(title)}</h2>{"".join(content)}</div>'


def facts_table(facts: Mapping[str, str]) -> str:
    """Facts by their names."""
    rows = "".join(
        f"<tr><td>{html.escape(name)}</td><td><code>{html.escape(value)}</code></td></tr>"
        for name, value in facts.items()
    )
    return f"<table>{rows}</table>"
