"""`vmap`: a function of one example becomes a function of a batch of them.

The function is recorded once, for one example (`tessella.transforms.recording`). Then its graph is gone
through node by node: a primitive none of whose operands has the batch axis is applied as it is, once for all
examples; any other one by its rule `batch`, to all examples at once. So a batch costs what the batched
primitives cost, and no loop runs over examples.

Collectives (`psum`, `pmean`, ...) are primitives of the recorded graph that know the name of an axis; the
`vmap` of that name turns them into reductions over its axis. They may stand in the graphs that another primitive
holds (a loop, a choice, a checkpoint): its rule `batch_over` is told the name, and hands it on.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, Literal, ParamSpec, TypeVar

from tessella import autodiff
from tessella.arguments import public, require_function
from tessella.arguments.kinds import Natural, an, shown
from tessella.arguments.precision import as_written
from tessella.errors import ArgumentError, ArgumentTypeError, AxisError, ShapeError
from tessella.primitives.base import Primitive, Spec
from tessella.primitives.collective import Collective, Operation
from tessella.primitives.graph import Value
from tessella.primitives.movement import batch_front, move_axis
from tessella.primitives.random import split_key
from tessella.tensors.rebinding import rebound
from tessella.tensors.tensor import Tensor, from_array
from tessella.tracebacks import users_frames
from tessella.tracing.lines import user_line
from tessella.tracing.trace import outside
from tessella.transforms import recording, trees

P = ParamSpec("P")
R = TypeVar("R")
_mode = autodiff.mode
RANDOMNESS = ("different", "same", "error")
Batched = tuple[Tensor, "int | None"]  # a tensor, and where its batch axis is


@public
def vmap(
    function: Callable[P, R],
    in_axes: Any = 0,
    out_axes: Any = 0,
    axis_size: Natural | None = None,
    axis_name: str | None = None,
    *,
    randomness: Literal["different", "same", "error"] = "different",
) -> Callable[P, R]:
    """The function for a batch: it is applied to every example along an axis of its arguments, at once.

    Args:
        in_axes: for each argument the axis that the examples lie along, or None for what all of them
            share; trees in which a number may stand for a whole subtree. Keyword arguments have axis 0.
        out_axes: where the examples are to lie in the results; None for what is the same for all.
        axis_size: how many examples there are, if no argument says so.
        axis_name: a name by which `ts.psum` and its kin refer to the axis.
        randomness: whether random numbers are "different" for every example, the "same", or an "error".

    Shapes: arguments lose the axis inside the function, results gain it.

    Raises:
        ShapeError: the arguments disagree about how many examples there are.
        AxisError: an argument does not have the axis.
        SideEffectError: the function gives tensors from outside other data.

    Source: Frostig, Johnson & Leary, *Compiling machine learning programs via high-level tracing* (2018).

    >>> import tessella as ts
    >>> rows = ts.asarray([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    >>> ts.vmap(ts.vecdot, in_axes=(0, None))(rows, ts.asarray([1.0, 10.0]))
    tensor([21., 43., 65.])
    """
    require_function(function, "vmap")
    if randomness not in RANDOMNESS:
        raise ArgumentError(
            f"vmap: randomness is {shown(randomness)}; expected one of {RANDOMNESS}"
        )

    @users_frames
    @functools.wraps(function, updated=())
    def batched(*args: Any, **kwargs: Any) -> Any:
        call = _Call(function, axis_size, axis_name, randomness)
        return call.run(args, kwargs, in_axes, out_axes)

    return batched


class BatchTrace(recording.InnerTrace):
    """The trace of one example among many."""

    def __init__(self, size: int, axis_name: str | None, randomness: str) -> None:
        super().__init__("vmap")
        self.size, self.axis_name, self.randomness = size, axis_name, randomness
        self.keys: dict[Value, Tensor] = {}  # of random draws: a key for each example

    def random_key(self, generator: Any) -> Tensor:
        if self.randomness == "error":
            raise ArgumentError(
                f"{user_line()}: vmap: random numbers are drawn, and randomness is 'error'; choose "
                "randomness='different' or 'same'"
            )
        if self.randomness == "same":
            return super().random_key(generator)
        with outside(self):
            keys = split_key(generator.key(), self.size)
            example = keys[0]
        key = self.captured(example)
        self.keys[key._value.value] = keys  # type: ignore[attr-defined]
        return key


class _Call:
    """One call of a batched function."""

    def __init__(
        self, function: Any, size: int | None, axis_name: str | None, randomness: str
    ) -> None:
        self.function, self.size = function, size
        self.axis_name, self.randomness = axis_name, randomness

    def run(self, args: Any, kwargs: Any, in_axes: Any, out_axes: Any) -> Any:
        leaves, structure = trees.flatten((args, kwargs))
        axes = self._axes(args, kwargs, in_axes)
        axes = [None if leaf is None else axis for leaf, axis in zip(leaves, axes, strict=True)]
        modules = self._modules(leaves, axes)
        axes += [axis for _, axis in modules]
        leaves += [tensor for tensor, _ in modules]
        mapped = [i for i, axis in enumerate(axes) if axis is not None]
        tensors = {i: self._mapped(leaves[i], axes[i], i) for i in mapped}
        count = structure.num_leaves
        size = self._agreed_size(tensors, axes)
        places = {i: axes[i] % tensors[i].ndim for i in mapped}
        specs = [
            Spec(x.shape[: places[i]] + x.shape[places[i] + 1 :], x.dtype)
            for i, x in tensors.items()
        ]

        def inner(*examples: Tensor) -> Any:
            given = list(leaves)
            for i, example in zip(mapped, examples, strict=True):
                given[i] = example
            inner_args, inner_kwargs = trees.unflatten(structure, given[:count])
            with rebound([tensor for tensor, _ in modules], given[count:]):
                return self.function(*inner_args, **inner_kwargs)

        trace = BatchTrace(size, self.axis_name, self.randomness)
        with recording.beside([tensors[i] for i in mapped]):
            recorded = recording.record(trace, inner, specs, "example")
            batched: list[Batched] = [(tensors[i], places[i]) for i in mapped]
            inputs = recorded.graph.inputs[len(mapped) :]
            batched += [
                (trace.keys[value], 0) if value in trace.keys else (tensor, None)
                for value, tensor in zip(inputs, recorded.captured, strict=True)
            ]
            results = batch_graph(recorded, batched, size, self.axis_name)
        return self._shown(recorded, results, out_axes, size)

    def _modules(self, leaves: Sequence[Any], axes: list[Any]) -> list[tuple[Tensor, int]]:
        """The parameters and buffers of modules that are different for every example, and their axes."""
        found = []
        for i, leaf in enumerate(leaves):
            if axes[i] is not None and trees.is_module(leaf):
                found += [(x, axes[i]) for x in (*leaf.parameters(), *leaf.buffers())]
                axes[i] = None
        return found

    def _axes(self, args: Any, kwargs: Any, in_axes: Any) -> list[Any]:
        prefix = tuple(in_axes) if isinstance(in_axes, list) else in_axes
        if isinstance(prefix, tuple) and len(prefix) != len(args):
            raise ArgumentError(
                f"vmap: in_axes has {len(prefix)} entries, but the function was called with {len(args)} "
                "positional arguments; give one for each"
            )
        found = trees.broadcast_prefix(prefix, args, "vmap", "in_axes")
        for axis in found:
            if axis is not None and (not isinstance(axis, int) or isinstance(axis, bool)):
                raise ArgumentTypeError(
                    f"vmap: in_axes holds {shown(axis)}; expected integers and None"
                )
        return found + [0] * len(trees.flatten(kwargs)[0])

    def _mapped(self, leaf: Any, axis: int, number: int) -> Tensor:
        if not trees.is_array(leaf):
            raise ArgumentTypeError(
                f"vmap: leaf {number} of the arguments is {an(type(leaf).__name__)}, which has no axis {axis}; "
                "give it the entry None in in_axes"
            )
        tensor = trees.as_tensor(leaf)
        if not -tensor.ndim <= axis < tensor.ndim:
            raise AxisError(
                f"vmap: in_axes asks for axis {axis} of a tensor of shape {tensor.shape}, which is leaf "
                f"{number} of the arguments"
            )
        return tensor

    def _agreed_size(self, tensors: dict[int, Tensor], axes: Sequence[Any]) -> int:
        sizes = {i: x.shape[axes[i]] for i, x in tensors.items()}
        if self.size is not None:
            sizes = {-1: self.size, **sizes}
        if not sizes:
            raise ArgumentError(
                "vmap: no argument has the batch axis (in_axes is None for all of them); pass axis_size=..."
            )
        if len(set(sizes.values())) > 1:
            shown = ", ".join(
                f"axis_size is {n}"
                if i < 0
                else f"leaf {i} has {n} along axis {axes[i]} (shape {tensors[i].shape})"
                for i, n in sizes.items()
            )
            raise ShapeError(f"vmap: the arguments disagree about the number of examples: {shown}")
        return next(iter(sizes.values()))

    def _shown(self, recorded: Any, results: list[Batched], out_axes: Any, size: int) -> Any:
        tree = trees.unflatten(recorded.structure, recorded.outputs)
        prefix = out_axes
        if isinstance(prefix, list) and isinstance(tree, tuple):
            prefix = tuple(prefix)
        axes = trees.broadcast_prefix(prefix, tree, "vmap", "out_axes")
        found = iter(results)
        shown = []
        for leaf, axis in zip(recorded.outputs, axes, strict=True):
            if isinstance(leaf, Value):
                shown.append(_placed(*next(found), axis, size))
            elif _is_number(leaf) and axis is not None:
                shown.append(_placed(trees.as_tensor(leaf), None, axis, size))
            else:
                shown.append(leaf)
        return trees.unflatten(recorded.structure, shown)


def _is_number(leaf: Any) -> bool:
    return trees.is_array(leaf) or isinstance(leaf, (bool, int, float, complex))


def _placed(x: Tensor, axis: int | None, target: int | None, size: int) -> Tensor:
    """A result with its examples along an axis."""
    if target is None:
        if axis is not None:
            raise ArgumentError(
                "vmap: out_axes is None for a result that differs from example to example; give it an axis"
            )
        return x
    rank = x.ndim + (axis is None)
    if not -rank <= target < rank:
        raise AxisError(f"vmap: out_axes asks for axis {target} of a result of {rank} axes")
    if axis is None:
        x, axis = batch_front(x, None, size), 0
    moved: Tensor = move_axis(x, axis, target % rank) if axis != target % rank else x
    return moved


# --- the graph, for a batch ---------------------------------------------------------------------------


@as_written
def batch_graph(
    recorded: recording.Recorded, inputs: Sequence[Batched], size: int, axis_name: str | None = None
) -> list[Batched]:
    """The outputs of a recorded function for a batch of inputs."""
    graph = recorded.graph
    known: dict[Value, Batched] = dict(zip(graph.inputs, inputs, strict=True))
    known |= {value: (from_array(array), None) for value, array in graph.constants.items()}
    last = recording.last_readers(graph)
    for node in graph.nodes:
        operands = [known[value] for value in node.inputs]
        tensors = tuple([x for x, _ in operands])
        axes = tuple([axis for _, axis in operands])
        primitive = node.primitive
        with recording.again(node, recorded):
            named = axis_name is not None and _may_name(primitive, axis_name)
            if all(axis is None for axis in axes) and not named:
                result, place = recording.apply_any(primitive, tensors), None
            else:
                result, place = primitive.batch_over(tensors, axes, size, axis_name)
        if not primitive.multiple_results:
            known[node.output] = result, place
        elif node.outputs:
            places = place if isinstance(place, tuple) else (place,) * len(node.outputs)
            known.update(zip(node.outputs, zip(result, places, strict=True), strict=True))
        for value in last.get(node, ()):
            del known[value]
    return [known[value] for value in graph.outputs]


def _may_name(primitive: Primitive, axis_name: str) -> bool:
    """Whether examples may speak to each other in a primitive, over the axis of a name."""
    return axis_name in primitive.axis_names or getattr(primitive, "has_own_code", False)


# --- collectives --------------------------------------------------------------------------------------


def _axis(axis_name: str, name: str) -> BatchTrace:
    """The trace of the vmap with a name.

    Raises:
        ArgumentError: there is none.
    """
    trace = _mode.trace
    names = []
    while trace is not None:
        if isinstance(trace, BatchTrace):
            if trace.axis_name == axis_name:
                return trace
            names.append(trace.axis_name)
        trace = trace.outer
    known = ", ".join(repr(n) for n in names if n is not None)
    raise ArgumentError(
        f"{name}: there is no axis {axis_name!r} here; "
        + (f"the axes around are {known}" if known else "name one: ts.vmap(f, axis_name=...)")
    )


def _collect(x: Any, axis_name: str, operation: Operation, name: str) -> Any:
    primitive = Collective(axis_name, operation, _axis(axis_name, name).size)
    return trees.map_leaves(
        lambda leaf: recording.apply_any(primitive, (trees.as_tensor(leaf),)), x
    )


@public
def psum(x: Any, axis_name: str) -> Any:
    """The sum over all examples of the `vmap` with a name; trees leaf by leaf.

    >>> import tessella as ts
    >>> ts.vmap(lambda x: x / ts.psum(x, "batch"), axis_name="batch")(ts.asarray([1.0, 2.0, 5.0]))
    tensor([0.125, 0.25 , 0.625])
    """
    return _collect(x, axis_name, Operation.SUM, "psum")


@public
def pmean(x: Any, axis_name: str) -> Any:
    """The mean over all examples of the `vmap` with a name; trees leaf by leaf."""
    size = _axis(axis_name, "pmean").size
    return trees.map_leaves(
        lambda total: total / size, _collect(x, axis_name, Operation.SUM, "pmean")
    )


@public
def pmax(x: Any, axis_name: str) -> Any:
    """The greatest over all examples of the `vmap` with a name; trees leaf by leaf."""
    return _collect(x, axis_name, Operation.MAXIMUM, "pmax")


@public
def pmin(x: Any, axis_name: str) -> Any:
    """The least over all examples of the `vmap` with a name; trees leaf by leaf."""
    return _collect(x, axis_name, Operation.MINIMUM, "pmin")


@public
def all_gather(x: Any, axis_name: str) -> Any:
    """The values of all examples of the `vmap` with a name, stacked in front; trees leaf by leaf."""
    return _collect(x, axis_name, Operation.GATHER, "all_gather")


@public
def axis_index(axis_name: str) -> Tensor:
    """Which example of the `vmap` with a name this one is."""
    found: Tensor = _collect(0, axis_name, Operation.INDEX, "axis_index")
    return found
