"""The maths library: units in the last place from NumPy and SciPy, special values, subnormals.

float32 is compared with float64 results that are rounded once; NumPy's own float32 functions are up
to 2.5 units off. `benchmarks/accuracy.py` measures against 60 exact digits.
"""

import itertools
import math
import warnings

import mpmath
import numpy as np
import pytest
from scipy import special

import tessella as ts
from tessella.primitives.elementwise import elementwise
from tessella.scalar import evaluate, expand, variable
from tessella.scalar.expression import OPERATORS

# name: NumPy's or SciPy's function, and a range of float32 arguments that people use
FUNCTIONS = {
    "exp": (np.exp, (-104, 89)),
    "exp2": (np.exp2, (-150, 129)),
    "expm1": (np.expm1, (-90, 89)),
    "log": (np.log, (0, 100)),
    "log1p": (np.log1p, (-1, 100)),
    "log2": (np.log2, (0, 100)),
    "log10": (np.log10, (0, 100)),
    "sin": (np.sin, (-100, 100)),
    "cos": (np.cos, (-100, 100)),
    "tan": (np.tan, (-100, 100)),
    "asin": (np.arcsin, (-1, 1)),
    "acos": (np.arccos, (-1, 1)),
    "atan": (np.arctan, (-50, 50)),
    "sinh": (np.sinh, (-90, 90)),
    "cosh": (np.cosh, (-90, 90)),
    "tanh": (np.tanh, (-12, 12)),
    "asinh": (np.arcsinh, (-50, 50)),
    "acosh": (np.arccosh, (1, 50)),
    "atanh": (np.arctanh, (-1, 1)),
    "sqrt": (np.sqrt, (0, 100)),
    "rsqrt": (lambda x: 1 / np.sqrt(x), (0, 100)),
    "sigmoid": (special.expit, (-100, 40)),
    "softplus": (lambda x: np.logaddexp(x, 0), (-100, 100)),
    "erf": (special.erf, (-5, 5)),
    "erfc": (special.erfc, (-5, 11)),
    "lgamma": (special.gammaln, (1e-3, 100)),
}
LIMITS = {"erf": 4, "erfc": 4, "lgamma": 4, "pow": 4}
SPECIAL = [
    0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.0, -2.0, np.inf, -np.inf, np.nan, 1e-3, 100.0, -100.0, 1000.0,
    -1000.0, 1e-44, -1e-44, 3e38, -3e38, 1e10, 2.0**31,
]  # fmt: skip
KINDS = [np.float32, np.float64]


def quietly(function, *arguments):
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return function(*arguments)


def distance(found, expected):
    """How many floats lie between, for each element; NaN only equals NaN."""
    integer = np.int32 if found.dtype == np.float32 else np.int64

    def ordered(x):
        bits = x.view(integer).astype(object)
        return np.where(bits < 0, -(bits + (1 << (x.itemsize * 8 - 1))), bits)

    both = np.isnan(found) & np.isnan(expected)
    one = np.isnan(found) ^ np.isnan(expected)
    apart = np.abs(ordered(found) - ordered(expected))
    return np.where(both, 0, np.where(one, 1 << 62, apart))


def assert_near(name, found, expected, limit, arguments):
    apart = distance(found, expected)
    worst = int(np.argmax(apart))
    shown = [float(x.ravel()[worst]) for x in arguments]
    assert apart.max() <= limit, (
        f"{name}({shown}) is {found.ravel()[worst]!r}, not {expected.ravel()[worst]!r}: "
        f"{apart.max()} units off"
    )


def exact(name, *arguments):
    """NumPy's or SciPy's value in float64, rounded to the arguments' dtype."""
    function = FUNCTIONS[name][0] if name in FUNCTIONS else getattr(np, name)
    wide = [x.astype(np.float64) for x in arguments]
    return np.asarray(quietly(lambda: function(*wide).astype(arguments[0].dtype)))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_float32_over_its_range(name):
    low, high = FUNCTIONS[name][1]
    random = np.random.default_rng(0)
    even = random.uniform(low, high, 20_000)
    scale = 10.0 ** random.uniform(-45, min(38, math.log10(max(high, 1))), 20_000)
    near = np.clip(np.where(random.random(20_000) < 0.5, scale, -scale), low, high)
    x = np.concatenate([even, near]).astype(np.float32)
    found = getattr(ts, name)(ts.asarray(x)).numpy()
    assert_near(name, found, exact(name, x), LIMITS.get(name, 2), [x])


SCIPY_IS_WORSE = {"erfc", "lgamma", "sigmoid"}  # than the limit, in float64


@pytest.mark.parametrize("name", sorted(set(FUNCTIONS) - SCIPY_IS_WORSE))
def test_float64_over_its_range(name):
    low, high = FUNCTIONS[name][1]
    random = np.random.default_rng(1)
    even = random.uniform(low, high, 20_000)
    scale = 10.0 ** random.uniform(-323, math.log10(max(high, 1)), 20_000)
    near = np.clip(np.where(random.random(20_000) < 0.5, scale, -scale), low, high)
    x = np.concatenate([even, near])
    found = getattr(ts, name)(ts.asarray(x)).numpy()
    # two values that are each right to a unit may differ by one more than their errors
    assert_near(name, found, exact(name, x), LIMITS.get(name, 2) + 1, [x])


@pytest.mark.parametrize("name", sorted(SCIPY_IS_WORSE))
def test_float64_against_exact_digits(name):
    import mpmath as mp

    mp.mp.dps = 50
    functions = {"erfc": mp.erfc, "lgamma": mp.loggamma, "sigmoid": lambda x: 1 / (1 + mp.exp(-x))}
    low, high = FUNCTIONS[name][1]
    x = np.random.default_rng(2).uniform(low, high, 600)
    true = np.array([float(functions[name](mp.mpf(float(value)))) for value in x])
    assert_near(name, getattr(ts, name)(ts.asarray(x)).numpy(), true, LIMITS.get(name, 2), [x])


def c99_lgamma(x):
    if math.isinf(x) or (x <= 0 and x == math.floor(x)):
        return math.inf
    try:
        return math.lgamma(x)
    except OverflowError:
        return math.inf


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_special_values(name, kind):
    x = np.array(SPECIAL + ([5e-324, 1e308, -1e308] if kind is np.float64 else []), kind)
    found = getattr(ts, name)(ts.asarray(x)).numpy()
    expected = exact(name, x)
    if name == "rsqrt":
        expected[x == 0] = np.copysign(np.inf, x[x == 0])
    if name == "lgamma":  # C99's, where SciPy has another sign, or infinity for subnormals
        wide = quietly(np.vectorize(c99_lgamma), x.astype(np.float64))
        expected = quietly(wide.astype, kind)
    assert_near(name, found, expected, LIMITS.get(name, 2), [x])
    clear = (expected == 0) | ~np.isfinite(expected)
    zeros = clear & ~np.isnan(expected)
    np.testing.assert_array_equal(np.signbit(found[zeros]), np.signbit(expected[zeros]))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "name", ["pow", "atan2", "hypot", "copysign", "fmod", "remainder", "logaddexp"]
)
def test_special_pairs(name, kind):
    pairs = list(itertools.product([*SPECIAL, 3.0, -3.0, 0.3], repeat=2))
    x, y = (np.array(values, kind) for values in zip(*pairs, strict=True))
    numpy_name = {"atan2": "arctan2", "pow": "power"}.get(name, name)
    expected = np.asarray(quietly(getattr(np, numpy_name), x, y))
    if name in ("pow", "atan2", "hypot", "logaddexp"):
        wide = quietly(getattr(np, numpy_name), x.astype(np.float64), y.astype(np.float64))
        expected = quietly(wide.astype, kind)
    found = getattr(ts, name)(ts.asarray(x), ts.asarray(y)).numpy()
    assert_near(name, found, expected, LIMITS.get(name, 2), [x, y])


@pytest.mark.parametrize("kind", KINDS)
def test_pow_over_its_range(kind):
    random = np.random.default_rng(3)
    x = np.exp(random.uniform(-10, 10, 20_000)).astype(kind)
    y = random.uniform(-8, 8, 20_000).astype(kind)
    x[::5], y[::5] = -x[::5], np.round(y[::5])
    found = ts.pow(ts.asarray(x), ts.asarray(y)).numpy()
    expected = quietly(lambda: np.power(x.astype(np.float64), y.astype(np.float64)).astype(kind))
    assert_near("pow", found, expected, 4, [x, y])


def test_huge_angles_are_the_c_library_s():
    x = np.array([2.0**31, 1e15, -1e22, 1e300, 2.0**30 + 0.5])
    for name in ("sin", "cos", "tan"):
        assert_near(name, getattr(ts, name)(ts.asarray(x)).numpy(), exact(name, x), 2, [x])


@pytest.mark.parametrize("name", ["exp", "tanh", "log", "sin", "erf", "sqrt"])
@pytest.mark.parametrize("dtype", [ts.float16, ts.bfloat16])
def test_half_precision_is_rounded_once(name, dtype):
    x = np.linspace(0.01, 8, 500).astype(dtype.numpy)
    found = getattr(ts, name)(ts.asarray(x)).numpy()
    expected = exact(name, x.astype(np.float32)).astype(dtype.numpy)
    apart = np.abs(found.view(np.int16).astype(int) - expected.view(np.int16).astype(int))
    assert apart.max() <= 1
    assert (apart > 0).mean() < 0.01


@pytest.mark.parametrize("name", sorted(set(FUNCTIONS) - {"sqrt", "lgamma"}))
@pytest.mark.parametrize("kind", KINDS)
def test_the_operators_it_is_written_in_mean_the_same(name, kind):
    """The expansion, evaluated step by step in NumPy, is what the kernel computes."""
    low, high = FUNCTIONS[name][1]
    x = np.random.default_rng(4).uniform(low, high, 300).astype(kind)
    dtype = ts.dtypes.as_dtype(kind)
    symbol = variable("x", dtype)
    expression = expand(OPERATORS[name](symbol))
    with np.errstate(all="ignore"):
        stepwise = np.asarray(evaluate(expression, {symbol: x})).astype(kind)
    found = getattr(ts, name)(ts.asarray(x)).numpy()
    assert_near(name, found, stepwise, 1, [x])


def sine_times(x, y):
    return math.sin(x) * y + math.lgamma(x)


@pytest.mark.parametrize("kind", KINDS)
def test_rare_branches_anywhere_in_a_kernel(kind):
    """The block of a huge angle may lie before, inside or between loops."""
    x = np.array([[0.5], [2.0**31], [7.0]], kind)
    y = np.linspace(-3, 3, 120).reshape(3, 40).astype(kind)
    operation = ts.zip_with(sine_times)
    expected = np.sin(x.astype(np.float64)) * y + special.gammaln(x.astype(np.float64))
    for a, b in ((x, y), (x[0], y), (x[1:2], y), (x[0, 0], y[0]), (y + 4, y), (x[1, 0], y[0, 0])):
        a, b = np.asarray(a), np.asarray(b)
        expected = np.sin(a.astype(np.float64)) * b + special.gammaln(a.astype(np.float64))
        found = operation(ts.asarray(a), ts.asarray(b)).numpy()
        np.testing.assert_allclose(found, expected, rtol=2e-5 if kind is np.float32 else 1e-12)
    whole = ts.sum(operation(ts.asarray(x), ts.asarray(y)), axis=0).numpy()
    np.testing.assert_allclose(
        whole, (np.sin(x.astype(np.float64)) * y + special.gammaln(x.astype(np.float64))).sum(axis=0),
        rtol=2e-5,
    )  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
def test_single_numbers_and_repeated_ones(name):
    x = np.float64(sum(FUNCTIONS[name][1]) / 2 + 0.25)
    expected = exact(name, np.asarray(x))
    function = getattr(ts, name)
    for argument in (
        ts.asarray(x), ts.asarray([x]), ts.broadcast_to(ts.asarray(x), (3, 50)), ts.full(70, x, dtype=ts.float64)[::3],
    ):  # fmt: skip
        np.testing.assert_allclose(function(argument).numpy(), expected, rtol=1e-14)


@pytest.mark.parametrize(
    "kind", [np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint32, np.uint64]
)
@pytest.mark.parametrize("name", ["fmod", "remainder", "floor_divide"])
def test_integer_division_with_zeros_and_extremes(name, kind):
    limits = np.iinfo(kind)
    values = [limits.min, limits.max, 0, 1, 2, 3, 7, 100]
    values += [] if limits.min == 0 else [-1, -2, -3, -7]
    x, y = (a.ravel() for a in np.meshgrid(np.array(values, kind), np.array(values, kind)))
    found = getattr(ts, name)(ts.asarray(x), ts.asarray(y)).numpy()
    np.testing.assert_array_equal(found, quietly(getattr(np, name), x, y))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["fmod", "remainder", "floor_divide"])
def test_float_division_is_exact(name, kind):
    random = np.random.default_rng(6)
    wide = [
        random.standard_normal(20_000) * 10.0 ** random.integers(-30, 30, 20_000) for _ in range(2)
    ]
    whole = [random.integers(-50, 50, 20_000) * scale for scale in (0.3, 0.1)]
    x, y = (np.concatenate(pair).astype(kind) for pair in zip(wide, whole, strict=True))
    found = getattr(ts, name)(ts.asarray(x), ts.asarray(y)).numpy()
    np.testing.assert_array_equal(found, quietly(getattr(np, name), x, y))


@pytest.mark.parametrize("kind", KINDS)
def test_the_exponential_of_softmax(kind):
    low = -104 if kind is np.float32 else -746
    x = np.random.default_rng(7).uniform(low, 0, 20_000).astype(kind)
    x = np.concatenate([x, np.array([0.0, -0.0, -1e-30, low - 1, -1e30, -np.inf, np.nan], kind)])
    found = elementwise("exp_up_to_0")(ts.asarray(x)).numpy()
    assert_near("exp_up_to_0", found, exact("exp", x), 2, [x])


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_every_nan_is_one(name):
    bits = np.random.default_rng(0).integers(1, 1 << 23, 500).astype(np.uint32)
    quiet = bits | np.uint32(0x7FC00000)
    nans = np.concatenate([quiet, quiet | np.uint32(1 << 31)]).view(np.float32)
    assert np.isnan(getattr(ts, name)(ts.asarray(nans)).numpy()).all()


@pytest.mark.parametrize("order", [1, 2, 3])
def test_derivatives_of_digamma(order):
    """polygamma: by the formulas for the first, by differentiating them for the others."""
    x = np.array([1e-3, 0.1, 0.5, 1.0, 2.0, 3.3, 7.99, 8.0, 50.0, 1e4, -0.5, -1.5, -2.7, -10.3])
    function = ts.digamma
    for _ in range(order):
        function = ts.grad(lambda x, inner=function: inner(x).sum())
    np.testing.assert_allclose(function(ts.asarray(x)).numpy(), polygamma(order, x), rtol=1e-11)
    if order == 1:
        ends = ts.asarray([np.inf, np.nan, 0.0, -3.0])
        np.testing.assert_array_equal(function(ends).numpy(), [0.0, np.nan, np.inf, np.inf])
        single = function(ts.asarray(x.astype(np.float32))).numpy()
        np.testing.assert_allclose(single, polygamma(1, x.astype(np.float32)), rtol=1e-6)


def polygamma(order, x):
    """Derivatives of digamma, exact."""
    with mpmath.workdps(40):
        return np.array([float(mpmath.polygamma(order, mpmath.mpf(float(v)))) for v in x])
