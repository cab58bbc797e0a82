"""What the lowerings share: collapsing axes, index arithmetic, and launching kernels."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tessella.compiler.recipe import Call, Region
from tessella.dtypes import DType
from tessella.loops.nest import LOAD, Kernel, index_constant, index_variable
from tessella.scalar import operators
from tessella.scalar.expression import Expression
from tessella.scalar.precision import core
from tessella.sizes.size import deferred, is_symbolic

VECTOR_BYTES = 64  # of one turn of a vector loop; LLVM cuts it to the machine's registers
# One item of work is about one simple operation on one element. Below the first number a kernel
# runs on the calling thread: sharing it would take longer (see docs/performance.md).
PARALLEL_FROM = 1 << 16
WORK_PER_CHUNK = 1 << 15
MOST_CHUNKS = 64


class Dimension(NamedTuple):
    """One loop: its size, and how far each operand moves per turn."""

    size: int
    strides: tuple[int, ...]


def collapse(shape: Sequence[int], strides: Sequence[Sequence[int]]) -> list[Dimension]:
    """Loops over a shape with as few dimensions as the operands' strides allow.

    >>> collapse((2, 3, 4), [(12, 4, 1), (0, 0, 1)])
    [Dimension(size=6, strides=(4, 0)), Dimension(size=4, strides=(1, 1))]
    """
    result: list[Dimension] = []
    for axis, size in enumerate(shape):
        if size == 1:
            continue
        here = Dimension(size, tuple(operand[axis] for operand in strides))
        if result and all(
            a == b * size for a, b in zip(result[-1].strides, here.strides, strict=True)
        ):
            result[-1] = Dimension(result[-1].size * size, here.strides)
        else:
            result.append(here)
    return result


def decode(position: Expression, sizes: Sequence[Expression]) -> list[Expression]:
    """The indices of a flat position in a box; the first size is not needed to know them."""
    indices: list[Expression] = []
    for size in reversed(sizes[1:]):
        indices.append(operators.modulo(position, size))
        position = operators.quotient(position, size)
    indices.append(position)
    return indices[::-1] if sizes else []


def dot(indices: Sequence[Expression], strides: Sequence[Expression | int]) -> Expression:
    """The sum of index x stride."""
    total = index_constant(0)
    for index, stride in zip(indices, strides, strict=True):
        total = total + index * stride
    return total


def parts(size: Expression, length: int) -> Expression:
    """How many parts of a length cover a size."""
    return operators.quotient(size + (length - 1), index_constant(length))


def sizes(prefix: str, count: int) -> tuple[Expression, ...]:
    """Size variables prefix0, prefix1, ..."""
    return tuple(index_variable(f"{prefix}{i}") for i in range(count))


def values(prefix: str, numbers: Sequence[int]) -> dict[str, int]:
    """The values of `sizes(prefix, len(numbers))`."""
    return {f"{prefix}{i}": number for i, number in enumerate(numbers)}


def lanes_for(*expressions: Expression) -> int:
    """How many lanes fill a vector with the values that are computed (indices apart).

    If few values are wider than the others, those few take several vectors.
    """
    widths: list[int] = []
    waiting, seen = [core(root) for root in expressions], set[Expression]()
    while waiting:
        node = waiting.pop()
        if node not in seen:
            seen.add(node)
            widths.append(node.dtype.itemsize)
            waiting += node.arguments if node.operator is not LOAD else ()
    widths.sort()
    return max(2, VECTOR_BYTES // widths[len(widths) * 2 // 3])


def lanes_of(dtype: DType) -> int:
    """How many elements of a dtype fill a vector."""
    return max(2, VECTOR_BYTES // dtype.itemsize)


def call(
    kernel: Kernel, numbers: Mapping[str, int], total: int, work: int, *places: int | Region
) -> Call:
    """A call of a kernel over [0, total).

    Args:
        numbers: the values of the kernel's sizes.
        work: operations on elements in all; decides whether threads are worth it.
        places: what the kernel's pointers point at: buffers, or places in them.
    """
    names = [size.static for size in kernel.sizes]
    packed = pack([numbers[name] for name in names])
    where = tuple(place if isinstance(place, Region) else Region(place) for place in places)
    return Call(kernel, where, packed, total, share_of(total, work))


def pack(numbers: Sequence[Any]) -> Any:
    """Numbers as the arguments of a kernel, 8 bytes each; as they are, if sizes are among them."""
    if any(is_symbolic(number) for number in numbers):
        return tuple(numbers)
    return struct.pack(f"<{len(numbers)}q", *numbers)


@deferred
def share_of(total: int, work: int) -> int:
    """Items that a thread takes at a time; 0 if sharing is not worth it."""
    return 0 if work < PARALLEL_FROM or total < 2 else chunk_of(total, work)


def chunk_of(total: int, work: int) -> int:
    """Items per chunk: a function of the problem alone, never of the number of threads."""
    pieces = max(2, min(MOST_CHUNKS, work // WORK_PER_CHUNK))
    chunk = -(-total // pieces)
    return -(-chunk // 64) * 64 if chunk > 256 else chunk
