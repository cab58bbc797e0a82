"""Metrics give what scikit-learn gives, on random rows with ties, absent classes, weights and one class only."""

import importlib
import warnings

import numpy as np
import pytest

from tessella.train import (
    AUROC,
    F1,
    R2,
    Accuracy,
    AveragePrecision,
    ConfusionMatrix,
    MeanAbsoluteError,
    MeanSquaredError,
    Perplexity,
    Precision,
    Recall,
    TopKAccuracy,
)

pytestmark = pytest.mark.peers
pytest.importorskip("sklearn")
sklearn = importlib.import_module("sklearn.metrics")
CASES = range(9)


class Rows:
    """Random rows in batches: few distinct scores (ties) in odd cases, weights in every third, absent classes."""

    def __init__(self, case):
        random = np.random.default_rng(case)
        self.number = int(random.integers(1, 80))
        self.classes = int(random.integers(2, 7))
        decimals = 0 if case % 2 else 6
        self.scores = random.normal(size=(self.number, self.classes)).round(decimals)
        self.labels = random.choice(random.integers(0, self.classes, 3), self.number)
        self.logits = random.normal(size=self.number).round(decimals)
        self.answers = (random.random(self.number) < random.random()).astype(int)
        self.many = (random.random((self.number, 3)) < 0.4).astype(int)
        self.figures = random.normal(4.0, 2.0, (self.number, 3))
        self.true = self.figures + random.normal(size=(self.number, 3))
        self.weights = random.random(self.number).round(2) if case % 3 == 0 else None
        self.cuts = np.sort(random.integers(0, self.number + 1, 3))

    def compute(self, metric, outputs, targets):
        parts = [
            np.split(a, self.cuts)
            for a in (
                outputs,
                targets,
                np.ones(len(targets)) if self.weights is None else self.weights,
            )
        ]
        for found, true, weights in zip(*parts, strict=True):
            metric.update(found, true, *([] if self.weights is None else [weights]))
        return metric.compute()


def expected(function, *arguments, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*arguments, **options)


def same(found, value):
    np.testing.assert_allclose(found, value, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("case", CASES)
def test_shares_of_classes(case):
    rows = Rows(case)
    found, weights = rows.scores.argmax(1), {"sample_weight": rows.weights}
    accuracy = expected(sklearn.accuracy_score, rows.labels, found, **weights)
    same(rows.compute(Accuracy(), rows.scores, rows.labels), accuracy)
    table = expected(
        sklearn.confusion_matrix, rows.labels, found, labels=range(rows.classes), **weights
    )
    same(rows.compute(ConfusionMatrix(), rows.scores, rows.labels), table)
    for kind, name in ((Precision, "precision"), (Recall, "recall"), (F1, "f1")):
        theirs = getattr(sklearn, f"{name}_score")
        for average in ("macro", "micro", "weighted"):
            value = expected(
                theirs, rows.labels, found, average=average, zero_division=0.0, **weights
            )
            same(rows.compute(kind(average), rows.scores, rows.labels), value)
            same(rows.compute(kind(average), found, rows.labels), value)
            value = expected(
                theirs,
                rows.many,
                (rows.figures > 4).astype(int),
                average=average,
                zero_division=0.0,
                **weights,
            )
            same(rows.compute(kind(average, threshold=4.0), rows.figures, rows.many), value)
        each = expected(
            theirs,
            rows.labels,
            found,
            average=None,
            labels=range(rows.classes),
            zero_division=0.0,
            **weights,
        )
        same(rows.compute(kind(None), rows.scores, rows.labels), each)
        binary = expected(theirs, rows.answers, rows.logits > 0, zero_division=0.0, **weights)
        same(rows.compute(kind(threshold=0.0), rows.logits, rows.answers.astype(float)), binary)


@pytest.mark.parametrize("case", CASES)
def test_the_best_k(case):
    rows = Rows(case)
    for k in range(1, rows.classes):
        # of equal scores scikit-learn takes the last first, and we the first
        value = expected(
            sklearn.top_k_accuracy_score, rows.classes - 1 - rows.labels, rows.scores[:, ::-1], k=k,
            labels=range(rows.classes), sample_weight=rows.weights,
        ) if rows.classes > 2 else expected(
            sklearn.accuracy_score, rows.labels, rows.scores.argmax(1), sample_weight=rows.weights
        )  # fmt: skip
        same(rows.compute(TopKAccuracy(k), rows.scores, rows.labels), value)


@pytest.mark.parametrize("case", CASES)
def test_orders(case):
    rows = Rows(case)
    weights = {"sample_weight": rows.weights}
    ours = rows.compute(AUROC(), rows.logits, rows.answers)
    same(ours, expected(sklearn.roc_auc_score, rows.answers, rows.logits, **weights))
    precision = rows.compute(AveragePrecision(), rows.logits, rows.answers)
    if rows.answers.any():
        same(
            precision,
            expected(sklearn.average_precision_score, rows.answers, rows.logits, **weights),
        )
    else:
        assert np.isnan(precision)
    one_hot = rows.labels[:, None] == np.arange(rows.classes)
    for kind, theirs in (
        (AUROC, sklearn.roc_auc_score),
        (AveragePrecision, sklearn.average_precision_score),
    ):
        each = np.asarray([
            expected(theirs, one_hot[:, i], rows.scores[:, i], **weights)
            if one_hot[:, i].any() else np.nan
            for i in range(rows.classes)
        ])  # fmt: skip
        if rows.classes == 2:
            each = each[1]
        same(rows.compute(kind(None, from_logits=False), rows.scores, rows.labels), each)
        several = expected(theirs, rows.many, rows.figures, average=None, **weights)
        several = np.where(rows.many.any(0), several, np.nan)
        same(rows.compute(kind(None), rows.figures, rows.many), several)


def test_classes_one_against_the_rest():
    random = np.random.default_rng(0)
    scores, labels = random.normal(size=(50, 4)), np.append(np.arange(4), random.integers(0, 4, 46))
    shares = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    for average in ("macro", "weighted"):
        value = sklearn.roc_auc_score(labels, shares, multi_class="ovr", average=average)
        ours, precision = AUROC(average), AveragePrecision(average)
        ours.update(scores, labels)
        precision.update(scores, labels)
        same(ours.compute(), value)
        same(precision.compute(), sklearn.average_precision_score(labels, shares, average=average))


@pytest.mark.parametrize("case", CASES)
def test_errors_of_figures(case):
    rows = Rows(case)
    weights = {"sample_weight": rows.weights}
    for metric, theirs in (
        (MeanAbsoluteError(), sklearn.mean_absolute_error),
        (MeanSquaredError(), sklearn.mean_squared_error),
        (
            MeanSquaredError(squared=False),
            lambda *a, **w: sklearn.mean_squared_error(*a, **w) ** 0.5,
        ),
        (R2(), sklearn.r2_score),
    ):
        same(
            rows.compute(metric, rows.figures, rows.true),
            expected(theirs, rows.true, rows.figures, **weights),
        )


@pytest.mark.parametrize("case", CASES)
def test_surprise(case):
    rows = Rows(case)
    shares = np.exp(rows.scores) / np.exp(rows.scores).sum(1, keepdims=True)
    loss = expected(
        sklearn.log_loss,
        rows.labels,
        shares,
        labels=range(rows.classes),
        sample_weight=rows.weights,
    )
    same(rows.compute(Perplexity(), rows.scores, rows.labels), np.exp(loss))
