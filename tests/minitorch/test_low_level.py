"""Map, zip, reduce and matrix products on raw storages, shapes and strides."""

import numpy as np
import pytest

from tessella.minitorch import TensorData, fast_ops, operators, tensor_ops
from tessella.minitorch.fast_ops import tensor_matrix_multiply

both = pytest.mark.parametrize("module", [tensor_ops, fast_ops], ids=["simple", "fast"])
X = np.array([[1.0, -2.0, 3.0], [0.5, 4.0, -6.0]])


def stored(array):
    """Storage, shape and strides of an array in row-major order."""
    return TensorData(array.reshape(-1).copy(), array.shape).tuple()


def turned(array):
    """The same elements, in a storage that has the axes the other way round."""
    order = tuple(range(array.ndim))[::-1]
    return TensorData(array.T.reshape(-1).copy(), array.T.shape).permute(*order).tuple()


def holds(out, expected):
    """Assert that a storage reads as an array, looked up element by element."""
    storage, shape, strides = out
    assert tuple(shape) == expected.shape
    for index in np.ndindex(*expected.shape):
        place = sum(int(i) * int(stride) for i, stride in zip(index, strides, strict=True))
        assert storage[place] == pytest.approx(expected[index], rel=1e-12)


layouts = pytest.mark.parametrize("layout", [stored, turned])
outputs = pytest.mark.parametrize("output", [stored, turned])


@both
@layouts
@outputs
def test_map(module, layout, output):
    out = output(np.zeros((2, 3)))
    module.tensor_map(lambda x: x * x + 1)(*out, *layout(X))
    holds(out, X * X + 1)


@both
@outputs
@pytest.mark.parametrize("small", [X[0], X[:, :1], np.array([7.0])])
def test_map_broadcasts(module, output, small):
    out = output(np.zeros((4, 2, 3)))
    module.tensor_map(operators.neg)(*out, *stored(small))
    holds(out, np.broadcast_to(-small, (4, 2, 3)))


@both
@layouts
@outputs
def test_zip(module, layout, output):
    out = output(np.zeros((2, 3)))
    module.tensor_zip(lambda x, y: x - 2 * y)(*out, *layout(X), *stored(X + 1))
    holds(out, X - 2 * (X + 1))


@both
def test_zip_broadcasts_both(module):
    out = stored(np.zeros((2, 3)))
    module.tensor_zip(operators.mul)(*out, *stored(X[:, :1]), *stored(X[1]))
    holds(out, X[:, :1] * X[1])


@both
@layouts
@pytest.mark.parametrize("dim", [0, 1, 2])
@pytest.mark.parametrize("f", [operators.add, lambda a, x: a - x, lambda a, x: 10 * a + x])
def test_reduce_begins_with_what_out_holds(module, layout, f, dim):
    a = np.stack([X, X + 1, -X, X * X])
    shape = tuple(1 if axis == dim else n for axis, n in enumerate(a.shape))
    first = np.arange(float(np.prod(shape))).reshape(shape)
    out = stored(first)
    module.tensor_reduce(f)(*out, *layout(a), dim)
    expected = first
    for place in range(a.shape[dim]):
        expected = f(expected, np.take(a, [place], axis=dim))
    holds(out, expected)


@layouts
@outputs
def test_matrix_multiply(layout, output):
    a, b = X, X.T + 1
    out = output(np.full((2, 2), 99.0))
    tensor_matrix_multiply(*out, *layout(a), *turned(b))
    holds(out, a @ b)


@pytest.mark.parametrize(
    ("first", "second"), [((3, 2, 4), (4, 5)), ((2, 4), (3, 4, 1)), ((3, 2, 4), (1, 4, 2))]
)
def test_matrix_multiply_broadcasts(first, second):
    a, b = (np.random.default_rng(2).normal(size=shape) for shape in (first, second))
    out = stored(np.zeros((a @ b).shape))
    tensor_matrix_multiply(*out, *stored(a), *stored(b))
    holds(out, a @ b)


@both
def test_inputs_are_left_as_they_are(module):
    a, out = stored(X), stored(np.zeros((2, 3)))
    module.tensor_map(lambda x: x + 5)(*out, *a)
    module.tensor_zip(operators.add)(*out, *a, *a)
    holds(a, X)
    holds(out, X + X)


@both
def test_out_may_be_the_input(module):
    a = stored(X)
    module.tensor_map(lambda x: x + 5)(*a, *a)
    holds(a, X + 5)


@both
def test_any_row_of_numbers_is_a_storage(module):
    """A part of an array, and shapes and strides as tuples."""
    memory = np.arange(10.0)
    module.tensor_map(operators.neg)(memory[4:8], (2, 2), (1, 2), memory[:4], (2, 2), (2, 1))
    assert list(memory) == [0, 1, 2, 3, 0, -2, -1, -3, 8, 9]
