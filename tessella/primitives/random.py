"""Random bits from a counter: the same on every device, in any order of computation.

Source: Salmon, Moraes, Dror & Shaw, *Parallel random numbers: as easy as 1, 2, 3* (2011),
Threefry-2x32 with 20 rounds.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tessella import dtypes
from tessella.errors import DTypeError
from tessella.primitives.base import (
    TOLD,
    NumPyArray,
    Primitive,
    Sample,
    Shape,
    Spec,
    WithoutSlope,
    size_of,
)
from tessella.primitives.elementwise import Elementwise
from tessella.primitives.generate import Iota
from tessella.primitives.movement import Concatenate, Slice, move_axis, reshape
from tessella.scalar.expression import constant
from tessella.scalar.function import ScalarFunction
from tessella.scalar.operators import convert

ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
PARITY = 0x1BD11BDA


def threefry(key: tuple[Any, Any], counter: tuple[Any, Any]) -> tuple[Any, Any]:
    """20 rounds of Threefry-2x32 on anything with the operators of uint32: arrays, expressions.

    >>> zero = np.zeros(1, np.uint32)
    >>> [hex(int(word[0])) for word in threefry((zero, zero), (zero, zero))]
    ['0x6b200159', '0x99ba4efe']
    """
    keys = (key[0], key[1], key[0] ^ key[1] ^ PARITY)
    x, y = counter[0] + keys[0], counter[1] + keys[1]
    for block in range(5):
        for turn in ROTATIONS[block % 2]:
            x = x + y
            y = ((y << turn) | (y >> (32 - turn))) ^ x
        x = x + keys[(block + 1) % 3]
        y = y + keys[(block + 2) % 3] + (block + 1)
    return x, y


@dataclass(frozen=True)
class RandomBits(WithoutSlope, Primitive):
    """32 random bits for every element, from a key of two uint32 words.

    Element i is the first word of Threefry for the counter (i mod 2^32, i div 2^32).

    Shapes: (..., 2), one key or many; the result has `shape` for each of them.
    """

    family = "random"

    shape: Shape = field(metadata={TOLD: True})

    def result(self, *inputs: Spec) -> Spec:
        (key,) = inputs
        if key.dtype is not dtypes.uint32 or tuple(key.shape[-1:]) != (2,):
            raise DTypeError(
                f"random bits: the key is {key.dtype.name} {key.shape}; expected uint32 (2,)"
            )
        return Spec((*key.shape[:-1], *self.shape), dtypes.uint32)

    def reference(self, *inputs: NumPyArray) -> NumPyArray:
        (key,) = inputs
        index = np.arange(size_of(self.shape), dtype=np.uint64)
        low, high = index.astype(np.uint32), (index >> np.uint64(32)).astype(np.uint32)
        with np.errstate(over="ignore"):
            words = threefry((key[..., :1], key[..., 1:]), (low, high))
        return words[0].reshape((*key.shape[:-1], *self.shape))

    def batch(self, inputs: Any, axes: Any, size: int) -> tuple[Any, Any]:
        """One key for each member of the batch."""
        return self(move_axis(inputs[0], axes[0], 0)), 0

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        key = np.array([17, 4_000_000_000], np.uint32)
        yield Sample(cls((3, 50)), (key,), differentiable=False)
        yield Sample(cls(()), (key,), differentiable=False)
        yield Sample(cls((0,)), (key,), differentiable=False)
        keys = np.arange(24, dtype=np.uint32).reshape(3, 4, 2)
        yield Sample(cls((5, 7)), (keys,), differentiable=False)
        yield Sample(cls((70,)), (np.swapaxes(keys, 0, 1),), differentiable=False)


def _unit(bits: Any) -> Any:
    return convert(bits >> 8, dtypes.float32) * 2.0**-24


_unit.makes_expression = True  # type: ignore[attr-defined]
unit_float32 = Elementwise(ScalarFunction(_unit, "uniform_float32", ("bits",)))  # in [0, 1)


# Counters that no draw comes to mark what is made from a key besides its bits.
_SPLIT, _FOLD = 2**32 - 1, 2**32 - 2


def split_key(key: Any, count: int) -> Any:
    """Several keys from one: (2,) to (count, 2)."""
    return _derived(key, Iota(count, dtypes.uint32)(key), _SPLIT)


def fold_key(key: Any, number: Any) -> Any:
    """The key that a key and a number (of uint32) make: (2,) and (...) to (..., 2)."""
    return _derived(key, number, _FOLD)


def _derived(key: Any, counter: Any, mark: int) -> Any:
    """Both words of Threefry for a counter and a mark, side by side."""
    first, second = (reshape(Slice((i,), (1,), (1,))(key), ()) for i in (0, 1))
    words = [Elementwise(_word(which, mark))(first, second, counter) for which in (0, 1)]
    return Concatenate(len(counter.shape))(*[reshape(word, (*counter.shape, 1)) for word in words])


@functools.cache
def _word(which: int, mark: int) -> ScalarFunction:
    """A word of Threefry as a scalar function of the key's words and the counter."""

    def word(first: Any, second: Any, counter: Any) -> Any:
        return threefry((first, second), (counter, constant(mark, dtypes.uint32)))[which]

    word.makes_expression = True  # type: ignore[attr-defined]
    return ScalarFunction(word, f"key_word_{which}", ("first", "second", "counter"))
