"""The state of a training: all that has to be known to go on with it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tessella.errors import ArgumentError, NotFiniteError
from tessella.optim.lr_scheduler import ReduceLROnPlateau
from tessella.train.evaluation import Evaluator, computed, update_all
from tessella.train.events import Callback, Event, Kind
from tessella.train.feeding import Feed
from tessella.train.forward import Forward, count_of
from tessella.train.history import History, Line
from tessella.train.interrupts import Interrupts
from tessella.train.losses import Done, Losses
from tessella.train.not_finite import told_of
from tessella.train.progress import Progress
from tessella.train.random_state import kept_random_state
from tessella.train.steps import Outcome, Step
from tessella.train.stopping import Judge, Limits


@dataclass
class Place:
    """How far a training is.

    Args:
        step: how many steps there have been.
        epochs: how many there have been.
        examples: that were seen.
        seconds: of the sessions before this one.
    """

    step: int = 0
    epochs: int = 0
    examples: int = 0
    seconds: float = 0.0


class Training:
    """A training that goes on.

    Args:
        take: does a step.
        names: of the parameters, as the norms of their gradients stand.
        evaluator: measures the model, or its average, on `validation`.
        judge: of the validations; of the epochs, if there are none.
    """

    def __init__(
        self, model: Any, optimizer: Any, scheduler: Any, scaler: Any, average: Any, *, take: Step,
        names: Sequence[str], feed: Feed, metrics: Sequence[Any], evaluator: Evaluator | None, validation: Any, judge: Judge,
        limits: Limits, log_every: int, schedule_by: str, callbacks: Sequence[Callback],
    ) -> None:  # fmt: skip
        self.model, self.optimizer, self.scheduler = model, optimizer, scheduler
        self.scaler, self.average, self.names = scaler, average, names
        self.take = take
        self.feed, self.metrics, self.judge = feed, metrics, judge
        self.evaluator, self.validation = evaluator, validation
        self.limits, self.log_every, self.schedule_by = limits, log_every, schedule_by
        self.callbacks = list(callbacks)
        if self.callbacks and evaluator is not None:
            evaluator.tell = self.saw
        self.place, self.history, self.losses = Place(), History(), Losses(self._complain)
        self.history.average = average
        self.writers: list[Callable[[Line], None]] = []  # of lines
        self.last_checkpoint: Callable[[], Any] = lambda: None
        self.interrupts = Interrupts()
        self.progress: Progress | None = None
        self.stopped: str | None = None
        self.looked_at = -1  # the step after which the model was validated last
        self._began = time.perf_counter()
        self._steady: tuple[float, int, float] | None = None

    # --- what happens -----------------------------------------------------------------------------

    def tell(self, kind: Kind, **what: Any) -> None:
        """Tell all callbacks."""
        if self.callbacks:
            event = Event(kind, self, **what)
            for callback in self.callbacks:
                callback(event)

    def do(self, batches: Sequence[Any]) -> None:
        """Do a step; errors say which."""
        try:
            outcome = self.take(batches)
        except Exception as error:
            last = self.feed.taken
            several = (
                f"batches {last - len(batches) + 1} to {last}"
                if len(batches) > 1
                else f"batch {last}"
            )
            error.add_note(f"fit: in step {self.place.step + 1}, {several} of epoch {self.epoch}")
            raise
        self._did(outcome, batches)

    def _did(self, outcome: Outcome, batches: Sequence[Any]) -> None:
        """A step has been done."""
        place = self.place
        place.step += 1
        place.examples += sum(map(count_of, batches))
        self.losses.add(place.step, outcome, batches)
        self.schedule("step")
        if self._steady is None:
            self._steady = time.perf_counter(), place.examples, self.feed.waited
        for outputs, targets in outcome.results:
            update_all(self.metrics, outputs, targets)
        if place.step % self.log_every == 0:
            self.losses.settle()
            self._write("step", {"loss": self.losses.since_line.taken(), **self._of_step()})
        if self.progress is not None:
            self.progress.step()
        if self.callbacks:
            outputs, targets = outcome.results[-1] if outcome.results else (None, None)
            self.tell("step", batch=batches[-1], outputs=outputs, targets=targets)

    def schedule(self, what: str) -> None:
        """Let the schedules go on after a step, or an epoch, if that is what they count."""
        if self.schedule_by != what or self.scheduler is None:
            return
        several = self.scheduler if isinstance(self.scheduler, (list, tuple)) else [self.scheduler]
        for scheduler in several:
            if isinstance(scheduler, ReduceLROnPlateau):
                self._tell_plateau(scheduler)
            else:
                scheduler.step()

    def _tell_plateau(self, scheduler: ReduceLROnPlateau) -> None:
        """
        Raises:
            ArgumentError: it is to follow steps, and there is nothing measured after each.
        """
        if self.schedule_by == "step" or self.judge.last is None:
            raise ArgumentError(
                "scheduler: ReduceLROnPlateau looks at what was measured after an epoch; give schedule_by='epoch', and no "
                "`every`"
            )
        scheduler.step(self.judge.last)

    def _of_step(self) -> dict[str, Any]:
        found = {"gradient_norm": self.last_norm(), "lr": self.lr()}
        return {name: value for name, value in found.items() if value is not None}

    def end_epoch(self) -> None:
        """The data have been gone through."""
        self.losses.settle()
        measured = {"loss": self.losses.of_epoch.taken(), **computed(self.metrics)}
        for metric in self.metrics:
            metric.reset()
        self.place.epochs += 1
        line = self._write("epoch", measured)
        self.tell("epoch", metrics=measured)
        if self.evaluator is None:
            self._judge(line)

    def validate(self) -> bool:
        """Measure the model on data that it is not trained on; whether it is the best that there was."""
        if self.evaluator is None or self.looked_at == self.place.step:
            return False
        self.losses.settle()
        with kept_random_state():
            measured = self.evaluator(self._held_out())
        self.looked_at = self.place.step
        line = self._write("validation", measured)
        self.tell("validation", metrics=measured)
        return self._judge(line)

    def _held_out(self) -> Iterator[Any]:
        """The batches of the validation. The seed that a loader draws, once in each process, is not the model's affair."""
        with kept_random_state():
            return iter(self.validation)

    def saw(self, batch: Any, found: Forward) -> None:
        """A batch of the validation was looked at."""
        what = {"loss": found.loss} if self.callbacks else {}
        self.tell("validation_step", metrics=what, batch=batch, outputs=found.outputs, targets=found.targets)  # fmt: skip

    def _judge(self, line: Line) -> bool:
        is_best = self.judge.look(line)
        self.history.best = self.judge.best
        if self.judge.is_tired:
            self.stop("no improvement")
        return is_best

    def is_best(self) -> bool:
        """Whether no result was better than that of now."""
        return self.judge.best is not None and self.judge.best["step"] == self.place.step

    def _write(self, kind: str, measured: Mapping[str, Any]) -> Line:
        """Log what was measured."""
        place = self.place
        self.measure_speed()
        numbers = {name: _plain(value) for name, value in measured.items()}
        line = {"kind": kind, "step": place.step, "epoch": self.epoch, **numbers}
        line["time"] = round(self.seconds(), 3)
        self.history.lines.append(line)
        for write in self.writers:
            write(line)
        return line

    def measure_speed(self) -> None:
        """Note how fast it is, and the share of the time that was spent waiting for data, since the first step of this session.

        That one is compiled.
        """
        if self._steady is None:
            return
        since, examples, waited = self._steady
        seconds = time.perf_counter() - since
        self.history.examples_per_second = (self.place.examples - examples) / seconds
        self.history.waiting = (self.feed.waited - waited) / seconds

    def go_on_at(self, place: Place, looked_at: int) -> None:
        """Go on where another session ended.

        Args:
            looked_at: the step after which the model was validated last.
        """
        self.place, self.looked_at = place, looked_at
        self.history.best = self.judge.best
        if self.judge.is_tired:
            self.stop("no improvement")

    # --- when it ends -----------------------------------------------------------------------------

    def stop(self, reason: str) -> None:
        """Let it end after this step."""
        self.stopped = self.stopped or reason

    def is_over(self) -> bool:
        """Whether it is to end here."""
        place = self.place
        if self.interrupts.asked:
            self.stop("interrupted")
        reached = self.limits.reached(place.epochs, place.step, self.seconds())
        if reached and self.stopped is None:
            self.stopped = reached
        return self.stopped is not None

    def seconds(self) -> float:
        """How long it has taken until now."""
        return self.place.seconds + time.perf_counter() - self._began

    # --- what is known ----------------------------------------------------------------------------

    @property
    def epoch(self) -> int:
        """The number of the epoch that goes on or has just ended, from 1."""
        return self.place.epochs + bool(self.feed.taken or not self.place.epochs)

    def last_loss(self) -> float:
        """The loss of the last step."""
        self.losses.settle()
        return self.losses.last_loss

    def last_norm(self) -> float | None:
        """The norm of its gradients."""
        self.losses.settle()
        last = self.losses.last
        return None if last is None or last.outcome.norm is None else float(last.outcome.norm)

    def last_norms(self) -> dict[str, float]:
        """That of each parameter."""
        self.losses.settle()
        last = self.losses.last
        if last is None or last.outcome.norms is None:
            return {}
        return dict(zip(self.names, last.outcome.norms.tolist(), strict=True))

    def lr(self) -> float | None:
        """The learning rate of the first group."""
        found = None if self.optimizer is None else self.optimizer.param_groups[0].get("lr")
        return None if found is None else float(found)

    def _complain(self, done: Done) -> None:
        """
        Raises:
            NotFiniteError: unless a scaler is there, which leaves such steps out and makes its scale smaller.
        """
        if self.scaler is not None and math.isfinite(done.loss()):
            return
        raise NotFiniteError(told_of(done, self))


def _plain(value: Any) -> Any:
    """A number, or a list of numbers, for a line of text."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, (np.floating, np.integer)):
        return value.item()
    return {name: _plain(x) for name, x in value.items()} if isinstance(value, dict) else value
