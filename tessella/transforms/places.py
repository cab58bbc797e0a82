"""Where programs find the data of tensors, and whether they may write over it.

A program keeps in mind which array a tensor held after its last call, so that it need not look again.
That makes it one more holder of the array. A `Place` is shared by all programs that read or write the
same tensor: however many they are, they are one holder. So a program for the last, shorter batch writes
into the same memory as that for all the others.

Memory may be written over if it is a block of our own which nothing refers to but its array, and the
array is referred to by nothing but its tensor and the place. A second tensor on the same array, a view, or
a NumPy array made from it each hold one more.

All this rests on how the interpreter counts references. `TESSELLA_IN_PLACE=0` does without: then nothing is
written over, and nobody counts.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Iterator
from sys import getrefcount
from typing import Any

from tessella.devices.array import Array, Layout
from tessella.devices.buffer import is_own
from tessella.devices.words import Word, held, is_of_class, is_possible, refers
from tessella.devices.writing import stored_address
from tessella.errors import ConfigurationError
from tessella.tensors.tensor import Tensor, new_handle
from tessella.weak import WeakValues

VARIABLE = "TESSELLA_IN_PLACE"


@functools.cache
def may_write_over() -> bool:
    """Whether programs may write over memory that nobody else refers to; the variable is read once.

    Raises:
        ConfigurationError: `TESSELLA_IN_PLACE` is neither 0 nor 1.
    """
    chosen = os.environ.get(VARIABLE, "1")
    if chosen not in ("0", "1"):
        raise ConfigurationError(
            f"{VARIABLE} is {chosen!r}; expected 0 (compiled functions give what they write fresh memory) or 1 "
            "(they write over memory that nobody else refers to); leave it out for 1"
        )
    return chosen == "1"


def _count_of_a_local() -> int:
    found = object()
    return getrefcount(found)


# What `getrefcount(x)` gives for what only the local variable x refers to. Asking adds one, in some
# versions of Python; in others a local variable that is passed on is not counted again.
_LOCAL = _count_of_a_local()


Flag = Any  # of a program: a list, or an array of ctypes, of one truth


class Place:
    """The data of a tensor."""

    __slots__ = ("__weakref__", "array", "is_leaf", "readers", "tensor", "users", "writers")

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor
        self.array: Any = None  # what the tensor held after the last call of a program
        self.is_leaf = False  # whether it needed a gradient then
        # flags of programs, by id: those that rely on that, those of them that write into the array,
        # and those that keep something computed from its elements
        self.users: dict[int, Flag] = {}
        self.writers: dict[int, Flag] = {}
        self.readers: dict[int, Flag] = {}

    def now(self) -> Any:
        """The array that the tensor holds, or what stands for it in another thread's trace."""
        return self.tensor._value

    def candidate(self) -> Any:
        """What `own` may give."""
        return self.tensor._value

    def own(self, layout: Layout) -> Array | None:
        """The array that the tensor holds, if a program may write over it; it has been taken (`Writing`)."""
        return self._array_of(self.tensor, layout)

    def _array_of(self, holder: Tensor, layout: Layout) -> Array | None:
        """The array of a tensor if nobody but that tensor, this place and who takes it refers to it."""
        array = holder._value
        if not isinstance(array, Array) or array.layout is not layout or not may_write_over():
            return None
        buffer = array.buffer
        whole = is_own(buffer) and stored_address(array) == buffer.address
        alone = getrefcount(array) == _LOCAL + 2 + (array is self.array)
        return array if whole and alone and getrefcount(buffer) == _LOCAL + 1 else None

    def put(self, array: Array) -> None:
        """Let the tensor hold an array, and remember it."""
        self.tensor._value = array
        self.remember()

    def remember(self) -> None:
        """Remember what the tensor holds; programs that relied on something else look again."""
        array, is_leaf = self.tensor._value, self.tensor._node is not None
        if array is not self.array or is_leaf is not self.is_leaf:
            self.array, self.is_leaf = (
                array,
                is_leaf,
            )  # first: who relies on it from here on sees this
            _take_back(self.users)

    def rely(self, user: Flag, writes: bool, reads_once: bool) -> None:
        """Let `user[0]` become False when what is remembered changes.

        Args:
            writes: whether the user writes into the array, without telling.
            reads_once: whether it keeps something computed from the elements: then it must be told
                when another one writes, and so those who write without telling must stop doing so.
        """
        self.users[id(user)] = user
        if writes:
            self.writers[id(user)] = user
        if reads_once:
            _take_back(self.writers)
            self.readers[id(user)] = user

    def written(self) -> None:
        """Tell everybody who keeps something computed from the elements that they change."""
        _take_back(self.readers)

    def words(self, written: bool, held_by_program: int = 0) -> Iterator[Word]:
        """What must stay as it is for a program to be called without a look at the tensor.

        Args:
            held_by_program: how often the program itself refers to the array when it looks.
        """
        yield refers(self.tensor, "_value", self.array)
        yield refers(self.tensor, "_node", self.tensor._node)
        yield is_of_class(self.array, Array)
        if written:
            yield from _counts(self.array, held_by_program)

    def is_as_it_was(self, written: bool, held_by_program: int = 0) -> bool:
        """The same, asked in Python."""
        if self.tensor._value is not self.array:
            return False
        if (self.tensor._node is not None) is not self.is_leaf:
            return False
        return not written or _is_alone(self.array, held_by_program)


class GradientPlace(Place):
    """The gradient of a tensor."""

    __slots__ = ("gradient",)

    def __init__(self, tensor: Tensor) -> None:
        super().__init__(tensor)
        self.gradient: Tensor | None = None  # what `array` is the data of

    def now(self) -> Any:
        gradient = self.tensor._grad
        return None if gradient is None else gradient._value

    def candidate(self) -> Any:
        gradient = self.tensor._grad
        if gradient is None:
            gradient = self.gradient
        return None if gradient is None else gradient._value

    def own(self, layout: Layout) -> Array | None:
        """The array of the gradient; of the last one, if it was only taken from the tensor."""
        gradient = self.tensor._grad
        if gradient is None:
            gradient = self.gradient
        if gradient is None or gradient._node is not None:
            return None
        holders = (gradient is self.tensor._grad) + (gradient is self.gradient)
        if getrefcount(gradient) != _LOCAL + holders:
            return None
        return self._array_of(gradient, layout)

    def put(self, array: Array) -> None:
        if array is self.array and self.gradient is not None:
            self.tensor._grad = self.gradient
        elif self.now() is not array:
            self.tensor._grad = new_handle(array, None, 0)
        self.remember()

    def remember(self) -> None:
        gradient, array = self.tensor._grad, self.now()
        if gradient is not self.gradient or array is not self.array:
            self.gradient, self.array = gradient, array
            _take_back(self.users)

    def words(self, written: bool, held_by_program: int = 0) -> Iterator[Word]:
        gradient = self.gradient
        yield refers(self.tensor, "_grad", gradient)
        if gradient is None:
            return
        yield refers(gradient, "_value", self.array)
        yield refers(gradient, "_node", None)
        yield is_of_class(self.array, Array)
        if written:
            yield held(gradient, 2)
            yield from _counts(self.array, held_by_program)

    def is_as_it_was(self, written: bool, held_by_program: int = 0) -> bool:
        gradient = self.gradient
        if self.tensor._grad is not gradient:
            return False
        if gradient is None:
            return True
        if gradient._value is not self.array or gradient._node is not None:
            return False
        alone = not written or _is_alone(self.array, held_by_program)
        return alone and (not written or getrefcount(gradient) == _LOCAL + 2)


def _take_back(users: dict[int, Flag]) -> None:
    while users:
        with contextlib.suppress(KeyError):  # another thread has taken the last one
            users.popitem()[1][0] = False


def _counts(array: Array, others: int) -> Iterator[Word]:
    """That an array is held by its tensor and its place, and its memory by the array."""
    yield held(array, 2 + others)
    yield held(array.buffer, 1)


def _is_alone(array: Array, others: int) -> bool:
    buffer = array.buffer
    return getrefcount(array) == _LOCAL + 2 + others and getrefcount(buffer) == _LOCAL + 1


def is_watchable() -> bool:
    """Whether a native loop can look after places."""
    return may_write_over() and is_possible(
        (Tensor, "_value"), (Tensor, "_node"), (Tensor, "_grad")
    )


_places: WeakValues[Place] = WeakValues()
_gradients: WeakValues[GradientPlace] = WeakValues()


def place_of(tensor: Tensor) -> Place:
    """The place of a tensor's data; there is one for each tensor that programs use."""
    # a place keeps its tensor, so no other tensor has the same id as long as there is the place
    return _places.get(id(tensor)) or _places.setdefault(id(tensor), Place(tensor))


def gradient_place_of(tensor: Tensor) -> GradientPlace:
    """The place of a tensor's gradient."""
    found = _gradients.get(id(tensor))
    return found or _gradients.setdefault(id(tensor), GradientPlace(tensor))
