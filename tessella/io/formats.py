"""Files of every format, by one name: what a file is, it says by its content, or by its ending before it is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tessella.arguments import public
from tessella.arguments.kinds import Device
from tessella.errors import ArgumentError
from tessella.io.contents import Contents, place_of
from tessella.io.gguf import is_gguf, load_gguf
from tessella.io.npz import load_npz, save_npz
from tessella.io.pytorch import is_pytorch, load_pytorch, save_pytorch
from tessella.io.safetensors import Texts
from tessella.io.sharded import load_sharded
from tessella.io.sources import PathLike
from tessella.io.trees import load_tree, save_tree

OF_OTHERS = {".pt": save_pytorch, ".pth": save_pytorch, ".bin": save_pytorch, ".npz": save_npz}


@public
def save(tree: Any, path: PathLike, metadata: Texts = None) -> None:
    """Write a tree to a file: dicts, lists and tuples of tensors, arrays, numbers, texts, bytes and None.

    `ts.load` gives back what was saved, bit by bit: the dtypes, the order of dicts, tuples as tuples, integers of
    any size, NaN. A tensor that stands in several places is one afterwards, too; one whose elements another one has
    as well is written once. The file is written whole or not at all, and is on the disk when this comes back.

    A file that ends in `.pt`, `.pth` or `.bin` is one of PyTorch's (`ts.io.save_pytorch`), one in `.npz` of NumPy's
    (`ts.io.save_npz`); any other one is in the safetensors format, the tree being told beside the tensors.

    Args:
        tree: keys of dicts are texts and integers. `OrderedDict` stays one. A model, or an optimiser, gives its
            `state_dict()`.
        metadata: texts with names, to be kept beside it; `ts.io.safe_open(path).metadata()` has them.

    Dtypes: all, and NumPy's of the same names.

    Raises:
        ArgumentTypeError: something in the tree is none of these; its way is told.
        DTypeError: an array of a dtype that Tessella, or the format, does not have.
        ArgumentError: the tree holds itself, or is nested more than 100 deep; metadata for a format that has none.
        OSError: the file cannot be written.

    >>> import tempfile
    >>> import tessella as ts
    >>> model = ts.nn.Linear(3, 2)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     ts.save({"model": model.state_dict(), "epoch": 3, "losses": [0.5, 0.25]}, f"{folder}/last.ts")
    ...     found = ts.load(f"{folder}/last.ts")
    >>> found["epoch"], found["losses"], list(found["model"])
    (3, [0.5, 0.25], ['weight', 'bias'])
    """
    ending = place_of(path, "save").suffix
    if ending not in OF_OTHERS:
        save_tree(tree, path, metadata)
        return
    if metadata is not None:
        raise ArgumentError(
            f"save: metadata was given, which files that end in {ending} have no place for; leave it out, or choose "
            "another ending, for example .safetensors"
        )
    OF_OTHERS[ending](tree, path)


@public
def load(path: PathLike, *, device: Device = None) -> Any:
    """What a file holds, or a folder of files with an index, whatever format its content is of.

    The tree that `ts.save` has written; of other safetensors files, of folders of them and of NumPy's `.npz` the tensors by their
    names; what `torch.save` has written, without executing anything; facts and tensors of a GGUF file. `ts.io` has a
    function for each, with what else can be wished.

    Files in the safetensors format are mapped: elements are read where they are looked at, and none is copied where the
    device shares the host's memory. What is done with tensors and arrays changes no file.

    Args:
        device: where the tensors are to be; that of the thread, if it is left out.

    Raises:
        FileFormatError: it is no such file, or damaged.
        UnsafeFileError: a pickle wants to call something.
        DTypeError: a tensor of a dtype that Tessella does not have.
        OSError: it cannot be read.
    """
    return _reader(place_of(path, "load"))(path, device=device)


def _reader(place: Path) -> Any:
    """The function for a file."""
    if place.is_dir():
        return load_sharded
    with Contents(place, "load") as contents:
        head = contents.read(0, min(9, contents.size), "its beginning")
    if is_gguf(place):
        return load_gguf
    if head[8:] == b"{":  # behind its length, which may begin as any other file does
        return load_tree
    if head.startswith(b"PK"):
        return load_pytorch if is_pytorch(place) else load_npz
    if head.startswith(b"\x80"):
        return load_pytorch
    return load_sharded if head.startswith(b"{") else load_tree
