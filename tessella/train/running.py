"""A run with a folder: it goes on where it was, writes down what is measured, and keeps checkpoints."""

from __future__ import annotations

import contextlib
import time
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from tessella.errors import CheckpointWarning
from tessella.train.checkpoints import FORMAT, Checkpoints, set_state, state_of
from tessella.train.folders import RunFolder, told_of
from tessella.train.history import Line
from tessella.train.progress import Progress
from tessella.train.random_state import random_state, set_random_state
from tessella.train.training import Place, Training

LONGEST = 600.0  # seconds between checkpoints
_PARTS = (
    "take",
    "evaluator",
    "model",
    "optimizer",
    "scheduler",
    "scaler",
    "average",
    "feed",
    "losses",
    "judge",
    "metrics",
)


class Unkept:
    """A training of which nothing is kept."""

    def __init__(self, training: Training) -> None:
        self.training = training

    def is_due(self) -> bool:
        """Whether it is long since the last checkpoint."""
        return False

    def save(self) -> None:
        """Write a checkpoint."""

    def finish(self) -> None:
        """The loop is at its end: measure the model, if that has not been done."""
        if self.training.stopped != "interrupted":
            self.training.validate()
        self.save()
        self.training.history.stopped = self.training.stopped
        self.training.tell("end")

    def close(self) -> None:
        """Let others have the folder."""


class Kept(Unkept):
    """A training in its folder.

    Args:
        keep: how many checkpoints are kept besides the best.

    Raises:
        RunFolderError, OSError: the folder cannot be had, or cannot be written.
    """

    def __init__(self, training: Training, path: Any, asked: Mapping[str, Any], keep: int) -> None:
        super().__init__(training)
        self.folder = RunFolder(path, asked)
        training.history.folder = self.folder.path
        self._failed: OSError | None = None
        self._saved: tuple[Any, ...] | None = None
        self._saved_at = time.monotonic()
        try:
            self.checkpoints = Checkpoints(self.folder.checkpoints, keep)
            self._begin()
        except BaseException:
            self.folder.close()
            raise
        training.writers.append(self.write)
        training.last_checkpoint = self.checkpoints.last

    def _begin(self) -> None:
        """Go on from the last checkpoint; without one, write one: now it is found out whether that can be done."""
        state = self.checkpoints.load()
        if state is None:
            self.folder.lines_up_to(0)
            with told_of(self.folder.path):
                self._write_checkpoint()
            return
        set_state_of(self.training, state)
        self.training.history.lines[:] = self.folder.lines_up_to(state["lines"])
        if self.training.is_best():
            self.checkpoints.mark_best(self.training.place.step)  # it may not have come to that
        self._saved = self._now()

    def _now(self) -> tuple[Any, ...]:
        place = self.training.place
        return place.step, place.epochs, len(self.training.history.lines)

    def write(self, line: Line) -> None:
        """Write a line down; if that cannot be done now, it is done later."""
        try:
            self.folder.write(line)
        except OSError as error:
            self._warn(error)

    def is_due(self) -> bool:
        """Whether it is long since the last checkpoint."""
        return time.monotonic() - self._saved_at > LONGEST

    def save(self) -> None:
        """Write a checkpoint, if anything has happened; if that cannot be done, training goes on."""
        if self._saved == self._now():
            return
        try:
            self._write_checkpoint()
            self._failed = None
        except OSError as error:
            self._warn(error)

    def _write_checkpoint(self) -> None:
        training = self.training
        training.losses.settle()  # nothing that is not finite is kept
        step = training.place.step
        state = {**state_of_training(training), "lines": self.folder.settle()}
        path = self.checkpoints.save(state, step)
        if training.is_best():
            self.checkpoints.mark_best(step)
        self._saved, self._saved_at = self._now(), time.monotonic()
        training.tell("checkpoint", path=path)

    def _warn(self, error: OSError) -> None:
        self._failed = error
        self._saved_at = time.monotonic()
        last = self.checkpoints.last()
        warnings.warn(
            f"fit: {self.folder.path} cannot be written ({error}); training goes on, and it is tried again; the last "
            f"checkpoint is {last}",
            CheckpointWarning,
            stacklevel=2,
        )

    def finish(self) -> None:
        """Likewise, with a last checkpoint.

        Raises:
            OSError: it could not be written; model and optimiser are as they are.
        """
        super().finish()
        if self._failed is not None:
            raise self._failed

    def close(self) -> None:
        """Let others have the folder."""
        self.folder.close()


@contextlib.contextmanager
def running(
    training: Training, folder: Any, asked: Mapping[str, Any], keep: int, progress: bool
) -> Iterator[Unkept]:
    """A training that goes on, in its folder, if there is one, and listening for Ctrl-C."""
    run = Unkept(training) if folder is None else Kept(training, folder, asked, keep)
    try:
        training.model.train()
        with training.interrupts, showing(training) if progress else contextlib.nullcontext():
            yield run
    finally:
        run.close()


@contextlib.contextmanager
def showing(training: Training) -> Iterator[None]:
    """Show how it goes."""
    shown = training.progress = Progress(training)
    training.writers.append(shown.line)
    shown.start()
    try:
        yield
    finally:
        shown.end()


def state_of_training(training: Training) -> dict[str, Any]:
    """All that is to be known to go on bit for bit, as a tree."""
    place = training.place
    return {
        "format": FORMAT,
        "place": {
            "step": place.step, "epochs": place.epochs, "examples": place.examples, "seconds": training.seconds(),
            "looked_at": training.looked_at,
        },
        **{name: state_of(getattr(training, name)) for name in _PARTS},
        "random": random_state(),
    }  # fmt: skip


def set_state_of(training: Training, state: Mapping[str, Any]) -> None:
    """Bring a training to where another one was."""
    for name in _PARTS:
        set_state(getattr(training, name), state[name], name)
    place = dict(state["place"])
    looked_at = place.pop("looked_at")
    training.go_on_at(Place(**place), looked_at)
    set_random_state(state["random"])
