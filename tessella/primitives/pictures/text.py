"""A picture in the languages of Graphviz (DOT) and Mermaid."""

from __future__ import annotations

from tessella.primitives.graph import Graph
from tessella.primitives.pictures.picture import Box, picture
from tessella.primitives.pictures.svg import COLOURS

_ENTITIES = {"&": "&amp;", "#": "#35;", '"': "#quot;", "<": "&lt;", ">": "&gt;"}  # in this order


def to_dot(graph: Graph) -> str:
    """The graph in Graphviz' language; `dot -Tsvg` draws it.

    >>> from tessella import jit, ones
    >>> print(jit(lambda x: x + 1).graph(ones(3)).to_dot())  # doctest: +ELLIPSIS
    digraph {
      rankdir=TB; node [shape=box style="rounded,filled" fontname="sans-serif" fontsize=11];
      n0 [label="argument\\nfloat32[3]" fillcolor="#eef2f7" color="#94a3b8"];
      n1 [label="add\\nfloat32[3]\\n<doctest ...>:1" fillcolor="#e3eeff" color="#3b82f6"];
      n2 [label="result 0\\nfloat32[3]" fillcolor="#dcf7f3" color="#0d9488"];
      n0 -> n1 [label="float32[3]"];
      n1 -> n2 [label="float32[3]"];
    }
    """
    shown = picture(graph)
    lines = [
        "digraph {",
        '  rankdir=TB; node [shape=box style="rounded,filled" fontname="sans-serif" fontsize=11];',
    ]
    for number, box in enumerate(shown.boxes):
        fill, border, *_ = COLOURS[box.family]
        label = "\\n".join(_quoted(part) for part in _words(box))
        lines.append(f'  n{number} [label="{label}" fillcolor="{fill}" color="{border}"];')
    for arrow in shown.arrows:
        lines.append(f'  n{arrow.source} -> n{arrow.target} [label="{_quoted(arrow.label)}"];')
    return "\n".join([*lines, "}"])


def to_mermaid(graph: Graph) -> str:
    """The graph in Mermaid's language, which many Markdown readers draw.

    >>> from tessella import jit, ones
    >>> print(jit(lambda x: x + 1).graph(ones(3)).to_mermaid())  # doctest: +ELLIPSIS
    flowchart TD
      n0["argument<br/>float32[3]"]:::input
      n1["add<br/>float32[3]<br/>&lt;doctest ...&gt;:1"]:::map
      n2["result 0<br/>float32[3]"]:::output
      n0 --> n1
      n1 --> n2
      classDef input fill:#eef2f7,stroke:#94a3b8,color:#1c2230
      classDef map fill:#e3eeff,stroke:#3b82f6,color:#1c2230
      classDef output fill:#dcf7f3,stroke:#0d9488,color:#1c2230
    """
    shown = picture(graph)
    lines = ["flowchart TD"]
    for number, box in enumerate(shown.boxes):
        label = "<br/>".join(_escaped(part) for part in _words(box))
        lines.append(f'  n{number}["{label}"]:::{box.family}')
    ways = dict.fromkeys((arrow.source, arrow.target) for arrow in shown.arrows)
    lines += [f"  n{a} --> n{b}" for a, b in ways]
    for family, (fill, border, *_) in COLOURS.items():
        if any(box.family == family for box in shown.boxes):
            lines.append(f"  classDef {family} fill:{fill},stroke:{border},color:#1c2230")
    return "\n".join(lines)


def _words(box: Box) -> list[str]:
    return [box.title, *box.lines]


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _escaped(text: str) -> str:
    """Mermaid writes entities with # where HTML has &; its own sign must be one, too."""
    for sign, entity in _ENTITIES.items():
        text = text.replace(sign, entity)
    return text
