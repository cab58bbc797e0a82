"""Damaged files of PyTorch, and of GGUF: instructions of pickles changed one by one, in an archive that is right."""

from __future__ import annotations

import functools
import io
import itertools
import pickletools
import struct
import tempfile
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np

import tessella as ts
from tests.io import pickles
from tests.io.mutations import NUMBERS, Chance, blind
from tests.io.pickles import named, plain

# what somebody who means harm puts between the instructions
_HOSTILE = (
    named("os", "system"), named("builtins", "eval"), named("torch._utils", "_rebuild_tensor_v2"), named("torch", "Size"),
    named("collections", "OrderedDict"), named("collections", "defaultdict"), named("numpy", "dtype"),
    named("numpy._core.multiarray", "_reconstruct"), named("torch.nn.parameter", "Parameter"), named("builtins", "bytearray"),
    b"R", b"b", b"\x81", b"Q", b"P0\n", b"i" b"os\nsystem\n", b"o", b"\x82\1", b"\x92", b"\x97", b"\x98", b"\x93", b"(", b"t",
    b"0", b"1", b"2", b"q\0", b"h\0", b"r\xff\xff\xff\xff", b"j\xff\xff\xff\x7f", b"\x94", b"a", b"e", b"s", b"u", b"d", b"l",
    b"\x85", b"\x86", b"\x87", b")", b"]", b"}", b"\x8f", b"\x90", b"\x91", b"N", b"\x88", b"\x95" + b"\xff" * 8, b".",
    b"\x8b\xff\xff\xff\x7f", b"X\xff\xff\xff\xff", b"\x8d" + b"\xff" * 8, b"\x96" + b"\xff" * 8, b"I1e5\n", b"L" b"9" * 5000 + b"\n",
    b"Fnan\n", b"Vx\\ud800\n", b"S'\n", b"\x80\xff",
)  # fmt: skip
_VALUES = (
    *NUMBERS,
    -1,
    -(1 << 31),
    True,
    None,
    1.5,
    "0",
    "../0",
    b"x",
    (),
    (1,),
    (1 << 40, 1 << 40),
    [],
    {},
    "storage",
)


def _instructions(pickle: bytes) -> list[bytes]:
    """The instructions of a pickle, one by one."""
    places = [place for _, _, place in pickletools.genops(pickle)] + [len(pickle)]
    return [pickle[start:end] for start, end in itertools.pairwise(places)]


def _other_instructions(pickle: bytes, chance: Chance) -> bytes:
    parts = _instructions(pickle)
    for _ in range(chance.choice((1, 1, 2, 4))):
        place = chance.randrange(len(parts))
        new = chance.choice(_HOSTILE) if chance.random() < 0.5 else plain(chance.choice(_VALUES))
        other = chance.choice(parts)
        parts[place : place + chance.choice((0, 1, 1))] = [chance.choice((new, new, other))]
    return b"".join(parts)


def pickle_mutant(content: bytes, chance: Chance) -> bytes:
    """Another pickle in an archive whose checksums are right."""
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        records = {name: file.read(name) for name in file.namelist()}
    name = next(name for name in records if name.endswith("data.pkl"))
    records[name] = chance.choice((_other_instructions, _other_instructions, blind))(
        records[name], chance
    )
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", chance.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as file:  # fmt: skip
        for name, record in records.items():
            file.writestr(name, record)
    return stream.getvalue()


def directory_mutant(content: bytes, chance: Chance) -> bytes:
    """Other numbers in the directory at the end of an archive, and in the headers of records."""
    marks = [
        place for mark in (b"PK\1\2", b"PK\3\4", b"PK\5\6") for place in _places(content, mark)
    ]
    data = bytearray(content)
    for _ in range(chance.choice((1, 1, 2))):
        start = chance.choice(marks) + 4 + 2 * chance.randrange(21)
        width = chance.choice((2, 4))
        number = chance.choice(
            (*NUMBERS, len(content), int.from_bytes(data[start : start + width], "little") + 1)
        )
        data[start : start + width] = (number % (1 << 8 * width)).to_bytes(width, "little")
    return bytes(data)


def _places(content: bytes, mark: bytes) -> list[int]:
    found, place = [], content.find(mark)
    while place >= 0:
        found.append(place)
        place = content.find(mark, place + 1)
    return found


def stream_mutant(content: bytes, chance: Chance) -> bytes:
    """Another main pickle in the old format."""
    before, pickle, after = _of_stream(content)
    return before + _other_instructions(pickle, chance) + after


def _of_stream(content: bytes) -> tuple[bytes, bytes, bytes]:
    place, stream = 0, io.BytesIO(content)
    for number in range(4):
        start = place
        for _ in pickletools.genops(stream):
            place = stream.tell()
        if number == 3:
            return content[:start], content[start:place], content[place:]
    raise AssertionError("the samples are whole")


@functools.cache
def archives() -> list[bytes]:
    shared = ts.nn.Parameter(ts.ones((2, 2)))
    tree = {
        "model": OrderedDict(w=shared, again=shared, half=ts.ones(3, dtype=ts.bfloat16), wide=ts.arange(3).astype(ts.uint16)),
        "optimizer": {"state": {0: {"step": 3, "average": ts.zeros((2, 2))}}, "groups": [{"lr": 0.1, "betas": (0.9, 0.99)}]},
        "others": [None, True, 1 << 80, "text", b"bytes", 1j, {1, 2}, ts.float32],
    }  # fmt: skip
    with tempfile.NamedTemporaryFile() as file:
        ts.io.save_pytorch(tree, file.name)
        large = Path(file.name).read_bytes()
    arrays = plain({"a": np.arange(4.0), "b": np.float32(1)})
    return [large, pickles.archive(pickles.tensor(), pickles.NUMBERS), pickles.archive(arrays)]


@functools.cache
def streams() -> list[bytes]:
    old = pickles.storage("0", 6, named("torch", "FloatStorage"), None)
    part = pickles.storage("1", 6, named("torch", "LongStorage"), ("view", 2, 3))
    both = (
        b"}("
        + plain("a")
        + pickles.tensor(where=old)
        + plain("b")
        + pickles.tensor((3,), (1,), 0, part)
        + b"u"
    )
    raw = struct.pack("<q6q", 6, *range(6))
    return [
        pickles.legacy(pickles.tensor(where=old), pickles.NUMBERS),
        pickles.legacy(both, pickles.NUMBERS, keys=["0", "1"]) + raw,
    ]


# --- GGUF -----------------------------------------------------------------------------------------------


def _text(value: str) -> bytes:
    return struct.pack("<Q", len(value)) + value.encode()


def gguf(
    facts: list[tuple[str, int, bytes]], tensors: list[tuple[str, tuple[int, ...], int, bytes]],
    version: int = 3, alignment: int = 32,
) -> bytes:  # fmt: skip
    """A GGUF file: facts with their kinds, tensors with their sizes in the order of the file and their kinds."""
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(facts))
    head += b"".join(_text(name) + struct.pack("<I", kind) + raw for name, kind, raw in facts)
    body = b""
    for name, sizes, kind, raw in tensors:
        body += bytes(-len(body) % alignment)
        head += _text(name) + struct.pack(f"<I{len(sizes)}QIQ", len(sizes), *sizes, kind, len(body))
        body += raw
    return head + bytes(-len(head) % alignment) + body


@functools.cache
def ggufs() -> list[bytes]:
    facts = [
        ("general.architecture", 8, _text("llama")), ("a", 4, struct.pack("<I", 3)), ("b", 7, b"\1"),
        ("words", 9, struct.pack("<IQ", 8, 2) + _text("x") + _text("yy")), ("scores", 9, struct.pack("<IQ2f", 6, 2, 1, 2)),
        ("deep", 9, struct.pack("<IQIQ2H", 9, 1, 2, 2, 5, 6)),
    ]  # fmt: skip
    raw = np.random.default_rng(0).integers(0, 256, 1000, dtype=np.uint8).tobytes()
    tensors = [
        ("plain", (3, 2), 0, struct.pack("<6f", *range(6))), ("half", (4,), 1, bytes(8)), ("four", (32, 2), 2, raw[:36]),
        ("k", (256,), 14, raw[:210]), ("none", (0, 3), 0, b""),
    ]  # fmt: skip
    return [gguf(facts, tensors), gguf([], [("x", (2,), 26, bytes(8))], version=2), gguf([], [])]
