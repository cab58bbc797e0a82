"""The registry: devices by name. It alone loads targets, when one is asked for first."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import threading

from tessella.arguments.kinds import shown
from tessella.devices.device import Device
from tessella.devices.host import Host
from tessella.errors import DeviceError

HOST = "cpu"


@functools.cache
def device(name: str) -> Device:
    """The device of a name; its target is loaded when it is asked for first.

    Raises:
        DeviceError: there is no such device.

    >>> device("cpu").name
    'cpu'
    """
    if not name.isidentifier() or importlib.util.find_spec(f"tessella.targets.{name}") is None:
        raise DeviceError(f"device {shown(name)} does not exist; the only device is {HOST!r}")
    target = importlib.import_module(f"tessella.targets.{name}.device")
    found: Device = target.DEVICE
    return found


@functools.cache
def host() -> Host:
    """The device that Python runs on.

    >>> host() is device("cpu")
    True
    """
    found = device(HOST)
    assert isinstance(found, Host)
    return found


class _Chosen(threading.local):
    """What a thread works on; None for the host."""

    device: Device | None = None


chosen = _Chosen()


def current() -> Device:
    """The device of this thread: for new arrays, for what has no operands, and for what is compiled.

    >>> current().name
    'cpu'
    """
    return chosen.device or host()


def choose(device: Device | None) -> None:
    """Let a device be that of this thread from now on, None the host; for a while see `compiler.observe.on`."""
    chosen.device = device
