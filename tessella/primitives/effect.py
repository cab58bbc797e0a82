"""Effects: what is done for its own sake while a program runs, such as printing a value."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from tessella.primitives.base import NumPyArray, Spec
from tessella.primitives.host import Host
from tessella.primitives.movement import move_axis


@dataclass(frozen=True, eq=False)
class Effect(Host):
    """An action on the elements of its inputs, without results.

    No pass drops an effect, does it twice, or exchanges two of them: each is done once for every
    call of a program, in the order in which the function did them.

    Args:
        action: is given a NumPy array of its own for each input.
        label: its name, for readers.
    """

    multiple_results: ClassVar[bool] = True
    has_effect: ClassVar[bool] = True

    action: Callable[..., None]
    label: str

    @property
    def name(self) -> str:
        return self.label

    def result(self, *inputs: Spec) -> tuple[()]:
        return ()

    def reference(self, *inputs: NumPyArray) -> tuple[()]:
        """Do it. The arrays are copies: a program soon writes over what it holds."""
        self.action(*[np.array(x) for x in inputs])
        return ()

    def vjp(self, cotangents: Any, inputs: Any, outputs: Any) -> Sequence[Any]:
        return [None] * len(inputs)

    def jvp(self, inputs: Any, tangents: Any) -> tuple[()]:
        self(*inputs)
        return ()

    def batch(self, inputs: Any, axes: Any, size: int) -> tuple[Any, Any]:
        """Do it for one element of the batch after the other."""
        for row in range(size):
            self(
                *[
                    x if axis is None else move_axis(x, axis, 0)[row]
                    for x, axis in zip(inputs, axes, strict=True)
                ]
            )
        return (), ()
