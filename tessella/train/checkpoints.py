"""Checkpoints: all that a training needs to go on bit for bit, in files that are whole or not there."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tessella import files
from tessella.errors import RunFolderError, TessellaError
from tessella.io.trees import load_tree, save_tree

FORMAT = 1
BEST = "best.safetensors"
_NAME = re.compile(r"step-(\d+)\.safetensors")


class Checkpoints:
    """The checkpoints of a run: the last ones, and the best.

    Args:
        keep: how many of the last ones; the best is kept beside them.
    """

    def __init__(self, folder: Path, keep: int) -> None:
        self.folder, self.keep = folder, keep
        for entry in folder.glob(f"{files.UNFINISHED}*"):  # of a process that was killed
            entry.unlink(missing_ok=True)

    def steps(self) -> list[int]:
        """The steps of those that are there."""
        found = (_NAME.fullmatch(entry.name) for entry in self.folder.iterdir())
        return sorted(int(name[1]) for name in found if name)

    def path(self, step: int) -> Path:
        """Where that of a step stands."""
        return self.folder / f"step-{step:08d}.safetensors"

    def last(self) -> Path | None:
        """The last one."""
        steps = self.steps()
        return self.path(steps[-1]) if steps else None

    def best(self) -> Path | None:
        """The best one."""
        place = self.folder / BEST
        return place if place.exists() else None

    def save(self, state: Mapping[str, Any], step: int) -> Path:
        """Write one, on the disk when this comes back; those that are too many go afterwards.

        Raises:
            OSError: it could not be written; those before are there.
        """
        place = self.path(step)
        save_tree(dict(state), place)
        for old in self.steps()[: -self.keep]:
            if old != step:
                self.path(old).unlink(missing_ok=True)
        return place

    def mark_best(self, step: int) -> None:
        """Let that of a step be the best one: another name for the same file, or a copy where there are no such names."""
        temporary = self.folder / f"{files.UNFINISHED}{os.urandom(8).hex()}"
        try:
            with contextlib.suppress(OSError):
                os.link(self.path(step), temporary)
            if not temporary.exists():
                shutil.copyfile(self.path(step), temporary)
            os.replace(temporary, self.folder / BEST)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise

    def load(self) -> Any:
        """The state of the last one; None if there is none.

        Raises:
            RunFolderError: it cannot be read; nothing older is taken in its place.
        """
        place = self.last()
        if place is None:
            return None
        try:
            state = load_tree(place)
        except TessellaError as error:
            raise RunFolderError(
                f"folder: the last checkpoint cannot be read; take it away, and the run goes on from the one before "
                f"({error})"
            ) from error
        if not isinstance(state, dict) or state.get("format") != FORMAT:
            raise RunFolderError(
                f"folder: {place} is no checkpoint of a run, or of another version"
            )
        return state


# --- what has a state -------------------------------------------------------------------------------------


def state_of(part: Any) -> Any:
    """The state of a part of a training, or of several."""
    if isinstance(part, (list, tuple)):
        return [state_of(one) for one in part]
    return None if part is None else part.state_dict()


def set_state(part: Any, state: Any, name: str) -> None:
    """Bring a part to a state.

    Raises:
        RunFolderError: it has none, or there is none for it.
    """
    if isinstance(part, (list, tuple)):
        for one, own in zip(part, state, strict=True):
            set_state(one, own, name)
    elif (part is None) != (state is None):
        raise RunFolderError(
            f"folder: the run has {'a' if part is None else 'no'} {name} in its checkpoint, and fit was given "
            f"{'none' if part is None else 'one'}"
        )
    elif part is not None:
        part.load_state_dict(state)
