"""Schedules of schedules, and one that looks at results: SequentialLR, ChainedScheduler, ReduceLROnPlateau."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from tessella.arguments import public
from tessella.arguments.kinds import Natural, NotNegative, shown
from tessella.errors import ArgumentError, ArgumentTypeError
from tessella.optim.optimiser import Optimizer
from tessella.optim.schedules import (
    LRScheduler,
    PerGroup,
    one_each,
    put,
    rates,
    require_eager,
    several,
)


class _OfSeveral(LRScheduler):
    """Schedules that go by others of the same optimiser."""

    _kept_out = ("optimizer", "_schedulers")

    def _take(self, schedulers: Any, optimizer: Optimizer | None) -> None:
        several = isinstance(schedulers, (list, tuple))
        if not several or not all(isinstance(part, LRScheduler) for part in schedulers):
            raise ArgumentTypeError(
                f"schedulers: {shown(schedulers)} was given; expected a list of schedules"
            )
        if not schedulers:
            raise ArgumentError("schedulers: none was given; expected at least one")
        self.optimizer = schedulers[0].optimizer if optimizer is None else optimizer
        for part in schedulers:
            if isinstance(part, ReduceLROnPlateau):
                raise ArgumentError(
                    "schedulers: a ReduceLROnPlateau is among them, whose steps need a result; step it by itself"
                )
            if part.optimizer is not self.optimizer:
                raise ArgumentError(
                    f"schedulers: a {type(part).__name__} is of another optimiser; expected one optimiser for all"
                )
        self._schedulers = list(schedulers)

    @property
    def parts(self) -> list[LRScheduler]:
        """The schedules that it goes by."""
        return list(self._schedulers)

    def state_dict(self) -> dict[str, Any]:
        """All that it counts, and what its parts do."""
        return {**super().state_dict(), "_schedulers": [p.state_dict() for p in self._schedulers]}

    @public
    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take what `state_dict` gave, here or in PyTorch."""
        saved = several(state_dict, "_schedulers", len(self._schedulers))
        super().load_state_dict(state_dict)
        for part, state in zip(self._schedulers, saved, strict=True):
            part.load_state_dict(state)


class SequentialLR(_OfSeveral):
    """One schedule after another: the next one begins at each of the milestones.

    Raises:
        ArgumentError: there is not one milestone fewer than schedules, or they belong to several optimisers.

    >>> import tessella as ts
    >>> optimiser = ts.optim.SGD([ts.nn.Parameter(ts.ones(2))], lr=1.0)
    >>> warm = ts.optim.lr_scheduler.ConstantLR(optimiser, factor=0.1, total_iters=10)
    >>> rest = ts.optim.lr_scheduler.ExponentialLR(optimiser, gamma=0.5)
    >>> schedule = ts.optim.lr_scheduler.SequentialLR(optimiser, [warm, rest], milestones=[2])
    >>> found = []
    >>> for _ in range(5):
    ...     found.append(optimiser.param_groups[0]["lr"])
    ...     schedule.step()
    >>> found
    [0.1, 0.1, 1.0, 0.5, 0.25]
    """

    @public
    def __init__(
        self, optimizer: Optimizer, schedulers: Any, milestones: Sequence[int], last_epoch: int = -1
    ) -> None:
        self._take(schedulers, optimizer)
        if len(milestones) != len(self._schedulers) - 1:
            raise ArgumentError(
                f"milestones: {len(milestones)} for {len(self._schedulers)} schedules; expected one fewer than schedules"
            )
        require_eager("SequentialLR")
        self._milestones, self.last_epoch = list(milestones), last_epoch + 1
        for group in optimizer.param_groups:
            put(group, "lr", group["initial_lr"])
        _undo(self._schedulers)  # all have begun when they were made
        first = self._schedulers[bisect_right(self._milestones, 0)]
        first.start()
        self._last_lr = first.get_last_lr()

    def start(self) -> None:
        """Begin as a part of another one, by a step, as PyTorch does."""
        self.step()

    @public
    def step(self) -> None:  # type: ignore[override]  # it has no epoch to go to
        """Go on by one epoch."""
        require_eager("SequentialLR")
        self.last_epoch += 1
        number = bisect_right(self._milestones, self.last_epoch)
        part = self._schedulers[number]
        if number and self._milestones[number - 1] == self.last_epoch:
            part.go_to(0)
        else:
            part.step()
        self._last_lr = part.get_last_lr()


def _undo(schedulers: Sequence[LRScheduler]) -> None:
    for part in schedulers:
        if isinstance(part, _OfSeveral):
            _undo(part.parts)
        else:
            part.last_epoch -= 1


class ChainedScheduler(_OfSeveral):
    """Several schedules, each of which changes at every step what the one before it left."""

    @public
    def __init__(self, schedulers: Any, optimizer: Optimizer | None = None) -> None:
        self._take(schedulers, optimizer)
        self._last_lr = rates(self.optimizer)

    def start(self) -> None:
        """Let all of them begin."""
        for part in self._schedulers:
            part.start()
        self._last_lr = rates(self.optimizer)

    @public
    def step(self) -> None:  # type: ignore[override]  # it has no epoch to go to
        """Go on by one epoch."""
        for part in self._schedulers:
            part.step()
        self._last_lr = rates(self.optimizer)

    def __repr__(self) -> str:
        return f"ChainedScheduler({self._schedulers})"


class ReduceLROnPlateau(LRScheduler):
    """Multiply the rates by factor when a result has not become better for `patience` epochs.

    Better than the best one by more than threshold: relatively ("rel": of the best one), or by itself ("abs").

    Args:
        mode: "min" if a good result is a small one, else "max".
        cooldown: for how many epochs after a reduction nothing counts as bad.
        min_lr: below which no rate goes, for all groups or each.
        eps: reductions by less are not made.

    >>> import tessella as ts
    >>> optimiser = ts.optim.SGD([ts.nn.Parameter(ts.ones(2))], lr=1.0)
    >>> schedule = ts.optim.lr_scheduler.ReduceLROnPlateau(optimiser, patience=1)
    >>> for loss in (3.0, 2.0, 2.0, 2.0):
    ...     schedule.step(loss)
    >>> optimiser.param_groups[0]["lr"]
    0.1
    """

    @public
    def __init__(
        self, optimizer: Optimizer, mode: Literal["min", "max"] = "min", factor: NotNegative = 0.1,
        patience: Natural = 10, threshold: float = 1e-4, threshold_mode: Literal["rel", "abs"] = "rel",
        cooldown: Natural = 0, min_lr: PerGroup = 0, eps: NotNegative = 1e-8,
    ) -> None:  # fmt: skip
        if factor >= 1:
            raise ArgumentError(
                f"factor: it is {factor}, which reduces nothing; expected a number below 1"
            )
        self.optimizer, self.mode, self.factor, self.patience = optimizer, mode, factor, patience
        self.threshold, self.threshold_mode, self.cooldown = threshold, threshold_mode, cooldown
        self.min_lrs, self.eps = one_each("min_lr", optimizer, min_lr), eps
        self.best = math.inf if mode == "min" else -math.inf
        self.cooldown_counter = self.num_bad_epochs = self.last_epoch = 0
        self._last_lr = rates(optimizer)

    @public
    def step(  # type: ignore[override]  # it goes by results
        self, metrics: float, epoch: Natural | None = None
    ) -> None:
        """Take the result of an epoch, as a number or a tensor of one."""
        require_eager("ReduceLROnPlateau")
        result = float(metrics)
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        if self._is_better(result):
            self.best, self.num_bad_epochs = result, 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter:
            self.cooldown_counter, self.num_bad_epochs = self.cooldown_counter - 1, 0
        if self.num_bad_epochs > self.patience:
            self._reduce()
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0
        self._last_lr = rates(self.optimizer)

    def _is_better(self, result: float) -> bool:
        if self.threshold_mode == "rel":
            by = 1 - self.threshold if self.mode == "min" else 1 + self.threshold
            bound = self.best * by
        else:
            bound = self.best - self.threshold if self.mode == "min" else self.best + self.threshold
        return result < bound if self.mode == "min" else result > bound

    def _reduce(self) -> None:
        least = one_each("min_lr", self.optimizer, self.min_lrs)
        for group, low, rate in zip(
            self.optimizer.param_groups, least, rates(self.optimizer), strict=True
        ):
            reduced = max(rate * self.factor, low)
            if rate - reduced > self.eps:
                put(group, "lr", reduced)
