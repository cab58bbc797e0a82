"""Files of tensors."""

from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import NoReturn as _NoReturn

from tessella.io.formats import load, save
from tessella.io.gguf import GGUF, load_gguf
from tessella.io.npz import load_npz, save_npz
from tessella.io.pytorch import load_pytorch, save_pytorch
from tessella.io.safetensors import load_file, safe_open, save_file
from tessella.io.sharded import load_sharded, save_sharded
from tessella.names import missing as _missing

if not _TYPE_CHECKING:  # for which it would mean that all names are there

    def __getattr__(name: str) -> _NoReturn:
        """The error says what other libraries mean by this name, or which name is near it."""
        raise _missing("io", name)


__all__ = [
    "GGUF",
    "load",
    "load_file",
    "load_gguf",
    "load_npz",
    "load_pytorch",
    "load_sharded",
    "safe_open",
    "save",
    "save_file",
    "save_npz",
    "save_pytorch",
    "save_sharded",
]
