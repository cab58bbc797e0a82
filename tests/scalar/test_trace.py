"""Python functions become expressions that compute the same."""

import functools
import math
import random

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import tessella as ts
from tessella import dtypes
from tessella.errors import TracingError, UntraceableLineError
from tessella.scalar import evaluate, functions, operators, trace, variable
from tessella.scalar.mathematics.exponential import exp_up_to_0

X, Y = variable("x", dtypes.float64), variable("y", dtypes.float64)
POINTS = [-3.0, -1.0, -0.5, 0.0, 0.25, 1.0, 2.0, 3.5, 1e3]
SCALE = 3.0


def early_return(x):
    if x < 0:
        return -x
    y = x * 2
    if y > 4:
        return y
    return y + 1


def chain(x):
    if x < -1:
        y = 1.0
    elif x < 1:
        y = x
        y += 2
    else:
        y = x * x
    return y * SCALE


def loops(x):
    total = 0.0
    for i in range(5):
        if i == 3:
            continue
        total = total + x**i / math.factorial(i)
    return total


def breaks(x):
    total = 0.0
    for i in range(6):
        if x < i - 1:
            break
        if x == i:
            continue
        total += x
    return total


def nested(x):
    def square(v, by=2):
        return v * v / by

    return square(x) + (lambda t, k=3: t * k)(x)


def logic(x):
    return 1.0 if (0 < x < 2 or x > 100) and not x == 1 else x and 7.0


def clever(x):
    a, (b, c) = x, (2, 3)
    return max(a, b, c * x) - min(x, 0.5) + abs(x - c) + sum(v * x for v in (1, 2))


def guarded(x):
    return x / abs(x) if x != 0 else 0.0


def while_constant(x):
    n = 0
    while n < 3:
        x = x * 0.5 + 1
        n += 1
    return x


def walrus(x):
    return y * y if (y := x + 1) > 0 else y


CASES = [
    early_return, chain, loops, breaks, nested, logic, clever, guarded, while_constant, walrus,
    lambda x: math.sin(x) * math.exp(-x * x) + math.pi,
    lambda x: math.copysign(math.floor(x), x) + math.fabs(x) % 3 + x // 2,
    functions.sigmoid, functions.relu, functions.inv,
    functools.partial(lambda a, x: a * x + math.hypot(a, x), 4.0),
]  # fmt: skip


def expected(function, x):
    try:
        return float(function(x))
    except ZeroDivisionError:
        return math.inf


@pytest.mark.parametrize("function", CASES)
def test_traced_equals_python(function):
    expression = trace(function, [X])
    for x in POINTS:
        assert float(evaluate(expression, {X: x})) == pytest.approx(
            expected(function, x), rel=1e-14
        )


@pytest.mark.parametrize("function", CASES[:10])
def test_traced_runs_on_tensors_with_gradients(function):
    x = ts.asarray(np.array(POINTS) + 0.0137).requires_grad_()
    y = ts.map(function)(x)
    y.sum().backward()
    step = 1e-6
    for i, point in enumerate(x.tolist()):
        slope = (expected(function, point + step) - expected(function, point - step)) / (2 * step)
        gradient = 0.0 if x.grad is None else x.grad[i].item()
        assert gradient == pytest.approx(slope, rel=1e-4, abs=1e-4)


two = lambda x: x + 1, lambda x: x * 2


def test_two_lambdas_on_a_line():
    assert str(trace(two[0], [X])) == "x + 1.0"
    assert str(trace(two[1], [X])) == "x * 2.0"


@settings(deadline=None, max_examples=100)
@given(st.recursive(
    st.sampled_from(["x", "y", "1.5", "-2.0", "0.5"]),
    lambda inner: st.one_of(
        st.tuples(st.sampled_from("+-*"), inner, inner).map(lambda t: f"({t[1]} {t[0]} {t[2]})"),
        st.tuples(inner, inner, inner).map(lambda t: f"({t[0]} if {t[1]} > {t[2]} else {t[1]})"),
        inner.map(lambda t: f"math.tanh({t})"),
        st.tuples(inner, inner).map(lambda t: f"max({t[0]}, {t[1]})"),
    ),
    max_leaves=12,
), st.floats(-3, 3), st.floats(-3, 3))  # fmt: skip
def test_random_programs_without_source(text, x, y):
    # each may double the ways, and 256 are followed
    assume(text.count("max(") + text.count(" if ") <= 8)
    function = eval(f"lambda x, y: {text}", {"math": math})
    value = float(evaluate(trace(function, [X, Y]), {X: x, Y: y}))
    assert value == pytest.approx(function(x, y), rel=1e-12, abs=1e-12)


def test_paths_without_source():
    names = {"math": math}
    exec(
        "def f(x):\n    if x > 0 and x < 2:\n        return math.sqrt(x)\n    return x if x == -1 else 9.0",
        names,
    )
    for x in (-1.0, -2.0, 1.0, 3.0):
        assert float(evaluate(trace(names["f"], [X]), {X: x})) == names["f"](x)


def test_operators_without_source():
    """Functions of the project itself call them, and may be installed without their source."""
    names = {"maximum": operators.maximum, "exp": exp_up_to_0}
    function = eval("lambda x, y: exp(-maximum(x, 2.0)) + maximum(1.0, y) * x", names)
    for x, y in ((3.0, 0.5), (-1.0, 4.0)):
        expected = math.exp(-max(x, 2.0)) + max(1.0, y) * x
        assert float(evaluate(trace(function, [X, Y]), {X: x, Y: y})) == pytest.approx(expected)


def unbounded(x):
    while x > 1:
        x = x / 2
    return x


def one_sided(x):
    if x > 0:
        y = 1.0
    return y * x


def fails(x):
    try:
        return 1 / x
    except ZeroDivisionError:
        return 0.0


def chance(x):
    return x * random.random()


def lookup(x):
    return [1.0, 2.0][int(x)]


def forgets(x):
    if x > 0:
        return x


def endless(x):
    return endless(x) + 1


def text(x):
    return x + "1"


MISTAKES = [
    (unbounded, "while x > 1:", "loop over a constant range"),
    (unbounded, "loops as long as a traced value says", "for loop"),
    (one_sided, "return y * x", "set it before the branch"),
    (fails, "try:", "Try statement"),
    (chance, "random.random()", "may give something else every time"),
    (lookup, "[1.0, 2.0][int(x)]", "looks something up by a traced value"),
    (forgets, "def forgets", "return one on every way through"),
    (endless, "endless(x)", "calls itself without end"),
    (text, 'x + "1"', "fails"),
]


@pytest.mark.parametrize(("function", "line", "cure"), MISTAKES)
def test_what_cannot_be_traced_says_where_and_why(function, line, cure):
    with pytest.raises(TracingError) as caught:
        trace(function, [X])
    message = str(caught.value)
    assert line in message
    assert cure in message
    assert "test_trace.py:" in message


def test_a_mistake_below_a_call_is_told_once_and_its_own_words_decide_nothing():
    def calls(x):
        return text(x) + 1

    with pytest.raises(UntraceableLineError) as caught:
        trace(calls, [X])
    assert str(caught.value).count("cannot become an expression") == 1

    def raises(x):
        raise TracingError("file.py:3: this cannot become an expression")

    raises.makes_expression = True

    def calls_one(x):
        return raises(x)

    with pytest.raises(UntraceableLineError, match="calls something that cannot be traced: file"):
        trace(calls_one, [X])


def test_the_side_that_is_not_taken_does_not_spoil_the_derivative():
    """Its slope may be infinite or NaN: nothing of it is multiplied by zero."""

    def stable_sigmoid(x):
        if x >= 0:
            return 1.0 / (1.0 + math.exp(-x))
        return math.exp(x) / (1.0 + math.exp(x))

    x = ts.asarray([-2000.0, 0.0, 2000.0], dtype=ts.float64).requires_grad_()
    ts.map(stable_sigmoid)(x).sum().backward()
    assert x.grad.tolist() == [0.0, 0.25, 0.0]
    y = ts.asarray([0.0, 4.0]).requires_grad_()
    ts.map(lambda v: math.sqrt(v) if v > 0 else v)(y).sum().backward()
    assert y.grad.tolist() == [1.0, 0.25]
