"""Counts that no machine could serve, and counts that are none, are refused at once with an error of our own."""

import math

import numpy as np
import pytest

import tessella as ts
from tessella import errors, nn

KEY = ts.random.key(0)
x, one = ts.ones(4), ts.ones(1)
ANY_COUNT = {
    "linspace": lambda n: ts.linspace(0, 1, n),
    "eye": lambda n: ts.eye(n),
    "eye, columns": lambda n: ts.eye(2, n),
    "zeros": lambda n: ts.zeros((n,)),
    "full": lambda n: ts.full((n, 4), 1.0),
    "empty": lambda n: ts.empty((n,)),
    "rand": lambda n: ts.rand(n),
    "randn": lambda n: ts.randn(n, n),
    "randperm": lambda n: ts.randperm(n),
    "tile": lambda n: ts.tile(x, (n,)),
    "repeat": lambda n: ts.repeat(x, n),
    "repeat each": lambda n: ts.repeat(x, np.array([n, 1, 1, 1])),
    "pad": lambda n: ts.pad(x, [(n, n)]),
    "diff": lambda n: ts.diff(x, n=n),
    "scan": lambda n: ts.scan(lambda c, _: (c, None), x, length=n),
    "split": lambda n: ts.random.split(KEY, n),
    "permutation": lambda n: ts.random.permutation(KEY, n),
    "gamma": lambda n: ts.random.gamma(KEY, 1.0, (n, n)),
    "LSTM layers": lambda n: nn.LSTM(2, 2, num_layers=n),
    "LSTM size": lambda n: nn.LSTM(2, n),
    "Linear": lambda n: nn.Linear(n, n),
    "Embedding": lambda n: nn.Embedding(n, n),
    "LayerNorm": lambda n: nn.LayerNorm(n),
}
LARGE = [2**40, 2**70]
NONE = [math.inf, math.nan, 2.5, -5]


@pytest.mark.parametrize("name", ANY_COUNT)
def test_counts_are_refused_at_once(name):
    for count in [*LARGE, *NONE]:
        with pytest.raises(errors.TessellaError) as caught:
            ANY_COUNT[name](count)
        assert len(str(caught.value)) > 20


@pytest.mark.parametrize("jit", [lambda f: f, ts.jit], ids=["eager", "compiled"])
def test_bounds_of_loops_are_whole_numbers(jit):
    def loop(upper):
        return jit(lambda: ts.fori_loop(0, upper, lambda i, c: c + 1.0, one))()

    for bound in (math.inf, math.nan, 3.0):
        with pytest.raises(errors.ArgumentError, match=r"fori_loop: upper is .*whole number"):
            loop(bound)
    for bound in (ts.asarray(3.0), np.float32(3), ts.asarray(math.inf)):
        with pytest.raises(
            errors.DTypeError, match="fori_loop: upper is float32; expected an integer"
        ):
            loop(bound)
    for bound in (3, np.int32(3), ts.asarray(3)):
        assert loop(bound).tolist() == [4.0]
    with pytest.raises(errors.ArgumentError, match="switch: index is inf"):
        ts.switch(math.inf, [ts.sin, ts.cos], one)


def test_a_traced_bound_is_an_integer():
    f = ts.jit(lambda n: ts.fori_loop(0, n, lambda i, c: c + 1.0, one))
    assert f(3).tolist() == [4.0]
    assert f(ts.asarray(5)).tolist() == [6.0]
    with pytest.raises(errors.DTypeError, match="expected an integer"):
        f(ts.asarray(math.inf))


def test_more_differences_than_elements_leave_nothing():
    assert ts.diff(x, n=200).shape == (0,)
    assert ts.diff(ts.asarray([1.0, 4.0, 9.0, 16.0]), n=2).tolist() == [2.0, 2.0]
    with pytest.raises(errors.ArgumentError, match=r"n is 2147483648; .* at most 1,048,576"):
        ts.diff(x, n=2**31)


@pytest.mark.parametrize(
    ("call", "kind", "text"),
    [
        (lambda: ts.linspace(0, 1, 2.5), errors.ArgumentTypeError, "num is 2.5; expected a whole number"),
        (lambda: ts.zeros((2**70,)), errors.OutOfMemoryError, "more elements than any machine can address"),
        (lambda: ts.broadcast_to(one, (2**70,)), errors.OutOfMemoryError, "than any machine can address"),
        (lambda: ts.tile(x, (2**50,)), errors.OutOfMemoryError, "of memory were asked for"),
        (lambda: ts.eye(2**31), errors.OutOfMemoryError, "of memory were asked for"),
        (lambda: ts.eye(3, k=math.nan), errors.ArgumentTypeError, "k is nan; expected a whole number"),
        (lambda: nn.LSTM(2, 2, num_layers=2**31), errors.OutOfMemoryError, "TiB of memory were asked for"),
        (lambda: nn.LSTM(2, 2, num_layers=1.5), errors.ArgumentError, "num_layers is 1.5"),
        (lambda: ts.pad(x, [(0, 1.5)]), errors.ArgumentTypeError, "expected pairs of whole numbers"),
        (lambda: ts.random.fold_in(KEY, math.inf), errors.ArgumentError, "the number is inf"),
        (lambda: ts.random.choice(KEY, 2.5), errors.ArgumentError, "choice: x is 2.5"),
        (lambda: ts.scan(lambda c, _: (c, None), x, length=-1), errors.ArgumentError, "length is -1"),
    ],
)  # fmt: skip
def test_what_is_said(call, kind, text):
    with pytest.raises(kind, match=text):
        call()
