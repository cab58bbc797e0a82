"""Trees of tensors as arguments and results: which leaves a transformation takes, and along which axes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from tessella.errors import ArgumentError, ArgumentTypeError
from tessella.tensors.creation import asarray
from tessella.tensors.tensor import Tensor

Tree: TypeAlias = Any
NAMESPACE = "tessella"


def flatten(tree: Tree) -> tuple[list[Any], Any]:
    """The leaves of a tree, and its structure; None is a leaf."""
    import optree

    return optree.tree_flatten(tree, none_is_leaf=True, namespace=NAMESPACE)


def unflatten(structure: Any, leaves: Sequence[Any]) -> Tree:
    import optree

    return optree.tree_unflatten(structure, leaves)


def with_leaves(
    structure: Any, leaves: Sequence[Any], places: Sequence[int], others: Sequence[Any]
) -> Tree:
    """The tree of some leaves, with others at some places."""
    filled_in = list(leaves)
    for place, leaf in zip(places, others, strict=True):
        filled_in[place] = leaf
    return unflatten(structure, filled_in)


def map_leaves(function: Callable[..., Any], tree: Tree, *others: Tree) -> Tree:
    import optree

    return optree.tree_map(function, tree, *others, none_is_leaf=True, namespace=NAMESPACE)


def is_array(leaf: Any) -> bool:
    """Whether a leaf is a tensor or stands for one."""
    return isinstance(leaf, (Tensor, np.ndarray, np.generic)) or hasattr(
        leaf, "__tessella_operand__"
    )


def is_module(leaf: Any) -> bool:
    """Whether a leaf is a module: something with named parameters."""
    return hasattr(leaf, "named_parameters") and not isinstance(leaf, Tensor)


def as_tensor(leaf: Any) -> Tensor:
    """A leaf as a tensor: NumPy arrays and Python numbers become one."""
    if isinstance(leaf, Tensor):
        return leaf
    bind = getattr(leaf, "__tessella_operand__", None)
    if bind is not None:
        bound: Any = bind(None)
        return bound if isinstance(bound, Tensor) else asarray(bound)
    return asarray(leaf)


def broadcast_prefix(prefix: Tree, tree: Tree, name: str, argument: str) -> list[Any]:
    """One entry of a tree prefix for every leaf of a tree: `0` for `{"a": x, "b": y}` is `[0, 0]`.

    Raises:
        ArgumentError: the prefix has another structure.
    """
    import optree

    try:
        found: list[Any] = optree.broadcast_prefix(
            prefix, tree, none_is_leaf=True, namespace=NAMESPACE
        )
    except ValueError:
        raise ArgumentError(
            f"{name}: {argument} is {prefix!r}, which does not fit what it is for, {_shape_of(tree)}; "
            "give one number (or None) for all, or a tree that begins like it"
        ) from None
    return found


def _shape_of(tree: Tree) -> str:
    """A tree with leaves shown as `*`."""
    return str(map_leaves(lambda leaf: "*", tree)).replace("'*'", "*")


def argument_numbers(
    argnums: int | Sequence[int], count: int, name: str, what: str = "argnums"
) -> tuple[int, ...]:
    """Positions of arguments, counted from the front.

    Raises:
        ArgumentError: there is no such argument.
        ArgumentTypeError: not integers.
    """
    numbers = (argnums,) if isinstance(argnums, int) else tuple(argnums)
    found = []
    for number in numbers:
        if not isinstance(number, int) or isinstance(number, bool):
            raise ArgumentTypeError(
                f"{name}: {what} is {argnums!r}; expected an integer, or several"
            )
        if not -count <= number < count:
            raise ArgumentError(
                f"{name}: {what} names argument {number}, but the function was called with {count} "
                f"positional argument{'s' if count != 1 else ''}"
            )
        found.append(number % count)
    return tuple(found)
