"""What a tree is as a text in JSON, and the tensors of a file that it names.

JSON has null, truth, numbers, texts and lists; whatever else is an object of one entry, whose name is its kind. How
the kinds are read again is in `tessella.io.tree_reader`.
"""

from __future__ import annotations

import enum
import json
import math
import struct
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np

from tessella import dtypes
from tessella.arguments.kinds import shown
from tessella.dtypes import DType
from tessella.errors import ArgumentError, ArgumentTypeError, DTypeError
from tessella.io import elements
from tessella.io.headers import CODE_OF, METADATA, Stored, bits_of
from tessella.nn.module import Buffer, Parameter
from tessella.tensors.methods.uses import Count
from tessella.tensors.tensor import Tensor, array_of

STRUCTURE = "tessella.tree"
VERSION = 1
DEEPEST = 100
LARGE = (
    1 << 63
)  # integers from here on are written in digits that every reader of JSON leaves alone
# What the format has no code for is kept under another: complex numbers as pairs, what fills no byte as bytes.
KEPT_AS = {
    dtype: "F64" if dtype.is_complex else "U8"
    for dtype in (*dtypes.ALL, *dtypes.STORAGE)
    if dtype not in CODE_OF or bits_of(dtype) < 8
}
_TENSORS = {Tensor: "tensor", Parameter: "parameter", Buffer: "buffer"}
Way = tuple[Any, ...]


class TreeWriter:
    """Writes one tree.

    `tensors` are those that the text names.
    """

    def __init__(self) -> None:
        self.tensors: dict[str, Stored] = {}
        self._numbers: dict[int, int] = {}  # of what has been written, by identity
        self._names: dict[int, str] = {}  # of the elements of tensors, by identity
        self._alive: list[Any] = []  # what those identities are of

    def text(self, tree: Any) -> str:
        """The text of a tree.

        Raises:
            ArgumentTypeError, ArgumentError, DTypeError: see `ts.save`.
        """
        said = {"version": VERSION, "tree": self._node(tree, ())}
        return json.dumps(said, allow_nan=False, check_circular=False, separators=(",", ":"))

    def _node(self, value: Any, way: Way) -> Any:
        if len(way) > DEEPEST:
            raise ArgumentError(
                f"save: the tree is nested more than {DEEPEST} deep, at {told(way[:6])}...; does something in it "
                "hold itself?"
            )
        write = _KINDS.get(type(value))
        if write is None:
            write = next((w for kind, w in _FAMILIES.items() if isinstance(value, kind)), None)
        if write is None:
            raise _refused(value, way)
        return write(self, value, way)

    def _plain(self, value: Any, way: Way) -> Any:
        return value

    def _integer(self, value: int, way: Way) -> Any:
        return int(value) if -LARGE <= value < LARGE else {"int": hex(value)}

    def _float(self, value: float, way: Way) -> Any:
        return value if math.isfinite(value) else {"float": struct.pack(">d", value).hex()}

    def _complex(self, value: complex, way: Way) -> Any:
        return {"complex": [self._float(value.real, way), self._float(value.imag, way)]}

    def _bytes(self, value: bytes, way: Way) -> Any:
        content = np.frombuffer(value, np.uint8)
        return {"bytes": self._added(elements.stored(content), way)}

    def _list(self, value: list[Any], way: Way) -> Any:
        return [self._node(item, (*way, place)) for place, item in enumerate(value)]

    def _tuple(self, value: tuple[Any, ...], way: Way) -> Any:
        return {"tuple": self._list(value, way)}  # type: ignore[arg-type]

    def _dict(self, value: dict[Any, Any], way: Way) -> Any:
        for key in value:
            if type(key) is not str and type(key) is not int:
                raise ArgumentTypeError(
                    f"save: the dict at {told(way)} has the key {shown(key)}; expected str or int"
                )
        pairs = [
            [self._node(key, way), self._node(item, (*way, key))] for key, item in value.items()
        ]
        return {type(value).__name__: pairs}

    def _tensor(self, value: Tensor, way: Way) -> Any:
        kind = _TENSORS.get(type(value))
        if kind is None:
            raise _refused(value, way)
        said = {"requires_grad": True} if value.requires_grad else {}
        if isinstance(value, Buffer) and not value.persistent:
            said["persistent"] = False
        return self._leaf(kind, value, array_of(value), said, way)

    def _array(self, value: np.ndarray[Any, Any], way: Way) -> Any:
        if type(value) is not np.ndarray and type(value) is not np.memmap:
            raise _refused(value, way)
        return self._leaf("array", value, value, {}, way)

    def _scalar(self, value: np.generic, way: Way) -> Any:
        return self._leaf("scalar", np.asarray(value), value, {}, way)

    def _leaf(self, kind: str, value: Any, owner: Any, said: dict[str, Any], way: Way) -> Any:
        """A tensor or an array.

        Args:
            owner: of the elements: who else has it has the same.
        """
        if id(value) in self._numbers:
            return {"again": self._numbers[id(value)]}
        self._numbers[id(value)] = len(self._numbers)
        self._alive += value, owner
        dtype = _dtype_of(value, way)
        name = self._names.get(id(owner))
        if name is None:
            name = self._names[id(owner)] = self._added(_stored(value, dtype), way)
        if dtype in KEPT_AS:
            said = {**said, "dtype": dtype.name, "shape": list(value.shape)}
        return {kind: {"name": name, **said}}

    def _added(self, stored: Stored, way: Way) -> str:
        """The name of a tensor of the file: its way, and a number where several have one."""
        base = ".".join(map(_spelled, way))
        base = base or "tree"
        name, number = base, 1
        while name in self.tensors or name == METADATA:
            number += 1
            name = f"{base}~{number}"
        self.tensors[name] = stored
        return name


_KINDS: dict[type, Callable[[TreeWriter, Any, Way], Any]] = {
    type(None): TreeWriter._plain, bool: TreeWriter._plain, str: TreeWriter._plain, int: TreeWriter._integer,
    float: TreeWriter._float, complex: TreeWriter._complex, bytes: TreeWriter._bytes, list: TreeWriter._list,
    Count: TreeWriter._integer, tuple: TreeWriter._tuple, dict: TreeWriter._dict, OrderedDict: TreeWriter._dict,
}  # fmt: skip
_FAMILIES: dict[type, Callable[[TreeWriter, Any, Way], Any]] = {
    Tensor: TreeWriter._tensor, np.ndarray: TreeWriter._array, np.generic: TreeWriter._scalar,
}  # fmt: skip


def _dtype_of(value: Any, way: Way) -> DType:
    try:
        return elements.dtype_of(value)
    except DTypeError:
        raise DTypeError(
            f"save: {told(way)} is an array of NumPy's dtype {value.dtype}, which Tessella does not have; save "
            "x.tolist(), or what it is made of"
        ) from None


def _stored(value: Any, dtype: DType) -> Stored:
    if dtype not in KEPT_AS:
        return elements.stored(value)
    found = elements.stored(value, KEPT_AS[dtype])
    if dtype.is_complex:
        return found._replace(shape=(*found.shape, 2))
    return found._replace(shape=(found.nbytes,)) if bits_of(dtype) < 8 else found


def _spelled(key: str | int) -> str:
    """A key as part of a name, which UTF-8 has."""
    if isinstance(key, str):
        return key.encode("utf8", "backslashreplace").decode()
    return str(key) if -LARGE <= key < LARGE else hex(key)


def told(way: Way) -> str:
    """A way in a tree, as Python would go it."""
    return (
        "".join(f"[{repr(key) if isinstance(key, str) else shown(key)}]" for key in way)
        or "the tree itself"
    )


_PLAIN = {  # what subclasses of Python's own are made to
    dict: "dict", list: "list", tuple: "tuple", set: "list", frozenset: "list", str: "str", int: "int",
    float: "float", bytes: "bytes", bytearray: "bytes",
}  # fmt: skip


def _refused(value: Any, way: Way) -> ArgumentTypeError:
    kind = type(value)
    cure = (
        "expected tensors, arrays, numbers, texts, bytes, None, and dicts, lists and tuples of them"
    )
    if callable(getattr(kind, "state_dict", None)):
        cure = f"save its state_dict(): it is loaded by {kind.__name__}.load_state_dict"
    elif hasattr(kind, "_fields") and isinstance(value, tuple):
        cure = "save x._asdict(), or tuple(x)"
    elif hasattr(kind, "__dataclass_fields__"):
        cure = "save vars(x), or dataclasses.asdict(x)"
    elif hasattr(kind, "__fspath__"):
        cure = "save str(x)"
    elif isinstance(value, enum.Enum):
        cure = "save x.value"
    elif isinstance(value, tuple(_PLAIN)):
        cure = f"save {next(to for kind, to in _PLAIN.items() if isinstance(value, kind))}(x)"
    elif hasattr(kind, "__dlpack__"):
        cure = "save ts.asarray(x)"
    return ArgumentTypeError(f"save: {told(way)} is of class {kind.__qualname__}; {cure}")
