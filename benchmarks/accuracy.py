"""How exact the maths library is: units in the last place, against mpmath with 60 digits.

Each function is computed at random arguments of several ranges, and compared with the exact value.
NumPy and SciPy are measured beside it, on the same arguments.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import mpmath as mp
import numpy as np
from report import Table
from scipy import special

import tessella as ts

POINTS = 1000
mp.mp.dps = 60
Exact = Callable[..., Any]

# name: the exact function, SciPy's or NumPy's, ranges of the argument for float64 and for float32
FUNCTIONS: dict[str, tuple[Exact, Exact, list[tuple[float, float]], list[tuple[float, float]]]] = {
    "exp": (mp.exp, np.exp, [(-745, 709.7), (-1, 1), (1e-300, 1e-9)], [(-103, 88.7), (-1, 1)]),
    "exp2": (lambda x: mp.mpf(2) ** x, np.exp2, [(-1074, 1023.9), (-1, 1)], [(-149, 127.9), (-1, 1)]),
    "expm1": (mp.expm1, np.expm1, [(-50, 709), (-1, 1), (1e-300, 1e-3)], [(-30, 88), (-1, 1), (1e-44, 1e-3)]),
    "log": (mp.log, np.log, [(5e-324, 1.7e308), (0.5, 2)], [(1e-44, 3e38), (0.5, 2)]),
    "log1p": (mp.log1p, np.log1p, [(-0.999, 2), (1e-300, 1e300)], [(-0.999, 2), (1e-44, 3e38)]),
    "log2": (lambda x: mp.log(x, 2), np.log2, [(5e-324, 1.7e308), (0.5, 2)], [(1e-44, 3e38), (0.5, 2)]),
    "log10": (lambda x: mp.log(x, 10), np.log10, [(5e-324, 1.7e308), (0.5, 2)], [(1e-44, 3e38), (0.5, 2)]),
    "sin": (mp.sin, np.sin, [(-10, 10), (-1e6, 1e6), (1e-300, 1e-3), (-1e12, 1e12)], [(-10, 10), (-1e6, 1e6), (1e-44, 1e-3)]),
    "cos": (mp.cos, np.cos, [(-10, 10), (-1e6, 1e6), (-1e12, 1e12)], [(-10, 10), (-1e6, 1e6)]),
    "tan": (mp.tan, np.tan, [(-10, 10), (-1e6, 1e6)], [(-10, 10), (-1e6, 1e6)]),
    "asin": (mp.asin, np.arcsin, [(-1, 1), (1e-300, 1e-3)], [(-1, 1), (1e-44, 1e-3)]),
    "acos": (mp.acos, np.arccos, [(-1, 1)], [(-1, 1)]),
    "atan": (mp.atan, np.arctan, [(-5, 5), (1e-300, 1e300)], [(-5, 5), (1e-44, 3e38)]),
    "sinh": (mp.sinh, np.sinh, [(-710, 710), (-1, 1)], [(-89, 89), (-1, 1)]),
    "cosh": (mp.cosh, np.cosh, [(-710, 710), (-1, 1)], [(-89, 89), (-1, 1)]),
    "tanh": (mp.tanh, np.tanh, [(-20, 20), (-1, 1), (1e-300, 1e-3)], [(-10, 10), (-1, 1), (1e-44, 1e-3)]),
    "asinh": (mp.asinh, np.arcsinh, [(-5, 5), (1e-300, 1e300)], [(-5, 5), (1e-44, 3e38)]),
    "acosh": (mp.acosh, np.arccosh, [(1, 5), (1, 1e300)], [(1, 5), (1, 3e38)]),
    "atanh": (mp.atanh, np.arctanh, [(-0.9999, 0.9999), (1e-300, 1e-3)], [(-0.9999, 0.9999)]),
    "sqrt": (mp.sqrt, np.sqrt, [(5e-324, 1.7e308)], [(1e-44, 3e38)]),
    "rsqrt": (lambda x: 1 / mp.sqrt(x), lambda x: 1 / np.sqrt(x), [(5e-324, 1.7e308)], [(1e-44, 3e38)]),
    "sigmoid": (lambda x: 1 / (1 + mp.exp(-x)), special.expit, [(-700, 40), (-5, 5)], [(-87, 20), (-5, 5)]),
    "softplus": (
        lambda x: mp.log1p(mp.exp(x)), lambda x: np.logaddexp(x, x.dtype.type(0)),
        [(-700, 700), (-5, 5)], [(-87, 87), (-5, 5)],
    ),
    "erf": (mp.erf, special.erf, [(-6, 6), (-1, 1), (1e-300, 1e-3)], [(-4, 4), (-1, 1), (1e-38, 1e-3)]),
    "erfc": (mp.erfc, special.erfc, [(-6, 26), (-1, 1)], [(-4, 9), (-1, 1)]),
    "lgamma": (
        lambda x: mp.loggamma(x), special.gammaln, [(1e-10, 50), (0.5, 3), (1, 1e300)],
        [(1e-10, 50), (0.5, 3), (1, 1e36)],
    ),
}  # fmt: skip
LIMITS = {"erf": 4, "erfc": 4, "lgamma": 4, "pow": 4}


def arguments(low: float, high: float, kind: type, random: np.random.Generator) -> np.ndarray:
    """Random numbers of a range, evenly on a logarithmic scale if it spans many powers of ten."""
    if low > 0 and high / low > 1e3:
        wide = np.exp(random.uniform(np.log(low), np.log(high), POINTS))
    else:
        wide = random.uniform(low, high, POINTS)
    with np.errstate(all="ignore"):
        return wide.astype(kind)


def worst(found: np.ndarray, exact: list[Any]) -> float:
    """The largest distance from the exact values, in units in the last place."""
    kind = found.dtype.type
    largest = 0.0
    for value, true in zip(found, exact, strict=True):
        nearest = kind(float(true))
        if not math.isfinite(nearest):
            largest = max(largest, 0.0 if value == nearest else math.inf)
            continue
        unit = mp.mpf(float(np.spacing(np.abs(nearest))))
        largest = max(largest, float(abs(mp.mpf(float(value)) - true) / unit))
    return largest


def accuracy() -> Table:
    """Units in the last place of the maths library, NumPy's and SciPy's beside it."""
    columns = ["function", "float32", "NumPy or SciPy", "float64", "NumPy or SciPy", "limit"]
    table = Table("accuracy", columns)
    random = np.random.default_rng(0)
    for name, (exact, peer, wide, single) in FUNCTIONS.items():
        cells = []
        for kind, ranges in ((np.float32, single), (np.float64, wide)):
            own = theirs = 0.0
            for low, high in ranges:
                x = arguments(low, high, kind, random)
                true = [exact(mp.mpf(float(value))) for value in x]
                with np.errstate(all="ignore"):
                    own = max(own, worst(getattr(ts, name)(ts.asarray(x)).numpy(), true))
                    theirs = max(theirs, worst(peer(x).astype(kind), true))
            cells += [own, theirs]
        _add(table, name, cells)
    _add(table, "pow", _pow(random))
    _add(table, "atan2", _atan2(random))
    return table


def _add(table: Table, name: str, cells: list[float]) -> None:
    limit = LIMITS.get(name, 2)
    table.rows.append([f"`{name}`", *(f"{cell:.2f}" for cell in cells), str(limit)])
    table.raw.append({"function": name, "ulp": cells, "limit": limit})
    print(f"  {name}: " + ", ".join(f"{cell:.2f}" for cell in cells))


def _pow(random: np.random.Generator) -> list[float]:
    cells = []
    for kind, reach in ((np.float32, 80.0), (np.float64, 700.0)):
        own = theirs = 0.0
        for low, high in ((1e-3, 1e3), (0.9, 1.1)):
            x = arguments(low, high, kind, random)
            y = (random.uniform(-reach, reach, POINTS) / np.maximum(np.abs(np.log(x)), 1.0)).astype(
                kind
            )
            true = [mp.mpf(float(a)) ** mp.mpf(float(b)) for a, b in zip(x, y, strict=True)]
            own = max(own, worst(ts.pow(ts.asarray(x), ts.asarray(y)).numpy(), true))
            theirs = max(theirs, worst(np.power(x, y), true))
        cells += [own, theirs]
    return cells


def _atan2(random: np.random.Generator) -> list[float]:
    cells = []
    for kind in (np.float32, np.float64):
        y, x = (random.uniform(-5, 5, 4 * POINTS).astype(kind) for _ in range(2))
        true = [mp.atan2(mp.mpf(float(a)), mp.mpf(float(b))) for a, b in zip(y, x, strict=True)]
        cells += [
            worst(ts.atan2(ts.asarray(y), ts.asarray(x)).numpy(), true),
            worst(np.arctan2(y, x), true),
        ]
    return cells
