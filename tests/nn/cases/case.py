"""A row of the table: what is called, with what, and how near the numbers have to be."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np


class Case(NamedTuple):
    """A layer (its name begins with a capital letter) or a function of PyTorch's.

    Args:
        inputs: arrays; anything else is given to both as it is.
        options: keywords of the function, or of the layer's constructor.
        call: keywords of the layer's call.
        prepare: brings a layer of PyTorch's to the state to be compared, for example `eval()`.
        tolerance: relative, and absolute; of gradients ten times as much.
    """

    name: str
    inputs: tuple[Any, ...]
    options: dict[str, Any]
    call: dict[str, Any] = {}
    prepare: Callable[[Any], object] | None = None
    tolerance: float = 1e-5

    def __str__(self) -> str:
        shown = [
            f"{x.dtype}{list(x.shape)}" if isinstance(x, np.ndarray) else repr(x)
            for x in self.inputs
        ]
        options = [
            f"{key}={value!r}"
            for key, value in {**self.options, **self.call}.items()
            if not isinstance(value, np.ndarray)
        ]
        return f"{self.name}({', '.join(shown + options)})"


def case(name: str, *inputs: Any, **options: Any) -> Case:
    return Case(name, inputs, options)


def normal(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def between(low: float, high: float, *shape: int, seed: int = 1) -> Any:
    return np.random.default_rng(seed).uniform(low, high, shape).astype(np.float32)


def whole(high: int, *shape: int, low: int = 0, seed: int = 2) -> Any:
    return np.random.default_rng(seed).integers(low, high, shape)
