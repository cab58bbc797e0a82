"""What a metric is: sums over batches, and the figure that they give."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tessella.arguments import public
from tessella.errors import MissingRuleError, StateDictError
from tessella.tensors.tensor import Tensor

Array = np.ndarray[Any, Any]


class Metric:
    """A figure over all rows that it has been given, batch by batch; the same however they are cut into batches.

    A subclass says what it counts before any row (`empty`), counts the rows of a batch (`update`), and gives the
    figure (`compute`). What it counts stands in `self.counts`: numbers, arrays, and lists of arrays by their names.

    Whether more of it is better stands in `higher_is_better`, by which `fit(monitor=...)` finds the best model; None if
    that cannot be said.

    Args:
        name: what it is called in a report; each metric has one of its own.

    >>> class Share(Metric):
    ...     def empty(self):
    ...         return {"positive": 0, "all": 0}
    ...     def update(self, outputs, targets):
    ...         self.counts["positive"] += int((outputs.numpy() > 0).sum())
    ...         self.counts["all"] += outputs.size
    ...     def compute(self):
    ...         return self.counts["positive"] / self.counts["all"]
    >>> import tessella as ts
    >>> share = Share("share of positive outputs")
    >>> share.update(ts.asarray([1.0, -1.0]), None)
    >>> share.update(ts.asarray([2.0, 3.0]), None)
    >>> share.compute()
    0.75
    """

    higher_is_better: bool | None = None

    @public
    def __init__(self, name: str) -> None:
        self.name = name
        self.counts: dict[str, Any] = self.empty()

    def empty(self) -> dict[str, Any]:
        """What is counted, before any row."""
        raise MissingRuleError(f"{type(self).__name__}: it needs a method `empty`")

    def update(self, outputs: Any, targets: Any) -> None:
        """Count the rows of a batch."""
        raise MissingRuleError(f"{type(self).__name__}: it needs a method `update`")

    def compute(self) -> Any:
        """The figure over all rows so far: a number, an array, or several with names."""
        raise MissingRuleError(f"{type(self).__name__}: it needs a method `compute`")

    def reset(self) -> None:
        """Forget all rows."""
        self.counts = self.empty()

    def state_dict(self) -> dict[str, Any]:
        """What was counted, as a copy: numbers, arrays, and lists of arrays."""
        return {name: _copied(value) for name, value in self.counts.items()}

    @public
    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from what was counted before.

        Raises:
            StateDictError: it is the state of another kind of metric.
        """
        if set(state_dict) != set(self.counts):
            raise StateDictError(
                f"{type(self).__name__}: the state has {', '.join(map(repr, sorted(state_dict))) or 'nothing'}; "
                f"expected {', '.join(map(repr, sorted(self.counts)))}, as state_dict() of such a metric gives it"
            )
        self.counts = {name: _copied(state_dict[name]) for name in self.counts}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}: {shown(self.compute())})"


def _copied(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_copied(item) for item in value]
    if isinstance(value, Tensor):
        return np.array(value.numpy())
    return np.array(value) if isinstance(value, np.ndarray) else value


def shown(figure: Any) -> str:
    """A figure in a line: numbers with four digits, of large arrays their shape."""
    if isinstance(figure, np.ndarray):
        return np.array2string(figure, precision=4) if figure.ndim < 2 else f"{figure.shape}"
    return f"{figure:.4g}" if isinstance(figure, (int, float)) else str(figure)
