"""What is ignored or masked reaches neither the result nor the gradient, whatever it holds."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tessella as ts
from tessella.nn import functional as F
from tessella.nn.functional import attention

STRANGE = [
    [-math.inf, 0.0, 1.0],
    [math.nan] * 3,
    [-math.inf] * 3,
    [math.inf, 1.0, 0.0],
    [1e38, -1e38, 0.0],
]


def of_rows(loss, x, target, compiled, **options):
    """A loss of rows and its gradient."""

    def both(x, target):
        value, slope = ts.value_and_grad(lambda x: loss(x, target, **options).sum())(x)
        return value, slope

    return (ts.jit(both) if compiled else both)(ts.asarray(x), ts.asarray(target))


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("options", [
    {}, {"reduction": "sum"}, {"reduction": "none"}, {"label_smoothing": 0.25},
    {"weight": ts.asarray([0.5, 1.0, 2.0])},
    {"weight": ts.asarray([0.5, 1.0, 2.0]), "label_smoothing": 0.25},
], ids=str)  # fmt: skip
def test_cross_entropy_of_ignored_rows(options, compiled):
    kept = np.random.default_rng(0).standard_normal((3, 3)).astype(np.float32)
    classes = np.array([2, 0, 1])
    meant, slope = of_rows(F.cross_entropy, kept, classes, False, **options)
    x = np.concatenate([kept, np.array(STRANGE, np.float32)])
    target = np.concatenate([classes, np.full(len(STRANGE), -100)])
    found, gradient = of_rows(F.cross_entropy, x, target, compiled, **options)
    np.testing.assert_allclose(float(found), float(meant), rtol=1e-6)
    np.testing.assert_allclose(gradient.numpy()[:3], slope.numpy(), rtol=1e-5, atol=1e-7)
    assert not gradient.numpy()[3:].any()


@pytest.mark.parametrize("compiled", [False, True])
def test_nll_loss_of_ignored_rows(compiled):
    x = np.array([[-1.0, -0.5, -2.0], *STRANGE], np.float32)
    target = np.array([1] + [7] * len(STRANGE))
    found, gradient = of_rows(F.nll_loss, x, target, compiled, ignore_index=7)
    assert float(found) == 0.5
    np.testing.assert_array_equal(gradient.numpy(), [[0, -1, 0]] + [[0] * 3] * len(STRANGE))


def test_ignored_places_of_images():
    x = np.random.default_rng(1).standard_normal((2, 3, 2, 2)).astype(np.float32)
    target = np.array([[[0, 1], [2, -100]], [[-100, 2], [1, 0]]])
    meant = F.cross_entropy(ts.asarray(x), ts.asarray(target))
    x[0, :, 1, 1] = x[1, :, 0, 0] = math.nan
    found, gradient = of_rows(F.cross_entropy, x, target, False)
    assert float(found) == float(meant)
    assert not gradient.numpy()[0, :, 1, 1].any()
    assert np.isfinite(gradient.numpy()).all()


def test_an_ignored_class_of_unsigned_targets():
    """-100 is no uint8, so no row is ignored."""
    x, target = ts.zeros((2, 4)), ts.asarray([0, 3], dtype=ts.uint8)
    assert float(F.cross_entropy(x, target)) == pytest.approx(math.log(4))


def seen_alone(query, key, value, mask):
    """Attention of each query with the keys it sees, one by one; zeros if there are none."""
    rows = []
    for q, sees in zip(query, mask, strict=True):
        scores = key[sees] @ q / math.sqrt(query.shape[-1])
        powers = np.exp(scores - scores.max(initial=-np.inf))
        rows.append(
            powers / powers.sum() @ value[sees] if sees.any() else np.zeros(value.shape[-1])
        )
    return np.stack(rows)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("in_strips", [False, True])
@pytest.mark.parametrize("added", [False, True])
def test_queries_that_see_no_key(in_strips, added, compiled, monkeypatch):
    if in_strips:
        monkeypatch.setattr(attention, "IN_STRIPS_FROM", 0)
    query, key, value = np.random.default_rng(2).standard_normal((3, 5, 4))
    mask = np.array([[1, 0, 1, 1, 0], [0] * 5, [1] * 5, [0] * 5, [0, 0, 0, 0, 1]], bool)
    given_mask = ts.asarray(np.where(mask, 0.0, -np.inf) if added else mask)

    def attend(q, k, v):
        return F.scaled_dot_product_attention(q, k, v, attn_mask=given_mask)

    def both(*operands):
        found, pull = ts.vjp(attend, *operands)
        return found, pull(ts.ones(found.shape, dtype=found.dtype))

    tensors = [ts.asarray(x) for x in (query, key, value)]
    found, gradients = (ts.jit(both) if compiled else both)(*tensors)
    np.testing.assert_allclose(found.numpy(), seen_alone(query, key, value, mask), atol=1e-12)
    assert all(np.isfinite(g.numpy()).all() for g in gradients)
    assert not gradients[0].numpy()[[1, 3]].any()
    tangent = ts.jvp(attend, tuple(tensors), tuple(tensors))[1]
    assert not tangent.numpy()[[1, 3]].any()


def test_what_is_dropped_may_be_anything():
    x = ts.asarray([math.nan, math.inf, -math.inf]).requires_grad_()
    dropped = F.dropout(x, 1.0)
    dropped.sum().backward()
    assert dropped.tolist() == x.grad.tolist() == [0.0, 0.0, 0.0]
    some = F.dropout(ts.full((64,), math.inf), 0.5).numpy()
    assert set(some.tolist()) == {0.0, math.inf}


@settings(max_examples=20)
@given(
    st.lists(st.booleans(), min_size=4, max_size=4),
    st.sampled_from([math.nan, math.inf, -math.inf]),
)
def test_chosen_and_masked_values(mask, strange):
    """`where` and what is made of it pass no gradient to what is not chosen."""
    x = ts.asarray([1.0, 2.0, 3.0, 4.0])
    bad = ts.where(ts.asarray(mask), x, strange).requires_grad_()
    chosen = ts.where(ts.asarray(mask), bad, 0.0)
    (chosen * chosen).sum().backward()
    assert bad.grad.tolist() == [
        2.0 * v if m else 0.0 for v, m in zip(x.tolist(), mask, strict=True)
    ]


def test_nothing_but_minus_infinity_has_no_sum_of_exponentials():
    x = ts.asarray([[-math.inf, -math.inf], [-math.inf, 0.0]]).requires_grad_()
    found = ts.logsumexp(x, axis=1)
    found.sum().backward()
    assert found.tolist() == [-math.inf, 0.0]
    assert x.grad.tolist() == [[0.0, 0.0], [0.0, 1.0]]


@pytest.mark.peers
def test_masks_are_pytorchs():
    torch = pytest.importorskip("torch")
    x = np.array([*STRANGE[:3], [1.0, 2.0, 0.5]], np.float32)
    target = np.array([-100, -100, -100, 1])
    expected = torch.nn.functional.cross_entropy(torch.tensor(x), torch.tensor(target))
    assert float(F.cross_entropy(ts.asarray(x), ts.asarray(target))) == pytest.approx(
        float(expected)
    )
    q = np.random.default_rng(3).standard_normal((2, 3, 4)).astype(np.float32)
    mask = np.array([[True, False, True], [False] * 3, [True] * 3])
    expected = torch.nn.functional.scaled_dot_product_attention(
        *[torch.tensor(q)] * 3, attn_mask=torch.tensor(mask)
    )
    found = F.scaled_dot_product_attention(*[ts.asarray(q)] * 3, attn_mask=ts.asarray(mask))
    np.testing.assert_allclose(found.numpy(), expected.numpy(), atol=1e-6)
