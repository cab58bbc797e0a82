"""From kernels to machine code, beside whatever else is being done.

While a program is made, its kernels are handed over as soon as they are known (`Together.begin`), and its device
turns them into machine code while Python goes on lowering. Only when the outermost program is complete, with the
programs of its loops and branches, everybody waits; what needs addresses is done then (`Together.later`).
"""

from __future__ import annotations

import struct
import threading
from collections.abc import Callable, Generator, Iterable
from typing import TYPE_CHECKING

from tessella.blocks import restoring, undoing
from tessella.compiler.observe import stage
from tessella.compiler.recipe import Call, Native
from tessella.devices.device import Device

if TYPE_CHECKING:
    from tessella.loops.nest import Kernel


def numbers_of(call: Call, device: Device) -> bytes:
    """The values of a call's sizes, with the addresses of the kernels that its kernel calls."""
    if not call.links:
        found: bytes = call.numbers
        return found
    words = bytearray(call.numbers)
    for word, kernel in call.links:
        struct.pack_into("<q", words, 8 * word, device.address_of(kernel))
    return bytes(words)


class Together:
    """Kernels that are compiled side by side, and what waits for them."""

    def __init__(self, device: Device) -> None:
        self.known: set[Kernel | Native] = set()
        self.actions: list[Callable[[], object]] = []
        self.work = device.compilation()

    def begin(self, call: Call) -> None:
        """Let the device compile what a call needs, if it is not there yet."""
        for kernel in (call.kernel, *(linked for _, linked in call.links)):
            self.begin_kernel(kernel)

    def begin_kernel(self, kernel: Kernel | Native) -> None:
        if kernel not in self.known:
            self.known.add(kernel)
            self.work.begin_kernel(kernel)

    def later(self, action: Callable[[], object]) -> None:
        """Do something as soon as all kernels have addresses."""
        self.actions.append(action)


class _Current(threading.local):
    together: Together | None = None


_current = _Current()


@restoring
def together(device: Device) -> Generator[Together, None, None]:
    """Kernels that are begun inside the block have been compiled after the outermost such block."""
    if _current.together is not None:
        yield _current.together
        return
    found = Together(device)
    with undoing(lambda: setattr(_current, "together", None)), found.work:
        _current.together = found
        yield found
        with stage("machine_code"):
            found.work.finish()
    for action in found.actions:
        action()


def compile_all(calls: Iterable[Call], device: Device) -> None:
    """Compile the kernels of some calls side by side, and what will run them."""
    with together(device) as work:
        for call in calls:
            work.begin(call)
