"""Losses: every option, every reduction, spatial axes, sizes 0 and 1."""

import numpy as np

from .case import Case, between, case, normal, whole


def signs(*shape):
    return whole(2, *shape) * 2 - 1


def reductions(row, *names):
    return [row._replace(options={**row.options, "reduction": name}) for name in names]


ROWS, IMAGES, BYTES = normal(5, 4), normal(2, 3, 4, 5), whole(3, 2, 4, 5)
CLASSES, WEIGHT = whole(4, 5), between(0.5, 2.0, 4)
SOME = np.where(np.arange(5) == 2, -100, CLASSES)
SHARES = (lambda x: x / x.sum(axis=1, keepdims=True))(between(0.1, 1.0, 5, 4))
LOGS = np.log(SHARES)
X, Y, W = normal(3, 5), normal(3, 5, seed=4), between(0.5, 2.0, 3, 5)
LABELS = np.array([[3, 0, -1, 1], [-1, 2, 0, 0], [0, 1, 2, 3]])
TRIPLE = (normal(5, 4), normal(5, 4, seed=6), normal(5, 4, seed=7))

NUMBERS = [
    case("mse_loss", X, Y), case("mse_loss", X, Y, weight=W), case("MSELoss", X, Y, reduction="sum"),
    case("mse_loss", X, Y, weight=W, reduction="none"), case("mse_loss", normal(0, 3), normal(0, 3), reduction="sum"),
    case("l1_loss", X, Y), case("l1_loss", X, Y, weight=W), case("L1Loss", X, Y, reduction="none"),
    case("smooth_l1_loss", X, Y, beta=0.5), case("smooth_l1_loss", X, Y, beta=0.0), case("SmoothL1Loss", X, Y, reduction="none", beta=2.0),
    case("huber_loss", X, Y, delta=0.5), case("huber_loss", X, Y, "sum", 0.7), case("huber_loss", X, Y, weight=W),
    case("HuberLoss", X, Y, reduction="sum", delta=2.0),
    case("binary_cross_entropy", between(0, 1, 3, 5), between(0, 1, 3, 5, seed=5)),
    case("BCELoss", between(0, 1, 3, 5), between(0, 1, 3, 5, seed=5), weight=between(0.5, 2.0, 5)),
    case("BCELoss", between(0, 1, 3, 5), between(0, 1, 3, 5, seed=5), weight=W, reduction="none"),
    case("binary_cross_entropy_with_logits", X, between(0, 1, 3, 5)),
    case("BCEWithLogitsLoss", 40 * X, between(0, 1, 3, 5), weight=W, reduction="sum"),
    case("BCEWithLogitsLoss", 40 * X, between(0, 1, 3, 5), pos_weight=between(0.5, 3.0, 5)),
    case("BCEWithLogitsLoss", X, between(0, 1, 3, 5), weight=between(0.5, 2, 3, 1), pos_weight=between(0.5, 3.0, 1), reduction="none"),
]  # fmt: skip
LIKELIHOODS = [
    case("poisson_nll_loss", X, whole(5, 3, 5)),
    case("PoissonNLLLoss", between(0.0, 2.0, 3, 5), whole(5, 3, 5), log_input=False, full=True, eps=1e-3),
    case("PoissonNLLLoss", X, between(0.1, 5, 3, 5), full=True, reduction="none"),
    case("PoissonNLLLoss", normal(0), normal(0), reduction="sum"),
    case("gaussian_nll_loss", X, Y, W), case("gaussian_nll_loss", X, Y, between(0.5, 2, 3), full=True),
    case("GaussianNLLLoss", X, Y, between(0.5, 2, 3, 1), reduction="none"), case("gaussian_nll_loss", X, Y, 0.5),
    case("GaussianNLLLoss", X, Y, W * (Y > 0), full=True, eps=0.1, reduction="sum"),
    case("kl_div", LOGS, SHARES), case("kl_div", LOGS, SHARES * (Y[:1, :1] < 9), reduction="batchmean"),
    case("KLDivLoss", LOGS, np.log(SHARES[::-1].copy()), log_target=True, reduction="sum"),
    case("KLDivLoss", LOGS, SHARES[:1], reduction="none"), case("kl_div", normal(1)[0:1], between(0, 1, 1)),
]  # fmt: skip
OF_CLASSES = [
    case("nll_loss", LOGS, CLASSES), *reductions(case("NLLLoss", LOGS, SOME, weight=WEIGHT), "mean", "sum", "none"),
    case("NLLLoss", LOGS, CLASSES, ignore_index=1), case("nll_loss", IMAGES, BYTES), case("nll_loss", normal(4), np.array(2)),
    case("NLLLoss", IMAGES, BYTES, weight=WEIGHT[:3], reduction="none"), case("nll_loss", normal(0, 4), whole(4, 0), reduction="sum"),
    case("cross_entropy", ROWS, CLASSES), *reductions(case("CrossEntropyLoss", ROWS, SOME, weight=WEIGHT, label_smoothing=0.2), "mean", "sum", "none"),
    case("CrossEntropyLoss", ROWS, CLASSES, ignore_index=int(CLASSES[0])), case("CrossEntropyLoss", IMAGES, BYTES, label_smoothing=0.1),
    case("cross_entropy", normal(4), np.array(1), weight=WEIGHT), case("cross_entropy", normal(1, 1), whole(1, 1)),
    *reductions(case("CrossEntropyLoss", ROWS, SHARES, weight=WEIGHT, label_smoothing=0.3), "mean", "sum", "none"),
    case("cross_entropy", normal(3, 4, 2), between(0, 1, 3, 4, 2)), case("cross_entropy", normal(4), WEIGHT),
    case("cross_entropy", normal(0, 4), whole(4, 0), reduction="none"), case("cross_entropy", normal(0, 4), whole(4, 0)),
    case("multi_margin_loss", ROWS, CLASSES), *reductions(case("MultiMarginLoss", ROWS, CLASSES, p=2, margin=0.5, weight=WEIGHT), "mean", "none"),
    case("multi_margin_loss", normal(4), np.array(3), reduction="sum"), case("MultiMarginLoss", normal(1, 1), whole(1, 1)),
    case("multilabel_margin_loss", normal(3, 4), LABELS), *reductions(case("MultiLabelMarginLoss", normal(3, 4), LABELS), "sum", "none"),
    case("multilabel_margin_loss", normal(4), LABELS[0]), case("multilabel_margin_loss", normal(1, 1), np.array([[0]])),
    case("multilabel_soft_margin_loss", X, whole(2, 3, 5).astype(np.float32)),
    *reductions(case("MultiLabelSoftMarginLoss", 30 * X, whole(2, 3, 5).astype(np.float32), weight=between(0, 1, 5)), "sum", "none"),
    case("multilabel_soft_margin_loss", normal(2, 3, 4), between(0, 1, 2, 3, 4), reduction="none"),
]  # fmt: skip
OF_MARGINS = [
    case("hinge_embedding_loss", X, signs(3, 5)), case("HingeEmbeddingLoss", X, signs(3, 5), margin=0.3, reduction="none"),
    case("hinge_embedding_loss", np.ones((2, 2), np.float32), np.array([[1, -1], [0, -1]]), reduction="sum"),
    case("soft_margin_loss", 20 * X, signs(3, 5)), case("SoftMarginLoss", X, signs(3, 5), reduction="sum"),
    case("SoftMarginLoss", normal(0), signs(0), reduction="none"),
    case("margin_ranking_loss", X, Y, Y[::-1].copy()), case("MarginRankingLoss", X, Y, signs(3, 1), margin=0.5, reduction="none"),
    case("margin_ranking_loss", X, X.copy(), signs(3, 5), reduction="sum"),
    case("cosine_embedding_loss", ROWS, normal(5, 4, seed=3), signs(5)),
    case("CosineEmbeddingLoss", ROWS, normal(5, 4, seed=3), signs(5), margin=0.2, reduction="none"),
    case("cosine_embedding_loss", normal(4), normal(4, seed=3), np.array(-1), margin=-0.5),
    case("CosineEmbeddingLoss", ROWS, normal(1, 4, seed=3), signs(5), reduction="sum"),
    case("triplet_margin_loss", *TRIPLE), case("TripletMarginLoss", *TRIPLE, margin=0.5, p=3.0, eps=1e-3, swap=True, reduction="none"),
    case("TripletMarginLoss", *TRIPLE, p=1.0, reduction="sum"), case("triplet_margin_loss", TRIPLE[0], TRIPLE[1][:1], TRIPLE[2]),
    case("triplet_margin_with_distance_loss", *TRIPLE), case("TripletMarginWithDistanceLoss", *TRIPLE, margin=2.0, swap=True, reduction="none"),
    case("triplet_margin_loss", normal(3), normal(3, seed=6), normal(3, seed=7)),
]  # fmt: skip
HEADS = [
    case("linear_cross_entropy", normal(5, 3), normal(4, 3, seed=5), CLASSES),
    case("linear_cross_entropy", normal(5, 3), normal(4, 3, seed=5), SOME, linear_bias=normal(4), weight=WEIGHT, label_smoothing=0.2, reduction="sum"),
    case("linear_cross_entropy", normal(5, 3), normal(4, 2, 3, seed=5), whole(4, 5, 2), ignore_index=1),
    case("LinearCrossEntropyLoss", normal(5, 3), CLASSES, in_features=3, num_classes=4, bias=True, reduction="none"),
    case("LinearCrossEntropyLoss", normal(5, 3), whole(4, 5, 2), in_features=3, num_classes=4, out_features=(2,)),
    case("AdaptiveLogSoftmaxWithLoss", normal(5, 16), whole(10, 5), in_features=16, n_classes=10, cutoffs=[3, 6], head_bias=True),
    case("AdaptiveLogSoftmaxWithLoss", normal(8), np.array(7), in_features=8, n_classes=10, cutoffs=[4], div_value=2.0),
]  # fmt: skip

CASES: list[Case] = [*NUMBERS, *LIKELIHOODS, *OF_CLASSES, *OF_MARGINS, *HEADS]
