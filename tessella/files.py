"""Files are written whole, or not at all."""

from __future__ import annotations

import contextlib
import io
import os
import stat
from pathlib import Path

UNFINISHED = ".tessella-unfinished-"  # how a file begins its name until it is complete
_STREAMS = ("/dev/std", "/dev/fd/", "/proc/")  # names for what is open already, a file perhaps


def write(path: str | Path, data: str | bytes) -> None:
    """Write a file so that whoever looks finds what was there before, or all of what is new.

    It is written under another name beside its place, and then takes it. So a full disk or a Ctrl-C leaves no half
    of a file. Permissions stay, a link stays one. What is no ordinary file (a pipe, a terminal) cannot be replaced
    and is written to.

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
    mode = None
    try:
        with open(path, "ab", buffering=0, opener=_existing) as there:  # protected, it says so
            status = os.fstat(there.fileno())
            if not stat.S_ISREG(status.st_mode) or os.path.abspath(path).startswith(_STREAMS):
                _pour(content, there, path)
                return
            mode = stat.S_IMODE(status.st_mode)
    except FileNotFoundError:
        pass  # it is new
    replace(os.path.realpath(path), content, mode)


def _pour(content: bytes, stream: io.FileIO, path: str | Path) -> None:
    rest = memoryview(content)
    try:
        while rest:
            rest = rest[stream.write(rest) :]
    except OSError as error:
        error.filename = os.fspath(path)
        raise


def replace(path: str | Path, content: bytes, mode: int | None = None) -> None:
    """Let a new file take a place, whatever stands there now.

    Args:
        mode: its permissions; what the umask leaves to new files, by default.

    Raises:
        OSError: it cannot be written, or the place cannot be taken (a folder stands there).
    """
    temporary = os.path.join(os.path.dirname(path), UNFINISHED + os.urandom(8).hex())
    try:
        with open(temporary, "xb", opener=None if mode is None else _private) as file:
            file.write(content)
        if mode is not None:
            os.chmod(temporary, mode)
        os.replace(temporary, path)
    except BaseException as error:  # a Ctrl-C, too, leaves nothing behind
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        if isinstance(error, OSError):  # with the name that the caller knows
            raise OSError(error.errno, error.strerror, os.fspath(path)) from None
        raise


def _existing(path: str, flags: int) -> int:
    return os.open(path, flags & ~os.O_CREAT)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
