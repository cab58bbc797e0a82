"""A monoid is told in one place, its gradient too."""

import numpy as np
import pytest

import tessella as ts
from tessella.errors import DTypeError
from tessella.primitives.monoid import MAXIMUM, Monoid
from tessella.primitives.reduce import Reduce

SQUARES = Monoid(
    "sum_of_squares",
    result=lambda dtype: dtype,
    accumulator=lambda dtype: (dtype,),
    start=lambda dtype: (0,),
    lift=lambda x, position: (x * x,),
    combine=lambda a, b: (a[0] + b[0],),
    meaning=lambda x, axes: np.sum(x * x, axis=axes),
    slope=lambda of, x, y: 2.0 * x,
)


@pytest.mark.parametrize("axes", [(0,), (1,), (0, 2), (0, 1, 2)])
def test_a_new_one_is_computed_and_differentiated(axes):
    reduce = Reduce(SQUARES, axes)
    x = ts.asarray(np.arange(24.0).reshape(2, 3, 4) - 7.0)
    np.testing.assert_allclose(reduce(x).numpy(), reduce.reference(x.numpy()))
    np.testing.assert_allclose(ts.jit(reduce)(x).numpy(), reduce.reference(x.numpy()))
    gradient = ts.grad(lambda x: ts.sum(ts.sin(reduce(x))))(x)
    along = ts.jvp(lambda x: ts.sum(ts.sin(reduce(x))), (x,), (ts.ones_like(x),))[1]
    inner = np.expand_dims(np.cos(reduce.reference(x.numpy())), axes)
    np.testing.assert_allclose(gradient.numpy(), inner * 2.0 * x.numpy())
    assert float(along) == pytest.approx(float(gradient.numpy().sum()))


@pytest.mark.parametrize("dtype", [ts.float16, ts.bfloat16, ts.int8, ts.bool])
def test_the_reference_of_an_extreme_keeps_the_dtype(dtype):
    x = ts.asarray([[1, 0, 1], [0, 0, 1]]).astype(dtype)
    found = Reduce(MAXIMUM, (0,)).reference(x.numpy())
    assert found.dtype == dtype.numpy
    np.testing.assert_array_equal(found, np.asarray([1, 0, 1]).astype(dtype.numpy))


def test_complex_numbers_have_no_extreme():
    with pytest.raises(
        DTypeError, match="max: complex numbers have no order; take abs or real first"
    ):
        ts.max(ts.asarray([1j, 2.0]))
