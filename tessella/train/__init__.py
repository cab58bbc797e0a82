"""The training loop: progress, metrics, checkpoints, resuming."""

from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import NoReturn as _NoReturn

from tessella.names import missing as _missing
from tessella.train.evaluation import evaluate
from tessella.train.events import Event
from tessella.train.fitting import fit
from tessella.train.history import History
from tessella.train.metrics import (
    AUROC,
    F1,
    R2,
    Accuracy,
    AveragePrecision,
    ConfusionMatrix,
    Loss,
    Mean,
    MeanAbsoluteError,
    MeanSquaredError,
    Metric,
    Perplexity,
    Precision,
    Recall,
    TopKAccuracy,
)
from tessella.train.rates import LearningRates, find_learning_rate
from tessella.train.reports import Mistake, Record, Report, report
from tessella.train.tensorboard import TensorBoard

if not _TYPE_CHECKING:  # for which it would mean that all names are there

    def __getattr__(name: str) -> _NoReturn:
        """The error says what other libraries mean by this name, or which name is near it."""
        raise _missing("train", name)


__all__ = [
    "AUROC", "F1", "R2", "Accuracy", "AveragePrecision", "ConfusionMatrix", "Event", "History", "LearningRates", "Loss",
    "Mean", "MeanAbsoluteError", "MeanSquaredError", "Metric", "Mistake", "Perplexity", "Precision", "Recall", "Record",
    "Report", "TensorBoard", "TopKAccuracy", "evaluate", "find_learning_rate", "fit", "report",
]  # fmt: skip
