"""From kernels to machine code, beside whatever else is being done.

While a program is made, its kernels are handed over as soon as they are known (`Together.begin`), and threads
turn them into machine code while Python goes on lowering. Only when the outermost program is complete, with the
programs of its loops and branches, everybody waits; what needs addresses is done then (`Together.later`).
"""

from __future__ import annotations

import functools
import struct
import threading
from collections.abc import Callable, Generator, Iterable

from tessella.blocks import restoring
from tessella.compiler.observe import stage
from tessella.compiler.recipe import Call, Native
from tessella.loops.nest import Kernel
from tessella.loops.signature import generator, signature
from tessella.targets.cpu import engine, machine, threads

MOST_KERNELS = 4096  # of a kind that are remembered: functions of users come and go


@functools.lru_cache(maxsize=MOST_KERNELS)
def llvm_of(kernel: Kernel | Native) -> str:
    """The LLVM IR of a kernel for this machine."""
    if isinstance(kernel, Native):
        return kernel.text
    from tessella.loops.llvm import to_llvm  # what the disk has needs no writer

    return to_llvm(kernel, machine.function_attributes())


@functools.lru_cache(maxsize=MOST_KERNELS)
def module_of(kernel: Kernel | Native) -> engine.Module:
    """A kernel as the engine takes it: its LLVM IR is written only if no machine code is found."""
    signed = None if isinstance(kernel, Native) else signature(kernel)
    if signed is None:
        return engine.Module(llvm_of(kernel), (kernel.name,))
    identity = f"{generator()}\n{machine.function_attributes()}\n{signed}"
    return engine.Module(functools.partial(llvm_of, kernel), (kernel.name,), identity)


@functools.lru_cache(maxsize=MOST_KERNELS)
def address_of(kernel: Kernel | Native) -> int:
    """The address of a kernel's machine code, made once."""
    return engine.compile(module_of(kernel))[kernel.name]


def numbers_of(call: Call) -> bytes:
    """The values of a call's sizes, with the addresses of the kernels that its kernel calls."""
    if not call.links:
        found: bytes = call.numbers
        return found
    words = bytearray(call.numbers)
    for word, kernel in call.links:
        struct.pack_into("<q", words, 8 * word, address_of(kernel))
    return bytes(words)


class Together:
    """Kernels that are compiled side by side, and what waits for them."""

    def __init__(self) -> None:
        self.known: set[Kernel | Native] = set()
        self.actions: list[Callable[[], None]] = []
        self.work = engine.SideBySide()

    def begin(self, call: Call) -> None:
        """Let threads compile what a call needs, if it is not there yet."""
        for kernel in (call.kernel, *(linked for _, linked in call.links)):
            self.begin_kernel(kernel)

    def begin_kernel(self, kernel: Kernel | Native) -> None:
        if kernel not in self.known:
            if not self.known:
                self.work.begin(threads.module())
            self.known.add(kernel)
            self.work.begin(module_of(kernel))

    def later(self, action: Callable[[], None]) -> None:
        """Do something as soon as all kernels have addresses."""
        self.actions.append(action)


class _Current(threading.local):
    together: Together | None = None


_current = _Current()


@restoring
def together() -> Generator[Together, None, None]:
    """Kernels that are begun inside the block have been compiled after the outermost such block."""
    if _current.together is not None:
        yield _current.together
        return
    found = Together()
    try:
        try:
            _current.together = found
            with found.work:
                yield found
                with stage("machine_code"):
                    found.work.finish()
        finally:
            _current.together = None
    finally:  # again, for a Ctrl-C in the first one
        _current.together = None
    for action in found.actions:
        action()


def compile_all(calls: Iterable[Call]) -> None:
    """Compile the kernels of some calls on all processors, and the loops that will run them."""
    with together() as work:
        for call in calls:
            work.begin(call)
