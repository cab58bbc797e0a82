"""Schedules that go up and down, and may move the momentum the other way: CyclicLR, OneCycleLR; WarmupCosineLR."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Literal

from tessella.arguments import public
from tessella.arguments.kinds import Count, Natural, NotNegative, Probability
from tessella.errors import ArgumentError
from tessella.optim.optimiser import Optimizer
from tessella.optim.schedules import LRScheduler, PerGroup, one_each, put


class _Cycle(LRScheduler):
    """Schedules that move a momentum besides: `momentum`, or the first of `betas`."""

    cycle_momentum: bool
    use_beta1: bool

    def _find_momentum(self, optimizer: Optimizer) -> None:
        options = optimizer.defaults
        if "momentum" not in options and "betas" not in options:
            raise ArgumentError(
                f"cycle_momentum: {type(optimizer).__name__} has neither momentum nor betas; give cycle_momentum=False"
            )
        self.use_beta1 = "betas" in options

    def _put_momentum(self, group: dict[str, Any], value: float) -> None:
        if self.use_beta1:
            group["betas"] = (value, *group["betas"][1:])
        else:
            put(group, "momentum", value)

    def _bound_momentum(self, least: list[float], most: list[float]) -> None:
        for group, low, high in zip(self.optimizer.param_groups, least, most, strict=True):
            self._put_momentum(group, high)
            group["max_momentum"], group["base_momentum"] = high, low


_SHAPES: dict[str, Callable[[float, float], float]] = {
    "triangular": lambda gamma, x: 1.0,
    "triangular2": lambda gamma, x: 1 / 2.0 ** (x - 1),
    "exp_range": lambda gamma, x: gamma**x,
}


class CyclicLR(_Cycle):
    """Rates that go up from base_lr to max_lr in step_size_up steps, and down again in step_size_down.

    The height of the triangles is the same ("triangular"), halves with each cycle ("triangular2"), or is multiplied by
    gamma at each step ("exp_range"). The momentum goes the other way between max_momentum and base_momentum.

    Args:
        scale_fn: gives the height instead, for the cycle (1, 2, ...) or, with scale_mode "iterations", the step.

    Source: Smith, *Cyclical learning rates for training neural networks* (2017).
    """

    _kept_out = ("optimizer", "_scale_fn_custom")

    @public
    def __init__(
        self, optimizer: Optimizer, base_lr: PerGroup, max_lr: PerGroup, step_size_up: Count = 2000,
        step_size_down: Count | None = None,
        mode: Literal["triangular", "triangular2", "exp_range"] = "triangular", gamma: float = 1.0,
        scale_fn: Callable[[float], float] | None = None,
        scale_mode: Literal["cycle", "iterations"] = "cycle", cycle_momentum: bool = True,
        base_momentum: PerGroup = 0.8, max_momentum: PerGroup = 0.9, last_epoch: int = -1,
    ) -> None:  # fmt: skip
        self.optimizer, starts = optimizer, one_each("base_lr", optimizer, base_lr)
        self.max_lrs = one_each("max_lr", optimizer, max_lr)
        down = step_size_up if step_size_down is None else step_size_down
        self.total_size = float(step_size_up + down)
        self.step_ratio = step_size_up / self.total_size
        self.mode, self.gamma, self._scale_fn_custom = mode, gamma, scale_fn
        by_step = mode == "exp_range" and scale_fn is None
        self.scale_mode = scale_mode if scale_fn else "iterations" if by_step else "cycle"
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            self._find_momentum(optimizer)
            self.base_momentums = one_each("base_momentum", optimizer, base_momentum)
            self.max_momentums = one_each("max_momentum", optimizer, max_momentum)
            if last_epoch == -1:
                self._bound_momentum(self.base_momentums, self.max_momentums)
        self.base_lrs = starts
        super().__init__(optimizer, last_epoch)
        self.base_lrs = starts
        self._write(self.get_lr())

    def scale_fn(self, x: float) -> float:
        """The height of the triangle of a cycle, or at a step."""
        if self._scale_fn_custom is not None:
            return float(self._scale_fn_custom(x))
        return _SHAPES[self.mode](self.gamma, x)

    def state_dict(self) -> dict[str, Any]:
        """All that it counts, and what an object that scales holds."""
        held = getattr(self._scale_fn_custom, "__dict__", None) or None
        return {**super().state_dict(), "_scale_fn_custom": held and dict(held)}

    @public
    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take what `state_dict` gave, here or in PyTorch."""
        super().load_state_dict(state_dict)
        if state_dict.get("_scale_fn_custom") and self._scale_fn_custom is not None:
            vars(self._scale_fn_custom).update(state_dict["_scale_fn_custom"])

    def get_lr(self) -> list[float]:
        """The rates of all groups for `last_epoch`; writes their momentum."""
        cycle = math.floor(1 + self.last_epoch / self.total_size)
        x = 1.0 + self.last_epoch / self.total_size - cycle
        share = x / self.step_ratio if x <= self.step_ratio else (x - 1) / (self.step_ratio - 1)
        height = share * self.scale_fn(cycle if self.scale_mode == "cycle" else self.last_epoch)
        if self.cycle_momentum:
            bounds = zip(self.base_momentums, self.max_momentums, strict=True)
            for group, (low, high) in zip(self.optimizer.param_groups, bounds, strict=True):
                self._put_momentum(group, high - (high - low) * height)
        bounds = zip(self.base_lrs, self.max_lrs, strict=True)
        return [low + (high - low) * height for low, high in bounds]


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) / 2.0 * (math.cos(math.pi * share) + 1)


def _line(start: float, end: float, share: float) -> float:
    return (end - start) * share + start


_ANNEALING = {"cos": _cosine, "linear": _line}


class OneCycleLR(_Cycle):
    """One cycle: up from max_lr / div_factor to max_lr, and down to that over div_factor final_div_factor.

    The way up takes the share pct_start of all steps; with three_phase as many lead down to where it began, and the
    rest further. The momentum goes the other way.

    Args:
        total_steps: of the cycle; or give epochs and steps_per_epoch.
        anneal_strategy: "cos" or "linear", how it goes up and down.

    Raises:
        ArgumentError: it is not said how many steps there are, or there are more of them.

    Source: Smith & Topin, *Super-convergence: very fast training of neural networks using large learning rates* (2018).
    """

    @public
    def __init__(
        self, optimizer: Optimizer, max_lr: PerGroup, total_steps: Count | None = None,
        epochs: Count | None = None, steps_per_epoch: Count | None = None, pct_start: Probability = 0.3,
        anneal_strategy: Literal["cos", "linear"] = "cos", cycle_momentum: bool = True,
        base_momentum: PerGroup = 0.85, max_momentum: PerGroup = 0.95, div_factor: float = 25.0,
        final_div_factor: float = 1e4, three_phase: bool = False, last_epoch: int = -1,
    ) -> None:  # fmt: skip
        self.optimizer = optimizer
        if total_steps is None and (epochs is None or steps_per_epoch is None):
            raise ArgumentError("total_steps: give it, or both epochs and steps_per_epoch")
        self.total_steps = total_steps or (epochs or 0) * (steps_per_epoch or 0)
        self._schedule_phases = _phases(pct_start * self.total_steps, self.total_steps, three_phase)
        self._anneal_func_type = anneal_strategy
        highest = one_each("max_lr", optimizer, max_lr)
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            self._find_momentum(optimizer)
        if last_epoch == -1:
            for group, high in zip(optimizer.param_groups, highest, strict=True):
                low = high / div_factor
                group.update(initial_lr=low, max_lr=high, min_lr=low / final_div_factor)
            if cycle_momentum:
                self._bound_momentum(
                    one_each("base_momentum", optimizer, base_momentum),
                    one_each("max_momentum", optimizer, max_momentum),
                )
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """The rates of all groups for `last_epoch`; writes their momentum.

        Raises:
            ArgumentError: the cycle is over.
        """
        step = self.last_epoch
        if step > self.total_steps:
            raise ArgumentError(
                f"OneCycleLR: step {step} of {self.total_steps}; give a larger total_steps, or stop stepping"
            )
        start, phase = 0.0, self._schedule_phases[0]
        for after in self._schedule_phases[1:]:
            if step <= phase["end_step"]:
                break
            start, phase = phase["end_step"], after
        share, go = (step - start) / (phase["end_step"] - start), _ANNEALING[self._anneal_func_type]
        found = []
        for group in self.optimizer.param_groups:
            found.append(go(group[phase["start_lr"]], group[phase["end_lr"]], share))
            if self.cycle_momentum:
                ends = group[phase["start_momentum"]], group[phase["end_momentum"]]
                self._put_momentum(group, go(*ends, share))
        return found


def _phases(rise: float, steps: int, three: bool) -> list[dict[str, Any]]:
    """Where each phase ends, and between which options of a group it goes."""
    rows = [(rise - 1, "initial_lr", "max_lr", "max_momentum", "base_momentum")]
    if three:
        rows += [(2 * rise - 2, "max_lr", "initial_lr", "base_momentum", "max_momentum")]
        rows += [(steps - 1, "initial_lr", "min_lr", "max_momentum", "max_momentum")]
    else:
        rows += [(steps - 1, "max_lr", "min_lr", "base_momentum", "max_momentum")]
    names = ("end_step", "start_lr", "end_lr", "start_momentum", "end_momentum")
    return [dict(zip(names, row, strict=True)) for row in rows]


class WarmupCosineLR(LRScheduler):
    """Up to the rate of the optimiser in warmup_steps steps, then down along a cosine until total_steps.

    t < warmup_steps: lr = initial (t + 1) / (warmup_steps + 1), so that the first step moves, too
    then: lr = eta_min + (initial - eta_min) (1 + cos(pi (t - warmup_steps) / (total_steps - warmup_steps))) / 2
    after total_steps: lr = eta_min

    Raises:
        ArgumentError: the warm-up is not shorter than all.

    >>> import tessella as ts
    >>> optimiser = ts.optim.SGD([ts.nn.Parameter(ts.ones(2))], lr=1.0)
    >>> schedule = ts.optim.lr_scheduler.WarmupCosineLR(optimiser, warmup_steps=3, total_steps=7)
    >>> found = []
    >>> for _ in range(8):
    ...     found.append(round(optimiser.param_groups[0]["lr"], 2))
    ...     schedule.step()
    >>> found
    [0.25, 0.5, 0.75, 1.0, 0.85, 0.5, 0.15, 0.0]
    """

    @public
    def __init__(
        self, optimizer: Optimizer, warmup_steps: Natural, total_steps: Count,
        eta_min: NotNegative = 0.0, last_epoch: int = -1,
    ) -> None:  # fmt: skip
        if warmup_steps >= total_steps:
            raise ArgumentError(
                f"warmup_steps: it is {warmup_steps} of {total_steps} steps in all; expected fewer"
            )
        self.warmup_steps, self.total_steps, self.eta_min = warmup_steps, total_steps, eta_min
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """The rates of all groups for `last_epoch`."""
        step, warm = self.last_epoch, self.warmup_steps
        if step < warm:
            return [base * ((step + 1) / (warm + 1)) for base in self.base_lrs]
        share = min((step - warm) / (self.total_steps - warm), 1.0)
        return [_cosine(base, self.eta_min, share) for base in self.base_lrs]
