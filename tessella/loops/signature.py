"""What a kernel is, as a text: kernels that are alike have the same one in every process.

The cache on disk knows machine code by it, so that a program that was compiled before need not even
write its kernels as LLVM IR again. What else that text depends on is in `generator`.
"""

from __future__ import annotations

import functools
import hashlib
from importlib import resources
from typing import Any

from tessella.dtypes import DType
from tessella.loops.nest import LOAD, MASKED_LOAD, Fetch, Kernel, Loop, Pointer, Statement, Store
from tessella.scalar import OWN_OPERATORS
from tessella.scalar.expression import Expression, postorder

# Operators that others define mean what they say there, which their names do not tell.
_OWN = OWN_OPERATORS | {LOAD, MASKED_LOAD}


def signature(kernel: Kernel) -> str | None:
    """A text that says all about a kernel; None if it holds operators that are not Tessella's own.

    >>> from tessella import dtypes
    >>> from tessella.loops.nest import index_variable, load
    >>> i, n = index_variable("i"), index_variable("n")
    >>> x, y = Pointer("x", dtypes.float32), Pointer("y", dtypes.float32, written=True)
    >>> body = Loop(i, n, (Store(y, i, load(x, i) * 2),), parallel=True, lanes=16)
    >>> print(signature(Kernel("double", (x, y), (n,), (body,))))
    kernel double pointers [0, 1] sizes [2] body [8] []
    0 pointer x float32 False None
    1 pointer y float32 True None
    2 variable int64 'n' []
    3 variable int64 'i' []
    4 load float32 pointer 0 [3]
    5 constant float32 2.0 []
    6 multiply float32 None [4, 5]
    7 store 1 3 6 None
    8 loop 3 2 True 16 [] None [7]
    """
    try:
        return _Writer().kernel(kernel)
    except _Foreign:
        return None


@functools.cache
def generator() -> str:
    """The sources that make LLVM IR of kernels, as a hash: other sources may make another text."""
    total = hashlib.sha256()
    package = resources.files("tessella")
    folders = [package / "loops", package / "scalar", package / "scalar" / "mathematics"]
    files = [package / "dtypes.py"]
    files += [file for folder in folders for file in folder.iterdir() if file.name.endswith(".py")]
    for file in sorted(files, key=str):
        total.update(file.read_bytes())
    return total.hexdigest()


class _Foreign(Exception):
    """Something whose text would not tell what it is."""


class _Writer:
    """Writes every part once, with a number, and refers to it by that."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.numbers: dict[Any, int] = {}

    def kernel(self, kernel: Kernel) -> str:
        pointers = [self.pointer(pointer) for pointer in kernel.pointers]
        sizes = [self.expression(size) for size in kernel.sizes]
        body = [self.statement(statement) for statement in kernel.body]
        attributes = sorted(kernel.attributes.items())
        head = f"kernel {kernel.name} pointers {pointers} sizes {sizes} body {body} {attributes}"
        return "\n".join([head, *self.lines])

    def line(self, part: Any, text: str) -> int:
        number = self.numbers[part] = len(self.lines)
        self.lines.append(f"{number} {text}")
        return number

    def pointer(self, pointer: Pointer) -> int:
        found = self.numbers.get(pointer)
        if found is not None:
            return found
        local = None if pointer.local is None else self.expression(pointer.local)
        text = f"{pointer.name} {pointer.dtype.name} {pointer.written} {local}"
        text += " table" if pointer.table else ""
        return self.line(pointer, f"pointer {text}")

    def expression(self, root: Expression) -> int:
        for node in postorder(root):
            if node not in self.numbers:
                if node.operator not in _OWN:
                    raise _Foreign
                static = self.static(node.static)
                arguments = [self.numbers[argument] for argument in node.arguments]
                text = f"{node.operator.name} {node.dtype.name} {static} {arguments}"
                self.line(node, text)
        return self.numbers[root]

    def static(self, value: Any) -> str:
        if value is None or isinstance(value, (bool, int, float, str)):
            return repr(value)
        if isinstance(value, DType):
            return value.name
        if isinstance(value, Pointer):
            return f"pointer {self.pointer(value)}"
        raise _Foreign

    def statement(self, statement: Statement) -> int:
        if isinstance(statement, Store):
            mask = None if statement.mask is None else self.expression(statement.mask)
            index, value = self.expression(statement.index), self.expression(statement.value)
            text = f"store {self.pointer(statement.pointer)} {index} {value} {mask}"
        elif isinstance(statement, Fetch):
            text = f"fetch {self.pointer(statement.pointer)} {self.expression(statement.index)}"
        else:
            text = self.loop(statement)
        return self.line(object(), text)

    def loop(self, loop: Loop) -> str:
        extent = None if loop.extent is None else self.expression(loop.extent)
        carried = [
            [self.expression(part) for part in (c.variable, c.start, c.next)] for c in loop.carried
        ]
        combine = None
        if loop.combine is not None:
            parts = (loop.combine.left, loop.combine.right, loop.combine.results)
            combine = [[self.expression(part) for part in group] for group in parts]
        body = [self.statement(statement) for statement in loop.body]
        return (
            f"loop {self.expression(loop.variable)} {extent} {loop.parallel} {loop.lanes} "
            f"{carried} {combine} {body}{f' rest {loop.rest}' if loop.rest > 1 else ''}"
        )
