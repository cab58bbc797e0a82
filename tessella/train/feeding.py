"""Where batches come from: epochs of the data, the place in them, and the time that was spent waiting."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Mapping
from typing import Any, Protocol, runtime_checkable

from tessella.arguments.kinds import shown
from tessella.errors import ArgumentError, ArgumentTypeError
from tessella.tensors.tensor import Tensor
from tessella.train.random_state import kept_random_state, random_state, set_random_state


@runtime_checkable
class Resumable(Protocol):
    """Data that know their place themselves, as `ts.data.DataLoader` does."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> Any: ...


class Feed:
    """Batches, epoch by epoch, in groups of those that one step takes.

    Args:
        data: gives an epoch of batches each time it is gone through.
        group: how many batches a step takes.
    """

    def __init__(self, data: Any, group: int) -> None:
        self.data, self.group = require_batches(data, "data"), group
        self.length = length_of(data)  # of an epoch, in batches
        self.taken = 0  # batches of this epoch
        self.waited = 0.0  # seconds
        self._to_skip = 0
        self._before_epoch: Any = None  # the state of what random numbers come from

    def epoch(self) -> Iterator[list[Any]]:
        """The groups of this epoch that have not been taken yet."""
        batches = self._rest()
        while group := self._next(batches):
            self.taken += len(group)
            yield group
        if not self.taken:
            raise ArgumentError(
                "data: there is no batch in it; an iterator can be gone through once only: give a list or a "
                "ts.data.DataLoader"
            )
        self.taken = 0

    def _rest(self) -> Iterator[Any]:
        if not self._to_skip:
            if not isinstance(self.data, Resumable):
                self._before_epoch = random_state()
            return iter(self.data)
        with kept_random_state():  # what is drawn here was drawn before
            set_random_state(self._before_epoch)
            return self._after_skipping(iter(self.data))

    def _after_skipping(self, batches: Iterator[Any]) -> Iterator[Any]:
        """
        Raises:
            ArgumentError: there are not so many.
        """
        skipped = sum(1 for _ in itertools.islice(batches, self._to_skip))
        if skipped < self._to_skip:
            raise ArgumentError(
                f"data: the run is at batch {self._to_skip} of an epoch, and the data has {skipped} only; go on with the "
                "data that it was begun with"
            )
        self._to_skip = 0
        return batches

    def _next(self, batches: Iterator[Any]) -> list[Any]:
        start = time.perf_counter()
        found = list(itertools.islice(batches, self.group))
        self.waited += time.perf_counter() - start
        return found

    @property
    def is_at_the_end(self) -> bool:
        """Whether all batches of the epoch have been taken, as far as is known."""
        return self.length is not None and self.taken >= self.length

    def state_dict(self) -> dict[str, Any]:
        """The place."""
        if isinstance(self.data, Resumable):
            return {"taken": self.taken, "data": self.data.state_dict()}
        return {"taken": self.taken, "data": None, "random": self._before_epoch}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a place: data that do not know theirs are gone through up to it.

        Raises:
            ArgumentTypeError: the data are of another kind than those of the run.
        """
        self.taken = int(state["taken"])
        if isinstance(self.data, Resumable) != (state["data"] is not None):
            raise ArgumentTypeError(
                "data: the run was begun with data that know their place, or these do and those did not; give the same"
            )
        if isinstance(self.data, Resumable):
            self.data.load_state_dict(state["data"])
        else:
            self._to_skip, self._before_epoch = self.taken, state["random"]


def length_of(data: Any) -> int | None:
    """How many batches there are, if that is known."""
    return len(data) if hasattr(type(data), "__len__") else None


def require_batches(data: Any, name: str) -> Any:
    """Data that give batches.

    Raises:
        ArgumentTypeError: they do not.
    """
    if isinstance(data, (Tensor, str, bytes, Mapping)) or not hasattr(type(data), "__iter__"):
        raise ArgumentTypeError(
            f"{name}: {shown(data)} was given; expected batches: ts.data.DataLoader(dataset, batch_size=32), or a list "
            "of (inputs, targets)"
        )
    return data
