"""Tensors of the course as trees: `ts.jit` and its kin take and give them."""

from __future__ import annotations

from typing import Any

import optree

from tessella.minitorch.autodiff import History
from tessella.minitorch.tensor import Tensor, wrapped
from tessella.tree_nodes import NAMESPACE


def _flatten(tensor: Tensor) -> tuple[tuple[Any], tuple[Any, bool]]:
    return (tensor._data,), (tensor.backend, tensor.is_leaf())


def _unflatten(facts: tuple[Any, bool], children: Any) -> Any:
    (data,), (backend, leaf) = children, facts
    return wrapped(data, backend, History() if leaf else None)


register: Any = optree.register_pytree_node  # whose types ask for a collection
register(Tensor, _flatten, _unflatten, namespace=NAMESPACE)
