"""How metrics read what a network gives and what is true: as classes, as scores, as labels of a row, as numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from tessella.errors import ArgumentError, DTypeError, IndexingError, ShapeError
from tessella.tensors.tensor import Tensor

Array = np.ndarray[Any, Any]


class Classes(NamedTuple):
    """What was found and what is true, one class number for each; those to be ignored are left out.

    Shapes: (N,) each.

    Args:
        weights: of each, or None: they all count one.
        number: of classes, if the outputs say it.
    """

    found: Array
    true: Array
    weights: Array | None
    number: int | None


class Scores(NamedTuple):
    """A score for each class, and the class that is true; those to be ignored are left out.

    Shapes: scores (N, C), true (N,), weights (N,).
    """

    scores: Array
    true: Array
    weights: Array | None


class Columns(NamedTuple):
    """Scores of questions that are answered by yes or no, and the answers.

    Shapes: (N, K) each.

    Args:
        weights: 0 for what is to be ignored; None if all count one.
    """

    scores: Array
    true: Array
    weights: Array | None


@dataclass(frozen=True)
class Reading:
    """How one metric reads.

    Args:
        metric: its class, for messages.
        axis: along which outputs have one score for each class.
        threshold: above which an output means yes, where there is one output for each target.
        ignore_index: a target that does not count.
    """

    metric: str
    axis: int = 1
    threshold: float | None = None
    ignore_index: int | None = None

    def classes(self, outputs: Tensor, targets: Tensor, weights: Tensor | None) -> Classes:
        """The classes that outputs mean: the one with the largest score (the first of equal ones), class 1 for what
        is above the threshold, or the outputs themselves if they are whole numbers."""
        if self.has_scores(outputs, targets):
            scores, true = numbers(outputs), self._labels(targets)
            axis = self._axis(outputs, targets)
            self._check_range(true, outputs.shape[axis])
            found, number = scores.argmax(axis), outputs.shape[axis]
            return self._kept(found.reshape(true.shape), true, self._weights(weights, true), number)
        self._check_same_shape(outputs, targets)
        if outputs.dtype.is_float:
            scores, true = numbers(outputs), self._answers(targets)
            return self._kept(self.above(scores), true, self._weights(weights, true), 2)
        found, true = self._whole(outputs, "outputs"), self._labels(targets)
        for name, labels in (("output", found), ("target", true)):
            self._check_range(labels, None, name)
        return self._kept(found, true, self._weights(weights, true), None)

    def scores(self, outputs: Tensor, targets: Tensor, weights: Tensor | None) -> Scores:
        """The scores of all classes, beside the class that is true."""
        true, axis = self._labels(targets), self._axis(outputs, targets)
        self._check_range(true, outputs.shape[axis])
        scores = np.moveaxis(numbers(outputs), axis, -1)
        (
            scores,
            true,
        ) = scores.reshape(-1, scores.shape[-1]), true.reshape(-1)
        return Scores(*self._without_ignored(scores, true, self._weights(weights, targets)))

    def columns(self, outputs: Tensor, targets: Tensor, weights: Tensor | None) -> Columns:
        """Where there is one output for each target: those along axis 1 are questions of their own."""
        self._check_same_shape(outputs, targets)
        true = self._answers(targets)
        counting = self._weights(weights, true)
        if self.ignore_index is not None and (true == self.ignore_index).any():
            kept = true != self.ignore_index
            counting = kept * (1.0 if counting is None else counting)
        return Columns(
            _in_columns(numbers(outputs)), _in_columns(true == 1),
            None if counting is None else _in_columns(counting),
        )  # fmt: skip

    def above(self, scores: Array) -> Array:
        """Which scores mean yes."""
        if self.threshold is None:
            raise ArgumentError(
                f"{self.metric}: there is one output for each target; say from where on it means class 1: "
                f"{self.metric}(threshold=0.0) for logits, {self.metric}(threshold=0.5) for probabilities"
            )
        return scores > self.threshold

    def has_scores(self, outputs: Tensor, targets: Tensor) -> bool:
        """Whether outputs have an axis more than targets: one score for each class."""
        return outputs.ndim == targets.ndim + 1

    def _axis(self, outputs: Tensor, targets: Tensor) -> int:
        """The axis of the classes; outputs of one axis alone have no other."""
        axis = 0 if outputs.ndim == 1 else self.axis
        shape = [*outputs.shape]
        fits = outputs.ndim == targets.ndim + 1 and -outputs.ndim <= axis < outputs.ndim
        if fits and shape[:axis] + shape[axis % outputs.ndim + 1 :] == [*targets.shape]:
            if not shape[axis]:
                raise ShapeError(f"{self.metric}: outputs of shape {outputs.shape} have no classes")
            return axis % outputs.ndim
        other = _axis_that_fits(outputs.shape, targets.shape)
        cure = "" if other is None else f"; {self.metric}(axis={other}) has the classes there"
        raise ShapeError(
            f"{self.metric}: outputs of shape {outputs.shape} with classes along axis {axis} do not fit targets of "
            f"shape {targets.shape}{cure}"
        )

    def _check_same_shape(self, outputs: Tensor, targets: Tensor) -> None:
        if outputs.shape != targets.shape:
            raise ShapeError(
                f"{self.metric}: outputs have shape {outputs.shape}, targets {targets.shape}; expected the same "
                "shape, or outputs with one axis more, of a score for each class"
            )

    def _whole(self, tensor: Tensor, name: str) -> Array:
        if tensor.dtype.is_float or tensor.dtype.is_complex:
            raise DTypeError(
                f"{self.metric}: {name} are of {tensor.dtype.name}; expected class numbers, of an integer dtype"
            )
        return numbers(tensor).astype(np.int64)

    def _labels(self, targets: Tensor) -> Array:
        return self._whole(targets, "targets")

    def _answers(self, targets: Tensor) -> Array:
        """Targets that are 0 or 1, of whatever dtype: losses for them take floats."""
        if targets.dtype.is_complex:
            raise DTypeError(f"{self.metric}: targets are of {targets.dtype.name}; expected 0 or 1")
        true = numbers(targets)
        wrong = (true != 0) & (true != 1)
        if self.ignore_index is not None:
            wrong &= true != self.ignore_index
        if wrong.any():
            place = _first(wrong)
            raise IndexingError(
                f"{self.metric}: the target {_at(place)} is {true[place]}; expected 0 or 1, as there is one output "
                "for each target"
            )
        return true.astype(np.int64)

    def _check_range(self, labels: Array, number: int | None, name: str = "target") -> None:
        """Complain about the first label that is none of the classes, with its row."""
        wrong = labels < 0
        if number is not None:
            wrong |= labels >= number
        if self.ignore_index is not None:
            wrong &= labels != self.ignore_index
        if wrong.any():
            place = _first(wrong)
            expected = (
                "0 or more" if number is None
                else f"0 to {number - 1}, as outputs have {number} classes"
            )  # fmt: skip
            raise IndexingError(
                f"{self.metric}: the {name} {_at(place)} is {labels[place]}; expected {expected}"
            )

    def _weights(self, weights: Tensor | None, targets: Any) -> Array | None:
        return None if weights is None else weights_of(self.metric, weights, targets.shape)

    def _kept(
        self, found: Array, true: Array, weights: Array | None, number: int | None
    ) -> Classes:
        return Classes(*self._without_ignored(found.reshape(-1), true.reshape(-1), weights), number)

    def _without_ignored(
        self, found: Array, true: Array, weights: Array | None
    ) -> tuple[Array, Array, Array | None]:
        weights = None if weights is None else weights.reshape(-1)
        if self.ignore_index is None:
            return found, true, weights
        kept = true != self.ignore_index
        if kept.all():
            return found, true, weights
        return found[kept], true[kept], None if weights is None else weights[kept]


def numbers(tensor: Tensor) -> Array:
    """The elements, in a dtype that NumPy computes in: halves become float32."""
    array = tensor.numpy()
    return array.astype(np.float32) if tensor.dtype.is_float and array.itemsize < 4 else array


def pair(metric: str, outputs: Tensor, targets: Tensor) -> tuple[Array, Array]:
    """Two arrays of real numbers in float64, of the same shape.

    Raises:
        ShapeError: the shapes differ; nothing is broadcast, as (N, 1) beside (N,) is a mistake.
    """
    if outputs.shape != targets.shape:
        raise ShapeError(
            f"{metric}: outputs have shape {outputs.shape}, targets {targets.shape}; expected the same shape; "
            "reshape one of them"
        )
    for name, tensor in (("outputs", outputs), ("targets", targets)):
        if tensor.dtype.is_complex:
            raise DTypeError(f"{metric}: {name} are of {tensor.dtype.name}; expected real numbers")
    return numbers(outputs).astype(np.float64), numbers(targets).astype(np.float64)


def weights_of(metric: str, weights: Tensor, shape: tuple[int, ...]) -> Array:
    """A weight for each target, in float64: one for each, or one for each row.

    Raises:
        ShapeError: they are of another shape.
        ArgumentError: one is negative or not finite.
    """
    found = numbers(weights).astype(np.float64)
    if found.shape != tuple(shape[: found.ndim]) or not found.ndim:
        raise ShapeError(
            f"{metric}: weights have shape {found.shape}; expected {tuple(shape)}, as targets have, or "
            f"{tuple(shape[:1])}, one for each row"
        )
    wrong = ~(np.isfinite(found) & (found >= 0))
    if wrong.any():
        place = _first(wrong)
        raise ArgumentError(
            f"{metric}: the weight {_at(place)} is {found[place]}; expected a finite number of at least 0"
        )
    return np.broadcast_to(found.reshape(found.shape + (1,) * (len(shape) - found.ndim)), shape)


def _axis_that_fits(outputs: tuple[int, ...], targets: tuple[int, ...]) -> int | None:
    """The axis of outputs that targets do not have: the last, if it may be."""
    fitting = [a for a in range(len(outputs)) if outputs[:a] + outputs[a + 1 :] == tuple(targets)]
    if not fitting:
        return None
    return -1 if fitting[-1] == len(outputs) - 1 else fitting[-1]


def _in_columns(array: Array) -> Array:
    if array.ndim < 2:
        return array.reshape(-1, 1)
    return np.moveaxis(array, 1, -1).reshape(-1, array.shape[1])


def _first(wrong: Array) -> tuple[int, ...]:
    return tuple(int(i) for i in np.argwhere(wrong)[0])


def _at(place: tuple[int, ...]) -> str:
    """The place of a target, in words: its row, and where it is in it."""
    row = f"of row {place[0]}" if place else "given"
    return row if len(place) < 2 else f"{row}, at {place},"
