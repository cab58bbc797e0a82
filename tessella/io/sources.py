"""Files that are read: their bytes as memory, and what is said of those that are damaged."""

from __future__ import annotations

import os
from typing import Any, TypeAlias

import numpy as np

from tessella.arguments.kinds import UNFIT, Kind, register_kind
from tessella.errors import FileFormatError
from tessella.io.contents import Contents, place_of

Bytes: TypeAlias = np.ndarray[Any, np.dtype[np.uint8]]
PathLike: TypeAlias = str | os.PathLike[str]
_HEADS = {  # how files begin that are none of what is expected, and what to do then
    b"PK": "it is a zip archive; ts.io.load_pytorch reads PyTorch's, ts.io.load_npz NumPy's",
    b"\x80": "it is a pickle; ts.io.load_pytorch reads those of torch.save",
    b"GGUF": "it is a GGUF file; ts.io.load_gguf reads it",
    b"\x93NUMPY": "it is one array of NumPy; ts.asarray(np.load(path)) reads it",
    b"\x89HDF": "it is an HDF5 file; the package h5py reads it",
    b"{": "it is JSON; ts.io.load_sharded reads a folder of files with an index",
    b"version https://git-lfs": "it is a pointer of Git LFS in place of the file; fetch it: git lfs pull",
}


def _path(value: Any) -> Any:
    is_path = isinstance(value, (str, os.PathLike)) and isinstance(os.fspath(value), str)
    return value if is_path else UNFIT


register_kind("PathLike", Kind("str or pathlib.Path", "False", _path))


def quoted(name: str) -> str:
    """A name that a file gives, in a message."""
    return repr(name) if len(name) <= 200 else f"{name[:180]!r}... ({len(name)} characters)"


class Source:
    """A file that a function reads.

    Args:
        path: as the function was given it.
        function: its name.
        format: that it expects, in words.
        begins: how files of the format begin, if others may begin so.
    """

    def __init__(
        self, path: PathLike, function: str, format: str, begins: bytes | None = None
    ) -> None:
        self._begins = begins
        self.path, self.function, self.format = place_of(path, function), function, format
        self._head = b""

    def damaged(self, why: str) -> FileFormatError:
        """What is raised of a file that is not in the format."""
        heads = [head for head in _HEADS if head != self._begins and self._head.startswith(head)]
        is_header = self._head[8:9] == b"{"  # behind its length, which may be any bytes
        other = _HEADS[heads[0]] if heads and not is_header else why
        return FileFormatError(
            f"{self.function}: {self.path} is no file in the {self.format} format, or damaged ({other})"
        )

    def memory(self) -> Bytes:
        """The bytes of the file, mapped: they are read where they are looked at, and none is copied.

        Where the file becomes shorter while it is mapped, the process ends when it looks at what is gone; a file
        that is replaced, as everything here writes files, stays as long as it is looked at.

        Raises:
            ArgumentError: it is no ordinary file.
            OSError: it cannot be read.
        """
        with Contents(self.path, self.function) as contents:
            found: Bytes = contents.mapped(0, contents.size, "the file")
        self._head = found[:32].tobytes()
        return found
