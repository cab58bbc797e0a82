"""What a model is worth on data that it is not trained on."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from tessella import autodiff
from tessella.arguments import public
from tessella.arguments.kinds import DTypeLike, shown
from tessella.errors import ArgumentError, ArgumentTypeError
from tessella.nn.module import Module
from tessella.tensors.autocast import autocast
from tessella.train.feeding import require_batches
from tessella.train.forward import Forward, Pass, count_of, forward_of, spread
from tessella.train.recorded import Recorded
from tessella.transforms.jit import jit


@public
def evaluate(
    model: Any, data: Any, loss: Any = None, *, metrics: Any = (), forward: Any = None,
    precision: DTypeLike = None,
) -> dict[str, Any]:  # fmt: skip
    """The mean loss and the metrics of a model on some data; it is in `eval()` mode meanwhile.

    Args:
        model: a module.
        data: gives batches: a `DataLoader`, a list of (inputs, targets).
        loss: a function of outputs and targets that gives the mean over a batch. The means of batches are weighted by
            their numbers of examples.
        metrics: objects with `update(outputs, targets)`, `compute()`, `reset()` and `name`.
        forward: gives the loss, or (loss, outputs), of the model and a batch; instead of `loss`.
        precision: the lower precision of `ts.autocast`.

    >>> import tessella as ts
    >>> model = ts.nn.Linear(1, 1, bias=False)
    >>> _ = ts.nn.init.constant_(model.weight, 2.0)
    >>> data = [(ts.asarray([[1.0], [2.0]]), ts.asarray([[2.0], [4.0]]))]
    >>> ts.train.evaluate(model, data, ts.nn.functional.mse_loss)
    {'loss': 0.0}
    """
    require_module(model)
    measured = metrics_of(metrics)
    evaluator = Evaluator(model, forward_of(loss, forward), measured, precision)
    return evaluator(require_batches(data, "data"))


class Evaluator:
    """Measures a model: one program for all batches of a shape.

    Args:
        is_watched: whether somebody wants to see outputs: `tell` is called with each batch, and what came of it.
    """

    def __init__(
        self, model: Module, forward: Pass, metrics: Sequence[Any], precision: Any, is_watched: bool = False
    ) -> None:  # fmt: skip
        self.model, self.metrics, self.precision = model, metrics, precision
        self.tell: Callable[[Any, Forward], None] | None = None
        keeps_results = bool(metrics) or is_watched

        @jit
        def look(*batch: Any, **named: Any) -> Any:
            found = forward(model, *batch, **named)
            return found if keeps_results else Forward(found.loss)

        self._look = Recorded(look)

    def state_dict(self) -> dict[str, Any]:
        """What its programs are made for."""
        return self._look.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Have the same programs as another process."""
        self._look.load_state_dict(state)

    def __call__(self, data: Any) -> dict[str, Any]:
        """Look at all batches."""
        for metric in self.metrics:
            metric.reset()
        was_training = self.model.training
        self.model.eval()
        try:
            with autodiff.no_grad(), self._cast():
                loss = self._mean(data)
        finally:
            self.model.train(was_training)
        return {"loss": loss, **computed(self.metrics)}

    def _cast(self) -> Any:
        return contextlib.nullcontext() if self.precision is None else autocast(self.precision)

    def _mean(self, data: Any) -> float:
        total, count = 0.0, 0
        for batch in data:
            args, named = spread(batch)
            found = self._look(*args, **named)
            update_all(self.metrics, found.outputs, found.targets)
            if self.tell is not None:
                self.tell(batch, found)
            total += float(found.loss) * count_of(batch)
            count += count_of(batch)
        if not count:
            raise ArgumentError("data: there is nothing in it to evaluate the model on")
        return total / count


def computed(metrics: Iterable[Any]) -> dict[str, Any]:
    """What metrics have come to."""
    return {metric.name: metric.compute() for metric in metrics}


def require_module(model: Any) -> None:
    """
    Raises:
        ArgumentTypeError: it is none.
    """
    if not isinstance(model, Module):
        raise ArgumentTypeError(f"model: {shown(model)} was given; expected a module: ts.nn.Module")


def metrics_of(metrics: Any) -> list[Any]:
    """Metrics, one or several.

    Raises:
        ArgumentTypeError: something else is among them.
    """
    several = list(metrics) if isinstance(metrics, (list, tuple)) else [metrics]
    for metric in several:
        if not all(hasattr(metric, name) for name in ("update", "compute", "reset", "name")):
            raise ArgumentTypeError(
                f"metrics: {metric!r} is among them; expected objects with update(outputs, targets), compute(), reset() "
                "and a name"
            )
    return several


def update_all(metrics: Iterable[Any], outputs: Any, targets: Any) -> None:
    """Let metrics look at a batch.

    Raises:
        ArgumentError: there is nothing to look at.
    """
    for metric in metrics:
        if outputs is None:
            raise ArgumentError(
                f"metrics: {metric.name} needs the outputs of the model; let forward, or step, give (loss, outputs) or "
                "(loss, outputs, targets)"
            )
        metric.update(outputs, targets)
