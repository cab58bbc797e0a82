"""Files as PyTorch writes them, made by hand: pickles by their instructions, archives around them."""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from typing import Any

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001


def named(module: str, name: str) -> bytes:
    """The instruction that puts what a name stands for on the stack."""
    return f"c{module}\n{name}\n".encode()


def plain(value: Any) -> bytes:
    """The instructions that make a value."""
    return pickle.dumps(value, 2)[2:-1]


def called(function: bytes, *arguments: bytes) -> bytes:
    return function + b"(" + b"".join(arguments) + b"tR"


def storage(
    key: Any = "0", numel: Any = 6, kind: bytes = named("torch", "FloatStorage"), *more: Any
) -> bytes:
    """A storage that lies outside the pickle."""
    told = b"".join(map(plain, (key, "cpu", numel, *more)))
    return b"(" + plain("storage") + kind + told + b"tQ"


def tensor(
    shape: Any = (2, 3), strides: Any = (3, 1), offset: Any = 0, where: bytes = storage(),
    requires_grad: Any = False, *more: bytes,
) -> bytes:  # fmt: skip
    hooks = called(named("collections", "OrderedDict"))
    told = map(plain, (offset, shape, strides, requires_grad))
    return called(named("torch._utils", "_rebuild_tensor_v2"), where, *told, hooks, *more)


def whole(instructions: bytes) -> bytes:
    return b"\x80\x02" + instructions + b"."


def archive(
    instructions: bytes, *contents: bytes, folder: str = "archive/", **records: bytes
) -> bytes:
    """The zip format, around the instructions of a pickle and the bytes of storages."""
    parts = {"data.pkl": whole(instructions), "version": b"3\n"}
    parts |= {f"data/{number}": content for number, content in enumerate(contents)}
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        for name, content in {**parts, **records}.items():
            file.writestr(f"{folder}{name}", content)
    return stream.getvalue()


def legacy(instructions: bytes, *contents: bytes, itemsize: int = 4, keys: Any = None) -> bytes:
    """The format before, around the same."""
    facts = {"protocol_version": PROTOCOL, "little_endian": True, "type_sizes": {"int": 4}}
    head = b"".join(pickle.dumps(value, 2) for value in (MAGIC, PROTOCOL, facts))
    told = pickle.dumps([str(n) for n in range(len(contents))] if keys is None else keys, 2)
    raw = [struct.pack("<q", len(content) // itemsize) + content for content in contents]
    return head + whole(instructions) + told + b"".join(raw)


NUMBERS = struct.pack("<6f", *range(6))
