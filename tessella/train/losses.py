"""Losses of steps: read late, so that nobody waits for them, but before anything is built on them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from tessella.train.forward import count_of
from tessella.train.steps import Outcome


class Done(NamedTuple):
    """A step that has been done.

    Args:
        counts: the examples of each batch.
    """

    step: int
    outcome: Outcome
    batches: Sequence[Any]
    counts: Sequence[int]

    def loss(self) -> float:
        """Its loss: the mean over its examples."""
        losses = self.outcome.losses
        if len(losses) == 1:
            return float(losses[0])
        total = sum(float(x) * n for x, n in zip(losses, self.counts, strict=True))
        return total / sum(self.counts)


class Mean:
    """A mean with weights, exact in the order of what is added."""

    def __init__(self) -> None:
        self.total, self.weight = 0.0, 0

    def add(self, value: float, weight: int) -> None:
        """Take a value in."""
        self.total += value * weight
        self.weight += weight

    def taken(self) -> float:
        """The mean, which begins anew."""
        found = self.total / self.weight if self.weight else math.nan
        self.total, self.weight = 0.0, 0
        return found


class Losses:
    """The losses of the steps: of each the one before is read, and looked at.

    Args:
        complain: is called with a step whose loss or gradients are not finite.
    """

    def __init__(self, complain: Callable[[Done], None]) -> None:
        self.of_epoch, self.since_line = Mean(), Mean()
        self.last: Done | None = None  # that has been read
        self.last_loss = math.nan
        self._waiting: Done | None = None
        self._complain = complain

    def add(self, step: int, outcome: Outcome, batches: Sequence[Any]) -> None:
        """A step has been done; the one before is read."""
        self.settle()
        self._waiting = Done(step, outcome, batches, [count_of(batch) for batch in batches])

    def settle(self) -> None:
        """Read what there is."""
        done, self._waiting = self._waiting, None
        if done is None:
            return
        loss, norm = done.loss(), done.outcome.norm
        if not math.isfinite(loss) or (norm is not None and not math.isfinite(float(norm))):
            self._complain(done)
        self.last, self.last_loss = done, loss
        for mean in (self.of_epoch, self.since_line):
            mean.add(loss, sum(done.counts))

    def state_dict(self) -> dict[str, Any]:
        """The sums."""
        self.settle()
        return {"epoch": [*vars(self.of_epoch).values()], "line": [*vars(self.since_line).values()]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from them."""
        for mean, name in ((self.of_epoch, "epoch"), (self.since_line, "line")):
            mean.total, mean.weight = float(state[name][0]), int(state[name][1])
