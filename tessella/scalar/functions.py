"""The course's operators, as ordinary functions of numbers (Module 0).

They work on numbers, on scalars with history, and as kernels: `ts.map(functions.sigmoid)`.
"""

from __future__ import annotations

import math
from typing import Any


def mul(x: Any, y: Any) -> Any:
    """x times y.

    >>> mul(3, 4)
    12
    """
    return x * y


def id(x: Any) -> Any:
    """x itself."""
    return x


def add(x: Any, y: Any) -> Any:
    """x plus y."""
    return x + y


def neg(x: Any) -> Any:
    """Minus x."""
    return -x


def lt(x: Any, y: Any) -> Any:
    """1 if x is less than y, else 0.

    >>> lt(1, 2)
    1.0
    """
    return 1.0 if x < y else 0.0


def eq(x: Any, y: Any) -> Any:
    """1 if x equals y, else 0."""
    return 1.0 if x == y else 0.0


def max(x: Any, y: Any) -> Any:
    """The larger of x and y."""
    return x if x > y else y


def is_close(x: Any, y: Any) -> Any:
    """1 if x and y differ by less than 0.01, else 0."""
    return 1.0 if abs(x - y) < 1e-2 else 0.0


def sigmoid(x: Any) -> Any:
    """1 / (1 + e^-x), written so that nothing overflows on either side.

    >>> sigmoid(0.0), sigmoid(1000.0), sigmoid(-1000.0)
    (0.5, 1.0, 0.0)
    """
    if x >= 0:
        return 1.0 / (1.0 + math.exp(-x))
    return math.exp(x) / (1.0 + math.exp(x))


def relu(x: Any) -> Any:
    """x if it is positive, else 0."""
    return x if x > 0 else 0.0


def log(x: Any) -> Any:
    """The natural logarithm of x."""
    return math.log(x)


def exp(x: Any) -> Any:
    """e to the power of x."""
    return math.exp(x)


def inv(x: Any) -> Any:
    """1 / x."""
    return 1.0 / x


def log_back(x: Any, d: Any) -> Any:
    """d times the derivative of log at x."""
    return d / x


def inv_back(x: Any, d: Any) -> Any:
    """d times the derivative of 1/x at x."""
    return -d / (x * x)


def relu_back(x: Any, d: Any) -> Any:
    """d times the derivative of relu at x (0 at 0)."""
    return d if x > 0 else 0.0
