"""Dropout."""

from __future__ import annotations

from tessella.arguments import public
from tessella.arguments.kinds import Probability
from tessella.nn import functional as F
from tessella.nn.module import Module
from tessella.tensors.tensor import Tensor


class Dropout(Module):
    """In training, zero with probability p, the rest scaled by 1 / (1 - p)."""

    @public
    def __init__(self, p: Probability = 0.5) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.p, self.training)

    def extra_repr(self) -> str:
        return f"p={self.p}"
