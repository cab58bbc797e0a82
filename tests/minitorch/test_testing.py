"""The functions that the course's tests go through, of numbers and of variables."""

import numpy as np
import pytest

from tessella import minitorch
from tessella.minitorch import MathTest, MathTestVariable, Scalar, derivative_check, grad_check

ONE, TWO, LISTS = MathTestVariable._comp_testing()


def each(triples):
    return pytest.mark.parametrize(
        ("meaning", "own"), [triple[1:] for triple in triples], ids=[name for name, *_ in triples]
    )


def test_the_functions_are_sorted_by_what_they_take():
    one, two, lists = (dict(group) for group in MathTest._tests())
    assert set(one) == {
        "neg", "addConstant", "subConstant", "multConstant", "div", "square", "cube", "inv", "sig",
        "log", "relu", "exp", "explog", "complex",
    }  # fmt: skip
    assert set(two) == {"add2", "mul2", "div2", "gt2", "lt2", "eq2"}
    assert set(lists) == {"sum_red", "mean_red", "mean_full_red"}
    assert [one["square"](3.0), two["lt2"](1.0, 3.0), lists["mean_red"]([1.0, 3.0])] == [9, 1, 2]


def test_a_class_gives_its_own_functions():
    class Mine(MathTest):
        square = staticmethod(lambda a: a**2)

    assert dict(Mine._tests()[0])["square"] is Mine.square
    assert dict(Mine._tests()[0])["cube"] is MathTest.cube
    triple = next(t for t in Mine._comp_testing()[0] if t[0] == "square")
    assert triple == ("square", MathTest.square, Mine.square)


def test_names_agree():
    names = [[name for name, _ in group] for group in MathTest._tests()]
    assert [[name for name, *_ in group] for group in (ONE, TWO, LISTS)] == names


@each(ONE)
@pytest.mark.parametrize("x", [-3.0, 0.5, 20.0])
def test_functions_of_a_scalar(meaning, own, x):
    assert own(Scalar(x)).data == pytest.approx(meaning(x))
    derivative_check(own, Scalar(x))


@each(TWO)
@pytest.mark.parametrize(("x", "y"), [(1.0, 2.0), (7.0, -1.5)])
def test_functions_of_two_scalars(meaning, own, x, y):
    assert own(Scalar(x), Scalar(y)).data == pytest.approx(meaning(x, y))
    derivative_check(own, Scalar(x), Scalar(y))


@each(ONE)
def test_functions_of_a_tensor(backend, meaning, own):
    numbers = [-3.0, 0.5, 20.0]
    found = own(minitorch.tensor(numbers, backend))
    np.testing.assert_allclose(found.to_numpy(), [meaning(x) for x in numbers], rtol=1e-10)
    grad_check(own, minitorch.tensor(numbers, backend))


@each(TWO)
def test_functions_of_two_tensors(backend, meaning, own):
    xs, ys = [1.0, 7.0, 0.2], [2.0, -1.5, 9.0]
    found = own(minitorch.tensor(xs, backend), minitorch.tensor(ys, backend))
    expected = [meaning(x, y) for x, y in zip(xs, ys, strict=True)]
    np.testing.assert_allclose(found.to_numpy(), expected, rtol=1e-10)
    grad_check(own, minitorch.tensor(xs, backend), minitorch.tensor(ys, backend))


@each(LISTS)
def test_functions_of_lists(backend, meaning, own):
    numbers = [1.0, 2.5, -4.0, 8.0]
    assert own(minitorch.tensor(numbers, backend)).item() == pytest.approx(meaning(numbers))
    grad_check(own, minitorch.tensor(numbers, backend))
