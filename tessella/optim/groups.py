"""Groups of parameters: which of a model's weights decay."""

from __future__ import annotations

from typing import Any

from tessella import nn
from tessella.arguments import public
from tessella.arguments.kinds import NotNegative
from tessella.nn.module import Module, Parameter


def _norms() -> tuple[type, ...]:
    """The layers that normalise, whose weights are scales."""
    return tuple(getattr(nn, name) for name in nn.__all__ if "Norm" in name)


@public
def decay_groups(model: Module, weight_decay: NotNegative = 1e-2) -> list[dict[str, Any]]:
    """Two groups of a model's parameters: weights, which decay, and norms and biases, which do not.

    What has fewer than two axes does not decay, nor does anything of a layer that normalises.

    Returns:
        Groups for an optimiser; one without parameters is left out.

    >>> import tessella as ts
    >>> model = ts.nn.Sequential(ts.nn.Linear(3, 4), ts.nn.LayerNorm(4), ts.nn.Linear(4, 2))
    >>> optimiser = ts.optim.AdamW(ts.optim.decay_groups(model, 0.1), lr=1e-3)
    >>> [(group["weight_decay"], len(group["params"])) for group in optimiser.param_groups]
    [(0.1, 2), (0.0, 4)]
    """
    decaying: list[Parameter] = []
    others: list[Parameter] = []
    of_norms = {
        id(parameter)
        for module in model.modules()
        if isinstance(module, _norms())
        for parameter in module.parameters()
    }
    for parameter in model.parameters():
        stays = parameter.ndim < 2 or id(parameter) in of_norms
        (others if stays else decaying).append(parameter)
    groups = (decaying, weight_decay), (others, 0.0)
    return [{"params": found, "weight_decay": decay} for found, decay in groups if found]
