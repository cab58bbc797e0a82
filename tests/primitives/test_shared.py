"""Primitives that are made once, and know how they run."""

import numpy as np
import pytest

import tessella as ts
from tessella.compiler import eager
from tessella.primitives import movement
from tessella.primitives.contraction import Contraction, Geometry
from tessella.primitives.elementwise import Elementwise
from tessella.primitives.monoid import MAXIMUM, SUM
from tessella.primitives.reduce import Reduce
from tessella.scalar.function import ScalarFunction


def test_plain_parameters_make_one_object():
    assert movement.Reshape((2, 3)) is movement.Reshape((2, 3))
    assert movement.Reshape((2, 3)) is not movement.Reshape((3, 2))
    assert Reduce(SUM, (0,)) is Reduce(SUM, (0,))
    assert Reduce(SUM, (0,)) is not Reduce(MAXIMUM, (0,))
    assert Contraction((0, 1), (1, 2), (0, 2)) is Contraction((0, 1), (1, 2), (0, 2))


def test_equal_numbers_that_are_not_the_same_stay_apart():
    widths = ((1,), (0,), (0,))
    positive, negative = movement.Pad(*widths, 0.0), movement.Pad(*widths, -0.0)
    assert np.signbit(negative.value)
    assert not np.signbit(positive.value)
    assert movement.Reshape((np.int64(2),)) is not movement.Reshape((2,))
    assert type(movement.Reshape((2,)).shape[0]) is int
    assert type(movement.Reshape((True,)).shape[0]) is bool


def test_what_is_not_plain_is_made_anew():
    geometry = (Geometry(0, 1, 2),)
    assert Contraction((0,), (1,), (2,), geometry) is not Contraction((0,), (1,), (2,), geometry)
    made = []
    ts.jit(lambda x: made.append(movement.Reshape((x.size,))) or x, dynamic=True)(ts.ones((2, 3)))
    fresh = movement.Reshape((6,))
    assert all(known is not fresh and known != 6 for known in made)
    assert type(fresh.shape[0]) is int


def test_functions_that_users_wrote_are_their_own():
    first = Elementwise(ScalarFunction(lambda x: x + 1.0, "shift"))
    second = Elementwise(ScalarFunction(lambda x: x + 2.0, "shift"))
    x = ts.zeros(3)
    assert [first(x).tolist(), second(x).tolist()] == [[1.0] * 3, [2.0] * 3]


def test_equal_primitives_run_by_one_plan():
    x = ts.ones((2, 3))
    first, second = (
        movement.Pad((1, 0), (0, 0), (0, 0), 0.5),
        movement.Pad((1, 0), (0, 0), (0, 0), 0.5),
    )
    assert first is not second
    first(x), second(x)
    assert first.plans is second.plans
    assert len(first.plans) == 1


def test_forgotten_plans_are_made_again():
    eager.forget()
    x = ts.ones((2, 3))
    reduce = Reduce(SUM, (0,))
    reduce(x)
    (before,) = reduce.plans.values()
    eager.forget()
    assert not reduce.plans
    assert reduce(x).tolist() == [2.0] * 3
    assert list(reduce.plans.values()) != [before]
    with ts.backend("reference"):
        assert reduce(x).tolist() == [2.0] * 3
    assert len(reduce.plans) == 2


def test_plans_that_are_forgotten_while_one_is_made(monkeypatch):
    """A plan may be made of others, and the last of too many lets all be forgotten."""
    eager.forget()
    made = eager._make_plan
    monkeypatch.setattr(eager, "_make_plan", lambda *given: (made(*given), eager.forget())[0])
    reduce = Reduce(SUM, (0,))
    reduce(ts.ones((2, 3)))
    assert len(reduce.plans) == 1
    eager.forget()
    assert not reduce.plans


def test_no_more_plans_than_a_limit(monkeypatch):
    monkeypatch.setattr(eager, "_MOST_PLANS", 10)
    add = Elementwise(ScalarFunction(lambda x: x + 1.0, "shift"))
    for size in range(40):
        assert add(ts.zeros(size)).tolist() == [1.0] * size
        assert len(add.plans) <= 10


@pytest.mark.parametrize(
    "key", [0, -1, (1, slice(None, None, 2)), (..., None), (slice(1, 1),), (None, 2)]
)
def test_plain_indices_are_read_once_and_mean_the_same(key):
    data = np.arange(12.0, dtype=np.float32).reshape(3, 4)
    x = ts.asarray(data)
    for _ in range(2):
        np.testing.assert_array_equal(x[key].numpy(), data[key])
        np.testing.assert_array_equal(x.T[key].numpy(), data.T[key])


def test_true_is_no_one_among_indices():
    x = ts.asarray([[1.0, 2.0], [3.0, 4.0]])
    assert x[1].shape == (2,)
    assert x[True].shape == (1, 2, 2)
    assert x[1.0 > 0.5, 1].shape == (1, 2)
