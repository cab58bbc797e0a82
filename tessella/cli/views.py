"""How the course's larger trainings show themselves: a bar while they run, figures after each epoch."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from tessella.cli.drawing import digit_strip, has_greys, training_bar

Array = np.ndarray[Any, Any]


class TrainingView:
    """A bar of all steps; lines stay above it. Ctrl-C ends the training and keeps what was learnt.

    Args:
        epochs: how many there will be.
        steps: of each epoch.
    """

    def __init__(self, epochs: int, steps: int) -> None:
        self.epochs, self.steps = epochs, steps
        self.console = Console(highlight=False)
        self.bars = training_bar(epochs, self.console)
        self.task = self.bars.add_task("compiling the step", total=epochs * steps, epoch=1)
        self.start = time.perf_counter()

    def __enter__(self) -> Any:
        if self.console.is_terminal:
            self.bars.start()
        return self

    def __exit__(self, kind: Any, *_: Any) -> bool:
        self.bars.stop()
        stopped: bool = kind is KeyboardInterrupt
        if stopped:
            self.console.print("[yellow]Interrupted[/yellow]: this is what was learnt so far.")
        return stopped

    def show(self, epoch: int, done: int, text: str) -> None:
        """Where training is."""
        self.bars.update(self.task, completed=done, epoch=epoch, description=text)

    def keep(self, text: str) -> None:
        """A line that stays, with the time since the start."""
        seconds = time.perf_counter() - self.start
        self.console.print(f"{text}  {seconds:6.1f} s", soft_wrap=True)


class ImageView(TrainingView):
    """Of a reader of images: the loss, and how many of a held-out batch are right."""

    def __init__(self, epochs: int, steps: int) -> None:
        super().__init__(epochs, steps)
        self.batches: list[int] = []  # correct in each, of this epoch

    def __call__(
        self, epoch: int, loss: float, correct: int, total: int, losses: list[float], model: Any
    ) -> None:
        self.batches.append(correct)
        done = len(losses)
        text = f"loss {loss:7.3f}  held out {correct:>2}/{total}"
        self.show(epoch, done, text)
        if done % self.steps == 0:
            mean = float(np.mean(self.batches))
            least = min(self.batches[len(self.batches) // 2 :])
            self.keep(
                f"epoch {epoch:>2}/{self.epochs}  loss {np.mean(losses[-self.steps :]):.3f}  held-out "
                f"batches of {total}: {mean:4.1f} right in the mean, {least} at least in the second half"
            )
            self.batches.clear()

    def finish(self, images: Array, scores: Any, truths: Array) -> None:
        """How all that was held out is read, and some of it, mistakes first."""
        found, true = scores.to_numpy().argmax(1), truths.argmax(1)
        right = found == true
        batches = right[: len(right) // 16 * 16].reshape(-1, 16).sum(1)
        self.console.print(
            f"\nHeld-out accuracy [bold green]{right.mean():.1%}[/bold green]: {int(right.sum())} of "
            f"{len(right)}; {int((batches >= 14).sum())} of {len(batches)} batches of 16 with at least "
            f"14 right, the worst {int(batches.min())}.\n"
        )
        if self.console.is_terminal:
            per_row = max(1, min(4, (self.console.width - 2) // 30))
            chosen = np.argsort(right, kind="stable")[:per_row]
            colour = has_greys(self.console)
            for line in digit_strip(images[chosen] / 16, found[chosen], true[chosen], colour):
                self.console.print(line)


class SentimentView(TrainingView):
    """Of a judge of sentences: the loss, and the shares that are judged right."""

    def __init__(self, epochs: int, steps: int, words: int, vectors: Path | None) -> None:
        super().__init__(epochs, steps)
        begin = "at random" if vectors is None else f"as in {vectors}"
        self.console.print(
            f"{words:,} words; their vectors begin {begin}", soft_wrap=True, markup=False
        )
        self.done, self.best = 0, 0.0

    def __call__(self, epoch: int, loss: float, training: float, held_out: float | None) -> None:
        if held_out is None:
            self.done += 1
            self.show(epoch, self.done, f"loss {loss:9.3f}  right {training:6.1%}")
            return
        self.best = max(self.best, held_out)
        self.keep(
            f"epoch {epoch:>2}/{self.epochs}  loss {loss:9.3f}  right {training:6.1%}  held out "
            f"{held_out:6.1%} (best {self.best:.1%})"
        )
