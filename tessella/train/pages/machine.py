"""What something ran on."""

from __future__ import annotations

import platform

import numpy as np

from tessella.devices.registry import host
from tessella.release import VERSION


def machine_facts() -> dict[str, str]:
    """The machine and the versions, in words."""
    return {
        "processor": host().limits.name,
        "threads": str(host().limits.threads),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "numpy": np.__version__,
        "tessella": VERSION,
    }
