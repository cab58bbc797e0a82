"""Tables of rows: what PyTorch's cases do not tell, and bad input."""

import numpy as np
import pytest

import tessella as ts
from tessella import nn
from tessella.nn import functional as F


def test_bags_divide_gradients_by_how_often_rows_are_asked_for():
    x, bags = ts.asarray([2, 0, 2, 2]), ts.asarray([0, 1])
    gradient = ts.grad(
        lambda w: F.embedding_bag(x, w, bags, mode="sum", scale_grad_by_freq=True).sum()
    )(ts.ones((3, 2)))
    np.testing.assert_allclose(gradient.numpy(), [[1.0, 1.0], [0.0, 0.0], [1.0, 1.0]])


def test_long_rows_are_shortened_in_the_table():
    layer = nn.Embedding(4, 2, max_norm=1.0)
    before = layer.weight.numpy().copy()
    layer(ts.asarray([1, 1, 3]))
    after = layer.weight.numpy()
    np.testing.assert_array_equal(after[[0, 2]], before[[0, 2]])
    for row in (1, 3):
        norm = np.linalg.norm(before[row])
        np.testing.assert_allclose(after[row], before[row] / max(norm, 1.0), rtol=1e-5)
    assert layer.weight.requires_grad
    assert layer.weight.is_leaf


def test_the_row_of_the_padding_begins_and_stays_at_zero():
    layer = nn.Embedding(4, 2, padding_idx=1)
    optimiser = ts.optim.SGD(layer.parameters(), lr=0.1)
    layer(ts.asarray([1, 2])).sum().backward()
    optimiser.step()
    assert not layer.weight.numpy()[1].any()
    assert layer.weight.grad.numpy()[2].all()


def test_tables_that_are_given_stay_as_they_are():
    table = ts.asarray([[1.0, 2.0], [3.0, 4.0]])
    layer = nn.Embedding.from_pretrained(table, padding_idx=0)
    assert not layer.weight.requires_grad
    assert repr(layer) == "Embedding(2, 2, padding_idx=0)"
    np.testing.assert_array_equal(layer(ts.asarray([0, 1])).numpy(), table.numpy())
    assert nn.EmbeddingBag.from_pretrained(table, freeze=False, mode="max").weight.requires_grad
    with pytest.raises(
        ts.errors.ShapeError, match=r"shape \(2,\); expected \(rows, size of a row\)"
    ):
        nn.Embedding.from_pretrained(ts.ones(2))


def test_empty_bags_are_zero():
    table = ts.ones((3, 2))
    for mode in ("sum", "mean", "max"):
        found = F.embedding_bag(ts.zeros((2, 0), dtype=ts.int64), table, mode=mode)
        np.testing.assert_array_equal(found.numpy(), np.zeros((2, 2)))
        found = F.embedding_bag(ts.zeros(0, dtype=ts.int64), table, ts.asarray([0, 0]), mode=mode)
        np.testing.assert_array_equal(found.numpy(), np.zeros((2, 2)))


@pytest.mark.parametrize("compiled", [False, True])
def test_bags_that_there_are_not_are_refused(compiled):
    def bag(offsets):
        return F.embedding_bag(ts.asarray([0, 1, 2]), ts.ones((3, 2)), offsets)

    bag = ts.jit(bag) if compiled else bag
    with pytest.raises(ts.errors.IndexingError, match="offsets do not begin with 0"):
        bag(ts.asarray([1, 2]))
    with pytest.raises(ts.errors.IndexingError, match="offsets: class 4 is out of range"):
        bag(ts.asarray([0, 4]))


def test_options_that_do_not_fit_are_told():
    x, table = ts.asarray([[0, 1]]), ts.ones((3, 2))
    for call, error, words in (
        (lambda: F.embedding(x, table, sparse=True), ts.errors.ArgumentError, "sparse is True; gradients are dense"),
        (lambda: F.embedding(x, table, padding_idx=3), ts.errors.ArgumentError, "padding_idx is 3; expected a row"),
        (lambda: F.embedding(x, ts.ones(3)), ts.errors.ShapeError, r"embedding: the weight has shape \(3,\); expected"),
        (lambda: F.embedding_bag(x, table, mode="max", per_sample_weights=ts.ones((1, 2))), ts.errors.ArgumentError, "mode='max'; expected 'sum'"),
        (lambda: F.embedding_bag(x, table, mode="sum", per_sample_weights=ts.ones(2)), ts.errors.ShapeError, r"per_sample_weights \(2,\); expected \(1, 2\)"),
        (lambda: F.embedding_bag(x[0], table), ts.errors.ShapeError, "without offsets"),
        (lambda: F.embedding_bag(x, table, ts.asarray([0])), ts.errors.ShapeError, "with offsets"),
    ):  # fmt: skip
        with pytest.raises(error, match=words):
            call()
