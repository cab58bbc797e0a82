"""Tracebacks of errors that leave a transformation: the lines of users, and nothing of ours."""

import contextlib
import functools
import os
import traceback

import numpy as np
import pytest

import tessella as ts
from tessella import errors, nn, tracebacks

OURS = os.path.dirname(ts.__file__) + os.sep
x = ts.ones(3)


def frames_of(call):
    """The functions of the frames of an error, but for the first: ours are named by their files."""
    with pytest.raises(Exception) as caught:
        call()
    found = traceback.extract_tb(caught.value.__traceback__)
    names = [
        f"tessella/{f.filename[len(OURS) :]}" if f.filename.startswith(OURS) else f.name
        for f in found
    ]
    assert names[0] == "frames_of"
    return caught.value, names[1:]


def asks(x):
    if x.sum() > 0:
        return x
    return -x


def mismatched(x):
    return (x @ ts.ones((5, 2))).sum()


def divides(x):
    return x.sum() / (1 // 0)


class Quietly(contextlib.ContextDecorator):
    def __enter__(self):
        return self

    def __exit__(self, *error):
        return False


@ts.no_grad()
@Quietly()
def decorated(x):
    return asks(x)


@functools.singledispatch
def by_class(x):
    return asks(x)


class Net(nn.Module):
    @ts.jit
    def forward(self, x):
        return asks(x)


@pytest.mark.parametrize(
    ("call", "error", "names"),
    [
        (lambda: ts.jit(asks)(x), errors.TracedValueError, ["asks"]),
        (lambda: ts.jit(lambda x: asks(x))(x), errors.TracedValueError, ["<lambda>", "asks"]),
        (lambda: ts.jit(asks, dynamic=True)(x), errors.TracedValueError, ["asks"]),
        (lambda: Net()(x), errors.TracedValueError, ["forward", "asks"]),
        (lambda: ts.vmap(asks)(ts.ones((2, 3))), errors.TracedValueError, ["asks"]),
        (lambda: ts.jit(ts.vmap(asks))(ts.ones((2, 3))), errors.TracedValueError, ["asks"]),
        (lambda: ts.jit(ts.jit(asks))(x), errors.TracedValueError, ["asks"]),
        (lambda: ts.grad(mismatched)(x), errors.ShapeError, ["mismatched"]),
        (lambda: ts.value_and_grad(mismatched)(x), errors.ShapeError, ["mismatched"]),
        (lambda: ts.grad(ts.grad(mismatched))(x), errors.ShapeError, ["mismatched"]),
        (lambda: ts.grad(lambda x: x)(x), errors.GradientError, []),
        (lambda: ts.jvp(mismatched, (x,), (x,)), errors.ShapeError, ["mismatched"]),
        (lambda: ts.vjp(mismatched, x), errors.ShapeError, ["mismatched"]),
        (lambda: ts.vjp(ts.sum, x)[1](ts.ones(2)), errors.ShapeError, []),
        (lambda: ts.linearize(mismatched, x), errors.ShapeError, ["mismatched"]),
        (lambda: ts.jacfwd(mismatched)(x), errors.ShapeError, ["mismatched"]),
        (lambda: ts.jacrev(mismatched)(x), errors.ShapeError, ["mismatched"]),
        (lambda: ts.hessian(mismatched)(x), errors.ShapeError, ["mismatched"]),
        (lambda: ts.hvp(mismatched, (x,), (x,)), errors.ShapeError, ["mismatched"]),
        (lambda: ts.checkpoint(mismatched)(x), errors.ShapeError, ["mismatched"]),
        (lambda: ts.make_graph(mismatched)(x), errors.ShapeError, ["mismatched"]),
        (lambda: ts.scan(lambda c, y: (mismatched(c), y), x, x), errors.ShapeError, ["<lambda>", "mismatched"]),
        (lambda: ts.fori_loop(0, 3, lambda i, c: mismatched(c), x), errors.ShapeError, ["<lambda>", "mismatched"]),
        (lambda: ts.while_loop(asks, asks, ts.ones((2,))), errors.ShapeError, []),
        (
            lambda: ts.jit(lambda x: ts.cond(x.sum() > 0, mismatched, mismatched, x))(x),
            errors.ShapeError, ["<lambda>", "mismatched"],
        ),
        (lambda: nn.Sequential(nn.ReLU(), nn.Linear(5, 2))(x), errors.ShapeError, []),
        (lambda: ts.jit(asks)(), TypeError, []),
        (lambda: ts.jit(ts.jit(asks))(), TypeError, []),
        (lambda: ts.grad(asks)(x, x), TypeError, []),
        (lambda: ts.jit(lambda x: asks(x, x))(x), TypeError, ["<lambda>"]),
        (lambda: ts.jit(ts.vmap(ts.jit(asks)))(x, x), TypeError, []),
        (lambda: ts.jit(lambda x: np.sum(x, axis="a"))(x), errors.AxisError, ["<lambda>"]),
        (lambda: ts.jit(lambda x: np.sum(asks(x)))(x), errors.TracedValueError, ["<lambda>", "asks"]),
        (lambda: ts.jit(decorated)(x), errors.TracedValueError, ["decorated", "asks"]),
        (lambda: ts.jit(lambda x: by_class(x))(x), errors.TracedValueError, ["<lambda>", "by_class", "asks"]),
        (lambda: nn.ReLU()(x, x), errors.ArgumentTypeError, []),
        (lambda: ts.jit(divides)(x), ZeroDivisionError, ["divides"]),
        (lambda: ts.grad(divides)(x), ZeroDivisionError, ["divides"]),
    ],
)  # fmt: skip
def test_only_the_lines_of_users_are_left(call, error, names):
    found, shown = frames_of(call)
    assert type(found) is error
    assert shown == ["<lambda>", *names]
    assert found.__notes__ == [tracebacks.NOTE]


def test_all_of_them_with_the_switch(monkeypatch):
    monkeypatch.setenv("TESSELLA_TRACEBACK", "full")
    found, shown = frames_of(lambda: ts.jit(asks)(x))
    assert "asks" in shown
    assert "tessella/transforms/jit.py" in shown
    assert "tessella/transforms/traced_function.py" in shown
    assert not hasattr(found, "__notes__")


def test_an_unknown_value_of_the_switch(monkeypatch):
    monkeypatch.setenv("TESSELLA_TRACEBACK", "long")
    text = "TESSELLA_TRACEBACK is 'long'; expected 'short' or 'full'"
    with pytest.raises(errors.ConfigurationError, match=text) as caught:
        ts.jit(asks)(x)
    assert type(caught.value.__cause__) is errors.TracedValueError


def test_the_cause_and_what_it_says_stay():
    def reads(x):
        try:
            asks(x)
        except errors.TracedValueError as error:
            raise ValueError("my own words") from error

    found, shown = frames_of(lambda: ts.jit(reads)(x))
    assert shown == ["<lambda>", "reads"]
    assert str(found) == "my own words"
    inner = traceback.extract_tb(found.__cause__.__traceback__)
    assert inner[-1].filename.startswith(OURS)


def test_numpy_that_a_user_calls_stays():
    _, shown = frames_of(lambda: ts.jit(lambda x: x + np.stack([np.ones(2), np.ones(3)]))(x))
    assert shown[:2] == ["<lambda>", "<lambda>"]
    assert "stack" in shown


def test_a_mistake_of_ours_shows_where_it_is(monkeypatch):
    broken = eval(compile("lambda *_: 1 / 0", OURS + "somewhere.py", "eval"))
    monkeypatch.setattr(ts.Tensor, "relu", broken)
    found, shown = frames_of(lambda: ts.jit(lambda x: x.relu())(x))
    assert type(found) is ZeroDivisionError
    assert shown == ["<lambda>", "<lambda>", "tessella/somewhere.py"]


def test_an_error_that_is_caught_and_comes_again_is_noted_once():
    compiled = ts.jit(asks)

    def twice(x):
        return compiled(x)

    found, _ = frames_of(lambda: ts.jit(twice)(x))
    assert found.__notes__ == [tracebacks.NOTE]


def test_warnings_still_name_the_line_of_the_call():
    def f(x, n):
        return x * n

    compiled = ts.jit(f)
    for n in range(7):
        compiled(x, n)
    with pytest.warns(errors.RetraceWarning) as seen:
        compiled(x, 7)
    assert {w.filename for w in seen} == {__file__}
