"""Every function on every dtype, on the numbers at the limits of each, against NumPy.

Integers and bool must come out exactly, and in NumPy's dtype; functions that have fractions give float32
for them. Functions of two operands see every pair of numbers.
"""

import math
import operator

import ml_dtypes
import numpy as np
import pytest

import tessella as ts
from tessella.nn import functional as F

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
INTEGERS = [np.dtype(kind.name) for kind in ts.dtypes.INTEGERS]
FLOATS = [np.dtype(np.float16), BFLOAT16, np.dtype(np.float32), np.dtype(np.float64)]
ALL = [np.dtype(bool), *INTEGERS, *FLOATS]
TOLERANCES = {"float16": 2e-3, "bfloat16": 2e-2, "float32": 1e-5, "float64": 1e-12}


def is_exact(dtype):
    return dtype.kind in "iub"


def numbers(dtype):
    """Eight numbers of a dtype, its limits among them."""
    if dtype.kind == "b":
        return np.array([True, False, True, True, False, True, False, False])
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        return np.array([0, 1, 2, 7, info.min, info.max, info.max - 1, 3], dtype=object).astype(
            dtype
        )
    return np.array([0.0, -0.0, 1.0, -2.5, np.inf, -np.inf, np.nan, 3.5]).astype(dtype)


def matrix(dtype):
    """Four rows of numbers; of floats only finite ones, as they are added up."""
    row = numbers(dtype)
    if not is_exact(dtype):
        row = np.array([0.0, 1.0, -2.5, 3.0, 3.0, 0.5, 2.0, 1.0]).astype(dtype)
    return np.concatenate([row, row[::-1]]).reshape(4, 4)


def wide(x):
    """Floats in float64, for references that are to be exact."""
    return x if is_exact(x.dtype) else x.astype(np.float64)


def agree(found, meant, dtype=None):
    """Equal dtypes, equal integers, equal floats but for their last digits."""
    found, meant = np.asarray(found), np.asarray(meant)
    dtype = meant.dtype if dtype is None else dtype
    assert found.dtype == dtype
    assert found.shape == meant.shape
    if is_exact(dtype):
        np.testing.assert_array_equal(found, meant)
        return
    tolerance = TOLERANCES[dtype.name]
    with np.errstate(over="ignore"):
        meant = meant.astype(dtype).astype(np.float64)
    np.testing.assert_allclose(found.astype(np.float64), meant, rtol=tolerance, atol=tolerance)


# --- one operand ---------------------------------------------------------------------------------

KEEPING = {
    "abs": np.abs, "bitwise_invert": np.invert, "ceil": np.ceil, "floor": np.floor, "isfinite": np.isfinite,
    "isinf": np.isinf, "isnan": np.isnan, "logical_not": np.logical_not, "negative": np.negative,
    "positive": np.positive, "round": np.rint, "sign": np.sign, "signbit": np.signbit, "square": np.square,
    "trunc": np.trunc, "real": np.real, "imag": lambda x: np.zeros_like(x), "conj": lambda x: x,
    "zeros_like": np.zeros_like, "ones_like": np.ones_like, "relu": lambda x: np.maximum(x, x.dtype.type(0)),
}  # fmt: skip
WITHOUT_BOOL = {"negative", "positive", "sign", "square", "ceil", "floor", "round", "trunc"}
FRACTIONAL = {
    "atan": np.arctan, "exp": np.exp, "log": np.log, "reciprocal": lambda x: 1 / x, "sqrt": np.sqrt,
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(KEEPING))
def test_functions_that_keep_the_dtype(name):
    for dtype in ALL:
        if (name == "bitwise_invert" and not is_exact(dtype)) or (
            name in WITHOUT_BOOL and dtype.kind == "b"
        ):
            continue
        x = numbers(dtype)
        with np.errstate(all="ignore"):
            meant = np.asarray(KEEPING[name](x))
        rounding = name in ("ceil", "floor", "round", "trunc") and is_exact(dtype)
        agree(getattr(ts, name)(ts.asarray(x)).numpy(), x if rounding else meant)


@pytest.mark.parametrize("name", sorted(FRACTIONAL))
def test_functions_that_have_fractions(name):
    for dtype in ALL:
        x = numbers(dtype)
        kind = np.dtype(np.float32) if is_exact(dtype) else dtype
        with np.errstate(all="ignore"):  # a large integer is rounded first
            meant = FRACTIONAL[name](x.astype(kind).astype(np.float64))
        agree(getattr(ts, name)(ts.asarray(x)).numpy(), meant, kind)


def limits(dtype):
    info = ml_dtypes.finfo(dtype)
    return float(info.min), float(info.max)


@pytest.mark.parametrize("dtype", ALL, ids=str)
def test_nan_to_num(dtype):
    x = numbers(dtype)
    if is_exact(dtype):
        meant = x
    else:
        low, high = limits(dtype)
        inside = np.array([3 * high / 4, low / 2]).astype(dtype)  # these are finite, and stay
        x = np.concatenate([x, inside])
        meant = np.where(np.isnan(x), 0, np.clip(x.astype(np.float64), low, high)).astype(dtype)
    for function in (ts.nan_to_num, ts.jit(ts.nan_to_num)):
        np.testing.assert_array_equal(function(ts.asarray(x)).numpy(), meant)
    if not is_exact(dtype):
        found = ts.nan_to_num(ts.asarray(x), 1.0, posinf=2.0, neginf=3.0).numpy().astype(np.float64)
        np.testing.assert_array_equal(
            found, np.nan_to_num(wide(x), nan=1.0, posinf=2.0, neginf=3.0)
        )


# --- two operands --------------------------------------------------------------------------------

PAIRS = {
    "add": np.add, "bitwise_and": np.bitwise_and, "bitwise_or": np.bitwise_or, "bitwise_xor": np.bitwise_xor,
    "equal": np.equal, "greater": np.greater, "greater_equal": np.greater_equal, "less": np.less,
    "less_equal": np.less_equal, "logical_and": np.logical_and, "logical_or": np.logical_or,
    "logical_xor": np.logical_xor, "maximum": np.maximum, "minimum": np.minimum, "multiply": np.multiply,
    "not_equal": np.not_equal, "subtract": np.subtract, "floor_divide": np.floor_divide,
    "remainder": np.remainder, "fmod": np.fmod, "divide": np.divide, "copysign": np.copysign,
}  # fmt: skip
WITH_FRACTIONS = {"divide", "copysign"}


@pytest.mark.parametrize("name", sorted(PAIRS))
def test_every_pair_of_numbers(name):
    for dtype in ALL:
        if name.startswith("bitwise") and not is_exact(dtype):
            continue
        if name in ("subtract", "floor_divide", "remainder", "fmod") and dtype.kind == "b":
            continue
        x = numbers(dtype)
        x, y = x[:, None], x[None]
        kind = None
        if name in WITH_FRACTIONS:
            kind = np.dtype(np.float32) if is_exact(dtype) else dtype
        with np.errstate(all="ignore"):
            meant = PAIRS[name](*(z if kind is None else wide(z.astype(kind)) for z in (x, y)))
        agree(getattr(ts, name)(ts.asarray(x), ts.asarray(y)).numpy(), meant, kind)


@pytest.mark.parametrize("dtype", ALL, ids=str)
def test_isclose(dtype):
    x = numbers(dtype)
    x, y = x[:, None], x[None]
    for options in ({}, {"rtol": 0.5}, {"atol": 1.0}, {"equal_nan": True}):
        with np.errstate(all="ignore"):
            meant = np.isclose(x.astype(np.longdouble), y.astype(np.longdouble), **options)
        for function in (
            ts.isclose,
            ts.jit(lambda a, b, options=options: ts.isclose(a, b, **options)),
        ):
            given_options = options if function is ts.isclose else {}
            found = function(ts.asarray(x), ts.asarray(y), **given_options)
            np.testing.assert_array_equal(found.numpy(), meant)


COMPARISONS = ["lt", "le", "gt", "ge", "eq", "ne"]
BEYOND = [
    -(2**70), -(2**63) - 1, -(2**31), -129, -1, -0.5, 0, 0.5, 1, 1.0, 127, 128, 254.5, 255, 256, 300, 65536,
    2**31, 2**32, 2.0**53, 2**63 - 1, 2**63, 2.0**63, 2**64 - 1, 2.0**64, 2**70, 1e300, math.inf, -math.inf,
    math.nan,
]  # fmt: skip


@pytest.mark.parametrize("dtype", [np.dtype(bool), *INTEGERS], ids=str)
def test_integers_are_compared_with_numbers_as_mathematics_does(dtype):
    x = numbers(dtype)
    t = ts.asarray(x)
    for number in BEYOND:
        for name in COMPARISONS:
            compare = getattr(operator, name)
            meant = [compare(value, number) for value in x.tolist()]
            assert compare(t, number).tolist() == meant, (name, number)
            assert compare(number, t).tolist() == [compare(number, value) for value in x.tolist()]
    assert ts.less(t, 300).tolist() == [value < 300 for value in x.tolist()]
    assert ts.greater(300, t).tolist() == [value < 300 for value in x.tolist()]
    assert (-1 in t) == (-1 in x.tolist())


@pytest.mark.parametrize("number", [300, -1, 0.5, 2**64])
def test_functions_of_numbers_compare_as_mathematics_does(number):
    for dtype in (np.uint8, np.int64):
        x = numbers(np.dtype(dtype))
        found = ts.map(lambda a: 1.0 if a < number else 0.0)(ts.asarray(x))
        assert found.tolist() == [float(value < number) for value in x.tolist()]


def test_functions_of_numbers_refuse_what_does_not_fit():
    x = ts.asarray([1, 255], dtype=ts.uint8)
    with pytest.raises(ts.errors.ArgumentError, match="300 does not fit in uint8"):
        ts.map(lambda a: a + 300)(x)
    assert ts.map(lambda a: a + 3)(x).tolist() == [4, 2]


@pytest.mark.parametrize("number", [300, 0.5, 2.0**63])
def test_comparisons_of_compiled_functions(number):
    for dtype in (np.uint8, np.int64):
        t = ts.asarray(numbers(np.dtype(dtype)))
        meant = [
            [value < number for value in t.tolist()],
            [value == number for value in t.tolist()],
        ]
        found = ts.jit(lambda t: [t < number, t == number])(t)
        assert [part.tolist() for part in found] == meant
        passed = ts.jit(lambda t, number: [t < number, t == number])(t, float(number))
        assert [part.tolist() for part in passed] == meant


# --- many elements -------------------------------------------------------------------------------


def pooled(x):
    """A maximum over windows of two by two with a border that does not count."""
    lowest = (
        -np.inf
        if not is_exact(x.dtype)
        else False
        if x.dtype.kind == "b"
        else np.iinfo(x.dtype).min
    )
    bordered = np.pad(x, 1, constant_values=lowest)
    return np.lib.stride_tricks.sliding_window_view(bordered, (2, 2)).max((-1, -2))


def product(x, y):
    return (wide(x) @ wide(y)).astype(x.dtype)


MANY = {
    "tril": (lambda x: ts.tril(x, k=1), lambda x: np.tril(x, 1)),
    "triu": (ts.triu, np.triu),
    "pad": (lambda x: ts.pad(x, [(1, 0), (0, 2)]), lambda x: np.pad(x, [(1, 0), (0, 2)])),
    "pad with 1": (
        lambda x: ts.pad(x, [(1, 0), (0, 2)], 1), lambda x: np.pad(x, [(1, 0), (0, 2)], constant_values=1),
    ),
    "clip": (lambda x: ts.clip(x, x[0], x[1]), lambda x: np.minimum(np.maximum(x, x[0]), x[1])),
    "where": (lambda x: ts.where(x > x[0], x, x[1]), lambda x: np.where(x > x[0], x, x[1])),
    "diff": (ts.diff, np.diff),
    "roll": (lambda x: ts.roll(x, 1), lambda x: np.roll(x, 1)),
    "repeat": (lambda x: ts.repeat(x, 2), lambda x: np.repeat(x, 2)),
    "concat": (lambda x: ts.concat([x, x]), lambda x: np.concatenate([x, x])),
    "sort": (ts.sort, np.sort),
    "argsort": (ts.argsort, lambda x: np.argsort(x, kind="stable")),
    "top_k": (lambda x: ts.top_k(x, 2).values, lambda x: np.sort(x)[:, :-3:-1]),
    "max_pool2d": (lambda x: F.max_pool2d(x[None], 2, 1, 1)[0], pooled),
    "max": (lambda x: ts.max(x, axis=1), lambda x: np.max(x, axis=1)),
    "min": (lambda x: ts.min(x, axis=1), lambda x: np.min(x, axis=1)),
    "argmax": (lambda x: ts.argmax(x, axis=1), lambda x: np.argmax(x, axis=1)),
    "any": (lambda x: ts.any(x, axis=1), lambda x: np.any(x, axis=1)),
    "all": (lambda x: ts.all(x, axis=1), lambda x: np.all(x, axis=1)),
    "count_nonzero": (ts.count_nonzero, lambda x: np.asarray(np.count_nonzero(x), np.int64)),
    "sum": (lambda x: ts.sum(x, axis=1), lambda x: np.sum(wide(x), axis=1)),
    "prod": (lambda x: ts.prod(x + x, axis=1), lambda x: np.prod(wide(x + x), axis=1)),
    "cumulative_sum": (lambda x: ts.cumulative_sum(x, axis=1), lambda x: np.cumsum(wide(x), axis=1)),
    "cumulative_prod": (lambda x: ts.cumulative_prod(x[1:], axis=1), lambda x: np.cumprod(wide(x[1:]), axis=1)),
    "cumulative_max": (lambda x: ts.cumulative_max(x, axis=1), lambda x: np.maximum.accumulate(x, axis=1)),
    "matmul": (lambda x: x @ x, lambda x: product(x, x)),
    "vecdot": (lambda x: ts.vecdot(x, x), lambda x: np.vecdot(wide(x), wide(x))),
    "outer": (lambda x: ts.outer(x[0], x[1]), lambda x: np.outer(x[0], x[1])),
    "tensordot": (lambda x: ts.tensordot(x, x, axes=1), lambda x: product(x, x)),
    "einsum": (lambda x: ts.einsum("ij->i", x), lambda x: np.einsum("ij->i", wide(x))),
    "trace": (lambda x: ts.einsum("ii->", x), lambda x: np.einsum("ii->", wide(x))),
    "reduce": (ts.reduce(lambda a, b: a if a > b else b), np.max),
    "searchsorted": (
        lambda x: ts.searchsorted(ts.sort(x[0]), x[1]), lambda x: np.searchsorted(np.sort(x[0]), x[1]),
    ),
    "isin": (lambda x: ts.isin(x, x[0]), lambda x: np.isin(x, x[0])),
}  # fmt: skip
COMPILED = ("tril", "triu", "pad", "where", "max_pool2d", "vecdot", "einsum")


@pytest.mark.parametrize("name", sorted(MANY))
def test_functions_of_many_elements(name):
    function, reference = MANY[name]
    for dtype in ALL:
        x = matrix(dtype)
        meant = np.asarray(reference(x))
        kind = dtype if meant.dtype.kind == "f" else None
        agree(function(ts.asarray(x)).numpy(), meant, kind)
        if name in COMPILED and dtype in (np.dtype(bool), np.dtype(np.uint8)):
            agree(ts.jit(lambda x: function(x))(ts.asarray(x)).numpy(), meant, kind)


@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
def test_padding_with_the_limits(dtype):
    x = numbers(dtype)
    for limit in (np.iinfo(dtype).min, np.iinfo(dtype).max):
        found = ts.pad(ts.asarray(x), [(1, 1)], int(limit))
        np.testing.assert_array_equal(found.numpy(), np.pad(x, 1, constant_values=limit))


@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
def test_bounds_beyond_the_limits_are_none(dtype):
    x = numbers(dtype)
    t, values = ts.asarray(x), x.tolist()
    assert ts.clip(t, -(2**70), 2**70).tolist() == values
    assert ts.clip(t, 2, 2**70).tolist() == [max(value, 2) for value in values]
    assert ts.clip(t, -(2**70), 2).tolist() == [min(value, 2) for value in values]
    with pytest.raises(ts.errors.ArgumentError, match="does not fit"):
        ts.clip(t, 2**70)


@pytest.mark.parametrize("dtype", ts.dtypes.INTEGERS, ids=lambda d: d.name)
def test_random_integers_of_the_whole_range(dtype):
    """All of it is reached, evenly; numbers that do not fit are refused."""
    low, high = ts.dtypes.limits(dtype)
    count = 4000
    for draw in (ts.randint, ts.jit(ts.randint, static_argnums=(0, 1, 2, 3))):
        drawn = draw(low, high + 1, (count,), dtype)
        assert drawn.dtype is dtype
        places = (drawn.numpy().astype(object) - low) * 8 // (high + 1 - low)
        counts = np.bincount(places.astype(int), minlength=8)
        assert counts.min() > 0.7 * count / 8  # five standard deviations
    for wrong in ((low - 1, high), (low, high + 2)):
        with pytest.raises(ts.errors.ArgumentError, match=f"{dtype.name} holds {low} to {high}"):
            ts.randint(*wrong, (2,), dtype)


def test_random_integers_of_wide_ranges_are_even():
    """A remainder would give the lower third of this range twice as often."""
    drawn = ts.randint(0, 3 * 2**61, (6000,)).numpy()
    counts = np.bincount((drawn // 2**61).astype(int), minlength=3)
    assert counts.min() > 1800
