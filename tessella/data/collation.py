"""Collation: from rows to one batch.

Rows are trees alike: tuples, named tuples, lists, dicts, with numbers, arrays, tensors or texts in them. A batch is
such a tree, in which each leaf holds those of all rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from tessella import trees
from tessella.arguments import items_of, public
from tessella.arguments.kinds import shown
from tessella.devices.array import from_numpy
from tessella.errors import ArgumentError, ArgumentTypeError, ShapeError
from tessella.tensors.creation import asarray
from tessella.tensors.tensor import Tensor, from_array

_NUMERIC = "biufcV"  # what tensors can hold; V: the dtypes of ml_dtypes


@public
def default_collate(batch: Iterable[Any]) -> Any:
    """Rows as one batch: their numbers, arrays and tensors become tensors with one axis more.

    Tuples, named tuples, lists and dicts stay what they are, and so do texts and bytes, which come as a list. Python's
    floats become float32, as everywhere here; arrays and tensors keep their dtype.

    Shapes: (...) in each of B rows becomes (B, ...).

    Raises:
        ArgumentError: there are no rows, or they differ in structure.
        ArgumentTypeError: a row holds something else.
        ShapeError: they differ in shape.

    >>> default_collate([{"x": 1.0, "name": "a"}, {"x": 2.0, "name": "b"}])
    {'x': tensor([1., 2.]), 'name': ['a', 'b']}
    """
    return to_tensors(collate_arrays(batch))


def collate_arrays(batch: Iterable[Any]) -> Any:
    """`default_collate`, but for arrays in the places of tensors."""
    return _collated(items_of("default_collate", batch, "the rows of a batch"), _stacked, "")


def default_convert(data: Any) -> Any:
    """A single row with tensors in the places of its arrays; what else it holds stays.

    >>> import numpy as np
    >>> default_convert((np.ones(2), "a", 3))
    (tensor([1., 1.], dtype=float64), 'a', 3)
    """
    return to_tensors(data)


def to_tensors(tree: Any) -> Any:
    """A tree with tensors in the places of arrays, on their memory if nobody else writes to it."""
    kind = type(tree)
    if kind is np.ndarray or kind is Tensor:
        return _tensor(tree)
    if kind is tuple or kind is list:  # by far the most
        return kind(map(to_tensors, tree))
    if kind is dict:
        return {key: to_tensors(part) for key, part in tree.items()}
    return trees.map_leaves(_tensor, tree)


def _tensor(leaf: Any) -> Any:
    if not isinstance(leaf, np.ndarray) or not _is_numeric(leaf.dtype):
        return leaf
    return from_array(from_numpy(leaf, copy=not leaf.flags.writeable))


def _is_numeric(dtype: np.dtype[Any]) -> bool:
    return dtype.kind in _NUMERIC and dtype.names is None and dtype.type is not np.void


class Padded:
    """Collation for rows of different lengths: arrays are filled up to the longest.

    Made by `pad_collate`; see there.
    """

    def __init__(self, value: float, lengths: bool) -> None:
        self.value, self.lengths = value, lengths

    def arrays(self, batch: Sequence[Any]) -> Any:
        """The batch, with arrays in the places of tensors."""
        return _collated(list(batch), self._filled, "")

    def __call__(self, batch: Sequence[Any]) -> Any:
        return to_tensors(self.arrays(batch))

    def _filled(self, leaves: list[Any], path: str) -> Any:
        arrays = [_array(leaf, path) for leaf in leaves]
        first = arrays[0]
        if first.ndim == 0:
            return _stacked(arrays, path)
        for row, array in enumerate(arrays):
            if array.ndim != first.ndim:
                raise ShapeError(_differing(path, 0, first, row, array))
        shape = np.max([array.shape for array in arrays], axis=0)
        whole = np.full((len(arrays), *shape), self.value, np.result_type(*arrays))
        for place, array in zip(whole, arrays, strict=True):
            place[tuple(map(slice, array.shape))] = array
        return (whole, np.array([len(array) for array in arrays])) if self.lengths else whole


@public
def pad_collate(batch: Any = None, padding_value: float = 0.0, lengths: bool = True) -> Any:
    """Collation for rows of different lengths: arrays are filled up with a value to the longest of the batch.

    Without a batch, a function for `DataLoader(collate_fn=...)` is given. An axis of any place may differ. Each array
    becomes a pair of the filled one and the lengths of the first axis; numbers and texts are collated as usual.

    Args:
        lengths: whether lengths come with them; else it is the filled array alone.

    Shapes: (length, ...) in each of B rows becomes (B, longest, ...), and (B,) for the lengths.

    >>> import numpy as np
    >>> pad_collate([(np.array([1, 2, 3]), 0), (np.array([4]), 1)])
    ((tensor([[1, 2, 3],
              [4, 0, 0]]), tensor([3, 1])), tensor([0, 1]))
    """
    made = Padded(padding_value, lengths)
    return (
        made
        if batch is None
        else made(items_of("pad_collate", batch, "rows, or None for a function"))
    )


# --- through the structure ------------------------------------------------------------------------------


def _collated(rows: list[Any], joined: Callable[[list[Any], str], Any], path: str) -> Any:
    """Rows as one, by a function for the leaves.

    Args:
        path: of these parts in their rows, for messages.
    """
    if not rows:
        raise ArgumentError("default_collate: there are no rows; a batch has at least one")
    first = rows[0]
    if isinstance(first, (str, bytes)):
        return rows
    if isinstance(first, Mapping):
        return _of_mappings(first, rows, joined, path)
    if isinstance(first, (tuple, list)):
        return _of_sequences(first, rows, joined, path)
    return joined(rows, path)


def _of_mappings(first: Any, rows: list[Any], joined: Any, path: str) -> Any:
    for row, other in enumerate(rows):
        if not isinstance(other, Mapping) or other.keys() != first.keys():
            names = list(other) if isinstance(other, Mapping) else shown(other)
            raise ArgumentError(
                f"default_collate: the rows of a batch differ{_at(path)}: row 0 has {list(first)}, row {row} {names}"
            )
    found = {
        key: _collated([row[key] for row in rows], joined, f"{path}[{key!r}]") for key in first
    }
    return found if type(first) is dict else _like(first, found)


def _like(first: Any, found: dict[Any, Any]) -> Any:
    """A dict as the kind of mapping that the rows are, if it can be made of one."""
    kind: Any = type(first)
    if hasattr(kind, "default_factory"):
        return kind(first.default_factory, found)
    try:
        return kind(found)
    except TypeError:  # its constructor takes something else
        return found


def _of_sequences(first: Any, rows: list[Any], joined: Any, path: str) -> Any:
    for row, other in enumerate(rows):
        if not isinstance(other, (tuple, list)) or len(other) != len(first):
            count = f"{len(other)} parts" if isinstance(other, (tuple, list)) else shown(other)
            raise ArgumentError(
                f"default_collate: the rows of a batch differ{_at(path)}: row 0 has {len(first)} parts, row {row} "
                f"{count}; for sequences of different lengths make arrays of them and give collate_fn=pad_collate"
            )
    parts = [
        _collated(list(part), joined, f"{path}[{place}]")
        for place, part in enumerate(zip(*rows, strict=True))
    ]
    if hasattr(first, "_fields"):
        return type(first)(*parts)
    return parts if isinstance(first, list) else tuple(parts)


def _stacked(leaves: list[Any], path: str) -> Any:
    first = leaves[0]
    if isinstance(first, (bool, int, float, complex)) and not isinstance(first, np.generic):
        return _of_numbers(leaves, path)
    arrays = [_array(leaf, path) for leaf in leaves]
    shape = arrays[0].shape
    for row, array in enumerate(arrays):
        if array.shape != shape:
            raise ShapeError(_differing(path, 0, arrays[0], row, array))
    return np.stack(arrays)


def _of_numbers(leaves: list[Any], path: str) -> Any:
    """Python's numbers, and what may stand beside them, under the rules of `ts.asarray`."""
    for row, leaf in enumerate(leaves):
        if isinstance(leaf, (str, bytes)) or np.ndim(leaf):
            raise ArgumentTypeError(
                f"default_collate: the rows of a batch differ{_at(path)}: row 0 has {shown(leaves[0])}, "
                f"row {row} {shown(leaf)}"
            )
        _array(leaf, path)
    return np.array(asarray(leaves).numpy())


def _array(leaf: Any, path: str) -> np.ndarray[Any, Any]:
    if isinstance(leaf, Tensor):
        return leaf.detach().numpy()
    found = leaf if isinstance(leaf, np.ndarray) else None
    if found is None and (
        isinstance(leaf, (bool, int, float, complex, np.generic)) or hasattr(leaf, "__array__")
    ):
        found = np.asarray(leaf)
    if found is None or not _is_numeric(found.dtype):
        raise ArgumentTypeError(
            f"default_collate: a row holds {shown(leaf)}{_at(path)}; expected arrays, tensors, numbers, texts, and "
            "tuples, lists and dicts of them; give a collate_fn for all else"
        )
    return found


def _differing(path: str, row: int, first: Any, other: int, array: Any) -> str:
    return (
        f"default_collate: the rows of a batch differ in shape{_at(path)}: row {row} has {first.shape}, row {other} "
        f"{array.shape}; give collate_fn=ts.data.pad_collate() to fill them up, or bring them to one size"
    )


def _at(path: str) -> str:
    return f" at {path}" if path else ""
