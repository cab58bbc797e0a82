"""Losses beside PyTorch's table: what is refused, eagerly and under `jit`, and what hides everything."""

import numpy as np
import pytest

import tessella as ts
from tessella import errors, nn
from tessella.nn import functional as F

X = ts.asarray(np.linspace(-1.0, 1.0, 12, dtype=np.float32).reshape(3, 4))
CLASSES = ts.asarray([0, 3, 1])


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("wrong", [4, -1, 1 << 40])
@pytest.mark.parametrize("name", ["nll_loss", "cross_entropy", "multi_margin_loss"])
def test_classes_that_are_not_there_are_refused(name, wrong, compiled):
    call = ts.jit(getattr(F, name)) if compiled else getattr(F, name)
    with pytest.raises(
        errors.IndexingError, match=f"{name}: class {wrong} is out of range for 4 classes"
    ):
        call(X, ts.asarray([0, wrong, 1])).item()


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("wrong", [4, -2])
def test_labels_that_are_not_there_are_refused(wrong, compiled):
    call = ts.jit(F.multilabel_margin_loss) if compiled else F.multilabel_margin_loss
    labels = ts.asarray([[0, 1, -1, 0], [wrong, -1, 0, 0], [-1, 0, 0, 0]])
    with pytest.raises(
        errors.IndexingError, match=f"multilabel_margin_loss: class {wrong} is out of range"
    ):
        call(X, labels).item()


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize(
    ("name", "options"),
    [("nll_loss", {}), ("cross_entropy", {}), ("cross_entropy", {"label_smoothing": 0.1}),
     ("cross_entropy", {"weight": ts.ones(4)})],
)  # fmt: skip
def test_where_all_is_ignored_there_is_no_loss(name, options, compiled):
    call = ts.value_and_grad(lambda x: getattr(F, name)(x, ts.full((3,), -100), **options))
    loss, gradient = (ts.jit(call) if compiled else call)(ts.full((3, 4), ts.nan))
    assert loss.item() == 0.0 and gradient.tolist() == [[0.0] * 4] * 3


def test_no_label_at_all_is_no_loss():
    call = ts.value_and_grad(lambda x: F.multilabel_margin_loss(x, ts.full((3, 4), -1)))
    loss, gradient = call(X)
    assert loss.item() == 0.0 and not gradient.numpy().any()
    assert (
        F.multilabel_margin_loss(ts.zeros((0, 4)), ts.zeros((0, 4), dtype=ts.int64), "sum").item()
        == 0
    )


@pytest.mark.parametrize("name", [name for name in F.__all__ if name.endswith("_loss")])
@pytest.mark.parametrize("old", ["size_average", "reduce"])
def test_old_spellings_of_reduction_say_what_to_write(name, old):
    arguments = {
        "triplet": (X, X, X),
        "margin_": (X, X, X),
        "cosine": (X, X, CLASSES),
        "gaussian": (X, X, X),
    }
    given = next((a for key, a in arguments.items() if name.startswith(key)), (X, X))
    if name.endswith("with_distance_loss"):
        pytest.skip("never had them")
    with pytest.raises(
        errors.ArgumentTypeError, match=f"{name}: no argument `{old}`: write reduction="
    ):
        getattr(F, name)(*given, **{old: True})


def test_classes_and_functions_under_jit_and_vmap():
    loss = nn.TripletMarginLoss(swap=True, reduction="none")
    given = [ts.randn(5, 3, 4) for _ in range(3)]
    expected = ts.stack([loss(*three) for three in zip(*given, strict=True)])
    np.testing.assert_allclose(ts.jit(ts.vmap(loss))(*given).numpy(), expected.numpy(), rtol=1e-5)
    labels = ts.asarray(np.random.default_rng(0).integers(0, 4, (5, 3)))
    batched = ts.vmap(lambda x, y: F.multi_margin_loss(x, y))(given[0], labels)
    np.testing.assert_allclose(
        batched.numpy(), [F.multi_margin_loss(x, y).item() for x, y in zip(given[0], labels, strict=True)], rtol=1e-5
    )  # fmt: skip


def test_half_precision_is_added_in_float32():
    x, y = ts.full((70_000,), 1.0, dtype=ts.float16), ts.full((70_000,), 0.0, dtype=ts.float16)
    for found in (F.poisson_nll_loss(x, y, log_input=False), F.gaussian_nll_loss(x, y, 1.0) * 2,
                  F.hinge_embedding_loss(x, y + 1), F.kl_div(y - 1, x)):  # fmt: skip
        assert found.dtype is ts.float16 and found.item() == 1.0


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda: F.kl_div(X, X, "average"), errors.ArgumentError,
         "kl_div: reduction is 'average'; expected 'mean' or 'sum' or 'none' or 'batchmean'"),
        (lambda: nn.KLDivLoss("average"), errors.ArgumentError, "KLDivLoss: reduction is 'average'"),
        (lambda: F.mse_loss(X, X, weight=ts.ones(4)), errors.ShapeError, "mse_loss: weight has shape (4,); expected (3, 4)"),
        (lambda: F.binary_cross_entropy_with_logits(X, X, pos_weight=ts.ones(3)), errors.ShapeError,
         "shapes (3,) and (3, 4)"),
        (lambda: F.binary_cross_entropy(X * 0, X, ts.ones((2, 3, 4))), errors.ShapeError,
         "binary_cross_entropy: weight has shape (2, 3, 4); expected one that broadcasts to (3, 4)"),
        (lambda: F.gaussian_nll_loss(X, X, -1.0), errors.ArgumentError, "var has negative entries; expected variances"),
        (lambda: F.gaussian_nll_loss(X, X, ts.ones(4)), errors.ShapeError, "var has shape (4,); expected (3, 4), (3,), or one axis"),
        (lambda: F.multi_margin_loss(X, CLASSES, p=3), errors.ArgumentError, "multi_margin_loss: p is 3; expected 1 or 2"),
        (lambda: nn.MultiMarginLoss(3), errors.ArgumentError, "MultiMarginLoss: p is 3; expected 1 or 2"),
        (lambda: F.multi_margin_loss(X, CLASSES, weight=ts.ones(3)), errors.ShapeError, "weight has shape (3,); expected (4,)"),
        (lambda: F.multi_margin_loss(X, CLASSES.astype(ts.float32)), errors.DTypeError, "class numbers are integers"),
        (lambda: F.multilabel_margin_loss(X, X), errors.DTypeError, "class numbers are integers"),
        (lambda: F.multilabel_margin_loss(X[None], ts.zeros((1, 3, 4), dtype=ts.int64)), errors.ShapeError, "expected (N, C) or (C,)"),
        (lambda: F.margin_ranking_loss(X, X, CLASSES), errors.ShapeError, "target has shape (3,); expected as many axes of all"),
        (lambda: F.cosine_embedding_loss(X, X, X), errors.ShapeError, "expected (N, D), (N, D) and (N,)"),
        (lambda: F.triplet_margin_loss(X, X, X, margin=0.0), errors.ArgumentError, "margin is 0.0; expected a number above 0"),
        (lambda: nn.TripletMarginLoss(-1.0), errors.ArgumentError, "TripletMarginLoss: margin is -1.0"),
        (lambda: nn.TripletMarginWithDistanceLoss(margin=0), errors.ArgumentError, "margin is 0; expected a number above 0"),
        (lambda: F.triplet_margin_loss(X, X[0], X), errors.ShapeError, "positive has shape (4,)"),
        (lambda: F.multilabel_soft_margin_loss(X, X[0]), errors.ShapeError, "they must be the same: reshape one of them"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(call, error, said):
    with pytest.raises(error) as caught:
        call()
    assert said in str(caught.value)


def test_probabilities_of_many_classes_add_up_and_the_likeliest_is_predicted():
    layer = ts.nn.AdaptiveLogSoftmaxWithLoss(8, 10, [3, 6], div_value=2.0)
    x = ts.random.normal(ts.random.key(0), (4, 8))
    logs = layer.log_prob(x)
    np.testing.assert_allclose(np.exp(logs.numpy()).sum(axis=1), 1.0, rtol=1e-5)
    np.testing.assert_array_equal(layer.predict(x).numpy(), logs.numpy().argmax(axis=1))
    for cutoffs in ([], [3, 3], [0, 4], [3, 10], [12]):
        with pytest.raises(
            ts.errors.ArgumentError, match=r"cutoffs is .*; expected numbers that increase"
        ):
            ts.nn.AdaptiveLogSoftmaxWithLoss(8, 10, cutoffs)
    with pytest.raises(ts.errors.IndexingError, match="class 10 is out of range for 10 classes"):
        ts.jit(layer)(x, ts.asarray([0, 1, 2, 10]))
    with pytest.raises(
        ts.errors.ShapeError, match=r"the target \(3,\); expected \(N, 8\) and \(N,\)"
    ):
        layer(x, ts.asarray([0, 1, 2]))


def test_heads_that_do_not_fit_are_told():
    with pytest.raises(
        ts.errors.ShapeError, match=r"input has shape \(2, 3\), the weight \(4, 2\)"
    ):
        ts.nn.functional.linear_cross_entropy(ts.ones((2, 3)), ts.ones((4, 2)), ts.asarray([0, 1]))
