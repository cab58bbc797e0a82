"""Metrics that are means over rows: of a loss, of errors; and what is made of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tessella.arguments import called, public
from tessella.arguments.kinds import NotNegative
from tessella.autodiff import no_grad
from tessella.errors import ShapeError
from tessella.nn.functional import cross_entropy
from tessella.tensors.creation import asarray
from tessella.tensors.tensor import Tensor
from tessella.train.metrics.base import Array, Metric
from tessella.train.metrics.reading import Reading, numbers, pair, weights_of


class _Weighted(Metric):
    """A sum, and of how many."""

    def empty(self) -> dict[str, Any]:
        return {"sum": 0.0, "all": 0.0}

    def _add(self, values: Array, weights: Array | None) -> None:
        self.counts["sum"] += float((values if weights is None else values * weights).sum())
        self.counts["all"] += float(values.size if weights is None else weights.sum())

    def _mean(self) -> float:
        return self.counts["sum"] / self.counts["all"] if self.counts["all"] else math.nan


class Mean(_Weighted):
    """The mean of numbers, each with its weight: of losses of batches weighted by their rows, for example.

    NaN before any.

    >>> import tessella as ts
    >>> mean = ts.train.Mean("loss")
    >>> mean.update(2.0, 30)
    >>> mean.update(1.0, 10)
    >>> mean.compute()
    1.75
    """

    @public
    def __init__(self, name: str = "mean") -> None:
        super().__init__(name)

    @public
    def update(self, value: float | Tensor, weight: NotNegative = 1.0) -> None:
        """Add a number, or all of a tensor with that weight each."""
        found = numbers(value) if isinstance(value, Tensor) else np.float64(value)
        self.counts["sum"] += float(found.sum(dtype=np.float64)) * weight
        self.counts["all"] += found.size * weight

    def compute(self) -> float:
        return self._mean()


class Loss(_Weighted):
    """The mean of a loss over all rows; each batch counts by its rows.

    Args:
        loss: is called as loss(outputs, targets) and gives the mean over a batch, or a number for each row.

    >>> import tessella as ts
    >>> loss = ts.train.Loss(ts.nn.functional.mse_loss)
    >>> loss.update(ts.asarray([1.0, 2.0]), ts.asarray([1.0, 4.0]))
    >>> loss.compute()
    2.0
    """

    higher_is_better = False

    @public
    def __init__(self, loss: Callable[..., Any], name: str = "loss") -> None:
        self.loss = loss
        super().__init__(name)

    @public
    def update(self, outputs: Any, targets: Tensor) -> None:
        """Add the loss of a batch."""
        if targets.ndim and not targets.shape[0]:
            return
        with no_grad():
            value = called(
                "Loss: the loss is called as loss(outputs, targets)", self.loss, outputs, targets
            )
        found = np.asarray(numbers(asarray(value)), np.float64)
        rows = targets.shape[0] if targets.ndim else 1
        if found.ndim and found.shape[0] != rows:
            raise ShapeError(
                f"Loss: the loss gave shape {found.shape} for {rows} rows; expected one number, or one for each row"
            )
        self._add(found, np.full(found.shape, rows / max(found.size, 1)))

    def compute(self) -> float:
        return self._mean()


class Perplexity(_Weighted):
    """e to the mean of minus the log of the probability that was given to each true word.

    Args:
        ignore_index: a target that does not count: padding, for example.
        axis: of the vocabulary.

    Shapes: logits (or their log_softmax) (N, C, ...) and class numbers (N, ...); weights as targets, or (N,).

    NaN before any row.

    >>> import tessella as ts
    >>> perplexity = ts.train.Perplexity(axis=-1)
    >>> perplexity.update(ts.zeros((2, 3, 50)), ts.asarray([[1, 2, 3], [4, 5, -100]]))
    >>> round(perplexity.compute(), 3)
    50.0
    """

    higher_is_better = False

    @public
    def __init__(
        self, ignore_index: int | None = -100, *, axis: int = 1, name: str = "perplexity"
    ) -> None:
        self.reading = Reading("Perplexity", axis, None, ignore_index)
        super().__init__(name)

    @public
    def update(self, outputs: Tensor, targets: Tensor, weights: Tensor | None = None) -> None:
        """Count the words of a batch."""
        logits, true, counting = self.reading.scores(outputs, targets, weights)
        if not true.size:
            return
        with no_grad():
            scores = asarray(logits if logits.dtype.kind == "f" else logits.astype(np.float32))
            surprises = cross_entropy(scores, asarray(true), reduction="none").numpy()
        self._add(surprises.astype(np.float64), counting)

    def compute(self) -> float:
        mean = self._mean()
        return math.exp(mean) if not mean > 700 else math.inf


class MeanAbsoluteError(_Weighted):
    """The mean of |output - target|, in float64.

    Shapes: outputs and targets of the same shape; weights as targets, or (N,).

    NaN before any row.

    >>> import tessella as ts
    >>> error = ts.train.MeanAbsoluteError()
    >>> error.update(ts.asarray([1.0, 2.0]), ts.asarray([1.0, 4.0]))
    >>> error.compute()
    1.0
    """

    higher_is_better = False

    @public
    def __init__(self, name: str = "mean_absolute_error") -> None:
        super().__init__(name)

    @public
    def update(self, outputs: Tensor, targets: Tensor, weights: Tensor | None = None) -> None:
        """Add the errors of a batch."""
        found, true = pair("MeanAbsoluteError", outputs, targets)
        counting = None if weights is None else weights_of("MeanAbsoluteError", weights, true.shape)
        self._add(abs(found - true), counting)

    def compute(self) -> float:
        return self._mean()


class MeanSquaredError(_Weighted):
    """The mean of (output - target)^2, in float64.

    Args:
        squared: False for its root.

    Shapes: outputs and targets of the same shape; weights as targets, or (N,).

    NaN before any row.

    >>> import tessella as ts
    >>> error = ts.train.MeanSquaredError(squared=False)
    >>> error.update(ts.asarray([1.0, 5.0]), ts.asarray([1.0, 1.0]))
    >>> round(error.compute(), 4)
    2.8284
    """

    higher_is_better = False

    @public
    def __init__(self, squared: bool = True, *, name: str | None = None) -> None:
        self.squared = squared
        default = "mean_squared_error" if squared else "root_mean_squared_error"
        super().__init__(default if name is None else name)

    @public
    def update(self, outputs: Tensor, targets: Tensor, weights: Tensor | None = None) -> None:
        """Add the errors of a batch."""
        found, true = pair("MeanSquaredError", outputs, targets)
        counting = None if weights is None else weights_of("MeanSquaredError", weights, true.shape)
        self._add((found - true) ** 2, counting)

    def compute(self) -> float:
        return self._mean() if self.squared else math.sqrt(self._mean())


class R2(Metric):
    """The share of the spread of targets that outputs explain: 1 - sum of squared errors / spread round the mean.

    Of rows of several numbers it is the mean over these. Where all targets are equal it is 1 if nothing is wrong, and
    0 otherwise. NaN with less than two rows.

    Shapes: outputs and targets of the same shape (N, ...); weights as targets, or (N,).

    Source: what `sklearn.metrics.r2_score` gives; the spread of several batches: Chan, Golub & LeVeque, *Updating
        formulae and a pairwise algorithm for computing sample variances* (1979).

    >>> import tessella as ts
    >>> r2 = ts.train.R2()
    >>> r2.update(ts.asarray([2.5, 0.0]), ts.asarray([3.0, -0.5]))
    >>> r2.update(ts.asarray([2.0, 8.0]), ts.asarray([2.0, 7.0]))
    >>> round(r2.compute(), 4)
    0.9486
    """

    higher_is_better = True

    @public
    def __init__(self, name: str = "r2") -> None:
        super().__init__(name)

    def empty(self) -> dict[str, Any]:
        nothing = np.zeros(0)
        return {"rows": 0, "all": nothing, "mean": nothing, "spread": nothing, "error": nothing}

    @public
    def update(self, outputs: Tensor, targets: Tensor, weights: Tensor | None = None) -> None:
        """Count the rows of a batch."""
        found, true = pair("R2", outputs, targets)
        counting = np.ones(true.shape) if weights is None else weights_of("R2", weights, true.shape)
        rows = true.shape[0] if true.ndim else 1
        if not true.size:
            return
        found, true, counting = (a.reshape(rows, -1) for a in (found, true, counting))
        if self.counts["rows"] and true.shape[1] != len(self.counts["all"]):
            raise ShapeError(
                f"R2: rows have {true.shape[1]} numbers, those before had {len(self.counts['all'])}; reset() it first"
            )
        self._join(rows, *_moments(true, counting), (counting * (found - true) ** 2).sum(0))

    def _join(self, rows: int, weight: Array, mean: Array, spread: Array, error: Array) -> None:
        counts = self.counts if self.counts["rows"] else dict.fromkeys(self.counts, 0)
        whole = counts["all"] + weight
        part = _over(weight, whole)
        step = mean - counts["mean"]
        self.counts = {
            "rows": counts["rows"] + rows, "all": whole, "mean": counts["mean"] + step * part,
            "spread": counts["spread"] + spread + step**2 * counts["all"] * part,
            "error": counts["error"] + error,
        }  # fmt: skip

    def compute(self) -> float:
        spread, error = self.counts["spread"], self.counts["error"]
        if self.counts["rows"] < 2:
            return math.nan
        flat = np.where(error == 0, 1.0, 0.0)
        return float(np.where(spread == 0, flat, 1 - _over(error, spread)).mean())


def _moments(values: Array, weights: Array) -> tuple[Array, Array, Array]:
    """The weight, the mean and the spread round it, of each column."""
    weight = weights.sum(0)
    mean = _over((weights * values).sum(0), weight)
    return weight, mean, (weights * (values - mean) ** 2).sum(0)


def _over(part: Any, whole: Array) -> Array:
    return np.divide(part, whole, out=np.zeros(whole.shape), where=whole != 0)
