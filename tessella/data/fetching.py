"""Fetching: how the rows of a batch become the batch, in this process or in another one."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from tessella.data.collation import (
    Padded,
    collate_arrays,
    default_collate,
    default_convert,
    to_tensors,
)
from tessella.data.datasets import (
    ArrayDataset,
    Subset,
    TransformedDataset,
    gets_batches,
    row_of,
    rows_of,
)
from tessella.data.samplers import list_of
from tessella.data.seeds import Epoch, RowGenerator, seeded
from tessella.data.transforms import Transform
from tessella.errors import ArgumentTypeError, BadRowError


class Collation:
    """What makes a batch of rows.

    Args:
        function: the user's, or None for the usual one.
        is_batch: whether there are batches at all, and not single rows.
    """

    def __init__(self, function: Callable[..., Any] | None, is_batch: bool) -> None:
        usual = default_collate if is_batch else default_convert
        self.is_usual = function is None or function is usual
        self.is_ours = self.is_usual or isinstance(function, Padded)
        if self.is_usual:
            self._call: Callable[..., Any] = collate_arrays if is_batch else _as_it_is
        else:
            self._call = function.arrays if isinstance(function, Padded) else function  # type: ignore[assignment]

    def __call__(self, rows: Any) -> Any:
        """The batch, with arrays in the places of the tensors that `finished` makes of them."""
        return self._call(rows)

    def finished(self, batch: Any) -> Any:
        """A batch as the user gets it."""
        return to_tensors(batch) if self.is_ours else batch


def _as_it_is(row: Any) -> Any:
    return row


class Thinned(NamedTuple):
    """A batch without rows that could not be read.

    Args:
        skipped: what was wrong with each of these.
        has_rows: whether there are others.
    """

    batch: Any
    skipped: list[str]
    has_rows: bool


class Rows:
    """Batches of a dataset whose rows have numbers.

    Args:
        skips: whether rows with a `BadRowError` are left out; then such a batch is `Thinned`.
    """

    def __init__(self, dataset: Any, collate: Collation, is_batch: bool, skips: bool) -> None:
        self.dataset, self.collate, self.is_batch, self.skips = dataset, collate, is_batch, skips
        self.at_once = is_batch and collate.is_usual and gets_batches(dataset)
        self.is_seeded = not (collate.is_ours and _runs_no_other_code(dataset))

    def __call__(self, rows: Any, epoch: Epoch, number: int) -> Any:
        """The batch of some rows.

        Args:
            number: of the batch in its epoch.
        """
        with seeded(epoch, number) if self.is_seeded else contextlib.nullcontext():
            try:
                return self._made(rows, epoch)
            except BadRowError:
                if not self.skips:
                    raise
                return self._thinned(rows if self.is_batch else [rows], epoch)

    def _made(self, rows: Any, epoch: Epoch) -> Any:
        if self.at_once:
            return self.dataset.__getbatch__(rows, RowGenerator.of(epoch, rows))
        if not self.is_batch:
            return self.collate(row_of(self.dataset, rows))
        return self.collate(rows_of(self.dataset, list_of(rows)))

    def _thinned(self, rows: Any, epoch: Epoch) -> Thinned:
        """The batch of those rows that can be read, which each is asked for alone."""
        good, bad = [], []
        for row in list_of(rows):
            try:
                self._made([row] if self.is_batch else row, epoch)
                good.append(row)
            except BadRowError as error:
                bad.append(str(error))
        return Thinned(self._made(good, epoch) if good else None, bad, bool(good))


def _runs_no_other_code(dataset: Any) -> bool:
    """Whether getting rows runs nothing that could draw random numbers."""
    if isinstance(dataset, Subset):
        return _runs_no_other_code(dataset.dataset)
    if type(dataset) is TransformedDataset:
        return _runs_no_other_code(dataset.dataset) and all(map(_is_ours, dataset.transforms))
    return type(dataset).__getitem__ is ArrayDataset.__getitem__ or isinstance(
        dataset, (list, tuple, range)
    )


def _is_ours(transform: Any) -> bool:
    """Whether a transform is one of this package, which draw from the generator of the rows alone."""
    parts = getattr(transform, "transforms", ())
    own = type(transform).__module__ == Transform.__module__
    return transform is None or (own and all(map(_is_ours, parts)))


class Stream:
    """Batches of an iterable, one after the other, from its beginning or from where it was.

    Args:
        skip: how many batches there were already; they are gone through, but not collated.
        state: of the dataset, if it keeps one; then it goes on from there.
    """

    def __init__(
        self, dataset: Any, collate: Collation, size: int | None, drop_last: bool, epoch: Epoch,
        skip: int = 0, state: Any = None,
    ) -> None:  # fmt: skip
        self.dataset, self.collate, self.size, self.drop_last = dataset, collate, size, drop_last
        self.epoch, self.number = epoch, skip
        if state is not None:
            dataset.load_state_dict(state)
        with seeded(epoch, 0):
            self._rows = _iterated(dataset)
        if state is None:
            for number in range(skip):
                with seeded(epoch, number + 1):
                    self._taken()

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        with seeded(self.epoch, self.number + 1):
            rows = self._taken()
            if not rows or (self.drop_last and len(rows) < (self.size or 1)):
                raise StopIteration
            batch = self.collate(rows[0] if self.size is None else rows)
        self.number += 1
        return batch

    def _taken(self) -> list[Any]:
        return list(itertools.islice(self._rows, self.size or 1))

    def state(self) -> Any:
        """That of the dataset after the last batch; None, if it keeps none."""
        asked = getattr(self.dataset, "state_dict", None)
        return asked() if callable(asked) else None


def _iterated(dataset: Any) -> Iterator[Any]:
    found = iter(dataset)
    if not hasattr(type(found), "__next__"):
        raise ArgumentTypeError(f"DataLoader: iter({type(dataset).__name__}) gives no iterator")
    return found
