"""Files of `torch.save` read: zip archives, as PyTorch writes them since 1.6, and what it wrote before.

Source: PyTorch, torch/serialization.py and caffe2/serialize/inline_container.h.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tessella.arguments import public
from tessella.arguments.kinds import Device
from tessella.errors import FileFormatError, UnsafeFileError
from tessella.io.archives import CENTRAL, END, LOCAL, Archive, Record
from tessella.io.contents import Contents, Stream, naming, place_of, shown
from tessella.io.pytorch.instructions import Machine
from tessella.io.pytorch.names import StorageKind, named
from tessella.io.pytorch.stored import Elements, Storage
from tessella.io.pytorch.trees import Tree
from tessella.io.sources import PathLike

_PICKLE = "data.pkl"
MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001  # what old files begin with
_MAGIC_PICKLED = b"\x8a\x0a" + MAGIC.to_bytes(10, "little")
_HEAD = 600  # bytes that tell what a file is
_TAR_AT, _TAR = 257, b"ustar"
_ORDERS = {b"little": "little", b"big": "big"}
_MOST_STORAGES = 1 << 62
_GROWTH = 20  # times its size that a packed pickle may have;
_LARGE = 16 << 20  # and what it may have in any case


@public
def load_pytorch(path: PathLike, *, mmap: bool = False, device: Device = None) -> Any:
    """What `torch.save` wrote: tensors, in the dicts, lists and other containers they were saved in.

    Nothing in the file is executed: it is data, or it is refused with the name of what it wants to run. All sizes are
    held against the file before memory is taken, so a damaged file gives an error and nothing else. Tied tensors are
    one tensor; parameters are `ts.nn.Parameter`. A `torch.Size` becomes a tuple, a `torch.device` its name. Arrays and
    numbers of NumPy stay such.

    Args:
        path: of a `.pt`, `.pth` or `.bin` file of any version since 0.4: the zip format and the one before it.
        mmap: whether elements stay in the file until they are used. It must not be changed then, as PyTorch does
            when it saves under the same name.
        device: where the tensors are to be, wherever they were; that of the thread, if it is left out.

    Raises:
        FileFormatError: it is no such file, damaged, or holds what is no data of ours (a sparse tensor, a whole
            network).
        UnsafeFileError: it wants code to be run, or is made to mislead.
        OSError: it cannot be read.

    Source: PyTorch, torch/serialization.py; Python, pickletools.

    >>> import tempfile
    >>> import tessella as ts
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     ts.io.save_pytorch({"model": ts.nn.Linear(3, 2).state_dict(), "epoch": 4}, f"{folder}/last.pt")
    ...     last = ts.io.load_pytorch(f"{folder}/last.pt")
    >>> last["epoch"], last["model"]["weight"].shape
    (4, (2, 3))
    """
    place = place_of(path, "load_pytorch")
    with naming("load_pytorch", place), Contents(place, "load_pytorch") as contents:
        head = contents.read(0, min(_HEAD, contents.size), "its beginning")
        if head.startswith((LOCAL, END)):
            return _from_archive(contents, mmap, device)
        if _is_legacy(head):
            return _from_stream(contents, mmap, device)
        raise FileFormatError(_no_file(head))


def is_pytorch(path: str | os.PathLike[str]) -> bool:
    """Whether a file begins as one of `torch.save`: an archive with a pickle, or what was written before.

    Raises:
        OSError: it cannot be read.
    """
    with Contents(Path(path), "is_pytorch") as contents:
        head = contents.read(0, min(_HEAD, contents.size), "its beginning")
        if not head.startswith(LOCAL):
            return _is_legacy(head)
        end = min(contents.size, 1 << 16)
        tail = contents.read(contents.size - end, end, "its end")
        return _PICKLE.encode() in head[:_HEAD] or (CENTRAL in tail and _PICKLE.encode() in tail)


def _is_legacy(head: bytes) -> bool:
    return _MAGIC_PICKLED in head[:16]


def _no_file(head: bytes) -> str:
    """What a file is instead."""
    if not head:
        return "is empty"
    if head[_TAR_AT : _TAR_AT + len(_TAR)] == _TAR:
        return (
            "is in the tar format of PyTorch before 0.1.10, which cannot be read without running what is in it; save it "
            "anew with any later version of PyTorch"
        )
    if head.startswith(b"GGUF"):
        return "is a GGUF file; ts.io.load_gguf reads it"
    if head[8:10] == b'{"':
        return "is a safetensors file; ts.io.load_file reads it"
    if head.startswith(b"\x80"):
        return "is a pickle, but none that torch.save wrote; only those are read"
    if head.startswith(b"\x93NUMPY"):
        return "is a NumPy file; np.load reads it, and ts.asarray its array"
    if head.startswith(b"version https://git-lfs"):
        return "is a pointer of Git LFS in place of the file; fetch it: git lfs pull"
    return "is no file of torch.save: it is neither a zip archive, nor does it begin as PyTorch's old format"


# --- the zip format ---------------------------------------------------------------------------------


def _from_archive(contents: Contents, is_mapped: bool, device: Device) -> Any:
    archive = Archive(contents)
    folder = _folder(archive)
    pickle = archive.array(_bounded(archive[folder + _PICKLE])).tobytes()
    elements = Elements(
        lambda storage: archive.array(archive[f"{folder}data/{storage.key}"], is_mapped),
        _order(archive, folder),
        device,
    )
    machine = Machine(Stream(pickle), named, lambda told: _stored(told, archive, folder))
    found = _whole(machine)
    return Tree(elements.tensor, len(pickle)).value(found)


def _bounded(record: Record) -> Record:
    """The record of a pickle, of which each byte may become a value of Python's."""
    if record.size > max(_LARGE, _GROWTH * record.packed):
        raise UnsafeFileError(
            f"is hostile: the {record.packed} bytes of its pickle would unpack to {record.size}; if that is meant, pack "
            "it anew with `zip -0`"
        )
    return record


def _folder(archive: Archive) -> str:
    """The folder of the archive that all is in, with its slash."""
    found = [name for name in archive if name == _PICKLE or name.endswith(f"/{_PICKLE}")]
    top = [name for name in found if name.count("/") <= 1]
    if len(top) != 1:
        raise FileFormatError(_no_pickle(archive, len(top)))
    folder = top[0].removesuffix(_PICKLE)
    if f"{folder}constants.pkl" in archive:
        raise FileFormatError(
            "is a program of TorchScript and not numbers alone; in PyTorch: "
            "torch.save(torch.jit.load(path).state_dict(), other)"
        )
    return folder


def _no_pickle(archive: Archive, count: int) -> str:
    if count:
        return f"is damaged: it has {count} records {_PICKLE}"
    if any(name.endswith(".npy") for name in archive):
        return "is a NumPy archive; np.load reads it, and ts.asarray its arrays"
    return f"is no file of torch.save: it is a zip archive without a record {_PICKLE}"


def _order(archive: Archive, folder: str) -> str:
    """The order of bytes in an element: "little", where the file does not say."""
    record = archive.get(f"{folder}byteorder")
    if record is None:
        return "little"
    told = archive.array(_short(record)).tobytes()
    if told not in _ORDERS:
        raise FileFormatError(f"is damaged: its order of bytes is {shown(told)}")
    return _ORDERS[told]


def _short(record: Record) -> Record:
    if record.size > _HEAD:
        raise FileFormatError(
            f"is damaged: the record {shown(record.name)} has {record.size} bytes"
        )
    return record


def _stored(told: Any, archive: Archive, folder: str) -> Storage:
    """A storage as a pickle calls it, which the archive has with this size."""
    kind, key, count = _called(told, 5)
    record = archive.get(f"{folder}data/{key}")
    if record is None:
        raise FileFormatError(f"is damaged: the record of storage {shown(key)} is missing")
    nbytes = count * (kind.dtype.itemsize if kind.dtype else 1)
    if record.size != nbytes:
        raise FileFormatError(
            f"is damaged: storage {shown(key)} should have {nbytes} bytes, and its record has {record.size}"
        )
    return Storage(key, nbytes, 0, nbytes, kind.dtype)


def _called(told: Any, length: int) -> tuple[StorageKind, str, int]:
    """The kind, name and number of elements of a storage that a pickle refers to."""
    if not isinstance(told, tuple) or not told or told[0] not in ("storage", b"storage"):
        kind = told[0] if isinstance(told, tuple) and told else told
        if kind in ("module", b"module"):
            raise UnsafeFileError(f"has a whole network and not its numbers alone; {_ALONE}")
        raise UnsafeFileError(
            f"is hostile or damaged: it refers to a {shown(kind)}, and only storages lie outside the pickle"
        )
    kind, key, count = (
        told[1],
        told[2] if len(told) > 2 else None,
        told[4] if len(told) > 4 else None,
    )
    if len(told) != length or not isinstance(kind, StorageKind) or type(key) not in (str, int):
        raise FileFormatError("is damaged: it refers to a storage in a way that PyTorch does not")
    if type(count) is not int or not 0 <= count < _MOST_STORAGES:
        raise FileFormatError(f"is damaged: storage {shown(str(key))} has {shown(count)} elements")
    return kind, str(key), count


_ALONE = "in PyTorch: torch.save(model.state_dict(), path)"


def _whole(machine: Machine) -> Any:
    """The value of a pickle that is all there is."""
    found = machine.run()
    if machine.source.position != machine.source.end:
        raise FileFormatError("is damaged: its pickle stops before its end")
    return found


# --- what was written before ------------------------------------------------------------------------


def _from_stream(contents: Contents, is_mapped: bool, device: Device) -> Any:
    """Five pickles, one after the other, and the storages that the fourth refers to, in the order of the fifth."""
    stream = Stream(contents)
    known: dict[str, Storage] = {}
    if _plain(stream) != MAGIC or _plain(stream) != PROTOCOL:
        raise FileFormatError("is damaged: it does not begin as PyTorch's old format does")
    _require_little(_plain(stream))
    before = stream.position
    found = Machine(stream, named, lambda told: _of_stream(told, known)).run()
    length = stream.position - before
    places = _places(contents, stream, _plain(stream), known)
    bring: Callable[..., np.ndarray[Any, Any]] = contents.mapped if is_mapped else contents.array
    elements = Elements(
        lambda storage: bring(places[storage.key], storage.whole, f"storage {shown(storage.key)}"),
        "little",
        device,
    )
    return Tree(elements.tensor, length).value(found)


def _plain(stream: Stream) -> Any:
    """The value of a pickle without tensors."""

    def never(told: Any) -> Any:
        raise FileFormatError("is damaged: there is a storage where there should be none")

    return Machine(stream, named, never).run()


def _require_little(told: Any) -> None:
    """Elements of the old format are little-endian, whatever the machine was; sizes of integers may be others."""
    if not isinstance(told, dict) or type(told.get("protocol_version")) is not int:
        raise FileFormatError("is damaged: it does not say on which machine it was written")


def _of_stream(told: Any, known: dict[str, Storage]) -> Storage:
    kind, key, count = _called(told, 6)
    itemsize = kind.dtype.itemsize if kind.dtype else 1
    whole = Storage(key, count * itemsize, 0, count * itemsize, kind.dtype)
    if known.setdefault(key, whole) != whole:
        raise FileFormatError(f"is damaged: storage {shown(key)} is described in two ways")
    view = told[5]
    if view is None:
        return whole
    numbers = view[1:] if isinstance(view, tuple) and len(view) == 3 else ()
    if not numbers or not all(type(number) is int and number >= 0 for number in numbers):
        raise FileFormatError(
            f"is damaged: a part of storage {shown(key)} is described by {shown(view)}"
        )
    start, size = numbers
    if start + size > count:
        raise FileFormatError(
            f"is damaged: storage {shown(key)} has {count} elements, and a part of it ends at {shown(start + size)}"
        )
    return Storage(key, count * itemsize, start * itemsize, size * itemsize, kind.dtype)


def _places(
    contents: Contents, stream: Stream, keys: Any, known: dict[str, Storage]
) -> dict[str, int]:
    """Where the bytes of each storage begin; all of them lie in the file."""
    told = [str(key) for key in keys] if isinstance(keys, list) else []
    if sorted(told) != sorted(known):
        raise FileFormatError("is damaged: the storages at its end are not those of its tensors")
    places, position = {}, stream.position
    for key in told:
        storage = known[key]
        itemsize = storage.dtype.itemsize if storage.dtype else 1
        raw = contents.read(position, 8, f"the size of storage {shown(key)}")
        count = struct.unpack("<q", raw)[0]
        if count * itemsize != storage.whole:
            raise FileFormatError(
                f"is damaged: storage {shown(key)} should have {storage.whole} bytes, and {count * itemsize} follow"
            )
        contents.check(position + 8, storage.whole, f"storage {shown(key)}")
        places[key] = position + 8
        position += 8 + storage.whole
    if position != contents.size:
        raise FileFormatError(
            f"is damaged: {contents.size - position} bytes follow its last storage"
        )
    return places
