"""Attention over long sequences, which is computed in strips."""

import numpy as np
import pytest

import tessella as ts
from tessella.nn import functional as F


@pytest.mark.parametrize("case", ["plain", "causal", "masked", "cross"])
@pytest.mark.parametrize("compiled", [False, True])
def test_long_attention_in_strips_is_the_short_one(case, compiled, monkeypatch):
    from tessella.nn.functional import attention

    random = np.random.default_rng(0)
    keys = 97 if case == "cross" else 130
    q, k, v = (
        ts.asarray(random.standard_normal((2, 3, n, 8)).astype(np.float32))
        for n in (130, keys, keys)
    )
    mask = ts.asarray(random.random((2, 1, 130, 130)) < 0.5) if case == "masked" else None
    ct = ts.asarray(random.standard_normal((2, 3, 130, 8)).astype(np.float32))

    def pulled(q, k, v, ct):
        q, k, v = (x.detach().requires_grad_() for x in (q, k, v))
        y = F.scaled_dot_product_attention(q, k, v, mask, is_causal=case == "causal")
        y.backward(ct)
        return y.detach(), q.grad, k.grad, v.grad

    expected = pulled(q, k, v, ct)
    monkeypatch.setattr(attention, "IN_STRIPS_FROM", 0)
    monkeypatch.setattr("tessella.primitives.attention.STRIP_BYTES", 1 << 15)
    found = (ts.jit(pulled) if compiled else pulled)(q, k, v, ct)
    for got, wanted in zip(found, expected, strict=True):
        np.testing.assert_allclose(got.numpy(), wanted.numpy(), rtol=1e-4, atol=1e-5)


def test_long_attention_does_not_keep_the_scores():
    q = ts.ones((4, 2048, 16))
    scores = 4 * 2048 * 2048 * 4
    step = ts.jit(lambda q: F.scaled_dot_product_attention(q, q, q, is_causal=True))
    facts = dict(step.explain(q).facts())
    size, unit, *_ = facts["memory of intermediate values"].split()
    assert float(size) * {"KiB": 1024, "MiB": 1024**2}[unit] < scores / 4
