"""Generators: a seed, and a count of what has been drawn.

Every draw takes the next number of the counter, mixes it with the seed into a key (Threefry), and makes its bits
from that key. So what is drawn depends on the seed and on how many draws came before, and on nothing else.
"""

from __future__ import annotations

import math
import os
from typing import Any

import numpy as np

from tessella import autodiff, dtypes, forking
from tessella.arguments import public
from tessella.arguments.kinds import DTypeLike, Natural, NotNegative, Probability, ShapeLike, shown
from tessella.devices.array import check_shape
from tessella.devices.device import Device
from tessella.devices.registry import current
from tessella.dtypes import DType
from tessella.errors import ArgumentError, DeviceError
from tessella.primitives.base import Shape
from tessella.primitives.random import RandomBits, threefry, unit_float32
from tessella.random.draws import between, digits_of, drawn_in, floating, whole_numbers
from tessella.scalar import operators
from tessella.scalar.function import ScalarFunction
from tessella.tensors.creation import asarray
from tessella.tensors.elementwise import cos, zip_with
from tessella.tensors.sorting import argsort
from tessella.tensors.tensor import Tensor, apply
from tessella.tracing.trace import suspended

_mode = autodiff.mode
_MASK = 2**64 - 1


def _words_of(state: tuple[int, int]) -> list[np.ndarray[Any, Any]]:
    return [np.asarray(number & _MASK, np.uint64) for number in state]


class Generator:
    """A seed and a counter of draws, on each device where it is drawn from.

    >>> Generator(0).uniform((2,)).tolist() == Generator(0).uniform((2,)).tolist()
    True
    """

    @public
    def __init__(self, seed: Any) -> None:
        self._lock = forking.lock()
        self._begin = 0, 0
        # on each device: seed, count, the numbers 0 and 1
        self._counters: dict[Device, list[Tensor]] = {}
        self.seed(seed)

    @public
    def seed(self, seed: Any) -> None:
        """Start again from a seed.

        Raises:
            ArgumentError: not an integer.
        """
        if not isinstance(seed, (int, np.integer)) or isinstance(seed, bool):
            raise ArgumentError(f"seed: {shown(seed)} was given; expected an integer")
        self.state = int(seed), 0

    @property
    def state(self) -> tuple[int, int]:
        """The seed and how many draws there were; assign it to go back."""
        seed, count, _ = self._here()
        return int(seed) & _MASK, int(count) & _MASK

    @state.setter
    def state(self, state: tuple[int, int]) -> None:
        with self._lock:
            self._begin = state
            if _mode.trace is not None:  # what is written down needs something to write to
                self._here()
                self._require_one_device()
            for counters in self._counters.values():
                for counter, number in zip(counters, _words_of(state), strict=False):
                    counter.assign(asarray(number, device=counter.device))

    def _require_one_device(self) -> None:
        others = [device for device in self._counters if device is not current()]
        if others:
            raise DeviceError(
                f"a compiled function seeds a generator that has drawn on {current()} and on {others[0]}, and a program "
                "works on one device; seed it outside, or use a Generator for each device"
            )

    def _here(self) -> list[Tensor]:
        """Seed and count on the device of this thread, where they begin as on every other one."""
        found = self._counters.get(current())
        if found is None:
            with suspended():
                found = [asarray(number) for number in _words_of(self._beginning())]
                found.append(asarray(np.arange(2, dtype=np.uint32)))
            self._counters[current()] = found
        return found

    def _beginning(self) -> tuple[int, int]:
        """What the generator was seeded with for the last time, by a program perhaps, which says so on its device alone."""
        for seed, *_ in self._counters.values():
            if int(seed) & _MASK != self._begin[0] & _MASK:
                return int(seed), 0
        return self._begin

    def __repr__(self) -> str:
        return f"<generator of random numbers: seed {self.state[0]}, draws so far {self.state[1]}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return (_generator_at, (self.state,))  # copies count on by themselves

    @public
    def key(self) -> Tensor:
        """The key of the next draw: two uint32 words.

        Seed and count are tensors like any others: in a compiled function they are captured, and the count is
        written in place.
        """
        if _mode.trace is not None:
            return _mode.trace.random_key(self)
        with self._lock:
            return self.next_key()

    def next_key(self) -> Tensor:
        """The key of the next draw, made where we are: in a trace, it is written down."""
        seed, count, words = self._here()
        found: Tensor = _key_word(seed, count, words)
        count.assign(count + 1)
        return found

    @public
    def bits(self, shape: ShapeLike) -> Tensor:
        """32 random bits for each element, as uint32."""
        return apply(RandomBits(check_shape(shape, "random")), (self.key(),))

    @public
    def uniform(
        self, shape: ShapeLike, low: float = 0.0, high: float = 1.0, dtype: DTypeLike = None
    ) -> Tensor:
        """Numbers spread evenly over [low, high).

        Raises:
            ArgumentError: a bound is NaN or infinite.
        """
        _require_number("uniform", "low", low, -math.inf)
        _require_number("uniform", "high", high, -math.inf)
        kind = floating(dtype)
        return between(self._unit(check_shape(shape, "uniform"), kind), low, high, kind)

    def _unit(self, shape: Shape, dtype: DType) -> Tensor:
        if dtype is dtypes.float64:
            return _unit_float64(self.bits(shape), self.bits(shape))
        if dtype is dtypes.float32:
            return apply(unit_float32, (self.bits(shape),))
        digits = digits_of(dtype)
        return (self.bits(shape) >> (32 - digits)).astype(drawn_in(dtype)) * 2.0**-digits

    @public
    def normal(
        self, shape: ShapeLike, mean: float = 0.0, std: NotNegative = 1.0, dtype: DTypeLike = None
    ) -> Tensor:
        """Normally distributed numbers.

        Raises:
            ArgumentError: the mean is NaN or infinite, or the standard deviation is, or is negative.

        Source: Box & Muller, *A note on the generation of random normal deviates* (1958).
        """
        _require_number("normal", "mean", mean, -math.inf)
        _require_number("normal", "std", std, 0.0)
        kind = floating(dtype)
        wide = kind.compute
        sizes = check_shape(shape, "normal")
        value = _box_muller(self._unit(sizes, wide), self._unit(sizes, wide))
        return (value if (mean, std) == (0.0, 1.0) else value * std + mean).astype(kind)

    @public
    def integers(self, low: Any, high: Any, shape: ShapeLike, dtype: DTypeLike = None) -> Tensor:
        """Whole numbers from low to high - 1, spread evenly; up to all that the dtype has.

        Raises:
            ArgumentError: there is no number in the range, or the dtype does not hold all of them.
        """
        sizes = check_shape(shape, "integers")

        def draw() -> Tensor:
            high, low = (self.bits(sizes).astype(dtypes.uint64) for _ in range(2))
            return high << 32 | low

        return whole_numbers(draw, low, high, dtype, "integers")

    @public
    def permutation(self, n: Natural) -> Tensor:
        """0 to n - 1 in random order."""
        return argsort(self.uniform((n,), dtype=dtypes.float64))

    @public
    def bernoulli(self, probability: Probability, shape: ShapeLike) -> Tensor:
        """True with a probability, for each element."""
        return self.uniform(shape) < probability


def _require_number(function: str, argument: str, value: Any, least: float) -> None:
    if isinstance(value, (int, float)) and not (math.isfinite(value) and value >= least):
        wanted = "a finite number" + (f" of at least {least:g}" if math.isfinite(least) else "")
        raise ArgumentError(f"{function}: {argument} is {shown(value)}; expected {wanted}")


def _expression(name: str, function: Any, *parameters: str) -> Any:
    function.makes_expression = True
    return zip_with(ScalarFunction(function, name, parameters))


_unit_float64 = _expression(
    "uniform_float64",
    lambda a, b: (
        operators.convert(
            (operators.convert(a, dtypes.uint64) << 21)
            | (operators.convert(b, dtypes.uint64) >> 11),
            dtypes.float64,
        )
        * 2.0**-53
    ),
    "a",
    "b",
)


def _word_of_a_key(seed: Any, count: Any, which: Any) -> Any:
    """Threefry of seed and count, two uint64: its first word or its second one."""
    words = [operators.convert(x, dtypes.uint32) for x in (seed, seed >> 32, count, count >> 32)]
    first, second = threefry((words[0], words[1]), (words[2], words[3]))
    return operators.select(operators.equal(which, 0), first, second)


def _generator_at(state: tuple[int, int]) -> Generator:
    """A generator that goes on from a state."""
    made = Generator(0)
    made.state = state
    return made


_key_word = _expression("key_word", _word_of_a_key, "seed", "count", "which")


def _box_muller(u: Tensor, v: Tensor) -> Tensor:
    radius = ((1.0 - u).log() * -2.0).sqrt()
    return radius * cos(v * (2.0 * math.pi))


default = Generator(int.from_bytes(os.urandom(8), "little"))
