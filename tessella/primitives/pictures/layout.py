"""Where the boxes of a picture go: in layers from top to bottom, with few crossings.

Source: Sugiyama, Tagawa & Toda, *Methods for visual understanding of hierarchical system structures*
(1981): layers, then their order by the mean place of neighbours, then coordinates.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

MOST_IN_LAYER = 4
LONGEST = 4  # layers that an arrow may cross; a longer one would be lost among the others
SMALL = 40  # boxes of a picture in which every arrow is drawn
SWEEPS = 6
TO_THE_MIDDLE = 0.98  # of the place by neighbours: long pictures do not drift to a side


class Size(NamedTuple):
    """Of a box, in pixels."""

    width: float
    height: float


class Spacing(NamedTuple):
    """Between boxes side by side, and between layers, in pixels."""

    across: float = 26
    down: float = 40


@dataclass
class Layout:
    """Centres and tops of boxes, and the ways of arrows: points, where curves and straight lines meet."""

    places: list[tuple[float, float]]
    ways: dict[tuple[int, int], list[tuple[float, float]]]
    width: float
    height: float


def too_long(layers: Sequence[int], arrows: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The arrows of a large picture that are better told in words."""
    if len(layers) <= SMALL:
        return []
    return [(a, b) for a, b in arrows if layers[b] - layers[a] > LONGEST]


def lay_out(
    sizes: Sequence[Size],
    layers: Sequence[int],
    arrows: Sequence[tuple[int, int]],
    spacing: Spacing,
) -> Layout:
    """Places for boxes in layers."""
    points = _Points(sizes, layers, arrows)
    points.order()
    xs = points.coordinates(spacing)
    tops, bottoms = points.rows(spacing)
    places = [(xs[i], tops[layers[i]]) for i in range(len(sizes))]
    ways = {}
    for (a, b), through in points.bends.items():
        ways[a, b] = [(xs[a], tops[layers[a]] + sizes[a].height)]
        for p in through:  # straight down beside the boxes of a layer
            ways[a, b] += [(xs[p], tops[points.layer[p]]), (xs[p], bottoms[points.layer[p]])]
        ways[a, b].append((xs[b], tops[layers[b]]))
    width = max((x + w / 2 for x, w in zip(xs, points.width, strict=True)), default=0)
    return Layout(places, ways, width, max(bottoms, default=0))


def layers_of(count: int, arrows: Sequence[tuple[int, int]]) -> list[int]:
    """Each box below all it needs, few in a layer; what needs nothing just above its first reader.

    >>> layers_of(3, [(0, 1), (0, 2), (1, 2)])
    [0, 1, 2]
    """
    below: list[list[int]] = [[] for _ in range(count)]
    above: list[list[int]] = [[] for _ in range(count)]
    for a, b in arrows:
        below[a].append(b)
        above[b].append(a)
    filled: dict[int, int] = {}
    layer = [0] * count
    for box in range(count):
        if not above[box] and below[box]:
            continue  # placed by its reader
        least = max((layer[a] + 1 for a in above[box]), default=0)
        layer[box] = _with_room(least, filled)
    depth = [min((layer[b] for b in below[i]), default=0) for i in range(count)]
    for box in range(count):
        if not above[box] and below[box]:
            layer[box] = depth[box] - 1
    first = min(layer, default=0)
    return [number - first for number in layer]


def _with_room(least: int, filled: dict[int, int]) -> int:
    """The first layer from `least` on that is not full; it has one box more now."""
    while filled.get(least, 0) >= MOST_IN_LAYER:
        least += 1
    filled[least] = filled.get(least, 0) + 1
    return least


class _Points:
    """Boxes, and the bends of arrows that cross layers, as points in layers."""

    def __init__(
        self, sizes: Sequence[Size], layers: Sequence[int], arrows: Sequence[tuple[int, int]]
    ) -> None:
        self.layer = list(layers)
        self.width = [size.width for size in sizes]
        self.height = [size.height for size in sizes]
        self.bends: dict[tuple[int, int], list[int]] = {}
        self.above: list[list[int]] = [[] for _ in sizes]
        self.below: list[list[int]] = [[] for _ in sizes]
        for a, b in arrows:
            through = [self._bend(layer) for layer in range(layers[a] + 1, layers[b])]
            self.bends[a, b] = through
            for upper, lower in zip([a, *through], [*through, b], strict=True):
                self.below[upper].append(lower)
                self.above[lower].append(upper)
        count = max(self.layer, default=-1) + 1
        self.lines: list[list[int]] = [[] for _ in range(count)]
        for point, layer in enumerate(self.layer):
            self.lines[layer].append(point)

    def _bend(self, layer: int) -> int:
        self.layer.append(layer)
        self.width.append(6)
        self.height.append(0)
        self.above.append([])
        self.below.append([])
        return len(self.layer) - 1

    def order(self) -> None:
        """Order every layer by the mean place of neighbours, downwards and upwards in turn."""
        place = {point: i for line in self.lines for i, point in enumerate(line)}
        for sweep in range(SWEEPS):
            down = sweep % 2 == 0
            neighbours = self.above if down else self.below
            for line in self.lines if down else self.lines[::-1]:
                wanted = {p: _mean([place[q] for q in neighbours[p]], place[p]) for p in line}
                line.sort(key=wanted.__getitem__)
                place.update({point: i for i, point in enumerate(line)})

    def coordinates(self, spacing: Spacing) -> list[float]:
        """The centre of each point: near its neighbours, in order, apart."""
        xs = [0.0] * len(self.layer)
        for line in self.lines:
            self._spread(line, [0.0] * len(line), xs, spacing.across)
        for sweep in range(SWEEPS):
            down = sweep % 2 == 0
            for line in self.lines if down else self.lines[::-1]:
                near = [self.above[p] + self.below[p] if sweep else self.above[p] for p in line]
                wanted = [
                    (TO_THE_MIDDLE if self.height[p] else 1.0) * _mean([xs[q] for q in points], 0.0)
                    for p, points in zip(line, near, strict=True)
                ]
                self._spread(line, wanted, xs, spacing.across)
        left = min((x - w / 2 for x, w in zip(xs, self.width, strict=True)), default=0)
        return [x - left for x in xs]

    def _spread(
        self, line: Sequence[int], wanted: Sequence[float], xs: list[float], gap: float
    ) -> None:
        """The places nearest to the wanted ones (least squares) that keep order and distance."""
        offsets = [0.0]
        for a, b in itertools.pairwise(line):
            offsets.append(offsets[-1] + (self.width[a] + self.width[b]) / 2 + gap)
        even = _monotone([x - o for x, o in zip(wanted, offsets, strict=False)])
        for point, x, offset in zip(line, even, offsets, strict=False):
            xs[point] = x + offset

    def rows(self, spacing: Spacing) -> tuple[list[float], list[float]]:
        """The top and the bottom of every layer."""
        tops, bottoms, y = [], [], 0.0
        for line in self.lines:
            tops.append(y)
            bottoms.append(y + max((self.height[p] for p in line), default=0))
            y = bottoms[-1] + spacing.down
        return tops, bottoms


def _mean(numbers: Sequence[float], otherwise: float) -> float:
    return sum(numbers) / len(numbers) if numbers else otherwise


def _monotone(numbers: Sequence[float]) -> list[float]:
    """The nearest numbers, by least squares, that do not fall: pool adjacent violators.

    >>> _monotone([1, 3, 2, 4])
    [1, 2.5, 2.5, 4]
    """
    pools: list[tuple[float, int]] = []
    for number in numbers:
        pools.append((number, 1))
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            (a, n), (b, m) = pools[-2:]
            pools[-2:] = [((a * n + b * m) / (n + m), n + m)]
    return [mean for mean, count in pools for _ in range(count)]
