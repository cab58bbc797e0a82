"""Schedules: learning rates that change from step to step, with PyTorch's numbers and checkpoints.

A schedule writes `lr` (and some a momentum) into the groups of its optimiser. Compiled steps read them at every call.
Most are chainable: a step multiplies the rate that is there, so that several may act on one optimiser.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from tessella.arguments import public
from tessella.arguments.kinds import (
    UNFIT,
    Count,
    Kind,
    Natural,
    NotNegative,
    Probability,
    register_class,
    register_kind,
    shown,
)
from tessella.errors import ArgumentError, MissingRuleError, SideEffectError, StateDictError
from tessella.optim.optimiser import Optimizer
from tessella.optim.rules import is_number
from tessella.tensors.creation import full_like
from tessella.tensors.tensor import Tensor, is_traced

register_class("Optimizer", lambda: Optimizer, "an optimiser")
Callables: TypeAlias = Callable[[int], float] | Sequence[Callable[[int], float]]
register_kind(
    "Callables",
    Kind("a function, or a list of one for each group", "callable({0})", lambda x: x if _are_functions(x) else UNFIT),
)  # fmt: skip
PerGroup: TypeAlias = float | Sequence[float]
register_kind(
    "PerGroup",
    Kind("a number, or a list of one for each group", "False", lambda x: x if _are_numbers(x) else UNFIT),
)  # fmt: skip
_OF_PYTORCH = (
    "_get_lr_called_within_step",
    "_is_initial",
)  # in its checkpoints, and of no use here


def _are_functions(value: Any) -> bool:
    return callable(value) or (isinstance(value, (list, tuple)) and all(map(callable, value)))


def _are_numbers(value: Any) -> bool:
    return all(map(is_number, value if isinstance(value, (list, tuple)) else [value]))


def one_each(name: str, optimizer: Optimizer, value: Any) -> list[Any]:
    """One value for each group of an optimiser: those given, or the same for all.

    Raises:
        ArgumentError: there are more or fewer than groups.
    """
    groups = len(optimizer.param_groups)
    if not isinstance(value, (list, tuple)):
        return [value] * groups
    if len(value) != groups:
        raise ArgumentError(
            f"{name}: {len(value)} values for {groups} groups of parameters; give one for each, or one for all"
        )
    return list(value)


def put(group: dict[str, Any], name: str, value: Any) -> None:
    """Write an option; a tensor that is there is written to, as others may hold it."""
    held = group.get(name)
    if isinstance(held, Tensor):
        held.assign(full_like(held, value))
    else:
        group[name] = value


def rates(optimizer: Optimizer, name: str = "lr") -> list[float]:
    """An option of all groups, as numbers."""
    return [float(group[name]) for group in optimizer.param_groups]


def several(state_dict: Mapping[str, Any], name: str, count: int) -> list[Any]:
    """A list of a checkpoint.

    Raises:
        StateDictError: it is not of so many.
    """
    found = state_dict.get(name)
    if not isinstance(found, (list, tuple)) or len(found) != count:
        raise StateDictError(
            f"load_state_dict: {name} is {shown(found)}; expected a list of {count}, as state_dict() gives it"
        )
    return list(found)


def require_eager(kind: str) -> None:
    """A schedule counts in Python, and would stand still in a program.

    Raises:
        SideEffectError: a function is being traced.
    """
    if is_traced():
        raise SideEffectError(
            f"{kind}: step was called in a traced function, whose program could not count; call it after the compiled "
            "step, which follows the new rate without being compiled again"
        )


class LRScheduler:
    """The base of all schedules. Subclasses give `get_lr`: the rates of all groups for `last_epoch`.

    Args:
        optimizer: whose groups are written to.
        last_epoch: where to go on; -1 to begin.

    Raises:
        ArgumentError: it is to go on, but the groups have no `initial_lr`.
    """

    @public
    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        self.optimizer = optimizer
        for number, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", float(group["lr"]))
            elif "initial_lr" not in group:
                raise ArgumentError(
                    f"last_epoch: it is {last_epoch}, but group {number} of the optimiser has no 'initial_lr' to go on "
                    "from; load the checkpoint of the optimiser first"
                )
        self.base_lrs = rates(optimizer, "initial_lr")
        self.last_epoch = last_epoch
        self.start()

    def start(self) -> None:
        """Write the first rates."""
        require_eager(type(self).__name__)
        self._step_count = 1
        self.last_epoch += 1
        self._write(self._first())

    _takes_over = False  # whether the rates that are there are right, if it goes on

    def _first(self) -> Sequence[float]:
        """The rates at the start."""
        goes_on = self.last_epoch > 0 and self._takes_over
        return rates(self.optimizer) if goes_on else self.get_lr()

    @public
    def step(self, epoch: Natural | None = None) -> None:
        """Go on by one epoch, or to a given one.

        Raises:
            SideEffectError: in a traced function.
        """
        require_eager(type(self).__name__)
        self._step_count += 1
        if epoch is None:
            self.last_epoch += 1
            self._write(self.get_lr())
        else:
            self.go_to(epoch)

    @public
    def go_to(self, epoch: int) -> None:
        """Go to an epoch, whatever was before."""
        self.last_epoch = epoch
        self._write(self._anew())

    def _anew(self) -> Sequence[float]:
        """The rates of an epoch, whatever they were before."""
        return self.get_lr()

    def _write(self, values: Sequence[float]) -> None:
        for group, value in zip(self.optimizer.param_groups, values, strict=True):
            put(group, "lr", value)
        self._last_lr = rates(self.optimizer)

    def get_lr(self) -> list[float]:
        """The rates of all groups for `last_epoch`."""
        raise MissingRuleError(f"{type(self).__name__} has no get_lr; define get_lr(self)")

    def get_last_lr(self) -> list[float]:
        """The rates of all groups that were written last."""
        return list(self._last_lr)

    _kept_out: tuple[str, ...] = ("optimizer",)

    def state_dict(self) -> dict[str, Any]:
        """All that it counts; PyTorch's names."""
        return {name: value for name, value in vars(self).items() if name not in self._kept_out}

    @public
    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take what `state_dict` gave, here or in PyTorch.

        Raises:
            StateDictError: something is missing.
        """
        own = self.state_dict()
        missing = [name for name in own if name not in state_dict]
        if missing:
            raise StateDictError(
                f"load_state_dict: {missing[0]} is missing; is it a checkpoint of {type(self).__name__}?"
            )
        vars(self).update(
            {n: v for n, v in state_dict.items() if n not in (*_OF_PYTORCH, *self._kept_out)}
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}(last_epoch={self.last_epoch}, lr={self._last_lr})"


class Chainable(LRScheduler):
    """Schedules that multiply the rates that are there: `_factor(epoch)` is what they come to."""

    def _factor(self, epoch: int) -> float:
        raise MissingRuleError(f"{type(self).__name__} has no _factor; define _factor(self, epoch)")

    def _ratio(self, epoch: int) -> float | None:
        """By what a step multiplies; None if it does not follow from the rate before, which was 0."""
        before, now = self._factor(epoch - 1), self._factor(epoch)
        if before == now:
            return 1.0
        return now / before if before else None

    def get_lr(self) -> list[float]:
        """The rates of all groups for `last_epoch`."""
        if self.last_epoch == 0:
            return [rate * self._factor(0) for rate in rates(self.optimizer)]
        ratio = self._ratio(self.last_epoch)
        if ratio is None:
            return list(self._anew())
        return [rate * ratio for rate in rates(self.optimizer)]

    def _anew(self) -> Sequence[float]:
        return [base * self._factor(self.last_epoch) for base in self.base_lrs]


class StepLR(Chainable):
    """lr = initial gamma^floor(t / step_size).

    >>> import tessella as ts
    >>> optimiser = ts.optim.SGD([ts.nn.Parameter(ts.ones(2))], lr=1.0)
    >>> schedule = ts.optim.lr_scheduler.StepLR(optimiser, step_size=2)
    >>> for _ in range(3):
    ...     schedule.step()
    >>> schedule.get_last_lr()
    [0.1]
    """

    @public
    def __init__(
        self, optimizer: Optimizer, step_size: Count, gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        self.step_size, self.gamma = step_size, gamma
        super().__init__(optimizer, last_epoch)

    def _factor(self, epoch: int) -> float:
        return float(self.gamma ** (epoch // self.step_size))

    def _ratio(self, epoch: int) -> float:
        return 1.0 if epoch % self.step_size else self.gamma


class MultiStepLR(Chainable):
    """lr = initial gamma^(how many of the milestones there were by t)."""

    @public
    def __init__(
        self, optimizer: Optimizer, milestones: Sequence[int], gamma: float = 0.1, last_epoch: int = -1
    ) -> None:  # fmt: skip
        self.milestones, self.gamma = Counter(milestones), gamma
        super().__init__(optimizer, last_epoch)

    def _factor(self, epoch: int) -> float:
        return float(self.gamma ** bisect_right(sorted(self.milestones.elements()), epoch))

    def _ratio(self, epoch: int) -> float:
        return float(self.gamma ** self.milestones[epoch])


class ConstantLR(Chainable):
    """lr = initial factor for t < total_iters, then initial."""

    @public
    def __init__(
        self, optimizer: Optimizer, factor: Probability = 1.0 / 3, total_iters: Natural = 5,
        last_epoch: int = -1,
    ) -> None:  # fmt: skip
        self.factor, self.total_iters = factor, total_iters
        super().__init__(optimizer, last_epoch)

    def _factor(self, epoch: int) -> float:
        return self.factor if epoch < self.total_iters else 1.0


class LinearLR(Chainable):
    """lr = initial times a factor that goes from start_factor to end_factor in total_iters steps.

    Raises:
        ArgumentError: start_factor is not above 0 and at most 1.
    """

    _takes_over = True

    @public
    def __init__(
        self, optimizer: Optimizer, start_factor: Probability = 1.0 / 3, end_factor: Probability = 1.0,
        total_iters: Count = 5, last_epoch: int = -1,
    ) -> None:  # fmt: skip
        if start_factor == 0:
            raise ArgumentError(
                "start_factor: it is 0, and no factor leads away from there; expected a number above 0 and at most 1"
            )
        self.start_factor, self.end_factor = start_factor, end_factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def _factor(self, epoch: int) -> float:
        share = min(epoch, self.total_iters) / self.total_iters
        return self.start_factor + (self.end_factor - self.start_factor) * share


class ExponentialLR(Chainable):
    """lr = initial gamma^t."""

    _takes_over = True

    @public
    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def _factor(self, epoch: int) -> float:
        return float(self.gamma**epoch)

    def _ratio(self, epoch: int) -> float:
        return self.gamma


class PolynomialLR(Chainable):
    """lr = initial (1 - min(t, total_iters) / total_iters)^power."""

    _takes_over = True

    @public
    def __init__(
        self, optimizer: Optimizer, total_iters: Count = 5, power: float = 1.0, last_epoch: int = -1
    ) -> None:
        self.total_iters, self.power = total_iters, power
        super().__init__(optimizer, last_epoch)

    def _factor(self, epoch: int) -> float:
        return float((1.0 - min(epoch, self.total_iters) / self.total_iters) ** self.power)


class CosineAnnealingLR(LRScheduler):
    """lr = eta_min + (initial - eta_min) (1 + cos(pi t / T_max)) / 2.

    Source: Loshchilov & Hutter, *SGDR: stochastic gradient descent with warm restarts* (2017), without restarts.
    """

    _takes_over = True

    @public
    def __init__(
        self, optimizer: Optimizer, T_max: Count, eta_min: float = 0.0, last_epoch: int = -1
    ) -> None:
        self.T_max, self.eta_min = T_max, eta_min
        super().__init__(optimizer, last_epoch)

    def _height(self, epoch: int) -> float:
        return 1 + math.cos(math.pi * epoch / self.T_max)

    def get_lr(self) -> list[float]:
        """The rates of all groups for `last_epoch`, from those before."""
        now, least = rates(self.optimizer), self.eta_min
        if self.last_epoch == 0:
            return now
        if (self.last_epoch - 1 - self.T_max) % (2 * self.T_max) == 0:  # it was at the bottom
            up = (1 - math.cos(math.pi / self.T_max)) / 2
            return [r + (base - least) * up for r, base in zip(now, self.base_lrs, strict=True)]
        ratio = self._height(self.last_epoch) / self._height(self.last_epoch - 1)
        return [ratio * (rate - least) + least for rate in now]

    def _anew(self) -> Sequence[float]:
        height, least = self._height(self.last_epoch), self.eta_min
        return [least + (base - least) * height / 2 for base in self.base_lrs]


class CosineAnnealingWarmRestarts(LRScheduler):
    """lr = eta_min + (initial - eta_min) (1 + cos(pi T_cur / T_i)) / 2, over and over.

    The first time takes T_0 epochs, each one after it T_mult times as many as the one before.

    Source: Loshchilov & Hutter, *SGDR: stochastic gradient descent with warm restarts* (2017), equation 5.
    """

    @public
    def __init__(
        self, optimizer: Optimizer, T_0: Count, T_mult: Count = 1, eta_min: float = 0.0,
        last_epoch: int = -1,
    ) -> None:  # fmt: skip
        self.T_0 = self.T_i = T_0
        self.T_mult, self.eta_min, self.T_cur = T_mult, eta_min, float(last_epoch)
        super().__init__(optimizer, last_epoch)

    def start(self) -> None:
        """Write the first rates."""
        self._step_count = 0
        self.step(0 if self.last_epoch < 0 else None)

    def get_lr(self) -> list[float]:
        """The rates of all groups, for how far the time is."""
        height = 1 + math.cos(math.pi * self.T_cur / self.T_i)
        return [self.eta_min + (base - self.eta_min) * height / 2 for base in self.base_lrs]

    @public
    def step(self, epoch: NotNegative | None = None) -> None:
        """Go on by one epoch, or to a given one, which may be a fraction: `epoch + batch / batches`."""
        require_eager(type(self).__name__)
        self._step_count += 1
        if epoch is None and self.last_epoch < 0:
            epoch = 0
        if epoch is None:
            epoch = self.last_epoch + 1
            self.T_cur += 1
            if self.T_cur >= self.T_i:
                self.T_cur, self.T_i = self.T_cur % self.T_i, self.T_i * self.T_mult
        else:
            self._find(epoch)
        self.last_epoch = math.floor(epoch)
        self._write(self.get_lr())

    def _find(self, epoch: float) -> None:
        """Which of the times an epoch is in, and where."""
        if self.T_mult == 1:
            self.T_cur, self.T_i = epoch % self.T_0, self.T_0
            return
        self.T_cur, self.T_i = epoch, self.T_0
        while self.T_cur >= self.T_i:
            self.T_cur, self.T_i = self.T_cur - self.T_i, self.T_i * self.T_mult


class _ByFunction(LRScheduler):
    """Schedules that functions of users tell. Of these, only objects are kept in checkpoints."""

    _kept_out = ("optimizer", "lr_lambdas")

    @public
    def __init__(self, optimizer: Optimizer, lr_lambda: Callables, last_epoch: int = -1) -> None:
        self.lr_lambdas = one_each("lr_lambda", optimizer, lr_lambda)
        super().__init__(optimizer, last_epoch)

    def _given(self) -> list[float]:
        return [float(function(self.last_epoch)) for function in self.lr_lambdas]

    def state_dict(self) -> dict[str, Any]:
        """All that it counts, and what objects among the functions hold."""
        return {**super().state_dict(), "lr_lambdas": [_held(f) for f in self.lr_lambdas]}

    @public
    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take what `state_dict` gave, here or in PyTorch."""
        saved = several(state_dict, "lr_lambdas", len(self.lr_lambdas))
        super().load_state_dict(state_dict)
        for function, held in zip(self.lr_lambdas, saved, strict=True):
            if held is not None:
                vars(function).update(held)


def _held(function: Any) -> dict[str, Any] | None:
    is_function = isinstance(function, type(lambda: None)) or not hasattr(function, "__dict__")
    return None if is_function else dict(vars(function))


class LambdaLR(_ByFunction):
    """lr = initial lr_lambda(t).

    Args:
        lr_lambda: a function of the epoch, or a list of one for each group.

    >>> import tessella as ts
    >>> optimiser = ts.optim.SGD([ts.nn.Parameter(ts.ones(2))], lr=1.0)
    >>> schedule = ts.optim.lr_scheduler.LambdaLR(optimiser, lambda epoch: 1 / (1 + epoch))
    >>> schedule.step()
    >>> optimiser.param_groups[0]["lr"]
    0.5
    """

    def get_lr(self) -> list[float]:
        """The rates of all groups for `last_epoch`."""
        return [base * factor for base, factor in zip(self.base_lrs, self._given(), strict=True)]


class MultiplicativeLR(_ByFunction):
    """Each step multiplies lr by lr_lambda(t).

    Args:
        lr_lambda: a function of the epoch, or a list of one for each group.
    """

    def _first(self) -> Sequence[float]:
        return rates(self.optimizer)

    def get_lr(self) -> list[float]:
        """The rates of all groups for `last_epoch`, from those before."""
        return [rate * f for rate, f in zip(rates(self.optimizer), self._given(), strict=True)]


__all__ = [
    "Chainable",
    "ConstantLR",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "ExponentialLR",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "MultiplicativeLR",
    "PolynomialLR",
    "StepLR",
]
