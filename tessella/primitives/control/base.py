"""What the primitives of control share: graphs, and rules that make new ones of them.

The derivative of a loop is a loop, and so is a batch of loops. Each rule records what a transformation does with the
graphs; transformations stand above, so who makes a primitive of control hands them in (`Transformations`).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from tessella import dtypes
from tessella.errors import ShapeError
from tessella.primitives.base import NumPyArray, Primitive, Spec, same_shape
from tessella.primitives.elementwise import elementwise
from tessella.primitives.graph import Graph
from tessella.primitives.movement import expand, move_axis

Function = Callable[..., Any]  # of tensors; gives a list of them


@dataclass(frozen=True, eq=False)
class Transformations:
    """What the rules ask of those who know tensors: to run and to record, to differentiate and to batch functions.

    Args:
        run: a primitive of control on tensors, recorded if there is somebody who records.
        remembers: whether what is recorded of some tensors is remembered for gradients.
        again: a graph as a function.
        graph: a function as a graph, given a name, and what has the shapes and dtypes of its arguments.
        zeros: a tensor of the shape and dtype of something.
        vjp: the outputs of a function of some inputs, and its pullback.
        jvp: the outputs of a function, and their tangents, given a tuple of inputs and one of theirs.
        vmap: a function of many examples, given the axes along which they lie, `axis_size` and `axis_name`.
    """

    run: Callable[[Control, Sequence[Any]], list[Any]]
    remembers: Callable[[Sequence[Any]], bool]
    again: Callable[[Graph], Function]
    graph: Callable[[str, Function, Sequence[Any]], Graph]
    zeros: Callable[[Any], Any]
    vjp: Callable[..., tuple[Any, Function]]
    jvp: Callable[..., tuple[Any, Any]]
    vmap: Callable[..., Function]

    def batched(self, graph: Graph, axes: Any, size: int, axis_name: str | None) -> Function:
        """A graph as a function of many examples, which lie along some axes of its inputs, or None."""
        return self.vmap(self.again(graph), tuple(axes), axis_size=size, axis_name=axis_name)

    def pulled(self, graph: Graph) -> Function:
        """A graph's pullback as a function of (its inputs, the gradients of its float outputs)."""
        count = len(graph.inputs)
        wanted, given = floats(graph.inputs), floats(graph.outputs)

        def pulled(*own: Any) -> list[Any]:
            inputs, cotangents = list(own[:count]), own[count:]

            def of(*moved: Any) -> list[Any]:
                filled_in = list(inputs)
                for place, x in zip(wanted, moved, strict=True):
                    filled_in[place] = x
                outputs = self.again(graph)(*filled_in)
                return [outputs[i] for i in given]

            _, pullback = self.vjp(of, *[inputs[i] for i in wanted])
            return list(pullback(list(cotangents)))

        return pulled

    def pushed(self, graph: Graph) -> Function:
        """A graph's outputs and the tangents of its float outputs, from inputs and tangents of float inputs."""
        count = len(graph.inputs)
        wanted, given = floats(graph.inputs), floats(graph.outputs)

        def pushed(*own: Any) -> list[Any]:
            inputs, tangents = own[:count], spread(own[count:], wanted, count)
            outputs, along = self.jvp(self.again(graph), tuple(inputs), tuple(tangents))
            return [*outputs, *[along[i] for i in given]]

        return pushed

    def gradients_of(self, cotangents: Sequence[Any], outputs: Sequence[Any]) -> list[Any]:
        """The gradients of the float ones among outputs, zeros where there are none."""
        missing = [None] * (len(outputs) - len(cotangents))
        return self.tangents_of(outputs, [*cotangents, *missing])

    def tangents_of(self, xs: Sequence[Any], tangents: Sequence[Any]) -> list[Any]:
        """The tangents of the float ones among tensors, zeros for None."""
        return [self.zeros(xs[i]) if tangents[i] is None else tangents[i] for i in floats(xs)]


class Control(Primitive):
    """Holds graphs; its operands are theirs.

    Args:
        by: what its rules make new graphs with.
    """

    multiple_results: ClassVar[bool] = True
    computes = False  # its graphs do

    by: Transformations

    @property
    def graphs(self) -> dict[str, Graph]:
        """The graphs by what they are for."""
        raise self._missing("graphs")

    def with_graphs(self, graphs: Sequence[Graph]) -> Control:
        """The same with other graphs."""
        raise self._missing("with_graphs")

    def step_by_step(self, tensors: Sequence[Any]) -> list[Any]:
        """The results, by loops and branches of Python's."""
        raise self._missing("step_by_step")

    def apply(self, tensors: Sequence[Any]) -> list[Any]:
        return self.by.run(self, tensors)

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


# --- what the rules are written with -----------------------------------------------------------------


def _never(*_: Any, **__: Any) -> Any:
    raise AssertionError(
        "what the compiler makes is not differentiated, batched or recorded any more"
    )


AFTERWARDS = Transformations(_never, _never, _never, _never, _never, _never, _never, _never)


def floats(tensors: Sequence[Any]) -> list[int]:
    """The places of those that have gradients."""
    return [i for i, x in enumerate(tensors) if x.dtype.is_float]


def spread(found: Sequence[Any], places: Sequence[int], count: int) -> list[Any]:
    """Results in their places, None elsewhere."""
    result: list[Any] = [None] * count
    for place, x in zip(places, found, strict=True):
        result[place] = x
    return result


def cut(items: Sequence[Any], sizes: Sequence[int]) -> list[list[Any]]:
    """A list in pieces of some sizes, and the rest.

    >>> cut([1, 2, 3, 4], [1, 2])
    [[1], [2, 3], [4]]
    """
    found, start = [], 0
    for size in sizes:
        found.append(list(items[start : start + size]))
        start += size
    return [*found, list(items[start:])]


def masked(mask: Any, x: Any, y: Any) -> Any:
    """x where the mask of each example is true, y elsewhere; examples lie in front."""
    shaped = mask.reshape((*mask.shape, *(1,) * (len(x.shape) - 1)))
    return elementwise("select")(shaped, x, y)


def of_active(mask: Any, xs: Sequence[Any], axes: Sequence[int | None]) -> list[Any]:
    """Tensors with the data of the first example whose mask is true for all whose mask is not."""
    one = mask.astype(dtypes.int32).argmax().reshape((1,))
    return [
        x if axis is None else masked(mask, x, expand(x.take(one, axis=0), tuple(x.shape)))
        for x, axis in zip(xs, axes, strict=True)
    ]


def in_front(xs: Sequence[Any], axes: Sequence[int | None], place: int = 0) -> list[Any]:
    """Tensors with their examples along a front axis; those that all share as they are."""
    return [
        x if axis is None else move_axis(x, axis, place) for x, axis in zip(xs, axes, strict=True)
    ]


def specs_of(graph: Graph) -> tuple[Spec, ...]:
    """The shapes and dtypes of a graph's outputs."""
    return tuple(Spec(value.shape, value.dtype) for value in graph.outputs)


def require_fit(name: str, graph: Graph, operands: Sequence[Any]) -> None:
    """Complain about operands that a graph was not made for.

    Raises:
        ShapeError: the shape or the dtype of one is another.
    """
    for number, (value, x) in enumerate(zip(graph.inputs, operands, strict=True)):
        if not same_shape(value.shape, tuple(x.shape)) or value.dtype is not x.dtype:
            raise ShapeError(
                f"{name}: operand {number} is {x.dtype.name} {tuple(x.shape)}; the graph was made for "
                f"{value.dtype.name} {value.shape}"
            )


def interpret(graph: Graph, arrays: Sequence[NumPyArray]) -> list[NumPyArray]:
    """The outputs of a graph, by the meaning of its primitives.

    >>> from tessella import dtypes
    >>> from tessella.primitives.elementwise import elementwise
    >>> from tessella.primitives.graph import Value, add_node
    >>> x, nodes = Value((), dtypes.float64), []
    >>> y = add_node(nodes, elementwise("square"), (x,))
    >>> [float(found) for found in interpret(Graph([x], nodes, [y]), [np.float64(3.0)])]
    [9.0]
    """
    known: dict[Any, Any] = dict(zip(graph.inputs, arrays, strict=True))
    known |= {value: array.numpy() for value, array in graph.constants.items()}
    for node in graph.nodes:
        found = node.primitive.reference(*[np.asarray(known[value]) for value in node.inputs])
        several = found if node.primitive.multiple_results else (found,)
        known.update(zip(node.outputs, several, strict=True))
    return [np.asarray(known[value]) for value in graph.outputs]
