"""The peak of a process's own memory."""

from __future__ import annotations

from pathlib import Path


def peak_bytes() -> int:
    """The most memory that this process has had at once, in bytes (Linux).

    `getrusage` would begin with what the process had that started this one.
    """
    lines = Path("/proc/self/status").read_text(encoding="utf8").splitlines()
    (line,) = [line for line in lines if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024
