"""Dropout."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from tessella.arguments import public
from tessella.arguments.kinds import Probability
from tessella.nn import functional as F
from tessella.nn.module import Module
from tessella.tensors.tensor import Tensor


class _Dropout(Module):
    """What the dropouts share: the function that they call in training."""

    function: ClassVar[Callable[..., Tensor]]

    @public
    def __init__(self, p: Probability = 0.5) -> None:
        super().__init__()
        self.p = p

    def forward(self, input: Tensor) -> Tensor:
        dropped: Any = type(self).function(input, self.p, self.training)
        return dropped

    def extra_repr(self) -> str:
        return f"p={self.p}"


class Dropout(_Dropout):
    """In training, zero with probability p, the rest scaled by 1 / (1 - p)."""

    function = staticmethod(F.dropout)


class Dropout1d(_Dropout):
    """In training, whole channels of (N, C, L), also without N, zero with probability p, the others scaled."""

    function = staticmethod(F.dropout1d)


class Dropout2d(_Dropout):
    """In training, whole channels of (N, C, H, W) zero with probability p, the others scaled."""

    function = staticmethod(F.dropout2d)


class Dropout3d(_Dropout):
    """In training, whole channels of (N, C, D, H, W), also without N, zero with probability p, the others scaled."""

    function = staticmethod(F.dropout3d)


class AlphaDropout(_Dropout):
    """In training, what SELU tends to with probability p; mean 0 and variance 1 stay.

    Source: Klambauer et al., *Self-normalizing neural networks* (2017).
    """

    function = staticmethod(F.alpha_dropout)


class FeatureAlphaDropout(_Dropout):
    """`AlphaDropout` of whole channels of (N, C, ...)."""

    function = staticmethod(F.feature_alpha_dropout)
