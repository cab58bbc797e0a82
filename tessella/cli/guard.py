"""What may go wrong around a command: its terminal, its disk, its memory. One line says so, and no traceback.

A terminal that has not all signs is given others that look alike. Where the output goes no more (a full disk, a
pipe whose reader has left), the command ends.
"""

from __future__ import annotations

import codecs
import contextlib
import errno
import os
import sys
import unicodedata
from collections.abc import Callable
from typing import Any

from tessella.errors import TessellaError

FAILED, BAD_INPUT, INTERRUPTED = 1, 2, 130
# what only the streams raise without the name of a file
_UNWRITABLE = (errno.ENOSPC, errno.EPIPE, errno.EIO, errno.EFBIG, errno.EDQUOT, errno.EBADF)
_ALIKE = {
    "▀": "'", "▄": ".", "█": "#", "▁": "_", "▂": "_", "▃": "-", "▅": "=", "▆": "=", "▇": "#",
    "·": ".", "×": "x", "≤": "<=", "≥": ">=", "→": "->", "−": "-", "–": "-", "—": "-",
    "µ": "u", "∞": "inf", "≈": "~",
}  # fmt: skip


def guarded(command: Callable[[], Any]) -> None:
    """Run a command line and end the process with its status."""
    _prepare_streams()
    status = _status_of(command)
    for stream in (sys.stdout, sys.stderr):
        status = status or _ended(stream)
    sys.exit(status)


def run(function: Callable[..., Any]) -> None:
    """Run a function as a command line of its own, its parameters as options."""
    import typer

    guarded(lambda: typer.run(function))


def complain(what: object) -> None:
    """A line on stderr, if it can still be written."""
    with contextlib.suppress(OSError):
        sys.stderr.write(f"error: {what}\n")
        sys.stderr.flush()


def _status_of(command: Callable[[], Any]) -> int:
    try:
        command()
    except SystemExit as end:
        if isinstance(end.code, str):
            complain(end.code)
            return FAILED
        return int(end.code or 0)
    except TessellaError as error:
        complain(error)
        return BAD_INPUT
    except KeyboardInterrupt:
        return INTERRUPTED
    except MemoryError:
        complain("there is not enough memory; ask for less")
        return FAILED
    except OSError as error:
        return _complain_of(error)
    return 0


def _complain_of(error: OSError) -> int:
    reason = error.strerror or str(error)
    if error.filename is not None:
        complain(f"{os.fsdecode(error.filename)} cannot be used ({reason})")
    elif error.errno not in _UNWRITABLE:
        complain(reason)
    elif error.errno != errno.EPIPE:  # who reads from a pipe may leave when he has seen enough
        complain(f"the output cannot be written ({reason})")
    return FAILED


def _ended(stream: Any) -> int:
    """Write what is left for a stream; if it cannot be, it goes nowhere, or Python would try again at the end."""
    try:
        stream.flush()
    except OSError as error:
        with contextlib.suppress(OSError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)
        return _complain_of(error)
    return 0


def _prepare_streams() -> None:
    """Let every sign be written to stdout and stderr, and let there be both."""
    codecs.register_error("tessella.alike", _look_alikes)
    for number, name in ((1, "stdout"), (2, "stderr")):
        stream = getattr(sys, name)
        if stream is None:  # the shell closed it; some other file would get its number
            nowhere = os.open(os.devnull, os.O_WRONLY)
            if nowhere != number:
                os.dup2(nowhere, number)
                os.close(nowhere)
            setattr(sys, name, open(number, "w", closefd=False))  # noqa: SIM115
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="tessella.alike")


def _look_alikes(error: UnicodeError) -> tuple[str, int]:
    """ASCII for the signs that an encoding does not have.

    >>> codecs.register_error("tessella.alike", _look_alikes)
    >>> "1 µs, 3 × 2 → …é€".encode("ascii", errors="tessella.alike")
    b'1 us, 3 x 2 -> ...e?'
    """
    if not isinstance(error, UnicodeEncodeError):
        raise error
    signs = error.object[error.start : error.end]
    return "".join(_ALIKE.get(sign) or _ascii(sign) for sign in signs), error.end


def _ascii(sign: str) -> str:
    return unicodedata.normalize("NFKD", sign).encode("ascii", "ignore").decode() or "?"
