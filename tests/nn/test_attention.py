"""Attention over long sequences, which is computed in strips."""

import numpy as np
import pytest

import tessella as ts
from tessella import nn
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


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("need_weights", [False, True])
def test_places_that_see_nothing_get_zeros_and_no_gradient(need_weights, compiled):
    attention = nn.MultiheadAttention(6, 2, batch_first=True)
    hidden = ts.asarray([[False, False, True], [True, True, True]])

    def pulled(x):
        x = x.detach().requires_grad_()
        y, _ = attention(x, x, x, hidden, need_weights)
        y.sum().backward()
        return y.detach(), x.grad

    x = ts.random.normal(ts.random.key(0), (2, 3, 6))
    y, gradient = (ts.jit(pulled) if compiled else pulled)(x)
    np.testing.assert_array_equal(y.numpy()[1], np.zeros((3, 6)))
    np.testing.assert_array_equal(gradient.numpy()[1], np.zeros((3, 6)))
    assert gradient.numpy()[0].any()


def test_shapes_that_do_not_fit_attention_are_told():
    attention, x = nn.MultiheadAttention(6, 2), ts.ones((4, 3, 6))
    for call, words in (
        (lambda: attention(ts.ones((4, 3, 5)), x, x), r"query \(4, 3, 5\); its last size must be embed_dim, 6"),
        (lambda: attention(x, x[0], x[0]), r"key \(3, 6\) .* or all without N"),
        (lambda: attention(x, x, x, attn_mask=ts.ones((5, 4))), r"attn_mask \(5, 4\); expected \(4, 4\) or \(6, 4, 4\)"),
        (lambda: attention(x, x, x, ts.ones((2, 4))), r"key_padding_mask \(2, 4\); expected \(3, 4\)"),
        (lambda: attention(x, x, x, ts.ones((3, 5))), "a mask for 5 keys, of which there are 4"),
        (lambda: F.scaled_dot_product_attention(ts.ones((3, 4, 2)), *[ts.ones((2, 4, 2))] * 2, enable_gqa=True), "H a multiple of G"),
        (lambda: F.rotary_embedding(ts.ones((4, 3))), "an even E"),
    ):  # fmt: skip
        with pytest.raises(ts.errors.ShapeError, match=words):
            call()
    for call, words in (
        (lambda: nn.MultiheadAttention(6, 4), "embed_dim is 6, and num_heads 4; expected a multiple"),
        (lambda: nn.TransformerEncoderLayer(6, 2, activation="tanhh"), "activation is 'tanhh'; expected 'relu', 'gelu'"),
        (lambda: F.sinusoidal_embedding(ts.arange(3), 5), "embedding_dim is 5; expected an even number"),

    ):  # fmt: skip
        with pytest.raises(ts.errors.ArgumentError, match=words):
            call()


@pytest.mark.parametrize("interleaved", [False, True])
def test_rotary_embeddings_see_distances_alone(interleaved):
    q, k = (ts.random.normal(ts.random.key(seed), (1, 8)) for seed in (1, 2))

    def score(i, j):
        turned = [
            F.rotary_embedding(x, ts.asarray([place]), interleaved=interleaved)
            for x, place in ((q, i), (k, j))
        ]
        return (turned[0] * turned[1]).sum().item()

    assert score(3, 1) == pytest.approx(score(12, 10), abs=1e-5)
    assert score(3, 1) != pytest.approx(score(3, 2), abs=1e-3)


def test_rotary_embeddings_are_turns_of_complex_numbers():
    x = np.random.default_rng(0).standard_normal((2, 5, 6)).astype(np.float32)
    angles = np.arange(5)[:, None] / 10000.0 ** (np.arange(0, 6, 2) / 6)
    turned = (x[..., ::2] + 1j * x[..., 1::2]) * np.exp(1j * angles)
    found = F.rotary_embedding(ts.asarray(x), interleaved=True).numpy()
    np.testing.assert_allclose(found[..., ::2], turned.real, atol=1e-5)
    np.testing.assert_allclose(found[..., 1::2], turned.imag, atol=1e-5)
    halves = np.concatenate([x[..., ::2], x[..., 1::2]], axis=-1)
    found = F.rotary_embedding(ts.asarray(halves)).numpy()
    np.testing.assert_allclose(found[..., :3], turned.real, atol=1e-5)


def test_encoders_of_copies_train_under_jit():
    ts.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
    model = nn.TransformerEncoder(layer, 2, nn.LayerNorm(8))
    optimiser = ts.optim.Adam(model.parameters(), lr=1e-2)
    x = ts.random.normal(ts.random.key(0), (4, 6, 8))
    hidden = ts.arange(6) >= ts.asarray([[6], [4], [5], [3]])

    @ts.jit
    def step(x):
        loss = ((model(x, src_key_padding_mask=hidden) - ts.roll(x, 1, axis=1)) ** 2).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        return loss

    losses = [step(x).item() for _ in range(30)]
    assert losses[-1] < 0.7 * losses[0]
    first, second = (block.linear1.weight.numpy() for block in model.layers)
    assert (first != second).any()


def test_more_blocks_than_memory_has_room_for_are_refused_at_once():
    with pytest.raises(ts.errors.OutOfMemoryError, match="of memory were asked for"):
        nn.TransformerEncoder(nn.TransformerEncoderLayer(6, 2), 2**45)
    with pytest.raises(
        ts.errors.ArgumentTypeError, match="encoder_layer is 3; expected an nn.Module"
    ):
        nn.TransformerEncoder(3, 2)
