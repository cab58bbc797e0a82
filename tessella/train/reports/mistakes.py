"""The worst mistakes of a validation, shown as what they are: images, sentences, numbers."""

from __future__ import annotations

import heapq
import html
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tessella.data.png import as_image, png_url
from tessella.tensors.tensor import Tensor

Array = np.ndarray[Any, Any]
MOST_NUMBERS = 12  # of a row that are shown


@dataclass(frozen=True)
class Mistake:
    """One row that was taken for something else.

    Args:
        shown: a text, an image (an array of two axes, or of three with channels), or numbers.
        true, found: in words.
        surprise: how bad it is: minus the log of the probability of what is true, or the size of the error.
        measure: which of them, in words.
    """

    shown: Any
    true: str
    found: str
    surprise: float
    measure: str = "loss"


class Worst:
    """The worst mistakes of several batches.

    Args:
        most: how many are kept.
        show: makes of a row of the inputs what is shown: of numbers of words their text, for example.
        classes: names.
    """

    def __init__(
        self, most: int, show: Callable[[Any], Any] | None = None, classes: Sequence[str] | None = None
    ) -> None:  # fmt: skip
        self.most, self.show, self.classes = most, show, classes
        self._heap: list[tuple[float, int, Array, str, str, str]] = []
        self._count = itertools.count()

    def look(self, inputs: Any, outputs: Any, targets: Any) -> None:
        """Look at a batch; inputs of several arrays are shown by the first of them."""
        rows = _first_array(inputs)
        outputs, targets = (_array(value) for value in (outputs, targets))
        if rows is None or outputs is None or targets is None or outputs.ndim == 0:
            return
        if not len(rows) == len(outputs) == len(targets):
            return
        judged = _judged(outputs, targets)
        if judged is not None:
            for row in np.argsort(-judged[0], kind="stable")[: self.most].tolist():
                self._keep(rows[row], *(part[row] for part in judged))

    def _keep(self, row: Array, surprise: Any, true: Any, found: Any) -> None:
        if not surprise > 0:
            return
        entry = (
            float(surprise),
            -next(self._count),
            np.array(row),
            self._name(true),
            self._name(found),
            "loss" if isinstance(true, (int, np.integer)) else "off by",
        )
        if len(self._heap) < self.most:
            heapq.heappush(self._heap, entry)
        else:
            heapq.heappushpop(self._heap, entry)

    def _name(self, label: Any) -> str:
        if isinstance(label, (int, np.integer)):
            number = int(label)
            known = self.classes is not None and 0 <= number < len(self.classes)
            return str(self.classes[number]) if known and self.classes else str(number)
        return f"{label:.4g}"

    def taken(self) -> list[Mistake]:
        """The mistakes, the worst first; looking begins anew."""
        heap, self._heap = sorted(self._heap, reverse=True), []
        return [
            Mistake(row if self.show is None else self.show(row), true, found, surprise, measure)
            for surprise, _, row, true, found, measure in heap
        ]


def _array(value: Any) -> Array | None:
    if isinstance(value, Tensor):
        array = value.numpy()
        return array.astype(np.float32) if value.dtype.is_float and array.itemsize < 4 else array
    return value if isinstance(value, np.ndarray) else None


def _first_array(inputs: Any) -> Array | None:
    if isinstance(inputs, dict):
        inputs = list(inputs.values())
    first = inputs[0] if isinstance(inputs, (list, tuple)) and inputs else inputs
    found = _array(first)
    return None if found is None or not found.ndim else found


def _judged(outputs: Array, targets: Array) -> tuple[Array, Array, Array] | None:
    """How bad each row is, what is true and what was found; 0 for what is right. None for what has no single answer."""
    n = len(outputs)
    if targets.dtype.kind in "iu" and targets.ndim == 1 and outputs.ndim == 2:
        found = outputs.argmax(1)
        known = (targets >= 0) & (targets < outputs.shape[1])
        labels = np.where(known, targets, 0)
        return np.where(known & (found != labels), _surprise(outputs, labels), 0.0), targets, found
    if outputs.size != n or targets.size != n or outputs.dtype.kind != "f":
        return None
    outputs, targets = outputs.reshape(n).astype(np.float64), targets.reshape(n)
    return np.nan_to_num(abs(outputs - targets), nan=np.inf), targets.astype(np.float64), outputs


def _surprise(outputs: Array, labels: Array) -> Array:
    """Minus the log of the probability of each label."""
    shifted = outputs.astype(np.float64) - outputs.max(1, keepdims=True)
    logs = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    return np.nan_to_num(-np.take_along_axis(logs, labels[:, None], 1)[:, 0], nan=np.inf)


def cards(mistakes: Sequence[Mistake]) -> str:
    """All of them as HTML."""
    pictures = [_picture(mistake.shown) for mistake in mistakes]
    wide = "" if all(picture is not None for picture in pictures) else " wide"
    boxes = "".join(
        f'<div class="sample">{picture or _told(mistake.shown)}found <b>{html.escape(mistake.found)}</b>, is '
        f'<b>{html.escape(mistake.true)}</b><br><span class="soft">{_how_bad(mistake)}</span></div>'
        for mistake, picture in zip(mistakes, pictures, strict=True)
    )
    return f'<div class="samples{wide}">{boxes}</div>'


def _how_bad(mistake: Mistake) -> str:
    return f"{mistake.measure} {mistake.surprise:.3g}"


def _picture(shown: Any) -> str | None:
    image = as_image(shown) if isinstance(shown, np.ndarray) and shown.ndim in (2, 3) else None
    if image is None:
        return None
    height, width, _ = image.shape
    return (
        f'<img alt="" width="{width}" height="{height}" style="height:auto" src="{png_url(image)}">'
    )


def _told(shown: Any) -> str:
    if isinstance(shown, np.ndarray):
        numbers = shown.reshape(-1)
        rest = f" … {numbers.size} in all" if numbers.size > MOST_NUMBERS else ""
        shown = ", ".join(f"{x:.4g}" for x in numbers[:MOST_NUMBERS].tolist()) + rest
    if isinstance(shown, dict):
        rows = "".join(
            f"<tr><td>{html.escape(str(name))}</td><td>{html.escape(str(value))}</td></tr>"
            for name, value in shown.items()
        )
        return f"<table>{rows}</table>"
    return f"<p>{html.escape(str(shown))}</p>"
