"""Methods that draw numbers from the default generator."""

from __future__ import annotations

from typing import Any

from tessella.arguments import refuse
from tessella.arguments.kinds import shown
from tessella.errors import ArgumentTypeError
from tessella.tensors.generator import default
from tessella.tensors.methods.in_place import stand_for
from tessella.tensors.methods.method import Method, bind
from tessella.tensors.tensor import Tensor


class Chances:
    """What is drawn for a tensor, or by its numbers."""

    __slots__ = ()

    multinomial: Method[Tensor] = Method("chances")

    def uniform_(self: Any, low: float = 0.0, high: float = 1.0, **others: Any) -> Tensor:
        """Let this tensor stand for numbers spread evenly over [low, high), by the default generator."""
        refuse("uniform_", others, "low", "high")
        _require_numbers("uniform_", low=low, high=high)
        drawn = default.uniform(self.shape, low, high, dtype=self.dtype)
        return stand_for(self, drawn, "uniform_")

    def normal_(self: Any, mean: float = 0.0, std: float = 1.0, **others: Any) -> Tensor:
        """Let this tensor stand for normally distributed numbers, by the default generator."""
        refuse("normal_", others, "mean", "std")
        _require_numbers("normal_", mean=mean, std=std)
        return stand_for(self, default.normal(self.shape, mean, std, dtype=self.dtype), "normal_")


def _require_numbers(name: str, **numbers: Any) -> None:
    for argument, value in numbers.items():
        known = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not known and not hasattr(type(value), "__tessella_operand__"):  # or traced
            raise ArgumentTypeError(f"{name}: {argument} is {shown(value)}; expected a number")


bind(Tensor, Chances)
