"""The registry: devices by name. It alone loads targets, when one is asked for first."""

from __future__ import annotations

import functools
import importlib
import pkgutil
from typing import Any

from tessella.arguments.kinds import UNFIT, register_devices, shown
from tessella.devices.device import Device, chosen
from tessella.devices.host import Host
from tessella.errors import DeviceError

HOST = "cpu"


@functools.cache
def device(name: str | Device) -> Device:
    """The device of a name; its target is loaded when it is asked for first.

    Raises:
        DeviceError: there is no such device.

    >>> device("cpu").name
    'cpu'
    """
    if isinstance(name, Device):
        return name
    if name not in names():
        raise DeviceError(
            f"there is no device {shown(name)}; those there are: {', '.join(map(repr, names()))}"
        )
    target = importlib.import_module(f"tessella.targets.{name}.device")
    found: Device = target.DEVICE
    return found


@functools.cache
def names() -> list[str]:
    """Those of all devices, the host's first.

    >>> names()
    ['cpu', 'emulated']
    """
    found = pkgutil.iter_modules(importlib.import_module("tessella.targets").__path__)
    return sorted((target.name for target in found), key=lambda name: (name != HOST, name))


@functools.cache
def host() -> Host:
    """The device that Python runs on.

    >>> host() is device("cpu")
    True
    """
    found = device(HOST)
    assert isinstance(found, Host)
    chosen.default = chosen.default or found
    return found


def current() -> Device:
    """The device of this thread: for new arrays, and for what has no operands.

    >>> current().name
    'cpu'
    """
    found: Device = chosen.get() or host()
    return found


def choose(device: Device | None) -> None:
    """Let a device be that of all threads, outside of blocks; None for the host."""
    chosen.default = device or host()


def _meant(value: Any) -> Any:
    if value is None or isinstance(value, str | Device):
        return value and device(value)
    return UNFIT


register_devices(_meant, current)
