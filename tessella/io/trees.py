"""Trees of tensors in one file: what nested `state_dict`s hold, with numbers, texts and arrays among it.

The tensors are those of a safetensors file, under names that tell their ways; what is around them is one of the texts
that the format keeps beside tensors. So a file is one whole, others read its tensors, and nothing is executed.
"""

from __future__ import annotations

from typing import Any

from tessella.arguments.kinds import Device
from tessella.errors import ArgumentError
from tessella.io import safetensors
from tessella.io.contents import place_of
from tessella.io.safetensors import Texts
from tessella.io.sources import PathLike, Source
from tessella.io.tensor_files import TensorFile
from tessella.io.tree_reader import TreeReader
from tessella.io.tree_writer import STRUCTURE, TreeWriter


def save_tree(tree: Any, path: PathLike, metadata: Texts = None) -> None:
    """What `save` does, in the format of this package."""
    place = place_of(path, "save")
    beside = safetensors.texts(metadata, "save") or {}
    if STRUCTURE in beside:
        raise ArgumentError(
            f"save: metadata has {STRUCTURE!r}, where the tree is kept; use another name"
        )
    writer = TreeWriter()
    structure = writer.text(tree)
    safetensors.write(place, writer.tensors, {**beside, STRUCTURE: structure})


def load_tree(path: PathLike, device: Device = None) -> Any:
    """The tree that a file has; of any other safetensors file its tensors, by their names."""
    file = TensorFile(Source(path, "load", safetensors.FORMAT), device)
    structure = file.metadata.get(STRUCTURE)
    if structure is None:
        return {name: file.tensor(name) for name in sorted(file.entries)}
    return TreeReader(file).tree(structure)
