"""Files that `torch.load` reads, as they are and with `weights_only=True`, written without PyTorch.

Source: PyTorch, torch/serialization.py, torch/_weights_only_unpickler.py; Python, pickletools (protocol 2).
"""

from __future__ import annotations

import struct
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from tessella import dtypes, files
from tessella.arguments import public
from tessella.dtypes import DType
from tessella.errors import ArgumentError, ArgumentTypeError, DTypeError
from tessella.io.archives import pieces
from tessella.io.contents import place_of
from tessella.io.pytorch.names import DTYPES, STORAGES
from tessella.io.pytorch.storages import Array, Place, placed
from tessella.io.pytorch.trees import DEEPEST
from tessella.io.sources import PathLike
from tessella.nn.module import Parameter
from tessella.tensors.tensor import Tensor

_FOLDER = "archive"
_VERSION = b"3\n"
_NAME_OF = {dtype: name for name, dtype in DTYPES.items()}
_STORAGE_OF = {dtype: name for name, dtype in STORAGES.items() if dtype is not None}
_LONGEST = 255  # bytes of a whole number


@public
def save_pytorch(tree: Any, path: PathLike) -> None:
    """Write tensors, in dicts, lists and tuples, to a file that `torch.load` reads, with `weights_only=True`, too.

    The file is written whole or not at all. Tensors that share memory share it in the file: tied weights are kept
    once. Arrays become tensors, numbers of NumPy become Python's; parameters, and whether a gradient is required,
    stay.

    Args:
        tree: what `state_dict()` gives, for example, of a module or an optimiser: dicts, lists, tuples and sets of
            tensors, arrays, dtypes, numbers, texts, bytes, truths and None.

    Dtypes: those that PyTorch has: of the storage dtypes `float8_e4m3fn`, `float8_e5m2`, their `fnuz` and
    `float8_e8m0fnu`.

    Raises:
        ArgumentTypeError: a value that PyTorch would not read; the message says where in the tree it is.
        ArgumentError: the tree contains itself.
        DTypeError: a tensor of a dtype that PyTorch does not have.
        OSError: the file cannot be written.

    >>> import tempfile
    >>> import tessella as ts
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     ts.io.save_pytorch({"x": ts.ones(2), "step": 3}, f"{folder}/state.pt")
    ...     ts.io.load_pytorch(f"{folder}/state.pt")
    {'x': tensor([1., 1.]), 'step': 3}
    """
    place = place_of(path, "save_pytorch")
    pickle = _Pickle()
    pickle.write(tree)
    places, contents = placed([tensor.array for tensor in pickle.tensors])
    records = [
        ("data.pkl", pickle.told(places)),
        ("byteorder", sys.byteorder.encode()),
        *((f"data/{number}", content) for number, content in enumerate(contents)),
        ("version", _VERSION),
    ]
    with files.writing(place, durable=True) as file:
        for piece in pieces((f"{_FOLDER}/{name}", part) for name, part in records):
            file.write(piece)


class _Kept(NamedTuple):
    """A tensor of the tree, whose place in the file is known when all of them are."""

    array: Array
    dtype: DType
    requires_grad: bool
    is_parameter: bool


class _Pickle:
    """The instructions that make a tree again, in which a tensor is written when its place is known.

    Args:
        parts: the instructions, and where among them a tensor is to be made.
        way: from the tree to the value that is being written, in Python.
    """

    def __init__(self) -> None:
        self.parts: list[bytes | _Kept] = []
        self.tensors: list[_Kept] = []
        self._arrays: dict[int, tuple[Any, Array]] = {}
        self._way: list[str] = []

    def told(self, places: Iterable[Place]) -> bytes:
        """The whole pickle."""
        rest = iter(places)
        parts = [
            part if isinstance(part, bytes) else _tensor(part, next(rest)) for part in self.parts
        ]
        return b"\x80\x02" + b"".join(parts) + b"."

    def write(self, value: Any) -> None:
        """Write a value: with what it contains."""
        if isinstance(value, (Tensor, np.ndarray)):
            kept = self._kept(value)
            self.tensors.append(kept)
            self.parts.append(kept)
        elif type(value) in _CONTAINERS:
            self._container(value)
        else:
            self.parts.append(self._plain(value))

    def _kept(self, value: Any) -> _Kept:
        dtype = value.dtype if isinstance(value, Tensor) else self._dtype_of_array(value)
        if dtype not in _NAME_OF:
            raise DTypeError(
                f"save_pytorch: {self._place} is of {dtype.name}, which PyTorch does not have; save "
                f"x.astype(ts.{dtype.compute.name})"
            )
        if id(value) not in self._arrays:  # on another device than the host each look is a copy
            array = value.numpy() if isinstance(value, Tensor) else _plain_array(value, dtype)
            self._arrays[id(value)] = (value, array)
        is_tensor = isinstance(value, Tensor)
        return _Kept(
            self._arrays[id(value)][1],
            dtype,
            is_tensor and value.requires_grad,
            isinstance(value, Parameter),
        )

    def _dtype_of_array(self, array: Array) -> DType:
        try:
            return dtypes.as_dtype(array.dtype)
        except DTypeError:
            raise DTypeError(
                f"save_pytorch: {self._place} is an array of {array.dtype}; expected numbers or truths"
            ) from None

    @property
    def _place(self) -> str:
        return f"tree{''.join(self._way)}"

    def _container(self, value: Any) -> None:
        if len(self._way) == DEEPEST:
            raise ArgumentError(
                f"save_pytorch: {self._place[:60]}... is nested more than {DEEPEST} deep; does the tree contain itself?"
            )
        before, after = _CONTAINERS[type(value)]
        self.parts.append(before)
        named = value.items() if isinstance(value, dict) else enumerate(value)
        for name, part in named:
            self._way.append(f"[{name!r}]")
            if isinstance(value, dict):
                self.parts.append(self._key(name))
            self.write(part)
            self._way.pop()
        self.parts.append(after)

    def _key(self, name: Any) -> bytes:
        parts = name if type(name) is tuple else (name,)
        if any(type(part) not in _KEYS for part in parts):
            raise ArgumentTypeError(
                f"save_pytorch: {self._place} has a name of type {type(name).__name__}; PyTorch's files have texts and "
                "numbers"
            )
        told = [self._plain(part) for part in parts]
        return b"".join((b"(", *told, b"t")) if type(name) is tuple else told[0]

    def _plain(self, value: Any) -> bytes:
        found = value.item() if isinstance(value, np.generic) else value
        write = _WRITERS.get(type(found))
        if write is None:
            raise ArgumentTypeError(
                f"save_pytorch: {self._place} is of type {type(value).__name__}, which torch.load(weights_only=True) "
                f"does not read; {_cure(value)}"
            )
        told = write(found)
        if told is None:
            raise ArgumentError(f"save_pytorch: {self._place} is {_WHY[type(found)]}")
        return told


def _plain_array(value: Array, dtype: DType) -> Array:
    native = np.asarray(value)
    return native.astype(dtype.numpy) if not native.dtype.isnative else native


def _cure(value: Any) -> str:
    """What to save instead."""
    if isinstance(value, (tuple, list)):
        return f"save {'tuple' if isinstance(value, tuple) else 'list'}(x)"
    if isinstance(value, Mapping):
        return "save dict(x)"
    if hasattr(value, "state_dict"):
        return "save x.state_dict()"
    return "save numbers, texts, tensors, and dicts, lists and tuples of them"


# --- instructions -----------------------------------------------------------------------------------


def _named(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


def _text(value: str) -> bytes:
    raw = value.encode("utf8", "surrogatepass")
    return b"X" + struct.pack("<I", len(raw)) + raw


def _whole(value: int) -> bytes | None:
    if -(1 << 31) <= value < 1 << 31:
        return b"J" + struct.pack("<i", value)
    raw = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(raw)]) + raw if len(raw) <= _LONGEST else None


def _called(function: bytes, *arguments: bytes) -> bytes:
    return b"".join((function, b"(", *arguments, b"tR"))


def _fraction(value: float) -> bytes:
    return b"G" + struct.pack(">d", value)


def _bytes(value: bytes) -> bytes:
    """As Python writes them for its version 2: a text whose characters are the bytes."""
    encode = _named("_codecs", "encode")
    return _called(encode, _text(value.decode("latin1")), _text("latin1"))


def _tuple(parts: Iterable[int]) -> bytes:
    return b"".join((b"(", *(_whole(part) or b"" for part in parts), b"t"))


def _tensor(kept: _Kept, place: Place) -> bytes:
    """A call of the function of PyTorch that makes a tensor of a storage."""
    name = _STORAGE_OF.get(kept.dtype)
    count = place.numel * (1 if name else kept.dtype.itemsize)
    kind = _named("torch", name) if name else _named("torch.storage", "UntypedStorage")
    known = (_text("storage"), kind, _text(str(place.storage)), _text("cpu"), _number(count))
    storage = b"".join((b"(", *known, b"tQ"))
    where = (storage, _number(place.offset), _tuple(kept.array.shape), _tuple(place.strides))
    needs = _TRUTHS[kept.requires_grad and not kept.is_parameter]
    if name:
        made = _called(_named("torch._utils", "_rebuild_tensor_v2"), *where, needs, _NO_HOOKS)
    else:
        dtype = _named("torch", _NAME_OF[kept.dtype])
        made = _called(
            _named("torch._utils", "_rebuild_tensor_v3"), *where, needs, _NO_HOOKS, dtype
        )
    if not kept.is_parameter:
        return made
    parameter = _named("torch._utils", "_rebuild_parameter")
    return _called(parameter, made, _TRUTHS[kept.requires_grad], _NO_HOOKS)


def _number(value: int) -> bytes:
    return _whole(value) or b""


def _dtype(value: DType) -> bytes | None:
    return _named("torch", _NAME_OF[value]) if value in _NAME_OF else None


_TRUTHS = {False: b"\x89", True: b"\x88"}
_ORDERED = _named("collections", "OrderedDict") + b")R"
_NO_HOOKS = _ORDERED

# what is written before all parts, and after them
_CONTAINERS: dict[type, tuple[bytes, bytes]] = {
    dict: (b"}(", b"u"),
    OrderedDict: (_ORDERED + b"(", b"u"),
    list: (b"](", b"e"),
    tuple: (b"(", b"t"),
    set: (_named("__builtin__", "set") + b"(](", b"etR"),
}

_WRITERS: dict[type, Callable[[Any], bytes | None]] = {
    type(None): lambda value: b"N",
    bool: lambda value: _TRUTHS[value],
    int: _whole,
    float: _fraction,
    complex: lambda value: _called(
        _named("__builtin__", "complex"), _fraction(value.real), _fraction(value.imag)
    ),
    str: _text,
    bytes: _bytes,
    bytearray: lambda value: _called(_named("__builtin__", "bytearray"), _bytes(bytes(value))),
    DType: _dtype,
}
_KEYS = (type(None), bool, int, float, str, bytes)
_WHY: dict[type, str] = {
    int: f"a whole number of more than {_LONGEST} bytes, which torch.load(weights_only=True) does not read",
    DType: "a dtype that PyTorch does not have",
}
