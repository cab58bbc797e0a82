"""Zip archives of records, read with distrust and written for PyTorch.

Everything that an archive says of itself is held against the file before anything is allocated: where a record lies, how
long it is, that no two share a byte, and what becomes of it when it is unpacked.

Source: PKWARE, *.ZIP File Format Specification* (APPNOTE.TXT), 6.3.10, sections 4.3 and 4.5.3.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from tessella.errors import FileFormatError, UnsafeFileError
from tessella.io.contents import Contents, shown

Bytes: TypeAlias = Any  # np.ndarray of uint8, which mypy does not take for a buffer

_LOCAL = struct.Struct("<4s5H3I2H")  # the header before a record
_CENTRAL = struct.Struct("<4s6H3I5H2I")  # its row in the directory
_END = struct.Struct("<4s4H2IH")
_END64 = struct.Struct("<4sQ2H2I4Q")
_LOCATOR64 = struct.Struct("<4sIQI")
LOCAL, CENTRAL, END, END64, LOCATOR64 = b"PK\3\4", b"PK\1\2", b"PK\5\6", b"PK\6\6", b"PK\6\7"

_STORED, _DEFLATED = 0, 8
_ENCRYPTED, _SIZES_FOLLOW, _UTF8 = 1, 8, 1 << 11
_LONGEST_COMMENT = 0xFFFF
_IS_IN_64_BITS = 0xFFFFFFFF
_EXTRA_64 = 1
_GROWTH = 100  # times the file's size that records may grow to by being unpacked;
_ALWAYS = 256 << 20  # and what they may grow to in any case
_ALIGNMENT = 64
_PADDING = 0x4246  # the mark that PyTorch gives what it aligns records with


class Record(NamedTuple):
    """A record of an archive, as its directory has it; `start` is where its bytes lie in the file."""

    name: str
    start: int
    packed: int
    size: int
    crc: int
    method: int
    header: int


class Archive(Mapping[str, Record]):
    """The records of an archive by their names, all held against the file.

    Raises:
        FileFormatError: it is damaged, cut short or no archive.
        UnsafeFileError: it is made to mislead: records share bytes or names, leave the folder, or grow beyond measure.
    """

    def __init__(self, contents: Contents) -> None:
        self._contents = contents
        directory, count, end = _directory(contents)
        rows = list(_rows(directory, count))
        self._records = {row.name: _located(contents, row) for row in rows}
        if len(self._records) < count:
            raise UnsafeFileError("is hostile: two records of it have the same name")
        _require_apart(self._records.values(), end)
        _require_bounded(self._records.values(), contents.size)

    def __getitem__(self, name: str) -> Record:
        return self._records[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._records)

    def __len__(self) -> int:
        return len(self._records)

    def array(self, record: Record, is_mapped: bool = False) -> Bytes:
        """The bytes of a record: a copy, or where they lie in the file if it is mapped and they are not packed.

        Raises:
            FileFormatError: they are not what the directory says.
        """
        what = f"the record {shown(record.name)}"
        if record.method == _STORED:
            if is_mapped:
                return self._contents.mapped(record.start, record.size, what)
            found: Bytes = self._contents.array(record.start, record.size, what)
        else:
            packed = self._contents.array(record.start, record.packed, what)
            found = np.frombuffer(_unpacked(packed, record.size, what), np.uint8)
        if record.crc and zlib.crc32(found) != record.crc:  # 0 says that none was computed
            raise FileFormatError(
                f"is damaged: {what} does not have the checksum it was written with"
            )
        return found


def _unpacked(packed: Bytes, size: int, what: str) -> bytes:
    """Deflated bytes as they were; never more than was said."""
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        found = stream.decompress(memoryview(packed), size + 1)
    except zlib.error as error:
        raise FileFormatError(f"is damaged: {what} cannot be unpacked ({error})") from None
    if len(found) != size or not stream.eof:
        raise FileFormatError(f"is damaged: {what} does not unpack to the {size} bytes it says")
    return found


# --- the directory ----------------------------------------------------------------------------------


def _directory(contents: Contents) -> tuple[bytes, int, int]:
    """The bytes of the directory, how many rows it has, and where it begins."""
    count, size, start, end = _end(contents)
    if start + size > end:
        raise FileFormatError(
            "is damaged: the directory of its records does not lie before its end"
        )
    if count * _CENTRAL.size > size:
        raise FileFormatError(f"is damaged: its directory has no room for {count} records")
    return contents.read(start, size, "the directory of its records"), count, start


def _end(contents: Contents) -> tuple[int, int, int, int]:
    """What the last bytes of an archive say: how many records, the directory's size, its start; where it must end."""
    most = min(contents.size, _END.size + _LONGEST_COMMENT)
    tail = contents.read(contents.size - most, most, "its end")
    found = tail.rfind(END)
    if found < 0 or found + _END.size > len(tail):
        raise FileFormatError(
            "is damaged or cut short: it begins as a zip archive, but the directory at its end is missing"
        )
    place = contents.size - most + found
    _, disk, first, here, count, size, start, comment = _END.unpack_from(tail, found)
    if disk or first or here != count or found + _END.size + comment != len(tail):
        raise FileFormatError("is damaged: its last bytes are not the end of one zip archive")
    locator = (
        contents.read(place - _LOCATOR64.size, _LOCATOR64.size, "its end") if place >= 20 else b""
    )
    if not locator.startswith(LOCATOR64):
        return count, size, start, place
    return _end_of_64_bits(contents, locator, place - _LOCATOR64.size)


def _end_of_64_bits(contents: Contents, locator: bytes, place: int) -> tuple[int, int, int, int]:
    _, disk, start, disks = _LOCATOR64.unpack(locator)
    if disk or disks > 1 or start + _END64.size > place:
        raise FileFormatError("is damaged: its last bytes are not the end of one zip archive")
    fields = _END64.unpack(contents.read(start, _END64.size, "its end"))
    mark, _, _, _, disk, first, here, count, size, directory = fields
    if mark != END64 or disk or first or here != count:
        raise FileFormatError("is damaged: its last bytes are not the end of one zip archive")
    return count, size, directory, start


def _rows(directory: bytes, count: int) -> Iterator[Record]:
    position = 0
    for _ in range(count):
        if position + _CENTRAL.size > len(directory):
            raise FileFormatError("is damaged: the directory of its records is cut short")
        fields = _CENTRAL.unpack_from(directory, position)
        mark, _, _, flags, method, _, _, crc, packed, size, name, extra, comment, *_, header = (
            fields
        )
        after = position + _CENTRAL.size
        end = after + name + extra + comment
        if mark != CENTRAL or end > len(directory):
            raise FileFormatError("is damaged: the directory of its records is not one")
        told = _name(directory[after : after + name])
        _require_readable(told, flags, method)
        wide = _wide(directory[after + name : after + name + extra], (size, packed, header))
        yield Record(told, 0, wide[1], wide[0], crc, method, wide[2])
        position = end
    if position != len(directory):
        raise FileFormatError("is damaged: the directory of its records holds more than them")


def _name(raw: bytes) -> str:
    try:
        name = raw.decode("utf8")
    except UnicodeDecodeError:
        raise FileFormatError(f"is damaged: a record is called {shown(raw)}") from None
    if name.startswith("/") or "\\" in name or "\0" in name or ".." in name.split("/"):
        raise UnsafeFileError(
            f"is hostile: a record is called {shown(name)}, a path out of the archive"
        )
    return name


def _require_readable(name: str, flags: int, method: int) -> None:
    if flags & _ENCRYPTED:
        raise FileFormatError(f"cannot be read: the record {shown(name)} is encrypted")
    if method not in (_STORED, _DEFLATED):
        raise FileFormatError(
            f"cannot be read: the record {shown(name)} is packed by method {method}; only stored and deflated ones "
            "can be"
        )


def _wide(extra: bytes, fields: tuple[int, ...]) -> list[int]:
    """The numbers of a row, those of 64 bits from where they are kept."""
    if _IS_IN_64_BITS not in fields:
        return list(fields)
    kept = _extra_of_64_bits(extra)
    needed = fields.count(_IS_IN_64_BITS)
    if len(kept) < 8 * needed:
        raise FileFormatError(
            "is damaged: a number of 64 bits is missing in the directory of its records"
        )
    numbers = iter(struct.unpack_from(f"<{needed}Q", kept))
    return [next(numbers) if field == _IS_IN_64_BITS else field for field in fields]


def _extra_of_64_bits(extra: bytes) -> bytes:
    position = 0
    while position + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, position)
        if kind == _EXTRA_64:
            return extra[position + 4 : position + 4 + length]
        position += 4 + length
    return b""


def _located(contents: Contents, row: Record) -> Record:
    """A row of the directory with the place of its bytes, after the header before them said the same."""
    what = f"the record {shown(row.name)}"
    head = contents.read(row.header, _LOCAL.size, f"the header of {what}")
    mark, _, flags, method, _, _, _, packed, size, name, extra = _LOCAL.unpack(head)
    told = contents.read(row.header + _LOCAL.size, name, f"the header of {what}")
    if mark != LOCAL or told != row.name.encode("utf8") or method != row.method:
        raise UnsafeFileError(
            f"is hostile or damaged: {what} is another one in the directory than in its place"
        )
    known = (_IS_IN_64_BITS, 0) if flags & _SIZES_FOLLOW else (_IS_IN_64_BITS,)
    if not (size in (row.size, *known) and packed in (row.packed, *known)):
        raise UnsafeFileError(
            f"is hostile or damaged: {what} has another size in the directory than in its place"
        )
    if row.method == _STORED and row.size != row.packed:
        raise FileFormatError(
            f"is damaged: {what} has {row.packed} bytes, and should have {row.size}"
        )
    start = row.header + _LOCAL.size + name + extra
    contents.check(start, row.packed, what)
    return row._replace(start=start)


def _require_apart(records: Iterable[Record], end: int) -> None:
    """No byte of the file is in two records, or in one and the directory."""
    before = 0
    for record in sorted(records, key=lambda record: (record.header, record.start)):
        if record.header < before:
            raise UnsafeFileError(
                f"is hostile: the record {shown(record.name)} lies on top of another one"
            )
        before = record.start + record.packed
    if before > end:
        raise UnsafeFileError("is hostile: a record lies on top of the directory")


def _require_bounded(records: Iterable[Record], size: int) -> None:
    grown = sum(record.size for record in records if record.method == _DEFLATED)
    if grown > max(_ALWAYS, _GROWTH * size):
        raise UnsafeFileError(
            f"is hostile: its {size} bytes would unpack to {grown}; if that is meant, pack it anew with `zip -0`"
        )


# --- writing ----------------------------------------------------------------------------------------


def pieces(records: Iterable[tuple[str, Any]]) -> Iterator[Any]:
    """The bytes of an archive, piece by piece: names and buffers, stored as they are and aligned to 64 bytes.

    >>> len(b"".join(pieces([("folder/name", b"content")])))
    150
    """
    place, rows = 0, []
    for name, content in records:
        view = memoryview(content).cast("B") if memoryview(content).nbytes else memoryview(b"")
        crc, told = zlib.crc32(view), name.encode("utf8")
        header = _header(told, view.nbytes, crc, place)
        yield header
        yield view
        rows.append(_row(told, view.nbytes, crc, place))
        place += len(header) + view.nbytes
    directory = b"".join(rows)
    yield directory
    yield _endings(len(rows), len(directory), place)


def _header(name: bytes, size: int, crc: int, place: int) -> bytes:
    """What comes before a record, as long as it must be for the record to be aligned."""
    wide = size >= _IS_IN_64_BITS
    numbers = struct.pack("<2H2Q", _EXTRA_64, 16, size, size) if wide else b""
    unaligned = place + _LOCAL.size + len(name) + len(numbers) + 4
    padding = -unaligned % _ALIGNMENT
    extra = numbers + struct.pack("<2H", _PADDING, padding) + b"Z" * padding
    told = _IS_IN_64_BITS if wide else size
    fields = (
        LOCAL,
        45 if wide else 20,
        _UTF8,
        _STORED,
        0,
        0,
        crc,
        told,
        told,
        len(name),
        len(extra),
    )
    return _LOCAL.pack(*fields) + name + extra


def _row(name: bytes, size: int, crc: int, place: int) -> bytes:
    numbers = (size, size, place)
    wide = [number for number in numbers if number >= _IS_IN_64_BITS]
    extra = struct.pack(f"<2H{len(wide)}Q", _EXTRA_64, 8 * len(wide), *wide) if wide else b""
    told = [min(number, _IS_IN_64_BITS) for number in numbers]
    version = 45 if wide else 20
    fields = (
        CENTRAL, version, version, _UTF8, _STORED, 0, 0, crc, *told[:2], len(name), len(extra), 0, 0, 0, 0, told[2],
    )  # fmt: skip
    return _CENTRAL.pack(*fields) + name + extra


def _endings(count: int, size: int, start: int) -> bytes:
    short = (min(count, 0xFFFF), min(size, _IS_IN_64_BITS), min(start, _IS_IN_64_BITS))
    end = _END.pack(END, 0, 0, short[0], *short, 0)
    if short == (count, size, start) and count < 0xFFFF and _IS_IN_64_BITS not in short:
        return end
    wide = _END64.pack(END64, _END64.size - 12, 45, 45, 0, 0, count, count, size, start)
    return wide + _LOCATOR64.pack(LOCATOR64, 0, start + size, 1) + end
