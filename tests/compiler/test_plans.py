"""Plans of eager operations live by themselves."""

import gc
import weakref

import numpy as np
import pytest

import tessella as ts
from tessella.nn import functional as F
from tessella.targets.cpu import tuning
from tessella.targets.cpu.lowering import contraction


@pytest.mark.parametrize(
    "product",
    [
        lambda x: x[:10] @ x,  # both operands as they stand: a single call
        lambda x: x @ x,
        lambda x: F.conv2d(x.reshape((1, 4, 32, 72)), x[:8, :36].reshape((8, 2, 3, 6)), groups=2),
    ],
)
def test_a_plan_holds_the_tables_that_its_kernel_reads(product):
    x = ts.asarray(np.random.default_rng(1).standard_normal((96, 96)))
    tuning.forget_recipes()
    before = product(x).numpy()
    (recipe,) = contraction._recipes.values()
    tables = weakref.ref(recipe.keep)
    del recipe
    contraction.forget()  # as happens when very many have been made; plans stay
    gc.collect()
    assert tables() is not None
    np.testing.assert_array_equal(product(x).numpy(), before)


def test_gradients_of_one_contraction_for_operands_of_several_sizes():
    """The contractions of its gradients are remembered: for each two shapes its own."""
    for batch, extent in ((2, 9), (3, 12), (2, 9)):
        random = np.random.default_rng(extent)
        x = ts.asarray(random.standard_normal((batch, 2, extent))).requires_grad_()
        w = ts.asarray(random.standard_normal((4, 2, 3))).requires_grad_()
        (F.conv1d(x, w, stride=2, padding=1) ** 2).sum().backward()
        with ts.backend("reference"):
            expected = ts.grad(
                lambda x, w: (F.conv1d(x, w, stride=2, padding=1) ** 2).sum(), argnums=(0, 1)
            )(x.detach(), w.detach())
        assert x.grad.shape == x.shape
        for ours, theirs in zip((x.grad, w.grad), expected, strict=True):
            np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-12, atol=1e-12)
