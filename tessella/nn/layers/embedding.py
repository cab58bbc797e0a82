"""Embeddings: rows of a table."""

from __future__ import annotations

from tessella.arguments import public
from tessella.arguments.kinds import Natural
from tessella.nn import functional as F
from tessella.nn import init
from tessella.nn.module import Module, Parameter
from tessella.tensors.creation import empty
from tessella.tensors.tensor import Tensor


class Embedding(Module):
    """The rows of a table at some places.

    Initialisation: normal with mean 0 and deviation 1.
    """

    @public
    def __init__(self, num_embeddings: Natural, embedding_dim: Natural) -> None:
        super().__init__()
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.weight = Parameter(empty((num_embeddings, embedding_dim)))
        init.normal_(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        return F.embedding(x, self.weight)

    def extra_repr(self) -> str:
        return f"{self.num_embeddings}, {self.embedding_dim}"
