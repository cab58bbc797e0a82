"""Trees of tensors in one file: what nested `state_dict`s hold, with numbers, texts and arrays among it.

The tensors are those of a safetensors file, under names that tell their ways; what is around them is one of the texts
that the format keeps beside tensors. So a file is one whole, others read its tensors, and nothing is executed.
"""

from __future__ import annotations

from typing import Any

from tessella.arguments import public
from tessella.arguments.kinds import Device
from tessella.errors import ArgumentError
from tessella.io import safetensors
from tessella.io.contents import place_of
from tessella.io.safetensors import Texts
from tessella.io.sources import PathLike, Source
from tessella.io.tensor_files import TensorFile
from tessella.io.tree_reader import TreeReader
from tessella.io.tree_writer import STRUCTURE, TreeWriter


@public
def save(tree: Any, path: PathLike, metadata: Texts = None) -> None:
    """Write a tree to a file: dicts, lists and tuples of tensors, arrays, numbers, texts, bytes and None.

    `ts.load` gives back what was saved, bit by bit: the dtypes, the order of dicts, tuples as tuples, integers of
    any size, NaN. A tensor that stands in several places is one afterwards, too; one whose elements another one has
    as well is written once. The file is written whole or not at all, and is on the disk when this comes back.

    Args:
        tree: keys of dicts are texts and integers. `OrderedDict` stays one. A model, or an optimiser, gives its
            `state_dict()`.
        metadata: texts with names, to be kept beside it; `ts.io.safe_open(path).metadata()` has them.

    Dtypes: all, and NumPy's of the same names.

    Raises:
        ArgumentTypeError: something in the tree is none of these; its way is told.
        DTypeError: an array of a dtype that Tessella does not have.
        ArgumentError: the tree holds itself, or is nested more than 100 deep.
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
    place = place_of(path, "save")
    beside = safetensors.texts(metadata, "save") or {}
    if STRUCTURE in beside:
        raise ArgumentError(
            f"save: metadata has {STRUCTURE!r}, where the tree is kept; use another name"
        )
    writer = TreeWriter()
    structure = writer.text(tree)
    safetensors.write(place, writer.tensors, {**beside, STRUCTURE: structure})


@public
def load(path: PathLike, *, device: Device = None) -> Any:
    """The tree that `ts.save` has written to a file; of any other safetensors file its tensors, by their names.

    The file is mapped: elements are read where they are looked at, and none is copied where the device shares the
    host's memory. What is done with tensors and arrays changes no file.

    Args:
        device: where the tensors are to be; that of the thread, if it is left out.

    Raises:
        FileFormatError: it is no such file, or damaged.
        DTypeError: a tensor of a dtype that Tessella does not have.
        OSError: it cannot be read.
    """
    file = TensorFile(Source(path, "load", safetensors.FORMAT), device)
    structure = file.metadata.get(STRUCTURE)
    if structure is None:
        return {name: file.tensor(name) for name in sorted(file.entries)}
    return TreeReader(file).tree(structure)
