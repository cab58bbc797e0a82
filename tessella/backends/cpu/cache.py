"""The cache of compiled kernels on disk.

Compiling a kernel takes tens of milliseconds, reading its object code back takes one. Entries are
written atomically, carry a checksum, and are only trusted in a folder that belongs to the user and
that nobody else may write to, because they are executed. Whatever goes wrong with the folder, work
goes on without it, with one warning.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import tempfile
import warnings
from pathlib import Path

from tessella.errors import CacheWarning

LIMIT_BYTES = 512 * 1024**2
_CHECK_EVERY = 64  # stores between two looks at the size of the folder
_DIGEST = hashlib.sha256().digest_size

_stores = 0
_unusable: set[Path] = set()


def folder() -> Path:
    """Where compiled kernels are kept; `TESSELLA_CACHE_DIR` overrides the user's cache folder."""
    chosen = os.environ.get("TESSELLA_CACHE_DIR")
    if chosen:
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(base) / "tessella"


def load(key: str) -> bytes | None:
    """The object code stored under a key, or None; a damaged entry is removed."""
    place = _trusted_folder()
    if place is None:
        return None
    path = place / key
    try:
        data = path.read_bytes()
    except OSError:
        return None
    digest, code = data[:_DIGEST], data[_DIGEST:]
    if hashlib.sha256(code).digest() != digest:
        with contextlib.suppress(OSError):
            path.unlink()
        return None
    with contextlib.suppress(OSError):
        os.utime(path)  # so that the least recently used entries are removed first
    return code


def store(key: str, code: bytes) -> None:
    """Keep object code for later processes."""
    place = _trusted_folder()
    if place is None:
        return
    try:
        handle, temporary = tempfile.mkstemp(dir=place, prefix=".new-")  # made with mode 0600
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(hashlib.sha256(code).digest() + code)
            os.replace(temporary, place / key)
        except BaseException:  # a Ctrl-C, too, leaves nothing behind
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
    except OSError as error:
        _give_up(place, str(error))
        return
    _keep_bounded(place)


def remove(prefix: str) -> int:
    """Remove the entries whose keys begin so; gives how many there were."""
    place = _trusted_folder()
    found = [] if place is None else list(place.glob(f"{prefix}*"))
    for entry in found:
        with contextlib.suppress(OSError):
            entry.unlink()
    return len(found)


def _trusted_folder() -> Path | None:
    place = folder()
    if place in _unusable:
        return None
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = place.stat()
    except OSError as error:
        _give_up(place, str(error))
        return None
    if not stat.S_ISDIR(status.st_mode):
        _give_up(place, "it is not a folder")
        return None
    if hasattr(os, "getuid") and status.st_uid != os.getuid():
        _give_up(place, "it belongs to another user")
        return None
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        _give_up(place, "others may write to it; run: chmod 700 on it")
        return None
    return place


def _give_up(place: Path, why: str) -> None:
    _unusable.add(place)
    warnings.warn(
        f"the cache of compiled kernels in {place} cannot be used ({why}); kernels are compiled "
        "anew in every process. Set TESSELLA_CACHE_DIR to a folder of your own.",
        CacheWarning,
        stacklevel=2,
    )


def _keep_bounded(place: Path) -> None:
    """Now and then, remove the entries that were used longest ago."""
    global _stores
    _stores += 1
    if (_stores - 1) % _CHECK_EVERY:
        return
    with contextlib.suppress(OSError):
        entries = [(entry.stat(), entry) for entry in place.iterdir() if entry.is_file()]
        total = sum(status.st_size for status, _ in entries)
        for status, entry in sorted(entries, key=lambda pair: pair[0].st_mtime):
            if total <= LIMIT_BYTES:
                return
            with contextlib.suppress(OSError):
                entry.unlink()
            total -= status.st_size
