"""Control flow: `cond`, `switch`, `while_loop`, `fori_loop`, `scan`, `associative_scan`.

Without a trace around they are Python's own `if` and `for`, on the tape like everything else. In a traced
function they are primitives that hold graphs (`tessella.primitives.control`), and a program runs them as loops.

Their rules make new graphs of those they hold: the derivative of a loop is a loop, and so is a batch of loops.
Under `vmap`, an example that has chosen the other branch, or whose loop has ended, takes part in the others'
work with the *data of one that is at it*: so nothing is computed that none of them asked for, no NaN arises, and
no loop runs for ever.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tessella import autodiff, dtypes
from tessella.errors import (
    ArgumentError,
    ArgumentTypeError,
    DTypeError,
    GradientError,
    ShapeError,
)
from tessella.primitives.base import Spec
from tessella.primitives.control import Cond, ScanLoop, While
from tessella.primitives.elementwise import elementwise
from tessella.primitives.graph import Graph, Value
from tessella.primitives.movement import batch_front, move_axis
from tessella.primitives.random import fold_key
from tessella.tensors import tensor as tensors_
from tessella.tensors.creation import arange, full
from tessella.tensors.elementwise import clip
from tessella.tensors.manipulation import broadcast_to, concat, flip, stack
from tessella.tensors.tensor import Tensor, filled
from tessella.tensors.tracing import user_line
from tessella.transforms import trees
from tessella.transforms.batching import vmap
from tessella.transforms.forward_mode import jvp as push_forward
from tessella.transforms.recording import InnerTrace, Recorded, record, replay
from tessella.transforms.reverse_mode import vjp as pull_back

_mode = autodiff._mode


# --- what users call ----------------------------------------------------------------------------------


def cond(
    condition: Any, when_true: Callable[..., Any], when_false: Callable[..., Any], *operands: Any
) -> Any:
    """One of two functions of the operands; in a traced function too, where `if` cannot be.

    Only the one that is chosen is computed. Both must give results of the same structure, shapes and dtypes.

    Raises:
        ShapeError: they do not.

    >>> import tessella as ts
    >>> ts.cond(ts.asarray(True), lambda x: x + 1.0, lambda x: x - 1.0, ts.asarray(5.0))
    tensor(6.)
    """
    _require_functions("cond", when_true, when_false)
    if not isinstance(condition, Tensor) or _mode.trace is None:
        return (when_true if _known_truth(condition, "cond") else when_false)(*operands)
    _require_single(condition, "cond", "the condition")
    index = (
        (condition != 0).astype(dtypes.int32)
        if not condition.dtype.is_bool
        else condition.astype(dtypes.int32)
    )
    return _branches("cond", index, (when_false, when_true), operands)


def switch(index: Any, branches: Sequence[Callable[..., Any]], *operands: Any) -> Any:
    """One of several functions of the operands, by its number; a number that is too small or large is clamped.

    >>> import tessella as ts
    >>> ts.switch(ts.asarray(2), [ts.sin, ts.cos, ts.exp], ts.asarray(0.0))
    tensor(1.)
    """
    if not branches:
        raise ArgumentError("switch: there are no branches; give at least one function")
    _require_functions("switch", *branches)
    if not isinstance(index, Tensor) or _mode.trace is None:
        number = int(index.item() if isinstance(index, Tensor) else index)
        return branches[min(max(number, 0), len(branches) - 1)](*operands)
    _require_single(index, "switch", "the index")
    if not index.dtype.is_integer:
        raise DTypeError(f"switch: the index is {index.dtype.name}; expected an integer")
    return _branches("switch", index.astype(dtypes.int32), tuple(branches), operands)


def while_loop(condition: Callable[..., Any], body: Callable[..., Any], start: Any) -> Any:
    """`body` again and again on what it gave, as long as `condition` of it is true.

    What is carried may be a tree; its structure, shapes and dtypes stay the same.

    There is forward mode, but no reverse mode: how many turns there are is not known beforehand, so neither is how
    much would have to be kept. Use `fori_loop` with bounds that are Python integers, or `scan`.

    >>> import tessella as ts
    >>> ts.while_loop(lambda x: x < 100.0, lambda x: x * 2.0, ts.asarray(3.0))
    tensor(192.)
    """
    _require_functions("while_loop", condition, body)
    carry = _Tree(start, "while_loop", "start")
    if _mode.trace is None:
        tree = carry.whole(carry.tensors)
        while _known_truth(condition(tree), "while_loop"):
            tree = carry.like(body(tree))
        return tree
    graphs, captured = _closed(
        "while_loop",
        [
            lambda *own: _truth(condition(carry.whole(own))),
            lambda *own: carry.flat(body(carry.whole(own))),
        ],
        carry.specs,
    )
    primitive = WhileRules(graphs[0], graphs[1], len(carry.tensors))
    return carry.whole(run(primitive, [*carry.tensors, *captured]))


def fori_loop(lower: Any, upper: Any, body: Callable[[Any, Any], Any], start: Any) -> Any:
    """`body(i, carry)` for i from `lower` to `upper` - 1.

    With bounds that are Python integers there is reverse mode.

    >>> import tessella as ts
    >>> ts.fori_loop(1, 5, lambda i, total: total * i, ts.asarray(1))
    tensor(24)
    """
    _require_functions("fori_loop", body)
    if isinstance(lower, int) and isinstance(upper, int):
        turns = arange(lower, max(lower, upper))
        carry, _ = scan(lambda carry, i: (body(i, carry), None), start, turns)
        return carry
    first, last = trees.as_tensor(lower), trees.as_tensor(upper)

    def turn(state: Any) -> Any:
        i, carry = state
        return i + 1, body(i, carry)

    _, carry = while_loop(lambda state: state[0] < last, turn, (first, start))
    return carry


def scan(
    body: Callable[[Any, Any], Any],
    start: Any,
    sequences: Any = None,
    length: int | None = None,
    reverse: bool = False,
) -> tuple[Any, Any]:
    """`carry, y = body(carry, x)` for each place of a sequence; gives the last carry and all y, stacked.

    Args:
        start: the first carry, a tree; its structure, shapes and dtypes stay the same.
        sequences: a tree of tensors, gone through along their first axes; or None, with a `length`.
        reverse: from the last place to the first.

    In reverse mode only what is carried is kept for each place; the rest of the body is computed again.

    >>> import tessella as ts
    >>> ts.scan(lambda total, x: (total + x, total * x), ts.asarray(0), ts.asarray([1, 2, 3]))
    (tensor(6), tensor([0, 2, 9]))
    """
    _require_functions("scan", body)
    carry = _Tree(start, "scan", "start")
    xs = _Tree(sequences, "scan", "sequences")
    count = _length(xs.tensors, length)
    if _mode.trace is None:
        return _scanned(body, carry, xs, count, reverse)
    structure: list[Any] = []

    def turn(*own: Tensor) -> list[Tensor]:
        inner, x = own[: len(carry.tensors)], own[len(carry.tensors) :]
        found = body(carry.whole(inner), xs.whole(x))
        after, y = _pair(found)
        leaves, shape = trees.flatten(y)
        structure[:] = [leaves, shape]
        return [*carry.flat(after), *[trees.as_tensor(leaf) for leaf in leaves if leaf is not None]]

    specs = [*carry.specs, *[Spec(x.shape[1:], x.dtype) for x in xs.tensors]]
    trace = _LoopTrace("scan", turns=True)
    recorded = record(trace, turn, specs, "carried")
    graph, sequences_ = recorded.graph, list(xs.tensors)
    if trace.turn is not None:  # one more sequence, that counts
        inputs = list(graph.inputs)
        inputs.insert(len(specs), trace.turn._value.value)
        graph = Graph(inputs, graph.nodes, graph.outputs, graph.constants)
        sequences_.append(arange(count, dtype=dtypes.uint32))
    primitive = ScanRules(graph, count, len(carry.tensors), len(sequences_), reverse)
    found = run(primitive, [*carry.tensors, *sequences_, *recorded.captured])
    last, stacked = found[: len(carry.tensors)], iter(found[len(carry.tensors) :])
    leaves, shape = structure
    ys = trees.unflatten(shape, [None if leaf is None else next(stacked) for leaf in leaves])
    return carry.whole(last), ys


def associative_scan(
    function: Callable[[Any, Any], Any], sequences: Any, reverse: bool = False, axis: int = 0
) -> Any:
    """All partial results of an associative function along an axis, in a number of steps that is logarithmic.

    Args:
        function: of two trees of tensors, each with any number of places along the axis, place by place.

    Source: Blelloch, *Prefix sums and their applications* (1990).

    >>> import tessella as ts
    >>> ts.associative_scan(ts.add, ts.asarray([1, 2, 3, 4, 5]))
    tensor([ 1,  3,  6, 10, 15])
    """
    _require_functions("associative_scan", function)
    leaves, structure = trees.flatten(sequences)
    tensors = [move_axis(trees.as_tensor(x), axis % trees.as_tensor(x).ndim, 0) for x in leaves]
    _length(tensors, None, "associative_scan")
    if reverse:
        tensors = [flip(x, axis=0) for x in tensors]

    def both(a: list[Tensor], b: list[Tensor]) -> list[Tensor]:
        found = function(trees.unflatten(structure, a), trees.unflatten(structure, b))
        return [trees.as_tensor(x) for x in trees.flatten(found)[0]]

    found = _prefixes(both, tensors)
    if reverse:
        found = [flip(x, axis=0) for x in found]
    return trees.unflatten(structure, [move_axis(x, 0, axis % x.ndim) for x in found])


def _prefixes(
    function: Callable[[list[Tensor], list[Tensor]], list[Tensor]], xs: list[Tensor]
) -> list[Tensor]:
    """Pairs first, their prefixes by the same way, then the places between."""
    count = xs[0].shape[0]
    if count < 2:
        return xs
    pairs = function([x[: count - 1 : 2] for x in xs], [x[1::2] for x in xs])
    odd = _prefixes(function, pairs)
    if count % 2 == 0:
        later = function([x[:-1] for x in odd], [x[2::2] for x in xs]) if count > 2 else None
    else:
        later = function(odd, [x[2::2] for x in xs])
    even = [x[:1] for x in xs]
    if later is not None:
        even = [concat([first, rest]) for first, rest in zip(even, later, strict=True)]
    return [_interleaved(e, o) for e, o in zip(even, odd, strict=True)]


def _interleaved(even: Tensor, odd: Tensor) -> Tensor:
    """even[0], odd[0], even[1], ..."""
    count = odd.shape[0]
    paired = stack([even[:count], odd], axis=1).reshape((2 * count, *odd.shape[1:]))
    return paired if even.shape[0] == count else concat([paired, even[count:]])


# --- trees, and functions as graphs -------------------------------------------------------------------


class _Tree:
    """A tree whose leaves are tensors (Python numbers become some), and None."""

    def __init__(self, tree: Any, name: str, argument: str) -> None:
        self.name, self.argument = name, argument
        self.leaves, self.structure = trees.flatten(tree)
        for leaf in self.leaves:
            if not (leaf is None or trees.is_array(leaf) or isinstance(leaf, (bool, int, float))):
                raise ArgumentTypeError(
                    f"{name}: {argument} holds a {type(leaf).__name__}; expected tensors and numbers. "
                    "What does not change may come from outside the function"
                )
        self.tensors = [trees.as_tensor(leaf) for leaf in self.leaves if leaf is not None]

    @property
    def specs(self) -> list[Spec]:
        return [Spec(x.shape, x.dtype) for x in self.tensors]

    def whole(self, tensors: Sequence[Tensor]) -> Any:
        """A tree like this one of other tensors."""
        following = iter(tensors)
        return trees.unflatten(
            self.structure, [None if leaf is None else next(following) for leaf in self.leaves]
        )

    def flat(self, tree: Any) -> list[Tensor]:
        """The tensors of what a body gave, which must be a tree like this one."""
        leaves, structure = trees.flatten(tree)
        if structure != self.structure:
            raise ArgumentError(
                f"{user_line()}: {self.name}: the body gives {structure} where {self.argument} is "
                f"{self.structure}; what is carried must keep its structure"
            )
        found = []
        for number, (leaf, own) in enumerate(
            zip([x for x in leaves if x is not None], self.tensors, strict=True)
        ):
            x = leaf if isinstance(leaf, Tensor) else _as(leaf, own)
            if x.shape != own.shape or x.dtype is not own.dtype:
                raise ShapeError(
                    f"{user_line()}: {self.name}: the body gives {x.dtype.name} {x.shape} where "
                    f"{self.argument} has {own.dtype.name} {own.shape} (leaf {number}); what is carried must "
                    "keep its shape and dtype: use astype, or start with what the body gives"
                )
            found.append(x)
        return found

    def like(self, tree: Any) -> Any:
        return self.whole(self.flat(tree))


def _as(leaf: Any, like: Tensor) -> Tensor:
    found = trees.as_tensor(leaf)
    number = isinstance(leaf, (bool, int, float))
    return found.astype(like.dtype) if number else found


class _LoopTrace(InnerTrace):
    """The trace of a body that is gone through many times: every turn draws random numbers of its own.

    Args:
        turns: whether the loop counts its turns, so that a key can be made for each.
    """

    def __init__(self, name: str, turns: bool) -> None:
        super().__init__(name)
        self.turns = turns
        self.turn: Any = None  # the number of the turn, once somebody asks for it

    def random_key(self, generator: Any) -> Tensor:
        if not self.turns:
            raise ArgumentError(
                f"{user_line()}: {self.name}: random numbers are drawn in a loop of unknown length, in a traced "
                "function, where every turn would draw the same; draw them before, or use ts.fori_loop with "
                "bounds that are Python integers, or ts.scan"
            )
        key = super().random_key(generator)
        if self.turn is None:
            value = Value((), dtypes.uint32, "turn")
            self.turn = tensors_._make(self.traced(value), None, 0)  # type: ignore[arg-type]
        found: Tensor = fold_key(key, self.turn)
        return found


def _closed(
    name: str, functions: Sequence[Callable[..., Any]], specs: Sequence[Spec]
) -> tuple[list[Graph], list[Tensor]]:
    """Functions as graphs of the same inputs: their arguments, then all that any of them captures."""
    recorded = [record(_trace(name), function, specs, "carried") for function in functions]
    captured: dict[int, Tensor] = {}
    for one in recorded:
        captured.update({id(x): x for x in one.captured})
    graphs = [_with_inputs(one, len(specs), captured) for one in recorded]
    return graphs, list(captured.values())


def _trace(name: str) -> InnerTrace:
    return _LoopTrace(name, turns=False) if name == "while_loop" else InnerTrace(name)


def _with_inputs(recorded: Recorded, count: int, captured: dict[int, Tensor]) -> Graph:
    graph = recorded.graph
    own = dict(zip((id(x) for x in recorded.captured), graph.inputs[count:], strict=True))
    rest = [own.get(key) or Value(x.shape, x.dtype, "captured") for key, x in captured.items()]
    return Graph([*graph.inputs[:count], *rest], graph.nodes, graph.outputs, graph.constants)


def _graph(name: str, function: Callable[..., Any], like: Sequence[Any]) -> Graph:
    """A function of tensors alone as a graph; it captures nothing.

    Args:
        like: what has the shapes and dtypes of its arguments.
    """
    (graph,), captured = _closed(name, [function], [Spec(tuple(x.shape), x.dtype) for x in like])
    assert not captured, captured
    return graph


def _again(graph: Graph) -> Callable[..., list[Tensor]]:
    """A graph as a function of tensors."""
    recorded = Recorded(graph, [], [], None, set())
    return lambda *inputs: replay(recorded, inputs)


def _branches(
    name: str, index: Tensor, functions: Sequence[Callable[..., Any]], operands: Sequence[Any]
) -> Any:
    given = _Tree(tuple(operands), name, "the operands")
    shapes: list[Any] = []

    def flat(function: Callable[..., Any]) -> Callable[..., list[Tensor]]:
        def inner(*own: Tensor) -> list[Tensor]:
            leaves, structure = trees.flatten(function(*given.whole(own)))
            shapes.append((structure, [leaf is None for leaf in leaves]))
            return [trees.as_tensor(leaf) for leaf in leaves if leaf is not None]

        return inner

    graphs, captured = _closed(name, [flat(function) for function in functions], given.specs)
    first = [(v.dtype.name, v.shape) for v in graphs[0].outputs]
    for number, graph in enumerate(graphs):
        found = [(v.dtype.name, v.shape) for v in graph.outputs]
        if found != first or shapes[number] != shapes[0]:
            raise ShapeError(
                f"{user_line()}: {name}: the functions give different results: function 0 gives {first} in "
                f"{shapes[0][0]}, function {number} gives {found} in {shapes[number][0]}; they must agree in "
                "structure, shapes and dtypes"
            )
    results = iter(run(CondRules(tuple(graphs)), [index, *given.tensors, *captured]))
    structure, nothing = shapes[0]
    return trees.unflatten(structure, [None if none else next(results) for none in nothing])


def _require_functions(name: str, *functions: Any) -> None:
    for function in functions:
        if not callable(function):
            raise ArgumentTypeError(
                f"{name}: {type(function).__name__} was given; expected a function"
            )


def _require_single(x: Tensor, name: str, what: str) -> None:
    if x.shape != ():
        raise ShapeError(
            f"{name}: {what} has shape {x.shape}; expected a single one. Use ts.vmap for many, or ts.where"
        )


def _known_truth(condition: Any, name: str) -> bool:
    if isinstance(condition, Tensor):
        _require_single(condition, name, "the condition")
    return bool(condition)


def _truth(condition: Any) -> Tensor:
    x = trees.as_tensor(condition)
    _require_single(x, "while_loop", "the condition")
    return x.astype(dtypes.bool_)


def _pair(found: Any) -> tuple[Any, Any]:
    if not (isinstance(found, tuple) and len(found) == 2):
        raise ArgumentTypeError(
            f"{user_line()}: scan: the body returned a {type(found).__name__}; expected a pair (carry, y)"
        )
    return found


def _length(tensors: Sequence[Tensor], length: int | None, name: str = "scan") -> int:
    for x in tensors:
        if x.ndim == 0:
            raise ShapeError(f"{name}: a sequence has shape (); it needs a first axis to go along")
    sizes = {x.shape[0] for x in tensors} | ({length} if length is not None else set())
    if len(sizes) != 1:
        shown = ", ".join(map(str, sorted(sizes))) or "none"
        raise ShapeError(
            f"{name}: the sequences (and length) must agree about the number of places; they say {shown}"
        )
    return sizes.pop()


def _scanned(
    body: Callable[[Any, Any], Any], carry: _Tree, xs: _Tree, count: int, reverse: bool
) -> tuple[Any, Any]:
    """`scan` as a loop of Python."""
    tree = carry.whole(carry.tensors)
    found: list[Any] = [None] * count
    places = range(count - 1, -1, -1) if reverse else range(count)
    for place in places:
        after, found[place] = _pair(body(tree, xs.whole([x[place] for x in xs.tensors])))
        tree = carry.like(after)
    if not count:  # the shapes of what is stacked are those the body would give
        graph = _shapes(body, carry, xs)
        return tree, graph
    ys = trees.map_leaves(
        lambda *parts: None if parts[0] is None else stack([trees.as_tensor(p) for p in parts]),
        *found,
    )
    return tree, ys


def _shapes(body: Callable[[Any, Any], Any], carry: _Tree, xs: _Tree) -> Any:
    """What a body gives beside the carry, stacked no times."""
    specs = [*carry.specs, *[Spec(x.shape[1:], x.dtype) for x in xs.tensors]]
    recorded = record(
        InnerTrace("scan"),
        lambda *own: _pair(
            body(carry.whole(own[: len(carry.tensors)]), xs.whole(own[len(carry.tensors) :]))
        )[1],
        specs,
    )
    leaves = [
        full((0, *x.shape), 0, dtype=x.dtype) if isinstance(x, Value) else x
        for x in recorded.outputs
    ]
    return trees.unflatten(recorded.structure, leaves)


# --- the rules ----------------------------------------------------------------------------------------


def run(primitive: Any, tensors: Sequence[Tensor]) -> list[Tensor]:
    """A primitive of control on tensors: recorded, or done by Python."""
    if _mode.trace is None:
        found: list[Tensor] = primitive.step_by_step(tensors)
        return found
    return list(tensors_.apply(primitive, tensors))


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
            outputs = _again(graph)(*filled_in)
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
        outputs, along = push_forward(_again(graph), tuple(inputs), tuple(full_tangents))
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
    from tessella.tensors.indexing import take
    from tessella.tensors.statistical import argmax

    one = argmax(mask.astype(dtypes.int32)).reshape((1,))
    return _masked(mask, x, broadcast_to(take(x, one, axis=0), x.shape))


class CondRules(Cond):
    """`Cond` with its rules."""

    def evaluate(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        return run(self, tensors)

    def step_by_step(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        index, *operands = tensors
        chosen = min(max(int(index.item()), 0), len(self.branches) - 1)
        return _again(self.branches[chosen])(*operands)

    def vjp(self, cotangents: Any, inputs: Any, outputs: Any) -> Any:
        index, *operands = inputs
        given = [*operands, *_full(cotangents, outputs)]
        branches = tuple(_graph("cond", _with_gradients(g), given) for g in self.branches)
        found = run(CondRules(branches), [index, *given])
        return [None, *_spread(found, _floats(operands), len(operands))]

    def jvp(self, inputs: Any, tangents: Any) -> Any:
        index, *operands = inputs
        given = [*operands, *_zeros_for(operands, tangents[1:])]
        branches = tuple(_graph("cond", _with_tangents(g), given) for g in self.branches)
        found = run(CondRules(branches), [index, *given])
        count = len(self.branches[0].outputs)
        return _spread(found[count:], _floats(self.branches[0].outputs), count)

    def batch(self, inputs: Any, axes: Any, size: int) -> Any:
        (index, *operands), (index_axis, *operand_axes) = inputs, axes
        front = [
            x if axis is None else move_axis(x, axis, 0)
            for x, axis in zip(operands, operand_axes, strict=True)
        ]
        places = [None if axis is None else 0 for axis in operand_axes]

        def batched(graph: Graph) -> Callable[..., Any]:
            return vmap(_again(graph), tuple(places), axis_size=size)

        zeros = (0,) * len(self.branches[0].outputs)
        if index_axis is None:
            branches = tuple(_graph("cond", batched(g), front) for g in self.branches)
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


def _taken(
    graph: Graph, batched: Any, mask: Tensor, operands: list[Tensor], places: list[Any], size: int
) -> list[Tensor]:
    """A branch for the examples that take it; if there are none it is not computed, but zeros are given."""

    def some(mask: Tensor, *own: Tensor) -> list[Tensor]:
        safe = [
            x if place is None else _of_one(mask, x) for x, place in zip(own, places, strict=True)
        ]
        return list(batched(*safe))

    def none(mask: Tensor, *own: Tensor) -> list[Tensor]:
        return [filled(0, (size, *v.shape), v.dtype) for v in graph.outputs]

    given = [mask, *operands]
    graphs = tuple(_graph("cond", function, given) for function in (none, some))
    return run(CondRules(graphs), [mask.any().astype(dtypes.int32), *given])


class WhileRules(While):
    """`While` with its rules."""

    def evaluate(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        return run(self, tensors)

    def step_by_step(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        carry, same = list(tensors[: self.carried]), tensors[self.carried :]
        more, turn = _again(self.condition), _again(self.body)
        while bool(more(*carry, *same)[0]):
            carry = turn(*carry, *same)
        return carry

    def vjp(self, cotangents: Any, inputs: Any, outputs: Any) -> Any:
        raise GradientError(
            "while_loop: it has no reverse mode, because how many turns there are is not known beforehand; use "
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
            return _again(self.condition)(*own[:n], *own[n + m : n + m + len(same)])

        given = [*carry, *moving, *same, *fixed]
        graphs = [_graph("while_loop", f, given) for f in (condition, body)]
        found = run(WhileRules(graphs[0], graphs[1], n + m), given)
        return _spread(found[n:], _floats(self.body.outputs), n)

    def batch(self, inputs: Any, axes: Any, size: int) -> Any:
        """All that is carried is different for every example; who is done waits for the others."""
        n = self.carried
        carry = [batch_front(x, axis, size) for x, axis in zip(inputs[:n], axes[:n], strict=True)]
        same = [
            x if axis is None else move_axis(x, axis, 0)
            for x, axis in zip(inputs[n:], axes[n:], strict=True)
        ]
        places = (*(0,) * n, *[None if axis is None else 0 for axis in axes[n:]])
        more = vmap(_again(self.condition), places, axis_size=size)
        turn = vmap(_again(self.body), places, axis_size=size)

        def condition(*own: Tensor) -> list[Tensor]:
            return [more(*own)[0].any()]

        def body(*own: Tensor) -> list[Tensor]:
            active = more(*own)[0]
            safe = [_of_one(active, x) for x in own[:n]]
            rest = [
                x if place is None else _of_one(active, x)
                for x, place in zip(own[n:], places[n:], strict=True)
            ]
            after = turn(*safe, *rest)
            return [_masked(active, x, y) for x, y in zip(after, own[:n], strict=True)]

        given = [*carry, *same]
        graphs = [_graph("while_loop", f, given) for f in (condition, body)]
        return run(WhileRules(graphs[0], graphs[1], n), given), (0,) * n


class ScanRules(ScanLoop):
    """`ScanLoop` with its rules."""

    def evaluate(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        return run(self, tensors)

    def _parts(self, tensors: Sequence[Any]) -> tuple[list[Any], list[Any], list[Any]]:
        """What is carried, the sequences, and what is the same for all places."""
        n, m = self.carried, self.sliced
        return list(tensors[:n]), list(tensors[n : n + m]), list(tensors[n + m :])

    def step_by_step(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        carry, sequences, same = self._parts(tensors)
        turn = _again(self.body)
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
        graph = _graph("scan", body, like)
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
        graph = _graph("scan", body, like)
        loop = ScanRules(graph, self.length, n + len(moving), m + len(along), self.reverse)
        found = run(loop, [*carry, *moving, *sequences, *along, *same, *fixed])
        _, t_last, _, t_stacked = _cut(found, [n, len(moving), outputs - n])
        return [
            *_spread(t_last, floats, n),
            *_spread(t_stacked, _floats(self.body.outputs[n:]), outputs - n),
        ]

    def batch(self, inputs: Any, axes: Any, size: int) -> Any:
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
        turn = vmap(_again(self.body), places, axis_size=size)
        like = [*carry, *[_first(x) for x in sequences], *same]
        graph = _graph("scan", lambda *own: list(turn(*own)), like)
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


__all__ = ["associative_scan", "cond", "fori_loop", "scan", "switch", "while_loop"]
