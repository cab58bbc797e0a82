"""How a training goes, for whoever looks on: a bar in a terminal, lines where there is none."""

from __future__ import annotations

import sys
import textwrap
import time
from typing import IO, TYPE_CHECKING, Any

from tessella.terminal import WIDTH
from tessella.train.history import Line, measured_of, shown_numbers

if TYPE_CHECKING:
    from tessella.train.training import Training

_BETWEEN_BARS = 0.2  # seconds
_BETWEEN_LINES = 10.0
_BEST_BAR = 24  # cells
_SMOOTHING = 0.98  # of the loss that is shown
_DEAR = 0.002  # seconds that a metric may take to be shown


class Progress:
    """Shows where a training is.

    Args:
        stream: where to; stderr by default.
    """

    def __init__(self, training: Training, stream: IO[str] | None = None) -> None:
        self.training = training
        self.stream = sys.stderr if stream is None else stream
        self._live: Any = None
        self._next = 0.0
        self._loss, self._weight = 0.0, 0.0
        self._waiting: Line | None = None  # of an epoch, for its validation
        self._began: float | None = None
        self._share = 0.0
        self._first = training.metrics[0] if training.metrics else None

    # --- what is told -----------------------------------------------------------------------------

    def start(self) -> None:
        """The training begins, or goes on."""
        place = self.training.place
        if place.step:
            where = self.training.history.folder
            self._say(f"{where}: going on after step {place.step:,}, epoch {self.training.epoch}")
        if self.stream.isatty():
            self._live = _live(self.stream)
            self._live.start()
            self._draw(f"{self._where()}  compiling the first step ...")
        self._next = time.perf_counter() + (_BETWEEN_BARS if self._live else _BETWEEN_LINES)

    def step(self) -> None:
        """A step has been done."""
        if self._began is None:  # the first step is compiled, and says nothing of those to come
            self._began, self._share = time.perf_counter(), self._done()
        loss = self.training.losses.last_loss
        if loss == loss:
            self._loss = _SMOOTHING * self._loss + (1 - _SMOOTHING) * loss
            self._weight = _SMOOTHING * self._weight + (1 - _SMOOTHING)
        now = time.perf_counter()
        if now < self._next:
            return
        self._flush()
        if self._live:
            self._draw(self._bar(self._live.console.width))
        else:
            self._say(self._told())
        self._next = now + (_BETWEEN_BARS if self._live else _BETWEEN_LINES)

    def line(self, line: Line) -> None:
        """Something was measured."""
        if line["kind"] == "step":
            return
        if line["kind"] == "validation" and self._waiting is not None:
            before, self._waiting = self._waiting, None
            self._say_measured(before, line)
        elif line["kind"] == "epoch" and self.training.evaluator is not None:
            self._flush()
            self._waiting = line
        else:
            self._flush()
            self._say_measured(line)

    def end(self) -> None:
        """It is at its end."""
        self._flush()
        history, place = self.training.history, self.training.place
        if self._live:
            self._live.stop()
            self._live = None
        if history.stopped is None:  # by an error, which tells of itself
            return
        speed = (
            f", {history.examples_per_second:,.0f} examples/s"
            if history.examples_per_second
            else ""
        )
        self._say(
            f"{_ENDS.get(history.stopped, history.stopped)}: {place.step:,} steps in {_time(self.training.seconds())}"
            f"{speed}, {history.waiting:.1%} of the time waiting for data"
        )
        if history.folder is not None:
            again = "; the same call goes on from there" if history.interrupted else ""
            self._say(f"kept in {history.folder}{again}")

    # --- how it is told ---------------------------------------------------------------------------

    def _flush(self) -> None:
        if self._waiting is not None:
            before, self._waiting = self._waiting, None
            self._say_measured(before)

    def _say_measured(self, line: Line, validation: Line | None = None) -> None:
        parts = [f"{_padded(line)}{shown_numbers(measured_of(line))}"]
        if validation is not None:
            parts.append(f"validation: {shown_numbers(measured_of(validation))}")
        best = self.training.judge.best
        if best is (validation or line):
            parts.append("best so far")
        self._say("; ".join(parts))

    def _say(self, text: str) -> None:
        rows = textwrap.wrap(text, WIDTH, subsequent_indent="    ", break_on_hyphens=False)
        if self._live:
            self._live.console.print("\n".join(rows), markup=False, highlight=False)
        else:
            print("\n".join(rows), file=self.stream, flush=True)

    def _draw(self, text: Any) -> None:
        self._live.update(text, refresh=True)

    def _where(self) -> str:
        limits, place = self.training.limits, self.training.place
        if limits.epochs is not None:
            return f"epoch {min(self.training.epoch, limits.epochs)}/{limits.epochs}"
        return f"step {place.step:,}" + (f"/{limits.steps:,}" if limits.steps else "")

    def _done(self) -> float:
        """The share of all that is to be done, as far as it is known."""
        limits, feed, place = self.training.limits, self.training.feed, self.training.place
        epochs = place.epochs + (min(1.0, feed.taken / feed.length) if feed.length else 0.0)
        shares = [
            done / limit
            for done, limit in (
                (epochs, limits.epochs), (place.step, limits.steps), (self.training.seconds(), limits.seconds),
            )
            if limit
        ]  # fmt: skip
        return min(1.0, max(shares, default=0.0))

    def _numbers(self) -> list[str]:
        """Loss, a metric, speed, time left, waiting."""
        now, share = time.perf_counter(), self._done()
        seconds = now - (self._began or now)
        gained = share - self._share
        history = self.training.history
        found = [f"loss {self._loss / self._weight:#.4g}" if self._weight else "", self._metric()]
        self.training.measure_speed()
        found.append(f"{history.examples_per_second:,.0f}/s")
        if gained > 0:
            found.append(f"{_time(seconds * (1 - share) / gained)} left")
        return [x for x in [*found, f"data {history.waiting:.0%}"] if x]

    def _metric(self) -> str:
        """The first metric on this epoch until now, if it is a number and known at once."""
        if self._first is None:
            return ""
        began = time.perf_counter()
        value = self._first.compute()
        name = self._first.name
        if time.perf_counter() - began > _DEAR or not isinstance(value, float):
            self._first = None
        return f"{name} {value:#.3g}" if isinstance(value, float) else ""

    def _told(self) -> str:
        return f"{self._where()} ({self._done():.0%}): {', '.join(self._numbers())}"

    def _bar(self, width: int) -> Any:
        from rich.text import Text

        share = self._done()
        after = "  ".join(["", f"{share:.0%}", *self._numbers()])
        cells = max(4, min(_BEST_BAR, width - len(self._where()) - len(after) - 2))
        full = round(share * cells)
        signs = "━━" if _is_unicode(self.stream) else "=-"
        row = Text(f"{self._where()} ", no_wrap=True, overflow="ellipsis")
        row.append(signs[0] * full, "green").append(signs[1] * (cells - full), "dim")
        return row.append(after)


_ENDS = {
    "epochs": "done", "steps": "done", "time": "the time is over", "interrupted": "interrupted",
    "no improvement": "ended, as nothing got better",
}  # fmt: skip


def _padded(line: Line) -> str:
    return (
        f"epoch {line['epoch']}: "
        if line["kind"] == "epoch"
        else f"step {line['step']:,}, validation: "
    )


def _live(stream: IO[str]) -> Any:
    from rich.console import Console
    from rich.live import Live

    return Live(console=Console(file=stream), auto_refresh=False)


def _is_unicode(stream: IO[str]) -> bool:
    return (getattr(stream, "encoding", None) or "").lower().startswith("utf")


def _time(seconds: float) -> str:
    """
    >>> _time(75), _time(3723)
    ('1:15', '1:02:03')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
