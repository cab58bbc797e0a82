"""A loop that goes on as long as a graph says so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tessella.errors import GradientError
from tessella.primitives.base import NumPyArray, Spec
from tessella.primitives.control import base
from tessella.primitives.control.base import Control, Transformations
from tessella.primitives.graph import Graph
from tessella.primitives.movement import batch_front


@dataclass(frozen=True, eq=False)
class While(Control):
    """A graph again and again on what it gave, as long as another one says so.

    The first `carried` operands are carried from turn to turn; the others are the same for all turns.

    Args:
        called: what the user called, for messages.
    """

    condition: Graph
    body: Graph
    carried: int
    by: Transformations = field(repr=False)
    called: str = field(default="while_loop", repr=False)

    @property
    def name(self) -> str:
        return "while_loop"

    @property
    def graphs(self) -> dict[str, Graph]:
        return {"while": self.condition, "do": self.body}

    def with_graphs(self, graphs: Sequence[Graph]) -> While:
        condition, body = graphs
        return replace(self, condition=condition, body=body)

    def result(self, *inputs: Spec) -> tuple[Spec, ...]:
        base.require_fit(self.called, self.body, inputs)
        return base.specs_of(self.body)

    def reference(self, *inputs: NumPyArray) -> tuple[NumPyArray, ...]:
        carry, same = list(inputs[: self.carried]), inputs[self.carried :]
        while bool(base.interpret(self.condition, [*carry, *same])[0]):
            carry = base.interpret(self.body, [*carry, *same])
        return tuple(carry)

    def step_by_step(self, tensors: Sequence[Any]) -> list[Any]:
        carry, same = list(tensors[: self.carried]), tensors[self.carried :]
        more, turn = self.by.again(self.condition), self.by.again(self.body)
        while bool(more(*carry, *same)[0]):
            carry = turn(*carry, *same)
        return carry

    def _loop(
        self, condition: Any, body: Any, carry: Sequence[Any], same: Sequence[Any]
    ) -> list[Any]:
        """A loop of two functions of what is carried and of what is the same for all turns."""
        given = [*carry, *same]
        graphs = [self.by.graph(self.called, function, given) for function in (condition, body)]
        loop = replace(self.with_graphs(graphs), carried=len(carry))
        return self.by.run(loop, given)

    def vjp(self, cotangents: Any, inputs: Any, outputs: Any) -> Any:
        raise GradientError(
            f"{self.called}: it has no reverse mode, because how many turns there are is not known beforehand; use "
            "ts.fori_loop with bounds that are Python integers, or ts.scan; or give a rule with ts.custom_vjp "
            "(for a fixed point, that of the implicit function)"
        )

    def jvp(self, inputs: Any, tangents: Any) -> Any:
        carry, same = inputs[: self.carried], inputs[self.carried :]
        moving = self.by.tangents_of(carry, tangents[: self.carried])
        fixed = self.by.tangents_of(same, tangents[self.carried :])
        more, pushed = self.by.again(self.condition), self.by.pushed(self.body)
        n = len(carry)
        sizes = [n, len(moving), len(same)]

        def body(*own: Any) -> list[Any]:
            inner, along, rest, rest_along = base.cut(own, sizes)
            found: list[Any] = pushed(*inner, *rest, *along, *rest_along)
            return found

        def condition(*own: Any) -> list[Any]:
            inner, _, rest, _ = base.cut(own, sizes)
            found: list[Any] = more(*inner, *rest)
            return found

        found = self._loop(condition, body, [*carry, *moving], [*same, *fixed])
        return base.spread(found[n:], base.floats(self.body.outputs), n)

    def batch_over(self, inputs: Any, axes: Any, size: int, axis_name: str | None) -> Any:
        """All that is carried is different for every example; who is done waits for the others."""
        n = self.carried
        carry = [batch_front(x, axis, size) for x, axis in zip(inputs[:n], axes[:n], strict=True)]
        same = base.in_front(inputs[n:], axes[n:])
        places = (*(0,) * n, *[None if axis is None else 0 for axis in axes[n:]])
        more = self.by.batched(self.condition, places, size, axis_name)
        turn = self.by.batched(self.body, places, size, axis_name)

        def condition(*own: Any) -> list[Any]:
            return [more(*own)[0].any()]

        def body(*own: Any) -> list[Any]:
            active = more(*own)[0]
            after = turn(*(own if self.axis_names else base.of_active(active, own, places)))
            return [base.masked(active, x, y) for x, y in zip(after, own[:n], strict=True)]

        return self._loop(condition, body, carry, same), (0,) * n
