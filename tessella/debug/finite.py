"""`debug.check_nan`: which operation made the first NaN or infinity."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from tessella.blocks import Restoring
from tessella.compiler import eager, observe
from tessella.compiler.observe import Observer, unobserved
from tessella.devices.array import Array, to_numpy
from tessella.errors import NotFiniteError
from tessella.primitives.base import Primitive
from tessella.primitives.elementwise import Elementwise
from tessella.primitives.fused import Fused
from tessella.primitives.graph import Graph, GraphNode, Value, Where, describe
from tessella.primitives.movement import Movement
from tessella.tracing.lines import Lines


def check_nan(*, infinities: bool = True) -> Restoring[None]:
    """Stop at the first operation that makes a NaN or an infinity inside a `with` block.

    An operation makes one if its result has it and none of its inputs does. The error names the
    operation, the line of your program (of the forward operation, in a backward pass), and what went
    in. Eager operations are checked one by one. Before the program of a function under `jit` runs, its
    operations are done one by one and checked; afterwards, the results of the program itself. If
    something is found, the call has changed no tensor. All this takes a lot of time. It is for the
    thread that asks for it.

    Also a decorator: `@ts.debug.check_nan()`.

    Args:
        infinities: whether to look for infinities, too.

    Raises:
        NotFiniteError: an operation made one.

    >>> import tessella as ts
    >>> @ts.jit
    ... def entropy(p):
    ...     return -(p * ts.log(p)).sum()
    >>> with ts.debug.check_nan():
    ...     try:
    ...         entropy(ts.asarray([0.5, 0.5, 0.0]))
    ...     except ts.errors.NotFiniteError as error:
    ...         print(str(error).split(": ")[1])
    log made an infinity
    """
    return observe.observed(_Check(infinities))


class Found(NamedTuple):
    """How many of the elements of an array are not finite."""

    nan: int
    infinite: int

    def __str__(self) -> str:
        parts = []
        if self.nan:
            parts.append("a NaN" if self.nan == 1 else f"{self.nan} NaN")
        if self.infinite:
            parts.append("an infinity" if self.infinite == 1 else f"{self.infinite} infinities")
        return " and ".join(parts)


FINITE = Found(0, 0)


class _Check(Observer):
    """Looks at the result of every operation."""

    def __init__(self, infinities: bool) -> None:
        self.infinities = infinities
        self.lines = Lines()
        self.expected: list[Found] = []

    # --- eager operations -----------------------------------------------------------------------

    def operation(
        self, primitive: Any, arrays: Sequence[Any], results: Sequence[Any], begin: int, end: int
    ) -> None:
        self._check(primitive, arrays, results, self.lines.note(results))

    # --- programs -------------------------------------------------------------------------------

    def before(self, program: Any) -> None:
        """Do what the program will do, one operation after the other."""
        inputs = [program.input(number) for number in range(len(program.layouts))]
        with unobserved():
            outputs = self._interpret(program.traced, inputs)
        self.expected = [self._look(array) for array in outputs]

    def after(self, program: Any, begin: int, end: int) -> None:
        """The program itself may only have made what its operations make one by one."""
        for number, (location, expected) in enumerate(
            zip(program.results, self.expected, strict=True)
        ):
            found = self._look_at(program.view(location))
            if self._made(found, [expected]) is not None:
                value = program.traced.outputs[number]
                raise NotFiniteError(
                    f"{program.name}: output {number} of the compiled program, {describe(value)}, has "
                    f"{found} that its operations, done one by one, do not make; a fused kernel "
                    "computes in another order: look at source('loops'), and please report it"
                )

    def _interpret(self, graph: Graph, inputs: Sequence[Array]) -> list[Array]:
        """The outputs of a graph, each operation checked; values are let go when they are used up."""
        known: dict[Value, Array] = dict(zip(graph.inputs, inputs, strict=True))
        known |= graph.constants
        left = {value: len(nodes) for value, nodes in graph.uses().items()}
        for value in graph.outputs:
            left[value] = left.get(value, 0) + 1
        for node in graph.nodes:
            if node.primitive.has_effect:
                continue
            arrays = [known[value] for value in node.inputs]
            results = self._done(node, arrays)
            known.update(zip(node.outputs, results, strict=True))
            for value in node.inputs:
                left[value] -= 1
                if not left[value]:
                    del known[value]
        return [known[value] for value in graph.outputs]

    def _done(self, node: GraphNode, arrays: Sequence[Array]) -> Sequence[Array]:
        """The results of one node; of a program that was made of fused nodes, of those in it."""
        if isinstance(node.primitive, Fused):
            return self._interpret(node.primitive.graph, arrays)
        made = eager.run(node.primitive, arrays)
        results = made if node.primitive.multiple_results else (made,)
        self._check(node.primitive, arrays, results, node.where)
        return results

    # --- looking --------------------------------------------------------------------------------

    def _look(self, array: Array) -> Found:
        if not array.layout.dtype.is_inexact:
            return FINITE
        return self._look_at(to_numpy(array))

    def _look_at(self, values: Any) -> Found:
        if values.dtype.kind in "biu" or values.size == 0:
            return FINITE
        if np.isfinite(values).all():
            return FINITE
        infinite = int(np.isinf(values).sum()) if self.infinities else 0
        return Found(int(np.isnan(values).sum()), infinite)

    def _made(self, found: Found, given: Sequence[Found]) -> Found | None:
        """What was made anew: a NaN that was in no input; an infinity where all inputs were finite."""
        if found.nan and not any(one.nan for one in given):
            return found
        if found.infinite and all(one == FINITE for one in given):
            return found
        return None

    def _check(
        self, primitive: Any, arrays: Sequence[Any], results: Sequence[Any], where: Where | None
    ) -> None:
        if not arrays or isinstance(primitive, Movement):
            return
        for result in results:
            found = self._look(result)
            if found != FINITE and self._made(found, [self._look(array) for array in arrays]):
                wrong = NotFiniteError(_message(primitive, arrays, result, found, where))
                wrong.layer = (where.layer or None) if where else None
                raise wrong


def _message(
    primitive: Primitive, arrays: Sequence[Array], result: Array, found: Found, where: Where | None
) -> str:
    given = ", ".join(describe(array) for array in arrays)
    place = _first(result)
    lines = [
        f"{where}: {primitive.name} made {found}: "
        f"{primitive.name}({given}) -> {describe(result)}, "
        f"the first at {place if place else 'its only element'}"
    ]
    for number, array in enumerate(arrays):
        here = _operand_at(primitive, array, place)
        lines.append(f"  input {number}: {_range(array)}{here}")
    lines.append(
        "  keep the inputs where the operation is defined (ts.clip, ts.where on the input, a small "
        "number added), or look at them with ts.debug.print or ts.debug.breakpoint"
    )
    return "\n".join(lines)


def _first(result: Array) -> tuple[int, ...]:
    bad = ~np.isfinite(to_numpy(result))
    return tuple(int(i) for i in np.unravel_index(int(np.argmax(bad)), bad.shape))


def _operand_at(primitive: Primitive, array: Array, place: tuple[int, ...]) -> str:
    """What an elementwise operation was given at a place."""
    if not isinstance(primitive, Elementwise):
        return ""
    rank = len(array.shape)
    own = place[len(place) - rank :]
    index = tuple(0 if n == 1 else i for i, n in zip(own, array.shape, strict=True))
    return f"; there it is {to_numpy(array)[index]}"


def _range(array: Array) -> str:
    """An input in words: its elements lie between two numbers."""
    values = to_numpy(array)
    if values.size == 0:
        return f"{describe(array)}, empty"
    if array.layout.dtype.is_complex:
        return f"{describe(array)}, of absolute value up to {np.abs(values).max()}"
    values = values.astype(array.layout.dtype.compute.numpy, copy=False)
    return f"{describe(array)} from {values.min()} to {values.max()}"
