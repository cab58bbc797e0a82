"""The header of a file in the safetensors format: which tensors there are, and where; looked at before all else.

A file begins with the length of its header, in 8 bytes, then comes the header, in JSON, then the tensors, side by
side. What a header says is checked against the file before anything is made of it.

Source: Hugging Face, *Safetensors*, the format: https://huggingface.co/docs/safetensors.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from tessella import dtypes
from tessella.arguments.kinds import shown
from tessella.dtypes import DType
from tessella.errors import ArgumentError
from tessella.io import plain_json
from tessella.io.sources import Bytes, Source, quoted

METADATA = "__metadata__"
CODES = {
    "BOOL": dtypes.bool_, "F4": dtypes.float4_e2m1fn, "U8": dtypes.uint8, "I8": dtypes.int8,
    "F8_E4M3": dtypes.float8_e4m3fn, "F8_E5M2": dtypes.float8_e5m2, "F8_E8M0": dtypes.float8_e8m0fnu,
    "F8_E4M3FNUZ": dtypes.float8_e4m3fnuz, "F8_E5M2FNUZ": dtypes.float8_e5m2fnuz, "U16": dtypes.uint16,
    "I16": dtypes.int16, "F16": dtypes.float16, "BF16": dtypes.bfloat16, "U32": dtypes.uint32, "I32": dtypes.int32,
    "F32": dtypes.float32, "U64": dtypes.uint64, "I64": dtypes.int64, "F64": dtypes.float64, "C64": dtypes.complex64,
}  # fmt: skip
CODE_OF = {dtype: code for code, dtype in CODES.items()}
_LONGEST = 100_000_000  # of headers, as the format has it
_MOST_AXES = 64  # as NumPy has it
_LARGEST = 1 << 62
_WIDEST = 16  # bytes of an element
_ALIGNMENT = 64  # of the first tensor in the files that we write
_KEYS = {"dtype", "shape", "data_offsets"}


class Entry(NamedTuple):
    """A tensor in a file.

    Args:
        code: of its dtype, as the format has it.
        begin, end: where its bytes are in the file.
    """

    code: str
    shape: tuple[int, ...]
    begin: int
    end: int


class Header(NamedTuple):
    """What a file holds: its tensors by their names, and texts beside them."""

    entries: dict[str, Entry]
    metadata: dict[str, str]


def read(content: Bytes, source: Source) -> Header:
    """The header of a file, after which every tensor is where it says, and nothing lies between them.

    Raises:
        FileFormatError: so it is not.
    """
    size = len(content)
    if size < 8:
        raise source.damaged(f"it has {size} bytes; the length of the header takes 8")
    length = int(content[:8].view("<u8")[0])
    if length > size - 8:
        raise source.damaged(f"the header is said to have {length} bytes; {size - 8} follow")
    if length > _LONGEST:
        raise source.damaged(f"the header has {length} bytes; {_LONGEST} are the most")
    table = _parsed(content[8 : 8 + length].tobytes(), source)
    metadata = _texts(table.pop(METADATA, {}), source)
    start = 8 + length
    entries = {name: _entry(name, said, start, size, source) for name, said in table.items()}
    _require_no_gaps(entries, start, size, source)
    return Header(entries, metadata)


def _parsed(text: bytes, source: Source) -> dict[str, Any]:
    if not text.startswith(b"{"):
        raise source.damaged("the header does not begin with '{'")
    found: dict[str, Any] = plain_json.parsed(text, "the header", source)
    return found


def _texts(said: Any, source: Source) -> dict[str, str]:
    if not isinstance(said, dict) or not all(type(text) is str for text in said.values()):
        raise source.damaged(f"{METADATA} are no texts with names")
    return said


def _entry(name: str, said: Any, start: int, size: int, source: Source) -> Entry:
    """What a header says of one tensor."""
    told = quoted(name)
    if not isinstance(said, dict) or set(said) != _KEYS:
        raise source.damaged(f"{told} has other entries than dtype, shape and data_offsets")
    code, shape, offsets = said["dtype"], said["shape"], said["data_offsets"]
    if type(code) is not str:
        raise source.damaged(f"the dtype of {told} is {shown(code)}; expected a text")
    if not are_sizes(shape):
        raise source.damaged(f"the shape of {told} is {shown(shape)}")
    if not are_sizes(offsets) or len(offsets) != 2 or not offsets[0] <= offsets[1] <= size - start:
        raise source.damaged(
            f"{told} is said to be at {shown(offsets)}, of {size - start} bytes that follow the header"
        )
    entry = Entry(code, tuple(shape), start + offsets[0], start + offsets[1])
    _require_size(told, entry, source)
    return entry


def are_sizes(value: Any) -> bool:
    """Whether something that was read is a list of sizes that an array can have."""
    if not isinstance(value, list) or len(value) > _MOST_AXES:
        return False
    if not all(type(n) is int and 0 <= n <= _LARGEST for n in value):
        return False
    return math.prod(n for n in value if n) * _WIDEST <= _LARGEST


def _require_size(told: str, entry: Entry, source: Source) -> None:
    """Complain if a tensor takes more or fewer bytes than it has; what dtypes of others take is not known."""
    dtype = CODES.get(entry.code)
    if dtype is None:
        return
    bits = math.prod(entry.shape) * bits_of(dtype)
    if bits != 8 * (entry.end - entry.begin):
        raise source.damaged(
            f"{told} of {entry.code} and shape {shown(list(entry.shape))} takes {bits / 8:g} bytes; "
            f"{entry.end - entry.begin} are there"
        )


def bits_of(dtype: DType) -> int:
    """What an element takes in a file: several of four or two bits are a byte."""
    return dtype.bits if dtype.is_storage and dtype.bits <= 4 else 8 * dtype.itemsize


def _require_no_gaps(entries: Mapping[str, Entry], start: int, size: int, source: Source) -> None:
    place, before = start, "the header"
    for name, entry in sorted(entries.items(), key=lambda item: (item[1].begin, item[1].end)):
        if entry.begin != place:
            how = "overlap" if entry.begin < place else "have something between them"
            raise source.damaged(f"{before} and {quoted(name)} {how}")
        place, before = entry.end, quoted(name)
    if place != size:
        raise source.damaged(f"{size - place} bytes follow the last tensor")


class Stored(NamedTuple):
    """A tensor that is to be written.

    Args:
        code: of its dtype, as the format has it.
        content: gives its bytes, when their turn has come: so no second copy of all tensors is needed.
    """

    code: str
    shape: tuple[int, ...]
    nbytes: int
    content: Callable[[], Bytes]


def written(
    tensors: Mapping[str, Stored], metadata: Mapping[str, str] | None
) -> Iterator[Bytes | bytes]:
    """A file, piece by piece.

    Tensors of wide dtypes come first: then each is aligned to its own elements, as mapped tensors have to be.
    """
    order = sorted(tensors, key=lambda name: (-CODES[tensors[name].code].itemsize, name))
    table: dict[str, Any] = {} if metadata is None else {METADATA: dict(metadata)}
    place = 0
    for name in order:
        code, shape, nbytes, _ = tensors[name]
        table[name] = {
            "dtype": code, "shape": list(shape), "data_offsets": [place, place + nbytes],
        }  # fmt: skip
        place += nbytes
    text = json.dumps(table, ensure_ascii=False, separators=(",", ":")).encode()
    if len(text) > _LONGEST:
        raise ArgumentError(
            f"save: what is said of the tensors takes {len(text)} bytes; the format has {_LONGEST} at most; put many "
            "numbers or texts into arrays, or write several files"
        )
    text += b" " * (-(8 + len(text)) % _ALIGNMENT)
    yield len(text).to_bytes(8, "little") + text
    for name in order:
        yield tensors[name].content()
