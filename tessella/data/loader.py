"""The loader: epochs of batches from a dataset."""

from __future__ import annotations

import functools
import itertools
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tessella.arguments import public
from tessella.arguments.kinds import Count, Natural, NotNegative, shown
from tessella.data.datasets import as_dataset, is_map_style
from tessella.data.fetching import Collation, Rows, Stream, Thinned
from tessella.data.samplers import (
    BatchSampler,
    OrderedSampler,
    RandomSampler,
    SequentialSampler,
    set_state,
    state_of,
)
from tessella.data.seeds import Epoch, Seeds
from tessella.data.workers import Job, Pool
from tessella.errors import ArgumentError, ArgumentTypeError, SkippedRowsWarning, StateDictError

_AHEAD = 2  # batches of each worker


class DataLoader:
    """Batches of a dataset, in an order that a seed decides, and an epoch each time it is gone through.

    Args:
        dataset: anything with `__len__` and `__getitem__`; any iterable; an array; a tuple or dict of arrays, whose
            rows are along their first axis.
        batch_size: how many rows; None for single ones.
        shuffle: whether each epoch has an order of its own.
        sampler: an iterable of row numbers, instead of `shuffle`.
        batch_sampler: an iterable of lists of row numbers, instead of `batch_size`, `shuffle`, `sampler`, `drop_last`.
        num_workers: how many processes make the batches; 0 for this one.
        collate_fn: makes a batch of a list of rows; `default_collate`, if not given.
        pin_memory: says nothing here: no numbers depend on it.
        drop_last: whether a last batch that is smaller is left out.
        timeout: how many seconds to wait for a batch of the workers at most; 0 for as long as it takes.
        worker_init_fn: called in each worker with its number, before anything else.
        multiprocessing_context: how workers begin: "fork", which is usual, "spawn" or "forkserver".
        generator: a `ts.random.Generator` or a seed; the default generator, if not given.
        prefetch_factor: how many batches of each worker are made before they are asked for: 2 by default.
        persistent_workers: whether the workers stay for the next epoch.
        in_order: batches always come in order here.
        bad_rows: "raise" for the error of a row that cannot be read (`BadRowError`), or "skip": it is left out of its
            batch, and a warning at the end of the epoch says how many were.

    **Randomness.** The order follows from the generator's seed and the number of the epoch. For each batch, Python's
    `random`, NumPy's `np.random` and the default generator of Tessella are set to seeds that follow from the epoch and
    the number of the batch, and set back afterwards: so what the dataset draws from them is the same for every number
    of workers, and what the program draws elsewhere is not touched. A transform of batches (`TransformedDataset`) gets
    a generator whose numbers for a row follow from the epoch and the row. The generator is drawn from when the first
    epoch begins, and again after it was seeded anew.

    **Iterables** have one order, which only one process can go through: with workers, one of them does.

    **State.** `state_dict()` between two batches says where the loader is; after `load_state_dict` the next iteration
    goes on at the next batch, in a fresh loader, too, and with another number of workers.

    Raises:
        ArgumentError: arguments that contradict one another, or a dataset without rows.
        ArgumentTypeError: the dataset has no rows at all.

    >>> import numpy as np
    >>> loader = DataLoader((np.arange(6.0), np.arange(6)), batch_size=4, shuffle=True, generator=0)
    >>> [len(inputs) for inputs, targets in loader]
    [4, 2]
    """

    @public
    def __init__(
        self,
        dataset: Any,
        batch_size: Count | None = 1,
        shuffle: bool | None = None,
        sampler: Any = None,
        batch_sampler: Any = None,
        num_workers: Natural = 0,
        collate_fn: Any = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: NotNegative = 0,
        worker_init_fn: Any = None,
        multiprocessing_context: Any = None,
        generator: Any = None,
        *,
        prefetch_factor: Count | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
        in_order: bool = True,
        bad_rows: Any = "raise",
    ) -> None:
        self.dataset = as_dataset(dataset)
        self.num_workers, self.timeout, self.worker_init_fn = num_workers, timeout, worker_init_fn
        self.persistent_workers, self.prefetch_factor = persistent_workers, prefetch_factor
        self.multiprocessing_context, self.pin_memory = multiprocessing_context, pin_memory
        self._require_workers_for_what_is_theirs()
        self.is_iterable = not is_map_style(self.dataset)
        self._require_one_order(batch_size, shuffle, sampler, batch_sampler, drop_last)
        self.generator = generator
        self._seeds = Seeds(generator)
        self.batch_size = None if batch_sampler is not None else batch_size
        self.drop_last = drop_last
        self.sampler, self.batch_sampler = self._samplers(bool(shuffle), sampler, batch_sampler)
        self.is_batch = batch_sampler is not None or batch_size is not None
        self._collate = Collation(_function("collate_fn", collate_fn), self.is_batch)
        self.collate_fn = collate_fn
        self._place = Place(self.order, self._seeds)
        self._pool: Pool | None = None
        self._require_rows()
        if not isinstance(bad_rows, str) or bad_rows not in ("raise", "skip"):
            raise ArgumentError(
                f"DataLoader: bad_rows is {shown(bad_rows)}; expected 'raise' or 'skip'"
            )
        self.bad_rows = bad_rows

    # --- what contradicts itself ---------------------------------------------------------------------

    def _require_workers_for_what_is_theirs(self) -> None:
        _function("worker_init_fn", self.worker_init_fn)
        given = {
            "timeout": self.timeout, "prefetch_factor": self.prefetch_factor,
            "persistent_workers": self.persistent_workers,
        }  # fmt: skip
        for name, value in given.items():
            if value and not self.num_workers:
                raise ArgumentError(
                    f"DataLoader: {name}={value} is of workers, and there are none; give num_workers, or leave it out"
                )

    def _require_one_order(
        self, batch_size: Any, shuffle: Any, sampler: Any, batch_sampler: Any, drop_last: bool
    ) -> None:
        if self.is_iterable:
            given = {"shuffle": shuffle or None, "sampler": sampler, "batch_sampler": batch_sampler}
            for name, value in given.items():
                if value is not None:
                    raise ArgumentError(
                        f"DataLoader: {name} was given for an iterable, {type(self.dataset).__name__}, which has an "
                        "order of its own; shuffle where its rows come from, or give something with __getitem__"
                    )
        if sampler is not None and shuffle:
            raise ArgumentError(
                "DataLoader: sampler and shuffle=True; a sampler is the order, so give one of them"
            )
        if batch_sampler is not None and (
            batch_size != 1 or shuffle or sampler is not None or drop_last
        ):
            raise ArgumentError(
                "DataLoader: batch_sampler stands for batch_size, shuffle, sampler and drop_last; give it alone"
            )
        if batch_size is None and drop_last:
            raise ArgumentError("DataLoader: drop_last=True without batches (batch_size=None)")

    def _samplers(self, shuffle: bool, sampler: Any, batch_sampler: Any) -> tuple[Any, Any]:
        for name, given in (("sampler", sampler), ("batch_sampler", batch_sampler)):
            if given is not None and not hasattr(type(given), "__iter__"):
                raise ArgumentTypeError(
                    f"DataLoader: {name} is {shown(given)}; expected an iterable of row numbers"
                )
        if self.is_iterable or batch_sampler is not None:
            return sampler, batch_sampler
        if sampler is None and shuffle and len(self.dataset):
            sampler = RandomSampler(self.dataset, generator=self.generator)
        elif sampler is None:
            sampler = SequentialSampler(self.dataset)
        if self.batch_size is None:
            return sampler, None
        return sampler, BatchSampler(sampler, self.batch_size, self.drop_last)

    def _require_rows(self) -> None:
        if self.is_iterable:
            return
        rows = len(self.dataset)
        if rows == 0:
            raise ArgumentError("DataLoader: the dataset has no rows")
        if (
            self.drop_last
            and isinstance(self.sampler, OrderedSampler)
            and not len(self.batch_sampler)
        ):
            raise ArgumentError(
                f"DataLoader: drop_last=True leaves no batch: there are {len(self.sampler)} rows, and batch_size is "
                f"{self.batch_size}"
            )

    # --- going through it ----------------------------------------------------------------------------

    def __len__(self) -> int:
        if self.is_iterable:
            rows = len(self.dataset)
            size = self.batch_size or 1
            return rows // size if self.drop_last else -(-rows // size)
        return len(self.sampler if self.batch_sampler is None else self.batch_sampler)

    def __iter__(self) -> Iterator[Any]:
        place = self._place.begun()
        self._place = place
        return self._counted(
            place, self._streamed(place) if self.is_iterable else self._fetched(place)
        )

    def _counted(self, place: Place, made: Iterator[Any]) -> Iterator[Any]:
        skipped: list[str] = []
        is_empty = not place.batches
        for batch, place.dataset in made:
            place.batches += 1
            whole = batch if isinstance(batch, Thinned) else Thinned(batch, [], True)
            skipped += whole.skipped
            if whole.has_rows:
                is_empty = False
                yield self._collate.finished(whole.batch)
        place.end()
        self._conclude(is_empty, skipped)

    def _conclude(self, is_empty: bool, skipped: list[str]) -> None:
        """Say what is to be said at the end of an epoch."""
        name = type(self.dataset).__name__
        told = f"{len(skipped)} bad rows were left out; the first: {skipped[0]}" if skipped else ""
        if is_empty:
            once = isinstance(self.dataset, Iterator)
            hint = f"; a {name} can be gone through once" if once else f"; {told}" if told else ""
            raise ArgumentError(f"DataLoader: the dataset, {name}, gave no rows{hint}")
        if skipped:
            warnings.warn(f"DataLoader: {told}", SkippedRowsWarning, stacklevel=3)

    def _orders(self) -> Iterator[Any]:
        """The rows of each batch of an epoch; single rows, without batches."""
        known = getattr(self.order, "batches", None)
        return iter(known() if callable(known) else self.order)

    def _fetched(self, place: Place) -> Iterator[Any]:
        """Batches of rows with numbers, and no states."""
        fetch = Rows(self.dataset, self._collate, self.is_batch, self.bad_rows == "skip")
        orders = itertools.islice(self._orders(), place.batches, None)
        tasks = ((rows, place.epoch, number) for number, rows in enumerate(orders, place.batches))
        if self.num_workers:
            return self._by_workers(fetch, self.num_workers, tasks, place.epoch)
        return ((fetch(*task), None) for task in tasks)

    def _streamed(self, place: Place) -> Iterator[Any]:
        """Batches of an iterable, with its states."""
        begin = functools.partial(
            Stream, self.dataset, self._collate, self.batch_size, self.drop_last
        )
        start = (place.epoch, place.batches, place.dataset)
        if self.num_workers:
            return self._by_workers(
                begin, 1, itertools.chain([start], itertools.repeat(None)), place.epoch
            )
        stream = begin(*start)
        return ((batch, stream.state()) for batch in stream)

    def _by_workers(
        self, fetch: Any, count: int, tasks: Iterator[Any], epoch: Epoch
    ) -> Iterator[Any]:
        pool = self._pool
        if pool is None:
            job = Job(self.dataset, fetch, self.worker_init_fn, count, epoch.seed)
            pool = Pool(
                job, self.multiprocessing_context, self.prefetch_factor or _AHEAD, self.timeout
            )
        self._pool = pool if self.persistent_workers else None
        return self._from_pool(pool, tasks)

    def _from_pool(self, pool: Pool, tasks: Iterator[Any]) -> Iterator[Any]:
        try:
            yield from pool.batches(tasks)
        except BaseException as error:
            if not isinstance(error, GeneratorExit):
                self._pool = None
            raise
        finally:
            if self._pool is not pool:
                pool.close()

    # --- where it is ---------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Where the loader is: a tree of dicts, numbers and whatever the states of samplers and datasets hold."""
        return {**self._place.state_dict(), **self._position()}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on where another loader was: the next iteration gives the batches after those that it has given.

        Raises:
            StateDictError: the state is none of a loader, or of one with other rows or batches.
        """
        _require_fit(state_dict, self._position())
        self._place = self._place.loaded(state_dict)

    def _position(self) -> dict[str, Any]:
        """What must be alike in two loaders, if one is to go on where the other was."""
        return {
            "rows": None if self.is_iterable else len(self.dataset),
            "batch_size": self.batch_size,
        }

    @property
    def order(self) -> Any:
        """The sampler that decides the order of the epoch."""
        return self.sampler if self.batch_sampler is None else self.batch_sampler


class Place:
    """Where a loader is: in which epoch, and after how many batches.

    The states of samplers are those before the epoch began, because samplers are ahead of what was given out.
    """

    def __init__(self, order: Any, seeds: Seeds) -> None:
        self._order, self._seeds = order, seeds
        self._is_begun = False  # whether the epoch is the one that goes on
        self.batches = 0
        self.dataset: Any = None  # the state of an iterable
        self.epoch = Epoch(0, 0)
        self._sampler: Any = {}

    def begun(self) -> Place:
        """The place of the epoch that begins now, or goes on after a state was loaded."""
        made = Place(self._order, self._seeds)
        made._is_begun = True
        made._sampler = state_of(self._order)
        made.epoch = self._seeds.next()
        if not self._is_begun:
            made.batches, made.dataset = self.batches, self.dataset
        return made

    def end(self) -> None:
        """The epoch is over, and the next one comes."""
        self._is_begun, self.batches, self.dataset = False, 0, None

    def state_dict(self) -> dict[str, Any]:
        """As a tree."""
        epoch = self.epoch if self._is_begun else self._seeds.coming()
        return {
            "epoch": epoch._asdict(),
            "batches": self.batches,
            "sampler": self._sampler if self._is_begun else state_of(self._order),
            "dataset": self.dataset,
        }

    def loaded(self, state: Mapping[str, Any]) -> Place:
        """The place that a tree tells of."""
        self._seeds.load_state_dict(state["epoch"])
        if state["sampler"]:
            set_state(self._order, state["sampler"])
        made = Place(self._order, self._seeds)
        made.batches, made.dataset = int(state["batches"]), state["dataset"]
        return made


_PARTS = ("epoch", "batches", "sampler", "dataset")


def _require_fit(state: Any, ours: Mapping[str, Any]) -> None:
    if not isinstance(state, Mapping) or not {*_PARTS, *ours} <= {*state}:
        raise StateDictError(
            f"DataLoader: the state is {shown(state)}; expected what state_dict() of a loader gives"
        )
    for name, value in ours.items():
        if state[name] != value:
            raise StateDictError(
                f"DataLoader: the state is of a loader with {name}={state[name]}, and this one has {name}={value}; "
                "the place in the data means the same only where both are alike"
            )


def _function(name: str, given: Any) -> Callable[..., Any] | None:
    if given is not None and not callable(given):
        raise ArgumentTypeError(
            f"DataLoader: {name} is {shown(given)}; expected a function, or None"
        )
    return given
