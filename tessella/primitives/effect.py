"""Effects: what is done for its own sake while a program runs, such as printing a value."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from tessella.errors import ArgumentError
from tessella.primitives.base import TOLD, NumPyArray, Spec
from tessella.primitives.host import Host
from tessella.primitives.movement import move_axis


@dataclass(frozen=True)
class Done(Host):
    """What is done to its inputs for its own sake, without results.

    No pass drops it, does it twice, or exchanges two of them: each is done once for every call of a program, in
    the order in which the function did them.
    """

    multiple_results: ClassVar[bool] = True
    has_effect: ClassVar[bool] = True
    computes = False

    def result(self, *inputs: Spec) -> tuple[()]:
        return ()

    def vjp(self, cotangents: Any, inputs: Any, outputs: Any) -> Sequence[Any]:
        return [None] * len(inputs)

    def jvp(self, inputs: Any, tangents: Any) -> tuple[()]:
        self(*inputs)
        return ()


@dataclass(frozen=True, eq=False)
class Effect(Done):
    """An action on the elements of its inputs.

    Args:
        action: is given a NumPy array of its own for each input.
        label: its name, for readers.
    """

    action: Callable[..., None] = field(metadata={TOLD: True})
    label: str = field(metadata={TOLD: True})

    @property
    def name(self) -> str:
        return self.label

    def reference(self, *inputs: NumPyArray) -> tuple[()]:
        """Do it. The arrays are copies: a program soon writes over what it holds."""
        self.action(*[np.array(x) for x in inputs])
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


@dataclass(frozen=True)
class Require(Done):
    """An error unless all elements of the input lie in a range; NaN lies in none.

    Args:
        function, argument: whose they are, for the message.
        expected: the range in words.
        above: whether the least itself is too small.
    """

    function: str = field(metadata={TOLD: True})
    argument: str
    expected: str
    least: float
    most: float
    above: bool = False

    @property
    def name(self) -> str:
        return "require"

    def reference(self, *inputs: NumPyArray) -> tuple[()]:
        """Look at the elements.

        Raises:
            ArgumentError: one is out of range.
        """
        x = np.asarray(inputs[0]).astype(np.float64)
        good = (x > self.least if self.above else x >= self.least) & (x <= self.most)
        if not good.all():
            wrong = x[~good].flat[0] if x.ndim else x
            raise ArgumentError(
                f"{self.function}: {self.argument} holds {float(wrong)!r}; expected {self.expected}"
            )
        return ()

    def batch(self, inputs: Any, axes: Any, size: int) -> tuple[Any, Any]:
        """The same for all elements of the batch at once."""
        self(*inputs)
        return (), ()
