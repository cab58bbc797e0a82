"""Gradient descent on scalars and tensors, parameters that are replaced, and the data."""

import math
import random

import numpy as np
import pytest

from tessella import minitorch
from tessella.minitorch import SGD, Parameter, Scalar, tensor


def same(found, expected):
    np.testing.assert_allclose(found.to_numpy(), expected, rtol=1e-12)


# --- gradient descent ----------------------------------------------------------------------------


def test_a_step_of_scalars():
    x, y = Parameter(Scalar(3.0)), Parameter(Scalar(-1.0))
    optim = SGD([x, y], lr=0.1)
    (x.value * x.value + y.value * 2.0).backward()
    optim.step()
    assert x.value.data == pytest.approx(3.0 - 0.1 * 6.0)
    assert y.value.data == pytest.approx(-1.0 - 0.1 * 2.0)
    assert x.value.is_leaf()
    assert x.value.derivative is None


def test_a_step_of_tensors(backend):
    a = np.array([[1.0, -2.0], [3.0, 4.0]])
    x = Parameter(tensor(a, backend))
    optim = SGD([x], lr=0.5)
    (x.value * x.value).sum().backward()
    optim.step()
    same(x.value, a - 0.5 * 2 * a)
    assert x.value.is_leaf()
    assert x.value.grad is None
    assert x.value.backend is backend


def test_the_rate_is_one_unless_given():
    x = Parameter(Scalar(3.0))
    optim = SGD([x])
    (x.value * 2.0).backward()
    optim.step()
    assert (optim.lr, x.value.data) == (1.0, 1.0)


def test_zero_grad_forgets():
    x, y = Parameter(Scalar(3.0)), Parameter(tensor([1.0]))
    optim = SGD([x, y], lr=0.1)
    (x.value * 2.0).backward()
    y.value.sum().backward()
    optim.zero_grad()
    assert (x.value.derivative, y.value.grad) == (None, None)
    optim.step()
    assert (x.value.data, y.value.item()) == (3.0, 1.0)


def test_what_has_no_derivative_is_left_alone():
    used, unused, plain = Parameter(tensor([1.0])), Parameter(tensor([5.0])), Parameter(7.0)
    before = unused.value
    optim = SGD([used, unused, plain], lr=0.1)
    (used.value * 2.0).sum().backward()
    optim.zero_grad()
    (used.value * 2.0).sum().backward()
    optim.step()
    assert used.value.item() == pytest.approx(0.8)
    assert unused.value is before
    assert plain.value == 7.0


def test_descent_finds_the_bottom(backend):
    x = Parameter(tensor([5.0, -3.0], backend))
    optim = SGD([x], lr=0.25)
    for _ in range(40):
        optim.zero_grad()
        off = x.value - tensor([1.0, 2.0], backend)
        (off * off).sum().backward()
        optim.step()
    np.testing.assert_allclose(x.value.to_numpy(), [1.0, 2.0], atol=1e-8)


# --- parameters that are replaced ----------------------------------------------------------------


def test_the_old_tensor_keeps_its_data(backend):
    old, new = tensor([1.0, 2.0], backend), tensor([3.0, 4.0], backend)
    parameter = Parameter(old)
    view = old.view(2, 1)
    result = old * 10.0
    parameter.update(new)
    assert parameter.value is new
    same(old, [1.0, 2.0])
    same(view, [[1.0], [2.0]])
    same(result, [10.0, 20.0])
    new[0] = 30.0
    same(old, [1.0, 2.0])
    same(parameter.value, [30.0, 4.0])


def test_a_backward_pass_through_the_old_tensor(backend):
    parameter = Parameter(tensor([1.0, 2.0], backend))
    old = parameter.value
    loss = (old * old).sum()
    parameter.update(tensor([3.0, 4.0], backend))
    loss.backward()
    same(old.grad, [2.0, 4.0])
    assert parameter.value.grad is None


def test_a_parameter_takes_its_own_value_again(backend):
    parameter = Parameter(tensor([1.0, 2.0], backend))
    parameter.update(parameter.value)
    same(parameter.value, [1.0, 2.0])
    parameter.update(parameter.value.detach())
    same(parameter.value, [1.0, 2.0])
    assert parameter.value.is_leaf()


def test_a_parameter_takes_another_shape(backend):
    parameter = Parameter(tensor([1.0, 2.0], backend))
    parameter.update(tensor([[3.0]], backend))
    same(parameter.value, [[3.0]])


# --- datasets ------------------------------------------------------------------------------------

CLASSES = {
    "Simple": lambda a, b: a < 0.5,
    "Diag": lambda a, b: a + b < 0.5,
    "Split": lambda a, b: not 0.2 <= a <= 0.8,
    "Xor": lambda a, b: (a < 0.5) != (b < 0.5),
    "Circle": lambda a, b: math.dist((a, b), (0.5, 0.5)) > math.sqrt(0.1),
}


@pytest.mark.parametrize("name", CLASSES)
def test_points_and_their_classes(name):
    graph = minitorch.datasets[name](200)
    assert (graph.N, len(graph.X), len(graph.y)) == (200, 200, 200)
    assert all(0 <= a < 1 and 0 <= b < 1 for a, b in graph.X)
    assert graph.y == [int(CLASSES[name](a, b)) for a, b in graph.X]
    assert set(graph.y) == {0, 1}


def test_two_arms_of_a_spiral():
    graph = minitorch.datasets["Spiral"](20)
    assert (graph.N, len(graph.X)) == (20, 20)
    assert graph.y == [0] * 10 + [1] * 10
    around = [(a - 0.5, b - 0.5) for a, b in graph.X]
    first, second = around[:10], around[10:]
    radii = [math.hypot(*point) for point in first]
    assert radii == sorted(radii)
    for (a, b), (c, d) in zip(first, second, strict=True):
        assert (c, d) == pytest.approx((b, -a))  # a quarter turn


def test_points_can_be_made_again():
    random.seed(5)
    first = minitorch.datasets["Xor"](10)
    assert first != minitorch.datasets["Xor"](10)
    random.seed(5)
    assert first == minitorch.datasets["Xor"](10)


@pytest.mark.parametrize("name", minitorch.datasets)
def test_no_points(name):
    graph = minitorch.datasets[name](0)
    assert (graph.N, graph.X, graph.y) == (0, [], [])
