"""Vectors whose lanes lie apart in memory: read and written lane by lane.

The addresses of the lanes are worked out from as little as can be: if the index moves evenly, from the
first lane's; else from the part of the index that differs from lane to lane, so that many accesses
around the same places (the numbers of a tile) share the work. Hardware gathers are no faster on most
processors, and need all addresses in vectors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tessella import dtypes
from tessella.loops.nest import Pointer
from tessella.scalar import operators
from tessella.scalar.expression import Expression, constant

if TYPE_CHECKING:
    from tessella.loops.llvm import Emitter


def gather(emitter: Emitter, pointer: Pointer, index: Expression, lanes: int, kind: str) -> str:
    """Read a vector of `lanes` elements of the type `kind`."""
    vector = "poison"
    for lane, address in enumerate(_addresses(emitter, pointer, index, lanes, kind)):
        element = emitter.assign(f"load {kind}, ptr {address}, align {pointer.dtype.itemsize}")
        vector = emitter.assign(
            f"insertelement <{lanes} x {kind}> {vector}, {kind} {element}, i64 {lane}"
        )
    return vector


def scatter(
    emitter: Emitter, pointer: Pointer, index: Expression, lanes: int, kind: str, vector: str
) -> None:
    """Write a vector, the last lane last: where two lanes meet it stays."""
    for lane, address in enumerate(_addresses(emitter, pointer, index, lanes, kind)):
        element = emitter.assign(f"extractelement <{lanes} x {kind}> {vector}, i64 {lane}")
        emitter.line(f"store {kind} {element}, ptr {address}, align {pointer.dtype.itemsize}")


def _addresses(
    emitter: Emitter, pointer: Pointer, index: Expression, lanes: int, kind: str
) -> list[str]:
    step = emitter.slope(index)
    if step is not None:
        first = emitter.element_address(pointer, emitter.emit(index, base=True))
        apart = emitter.emit(step)
        steps = [emitter.assign(f"mul nsw i64 {apart.text}, {lane}") for lane in range(1, lanes)]
        return [first] + [_moved(emitter, first, kind, step) for step in steps]
    varying, uniform = _split(emitter, index)
    offsets = emitter.emit(varying)
    start = emitter.element_address(pointer, emitter.emit(uniform))
    found = []
    for lane in range(lanes):
        offset = emitter.assign(f"extractelement <{lanes} x i64> {offsets.text}, i64 {lane}")
        found.append(_moved(emitter, start, kind, offset))
    return found


def _moved(emitter: Emitter, address: str, kind: str, elements: str) -> str:
    return emitter.assign(f"getelementptr inbounds {kind}, ptr {address}, i64 {elements}")


def _split(emitter: Emitter, index: Expression) -> tuple[Expression, Expression]:
    """An index as a sum of what differs from lane to lane and what does not."""
    varying: list[Expression] = []
    uniform: list[Expression] = []
    waiting = [index]
    while waiting:
        term = waiting.pop()
        if not emitter.varies(term):
            uniform.append(term)
        elif term.operator is operators.add:
            waiting += term.arguments
        else:
            varying.append(term)
    return _sum(varying), _sum(uniform)


def _sum(terms: list[Expression]) -> Expression:
    total = constant(0, dtypes.int64)
    for term in terms:
        total = total + term
    return total
