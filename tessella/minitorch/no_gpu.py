"""What is said where the course would have a GPU."""

from __future__ import annotations

from typing import NoReturn

from tessella.errors import DeviceError


def refuse(name: str) -> NoReturn:
    """Say that there is no GPU backend.

    Raises:
        DeviceError: always.
    """
    raise DeviceError(
        f"{name}: Tessella has no GPU backend yet; use minitorch.TensorBackend(minitorch.FastOps)"
    )
