"""Memory that nobody can look at: whole pages, which are opened for one kernel or copy and closed again."""

from __future__ import annotations

import ctypes
import mmap
import weakref
from collections.abc import Generator, Iterable
from typing import NamedTuple

from tessella import forking
from tessella.blocks import restoring, undoing
from tessella.devices.buffer import Buffer
from tessella.errors import OutOfMemoryError

_PAGE = mmap.PAGESIZE
_CLOSED, _OPEN = 0, mmap.PROT_READ | mmap.PROT_WRITE
_protect = ctypes.CDLL(None, use_errno=True).mprotect
_protect.argtypes = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int


class _Pages(NamedTuple):
    """The pages of one buffer."""

    address: int
    nbytes: int

    def set(self, protection: int) -> None:
        if _protect(self.address, self.nbytes, protection):
            raise OSError(ctypes.get_errno(), "mprotect")


class _Block:
    """Owns pages, which go back to the system with it."""

    __slots__ = ("__weakref__", "memory")

    def __init__(self, memory: mmap.mmap) -> None:
        self.memory = memory


_lock = forking.lock()  # one opens at a time: what another one closes may be the same
_known: dict[int, _Pages] = {}  # by the number of each page


def allocate(nbytes: int) -> Buffer:
    """A buffer on pages of its own, which are closed."""
    try:
        memory = mmap.mmap(-1, -(-max(nbytes, 1) // _PAGE) * _PAGE)
    except OSError:
        raise OutOfMemoryError(
            f"{nbytes} bytes of the emulated device were asked for, and the system has no such memory; use a "
            "smaller size or dtype"
        ) from None
    block = _Block(memory)
    pages = _Pages(ctypes.addressof(ctypes.c_char.from_buffer(memory)), len(memory))
    numbers = range(pages.address // _PAGE, (pages.address + pages.nbytes) // _PAGE)
    _known.update(dict.fromkeys(numbers, pages))
    weakref.finalize(block, _forget, numbers).atexit = False
    pages.set(_CLOSED)
    buffer = Buffer(pages.address, nbytes, block)
    buffer.block = block
    return buffer


def _forget(numbers: Iterable[int]) -> None:
    for number in numbers:
        del _known[number]


def kept() -> int:
    """How many bytes there are now."""
    return len(_known) * _PAGE


@restoring
def opened(addresses: Iterable[int]) -> Generator[None, None, None]:
    """Inside the block the buffers that some addresses are in can be read and written, and no others."""
    pages = {_known[number] for number in {a // _PAGE for a in addresses} if number in _known}

    def let(access: int) -> None:
        for one in pages:
            one.set(access)

    with _lock, undoing(lambda: let(_CLOSED)):
        let(_OPEN)
        yield
