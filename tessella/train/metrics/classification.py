"""Metrics of class numbers: how many are right, and how often each class was found for each."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from tessella.arguments import public
from tessella.arguments.kinds import Count
from tessella.errors import ArgumentError, IndexingError
from tessella.tensors.tensor import Tensor
from tessella.train.metrics.base import Array, Metric
from tessella.train.metrics.reading import Classes, Reading

MOST_CLASSES = 1 << 24
LARGEST_TABLE = 1 << 14  # classes of a confusion matrix: 2 GiB


def _quotient(part: float, whole: float) -> float:
    """A share of what was counted; NaN before any row."""
    return float(part) / float(whole) if whole else float("nan")


class Accuracy(Metric):
    """The share of targets that were found: of classes, or of answers by yes or no.

    Args:
        threshold: above which an output means class 1, where there is one output for each target: 0.0 for logits,
            0.5 for probabilities.
        ignore_index: a target that does not count.
        axis: of the classes.

    Shapes: outputs (N, C, ...) and class numbers (N, ...), or both of one shape: then outputs are class numbers, if
        they are whole, or are held against the threshold. Weights: as targets, or (N,).

    Of equal scores the first counts, as `argmax` has it, and NaN counts as the largest. NaN before any row.

    Raises:
        ShapeError: outputs and targets do not fit.
        IndexingError: a target that is none of the classes; its row is named.

    >>> import tessella as ts
    >>> accuracy = ts.train.Accuracy()
    >>> accuracy.update(ts.asarray([[0.1, 0.9], [0.8, 0.2]]), ts.asarray([1, 1]))
    >>> accuracy.update(ts.asarray([[0.3, 0.7]]), ts.asarray([1]))
    >>> accuracy
    Accuracy('accuracy': 0.6667)
    """

    higher_is_better = True

    @public
    def __init__(
        self, threshold: float | None = None, *, ignore_index: int | None = None, axis: int = 1,
        name: str = "accuracy",
    ) -> None:  # fmt: skip
        self.reading = Reading("Accuracy", axis, threshold, ignore_index)
        super().__init__(name)

    def empty(self) -> dict[str, Any]:
        return {"right": 0, "all": 0}

    @public
    def update(self, outputs: Tensor, targets: Tensor, weights: Tensor | None = None) -> None:
        """Count the rows of a batch."""
        rows = self.reading.classes(outputs, targets, weights)
        _count_right(self.counts, rows.found == rows.true, rows.weights)

    def compute(self) -> float:
        return _quotient(self.counts["right"], self.counts["all"])


def _count_right(counts: dict[str, Any], right: Array, weights: Array | None) -> None:
    counts["right"] += right.sum().item() if weights is None else weights[right].sum().item()
    counts["all"] += right.size if weights is None else weights.sum().item()


class TopKAccuracy(Metric):
    """The share of targets that are among the k classes with the largest scores.

    Of equal scores the first counts as the larger, as in `argmax`: with k = 1 this is `Accuracy`.

    Args:
        k: how many classes may be named; no more than there are.

    Shapes: outputs (N, C, ...), class numbers (N, ...); weights as targets, or (N,).

    >>> import tessella as ts
    >>> top = ts.train.TopKAccuracy(2)
    >>> top.update(ts.asarray([[0.1, 0.5, 0.4], [0.1, 0.5, 0.4]]), ts.asarray([2, 0]))
    >>> top.compute()
    0.5
    """

    higher_is_better = True

    @public
    def __init__(
        self, k: Count = 5, *, ignore_index: int | None = None, axis: int = 1, name: str | None = None
    ) -> None:  # fmt: skip
        self.k, self.reading = k, Reading("TopKAccuracy", axis, None, ignore_index)
        super().__init__(f"top_{k}_accuracy" if name is None else name)

    def empty(self) -> dict[str, Any]:
        return {"right": 0, "all": 0}

    @public
    def update(self, outputs: Tensor, targets: Tensor, weights: Tensor | None = None) -> None:
        """Count the rows of a batch."""
        scores, true, counting = self.reading.scores(outputs, targets, weights)
        if self.k > scores.shape[1]:
            raise ArgumentError(
                f"TopKAccuracy: k is {self.k}, and outputs have {scores.shape[1]} classes; give k of at most that"
            )
        mine = np.take_along_axis(scores, true[:, None], 1)
        before = np.arange(scores.shape[1]) < true[:, None]
        ahead = ~(scores <= mine) | ((scores == mine) & before)  # NaN is ahead of all
        _count_right(self.counts, ahead.sum(1) < self.k, counting)

    def compute(self) -> float:
        return _quotient(self.counts["right"], self.counts["all"])


class ConfusionMatrix(Metric):
    """How often each class (row) was taken for each class (column).

    Args:
        num_classes: needed where outputs are class numbers and a row is wanted for classes that never come.
        normalize: 'true' for shares of each row, 'pred' of each column, 'all' of everything; shares of nothing are 0.
        threshold, ignore_index, axis: as of `Accuracy`.

    Gives: whole numbers (C, C) as a NumPy array; floats if normalised or weighted.

    >>> import tessella as ts
    >>> confusion = ts.train.ConfusionMatrix()
    >>> confusion.update(ts.asarray([0, 1, 1, 2]), ts.asarray([0, 1, 2, 2]))
    >>> confusion.compute()
    array([[1, 0, 0],
           [0, 1, 0],
           [0, 1, 1]])
    """

    @public
    def __init__(
        self, num_classes: Count | None = None,
        normalize: Literal['true', 'pred', 'all'] | None = None, *, threshold: float | None = None,
        ignore_index: int | None = None, axis: int = 1, name: str = "confusion_matrix",
    ) -> None:  # fmt: skip
        _check_number("ConfusionMatrix", "num_classes is", num_classes or 0, LARGEST_TABLE)
        self.num_classes, self.normalize = num_classes, normalize
        self.reading = Reading("ConfusionMatrix", axis, threshold, ignore_index)
        super().__init__(name)

    def empty(self) -> dict[str, Any]:
        size = self.num_classes or 0
        return {"table": np.zeros((size, size), np.int64)}

    @public
    def update(self, outputs: Tensor, targets: Tensor, weights: Tensor | None = None) -> None:
        """Count the rows of a batch."""
        rows = self.reading.classes(outputs, targets, weights)
        size = _number_of_classes("ConfusionMatrix", rows, self.num_classes, LARGEST_TABLE)
        places = rows.true * size + rows.found
        table = np.bincount(places, rows.weights, size * size).reshape(size, size)
        self.counts["table"] = _sum_of(self.counts["table"], table)

    def compute(self) -> Array:
        table = self.counts["table"]
        if self.normalize is None:
            return np.array(table)
        axis = {"true": 1, "pred": 0, "all": None}[self.normalize]
        whole = table.sum(axis, keepdims=True)
        return np.divide(table, whole, out=np.zeros(table.shape), where=whole != 0)


def _check_number(metric: str, told: str, number: int, most: int) -> None:
    if number > most:
        raise ArgumentError(f"{metric}: {told} {number}; expected {most} classes at most")


def _number_of_classes(
    metric: str, rows: Classes, told: int | None = None, most: int = MOST_CLASSES
) -> int:
    """How many classes a batch has.

    Raises:
        IndexingError: more than was told.
    """
    highest = max(rows.found.max(initial=-1), rows.true.max(initial=-1))
    least = max(int(highest) + 1, rows.number or 0)
    if told is not None and least > told:
        raise IndexingError(
            f"{metric}: num_classes is {told}, and the batch has "
            + (f"outputs of {least} classes" if rows.number else f"class {highest}")
        )
    _check_number(
        metric, "the batch has class" if least > (rows.number or 0) else "classes:", least, most
    )
    return told or least


def _sum_of(a: Array, b: Array) -> Array:
    """The sum of two arrays, of which one may have fewer classes."""
    size = tuple(map(max, a.shape, b.shape))
    return _grown(a, size) + _grown(b, size)


def _grown(array: Array, size: tuple[int, ...]) -> Array:
    return np.pad(array, [(0, new - old) for new, old in zip(size, array.shape, strict=True)])


Average = Literal["binary", "macro", "micro", "weighted"]


class _ByClass(Metric):
    """A share for each class, from what was found and what is true of it; and the mean over the classes."""

    higher_is_better = True

    @public
    def __init__(
        self, average: Literal['binary', 'macro', 'micro', 'weighted'] | None = "binary", *,
        threshold: float | None = None, ignore_index: int | None = None, axis: int = 1,
        name: str | None = None,
    ) -> None:  # fmt: skip
        self.average = average
        self.reading = Reading(type(self).__name__, axis, threshold, ignore_index)
        super().__init__(type(self).__name__.lower() if name is None else name)

    def empty(self) -> dict[str, Any]:
        nothing = np.zeros(0, np.int64)
        return {"hit": nothing, "found": nothing, "true": nothing, "rows": 0, "of_labels": False}

    @public
    def update(self, outputs: Tensor, targets: Tensor, weights: Tensor | None = None) -> None:
        """Count the rows of a batch."""
        several = outputs.ndim > 1 and outputs.shape == targets.shape and outputs.shape[1] != 1
        if several and outputs.dtype.is_float:
            rows, hit, found, true = self._of_labels(outputs, targets, weights)
        else:
            rows, hit, found, true = self._of_classes(outputs, targets, weights)
        self._check_binary(len(hit), several)
        self.counts["rows"] += rows
        self.counts["of_labels"] = several and outputs.dtype.is_float
        for name, value in (("hit", hit), ("found", found), ("true", true)):
            self.counts[name] = _sum_of(self.counts[name], value)

    def _of_labels(
        self, outputs: Tensor, targets: Tensor, weights: Tensor | None
    ) -> tuple[Any, ...]:
        """Where a row has several answers by yes or no: each column is a class."""
        columns = self.reading.columns(outputs, targets, weights)
        found, true = self.reading.above(columns.scores), columns.true
        masks = (found & true, found, true)
        weighted = 1 if columns.weights is None else columns.weights
        return len(true), *((mask * weighted).sum(0) for mask in masks)

    def _of_classes(
        self, outputs: Tensor, targets: Tensor, weights: Tensor | None
    ) -> tuple[Any, ...]:
        rows = self.reading.classes(outputs, targets, weights)
        size = _number_of_classes(self.reading.metric, rows)
        right = rows.found == rows.true
        hits = None if rows.weights is None else rows.weights[right]
        return (
            len(right),
            np.bincount(rows.found[right], hits, size),
            np.bincount(rows.found, rows.weights, size),
            np.bincount(rows.true, rows.weights, size),
        )

    def _check_binary(self, size: int, several: bool) -> None:
        if self.average == "binary" and (size > 2 or several):
            name, what = self.reading.metric, "answers in a row" if several else "classes"
            raise ArgumentError(
                f"{name}: there are {size} {what}; expected two classes for average='binary'; use "
                f"{name}('macro'), 'micro', 'weighted', or None for one of each class"
            )

    def compute(self) -> float | Array:
        parts, wholes = self._shares()
        if not self.counts["rows"]:
            return float("nan") if self.average is not None else np.full(len(parts), np.nan)
        if self.average == "micro":
            return _share(parts.sum(), wholes.sum()).item()
        shares = _share(parts, wholes)
        if self.average is None:
            return shares
        if self.average == "binary":
            return float(shares[1]) if len(shares) > 1 else 0.0
        return self._mean(shares)

    def _shares(self) -> tuple[Array, Array]:
        """What is divided by what, for each class."""
        raise NotImplementedError

    def _mean(self, shares: Array) -> float:
        true, found = self.counts["true"], self.counts["found"]
        if self.average == "weighted":
            return _share((shares * true).sum(), true.sum()).item()
        occurs = np.full(len(true), True) if self.counts["of_labels"] else true + found > 0
        return float(shares[occurs].mean()) if occurs.any() else float("nan")


def _share(part: Any, whole: Any) -> Array:
    """Quotients; 0 where there is nothing to divide by, as scikit-learn has it."""
    part, whole = np.asarray(part, np.float64), np.asarray(whole, np.float64)
    return np.divide(part, whole, out=np.zeros(part.shape), where=whole != 0)


class Precision(_ByClass):
    """Of what was taken for a class, the share that is of it.

    Args:
        average: 'binary' for that of class 1; 'macro' for the mean over the classes that occur, 'weighted' for the mean
            weighted by how often each is true, 'micro' for that of all classes counted together; None for one of each.
        threshold, ignore_index, axis: as of `Accuracy`.

    Shapes: as of `Accuracy`. Outputs and targets (N, L) with a threshold are L answers to each row: one class each.

    Of a class that was never found it is 0. NaN before any row.

    Source: what `sklearn.metrics.precision_score` gives.

    >>> import tessella as ts
    >>> precision = ts.train.Precision(threshold=0.0)
    >>> precision.update(ts.asarray([2.0, 1.0, -1.0]), ts.asarray([1, 0, 1]))
    >>> precision.compute()
    0.5
    """

    def _shares(self) -> tuple[Array, Array]:
        return self.counts["hit"], self.counts["found"]


class Recall(_ByClass):
    """Of what is of a class, the share that was found.

    Args: as of `Precision`.

    Of a class that is never true it is 0. NaN before any row.

    Source: what `sklearn.metrics.recall_score` gives.

    >>> import tessella as ts
    >>> recall = ts.train.Recall("macro")
    >>> recall.update(ts.asarray([0, 1, 1, 2]), ts.asarray([0, 1, 2, 2]))
    >>> round(recall.compute(), 4)
    0.8333
    """

    def _shares(self) -> tuple[Array, Array]:
        return self.counts["hit"], self.counts["true"]


class F1(_ByClass):
    """The harmonic mean of precision and recall: 2 hits / (found + true), of each class.

    Args: as of `Precision`.

    Source: what `sklearn.metrics.f1_score` gives.

    >>> import tessella as ts
    >>> f1 = ts.train.F1("macro")
    >>> f1.update(ts.asarray([0, 1, 1, 2]), ts.asarray([0, 1, 2, 2]))
    >>> round(f1.compute(), 4)
    0.7778
    """

    def _shares(self) -> tuple[Array, Array]:
        return 2 * self.counts["hit"], self.counts["found"] + self.counts["true"]
