"""Files are written whole, or not at all."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

UNFINISHED = ".tessella-unfinished-"  # how a file begins its name until it is complete
_STREAMS = ("/dev/std", "/dev/fd/", "/proc/")  # names for what is open already, a file perhaps


def write(path: str | Path, data: str | bytes) -> None:
    """Write a file so that whoever looks finds what was there before, or all of what is new.

    See `writing`, which this is for what is one piece.

    Args:
        data: bytes, or text, which is written as UTF-8.

    Raises:
        OSError: it cannot be written.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write(f"{folder}/greeting", "hello")
    ...     [(entry.name, entry.read_text()) for entry in pathlib.Path(folder).iterdir()]
    [('greeting', 'hello')]
    """
    content = data.encode("utf8", "backslashreplace") if isinstance(data, str) else data
    with writing(path) as file:
        file.write(content)


@contextlib.contextmanager
def writing(path: str | Path, durable: bool = False) -> Iterator[Any]:
    """A block that writes a file piece by piece: the file is there when the block ends without an error.

    It is written under another name beside its place, and then takes it. So a full disk or a Ctrl-C leaves no half
    of a file. Permissions stay, a link stays one. What is no ordinary file (a pipe, a terminal) cannot be replaced
    and is written to: what the block gets then can write, and nothing else.

    Args:
        durable: whether the file is on the disk, under its name, when the block has ended: a machine that loses
            its power then has all of it, and one that loses it before has what was there.

    Raises:
        OSError: it cannot be written.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with writing(f"{folder}/numbers") as file:
    ...         for piece in (b"one ", b"two"):
    ...             _ = file.write(piece)
    ...     pathlib.Path(folder, "numbers").read_text()
    'one two'
    """
    stream, mode = _standing(path)
    if stream is not None:
        with stream:
            yield _Stream(stream, path)
        return
    with replacing(os.path.realpath(path), mode, durable) as file:
        yield file


def _standing(path: str | Path) -> tuple[io.FileIO | None, int | None]:
    """What stands there already: opened, if it is written to as it is; else the permissions of an ordinary file."""
    try:
        there = io.FileIO(path, "ab", opener=_existing)  # protected, it says so
    except FileNotFoundError:
        return None, None  # it is new
    status = os.fstat(there.fileno())
    if not stat.S_ISREG(status.st_mode) or os.path.abspath(path).startswith(_STREAMS):
        return there, None
    there.close()
    return None, stat.S_IMODE(status.st_mode)


class _Stream:
    """What is written to as it is."""

    def __init__(self, stream: io.FileIO, path: str | Path) -> None:
        self._stream, self._path = stream, path

    def write(self, content: Any) -> int:
        """All of a piece."""
        rest = memoryview(content).cast("B")
        try:
            while rest:
                rest = rest[self._stream.write(rest) :]
        except OSError as error:
            error.filename = os.fspath(self._path)
            raise
        return memoryview(content).nbytes


def replace(path: str | Path, content: bytes, mode: int | None = None) -> None:
    """Let a new file take a place, whatever stands there now.

    Args:
        mode: its permissions; what the umask leaves to new files, by default.

    Raises:
        OSError: it cannot be written, or the place cannot be taken (a folder stands there).
    """
    with replacing(path, mode) as file:
        file.write(content)


@contextlib.contextmanager
def replacing(
    path: str | Path, mode: int | None = None, durable: bool = False
) -> Iterator[io.BufferedWriter]:
    """Likewise, piece by piece; see `writing`.

    Raises:
        OSError: it cannot be written, or the place cannot be taken.
    """
    temporary = os.path.join(os.path.dirname(path), UNFINISHED + os.urandom(8).hex())
    try:
        with open(temporary, "xb", opener=None if mode is None else _private) as file:
            yield file
            if mode is not None:
                os.chmod(temporary, mode)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.replace(temporary, path)
        if durable:
            _put_down(os.path.dirname(path) or ".")
    except BaseException as error:  # a Ctrl-C, too, leaves nothing behind
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        if isinstance(error, OSError) and error.filename in (None, temporary):
            # with the name that the caller knows
            raise OSError(error.errno, error.strerror, os.fspath(path)) from None
        raise


def _put_down(folder: str) -> None:
    """Have the names in a folder on the disk; some systems have no such thing, and need none."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


def _existing(path: str, flags: int) -> int:
    return os.open(path, flags & ~os.O_CREAT)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
