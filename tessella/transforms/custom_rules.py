"""Functions with rules of their own: on the tape, in the graphs of transformations, and for batches."""

from __future__ import annotations

import abc
import functools
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from tessella import autodiff
from tessella.arguments import called
from tessella.arguments.gates import A_TENSOR, as_tensor
from tessella.arguments.kinds import an
from tessella.autodiff import Node
from tessella.errors import ArgumentTypeError, GradientError
from tessella.primitives.base import TOLD, Primitive, Spec
from tessella.primitives.graph import GraphNode, Value
from tessella.primitives.movement import move_axis
from tessella.tensors.tensor import Tensor, alike, as_it_is, edge_of, new_handle
from tessella.tracing.lines import line_of
from tessella.tracing.trace import binding
from tessella.transforms import trees
from tessella.transforms.batching import vmap
from tessella.transforms.forward_mode import jvp
from tessella.transforms.recording import InnerTrace, beside, record
from tessella.transforms.reverse_mode import vjp

_mode = autodiff.mode


def name_of(function: Any) -> str:
    return getattr(function, "__name__", "the function")


class Call:
    """One call: which of its leaves are tensors, and how they become arguments again."""

    def __init__(self, owner: Any, args: tuple[Any, ...], static: Sequence[int]) -> None:
        self.owner, self.function = owner, owner.function
        self.static = trees.argument_numbers(static, len(args), "nondiff_argnums") if static else ()
        self.values = [args[i] for i in self.static]
        self.count = len(args)
        rest = tuple(x for i, x in enumerate(args) if i not in self.static)
        self.leaves, self.structure = trees.flatten(rest)
        self.places = [i for i, leaf in enumerate(self.leaves) if trees.is_array(leaf)]
        self.tensors = [trees.as_tensor(self.leaves[i]) for i in self.places]

    def arguments(self, tensors: Sequence[Any], others: Any = ...) -> tuple[Any, ...]:
        """The differentiable arguments, with tensors for their leaves."""
        leaves = self.leaves if others is ... else [others] * len(self.leaves)
        found: tuple[Any, ...] = trees.with_leaves(self.structure, leaves, self.places, tensors)
        return found

    def whole(self, tensors: Sequence[Any]) -> list[Any]:
        """All arguments, in order."""
        rest = iter(self.arguments(tensors))
        static = dict(zip(self.static, self.values, strict=True))
        return [static[i] if i in static else next(rest) for i in range(self.count)]

    def plain(self, *tensors: Any) -> Any:
        """The function itself."""
        return self.function(*self.whole(tensors))

    def run(self, rule: Any) -> Any:
        leaves, structure = rule.call(*self.tensors)
        return trees.unflatten(structure, leaves)


class Rule(abc.ABC):
    """A function of tensors with a derivative of its own.

    Args:
        plain: the function without it.
        name: for messages.
    """

    plain: Callable[..., Any]
    name: str
    structure: Any = None  # of what `plain` gives, once that is known
    has_own_code = True  # which may do what `plain` does not

    def aligned(self, tree: Any, what: str) -> list[Any]:
        """The leaves of what a rule gives, in the order of those of the function's result.

        Raises:
            GradientError: it has another structure.
        """
        leaves, own = trees.results_of(tree)
        if self.structure is None or own == self.structure:
            return leaves
        found = trees.leaves_like(self.structure, trees.unflatten(own, leaves))
        if found is None:
            raise GradientError(
                f"{self.name}: {what} has the structure {trees.outline(own)}, what the function gives "
                f"{trees.outline(self.structure)}; they must be the same"
            )
        return found

    def call(self, *tensors: Tensor) -> tuple[list[Any], Any]:
        """The leaves of the result and their structure; now, on the tape, or as a node of a graph."""
        trace = _mode.trace
        if isinstance(trace, InnerTrace) and not trace.inlines:
            return self._recorded(trace, tensors)
        return self.on_the_tape(tensors)

    @abc.abstractmethod
    def on_the_tape(self, tensors: Sequence[Tensor]) -> tuple[list[Any], Any]:
        """The leaves of the result and their structure, with a node of the tape if there is a history."""

    def _recorded(self, trace: InnerTrace, tensors: Sequence[Tensor]) -> tuple[list[Any], Any]:
        """As one node: the function is gone through only to see what it gives."""
        shapes = InnerTrace("custom")
        with beside(tensors):
            recorded = record(shapes, self.plain, [Spec(x.shape, x.dtype) for x in tensors])
        leaves, self.structure = recorded.outputs, recorded.structure
        results = tuple(Spec(value.shape, value.dtype) for value in recorded.values)
        values = [Value(spec.shape, spec.dtype) for spec in results]
        primitive = CustomCall(
            self,
            results,
            tuple([isinstance(x, Value) for x in leaves]),
            recorded.graph.axis_names,
        )
        where = line_of(lambda made: None)
        node = GraphNode(primitive, [trace.value_of(x) for x in tensors], values, where)
        trace.nodes.append(node)
        device = beside(tensors)
        made = iter([new_handle(trace.traced(value, device), None, 0) for value in values])  # type: ignore[arg-type]
        if any(x.requires_grad for x in tensors) and autodiff.is_enabled():
            outputs = list(made)
            tape = self.tape_node(tensors, outputs)
            made = iter([new_handle(y._value, tape, i) for i, y in enumerate(outputs)])
        shown = [next(made) if isinstance(leaf, Value) else leaf for leaf in leaves]
        return shown, recorded.structure

    def tape_node(self, tensors: Sequence[Tensor], outputs: Sequence[Tensor]) -> Node:
        """The node of a call whose pullback does the forward pass again."""
        parents, saved = tuple([edge_of(x) for x in tensors]), [as_it_is(x) for x in tensors]

        def pullback(cotangents: list[Any]) -> Sequence[Any]:
            return self.pull(saved, _full(cotangents, outputs))

        return Node(self.name, parents, pullback)

    @abc.abstractmethod
    def pull(self, tensors: Sequence[Tensor], cotangents: Sequence[Tensor]) -> Sequence[Any]:
        """The gradients of the tensors, or None, from those of the outputs."""

    @abc.abstractmethod
    def push(self, tensors: Sequence[Tensor], tangents: Sequence[Any]) -> tuple[Any, Any]:
        """The result and its tangent."""

    @abc.abstractmethod
    def batched(self, axes: Sequence[Any], size: int, axis_name: str | None) -> Rule:
        """The rule for a batch.

        Args:
            axes: where each tensor has its axis, or None.
            size: how many examples there are.
            axis_name: the name of the axis.
        """


def _full(cotangents: Sequence[Any], outputs: Sequence[Tensor]) -> list[Tensor]:
    given = [*cotangents, *[None] * (len(outputs) - len(cotangents))]
    return [alike(0, y) if ct is None else ct for ct, y in zip(given, outputs, strict=True)]


class VJPRule(Rule):
    def __init__(self, forward: Any, backward: Any, call: Call) -> None:
        self.forward, self.backward, self.made_for = forward, backward, call
        self.plain, self.name = call.plain, name_of(call.owner)

    def _forward(self, *tensors: Tensor) -> tuple[Any, Any]:
        told = f"custom_vjp: the forward rule of {self.name} is called with the arguments of {self.name}"
        result = called(told, self.forward, *self.made_for.whole(tensors))
        if not (isinstance(result, tuple) and len(result) == 2):
            raise ArgumentTypeError(
                f"custom_vjp: the forward rule of {self.name} returned {an(type(result).__name__)}; "
                "expected a pair (result, residuals)"
            )
        return result

    def _backward(self, residuals: Any, cotangent: Any) -> list[Any]:
        """A gradient for each tensor among the arguments."""
        call = self.made_for
        before = "what is not differentiated, " if call.values else ""
        told = f"custom_vjp: the backward rule of {self.name} is called with {before}the residuals and the cotangent"
        found = called(told, self.backward, *call.values, residuals, cotangent)
        expected = call.count - len(call.static)
        if not isinstance(found, (tuple, list)) or len(found) != expected:
            shown = len(found) if isinstance(found, (tuple, list)) else type(found).__name__
            raise GradientError(
                f"custom_vjp: the backward rule of {self.name} returned {shown} gradients; expected a "
                f"tuple of {expected}, one for each argument (None for zero)"
            )
        spread = trees.broadcast_prefix(
            tuple(found), call.arguments(call.tensors), "custom_vjp", "what the backward rule gives"
        )
        gradients = [spread[place] for place in call.places]
        return [self._fitting(ct, x) for ct, x in zip(gradients, call.tensors, strict=True)]

    def _fitting(self, gradient: Any, x: Tensor) -> Tensor | None:
        """A gradient of an argument, in its dtype; None for zero."""
        if gradient is None or not x.dtype.is_float:
            return None
        said = f"the gradient that the backward rule of {self.name} gives"
        found: Tensor = as_tensor(gradient, [x], "custom_vjp", said, f"{A_TENSOR}, or None")
        if found.shape != x.shape:
            raise GradientError(
                f"custom_vjp: the backward rule of {self.name} gives a gradient of shape "
                f"{found.shape} for an argument of shape {x.shape}; they must be equal"
            )
        if not found.dtype.is_float:
            raise GradientError(
                f"custom_vjp: the backward rule of {self.name} gives a gradient of {found.dtype.name} for an argument of "
                f"{x.dtype.name}; it must be a floating one"
            )
        return found.astype(x.dtype)

    def on_the_tape(self, tensors: Sequence[Tensor]) -> tuple[list[Any], Any]:
        if not (autodiff.is_enabled() and any(x.requires_grad for x in tensors)):
            return trees.results_of(self.plain(*tensors))
        cut = [new_handle(binding(x)._value, None, 0) for x in tensors]
        with autodiff.set_enabled(False):
            result, residuals = self._forward(*cut)
        leaves, structure = self._leaves(result)
        outputs = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
        parents, saved = tuple([edge_of(x) for x in tensors]), [as_it_is(x) for x in tensors]

        def pullback(cotangents: list[Any]) -> Sequence[Any]:
            full = _full(cotangents, outputs)
            if autodiff.is_enabled():  # to be differentiated again: the residuals need a history
                return self.pull(saved, full)
            return self._backward(residuals, _tree_of(full, leaves, structure))

        return _on_the_node(Node(self.name, parents, pullback), leaves), structure

    def pull(self, tensors: Sequence[Tensor], cotangents: Sequence[Tensor]) -> Sequence[Any]:
        result, residuals = self._forward(*tensors)
        leaves, structure = self._leaves(result)
        return self._backward(residuals, _tree_of(cotangents, leaves, structure))

    def _leaves(self, result: Any) -> tuple[list[Any], Any]:
        """The leaves of what the forward rule gives, and their structure: the function's, if that is known."""
        if self.structure is None:
            return trees.results_of(result)
        return self.aligned(result, "what the forward rule gives"), self.structure

    def push(self, tensors: Sequence[Tensor], tangents: Sequence[Any]) -> tuple[Any, Any]:
        raise GradientError(
            f"jvp: {self.name} has a rule for reverse mode only (custom_vjp); give it one for "
            "forward mode, with custom_jvp, from which both follow"
        )

    def batched(self, axes: Sequence[Any], size: int, axis_name: str | None) -> Rule:
        return _BatchedVJP(self, axes, size, axis_name)


class FasterVJPRule(VJPRule):
    """A gradient that is the function's own, by a shorter way; forward mode goes the long one."""

    has_own_code = False

    def push(self, tensors: Sequence[Tensor], tangents: Sequence[Any]) -> tuple[Any, Any]:
        found: tuple[Any, Any] = jvp(self.plain, tuple(tensors), tuple(tangents))
        return found


class _BatchedVJP(VJPRule):
    """The rule for a batch: forward and backward, each under `vmap`."""

    def __init__(
        self, rule: VJPRule, axes: Sequence[Any], size: int, axis_name: str | None
    ) -> None:
        self.rule, self.axes = rule, tuple(axes)
        self.over = functools.partial(vmap, axis_size=size, axis_name=axis_name)
        self.plain, self.name = self.over(rule.plain, self.axes), rule.name
        self.structure = rule.structure

    def _forward(self, *tensors: Tensor) -> tuple[Any, Any]:
        found: tuple[Any, Any] = self.over(self.rule._forward, self.axes)(*tensors)
        return found

    def _backward(self, residuals: Any, cotangent: Any) -> list[Any]:
        def one(residuals: Any, cotangent: Any) -> Any:
            return self.rule._backward(residuals, cotangent)

        spread = trees.map_leaves(lambda leaf: 0 if isinstance(leaf, Tensor) else None, residuals)
        found = self.over(one, (spread, 0))(residuals, cotangent)
        return [_for_argument(g, axis) for g, axis in zip(found, self.axes, strict=True)]


def _for_argument(gradient: Any, axis: int | None) -> Any:
    """The gradients of all examples as that of the argument: added up if they share it."""
    if gradient is None:
        return None
    return gradient.sum(axis=0) if axis is None else move_axis(gradient, 0, axis)


class JVPRule(Rule):
    def __init__(self, rule: Any, call: Call) -> None:
        self.rule, self.made_for = rule, call
        self.plain, self.name = call.plain, name_of(call.owner)

    def _both(self, tensors: Sequence[Tensor], tangents: Sequence[Any]) -> tuple[Any, Any]:
        """The result and its tangent; tangents that are None become zeros."""
        call = self.made_for
        full = [
            alike(0, x) if t is None and x.dtype.is_float else t
            for x, t in zip(tensors, tangents, strict=True)
        ]
        before = "what is not differentiated, " if call.values else ""
        told = f"custom_jvp: the rule of {self.name} is called with {before}a tuple of primals and one of tangents"
        primals, tangents = call.arguments(tensors), call.arguments(full, None)
        result = called(told, self.rule, *call.values, primals, tangents)
        if not (isinstance(result, tuple) and len(result) == 2):
            raise ArgumentTypeError(
                f"custom_jvp: the rule of {self.name} returned {an(type(result).__name__)}; expected a "
                "pair (result, tangent)"
            )
        return result

    def on_the_tape(self, tensors: Sequence[Tensor]) -> tuple[list[Any], Any]:
        if not (autodiff.is_enabled() and any(x.requires_grad for x in tensors)):
            return trees.results_of(self.plain(*tensors))
        cut = [new_handle(binding(x)._value, None, 0) for x in tensors]
        with autodiff.set_enabled(False):
            leaves, self.structure = trees.results_of(self.plain(*cut))
        outputs = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
        return _on_the_node(self.tape_node(tensors, outputs), leaves), self.structure

    def pull(self, tensors: Sequence[Tensor], cotangents: Sequence[Tensor]) -> Sequence[Any]:
        """The transpose of the rule: it is linear in the tangents."""
        places = [i for i, x in enumerate(tensors) if x.dtype.is_float]

        def along(*tangents: Tensor) -> list[Any]:
            full: list[Any] = [None] * len(tensors)
            for place, tangent in zip(places, tangents, strict=True):
                full[place] = tangent
            result, derivative = self._both(tensors, full)
            return _tangents(
                self.aligned(result, "the result of its rule"),
                self.aligned(derivative, "the tangent of its rule"),
            )

        zeros = [alike(0, tensors[i]) for i in places]
        _, pullback = vjp(along, *zeros)
        found: list[Any] = [None] * len(tensors)
        for place, gradient in zip(places, pullback(list(cotangents)), strict=True):
            found[place] = gradient
        return found

    def push(self, tensors: Sequence[Tensor], tangents: Sequence[Any]) -> tuple[Any, Any]:
        return self._both(tensors, tangents)

    def batched(self, axes: Sequence[Any], size: int, axis_name: str | None) -> Rule:
        return _BatchedJVP(self, axes, size, axis_name)


class _BatchedJVP(JVPRule):
    """The rule for a batch, under `vmap`."""

    def __init__(
        self, rule: JVPRule, axes: Sequence[Any], size: int, axis_name: str | None
    ) -> None:
        self.inner, self.axes = rule, tuple(axes)
        self.over = functools.partial(vmap, axis_size=size, axis_name=axis_name)
        self.plain, self.name = self.over(rule.plain, self.axes), rule.name

    def _both(self, tensors: Sequence[Tensor], tangents: Sequence[Any]) -> tuple[Any, Any]:
        along = [None if t is None else axis for t, axis in zip(tangents, self.axes, strict=True)]

        def one(tensors: Any, tangents: Any) -> Any:
            return self.inner._both(tensors, tangents)

        axes = list(self.axes), along
        found: tuple[Any, Any] = self.over(one, axes)(list(tensors), list(tangents))
        return found


def _on_the_node(node: Node, leaves: Sequence[Any]) -> list[Any]:
    """The leaves of a result, its tensors as the outputs of a node of the tape."""
    numbers = itertools.count()
    return [
        new_handle(binding(leaf)._value, node, next(numbers)) if isinstance(leaf, Tensor) else leaf
        for leaf in leaves
    ]


def _tangents(results: Sequence[Any], tangents: Sequence[Any]) -> list[Tensor]:
    """The tangents of the tensors among results; zeros for None."""
    return [
        alike(0, y) if tangent is None else tangent
        for y, tangent in zip(results, tangents, strict=True)
        if isinstance(y, Tensor)
    ]


def _tree_of(tensors: Sequence[Tensor], leaves: Sequence[Any], structure: Any) -> Any:
    """The tree of a result with other tensors in it; None for what was none."""
    following = iter(tensors)
    return trees.unflatten(
        structure, [next(following) if isinstance(leaf, Tensor) else None for leaf in leaves]
    )


@dataclass(frozen=True, eq=False)
class CustomCall(Primitive):
    """A function with a derivative of its own, in the graph of a transformation."""

    multiple_results: ClassVar[bool] = True
    computes = False  # its function does

    rule: Any = field(metadata={TOLD: True})
    results: tuple[Spec, ...] = field(metadata={TOLD: True})
    tensors: tuple[bool, ...] = field(repr=False)  # which leaves of the result they are
    axis_names: frozenset[str] = field(repr=False)  # of the collectives in it

    @property
    def has_own_code(self) -> bool:
        """Whether its derivative is more than that of what it does."""
        return bool(self.rule.has_own_code)

    @property
    def name(self) -> str:
        return str(self.rule.name)

    def result(self, *inputs: Spec) -> tuple[Spec, ...]:
        return self.results

    def apply(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Call the function, with its rule."""
        leaves, _ = self.rule.call(*tensors)
        return self._chosen(leaves)

    def _chosen(self, leaves: Sequence[Any]) -> list[Any]:
        return [leaf for leaf, chosen in zip(leaves, self.tensors, strict=True) if chosen]

    def batch(self, inputs: Any, axes: Any, size: int) -> tuple[Any, Any]:
        return self.batch_over(inputs, axes, size, None)

    def batch_over(
        self, inputs: Any, axes: Any, size: int, axis_name: str | None
    ) -> tuple[Any, Any]:
        """`batch`, where collectives over the axis of a name go over this one."""
        leaves, _ = self.rule.batched(axes, size, axis_name).call(*inputs)
        found = self._chosen(leaves)
        return found, tuple([0] * len(found))

    def jvp(self, inputs: Any, tangents: Any) -> Any:
        _, derivative = self.rule.push(inputs, tangents)
        return self._chosen(self.rule.aligned(derivative, "the tangent of its rule"))
