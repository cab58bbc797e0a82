"""A loop over the places of a sequence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from tessella.primitives.base import NumPyArray, Spec
from tessella.primitives.control import base
from tessella.primitives.control.base import Control, Transformations
from tessella.primitives.graph import Graph, Value
from tessella.primitives.movement import Concatenate, batch_front, reshape


@dataclass(frozen=True, eq=False)
class ScanLoop(Control):
    """A graph for each place of a sequence, on what it gave for the place before.

    The first `carried` operands are carried from place to place, the next `sliced` ones are sequences along
    their first axis, the others are the same for all places. The results are what was carried at last, then what
    was given at each place, stacked.

    Args:
        keeps: whether the last results are what was carried into each place; gradients need it.
    """

    body: Graph
    length: int
    carried: int
    sliced: int
    by: Transformations = field(repr=False)
    reverse: bool = False
    keeps: bool = field(default=False, repr=False)

    @property
    def name(self) -> str:
        return "scan"

    @property
    def graphs(self) -> dict[str, Graph]:
        return {"for each place": self.body}

    def with_graphs(self, graphs: Sequence[Graph]) -> ScanLoop:
        return replace(self, body=graphs[0])

    def with_results(self, results: Sequence[Value], keeps: bool = False) -> ScanLoop:
        """The same, that gives other values of its body than it did; first what is carried, as before."""
        body = Graph(self.body.inputs, self.body.nodes, results, self.body.constants)
        return replace(self, body=body, keeps=keeps)

    def apply(self, tensors: Sequence[Any]) -> list[Any]:
        n, outputs = self.carried, self.body.outputs
        if self.keeps or not n or not self.by.remembers(tensors):
            return self.by.run(self, tensors)
        keeping = self.with_results([*outputs, *self.body.inputs[:n]], keeps=True)
        return self.by.run(keeping, tensors)[: len(outputs)]

    def parts(self, operands: Sequence[Any]) -> list[list[Any]]:
        """What is carried, the sequences, and what is the same for all places."""
        return base.cut(operands, [self.carried, self.sliced])

    def places(self) -> range:
        """The places in the order in which they are gone through."""
        return range(self.length - 1, -1, -1) if self.reverse else range(self.length)

    def result(self, *inputs: Spec) -> tuple[Spec, ...]:
        carry, sequences, same = self.parts(inputs)
        base.require_fit("scan", self.body, [*carry, *map(_first, sequences), *same])
        specs = base.specs_of(self.body)
        stacked = [Spec((self.length, *s.shape), s.dtype) for s in specs[self.carried :]]
        return (*specs[: self.carried], *stacked)

    def reference(self, *inputs: NumPyArray) -> tuple[NumPyArray, ...]:
        carry, sequences, same = self.parts(inputs)
        stacked = [
            np.empty((self.length, *v.shape), v.dtype.numpy)
            for v in self.body.outputs[self.carried :]
        ]
        for place in self.places():
            found = base.interpret(self.body, [*carry, *[x[place] for x in sequences], *same])
            carry = found[: self.carried]
            for whole, part in zip(stacked, found[self.carried :], strict=True):
                whole[place] = part
        return (*carry, *stacked)

    def step_by_step(self, tensors: Sequence[Any]) -> list[Any]:
        carry, sequences, same = self.parts(tensors)
        turn = self.by.again(self.body)
        found: list[Any] = [None] * self.length
        for place in self.places():
            outputs = turn(*carry, *[x[place] for x in sequences], *same)
            carry = outputs[: self.carried]
            found[place] = [reshape(y, (1, *y.shape)) for y in outputs[self.carried :]]
        if not self.length:
            return [*carry, *map(self.by.zeros, self.result(*tensors)[self.carried :])]
        return [*carry, *[Concatenate(0)(*own) for own in zip(*found, strict=True)]]

    def _loop(
        self, body: Any, carry: Sequence[Any], sequences: Sequence[Any], same: Sequence[Any],
        reverse: bool,
    ) -> list[Any]:  # fmt: skip
        """A loop of a function of what is carried, the places of sequences, and what is the same for all."""
        graph = self.by.graph("scan", body, [*carry, *map(_first, sequences), *same])
        loop = ScanLoop(graph, self.length, len(carry), len(sequences), self.by, reverse)
        return loop.apply([*carry, *sequences, *same])

    def vjp(self, cotangents: Any, inputs: Any, outputs: Any) -> Any:
        """A loop from the last place to the first: the body again, on what was carried into it, and its way back."""
        count = len(outputs) - self.carried if self.keeps else len(outputs)
        before = outputs[count:]
        if any(ct is not None for ct in cotangents[count:]):
            return self._gradients(before, cotangents, inputs, outputs)
        plain = self.with_results(self.body.outputs[:count])
        return plain._gradients(before, cotangents[:count], inputs, outputs[:count])

    def _gradients(self, before: Any, cotangents: Any, inputs: Any, outputs: Any) -> list[Any]:
        """The gradients of the inputs, given what was carried into each place.

        Those of what is the same for all places add up in what the loop carries.
        """
        n, m = self.carried, self.sliced
        _, sequences, same = self.parts(inputs)
        last = self.by.gradients_of(cotangents[:n], outputs[:n])
        stacked = self.by.gradients_of(cotangents[n:], outputs[n:])
        kept = base.floats(same)
        totals = [self.by.zeros(same[i]) for i in kept]
        pulled = self.by.pulled(self.body)
        moved, along = base.floats(self.body.inputs[:n]), base.floats(self.body.inputs[n : n + m])
        sizes = [len(last), len(totals), n, m, len(stacked)]

        def body(*own: Any) -> list[Any]:
            ct, sums, carry, xs, ys, rest = base.cut(own, sizes)
            found = pulled(*carry, *xs, *rest, *ct, *ys)
            by_carry, by_x, by_rest = base.cut(found, [len(moved), len(along)])
            return [*by_carry, *[a + b for a, b in zip(sums, by_rest, strict=True)], *by_x]

        given = [*before, *sequences, *stacked]
        found = self._loop(body, [*last, *totals], given, same, not self.reverse)
        by_carry, by_same, by_x = base.cut(found, [len(last), len(totals)])
        return [
            *base.spread(by_carry, moved, n),
            *base.spread(by_x, along, m),
            *base.spread(by_same, kept, len(same)),
        ]

    def jvp(self, inputs: Any, tangents: Any) -> Any:
        carry, sequences, same = self.parts(inputs)
        moving, along, fixed = map(
            self.by.tangents_of, (carry, sequences, same), self.parts(tangents)
        )
        pushed = self.by.pushed(self.body)
        n, outputs = self.carried, self.body.outputs
        sizes = [n, len(moving), len(sequences), len(along), len(same)]
        moved = base.floats(outputs[:n])

        def body(*own: Any) -> list[Any]:
            inner, t_inner, xs, t_xs, rest, t_rest = base.cut(own, sizes)
            found = pushed(*inner, *xs, *rest, *t_inner, *t_xs, *t_rest)
            after, ys, t_after, t_ys = base.cut(found, [n, len(outputs) - n, len(moved)])
            return [*after, *t_after, *ys, *t_ys]

        found = self._loop(
            body, [*carry, *moving], [*sequences, *along], [*same, *fixed], self.reverse
        )
        _, t_last, _, t_stacked = base.cut(found, [n, len(moving), len(outputs) - n])
        return [
            *base.spread(t_last, moved, n),
            *base.spread(t_stacked, base.floats(outputs[n:]), len(outputs) - n),
        ]

    def batch_over(self, inputs: Any, axes: Any, size: int, axis_name: str | None) -> Any:
        """Places stay in front, examples behind them."""
        n = self.carried
        carry, sequences, same = self.parts(inputs)
        a_carry, a_sequences, a_same = self.parts(axes)
        carry = [batch_front(x, axis, size) for x, axis in zip(carry, a_carry, strict=True)]
        places = (*(0,) * n, *[None if a is None else 0 for a in (*a_sequences, *a_same)])
        turn = self.by.batched(self.body, places, size, axis_name)
        found = self._loop(
            lambda *own: list(turn(*own)), carry, base.in_front(sequences, a_sequences, 1),
            base.in_front(same, a_same), self.reverse,
        )  # fmt: skip
        return found, (*(0,) * n, *(1,) * (len(found) - n))


def _first(x: Any) -> Spec:
    """One place of a sequence."""
    return Spec(tuple(x.shape[1:]), x.dtype)
