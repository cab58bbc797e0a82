"""Gradients through a compiled function.

If what a compiled function returns depends on tensors that need gradients, its backward pass is traced
right after it, in the same trace. What that pass reads of the forward pass, the *residuals*, become
further outputs of the program, and the pass itself a program of its own, compiled when it is first
needed. On the tape the whole function is one node.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from tessella import autodiff
from tessella.autodiff import Edge, Node
from tessella.compiler.eager import fill
from tessella.compiler.many_sizes import Programs
from tessella.compiler.observe import compiling
from tessella.devices.array import Array, Layout
from tessella.errors import GradientError
from tessella.primitives.graph import Graph, Value
from tessella.sizes.polynomials import Binding
from tessella.sizes.scope import Scope
from tessella.tensors.tensor import Tensor, as_it_is, edge_of, filled, new_handle
from tessella.tracing.trace import Trace
from tessella.transforms.recording import Recorded, replay
from tessella.transforms.reverse_mode import variables_of

_mode = autodiff.mode

_MOST_PROGRAMS = 8  # for gradients of other layouts

if TYPE_CHECKING:
    from tessella.compiler.program import Program


class Backward:
    """The backward pass of a traced function.

    Args:
        results: the tensors that the function returned and that have a history.
        targets: where gradients are asked for: at inner arguments, then at captured tensors.
    """

    def __init__(self, trace: Trace, results: Sequence[Tensor], targets: Sequence[Edge]) -> None:
        count = len(trace.nodes)
        self.cotangents = [Value(y.shape, y.dtype, "cotangent") for y in results]
        roots = [
            (edge_of(y), new_handle(trace.traced(ct, y.device), None, 0))  # type: ignore[arg-type]
            for y, ct in zip(results, self.cotangents, strict=True)
        ]
        try:
            with autodiff.set_enabled(False):
                found = autodiff.gradients(roots, targets, retain_graph=True)  # type: ignore[arg-type]
            self.gradients = [None if g is None else trace.value_of(g) for g in found]
        finally:
            self.nodes = trace.nodes[count:]
            del trace.nodes[count:]
        made = {value for node in self.nodes for value in node.outputs} | {*self.cotangents}
        read = [value for node in self.nodes for value in node.inputs]
        read += [value for value in self.gradients if value is not None]
        self.constants = {v: trace.constants[v] for v in read if v in trace.constants}
        self.residuals = [
            v for v in dict.fromkeys(read) if v not in made and v not in self.constants
        ]
        self.program: Program | None = None  # that ran last
        self.made: dict[tuple[Layout, ...], Program] = {}  # cotangents come in several layouts
        self.binding: Binding | None = None
        self.programs: Programs | None = None

    def at(self, binding: Binding | None) -> Backward:
        """The same for sizes of the symbols."""
        if binding is None:
            return self
        made = copy.copy(self)
        made.binding, made.made = binding, {}
        return made

    def for_many_sizes(self, scope: Scope, name: str) -> None:
        """The sizes in it are symbolic."""
        self.programs = Programs(self.graph(), scope, {}, frozenset(), f"{name}, backward")

    def graph(self) -> Graph:
        """From residuals and cotangents to the gradients."""
        wanted = [value for value in self.gradients if value is not None]
        return Graph([*self.residuals, *self.cotangents], self.nodes, wanted, self.constants)

    def node(
        self,
        name: str,
        results: Sequence[Array],
        targets: Sequence[Tensor],
        residuals: Sequence[Array],
        forward: Callable[[Sequence[Tensor]], list[Tensor]],
    ) -> Node:
        """The node of one call on the tape.

        Args:
            forward: the results again, from tensors in the places of the targets, done step by step.
        """
        parents = tuple([edge_of(x) for x in targets])
        layouts = [array.layout for array in results]
        saved = [as_it_is(x) for x in targets]

        def pullback(cotangents: list[Any]) -> Sequence[Any]:
            if (
                autodiff.is_enabled()
            ):  # for higher derivatives the steps themselves are differentiated
                return self._step_by_step(name, forward, saved, cotangents)
            if _mode.trace is not None:
                return self._replayed(residuals, layouts, cotangents)
            given = [
                fill(0, layout.shape, layout.dtype, layout.device) if ct is None else ct._value
                for ct, layout in zip(
                    [*cotangents, *[None] * (len(layouts) - len(cotangents))], layouts, strict=True
                )
            ]
            return self._run(f"{name}, backward", [*residuals, *given])

        return Node(name, parents, pullback)

    @staticmethod
    def _step_by_step(
        name: str,
        forward: Callable[[Sequence[Tensor]], list[Tensor]],
        targets: Sequence[Tensor],
        cotangents: list[Any],
    ) -> Sequence[Any]:
        """The gradients, with a history of their own."""
        with variables_of(name, targets, strict=False) as variables:
            outputs = forward(variables.arguments)
        edges = [edge_of(y) for y in outputs[: len(cotangents)]]
        return variables.gradients(edges, cotangents, retain_graph=True)

    def _replayed(
        self, residuals: Sequence[Array], layouts: Sequence[Layout], cotangents: list[Any]
    ) -> list[Tensor | None]:
        """The gradients, in the graph that another function is written down in."""
        given = [*cotangents, *[None] * (len(layouts) - len(cotangents))]
        inputs = [new_handle(array, None, 0) for array in residuals]
        inputs += [
            filled(0, layout.shape, layout.dtype, layout.device) if ct is None else ct
            for ct, layout in zip(given, layouts, strict=True)
        ]
        found = iter(replay(Recorded(self.graph(), [], [], None, set()), inputs))
        return [None if g is None else next(found) for g in self.gradients]

    def _run(self, name: str, inputs: Sequence[Array]) -> list[Tensor | None]:
        layouts = tuple([array.layout for array in inputs])
        program = self.made.get(layouts)
        if program is None:
            program = self.made[layouts] = self._compiled(name, layouts)
            if len(self.made) > _MOST_PROGRAMS:
                del self.made[next(iter(self.made))]
        self.program = program
        outputs = iter(program.run(inputs))
        return [None if g is None else new_handle(next(outputs), None, 0) for g in self.gradients]

    def _compiled(self, name: str, layouts: Sequence[Layout]) -> Program:
        from tessella.compiler.pipeline import compile

        why = "layouts changed" if self.made else "its gradients are asked for"
        with compiling(name, 1, why):
            if self.programs is None or self.binding is None:
                return compile(self.graph(), layouts, {}, frozenset(), name)
            return self.programs.program(layouts, self.binding)


def backward_of(trace: Trace, results: Sequence[Tensor], targets: Sequence[Any]) -> Backward | None:
    """The backward pass, or None if there is none: no history, or it has been gone through inside."""
    if not results or not targets:
        return None
    try:
        found = Backward(trace, results, targets)
    except GradientError:  # the function called backward() itself: its history is gone
        return None
    return found if any(value is not None for value in found.gradients) else None
