"""Metrics of the order in which scores put rows: they keep the scores of all, and are exact, ties included."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from tessella.arguments import public
from tessella.tensors.tensor import Tensor
from tessella.train.metrics.base import Array, Metric
from tessella.train.metrics.reading import Columns, Reading


class _Ranking(Metric):
    """A figure of each column of scores, and the mean over the columns."""

    higher_is_better = True

    @public
    def __init__(
        self, average: Literal['macro', 'weighted'] | None = "macro", *, from_logits: bool = True,
        ignore_index: int | None = None, axis: int = 1, name: str | None = None,
    ) -> None:  # fmt: skip
        self.average, self.from_logits = average, from_logits
        self.reading = Reading(type(self).__name__, axis, None, ignore_index)
        super().__init__(self._default_name() if name is None else name)

    def _default_name(self) -> str:
        raise NotImplementedError

    def empty(self) -> dict[str, Any]:
        return {"scores": [], "true": [], "weights": []}

    @public
    def update(self, outputs: Tensor, targets: Tensor, weights: Tensor | None = None) -> None:
        """Keep the scores of a batch."""
        columns = self._columns(outputs, targets, weights)
        has_weights = columns.weights is not None
        self.counts["scores"].append(np.array(columns.scores))  # of its own: the outputs may change
        self.counts["true"].append(np.array(columns.true))
        self.counts["weights"].append(
            np.array(columns.weights) if has_weights else np.zeros((0, 0))
        )

    def _columns(self, outputs: Tensor, targets: Tensor, weights: Tensor | None) -> Columns:
        """One column for yes or no, or one for each of more classes."""
        if not self.reading.has_scores(outputs, targets):
            return self.reading.columns(outputs, targets, weights)
        scores, true, counting = self.reading.scores(outputs, targets, weights)
        likelihoods = _log_softmax(scores) if self.from_logits else scores
        first = 1 if scores.shape[1] == 2 else 0
        is_true = true[:, None] == np.arange(scores.shape[1])
        if counting is not None:
            counting = np.broadcast_to(counting[:, None], is_true.shape)[:, first:]
        return Columns(likelihoods[:, first:], is_true[:, first:], counting)

    def compute(self) -> float | Array:
        if not self.counts["scores"]:
            return float("nan")
        scores, true = (np.concatenate(self.counts[name]) for name in ("scores", "true"))
        weights = self._all_weights()
        values = np.asarray([
            self._of_column(scores[:, i], true[:, i], None if weights is None else weights[:, i])
            for i in range(scores.shape[1])
        ])  # fmt: skip
        if len(values) == 1:
            return float(values[0])
        return values if self.average is None else self._mean(values, true, weights)

    def _all_weights(self) -> Array | None:
        given = self.counts["weights"]
        if not any(weights.size for weights in given):
            return None
        return np.concatenate([
            weights if weights.size else np.ones(true.shape)
            for weights, true in zip(given, self.counts["true"], strict=True)
        ])  # fmt: skip

    def _mean(self, values: Array, true: Array, weights: Array | None) -> float:
        """The mean over the columns that have a value."""
        known = ~np.isnan(values)
        support = (true if weights is None else true * weights).sum(0)[known]
        if not known.any():
            return float("nan")
        return float(
            np.average(values[known], weights=support if self.average == "weighted" else None)
        )

    def _of_column(self, scores: Array, true: Array, weights: Array | None) -> float:
        """NaN among the scores leaves no order."""
        return (
            float("nan")
            if np.isnan(scores).any()
            else self._of_curve(*_curve(scores, true, weights))
        )

    def _of_curve(self, hits: Array, misses: Array) -> float:
        raise NotImplementedError


def _log_softmax(scores: Array) -> Array:
    """In float64, where few classes come out equal that are not."""
    scores = scores.astype(np.float64)
    shifted = scores - scores.max(1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(1, keepdims=True))


def _curve(scores: Array, true: Array, weights: Array | None) -> tuple[Array, Array]:
    """How many of what is true, and of what is not, have at least a score: for each score, the largest first.

    Both begin with 0. Equal scores are one step.
    """
    order = np.argsort(scores, kind="stable")[::-1]
    counting = np.ones(len(scores), np.int64) if weights is None else weights[order]
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)[: len(scores)]
    hits, misses = (np.cumsum(counting * mask)[ends] for mask in (true[order], ~true[order]))
    return np.concatenate([[0], hits]), np.concatenate([[0], misses])


class AUROC(_Ranking):
    """The area under the curve of hits against false alarms: how likely a true row has a larger score than another.

    Equal scores count half. All scores are kept, so that the area is exact.

    Args:
        average: of more than two classes, each held against all others: 'macro' for the mean, 'weighted' for that
            weighted by how often each is true, None for one of each. Classes of which there are no rows, or no
            others, are left out of the mean.
        from_logits: whether the scores of classes still go through softmax; False for probabilities.
        ignore_index, axis: as of `Accuracy`.

    Shapes: outputs and targets of 0 and 1 (N,), or (N, L) for L answers to each row; or scores (N, C, ...) and class
        numbers (N, ...). Weights: as targets, or (N,).

    NaN where all rows are of one class (as scikit-learn has it), where a score is NaN, and before any row.

    Source: Hanley & McNeil, *The meaning and use of the area under a ROC curve* (1982).

    >>> import tessella as ts
    >>> auroc = ts.train.AUROC()
    >>> auroc.update(ts.asarray([0.1, 0.4, 0.35, 0.8]), ts.asarray([0, 0, 1, 1]))
    >>> auroc.compute()
    0.75
    """

    def _default_name(self) -> str:
        return "auroc"

    def _of_curve(self, hits: Array, misses: Array) -> float:
        pairs = 2.0 * hits[-1] * misses[-1]
        return (
            float((np.diff(misses) * (hits[1:] + hits[:-1])).sum() / pairs)
            if pairs
            else float("nan")
        )


class AveragePrecision(_Ranking):
    """The precision at each score, weighted by the recall that is gained there: the area under their curve.

    Args and shapes: as of `AUROC`.

    NaN where no row is true (where scikit-learn gives 0), where a score is NaN, and before any row.

    Source: what `sklearn.metrics.average_precision_score` gives.

    >>> import tessella as ts
    >>> precision = ts.train.AveragePrecision()
    >>> precision.update(ts.asarray([0.1, 0.4, 0.35, 0.8]), ts.asarray([0, 0, 1, 1]))
    >>> round(precision.compute(), 4)
    0.8333
    """

    def _default_name(self) -> str:
        return "average_precision"

    def _of_curve(self, hits: Array, misses: Array) -> float:
        if not hits[-1]:
            return float("nan")
        found = hits[1:] + misses[1:]
        precision = np.divide(hits[1:], found, out=np.zeros(len(found)), where=found > 0)
        return float((np.diff(hits) * precision).sum() / hits[-1])
