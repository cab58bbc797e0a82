"""Softmax over many classes, of which most are rare."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tessella import dtypes
from tessella.arguments import public
from tessella.arguments.kinds import Count
from tessella.errors import ArgumentError, ShapeError
from tessella.nn import functional as F
from tessella.nn.containers import ModuleList, Sequential
from tessella.nn.layers.linear import Linear
from tessella.nn.module import Module
from tessella.primitives.indexing import InRange, Limits
from tessella.tensors.indexing import take_along_axis
from tessella.tensors.manipulation import concat, expand_dims
from tessella.tensors.statistical import argmax
from tessella.tensors.tensor import Tensor, apply


class ASMoutput(NamedTuple):
    """What `AdaptiveLogSoftmaxWithLoss` gives, under PyTorch's name."""

    output: Tensor
    loss: Tensor


class AdaptiveLogSoftmaxWithLoss(Module):
    """The log probabilities of classes that stand in the order of how frequent they are, and their mean with its sign turned.

    The frequent classes, below the first cutoff, and one for each cluster of rarer ones are told apart by `head`; those of a
    cluster by a linear function of fewer features, in_features / div_value^i for the i-th.

    log p(class) = log p_head(class), or log p_head(cluster) + log p_tail(class in it)

    Args:
        cutoffs: where clusters begin, increasing; the last one ends at n_classes.

    Shapes: (N, in_features) and class numbers (N,), or both without N; gives the log probability of each, and the loss.

    Raises:
        ArgumentError: the cutoffs do not increase from at least 1 to below n_classes.

    Source: Grave et al., *Efficient softmax approximation for GPUs* (2017), section 4.

    >>> import tessella as ts
    >>> layer = AdaptiveLogSoftmaxWithLoss(8, 10, [3, 6])
    >>> output, loss = layer(ts.ones((2, 8)), ts.asarray([0, 9]))
    >>> output.shape, loss.shape, ts.exp(layer.log_prob(ts.ones((2, 8)))).sum().item() > 1.999
    ((2,), (), True)
    """

    @public
    def __init__(
        self, in_features: Count, n_classes: Count, cutoffs: Sequence[int], div_value: float = 4.0,
        head_bias: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        ends = [*cutoffs, n_classes]
        if len(ends) < 2 or ends[0] < 1 or sorted({*ends}) != ends:
            raise ArgumentError(
                f"AdaptiveLogSoftmaxWithLoss: cutoffs is {list(cutoffs)}; expected numbers that increase, from at least 1 "
                f"to below n_classes, {n_classes}"
            )
        self.in_features, self.n_classes, self.cutoffs = in_features, n_classes, ends
        self.div_value, self.head_bias = div_value, head_bias
        self.shortlist_size, self.n_clusters = ends[0], len(ends) - 1
        self.head_size = self.shortlist_size + self.n_clusters
        self.head = Linear(in_features, self.head_size, bias=head_bias)
        self.tail = ModuleList()
        for number in range(self.n_clusters):
            features = max(1, int(in_features // div_value ** (number + 1)))
            size = ends[number + 1] - ends[number]
            first = Linear(in_features, features, bias=False)
            self.tail.append(Sequential(first, Linear(features, size, bias=False)))

    @public
    def forward(self, input_: Tensor, target_: Tensor) -> ASMoutput:
        if target_.shape != input_.shape[:-1] or input_.ndim not in (1, 2):
            raise ShapeError(
                f"AdaptiveLogSoftmaxWithLoss: the input has shape {input_.shape}, the target {target_.shape}; expected "
                f"(N, {self.in_features}) and (N,), or ({self.in_features},) and ()"
            )
        limits = Limits(self.n_classes, purpose="AdaptiveLogSoftmaxWithLoss")
        classes = apply(InRange(limits), (target_,)).astype(dtypes.int64)
        output = take_along_axis(self._logs(input_), expand_dims(classes, -1), axis=-1)[..., 0]
        return ASMoutput(output, -output.mean())

    @public
    def log_prob(self, x: Tensor) -> Tensor:
        """The log probability of every class: (N, in_features) -> (N, n_classes)."""
        return self._logs(x)

    @public
    def predict(self, x: Tensor) -> Tensor:
        """The most probable class of each example: (N, in_features) -> (N,)."""
        return argmax(self._logs(x), axis=-1)

    def _logs(self, x: Tensor) -> Tensor:
        head = F.log_softmax(self.head(x), -1)
        parts = [head[..., : self.shortlist_size]]
        for number, cluster in enumerate(self.tail):
            of_cluster = expand_dims(head[..., self.shortlist_size + number], -1)
            parts.append(of_cluster + F.log_softmax(cluster(x), -1))
        return concat(parts, axis=-1)

    def extra_repr(self) -> str:
        return f"{self.in_features}, {self.n_classes}, cutoffs={self.cutoffs[:-1]}, div_value={self.div_value}"
