"""The loop-nest IR: the one low-level language of Tessella, on one screen.

A `Kernel` is a list of statements over pointers and sizes: `Loop` and `Store`, and `Fetch`, a hint to
the caches. Everything else (what is read, from where, and what is computed) is a scalar expression:
loop variables and sizes are int64 variables, reading memory is the operator `load`.

    for i in parallel(rows):                        Loop(i, rows, parallel=True, body=
        for j in range(columns), total = 0:             Loop(j, columns, carried=[total], body=
            total = total + x[i * columns + j]              next: total + load(x, i * columns + j)
        y[i] = total                                    Store(y, i, total)

A loop may carry values from one turn to the next (`Carried`); after the loop the carried variable
stands for the last value. A loop with `lanes` > 1 does that many turns at once in vector
registers, and the rest one by one. A carried value of such a loop is kept once per lane, and the
lanes are brought together by `combine` at the end, always in the same order.

The native function of a kernel is ``void name(ptr args, i64 begin, i64 end)``: `args` holds the
addresses of the pointers and then the sizes, 8 bytes each, and the outermost parallel loop runs
from `begin` to `end`.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import TypeAlias

from tessella import dtypes
from tessella.dtypes import DType
from tessella.scalar.expression import Expression, Operand, Operator, applied, constant, variable


@dataclass(frozen=True)
class Pointer:
    """An array that a kernel reads or writes; the address comes as an argument.

    One with `local`, a number of elements, is no argument: every call has its own, on the stack. A `table` is what
    nobody writes while the kernel runs, under whatever name: what is read there need not be read again.
    """

    name: str
    dtype: DType
    written: bool = False
    local: Expression | None = None
    table: bool = False

    @functools.cached_property
    def _hash(self) -> int:
        return hash((self.name, self.dtype, self.written, self.local, self.table))

    def __hash__(self) -> int:
        return self._hash  # asked for with every read of the array


@dataclass(frozen=True)
class Store:
    """Write a value at an index (in elements) of an array; where `mask` is false, leave it.

    Stores that follow each other are one step: all that they read is read before the first of them writes.
    """

    pointer: Pointer
    index: Expression
    value: Expression
    mask: Expression | None = None


@dataclass(frozen=True)
class Fetch:
    """Ask for an element's cache line, to read it or (a `written` pointer) to write it soon.

    Nothing else happens; the element need not even exist.
    """

    pointer: Pointer
    index: Expression


@dataclass(frozen=True)
class Carried:
    """A value that goes from one turn of a loop to the next; `variable` names it."""

    variable: Expression
    start: Expression
    next: Expression


@dataclass(frozen=True)
class Combine:
    """How two lanes' carried values become one: expressions in the `left` and `right` variables."""

    left: tuple[Expression, ...]
    right: tuple[Expression, ...]
    results: tuple[Expression, ...]


@dataclass(frozen=True)
class Loop:
    """Run the body for `variable` from 0 to `extent` (from `begin` to `end` if parallel).

    Vectors have `lanes`. Of what these leave over, vectors of `rest` lanes take as much as they can.
    """

    variable: Expression
    extent: Expression | None  # None: a parallel loop is told from where to where
    body: tuple[Statement, ...] = ()
    parallel: bool = False
    lanes: int = 1
    carried: tuple[Carried, ...] = ()
    combine: Combine | None = None
    rest: int = 1


Statement: TypeAlias = Loop | Store | Fetch


@dataclass(frozen=True)
class Kernel:
    """A compiled unit: statements over pointers and sizes (int64 variables)."""

    name: str
    pointers: tuple[Pointer, ...]
    sizes: tuple[Expression, ...]
    body: tuple[Statement, ...]
    attributes: dict[str, str] = field(default_factory=dict, hash=False, compare=False)

    @functools.cached_property
    def _hash(self) -> int:
        return hash((self.name, self.pointers, self.sizes, self.body))

    def __hash__(self) -> int:
        return self._hash  # programs look the same kernels up again and again


def index_variable(name: str) -> Expression:
    """A loop variable or a size: an int64."""
    return variable(name, dtypes.int64)


def index_constant(value: int) -> Expression:
    return constant(value, dtypes.int64)


def _pointer_dtype(*_: DType, static: Pointer) -> DType:
    return static.dtype


LOAD = Operator(
    "load",
    1,
    evaluate=None,  # type: ignore[arg-type]  # memory exists only in compiled code
    result=_pointer_dtype,
    promotes=False,
    folds=False,
    text=lambda texts, pointer: f"{pointer.name}[{texts[0]}]",
)
MASKED_LOAD = Operator(
    "masked_load",
    3,
    evaluate=None,  # type: ignore[arg-type]
    result=_pointer_dtype,
    promotes=False,
    folds=False,
    text=lambda texts, pointer: f"({pointer.name}[{texts[0]}] if {texts[1]} else {texts[2]})",
)


def load(
    pointer: Pointer, index: Operand, mask: Expression | None = None, other: Operand = 0
) -> Expression:
    """Read the element at an index; where `mask` is false, nothing is read and `other` is given."""
    if not isinstance(index, Expression):
        index = index_constant(int(index))
    if mask is None or (mask.is_constant and mask.static):
        return applied(LOAD, (index,), static=pointer)
    if not isinstance(other, Expression):
        other = constant(other, pointer.dtype)
    return applied(MASKED_LOAD, (index, mask, other), static=pointer)
