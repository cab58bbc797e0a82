"""Metrics: the same however rows are cut into batches; awkward rows, states, and what is said of mistakes."""

import math
import re

import numpy as np
import pytest

import tessella as ts
from tessella.errors import (
    ArgumentError,
    ArgumentTypeError,
    DTypeError,
    IndexingError,
    MissingRuleError,
    ShapeError,
    StateDictError,
)
from tessella.train import (
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
from tessella.train.stopping import mode_of

RANDOM = np.random.default_rng(5)
SCORES = RANDOM.normal(size=(60, 4)).astype(np.float32)
LABELS = RANDOM.integers(0, 4, 60)
LOGITS = RANDOM.integers(-3, 4, 60).astype(np.float32)  # with ties
ANSWERS = RANDOM.integers(0, 2, 60)
FIGURES = RANDOM.normal(3.0, size=(60, 2))
TRUE_FIGURES = FIGURES + RANDOM.normal(size=(60, 2))

METRICS = {
    "accuracy": (lambda: Accuracy(), SCORES, LABELS),
    "accuracy of logits": (lambda: Accuracy(threshold=0.0), LOGITS, ANSWERS),
    "top k": (lambda: TopKAccuracy(2), SCORES, LABELS),
    "precision": (lambda: Precision("macro"), SCORES, LABELS),
    "recall": (lambda: Recall(None), SCORES, LABELS),
    "f1": (lambda: F1("weighted"), SCORES, LABELS),
    "f1 of answers": (lambda: F1(threshold=0.0), LOGITS, ANSWERS),
    "confusion": (lambda: ConfusionMatrix(), SCORES, LABELS),
    "auroc": (lambda: AUROC(), SCORES, LABELS),
    "auroc of answers": (lambda: AUROC(), LOGITS, ANSWERS),
    "average precision": (lambda: AveragePrecision(None), SCORES, LABELS),
    "perplexity": (lambda: Perplexity(), SCORES, LABELS),
    "loss": (lambda: Loss(ts.nn.functional.cross_entropy), SCORES, LABELS),
    "absolute": (lambda: MeanAbsoluteError(), FIGURES, TRUE_FIGURES),
    "squared": (lambda: MeanSquaredError(), FIGURES, TRUE_FIGURES),
    "root": (lambda: MeanSquaredError(squared=False), FIGURES, TRUE_FIGURES),
    "r2": (lambda: R2(), FIGURES, TRUE_FIGURES),
}
CUTS = {"one": [60], "uneven": [7, 30, 60], "with empty ones": [0, 0, 25, 25, 60, 60]}


def fed(metric, outputs, targets, cuts=(60,), **more):
    start = 0
    for end in cuts:
        rest = {name: value[start:end] for name, value in more.items()}
        metric.update(outputs[start:end], targets[start:end], **rest)
        start = end
    return metric


@pytest.mark.parametrize("name", METRICS)
def test_batches_are_cut_anywhere(name):
    make, outputs, targets = METRICS[name]
    whole = fed(make(), outputs, targets).compute()
    for cuts in CUTS.values():
        found = fed(make(), outputs, targets, cuts).compute()
        np.testing.assert_allclose(found, whole, rtol=1e-6 if name == "loss" else 1e-12)


@pytest.mark.parametrize("name", METRICS)
def test_a_state_goes_on_bit_for_bit(name):
    make, outputs, targets = METRICS[name]
    straight = fed(make(), outputs, targets, [20, 60])
    first = fed(make(), outputs, targets, [20])
    state = first.state_dict()
    before = first.compute()
    fed(first, outputs[20:], targets[20:], [40])  # what goes on does not reach the state
    second = make()
    second.load_state_dict(state)
    np.testing.assert_array_equal(second.compute(), before)
    fed(second, outputs[20:], targets[20:], [40])
    np.testing.assert_array_equal(second.compute(), straight.compute())
    np.testing.assert_array_equal(first.compute(), straight.compute())


@pytest.mark.parametrize("name", METRICS)
def test_without_rows_there_is_no_figure(name):
    make, outputs, targets = METRICS[name]
    metric = fed(make(), outputs, targets, [20])
    metric.reset()
    fresh = make()
    np.testing.assert_array_equal(metric.compute(), fresh.compute())
    fed(fresh, outputs, targets, [0])
    if name == "confusion":
        assert not fresh.compute().any()
    else:
        assert np.isnan(fresh.compute()).all()


@pytest.mark.parametrize(
    "name", ["accuracy", "precision", "f1", "auroc", "r2", "absolute", "top k"]
)
def test_whole_weights_count_like_repeated_rows(name):
    make, outputs, targets = METRICS[name]
    weights = RANDOM.integers(0, 4, 60)
    weighted = fed(make(), outputs, targets, [13, 60], weights=weights.astype(np.float32))
    repeated = fed(make(), outputs.repeat(weights, 0), targets.repeat(weights, 0), [10**6])
    np.testing.assert_allclose(weighted.compute(), repeated.compute(), rtol=1e-12)


@pytest.mark.parametrize(
    "make",
    [
        lambda **options: Accuracy(**options), lambda **options: TopKAccuracy(2, **options),
        lambda **options: F1("macro", **options), lambda **options: ConfusionMatrix(**options),
        lambda **options: AUROC(**options), lambda **options: AveragePrecision(**options),
        lambda **options: Perplexity(**options),
    ],
)  # fmt: skip
def test_ignored_labels_do_not_count(make):
    labels = np.where(RANDOM.random(60) < 0.3, -1, LABELS)
    kept = labels >= 0
    ignoring = fed(make(ignore_index=-1), SCORES, labels, [31, 60]).compute()
    np.testing.assert_array_equal(ignoring, fed(make(), SCORES[kept], labels[kept]).compute())


def test_labels_of_a_row_are_ignored_one_by_one():
    scores, answers = RANDOM.normal(size=(30, 3)), RANDOM.integers(0, 2, (30, 3))
    hidden = RANDOM.random((30, 3)) < 0.3
    answers = np.where(hidden, -1, answers)
    for make in (AUROC, AveragePrecision):
        columns = [
            fed(make(), scores[~hidden[:, i], i], answers[~hidden[:, i], i]).compute()
            for i in range(3)
        ]
        np.testing.assert_allclose(
            fed(make(None, ignore_index=-1), scores, answers).compute(), columns
        )
    columns = [
        fed(F1(threshold=0.0), scores[~hidden[:, i], i], answers[~hidden[:, i], i]).compute()
        for i in range(3)
    ]
    by_label = F1(None, threshold=0.0, ignore_index=-1)
    np.testing.assert_allclose(fed(by_label, scores, answers).compute(), columns)


@pytest.mark.parametrize("name", ["accuracy", "f1", "auroc", "perplexity", "confusion"])
def test_classes_stand_along_any_axis(name):
    make = METRICS[name][0]
    flat = fed(make(), SCORES, LABELS).compute()
    scores, labels = SCORES.reshape(12, 5, 4), LABELS.reshape(12, 5)
    np.testing.assert_allclose(fed(make(), np.moveaxis(scores, 2, 1), labels).compute(), flat)
    last = type(make())(axis=-1) if name != "f1" else F1("weighted", axis=-1)
    np.testing.assert_allclose(fed(last, scores, labels).compute(), flat)


def test_one_row_without_an_axis_of_rows():
    accuracy = Accuracy()
    accuracy.update(ts.asarray([0.1, 0.9]), ts.asarray(1))
    assert accuracy.compute() == 1.0


def test_ties_and_nan_have_an_order():
    scores = np.array(
        [[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [math.nan, 1.0, 0.0], [0.0, math.nan, 1.0]]
    )
    labels = np.array([0, 1, 1, 2])
    assert fed(Accuracy(), scores, labels).compute() == 0.25
    assert fed(TopKAccuracy(1), scores, labels).compute() == 0.25
    assert fed(TopKAccuracy(2), scores, labels).compute() == 1.0
    assert fed(TopKAccuracy(3), scores, np.array([0, 1, 0, 1])).compute() == 0.5  # NaN is no score
    assert math.isnan(fed(AUROC(), scores, labels).compute())


def test_half_precision_and_gradients():
    half = ts.asarray(SCORES).astype(ts.bfloat16)
    wide = half.astype(ts.float32).requires_grad_()
    for make in (Accuracy, AUROC, Perplexity, lambda: TopKAccuracy(2)):
        narrow, full = make(), make()
        narrow.update(half, ts.asarray(LABELS))
        full.update(wide, ts.asarray(LABELS))
        assert narrow.compute() == full.compute()


def test_what_is_kept_is_a_copy():
    scores = ts.asarray(LOGITS.copy())
    auroc = AUROC()
    auroc.update(scores, ANSWERS)
    before = auroc.compute()
    scores.assign(ts.zeros(60))
    assert auroc.compute() == before


def test_one_class_only_has_no_area():
    assert math.isnan(fed(AUROC(), LOGITS, np.ones(60, int)).compute())
    assert math.isnan(fed(AveragePrecision(), LOGITS, np.zeros(60, int)).compute())
    assert fed(AveragePrecision(), LOGITS, np.ones(60, int)).compute() == 1.0
    by_class = fed(AUROC(None), SCORES, LABELS.clip(0, 2)).compute()
    assert np.isnan(by_class).tolist() == [False, False, False, True]
    assert fed(AUROC(), SCORES, LABELS.clip(0, 2)).compute() == pytest.approx(by_class[:3].mean())


def test_logits_and_probabilities_give_one_order():
    shares = np.exp(SCORES.astype(np.float64))
    shares /= shares.sum(1, keepdims=True)
    expected = fed(AUROC(from_logits=False), shares, LABELS).compute()
    assert fed(AUROC(), SCORES, LABELS).compute() == pytest.approx(expected, rel=1e-12)
    assert fed(AUROC(), np.log(shares), LABELS).compute() == pytest.approx(expected, rel=1e-12)
    assert fed(AUROC(from_logits=False), SCORES, LABELS).compute() != expected


def test_r2_of_flat_targets():
    flat = np.full(4, 2.0)
    assert fed(R2(), flat, flat).compute() == 1.0
    assert fed(R2(), np.arange(4.0), flat).compute() == 0.0
    far = 1e8 + np.arange(6.0)  # a sum of squares would have lost the spread
    assert fed(R2(), far + [0.5, -0.5] * 3, far, [2, 6]).compute() == pytest.approx(1 - 1.5 / 17.5)


def test_means_of_losses():
    per_row = Loss(lambda outputs, targets: (outputs - targets).abs())
    mean = Loss(lambda outputs, targets: (outputs - targets).abs().mean())
    for metric in (per_row, mean):
        fed(metric, FIGURES, TRUE_FIGURES, [11, 60])
        assert metric.compute() == pytest.approx(np.abs(FIGURES - TRUE_FIGURES).mean())
    losses = Mean("loss")
    losses.update(ts.asarray([1.0, 3.0]))
    losses.update(5, 2)
    assert (losses.compute(), losses.name) == (3.5, "loss")
    losses.update(math.nan)
    assert math.isnan(losses.compute())


def test_perplexity_without_bound():
    perplexity = Perplexity()
    perplexity.update(ts.asarray([[0.0, -1e4]]), [1])
    assert perplexity.compute() == math.inf


def test_confusion_in_shares():
    found, true = [0, 1, 1, 2], [0, 1, 2, 2]
    for normalize, axis in (("true", 1), ("pred", 0), ("all", None)):
        table = ConfusionMatrix(4, normalize)
        table.update(found, true)
        counts = ConfusionMatrix(4)
        counts.update(found, true)
        assert counts.compute().shape == (4, 4)
        sums = np.maximum(counts.compute().sum(axis, keepdims=True), 1)
        np.testing.assert_array_equal(table.compute(), counts.compute() / sums)


def test_names_and_words():
    assert [make().name for make, _, _ in METRICS.values()] == [
        "accuracy", "accuracy", "top_2_accuracy", "precision", "recall", "f1", "f1", "confusion_matrix", "auroc",
        "auroc", "average_precision", "perplexity", "loss", "mean_absolute_error", "mean_squared_error",
        "root_mean_squared_error", "r2",
    ]  # fmt: skip
    assert repr(fed(Accuracy(name="hits"), LABELS, LABELS)) == "Accuracy('hits': 1)"
    assert (
        repr(fed(ConfusionMatrix(), SCORES, LABELS))
        == "ConfusionMatrix('confusion_matrix': (4, 4))"
    )
    assert repr(Recall(None)) == "Recall('recall': [])"


def test_a_metric_of_ones_own_says_what_it_lacks():
    with pytest.raises(MissingRuleError, match="Metric: it needs a method `empty`"):
        Metric("mine")


WRONG = [
    (Accuracy, SCORES[:3], [0, 9, 1], IndexingError,
     "Accuracy: the target of row 1 is 9; expected 0 to 3, as outputs have 4 classes"),
    (Perplexity, SCORES[:2], [0, -1], IndexingError,
     "Perplexity: the target of row 1 is -1; expected 0 to 3, as outputs have 4 classes"),
    (lambda: Accuracy(axis=-1), np.zeros((2, 3, 4)), [[0, 1, 2], [0, 1, 7]], IndexingError,
     "Accuracy: the target of row 1, at (1, 2), is 7; expected 0 to 3, as outputs have 4 classes"),
    (Accuracy, [0, -2], [0, 1], IndexingError, "Accuracy: the output of row 1 is -2; expected 0 or more"),
    (lambda: Accuracy(threshold=0.5), [0.1, 0.9], [0.0, 0.5], IndexingError,
     "Accuracy: the target of row 1 is 0.5; expected 0 or 1, as there is one output for each target"),
    (Accuracy, [0.1, 0.9], [0, 1], ArgumentError,
     "Accuracy: there is one output for each target; say from where on it means class 1: Accuracy(threshold=0.0) for "
     "logits, Accuracy(threshold=0.5) for probabilities"),
    (Accuracy, SCORES[:3], [0, 1], ShapeError,
     "Accuracy: outputs of shape (3, 4) with classes along axis 1 do not fit targets of shape (2,)"),
    (Accuracy, np.zeros((2, 3, 5)), np.zeros((2, 3), int), ShapeError,
     "Accuracy: outputs of shape (2, 3, 5) with classes along axis 1 do not fit targets of shape (2, 3); "
     "Accuracy(axis=-1) has the classes there"),
    (Accuracy, np.zeros((3, 1)), [[[0]], [[1]]], ShapeError,
     "Accuracy: outputs have shape (3, 1), targets (2, 1, 1); expected the same shape, or outputs with one axis more, of "
     "a score for each class"),
    (Accuracy, SCORES[:2], [0.0, 1.0], DTypeError,
     "Accuracy: targets are of float32; expected class numbers, of an integer dtype"),
    (Accuracy, np.zeros((2, 0)), [0, 1], ShapeError, "Accuracy: outputs of shape (2, 0) have no classes"),
    (TopKAccuracy, SCORES[:1], [1], ArgumentError,
     "TopKAccuracy: k is 5, and outputs have 4 classes; give k of at most that"),
    (Precision, SCORES[:1], [1], ArgumentError,
     "Precision: there are 4 classes; expected two classes for average='binary'; use Precision('macro'), 'micro', "
     "'weighted', or None for one of each class"),
    (lambda: F1(threshold=0.0), np.zeros((2, 3)), np.zeros((2, 3)), ArgumentError,
     "F1: there are 3 answers in a row; expected two classes for average='binary'; use F1('macro'), 'micro', 'weighted', "
     "or None for one of each class"),
    (lambda: ConfusionMatrix(2), [0, 1], [0, 2], IndexingError,
     "ConfusionMatrix: num_classes is 2, and the batch has class 2"),
    (lambda: ConfusionMatrix(2), SCORES[:1], [0], IndexingError,
     "ConfusionMatrix: num_classes is 2, and the batch has outputs of 4 classes"),
    (ConfusionMatrix, [1 << 20], [0], ArgumentError,
     "ConfusionMatrix: the batch has class 1048577; expected 16384 classes at most"),
    (MeanAbsoluteError, np.zeros((3, 1)), np.zeros(3), ShapeError,
     "MeanAbsoluteError: outputs have shape (3, 1), targets (3,); expected the same shape; reshape one of them"),
    (MeanSquaredError, np.zeros(3, complex), np.zeros(3), DTypeError,
     "MeanSquaredError: outputs are of complex128; expected real numbers"),
    (lambda: Loss(lambda outputs, targets: targets[:1]), np.zeros(3), np.zeros(3), ShapeError,
     "Loss: the loss gave shape (1,) for 3 rows; expected one number, or one for each row"),
    (lambda: Loss(lambda outputs: outputs), np.zeros(3), np.zeros(3), ArgumentTypeError,
     "Loss: the loss is called as loss(outputs, targets); "),
    (lambda: fed(R2(), FIGURES, FIGURES), np.zeros((3, 1)), np.zeros((3, 1)), ShapeError,
     "R2: rows have 1 numbers, those before had 2; reset() it first"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "outputs", "targets", "error", "text"), WRONG)
def test_what_is_wrong_is_said(make, outputs, targets, error, text):
    metric = make()
    before = metric.state_dict()
    with pytest.raises(error, match=f"^{re.escape(text)}"):
        metric.update(outputs, targets)
    np.testing.assert_equal(metric.state_dict(), before)


def test_wrong_weights_and_states_are_said():
    with pytest.raises(ShapeError, match=re.escape("weights have shape (2,); expected (3,), as")):
        Accuracy().update([0, 1, 2], [0, 1, 2], [1.0, 2.0])
    with pytest.raises(ArgumentError, match=r"the weight of row 1 is -2.0; expected a finite"):
        R2().update([0.0, 1.0], [0.0, 1.0], [1.0, -2.0])
    with pytest.raises(StateDictError, match=r"the state has 'sum'; expected 'all', 'right'"):
        Accuracy().load_state_dict({"sum": 1})
    with pytest.raises(ArgumentError, match="average is 'mean'; expected 'binary' or 'macro'"):
        Precision("mean")
    with pytest.raises(ArgumentTypeError, match="targets is an object of class object"):
        Accuracy().update([0, 1], object())


@pytest.mark.parametrize(
    ("metric", "higher"),
    [
        *((kind(), True) for kind in (Accuracy, TopKAccuracy, Precision, Recall, F1, AUROC, AveragePrecision, R2)),
        *((kind(), False) for kind in (Perplexity, MeanAbsoluteError, MeanSquaredError)),
        (Loss(ts.nn.functional.mse_loss, name="error"), False), (Mean(), None), (ConfusionMatrix(2), None),
    ],
    ids=lambda value: getattr(value, "name", None),
)  # fmt: skip
def test_whether_more_of_it_is_better_decides_the_best_model(metric, higher):
    assert metric.higher_is_better is higher
    if higher is None:
        with pytest.raises(ArgumentError, match="does not say whether more of it is better"):
            mode_of(metric.name, None, [metric])
    else:
        assert mode_of(metric.name, None, [metric]) == ("max" if higher else "min")
