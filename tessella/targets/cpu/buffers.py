"""Memory for arrays: aligned blocks that are used again.

A fresh block of a megabyte costs a page fault every 4 KiB, more than most operations on it. So a
block that nobody needs goes to the free list of its size class and the next array of about that
size takes it. Size classes are powers of two with three steps between, so at most a quarter of a
block is wasted.

A buffer comes back without a line of Python being run: what is left of it, a weak reference that knows
the memory, is put on the free list by `deque.append` as the reference's callback. A `__del__` in Python
would be a place for a signal's handler to run, and a KeyboardInterrupt raised there is lost.
"""

from __future__ import annotations

import contextlib
import functools
import mmap
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tessella.devices.buffer import Buffer
from tessella.devices.device import MemoryStatistics
from tessella.errors import ArgumentError, OutOfMemoryError
from tessella.targets.cpu import machine
from tessella.terminal import bytes_of

ALIGNMENT = 64
_SMALLEST = 64
_CAREFUL_ABOVE = 1 << 28  # from here on, ask the system what is available first
_COUNTED_FROM = 1 << 16  # from here on, look first whether too much is kept
_LARGEST = 1 << 62
_PAGES_FROM = 1 << 22

_free: dict[int, deque[_Block]] = {}  # by capacity; the last used is the first to be used again


class _Block(weakref.ref["Buffer"]):
    """The memory of a buffer: its address, and what owns it. It outlives the buffer."""

    __slots__ = ("address", "owner")

    address: int
    owner: Any


@functools.cache
def _cache_limit() -> int:
    return machine.physical_memory() // 4


def _free_list(capacity: int) -> deque[_Block]:
    """The free blocks of a size class; those that are too many are dropped."""
    most = min(4096, _cache_limit() // capacity)
    return _free.setdefault(capacity, deque(maxlen=most))


def _capacity(nbytes: int) -> int:
    """The size class: the next of 2^k, 1.25, 1.5 and 1.75 x 2^k."""
    if nbytes <= _SMALLEST:
        return _SMALLEST
    step = 1 << max(6, (nbytes - 1).bit_length() - 3)
    return -(-nbytes // step) * step


class HostMemory(Buffer):
    """A block of the host's memory; it goes back to its free list when nothing refers to it."""

    __slots__ = ()

    @property
    def __array_interface__(self) -> dict[str, Any]:
        """NumPy's view of the bytes; it keeps this buffer alive."""
        return {
            "shape": (self.nbytes,),
            "typestr": "|u1",
            "data": (self.address, False),
            "version": 3,
        }


def allocate(nbytes: int) -> Buffer:
    """A buffer of at least `nbytes` bytes, aligned to 64, with unknown contents.

    Raises:
        OutOfMemoryError: the machine has no such amount of memory.
    """
    return allocator(nbytes)()


@functools.lru_cache(maxsize=4096)  # asked for by every operation
def allocator(nbytes: int) -> Callable[[], Buffer]:
    """What makes buffers of one size; see `allocate`."""
    capacity = _capacity(nbytes)
    blocks = _free_list(capacity)
    take, give_back = blocks.pop, blocks.append
    new = object.__new__

    def make() -> Buffer:
        try:
            last = take()
        except IndexError:
            address, owner = _fresh(nbytes, capacity)
        else:
            address, owner = last.address, last.owner
        buffer = new(HostMemory)
        buffer.address, buffer.nbytes, buffer.owner = address, nbytes, owner
        buffer.block = block = _Block(buffer, give_back)
        block.address, block.owner = address, owner
        return buffer

    return make


def _fresh(nbytes: int, capacity: int) -> tuple[int, Any]:
    """An aligned address in new memory, and its owner."""
    if nbytes < 0:
        raise ArgumentError(f"allocate: nbytes is {nbytes}; it must not be negative")
    require_available(capacity)
    if capacity >= _COUNTED_FROM and statistics().cached_bytes > _cache_limit():
        release_cached()
    try:
        owner = _bytes(capacity)
    except (MemoryError, OSError):
        release_cached()
        try:
            owner = _bytes(capacity)
        except (MemoryError, OSError):
            raise _refusal(nbytes) from None
    address = owner.__array_interface__["data"][0]
    return -(-address // ALIGNMENT) * ALIGNMENT, owner


def _bytes(capacity: int) -> np.ndarray[Any, Any]:
    """New memory, with room for alignment; large blocks are pages of their own.

    NumPy asks the system for huge pages. Where memory is in pieces they have to be put together first, which
    takes several times as long as to fill ordinary ones, and later work is no faster (docs/performance.md).
    """
    if capacity < _PAGES_FROM or not hasattr(mmap, "MAP_PRIVATE"):
        return np.empty(capacity + ALIGNMENT, np.uint8)
    ours_alone = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    return np.frombuffer(mmap.mmap(-1, capacity + ALIGNMENT, flags=ours_alone), np.uint8)


def require_available(nbytes: Any) -> None:
    """Complain if memory that somebody else will allocate is not there.

    Raises:
        OutOfMemoryError: so it is.
    """
    if (
        type(nbytes) is not int or nbytes <= _CAREFUL_ABOVE
    ):  # a size that is not known yet is looked at later
        return
    if nbytes > machine.available_memory():
        release_cached()
        if nbytes > machine.available_memory():
            raise _refusal(nbytes)


@contextlib.contextmanager
def memory_for(nbytes: Any) -> Iterator[None]:
    """What is done inside takes so much memory, from NumPy or Python.

    Raises:
        OutOfMemoryError: there is not so much.
    """
    require_available(nbytes)
    try:
        yield
    except MemoryError:
        raise _refusal(nbytes) from None


def _refusal(nbytes: int) -> OutOfMemoryError:
    return OutOfMemoryError(
        f"{bytes_of(nbytes)} of memory were asked for, but only "
        f"{bytes_of(machine.available_memory())} of {bytes_of(machine.physical_memory())} are "
        "available; use a smaller size or dtype, or work in parts"
    )


def wrap(owner: Any, address: int, nbytes: int) -> Buffer:
    """A buffer on memory that belongs to `owner`, which is kept alive."""
    return HostMemory(address, nbytes, owner)


def statistics() -> MemoryStatistics:
    """What the free lists hold now."""
    sizes = [(capacity, len(blocks)) for capacity, blocks in list(_free.items())]
    return MemoryStatistics(sum(c * n for c, n in sizes), sum(n for _, n in sizes))


def release_cached() -> None:
    """Give all free blocks back to the system."""
    for blocks in list(_free.values()):
        blocks.clear()
