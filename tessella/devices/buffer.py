"""Buffers: blocks of a device's memory. Each device makes its own kind."""

from __future__ import annotations

from typing import Any


class Buffer:
    """A block of a device's memory: it goes back to its device when nothing refers to it.

    Args:
        address: where it begins, as kernels of its device know it.
        owner: whose memory it is, kept alive by it.
    """

    __slots__ = ("__weakref__", "address", "block", "nbytes", "owner", "protected")

    address: int
    nbytes: int
    owner: Any
    block: Any  # what gives the memory back; set only if the device allocated it
    protected: bool  # set only where it is: most buffers have no time for it

    def __init__(self, address: int, nbytes: int, owner: Any) -> None:
        self.address = address
        self.nbytes = nbytes
        self.owner = owner


def is_own(buffer: Any) -> bool:
    """Whether a buffer is memory that its device allocated, which nobody sees but through it.

    Only such memory may be given away: a program writes a new tensor over an old one in it.
    """
    return isinstance(buffer, Buffer) and hasattr(buffer, "block")


def protect(buffer: Any) -> None:
    """Let nobody outside write to a buffer's memory: it is read-only, or a program reads it at every call."""
    if isinstance(buffer, Buffer):
        buffer.protected = True


def is_protected(buffer: Any) -> bool:
    """Whether a buffer may only be shown to be read."""
    return hasattr(buffer, "protected")
