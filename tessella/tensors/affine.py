"""Integers of a traced function as sums: whether two of them differ by a number that is known.

`x[2 * i + 1 : 2 * i + 5]` has 4 elements whatever i is. An integer is written as a number and multiples of what is
no sum itself; equal operations on equal integers are one.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from tessella import autodiff
from tessella.devices.array import to_numpy
from tessella.primitives.elementwise import cast_to, elementwise
from tessella.primitives.generate import Full
from tessella.primitives.graph import GraphNode, Value
from tessella.primitives.movement import Expand, Reshape
from tessella.tensors.tensor import Tensor
from tessella.tracing.trace import Trace, Traced

_mode = autodiff.mode


class Sum(NamedTuple):
    """A number, and how often each of some other integers is in it; these are numbered."""

    number: int
    terms: tuple[tuple[int, int], ...] = ()

    def plus(self, other: Sum, times: int = 1) -> Sum:
        terms = dict(self.terms)
        for term, count in other.terms:
            terms[term] = terms.get(term, 0) + times * count
        left = sorted((term, count) for term, count in terms.items() if count)
        return Sum(self.number + times * other.number, tuple(left))


def difference(a: Tensor | int, b: Tensor | int) -> int | None:
    """a - b of integers of the function that is traced, if it is the same in every call.

    What too small a dtype does with too large a number is not seen: it is to be checked when the program runs.
    """
    sums = _Sums(_mode.trace)
    found = sums.of(a).plus(sums.of(b), -1)
    return None if found.terms else found.number


class _Sums:
    """The sums of the values of a trace, and of those around it."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.nodes: dict[Value, GraphNode] = {}
        self.numbers: dict[Value, int] = {}
        self.outside: dict[Value, Value] = {}  # captures, and what they stand for further out
        around: Trace | None = trace
        while around is not None:
            self._note(around)
            around = around.outer
        self.sums: dict[Value, Sum] = {}
        self.terms: dict[Any, int] = {}

    def _note(self, trace: Trace) -> None:
        self.nodes.update((output, node) for node in trace.nodes for output in node.outputs)
        for value, array in trace.constants.items():
            if value.dtype.is_integer and not value.shape:
                self.numbers[value] = int(to_numpy(array))
        for capture in trace.captures.values():
            held: object = capture.array
            if isinstance(held, Traced):
                self.outside[capture.value] = held.value

    def of(self, integer: Tensor | int) -> Sum:
        if not isinstance(integer, Tensor):
            return Sum(int(integer))
        root = self.trace.value_of(integer)
        waiting = [root]
        while waiting:  # not by recursion: it may be a long chain
            value = waiting[-1]
            missing = [x for x in self._needed(value) if x not in self.sums]
            if missing:
                waiting += missing
                continue
            waiting.pop()
            if value not in self.sums:
                self.sums[value] = self._sum(value)
        return self.sums[root]

    def _needed(self, value: Value) -> tuple[Value, ...]:
        """The integers that one is made of."""
        if value in self.outside:
            return (self.outside[value],)
        node = self.nodes.get(value)
        if node is None or not all(x.dtype.is_integer for x in node.inputs):
            return ()
        return node.inputs

    def _sum(self, value: Value) -> Sum:
        if value in self.numbers:
            return Sum(self.numbers[value])
        if value in self.outside:
            return self.sums[self.outside[value]]
        node, needed = self.nodes.get(value), self._needed(value)
        if node is None or len(needed) < len(node.inputs):
            return self._term(value)
        primitive, parts = node.primitive, [self.sums[x] for x in needed]
        if isinstance(primitive, Full) and value.dtype.is_integer:
            return Sum(int(primitive.value))
        return _combined(node, parts) or self._of_its_own(node, value, parts)

    def _of_its_own(self, node: GraphNode, value: Value, parts: list[Sum]) -> Sum:
        """No sum: a term, the same for equal operations on equal integers."""
        if len(node.outputs) > 1 or node.primitive.has_effect or not node.inputs:
            return self._term(value)
        return self._term((node.primitive, *parts))

    def _term(self, key: Any) -> Sum:
        return Sum(0, ((self.terms.setdefault(key, len(self.terms)), 1),))


def _combined(node: GraphNode, parts: list[Sum]) -> Sum | None:
    """The sum that an operation makes of sums; None if it makes none."""
    primitive, output = node.primitive, node.output if len(node.outputs) == 1 else None
    if output is None or not output.dtype.is_integer:
        return None
    first = parts[0] if parts else Sum(0)
    if primitive == elementwise("add"):
        return first.plus(parts[1])
    if primitive == elementwise("subtract"):
        return first.plus(parts[1], -1)
    if primitive == elementwise("negative"):
        return Sum(0).plus(first, -1)
    if primitive == elementwise("multiply"):
        factor, other = sorted(parts, key=lambda part: bool(part.terms))
        return None if factor.terms else Sum(0).plus(other, factor.number)
    same = isinstance(primitive, (Reshape, Expand)) or primitive == cast_to(output.dtype)
    return first if same and _is_one(node) else None


def _is_one(node: GraphNode) -> bool:
    """Whether it is about one integer, before and after."""
    return all(n == 1 for value in (*node.inputs, node.output) for n in value.shape)
