"""Trees: containers in containers, with tensors or anything else for leaves.

Tuples, lists, dicts, named tuples, `OrderedDict`, `defaultdict`, `deque` and dataclasses are trees, and so are the
classes that are registered (`tessella.tree_nodes`); `optree` takes them apart and puts them together. A dict is a tree
in the order in which its keys were put in, as everybody who goes through it sees it.
"""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

from tessella.errors import ArgumentError, ArgumentTypeError
from tessella.tree_nodes import NAMESPACE, become_nodes, loaded

Tree: TypeAlias = Any


# --- taking trees apart -------------------------------------------------------------------------------


def flatten(tree: Tree, none_is_leaf: bool = True) -> tuple[list[Any], Any]:
    """The leaves of a tree, and its structure."""
    while True:
        leaves, structure = taken_apart(tree, none_is_leaf)
        if not become_nodes(set(map(type, leaves))):
            return leaves, structure


def taken_apart(tree: Tree, none_is_leaf: bool = True) -> tuple[list[Any], Any]:
    """`flatten`, where the instances of a dataclass that comes by for the first time may be among the leaves."""
    found: tuple[list[Any], Any]
    try:
        found = loaded().tree_flatten(tree, none_is_leaf=none_is_leaf, namespace=NAMESPACE)
    except RecursionError:
        raise ArgumentError(
            f"a tree of {type(tree).__name__}s that holds itself, or is very deep, cannot be taken apart into leaves; "
            "let a field that leads back be no field, or declare the whole argument static (static_argnums)"
        ) from None
    return found


def unflatten(structure: Any, leaves: Iterable[Any]) -> Tree:
    """The tree of a structure with leaves."""
    return loaded().tree_unflatten(structure, leaves)


def with_leaves(
    structure: Any, leaves: Sequence[Any], places: Sequence[int], others: Sequence[Any]
) -> Tree:
    """The tree of some leaves, with others at some places."""
    filled_in = list(leaves)
    for place, leaf in zip(places, others, strict=True):
        filled_in[place] = leaf
    return unflatten(structure, filled_in)


def map_leaves(function: Callable[..., Any], tree: Tree, *others: Tree) -> Tree:
    """The tree of what a function gives for the leaves, those of trees alike beside them; None is a leaf.

    Raises:
        ArgumentError: another tree has another structure.
    """
    leaves, structure = flatten(tree)
    beside = [_below(structure, other, "map_leaves", n) for n, other in enumerate(others, 1)]
    return unflatten(structure, map(function, leaves, *beside))


def leaves_like(structure: Any, tree: Tree) -> list[Any] | None:
    """The leaves of a tree in the order of a structure; None if it has another one.

    Dicts with the same keys are alike, in whatever order they have them.
    """
    leaves, own = flatten(tree)
    if own == structure:
        return leaves
    if not _alike(structure, own):
        return None
    try:
        found: list[Any] = structure.flatten_up_to(tree)
    except ValueError:  # the same kinds of nodes, which hold other facts
        return None
    return found


def _alike(one: Any, other: Any) -> bool:
    """Whether two structures differ in nothing but the order of keys, as far as their nodes' kinds say."""
    if one == other:
        return True
    if one.type is not other.type or one.num_children != other.num_children:
        return False
    ours, theirs = one.entries(), other.entries()
    if one.type is collections.OrderedDict and ours != theirs:
        return False
    mine, by_entry = one.children(), dict(zip(theirs, other.children(), strict=True))
    return all(
        entry in by_entry and _alike(child, by_entry[entry])
        for entry, child in zip(ours, mine, strict=True)
    )


def broadcast(prefix: Tree, tree: Tree) -> list[Any] | None:
    """One entry of a tree prefix for every leaf of a tree: `0` for `{"a": x, "b": y}` is `[0, 0]`.

    None if the prefix is no tree that begins like the other.
    """
    leaves, structure = flatten(tree)
    if isinstance(prefix, (int, type(None))):  # by far the most
        return [prefix] * len(leaves)
    flatten(prefix)  # what it holds is known now
    try:
        spread = loaded().tree_broadcast_prefix(
            prefix, tree, none_is_leaf=True, namespace=NAMESPACE
        )
        found: list[Any] = structure.flatten_up_to(spread)
    except ValueError:
        return None
    return found


def outline(structure: Any) -> str:
    """A structure in words: `{'a': *, 'b': (*, *)}`."""
    text = str(structure).removeprefix("PyTreeSpec(").removesuffix(")")
    for fact in (f", namespace={NAMESPACE!r}", ", NoneIsLeaf"):
        text = text.removesuffix(fact)
    return text


def _below(structure: Any, tree: Tree, name: str, number: int) -> list[Any]:
    """What another tree has in the places of a structure's leaves."""
    flatten(tree)  # what it holds is known now
    try:
        found: list[Any] = structure.flatten_up_to(tree)
    except ValueError:
        raise ArgumentError(
            f"{name}: tree {number} is {outline(flatten(tree)[1])}, the first one {outline(structure)}; every other "
            "tree must have the structure of the first, down to its leaves"
        ) from None
    return found


# --- what users call ----------------------------------------------------------------------------------


def tree_flatten(tree: Tree) -> tuple[list[Any], Any]:
    """The leaves of a tree, and its structure, from which `tree_unflatten` makes such a tree of other leaves.

    None is no leaf, but a part of the structure.

    >>> import tessella as ts
    >>> leaves, structure = ts.tree_flatten({"b": [1, 2], "a": (3, None)})
    >>> leaves
    [1, 2, 3]
    >>> ts.tree_unflatten(structure, "xyz")
    {'b': ['x', 'y'], 'a': ('z', None)}
    """
    return flatten(tree, none_is_leaf=False)


def tree_unflatten(structure: Any, leaves: Iterable[Any]) -> Tree:
    """The tree of a structure with other leaves; see `tree_flatten`.

    Raises:
        ArgumentTypeError: the structure is none.
        ArgumentError: there are more or fewer leaves than the structure has.
    """
    if not isinstance(structure, loaded().PyTreeSpec):
        raise ArgumentTypeError(
            f"tree_unflatten: the structure is a {type(structure).__name__}; expected what ts.tree_flatten gives "
            "beside the leaves"
        )
    given = list(leaves)
    if len(given) != structure.num_leaves:
        raise ArgumentError(
            f"tree_unflatten: {len(given)} leaves were given for {outline(structure)}, which has "
            f"{structure.num_leaves}"
        )
    return unflatten(structure, given)


def tree_leaves(tree: Tree) -> list[Any]:
    """The leaves of a tree, from left to right; None is none.

    >>> import tessella as ts
    >>> ts.tree_leaves({"b": [1, 2], "a": (3, None)})
    [1, 2, 3]
    """
    return tree_flatten(tree)[0]


def tree_map(function: Callable[..., Any], tree: Tree, *others: Tree) -> Tree:
    """The tree of what a function gives for each leaf, or for the leaves of several trees side by side.

    Trees are tuples, lists, dicts, named tuples, `OrderedDict`, `defaultdict`, `deque`, dataclasses, and classes that
    were given to `register_tree`. Whatever else is a leaf; None is none, and stays.

    Args:
        others: trees with the structure of the first. The keys of their dicts may stand in another order.

    Raises:
        ArgumentError: a tree has another structure.

    >>> import dataclasses
    >>> import tessella as ts
    >>> @dataclasses.dataclass
    ... class Line:
    ...     slope: object
    ...     bias: object
    >>> line = Line(ts.asarray([1.0, 2.0]), ts.asarray(0.5))
    >>> ts.tree_map(lambda p, step: p - 0.1 * step, line, Line(ts.ones(2), ts.asarray(10.0)))
    Line(slope=tensor([0.9, 1.9]), bias=tensor(-0.5))
    """
    if not callable(function):
        raise ArgumentTypeError(
            f"tree_map: {type(function).__name__} was given; expected a function, then the tree"
        )
    leaves, structure = tree_flatten(tree)
    beside = [_below(structure, other, "tree_map", n) for n, other in enumerate(others, 2)]
    return unflatten(structure, map(function, leaves, *beside))
