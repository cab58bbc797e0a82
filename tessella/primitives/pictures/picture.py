"""What a picture of a graph shows: boxes with words in them, and arrows between them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tessella.primitives.base import size_of
from tessella.primitives.contraction import Contraction
from tessella.primitives.graph import Graph, GraphNode, Value, describe, names_of
from tessella.primitives.movement import Rearrangement

FAMILIES = {  # what a reader is told of each
    "input": "inputs",
    "constant": "constants",
    "map": "elementwise",
    "rows": "with reductions",
    "product": "products",
    "movement": "movement",
    "indexing": "indexing",
    "random": "random numbers",
    "host": "in Python",
    "other": "others",
    "output": "results",
}
MOST_NAMES = 5


@dataclass
class Box:
    """One thing in a picture.

    Args:
        title: what it does.
        lines: sizes, and where it comes from.
        note: more, for who asks.
    """

    family: str
    title: str
    lines: list[str] = field(default_factory=list)
    note: str = ""


@dataclass(frozen=True)
class Arrow:
    """From the box that makes a value to one that uses it, by their numbers."""

    source: int
    target: int
    label: str


@dataclass
class Picture:
    """The boxes, in an order in which they can be computed, and the arrows between them."""

    boxes: list[Box]
    arrows: list[Arrow]


def picture(graph: Graph, most_ends: int | None = None) -> Picture:
    """What is to be drawn of a graph.

    Args:
        most_ends: with more inputs and outputs than that, they have no boxes of their own, but are named
            in the boxes of those who read and make them, and views are read through.
    """
    names = names_of(graph)
    ends = len(graph.inputs) + len(graph.outputs)
    apart = most_ends is None or ends <= most_ends
    made: dict[Value, int] = {}
    boxes: list[Box] = []
    arrows: dict[Arrow, None] = {}
    for value in [*graph.inputs, *graph.constants] if apart else []:
        made[value] = len(boxes)
        family = "constant" if value in graph.constants else "input"
        boxes.append(Box(family, names[value], [describe(value)]))
    through: dict[Value, Value] = {}  # views, and what they look at
    for node in graph.nodes:
        if (
            not apart
            and isinstance(node.primitive, Rearrangement)
            and node.output not in graph.outputs
        ):
            through[node.output] = through.get(node.inputs[0], node.inputs[0])
            continue
        number = len(boxes)
        boxes.append(_box(node))
        for value in dict.fromkeys(through.get(v, v) for v in node.inputs):
            if value in made:
                arrows[Arrow(made[value], number, describe(value))] = None
            else:
                boxes[number].lines.append(f"reads {names[value]}: {describe(value)}")
        made.update(dict.fromkeys(node.outputs, number))
    for position, value in enumerate(graph.outputs):
        if apart:
            boxes.append(Box("output", f"result {position}", [describe(value)]))
            if value in made:
                arrows[Arrow(made[value], len(boxes) - 1, describe(value))] = None
        elif value in made:
            boxes[made[value]].lines.append(f"is result {position}")
    return Picture(boxes, list(arrows))


def _box(node: GraphNode) -> Box:
    lines = [_sizes(node)]
    if node.where is not None:
        mark = " (backward)" if node.where.backward else ""
        lines.append(f"{os.path.basename(node.where.file)}:{node.where.line}{mark}")
    return Box(node.primitive.family, _title(node.primitive), lines, _note(node))


def _title(primitive: Any) -> str:
    inner = getattr(primitive, "graph", None)
    if isinstance(primitive, Contraction):
        return "product"
    if inner is None:
        return str(primitive.name)
    names = [n.primitive.name for n in inner.nodes if not n.primitive.transparent]
    distinct = list(dict.fromkeys(names)) or [primitive.name]
    if len(distinct) > MOST_NAMES:
        distinct = [*distinct[:3], "…", *distinct[-2:]]
    return " · ".join(distinct)


def _sizes(node: GraphNode) -> str:
    """The results, those of one size counted; of a product what is multiplied, too."""
    if isinstance(node.primitive, Contraction):
        x, y = (str(list(value.shape)).replace(" ", "") for value in node.inputs)
        return f"{x} × {y} → {describe(node.output)}"
    found: dict[str, int] = {}
    for value in node.outputs:
        found[describe(value)] = found.get(describe(value), 0) + 1
    shown = [f"{count} × {text}" if count > 1 else text for text, count in found.items()]
    return _joined(shown) or "no result"


def _joined(parts: Sequence[str], most: int = 2) -> str:
    rest = len(parts) - most
    return ", ".join(parts[:most]) + (f" and {rest} more" if rest > 0 else "")


def _note(node: GraphNode) -> str:
    inner = getattr(node.primitive, "graph", None)
    bytes_ = sum(size_of(v.shape) * v.dtype.itemsize for v in node.outputs)
    parts = [] if node.note is None else [str(node.note)]
    parts.append(f"makes {bytes_:,} bytes")
    if node.where is not None:
        parts.append(str(node.where))
    if inner is not None:
        parts.append(str(inner))
    return "\n".join(parts)
