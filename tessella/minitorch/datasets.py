"""The course's data: points of the unit square in two classes, each a little harder than the last.

Points come from Python's `random`: `random.seed(n)` makes them the same again.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass

from tessella.arguments import public
from tessella.arguments.kinds import Natural
from tessella.devices.registry import host

Point = tuple[float, float]


@dataclass
class Graph:
    """N points X and their classes y (0 or 1)."""

    N: int
    X: list[Point]
    y: list[int]


@public
def make_pts(N: Natural) -> list[Point]:
    """Random points of the unit square."""
    host().require_available(200 * N)  # bytes of the objects of Python, before the first is made
    return [(random.random(), random.random()) for _ in range(N)]


def _labelled(N: int, is_one: Callable[[float, float], bool]) -> Graph:
    X = make_pts(N)
    return Graph(N, X, [int(is_one(*point)) for point in X])


@public
def simple(N: Natural) -> Graph:
    """The left half.

    >>> graph = simple(50)
    >>> graph.N, len(graph.X), set(graph.y) <= {0, 1}
    (50, 50, True)
    """
    return _labelled(N, lambda a, b: a < 0.5)


@public
def diag(N: Natural) -> Graph:
    """A corner, below a diagonal."""
    return _labelled(N, lambda a, b: a + b < 0.5)


@public
def split(N: Natural) -> Graph:
    """The outer fifths on the left and right."""
    return _labelled(N, lambda a, b: a < 0.2 or a > 0.8)


@public
def xor(N: Natural) -> Graph:
    """Two quarters that meet in the middle."""
    return _labelled(N, lambda a, b: (a < 0.5 < b) or (b < 0.5 < a))


@public
def circle(N: Natural) -> Graph:
    """What is outside a circle."""
    return _labelled(N, lambda a, b: (a - 0.5) ** 2 + (b - 0.5) ** 2 > 0.1)


@public
def spiral(N: Natural) -> Graph:
    """Two arms of a spiral, half the points (rounded down) on each."""
    host().require_available(200 * N)
    half = N // 2
    turns = [10.0 * place / half for place in range(5, 5 + half)]
    arm = [(t * math.cos(t) / 20.0, t * math.sin(t) / 20.0) for t in turns]
    first = [(0.5 + a, 0.5 + b) for a, b in arm]
    second = [(0.5 + b, 0.5 - a) for a, b in arm]
    return Graph(N, first + second, [0] * half + [1] * half)


datasets: dict[str, Callable[[int], Graph]] = {
    make.__name__.capitalize(): make for make in (simple, diag, split, xor, circle, spiral)
}

__all__ = ["Graph", "circle", "datasets", "diag", "make_pts", "simple", "spiral", "split", "xor"]
