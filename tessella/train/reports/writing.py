"""Reports of trainings: of one that runs, and of what a run folder has."""

from __future__ import annotations

import base64
import os
import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tessella import files
from tessella.arguments import public
from tessella.arguments.kinds import Natural, NotNegative
from tessella.errors import ArgumentError, ArgumentTypeError, CheckpointWarning
from tessella.train.pages.machine import machine_facts
from tessella.train.reports.mistakes import Mistake, Worst
from tessella.train.reports.record import Record, read_record
from tessella.train.reports.training_page import page

NAME = "report.html"
MOST_NORMS = 200  # moments for which the norms of gradients are kept
_PICTURES = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".svg": "svg+xml"}
_SHARE = 0.01  # of the time that writing may take


class Report:
    """A callback that writes the report of a training: one HTML page, which draws itself anew in an open browser.

    Curves of losses and metrics, learning rate, speed, confusion, the worst mistakes as images, sentences or numbers,
    the norms of gradients layer by layer, the machine and the command.

    Args:
        folder: where `report.html` is written.
        title: the heading; the name of the folder by default.
        classes: names of the classes.
        show: makes of a row of the inputs what the mistakes show, for example the text of numbers of words.
        mistakes: how many are shown.
        pictures: files that are shown as soon as they are there (PNG, JPEG or SVG), by their headings: what a callback
            before this one draws.
        every: seconds between two writings, at least. Writing takes no more than a hundredth of the time.

    Raises:
        OSError: at the start, if the folder cannot be written to. Later that is a `CheckpointWarning`.

    >>> import tessella as ts
    >>> report = ts.train.Report("runs/first", classes=["cat", "dog"])
    >>> report
    Report('runs/first/report.html')
    """

    @public
    def __init__(
        self, folder: Any, *, title: str | None = None, classes: Sequence[str] | None = None,
        show: Callable[..., Any] | None = None, mistakes: Natural = 24, every: NotNegative = 5.0,
        pictures: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        self.path = _folder(folder, "Report") / NAME
        self.title = self.path.parent.resolve().name if title is None else title
        self.classes, self.every = classes, every
        self._pictures = {name: _picture(path) for name, path in (pictures or {}).items()}
        self._worst = Worst(mistakes, show, classes)
        self._mistakes: list[Mistake] = []
        self._norms: list[tuple[int, Mapping[str, float]]] = []
        self._next = self._next_norms = 0.0
        self._facts = _facts()

    def __call__(self, event: Any) -> None:
        """Be told what has happened."""
        if event.kind == "validation_step":
            batch = event.batch
            inputs = batch[0] if isinstance(batch, (tuple, list)) and batch else batch
            self._worst.look(inputs, event.outputs, event.targets)
        elif event.kind == "validation":
            self._mistakes = self._worst.taken()
        now, ended = time.monotonic(), event.kind == "end"
        if event.kind == "step" and now >= self._next_norms:
            self._keep_norms(event)
            self._next_norms = now + self.every / 20
        if ended or now >= self._next:
            self._try_to_write(event)

    def _keep_norms(self, event: Any) -> None:
        """Of a few moments; of a long training, of every second one of those before."""
        norms = getattr(event, "gradient_norms", None)
        if norms and (not self._norms or event.step > self._norms[-1][0]):
            self._norms.append((event.step, dict(norms)))
        if len(self._norms) > MOST_NORMS:
            self._norms = self._norms[::2]

    def _try_to_write(self, event: Any) -> None:
        """A disk that is full ends no training; a folder that was never there does, at its start."""
        began = time.monotonic()
        try:
            self._write(event, event.kind != "end")
        except OSError as error:
            if event.kind == "start":
                raise
            warnings.warn(
                f"Report: {self.path} cannot be written ({error}); training goes on, and it is tried again",
                CheckpointWarning,
                stacklevel=2,
            )
        now = time.monotonic()
        self._next = now + max(self.every, (now - began) / _SHARE)

    def _write(self, event: Any, is_running: bool) -> None:
        history = event.history
        speed = getattr(history, "examples_per_second", None) or None
        record = Record(
            history.lines, self.title, self._facts, is_running, getattr(history, "stopped", None), self.classes,
            self._norms, self._mistakes, speed, getattr(history, "waiting", None) if speed else None,
            {name: _url(path) for name, path in self._pictures.items() if path.is_file()},
        )  # fmt: skip
        self.path.parent.mkdir(parents=True, exist_ok=True)
        files.write(self.path, page(record))

    def __repr__(self) -> str:
        return f"Report({str(self.path)!r})"


def with_report(callbacks: Sequence[Callable[..., Any]], folder: Any) -> list[Callable[..., Any]]:
    """Callbacks, with a report if the run has a folder and nobody has thought of one."""
    has_one = any(isinstance(callback, Report) for callback in callbacks)
    return [*callbacks] if folder is None or has_one else [*callbacks, Report(folder)]


@public
def report(folder: Any, *, title: str | None = None, classes: Sequence[str] | None = None) -> Path:
    """Write the report of a run folder from its `metrics.jsonl` alone; gives the path of the page.

    Args:
        title: the heading; the name of the folder by default.
        classes: names of the classes, for a confusion matrix.

    Raises:
        ArgumentError: a damaged line; its number is named. A last line that was cut off is left out.
        OSError: there is no such file, or the folder cannot be written to.

    >>> import json, tempfile
    >>> import tessella as ts
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with open(f"{folder}/metrics.jsonl", "w") as file:
    ...         for step in range(3):
    ...             line = {"kind": "step", "step": step, "epoch": 1, "time": 0.1 * step, "loss": 1 / (step + 1)}
    ...             print(json.dumps(line), file=file)
    ...     path = ts.train.report(folder)
    ...     print(path.name, path.read_text().count("<svg"))
    report.html 2
    """
    place = _folder(folder, "report")
    record = read_record(place)
    record.classes, record.title = classes, record.title if title is None else title
    files.write(place / NAME, page(record))
    return place / NAME


def _folder(folder: Any, function: str) -> Path:
    if not isinstance(folder, (str, os.PathLike)) or not isinstance(os.fspath(folder), str):
        raise ArgumentTypeError(
            f"{function}: folder is of type {type(folder).__name__}; expected str or pathlib.Path"
        )
    return Path(folder)


def _picture(path: Any) -> Path:
    """
    Raises:
        ArgumentError: it is no picture by its name.
    """
    found = Path(path)
    if found.suffix.lower() not in _PICTURES:
        raise ArgumentError(
            f"Report: pictures: {str(path)!r}; expected a path that ends in {', '.join(_PICTURES)}"
        )
    return found


def _url(path: Path) -> str:
    kind = _PICTURES[path.suffix.lower()]
    return f"data:image/{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"


def _facts() -> dict[str, str]:
    began = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    command = " ".join([os.path.basename(sys.executable), *sys.orig_argv[1:]])
    return {**machine_facts(), "command": command, "folder": os.getcwd(), "began": began}
