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

import numpy as np

from tessella import autodiff, dtypes
from tessella.arguments import public, require_function, taking
from tessella.arguments.kinds import an, shown
from tessella.devices.array import check_count
from tessella.devices.registry import host
from tessella.errors import (
    ArgumentError,
    ArgumentTypeError,
    DTypeError,
    ShapeError,
)
from tessella.primitives.base import Spec, normalise_axes
from tessella.primitives.control import Cond, ScanLoop, While
from tessella.primitives.graph import Graph, describe
from tessella.primitives.movement import move_axis
from tessella.sizes.size import Size
from tessella.tensors.creation import arange
from tessella.tensors.elementwise import clip
from tessella.tensors.manipulation import concat, flip, stack
from tessella.tensors.operands import operand
from tessella.tensors.tensor import Tensor, as_it_is
from tessella.tracebacks import users_frames
from tessella.tracing.lines import user_line
from tessella.transforms import trees
from tessella.transforms.control_graphs import TRANSFORMATIONS, LoopTrace, closed
from tessella.transforms.recording import record

_mode = autodiff.mode


# --- what users call ----------------------------------------------------------------------------------


@users_frames
@public
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
    when_true = _branch("cond", "the true branch", when_true, operands)
    when_false = _branch("cond", "the false branch", when_false, operands)
    if not isinstance(condition, (Tensor, np.ndarray)):
        _require_truth(condition)
        return _known(when_true if condition else when_false, operands)
    condition = trees.as_tensor(condition)
    _require_single(condition, "cond", "the condition")
    truth = condition if condition.dtype.is_bool else condition != 0
    named = {"the false branch": when_false, "the true branch": when_true}
    return _branches("cond", truth.astype(dtypes.int32), named, operands)


@users_frames
@public
def switch(index: Any, branches: Any, *operands: Any) -> Any:
    """One of several functions of the operands, by its number; a number that is too small or large is clamped.

    >>> import tessella as ts
    >>> ts.switch(ts.asarray(2), [ts.sin, ts.cos, ts.exp], ts.asarray(0.0))
    tensor(1.)
    """
    if not isinstance(branches, (list, tuple)):
        raise ArgumentTypeError(
            f"switch: branches is {shown(branches)}; expected a list of functions"
        )
    if not branches:
        raise ArgumentError("switch: there are no branches; give at least one function")
    named = {f"branch {number}": branch for number, branch in enumerate(branches)}
    _require_functions("switch", **named)
    named = {label: _branch("switch", label, named[label], operands) for label in named}
    _require_whole(index, "switch", "index")
    if not isinstance(index, (Tensor, np.ndarray)):
        return _known(_chosen([*named.values()], int(index)), operands)
    index = trees.as_tensor(index)
    _require_single(index, "switch", "the index")
    if not index.dtype.is_integer:
        raise DTypeError(f"switch: the index is {index.dtype.name}; expected an integer")
    last = min(len(branches) - 1, index.dtype.high)
    chosen = clip(index, 0, int(last)).astype(dtypes.int32)  # of 64 bits only some would be left
    return _branches("switch", chosen, named, operands)


@users_frames
@public
def while_loop(condition: Callable[..., Any], body: Callable[..., Any], start: Any) -> Any:
    """`body` again and again on what it gave, as long as `condition` of it is true.

    What is carried may be a tree; its structure, shapes and dtypes stay the same.

    There is forward mode, but no reverse mode: how many turns there are is not known beforehand, so neither is how
    much would have to be kept. Use `fori_loop` with bounds that are Python integers, or `scan`.

    >>> import tessella as ts
    >>> ts.while_loop(lambda x: x < 100.0, lambda x: x * 2.0, ts.asarray(3.0))
    tensor(192.)
    """
    _require_functions("while_loop", condition=condition, body=body)
    condition = taking("while_loop: the condition is called as condition(carry)", condition)
    body = taking("while_loop: the body is called as body(carry)", body)
    return _while("while_loop", condition, body, start)


@users_frames
@public
def fori_loop(lower: Any, upper: Any, body: Callable[[Any, Any], Any], start: Any) -> Any:
    """`body(i, carry)` for i from `lower` to `upper` - 1; both are whole numbers.

    With bounds that are Python integers there is reverse mode.

    >>> import tessella as ts
    >>> ts.fori_loop(1, 5, lambda i, total: total * i, ts.asarray(1))
    tensor(24)
    """
    _require_functions("fori_loop", body=body)
    body = taking("fori_loop: the body is called as body(i, carry)", body)
    for name, bound in (("lower", lower), ("upper", upper)):
        _require_whole(bound, "fori_loop", name)
    if isinstance(lower, int) and isinstance(upper, int):
        turns = arange(lower, max(lower, upper))
        own = _Tree(start, "fori_loop", "start")
        return _scan("fori_loop", lambda carry, i: (body(i, carry), None), own, turns)[0]
    first, last = trees.as_tensor(lower), trees.as_tensor(upper)
    own = _Tree(start, "fori_loop", "start")  # what the body gives is held against this alone

    def turn(state: Any) -> Any:
        i, carry = state
        return i + 1, own.like(body(i, carry))

    return _while("fori_loop", lambda state: state[0] < last, turn, (first, start))[1]


@users_frames
@public
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
    _require_functions("scan", body=body)
    body = taking("scan: the body is called as body(carry, x)", body)
    if length is not None:
        length = check_count(length, "scan", "length")
    return _scan("scan", body, _Tree(start, "scan", "start"), sequences, length, reverse)


def _while(name: str, condition: Callable[..., Any], body: Callable[..., Any], start: Any) -> Any:
    """`while_loop`, or what is made of it, which errors are to name."""
    carry = _Tree(start, name, "start")
    if _mode.trace is None:
        tree = carry.own(carry.tensors)
        while _known_truth(condition(tree), name):
            tree = carry.own(carry.flat(body(tree)))
        return tree
    graphs, captured = closed(
        name,
        [
            lambda *own: _truth(condition(carry.whole(own)), name),
            lambda *own: carry.flat(body(carry.whole(own))),
        ],
        carry.specs,
    )
    primitive = While(graphs[0], graphs[1], len(carry.tensors), TRANSFORMATIONS, name)
    return carry.whole(primitive.apply([*carry.tensors, *captured]))


def _scan(
    name: str,
    body: Callable[[Any, Any], Any],
    carry: _Tree,
    sequences: Any,
    length: int | None = None,
    reverse: bool = False,
) -> tuple[Any, Any]:
    """`scan`, or what is made of it, which errors are to name."""
    xs = _Tree(sequences, name, "sequences")
    count = _length(xs.tensors, length)
    if _mode.trace is None and count:  # with no place, only a graph tells what would be stacked
        return _scanned(name, body, carry, xs, count, reverse)
    structure: list[Any] = []

    def turn(*own: Tensor) -> list[Tensor]:
        inner, x = own[: len(carry.tensors)], own[len(carry.tensors) :]
        found = body(carry.whole(inner), xs.whole(x))
        after, y = _pair(found)
        leaves, shape = trees.flatten(y)
        structure[:] = [leaves, shape]
        ys = [_result(leaf, name, "the body") for leaf in leaves if leaf is not None]
        return [*carry.flat(after), *ys]

    specs = [*carry.specs, *[Spec(x.shape[1:], x.dtype) for x in xs.tensors]]
    trace = LoopTrace(name, turns=True)
    recorded = record(trace, turn, specs, "carried")
    graph, sequences_ = recorded.graph, list(xs.tensors)
    if trace.turn is not None:  # one more sequence, that counts
        inputs = list(graph.inputs)
        inputs.insert(len(specs), trace.turn._value.value)
        graph = Graph(inputs, graph.nodes, graph.outputs, graph.constants)
        sequences_.append(arange(count, dtype=dtypes.uint32))
    primitive = ScanLoop(
        graph, count, len(carry.tensors), len(sequences_), TRANSFORMATIONS, reverse
    )
    found = primitive.apply([*carry.tensors, *sequences_, *recorded.captured])
    last, stacked = found[: len(carry.tensors)], iter(found[len(carry.tensors) :])
    leaves, shape = structure
    ys = trees.unflatten(shape, [None if leaf is None else next(stacked) for leaf in leaves])
    return carry.whole(last), ys


@users_frames
@public
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
    _require_functions("associative_scan", function=function)
    function = taking("associative_scan: the function is called as function(left, right)", function)
    leaves, structure = trees.flatten(sequences)
    tensors = [_in_front(trees.as_tensor(x), axis) for x in leaves]
    _length(tensors, None, "associative_scan")
    if reverse:
        tensors = [flip(x, axis=0) for x in tensors]

    def both(a: list[Tensor], b: list[Tensor]) -> list[Tensor]:
        found = function(trees.unflatten(structure, a), trees.unflatten(structure, b))
        leaves = trees.leaves_like(structure, found)
        if leaves is None or any(leaf is None for leaf in leaves):
            given = "None" if found is None else trees.outline(trees.flatten(found)[1])
            raise ArgumentError(
                f"{user_line()}: associative_scan: the function gives {given} where "
                f"the sequences are {trees.outline(structure)}; it must give such a tree as it is given"
            )
        made = [_result(x, "associative_scan", "the function") for x in leaves]
        for x, own in zip(made, b, strict=True):
            if x.shape != own.shape:
                raise ShapeError(
                    f"{user_line()}: associative_scan: the function gives the shape {x.shape} where it is given "
                    f"{own.shape}; it is called with many places at once, and must work place by place"
                )
        return made

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
    """A tree whose leaves are tensors (Python numbers become some), and None.

    Args:
        mixed: whether other leaves may be there, too; they stay what they are.
    """

    def __init__(self, tree: Any, name: str, argument: str, mixed: bool = False) -> None:
        self.name, self.argument = name, argument
        self.leaves, self.structure = trees.flatten(tree)
        self.places = [i for i, leaf in enumerate(self.leaves) if _is_number(leaf)]
        for i, leaf in enumerate(self.leaves):
            if not (mixed or leaf is None or _is_number(leaf)):
                raise ArgumentTypeError(
                    f"{name}: {argument} holds {an(type(leaf).__name__)} ({shown(leaf)}, leaf {i}); expected tensors and "
                    "numbers. What does not change may come from outside the function, or be a static field of a "
                    'dataclass: dataclasses.field(metadata={"static": True})'
                )
        self.tensors = [trees.as_tensor(self.leaves[i]) for i in self.places]

    @property
    def specs(self) -> list[Spec]:
        return [Spec(x.shape, x.dtype) for x in self.tensors]

    def whole(self, tensors: Sequence[Tensor]) -> Any:
        """A tree like this one of other tensors."""
        return trees.with_leaves(self.structure, self.leaves, self.places, tensors)

    def own(self, tensors: Sequence[Tensor]) -> Any:
        """Likewise, for a function that may rebind them."""
        return self.whole([_own(x) for x in tensors])

    def flat(self, tree: Any) -> list[Tensor]:
        """The tensors of what a body gave, which must be a tree like this one."""
        leaves = trees.leaves_like(self.structure, tree)
        if leaves is None or [x is None for x in leaves] != [x is None for x in self.leaves]:
            raise ArgumentError(
                f"{user_line()}: {self.name}: the body gives {_shown(tree)} where {self.argument} is "
                f"{_shown(trees.unflatten(self.structure, self.leaves))}; what is carried must keep its structure"
            )
        found = []
        for number, own in zip(self.places, self.tensors, strict=True):
            leaf = leaves[number]
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


def _is_number(leaf: Any) -> bool:
    """Whether a leaf is a tensor, or becomes one."""
    return trees.is_array(leaf) or isinstance(leaf, (bool, int, float, complex))


def _as(leaf: Any, like: Tensor) -> Tensor:
    """A leaf as a tensor; a number has the dtype it would have beside another tensor."""
    found = operand(leaf, like)
    return trees.as_tensor(leaf) if found is NotImplemented else found


def _shown(tree: Any) -> str:
    """A tree in words, where None stands out."""
    return trees.outline(trees.tree_flatten(tree)[1])


def _branch(
    name: str, label: str, function: Callable[..., Any], operands: Sequence[Any]
) -> Callable[..., Any]:
    """A branch, which says with how many operands it is called if it takes another number."""
    count = len(operands)
    told = "1 operand" if count == 1 else f"{count} operands"
    return taking(f"{name}: {label} is called with {told} (what follows the branches)", function)


def _known(function: Callable[..., Any], operands: Sequence[Any]) -> Any:
    """What is chosen outside of all tensors: Python's own choice; only NumPy arrays become tensors."""
    leaves, structure = trees.results_of(tuple(operands))
    given = trees.unflatten(structure, [_own(leaf) for leaf in leaves])
    found, shape = trees.results_of(function(*given))
    return trees.unflatten(shape, found)


def _own(leaf: Any) -> Any:
    """A handle of its own on the data of a tensor: if a function rebinds it, whoever gave it keeps theirs."""
    return as_it_is(leaf) if isinstance(leaf, Tensor) else leaf


def _chosen(functions: Sequence[Callable[..., Any]], number: int) -> Callable[..., Any]:
    return functions[min(max(number, 0), len(functions) - 1)]


def _branches(
    name: str, index: Tensor, branches: dict[str, Callable[..., Any]], operands: Sequence[Any]
) -> Any:
    """The branch of a number; errors speak of it by its name."""
    functions = list(branches.values())
    given = _Tree(tuple(operands), name, "the operands", mixed=True)
    if _mode.trace is None:
        found = _chosen(functions, int(index.item()))(*given.own(given.tensors))
        leaves, structure = trees.flatten(found)
        return trees.unflatten(structure, [_result(leaf, name, "the branch") for leaf in leaves])
    shapes: list[Any] = []

    def flat(label: str, function: Callable[..., Any]) -> Callable[..., list[Tensor]]:
        def inner(*own: Tensor) -> list[Tensor]:
            found = function(*given.whole(own))
            leaves, structure = trees.flatten(found)
            if shapes and structure != shapes[0][0]:
                same = trees.leaves_like(shapes[0][0], found)
                leaves, structure = (leaves, structure) if same is None else (same, shapes[0][0])
            shapes.append((structure, [leaf is None for leaf in leaves]))
            return [_result(leaf, name, label) for leaf in leaves if leaf is not None]

        return inner

    graphs, captured = closed(name, [flat(*branch) for branch in branches.items()], given.specs)
    first = [(v.dtype, v.shape) for v in graphs[0].outputs]
    for number, graph in enumerate(graphs):
        found = [(v.dtype, v.shape) for v in graph.outputs]
        if found != first or shapes[number] != shapes[0]:
            alike = shapes[number][0] == shapes[0][0]
            told = [
                f"{list(branches)[i]} gives {_told(graphs[i], None if alike else shapes[i][0])}"
                for i in (number, 0)
            ]
            raise ShapeError(
                f"{user_line()}: {name}: the branches give different results: {', '.join(told)}; they must agree in "
                "structure, shapes and dtypes"
            )
    primitive = Cond(tuple(graphs), TRANSFORMATIONS)
    results = iter(primitive.apply([index, *given.tensors, *captured]))
    structure, nothing = shapes[0]
    return trees.unflatten(structure, [None if none else next(results) for none in nothing])


def _told(graph: Graph, structure: Any) -> str:
    """The results of a branch in words, and their structure if there is one to tell."""
    found = ", ".join(map(describe, graph.outputs)) or "None"
    return found if structure is None else f"{found} as {trees.outline(structure)}"


def _result(leaf: Any, name: str, giver: str) -> Any:
    """A part of what a function gave, as a tensor; None stays.

    Raises:
        ArgumentTypeError: it is something else.
    """
    if leaf is None:
        return None
    try:
        return trees.as_tensor(leaf)
    except ArgumentTypeError as error:
        raise ArgumentTypeError(
            f"{user_line()}: {name}: {giver} gives {an(type(leaf).__name__)} ({shown(leaf)}); expected tensors, numbers and None"
        ) from error


def _in_front(x: Tensor, axis: int) -> Tensor:
    (place,) = normalise_axes(axis, x.ndim, "associative_scan")
    moved: Tensor = move_axis(x, place, 0)
    return moved


def _require_functions(name: str, **functions: Any) -> None:
    for argument, function in functions.items():
        require_function(function, f"{name}: {argument}")


def _require_whole(value: Any, name: str, argument: str) -> None:
    """A bound like infinity would be reached by no counting."""
    if trees.is_array(value):
        kind = trees.as_tensor(value).dtype
        if not (kind.is_integer or kind.is_bool):
            raise DTypeError(f"{name}: {argument} is {kind.name}; expected an integer")
    elif not hasattr(value, "__index__") or isinstance(value, (bool, np.bool_)):
        raise ArgumentError(f"{name}: {argument} is {shown(value)}; expected a whole number")


def _is_truth(value: Any) -> bool:
    return isinstance(value, (bool, int, float, np.generic, Size)) or trees.is_array(value)


def _require_truth(condition: Any) -> None:
    if not _is_truth(condition):
        raise ArgumentTypeError(
            f"cond: condition is {shown(condition)}; expected True or False, a number, or a tensor of one"
        )


def _require_single(x: Tensor, name: str, what: str) -> None:
    if x.shape != ():
        raise ShapeError(
            f"{name}: {what} has shape {x.shape}; expected a single one. Use ts.vmap for many, or ts.where"
        )


def _known_truth(condition: Any, name: str) -> bool:
    if isinstance(condition, Tensor):
        _require_single(condition, name, "the condition")
    elif not _is_truth(condition):
        raise ArgumentTypeError(
            f"{user_line()}: {name}: the condition gave {an(type(condition).__name__)}; expected True, False or a number"
        )
    return bool(condition)


def _truth(condition: Any, name: str) -> Tensor:
    x: Tensor = _result(condition, name, "the condition")
    _require_single(x, name, "the condition")
    return x.astype(dtypes.bool_)


def _pair(found: Any) -> tuple[Any, Any]:
    if not (isinstance(found, tuple) and len(found) == 2):
        raise ArgumentTypeError(
            f"{user_line()}: scan: the body returned {an(type(found).__name__)}; expected a pair (carry, y)"
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
    name: str, body: Callable[[Any, Any], Any], carry: _Tree, xs: _Tree, count: int, reverse: bool
) -> tuple[Any, Any]:
    """`scan` as a loop of Python."""
    tree = carry.own(carry.tensors)
    host().require_available(64 * count)  # what the turns give, as objects of Python
    found: list[Any] = [None] * count
    places = range(count - 1, -1, -1) if reverse else range(count)
    for place in places:
        after, y = _pair(body(tree, xs.whole([x[place] for x in xs.tensors])))
        found[place] = _own(y) if isinstance(y, Tensor) else trees.map_leaves(_own, y)
        tree = carry.own(carry.flat(after))
    return tree, _stacked(found)


def _stacked(found: Sequence[Any]) -> Any:
    """Trees of all places as one tree."""
    leaves, structure = trees.flatten(found[0])
    columns = [[_result(leaf, "scan", "the body")] if leaf is not None else None for leaf in leaves]
    for y in found[1:]:
        own = trees.leaves_like(structure, y)
        if own is None or [x is None for x in own] != [x is None for x in leaves]:
            raise ArgumentError(
                f"{user_line()}: scan: the body gives {_shown(y)} at one place and {_shown(found[0])} at another; it "
                "must give the same structure at every place"
            )
        for column, leaf in zip(columns, own, strict=True):
            if column is not None:
                column.append(_result(leaf, "scan", "the body"))
    return trees.unflatten(structure, [None if c is None else stack(c) for c in columns])


__all__ = ["associative_scan", "cond", "fori_loop", "scan", "switch", "while_loop"]
