"""`fit`: the training loop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

from tessella.arguments import public
from tessella.arguments.kinds import Count, DTypeLike, NotNegative
from tessella.train.history import History
from tessella.train.reports.writing import with_report
from tessella.train.running import running
from tessella.train.wishes import Wishes


@public
def fit(
    model: Any, data: Any, loss: Any = None, optimizer: Any = None, *,
    epochs: Count | None = None, steps: Count | None = None, max_time: NotNegative | None = None,
    validation: Any = None, metrics: Any = (), every: Count | None = None, log_every: Count = 10,
    forward: Any = None, step: Any = None, accumulate: Count = 1, clip_norm: NotNegative | None = None,
    precision: DTypeLike = None, scaler: Any = None, ema: Any = None,
    scheduler: Any = None, schedule_by: Literal['step', 'epoch'] = "step",
    monitor: str = "loss", mode: Literal['min', 'max'] | None = None, patience: Count | None = None,
    folder: Any = None, keep: Count = 2, config: Any = None,
    callbacks: Sequence[Callable[..., Any]] = (), progress: bool = True,
) -> History:  # fmt: skip
    """Train a model, until the first of `epochs`, `steps` and `max_time` is reached.

    A step (forward, loss, backward, clipping, optimiser, averages) is compiled as one program. A step whose loss or
    gradients are not finite is left out, and ends the training with an error that says where they came from.

    With a `folder` the run can be killed at any moment, and the same call goes on as if nothing had happened, bit for
    bit. Ctrl-C ends it after the step that is being done; a second one at once.

    Args:
        model: a module; in `train()` mode while it is trained.
        data: gives an epoch of batches each time it is gone through: a `ts.data.DataLoader`, a list. A batch is a tuple:
            the model gets all but the last, the loss its outputs and the last. (If `loss` is left out, the model gets
            all of it; a mapping by names.)
        loss: gives the mean loss of outputs and targets, such as `ts.nn.functional.cross_entropy`; None if the model, or
            `forward`, gives the loss itself, or (loss, outputs).
        optimizer: moves the parameters.
        epochs, steps, max_time: how long: times through the data, steps of the optimiser, seconds.
        validation: batches that the model (or its average) is measured on at the end of each epoch.
        metrics: such as `ts.train.Accuracy()`: of each epoch, and of the validation.
        every: validate, and write a checkpoint, each so many steps, and not at the end of epochs.
        log_every: have a line about the mean loss, the learning rate and the gradients' norm each so many steps.
        forward: `forward(model, *batch)` gives the loss, (loss, outputs) or (loss, outputs, targets); instead of `loss`.
        step: `step(*batch)` does all that a step does, and gives the loss, or (loss, outputs, targets): a function of
            yours under `ts.jit`, instead of the one that is made here.
        accumulate: how many batches make one step.
        clip_norm: what the norm of all gradients is limited to.
        precision: `ts.bfloat16` or `ts.float16`, as for `ts.autocast`; float16 brings a scaler.
        scaler: a `ts.GradScaler` of your own.
        ema: a decay such as 0.999: an exponential average of the model is kept, validated, and part of checkpoints and
            of the result. Or an `AveragedModel`.
        scheduler: of the learning rate; of several, a list.
        schedule_by: whether it counts steps or epochs.
        monitor: what tells the best model: "loss", or the name of a metric, of the validation if there is one.
        mode: whether less of it is better, or more.
        patience: end when so many results in a row were no better than the best.
        folder: where the run is kept: `metrics.jsonl`, checkpoints, and `report.html`, which draws itself anew (one of your
            own is a callback, `ts.train.Report`).
        keep: how many checkpoints stay there, besides the best.
        config: what the run is, as a dict of numbers and texts; by default, the command line. A folder is refused to
            another one.
        callbacks: functions of one event: see `ts.train.Event`.
        progress: show how it goes, on stderr.

    Raises:
        NotFiniteError: the loss, or a gradient, is infinite or NaN.
        RunFolderError: the folder is in use, or belongs to another run.
        ArgumentError: arguments that make no sense together.
        OSError: the folder cannot be written.

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
    wishes = Wishes(
        model, data, loss, optimizer, epochs, steps, max_time, validation, metrics, log_every, forward, step, accumulate,
        clip_norm, precision, scaler, ema, scheduler, schedule_by, monitor, mode, patience, with_report(callbacks, folder),
    )  # fmt: skip
    training = wishes.training_made()
    with running(training, folder, wishes.told(config, every), keep, progress) as run:
        training.tell("start")
        while not training.is_over():
            for batches in training.feed.epoch():
                training.do(batches)
                if every is not None and training.place.step % every == 0:
                    training.validate()
                    run.save()
                elif run.is_due():
                    run.save()
                if training.is_over() and not training.feed.is_at_the_end:
                    break
            else:
                training.end_epoch()
                if every is None:
                    training.validate()
                training.schedule("epoch")
                if every is None or training.is_best():
                    run.save()
        run.finish()
    return training.history
