"""The host: the device that Python itself runs on, where its objects and NumPy's arrays lie."""

from __future__ import annotations

import abc
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from tessella.devices.buffer import Buffer
from tessella.devices.device import Device
from tessella.devices.words import Word


class Watch(Protocol):
    """Words of Python's objects that are looked at together; what they belong to must stay alive."""

    def holds(self) -> int:
        """1 if every word is as it must be, else 0."""

    def run(self, head: int) -> int:
        """Run a program of the host, of short calls, if every word is as it must be; else give `words.CHANGED`.

        Nothing can happen between the look and the call: the interpreter's lock is held all the time.
        """


class Taken(Protocol):
    """Objects of one class that are of another class for a while."""

    def take(self, watch: Any) -> bool:
        """Change the class of all, if every word that is watched is as it must be; whether it is."""

    def give_back(self) -> object:
        """Change it back, if it was changed."""


class Host(Device):
    """A device whose memory is that of this process."""

    shares_memory = True

    @abc.abstractmethod
    def wrap(self, owner: Any, address: int, nbytes: int) -> Buffer:
        """A buffer on memory that belongs to `owner`, which is kept alive."""

    @abc.abstractmethod
    def memory_for(self, nbytes: Any) -> AbstractContextManager[None]:
        """What is done inside takes so much memory, from NumPy or Python.

        Raises:
            OutOfMemoryError: there is not so much.
        """

    @abc.abstractmethod
    def quick_runner(self) -> Callable[[int], int]:
        """What runs a program of short calls, none of them shared, without letting the interpreter lock go."""

    @abc.abstractmethod
    def watch(self, words: Sequence[Word]) -> Watch:
        """Look at words in one native call."""

    @abc.abstractmethod
    def taken(self, objects: Sequence[int], kind: type, other: type) -> Taken:
        """What changes the class of objects in one native call.

        Args:
            objects: by their ids; whoever takes them keeps them alive.
            kind, other: the class they are of, and the one they become, with the same slots.
        """

    @abc.abstractmethod
    def set_threads(self, number: int) -> None:
        """Work with that many threads from now on.

        Raises:
            ConfigurationError: not a positive whole number.
        """

    @abc.abstractmethod
    def prepare_timing(self) -> None:
        """Make now what `run_timed` needs, before a clock runs."""
