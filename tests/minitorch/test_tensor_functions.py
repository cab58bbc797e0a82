"""Functions of tensors: made, of one's own, those of the course; and `grad_check`."""

import numpy as np
import pytest

from tessella import minitorch
from tessella.errors import GradientError, ShapeError
from tessella.minitorch import Function, grad_check, tensor, tensor_functions

A = np.array([[1.0, 2.0], [-3.0, 4.0]])


def same(found, expected):
    assert found.shape == np.shape(expected)
    np.testing.assert_allclose(found.to_numpy(), expected, rtol=1e-12)


# --- making tensors ------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [minitorch.zeros, minitorch.ones, minitorch.rand])
def test_making_tensors(backend, make):
    x = make((2, 3), backend=backend, requires_grad=True)
    assert (x.shape, x.backend, x.f, x.is_leaf()) == ((2, 3), backend, backend, True)
    assert make((2, 3)).is_constant()
    elements = x.to_numpy()
    if make is minitorch.rand:
        assert ((elements >= 0) & (elements < 1)).all()
        assert len(set(elements.flat)) == 6
    else:
        assert set(elements.flat) == {0.0 if make is minitorch.zeros else 1.0}


def test_zeros_like_a_tensor(backend):
    x = tensor(A, backend)
    same(x.zeros(), np.zeros((2, 2)))
    same(x.zeros((3,)), np.zeros(3))
    assert x.zeros().backend is backend


def test_tensors_of_lists():
    assert tensor([[[1], [2]]]).shape == (1, 2, 1)
    assert tensor(5).shape == ()
    array = A.copy()
    tensor(array)[0, 0] = 9.0
    assert array[0, 0] == 1.0
    with pytest.raises(ShapeError, match=r"tensor: the lists do not make .* must be equally long"):
        tensor([[1.0], [1.0, 2.0]])


# --- functions of one's own ----------------------------------------------------------------------


class Blend(Function):
    """x times w plus y times (1 - w), for a number w."""

    @staticmethod
    def forward(ctx, x, y, w):
        assert x.is_constant()
        ctx.save_for_backward(w)
        return x * w + y * (1 - w)

    @staticmethod
    def backward(ctx, grad_output):
        (w,) = ctx.saved_values
        return grad_output * w, grad_output * (1 - w), 0.0


def test_a_function_of_ones_own(backend):
    x, y = (tensor(a, backend, requires_grad=True) for a in (A, -2 * A))
    found = Blend.apply(x, y, 0.25)
    same(found, 0.25 * A - 1.5 * A)
    assert found.history.last_fn is Blend
    assert [p is v for p, v in zip(found.parents, (x, y), strict=True)] == [True, True]
    (found * 4.0).sum().backward()
    same(x.grad, np.full((2, 2), 1.0))
    same(y.grad, np.full((2, 2), 3.0))
    grad_check(lambda a, b: Blend.apply(a, b, 0.5) * a, tensor(A, backend), tensor(A, backend))


def test_a_function_of_constants_keeps_nothing(backend):
    contexts = []

    class Watched(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            contexts.append(ctx)
            return x

    x = tensor(A, backend)
    assert Watched.apply(x).is_constant()
    x.requires_grad_(True)
    assert Watched.apply(x).parents == [x]
    assert [len(ctx.saved_values) for ctx in contexts] == [0, 1]


def test_forward_may_give_what_it_did_not_make(backend):
    table = tensor(A, backend)

    class Lookup(Function):
        @staticmethod
        def forward(ctx, x):
            return table

        @staticmethod
        def backward(ctx, grad_output):
            return 0.0

    x = tensor(A, backend, requires_grad=True)
    found = Lookup.apply(x)
    assert table.is_constant()
    assert not found.is_constant()
    found.sum().backward()
    same(x.grad, np.zeros((2, 2)))


def test_a_wrong_number_of_gradients():
    class Half(Function):
        @staticmethod
        def forward(ctx, x, y):
            return x + y

        @staticmethod
        def backward(ctx, grad_output):
            return grad_output

    x = tensor([1.0], requires_grad=True)
    with pytest.raises(
        GradientError, match=r"Half\.backward gave 1 derivatives for 2 inputs; give"
    ):
        Half.apply(x, x).backward()


def test_grad_check_finds_what_is_wrong(backend):
    class Wrong(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 3.0

        @staticmethod
        def backward(ctx, grad_output):
            return grad_output * 4.0

    def wrong(x, y):
        return y + Wrong.apply(x)

    message = r"grad_check: wrong, argument 0, element \(.*\) of shape \(2, 2\): the gradient is 4"
    with pytest.raises(AssertionError, match=message):
        grad_check(wrong, tensor(A, backend), tensor(A, backend))


# --- the derivatives of the course's functions ---------------------------------------------------

SIGMOID = 1 / (1 + np.exp(-A))
DERIVATIVES = {
    "Neg": (A, -np.ones_like(A)),
    "Inv": (A, -1 / A**2),
    "Sigmoid": (A, SIGMOID * (1 - SIGMOID)),
    "ReLU": (A, (A > 0) * 1.0),
    "Log": (np.abs(A), 1 / (np.abs(A) + 1e-6)),
    "Exp": (A, np.exp(A)),
    "Copy": (A, np.ones_like(A)),
}


@pytest.mark.parametrize("name", DERIVATIVES)
def test_derivatives(backend, name):
    values, slope = DERIVATIVES[name]
    x = tensor(values, backend, requires_grad=True)
    getattr(tensor_functions, name).apply(x).backward(tensor([[1.0, 2.0], [3.0, 4.0]], backend))
    same(x.grad, slope * [[1.0, 2.0], [3.0, 4.0]])


def test_derivatives_of_a_product_of_matrices(backend):
    a, b = (tensor(values, backend, requires_grad=True) for values in (A, A + 1))
    weight = np.array([[1.0, -1.0], [0.5, 2.0]])
    tensor_functions.MatMul.apply(a, b).backward(tensor(weight, backend))
    same(a.grad, weight @ (A + 1).T)
    same(b.grad, A.T @ weight)


def test_axes_may_come_as_tensors(backend):
    """As the course passes them to `apply`."""
    x = tensor(A, backend, requires_grad=True)
    same(tensor_functions.Sum.apply(x, tensor([1.0])), A.sum(1, keepdims=True))
    same(tensor_functions.Permute.apply(x, tensor([1.0, 0.0])), A.T)
    same(tensor_functions.View.apply(x, tensor([4.0])), A.reshape(4))


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)])
def test_the_gradient_of_permute_goes_back(backend, order):
    weight = np.arange(24.0).reshape(2, 3, 4)
    x = minitorch.rand((2, 3, 4), backend, requires_grad=True)
    (x.permute(*order) * tensor(weight.transpose(order), backend)).sum().backward()
    same(x.grad, weight)


def test_all_has_no_gradient(backend):
    x = tensor(A, backend, requires_grad=True)
    (x * 0.0).all(0).sum().backward()
    same(x.grad, np.zeros((2, 2)))
