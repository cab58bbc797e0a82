"""Map, zip, reduce and matrix products of any function of numbers; backends of one's own."""

import collections
import math

import numpy as np
import pytest

from tessella import minitorch
from tessella.compiler.eager import current_backend
from tessella.errors import IndexingError, ShapeError, TracingError
from tessella.minitorch import FastOps, SimpleOps, TensorBackend, operators, tensor

X = np.array([[1.0, -2.0, 3.0], [0.5, 4.0, -6.0]])
both = pytest.mark.parametrize("ops", [SimpleOps, FastOps], ids=lambda ops: ops.__name__)
SCALE = 3.0


def same(found, expected):
    assert found.shape == np.shape(expected)
    np.testing.assert_allclose(found.to_numpy(), expected, rtol=1e-12)


def folded(f, start, array, dim):
    """What reduce means: one element after the other."""
    rows = np.moveaxis(array, dim, 0)
    total = np.full(rows.shape[1:], start)
    for row in rows:
        total = np.vectorize(f, otypes=[float])(total, row)
    return np.expand_dims(total, dim)


# --- map and zip ---------------------------------------------------------------------------------


def steps(x):
    if x > 2:
        return x * SCALE
    total = 0.0
    for i in range(3):
        total += math.sin(x) ** i
    return total


@both
@pytest.mark.parametrize(
    "f", [operators.sigmoid, steps, lambda x: x**2 - 1, lambda x: 7.0, lambda x: x > 1, math.cos]
)
def test_map(ops, f):
    same(ops.map(f)(tensor(X)), np.vectorize(f, otypes=[float])(X))


@both
@pytest.mark.parametrize("f", [operators.max, lambda x, y: x - 2 * y, math.atan2])
@pytest.mark.parametrize("other", [X[::-1], X[0], X[:, :1], np.array([2.0])])
def test_zip(ops, f, other):
    same(ops.zip(f)(tensor(X), tensor(other)), np.vectorize(f, otypes=[float])(X, other))


@both
def test_permuted_operands(ops):
    x = tensor(X).permute(1, 0)
    same(ops.map(lambda v: v + 1)(x), X.T + 1)
    same(ops.zip(lambda v, w: v - w)(x, tensor(X.T * 3)), X.T - X.T * 3)


@both
def test_map_writes_to_out(ops):
    out = minitorch.zeros((3, 2)).permute(1, 0)
    found = ops.map(operators.neg)(tensor(X), out)
    assert found is out
    same(out, -X)
    assert list(out._tensor._storage) == list(-X.T.reshape(-1))
    deeper = minitorch.zeros((2, 2, 3))
    ops.map(operators.neg)(tensor(X), deeper)
    same(deeper, np.stack([-X, -X]))
    with pytest.raises(ShapeError, match=r"of shape \(2, 3\) does not fit out, \(3,\)"):
        ops.map(operators.neg)(tensor(X), minitorch.zeros((3,)))


@both
def test_zip_needs_shapes_that_broadcast(ops):
    with pytest.raises(IndexingError, match=r"\(2, 3\) and \(2,\) do not broadcast"):
        ops.zip(operators.add)(tensor(X), minitorch.zeros((2,)))


def halvings(x):
    count = 0.0
    while x > 0.1:
        x = x / 2
        count += 1
    return count


@pytest.mark.parametrize("f", [halvings, lambda x: float(str(x)[::-1].replace("-", ""))])
def test_what_cannot_be_traced_runs_on_simple_ops_alone(f):
    same(SimpleOps.map(f)(tensor(X)), np.vectorize(f, otypes=[float])(X))
    with pytest.raises(TracingError, match="cannot become an expression of numbers"):
        FastOps.map(f)(tensor(X))


def test_the_error_of_fast_ops_names_the_line_and_the_cure():
    with pytest.raises(TracingError, match=r"(?s)while x > 0\.1:.*use a for loop"):
        FastOps.map(halvings)(tensor(X))


# --- reduce --------------------------------------------------------------------------------------


@both
@pytest.mark.parametrize("dim", [0, 1])
@pytest.mark.parametrize(
    ("f", "start"),
    [
        (operators.add, 0.0),
        (lambda a, x: a + x, 10.0),
        (operators.mul, 1.0),
        (operators.mul, -2.0),
        (operators.max, -1e9),
        (operators.max, 2.0),
        (lambda a, x: a - x, 5.0),
        (lambda a, x: 10 * a + x, 1.0),
        (lambda a, x: x if x > 0 else a, 0.0),
    ],
)
def test_reduce(ops, f, start, dim):
    same(ops.reduce(f, start)(tensor(X), dim), folded(f, start, X, dim))
    turned = tensor(X.T.copy()).permute(1, 0)
    same(ops.reduce(f, start)(turned, dim), folded(f, start, X, dim))


@both
def test_reduce_begins_at_zero(ops):
    same(ops.reduce(lambda a, x: a / 2 + x)(tensor([4.0, 1.0]), 0), [3.0])
    for f in (operators.add, operators.max, lambda a, x: a - x):
        same(ops.reduce(f, 4.5)(minitorch.zeros((0, 2)), 0), [[4.5, 4.5]])


def test_reduce_with_a_function_that_cannot_be_traced():
    def f(a, x):
        return float(f"{int(abs(a))}{int(abs(x))}")

    same(SimpleOps.reduce(f, 9.0)(tensor(X), 1), [[9123.0], [9046.0]])
    with pytest.raises(TracingError):
        FastOps.reduce(f, 9.0)(tensor(X), 1)


# --- matrix products -----------------------------------------------------------------------------


@both
@pytest.mark.parametrize("shapes", [((2, 3), (3, 2)), ((4, 1, 3), (3, 5)), ((2, 2, 3), (2, 3, 1))])
def test_matrix_multiply(ops, shapes):
    a, b = (np.random.default_rng(1).normal(size=shape) for shape in shapes)
    same(ops.matrix_multiply(tensor(a), tensor(b)), a @ b)
    same(ops.matrix_multiply(tensor(X), tensor(X).permute(1, 0)), X @ X.T)


# --- backends ------------------------------------------------------------------------------------


class Counting(minitorch.TensorOps):
    """The simple operations, each call counted."""

    calls: collections.Counter = collections.Counter()

    @staticmethod
    def counted(name, operation):
        def call(*tensors):
            Counting.calls[name] += 1
            return operation(*tensors)

        return call

    @staticmethod
    def map(fn):
        return Counting.counted(f"map {fn.__name__}", SimpleOps.map(fn))

    @staticmethod
    def zip(fn):
        return Counting.counted(f"zip {fn.__name__}", SimpleOps.zip(fn))

    @staticmethod
    def reduce(fn, start=0.0):
        return Counting.counted(f"reduce {fn.__name__}", SimpleOps.reduce(fn, start))

    @staticmethod
    def matrix_multiply(a, b):
        return Counting.counted("product", SimpleOps.matrix_multiply)(a, b)


def test_a_backend_of_ones_own_is_used():
    backend = TensorBackend(Counting)
    Counting.calls.clear()
    x = tensor(X, backend)
    found = ((x * x + 2.0).relu() @ x.permute(1, 0)).sum()
    assert found.backend is backend
    assert Counting.calls == {
        "zip mul": 1, "zip add": 1, "map relu": 1, "product": 1, "reduce add": 1,
    }  # fmt: skip
    same(found, [((X * X + 2) @ X.T).sum()])


def test_a_backend_of_ones_own_has_gradients():
    x = tensor(X, TensorBackend(Counting), requires_grad=True)
    (x @ x.permute(1, 0)).sigmoid().sum().backward()
    y = tensor(X, requires_grad=True)
    (y @ y.permute(1, 0)).sigmoid().sum().backward()
    same(x.grad, y.grad.to_numpy())


@pytest.mark.parametrize(("ops", "name"), [(SimpleOps, "reference"), (FastOps, "cpu")])
def test_where_operations_run(ops, name):
    with ops.running():
        assert current_backend() == name


def test_a_backend_shows_its_operations():
    assert repr(minitorch.SimpleBackend) == "TensorBackend(SimpleOps)"
    assert TensorBackend(FastOps).ops is FastOps
    with pytest.raises(NotImplementedError, match="TensorOps: a subclass defines map, zip, reduce"):
        TensorBackend(minitorch.TensorOps)


@pytest.mark.parametrize("ops", [SimpleOps, FastOps])
def test_a_start_counts_for_known_functions_too(ops):
    x = tensor([[-3.0, -1.0], [2.0, -5.0]], TensorBackend(ops))
    assert ops.reduce(operators.max, 0.0)(x, 1).to_numpy().tolist() == [[0.0], [2.0]]
    assert ops.reduce(operators.add, 10.0)(x, 0).to_numpy().tolist() == [[9.0, 4.0]]
    assert ops.reduce(lambda a, b: a * b, -1.0)(x, 1).to_numpy().tolist() == [[-3.0], [10.0]]
