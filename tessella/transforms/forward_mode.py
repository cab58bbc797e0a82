"""`jvp`, `linearize`: derivatives along a direction, beside the values.

The function is recorded (`tessella.transforms.recording`). Going through its graph, every value has a
tangent beside it, or None where that is zero: a primitive's rule `jvp` makes the tangent of its result from
those of its operands.

Source: Griewank & Walther, *Evaluating Derivatives* (2008), chapter 3 (forward mode).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tessella.arguments import public, refuse, require_function
from tessella.arguments.gates import A_TENSOR, as_tensor
from tessella.arguments.kinds import an
from tessella.arguments.precision import as_written
from tessella.errors import ArgumentError, ArgumentTypeError, GradientError, ShapeError
from tessella.primitives.base import Spec
from tessella.primitives.graph import Value
from tessella.tensors.tensor import Tensor, alike
from tessella.tracebacks import users_frames
from tessella.transforms import recording, trees

Tangent = Tensor | None


@users_frames
@public
def jvp(
    function: Callable[..., Any],
    primals: Any,
    tangents: Any,
    has_aux: bool = False,
) -> Any:
    """The value of a function, and its derivative along a direction.

    Args:
        primals: the arguments, as a tuple.
        tangents: the direction: for each argument a tree like it; None stands for zero.
        has_aux: whether the function returns a pair, of which only the first is differentiated.

    Shapes: tangents have those of the primals, the derivative that of the value.

    Raises:
        ShapeError: a tangent has another shape than its primal.
        GradientError: a tangent is given for integers.

    >>> import tessella as ts
    >>> ts.jvp(lambda x: x**3, (ts.asarray(2.0),), (ts.asarray(1.0),))
    (tensor(8.), tensor(12.))
    """
    call = _Call(function, primals, "jvp", has_aux)
    directions = call.directions(tangents)
    known = _values(call.recorded, call.inputs)
    derivatives = _push(call.recorded, known, directions)
    values = [known[value] for value in call.recorded.graph.outputs]
    out, aux = call.shown(values)
    derivative = call.shown_tangents(values, derivatives)
    return (out, derivative, aux) if has_aux else (out, derivative)


@users_frames
@public
def linearize(function: Callable[..., Any], *primals: Any) -> tuple[Any, Callable[..., Any]]:
    """The value of a function, and its derivative there as a function of a direction.

    The derivative goes through the function's values again, but does not compute them again.

    >>> import tessella as ts
    >>> value, along = ts.linearize(ts.exp, ts.asarray([0.0, 1.0]))
    >>> along(ts.asarray([1.0, 0.0]))
    tensor([1., 0.])
    """
    call = _Call(function, primals, "linearize", False)
    known = _values(call.recorded, call.inputs)
    values = [known[value] for value in call.recorded.graph.outputs]

    @users_frames
    def along(*tangents: Any, **others: Any) -> Any:
        refuse("linearize", others)
        directions = call.directions(tangents)
        derivatives = _push(call.recorded, known, directions)
        return call.shown_tangents(values, derivatives)

    return call.shown(values)[0], along


class _Call:
    """A function recorded for its arguments."""

    def __init__(self, function: Any, primals: Sequence[Any], name: str, has_aux: bool) -> None:
        require_function(function, name)
        if not isinstance(primals, (tuple, list)):
            raise ArgumentTypeError(
                f"{name}: primals is {an(type(primals).__name__)}; expected a tuple, one entry for each argument"
            )
        self.name, self.has_aux = name, has_aux
        leaves, self.structure = trees.flatten(tuple(primals))
        self.places = [
            i for i, leaf in enumerate(leaves) if trees.is_array(leaf) or isinstance(leaf, float)
        ]
        given = [trees.as_tensor(leaves[i]) for i in self.places]

        def inner(*arguments: Tensor) -> Any:
            result = function(*trees.with_leaves(self.structure, leaves, self.places, arguments))
            if has_aux and not (isinstance(result, tuple) and len(result) == 2):
                raise ArgumentTypeError(
                    f"{name}: has_aux is set, but the function returned {an(type(result).__name__)}; "
                    "expected a pair (value, aux)"
                )
            return result

        self.trace = recording.InnerTrace(name)
        specs = [Spec(x.shape, x.dtype) for x in given]
        self.recorded = recording.record(self.trace, inner, specs)
        self.given = given
        self.inputs = [*given, *self.recorded.captured]

    def directions(self, tangents: Any) -> list[Tangent]:
        """The tangents of the graph's inputs."""
        if not isinstance(tangents, (tuple, list)):
            raise ArgumentTypeError(
                f"{self.name}: tangents is {an(type(tangents).__name__)}; expected a tuple like the primals"
            )
        leaves = trees.leaves_like(self.structure, tuple(tangents))
        if leaves is None:
            raise ArgumentError(
                f"{self.name}: the tangents {trees.outline(trees.flatten(tuple(tangents))[1])} have another structure "
                f"than the primals {trees.outline(self.structure)}; give one of the same structure, with None where it is zero"
            )
        found: list[Tangent] = []
        for place, primal in zip(self.places, self.given, strict=True):
            leaf = leaves[place]
            if leaf is None:
                found.append(None)
                continue
            said = f"leaf {place} of the tangents"
            tangent = as_tensor(leaf, [primal], self.name, said, f"{A_TENSOR}, or None")
            if not primal.dtype.is_float:
                raise GradientError(
                    f"{self.name}: leaf {place} of the primals is {primal.dtype.name}, and only floating "
                    "point numbers have derivatives; convert it with astype, or give None as its tangent"
                )
            if tangent.shape != primal.shape:
                raise ShapeError(
                    f"{self.name}: leaf {place} of the tangents has shape {tangent.shape}, its primal "
                    f"{primal.shape}; they must be equal"
                )
            found.append(tangent.astype(primal.dtype))
        return [*found, *[None] * len(self.recorded.captured)]

    def shown(self, values: Sequence[Tensor]) -> tuple[Any, Any]:
        """The function's result, and what it returned beside."""
        result = self.recorded.result(values)
        return result if self.has_aux else (result, None)

    def shown_tangents(self, values: Sequence[Tensor], tangents: Sequence[Tangent]) -> Any:
        """A tree like the result, of the tangents; zeros where a result does not depend on anything."""
        full = [
            tangent if tangent is not None else alike(0, y)
            for y, tangent in zip(values, tangents, strict=True)
        ]
        following = iter(full)
        leaves = [next(following) if isinstance(x, Value) else None for x in self.recorded.outputs]
        result = trees.unflatten(self.recorded.structure, leaves)
        return result[0] if self.has_aux else result


@as_written
def _values(recorded: recording.Recorded, inputs: Sequence[Tensor]) -> dict[Value, Tensor]:
    """Every value of the graph."""
    known = recording.known_at_first(recorded.graph, inputs)
    for node in recorded.graph.nodes:
        recording.do_again(node, recorded, known)
    return known


@as_written
def _push(
    recorded: recording.Recorded, known: dict[Value, Tensor], directions: Sequence[Tangent]
) -> list[Tangent]:
    """The tangents of the outputs, where all values are known."""
    tangent_of: dict[Value, Tangent] = dict(zip(recorded.graph.inputs, directions, strict=True))
    for node in recorded.graph.nodes:
        tangents = tuple([tangent_of.get(value) for value in node.inputs])
        if node.primitive.has_effect or all(tangent is None for tangent in tangents):
            continue
        operands = tuple([known[value] for value in node.inputs])
        with recording.again(node, recorded):
            made = node.primitive.jvp(operands, tangents)
        several = node.primitive.multiple_results
        if made is not None:
            tangent_of.update(zip(node.outputs, made if several else (made,), strict=True))
    return [tangent_of.get(value) for value in recorded.graph.outputs]
