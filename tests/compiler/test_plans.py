"""Plans of eager operations live by themselves."""

import gc
import weakref

import numpy as np
import pytest

import tessella as ts
from tessella.compiler import tuning
from tessella.compiler.lowering import contraction
from tessella.nn import functional as F


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
