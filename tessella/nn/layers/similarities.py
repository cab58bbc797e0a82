"""How alike vectors are, and how far from each other, as modules."""

from __future__ import annotations

from tessella.arguments import public
from tessella.nn import functional as F
from tessella.nn.module import Module
from tessella.tensors.tensor import Tensor


class CosineSimilarity(Module):
    """The cosine of the angle between vectors along an axis; their lengths count as at least `eps`."""

    @public
    def __init__(self, dim: int = 1, eps: float = 1e-8) -> None:
        super().__init__()
        self.dim, self.eps = dim, eps

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        return F.cosine_similarity(x1, x2, self.dim, self.eps)


class PairwiseDistance(Module):
    """The p-norms of x1 - x2 + eps along the last axis."""

    @public
    def __init__(self, p: float = 2.0, eps: float = 1e-6, keepdims: bool = False) -> None:
        super().__init__()
        self.norm, self.eps, self.keepdim = p, eps, keepdims

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        return F.pairwise_distance(x1, x2, self.norm, self.eps, self.keepdim)
