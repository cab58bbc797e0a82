"""When a training ends, and which of its models was the best."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from tessella.errors import ArgumentError


class Limits(NamedTuple):
    """How long to train: until the first of them is reached.

    Units: `seconds` are those of all sessions of a run.
    """

    epochs: int | None
    steps: int | None
    seconds: float | None

    def reached(self, epochs: int, steps: int, seconds: float) -> str | None:
        """The name of a limit that is reached."""
        if self.epochs is not None and epochs >= self.epochs:
            return "epochs"
        if self.steps is not None and steps >= self.steps:
            return "steps"
        return "time" if self.seconds is not None and seconds >= self.seconds else None


def limits(epochs: int | None, steps: int | None, max_time: float | None) -> Limits:
    """How long to train.

    Raises:
        ArgumentError: nothing is said.
    """
    if epochs is None and steps is None and max_time is None:
        raise ArgumentError(
            "fit: say how long to train: epochs=, steps= (of the optimiser) or max_time= (seconds)"
        )
    return Limits(epochs, steps, max_time)


class Judge:
    """Which result is the best, and how many have come since.

    Args:
        monitor: what is looked at: "loss", or the name of a metric.
        mode: "min" or "max"; None to ask the metric (`higher_is_better`); "min" for the loss.
        patience: after how many results in a row that are no better the training ends; None for never.
    """

    def __init__(self, monitor: str, mode: str | None, patience: int | None) -> None:
        self.monitor, self.patience = monitor, patience
        self.sign = -1.0 if mode == "max" else 1.0
        self.best: dict[str, Any] | None = None
        self.worse = 0  # in a row
        self.last: float | None = None

    def look(self, line: dict[str, Any]) -> bool:
        """Whether a result is the best that there was.

        Raises:
            ArgumentError: what is monitored is not in it, or no number.
        """
        self.last = value = self._value(line)
        if self.best is None or self.sign * value < self.sign * self._value(self.best):
            self.best, self.worse = line, 0
            return True
        self.worse += 1
        return False

    def _value(self, line: Mapping[str, Any]) -> float:
        value = line.get(self.monitor)
        if not isinstance(value, (int, float)):
            known = [name for name, x in line.items() if isinstance(x, float)]
            raise ArgumentError(
                f"monitor: {self.monitor!r} is no number that is measured; expected one of {', '.join(known)}"
            )
        return math.inf * self.sign if math.isnan(value) else value

    @property
    def is_tired(self) -> bool:
        """Whether there has been no better result for too long."""
        return self.patience is not None and self.worse >= self.patience

    def state_dict(self) -> dict[str, Any]:
        """The best, and how many came since."""
        return {"best": self.best, "worse": self.worse}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from there."""
        best = state["best"]
        self.best, self.worse = None if best is None else dict(best), int(state["worse"])


def mode_of(monitor: str, mode: str | None, metrics: list[Any]) -> str:
    """Whether less is better, or more.

    Raises:
        ArgumentError: there is no such metric, or it does not say.
    """
    if monitor == "loss":
        return mode or "min"
    found = [metric for metric in metrics if metric.name == monitor]
    if not found:
        names = ", ".join(["loss", *(metric.name for metric in metrics)])
        raise ArgumentError(f"monitor: there is no {monitor!r}; expected one of {names}")
    higher = getattr(found[0], "higher_is_better", None)
    if mode is None and higher is None:
        raise ArgumentError(
            f"mode: {monitor} does not say whether more of it is better; give mode='max' or mode='min'"
        )
    return mode or ("max" if higher else "min")
