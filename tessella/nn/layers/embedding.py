"""Embeddings: rows of a table."""

from __future__ import annotations

from typing import Any, Literal, TypeVar

from tessella import autodiff
from tessella.arguments import public
from tessella.arguments.kinds import Natural
from tessella.errors import ShapeError
from tessella.nn import functional as F
from tessella.nn import init
from tessella.nn.module import Module, Parameter
from tessella.tensors.creation import empty
from tessella.tensors.tensor import Tensor

T = TypeVar("T", bound="_Table")


class _Table(Module):
    """A table of rows."""

    def _make(self, num_embeddings: int, embedding_dim: int, padding_idx: int | None) -> None:
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.padding_idx = padding_idx
        self.weight = Parameter(empty((num_embeddings, embedding_dim)))
        init.normal_(self.weight)
        if padding_idx is not None:
            with autodiff.no_grad():
                self.weight[padding_idx] = 0.0

    @classmethod
    def _holding(cls: type[T], table: Tensor, freeze: bool, *options: Any) -> T:
        """A layer whose table is given."""
        if table.ndim != 2:
            raise ShapeError(
                f"{cls.__name__}.from_pretrained: shape {table.shape}; expected (rows, size of a row)"
            )
        made = cls(*table.shape, *options)
        made.weight = Parameter(table.detach(), requires_grad=not freeze)
        return made

    def extra_repr(self) -> str:
        told = [f"{self.num_embeddings}, {self.embedding_dim}"]
        told += [
            f"{name}={getattr(self, name)!r}"
            for name, usual in _USUAL.items()
            if getattr(self, name, usual) != usual
        ]
        return ", ".join(told)


_USUAL = {
    "padding_idx": None, "max_norm": None, "norm_type": 2.0, "scale_grad_by_freq": False, "mode": "mean",
    "include_last_offset": False,
}  # fmt: skip


class Embedding(_Table):
    """The rows of a table at some places (`F.embedding` has the options).

    Shapes: (...) -> (..., embedding_dim).
    Initialisation: normal with mean 0 and deviation 1; the row `padding_idx` is zero, and stays so.

    >>> import tessella as ts
    >>> Embedding(10, 3, padding_idx=0)(ts.asarray([[0, 2]])).shape
    (1, 2, 3)
    """

    @public
    def __init__(
        self, num_embeddings: Natural, embedding_dim: Natural, padding_idx: int | None = None,
        max_norm: float | None = None, norm_type: float = 2.0, scale_grad_by_freq: bool = False,
        sparse: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.max_norm, self.norm_type = max_norm, norm_type
        self.scale_grad_by_freq, self.sparse = scale_grad_by_freq, sparse
        self._make(num_embeddings, embedding_dim, padding_idx)

    @classmethod
    @public
    def from_pretrained(
        cls, embeddings: Tensor, freeze: bool = True, padding_idx: int | None = None,
        max_norm: float | None = None, norm_type: float = 2.0, scale_grad_by_freq: bool = False,
        sparse: bool = False,
    ) -> Embedding:  # fmt: skip
        """A layer whose table is given, and stays as it is unless `freeze` is False.

        Raises:
            ShapeError: the table is no matrix.
        """
        options = padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse
        return cls._holding(embeddings, freeze, *options)

    def forward(self, input: Tensor) -> Tensor:
        return F.embedding(
            input, self.weight, self.padding_idx, self.max_norm, self.norm_type,
            self.scale_grad_by_freq, self.sparse,
        )  # fmt: skip


class EmbeddingBag(_Table):
    """Sums, means or maxima of rows of a table, a bag of places each (`F.embedding_bag` has the options).

    Shapes: (B, N), or (N,) with offsets (B,) -> (B, embedding_dim).
    Initialisation: normal with mean 0 and deviation 1; the row `padding_idx` is zero, and stays so.

    >>> import tessella as ts
    >>> EmbeddingBag(10, 3)(ts.asarray([1, 2, 4]), ts.asarray([0, 2])).shape
    (2, 3)
    """

    @public
    def __init__(
        self, num_embeddings: Natural, embedding_dim: Natural, max_norm: float | None = None,
        norm_type: float = 2.0, scale_grad_by_freq: bool = False,
        mode: Literal["sum", "mean", "max"] = "mean", sparse: bool = False,
        include_last_offset: bool = False, padding_idx: int | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.max_norm, self.norm_type = max_norm, norm_type
        self.scale_grad_by_freq, self.sparse, self.mode = scale_grad_by_freq, sparse, mode
        self.include_last_offset = include_last_offset
        self._make(num_embeddings, embedding_dim, padding_idx)

    @classmethod
    @public
    def from_pretrained(
        cls, embeddings: Tensor, freeze: bool = True, max_norm: float | None = None,
        norm_type: float = 2.0, scale_grad_by_freq: bool = False,
        mode: Literal["sum", "mean", "max"] = "mean", sparse: bool = False,
        include_last_offset: bool = False, padding_idx: int | None = None,
    ) -> EmbeddingBag:  # fmt: skip
        """A layer whose table is given, and stays as it is unless `freeze` is False.

        Raises:
            ShapeError: the table is no matrix.
        """
        options = max_norm, norm_type, scale_grad_by_freq, mode, sparse, include_last_offset
        return cls._holding(embeddings, freeze, *options, padding_idx)

    @public
    def forward(
        self, input: Tensor, offsets: Tensor | None = None, per_sample_weights: Tensor | None = None
    ) -> Tensor:
        return F.embedding_bag(
            input, self.weight, offsets, self.max_norm, self.norm_type, self.scale_grad_by_freq,
            self.mode, self.sparse, per_sample_weights, self.include_last_offset, self.padding_idx,
        )  # fmt: skip
