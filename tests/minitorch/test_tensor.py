"""Tensors: operators and functions, compared with NumPy on both backends."""

import operator

import numpy as np
import pytest

from tessella import minitorch
from tessella.errors import ArgumentError, IndexingError, ShapeError
from tessella.minitorch import FastOps, TensorBackend, TensorData, grad_check, tensor

A = np.array([[0.5, -1.0, 2.0], [3.0, 0.25, -0.75]])
B = np.array([[1.5, 2.0, -2.0], [3.0, -0.5, 0.8]])
OPERANDS = {"the same shape": B, "a row": B[0], "a column": B[:, :1], "deeper": np.stack([B, -B])}
ARITHMETIC = [operator.add, operator.sub, operator.mul, operator.truediv]
COMPARISONS = [operator.lt, operator.gt, operator.eq]
UNARY = {
    "neg": (lambda x: -x, lambda a: -a),
    "sigmoid": (lambda x: x.sigmoid(), lambda a: 1 / (1 + np.exp(-a))),
    "relu": (lambda x: x.relu(), lambda a: np.maximum(a, 0)),
    "exp": (lambda x: x.exp(), np.exp),
    "log": (lambda x: (x * x).log(), lambda a: np.log(a * a + 1e-6)),
    "sum": (lambda x: x.sum(), lambda a: a.sum().reshape(1)),
    "sum 0": (lambda x: x.sum(0), lambda a: a.sum(0, keepdims=True)),
    "sum 1": (lambda x: x.sum(1), lambda a: a.sum(1, keepdims=True)),
    "mean": (lambda x: x.mean(), lambda a: a.mean().reshape(1)),
    "mean 0": (lambda x: x.mean(0), lambda a: a.mean(0, keepdims=True)),
    "permute": (lambda x: x.permute(1, 0), lambda a: a.T),
    "sum of permuted": (lambda x: x.permute(1, 0).sum(), lambda a: a.sum().reshape(1)),
    "view": (lambda x: x.view(3, 2), lambda a: a.reshape(3, 2)),
    "contiguous": (lambda x: x.permute(1, 0).contiguous().view(6), lambda a: a.T.reshape(6)),
}


def same(found, expected):
    assert found.shape == expected.shape
    np.testing.assert_allclose(found.to_numpy(), expected, rtol=1e-12)


# --- operators -----------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", OPERANDS)
@pytest.mark.parametrize("f", ARITHMETIC + COMPARISONS, ids=lambda f: f.__name__)
def test_operators_broadcast(backend, f, shape):
    x, y = tensor(A, backend), tensor(OPERANDS[shape], backend)
    found = f(x, y)
    assert found.backend is backend
    same(found, f(A, OPERANDS[shape]).astype(float))


@pytest.mark.parametrize("f", ARITHMETIC + COMPARISONS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("number", [2, 0.25, np.float64(-1.5)])
def test_operators_take_numbers_on_either_side(backend, f, number):
    x = tensor(A, backend)
    same(f(x, number), f(A, number).astype(float))
    same(f(number, x), f(number, A).astype(float))


@pytest.mark.parametrize("name", UNARY)
def test_functions(backend, name):
    method, meaning = UNARY[name]
    same(method(tensor(A, backend)), meaning(A))
    grad_check(method, tensor(A, backend))


@pytest.mark.parametrize("shape", OPERANDS)
@pytest.mark.parametrize("f", ARITHMETIC, ids=lambda f: f.__name__)
def test_gradients_of_operators(backend, f, shape):
    grad_check(f, tensor(A, backend), tensor(OPERANDS[shape], backend))
    grad_check(lambda y: f(3.0, y) * f(y, 2.0), tensor(OPERANDS[shape], backend))


def test_comparisons_have_no_gradient(backend):
    x = tensor(A, backend, requires_grad=True)
    for f in COMPARISONS:
        f(x, 0.5).sum().backward()
    same(x.grad, np.zeros_like(A))


@pytest.mark.parametrize(
    ("first", "second"), [((2, 3), (3, 4)), ((5, 2, 3), (3, 4)), ((1, 2, 3), (4, 3, 1))]
)
def test_products_of_matrices(backend, first, second):
    a, b = (np.random.default_rng(0).normal(size=shape) for shape in (first, second))
    same(tensor(a, backend) @ tensor(b, backend), a @ b)
    grad_check(operator.matmul, tensor(a, backend), tensor(b, backend))


def test_close_and_all(backend):
    x = tensor([[1.0, 2.0], [0.0, 3.0]], backend)
    same(x.is_close(x + 0.009), np.ones((2, 2)))
    same(x.is_close(1.005), np.array([[1.0, 0.0], [0.0, 0.0]]))
    same(x.all(), np.array([0.0]))
    same((x + 1.0).is_close(1.0 + x).all(), np.array([1.0]))
    same((x > 0).all(1), np.array([[1.0], [0.0]]))


def test_the_first_operand_says_on_which_backend():
    x = tensor(A, TensorBackend(FastOps), requires_grad=True)
    y = tensor(B, requires_grad=True)
    found = x * y
    assert found.backend is y.backend is x.backend
    found.sum().backward()
    same(y.grad, A)


def test_errors_of_shapes(backend):
    x = tensor(A, backend)
    with pytest.raises(IndexingError, match=r"\(2, 3\) and \(2,\) do not broadcast: axis -1"):
        x + tensor([1.0, 2.0], backend)
    with pytest.raises(ShapeError, match=r"\(2, 3\) @ \(2, 3\); the 3 and the 2 must be equal"):
        x @ x
    with pytest.raises(ShapeError, match=r"\(2, 3\) has 6 elements, \(4,\) has 4"):
        x.view(4)


# --- what they are --------------------------------------------------------------------------------


def test_tensors_are_shown():
    assert str(tensor([[1, 2.345]])) == repr(tensor([[1, 2.345]])) == "\n[\n\t[1.00 2.35]]"
    with pytest.raises(ArgumentError, match="Tensor: list was given; expected TensorData; use"):
        minitorch.Tensor([1.0])
    assert minitorch.Tensor(TensorData([1.0], (1,))).backend is minitorch.SimpleBackend
