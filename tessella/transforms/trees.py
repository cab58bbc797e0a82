"""Trees of tensors as arguments and results: which leaves a transformation takes, and along which axes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tessella.arguments.kinds import shown
from tessella.dtypes import float32, promote
from tessella.errors import ArgumentError, ArgumentTypeError, ShapeError
from tessella.tensors.creation import asarray, zeros
from tessella.tensors.manipulation import concat
from tessella.tensors.tensor import Tensor
from tessella.trees import Tree, broadcast
from tessella.trees import flatten as flatten
from tessella.trees import leaves_like as leaves_like
from tessella.trees import map_leaves as map_leaves
from tessella.trees import outline as outline
from tessella.trees import tree_flatten as tree_flatten
from tessella.trees import tree_map as tree_map
from tessella.trees import unflatten as unflatten
from tessella.trees import with_leaves as with_leaves


def is_array(leaf: Any) -> bool:
    """Whether a leaf is a tensor or stands for one."""
    return isinstance(leaf, (Tensor, np.ndarray, np.generic)) or hasattr(
        type(leaf), "__tessella_operand__"
    )


def is_module(leaf: Any) -> bool:
    """Whether a leaf is a module: something with named parameters."""
    return hasattr(leaf, "named_parameters") and not isinstance(leaf, Tensor)


def as_tensor(leaf: Any) -> Tensor:
    """A leaf as a tensor: NumPy arrays and Python numbers become one."""
    if isinstance(leaf, Tensor):
        return leaf
    bind = getattr(type(leaf), "__tessella_operand__", None)
    if bind is not None:
        bound: Any = bind(leaf, None)
        return bound if isinstance(bound, Tensor) else asarray(bound)
    return asarray(leaf)


def results_of(tree: Tree) -> tuple[list[Any], Any]:
    """The leaves of a result and its structure; NumPy arrays are tensors, which nobody else can write to."""
    leaves, structure = flatten(tree)
    return [as_tensor(x) if isinstance(x, np.ndarray) else x for x in leaves], structure


def broadcast_prefix(prefix: Tree, tree: Tree, name: str, argument: str) -> list[Any]:
    """One entry of a tree prefix for every leaf of a tree: `0` for `{"a": x, "b": y}` is `[0, 0]`.

    Raises:
        ArgumentError: the prefix has another structure.
    """
    found = broadcast(prefix, tree)
    if found is None:
        raise ArgumentError(
            f"{name}: {argument} is {shown(prefix)}, which does not fit what it is for, "
            f"{outline(flatten(tree)[1])}; give one number (or None) for all, or a tree that begins like it"
        )
    return found


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
                f"{name}: {what} is {shown(argnums)}; expected an integer, or several"
            )
        if not -count <= number < count:
            raise ArgumentError(
                f"{name}: {what} names argument {number}, but the function was called with {count} "
                f"positional argument{'s' if count != 1 else ''}"
            )
        found.append(number % count)
        if found.count(found[-1]) > 1:
            raise ArgumentError(
                f"{name}: {what} is {shown(argnums)}, which names argument {found[-1]} twice; name each once"
            )
    return tuple(found)


def ravel_tree(tree: Tree) -> tuple[Tensor, Callable[[Any], Tree]]:
    """All numbers of a tree as one vector, and the function from such a vector to a tree like it.

    Shapes: (n,) for n numbers in all leaves together, from left to right, each row-major.
    Dtypes: the one that the leaves' promote to; the way back gives each leaf its own again. Python numbers become
        tensors; an empty tree gives no float32.

    Raises:
        ArgumentTypeError: a leaf is no tensor, array or number.
        ShapeError: (of the way back) the vector has another length.

    >>> import tessella as ts
    >>> vector, unravel = ts.ravel_tree({"w": ts.asarray([[1.0, 2.0]]), "b": ts.asarray(3.0)})
    >>> vector
    tensor([1., 2., 3.])
    >>> unravel(vector * 2.0)
    {'w': tensor([[2., 4.]]), 'b': tensor(6.)}
    """
    leaves, structure = tree_flatten(tree)
    tensors = [_numbers(leaf, number) for number, leaf in enumerate(leaves)]
    dtype = promote(*[x.dtype for x in tensors]) if tensors else float32
    layouts = [(x.shape, x.dtype, x.size) for x in tensors]
    length = sum(x.size for x in tensors)

    def unravel(vector: Any) -> Tree:
        x = as_tensor(vector)
        if x.shape != (length,):
            raise ShapeError(
                f"unravel: the vector has shape {x.shape}; expected {(length,)}, as many numbers as there are in "
                f"{outline(structure)}"
            )
        parts, start = [], 0
        for shape, own, size in layouts:
            parts.append(x[start : start + size].reshape(shape).astype(own))
            start += size
        return unflatten(structure, parts)

    flat = [x.astype(dtype).reshape((x.size,)) for x in tensors]
    return (concat(flat) if flat else zeros((0,))), unravel


def _numbers(leaf: Any, number: int) -> Tensor:
    if is_array(leaf) or isinstance(leaf, (bool, int, float, complex)):
        return as_tensor(leaf)
    raise ArgumentTypeError(
        f"ravel_tree: leaf {number} is a {type(leaf).__name__} ({shown(leaf)}); expected tensors, arrays and numbers. What "
        'is no number in a dataclass may be a static field: dataclasses.field(metadata={"static": True})'
    )
