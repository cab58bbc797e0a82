"""For a while, some tensors hold what others hold: how a module is called with other parameters."""

from __future__ import annotations

from collections.abc import Generator, Sequence

from tessella import forking
from tessella.blocks import restoring, undoing
from tessella.tensors.tensor import Tensor, is_traced
from tessella.tracing.trace import binding, rebinding_lock, standing


@restoring
def rebound(tensors: Sequence[Tensor], others: Sequence[Tensor]) -> Generator[None, None, None]:
    """Inside the block each tensor stands for another one, with its data and its history.

    What is given to a tensor meanwhile (statistics that a layer keeps) is given to the other one. A trace keeps that to
    itself; where there is none, or shapes differ, the tensors hold the others' data, for all threads.
    """
    if is_traced() and all(
        x.shape == y.shape and x.dtype is y.dtype for x, y in zip(tensors, others, strict=True)
    ):
        with standing(tensors, others):
            yield
        return
    # one thread at a time: the tensors are everybody's
    with forking.making.section(), rebinding_lock:
        pairs = [_Pair(x, y) for x, y in zip(tensors, others, strict=True)]

        def restore() -> None:
            for pair in pairs:
                pair.restore()

        with undoing(restore):
            for pair in pairs:
                pair.exchange()
            yield


class _Pair:
    """A tensor and the one it stands for."""

    __slots__ = ("before", "exchanged", "given", "other", "tensor")

    def __init__(self, tensor: Tensor, other: Tensor) -> None:
        self.tensor, self.other = tensor, binding(other)
        self.given = self.other._value
        self.before = tensor._value, tensor._node, tensor._output
        self.exchanged = False

    def exchange(self) -> None:
        x, y = self.tensor, self.other
        self.exchanged = True
        x._value, x._node, x._output = y._value, y._node, y._output

    def restore(self) -> None:
        """Take the tensor's own data back; may be done twice."""
        x, y = self.tensor, self.other
        if not self.exchanged:
            return
        held = x._value
        if held is not self.given and held is not y._value and held is not self.before[0]:
            y._value, y._node, y._output = x._value, x._node, x._output
        x._value, x._node, x._output = self.before
        self.exchanged = False
