"""The formats that are read, a row each: files to be damaged, what damages them with an eye for it, what reads them."""

from __future__ import annotations

import functools
import io
import json
import struct
import tempfile
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import tessella as ts
from tests.io.mutations import Chance, Mutator, blind, json_mutant, json_text
from tests.io.pickle_mutants import (
    archives,
    directory_mutant,
    ggufs,
    pickle_mutant,
    stream_mutant,
    streams,
)


class Format(NamedTuple):
    """A format of files.

    Args:
        suffix: of their names.
        samples: gives proper files, each time the same ones.
        mutators: damage a file so that what a format checks first is right still.
        read: what is to read every file, or refuse it.
    """

    name: str
    suffix: str
    samples: Callable[[], list[bytes]]
    mutators: tuple[Mutator, ...]
    read: Callable[[Path], Any]


def written(*saves: Callable[[Path], Any]) -> list[bytes]:
    """The files that some functions write."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for number, save in enumerate(saves):
            save(Path(folder, str(number)))
            found.append(Path(folder, str(number)).read_bytes())
    return found


# --- safetensors ---------------------------------------------------------------------------------------


def _tensors() -> dict[str, Any]:
    return {
        "w": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.array([True, False, True]), "n": np.arange(5),
        "half": ts.ones((2, 2), dtype=ts.bfloat16), "none": np.zeros((0, 4), np.float64), "one": np.array(3, np.int16),
        "four": ts.asarray([1.0, -2.0]).astype(ts.float4_e2m1fn), "z": np.array([1 + 2j], np.complex64),
    }  # fmt: skip


@functools.cache
def _safetensors() -> list[bytes]:
    return written(
        lambda path: ts.io.save_file(_tensors(), path, metadata={"format": "pt"}),
        lambda path: ts.io.save_file({"a": np.ones((3, 3))}, path),
        lambda path: ts.io.save_file({}, path),
    )


def header_mutant(content: bytes, chance: Chance) -> bytes:
    """Another header of a length that is right."""
    table, rest = _taken_apart(content)
    return _put_together(json_mutant(table, chance), rest, chance)


def tensors_mutant(content: bytes, chance: Chance) -> bytes:
    """Other bytes behind the header."""
    table, rest = _taken_apart(content)
    return _put_together(table, blind(rest, chance), chance)


def structure_mutant(content: bytes, chance: Chance) -> bytes:
    """Another structure of a tree."""
    table, rest = _taken_apart(content)
    texts = table["__metadata__"]
    tree = json.loads(texts["tessella.tree"])
    texts["tessella.tree"] = json_text(json_mutant(tree, chance), chance)
    return _put_together(table, rest, chance)


def _taken_apart(content: bytes) -> tuple[Any, bytes]:
    (length,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def _put_together(table: Any, rest: bytes, chance: Chance) -> bytes:
    text = json_text(table, chance).encode("utf8", "surrogatepass")
    return struct.pack("<Q", len(text)) + text + rest


# --- trees ---------------------------------------------------------------------------------------------


@functools.cache
def _trees() -> list[bytes]:
    shared = ts.nn.Parameter(ts.ones((2, 2)))
    tree = {
        "model": OrderedDict(w=shared, again=shared, few=ts.asarray([1, -2, 3], dtype=ts.int4)),
        "optimizer": {"state": {0: {"step": 3, "average": ts.zeros((2, 2))}}, "groups": [{"lr": 0.1, "betas": (0.9, 0.99)}]},
        "numbers": [None, True, 1 << 80, float("nan"), 1 - 2j, "text", b"bytes", np.float32(1.5), np.int64(3)],
        "arrays": (np.arange(4.0), np.array([1j]), ts.asarray([0.5, 1.5]).astype(ts.float6_e2m3fn), np.zeros((0, 3))),
        "odd": ts.nn.Buffer(ts.ones(3, dtype=ts.bool), persistent=False),
    }  # fmt: skip
    return written(
        lambda path: ts.save(tree, path, metadata={"by": "hand"}),
        lambda path: ts.save([1, {"a": ts.ones(2)}], path),
        lambda path: ts.save(ts.arange(3), path),
    )


# --- NumPy's -------------------------------------------------------------------------------------------


@functools.cache
def _npz() -> list[bytes]:
    arrays = {
        "w": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.array([True, False]), "f": np.ones((2, 3), order="F"),
        "big": np.arange(3, dtype=">i4"), "none": np.zeros((0, 3)), "one": np.array(2.5), "half": np.ones(3, np.float16),
    }  # fmt: skip
    return written(
        lambda path: ts.io.save_npz({"x": ts.ones((2, 2)), "y": ts.arange(3)}, path),
        lambda path: _to(path, np.savez, arrays),
        lambda path: _to(path, np.savez_compressed, arrays),
    )


def _to(path: Path, save: Any, arrays: dict[str, Any]) -> None:
    with path.open("wb") as file:  # as NumPy adds to names that have no suffix
        save(file, **arrays)


def array_mutant(content: bytes, chance: Chance) -> bytes:
    """An archive that is right, with an array in it that is not."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = chance.choice(list(members))
    members[name] = blind(members[name], chance)
    if chance.random() < 0.2:
        members[chance.choice((name, "x", "../x.npy", "a/b.npy", "x.npy.npy"))] = members.pop(name)
    found = io.BytesIO()
    method = chance.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    with zipfile.ZipFile(found, "w", method) as archive:
        for name, member in members.items():
            archive.writestr(name, member)
    return found.getvalue()


# --- an index, with its files beside it --------------------------------------------------------------------


@functools.cache
def _shards() -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        tensors = {"a.b": ts.ones(8), "c": ts.zeros((2, 4)), "d": ts.arange(3)}
        ts.io.save_sharded(tensors, folder, max_shard_size=40)
        return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def index_mutant(content: bytes, chance: Chance) -> bytes:
    """Another index, in proper JSON."""
    return json_text(json_mutant(json.loads(content), chance), chance).encode()


def _read_index(path: Path) -> Any:
    for name, content in _shards().items():
        if name.endswith(".safetensors") and not (path.parent / name).exists():
            (path.parent / name).write_bytes(content)
    return ts.io.load_sharded(path)


FORMATS = (
    Format("safetensors", ".safetensors", _safetensors, (header_mutant, tensors_mutant), ts.io.load_file),
    Format("trees", ".ts", _trees, (header_mutant, tensors_mutant, structure_mutant, structure_mutant), ts.load),
    Format("npz", ".npz", _npz, (array_mutant,), ts.io.load_npz),
    Format("index", ".json", lambda: [_shards()["model.safetensors.index.json"]], (index_mutant,), _read_index),
    Format("archives", ".pt", archives, (pickle_mutant, pickle_mutant, directory_mutant), ts.io.load_pytorch),
    Format("streams", ".pth", streams, (stream_mutant,), ts.io.load_pytorch),
    Format("gguf", ".gguf", ggufs, (), ts.io.load_gguf),
)  # fmt: skip
