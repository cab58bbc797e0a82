"""A tensor that a compiled function updates by a product holds what eager mode computes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tessella as ts
from tessella.nn import functional as F

sizes = st.sampled_from([1, 3, 7, 16, 33, 64, 100, 130])
UPDATES = {
    "descent": lambda w, g, r: w - 0.1 * g,
    "with momentum": lambda w, g, r: w * 0.5 + g,
    "activated": lambda w, g, r: ts.relu(w + g),
    "without the old": lambda w, g, r: g * 2,
    "by rows": lambda w, g, r: w + g * r,
    "twice": lambda w, g, r: (w - g) * (w + g),
    "transposed": lambda w, g, r: (w.mT + g.mT).mT,
}


def both_ways(step, start):
    """What a tensor holds after two steps, eagerly and compiled."""
    found = []
    for run in (lambda f: f, ts.jit):
        w = ts.asarray(start)
        compiled = run(lambda w=w: step(w))
        for _ in range(2):
            compiled()
        found.append(w.numpy())
    np.testing.assert_allclose(found[1], found[0], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("update", UPDATES.values(), ids=UPDATES)
@given(rows=sizes, columns=sizes, inner=sizes, kept=st.booleans())
@settings(max_examples=12)
def test_matrix_products(update, rows, columns, inner, kept):
    random = np.random.default_rng(rows + 7 * columns + 31 * inner)
    a, b, r = (
        ts.asarray(random.standard_normal(shape) / 4)
        for shape in ((rows, inner), (inner, columns), (columns,))
    )

    def step(w):
        g = a @ b
        w.assign(update(w, g, r))
        return g if kept else None

    both_ways(step, random.standard_normal((rows, columns)))


@given(channels=st.sampled_from([1, 3, 8]), kernels=st.sampled_from([1, 4, 16]))
@settings(max_examples=9)
def test_convolutions(channels, kernels):
    random = np.random.default_rng(channels + kernels)
    x = ts.asarray(random.standard_normal((2, channels, 9, 9)))
    k = ts.asarray(random.standard_normal((kernels, channels, 3, 3)))

    def step(w):
        w.assign(w - 0.1 * F.conv2d(x, k, padding=1))

    both_ways(step, random.standard_normal((2, kernels, 9, 9)))
