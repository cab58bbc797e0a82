"""What has happened in a training: one line for each thing that was logged."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tessella.arguments import public

Line = dict[str, Any]


class History:
    """The record of a training: what `fit` returns.

    Args:
        lines: everything that was logged, in order; each has `kind` ("step", "epoch", "validation"), `step`, `epoch`, `time`
            in seconds since the beginning, and what was measured.
        best: the line of the best validation (of the best epoch, if nothing is validated), by what was monitored.
        stopped: why it ended: "epochs", "steps", "time", "no improvement", "interrupted" (Ctrl-C), or what a callback said.
        average: the averaged model, if `ema` asked for one.
        folder: the run folder, if there is one.
    """

    @public
    def __init__(self, lines: Iterable[Any] = ()) -> None:
        self.lines: list[Line] = list(lines)
        self.best: Line | None = None
        self.stopped: str | None = None
        self.average: Any = None
        self.folder: Any = None
        self.examples_per_second: float = 0.0
        self.waiting: float = 0.0  # the share of the time in which there was no data yet

    def of(self, kind: str) -> list[Line]:
        """The lines of a kind."""
        return [line for line in self.lines if line["kind"] == kind]

    @property
    def steps(self) -> list[Line]:
        """One line for each `log_every` steps: the mean loss since the last, learning rate, norm of the gradients."""
        return self.of("step")

    @property
    def epochs(self) -> list[Line]:
        """One line for each epoch: mean loss and metrics on the data that was trained on, as the model was then."""
        return self.of("epoch")

    @property
    def validations(self) -> list[Line]:
        """One line for each validation."""
        return self.of("validation")

    @property
    def losses(self) -> list[float]:
        """The losses of `steps`."""
        return [line["loss"] for line in self.steps]

    @property
    def interrupted(self) -> bool:
        """Whether it was Ctrl-C that ended it."""
        return self.stopped == "interrupted"

    def __repr__(self) -> str:
        return "\n".join(self._rows())

    def _rows(self) -> list[str]:
        last = self.lines[-1] if self.lines else {"step": 0, "epoch": 0}
        ended = f", ended by {self.stopped}" if self.stopped else ""
        speed = f"; {self.examples_per_second:,.0f} examples/s" if self.examples_per_second else ""
        waiting = f", {self.waiting:.1%} of the time waiting for data" if speed else ""
        head = f"History: {last['step']:,} steps, epoch {last['epoch']}{ended}{speed}{waiting}"
        shown = self.epochs + self.validations or self.steps
        rows = sorted(shown, key=lambda line: line["step"])
        left_out = [f"  ... {len(rows) - 10} more"] if len(rows) > 10 else []
        best = [f"  best: {told(self.best)}"] if self.best else []
        return [head, *left_out, *(f"  {told(line)}" for line in rows[-10:]), *best]


_PLACE = ("kind", "step", "epoch", "time")


def told(line: Line) -> str:
    """A line in words.

    >>> told({"kind": "epoch", "step": 20, "epoch": 2, "time": 3.1, "loss": 0.25})
    'epoch 2, step 20: loss 0.25'
    """
    measured = measured_of(line)
    what = "validation after epoch" if line["kind"] == "validation" else "epoch"
    return f"{what} {line['epoch']}, step {line['step']:,}: {shown_numbers(measured)}"


def measured_of(line: Line) -> dict[str, Any]:
    """What was measured, without where."""
    return {name: value for name, value in line.items() if name not in _PLACE}


def shown_numbers(measured: dict[str, Any]) -> str:
    """Numbers with their names, in four digits; what is no number is left out."""
    numbers = {n: x for n, x in measured.items() if isinstance(x, (int, float))}
    return ", ".join(f"{name} {value:.4g}" for name, value in numbers.items())
