"""What a file of PyTorch's may name, and what each name makes: data, and never anything that acts."""

from __future__ import annotations

import collections
import functools
import pathlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from tessella import dtypes
from tessella.dtypes import DType
from tessella.errors import FileFormatError, UnsafeFileError
from tessella.io.contents import shown
from tessella.io.pytorch import arrays
from tessella.io.pytorch.instructions import members, pairs
from tessella.io.pytorch.stored import Storage, StoredTensor, size, sizes


@dataclass(frozen=True)
class Function:
    """What a name makes of arguments.

    Args:
        least, most: how many these are.
    """

    name: str
    call: Callable[..., Any]
    least: int
    most: int

    def make(self, arguments: tuple[Any, ...]) -> Any:
        """The value that the function would give."""
        if not self.least <= len(arguments) <= self.most:
            raise FileFormatError(f"is damaged: it calls {self.name} with {len(arguments)} values")
        return self.call(*arguments)

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Kind:
    """A class that is named and not called: it says of what kind another value is."""

    name: str


@dataclass(frozen=True)
class StorageKind:
    """A class of storages; those without a dtype are bytes."""

    dtype: DType | None


def named(name: str) -> Any:
    """What stands for a name in a file.

    Raises:
        UnsafeFileError: a file of numbers has no use for it.
    """
    module, _, last = name.rpartition(".")
    if module in _STORAGE_MODULES and last in STORAGES:
        return StorageKind(STORAGES[last])
    found = KNOWN.get(_MOVED.get(module, module) + "." + last)
    if found is None:
        raise _refused(name)
    return found


def _refused(name: str) -> UnsafeFileError:
    for prefix, why in _REASONS:
        if name.startswith(prefix):
            return UnsafeFileError(f"has {why} ({shown(name)})")
    return UnsafeFileError(
        f"wants {shown(name)}, which a file of numbers does not need; nothing of it was run. If you trust who made "
        f"it, {_ALONE}"
    )


# --- tensors ----------------------------------------------------------------------------------------


def _tensor(
    storage: Any,
    offset: Any,
    shape: Any,
    strides: Any,
    dtype: Any = None,
    requires_grad: Any = False,
) -> StoredTensor:
    if not isinstance(storage, Storage):
        raise FileFormatError(f"is damaged: a tensor in it lies in a {shown(storage)}")
    found = storage.dtype if dtype is None else dtype
    if not isinstance(found, DType):
        raise FileFormatError("is damaged: a tensor in it has no dtype")
    return StoredTensor(
        storage, found, size(offset, "the offset"), sizes(shape, "the shape"), sizes(strides, "the strides"),
        _truth(requires_grad),
    )  # fmt: skip


def _tensor_2(
    storage: Any, offset: Any, shape: Any, strides: Any, requires_grad: Any, hooks: Any,
    metadata: Any = None, dtype: Any = None,
) -> StoredTensor:  # fmt: skip
    made = _tensor(storage, offset, shape, strides, dtype, requires_grad)
    if not metadata:
        return made
    bits = metadata
    if not isinstance(bits, dict) or bits.keys() - {"conj", "neg"}:
        raise FileFormatError("has a tensor of a kind that is not known")
    return replace(
        made,
        is_conjugate=made.dtype.is_complex and _truth(bits.get("conj", False)),
        is_negative=made.dtype.is_inexact and _truth(bits.get("neg", False)),
    )


def _tensor_3(
    storage: Any, offset: Any, shape: Any, strides: Any, requires_grad: Any, hooks: Any, dtype: Any,
    metadata: Any = None,
) -> StoredTensor:  # fmt: skip
    if dtype is None:
        raise FileFormatError("is damaged: a tensor in it has no dtype")
    return _tensor_2(storage, offset, shape, strides, requires_grad, hooks, metadata, dtype)


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise FileFormatError(f"is damaged: whether a tensor requires a gradient is {shown(value)}")
    return value


def _stored(value: Any) -> StoredTensor:
    if not isinstance(value, StoredTensor):
        raise FileFormatError(f"is damaged: a {shown(value)} in it is meant as a tensor")
    return value


def _parameter(data: Any, requires_grad: Any = True, *_: Any) -> StoredTensor:
    """What Python hangs on a parameter (hooks, attributes) is left out: tensors here have nothing of the kind."""
    return replace(_stored(data), is_parameter=True, requires_grad=_truth(requires_grad))


def _of_kind(function: Any, kind: Any, arguments: Any, _: Any) -> StoredTensor:
    if not isinstance(function, Function) or not isinstance(arguments, tuple):
        raise UnsafeFileError(f"is hostile: it wants to call a {shown(function)}")
    if kind not in (KNOWN["torch.Tensor"], _PARAMETER, KNOWN["torch.nn.parameter.Buffer"]):
        raise FileFormatError(
            "has a tensor of a class of its own; save x.as_subclass(torch.Tensor)"
        )
    return _stored(function.make(arguments))


def _brought(data: Any, dtype: Any, device: Any, requires_grad: Any) -> StoredTensor:
    stored = _stored(data)
    if dtype is not stored.dtype:
        raise FileFormatError("has a tensor of another dtype on its device; save x.cpu()")
    return replace(stored, requires_grad=_truth(requires_grad))


def _device(kind: Any, index: Any = None) -> str:
    """A device as a text: it may not be here, and tensors come to where the reader wants them."""
    if not isinstance(kind, str) or not (index is None or type(index) is int):
        raise FileFormatError("is damaged: a device in it has no name")
    return kind if index is None else f"{kind}:{index}"


# --- plain values -----------------------------------------------------------------------------------


def _items(value: Any) -> list[Any]:
    """What a container is made of: a list or a tuple."""
    if not isinstance(value, (list, tuple)):
        raise FileFormatError(f"is damaged: a container in it is made of a {shown(value)}")
    return list(value)


def _ordered(items: Any = ()) -> collections.OrderedDict[Any, Any]:
    rows = [_items(row) for row in _items(items)]
    if any(len(row) != 2 for row in rows):
        raise FileFormatError("is damaged: a dict in it is not made of names and values")
    return collections.OrderedDict(pairs([part for row in rows for part in row]))


def _counter(counts: Any = None) -> collections.Counter[Any]:
    if counts is not None and type(counts) is not dict:
        raise FileFormatError(f"is damaged: a Counter in it is made of a {shown(counts)}")
    return collections.Counter(counts)


def _with_default(factory: Any = None) -> collections.defaultdict[Any, Any]:
    if factory is not None and not (
        isinstance(factory, Function | Kind) and factory.name in _MAKERS
    ):
        raise UnsafeFileError(
            f"wants a dict that calls {shown(factory)} for what it does not hold; {', '.join(_MAKERS)} can be called"
        )
    return collections.defaultdict(None if factory is None else _MAKERS[factory.name])


def _bytearray(data: Any = b"", encoding: Any = None) -> bytearray:
    return bytearray(_encoded(data, encoding) if isinstance(data, str) else _bytes(data))


def _bytes(data: Any) -> bytes:
    if not isinstance(data, (bytes, bytearray)):  # of a number it would make as many zeros
        raise FileFormatError(f"is damaged: bytes in it are made of a {shown(data)}")
    return bytes(data)


def _encoded(text: Any, encoding: Any = None) -> bytes:
    """Bytes that a pickle for Python 2 keeps as a text."""
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise FileFormatError(
            "is damaged: it encodes what is no text, or in another way than pickles do"
        )
    try:
        return text.encode("latin1")
    except UnicodeEncodeError:
        raise FileFormatError("is damaged: it encodes a text that is no bytes") from None


def _complex(real: Any, imaginary: Any) -> complex:
    if not all(isinstance(part, (int, float)) for part in (real, imaginary)):
        raise FileFormatError("is damaged: a complex number in it has parts that are no numbers")
    try:
        return complex(real, imaginary)
    except OverflowError:
        raise FileFormatError("is damaged: a complex number in it is too large") from None


def _slice(*ends: Any) -> slice:
    if not all(end is None or type(end) is int for end in ends):
        raise FileFormatError("is damaged: a slice in it has ends that are no numbers")
    return slice(*ends)


def _path(kind: type[pathlib.PurePath], *parts: Any) -> str:
    """A path as a text: whatever it leads to is on another machine."""
    return str(kind(*map(_text, parts)))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise FileFormatError(f"is damaged: a text in it is a {shown(value)}")
    return value


class PendingNamespace:
    """A namespace of `argparse`, completed after it was made."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    def build(self, state: Any) -> None:
        """Take its values."""
        if not isinstance(state, dict) or not all(isinstance(name, str) for name in state):
            raise FileFormatError("is damaged: a namespace in it is made of no names")
        self.values = state


_MAKERS: dict[str, type] = {
    f"builtins.{kind.__name__}": kind for kind in (list, dict, set, int, float, str, bool, tuple)
}
_PARAMETER = Function("torch.nn.parameter.Parameter", _parameter, 1, 2)

# name, what it makes, and of how many arguments
_FUNCTIONS: list[tuple[str, Callable[..., Any], int, int]] = [
    ("torch._utils._rebuild_tensor", _tensor, 4, 4),
    ("torch._utils._rebuild_tensor_v2", _tensor_2, 6, 7),
    ("torch._utils._rebuild_tensor_v3", _tensor_3, 7, 8),
    ("torch._utils._rebuild_parameter", _parameter, 3, 3),
    ("torch._utils._rebuild_parameter_with_state", _parameter, 4, 4),
    ("torch._utils._rebuild_device_tensor_from_cpu_tensor", _brought, 4, 4),
    ("torch._tensor._rebuild_from_type_v2", _of_kind, 4, 4),
    ("torch.Size", lambda shape: sizes(shape, "the shape"), 1, 1),
    ("torch.device", _device, 1, 2),
    ("collections.OrderedDict", _ordered, 0, 1),
    ("collections.Counter", _counter, 0, 1),
    ("collections.defaultdict", _with_default, 0, 1),
    ("builtins.set", lambda items=(): members(_items(items)), 0, 1),
    ("builtins.frozenset", lambda items=(): frozenset(members(_items(items))), 0, 1),
    ("builtins.bytes", lambda: b"", 0, 0),
    ("builtins.bytearray", _bytearray, 0, 2),
    ("builtins.complex", _complex, 2, 2),
    ("builtins.slice", _slice, 3, 3),
    ("_codecs.encode", _encoded, 2, 2),
    ("argparse.Namespace", PendingNamespace, 0, 0),
    *(
        (f"pathlib.{name}", functools.partial(_path, pathlib.PurePosixPath), 0, 1 << 10)
        for name in ("PosixPath", "PurePosixPath")
    ),
    *(
        (f"pathlib.{name}", functools.partial(_path, pathlib.PureWindowsPath), 0, 1 << 10)
        for name in ("WindowsPath", "PureWindowsPath")
    ),
    ("torch.torch_version.TorchVersion", _text, 1, 1),
    # dicts whose names are attributes, too, as trainers on top of PyTorch keep their settings in
    ("pytorch_lightning.utilities.parsing.AttributeDict", dict, 0, 0),
    ("lightning_fabric.utilities.data.AttributeDict", dict, 0, 0),
    ("lightning.fabric.utilities.data.AttributeDict", dict, 0, 0),
    ("numpy.dtype", arrays.ArrayDType, 1, 3),
    ("numpy._core.multiarray._reconstruct", arrays.PendingArray, 3, 3),
    ("numpy._core.multiarray.scalar", arrays.scalar, 2, 2),
    ("numpy._core.numeric._frombuffer", arrays.from_buffer, 4, 4),
]

_KINDS = ["torch.Tensor", "torch.nn.parameter.Buffer", "numpy.ndarray"]

STORAGES: dict[str, DType | None] = {
    "DoubleStorage": dtypes.float64, "FloatStorage": dtypes.float32, "HalfStorage": dtypes.float16,
    "BFloat16Storage": dtypes.bfloat16, "LongStorage": dtypes.int64, "IntStorage": dtypes.int32,
    "ShortStorage": dtypes.int16, "CharStorage": dtypes.int8, "ByteStorage": dtypes.uint8,
    "BoolStorage": dtypes.bool_, "ComplexDoubleStorage": dtypes.complex128,
    "ComplexFloatStorage": dtypes.complex64, "UntypedStorage": None, "_UntypedStorage": None,
}  # fmt: skip
_STORAGE_MODULES = ("torch", "torch.cuda", "torch.storage")

# what PyTorch has of our dtypes, by its names
DTYPES: dict[str, DType] = {
    "bool": dtypes.bool_,
    **{
        dtype.name: dtype
        for dtype in (
            *dtypes.INTEGERS, *dtypes.FLOATS, *dtypes.COMPLEX, dtypes.float8_e4m3fn, dtypes.float8_e4m3fnuz,
            dtypes.float8_e5m2, dtypes.float8_e5m2fnuz, dtypes.float8_e8m0fnu,
        )
    },
}  # fmt: skip

KNOWN: dict[str, Any] = {
    "torch.nn.parameter.Parameter": _PARAMETER,
    **{name: Kind(name) for name in _KINDS},
    **{name: Kind(name) for name in _MAKERS},
    **{f"torch.{name}": dtype for name, dtype in DTYPES.items()},
    **{row[0]: Function(*row) for row in _FUNCTIONS},
}

_MOVED = {  # what modules were called in other versions of Python, NumPy and PyTorch
    "__builtin__": "builtins",
    "pathlib._local": "pathlib",
    "torch.tensor": "torch._tensor",
    "numpy.core.multiarray": "numpy._core.multiarray",
    "numpy.core.numeric": "numpy._core.numeric",
}

_ALONE = "load it with PyTorch and keep its tensors alone: torch.save(model.state_dict(), path)"
_REASONS = [
    ("torch._utils._rebuild_qtensor", "a quantised tensor; save x.dequantize()"),
    ("torch.Q", "a quantised tensor; save x.dequantize()"),
    ("torch._utils._rebuild_sparse_tensor", "a sparse tensor; save x.to_dense()"),
    ("torch.serialization._get_layout", "a sparse tensor; save x.to_dense()"),
    ("torch._utils._rebuild_nested_tensor", "a nested tensor; save its parts, x.unbind()"),
    ("torch._utils._rebuild_meta_tensor", "a tensor without elements, of the device `meta`; make it before it is saved"),
    ("torch._utils._rebuild_device_tensor_from_numpy", "a tensor of another device; save x.cpu()"),
    ("torch._utils._rebuild_xla_tensor", "a tensor of another device; save x.cpu()"),
    ("torch._utils._rebuild_wrapper", "a tensor of a class of its own; save what it holds"),
    ("torch.distributed", "a tensor that lies on several machines; save x.full_tensor()"),
    ("torch.storage._load_from_bytes", "another pickle inside of it, which it wants to be run"),
    ("torch.nn.", f"a whole network and not its numbers alone; {_ALONE}"),
    ("torchvision.", f"a whole network and not its numbers alone; {_ALONE}"),
    ("__torch__.", "a program of TorchScript; save module.state_dict() instead"),
    ("torch.jit.", "a program of TorchScript; save module.state_dict() instead"),
]  # fmt: skip
