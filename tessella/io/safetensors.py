"""Tensors with names, in a file in the safetensors format: numbers and their shapes, and nothing that is executed.

Source: Hugging Face, *Safetensors*, the format: https://huggingface.co/docs/safetensors.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
from safetensors import numpy as arrays

from tessella import dtypes, files
from tessella.errors import ArgumentError, ArgumentTypeError, DTypeError
from tessella.tensors.creation import asarray
from tessella.tensors.tensor import Tensor

_RESERVED = "__metadata__"
_taken_apart: Any = safetensors.deserialize  # which has no types
DTYPES = {
    "BOOL": dtypes.bool_, "U8": dtypes.uint8, "I8": dtypes.int8, "U16": dtypes.uint16, "I16": dtypes.int16,
    "U32": dtypes.uint32, "I32": dtypes.int32, "U64": dtypes.uint64, "I64": dtypes.int64,
    "F16": dtypes.float16, "BF16": dtypes.bfloat16, "F32": dtypes.float32, "F64": dtypes.float64,
    "F8_E4M3": dtypes.float8_e4m3fn, "F8_E5M2": dtypes.float8_e5m2, "F8_E8M0": dtypes.float8_e8m0fnu,
    "F8_E4M3FNUZ": dtypes.float8_e4m3fnuz, "F8_E5M2FNUZ": dtypes.float8_e5m2fnuz,
}  # fmt: skip


def save_file(
    tensors: Mapping[str, Any], path: str | os.PathLike[str], metadata: Mapping[str, str] | None = None
) -> None:  # fmt: skip
    """Write tensors with names to a file: what `state_dict()` gives, for example.

    The file is written whole or not at all. PyTorch, JAX and NumPy read it with the package `safetensors`.

    Args:
        tensors: from names to tensors or arrays.
        metadata: texts with names, to be kept beside them.

    Dtypes: all but complex ones, and of the storage dtypes `float8_e4m3fn`, `float8_e5m2`, their `fnuz` and
    `float8_e8m0fnu`.

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
    place = _place(path, "save_file")
    if not isinstance(tensors, Mapping):
        raise ArgumentTypeError(
            f"save_file: {type(tensors).__name__} was given; expected names and tensors; use "
            "save_file(model.state_dict(), path)"
        )
    data = {_name(name): _stored(name, value) for name, value in tensors.items()}
    files.write(place, arrays.save(data, _texts(metadata)))


def _place(path: Any, function: str) -> Path:
    if not isinstance(path, (str, os.PathLike)) or not isinstance(os.fspath(path), str):
        raise ArgumentTypeError(
            f"{function}: the path is of type {type(path).__name__}; expected str or pathlib.Path"
        )
    if "\0" in os.fspath(path):
        raise ArgumentError(f"{function}: the path {os.fspath(path)!r} has a zero character")
    return Path(path)


def _texts(metadata: Any) -> dict[str, str] | None:
    if metadata is None:
        return None
    if not isinstance(metadata, Mapping):
        raise ArgumentTypeError(
            f"save_file: metadata is of type {type(metadata).__name__}; expected names and texts"
        )
    return {
        _text(name, "a name in metadata"): _text(metadata[name], f"metadata[{name!r}]")
        for name in metadata
    }


def _name(name: Any) -> str:
    if name == _RESERVED:
        raise ArgumentError(f"save_file: no tensor can have the name {name!r}: the format has it")
    return _text(name, "a name")


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str):
        raise ArgumentTypeError(
            f"save_file: {what} is {value!r}, of type {type(value).__name__}; expected str"
        )
    try:
        value.encode("utf8")
    except UnicodeEncodeError:
        raise ArgumentError(
            f"save_file: {what} is {value!r}, which has half of a character"
        ) from None
    return value


def _stored(name: str, value: Any) -> np.ndarray[Any, Any]:
    """The elements in row-major order, without gaps: as the format keeps them."""
    if not isinstance(value, (Tensor, np.ndarray, np.generic)):
        raise ArgumentTypeError(
            f"save_file: {name!r} is of type {type(value).__name__}; expected a tensor or an array"
        )
    tensor = asarray(value)
    if tensor.dtype not in DTYPES.values():
        instead = (
            "its real and imaginary parts"
            if tensor.dtype.is_complex
            else f"ts.pack(x), or x.astype(ts.{tensor.dtype.compute.name})"
        )
        raise DTypeError(
            f"save_file: {name!r} is of {tensor.dtype}, which the format does not have; save {instead}"
        )
    return np.array(tensor.numpy(), order="C")


def load_file(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """The tensors of a file by their names, in the order of these: what `load_state_dict` takes.

    Raises:
        ArgumentError: it is no file in the safetensors format, or damaged.
        DTypeError: a tensor of a dtype that Tessella does not have.
        OSError: it cannot be read.
    """
    place = _place(path, "load_file")
    try:
        found = _taken_apart(place.read_bytes())
    except safetensors.SafetensorError as error:
        raise ArgumentError(
            f"load_file: {place} is no file in the safetensors format, or damaged ({error})"
        ) from None
    return {name: _loaded(name, entry) for name, entry in sorted(found)}


def _loaded(name: str, entry: Mapping[str, Any]) -> Tensor:
    dtype = DTYPES.get(entry["dtype"])
    if dtype is None:
        raise DTypeError(
            f"load_file: {name!r} is of dtype {entry['dtype']}; expected one of {', '.join(DTYPES)}"
        )
    elements = np.frombuffer(entry["data"], dtype.numpy)
    return asarray(elements.reshape(entry["shape"]))
