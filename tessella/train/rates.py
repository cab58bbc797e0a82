"""Which learning rate to begin with: the loss of a few steps, with a rate that grows."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tessella import files
from tessella.arguments import items_of, public
from tessella.arguments.kinds import Count, DTypeLike, shown
from tessella.autodiff import no_grad
from tessella.errors import ArgumentError, ArgumentTypeError
from tessella.nn.module import Module
from tessella.optim.optimiser import Optimizer
from tessella.tensors.tensor import Tensor
from tessella.train.feeding import Resumable, require_batches
from tessella.train.forward import forward_of
from tessella.train.made import scaler_of
from tessella.train.pages import charts
from tessella.train.pages.charts import Curve
from tessella.train.random_state import kept_random_state
from tessella.train.steps import CompiledStep
from tessella.trees import tree_map

Array = np.ndarray[Any, Any]


class LearningRates:
    """The losses of a sweep over learning rates, and the rate that they speak for.

    Args:
        rates, losses: of the steps.
        suggestion: the rate at which the loss falls fastest; None if it never falls.

    `plot(path)` draws them; a notebook shows them.
    """

    def __init__(self, rates: Sequence[float], losses: Sequence[float]) -> None:
        self.rates, self.losses = _numbers("rates", rates), _numbers("losses", losses)
        if len(self.rates) != len(self.losses) or not all(0 < x < math.inf for x in self.rates):
            raise ArgumentError(
                f"LearningRates: there are {len(self.rates)} rates and {len(self.losses)} losses; expected as many, and "
                "positive rates"
            )
        self.smoothed: list[float] = _smoothed(_without_end(self.losses)).tolist()
        self.suggestion = _steepest(self.rates, self.smoothed)

    def to_svg(self) -> str:
        """The losses over the rates, as an SVG that stands alone."""
        curves = [
            Curve("loss of a step", self.rates, _without_end(self.losses), is_faint=True),
            Curve("loss", self.rates, self.smoothed),
        ]
        mark = None
        if self.suggestion is not None:
            mark = (self.suggestion, f"suggested: {self.suggestion:.2g}")
        return charts.alone(curves, x_is_log=True, mark=mark, x_name="rate")

    @public
    def plot(self, path: Any) -> None:
        """Write the picture to a file: `rates.svg`.

        Raises:
            ArgumentError: a name that does not end with `.svg`.
            OSError: it cannot be written.
        """
        if not isinstance(path, (str, os.PathLike)) or not isinstance(os.fspath(path), str):
            raise ArgumentTypeError(
                f"plot: path is of type {type(path).__name__}; expected str or pathlib.Path"
            )
        place = Path(path)
        if place.suffix.lower() != ".svg":
            raise ArgumentError(
                f"plot: the picture is an SVG; {place.name!r} does not end with .svg; "
                f"use {place.with_suffix('.svg').name!r}, which browsers and editors open"
            )
        files.write(place, self.to_svg())

    def _repr_html_(self) -> str:
        return f'<div style="max-width:640px">{self.to_svg()}</div>'

    def __repr__(self) -> str:
        seen = (
            f"{len(self.rates)} steps from {self.rates[0]:.2g} to {self.rates[-1]:.2g}"
            if self.rates
            else "no steps"
        )
        found = "the loss never fell" if self.suggestion is None else f"{self.suggestion:.2g}"
        return f"LearningRates({found}; {seen})"


def _numbers(name: str, values: Any) -> list[float]:
    found = items_of("LearningRates", values, f"{name}, several numbers")
    for value in found:
        if not isinstance(value, (int, float, np.integer, np.floating)):
            raise ArgumentTypeError(
                f"LearningRates: {shown(value)} is among the {name}; expected numbers"
            )
    return [float(value) for value in found]


@public
def find_learning_rate(
    model: Any, data: Any, loss: Any = None, optimizer: Any = None, *, lowest: float = 1e-7,
    highest: float = 10.0, steps: Count = 100, forward: Any = None, precision: DTypeLike = None,
) -> LearningRates:  # fmt: skip
    """Take steps with a learning rate that grows from step to step, and see where the loss falls fastest.

    The model, the optimiser, the place in the data and all random states are afterwards what they were before. The sweep
    ends early when the loss is no number any more, or has grown to four times its least. With groups of parameters the rate is that of the first, and
    those of the others keep their ratios to it.

    Args:
        model, data, loss, optimizer, forward, precision: as of `fit`.
        lowest, highest: the first rate, and that of the last step.

    Raises:
        ArgumentError: rates that do not grow, no optimiser, or no data.

    Source: Smith, *Cyclical Learning Rates for Training Neural Networks* (2017; 2015 as a preprint), section 3.3.

    >>> import tessella as ts
    >>> ts.manual_seed(0)
    >>> x = ts.randn(64, 3)
    >>> data = [(x[i : i + 16], x[i : i + 16].sum(axis=1, keepdims=True)) for i in range(0, 64, 16)]
    >>> model = ts.nn.Linear(3, 1)
    >>> optimiser = ts.optim.SGD(model.parameters())
    >>> found = ts.train.find_learning_rate(model, data, ts.nn.functional.mse_loss, optimiser)
    >>> 1e-3 < found.suggestion < 1.0
    True
    """
    if not 0 < lowest < highest < math.inf:
        raise ArgumentError(
            f"find_learning_rate: lowest is {lowest}, highest {highest}; expected 0 < lowest < highest"
        )
    if not isinstance(model, Module) or not isinstance(optimizer, Optimizer):
        raise ArgumentError(
            "find_learning_rate: expected a module and an optimiser, for example "
            "find_learning_rate(model, data, loss, ts.optim.AdamW(model.parameters()))"
        )
    require_batches(data, "data")
    passes, scaler = forward_of(loss, forward), scaler_of(None, precision)
    rates = np.geomspace(lowest, highest, steps).tolist()
    with _kept(model, optimizer, data):
        model.train()
        step = CompiledStep(
            model, passes, optimizer, clip_norm=None, precision=precision, scaler=scaler, average=None,
            keeps_results=False,
        )  # fmt: skip
        losses = _swept(step, optimizer, rates, _over_and_over(data))
    return LearningRates(rates[: len(losses)], losses)


def _swept(
    step: CompiledStep, optimizer: Optimizer, rates: Sequence[float], batches: Iterator[Any]
) -> list[float]:
    """The losses of steps, each with its rate."""
    first = float(optimizer.param_groups[0]["lr"])
    ratios = [float(group["lr"]) / first if first else 1.0 for group in optimizer.param_groups]
    losses: list[float] = []
    for rate, batch in zip(rates, batches, strict=False):
        for group, ratio in zip(optimizer.param_groups, ratios, strict=True):
            group["lr"] = rate * ratio
        losses.append(float(step([batch]).losses[0]))
        if _is_far(losses):
            break
    return losses


def _is_far(losses: Sequence[float]) -> bool:
    """Whether the last loss is no number, or far above the least: by three times that, or by three times all that it fell."""
    first, least, last = losses[0], min(losses), losses[-1]
    return not last - least <= 3 * max(first - least, abs(least))


def _over_and_over(data: Any) -> Iterator[Any]:
    """Batches, from the beginning again after the last.

    Raises:
        ArgumentError: there are none.
    """
    while True:
        found = 0
        for found, batch in enumerate(data, 1):  # noqa: B007
            yield batch
        if not found:
            raise ArgumentError(
                "find_learning_rate: data has no batch, or can be gone through once only; give a list, or a "
                "ts.data.DataLoader"
            )


@contextlib.contextmanager
def _kept(model: Module, optimizer: Optimizer, data: Any) -> Iterator[None]:
    """Whatever is done inside, all is as it was afterwards."""
    tensors = [*model.parameters(), *model.buffers()]
    values, gradients = [_copy(x) for x in tensors], [_copy(x.grad) for x in tensors]
    state, training = tree_map(_copy, optimizer.state_dict()), [m.training for m in model.modules()]
    place = data.state_dict() if isinstance(data, Resumable) else None
    try:
        with kept_random_state():
            yield
    finally:
        with no_grad():
            for tensor, value, gradient in zip(tensors, values, gradients, strict=True):
                tensor.assign(value)
                tensor.grad = gradient
        optimizer.load_state_dict(state)
        for module, mode in zip(model.modules(), training, strict=True):
            module.training = mode
        if place is not None:
            data.load_state_dict(place)


def _copy(value: Any) -> Any:
    return value.detach().clone() if isinstance(value, Tensor) else value


def _smoothed(values: Array) -> Array:
    """Each loss in the mean of its neighbours, the nearer the more: what is smoothed from both sides is not moved."""
    places = np.arange(len(values))
    nearness = np.exp(-0.5 * ((places[:, None] - places) / max(1.0, len(values) / 40)) ** 2)
    weights = nearness * np.isfinite(values)
    sums = (weights * np.nan_to_num(values)).sum(1)
    return np.divide(
        sums, weights.sum(1), out=np.full(len(values), np.nan), where=np.isfinite(values)
    )


def _without_end(losses: Sequence[float]) -> Array:
    """Losses without the last ones that are far above the first: these end a sweep, and may be anything."""
    values = np.array(losses, np.float64)
    known = values[np.isfinite(values)]
    if known.size:
        first, least = known[0], known.min()
        low = np.flatnonzero(values <= first + 0.5 * max(first - least, 0.1 * abs(first)))
        values[low[-1] + 1 :] = np.nan
    return values


def _steepest(rates: Sequence[float], losses: Sequence[float]) -> float | None:
    """The rate at which the loss falls fastest, before it is least; None if it does not fall by a fiftieth."""
    known = np.isfinite(losses)
    steps, values = np.log(rates)[known], np.asarray(losses)[known]
    least = int(values.argmin()) if len(values) else 0
    if least < 2 or not values[least] < values[0] - 0.02 * abs(values[0]):
        return None
    slopes = np.gradient(values[: least + 1], steps[: least + 1])
    return float(np.exp(steps[slopes.argmin()]))
