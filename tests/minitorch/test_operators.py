"""The operators of numbers, and the functions of functions on lists."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tessella.minitorch import central_difference, operators

small = st.floats(-100, 100)
lists = st.lists(small, max_size=8)


@given(small, small)
def test_arithmetic_is_that_of_python(x, y):
    assert operators.add(x, y) == x + y
    assert operators.mul(x, y) == x * y
    assert operators.neg(x) == -x
    assert operators.id(x) == x
    assert operators.max(x, y) == max(x, y)
    assert operators.relu(x) == max(x, 0.0)
    assert operators.exp(x) == math.exp(x)


@given(small, small)
def test_comparisons_give_one_or_zero(x, y):
    for found, expected in (
        (operators.lt(x, y), x < y),
        (operators.eq(x, y), x == y),
        (operators.eq(x, x), True),
        (operators.is_close(x, y), abs(x - y) < 0.01),
    ):
        assert type(found) is float
        assert found == expected


def test_close_means_a_hundredth():
    assert operators.is_close(1.0, 1.009) == operators.is_close(1.009, 1.0) == 1.0
    assert operators.is_close(1.0, 1.011) == operators.is_close(1.011, 1.0) == 0.0


@given(small)
def test_sigmoid_is_symmetric_and_grows(x):
    assert operators.sigmoid(x) == pytest.approx(1 / (1 + math.exp(-x)))
    assert operators.sigmoid(x) + operators.sigmoid(-x) == pytest.approx(1.0)
    assert operators.sigmoid(x) <= operators.sigmoid(x + 1)


def test_sigmoid_does_not_overflow():
    assert operators.sigmoid(0.0) == 0.5
    assert operators.sigmoid(-1000.0) == 0.0
    assert operators.sigmoid(1000.0) == 1.0


def test_log_adds_a_small_number():
    assert operators.log(0.0) == math.log(1e-6)
    assert operators.log(2.0) == math.log(2.0 + 1e-6) != math.log(2.0)


def test_inv_adds_nothing():
    assert operators.inv(4.0) == 0.25
    with pytest.raises(ZeroDivisionError):
        operators.inv(0.0)


@pytest.mark.parametrize("name", ["log", "inv", "relu"])
@pytest.mark.parametrize("x", [0.5, 1.0, 7.0])
def test_backward_operators_are_derivatives(name, x):
    slope = central_difference(getattr(operators, name), x)
    assert getattr(operators, f"{name}_back")(x, 3.0) == pytest.approx(3.0 * slope, rel=1e-5)


def test_relu_back_takes_nothing_from_zero_and_below():
    assert [operators.relu_back(x, 3.0) for x in (-2.0, 0.0, 1e-9)] == [0.0, 0.0, 3.0]


@given(lists)
def test_functions_of_one_list(xs):
    assert operators.map(lambda x: x * 2)(xs) == [x * 2 for x in xs]
    assert operators.negList(xs) == [-x for x in xs]
    assert operators.sum(xs) == pytest.approx(math.fsum(xs), abs=1e-9)
    assert operators.prod(xs) == pytest.approx(math.prod(xs))


@given(st.lists(st.tuples(small, small), max_size=8))
def test_functions_of_two_lists(pairs):
    xs, ys = [x for x, _ in pairs], [y for _, y in pairs]
    assert operators.addLists(xs, ys) == [x + y for x, y in pairs]
    assert operators.zipWith(lambda x, y: x - 2 * y)(xs, ys) == [x - 2 * y for x, y in pairs]


@given(lists, small)
def test_reduce_goes_from_left_to_right(xs, start):
    *_, last = itertools.accumulate(xs, lambda a, x: a / 2 - x, initial=start)
    assert operators.reduce(lambda a, x: a / 2 - x, start)(xs) == last


def test_empty_lists():
    assert operators.sum([]) == 0
    assert operators.prod([]) == 1
    assert operators.reduce(operators.add, 5.0)([]) == 5.0
    assert operators.map(operators.neg)([]) == operators.addLists([], []) == []


def test_lists_may_be_any_iterable():
    assert operators.map(operators.neg)(range(3)) == [0, -1, -2]
    assert operators.sum(x for x in (1.0, 2.0)) == 3.0
    assert operators.zipWith(operators.mul)((1, 2), iter([3, 4])) == [3, 8]


def test_a_function_of_functions_can_be_used_again():
    double = operators.map(lambda x: 2 * x)
    product = operators.reduce(operators.mul, 1)
    assert [double([1]), double([2, 3])] == [[2], [4, 6]]
    assert [product([2, 3]), product([4])] == [6, 4]
