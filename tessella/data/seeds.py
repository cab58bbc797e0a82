"""Seeds: of epochs, of batches, and of single rows.

An epoch has a seed and a number. Whatever is random in it follows from these two: the order of the rows from them
alone, what is drawn for a row from them and the row. So neither the number of processes nor the place where a run was
broken off makes a difference.
"""

from __future__ import annotations

import contextlib
import functools
import random
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from tessella.arguments.kinds import shown
from tessella.errors import ArgumentTypeError
from tessella.random import generator as generators
from tessella.random.generator import Generator

_shared: Any = np.random  # whose functions to exchange its generator have no types
_BITS = 63  # of a seed: what every format of files has a number for
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


class Epoch(NamedTuple):
    """What all random choices of an epoch follow from."""

    seed: int
    number: int

    def generator(self, *more: int) -> np.random.Generator:
        """NumPy's generator for one purpose in this epoch."""
        return np.random.Generator(np.random.PCG64(np.random.SeedSequence((*self, *more))))


class Seeds:
    """The epochs of one object, one after the other.

    A seed is drawn when the first epoch begins, and again when the generator was seeded anew or set back in the
    meantime; otherwise the epochs are counted.

    Args:
        generator: a `ts.random.Generator`, a seed, or None for the default generator.

    Raises:
        ArgumentTypeError: it is something else.

    >>> seeds = Seeds(0)
    >>> first, second = seeds.next(), seeds.next()
    >>> first.seed == second.seed, first.number, second.number
    (True, 0, 1)
    """

    def __init__(self, generator: Any, function: str = "DataLoader") -> None:
        self.generator = _generator(generator, function)
        self._coming: Epoch | None = None
        self._seen: tuple[int, int] | None = None  # of the generator, when it was last looked at

    def coming(self) -> Epoch:
        """The epoch that comes next, which is settled now."""
        state = self.generator.state
        if self._coming is None or self._is_set_back(state):
            self._coming = Epoch(self._drawn(), 0)
            state = self.generator.state
        self._seen = state
        return self._coming

    def next(self) -> Epoch:
        """The epoch that begins now."""
        found = self.coming()
        self._coming = found._replace(number=found.number + 1)
        return found

    def _is_set_back(self, state: tuple[int, int]) -> bool:
        seen = self._seen
        return seen is not None and (state[0] != seen[0] or state[1] < seen[1])

    def _drawn(self) -> int:
        low, high = self.generator.bits((2,)).tolist()
        return (high << 32 | low) & (1 << _BITS) - 1

    def state_dict(self) -> dict[str, Any]:
        """Which epoch comes next."""
        return self.coming()._asdict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on with the epoch that such a state tells of."""
        self._coming = Epoch(int(state["seed"]), int(state["number"]))
        self._seen = None


def _generator(given: Any, function: str) -> Generator:
    if given is None:
        return generators.default
    if isinstance(given, Generator):
        return given
    if isinstance(given, (int, np.integer)) and not isinstance(given, bool):
        return Generator(given)
    raise ArgumentTypeError(
        f"{function}: generator is {shown(given)}; expected a ts.random.Generator, a seed (a whole number), or None "
        "for the default generator, which ts.manual_seed(seed) sets"
    )


class RowGenerator:
    """Random numbers for the rows of a batch, of which each depends on its own row alone.

    What is drawn follows from the epoch, the row, and how many numbers were drawn for it before: not from the other
    rows of the batch, nor from where it is drawn. All draws are of whole arrays.

    Args:
        rows: the numbers of the rows.

    Source: Steele, Lea & Flood, *Fast splittable pseudorandom number generators* (2014), its mixing function.

    >>> import numpy as np
    >>> alone = RowGenerator(7, 0, np.array([5])).uniform()
    >>> bool(alone[0] == RowGenerator(7, 0, np.array([3, 5])).uniform()[1])
    True
    """

    def __init__(self, seed: int, epoch: int, rows: Any) -> None:
        self._of, self._rows = (seed, epoch), rows
        self._count = 0

    @functools.cached_property
    def _keys(self) -> np.ndarray[Any, Any]:
        """One for each row; worked out when something is drawn, which mostly nothing is."""
        seed, epoch = self._of
        with np.errstate(over="ignore"):
            key = _mixed(np.asarray([seed], np.uint64) + _GOLDEN)
            key = _mixed(key + np.uint64(epoch) * _GOLDEN)
            return _mixed(key + np.asarray(self._rows, np.uint64) * _GOLDEN)  # (B,)

    @classmethod
    def of(cls, epoch: Epoch, rows: Any) -> RowGenerator:
        """That of rows in an epoch."""
        return cls(epoch.seed, epoch.number, rows)

    @classmethod
    def drawn(cls, count: int, generator: Generator | None = None) -> RowGenerator:
        """One for as many rows, with a seed from a generator; from the default one, if none is given."""
        epoch = Seeds(generator, "transform").next()
        return cls(epoch.seed, 0, np.arange(count))

    def __len__(self) -> int:
        return len(self._rows)

    def bits(self, *shape: int) -> np.ndarray[Any, Any]:
        """64 random bits for each element.

        Shapes: (B, *shape) for B rows.
        """
        size = int(np.prod(shape, dtype=np.int64))
        steps = np.arange(self._count + 1, self._count + size + 1, dtype=np.uint64)
        self._count += size
        with np.errstate(over="ignore"):
            found = _mixed(self._keys[:, None] + steps * _GOLDEN)
        return found.reshape(len(self), *shape)

    def uniform(self, *shape: int) -> np.ndarray[Any, Any]:
        """Numbers from 0 to 1, without 1, as float64."""
        return (self.bits(*shape) >> np.uint64(11)) * 2.0**-53

    def integers(self, low: Any, high: Any, *shape: int) -> np.ndarray[Any, Any]:
        """Whole numbers from low to high - 1; the bounds may be arrays, with one for each row."""
        spread = np.asarray(high, np.int64) - low
        return (np.asarray(low) + np.floor(self.uniform(*shape) * spread)).astype(np.int64)

    def normal(self, *shape: int) -> np.ndarray[Any, Any]:
        """Normally distributed numbers, as float64.

        Source: Box & Muller, *A note on the generation of random normal deviates* (1958).
        """
        radius = np.sqrt(-2.0 * np.log1p(-self.uniform(*shape)))
        return radius * np.cos(2.0 * np.pi * self.uniform(*shape))


def _mixed(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


# --- the generators that everybody draws from -----------------------------------------------------------


@contextlib.contextmanager
def seeded(epoch: Epoch, batch: int) -> Iterator[None]:
    """Python's `random`, NumPy's `np.random` and the default generator with seeds of a batch; then as they were."""
    first, second, third = (
        np.random.SeedSequence((*epoch, batch)).generate_state(3, np.uint64).tolist()
    )
    mine, theirs, ours = random.getstate(), _shared.get_bit_generator(), generators.default.state
    random.seed(first)
    _shared.set_bit_generator(np.random.MT19937(second))
    generators.default.state = third, 0
    try:
        yield
    finally:
        random.setstate(mine)
        _shared.set_bit_generator(theirs)
        generators.default.state = ours
