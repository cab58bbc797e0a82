"""Run folders: what was asked for, what was measured, and one process at a time."""

from __future__ import annotations

import contextlib
import fcntl
import json
import math
import os
import platform
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from tessella import files, forking
from tessella.errors import RunFolderError
from tessella.release import VERSION
from tessella.train.history import Line

RECORD, METRICS, LOCK, CHECKPOINTS = "run.json", "metrics.jsonl", "lock", "checkpoints"
_MOST_TOLD = 10  # differences
_locks: set[int] = set()  # descriptors that are held by this process


class RunFolder:
    """A folder that belongs to one run, and for now to this process.

    Its files: `run.json`, what was asked for, and by which versions on which machine; `metrics.jsonl`, a line for each
    thing that was logged; `checkpoints/`; `lock`.

    Args:
        path: is made if it is not there.
        asked: what the run is, as a tree of what JSON has; it is refused if the folder was begun by another.

    Raises:
        RunFolderError: another process has it; it belongs to another run.
        OSError: it cannot be written.
    """

    def __init__(self, path: Any, asked: Mapping[str, Any]) -> None:
        self.path = Path(path)
        self.checkpoints = self.path / CHECKPOINTS
        with told_of(self.path):
            self.checkpoints.mkdir(parents=True, exist_ok=True)
            self._lock = _locked(self.path / LOCK)
        try:
            with told_of(self.path):
                self._record(asked)
                self._metrics = os.open(
                    self.path / METRICS, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666
                )
        except BaseException:
            _unlocked(self._lock)
            raise
        self._waiting: list[bytes] = []  # lines for which there was no room

    def _record(self, asked: Mapping[str, Any]) -> None:
        """Write what was asked for, or compare with what was asked for when the run began."""
        place = self.path / RECORD
        asked = json.loads(json.dumps(asked, default=str))
        known = _read(place)
        if known is not None:
            _require_alike(self.path, known.get("asked", {}), asked)
        sessions = [*(known or {}).get("sessions", []), _session()]
        files.write(place, json.dumps({"asked": asked, "sessions": sessions}, indent=1) + "\n")

    # --- lines ------------------------------------------------------------------------------------

    def write(self, line: Line) -> None:
        """Append a line; if there is no room for it, it waits for the next one.

        Raises:
            OSError: it could not be written.
        """
        self._waiting.append(_as_text(line))
        while self._waiting:
            _append(self._metrics, self._waiting[0])
            del self._waiting[0]

    def settle(self) -> int:
        """Have all lines on the disk, and say how many bytes they are.

        Raises:
            OSError: there is no room.
        """
        while self._waiting:
            _append(self._metrics, self._waiting[0])
            del self._waiting[0]
        os.fsync(self._metrics)
        return os.fstat(self._metrics).st_size

    def lines_up_to(self, size: int) -> list[Line]:
        """The lines until a checkpoint; those after it are cut off: they will be written again.

        Raises:
            RunFolderError: the file has been changed.
        """
        place = self.path / METRICS
        text = place.read_bytes()
        if len(text) < size or (size and text[size - 1 : size] != b"\n"):
            raise RunFolderError(
                f"folder: {place} is not what it was when the last checkpoint was written ({len(text)} bytes; it had "
                f"{size}); put it back, or begin in a new folder"
            )
        os.ftruncate(self._metrics, size)
        return [_from_text(row) for row in text[:size].splitlines()]

    def close(self) -> None:
        """Let others have it."""
        os.close(self._metrics)
        _unlocked(self._lock)


def _append(descriptor: int, text: bytes) -> None:
    """Add a whole line to a file, or nothing."""
    before = os.fstat(descriptor).st_size
    try:
        written = 0
        while written < len(text):
            written += os.write(descriptor, text[written:])
    except BaseException:
        os.ftruncate(descriptor, before)
        raise


def _as_text(line: Line) -> bytes:
    """JSON, which has no NaN and no infinity: they are null."""
    return json.dumps(_finite(line), allow_nan=False, separators=(",", ":")).encode() + b"\n"


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(x) for name, x in value.items()}
    if isinstance(value, list):
        return [_finite(x) for x in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _from_text(row: bytes) -> Line:
    return {n: math.nan if x is None else x for n, x in json.loads(row).items()}


# --- what a run is ------------------------------------------------------------------------------------


def _read(place: Path) -> dict[str, Any] | None:
    """
    Raises:
        RunFolderError: it is damaged.
    """
    if not place.exists():
        return None
    try:
        found = json.loads(place.read_text(encoding="utf-8"))
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise RunFolderError(f"folder: {place} is damaged; begin in a new folder")
    return found


def _session() -> dict[str, Any]:
    return {
        "began": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "command": sys.argv,
        "folder": os.getcwd(),
        "process": os.getpid(),
        "versions": {"tessella": VERSION, "python": platform.python_version(), "numpy": np.__version__},
        "machine": {"system": platform.platform(), "processor": platform.machine(), "cores": os.cpu_count()},
    }  # fmt: skip


def _require_alike(folder: Path, before: Any, now: Any) -> None:
    """
    Raises:
        RunFolderError: another run was asked for when the folder was begun.
    """
    found = list(_differences(before, now))
    if not found:
        return
    rows = "".join(f"\n  {row}" for row in found[:_MOST_TOLD])
    more = f"\n  and {len(found) - _MOST_TOLD} more" if len(found) > _MOST_TOLD else ""
    raise RunFolderError(
        f"folder: {folder} belongs to another run; give another folder, or ask for the same:{rows}{more}"
    )


_ABSENT = "nothing"


def _differences(before: Any, now: Any, way: str = "") -> Iterator[str]:
    """What differs between two trees, a row each."""
    if isinstance(before, dict) and isinstance(now, dict):
        for name in {**before, **now}:
            inner = f"{way}.{name}" if way else str(name)
            yield from _differences(before.get(name, _ABSENT), now.get(name, _ABSENT), inner)
    elif before != now:
        yield f"{way}: {_shown(before)} there, {_shown(now)} now"


def _shown(value: Any) -> str:
    return value if value is _ABSENT else json.dumps(value)


# --- one process at a time ----------------------------------------------------------------------------


def _locked(place: Path) -> int:
    """A lock that goes with the process, whatever ends it.

    Raises:
        RunFolderError: another has it.
    """
    descriptor = os.open(place, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        other = os.read(descriptor, 32).decode("ascii", "replace").strip()
        os.close(descriptor)
        raise RunFolderError(
            f"folder: {place.parent} is in use by the process {other or 'that has just begun'}; wait for its end, or give "
            "another folder"
        ) from None
    except BaseException:
        os.close(descriptor)
        raise
    os.ftruncate(descriptor, 0)
    os.write(descriptor, f"{os.getpid()}\n".encode())
    _locks.add(descriptor)
    return descriptor


def _unlocked(descriptor: int) -> None:
    _locks.discard(descriptor)
    os.close(descriptor)


def _in_child() -> None:
    """A child, such as a worker that loads data, does not hold what its parent holds: it may outlive it."""
    while _locks:
        os.close(_locks.pop())


forking.in_child(_in_child)


@contextlib.contextmanager
def told_of(path: Path) -> Iterator[None]:
    """Errors of the system say what could not be written."""
    try:
        yield
    except OSError as error:
        _raise_told(error, path)


def _raise_told(error: OSError, path: Path) -> NoReturn:
    where = (
        f" ({error.filename})" if error.filename and os.fspath(error.filename) != str(path) else ""
    )
    text = f"{error.strerror or error}: the run folder cannot be written{where}; give another by folder="
    raise OSError(error.errno, text, os.fspath(path)) from None
