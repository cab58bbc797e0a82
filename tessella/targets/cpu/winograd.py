"""Winograd's short convolutions: fewer multiplications for more additions.

Computing m outputs of a filter of length r takes m * r multiplications as it is written, and m + r - 1
if both are first taken to the values of polynomials at m + r - 1 points:

    outputs = At ((G filter) * (Bt inputs)),   for two axes   At ((G f Gt) * (Bt d B)) A

`*` goes element by element; the m + r - 1 inputs overlap with those of the next outputs. The three
matrices hold small fractions. The points are 0, 1, -1, 1/2, -2 and infinity: of those for 3 outputs by
4 or 4 by 3 the ones that lose the fewest bits.

Sources: Winograd, *Arithmetic complexity of computations* (1980); Lavin & Gray, *Fast algorithms for
convolutional neural networks* (2016); Barabasz, Anderson, Soodhalter & Gregg, *Error analysis and
improving the accuracy of Winograd convolution for deep neural networks* (2020), for the points.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

Matrix = tuple[tuple[Fraction, ...], ...]

POINTS = (Fraction(0), Fraction(1), Fraction(-1), Fraction(1, 2), Fraction(-2))


class Matrices(NamedTuple):
    """`outputs` is At (m, a), `filters` G (a, r), `inputs` Bt (a, a); a = m + r - 1."""

    outputs: Matrix
    filters: Matrix
    inputs: Matrix


@functools.cache
def matrices(outputs: int, taps: int) -> Matrices:
    """The matrices for so many outputs of a filter with so many taps.

    >>> [[str(x) for x in row] for row in matrices(2, 2).inputs]
    [['-1', '1', '0'], ['0', '1', '0'], ['0', '-1', '1']]
    """
    points = POINTS[: outputs + taps - 2]
    last = [[Fraction(power == count - 1) for power in range(count)] for count in (outputs, taps)]
    columns = [[point**power for power in range(outputs)] for point in points] + [last[0]]
    filters = [
        [point**power / math.prod(point - other for other in points if other != point)
         for power in range(taps)]
        for point in points
    ] + [last[1]]  # fmt: skip
    inputs = [_with_roots([p for p in points if p != point]) for point in points]
    inputs.append(_with_roots(points))
    size = outputs + taps - 1
    return Matrices(
        tuple(zip(*columns, strict=True)),
        tuple(map(tuple, filters)),
        tuple((*row, *[Fraction(0)] * (size - len(row))) for row in inputs),
    )


def _with_roots(roots: Sequence[Fraction]) -> list[Fraction]:
    """The coefficients of the polynomial with these roots, the lowest power first.

    >>> [int(x) for x in _with_roots([Fraction(1), Fraction(-2)])]
    [-2, 1, 1]
    """
    found = [Fraction(1)]
    for root in roots:
        shifted = [Fraction(0), *found]
        found = [a - root * b for a, b in zip(shifted, [*found, Fraction(0)], strict=True)]
    return found
