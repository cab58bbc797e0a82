"""What is said of a step whose loss or gradients are not finite."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tessella.train.losses import Done
    from tessella.train.training import Training


def told_of(done: Done, training: Training) -> str:
    """Which step it was, which parameters are concerned, and what to do."""
    loss, norms = done.loss(), done.outcome.norms
    what = (
        f"the loss is {loss}"
        if not math.isfinite(loss)
        else f"the loss is {loss:g}, but a gradient is not finite"
    )
    where = _where(training.names, [] if norms is None else norms.tolist())
    return f"fit: step {done.step} (epoch {training.epoch}): {what}{where}"


def _where(names: Sequence[str], norms: Sequence[float]) -> str:
    """The parameters whose gradients are not finite; backward comes to the last of them first."""
    found = [name for name, norm in zip(names, norms, strict=False) if not math.isfinite(norm)]
    if not found:
        return ""
    others = f", and those of {len(found) - 1} more" if len(found) > 1 else ""
    return f"; the gradient of {found[-1]} was the first that was not finite{others}"
