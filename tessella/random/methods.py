"""Methods that draw numbers: they need the generator, so they are bound by the stratum that has it."""

from __future__ import annotations

from tessella.tensors.methods.method import Method, bind
from tessella.tensors.tensor import Tensor


class Chances:
    """What is drawn for a tensor, or by its numbers."""

    __slots__ = ()

    multinomial: Method[Tensor] = Method("tessella.random.sampling")
    normal_: Method[Tensor] = Method("tessella.random.sampling")
    uniform_: Method[Tensor] = Method("tessella.random.sampling")


bind(Tensor, Chances)
