"""Channels: messages between two processes of one machine, whose arrays go through shared memory.

A message is pickled without the elements of its arrays. All of it is written to memory that has no name (`memfd`), and
its descriptor is sent through a socket: the other process maps it, and its arrays lie there. So nothing is copied
twice, and when both processes are gone nothing is left, however they ended.
"""

from __future__ import annotations

import ctypes
import io
import mmap
import os
import pickle
import socket
import struct
import weakref
from typing import Any

import numpy as np

from tessella.errors import OutOfMemoryError
from tessella.tensors.creation import asarray
from tessella.tensors.tensor import Tensor

_HEAD = struct.Struct("<QQ")  # how many parts, how many bytes
_INLINE = 1024  # bytes that a packet itself takes: what fits is not worth a mapping
_ALIGNED = 64


class Channel:
    """One end of a connection. Made in pairs, by `pair`."""

    def __init__(self, end: socket.socket) -> None:
        self._socket = end

    @staticmethod
    def pair() -> tuple[Channel, Channel]:
        """Both ends of a new one."""
        return tuple(map(Channel, socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)))  # type: ignore[return-value]

    def fileno(self) -> int:
        """The descriptor, to wait for."""
        return self._socket.fileno()

    def close(self) -> None:
        """Close this end; the other one is told when it receives."""
        self._socket.close()

    def send(self, message: Any) -> None:
        """Send anything that can be pickled.

        Raises:
            BrokenPipeError: nobody is at the other end.
        """
        parts = _parts_of(message)
        places, size = _places([part.nbytes for part in parts])
        head = _HEAD.pack(len(parts), size)
        if size <= _INLINE:
            packet = bytearray(size)
            _write(packet, parts, places)
            self._socket.sendmsg([head, packet])
            return
        memory = os.memfd_create("tessella-batch", os.MFD_CLOEXEC)
        try:
            os.ftruncate(memory, size)
            with mmap.mmap(memory, size) as mapped:
                _write(mapped, parts, places)
            socket.send_fds(self._socket, [head], [memory])
        finally:
            os.close(memory)

    def receive(self) -> Any:
        """The next message.

        Raises:
            EOFError: the other end is closed, or its process is gone.
        """
        packet, descriptors = self._received()
        if not packet:
            raise EOFError("the other end of the channel is closed")
        count, size = _HEAD.unpack_from(packet)
        if not descriptors:
            return _message(bytearray(packet[_HEAD.size :]), count)
        try:
            mapped = _mapped(descriptors[0], size)
        finally:
            os.close(descriptors[0])
        return _message(mapped, count)

    def _received(self) -> tuple[bytes, list[int]]:
        length = _HEAD.size + _INLINE
        try:
            return socket.recv_fds(self._socket, length, 1)[:2]
        except (
            ConnectionResetError
        ):  # it was closed before it had read all; what it sent is still there
            return socket.recv_fds(self._socket, length, 1)[:2]


# --- memory ---------------------------------------------------------------------------------------------


def _mapped(memory: int, size: int) -> Any:
    """The memory of a descriptor, until nobody looks at it any more.

    Python's `mmap` keeps a descriptor for each mapping, and a process has a thousand: too few for a list of batches.

    Raises:
        OutOfMemoryError: there is no room for it.
    """
    library = ctypes.CDLL(None, use_errno=True)
    library.mmap.restype = ctypes.c_void_p
    library.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
    address = library.mmap(None, size, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_SHARED, memory, 0)
    if address in (None, ctypes.c_void_p(-1).value):
        raise OutOfMemoryError(
            f"DataLoader: a batch of {size} bytes cannot be mapped: {os.strerror(ctypes.get_errno())}"
        )
    found = (ctypes.c_ubyte * size).from_address(address)
    end = weakref.finalize(found, library.munmap, ctypes.c_void_p(address), ctypes.c_size_t(size))
    end.atexit = False  # who looks at it then is to find it
    return found


# --- what a message is in memory ------------------------------------------------------------------------
# First the sizes of its parts, of which the pickle is the first; then each part, at a multiple of 64 bytes.


def _parts_of(message: Any) -> list[memoryview]:
    parts: list[Any] = []
    stream = io.BytesIO()
    _Pickler(stream, 5, buffer_callback=parts.append).dump(message)
    return [stream.getbuffer(), *(part.raw() for part in parts)]


class _Pickler(pickle.Pickler):
    """Tensors go as the arrays that their elements are."""

    def reducer_override(self, value: Any) -> Any:
        if type(value) is not Tensor:
            return NotImplemented
        return _tensor_on, (np.ascontiguousarray(value.detach().numpy()).reshape(value.shape),)


def _tensor_on(array: np.ndarray[Any, Any]) -> Tensor:
    return asarray(array, copy=False if array.flags.writeable else None)


def _places(sizes: list[int]) -> tuple[np.ndarray[Any, Any], int]:
    """Where each part begins and how long it is, and how many bytes all of it takes."""
    places = np.empty((len(sizes), 2), np.int64)
    at = places.nbytes
    for place, size in zip(places, sizes, strict=True):
        at = -(-at // _ALIGNED) * _ALIGNED
        place[:] = at, size
        at += size
    return places, at


def _write(memory: Any, parts: list[memoryview], places: np.ndarray[Any, Any]) -> None:
    with memoryview(memory) as whole:
        whole[: places.nbytes] = places.tobytes()
        for part, (at, size) in zip(parts, places.tolist(), strict=True):
            if size:
                whole[at : at + size] = (
                    part.cast("B") if part.ndim != 1 or part.format != "B" else part
                )


def _message(memory: Any, count: int) -> Any:
    whole = memoryview(memory).cast("B")
    places = np.frombuffer(whole, np.int64, 2 * count).reshape(count, 2).tolist()
    stream, *buffers = (whole[at : at + size] for at, size in places)
    return pickle.loads(stream, buffers=buffers)
