"""Numbers that remember: the chain rule on scalars, and the course's operators."""

import math

import pytest

from tessella.errors import GradientError
from tessella.scalar import Scalar, functions, mathematics, operators
from tessella.scalar.higher_order import (
    add_lists,
    map,
    negate_list,
    product,
    reduce,
    sum_list,
    zip_with,
)


def test_chain_rule_with_a_shared_value():
    x, y = Scalar(2.0), Scalar(-3.0)
    z = x * y
    out = (z * z + z.relu() - x / y).exp().log() + 3
    out.backward()
    assert x.grad == pytest.approx(2 * 2.0 * 9.0 - 1 / -3.0)
    assert y.grad == pytest.approx(2 * 4.0 * -3.0 + 2.0 / 9.0)


@pytest.mark.parametrize("name", mathematics.__all__)
def test_derivatives_against_central_differences(name):
    operator = getattr(mathematics, name)
    point = 1.3 if name in ("acosh",) else 0.4
    values = [point, 0.7][: operator.arity]
    for index in range(operator.arity):
        if operator.partials is None:
            continue
        inputs = [Scalar(v) for v in values]
        operator(*inputs).backward()
        h = 1e-6
        plus, minus = ([v + s * h * (i == index) for i, v in enumerate(values)] for s in (1, -1))
        slope = (float(operator(*map(Scalar)(plus))) - float(operator(*map(Scalar)(minus)))) / (
            2 * h
        )
        assert inputs[index].grad == pytest.approx(slope, rel=1e-6, abs=1e-8)


def test_gradients_accumulate_and_history_is_freed():
    x = Scalar(3.0)
    y = x * x
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad == 12.0
    with pytest.raises(GradientError, match="already"):
        y.backward()
    with pytest.raises(GradientError, match="no history"):
        Scalar(1.0, requires_grad=False).backward()


def test_long_histories_need_no_recursion():
    x = Scalar(1.0)
    y = x
    for _ in range(5000):
        y = y + 1.0
    y.backward()
    assert x.grad == 1.0


def test_comparisons_and_numbers():
    x = Scalar(2.0)
    assert bool(x > 1)
    assert not bool(x == 3)
    assert float(x) == 2.0
    assert operators.maximum(2.0, 5.0) == 5.0
    assert repr(x * 2) == "Scalar(4.0, operator=multiply)"


def test_the_courses_operators():
    assert functions.is_close(1.0, 1.005) == 1.0
    assert functions.lt(1, 2) == 1.0
    assert functions.eq(1, 2) == 0.0
    assert functions.max(1, 2) == 2
    assert functions.id(5) == 5
    assert functions.neg(5) == -5
    assert functions.sigmoid(-800.0) == 0.0
    assert functions.sigmoid(800.0) == 1.0
    assert functions.log_back(2.0, 3.0) == 1.5
    assert functions.inv_back(2.0, 1.0) == -0.25
    assert functions.relu_back(-1.0, 5.0) == 0.0
    assert functions.exp(1.0) == math.e
    assert functions.log(1.0) == 0.0


def test_higher_order_functions():
    assert negate_list([1, 2]) == [-1, -2]
    assert add_lists([1, 2], [3, 4]) == [4, 6]
    assert sum_list([]) == 0
    assert product([]) == 1
    assert reduce(lambda a, b: a + b, 0)(zip_with(functions.mul)([1, 2], [3, 4])) == 11
    with pytest.raises(ValueError, match="argument 2"):
        zip_with(functions.add)([1], [1, 2])
