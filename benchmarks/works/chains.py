"""Programs of many steps, written for any module with the functions of the Array API."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

Step = Callable[[Any], Any]


def steps(xp: Any, work: str, count: int) -> Callable[..., Any]:
    """A function of two square matrices that does so many operations one after the other."""
    if work == "mixed":
        return _mixed(xp, count)
    step: Step = {
        "sin(x) + 1": lambda x: xp.sin(x) + 1.0,
        "tanh(x)": xp.tanh,
        "1.5 x + 0.5": lambda x: x * 1.5 + 0.5,
    }[work]

    def function(x: Any, weight: Any) -> Any:
        for _ in range(count):
            x = step(x)
        return x.sum()

    return function


def _mixed(xp: Any, count: int) -> Callable[..., Any]:
    """Operations of all families in an order drawn once for all."""

    def function(x: Any, weight: Any) -> Any:
        first = x
        operations: list[Step] = [
            lambda x: x * 1.5,
            lambda x: x + 0.5,
            xp.tanh,
            xp.sin,
            lambda x: x * x * 0.1,
            lambda x: xp.maximum(x, 0.1),
            lambda x: x + first,
            lambda x: x.T,
            lambda x: x - xp.mean(x, axis=-1, keepdims=True),
            lambda x: x / (xp.max(xp.abs(x)) + 1.0),
            lambda x: x @ weight,
            lambda x: xp.concat([x[:, 1:], x[:, :1]], axis=1),
        ]
        choose = random.Random(0)
        for _ in range(count):
            x = choose.choice(operations)(x)
        return x.sum()

    return function
