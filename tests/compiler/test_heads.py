"""Attention over long sequences: a loop over batches and heads."""

from __future__ import annotations

import numpy as np
import pytest

import tessella as ts
from tessella.nn import functional as F

HEADS, LENGTH, WIDTH = 3, 1024, 8


def _floats(*shape: int, seed: int = 0) -> ts.Tensor:
    return ts.asarray(np.random.default_rng(seed).standard_normal(shape).astype(np.float32))


def _operands(*lead: int) -> list[ts.Tensor]:
    return [_floats(*lead, LENGTH, WIDTH, seed=seed) for seed in range(4)]


def _seen(*shape: int) -> ts.Tensor:
    seen = np.random.default_rng(5).random(shape) < 0.5
    seen[..., :3, :] = False  # queries that see no key
    return ts.asarray(seen)


def _with_gradients(mask: ts.Tensor | None, is_causal: bool = False):
    def step(q: ts.Tensor, k: ts.Tensor, v: ts.Tensor, ct: ts.Tensor) -> tuple[ts.Tensor, ...]:
        attend = lambda q, k, v: F.scaled_dot_product_attention(q, k, v, mask, is_causal=is_causal)  # noqa: E731
        result, pullback = ts.vjp(attend, q, k, v)
        return result, *pullback(ct)

    return step


@pytest.mark.parametrize(
    ("lead", "mask", "is_causal"),
    [
        ((HEADS,), None, True),
        ((HEADS,), None, False),
        ((2, HEADS), (2, 1, 1, LENGTH), False),
        ((2, HEADS), (1, HEADS, LENGTH, LENGTH), False),
        ((1, HEADS), (LENGTH, LENGTH), False),
        ((1, 1, HEADS), (HEADS, LENGTH, 1), False),
    ],
)
def test_it_computes_the_same(
    lead: tuple[int, ...], mask: tuple[int, ...] | None, is_causal: bool
) -> None:
    step = _with_gradients(None if mask is None else _seen(*mask), is_causal)
    compiled, operands = ts.jit(step), _operands(*lead)
    for own, eager in zip(compiled(*operands), step(*operands), strict=True):
        np.testing.assert_allclose(own.numpy(), eager.numpy(), rtol=2e-5, atol=2e-5)
    assert compiled.source("graph").count("= scan(") == 2  # forward and backward


def test_short_sequences_are_no_loop() -> None:
    step = _with_gradients(None, True)
    compiled = ts.jit(step)
    compiled(*[x[:, :64] for x in _operands(HEADS)])
    assert "scan(" not in compiled.source("graph")


def test_one_tensor_for_queries_keys_and_values() -> None:
    x = _floats(HEADS, LENGTH, WIDTH)
    gradient = ts.grad(lambda x: (F.scaled_dot_product_attention(x, x, x) ** 2).sum())
    np.testing.assert_allclose(
        ts.jit(gradient)(x).numpy(), gradient(x).numpy(), rtol=1e-4, atol=1e-4
    )


def test_a_batch_and_second_derivatives() -> None:
    q, k, v, _ = _operands(HEADS)

    def loss(q: ts.Tensor) -> ts.Tensor:
        return (F.scaled_dot_product_attention(q, k, v, is_causal=True) ** 2).mean()

    of_gradient = ts.grad(lambda q: (ts.grad(loss)(q) ** 2).sum())
    np.testing.assert_allclose(
        ts.jit(of_gradient)(q).numpy(), of_gradient(q).numpy(), rtol=1e-3, atol=1e-9
    )
    batch = _floats(2, HEADS, LENGTH, WIDTH)
    np.testing.assert_allclose(
        ts.jit(ts.vmap(ts.grad(loss)))(batch).numpy(), ts.vmap(ts.grad(loss))(batch).numpy(),
        rtol=1e-4, atol=1e-8,
    )  # fmt: skip
