"""Tensors with names in NumPy's `.npz` files: arrays in an archive, and nothing that is executed.

Source: NumPy, *numpy.lib.format*: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

from tessella import dtypes, files
from tessella.arguments import public
from tessella.arguments.kinds import Device, shown
from tessella.dtypes import DType
from tessella.errors import ArgumentError, DTypeError, FileFormatError, UnsafeFileError
from tessella.io import archives, elements
from tessella.io.archives import Archive
from tessella.io.contents import Contents, naming, place_of
from tessella.io.headers import are_sizes
from tessella.io.safetensors import Named, named
from tessella.io.sources import Bytes, PathLike
from tessella.tensors.tensor import Tensor, from_ndarray

_MAGIC = b"\x93NUMPY"
_SUFFIX = ".npy"
_LONGEST = 10_000  # of headers: as NumPy has it
_ALIGNMENT = 64
_LENGTHS = {1: 2, 2: 4, 3: 4}  # bytes that say how long the header is, by version
_ITEM = r"'(\w+)'\s*:\s*('[^'\\]*'|True|False|\([\d,\s]*\))\s*"
_HEADER = re.compile(rf"\s*{{\s*{_ITEM},\s*{_ITEM},\s*{_ITEM},?\s*}}\s*")
_DTYPES = {d.numpy.str[1:]: d for d in dtypes.ALL if d.library == "numpy"}
_NUMBERS = re.compile(r"([<>=|])([biufc])(\d{1,2})")


@public
def save_npz(tensors: Named, path: PathLike) -> None:
    """Write tensors with names to a file that `np.load` reads, too.

    The file is written whole or not at all, and is on the disk when this comes back.

    Dtypes: those that NumPy has itself: not `bfloat16` and the storage dtypes, which `ts.save` keeps.

    Raises:
        ArgumentTypeError: no mapping from names to tensors.
        ArgumentError: a name that no file in an archive can have.
        DTypeError: a tensor of a dtype that NumPy does not have.
        OSError: the file cannot be written.

    >>> import tempfile
    >>> import numpy as np
    >>> import tessella as ts
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     ts.io.save_npz({"x": ts.ones(2)}, f"{folder}/x.npz")
    ...     print(ts.io.load_npz(f"{folder}/x.npz"), np.load(f"{folder}/x.npz")["x"])
    {'x': tensor([1., 1.])} [1. 1.]
    """
    place = place_of(path, "save_npz")
    found = named(tensors, "save_npz")
    for name, value in found.items():
        _require_name(name)
        _require_numpys(name, elements.dtype_of(value))
    with files.writing(place, durable=True) as file:
        for piece in archives.pieces(_records(found)):
            file.write(piece)


def _require_name(name: str) -> None:
    if name.startswith("/") or ".." in name.split("/") or {"\\", "\0"} & set(name):
        raise ArgumentError(
            f"save_npz: {name!r} cannot be the name of a file in an archive: it leads out of it"
        )


def _require_numpys(name: str, dtype: DType) -> None:
    if dtype.library != "numpy":
        raise DTypeError(
            f"save_npz: {name!r} is of {dtype}, which NumPy's format does not have; save "
            f"x.astype(ts.{dtype.compute.name}), or all of it by ts.save"
        )


def _records(found: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """The files of the archive, one after the other."""
    for name, value in found.items():
        dtype = elements.dtype_of(value).numpy
        said = (
            f"{{'descr': '{dtype.str}', 'fortran_order': False, 'shape': {tuple(value.shape)!r}, }}"
        )
        padding = -(len(_MAGIC) + 4 + len(said) + 1) % _ALIGNMENT
        text = f"{said}{' ' * padding}\n".encode()
        head = _MAGIC + b"\x01\x00" + len(text).to_bytes(2, "little") + text
        yield f"{name}{_SUFFIX}", head + elements.content(value).tobytes()


# --- reading ----------------------------------------------------------------------------------------------


@public
def load_npz(path: PathLike, *, device: Device = None) -> dict[str, Tensor]:
    """The tensors of a file of `np.savez` or `np.savez_compressed`, or of `save_npz`, by their names.

    Arrays that are not packed are mapped; those whose elements lie in another order, or where kernels cannot read
    them, are copied.

    Args:
        device: where the tensors are to be; that of the thread, if it is left out.

    Raises:
        FileFormatError: it is no such file, or damaged.
        UnsafeFileError: it holds Python objects, which would have to be executed, or is made to mislead.
        DTypeError: an array of a dtype that Tessella does not have, such as text.
        OSError: it cannot be read.
    """
    place = place_of(path, "load_npz")
    with naming("load_npz", place), Contents(place, "load_npz") as contents:
        if contents.read(0, min(contents.size, 2), "its beginning") != b"PK":
            raise FileFormatError("is no .npz file: it does not begin as a zip archive")
        archive = Archive(contents)
        for name in archive:
            if not name.endswith(_SUFFIX):
                raise FileFormatError(f"is no .npz file: {shown(name)} in it is no array of NumPy")
        return {
            name.removesuffix(_SUFFIX): _tensor(name, archive.array(record, is_mapped=True), device)
            for name, record in archive.items()
        }


def _tensor(name: str, content: Bytes, device: Device) -> Tensor:
    said, start = _header(name, content)
    dtype, foreign = _dtype(name, said.descr)
    count = math.prod(said.shape)
    if count * dtype.itemsize != len(content) - start:
        raise FileFormatError(
            f"is damaged: {shown(name)} of shape {said.shape} takes {count * dtype.itemsize} bytes; "
            f"{len(content) - start} are there"
        )
    here = content[start:]
    strange = elements.strange_byte(here, dtype)
    if strange is not None:
        raise FileFormatError(f"is damaged: {shown(name)} of {dtype.name} has a byte of {strange}")
    found = here.view(dtype.numpy.newbyteorder() if foreign else dtype.numpy).reshape(
        said.shape, order="F" if said.fortran else "C"
    )
    return from_ndarray(found.astype(dtype.numpy, copy=False), copy=False, device=device)


class Said(NamedTuple):
    """What the header of an array says."""

    descr: str
    fortran: bool
    shape: tuple[int, ...]


def _header(name: str, content: Bytes) -> tuple[Said, int]:
    """What the header of an array says, and where the elements begin."""
    head = content[:12].tobytes()
    width = _LENGTHS.get(head[6]) if len(head) == 12 and head.startswith(_MAGIC) else None
    if width is None:
        raise FileFormatError(f"is damaged: {shown(name)} does not begin as an array of NumPy")
    start = 8 + width
    length = int.from_bytes(head[8:start], "little")
    if length > min(_LONGEST, len(content) - start):
        raise FileFormatError(
            f"is damaged: the header of {shown(name)} is said to have {length} bytes"
        )
    text = content[start : start + length].tobytes().decode("latin1")
    return _said(name, text), start + length


def _said(name: str, text: str) -> Said:
    found = _HEADER.fullmatch(text)
    table = dict(zip(found.groups()[::2], found.groups()[1::2], strict=True)) if found else {}
    if set(table) != {"descr", "fortran_order", "shape"} or "[(" in text:
        raise FileFormatError(
            f"is damaged, or {shown(name)} has named fields: its header says {shown(text)}"
        )
    shape = [int(size) for size in re.findall(r"\d+", table["shape"][:1000])]
    sizes = table["shape"].startswith("(") and len(table["shape"]) < 1000 and are_sizes(shape)
    if not sizes or table["fortran_order"] not in ("True", "False") or table["descr"][0] != "'":
        raise FileFormatError(f"is damaged: the header of {shown(name)} says {shown(text)}")
    return Said(table["descr"][1:-1], table["fortran_order"] == "True", tuple(shape))


def _dtype(name: str, descr: str) -> tuple[DType, bool]:
    """The dtype of an array, and whether the bytes of its elements are in the other order than this machine's."""
    found = _NUMBERS.fullmatch(descr)
    if "O" in descr:
        raise UnsafeFileError(
            f"cannot be read: {shown(name)} holds Python objects, which are pickled; nothing is executed here"
        )
    known = found and _DTYPES.get(found[2] + found[3])
    if found is None or known is None:
        raise DTypeError(
            f"load_npz: {shown(name)} is of NumPy's dtype {shown(descr)}, which Tessella does not have"
        )
    return known, found[1] == (">" if sys.byteorder == "little" else "<")
