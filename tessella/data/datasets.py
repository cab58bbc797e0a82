"""Datasets: where rows come from.

A dataset is anything with `__len__` and `__getitem__`, or any iterable. One that can make a whole batch at once has
`__getbatch__(rows, generator)`: it gives what the rows are after collation, with arrays or tensors, and is not asked for
single rows then. `__getitems__(rows)`, which gives a list of rows, is understood as PyTorch has it.
"""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from tessella import trees
from tessella.arguments import items_of, public
from tessella.arguments.kinds import shown
from tessella.data.collation import collate_arrays, to_tensors
from tessella.data.samplers import list_of, row_numbers
from tessella.data.seeds import RowGenerator, Seeds
from tessella.errors import ArgumentError, ArgumentTypeError, IndexingError, ShapeError
from tessella.tensors.tensor import Tensor


class Dataset:
    """The base of datasets with rows that are asked for by number: override `__getitem__` and `__len__`.

    >>> class Squares(Dataset):
    ...     def __len__(self):
    ...         return 4
    ...     def __getitem__(self, row):
    ...         return row, row**2
    >>> (Squares() + Squares())[5]
    (1, 1)
    """

    def __getitem__(self, row: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__}.__getitem__(row) is to give a row")

    def __add__(self, other: Any) -> ConcatDataset:
        return ConcatDataset([self, other])


class IterableDataset(Dataset):
    """The base of datasets whose rows come one after the other: override `__iter__`.

    One that knows where it is has `state_dict()` and `load_state_dict(state)`, which are used to go on in the middle of
    an epoch. Of others the rows that were there already are gone through again.
    """

    def __iter__(self) -> Iterator[Any]:
        raise NotImplementedError(f"{type(self).__name__}.__iter__() is to give the rows")

    def __add__(self, other: Any) -> ChainDataset:  # type: ignore[override]
        return ChainDataset([self, other])


# --- arrays ---------------------------------------------------------------------------------------------


class ArrayDataset(Dataset):
    """A tree of arrays or tensors, of which the rows are along the first axis; so is each of its rows.

    Raises:
        ArgumentTypeError: there is something else in the tree.
        ShapeError: they have different numbers of rows.

    >>> import numpy as np
    >>> ArrayDataset({"x": np.ones((3, 2)), "y": np.arange(3)})[1]
    {'x': tensor([1., 1.], dtype=float64), 'y': tensor(1)}
    """

    def __init__(self, tree: Any) -> None:
        self.tree = tree
        self._leaves, self._structure = trees.flatten(tree)
        name = type(self).__name__
        if not self._leaves:
            raise ArgumentError(f"{name}: there are no arrays")
        for leaf in self._leaves:
            if not is_array(leaf) or leaf.ndim == 0:
                raise ArgumentTypeError(
                    f"{name}: {shown(leaf)} was given; expected arrays or tensors with rows along their first axis"
                )
        counts = [len(leaf) for leaf in self._leaves]
        if len(set(counts)) > 1:
            raise ShapeError(
                f"{name}: the arrays have {', '.join(map(str, counts))} rows; expected as many in each"
            )
        self._rows = counts[0]

    def __len__(self) -> int:
        return self._rows

    def __getitem__(self, row: Any) -> Any:
        number = row_number(row, self._rows, type(self).__name__)
        return to_tensors(self._with(np.array(_memory(leaf)[number]) for leaf in self._leaves))

    def __getbatch__(self, rows: Any, generator: RowGenerator | None = None) -> Any:
        """Several rows as one tree of arrays, which are new."""
        given = np.asarray(rows)
        if given.dtype.kind not in "iu" or given.ndim != 1:
            given = np.array(
                [row_number(row, self._rows, type(self).__name__) for row in rows], np.int64
            )
        chosen = _slice_of(given)
        if chosen is not None and chosen.stop <= self._rows:
            return self._with([np.array(_memory(leaf)[chosen]) for leaf in self._leaves])
        try:
            return self._taken(given)
        except IndexError:  # which says less
            return self._taken([row_number(row, self._rows, type(self).__name__) for row in rows])

    def _taken(self, rows: Any) -> Any:
        return self._with([_gathered(_memory(leaf), rows) for leaf in self._leaves])

    def _with(self, leaves: Iterable[Any]) -> Any:
        return trees.unflatten(self._structure, leaves)


class TensorDataset(ArrayDataset):
    """Arrays, tensors, or trees of them, side by side: a row is a tuple with one of each.

    >>> import tessella as ts
    >>> TensorDataset(ts.ones((3, 2)), ts.arange(3))[2]
    (tensor([1., 1.]), tensor(2))
    """

    def __init__(self, *tensors: Any) -> None:
        super().__init__(tensors)

    @property
    def tensors(self) -> tuple[Any, ...]:
        """What was given."""
        return tuple(self.tree)


def is_array(value: Any) -> bool:
    """Whether it is a tensor or an array."""
    return isinstance(value, (Tensor, np.ndarray))


def _memory(leaf: Any) -> np.ndarray[Any, Any]:
    return leaf if isinstance(leaf, np.ndarray) else leaf.detach().numpy()


def _gathered(array: np.ndarray[Any, Any], rows: Any) -> np.ndarray[Any, Any]:
    """Some rows as a new array."""
    if array.flags.c_contiguous:
        return array.take(rows, 0)  # quicker than by an index, but it copies all of what has gaps
    return array[np.asarray(rows, np.int64)]


def _slice_of(rows: np.ndarray[Any, Any]) -> slice | None:
    """The slice that such rows are, if they follow upon one another."""
    count = len(rows)
    if count < 2 or rows[0] < 0 or rows[-1] - rows[0] != count - 1:
        return None
    return slice(int(rows[0]), int(rows[-1]) + 1) if (rows[1:] - rows[:-1] == 1).all() else None


def row_number(row: Any, count: int, name: str) -> int:
    if isinstance(row, (bool, np.bool_)) or not hasattr(row, "__index__"):
        raise ArgumentTypeError(f"{name}: row {shown(row)}; expected a whole number")
    number = int(row.__index__())
    if not -count <= number < count:
        raise IndexingError(f"{name}: row {number}; there are {count}, from 0 to {count - 1}")
    return number


# --- datasets of datasets -------------------------------------------------------------------------------


class Subset(Dataset):
    """Some rows of a dataset, in an order of their own.

    Args:
        indices: the numbers of the rows there.

    >>> list(Subset("abcd", [3, 1]))
    ['d', 'b']
    """

    def __init__(self, dataset: Any, indices: Any) -> None:
        self.dataset = _with_numbers(dataset, "Subset")
        self.indices = row_numbers("Subset", indices)
        count = len(self.dataset)
        bad = self.indices[(self.indices < -count) | (self.indices >= count)]
        if bad.size:
            raise IndexingError(
                f"Subset: row {bad[0]}; the dataset has {count}, from 0 to {count - 1}"
            )

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, row: Any) -> Any:
        return self.dataset[int(self.indices[row_number(row, len(self), "Subset")])]

    def __getitems__(self, rows: Any) -> list[Any]:
        return rows_of(self.dataset, self._there(rows).tolist())

    def __getbatch__(self, rows: Any, generator: RowGenerator | None = None) -> Any:
        return batch_of(self.dataset, self._there(rows), generator)

    def _there(self, rows: Any) -> np.ndarray[Any, Any]:
        """The numbers of rows in the dataset."""
        return self.indices[[row_number(row, len(self), "Subset") for row in list_of(rows)]]


class ConcatDataset(Dataset):
    """The rows of one dataset after those of another.

    >>> list(ConcatDataset(["ab", "cd"]))
    ['a', 'b', 'c', 'd']
    """

    @public
    def __init__(self, datasets: Iterable[Any]) -> None:
        self.datasets = [
            _with_numbers(dataset, "ConcatDataset")
            for dataset in items_of("ConcatDataset", datasets, "several datasets")
        ]
        if not self.datasets:
            raise ArgumentError("ConcatDataset: no datasets were given; expected at least one")
        self.cumulative_sizes = list(itertools.accumulate(map(len, self.datasets)))

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]

    def __getitem__(self, row: Any) -> Any:
        number = row_number(row, len(self), "ConcatDataset") % len(self)
        place = bisect.bisect_right(self.cumulative_sizes, number)
        return self.datasets[place][number - (self.cumulative_sizes[place - 1] if place else 0)]


class ChainDataset(IterableDataset):
    """The rows of one iterable after those of another.

    >>> list(ChainDataset([iter("ab"), "c"]))
    ['a', 'b', 'c']
    """

    @public
    def __init__(self, datasets: Iterable[Any]) -> None:
        self.datasets = items_of("ChainDataset", datasets, "several iterables")
        for dataset in self.datasets:
            if not hasattr(type(dataset), "__iter__"):
                raise ArgumentTypeError(
                    f"ChainDataset: {shown(dataset)} was given; expected iterables"
                )

    def __iter__(self) -> Iterator[Any]:
        return itertools.chain.from_iterable(self.datasets)


class StackDataset(Dataset):
    """Datasets side by side: a row is a tuple, or a dict, with the row of each.

    >>> StackDataset("ab", [1, 2])[0], StackDataset(x="ab", y=[1, 2])[1]
    (('a', 1), {'x': 'b', 'y': 2})
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if bool(args) == bool(kwargs):
            raise ArgumentError(
                "StackDataset: expected datasets by place, which make tuples, or by name, which make dicts"
            )
        names = kwargs if kwargs else range(len(args))
        self.datasets: dict[Any, Any] = {
            name: _with_numbers(given, "StackDataset")
            for name, given in zip(names, args or kwargs.values(), strict=True)
        }
        counts = {name: len(dataset) for name, dataset in self.datasets.items()}
        if len(set(counts.values())) > 1:
            raise ShapeError(f"StackDataset: the datasets have different numbers of rows: {counts}")
        self._is_named = bool(kwargs)

    def __len__(self) -> int:
        return len(next(iter(self.datasets.values())))

    def __getitem__(self, row: Any) -> Any:
        return self._joined(dataset[row] for dataset in self.datasets.values())

    def __getbatch__(self, rows: Any, generator: RowGenerator | None = None) -> Any:
        return self._joined(
            batch_of(dataset, rows, generator) for dataset in self.datasets.values()
        )

    def _joined(self, parts: Iterable[Any]) -> Any:
        return dict(zip(self.datasets, parts, strict=True)) if self._is_named else tuple(parts)


class TransformedDataset(Dataset):
    """A dataset whose batches go through transforms.

    Args:
        transform: for the first part of a row that is a tuple, or for the whole row. A transform takes a batch (rows
            along the first axis), and by `generator=` a `RowGenerator` if it is random (`tessella.data.transforms`).
        target_transform: for the second part of a row that is a tuple.

    >>> import numpy as np
    >>> halved = TransformedDataset((np.ones((3, 2)), np.arange(3)), lambda batch: batch / 2)
    >>> halved[0]
    (tensor([0.5, 0.5], dtype=float64), tensor(0))
    """

    def __init__(
        self,
        dataset: Any,
        transform: Callable[..., Any] | None = None,
        target_transform: Callable[..., Any] | None = None,
    ) -> None:
        self.dataset = _with_numbers(dataset, "TransformedDataset")
        self.transforms = (transform, target_transform)
        for given in self.transforms:
            if given is not None and not callable(given):
                raise ArgumentTypeError(
                    f"TransformedDataset: a transform is {shown(given)}; expected a function of a batch"
                )

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, row: Any) -> Any:
        number = row_number(row, len(self), "TransformedDataset")
        seed = Seeds(None).next().seed
        batch = self.__getbatch__([number], RowGenerator(seed, 0, [number]))
        return trees.map_leaves(lambda leaf: leaf[0], to_tensors(batch))

    def __getbatch__(self, rows: Any, generator: RowGenerator | None = None) -> Any:
        """Several rows, transformed together."""
        batch = batch_of(self.dataset, rows, generator)
        if not isinstance(batch, tuple):
            return transformed(self.transforms[0], batch, generator)
        parts = itertools.zip_longest(batch, self.transforms[: len(batch)])
        return tuple(transformed(function, part, generator) for part, function in parts)


def transformed(function: Callable[..., Any] | None, batch: Any, generator: Any) -> Any:
    """What a transform gives for a batch; the batch, if there is none."""
    if function is None:
        return batch
    if getattr(function, "is_random", False):
        return function(batch, generator=generator)
    return function(batch)


@public
def random_split(dataset: Any, lengths: Iterable[Any], generator: Any = None) -> list[Subset]:
    """A dataset cut at random into parts that have no row in common.

    Args:
        lengths: numbers of rows that add up to all, or fractions that add up to 1. What rounding leaves over goes to
            the parts from the first on, one row each.
        generator: a `ts.random.Generator` or a seed.

    Raises:
        ArgumentError: they do not add up.

    >>> train, test = random_split(range(10), [0.8, 0.2], generator=0)
    >>> len(train), len(test), sorted([*train, *test]) == list(range(10))
    (8, 2, True)
    """
    source = _with_numbers(dataset, "random_split")
    counts = _counts(list(lengths), len(source))
    order = Seeds(generator, "random_split").next().generator().permutation(len(source))
    ends = list(itertools.accumulate(counts))
    return [
        Subset(source, order[end - count : end]) for end, count in zip(ends, counts, strict=True)
    ]


def _counts(lengths: list[Any], rows: int) -> list[int]:
    for length in lengths:
        if (
            isinstance(length, bool)
            or not isinstance(length, (int, float, np.number))
            or length < 0
        ):
            raise ArgumentError(
                f"random_split: a length is {shown(length)}; expected numbers of rows, or fractions of them"
            )
    if math.isclose(sum(lengths), 1.0):
        counts = [math.floor(rows * length) for length in lengths]
        for place in range(rows - sum(counts)):
            counts[place % len(counts)] += 1
        return counts
    if sum(lengths) != rows:
        raise ArgumentError(
            f"random_split: the lengths {lengths} add up to {sum(lengths)}; expected {rows}, the number of rows, or "
            "fractions that add up to 1"
        )
    return [int(length) for length in lengths]


# --- what loaders ask of any dataset --------------------------------------------------------------------


def is_map_style(dataset: Any) -> bool:
    """Whether its rows can be asked for by number."""
    kind = type(dataset)
    return (
        not isinstance(dataset, IterableDataset)
        and hasattr(kind, "__getitem__")
        and hasattr(kind, "__len__")
    )


def _with_numbers(given: Any, function: str) -> Any:
    """A dataset whose rows have numbers."""
    found = as_dataset(given, function)
    if not is_map_style(found):
        raise ArgumentTypeError(
            f"{function}: {shown(given)} has no rows by number; expected something with __getitem__ and __len__"
            f"{', or ts.data.ChainDataset for iterables' if function == 'ConcatDataset' else ''}"
        )
    return found


def as_dataset(given: Any, function: str = "DataLoader") -> Any:
    """A dataset as it is; an array, or a tuple or dict with nothing else than arrays, as one.

    Raises:
        ArgumentTypeError: it has no rows.
        ShapeError: arrays that have different numbers of rows.
    """
    if isinstance(given, (bytes, bytearray, type)) or not (
        is_map_style(given) or hasattr(type(given), "__iter__")
    ):
        raise ArgumentTypeError(
            f"{function}: dataset is {shown(given)}; expected rows: something with __getitem__ and __len__, an "
            "iterable, an array, or a tuple or dict of arrays"
        )
    if _is_tree_of_arrays(given):
        return ArrayDataset(given)
    if isinstance(given, Mapping) and given and 0 not in given:
        name, part = next(
            (key, part) for key, part in given.items() if not _is_tree_of_arrays(part)
        )
        raise ArgumentTypeError(
            f"{function}: dataset is a dict whose {name!r} is {shown(part)}; expected arrays or tensors alone"
        )
    return given


def _is_tree_of_arrays(given: Any) -> bool:
    if is_array(given):
        return True
    if not isinstance(given, (tuple, Mapping)) or not given:
        return False
    parts = given.values() if isinstance(given, Mapping) else given
    return all(is_array(part) or _is_tree_of_arrays(part) for part in parts)


def rows_of(dataset: Any, rows: list[Any]) -> list[Any]:
    """Rows of any dataset, one by one; an error has a note that says in which one."""
    several = getattr(dataset, "__getitems__", None)
    if callable(several):
        found: list[Any] = several(rows)
        return found
    return [row_of(dataset, row) for row in rows]


def row_of(dataset: Any, row: Any) -> Any:
    """A row of any dataset; an error has a note that says which one."""
    try:
        return dataset[row]
    except Exception as error:
        error.add_note(f"in row {row} of the dataset, {type(dataset).__name__}")
        raise


def gets_batches(dataset: Any) -> bool:
    """Whether a dataset makes whole batches; not if a class below the one that does has rows of its own."""
    kinds = type(dataset).__mro__
    for kind in kinds:
        if "__getbatch__" in vars(kind):
            return True
        if "__getitem__" in vars(kind):
            return False
    return False


def batch_of(dataset: Any, rows: Any, generator: Any = None) -> Any:
    """Rows of any dataset as one batch, with arrays in the places of tensors."""
    if gets_batches(dataset):
        return dataset.__getbatch__(rows, generator)
    return collate_arrays(rows_of(dataset, list_of(rows)))
