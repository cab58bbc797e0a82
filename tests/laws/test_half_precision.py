"""Half precision adds, counts and normalises in float32, eagerly, compiled and in gradients.

What is asked of float16 and bfloat16 is asked of float64 too, on the same numbers, and rounded once.
"""

import numpy as np
import pytest

import tessella as ts
from tessella.nn import functional as F
from tessella.nn.functional import attention

HALVES = {ts.float16: 2.0**-10, ts.bfloat16: 2.0**-7}  # and what one step is, at 1


def near_400():
    return 400 + np.random.default_rng(0).standard_normal((4, 32))


def many():
    """More than float16 can count."""
    return np.full((1, 70000), 0.25)


def large():
    """The squares, and the sum, are no float16."""
    return np.array([[200.0, -250.0, 255.0, 0.5]]) * 2


def zeros_like_classes(x):
    return ts.zeros((x.shape[0],), dtype=ts.int64)


ALONG_ROWS = {
    "mean": lambda x: ts.mean(x, axis=-1),
    "var": lambda x: ts.var(x, axis=-1),
    "std": lambda x: ts.std(x, axis=-1),
    "sum": lambda x: ts.sum(x, axis=-1) / 4.0,
    "logsumexp": lambda x: ts.logsumexp(x, axis=-1),
    "cumulative_sum": lambda x: ts.cumulative_sum(x, axis=-1)[:, -1],
    "softmax": lambda x: F.softmax(x, -1),
    "log_softmax": lambda x: F.log_softmax(x, -1),
    "max": lambda x: ts.max(x, axis=-1),
    "vecdot": lambda x: ts.vecdot(x, ts.ones_like(x)) / 4.0,
    "layer_norm": lambda x: F.layer_norm(x, x.shape[-1]),
    "batch_norm": lambda x: F.batch_norm(x.mT, None, None, training=True),
    "avg_pool1d": lambda x: F.avg_pool1d(x, x.shape[-1]),
    "mse_loss": lambda x: F.mse_loss(x, ts.zeros_like(x) + 0.5),
    "l1_loss": lambda x: F.l1_loss(x, ts.zeros_like(x)),
    "huber_loss": lambda x: F.huber_loss(x, ts.zeros_like(x), delta=100.0),
    "smooth_l1_loss": lambda x: F.smooth_l1_loss(x, ts.zeros_like(x), beta=100.0),
    "bce": lambda x: F.binary_cross_entropy(abs(x) / 1024.0, ts.zeros_like(x)),
    "bce_with_logits": lambda x: F.binary_cross_entropy_with_logits(x, ts.zeros_like(x)),
    "cross_entropy": lambda x: F.cross_entropy(x, zeros_like_classes(x), label_smoothing=0.1),
    "cross_entropy_of_many": lambda x: F.cross_entropy(
        ts.concat([x, -x]).mT, zeros_like_classes(x.mT)
    ),
    "nll_loss": lambda x: F.nll_loss(
        ts.concat([x, -x]).mT, zeros_like_classes(x.mT), ignore_index=1
    ),
}


def pulled(function, x):
    """A result, and the gradient of a sum of it with weights that are exact in half precision."""
    y, pull = ts.vjp(function, x)
    weights = (np.arange(y.size) % 5 - 2.0).reshape(y.shape) + 0.5
    (gradient,) = pull(ts.asarray(weights).astype(y.dtype))
    return y, gradient


def near(found, meant, step):
    """All within a few steps of the largest, and infinite or NaN where the other is."""
    found, meant = (np.asarray(x.astype(ts.float64).numpy()) for x in (found, meant))
    scale = max(np.abs(meant).max(), 1e-6)
    np.testing.assert_allclose(found, meant, rtol=2 * step, atol=2 * step * scale)


@pytest.mark.parametrize("name", sorted(ALONG_ROWS))
@pytest.mark.parametrize("data", [near_400, many, large], ids=lambda f: f.__name__)
def test_half_precision_is_rounded_once(name, data):
    function = ALONG_ROWS[name]
    for dtype, step in HALVES.items():
        x = ts.asarray(data()).astype(dtype)
        meant = [y.astype(dtype) for y in pulled(function, x.astype(ts.float64))]
        for found, expected in zip(pulled(function, x), meant, strict=True):
            assert found.dtype is dtype
            near(found, expected, step)


@pytest.mark.parametrize("name", sorted(ALONG_ROWS))
def test_compiled_half_precision_is_rounded_once(name):
    function = ALONG_ROWS[name]
    x = ts.asarray(many()).astype(ts.float16)
    meant = [y.astype(ts.float16) for y in pulled(function, x.astype(ts.float64))]
    for found, expected in zip(ts.jit(lambda x: pulled(function, x))(x), meant, strict=True):
        near(found, expected, HALVES[ts.float16])


def test_ties_are_counted_in_float32():
    x = ts.zeros((70000,), dtype=ts.float16)
    assert float(ts.grad(ts.max)(x)[0]) == float(np.float16(1 / 70000))


def test_products_of_others_do_not_overflow_on_the_way():
    x = ts.asarray([200.0, 400.0, 0.01, 0.02], dtype=ts.float16)
    for function in (ts.prod, lambda x: ts.cumulative_prod(x)[-1]):
        near(ts.grad(function)(x), ts.grad(function)(x.astype(ts.float64)), HALVES[ts.float16])


def test_running_statistics_are_not_rounded_on_the_way():
    """The variance of a channel near 400 is 1, not the 0 that is left of squares in half precision."""
    x = ts.asarray(400 + np.array([[1.0], [-1.0]] * 8)).astype(ts.float16)
    mean, variance = ts.zeros(1), ts.zeros(1)
    F.batch_norm(x, mean, variance, training=True, momentum=1.0)
    assert mean.tolist() == [400.0]
    np.testing.assert_allclose(variance.tolist(), [16 / 15], rtol=1e-6)


def test_what_half_precision_is_not_stays_as_it_is():
    """A float32 weight makes a float32 result, as for every operation."""
    x = ts.asarray(near_400()).astype(ts.bfloat16)
    assert F.layer_norm(x, 32, ts.ones(32)).dtype is ts.float32
    assert F.layer_norm(x, 32, ts.ones(32, dtype=ts.bfloat16)).dtype is ts.bfloat16
    assert F.mse_loss(x, ts.zeros(x.shape)).dtype is ts.float32


@pytest.mark.parametrize("in_strips", [False, True])
def test_scores_of_attention_may_be_large(in_strips, monkeypatch):
    """The products of numbers near 400 are no float16, but what they weigh is."""
    if in_strips:
        monkeypatch.setattr(attention, "IN_STRIPS_FROM", 0)
    x = ts.asarray(near_400()[None]).astype(ts.float16)
    x = x * ts.asarray([1.0, -1.0] * 16, dtype=ts.float16)
    meant = F.scaled_dot_product_attention(*[x.astype(ts.float64)] * 3)
    for attend in (F.scaled_dot_product_attention, ts.jit(F.scaled_dot_product_attention)):
        near(attend(x, x, x), meant, HALVES[ts.float16])
    slope = ts.grad(lambda q: F.scaled_dot_product_attention(q, x, x).sum())(x)
    assert slope.dtype is ts.float16
    assert np.isfinite(slope.numpy()).all()
