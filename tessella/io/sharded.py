"""Tensors with names in several files, and an index that says which one is where: as Hugging Face keeps large models.

Source: Hugging Face, *huggingface_hub*, serialization: https://huggingface.co/docs/huggingface_hub/package_reference/serialization.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from tessella import files
from tessella.arguments import public
from tessella.arguments.kinds import UNFIT, Device, Kind, register_kind
from tessella.errors import ArgumentError, FileFormatError
from tessella.io import plain_json, safetensors
from tessella.io.contents import place_of
from tessella.io.headers import Stored
from tessella.io.safetensors import FORMAT, Named, Texts
from tessella.io.sources import PathLike, Source, quoted
from tessella.io.tensor_files import TensorFile
from tessella.tensors.tensor import Tensor

ONE, INDEX = "model.safetensors", "model.safetensors.index.json"
_SAVED = "tessella.saved"  # by which shards know which index they belong to
_UNITS = {"": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30, "TIB": 1 << 40}  # fmt: skip
_LARGEST_INDEX = 1 << 30


def _bytes(value: Any) -> Any:
    """A number of bytes, which may be written with a unit."""
    text = str(value) if type(value) is int else value
    found = re.fullmatch(r"(\d{1,18}) ?([A-Z]*)", text.upper()) if isinstance(text, str) else None
    if found is None or found[2] not in _UNITS or not int(found[1]):
        return UNFIT
    return int(found[1]) * _UNITS[found[2]]


ShardSize: TypeAlias = int | str
register_kind(
    "ShardSize",
    Kind("a number of bytes, as 5_000_000_000, '5GB' or '500MiB'", "False", _bytes, ArgumentError),
)


class Shard(NamedTuple):
    """One of the files."""

    tensors: dict[str, Stored]
    nbytes: int


@public
def save_sharded(
    tensors: Named, folder: PathLike, max_shard_size: ShardSize = "5GB", metadata: Texts = None
) -> None:
    """Write tensors with names to a folder, in files of a bounded size, with the index that Hugging Face reads.

    What fits into one file is `model.safetensors`, without an index; else there are
    `model-00001-of-00003.safetensors` and so on, and `model.safetensors.index.json`. The index is written last, and
    the files of an earlier saving that it no longer names are removed then: so the folder holds the one or the other
    whole, and shards of two savings are not taken for one.

    Args:
        folder: made if it is not there.
        max_shard_size: of a file, a larger tensor has one of its own; `"5GB"` are 5 x 10^9 bytes, `"5GiB"` 5 x 2^30.
        metadata: texts with names, for each file. Hugging Face's *transformers* wants `{"format": "pt"}`.

    Raises:
        ArgumentTypeError, ArgumentError, DTypeError: as of `save_file`.
        OSError: something cannot be written.

    >>> import os, tempfile
    >>> import tessella as ts
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     ts.io.save_sharded({"a": ts.ones(100), "b": ts.zeros(100)}, folder, max_shard_size=500)
    ...     print(sorted(os.listdir(folder))[:2])
    ...     print(list(ts.io.load_sharded(folder)))
    ['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors']
    ['a', 'b']
    """
    place = place_of(folder, "save_sharded")
    stored = safetensors.stored(tensors, "save_sharded")
    texts = safetensors.texts(metadata, "save_sharded")
    place.mkdir(parents=True, exist_ok=True)
    before = _written_before(place)
    shards = _cut(stored, int(max_shard_size))
    names = _names(len(shards))
    if len(shards) == 1:
        safetensors.write(place / ONE, stored, texts)
    else:
        _write(place, dict(zip(names, shards, strict=True)), texts)
    _remove(place, before - {*names, INDEX if len(shards) > 1 else ""})


def _cut(tensors: Mapping[str, Stored], most: int) -> list[Shard]:
    """Tensors in their order, as many to a shard as it may have."""
    shards = [Shard({}, 0)]
    for name, stored in tensors.items():
        last = shards[-1]
        if last.tensors and last.nbytes + stored.nbytes > most:
            shards.append(Shard({}, 0))
            last = shards[-1]
        shards[-1] = Shard({**last.tensors, name: stored}, last.nbytes + stored.nbytes)
    return shards


def _names(count: int) -> list[str]:
    if count == 1:
        return [ONE]
    return [f"model-{number:05}-of-{count:05}.safetensors" for number in range(1, count + 1)]


def _write(place: Path, shards: Mapping[str, Shard], texts: Mapping[str, str] | None) -> None:
    saved = os.urandom(8).hex()
    for name, shard in shards.items():
        safetensors.write(place / name, shard.tensors, {**(texts or {}), _SAVED: saved})
    index = {
        "metadata": {"total_size": sum(shard.nbytes for shard in shards.values()), _SAVED: saved},
        "weight_map": {tensor: name for name, shard in shards.items() for tensor in shard.tensors},
    }
    with files.writing(place / INDEX, durable=True) as file:
        file.write(json.dumps(index, indent=2, ensure_ascii=False).encode())


def _written_before(place: Path) -> set[str]:
    """The files of an earlier saving: those that its index names, the index, or the one file there was."""
    found = {name for name in (ONE, INDEX) if (place / name).is_file()}
    with contextlib.suppress(FileFormatError):  # such an index names nothing
        if INDEX in found:
            found.update(
                _index(Source(place / INDEX, "save_sharded", "index", b"{")).files.values()
            )
    return found


def _remove(place: Path, names: Iterable[str]) -> None:
    """The index first: what it names is there as long as it is."""
    for name in sorted(names, key=lambda name: name != INDEX):
        (place / name).unlink(missing_ok=True)


# --- reading ----------------------------------------------------------------------------------------------


class Index(NamedTuple):
    """Which file each tensor is in, and what all files are to have been marked with."""

    files: dict[str, str]
    saved: str | None


@public
def load_sharded(path: PathLike, *, device: Device = None) -> dict[str, Tensor]:
    """The tensors of a folder of safetensors files with an index, or with one file alone, by their names.

    All files are looked at before there is any tensor; they are mapped as by `load_file`.

    Args:
        path: of the folder, or of the index in it.
        device: where the tensors are to be; that of the thread, if it is left out.

    Raises:
        FileFormatError: a file is damaged, lacks what the index says, or belongs to another saving.
        DTypeError: a tensor of a dtype that Tessella does not have.
        OSError: a file is not there, or cannot be read.
    """
    place = place_of(path, "load_sharded")
    if place.is_dir():
        if not (place / INDEX).exists():
            return safetensors.load_file(place / ONE, device=device)
        place = place / INDEX
    source = Source(place, "load_sharded", "index", b"{")
    index = _index(source)
    shards = {
        name: TensorFile(Source(place.parent / name, "load_sharded", FORMAT), device)
        for name in dict.fromkeys(index.files.values())
    }
    for name, shard in shards.items():
        if index.saved is not None and shard.metadata.get(_SAVED) != index.saved:
            raise source.damaged(f"{name} beside it was not written with it")
    for tensor, name in index.files.items():
        if tensor not in shards[name].entries:
            raise source.damaged(f"{name} has no tensor {quoted(tensor)}")
    return {tensor: shards[index.files[tensor]].tensor(tensor) for tensor in sorted(index.files)}


def _index(source: Source) -> Index:
    content = source.memory()
    if len(content) > _LARGEST_INDEX:
        raise source.damaged(f"it has {len(content)} bytes; {_LARGEST_INDEX} are the most")
    said = plain_json.parsed(content.tobytes(), "it", source)
    found = said.get("weight_map") if isinstance(said, dict) else None
    if not isinstance(found, dict) or not all(map(_is_name, found.values())):
        raise source.damaged("its weight_map is no table of names and files of its folder")
    beside = said.get("metadata")
    saved = beside.get(_SAVED) if isinstance(beside, dict) else None
    return Index(found, saved if isinstance(saved, str) else None)


def _is_name(value: Any) -> bool:
    """Whether something names a file of the same folder, and none elsewhere."""
    if not isinstance(value, str) or not value.endswith(".safetensors"):
        return False
    return not re.search(r"[/\\\0\ud800-\udfff]", value)
