"""Compiled functions that remember for which batches they were traced, so that another process has the same programs.

A function is traced for the first sizes of a batch, and then once for all sizes: which program a batch gets depends on
those that came before. Two programs of one function may round in another order; so a run that goes on makes those
first that it had made before.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tessella.tensors.creation import zeros
from tessella.tensors.tensor import Tensor
from tessella.train.random_state import kept_random_state
from tessella.transforms.jit import Jitted, specialisation_for


class Recorded:
    """A compiled function, and what it was traced for."""

    def __init__(self, function: Jitted[..., Any]) -> None:
        self.function = function
        self._traced_for: list[Any] = []
        self._to_be_traced: list[Any] = []
        self._known = len(function.traces)

    def __call__(self, *args: Any, **named: Any) -> Any:
        """Call it."""
        if self._to_be_traced:
            self._make_programs()
        found = self.function(*args, **named)
        if len(self.function.traces) != self._known:
            self._known = len(self.function.traces)
            self._traced_for.append(_told([list(args), named]))
        return found

    def _make_programs(self) -> None:
        waiting, self._to_be_traced = self._to_be_traced, []
        with kept_random_state():
            for told in waiting:
                args, named = _made(told)
                specialisation_for(self.function, args, named)
        self._known = len(self.function.traces)

    def state_dict(self) -> dict[str, Any]:
        """What it was traced for, as a tree."""
        return {"traced_for": list(self._traced_for)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Have the programs made that another process had, as soon as one is needed."""
        self._traced_for = list(state["traced_for"])
        self._to_be_traced = list(state["traced_for"])


def _told(tree: Any) -> Any:
    """A tree, with shapes and dtypes for its arrays."""
    if isinstance(tree, (Tensor, np.ndarray)):
        kind = "tensor" if isinstance(tree, Tensor) else "array"
        return {
            "is": kind,
            "shape": list(tree.shape),
            "dtype": str(tree.dtype).removeprefix("tessella."),
        }
    if isinstance(tree, Mapping):
        return {"is": "mapping", "items": {name: _told(x) for name, x in tree.items()}}
    if isinstance(tree, (list, tuple)):
        return {"is": type(tree).__name__, "items": [_told(x) for x in tree]}
    return {"is": "value", "value": tree if isinstance(tree, (bool, int, float, str)) else None}


def _made(told: Any) -> Any:
    """A tree of zeros like one that was told of."""
    kind = told["is"]
    if kind in ("tensor", "array"):
        make = zeros if kind == "tensor" else np.zeros
        return make(tuple(told["shape"]), dtype=told["dtype"])
    if kind == "value":
        return told["value"]
    if kind == "mapping":
        return {name: _made(x) for name, x in told["items"].items()}
    return [_made(x) for x in told["items"]] if kind == "list" else tuple(map(_made, told["items"]))
