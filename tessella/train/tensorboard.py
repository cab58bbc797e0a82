"""What is measured, as event files of TensorBoard: written with its own package, if that is installed."""

from __future__ import annotations

import importlib.util
import os
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from tessella.arguments import public
from tessella.arguments.kinds import Natural
from tessella.errors import ArgumentTypeError, MissingPackageError
from tessella.tensors.tensor import Tensor

_PLACE = ("kind", "step", "epoch", "time")  # where a line stands; all else was measured
_SECONDS = 5  # after which what was written is there for readers
_BUCKETS = 30


class TensorBoard:
    """A callback that writes event files: `tensorboard --logdir folder` shows them while the training runs.

    What training measures stands in the run `train`, what validation measures in the run `validation`, under the same
    names, so that both are drawn in one chart; the mean loss of an epoch is `epoch_loss`.

    Args:
        folder: where the runs are written.
        histograms: after how many epochs the values of all parameters are written, too; 0 for never.

    Raises:
        MissingPackageError: the package `tensorboard` is not installed.

    >>> import tessella as ts
    >>> board = ts.train.TensorBoard("runs/first")  # doctest: +SKIP
    """

    @public
    def __init__(self, folder: Any, *, histograms: Natural = 0) -> None:
        if not isinstance(folder, (str, os.PathLike)) or not isinstance(os.fspath(folder), str):
            raise ArgumentTypeError(
                f"TensorBoard: folder is of type {type(folder).__name__}; expected str or pathlib.Path"
            )
        if importlib.util.find_spec("tensorboard") is None:
            raise MissingPackageError(
                "TensorBoard: its files need the package tensorboard, which is not installed; pip install "
                "'tessella[tensorboard]', or use ts.train.Report, which needs nothing"
            )
        self.folder, self.histograms = os.fspath(folder), histograms
        self._files: dict[str, Any] = {}
        self._seen = 0  # lines of the history

    def __call__(self, event: Any) -> None:
        """Be told what has happened."""
        if event.kind == "start":
            self._begin(event)
        self._write_lines(event.history.lines)
        if event.kind == "epoch" and self.histograms and event.epoch % self.histograms == 0:
            self._write_parameters(event.model, event.step)
        if event.kind == "end":
            self._close()

    def _begin(self, event: Any) -> None:
        """A training that goes on: what was written after the place where it does is taken back."""
        self._seen = len(event.history.lines)
        if event.step:
            from tensorboard.compat.proto.event_pb2 import SessionLog

            for run in ("train", "validation"):
                self._add(run, event.step + 1, session_log=SessionLog(status=SessionLog.START))

    def _write_lines(self, lines: Any) -> None:
        for line in lines[self._seen :]:
            run = "validation" if line["kind"] == "validation" else "train"
            for name, value in _scalars(line):
                self._summarise(run, line["step"], tag=name, simple_value=value)
        self._seen = len(lines)

    def _write_parameters(self, model: Any, step: int) -> None:
        for name, parameter in model.named_parameters():
            found = _histogram(parameter)
            if found is not None:
                self._summarise("train", step, tag=f"parameters/{name}", histo=found)

    def _summarise(self, run: str, step: int, **value: Any) -> None:
        from tensorboard.compat.proto.summary_pb2 import Summary

        self._add(run, step, summary=Summary(value=[Summary.Value(**value)]))

    def _add(self, run: str, step: int, **content: Any) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        if run not in self._files:
            self._files[run] = EventFileWriter(os.path.join(self.folder, run), flush_secs=_SECONDS)
        self._files[run].add_event(Event(wall_time=time.time(), step=step, **content))

    def _close(self) -> None:
        files, self._files = self._files, {}
        for file in files.values():
            file.close()

    def __repr__(self) -> str:
        return f"TensorBoard({self.folder!r})"


def _scalars(line: Mapping[str, Any]) -> list[tuple[str, float]]:
    """The numbers of a line, by their names; one for each class gets its number."""
    found = []
    for name, value in line.items():
        if name in _PLACE:
            continue
        told = "epoch_loss" if name == "loss" and line["kind"] == "epoch" else name
        found += [
            (f"{told}{key}", float(number))
            for key, number in _several(value)
            if isinstance(number, (int, float)) and not isinstance(number, bool)
        ]
    return found


def _several(value: Any) -> list[tuple[str, Any]]:
    """What a value consists of, with what is added to its name."""
    if isinstance(value, dict):
        return [(f"/{key}", part) for key, part in value.items()]
    if isinstance(value, (list, tuple)):
        return [(f"/{key}", part) for key, part in enumerate(value)]
    return [("", value)]


def _histogram(parameter: Tensor) -> Any:
    """The values of a parameter; None if none is finite."""
    from tensorboard.compat.proto.histogram_pb2 import HistogramProto

    values = parameter.numpy().astype(np.float64).reshape(-1)
    values = values[np.isfinite(values)]
    if not values.size:
        return None
    counts, edges = np.histogram(values, _BUCKETS)
    return HistogramProto(
        min=values.min(), max=values.max(), num=values.size, sum=values.sum(), sum_squares=(values**2).sum(),
        bucket_limit=[edges[0], *edges[1:]], bucket=[0.0, *counts],
    )  # fmt: skip
