"""What a report is made of: the lines of a training, and what was seen beside them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tessella.errors import ArgumentError
from tessella.train.folders import METRICS, RECORD
from tessella.train.reports.mistakes import Mistake

Array = np.ndarray[Any, Any]
Line = Mapping[str, Any]
_PLACE = ("kind", "step", "epoch", "time")  # where a line stands; all else was measured


@dataclass
class Record:
    """A training as its report shows it.

    Args:
        lines: what was logged, in order: `kind` ("step", "epoch", "validation"), `step`, `epoch`, `time` in seconds, and
            what was measured, by name. A number is drawn as a curve, a square table as a confusion matrix.
        title: the heading.
        facts: machine, versions, command: texts by name.
        is_running: whether there is more to come.
        stopped: why it ended.
        classes: names of the classes, for tables and mistakes.
        norms: of the gradient of each parameter, with the step.
        mistakes: the worst of the last validation.
        examples_per_second: if it is known.
        waiting: the share of the time without data, likewise.
        pictures: URLs of images, by their headings.
        damaged: how many lines could not be read.
    """

    lines: Sequence[Line] = ()
    title: str = "Training"
    facts: Mapping[str, str] = field(default_factory=dict)
    is_running: bool = False
    stopped: str | None = None
    classes: Sequence[str] | None = None
    norms: Sequence[tuple[int, Mapping[str, float]]] = ()
    mistakes: Sequence[Mistake] = ()
    examples_per_second: float | None = None
    waiting: float | None = None
    pictures: Mapping[str, str] = field(default_factory=dict)
    damaged: int = 0

    def of(self, kind: str) -> list[Line]:
        """The lines of a kind."""
        return [line for line in self.lines if line.get("kind") == kind]

    def names(self) -> list[str]:
        """Of the numbers that were measured, in the order in which they first came."""
        found = (name for line in self.lines for name, _ in _numbers(line))
        return list(dict.fromkeys(found))

    def curve(self, kind: str, name: str) -> tuple[list[float], list[float]]:
        """The steps and the numbers of a name, in the lines of a kind."""
        pairs = [
            (line["step"], float(line[name]))
            for line in self.of(kind)
            if _is_number(line.get(name)) and _is_number(line.get("step"))
        ]
        return [step for step, _ in pairs], [value for _, value in pairs]

    def tables(self) -> dict[str, Array]:
        """The last square table of each name."""
        found = {}
        for line in self.lines:
            for name, value in line.items():
                table = _square(value)
                if table is not None:
                    found[name] = table
        return found


def _numbers(line: Line) -> Iterator[tuple[str, float]]:
    return (
        (name, value) for name, value in line.items() if name not in _PLACE and _is_number(value)
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _square(value: Any) -> Array | None:
    """A table of as many rows as columns, with at least two."""
    if not isinstance(value, (list, tuple, np.ndarray)) or len(value) < 2:
        return None
    if not all(
        isinstance(row, (list, tuple, np.ndarray)) and len(row) == len(value) for row in value
    ):
        return None
    if not all(_is_number(x) or isinstance(x, np.number) for row in value for x in row):
        return None
    return np.asarray(value)


def read_record(folder: Path) -> Record:
    """The record of a run folder: of its `metrics.jsonl`, and of its `run.json` if there is one.

    A last line without an end was being written when the training was killed: it is left out, and counted.

    Raises:
        ArgumentError: a file is damaged; the number of the line is named.
        OSError: there is no `metrics.jsonl`, or it cannot be read.
    """
    path = folder / METRICS
    *whole, rest = path.read_text(encoding="utf8").split("\n")
    lines = [
        _numbers_of(_read(line, f"{path}, line {number}"))
        for number, line in enumerate(whole, 1)
        if line.strip()
    ]
    facts = {"folder": str(folder.resolve())}
    if (folder / RECORD).exists():
        about = _read((folder / RECORD).read_text(encoding="utf8"), str(folder / RECORD))
        facts |= _told(about)
    return Record(lines, title=folder.resolve().name, facts=facts, damaged=bool(rest.strip()))


def _read(text: str, where: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise ArgumentError(f"{where}: {error}; expected an object of JSON") from None
    if not isinstance(found, dict):
        raise ArgumentError(f"{where}: {text[:40]}; expected an object of JSON")
    return found


def _numbers_of(line: Line) -> Line:
    """JSON has no NaN: where a number was to be and is none, there is null."""
    return {name: math.nan if value is None else value for name, value in line.items()}


def _told(about: Mapping[str, Any]) -> dict[str, str]:
    """What a run folder says of the last session, in words."""
    sessions = about.get("sessions") or [{}]
    last = sessions[-1]
    command = last.get("command", "")
    facts = {
        **last.get("machine", {}),
        **last.get("versions", {}),
        "command": " ".join(command) if isinstance(command, list) else command,
        "began": sessions[0].get("began", ""),
        "sessions": len(sessions),
    }
    return {name: str(value) for name, value in facts.items() if value not in ("", None)}
