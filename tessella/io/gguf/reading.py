"""Files in the GGUF format: facts about a model, and its tensors, of which the quantised ones become float32.

Source: ggml, docs/gguf.md.
"""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tessella import dtypes
from tessella.arguments import public
from tessella.arguments.kinds import Device
from tessella.dtypes import DType
from tessella.errors import FileFormatError, UnsafeFileError
from tessella.io.contents import Contents, Stream, is_addressable, naming, place_of, shown
from tessella.io.gguf.blocks import KINDS, Blocks, dequantised
from tessella.io.sources import PathLike
from tessella.tensors.tensor import Tensor, from_ndarray

_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_ALIGNMENT, _MOST_ALIGNMENT = 32, 1 << 20
_MOST_AXES = 4  # of ggml
_MOST_DEEP = 8  # arrays of arrays

# the kinds of facts, by their numbers
_NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 10: "Q", 11: "q", 12: "d"}
_BOOL, _TEXT, _ARRAY = 7, 8, 9

# the kinds of tensors, by their numbers
_NAMES = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 6: "Q5_0", 7: "Q5_1", 8: "Q8_0", 9: "Q8_1", 10: "Q2_K", 11: "Q3_K",
    12: "Q4_K", 13: "Q5_K", 14: "Q6_K", 15: "Q8_K", 16: "IQ2_XXS", 17: "IQ2_XS", 18: "IQ3_XXS", 19: "IQ1_S",
    20: "IQ4_NL", 21: "IQ3_S", 22: "IQ2_S", 23: "IQ4_XS", 24: "I8", 25: "I16", 26: "I32", 27: "I64", 28: "F64",
    29: "IQ1_M", 30: "BF16", 34: "TQ1_0", 35: "TQ2_0", 39: "MXFP4", 40: "NVFP4", 41: "Q1_0",
}  # fmt: skip
_PLAIN = {
    "F32": dtypes.float32, "F16": dtypes.float16, "BF16": dtypes.bfloat16, "F64": dtypes.float64,
    "I8": dtypes.int8, "I16": dtypes.int16, "I32": dtypes.int32, "I64": dtypes.int64,
}  # fmt: skip


class GGUF(NamedTuple):
    """What a GGUF file holds.

    Args:
        metadata: facts by their names: numbers, truths, texts and lists of them.
        tensors: by their names.
    """

    metadata: dict[str, Any]
    tensors: dict[str, Tensor]


@public
def load_gguf(path: PathLike, *, mmap: bool = False, device: Device = None) -> GGUF:
    """The facts and tensors of a GGUF file.

    Tensors of quantised types become float32; the others keep their dtype. Shapes are in the order of NumPy: the last
    axis is the one whose elements lie side by side, which the file has first. Texts that are no UTF-8 keep their bytes
    as halves of characters ("surrogateescape").

    Args:
        path: of a file of version 2 or 3, in either order of bytes.
        mmap: whether the elements of what is not quantised stay in the file until they are used. It must not be
            changed then.
        device: where the tensors are to be; that of the thread, if it is left out.

    Dtypes: F32, F16, BF16, F64, I8, I16, I32, I64; Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, Q8_K.

    Raises:
        FileFormatError: it is no such file, damaged, or has a tensor of another type.
        UnsafeFileError: its tensors lie on top of each other.
        OSError: it cannot be read.

    Source: ggml, docs/gguf.md.

    >>> import tempfile
    >>> empty = b"GGUF" + (3).to_bytes(4, "little") + bytes(16)
    >>> with tempfile.NamedTemporaryFile() as file:
    ...     _ = file.write(empty)
    ...     file.flush()
    ...     load_gguf(file.name)
    GGUF(metadata={}, tensors={})
    """
    place = place_of(path, "load_gguf")
    with naming("load_gguf", place), Contents(place, "load_gguf") as contents:
        return _Reader(contents).all(mmap, device)


def is_gguf(path: str | os.PathLike[str]) -> bool:
    """Whether a file begins as a GGUF file.

    Raises:
        OSError: it cannot be read.
    """
    with Contents(Path(path), "is_gguf") as contents:
        return contents.read(0, min(len(_MAGIC), contents.size), "its beginning") == _MAGIC


class _Entry(NamedTuple):
    """A tensor as the file describes it; `start` is counted from where all elements begin."""

    name: str
    shape: tuple[int, ...]
    kind: DType | Blocks
    start: int
    nbytes: int


class _Reader:
    """Reads one file from its beginning to its end."""

    def __init__(self, contents: Contents) -> None:
        self._contents = contents
        self._stream = Stream(contents)
        if contents.size < len(_MAGIC) or self._stream.take(len(_MAGIC)) != _MAGIC:
            raise FileFormatError("is no GGUF file: it does not begin with the letters GGUF")
        version = self._stream.take(4)
        self._order = "<" if version[:2] != b"\0\0" else ">"
        told = struct.unpack(f"{self._order}I", version)[0]
        if told not in _VERSIONS:
            raise FileFormatError(
                f"is of version {told} of GGUF; versions {' and '.join(map(str, _VERSIONS))} are read"
            )

    def all(self, is_mapped: bool, device: Device) -> GGUF:
        """What the file holds, after all of it was held against its size."""
        count, facts = self._number("Q"), self._number("Q")
        metadata = self._metadata(facts)
        entries = self._entries(count)
        start = self._start(metadata)
        _require_apart(entries, self._alignment(metadata))
        for entry in entries:
            self._contents.check(start + entry.start, entry.nbytes, f"tensor {shown(entry.name)}")
        tensors = {
            entry.name: from_ndarray(
                self._elements(entry, start, is_mapped), copy=False, device=device
            )
            for entry in entries
        }
        return GGUF(metadata, tensors)

    # --- facts ---

    def _number(self, code: str) -> Any:
        format = self._order + code
        return struct.unpack(format, self._stream.take(struct.calcsize(format)))[0]

    def _metadata(self, count: int) -> dict[str, Any]:
        self._require_room(count, 13, "facts")
        found: dict[str, Any] = {}
        for _ in range(count):
            name = self._name("a fact")
            if name in found:
                raise FileFormatError(f"is damaged: it has two facts {shown(name)}")
            found[name] = self._value(self._number("I"), name)
        return found

    def _require_room(self, count: int, least: int, what: str) -> None:
        """See that so many things, of so many bytes at least, can follow."""
        left = self._stream.end - self._stream.position
        if count * least > left:
            raise FileFormatError(
                f"is damaged or cut short: {count} {what} should follow, and {left} bytes do"
            )

    def _name(self, of: str) -> str:
        raw = self._bytes(f"the name of {of}")
        try:
            return raw.decode("utf8")
        except UnicodeDecodeError:
            raise FileFormatError(f"is damaged: {of} is called {shown(raw)}") from None

    def _bytes(self, what: str) -> bytes:
        count = self._number("Q")
        self._require_room(count, 1, f"bytes of {what}")
        return self._stream.take(count)

    def _value(self, kind: int, name: str, depth: int = 0) -> Any:
        if kind in _NUMBERS:
            return self._number(_NUMBERS[kind])
        if kind == _BOOL:
            return self._truths(1, name)[0]
        if kind == _TEXT:
            return self._bytes(f"the fact {shown(name)}").decode("utf8", "surrogateescape")
        if kind == _ARRAY:
            return self._array(name, depth + 1)
        raise FileFormatError(f"is damaged: the fact {shown(name)} is of a kind {kind}")

    def _truths(self, count: int, name: str) -> list[bool]:
        raw = self._stream.take(count)
        if raw.strip(b"\0\1"):
            raise FileFormatError(f"is damaged: the fact {shown(name)} is neither true nor false")
        return [byte == 1 for byte in raw]

    def _array(self, name: str, depth: int) -> list[Any]:
        if depth > _MOST_DEEP:
            raise FileFormatError(
                f"is damaged: the fact {shown(name)} has more than {_MOST_DEEP} arrays in each other"
            )
        kind, count = self._number("I"), self._number("Q")
        code = _NUMBERS.get(kind)
        least = struct.calcsize(code) if code else {_TEXT: 8, _ARRAY: 12}.get(kind, 1)
        self._require_room(count, least, f"parts of the fact {shown(name)}")
        if code:
            raw = self._stream.take(count * least)
            found: list[Any] = np.frombuffer(raw, np.dtype(self._order + code)).tolist()
            return found
        if kind == _BOOL:
            return self._truths(count, name)
        return [self._value(kind, name, depth) for _ in range(count)]

    # --- tensors ---

    def _entries(self, count: int) -> list[_Entry]:
        self._require_room(count, 24, "tensors")
        found = [self._entry() for _ in range(count)]
        if len({entry.name for entry in found}) < count:
            raise FileFormatError("is damaged: it has two tensors of the same name")
        return found

    def _entry(self) -> _Entry:
        name = self._name("a tensor")
        axes = self._number("I")
        if axes > _MOST_AXES:
            raise FileFormatError(
                f"is damaged: tensor {shown(name)} has {axes} axes, more than the {_MOST_AXES} of the format"
            )
        shape = tuple(reversed([self._number("Q") for _ in range(axes)]))
        kind = _kind(self._number("I"), name)
        nbytes = _nbytes(shape, kind, name)
        return _Entry(name, shape, kind, self._number("Q"), nbytes)

    def _alignment(self, metadata: dict[str, Any]) -> int:
        found = metadata.get("general.alignment", _ALIGNMENT)
        if type(found) is not int or not 1 <= found <= _MOST_ALIGNMENT or found & (found - 1):
            raise FileFormatError(
                f"is damaged: its alignment is {shown(found)}; it should be a power of two"
            )
        return found

    def _start(self, metadata: dict[str, Any]) -> int:
        """Where the elements begin."""
        alignment = self._alignment(metadata)
        return -(-self._stream.position // alignment) * alignment

    def _elements(self, entry: _Entry, start: int, is_mapped: bool) -> np.ndarray[Any, Any]:
        what = f"tensor {shown(entry.name)}"
        if isinstance(entry.kind, Blocks):
            raw = self._contents.array(start + entry.start, entry.nbytes, what)
            return dequantised(entry.kind, raw, self._order).reshape(entry.shape)
        bring = self._contents.mapped if is_mapped else self._contents.array
        raw = bring(start + entry.start, entry.nbytes, what)
        return _native(raw, entry.kind, self._order).reshape(entry.shape)


def _native(raw: np.ndarray[Any, Any], dtype: DType, order: str) -> np.ndarray[Any, Any]:
    """Elements in the order of this machine, where it can address them."""
    found = raw.view(dtype.carrier.newbyteorder(order))  # type: ignore[arg-type]
    if not (found.dtype.isnative and found.flags.aligned):
        found = found.astype(dtype.carrier)
    return found.view(dtype.numpy)


def _kind(number: int, name: str) -> DType | Blocks:
    told = _NAMES.get(number)
    if told is None:
        raise FileFormatError(f"is damaged: tensor {shown(name)} is of a type {number}")
    kind = _PLAIN.get(told) or KINDS.get(told)
    if kind is None:
        raise FileFormatError(
            f"has a tensor {shown(name)} of type {told}, which cannot be read; those of {', '.join([*_PLAIN, *KINDS])} "
            "can"
        )
    return kind


def _nbytes(shape: tuple[int, ...], kind: DType | Blocks, name: str) -> int:
    """How many bytes the elements of a tensor take in the file."""
    size, itemsize = (
        (1, kind.itemsize) if isinstance(kind, DType) else (kind.size, kind.layout.itemsize)
    )
    count = math.prod(shape)
    if not is_addressable(shape, max(itemsize, dtypes.float32.itemsize)):
        raise FileFormatError(f"is damaged: tensor {shown(name)} has the shape {shape}")
    if count and (shape[-1] if shape else 1) % size:
        raise FileFormatError(
            f"is damaged: tensor {shown(name)} has the shape {shape}; its last axis should be a multiple of {size}"
        )
    return count // size * itemsize


def _require_apart(entries: Iterable[_Entry], alignment: int) -> None:
    """No two tensors share a byte: a short file could claim a long one many times."""
    end = 0
    for entry in sorted(entries, key=lambda entry: (entry.start, entry.nbytes)):
        if entry.start % alignment:
            raise FileFormatError(
                f"is damaged: tensor {shown(entry.name)} begins at {entry.start}, which is no multiple of {alignment}"
            )
        if entry.start < end:
            raise UnsafeFileError(
                f"is hostile: tensor {shown(entry.name)} lies on top of another one"
            )
        end = entry.start + entry.nbytes
