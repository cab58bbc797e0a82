"""The cache of compiled kernels on disk.

Compiling a kernel takes tens of milliseconds, reading its object code back takes one. Entries are
executed, so nothing is trusted but what this user wrote: they lie in a folder of their own, below the one that is
named, which belongs to the user and which nobody else may write to; each is a plain file of the user's; and its
digest covers its key, so that no entry stands for another. What else lies in the named folder is left alone.

Whatever is wrong with one entry (damaged, of another owner, no file at all, impossible to replace) costs its compilation
and no more. Whatever is wrong with the folder, work goes on without it, with one warning.
See ADR 0025.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import time
import warnings
from pathlib import Path

from tessella import files
from tessella.errors import CacheWarning

LIMIT_BYTES = 512 * 1024**2
LARGEST = LIMIT_BYTES // 8  # of one entry
_CHECK_EVERY = 64  # stores between two looks at the size of the folder
_FOLDER, _SUFFIX = "kernels", ".kernel"
_ABANDONED = 3600.0  # seconds after which an unfinished entry is nobody's
_DIGEST = hashlib.sha256().digest_size
# a FIFO must not keep us waiting, nor a link lead elsewhere
_READING = (
    os.O_RDONLY
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)

_stores = 0
_unusable: set[Path] = set()
_unwritable: set[Path] = set()  # what they hold is read


def folder() -> Path:
    """Where compiled kernels are kept: a folder of their own, in the user's cache folder or in the
    place that `TESSELLA_CACHE_DIR` names."""
    chosen = os.environ.get("TESSELLA_CACHE_DIR")
    if chosen:
        return Path(os.path.expanduser(chosen)) / _FOLDER
    base = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(base):  # to be ignored then, says the XDG base directory specification
        base = os.path.join(os.path.expanduser("~"), ".cache")
    return Path(base) / "tessella" / _FOLDER


def load(key: str) -> bytes | None:
    """The object code stored under a key, or None."""
    place = _trusted_folder()
    if place is None:
        return None
    path = place / (key + _SUFFIX)
    try:
        data = _read(path)
    except OSError:
        return None
    code = data[_DIGEST:]
    if data[:_DIGEST] != _digest(key, code):
        return None
    with contextlib.suppress(OSError):
        os.utime(path)  # so that the least recently used entries are removed first
    return code


def _read(path: Path) -> bytes:
    """What a file of our own holds; nothing if it is none.

    Raises:
        OSError: it cannot be read.
    """
    with open(path, "rb", opener=lambda name, _: os.open(name, _READING)) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or _mistrusted(status) or status.st_size > LARGEST:
            return b""
        return file.read(status.st_size)


def store(key: str, code: bytes) -> None:
    """Keep object code for later processes."""
    place = _trusted_folder()
    if place is None or place in _unwritable or len(code) + _DIGEST > LARGEST:
        return
    path = place / (key + _SUFFIX)
    try:
        files.replace(path, _digest(key, code) + code, mode=0o600)
    except OSError as error:
        if os.path.lexists(path):  # it is this entry that cannot be replaced
            return
        _unwritable.add(place)
        _warn(place, f"cannot be written ({error.strerror}); what is not in it is compiled")
        return
    _keep_bounded(place)


def remove(prefix: str) -> int:
    """Remove the entries whose keys begin so; gives how many there were."""
    place = _trusted_folder()
    if place is None:
        return 0
    entries = [entry for entry, _ in _entries(place) if entry.name.startswith(prefix)]
    return sum(_removed(entry) for entry in entries)


def _digest(key: str, code: bytes) -> bytes:
    return hashlib.sha256(b"%d:%s%s" % (len(key), key.encode(), code)).digest()


def _mistrusted(status: os.stat_result) -> str:
    """Why something is not the user's own; nothing if it is."""
    if hasattr(os, "getuid") and status.st_uid != os.getuid():
        return "it belongs to another user"
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return "others may write to it: remove it"
    return ""


def _trusted_folder() -> Path | None:
    place = folder()
    if place in _unusable:
        return None
    why = _unfit(place)
    if why:
        _unusable.add(place)
        _warn(place, f"cannot be used ({why}); kernels are compiled")
        return None
    return place


def _unfit(place: Path) -> str:
    """Why a folder, which is made if need be, cannot hold what will be executed; nothing if it can."""
    if place.parts[0].startswith("~"):
        return "the home folder is not known"
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = place.lstat()
    except OSError as error:
        return error.strerror or str(error)
    return _mistrusted(status) if stat.S_ISDIR(status.st_mode) else "it is not a folder"


def _warn(place: Path, what: str) -> None:
    warnings.warn(
        f"the cache of compiled kernels in {place} {what} anew in every process. Set "
        "TESSELLA_CACHE_DIR to a folder of your own.",
        CacheWarning,
        stacklevel=3,
    )


def _keep_bounded(place: Path) -> None:
    """Now and then, remove the entries that were used longest ago, and what was never finished."""
    global _stores
    _stores += 1
    if (_stores - 1) % _CHECK_EVERY:
        return
    entries = _entries(place)
    total = sum(status.st_size for _, status in entries)
    for entry, status in sorted(entries, key=lambda pair: pair[1].st_mtime):
        if total <= LIMIT_BYTES:
            break
        total -= status.st_size * _removed(entry)
    for entry, status in _entries(place, unfinished=True):
        if time.time() - status.st_mtime > _ABANDONED:
            _removed(entry)


def _entries(place: Path, unfinished: bool = False) -> list[tuple[Path, os.stat_result]]:
    """The files in the folder that we made, and their status; other processes may be removing some."""
    found = []
    with contextlib.suppress(OSError):
        for entry in place.iterdir():
            if entry.name.startswith(files.UNFINISHED) if unfinished else entry.suffix == _SUFFIX:
                with contextlib.suppress(OSError):
                    found.append((entry, entry.lstat()))
    return [(entry, status) for entry, status in found if stat.S_ISREG(status.st_mode)]


def _removed(entry: Path) -> bool:
    """Remove an entry; False if that cannot be done."""
    with contextlib.suppress(OSError):
        entry.unlink()
        return True
    return False
