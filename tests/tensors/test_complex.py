"""Complex numbers: NumPy computes them, so they must be NumPy's."""

import math
import operator

import numpy as np
import pytest

import tessella as ts
from tessella import errors
from tessella.scalar.expression import OPERATORS
from tessella.scalar.function import ScalarFunction

RANDOM = np.random.default_rng(0)
X = RANDOM.standard_normal((3, 4)) + 1j * RANDOM.standard_normal((3, 4))
Y = RANDOM.standard_normal((3, 4)) + 1j * RANDOM.standard_normal((3, 4))
INDEX = np.array([2, 0])

CASES = [
    ("add", lambda n, x, y: x + y),
    ("number", lambda n, x, y: 2j * x - 1 + y / 3.0),
    ("divide", lambda n, x, y: x / y),
    ("power", lambda n, x, y: x**2),
    ("negative", lambda n, x, y: -x),
    ("abs", lambda n, x, y: n.abs(x)),
    ("parts", lambda n, x, y: n.real(x) + n.imag(y)),
    ("conj", lambda n, x, y: n.conj(x)),
    ("exp", lambda n, x, y: n.exp(x)),
    ("log", lambda n, x, y: n.log(x)),
    ("sqrt", lambda n, x, y: n.sqrt(x)),
    ("tanh", lambda n, x, y: n.tanh(x)),
    ("square", lambda n, x, y: n.square(x)),
    ("equal", lambda n, x, y: (x == y) | (x != x)),
    ("isfinite", lambda n, x, y: n.isfinite(x)),
    ("matmul", lambda n, x, y: x @ y.T),
    ("mixed matmul", lambda n, x, y: x @ n.real(y).T),
    ("sum", lambda n, x, y: n.sum(x, axis=0)),
    ("mean", lambda n, x, y: n.mean(x, axis=1)),
    ("variance", lambda n, x, y: n.var(x, axis=1)),
    ("standard deviation", lambda n, x, y: n.std(x * y)),
    ("prod", lambda n, x, y: n.prod(x, axis=1)),
    ("any", lambda n, x, y: n.any(x)),
    ("cumulative sum", lambda n, x, y: n.cumulative_sum(x, axis=1)),
    ("reshape", lambda n, x, y: n.reshape(x.T, (2, 6))),
    ("concat", lambda n, x, y: n.concat([x, y], axis=1)),
    ("stack", lambda n, x, y: n.stack([x, n.real(y)])),
    ("where", lambda n, x, y: n.where(n.real(x) > 0, x, y)),
    ("take", lambda n, x, y: n.take(x, n.asarray(INDEX), axis=0)),
    ("slice", lambda n, x, y: x[::-2, 1:]),
    ("roll", lambda n, x, y: n.roll(x, 1, axis=1)),
    ("zeros", lambda n, x, y: n.zeros_like(x) + n.ones_like(y)),
    ("tril", lambda n, x, y: n.tril(x)),
]


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
@pytest.mark.parametrize(("name", "function"), CASES, ids=[name for name, _ in CASES])
def test_as_numpy(name, function, dtype):
    x, y = X.astype(dtype), Y.astype(dtype)
    own = function(ts, ts.asarray(x), ts.asarray(y))
    expected = np.asarray(function(np, x, y))
    assert own.dtype.numpy == expected.dtype
    np.testing.assert_allclose(own.numpy(), expected, rtol=1e-4 if dtype is np.complex64 else 1e-12)


def test_conversions_and_indexing():
    x = ts.asarray([1.0, 2.0]).astype(ts.complex64)
    assert x.dtype is ts.complex64
    assert x.astype(ts.complex128).tolist() == [1 + 0j, 2 + 0j]
    x[0] = 3j
    assert x.tolist() == [3j, 2 + 0j]
    assert ts.full((2,), 1j).dtype is ts.complex64
    assert (ts.asarray([1.0]) * 1j).dtype is ts.complex64
    assert (ts.asarray([1.0], dtype=ts.float64) * 1j).dtype is ts.complex128


def test_what_complex_numbers_have_not():
    x = ts.asarray(X)
    with pytest.raises(errors.DTypeError, match="no order"):
        ts.max(x)
    with pytest.raises(errors.TessellaError):
        x < x  # noqa: B015
    with pytest.raises(errors.GradientError, match="only floating point"):
        x.requires_grad_()
    with pytest.raises(errors.GradientError, match="do not pass through complex"):
        ts.ones(2).requires_grad_() * 1j


def sin(x):
    return x * 2


@pytest.mark.parametrize("function", [math.sin, np.sin, abs, operator.neg])
def test_functions_of_python_and_numpy_are_theirs_for_complex_numbers(function):
    x = np.asarray([1 + 2j, -0.5j])
    found = ts.map(function)(ts.asarray(x)).numpy()
    expected = np.sin(x) if function is math.sin else function(x)
    np.testing.assert_allclose(found, expected)


def test_a_function_of_the_user_is_not_numpys_of_that_name():
    with pytest.raises(errors.DTypeError, match=r"^sin: takes real numbers"):
        ts.map(sin)(ts.asarray([1 + 2j]))


def test_the_name_of_an_operation_stands_once_before_its_error():
    with pytest.raises(
        errors.DTypeError, match=r"^bitwise_and: takes integers or bool, not float32"
    ):
        ts.bitwise_and(ts.ones(2), ts.ones(2))
    negate = ts.map(OPERATORS["negative"])
    with pytest.raises(errors.DTypeError, match=r"^negative: bool operands have no negative"):
        negate(ts.asarray([True]))
    names = ts.map(ScalarFunction(OPERATORS["negative"], "negat"))
    with pytest.raises(errors.DTypeError, match=r"^negat: negative: bool operands"):
        names(ts.asarray([True]))
