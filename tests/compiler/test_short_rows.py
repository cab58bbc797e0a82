"""Elementwise operations whose last axis is short: an item takes several rows."""

import numpy as np
import pytest

import tessella as ts


def numbers(*shape):
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17])
def test_broadcasts_and_transposes(n):
    x, y, z, w = (
        numbers(6, 5, 1, n),
        numbers(6, 1, 9, 1),
        numbers(6, 9, n, 5),
        numbers(3, 1, 200, n),
    )
    with ts.backend("cpu"):
        tx, ty, tz, tw = map(ts.asarray, (x, y, z, w))
        np.testing.assert_array_equal((tx + ty).numpy(), x + y)
        moved = ts.permute_dims(tz, (0, 3, 1, 2))
        np.testing.assert_array_equal((moved * tx).numpy(), z.transpose(0, 3, 1, 2) * x)
        spread = ts.broadcast_to(tw, (3, 70, 200, n)).reshape((210, 200 * n))
        np.testing.assert_array_equal(spread.numpy(), np.tile(w, (1, 70, 1, 1)).reshape(210, -1))
        np.testing.assert_array_equal((tz[:, ::2, :, 1:] - 1).numpy(), z[:, ::2, :, 1:] - 1)
