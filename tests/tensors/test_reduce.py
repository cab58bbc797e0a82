"""`ts.reduce`: reductions by a function of the user's own."""

import functools

import numpy as np
import pytest

import tessella as ts
from tessella.errors import ArgumentError

X = np.array([[1.5, -2.0, 0.5], [3.0, 0.25, -1.0]])


def test_a_function_and_its_start():
    both = ts.reduce(lambda x, y: x + y + x * y, 0.5)
    expected = [functools.reduce(lambda x, y: x + y + x * y, row, 0.5) for row in X]
    np.testing.assert_allclose(both(ts.asarray(X), axis=1).numpy(), expected)
    assert both(ts.asarray(X), axis=1, keepdims=True).shape == (2, 1)


@pytest.mark.parametrize("start", [0.0, 1.0, -2.5, None])
@pytest.mark.parametrize("swapped", [False, True])
def test_sums_and_products_under_any_name(start, swapped):
    def plus(a, b):
        return b + a if swapped else a + b

    def times(a, b):
        return b * a if swapped else a * b

    for function, numpy in ((plus, np.add), (times, np.multiply)):
        whole = numpy.reduce(X, axis=0)
        expected = whole if start is None else numpy(start, whole)
        found = ts.reduce(function, start)(ts.asarray(X), axis=0)
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-15)


def test_sums_run_as_sums():
    kernels = ts.make_graph(ts.reduce(lambda a, b: a + b, 0.0))(ts.asarray(X))
    assert "sum" in str(kernels)
    assert "sum" not in str(ts.make_graph(ts.reduce(lambda a, b: a + b + a * b))(ts.asarray(X)))


def test_integers_keep_their_dtype():
    found = ts.reduce(lambda a, b: a + b, 0)(ts.asarray([1, 2, 3], dtype=ts.int8))
    assert found.dtype is ts.int8
    assert found.item() == 6


def test_gradients_of_a_product_under_another_name():
    slope = ts.grad(lambda x: ts.reduce(lambda a, b: a * b, 2.0)(x))(ts.asarray(X))
    np.testing.assert_allclose(slope.numpy(), 2.0 * X.prod() / X, rtol=1e-12)


def test_no_elements():
    nothing = ts.zeros((2, 0))
    assert ts.reduce(lambda a, b: a * b, 7.0)(nothing, axis=1).tolist() == [7.0, 7.0]
    message = r"shape \(2, 0\) has no elements along \(1,\); give a start"
    with pytest.raises(ArgumentError, match=message):
        ts.reduce(lambda a, b: a * b)(nothing, axis=1)
