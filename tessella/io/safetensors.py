"""Tensors with names, in a file in the safetensors format: numbers and their shapes, and nothing that is executed.

Source: Hugging Face, *Safetensors*, the format: https://huggingface.co/docs/safetensors.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self, TypeAlias

import numpy as np

from tessella import files
from tessella.arguments import public
from tessella.arguments.kinds import UNFIT, Device, Kind, register_kind, shown
from tessella.errors import ArgumentError, ArgumentTypeError, DTypeError, UnknownKeyError
from tessella.io import elements, headers
from tessella.io.contents import place_of
from tessella.io.headers import CODE_OF, METADATA, Stored
from tessella.io.sources import PathLike, Source
from tessella.io.tensor_files import TensorFile
from tessella.tensors.tensor import Tensor

FORMAT = "safetensors"
Named: TypeAlias = Mapping[str, Any]  # tensors
Texts: TypeAlias = Mapping[str, str] | None
register_kind("Named", Kind("names and tensors", "True", lambda value: value))
register_kind(
    "Texts",
    Kind(
        "names and texts, such as a dict", "{0} is None",
        lambda value: value if value is None or isinstance(value, Mapping) else UNFIT,
    ),
)  # fmt: skip


@public
def save_file(tensors: Named, path: PathLike, metadata: Texts = None) -> None:
    """Write tensors with names to a file: what `state_dict()` gives, for example.

    The file is written whole or not at all, and is on the disk when this comes back. PyTorch, JAX and NumPy read it
    with the package `safetensors`.

    Args:
        tensors: from names to tensors or arrays.
        metadata: texts with names, to be kept beside them.

    Dtypes: all but complex128, and of the storage dtypes `float8_e4m3fn`, `float8_e5m2`, their `fnuz`,
    `float8_e8m0fnu`, and an even number of `float4_e2m1fn`.

    Raises:
        ArgumentTypeError: no mapping from names to tensors, or a path or metadata of another type.
        ArgumentError: a name that the format does not allow.
        DTypeError: a tensor of a dtype that the format does not have.
        OSError: the file cannot be written.

    >>> import tempfile
    >>> import tessella as ts
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     ts.io.save_file(ts.nn.Linear(3, 2).state_dict(), f"{folder}/layer.safetensors")
    ...     state = ts.io.load_file(f"{folder}/layer.safetensors")
    >>> {name: tensor.shape for name, tensor in state.items()}
    {'bias': (2,), 'weight': (2, 3)}
    """
    place = place_of(path, "save_file")
    write(place, stored(tensors, "save_file"), texts(metadata, "save_file"))


def write(place: Path, tensors: Mapping[str, Stored], metadata: Mapping[str, str] | None) -> None:
    """Write a file, piece by piece, and have it on the disk."""
    with files.writing(place, durable=True) as file:
        for piece in headers.written(tensors, metadata):
            file.write(piece)


def stored(tensors: Named, function: str) -> dict[str, Stored]:
    """Tensors with names, looked at before anything is written.

    Raises:
        ArgumentTypeError, ArgumentError, DTypeError: see `save_file`.
    """
    found = named(tensors, function)
    if METADATA in found:
        raise ArgumentError(
            f"{function}: no tensor can have the name {METADATA!r}: the format has it"
        )
    return {name: _stored(name, value, function) for name, value in found.items()}


def named(tensors: Named, function: str) -> dict[str, Any]:
    """Names and tensors or arrays, if they are such.

    Raises:
        ArgumentTypeError: they are not.
        ArgumentError: a name has no place in UTF-8.
    """
    if not isinstance(tensors, Mapping):
        raise ArgumentTypeError(
            f"{function}: {type(tensors).__name__} was given; expected names and tensors; use "
            f"{function}(model.state_dict(), path)"
        )
    found = {_text(name, "a name", function): tensors[name] for name in tensors}
    for name, value in found.items():
        if not isinstance(value, (Tensor, np.ndarray, np.generic)):
            raise ArgumentTypeError(
                f"{function}: {name!r} is of type {type(value).__name__}; expected a tensor or an array"
            )
    return found


def texts(metadata: Texts, function: str) -> dict[str, str] | None:
    """Texts with names, to be kept beside tensors.

    Raises:
        ArgumentTypeError: they are no such.
        ArgumentError: one has no place in UTF-8.
    """
    if metadata is None:
        return None
    return {
        _text(name, "a name in metadata", function): _text(
            metadata[name], f"metadata[{name!r}]", function
        )
        for name in metadata
    }


def _text(value: Any, what: str, function: str) -> str:
    if not isinstance(value, str):
        raise ArgumentTypeError(
            f"{function}: {what} is {value!r}, of type {type(value).__name__}; expected str"
        )
    try:
        value.encode("utf8")
    except UnicodeEncodeError:
        raise ArgumentError(
            f"{function}: {what} is {value!r}, which has half of a character"
        ) from None
    return value


def _stored(name: str, value: Any, function: str) -> Stored:
    dtype = elements.dtype_of(value)
    if dtype not in CODE_OF:
        instead = (
            "its real and imaginary parts"
            if dtype.is_complex
            else f"ts.pack(x), or x.astype(ts.{dtype.compute.name})"
        )
        raise DTypeError(
            f"{function}: {name!r} is of {dtype}, which the format does not have; save {instead}, or all of it by "
            "ts.save"
        )
    if value.size * headers.bits_of(dtype) % 8:
        raise DTypeError(
            f"{function}: {name!r} has {value.size} elements of {dtype}, which fill no whole bytes; the format has "
            "an even number of them; save x.astype(ts.float32), or all of it by ts.save"
        )
    return elements.stored(value)


@public
def load_file(path: PathLike, *, device: Device = None) -> dict[str, Tensor]:
    """The tensors of a file by their names, in the order of these: what `load_state_dict` takes.

    The file is mapped: its elements are read where they are looked at, and none is copied where the device shares
    the host's memory. Changing a tensor changes no file.

    Raises:
        FileFormatError: it is no file in the safetensors format, or damaged.
        DTypeError: a tensor of a dtype that Tessella does not have.
        OSError: it cannot be read.
    """
    file = TensorFile(Source(path, "load_file", FORMAT), device)
    return {name: file.tensor(name) for name in sorted(file.entries)}


class safe_open:
    """A file in the safetensors format, of which tensors are made as they are asked for.

    Its header has been checked when it is there: each tensor lies where it should, whatever is asked for later.

    Raises:
        FileFormatError: it is no file in the safetensors format, or damaged.
        OSError: it cannot be read.

    >>> import tempfile
    >>> import tessella as ts
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     ts.io.save_file({"x": ts.arange(3)}, f"{folder}/file", metadata={"made by": "hand"})
    ...     with ts.io.safe_open(f"{folder}/file") as file:
    ...         print(file.keys(), file.metadata(), file.get_tensor("x"))
    ['x'] {'made by': 'hand'} tensor([0, 1, 2])
    """

    @public
    def __init__(self, path: PathLike, *, device: Device = None) -> None:
        self._file = TensorFile(Source(path, "safe_open", FORMAT), device)

    def keys(self) -> list[str]:
        """The names of its tensors, in their order."""
        return sorted(self._file.entries)

    def metadata(self) -> dict[str, str]:
        """The texts beside them."""
        return dict(self._file.metadata)

    def get_tensor(self, name: str) -> Tensor:
        """A tensor, on the mapped file.

        Raises:
            UnknownKeyError: there is none of this name.
            DTypeError: it is of a dtype that Tessella does not have.
        """
        if not isinstance(name, str) or name not in self._file.entries:
            raise UnknownKeyError(
                f"get_tensor: {self._file.source.path} has no tensor {shown(name)}; `keys()` gives the names"
            )
        return self._file.tensor(name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Tensors that were taken go on holding the file."""
