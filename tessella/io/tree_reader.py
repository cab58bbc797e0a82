"""The tree of a text that `tessella.io.tree_writer` has made, and the tensors of its file.

Whatever a text says is looked at before anything is made of it.
"""

from __future__ import annotations

import math
import struct
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from tessella import dtypes
from tessella.arguments.kinds import shown
from tessella.dtypes import DType
from tessella.errors import FileFormatError
from tessella.io import plain_json
from tessella.io.headers import Entry, are_sizes, bits_of
from tessella.io.sources import quoted
from tessella.io.tensor_files import Kind, TensorFile
from tessella.io.tree_writer import DEEPEST, KEPT_AS, VERSION
from tessella.nn.module import Buffer, Parameter
from tessella.tensors.tensor import Tensor

_SAID = {"name", "dtype", "shape", "requires_grad", "persistent"}  # of a tensor


class TreeReader:
    """Reads one tree."""

    def __init__(self, file: TensorFile) -> None:
        self._file, self._source = file, file.source
        self._made: list[Any] = []  # tensors and arrays, in their order
        self._unused = set(file.entries)

    def tree(self, text: str) -> Any:
        """The tree of a text.

        Raises:
            FileFormatError: it is none, or does not go with the file.
        """
        said = plain_json.parsed(text, "its structure", self._source)
        if not isinstance(said, dict) or set(said) != {"version", "tree"}:
            raise self._damaged("its structure has other entries than version and tree")
        if said["version"] != VERSION:
            raise self._damaged(
                f"its structure is of version {shown(said['version'])}; this Tessella knows version {VERSION}"
            )
        found = self._value(said["tree"], 0)
        if self._unused:
            raise self._damaged(f"the tensor {quoted(min(self._unused))} is nowhere in the tree")
        return found

    def _damaged(self, why: str) -> FileFormatError:
        return self._source.damaged(why)

    def _value(self, node: Any, depth: int) -> Any:
        if depth > DEEPEST:
            raise self._damaged(f"the tree is nested more than {DEEPEST} deep")
        if isinstance(node, list):
            return [self._value(item, depth + 1) for item in node]
        if not isinstance(node, dict):
            return node
        kind, said = next(iter(node.items()), ("", None))
        read = _KINDS.get(kind)
        if read is None or len(node) != 1:
            raise self._damaged(f"the tree holds something of the kind {shown(kind)}")
        return read(self, said, depth)

    def _expect(self, right: bool, kind: str, said: Any) -> None:
        if not right:
            raise self._damaged(f"the tree holds {shown(said)} as {kind}")

    def _integer(self, said: Any, depth: int) -> int:
        self._expect(isinstance(said, str), "an integer", said)
        try:
            return int(said, 16)
        except ValueError:
            raise self._damaged(f"the tree holds {shown(said)} as an integer") from None

    def _float(self, said: Any, depth: int = 0) -> float:
        self._expect(isinstance(said, str) and len(said) == 16, "a float", said)
        try:
            found: float = struct.unpack(">d", bytes.fromhex(said))[0]
        except (ValueError, struct.error):
            raise self._damaged(f"the tree holds {shown(said)} as a float") from None
        return found

    def _complex(self, said: Any, depth: int) -> complex:
        self._expect(isinstance(said, list) and len(said) == 2, "a complex number", said)
        parts = [self._value(part, depth + 1) for part in said]
        self._expect(all(type(part) is float for part in parts), "a complex number", said)
        return complex(*parts)

    def _bytes(self, said: Any, depth: int) -> bytes:
        entry = self._entry(said)
        self._expect(entry.code == "U8" and len(entry.shape) == 1, "bytes", said)
        return self._file.content(said).tobytes()

    def _tuple(self, said: Any, depth: int) -> tuple[Any, ...]:
        self._expect(isinstance(said, list), "a tuple", said)
        return tuple(self._value(said, depth))

    def _pairs(self, said: Any, depth: int) -> list[tuple[Any, Any]]:
        pairs = isinstance(said, list) and all(isinstance(p, list) and len(p) == 2 for p in said)
        self._expect(pairs, "a dict", said)
        found = [(self._value(key, depth), self._value(item, depth + 1)) for key, item in said]
        for key, _ in found:
            self._expect(type(key) is str or type(key) is int, "a key", key)
        self._expect(len(dict(found)) == len(found), "a dict with a key twice", said)
        return found

    def _dict(self, said: Any, depth: int) -> dict[Any, Any]:
        return dict(self._pairs(said, depth))

    def _ordered_dict(self, said: Any, depth: int) -> OrderedDict[Any, Any]:
        return OrderedDict(self._pairs(said, depth))

    def _again(self, said: Any, depth: int) -> Any:
        self._expect(type(said) is int and 0 <= said < len(self._made), "a tensor again", said)
        return self._made[said]

    def _tensor(self, said: Any, depth: int) -> Any:
        tensor = self._elements(said)
        wanted = self._flag(said, "requires_grad", False)
        self._expect(not wanted or tensor.dtype.is_inexact, "what requires a gradient", said)
        return self._kept(tensor.requires_grad_() if wanted else tensor)

    def _parameter(self, said: Any, depth: int) -> Any:
        tensor = self._elements(said)
        wanted = self._flag(said, "requires_grad", False)
        self._expect(not wanted or tensor.dtype.is_inexact, "what requires a gradient", said)
        return self._kept(Parameter(tensor, wanted))

    def _buffer(self, said: Any, depth: int) -> Any:
        tensor = self._elements(said)
        return self._kept(Buffer(tensor, persistent=self._flag(said, "persistent", True)))

    def _elements(self, said: Any) -> Tensor:
        return self._file.tensor(*self._described(said))

    def _array(self, said: Any, depth: int) -> Any:
        return self._kept(self._file.array(*self._described(said)))

    def _scalar(self, said: Any, depth: int) -> Any:
        found = self._file.array(*self._described(said))
        self._expect(found.shape == (), "a number", said)
        return self._kept(found[()])

    def _kept(self, made: Any) -> Any:
        self._made.append(made)
        return made

    def _flag(self, said: dict[str, Any], name: str, default: bool) -> bool:
        found = said.get(name, default)
        self._expect(found is True or found is False, name, found)
        return bool(found)

    def _entry(self, name: Any) -> Entry:
        entry = self._file.entries.get(name) if isinstance(name, str) else None
        if entry is None:
            raise self._damaged(f"the tree has a tensor {shown(name)}, and the file has none")
        self._unused.discard(name)
        return entry

    def _described(self, said: Any) -> tuple[str, Kind]:
        """The name of a tensor in the file, and what it is."""
        self._expect(isinstance(said, dict) and set(said) <= _SAID, "a tensor", said)
        name: Any = said.get("name")
        entry = self._entry(name)
        return name, self._kept_as_another(said, entry) if "dtype" in said else self._file.kind(
            name
        )

    def _kept_as_another(self, said: dict[str, Any], entry: Entry) -> Kind:
        name: Any = said["dtype"]
        shape: Any = said.get("shape")
        self._expect(isinstance(name, str) and dtypes.is_known(name), "a dtype", name)
        dtype = dtypes.as_dtype(name)
        self._expect(KEPT_AS.get(dtype) == entry.code, "a dtype", name)
        self._expect(are_sizes(shape) and _holds(entry, shape, dtype), "a shape", shape)
        return Kind(tuple(shape), dtype)


def _holds(entry: Entry, shape: list[int], dtype: DType) -> bool:
    """Whether a tensor of the file is what a shape of a dtype is kept as."""
    if bits_of(dtype) >= 8:
        return list(entry.shape) == [*shape, *([2] if dtype.is_complex else [])]
    return -(-math.prod(shape) * bits_of(dtype) // 8) == entry.end - entry.begin


_KINDS: dict[str, Callable[[TreeReader, Any, int], Any]] = {
    "int": TreeReader._integer, "float": TreeReader._float, "complex": TreeReader._complex, "bytes": TreeReader._bytes,
    "tuple": TreeReader._tuple, "dict": TreeReader._dict, "OrderedDict": TreeReader._ordered_dict,
    "again": TreeReader._again, "tensor": TreeReader._tensor, "parameter": TreeReader._parameter,
    "buffer": TreeReader._buffer, "array": TreeReader._array, "scalar": TreeReader._scalar,
}  # fmt: skip
