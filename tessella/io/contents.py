"""The bytes of a file: read where it is said, never beyond its end, and by nobody before they are counted."""

from __future__ import annotations

import contextlib
import math
import mmap
import os
import re
import stat
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from tessella.errors import ArgumentError, ArgumentTypeError, FileFormatError

_PLAIN = re.compile(r"[\w./-]+", re.ASCII)
# How files are mapped: what is written to is a copy of the process's own, for which no memory is set aside before
# (0x4000 is Linux's name for that in Pythons that have none), so that a file may be larger than the memory.
_PRIVATELY: dict[str, Any] = (
    {
        "flags": mmap.MAP_PRIVATE
        | getattr(mmap, "MAP_NORESERVE", 0x4000 * (sys.platform == "linux")),
        "prot": mmap.PROT_READ | mmap.PROT_WRITE,
    }
    if hasattr(mmap, "MAP_PRIVATE")
    else {"access": mmap.ACCESS_COPY}
)
if sys.version_info >= (3, 13):
    _PRIVATELY["trackfd"] = False  # the descriptor need not be kept, of which a process has few
_SHOWN = 80  # characters of a name that a file gives, which may be anything


def place_of(path: Any, function: str) -> Path:
    """A path that a user gave.

    Raises:
        ArgumentTypeError: it is of another type.
        ArgumentError: no file can have this name.
    """
    if not isinstance(path, (str, os.PathLike)) or not isinstance(os.fspath(path), str):
        raise ArgumentTypeError(
            f"{function}: the path is of type {type(path).__name__}; expected str or pathlib.Path"
        )
    if "\0" in os.fspath(path):
        raise ArgumentError(f"{function}: the path {os.fspath(path)!r} has a zero character")
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        raise ArgumentError(
            f"{function}: the path {os.fspath(path)!r} has half of a character"
        ) from None
    return Path(path)


@contextlib.contextmanager
def naming(function: str, path: Path) -> Iterator[None]:
    """What is found wrong with a file inside says which function read which file."""
    try:
        yield
    except FileFormatError as error:
        raise type(error)(f"{function}: {path} {error.text}") from None


def shown(text: Any) -> str:
    """What a file says, safe to print: a plain name as it is, all else in quotes and cut."""
    if isinstance(text, str) and len(text) <= _SHOWN and _PLAIN.fullmatch(text):
        return text
    if type(text) is int and abs(text) >= 1 << 64:
        return f"number of {text.bit_length()} bits"
    spelled = ascii(text) if isinstance(text, (str, bytes, int, float)) else type(text).__name__
    return spelled if len(spelled) <= _SHOWN else f"{spelled[:_SHOWN]}..."


def is_addressable(shape: Iterable[int], itemsize: int) -> bool:
    """Whether an array of a shape can be: NumPy counts in 63 bits, and axes of 0 as if they were 1."""
    return math.prod(max(size, 1) for size in shape) * max(itemsize, 1) < 1 << 63


class Contents:
    """A file that is open for reading, and how long it was when it was opened.

    Raises:
        ArgumentError: it is no ordinary file, but a pipe, for example.
        OSError: it cannot be opened.
    """

    def __init__(self, path: Path, function: str) -> None:
        if not stat.S_ISREG(os.stat(path).st_mode) and not os.path.isdir(path):
            raise ArgumentError(f"{function}: {path} is no ordinary file; copy it into one")
        self._file = open(path, "rb", buffering=0)  # noqa: SIM115 (closed by __exit__)
        self.size = os.fstat(self._file.fileno()).st_size

    def __enter__(self) -> Contents:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def check(self, start: int, count: int, what: str) -> None:
        """See that some bytes lie in the file.

        Raises:
            FileFormatError: they do not.
        """
        if start < 0 or count < 0 or start + count > self.size:
            raise FileFormatError(
                f"is damaged or cut short: {what} should be {count} bytes from byte {start} on, and the file has "
                f"{self.size}"
            )

    def read(self, start: int, count: int, what: str) -> bytes:
        """Some bytes, for which there is a name in errors."""
        return self.array(start, count, what).tobytes()

    def array(self, start: int, count: int, what: str) -> np.ndarray[Any, Any]:
        """Some bytes in memory of their own."""
        self.check(start, count, what)
        found = np.empty(count, np.uint8)
        rest = memoryview(found)  # type: ignore[arg-type]
        while len(rest):
            read = os.preadv(self._file.fileno(), [rest[: 1 << 30]], start + count - len(rest))
            if not read:
                raise FileFormatError(f"became shorter while it was read: {what} is not all there")
            rest = rest[read:]
        return found

    def mapped(self, start: int, count: int, what: str) -> np.ndarray[Any, Any]:
        """Some bytes as the operating system shows them, without a copy: they are read when they are used.

        Whoever writes to them (another library, to which they were handed) changes its own memory, and no file.
        """
        self.check(start, count, what)
        if not count:
            return np.empty(0, np.uint8)
        return np.frombuffer(self._whole(), np.uint8, count, start)

    def _whole(self) -> mmap.mmap:
        found: mmap.mmap | None = getattr(self, "_map", None)
        if found is None:
            found = self._map = mmap.mmap(self._file.fileno(), self.size, **_PRIVATELY)
        return found


class Stream:
    """Bytes in a row, taken from the front, which are read as they are needed.

    Args:
        start, end: where they lie in the file.
    """

    def __init__(self, contents: Contents | bytes, start: int = 0, end: int | None = None) -> None:
        self._contents = contents
        self._ahead = contents if isinstance(contents, bytes) else b""
        self._position = 0  # in what was read ahead
        self._next = len(contents) if isinstance(contents, bytes) else start
        size = len(contents) if isinstance(contents, bytes) else contents.size
        self._end = size if end is None else end

    @property
    def position(self) -> int:
        """Where the next byte lies in the file."""
        return self._next - len(self._ahead) + self._position

    @property
    def end(self) -> int:
        """Where the last byte ends."""
        return self._end

    def take(self, count: int) -> bytes:
        """The next bytes.

        Raises:
            FileFormatError: there are not so many.
        """
        position = self._position
        if position + count > len(self._ahead):
            self._read_ahead(count)
            position = 0
        self._position = position + count
        return self._ahead[position : position + count]

    def line(self) -> bytes:
        """What comes before the next end of a line, which is taken, too."""
        while (end := self._ahead.find(b"\n", self._position)) < 0:
            self._read_ahead(len(self._ahead) - self._position + 1)
        found = self._ahead[self._position : end]
        self._position = end + 1
        return found

    def _read_ahead(self, count: int) -> None:
        """Let at least so many bytes lie ahead."""
        kept = self._ahead[self._position :]
        missing = count - len(kept)
        left = self._end - self._next
        if isinstance(self._contents, bytes) or missing > left:
            raise FileFormatError(
                f"is damaged or cut short: {count} more bytes were expected at byte {self.position}, and "
                f"{len(kept) + left} are there"
            )
        read = self._contents.read(self._next, min(left, max(missing, 1 << 16)), "what follows")
        self._ahead = kept + read
        self._position = 0
        self._next += len(read)
