"""Sequences of different lengths, under PyTorch's names."""

from typing import TYPE_CHECKING, NoReturn

from tessella.names import missing
from tessella.nn.packing import (
    PackedSequence,
    invert_permutation,
    pack_padded_sequence,
    pack_sequence,
    pad_packed_sequence,
    pad_sequence,
    unpack_sequence,
    unpad_sequence,
)

if not TYPE_CHECKING:  # for which it would mean that all names are there

    def __getattr__(name: str) -> NoReturn:
        """The error says what other libraries mean by this name, or which name is near it."""
        raise missing("utils", name)


__all__ = [
    "PackedSequence", "invert_permutation", "pack_padded_sequence", "pack_sequence",
    "pad_packed_sequence", "pad_sequence", "unpack_sequence", "unpad_sequence",
]  # fmt: skip
