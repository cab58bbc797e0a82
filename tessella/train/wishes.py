"""What `fit` was asked for, and what is made of it: a step, and a training that has not begun."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Sequence
from typing import Any

from tessella import dtypes
from tessella.arguments.kinds import shown
from tessella.errors import ArgumentTypeError
from tessella.nn.module import Module
from tessella.optim.optimiser import Optimizer
from tessella.train.evaluation import Evaluator, metrics_of, require_module
from tessella.train.feeding import Feed, require_batches
from tessella.train.forward import forward_of
from tessella.train.made import average_of, scaler_of
from tessella.train.steps import CompiledStep, Step, UsersStep, parameters_of
from tessella.train.stopping import Judge, limits, mode_of
from tessella.train.training import Training


class Wishes:
    """The arguments of `fit`, looked at."""

    def __init__(
        self, model: Any, data: Any, loss: Any, optimizer: Any, epochs: Any, steps: Any, max_time: Any, validation: Any,
        metrics: Any, log_every: int, forward: Any, step: Any, accumulate: int, clip_norm: Any, precision: Any,
        scaler: Any, ema: Any, scheduler: Any, schedule_by: str, monitor: str, mode: Any, patience: Any,
        callbacks: Sequence[Callable[..., Any]],
    ) -> None:  # fmt: skip
        _require_parts(model, optimizer, step)
        self.model, self.optimizer, self.scheduler = model, optimizer, scheduler
        self.loss, self.forward, self.step = loss, forward, step
        self.data, self.validation = require_batches(data, "data"), validation
        self.limits = limits(epochs, steps, max_time)
        self.metrics = metrics_of(metrics)
        self.accumulate, self.clip_norm, self.log_every = accumulate, clip_norm, log_every
        self.precision = None if precision is None else dtypes.as_dtype(precision)
        self.scaler, self.average = scaler_of(scaler, self.precision), average_of(ema, model)
        self.schedule_by = schedule_by
        self.judge = Judge(monitor, mode_of(monitor, mode, self.metrics), patience)
        self.callbacks = callbacks
        self.forward_pass = forward_of(loss, forward)

    def training_made(self) -> Training:
        """A training that has not begun."""
        return Training(
            self.model, self.optimizer, self.scheduler, self.scaler, self.average, take=self._step(),
            names=_names(self.model, self.optimizer), feed=Feed(self.data, self.accumulate), metrics=self.metrics,
            evaluator=self._evaluator(), validation=self.validation, judge=self.judge, limits=self.limits,
            log_every=self.log_every, schedule_by=self.schedule_by, callbacks=self.callbacks,
        )  # fmt: skip

    def _step(self) -> Step:
        """What does a step."""
        if self.step is not None:
            return UsersStep(self.step, bool(self.metrics))
        return CompiledStep(
            self.model, self.forward_pass, self.optimizer, clip_norm=self.clip_norm, precision=self.precision,
            scaler=self.scaler, average=self.average, keeps_results=bool(self.metrics),
        )  # fmt: skip

    def _evaluator(self) -> Evaluator | None:
        if self.validation is None:
            return None
        require_batches(self.validation, "validation")
        measured = self.model if self.average is None else self.average.module
        return Evaluator(
            measured, self.forward_pass, copy.deepcopy(self.metrics), self.precision, bool(self.callbacks)
        )  # fmt: skip

    def told(self, config: Any, every: int | None) -> dict[str, Any]:
        """What the run is: what must be the same if it is to go on."""
        return {
            "command": sys.argv if config is None else None,
            "config": config,
            "model": {"class": _name(self.model), "parameters": _told_of_model(self.model)},
            "optimizer": _told_of_optimizer(self.optimizer),
            "scheduler": None if self.scheduler is None else _name(self.scheduler),
            "schedule_by": self.schedule_by,
            "loss": _name(self.loss), "forward": _name(self.forward), "step": _name(self.step),
            "accumulate": self.accumulate, "clip_norm": self.clip_norm, "precision": self.precision and self.precision.name,
            "average": self.average is not None, "scaler": self.scaler is not None,
            "metrics": [metric.name for metric in self.metrics], "monitor": self.judge.monitor,
            "validation": self.validation is not None, "every": every, "log_every": self.log_every,
        }  # fmt: skip


def _require_parts(model: Any, optimizer: Any, step: Any) -> None:
    """
    Raises:
        ArgumentTypeError, ArgumentError: something is missing, or is something else.
    """
    require_module(model)
    if step is None and not isinstance(optimizer, Optimizer):
        given = "nothing" if optimizer is None else shown(optimizer)
        raise ArgumentTypeError(
            f"optimizer: {given} was given; expected one such as ts.optim.AdamW(model.parameters(), lr=1e-3)"
        )
    if step is not None and not callable(step):
        raise ArgumentTypeError(f"step: {shown(step)} was given; expected a function of a batch")


def _names(model: Any, optimizer: Any) -> list[str]:
    """The names of all that an optimiser moves."""
    if not isinstance(optimizer, Optimizer):
        return []
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return [names.get(id(p), f"parameter {i}") for i, p in enumerate(parameters_of(optimizer))]


def _name(part: Any) -> Any:
    """What something is called."""
    if part is None or isinstance(part, (list, tuple)):
        return part and [_name(one) for one in part]
    return getattr(part, "__qualname__", type(part).__qualname__)


def _told_of_model(model: Module) -> dict[str, str]:
    return {name: f"{x.dtype.name}{list(x.shape)}" for name, x in model.named_parameters()}


def _told_of_optimizer(optimizer: Any) -> Any:
    if isinstance(optimizer, (list, tuple)):
        return [_told_of_optimizer(one) for one in optimizer]
    if not isinstance(optimizer, Optimizer):
        return _name(optimizer)
    return {"class": _name(optimizer), **{n: str(x) for n, x in optimizer.defaults.items()}}
