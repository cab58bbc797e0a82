"""Loops with a gradient that is a loop, too, and programs of their own where no trace is around them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tessella import autodiff
from tessella.transforms.custom_rules import Call, FasterVJPRule
from tessella.transforms.jit import jit


class Loop:
    """A function that loops, and whose gradient loops once more.

    Both are parts of what is traced, or else compiled, once for arguments of all sizes: a loop of many small steps
    would pay for each operation of each step otherwise.

    Args:
        name: what messages call it.
        forward: gives the result, and what the gradient needs.
        backward: from that and the result's cotangent to a gradient for each argument, None for zero.
    """

    def __init__(
        self, name: str, forward: Callable[..., tuple[Any, Any]], backward: Callable[[Any, Any], Any]
    ) -> None:  # fmt: skip
        self.__name__ = name
        self._forward, self._backward = _own_program(forward), _own_program(backward)

    def function(self, *arguments: Any) -> Any:
        """The result alone."""
        return self._forward(*arguments)[0]

    def __call__(self, *arguments: Any) -> Any:
        call = Call(self, arguments, ())
        return call.run(FasterVJPRule(self._forward, self._backward, call))


def _own_program(function: Callable[..., Any]) -> Callable[..., Any]:
    compiled = jit(function, dynamic=True)

    def run(*arguments: Any) -> Any:
        return (compiled if autodiff.mode.trace is None else function)(*arguments)

    return run
