"""Scalars: arithmetic, and functions: of one's own, and the ten of the course."""

import itertools
import math

import numpy as np
import pytest

from tessella import dtypes
from tessella.errors import ArgumentTypeError
from tessella.minitorch import (
    Scalar,
    ScalarFunction,
    central_difference,
    derivative_check,
    operators,
    scalar_functions,
)
from tessella.scalar import evaluate, scalar_function

# --- arithmetic ----------------------------------------------------------------------------------

BINARY = {
    "+": lambda x, y: x + y,
    "-": lambda x, y: x - y,
    "*": lambda x, y: x * y,
    "/": lambda x, y: x / y,
    "<": lambda x, y: x < y,
    ">": lambda x, y: x > y,
    "==": lambda x, y: x == y,
}
UNARY = {
    "neg": (lambda x: -x, operators.neg),
    "log": (lambda x: x.log(), operators.log),
    "exp": (lambda x: x.exp(), operators.exp),
    "sigmoid": (lambda x: x.sigmoid(), operators.sigmoid),
    "relu": (lambda x: x.relu(), operators.relu),
}


@pytest.mark.parametrize("name", BINARY)
@pytest.mark.parametrize(("x", "y"), [(3.0, 2.0), (-1.5, 4.0), (2.0, 2.0), (0.0, -0.25)])
def test_operators_take_numbers_on_either_side(name, x, y):
    f = BINARY[name]
    for a, b in ((Scalar(x), Scalar(y)), (Scalar(x), y), (x, Scalar(y))):
        found = f(a, b)
        assert isinstance(found, Scalar)
        assert found.data == pytest.approx(float(f(x, y)))


@pytest.mark.parametrize("name", UNARY)
@pytest.mark.parametrize("x", [0.5, 3.0])
def test_functions_are_the_operators(name, x):
    method, meaning = UNARY[name]
    assert method(Scalar(x)).data == meaning(x)


@pytest.mark.parametrize("name", BINARY)
@pytest.mark.parametrize(("x", "y"), [(3.0, 2.0), (-1.5, 4.0)])
def test_derivatives_of_operators(name, x, y):
    derivative_check(BINARY[name], Scalar(x), Scalar(y))
    derivative_check(lambda a: BINARY[name](a, y), Scalar(x))
    derivative_check(lambda b: BINARY[name](x, b), Scalar(y))


def test_scalars_in_python():
    x = Scalar(2.5, name="x")
    assert (float(x), repr(x), x.name) == (2.5, "Scalar(2.500000)", "x")
    assert bool(Scalar(1.0) < 2.0)
    assert not Scalar(0.0)
    assert len({x, Scalar(2.5)}) == 2  # by identity
    assert Scalar(np.float32(2)).data == 2.0


def test_each_scalar_has_a_number():
    x, y = Scalar(1.0), Scalar(1.0)
    assert len({s.unique_id for s in (x, y, x + y, x * 1.0)}) == 4
    assert x.name == str(x.unique_id)


@pytest.mark.parametrize("wrong", ["1", None, [1.0]])
def test_only_numbers_become_scalars(wrong):
    with pytest.raises(ArgumentTypeError, match="was given; expected a number"):
        Scalar(wrong)
    with pytest.raises(ArgumentTypeError, match=r"Scalar: .* was given; expected a number"):
        Scalar(1.0) * wrong


# --- functions -----------------------------------------------------------------------------------


class Hypotenuse(ScalarFunction):
    @staticmethod
    def forward(ctx, x, y):
        length = math.hypot(x, y)
        ctx.save_for_backward(x, y, length)
        return length

    @staticmethod
    def backward(ctx, d_output):
        x, y, length = ctx.saved_values
        return d_output * x / length, d_output * y / length


def test_a_function_of_ones_own():
    x, y = Scalar(3.0), Scalar(4.0)
    found = Hypotenuse.apply(x, y)
    assert found.data == 5.0
    assert found.history.last_fn is Hypotenuse
    (found * 10.0).backward()
    assert (x.derivative, y.derivative) == (6.0, 8.0)
    derivative_check(lambda a, b: Hypotenuse.apply(a, b) * a, Scalar(1.0), Scalar(2.0))


def test_a_function_of_a_number():
    x = Scalar(3.0)
    Hypotenuse.apply(x, 4.0).backward()
    assert x.derivative == 0.6


def test_forward_must_give_a_number():
    class Text(ScalarFunction):
        @staticmethod
        def forward(ctx, x):
            return f"{x}"

    with pytest.raises(ArgumentTypeError, match=r"Text\.forward: gave str; expected a number"):
        Text.apply(Scalar(1.0))


MEANINGS = {
    "Add": operators.add,
    "Mul": operators.mul,
    "Log": operators.log,
    "Inv": operators.inv,
    "Neg": operators.neg,
    "Sigmoid": operators.sigmoid,
    "ReLU": operators.relu,
    "Exp": operators.exp,
    "LT": operators.lt,
    "EQ": operators.eq,
}
POINTS = {"Log": [0.0, 0.3, 1.0, 50.0], "Inv": [-2.0, -0.1, 0.3, 5.0]}
OTHER_POINTS = [-3.0, -0.5, 0.0, 0.25, 2.0, 30.0]


def found_by_tessella(function, values):
    expression = function.expression((dtypes.float64,) * len(values))
    inputs = function.variables((dtypes.float64,) * len(values))
    return float(evaluate(expression, dict(zip(inputs, values, strict=True))))


@pytest.mark.parametrize("name", MEANINGS)
def test_the_table_is_what_tessella_finds(name):
    meaning, line = scalar_function(MEANINGS[name]), getattr(scalar_functions, name)
    for values in itertools.product(POINTS.get(name, OTHER_POINTS), repeat=meaning.arity):
        result = line.apply(*map(Scalar, values))
        assert result.data == pytest.approx(found_by_tessella(meaning, values), rel=1e-13)
        derivatives = [derivative for _, derivative in result.chain_rule(0.75)]
        assert len(derivatives) == meaning.arity
        for i, derivative in enumerate(derivatives):
            slope = found_by_tessella(meaning.derivative(i), values)
            scaled = found_by_tessella(meaning.partial(i), (0.75, *values))
            assert derivative == pytest.approx(0.75 * slope, rel=1e-13)
            assert derivative == pytest.approx(scaled, rel=1e-13)


@pytest.mark.parametrize("name", MEANINGS)
def test_the_table_against_central_differences(name):
    line, arity = getattr(scalar_functions, name), scalar_function(MEANINGS[name]).arity
    values = (0.7, 1.9)[:arity]
    result = line.apply(*map(Scalar, values))
    for arg, (_, derivative) in enumerate(result.chain_rule(2.0)):
        slope = central_difference(MEANINGS[name], *values, arg=arg)
        assert derivative == pytest.approx(2.0 * slope, rel=1e-6)


def test_functions_of_the_course_name_their_operator():
    for name, meaning in MEANINGS.items():
        line = getattr(scalar_functions, name)
        assert issubclass(line, ScalarFunction)
        assert line.__name__ == name
        assert line.__doc__ == f"`operators.{meaning.__name__}` of scalars."


# --- checks --------------------------------------------------------------------------------------


def test_derivative_check_finds_what_is_wrong():
    class Wrong(ScalarFunction):
        @staticmethod
        def forward(ctx, x, y):
            return x * y

        @staticmethod
        def backward(ctx, d_output):
            return 7.0 * d_output, 1.0 * d_output

    def wrong(x, y):
        return Wrong.apply(x, y)

    with pytest.raises(AssertionError, match=r"wrong at \(2\.0+, 7\.0+\), argument 1: .* is 1\.0"):
        derivative_check(wrong, Scalar(2.0), Scalar(7.0))


def test_derivative_check_expects_nothing_from_what_is_not_used():
    derivative_check(lambda x, y: x * 2.0, Scalar(1.0), Scalar(1.0))


def test_central_difference_by_any_argument():
    def f(x, y, z):
        return x * y * y + z

    assert central_difference(f, 2.0, 3.0, 4.0) == pytest.approx(9.0)
    assert central_difference(f, 2.0, 3.0, 4.0, arg=1) == pytest.approx(12.0)
    assert central_difference(lambda x: abs(x), 1.0, epsilon=2.0) == 0.5  # (3 - 1) / 4
