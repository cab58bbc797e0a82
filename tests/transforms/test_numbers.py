"""Python numbers among the arguments of a compiled function."""

import math
import warnings

import numpy as np
import pytest

import tessella as ts
from tessella import errors, nn, optim
from tessella.nn import functional as F

VALUES = (0.3, -1.7, 2.0, 0.0, -0.0, 1e30, math.inf, math.nan)


def equal(a, b):
    assert a.dtype == b.dtype
    np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


FUNCTIONS = {
    "times": lambda x, s: x * s,
    "from the left": lambda x, s: s - x,
    "counting first": lambda x, s: x * (2 * s + 1 - s / 4) + (-s),
    "absolute": lambda x, s: x + abs(s),
    "compared": lambda x, s: (x > s) & (s >= x),
    "where": lambda x, s: ts.where(x > 0, s, x),
    "two numbers": lambda x, s: ts.where(x > 0, s, 1.0),
    "clip": lambda x, s: ts.clip(x, -1.0, s),
    "full": lambda x, s: x + ts.full((3,), s),
    "asarray": lambda x, s: ts.asarray(s) * x,
    "assigned": lambda x, s: _assigned(x, s),
    "zip_with": lambda x, s: ts.zip_with(lambda a, b: a * b + 1)(x, s),
}


def _assigned(x, s):
    x = x.copy()
    x[0] = s
    return x


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int32"])
def test_a_float_is_an_input(function, dtype):
    x = ts.asarray([-2.0, 0.5, 3.0]).astype(dtype)
    compiled = ts.jit(function)
    for value in VALUES:
        with np.errstate(all="ignore"):
            equal(compiled(x, value), function(x, value))
    assert len(compiled.traces) == 1


def test_floats_in_trees_and_by_name():
    compiled = ts.jit(lambda x, options, *, shift: x * options["scale"][0] + shift)
    for scale, shift in ((2.0, 1.0), (3.0, -1.0)):
        found = compiled(ts.ones(2), {"scale": [scale]}, shift=shift)
        equal(found, ts.full((2,), scale + shift))
    assert len(compiled.traces) == 1


def test_a_learning_rate():
    models = [nn.Linear(3, 1) for _ in range(2)]
    models[1].load_state_dict(models[0].state_dict())

    def step(model, x, rate):
        loss = (model(x) ** 2).mean()
        loss.backward()
        with ts.no_grad():
            for parameter in model.parameters():
                parameter.assign(parameter - rate * parameter.grad)
                parameter.grad = None
        return loss

    compiled = ts.jit(lambda x, rate: step(models[1], x, rate))
    x = ts.randn(8, 3)
    for epoch in range(5):
        rate = 0.1 / (1 + epoch)
        assert compiled(x, rate).item() == pytest.approx(step(models[0], x, rate).item(), rel=1e-5)
    assert len(compiled.traces) == 1


def test_a_learning_rate_for_an_optimiser():
    model = nn.Linear(3, 1)
    optimiser = optim.SGD(model.parameters(), lr=1.0)

    @ts.jit
    def step(x, rate):
        optimiser.zero_grad()
        optimiser.param_groups[0]["lr"] = rate
        model(x).sum().backward()
        optimiser.step()

    for rate in (0.5, 0.0, 0.25):
        before = model.weight.numpy().copy()
        step(ts.ones((1, 3)), rate)
        np.testing.assert_allclose(before - model.weight.numpy(), rate, rtol=1e-5)
    assert len(step.traces) == 1


def test_gradients_by_tensors_go_past_a_float():
    f = ts.jit(lambda x, s: (x * x * s).sum())
    for s in (2.0, 5.0):
        x = ts.asarray([1.0, 3.0]).requires_grad_()
        f(x, s).backward()
        equal(x.grad, ts.asarray([2.0 * s, 6.0 * s]))
    assert len(f.traces) == 1


LOOKING = {
    "an if": lambda x, s: x if s > 1 else -x,
    "mathematics": lambda x, s: x * math.sqrt(abs(s)),
    "a loop": lambda x, s: sum((x for _ in range(int(s))), x * 0),
    "a power": lambda x, s: x**s,
    "a remainder": lambda x, s: x * (s % 2.0),
    "text": lambda x, s: x * len(f"{s:.1f}"),
    "NumPy": lambda x, s: x * float(np.sqrt(np.abs(s))),
    "after counting": lambda x, s: x if (s + 1) * 2 > 5 else -x,
    "a method": lambda x, s: x if s.is_integer() else -x,
    "dropout": lambda x, s: F.dropout(x, s / 10, training=False),
    "as a key": lambda x, s: x * {1.0: 2.0, 3.0: 4.0, 1.5: 6.0}[s],
    "in a scalar function": lambda x, s: ts.map(lambda a: a * s)(x),
}


@pytest.mark.parametrize("function", LOOKING.values(), ids=LOOKING)
def test_looking_at_the_value_makes_it_static(function):
    x = ts.asarray([1.0, -2.0, 3.0])
    compiled = ts.jit(function)
    for value in (1.0, 3.0, 1.5, 1.0, 3.0, 1.5):
        equal(compiled(x, value), function(x, value))
    assert len(compiled.traces) == 3
    assert "the float 3.0 was 1.0 before, and" in compiled.traces[1]
    assert "test_numbers.py" in compiled.traces[1]


def test_only_the_float_that_was_looked_at_is_static():
    f = ts.jit(lambda x, a, b: x * a if b > 0 else x)
    for a in (1.0, 2.0, 3.0):
        equal(f(ts.ones(2), a, 1.0), ts.full((2,), a))
    assert len(f.traces) == 1
    f(ts.ones(2), 3.0, -1.0)
    assert len(f.traces) == 2


def test_a_float_is_returned_as_a_float():
    f = ts.jit(lambda x, s: (x * s, s))
    for value in (1.0, 2.5):
        _, s = f(ts.ones(2), value)
        assert type(s) is float
        assert s == value


def test_a_float_that_was_kept_is_a_number_again():
    kept = []

    def f(x, s):
        kept.append(s * 2)
        return x * s

    ts.jit(f)(ts.ones(2), 1.5)
    assert kept[0] == 3.0
    equal(ts.ones(2) * kept[0], ts.full((2,), 3.0))
    equal(ts.jit(lambda x: x * kept[0])(ts.ones(2)), ts.full((2,), 3.0))
    assert kept[0] + 1 == 4.0


def test_floats_through_a_function_compiled_inside():
    inner = ts.jit(lambda x, s: x * s)
    outer = ts.jit(lambda x, s: inner(x, s + 1) + inner(x, 2.0))
    for value in (1.0, 2.0):
        equal(outer(ts.ones(2), value), ts.full((2,), value + 3))
    assert len(outer.traces) == 1


def test_integers_and_flags_are_static():
    f = ts.jit(lambda x, axis, keep: x.sum(axis=axis, keepdims=keep))
    x = ts.randn(2, 3)
    for axis, keep in ((0, False), (1, False), (1, True)):
        equal(f(x, axis, keep), x.sum(axis=axis, keepdims=keep))
    assert len(f.traces) == 3
    assert "the static argument 1 is 1 now" in f.traces[1]


def test_a_declared_static_float_and_tensor():
    f = ts.jit(lambda x, s, w: x * s + w, static_argnums=(1, 2))
    w = ts.ones(2)
    equal(f(ts.ones(2), 2.0, w), ts.full((2,), 3.0))
    equal(f(ts.ones(2), 3.0, w), ts.full((2,), 4.0))
    assert len(f.traces) == 2


def test_a_float_instead_of_an_integer_or_a_tensor_is_traced_again():
    f = ts.jit(lambda x, s: x * s)
    for s in (2, 2.0, ts.asarray(2.0)):
        equal(f(ts.ones(2), s), ts.full((2,), 2.0))
    assert len(f.traces) == 3
    assert "is a float now" in f.traces[1]
    assert "is a tensor now" in f.traces[2]


def test_looking_too_often_warns():
    f = ts.jit(lambda x, s: x * math.exp(s))
    for n in range(7):
        f(ts.ones(2), float(n))
    with pytest.warns(errors.RetraceWarning, match="the float 7.0 was 6.0 before"):
        f(ts.ones(2), 7.0)


def test_mistakes_are_those_of_python():
    with pytest.raises(ZeroDivisionError):
        ts.jit(lambda x, s: x * (1 / s))(ts.ones(2), 0.0)


# --- NumPy's scalars ----------------------------------------------------------------------------------

KINDS = [float, np.float64, np.float32, np.float16, np.int64, np.bool_, np.complex64]
SCALAR_FORMULAS = {
    "times": lambda x, s: x * s,
    "swapped": lambda x, s: s - x,
    "counted": lambda x, s: x + (s * 2 + 1),
    "halved": lambda x, s: x * (s / 2),
    "beside a Python float": lambda x, s: x * (0.5 + s),
    "beside NumPy's": lambda x, s: x * (s * np.float64(0.5)) + np.float32(1) / s,
    "with itself": lambda x, s: x * (s * s) - (-s if s is not True else 1),
    "alone": lambda x, s: (x, ts.asarray(s), ts.asarray(s * 2.0)),
    "functions": lambda x, s: (ts.maximum(x, s), ts.where(x > s, x, s)),
    "full": lambda x, s: ts.full(2, s),
}


def outcome(function, x, s):
    """What a function gives, or the kind of its error."""
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ts.tree_leaves(function(x, s))
    except (TypeError, ValueError, ZeroDivisionError, NotImplementedError) as error:
        return type(error)


@pytest.mark.parametrize("formula", SCALAR_FORMULAS.values(), ids=SCALAR_FORMULAS)
def test_numpys_scalars_count_as_they_do_eagerly(formula):
    for dtype in (ts.float32, ts.float16, ts.int64, ts.bool):
        x = ts.asarray([1, 0, 1]).astype(dtype)
        compiled = {kind: ts.jit(formula) for kind in KINDS}
        for kind in KINDS:
            for value in (0.75, 3):
                expected = outcome(formula, x, kind(value))
                got = outcome(compiled[kind], x, kind(value))
                if isinstance(expected, type) or isinstance(got, type):
                    assert got is expected, (dtype, kind)
                    continue
                for a, b in zip(got, expected, strict=True):
                    assert a.dtype is b.dtype, (dtype, kind)
                    np.testing.assert_allclose(
                        a.astype(ts.complex128).numpy(), b.astype(ts.complex128).numpy(), rtol=1e-2
                    )


@pytest.mark.parametrize("kind", [float, np.float64, np.float32, np.float16, np.asarray])
def test_values_of_a_float_share_a_program(kind):
    f = ts.jit(lambda x, s: x * s)
    for value in (0.5, 0.25, -0.0, np.inf, 3.0):
        equal(f(ts.ones(2), kind(value)), ts.ones(2) * kind(value))
    assert len(f.traces) == 1


def test_kinds_of_floats_do_not_share_a_program():
    f = ts.jit(lambda s: ts.asarray(s))
    for kind, dtype in ((float, ts.float32), (np.float64, ts.float64), (np.float16, ts.float16)):
        assert f(kind(0.5)).dtype is dtype
    assert "is a NumPy float16 now" in f.traces[2]


def test_static_arguments_are_told_apart_by_type_and_by_what_they_hold():
    f = ts.jit(lambda x, s: x * s[0], static_argnums=1)
    x = ts.asarray([2, 3])
    for s in ((1,), (True,), (1.0,), (-0.0,), (0.0,)):
        got, expected = f(x, s), f.function(x, s)
        assert got.dtype is expected.dtype
        assert np.signbit(got.numpy()).tolist() == np.signbit(expected.numpy()).tolist()
    changing = [2]
    assert f(x, changing).tolist() == [4, 6]
    changing[0] = 5
    assert f(x, changing).tolist() == [10, 15]
