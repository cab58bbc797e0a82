"""Averages of a model over the steps of its training: exponential, or of equal weights (SWA). PyTorch's names."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

from tessella import autodiff, dtypes, nn
from tessella.arguments import public
from tessella.arguments.kinds import Device, Natural, Probability
from tessella.errors import ArgumentError, ShapeError
from tessella.nn.module import Module
from tessella.optim.optimiser import Optimizer
from tessella.optim.rules import keep, mix
from tessella.optim.schedules import LRScheduler, PerGroup, one_each
from tessella.tensors.creation import ones_like, zeros, zeros_like
from tessella.tensors.elementwise import where
from tessella.tensors.tensor import Tensor, is_traced

Averaging = Callable[[Tensor, Tensor, Any], Tensor]
AveragingAll = Callable[[Sequence[Tensor], Sequence[Tensor], Any], None]


def _mixed(average: Tensor, current: Tensor, share: Any) -> Tensor:
    """An average with some share of what is there now; whole numbers are rounded towards 0."""
    return mix(average, current, share).astype(average.dtype)


def _equal_share(average: Tensor, count: Any) -> Any:
    if not isinstance(count, Tensor):
        return 1 / (count + 1)
    kind = average.dtype if average.dtype.is_float else dtypes.float32
    return 1.0 / (count + 1).astype(kind.compute)


@public
def get_ema_avg_fn(decay: Probability = 0.999) -> Averaging:
    """What gives decay average + (1 - decay) current."""
    share = 1 - decay
    return lambda average, current, count: _mixed(average, current, share)


def get_swa_avg_fn() -> Averaging:
    """What gives the mean of all there were: average + (current - average) / (count + 1)."""
    return lambda average, current, count: _mixed(average, current, _equal_share(average, count))


def _for_all(one: Averaging) -> AveragingAll:
    def update(averages: Sequence[Tensor], currents: Sequence[Tensor], count: Any) -> None:
        with autodiff.no_grad():
            for average, current in zip(averages, currents, strict=True):
                keep(average, one(average.detach(), current.detach(), count))

    return update


@public
def get_ema_multi_avg_fn(decay: Probability = 0.999) -> AveragingAll:
    """Likewise, of lists of tensors, the first of which are written to."""
    return _for_all(get_ema_avg_fn(decay))


def get_swa_multi_avg_fn() -> AveragingAll:
    """Likewise, of lists of tensors, the first of which are written to."""
    return _for_all(get_swa_avg_fn())


class AveragedModel(Module):
    """A copy of a model whose parameters are averages of those the model had.

    `update_parameters(model)` after a step takes the parameters in; the first time it copies them. It may stand in a
    compiled step.

    Args:
        device: where the averages are.
        avg_fn: gives the new average of (average, current, count); the mean of all by default.
        multi_avg_fn: likewise, writes to the first of two lists of tensors.
        use_buffers: average the buffers, too; else they are copied.

    Raises:
        ArgumentError: both functions are given.

    Source: Izmailov et al., *Averaging weights leads to wider optima and better generalization* (2018).

    >>> import tessella as ts
    >>> model = ts.nn.Linear(1, 1, bias=False)
    >>> averaged = ts.optim.swa_utils.AveragedModel(model)
    >>> for value in (1.0, 2.0, 6.0):
    ...     _ = ts.nn.init.constant_(model.weight, value)
    ...     averaged.update_parameters(model)
    >>> averaged(ts.ones((1, 1))).item()
    3.0
    """

    n_averaged: Tensor

    @public
    def __init__(
        self, model: Module, device: Device = None,
        avg_fn: Callable[[Tensor, Tensor, Any], Tensor] | None = None,
        multi_avg_fn: Callable[[Any, Any, Any], None] | None = None, use_buffers: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise ArgumentError("avg_fn: it was given, and multi_avg_fn, too; expected one of them")
        self.module = copy.deepcopy(model)
        if device is not None:
            self.module.to(device)
        self.register_buffer("n_averaged", zeros((), dtype=dtypes.int64, device=device))
        self.avg_fn, self.multi_avg_fn, self.use_buffers = avg_fn, multi_avg_fn, use_buffers

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the averaged model gives."""
        return self.module(*args, **kwargs)

    @public
    def update_parameters(self, model: Module) -> None:
        """Take the parameters of a model into the averages.

        Raises:
            ShapeError: it is another model than the one that was copied.
        """
        own, others = self._averaged(self.module), self._averaged(model)
        if [tensor.shape for tensor in own] != [tensor.shape for tensor in others]:
            raise ShapeError(
                "update_parameters: the model has other parameters than the one that was copied; give that one"
            )
        with autodiff.no_grad():
            currents = [
                x.detach().to_device(average.device) for average, x in zip(own, others, strict=True)
            ]
            self._update(own, currents)
            if not self.use_buffers:
                for average, buffer in zip(self.module.buffers(), model.buffers(), strict=True):
                    average.assign(buffer.detach().to_device(average.device))
            self.n_averaged.assign(self.n_averaged + 1)

    def _averaged(self, model: Module) -> list[Tensor]:
        return [*model.parameters(), *(model.buffers() if self.use_buffers else ())]

    def _update(self, averages: list[Tensor], currents: list[Tensor]) -> None:
        is_known = not is_traced()
        if is_known and not self.n_averaged:
            for average, current in zip(averages, currents, strict=True):
                average.assign(current)
            return
        update = self.multi_avg_fn or _for_all(self.avg_fn or get_swa_avg_fn())
        update(averages, currents, self.n_averaged)
        if is_known:
            return
        for average, current in zip(
            averages, currents, strict=True
        ):  # at whichever call is the first
            keep(average, where(self.n_averaged == 0, current, average.detach()))


@public
def update_bn(loader: Iterable[Any], model: Module, device: Device = None) -> None:
    """Measure the statistics of all batch normalisations anew, over the batches of a loader.

    Averaged weights have other statistics than those that were averaged.

    Args:
        loader: gives batches, or tuples whose first item is one.
        device: where the batches are brought.
    """
    kinds = tuple(getattr(nn, name) for name in nn.__all__ if "BatchNorm" in name)
    found = [m for m in model.modules() if isinstance(m, kinds) and m.running_mean is not None]
    if not found:
        return
    momenta, was_training = [module.momentum for module in found], model.training
    for module in found:
        module.running_mean.assign(zeros_like(module.running_mean))
        module.running_var.assign(ones_like(module.running_var))
        module.num_batches_tracked.assign(zeros_like(module.num_batches_tracked))
        module.momentum = None  # the mean over all batches
    try:
        model.train()
        with autodiff.no_grad():
            for batch in loader:
                x = batch[0] if isinstance(batch, (list, tuple)) else batch
                model(x if device is None else x.to_device(device))
    finally:
        for module, momentum in zip(found, momenta, strict=True):
            module.momentum = momentum
        model.train(was_training)


_ANNEALING: dict[str, Callable[[float], float]] = {
    "cos": lambda share: (1 - math.cos(math.pi * share)) / 2,
    "linear": lambda share: share,
}


class SWALR(LRScheduler):
    """From the rates that are there to swa_lr, in anneal_epochs steps; then it stays.

    Args:
        swa_lr: for all groups, or each.
        anneal_strategy: "cos" or "linear".

    Source: Izmailov et al., *Averaging weights leads to wider optima and better generalization* (2018).
    """

    @public
    def __init__(
        self, optimizer: Optimizer, swa_lr: PerGroup, anneal_epochs: Natural = 10,
        anneal_strategy: Literal["cos", "linear"] = "cos", last_epoch: int = -1,
    ) -> None:  # fmt: skip
        for group, rate in zip(
            optimizer.param_groups, one_each("swa_lr", optimizer, swa_lr), strict=True
        ):
            group["swa_lr"] = rate
        self.anneal_epochs, self._anneal_strategy = anneal_epochs, anneal_strategy
        super().__init__(optimizer, last_epoch)

    def _share(self, step: int) -> float:
        share = max(0.0, min(1.0, step / max(1, self.anneal_epochs)))
        return _ANNEALING[self._anneal_strategy](share)

    def get_lr(self) -> list[float]:
        """The rates of all groups, from those before."""
        step = self._step_count - 1 if self.anneal_epochs else max(1, self._step_count - 1)
        before, now = self._share(step - 1), self._share(step)
        found = []
        for group in self.optimizer.param_groups:
            rate, goal = float(group["lr"]), group["swa_lr"]
            start = goal if before == 1 else (rate - before * goal) / (1 - before)
            found.append(goal * now + start * (1 - now))
        return found


__all__ = [
    "SWALR",
    "AveragedModel",
    "get_ema_avg_fn",
    "get_ema_multi_avg_fn",
    "get_swa_avg_fn",
    "get_swa_multi_avg_fn",
    "update_bn",
]
