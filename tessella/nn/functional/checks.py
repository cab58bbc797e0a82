"""What the functions of layers ask of their operands."""

from __future__ import annotations

from tessella.errors import ShapeError
from tessella.tensors.tensor import Tensor


def check_sizes(x: Tensor | None, shape: tuple[int, ...], function: str, name: str) -> None:
    """An operand, if there is one, has a shape: another one would broadcast without a word.

    Raises:
        ShapeError: it has not.

    >>> import tessella as ts
    >>> check_sizes(ts.ones(3), (3,), "linear", "bias")
    """
    if x is not None and x.shape != shape:
        raise ShapeError(f"{function}: {name} has shape {x.shape}; expected {shape}")
