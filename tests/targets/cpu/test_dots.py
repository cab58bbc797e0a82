"""Few results of long sums: vectors along the sum, in parts that are added up at the end."""

import numpy as np
import pytest

import tessella as ts
from tessella.nn import functional as F
from tessella.primitives.contraction import Contraction
from tessella.targets.cpu import threads, tuning
from tessella.targets.cpu.lowering import dots


@pytest.fixture
def lowered(monkeypatch):
    """The forms of the kernels that are made."""
    found = []
    make = dots._kernel
    monkeypatch.setattr(dots, "_kernel", lambda form: found.append(form) or make(form))
    tuning.forget_recipes()
    yield found
    tuning.forget_recipes()


def numbers(*shape, dtype=ts.float64):
    random = np.random.default_rng(sum(shape))
    return ts.asarray(random.standard_normal(shape)).astype(dtype)


def agree(found, expected, dtype):
    limit = 2e-5 if dtype is ts.float32 else 1e-12
    scale = np.abs(expected).max()
    np.testing.assert_allclose(found / scale, expected / scale, rtol=limit, atol=limit)


@pytest.mark.parametrize("dtype", [ts.float32, ts.float64])
@pytest.mark.parametrize(
    ("shape", "weight", "options"),
    [
        ((16, 1, 28, 28), (4, 1, 3, 3), {"padding": 1}),
        ((3, 4, 30, 27), (8, 4, 3, 3), {}),  # runs of 25 end within a vector
        ((2, 5, 40, 33), (7, 5, 2, 4), {"padding": 2, "dilation": 2}),
        ((4, 8, 21, 24), (6, 8, 1, 1), {}),  # rows of an image are one run
        ((2, 6, 33, 31), (12, 3, 3, 3), {"groups": 2}),  # two batches
        ((1, 3, 1, 5000), (5, 3, 1, 3), {}),  # a run is several parts
    ],
)
def test_gradients_of_a_convolutions_weight(lowered, dtype, shape, weight, options):
    x, w = numbers(*shape, dtype=dtype), numbers(*weight, dtype=dtype)
    places = F.conv2d(x, w, **options).shape
    upstream = numbers(*places, dtype=dtype)
    lowered.clear()

    def gradient(x, w):
        return ts.grad(lambda w: (F.conv2d(x, w, **options) * upstream.astype(w.dtype)).sum())(w)

    found = gradient(x, w).numpy()
    assert len(lowered) == 1
    with ts.backend("reference"):
        expected = gradient(x.astype(ts.float64), w.astype(ts.float64)).numpy()
    agree(found, expected, dtype)


@pytest.mark.parametrize(("rows", "columns"), [(3, 3), (4, 10), (5, 7), (13, 3), (16, 20)])
@pytest.mark.parametrize("length", [1024, 1500, 20_011])
def test_products_of_long_rows(lowered, rows, columns, length):
    x, y = numbers(rows, length), numbers(columns, length)
    found = (x @ y.mT).numpy()
    assert [form.ragged for form in lowered] == [length % dots._lanes(ts.float64) != 0]
    agree(found, x.numpy() @ y.numpy().T, ts.float64)


def test_batches_and_results_in_another_order(lowered):
    x, y = numbers(3, 2, 5, 1111), numbers(3, 4, 1111)
    product = Contraction((0, 5, 1, 2), (0, 3, 2), (3, 0, 1, 5))
    found = product(x, y).numpy()
    assert len(lowered) == 1
    agree(found, np.einsum("abcd,aed->eacb", x.numpy(), y.numpy()), ts.float64)


def test_a_slice_of_a_longer_row(lowered):
    x, y = numbers(4, 3000), numbers(6, 2500)
    found = (x[:, 7:2007] @ y[:, 300:2300].mT).numpy()
    assert len(lowered) == 1
    agree(found, x.numpy()[:, 7:2007] @ y.numpy()[:, 300:2300].T, ts.float64)


def test_the_same_bits_for_any_number_of_threads(lowered):
    x, y = numbers(4, 50_000, dtype=ts.float32), numbers(9, 50_000, dtype=ts.float32)
    results = []
    for count in (1, 2, 3):
        with threads.limited(count):
            results.append((x @ y.mT).numpy())
    assert lowered
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])


def test_infinite_and_missing_numbers_stay_where_they_are(lowered):
    """What lies past the end of a run is not read, whatever it is."""
    x, y = np.ones((4, 1100)), np.ones((3, 1100))
    x[:, 1030:], y[1, 5] = np.nan, np.inf
    found = (ts.asarray(x)[:, :1030] @ ts.asarray(y)[:, :1030].mT).numpy()
    assert lowered
    np.testing.assert_array_equal(found, np.tile([1030.0, np.inf, 1030.0], (4, 1)))


@pytest.mark.parametrize(
    "product",
    [
        lambda: numbers(2, 2000) @ numbers(100, 2000).mT,  # two rows: as they stand
        lambda: numbers(40, 2000) @ numbers(40, 2000).mT,  # many results: tiles
        lambda: numbers(4, 900) @ numbers(4, 900).mT,  # few terms
        lambda: numbers(4, 2000) @ numbers(2000, 8),  # columns that do not lie along the sum
        lambda: numbers(4, 2000, dtype=ts.float16) @ numbers(8, 2000, dtype=ts.float16).mT,
    ],
)
def test_others_are_done_otherwise(lowered, product):
    product().numpy()
    assert lowered == []


def test_weights_that_stay_are_packed_once(lowered):
    w = numbers(10, 2000)
    inside = ts.jit(lambda x: x @ w.mT)
    x = numbers(4, 2000)
    agree(inside(x).numpy(), x.numpy() @ w.numpy().T, ts.float64)
    assert lowered == []


def test_inside_a_compiled_step(lowered):
    x, upstream = numbers(8, 2, 20, 30), numbers(8, 5, 18, 28)

    def step(w, x, upstream):
        gradient = ts.grad(lambda w: (F.conv2d(x, w) * upstream).sum())(w)
        return w - 0.1 * gradient

    w = numbers(5, 2, 3, 3)
    found = ts.jit(step)(w, x, upstream).numpy()
    assert lowered
    with ts.backend("reference"):
        agree(found, step(w, x, upstream).numpy(), ts.float64)
