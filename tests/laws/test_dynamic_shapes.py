"""Laws of dynamic shapes: what is traced with symbolic sizes is right for every size it is used for."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tessella as ts
from tessella.errors import TessellaError
from tessella.primitives import ALL
from tessella.sizes.scope import Scope
from tests.laws.test_random_programs import program, with_gradients

SIZES = st.sampled_from((0, 1, 2, 3, 4, 5, 8, 9, 17))


def outcome(function, *inputs):
    """The results, or the kind of mistake."""
    try:
        found = function(*inputs)
    except TessellaError as error:
        return type(error)
    return [x.numpy() for x in (found if isinstance(found, tuple) else (found,)) if x is not None]


def assert_same(got, expected):
    if isinstance(expected, type) or isinstance(got, type):
        assert got is expected, (got, expected)
        return
    for one, other in zip(got, expected, strict=True):
        assert one.shape == other.shape
        assert one.dtype == other.dtype
        scale = max(1.0, float(np.abs(np.nan_to_num(other)).max(initial=0.0)))
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9 * scale, equal_nan=True)


@given(
    st.integers(0, 2**32), st.lists(st.lists(SIZES, min_size=2, max_size=2), min_size=2, max_size=5)
)
def test_a_random_program_for_many_sizes(seed, shapes):
    forward_and_backward = with_gradients(program(seed))
    compiled = ts.jit(forward_and_backward, dynamic=True)
    data = np.random.default_rng(seed)
    for shape in shapes:
        x = ts.asarray(data.uniform(-1, 1, tuple(shape)))
        y = ts.asarray(data.uniform(-1, 1, tuple(shape[-1:])))
        assert_same(outcome(compiled, x, y), outcome(forward_and_backward, x, y))


SAMPLES = [
    pytest.param(sample, id=f"{kind.__name__}-{number}")
    for kind in ALL
    for number, sample in enumerate(kind.samples())
]


@pytest.mark.parametrize("sample", SAMPLES)
def test_a_primitive_for_other_sizes(sample):
    """Its parameters stay; where they do not fit other sizes, the mistake is the same."""
    inputs = [np.asarray(x) for x in sample.inputs]
    compiled = ts.jit(lambda *xs: sample.primitive(*xs), dynamic=True)
    for change in (0, 1, 2, -1):
        changed = [_resized(x, change) for x in inputs]
        tensors = [ts.asarray(x) for x in changed]
        assert_same(outcome(compiled, *tensors), outcome(sample.primitive, *tensors))


def _resized(x, change):
    """An array with sizes above one changed by a number, filled by going through it again."""
    shape = tuple(max(0, n + change) if n > 1 else n for n in x.shape)
    return np.resize(x, shape) if x.size else np.zeros(shape, x.dtype)


# --- symbolic arithmetic --------------------------------------------------------------------------------

LEAVES = st.one_of(st.sampled_from(["n", "m"]), st.integers(-4, 9))
FORMULAS = st.recursive(
    LEAVES, lambda inner: st.tuples(st.sampled_from("+-*/%"), inner, inner), max_leaves=8
)
_OPERATORS = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a // b,
    "%": lambda a, b: a % b,
}


def calculated(formula, names):
    if isinstance(formula, tuple):
        operator, a, b = formula
        return _OPERATORS[operator](calculated(a, names), calculated(b, names))
    return names[formula] if isinstance(formula, str) else formula


@settings(max_examples=300)
@given(FORMULAS, FORMULAS, st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), max_size=6))
def test_sizes_count_like_integers_while_guards_hold(first, second, calls):
    """What is symbolic, and every answer to a comparison, is right wherever all guards hold."""
    scope = Scope({"n": 8, "m": 3})
    symbols = {name: scope.symbol(name) for name in ("n", "m")}
    try:
        a, b = calculated(first, symbols), calculated(second, symbols)
        answers = (a < b, a <= b, a == b, a != b, a > b, a >= b)
    except ZeroDivisionError:
        return
    for n, m in [(8, 3), *calls]:
        binding = {"n": n, "m": m}
        if not all(guard.holds(binding) for guard in scope.guards):
            continue
        x, y = calculated(first, binding), calculated(second, binding)
        assert getattr(a, "at", lambda _: a)(binding) == x
        assert getattr(b, "at", lambda _: b)(binding) == y
        assert answers == (x < y, x <= y, x == y, x != y, x > y, x >= y)


@given(FORMULAS, st.integers(0, 20), st.integers(0, 20))
def test_bounds_hold(formula, n, m):
    scope = Scope({"n": 8, "m": 3})
    try:
        found = calculated(formula, {name: scope.symbol(name) for name in ("n", "m")})
        value = calculated(formula, {"n": n, "m": m})
    except ZeroDivisionError:
        return
    scope.guards.clear()
    if not isinstance(found, int):
        low, high = scope.bounds(found.terms, 0)
        assert low <= value <= high
        assert not math.isnan(low)
