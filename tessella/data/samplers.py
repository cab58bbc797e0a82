"""Samplers: in which order the rows of a dataset come.

A sampler is an iterable of row numbers; each time it is gone through is an epoch. Those here know the order of a whole
epoch as an array, draw it from a seed and the number of the epoch, and have a state: which epoch comes next.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from tessella.arguments import public
from tessella.arguments.kinds import Count, shown
from tessella.data.seeds import Epoch, Seeds
from tessella.errors import ArgumentError, ArgumentTypeError

Rows = np.ndarray[Any, Any]


class Sampler:
    """The base of samplers: override `__iter__`, and `__len__` where it is known.

    A sampler with a state of its own has `state_dict()`, called before an epoch, and `load_state_dict(state)`; one
    without must give the same rows again, if a run is to go on in the middle of an epoch.
    """

    def __init__(self, data_source: Any = None) -> None:
        self.data_source = data_source

    def __iter__(self) -> Iterator[Any]:
        raise NotImplementedError(f"{type(self).__name__}.__iter__ is to give the rows of an epoch")


class OrderedSampler(Sampler):
    """A sampler that knows the order of an epoch before it begins."""

    def __init__(self, generator: Any = None) -> None:
        super().__init__()
        self._seeds = Seeds(generator, type(self).__name__)

    def order(self, epoch: Epoch) -> Rows:
        """The rows of an epoch."""
        raise NotImplementedError(f"{type(self).__name__}.order(epoch)")

    def __len__(self) -> int:
        raise NotImplementedError(f"{type(self).__name__}.__len__()")

    def next_order(self) -> Rows:
        """The rows of the epoch that begins now."""
        return self.order(self._seeds.next())

    def __iter__(self) -> Iterator[int]:
        return iter(self.next_order().tolist())

    def state_dict(self) -> dict[str, Any]:
        """Which epoch comes next."""
        return self._seeds.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on with the epoch that a state tells of."""
        self._seeds.load_state_dict(state)


class SequentialSampler(OrderedSampler):
    """The rows from the first to the last.

    >>> list(SequentialSampler("abc"))
    [0, 1, 2]
    """

    @public
    def __init__(self, data_source: Any) -> None:
        super().__init__(0)  # nothing is drawn
        self.data_source = data_source

    def order(self, epoch: Epoch) -> Rows:
        """The rows of an epoch."""
        return np.arange(len(self))

    def __len__(self) -> int:
        return len(self.data_source)


class RandomSampler(OrderedSampler):
    """The rows in random order, or drawn one by one.

    Args:
        replacement: whether each draw is from all rows.
        num_samples: how many; as many as there are, by default. Without replacement, all rows come before one
            comes again.

    >>> sorted(RandomSampler("abc"))
    [0, 1, 2]
    >>> list(RandomSampler(range(9), generator=1)) == list(RandomSampler(range(9), generator=1))
    True
    """

    @public
    def __init__(
        self,
        data_source: Any,
        replacement: bool = False,
        num_samples: Count | None = None,
        generator: Any = None,
    ) -> None:
        super().__init__(generator)
        self.data_source = data_source
        self.replacement = replacement
        self._num_samples = num_samples

    @property
    def num_samples(self) -> int:
        """How many rows an epoch has."""
        return len(self.data_source) if self._num_samples is None else self._num_samples

    def order(self, epoch: Epoch) -> Rows:
        """The rows of an epoch."""
        chance, rows, count = epoch.generator(), len(self.data_source), self.num_samples
        if rows == 0:
            raise ArgumentError("RandomSampler: there are no rows to draw from")
        if self.replacement:
            return chance.integers(rows, size=count)
        rounds = -(-count // rows)
        return np.concatenate([chance.permutation(rows) for _ in range(rounds)])[:count]

    def __len__(self) -> int:
        return self.num_samples


class SubsetRandomSampler(OrderedSampler):
    """Some rows, in random order.

    Args:
        indices: the numbers of the rows.

    >>> sorted(SubsetRandomSampler([4, 2]))
    [2, 4]
    """

    @public
    def __init__(self, indices: Any, generator: Any = None) -> None:
        super().__init__(generator)
        self.indices = row_numbers("SubsetRandomSampler", indices)

    def order(self, epoch: Epoch) -> Rows:
        """The rows of an epoch."""
        return epoch.generator().permutation(self.indices)

    def __len__(self) -> int:
        return len(self.indices)


class WeightedRandomSampler(OrderedSampler):
    """Rows drawn with probabilities in proportion to weights.

    Args:
        weights: one for each row; they need not add up to 1.
        num_samples: how many rows an epoch has.
        replacement: whether a row may come several times.

    Raises:
        ArgumentError: a weight is negative, NaN or infinite, all are zero, or more rows are asked for without
            replacement than have a weight above zero.

    Source: without replacement, Efraimidis & Spirakis, *Weighted random sampling with a reservoir* (2006).

    >>> list(WeightedRandomSampler([0.0, 1.0, 0.0], 3))
    [1, 1, 1]
    """

    @public
    def __init__(
        self, weights: Any, num_samples: Count, replacement: bool = True, generator: Any = None
    ) -> None:
        super().__init__(generator)
        name = "WeightedRandomSampler"
        self.num_samples = num_samples
        self.replacement = replacement
        self.weights = _weights(name, weights)
        some = int(np.count_nonzero(self.weights))
        if not self.replacement and num_samples > some:
            raise ArgumentError(
                f"{name}: {num_samples} rows are asked for without replacement, and {some} have a weight above zero"
            )

    def order(self, epoch: Epoch) -> Rows:
        """The rows of an epoch."""
        chance = epoch.generator()
        if self.replacement:
            reached = np.cumsum(self.weights / self.weights.sum())
            found = np.searchsorted(reached, chance.random(self.num_samples) * reached[-1], "right")
            return np.minimum(found, np.flatnonzero(self.weights)[-1])
        with np.errstate(divide="ignore"):
            waiting = chance.standard_exponential(len(self.weights)) / self.weights
        return np.argsort(waiting, kind="stable")[: self.num_samples]

    def __len__(self) -> int:
        return self.num_samples


class StratifiedSampler(OrderedSampler):
    """The rows in random order, but with every class spread evenly: batches have the classes in like shares.

    Args:
        labels: the class of each row: numbers or texts.

    >>> order = list(StratifiedSampler([0] * 10 + [1] * 10))
    >>> sum(row < 10 for row in order[:10]) in (4, 5, 6)
    True
    """

    @public
    def __init__(self, labels: Any, generator: Any = None) -> None:
        super().__init__(generator)
        self._classes = _classes("StratifiedSampler", labels)

    def order(self, epoch: Epoch) -> Rows:
        """The rows of an epoch."""
        chance = epoch.generator()
        places = np.empty(len(self))
        for rows in self._classes:
            slots = (np.arange(len(rows)) + chance.random(len(rows))) / len(rows)
            places[chance.permutation(rows)] = slots
        return np.argsort(places, kind="stable")

    def __len__(self) -> int:
        return sum(map(len, self._classes))


# --- batches --------------------------------------------------------------------------------------------


class BatchSampler(Sampler):
    """The rows of a sampler in batches: an iterable of lists of row numbers.

    Args:
        sampler: any iterable of rows.
        drop_last: whether a last batch that is smaller is left out.

    >>> list(BatchSampler(range(5), 2, drop_last=False))
    [[0, 1], [2, 3], [4]]
    """

    @public
    def __init__(self, sampler: Any, batch_size: Count, drop_last: bool) -> None:
        super().__init__()
        if not hasattr(type(sampler), "__iter__"):
            raise ArgumentTypeError(
                f"BatchSampler: sampler is {shown(sampler)}; expected an iterable of row numbers"
            )
        self.sampler = sampler
        self.batch_size = batch_size
        self.drop_last = drop_last

    def batches(self) -> Iterator[Any]:
        """The batches of an epoch, as arrays where the order of the sampler is one."""
        if isinstance(self.sampler, OrderedSampler):
            yield from self._cut(self.sampler.next_order())
            return
        batch = []
        for row in self.sampler:
            batch.append(row)
            if len(batch) == self.batch_size:
                yield batch
                batch = []
        if batch and not self.drop_last:
            yield batch

    def _cut(self, order: Rows) -> Iterator[Rows]:
        end = len(order) - (len(order) % self.batch_size if self.drop_last else 0)
        for start in range(0, end, self.batch_size):
            yield order[start : start + self.batch_size]

    def __iter__(self) -> Iterator[list[Any]]:
        return (list_of(batch) for batch in self.batches())

    def __len__(self) -> int:
        rows = len(self.sampler)
        return rows // self.batch_size if self.drop_last else -(-rows // self.batch_size)

    def state_dict(self) -> dict[str, Any]:
        """That of the sampler, if it has one."""
        return state_of(self.sampler)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Set that of the sampler."""
        set_state(self.sampler, state)


class LengthBatchSampler(Sampler):
    """Batches of rows with like lengths, which need little padding.

    The rows are shuffled and cut into pools of some batches; those of a pool are sorted by length and cut into
    batches, and the batches are shuffled. Without shuffling, all rows are sorted by length.

    Args:
        lengths: of the rows.
        pool: how many batches are sorted together: the more, the less padding, and the less chance.

    >>> sorted(map(sorted, LengthBatchSampler([1, 9, 2, 8], 2)))
    [[0, 2], [1, 3]]
    """

    @public
    def __init__(
        self,
        lengths: Any,
        batch_size: Count,
        drop_last: bool = False,
        shuffle: bool = True,
        pool: Count = 100,
        generator: Any = None,
    ) -> None:
        super().__init__()
        name = "LengthBatchSampler"
        self.lengths = row_numbers(name, lengths, "lengths")
        self.batch_size = batch_size
        self.pool = pool
        self.drop_last = drop_last
        self.shuffle = shuffle
        self._seeds = Seeds(generator if self.shuffle else 0, name)

    def batches(self) -> Iterator[Rows]:
        """The batches of an epoch, as arrays."""
        chance = self._seeds.next().generator()
        rows = len(self.lengths)
        order = chance.permutation(rows) if self.shuffle else np.arange(rows)
        reach = self.pool * self.batch_size if self.shuffle else max(rows, 1)
        pools = [self._sorted(order[at : at + reach]) for at in range(0, rows, reach)]
        found = [
            pool[at : at + self.batch_size]
            for pool in pools
            for at in range(0, len(pool), self.batch_size)
        ]
        if self.drop_last:
            found = [batch for batch in found if len(batch) == self.batch_size]
        places = chance.permutation(len(found)) if self.shuffle else range(len(found))
        return (found[place] for place in places)

    def _sorted(self, rows: Rows) -> Rows:
        return rows[np.argsort(self.lengths[rows], kind="stable")]

    def __iter__(self) -> Iterator[list[int]]:
        return (batch.tolist() for batch in self.batches())

    def __len__(self) -> int:
        rows = len(self.lengths)
        return rows // self.batch_size if self.drop_last else -(-rows // self.batch_size)

    def state_dict(self) -> dict[str, Any]:
        """Which epoch comes next."""
        return self._seeds.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on with the epoch that a state tells of."""
        self._seeds.load_state_dict(state)


# --- what samplers share --------------------------------------------------------------------------------


def list_of(batch: Any) -> list[Any]:
    """The rows of a batch as a list."""
    return batch.tolist() if isinstance(batch, np.ndarray) else list(batch)


def state_of(owner: Any) -> dict[str, Any]:
    """The state of what has one; nothing, for all else."""
    asked = getattr(owner, "state_dict", None)
    return asked() if callable(asked) else {}


def set_state(owner: Any, state: Mapping[str, Any]) -> None:
    """Set the state of what has one."""
    setter = getattr(owner, "load_state_dict", None)
    if callable(setter):
        setter(state)


def row_numbers(function: str, given: Any, name: str = "indices") -> Rows:
    """Whole numbers in a row as an array.

    Raises:
        ArgumentTypeError: it is something else.
    """
    found = np.asarray([*given] if isinstance(given, (range, set, frozenset)) else given)
    if found.size == 0 and found.ndim == 1:
        found = found.astype(np.int64)
    if found.ndim != 1 or found.dtype.kind not in "iu":
        raise ArgumentTypeError(
            f"{function}: {name} is {shown(given)}; expected whole numbers in a row"
        )
    return found.astype(np.int64)


def _weights(function: str, given: Any) -> np.ndarray[Any, Any]:
    found = np.asarray(given)
    if found.ndim != 1 or found.dtype.kind not in "fiub":
        raise ArgumentTypeError(f"{function}: weights is {shown(given)}; expected one number a row")
    found = found.astype(np.float64)
    bad = np.flatnonzero(~(np.isfinite(found) & (found >= 0)))
    if len(bad):
        raise ArgumentError(
            f"{function}: weights[{bad[0]}] is {found[bad[0]]}; expected finite numbers of at least 0"
        )
    if not found.any():
        raise ArgumentError(f"{function}: all {len(found)} weights are zero")
    return found


def _classes(function: str, labels: Any) -> list[Rows]:
    found = np.asarray(labels)
    if found.ndim != 1 or found.dtype.kind not in "iubUS":
        raise ArgumentTypeError(
            f"{function}: labels is {shown(labels)}; expected one class a row: whole numbers or texts"
        )
    order = np.argsort(found, kind="stable")
    borders = np.flatnonzero(found[order][1:] != found[order][:-1]) + 1
    return [part for part in np.split(order, borders) if len(part)]
