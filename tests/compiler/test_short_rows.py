"""Rows of few elements: vectors for what others leave over, and loops of two or three turns that are written out."""

import numpy as np
import pytest

import tessella as ts
from tessella.nn import functional as F


def _floats(shape, dtype):
    numbers = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    return ts.asarray(numbers).astype(dtype)


def _gradients(x, window):
    """Those of a pooling, a bias and an activation, which are one kernel over parts of rows."""
    bias = ts.zeros(x.shape[1], dtype=x.dtype)

    def pooled(x, bias):
        return F.max_pool2d(F.relu(x + bias[:, None, None]), window)

    y, pullback = ts.vjp(pooled, x, bias)
    return y, *pullback(y + 1.0)


@pytest.mark.parametrize("dtype", [ts.float32, ts.bfloat16])
@pytest.mark.parametrize("window", [2, 3, 4])
@pytest.mark.parametrize("turns", [1, 3, 4, 7, 12, 19])
def test_pooling_and_its_gradient_at_every_width(turns, window, dtype):
    x = _floats((2, 3, 2 * window, window * turns), dtype)
    for plain, compiled in zip(_gradients(x, window), ts.jit(_gradients)(x, window), strict=True):
        np.testing.assert_allclose(
            compiled.astype(ts.float32).numpy(),
            plain.astype(ts.float32).numpy(),
            rtol=1e-2,
            atol=1e-5,
        )


ROWS = {
    "padded": lambda x: ts.exp(F.pad(x, (1, 2, 0, 1))) * 2.0,
    "spread and reduced": lambda x: ts.repeat(x, 2, axis=1).sum(axis=(0, 1)),
    "spread": lambda x: ts.repeat(x, 3, axis=1) + 1.0,
    "largest of rows": lambda x: (x[:, ::2] * 3.0).max(axis=1),
    "pairs swapped": lambda x: ts.flip(ts.reshape(x[:, : x.shape[1] // 2 * 2], (x.shape[0], -1, 2)), axis=2) - 1.0,
}  # fmt: skip


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("width", [*range(2, 40, 3), 64, 100])
def test_rows_of_every_width(name, width):
    x = _floats((5, width), ts.float32)
    np.testing.assert_allclose(ts.jit(ROWS[name])(x).numpy(), ROWS[name](x).numpy(), rtol=1e-5)
