"""For a while, some tensors hold what others hold: how a module is called with other parameters."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

from tessella.tensors.tensor import Tensor
from tessella.tensors.tracing import _tracing


@contextlib.contextmanager
def rebound(tensors: Sequence[Tensor], others: Sequence[Tensor]) -> Iterator[None]:
    """Inside the block each tensor stands for another one, with its data and its history.

    What is given to a tensor meanwhile (statistics that a layer keeps) is given to the other one.
    """
    with _tracing:  # one thread at a time: the tensors are everybody's
        before = [(x._value, x._node, x._output) for x in tensors]
        held = [y._value for y in others]
        for x, y in zip(tensors, others, strict=True):
            x._value, x._node, x._output = y._value, y._node, y._output
        try:
            yield
        finally:
            for x, y, given, saved in zip(tensors, others, held, before, strict=True):
                if x._value is not given and x._value is not y._value:
                    y._value, y._node, y._output = x._value, x._node, x._output
                x._value, x._node, x._output = saved
