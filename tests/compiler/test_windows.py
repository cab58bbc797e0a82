"""Products that read the windows of an image where they stand, and pack only what goes over a line's end."""

import numpy as np
import pytest

import tessella as ts
from tessella.nn import functional as F
from tessella.targets.cpu import tuning
from tessella.targets.cpu.lowering import blocking, tiled_contraction
from tessella.targets.cpu.products import WINDOWS


def images(*shape, dtype=ts.float32):
    random = np.random.default_rng(sum(shape))
    return ts.asarray(random.standard_normal(shape)).astype(dtype)


def lowered(function):
    """What a function gives, and how its products are cut."""
    tuning.forget_recipes()
    with tiled_contraction.watched() as products:
        result = function().numpy()
    problems = [tiled_contraction.problem_of(*product.operands()) for product in products]
    return result, [blocking.choose(problem).right for problem in problems]


@pytest.mark.parametrize("dtype", [ts.float32, ts.float64])
@pytest.mark.parametrize(
    ("shape", "weight", "options"),
    [
        ((3, 2, 12, 105), (4, 2, 3, 5), {}),  # lines of 101: panels go over their ends
        ((2, 3, 16, 150), (7, 3, 3, 1), {"dilation": 2}),
        ((2, 5, 11, 97), (5, 5, 2, 2), {"padding": 1}),
        ((2, 4, 13, 130), (10, 2, 3, 5), {"groups": 2}),
        ((1, 90, 6, 103), (6, 90, 4, 4), {}),  # more steps of k than one block
    ],
)
def test_convolutions_with_few_channels_of_the_result(dtype, shape, weight, options):
    x, w = images(*shape, dtype=dtype), images(*weight, dtype=dtype)
    found, how = lowered(lambda: F.conv2d(x, w, **options))
    assert how == [WINDOWS]
    with ts.backend("reference"):
        expected = F.conv2d(x.astype(ts.float64), w.astype(ts.float64), **options).numpy()
    limit = 1e-4 if dtype is ts.float32 else 1e-11
    np.testing.assert_allclose(found, expected, rtol=limit, atol=limit)


def test_gradients_and_what_follows_a_product():
    x, w = images(4, 3, 12, 104), images(6, 3, 5, 5).requires_grad_()

    def loss(x, w):
        return (F.conv2d(x, w, padding=2).relu() ** 2).sum()

    found = ts.jit(ts.grad(loss, argnums=(0, 1)))(x, w)
    with ts.backend("reference"):
        expected = ts.grad(loss, argnums=(0, 1))(x, w)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=2e-3, atol=2e-2)


def test_many_channels_are_packed():
    x, w = images(2, 8, 40, 40), images(64, 8, 5, 5)
    assert WINDOWS not in lowered(lambda: F.conv2d(x, w))[1]


def test_short_lines_are_packed():
    x, w = images(64, 4, 7, 7), images(8, 4, 3, 3)
    assert WINDOWS not in lowered(lambda: F.conv2d(x, w))[1]


def test_a_choice_of_windows_can_be_packed_otherwise():
    x, w = images(2, 4, 12, 105), images(8, 4, 3, 5)
    with tiled_contraction.watched() as products:
        tuning.forget_recipes()
        F.conv2d(x, w).numpy()
    (product,) = products
    problem = tiled_contraction.problem_of(*product.operands())
    rights = {c.right for c in tuning._readings(problem, blocking.choice_for(problem))}
    assert rights >= {WINDOWS, "ahead", "on the way"}
