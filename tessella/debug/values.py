"""Trees with tensors in them, as an effect of a program sees them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tessella import trees
from tessella.devices.array import from_numpy
from tessella.primitives.effect import Effect
from tessella.tensors.tensor import Tensor, from_array, perform


def with_values(action: Callable[[Any], None], tree: Any, label: str) -> None:
    """Do something with a tree whose tensors are concrete: now, or at every call of a program."""
    leaves, structure = trees.flatten(tree)
    places = [i for i, leaf in enumerate(leaves) if isinstance(leaf, Tensor)]
    tensors = [leaves[i] for i in places]
    others = [None if isinstance(leaf, Tensor) else leaf for leaf in leaves]

    def on_arrays(*arrays: Any) -> None:
        now = list(others)
        for place, array in zip(places, arrays, strict=True):
            now[place] = from_array(from_numpy(array))
        action(trees.unflatten(structure, now))

    perform(Effect(on_arrays, label), tensors)
