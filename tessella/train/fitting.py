"""`fit`: the training loop."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any, Literal

from tessella.arguments import public
from tessella.arguments.kinds import Count, DTypeLike, NotNegative
from tessella.errors import ArgumentError
from tessella.train.evaluation import Evaluator, metrics_of
from tessella.train.feeding import Feed, require_batches
from tessella.train.forward import forward_of
from tessella.train.history import History
from tessella.train.made import average_of, names_of, scaler_of
from tessella.train.steps import CompiledStep, Step, step_of_users
from tessella.train.stopping import Judge, limits, mode_of
from tessella.train.training import Training


@public
def fit(
    model: Any, data: Any, loss: Any = None, optimizer: Any = None, *,
    epochs: Count | None = None, steps: Count | None = None, max_time: NotNegative | None = None,
    validation: Any = None, metrics: Any = (), every: Count | None = None, log_every: Count = 10,
    forward: Any = None, step: Any = None, accumulate: Count = 1, clip_norm: NotNegative | None = None,
    precision: DTypeLike = None, scaler: Any = None, ema: Any = None,
    scheduler: Any = None, schedule_by: Literal['step', 'epoch'] = "step",
    monitor: str = "loss", mode: str | None = None, patience: Count | None = None,
    callbacks: Sequence[Callable[..., Any]] = (), progress: bool = True,
) -> History:  # fmt: skip
    """Train a model.

    >>> import tessella as ts
    >>> ts.manual_seed(0)
    >>> x = ts.randn(64, 3)
    >>> data = [(x[i : i + 16], x[i : i + 16].sum(axis=1, keepdims=True)) for i in range(0, 64, 16)]
    >>> model = ts.nn.Linear(3, 1)
    >>> history = ts.train.fit(
    ...     model, data, ts.nn.functional.mse_loss, ts.optim.Adam(model.parameters(), lr=0.1), epochs=20, progress=False
    ... )
    >>> history.epochs[-1]["loss"] < 0.1 * history.epochs[0]["loss"], history.stopped
    (True, 'epochs')
    """
    measured = metrics_of(metrics)
    passes = forward_of(loss, forward)
    average, scaler = average_of(ema, model), scaler_of(scaler, precision)
    if step is None:
        if optimizer is None:
            raise ArgumentError(
                "fit: give an optimizer, for example ts.optim.AdamW(model.parameters()), or a step"
            )
        take: Step = CompiledStep(
            model, passes, optimizer, clip_norm=clip_norm, precision=precision, scaler=scaler, average=average,
            keeps_results=bool(measured),
        )  # fmt: skip
    else:
        take = step_of_users(step, bool(measured))
    feed = Feed(data, accumulate)
    judged = model if average is None else average.module
    evaluator = (
        None
        if validation is None
        else Evaluator(judged, passes, copy.deepcopy(measured), precision, None)
    )
    training = Training(
        model, optimizer, scheduler, scaler, average, names=names_of(model, optimizer), feed=feed, metrics=measured,
        evaluator=evaluator, validation=None if validation is None else require_batches(validation, "validation"),
        judge=Judge(monitor, mode_of(monitor, mode, measured), patience), limits=limits(epochs, steps, max_time),
        log_every=log_every, callbacks=callbacks,
    )  # fmt: skip
    if evaluator is not None and callbacks:
        evaluator.tell = training.saw
    model.train()
    training.tell("start")
    while not training.is_over():
        for batches in feed.epoch():
            outcome = take(batches)
            if scheduler is not None and schedule_by == "step":
                scheduler.step()
            training.did(outcome, batches)
            if every is not None and training.place.step % every == 0:
                training.validate()
            if training.is_over() and not feed.is_at_the_end:
                break
        else:
            training.end_epoch()
            if scheduler is not None and schedule_by == "epoch":
                scheduler.step()
            if every is None:
                training.validate()
    training.validate()
    training.history.stopped = training.stopped
    training.tell("end")
    return training.history
