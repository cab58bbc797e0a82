"""What is said of a step whose loss or gradients are not finite: it was left out, so that it can be looked at."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tessella.debug import check_nan
from tessella.errors import NotFiniteError
from tessella.train.random_state import kept_random_state

if TYPE_CHECKING:
    from tessella.train.losses import Done
    from tessella.train.training import Training


def told_of(done: Done, training: Training) -> str:
    """Which step it was, which parameters are concerned, where it came from, and what to do."""
    loss, norms = done.loss(), done.outcome.norms
    is_loss = not math.isfinite(loss)
    what = (
        f"the loss is {loss}"
        if is_loss
        else f"the loss is {loss:g}, but its gradient is not finite"
    )
    where = _where(training.names, [] if norms is None else norms.tolist())
    parts = [f"fit: step {done.step} (epoch {training.epoch}): {what}{where}"]
    parts += [text for text in (_stained(training), _origin(done, training)) if text]
    last = training.last_checkpoint()
    parts.append(
        "it was left out, and the model was not changed by it"
        if norms is not None
        else "the model may have been changed by it"
    )
    if last is not None:
        parts.append(f"the last checkpoint, which is good, is {last}")
    return "; ".join(parts)


def _where(names: Sequence[str], norms: Sequence[float]) -> str:
    """The parameters whose gradients are not finite; backward comes to the last of them first."""
    found = [name for name, norm in zip(names, norms, strict=False) if not math.isfinite(norm)]
    if not found:
        return ""
    others = f", and {len(found) - 1} more" if len(found) > 1 else ""
    return f", of {found[-1]} first{others}"


def _stained(training: Training) -> str | None:
    """The first parameter that is not finite itself."""
    for name, parameter in training.model.named_parameters():
        values = parameter.detach()
        if values.dtype.is_float and not math.isfinite(float((values * 0).sum())):
            return f"{name} is not finite itself"
    return None


def _origin(done: Done, training: Training) -> str | None:
    """The operation that made the first of them, if it does so again when the step is done once more, uncompiled."""
    again: Any = getattr(training.take, "look_again", None)
    if again is None:
        return None
    is_loss_nan = math.isnan(done.loss())
    try:
        with kept_random_state(), check_nan(infinities=not is_loss_nan):
            again(done.batches)
    except NotFiniteError as error:
        return f"the first was made so: {error}"
    return None
