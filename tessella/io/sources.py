"""Files that are read: their bytes as memory, and what is said of those that are damaged."""

from __future__ import annotations

import mmap
import os
import stat
import sys
from pathlib import Path
from typing import Any

import numpy as np

from tessella.errors import ArgumentError, ArgumentTypeError

Bytes = np.ndarray[Any, np.dtype[np.uint8]]


def place_of(path: Any, function: str) -> Path:
    """A path that a function was given.

    Raises:
        ArgumentTypeError: it is of a type that is no path.
        ArgumentError: no file can have such a name.
    """
    if not isinstance(path, (str, os.PathLike)) or not isinstance(os.fspath(path), str):
        raise ArgumentTypeError(
            f"{function}: the path is of type {type(path).__name__}; expected str or pathlib.Path"
        )
    if "\0" in os.fspath(path):
        raise ArgumentError(f"{function}: the path {os.fspath(path)!r} has a zero character")
    return Path(path)


class Source:
    """A file that a function reads.

    Args:
        path: as the function was given it.
        function: its name.
        format: that it expects, in words.
    """

    def __init__(self, path: Any, function: str, format: str) -> None:
        self.path, self.function, self.format = place_of(path, function), function, format

    def damaged(self, why: str) -> ArgumentError:
        """What is raised of a file that is not in the format."""
        return ArgumentError(
            f"{self.function}: {self.path} is no file in the {self.format} format, or damaged ({why})"
        )

    def memory(self) -> Bytes:
        """The bytes of the file, mapped: they are read where they are looked at, and nothing is copied.

        They may be written to, which changes no file. What is no ordinary file is read. Where the file becomes
        shorter while it is mapped, the process ends when it looks at what is gone; a file that is replaced, as
        everything here writes files, stays as long as it is looked at.

        Raises:
            OSError: it cannot be read.
        """
        with open(self.path, "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode) or not status.st_size:
                return np.frombuffer(bytearray(file.read()), np.uint8)
            try:
                return np.frombuffer(_mapped(file.fileno()), np.uint8)
            except OSError as error:
                error.filename = os.fspath(self.path)
                raise


def _mapped(descriptor: int) -> mmap.mmap:
    """The whole of a file; from Python 3.13 on the descriptor is not kept, of which a process has few."""
    options: dict[str, Any] = {"trackfd": False} if sys.version_info >= (3, 13) else {}
    return mmap.mmap(descriptor, 0, access=mmap.ACCESS_COPY, **options)
