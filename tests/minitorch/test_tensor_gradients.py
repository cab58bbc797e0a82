"""Tensors as variables: leaves and constants, histories, backward passes."""

import numpy as np
import pytest

from tessella import minitorch
from tessella.errors import GradientError
from tessella.minitorch import tensor, tensor_functions

A = np.array([[1.0, 2.0], [-3.0, 4.0]])


def same(found, expected):
    assert found.shape == np.shape(expected)
    np.testing.assert_allclose(found.to_numpy(), expected, rtol=1e-12)


# --- leaves, constants, histories ----------------------------------------------------------------


def test_leaves_constants_and_results(backend):
    leaf, constant = tensor(A, backend, requires_grad=True), tensor(A, backend)
    result = leaf * constant
    assert [x.is_leaf() for x in (leaf, constant, result)] == [True, False, False]
    assert [x.is_constant() for x in (leaf, constant, result)] == [False, True, False]
    assert [x.requires_grad() for x in (leaf, constant, result)] == [True, False, True]
    assert result.history.last_fn is tensor_functions.Mul
    assert [id(x) for x in result.history.inputs] == [id(leaf), id(constant)]
    assert [id(x) for x in result.parents] == [id(leaf), id(constant)]
    assert list(leaf.parents) == list(constant.parents) == []


def test_what_is_made_of_constants_is_constant(backend):
    x = tensor(A, backend)
    assert all(y.is_constant() for y in (x + x, x @ x, x.sum(), x.permute(1, 0), x.relu()))


def test_requires_grad_makes_leaves_and_constants(backend):
    x = tensor(A, backend)
    x.requires_grad_(True)
    assert x.is_leaf()
    y = x * 2.0
    y.requires_grad_(True)
    assert y.is_leaf()
    y.requires_grad_(False)
    assert y.is_constant()
    assert x.detach().is_constant()


def test_names_and_numbers(backend):
    x, y = tensor(A, backend), tensor(A, backend)
    assert len({v.unique_id for v in (x, y, x + y, x.detach(), x.view(4))}) == 5
    assert x.name == str(x.unique_id)
    x.name = "weight"
    assert x.name == "weight"
    data = minitorch.TensorData([1.0], (1,))
    assert minitorch.Tensor(data, name="mine", backend=backend).name == "mine"
    assert len({x, y}) == 2  # by identity


# --- backward passes -----------------------------------------------------------------------------


def test_a_gradient_for_the_result(backend):
    x, gradient = tensor(A, backend, requires_grad=True), np.array([[1.0, 0.0], [2.0, -1.0]])
    (x * x).backward(tensor(gradient, backend))
    same(x.grad, 2 * A * gradient)


def test_one_element_needs_no_gradient(backend):
    x = tensor(A, backend, requires_grad=True)
    (x * x).sum().backward()
    same(x.grad, 2 * A)
    for several in (x * 2.0, x.view(4)):
        with pytest.raises(GradientError, match=r"\(1,\) if it is left out.*x.sum\(\).backward"):
            several.backward()


def test_gradients_add_up_until_they_are_zeroed(backend):
    x = tensor(A, backend, requires_grad=True)
    assert x.grad is None
    for _ in range(2):
        x.sum().backward()
    same(x.grad, np.full((2, 2), 2.0))
    x.zero_grad_()
    same(x.grad, np.zeros((2, 2)))


def test_only_leaves_keep_gradients(backend):
    x, constant = tensor(A, backend, requires_grad=True), tensor(A, backend)
    hidden = x * constant
    hidden.sum().backward()
    assert hidden.grad is None
    assert constant.grad is None
    same(x.grad, A)
    with pytest.raises(GradientError, match="only leaves keep derivatives"):
        hidden.accumulate_derivative(constant)
    x.accumulate_derivative(constant)
    same(x.grad, 2 * A)


def test_an_accumulated_gradient_is_a_copy(backend):
    x, gradient = tensor(A, backend, requires_grad=True), tensor(A, backend)
    x.accumulate_derivative(gradient)
    gradient[0, 0] = 100.0
    same(x.grad, A)


def test_gradients_of_what_was_broadcast_are_summed(backend):
    row = tensor([[1.0, 2.0]], backend, requires_grad=True)
    column = tensor([[1.0], [2.0], [3.0]], backend, requires_grad=True)
    (row * column).sum().backward()
    same(row.grad, [[6.0, 6.0]])
    same(column.grad, [[3.0], [3.0], [3.0]])


def test_expand_fits_a_gradient_to_a_tensor(backend):
    x = minitorch.zeros((2, 1), backend)
    ones = minitorch.ones((4, 2, 3), backend)
    same(x.expand(ones), [[12.0], [12.0]])
    same(x.expand(tensor([5.0], backend)), [[5.0], [5.0]])
    same(x.expand(tensor([[1.0], [2.0]], backend)), [[1.0], [2.0]])


def test_the_chain_rule_gives_pairs(backend):
    x, constant = tensor(A, backend, requires_grad=True), tensor([2.0, 3.0], backend)
    ((variable, gradient),) = (x * constant).chain_rule(minitorch.ones((2, 2), backend))
    assert variable is x
    same(gradient, [[2.0, 3.0], [2.0, 3.0]])
    with pytest.raises(GradientError, match="the Tensor was not computed from others"):
        x.chain_rule(constant)


def test_a_tensor_that_is_used_often(backend):
    x = tensor(A, backend, requires_grad=True)
    y = x
    for _ in range(2_000):
        y = y + x
    y.sum().backward()
    same(x.grad, np.full((2, 2), 2_001.0))


def test_the_gradient_of_a_permutation_goes_back_where_it_came_from(backend):
    data = np.arange(24.0).reshape(2, 3, 4)
    x = minitorch.tensor(data, backend=backend, requires_grad=True)
    weights = np.arange(24.0).reshape(4, 2, 3) ** 2
    (x.permute(2, 0, 1) * minitorch.tensor(weights, backend=backend)).sum().backward()
    np.testing.assert_array_equal(x.grad.to_numpy(), weights.transpose(1, 2, 0))
