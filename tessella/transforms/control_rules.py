"""The rules of control: the derivative of a loop is a loop, and so is a batch of loops.

Each rule makes new graphs, by recording what a transformation does with the old ones.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from tessella import autodiff, dtypes
from tessella.errors import GradientError
from tessella.primitives.base import Spec
from tessella.primitives.collective import Collective, Operation
from tessella.primitives.control import Cond, Control, ScanLoop, While
from tessella.primitives.elementwise import elementwise
from tessella.primitives.graph import Graph
from tessella.primitives.movement import batch_front, move_axis
from tessella.tensors.elementwise import clip, where
from tessella.tensors.indexing import take
from tessella.tensors.manipulation import broadcast_to, stack
from tessella.tensors.statistical import argmax
from tessella.tensors.tensor import Tensor, apply, filled, new_handle, recorded
from tessella.tracing.trace import binding
from tessella.transforms.batching import vmap
from tessella.transforms.closed import again, graph_of, inlined
from tessella.transforms.custom_rules import CustomCall
from tessella.transforms.forward_mode import jvp as push_forward
from tessella.transforms.reverse_mode import vjp as pull_back

_mode = autodiff.mode


def run(primitive: Any, tensors: Sequence[Tensor]) -> list[Tensor]:
    """A primitive of control on tensors: recorded, or done by Python."""
    trace = _mode.trace
    if trace is None:
        found: list[Tensor] = primitive.step_by_step(tensors)
        return found
    if getattr(trace, "inlines", True) and any(map(_calls_rules, primitive.graphs.values())):
        return _inlined(primitive, tensors)
    return list(apply(primitive, tensors))


def _inlined(primitive: Any, tensors: Sequence[Tensor]) -> list[Tensor]:
    """A primitive recorded for a program, which needs to know what functions with rules of their own do.

    On the tape it stands with their rules.
    """
    graphs, read = inlined(primitive.name, list(primitive.graphs.values()))
    tensors = [binding(x) for x in tensors]
    values = _mode.trace.record(primitive.with_graphs(graphs), [*tensors, *read])
    if autodiff.is_enabled() and any(x._node is not None for x in tensors):
        return list(recorded(primitive, tensors, values))
    return [new_handle(value, None, 0) for value in values]


def _calls_rules(graph: Graph) -> bool:
    return any(
        isinstance(node.primitive, CustomCall)
        or (
            isinstance(node.primitive, Control)
            and any(map(_calls_rules, node.primitive.graphs.values()))
        )
        for node in graph.nodes
    )


def _floats(tensors: Sequence[Any]) -> list[int]:
    return [i for i, x in enumerate(tensors) if x.dtype.is_float]


def _with_gradients(graph: Graph) -> Callable[..., list[Tensor]]:
    """A graph's pullback as a function of (its inputs, the gradients of its float outputs)."""
    count = len(graph.inputs)
    wanted = _floats(graph.inputs)
    given = _floats(graph.outputs)

    def pulled(*own: Tensor) -> list[Tensor]:
        inputs, cotangents = list(own[:count]), own[count:]

        def of(*floats: Tensor) -> list[Tensor]:
            filled_in = list(inputs)
            for place, x in zip(wanted, floats, strict=True):
                filled_in[place] = x
            outputs = again(graph)(*filled_in)
            return [outputs[i] for i in given]

        _, pullback = pull_back(of, *[inputs[i] for i in wanted])
        return list(pullback(list(cotangents)))

    return pulled


def _full(cotangents: Sequence[Any], outputs: Sequence[Any]) -> list[Tensor]:
    """The gradients of the float outputs, zeros where there are none."""
    given = [*cotangents, *[None] * (len(outputs) - len(cotangents))]
    return [
        filled(0, tuple(outputs[i].shape), outputs[i].dtype) if given[i] is None else given[i]
        for i in _floats(outputs)
    ]


def _spread(found: Sequence[Any], places: Sequence[int], count: int) -> list[Any]:
    """Results in their places, None elsewhere."""
    spread: list[Any] = [None] * count
    for place, x in zip(places, found, strict=True):
        spread[place] = x
    return spread


def _with_tangents(graph: Graph) -> Callable[..., list[Tensor]]:
    """A graph's outputs and the tangents of its float outputs, from inputs and tangents of float inputs."""
    count = len(graph.inputs)
    wanted, given = _floats(graph.inputs), _floats(graph.outputs)

    def pushed(*own: Tensor) -> list[Tensor]:
        inputs, tangents = own[:count], own[count:]
        full_tangents = _spread(tangents, wanted, count)
        outputs, along = push_forward(again(graph), tuple(inputs), tuple(full_tangents))
        return [*outputs, *[along[i] for i in given]]

    return pushed


def _zeros_for(xs: Sequence[Tensor], tangents: Sequence[Any]) -> list[Tensor]:
    """The tangents of the float ones among tensors, zeros for None."""
    return [
        filled(0, xs[i].shape, xs[i].dtype) if tangents[i] is None else tangents[i]
        for i in _floats(xs)
    ]


def _masked(mask: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """x where the mask of each example is true, y elsewhere; examples lie in front."""
    shaped = mask.reshape((*mask.shape, *(1,) * (x.ndim - 1)))
    found: Tensor = elementwise("select")(shaped, x, y)
    return found


def _of_one(mask: Tensor, x: Tensor) -> Tensor:
    """x, with the data of the first example whose mask is true for all whose mask is not."""
    one = argmax(mask.astype(dtypes.int32)).reshape((1,))
    return _masked(mask, x, broadcast_to(take(x, one, axis=0), x.shape))


class Rules(Control):
    """What the rules of all primitives of control share."""

    def evaluate(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        return run(self, tensors)

    def with_graphs(self, graphs: Sequence[Graph]) -> Rules:
        """The same with other graphs."""
        raise self._missing("with_graphs")

    @functools.cached_property
    def axis_names(self) -> frozenset[str]:  # type: ignore[override]
        """The axes of the collectives in its graphs."""
        return frozenset().union(*[graph.axis_names for graph in self.graphs.values()])

    def batch(self, inputs: Any, axes: Any, size: int) -> Any:
        return self.batch_over(inputs, axes, size, None)

    def batch_over(self, inputs: Any, axes: Any, size: int, axis_name: str | None) -> Any:
        """`batch`, where collectives over the axis of a name go over this one.

        Examples that take part with the data of others would add that to a collective. So where there is one, of
        whatever name, each takes part with data of its own.
        """
        raise self._missing("batch_over")


class CondRules(Rules, Cond):
    """`Cond` with its rules."""

    def with_graphs(self, graphs: Sequence[Graph]) -> Rules:
        return CondRules(tuple(graphs))

    def step_by_step(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        index, *operands = tensors
        chosen = min(max(int(index.item()), 0), len(self.branches) - 1)
        return again(self.branches[chosen])(*operands)

    def vjp(self, cotangents: Any, inputs: Any, outputs: Any) -> Any:
        index, *operands = inputs
        if self.axis_names:
            return self._vjp_of_all(index, operands, _full(cotangents, outputs))
        given = [*operands, *_full(cotangents, outputs)]
        branches = tuple(graph_of("cond", _with_gradients(g), given) for g in self.branches)
        found = run(CondRules(branches), [index, *given])
        return [None, *_spread(found, _floats(operands), len(operands))]

    def _vjp_of_all(self, index: Tensor, operands: list[Tensor], cts: list[Tensor]) -> Any:
        """Where examples speak to each other, an example has a part in the branches that others take.

        So every branch gives gradients to all examples, from those of the examples that take it; it is left out if
        none does.
        """
        index = clip(index, 0, len(self.branches) - 1)
        totals: list[Any] = [None] * len(_floats(operands))
        for number, graph in enumerate(self.branches):
            taken = index == number
            anyone = taken.astype(dtypes.int32)
            for axis_name in sorted(self.axis_names):
                anyone = Collective(axis_name, Operation.MAXIMUM)(anyone)
            given = [*operands, *[where(taken, ct, filled(0, ct.shape, ct.dtype)) for ct in cts]]
            pulled = _with_gradients(graph)
            graphs = tuple(graph_of("cond", f, given) for f in (_zeros_like(operands), pulled))
            found = run(CondRules(graphs), [anyone, *given])
            totals = [y if x is None else x + y for x, y in zip(totals, found, strict=True)]
        return [None, *_spread(totals, _floats(operands), len(operands))]

    def jvp(self, inputs: Any, tangents: Any) -> Any:
        index, *operands = inputs
        given = [*operands, *_zeros_for(operands, tangents[1:])]
        branches = tuple(graph_of("cond", _with_tangents(g), given) for g in self.branches)
        found = run(CondRules(branches), [index, *given])
        count = len(self.branches[0].outputs)
        return _spread(found[count:], _floats(self.branches[0].outputs), count)

    def batch_over(self, inputs: Any, axes: Any, size: int, axis_name: str | None) -> Any:
        (index, *operands), (index_axis, *operand_axes) = inputs, axes
        front = [
            x if axis is None else move_axis(x, axis, 0)
            for x, axis in zip(operands, operand_axes, strict=True)
        ]
        places = [None if axis is None else 0 for axis in operand_axes]

        def batched(graph: Graph) -> Callable[..., Any]:
            return vmap(again(graph), tuple(places), axis_size=size, axis_name=axis_name)

        zeros = (0,) * len(self.branches[0].outputs)
        if index_axis is None:
            branches = tuple(graph_of("cond", batched(g), front) for g in self.branches)
            return run(CondRules(branches), [index, *front]), zeros
        index = clip(move_axis(index, index_axis, 0), 0, len(self.branches) - 1)
        found: list[Tensor] | None = None
        for number, graph in enumerate(self.branches):
            mask = index == number
            taken = _taken(graph, batched(graph), mask, front, places, size)
            if found is None:
                found = taken
            else:
                found = [_masked(mask, x, y) for x, y in zip(taken, found, strict=True)]
        return found, zeros


def _zeros_like(operands: Sequence[Tensor]) -> Callable[..., list[Tensor]]:
    """A function that gives no gradient to the float ones among operands."""
    specs = [(operands[i].shape, operands[i].dtype) for i in _floats(operands)]
    return lambda *own: [filled(0, shape, dtype) for shape, dtype in specs]


def _taken(
    graph: Graph, batched: Any, mask: Tensor, operands: list[Tensor], places: list[Any], size: int
) -> list[Tensor]:
    """A branch for the examples that take it; if there are none it is not computed, but zeros are given."""

    alone = not graph.axis_names

    def some(mask: Tensor, *own: Tensor) -> list[Tensor]:
        safe = [
            _of_one(mask, x) if alone and place is not None else x
            for x, place in zip(own, places, strict=True)
        ]
        return list(batched(*safe))

    def none(mask: Tensor, *own: Tensor) -> list[Tensor]:
        return [filled(0, (size, *v.shape), v.dtype) for v in graph.outputs]

    given = [mask, *operands]
    graphs = tuple(graph_of("cond", function, given) for function in (none, some))
    return run(CondRules(graphs), [mask.any().astype(dtypes.int32), *given])


class WhileRules(Rules, While):
    """`While` with its rules."""

    def with_graphs(self, graphs: Sequence[Graph]) -> Rules:
        condition, body = graphs
        return WhileRules(condition, body, self.carried, self.called)

    def step_by_step(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        carry, same = list(tensors[: self.carried]), tensors[self.carried :]
        more, turn = again(self.condition), again(self.body)
        while bool(more(*carry, *same)[0]):
            carry = turn(*carry, *same)
        return carry

    def vjp(self, cotangents: Any, inputs: Any, outputs: Any) -> Any:
        raise GradientError(
            f"{self.called}: it has no reverse mode, because how many turns there are is not known beforehand; use "
            "ts.fori_loop with bounds that are Python integers, or ts.scan; or give a rule with ts.custom_vjp "
            "(for a fixed point, that of the implicit function)"
        )

    def jvp(self, inputs: Any, tangents: Any) -> Any:
        carry, same = inputs[: self.carried], inputs[self.carried :]
        moving = _zeros_for(carry, tangents[: self.carried])
        fixed = _zeros_for(same, tangents[self.carried :])
        pushed = _with_tangents(self.body)
        n, m = len(carry), len(moving)

        def body(*own: Tensor) -> list[Tensor]:
            inner, along = own[:n], own[n : n + m]
            rest, rest_along = own[n + m : n + m + len(same)], own[n + m + len(same) :]
            return pushed(*inner, *rest, *along, *rest_along)

        def condition(*own: Tensor) -> list[Tensor]:
            return again(self.condition)(*own[:n], *own[n + m : n + m + len(same)])

        given = [*carry, *moving, *same, *fixed]
        graphs = [graph_of(self.called, f, given) for f in (condition, body)]
        found = run(WhileRules(graphs[0], graphs[1], n + m, self.called), given)
        return _spread(found[n:], _floats(self.body.outputs), n)

    def batch_over(self, inputs: Any, axes: Any, size: int, axis_name: str | None) -> Any:
        """All that is carried is different for every example; who is done waits for the others."""
        alone = not self.axis_names
        n = self.carried
        carry = [batch_front(x, axis, size) for x, axis in zip(inputs[:n], axes[:n], strict=True)]
        same = [
            x if axis is None else move_axis(x, axis, 0)
            for x, axis in zip(inputs[n:], axes[n:], strict=True)
        ]
        places = (*(0,) * n, *[None if axis is None else 0 for axis in axes[n:]])
        more = vmap(again(self.condition), places, axis_size=size, axis_name=axis_name)
        turn = vmap(again(self.body), places, axis_size=size, axis_name=axis_name)

        def condition(*own: Tensor) -> list[Tensor]:
            return [more(*own)[0].any()]

        def body(*own: Tensor) -> list[Tensor]:
            active = more(*own)[0]
            safe = [
                _of_one(active, x) if alone and place is not None else x
                for x, place in zip(own, places, strict=True)
            ]
            after = turn(*safe)
            return [_masked(active, x, y) for x, y in zip(after, own[:n], strict=True)]

        given = [*carry, *same]
        graphs = [graph_of(self.called, f, given) for f in (condition, body)]
        return run(WhileRules(graphs[0], graphs[1], n, self.called), given), (0,) * n


class ScanRules(Rules, ScanLoop):
    """`ScanLoop` with its rules."""

    def with_graphs(self, graphs: Sequence[Graph]) -> Rules:
        return replace(self, body=graphs[0])

    def _parts(self, tensors: Sequence[Any]) -> tuple[list[Any], list[Any], list[Any]]:
        """What is carried, the sequences, and what is the same for all places."""
        n, m = self.carried, self.sliced
        return list(tensors[:n]), list(tensors[n : n + m]), list(tensors[n + m :])

    def step_by_step(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        carry, sequences, same = self._parts(tensors)
        turn = again(self.body)
        found: list[Any] = [None] * self.length
        for place in self.places():
            outputs = turn(*carry, *[x[place] for x in sequences], *same)
            carry, found[place] = outputs[: self.carried], outputs[self.carried :]
        given = self.body.outputs[self.carried :]
        if not self.length:
            return [*carry, *[filled(0, (0, *v.shape), v.dtype) for v in given]]
        return [*carry, *[stack([y[i] for y in found]) for i in range(len(given))]]

    def _carries(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        """What is carried into each place, stacked."""
        n = self.carried
        body = self.body
        graph = Graph(
            body.inputs, body.nodes, [*body.outputs[:n], *body.inputs[:n]], body.constants
        )
        loop = ScanRules(graph, self.length, n, self.sliced, self.reverse)
        return run(loop, inputs)[n:]

    def vjp(self, cotangents: Any, inputs: Any, outputs: Any) -> Any:
        """A loop from the last place to the first: the body again, and its way back.

        The gradients of what is the same for all places add up in what the loop carries.
        """
        n, m = self.carried, self.sliced
        _, sequences, same = self._parts(inputs)
        before = self._carries(inputs)
        given = [*cotangents, *[None] * (len(outputs) - len(cotangents))]
        last, stacked = _full(given[:n], outputs[:n]), _full(given[n:], outputs[n:])
        kept = _floats(same)
        totals = [filled(0, same[i].shape, same[i].dtype) for i in kept]
        pulled = _with_gradients(self.body)
        moved, sliced = _floats(self.body.inputs[:n]), _floats(self.body.inputs[n : n + m])
        sizes = [len(last), len(totals), n, m, len(stacked)]

        def body(*own: Tensor) -> list[Tensor]:
            ct, sums, carry, xs, ys, rest = _cut(own, sizes)
            found = pulled(*carry, *xs, *rest, *ct, *ys)
            by_carry, by_x, by_rest = _cut(found, [len(moved), len(sliced)])
            return [*by_carry, *[a + b for a, b in zip(sums, by_rest, strict=True)], *by_x]

        like = [
            *last, *totals, *self.body.inputs[:n], *self.body.inputs[n : n + m],
            *[_first(x) for x in stacked], *same,
        ]  # fmt: skip
        graph = graph_of("scan", body, like)
        loop = ScanRules(
            graph, self.length, len(last) + len(totals), n + m + len(stacked), not self.reverse
        )
        found = run(loop, [*last, *totals, *before, *sequences, *stacked, *same])
        by_carry, by_same, by_x = _cut(found, [len(last), len(totals)])
        return [
            *_spread(by_carry, moved, n),
            *_spread(by_x, sliced, m),
            *_spread(by_same, kept, len(same)),
        ]

    def jvp(self, inputs: Any, tangents: Any) -> Any:
        n, m = self.carried, self.sliced
        carry, sequences, same = self._parts(inputs)
        t_carry, t_sequences, t_same = self._parts(tangents)
        moving = _zeros_for(carry, t_carry)
        along = _zeros_for(sequences, t_sequences)
        fixed = _zeros_for(same, t_same)
        pushed = _with_tangents(self.body)
        sizes = [n, len(moving), m, len(along), len(same)]
        outputs = len(self.body.outputs)
        floats = _floats(self.body.outputs[:n])

        def body(*own: Tensor) -> list[Tensor]:
            inner, t_inner, xs, t_xs, rest, t_rest = _cut(own, sizes)
            found = pushed(*inner, *xs, *rest, *t_inner, *t_xs, *t_rest)
            after, t_after = found[:outputs], found[outputs:]
            moved = t_after[: len(floats)]
            return [*after[:n], *moved, *after[n:], *t_after[len(floats) :]]

        like = [
            *carry, *moving, *[_first(x) for x in sequences], *[_first(x) for x in along], *same, *fixed
        ]  # fmt: skip
        graph = graph_of("scan", body, like)
        loop = ScanRules(graph, self.length, n + len(moving), m + len(along), self.reverse)
        found = run(loop, [*carry, *moving, *sequences, *along, *same, *fixed])
        _, t_last, _, t_stacked = _cut(found, [n, len(moving), outputs - n])
        return [
            *_spread(t_last, floats, n),
            *_spread(t_stacked, _floats(self.body.outputs[n:]), outputs - n),
        ]

    def batch_over(self, inputs: Any, axes: Any, size: int, axis_name: str | None) -> Any:
        """Places stay in front, examples behind them."""
        n, m = self.carried, self.sliced
        carry, sequences, same = self._parts(inputs)
        a_carry, a_sequences, a_same = self._parts(axes)
        carry = [batch_front(x, axis, size) for x, axis in zip(carry, a_carry, strict=True)]
        sequences = [
            x if axis is None else move_axis(x, axis, 1)
            for x, axis in zip(sequences, a_sequences, strict=True)
        ]
        same = [
            x if axis is None else move_axis(x, axis, 0)
            for x, axis in zip(same, a_same, strict=True)
        ]
        places = (*(0,) * n, *[None if a is None else 0 for a in (*a_sequences, *a_same)])
        turn = vmap(again(self.body), places, axis_size=size, axis_name=axis_name)
        like = [*carry, *[_first(x) for x in sequences], *same]
        graph = graph_of("scan", lambda *own: list(turn(*own)), like)
        loop = ScanRules(graph, self.length, n, m, self.reverse)
        found = run(loop, [*carry, *sequences, *same])
        return found, (*(0,) * n, *(1,) * (len(found) - n))


def _first(x: Any) -> Spec:
    """One place of a sequence."""
    return Spec(tuple(x.shape[1:]), x.dtype)


def _cut(items: Sequence[Any], sizes: Sequence[int]) -> list[list[Any]]:
    """A list in pieces of some sizes, and the rest."""
    found, start = [], 0
    for size in sizes:
        found.append(list(items[start : start + size]))
        start += size
    return [*found, list(items[start:])]
