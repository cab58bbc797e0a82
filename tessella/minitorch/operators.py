"""Task 0.1 and 0.3: the scalar operators, and the functions of functions on lists.

Most are Tessella's own (`tessella.scalar.functions`, `tessella.scalar.higher_order`). `log` is the
course's: it adds a small number, so that the logarithm of 0 is a number.
"""

from __future__ import annotations

import math
from typing import Any

# isort: off
from tessella.scalar.functions import (
    add, eq, exp, id, inv, inv_back, is_close, lt, max as max, mul, neg, relu, relu_back, sigmoid,
)  # fmt: skip

# isort: on
from tessella.scalar.higher_order import add_lists as addLists
from tessella.scalar.higher_order import map, reduce
from tessella.scalar.higher_order import negate_list as negList
from tessella.scalar.higher_order import product as prod
from tessella.scalar.higher_order import sum_list as sum
from tessella.scalar.higher_order import zip_with as zipWith

EPS = 1e-6


def log(x: Any) -> Any:
    """The natural logarithm of x + EPS.

    >>> log(0.0) > -14
    True
    """
    return math.log(x + EPS)


def log_back(x: Any, d: Any) -> Any:
    """d times the derivative of log at x."""
    return d / (x + EPS)


# not max: `minitorch.max` is Module 4's
__all__ = [
    "EPS", "add", "addLists", "eq", "exp", "id", "inv", "inv_back", "is_close", "log", "log_back",
    "lt", "map", "mul", "neg", "negList", "prod", "reduce", "relu", "relu_back", "sigmoid", "sum",
    "zipWith",
]  # fmt: skip
