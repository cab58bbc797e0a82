"""Metrics: figures over all rows, counted batch by batch and the same however these are cut."""

from tessella.train.metrics.base import Metric
from tessella.train.metrics.classification import (
    F1,
    Accuracy,
    ConfusionMatrix,
    Precision,
    Recall,
    TopKAccuracy,
)
from tessella.train.metrics.means import (
    R2,
    Loss,
    Mean,
    MeanAbsoluteError,
    MeanSquaredError,
    Perplexity,
)
from tessella.train.metrics.ranking import AUROC, AveragePrecision

__all__ = [
    "AUROC", "F1", "R2", "Accuracy", "AveragePrecision", "ConfusionMatrix", "Loss", "Mean", "MeanAbsoluteError",
    "MeanSquaredError", "Metric", "Perplexity", "Precision", "Recall", "TopKAccuracy",
]  # fmt: skip
