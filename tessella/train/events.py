"""What callbacks are told: one event, an object with everything there is to know at that moment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal

from tessella.arguments import public

if TYPE_CHECKING:
    from tessella.train.history import History

Kind = Literal["start", "step", "epoch", "validation_step", "validation", "checkpoint", "end"]


class Event:
    """What has happened just now.

    Args:
        kind: "start", "step" (the optimiser has moved), "epoch" (the data has been gone through), "validation_step" (a
            batch was looked at), "validation", "checkpoint" (`path` has been written), "end".
        metrics: what was measured: of an epoch or a validation, the loss among them.
        batch, outputs: those of a "step" (of a "validation_step", too); outputs are None if nobody wanted them.
        path: of a "checkpoint".
    """

    @public
    def __init__(
        self, kind: str, training: Any, metrics: Mapping[str, Any] | None = None, batch: Any = None,
        outputs: Any = None, targets: Any = None, path: Any = None,
    ) -> None:  # fmt: skip
        self.kind = kind
        self.metrics = dict(metrics or {})
        self.batch, self.outputs, self.targets = batch, outputs, targets
        self.path = path
        self._training = training

    @property
    def model(self) -> Any:
        """The model as it is now."""
        return self._training.model

    @property
    def optimizer(self) -> Any:
        """The optimiser."""
        return self._training.optimizer

    @property
    def average(self) -> Any:
        """The averaged model, if `ema` asked for one."""
        return self._training.average

    @property
    def history(self) -> History:
        """What there has been until now."""
        return self._training.history

    @property
    def step(self) -> int:
        """How many steps there have been."""
        return self._training.place.step

    @property
    def epoch(self) -> int:
        """The number of the epoch, from 1."""
        return self._training.epoch

    @property
    def loss(self) -> float | None:
        """The loss of this step, or of the epoch or validation that is told of. (It is read now: the machine waits for it.)"""
        found = self.metrics.get("loss")
        return self._training.last_loss() if found is None and self.kind == "step" else found

    @property
    def gradient_norm(self) -> float | None:
        """The norm of all gradients of the last step, before they were clipped; None if it is not known."""
        return self._training.last_norm()

    @property
    def gradient_norms(self) -> dict[str, float]:
        """That of the gradient of each parameter."""
        return self._training.last_norms()

    @property
    def lr(self) -> float | None:
        """The learning rate of the first group, for the next step."""
        return self._training.lr()

    def stop(self, reason: str = "a callback") -> None:
        """Let the training end after this step."""
        self._training.stop(reason)

    def __repr__(self) -> str:
        told = f", {self.metrics}" if self.metrics else ""
        return f"<event {self.kind!r}: step {self.step}, epoch {self.epoch}{told}>"


Callback = Callable[[Event], Any]
