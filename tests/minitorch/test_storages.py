"""Elements that are read and written, and the storages that tensors share."""

import numpy as np
import pytest

from tessella import minitorch
from tessella.errors import ArgumentError, IndexingError, ShapeError
from tessella.minitorch import tensor

A = np.array([[0.5, -1.0, 2.0], [3.0, 0.25, -0.75]])


def same(found, expected):
    assert found.shape == expected.shape
    np.testing.assert_allclose(found.to_numpy(), expected, rtol=1e-12)


# --- elements ------------------------------------------------------------------------------------


def test_elements_are_read_and_written(backend):
    x, row = tensor(A, backend), tensor([1.0, 2.0], backend)
    assert (x[1, 2], x[(0, 1)], row[1]) == (-0.75, -1.0, 2.0)
    assert isinstance(x[0, 0], float)
    x[1, 2] = row[0] = 9.0
    assert (x[1, 2], row[0]) == (9.0, 9.0)
    same(x * 1.0, np.array([[0.5, -1.0, 2.0], [3.0, 0.25, 9.0]]))


def test_what_is_broadcast_or_permuted_can_be_written(backend):
    wide = tensor([[1.0], [2.0]], backend) + minitorch.zeros((1, 2), backend)
    wide[0, 0] = 5.0
    same(wide, np.array([[5.0, 1.0], [2.0, 2.0]]))
    gradient = tensor(A, backend, requires_grad=True)
    gradient.sum(0).sum().backward()
    gradient.grad[0, 1] = 7.0
    same(gradient.grad, np.array([[1.0, 7.0, 1.0], [1.0, 1.0, 1.0]]))


BROADCAST = {
    "ones": lambda backend: minitorch.ones((2, 2), backend),
    "ones of a tensor": lambda backend: tensor(A, backend).ones((2, 2)),
    "expanded": lambda backend: minitorch.zeros((2, 2), backend).expand(tensor([1.0], backend)),
    "a gradient": lambda backend: (
        minitorch.rand((2, 2), backend, requires_grad=True)
        .sum(0)
        .chain_rule(minitorch.ones((1, 2), backend))[0][1]
    ),
}


@pytest.mark.parametrize("name", BROADCAST)
def test_one_element_is_written_whatever_is_stored(backend, name):
    x = BROADCAST[name](backend)
    x[0, 1] = 5.0
    same(x, np.array([[1.0, 5.0], [1.0, 1.0]]))
    x._tensor._storage[2] = 7.0
    same(x, np.array([[1.0, 5.0], [7.0, 1.0]]))


def test_numbers_stay_what_they_are(backend):
    """Whatever is written to the tensors that stand for them."""
    x = tensor([3.0], backend, requires_grad=True)
    for _ in range(2):
        product = x * 2.0
        assert product.item() == 6.0
        number = product.history.inputs[1]
        number[0] = 100.0
        assert number.item() == 100.0
        product.sum().backward()
    same(x * 1.0, np.array([3.0]))


@pytest.mark.parametrize("index", [(2, 0), (0, -1), (0,), 0, (0, 0, 0)])
def test_wrong_indices(backend, index):
    x = tensor(A, backend)
    with pytest.raises(IndexingError, match=r"out of range|dimensions, the tensor 2"):
        x[index]
    with pytest.raises(IndexingError, match=r"out of range|dimensions, the tensor 2"):
        x[index] = 1.0


def test_one_element_is_a_number(backend):
    assert tensor([[2.5]], backend).item() == 2.5
    with pytest.raises(ArgumentError, match=r"item: the tensor has 6 elements \(shape \(2, 3\)\)"):
        tensor(A, backend).item()


def test_numpy_gets_a_copy(backend):
    x = tensor(A, backend)
    x.to_numpy()[0, 0] = 100.0
    same(x, A)


# --- storages ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("other", "place"),
    [
        (lambda x: x.view(6), (4,)),
        (lambda x: x.permute(1, 0), (1, 1)),
        (lambda x: x.detach(), (1, 1)),
        (lambda x: x.permute(1, 0).permute(1, 0).view(3, 2), (2, 0)),
    ],
    ids=["view", "permute", "detach", "all"],
)
def test_storages_are_shared(backend, other, place):
    x = tensor(A, backend)
    y = other(x)
    x[1, 1] = 10.0
    assert y[place] == 10.0
    y[place] = 20.0
    assert x[1, 1] == 20.0
    y._tensor._storage[4] = 30.0
    assert x[1, 1] == x._tensor._storage[4] == 30.0
    assert np.shares_memory(x._tensor._storage, y._tensor._storage)


def test_results_have_storages_of_their_own(backend):
    x = tensor(A, backend)
    copy, double = x.contiguous(), x + x
    x[0, 0] = 10.0
    same(copy, A)
    same(double, A + A)


def test_the_storage_of_a_user_is_used():
    storage = np.arange(4.0)
    x = minitorch.Tensor.make(storage, (2, 2), (1, 2), backend=minitorch.SimpleBackend)
    assert x[0, 1] == 2.0
    x[0, 1] = 20.0
    storage[3] = 30.0
    same(x + 0.0, np.array([[0.0, 20.0], [1.0, 30.0]]))
    assert list(storage) == [0.0, 1.0, 20.0, 30.0]


def test_strides(backend):
    x = tensor(A, backend)
    storage, shape, strides = x.permute(1, 0).tuple()
    assert (list(storage), list(shape), list(strides)) == (list(A.reshape(-1)), [3, 2], [1, 3])
    assert x.permute(1, 0).contiguous()._tensor.strides == (2, 1)
    assert (x.size, x.dims, x.shape) == (6, 2, (2, 3))


def test_a_view_needs_row_major_order(backend):
    turned = tensor(A, backend).permute(1, 0)
    message = r"shape \(3, 2\), strides \(1, 3\)\); use x\.contiguous\(\)\.view\(2, 3\)"
    with pytest.raises(ShapeError, match=message):
        turned.view(2, 3)
    same(turned.contiguous().view(2, 3), A.T.reshape(2, 3))


def test_a_leaf_that_was_broadcast_keeps_its_gradient_when_it_is_looked_at(backend):
    x = minitorch.ones((2, 3), backend=backend).expand(minitorch.ones((1,), backend=backend))
    x.requires_grad_(True)
    (x * 2.0).sum().backward()
    x[0, 1] = 7.0
    assert x.to_numpy().tolist() == [[1.0, 7.0, 1.0], [1.0, 1.0, 1.0]]
    assert x.grad.to_numpy().tolist() == [[2.0] * 3] * 2
