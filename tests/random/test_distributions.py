"""Random numbers from explicit keys: the right distributions, and the same bits everywhere."""

import numpy as np
import pytest
from scipy import stats

import tessella as ts
from tessella import errors
from tessella.random import distributions

KEY = ts.random.key(20)
N = 20_000
r = ts.random

CONTINUOUS = {
    "uniform": (lambda k, d: r.uniform(k, (N,), d, -1.0, 3.0), stats.uniform(-1, 4)),
    "normal": (lambda k, d: r.normal(k, (N,), d), stats.norm()),
    "truncated_normal": (lambda k, d: r.truncated_normal(k, -1.0, 2.5, (N,), d), stats.truncnorm(-1, 2.5)),
    "exponential": (lambda k, d: r.exponential(k, (N,), d), stats.expon()),
    "laplace": (lambda k, d: r.laplace(k, (N,), d), stats.laplace()),
    "logistic": (lambda k, d: r.logistic(k, (N,), d), stats.logistic()),
    "cauchy": (lambda k, d: r.cauchy(k, (N,), d), stats.cauchy()),
    "gumbel": (lambda k, d: r.gumbel(k, (N,), d), stats.gumbel_r()),
    "gamma": (lambda k, d: r.gamma(k, 2.5, (N,), d), stats.gamma(2.5)),
    "gamma below 1": (lambda k, d: r.gamma(k, 0.3, (N,), d), stats.gamma(0.3)),
    "beta": (lambda k, d: r.beta(k, 2.0, 0.7, (N,), d), stats.beta(2.0, 0.7)),
    "dirichlet": (lambda k, d: r.dirichlet(k, ts.asarray([1.0, 2.0, 3.0]), (N,), d)[:, 0], stats.beta(1, 5)),
}  # fmt: skip
DISCRETE = {
    "bernoulli": (lambda k: r.bernoulli(k, 0.3, (N,)).astype(ts.int64), stats.bernoulli(0.3)),
    "poisson": (lambda k: r.poisson(k, 3.5, (N,)), stats.poisson(3.5)),
    "poisson of many": (lambda k: r.poisson(k, 40.0, (N,)), stats.poisson(40)),
    "categorical": (
        lambda k: r.categorical(k, ts.log(ts.asarray([0.1, 0.6, 0.3])), shape=(N,)),
        stats.rv_discrete(values=([0, 1, 2], [0.1, 0.6, 0.3])),
    ),
    "choice": (
        lambda k: r.choice(k, 3, (N,), p=ts.asarray([0.1, 0.6, 0.3])),
        stats.rv_discrete(values=([0, 1, 2], [0.1, 0.6, 0.3])),
    ),
    "randint": (lambda k: r.choice(k, 7, (N,)), stats.randint(0, 7)),
}  # fmt: skip


@pytest.mark.parametrize("name", CONTINUOUS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_continuous(name, dtype):
    draw, expected = CONTINUOUS[name]
    kind = getattr(ts, dtype)
    found = draw(KEY, kind)
    assert found.dtype is kind
    assert stats.kstest(found.numpy().astype(np.float64), expected.cdf).pvalue > 1e-3
    compiled = ts.jit(lambda k: draw(k, kind))(KEY)
    if name in ("uniform", "bernoulli"):
        np.testing.assert_array_equal(compiled.numpy(), found.numpy())
    else:  # the same bits; functions of them may be fused, and be another in the last place
        np.testing.assert_allclose(compiled.numpy(), found.numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", DISCRETE)
def test_discrete(name):
    draw, expected = DISCRETE[name]
    found = draw(KEY).numpy()
    values = np.arange(int(found.max()) + 1)
    counts = np.bincount(found, minlength=len(values))
    likely = expected.pmf(values) * N
    keep = likely > 5
    rest = N - likely[keep].sum()
    observed = [*counts[keep], *([counts[~keep].sum()] if rest > 1 else [])]
    wanted = [*likely[keep], *([rest] if rest > 1 else [])]
    scaled = np.array(wanted) * sum(observed) / sum(wanted)
    assert stats.chisquare(observed, scaled).pvalue > 1e-3
    np.testing.assert_array_equal(ts.jit(draw)(KEY).numpy(), found)


def test_the_same_bits_on_the_reference():
    expected = r.bits(KEY, (3, 40)).numpy()
    with ts.backend("reference"):
        np.testing.assert_array_equal(r.bits(KEY, (3, 40)).numpy(), expected)
        np.testing.assert_array_equal(r.split(KEY, 5).numpy(), r.split(KEY, 5).numpy())
    np.testing.assert_array_equal(ts.jit(lambda k: r.bits(k, (3, 40)))(KEY).numpy(), expected)


def test_keys():
    keys = r.split(KEY, 1000).numpy()
    assert len(np.unique(keys, axis=0)) == 1000
    folded = [r.fold_in(KEY, i).numpy() for i in range(100)]
    assert len(np.unique(np.concatenate([keys, folded]), axis=0)) == 1100
    assert not (r.key(1).numpy() == r.key(2).numpy()).all()
    np.testing.assert_array_equal(r.fold_in(KEY, ts.asarray(5)).numpy(), folded[5])
    # draws from different keys have nothing to do with each other
    a, b = (r.normal(k, (N,)).numpy() for k in r.split(KEY))
    assert abs(np.corrcoef(a, b)[0, 1]) < 0.03


def test_one_key_for_each_example():
    keys = r.split(KEY, 4)
    together = ts.vmap(lambda k: r.normal(k, (3,)))(keys).numpy()
    for i in range(4):
        np.testing.assert_allclose(together[i], r.normal(keys[i], (3,)).numpy(), rtol=1e-6)
    shapes = ts.asarray([0.5, 1.0, 2.0, 50.0])
    drawn = ts.jit(ts.vmap(lambda k, a: r.gamma(k, a)))(keys, shapes).numpy()
    for i in range(4):
        np.testing.assert_allclose(drawn[i], r.gamma(keys[i], shapes[i]).item(), rtol=1e-5)


def test_permutation_and_choice():
    order = r.permutation(KEY, 50).numpy()
    assert sorted(order) == list(range(50))
    table = ts.asarray(np.arange(20).reshape(5, 4))
    rows = r.permutation(KEY, table).numpy()
    assert sorted(rows[:, 0].tolist()) == [0, 4, 8, 12, 16]
    some = r.choice(KEY, 30, (2, 10), replace=False).numpy()
    assert len(np.unique(some)) == 20
    assert r.choice(KEY, table, (3,)).shape == (3, 4)
    many = ts.vmap(lambda k: r.permutation(k, 20))(r.split(KEY, 3)).numpy()
    assert (np.sort(many, axis=1) == np.arange(20)).all()
    assert not (many[0] == many[1]).all()


def test_without_a_key_the_default_generator_is_asked():
    r.manual_seed(5)
    first = r.normal(None, (4,)).numpy()
    r.manual_seed(5)
    np.testing.assert_array_equal(r.normal(None, (4,)).numpy(), first)
    assert not (r.normal(None, (4,)).numpy() == first).all()


def test_erfinv():
    from scipy import special

    from tessella.random.distributions import erfinv

    y = np.linspace(-0.999999, 0.999999, 4001)
    np.testing.assert_allclose(erfinv(ts.asarray(y)).numpy(), special.erfinv(y), rtol=1e-10)
    single = erfinv(ts.asarray(y.astype(np.float32))).numpy()
    np.testing.assert_allclose(single, special.erfinv(y.astype(np.float32)), rtol=2e-5)
    assert erfinv(ts.asarray([1.0, -1.0])).tolist() == [np.inf, -np.inf]


@pytest.mark.parametrize(
    ("call", "kind", "text"),
    [
        (lambda: r.normal(7, (3,)), errors.ArgumentError, r"the key is int; expected uint32 \(2,\)"),
        (lambda: r.normal(ts.ones(2), (3,)), errors.ArgumentError, "the key is float32"),
        (lambda: r.normal(r.split(KEY, 3), (3,)), errors.ArgumentError, "For many keys use ts.vmap"),
        (lambda: r.key(0.5), errors.ArgumentError, "expected an integer"),
        (lambda: r.split(KEY, -1), errors.ArgumentError, "expected a whole number of at least 0"),
        (lambda: r.bits(KEY, (3,), ts.int32), errors.DTypeError, "expected uint32 or uint64"),
        (lambda: r.uniform(KEY, (3,), ts.int32), errors.DTypeError, "uniform: dtype is int32; expected a floating one"),
        (lambda: r.gamma(KEY, ts.ones(4), (3,)), errors.ShapeError, "gamma"),
        (lambda: r.gamma(KEY, ts.ones(3), ()), errors.ShapeError, "does not fit in"),
        (lambda: r.categorical(KEY, 1.0), errors.ShapeError, "an axis of categories"),
        (lambda: r.choice(KEY, 3, (4,), replace=False), errors.ArgumentError, "4 elements are wanted"),
        (lambda: r.fold_in(KEY, ts.asarray(0.5)), errors.DTypeError, "expected an integer"),
    ],
)  # fmt: skip
def test_messages(call, kind, text):
    with pytest.raises(kind, match=text):
        call()


# --- parameters for which there is no distribution ----------------------------------------------------

WITH_PARAMETERS = {
    "gamma": lambda v: r.gamma(KEY, v),
    "beta": lambda v: r.beta(KEY, 1.0, v),
    "dirichlet": lambda v: r.dirichlet(KEY, v * ts.ones(2)),
    "poisson": lambda v: r.poisson(KEY, v),
    "bernoulli": lambda v: r.bernoulli(KEY, v),
}
WRONG = [-0.5, np.nan, np.inf, -np.inf]
WAYS = {
    "a number": lambda f, v: f(v),
    "a tensor": lambda f, v: f(ts.asarray(v)),
    "compiled": lambda f, v: ts.jit(f)(ts.asarray(v)),
    "compiled, of a number": lambda f, v: ts.jit(f)(v),
    "compiled, captured": lambda f, v: (lambda t: ts.jit(lambda: f(t))())(ts.asarray(v)),
    "vmap": lambda f, v: ts.vmap(f)(ts.asarray([0.5, v])),
    "scan": lambda f, v: ts.jit(
        lambda s: ts.scan(lambda c, x: (c, f(x)), ts.asarray(0.0), s)
    )(ts.asarray([0.5, v])),
}  # fmt: skip


@pytest.mark.parametrize("name", WITH_PARAMETERS)
@pytest.mark.parametrize("way", WAYS)
def test_parameters_without_a_distribution_are_refused(name, way):
    """And no loop goes on for ever, wherever the parameter comes from."""
    for value in WRONG if way in ("a number", "compiled") else WRONG[:2]:
        with pytest.raises(errors.ArgumentError, match=rf"{name}: \w+ holds .*; expected "):
            WAYS[way](WITH_PARAMETERS[name], value)
    found = WAYS[way](WITH_PARAMETERS[name], 0.5)
    assert np.isfinite(found.numpy() if way != "scan" else found[1].numpy()).all()


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: r.choice(KEY, 3, p=ts.zeros(3)), "the sum of p holds 0.0; expected a number above 0"),
        (lambda: r.choice(KEY, 3, p=np.array([1.0, -1.0, 2.0])), r"p holds -1\.0"),
        (lambda: r.choice(KEY, 3, (2,), replace=False, p=ts.asarray([1.0, np.nan, 2.0])), "p holds nan"),
        (lambda: r.truncated_normal(KEY, 2.0, 1.0), r"upper - lower holds -1\.0"),
        (lambda: r.truncated_normal(KEY, np.nan, 1.0), "upper - lower holds nan"),
        (lambda: r.uniform(KEY, (2,), None, 0.0, np.inf), "maxval holds inf; expected finite numbers"),
        (lambda: r.poisson(KEY, 200.0, dtype=ts.int8), "rate holds 200.0; expected numbers from 0 to 14"),
        (lambda: r.poisson(KEY, 1e19), "expected numbers from 0 to 9.223e"),
        (lambda: r.beta(KEY, 0.0, 1.0), "a holds 0.0; expected finite numbers above 0"),
        (lambda: ts.random.default.normal((2,), 0.0, -1.0), "std is -1.0; expected a finite number of at least 0"),
        (lambda: ts.random.default.uniform((2,), np.nan), "low is nan; expected a finite number"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(call, text):
    with pytest.raises(errors.ArgumentError, match=text):
        call()


def test_parameters_at_the_ends():
    assert r.gamma(KEY, 0.0, (50,)).tolist() == [0.0] * 50
    assert r.poisson(KEY, 0.0, (50,)).tolist() == [0] * 50
    assert abs(float(r.poisson(KEY, 1e15, (1000,)).astype(ts.float64).mean()) / 1e15 - 1) < 1e-8
    assert r.bernoulli(KEY, 1.0, (50,)).all()
    assert not r.bernoulli(KEY, 0.0, (50,)).any()
    assert np.isfinite(r.truncated_normal(KEY, -np.inf, np.inf, (50,)).numpy()).all()
    tiny = r.beta(
        KEY, 1e-4, 1e-4, (4000,)
    ).numpy()  # the gamma variables are all less than any float
    assert abs(tiny.mean() - 0.5) < 0.05
    shares = r.dirichlet(KEY, ts.full((4,), 1e-4), (4000,)).numpy()
    np.testing.assert_allclose(shares.sum(axis=1), 1.0, rtol=1e-6)
    np.testing.assert_allclose(shares.mean(axis=0), 0.25, atol=0.05)


def test_numbers_between_0_and_1_reach_neither():
    """The words of all ones and of all zeros give the last and the first of them."""
    from tessella.random import distributions as d

    for dtype, least in ((ts.float32, 2.0**-24), (ts.float64, 2.0**-53)):
        for bits, expected in ((0, least), (2**64 - 1, 1.0 - least)):
            word = ts.asarray(np.array([bits], np.uint64))
            original, d.bits = d.bits, lambda *_, word=word: word
            words, d._words = d._words, lambda *_, word=word: word.astype(ts.uint32)
            try:
                assert d._open_unit(KEY, (1,), dtype).tolist() == [expected]
            finally:
                d.bits, d._words = original, words


def test_requirements_hold_again_at_every_call():
    draw = ts.jit(lambda a: r.gamma(KEY, a))
    for _ in range(3):
        assert np.isfinite(draw(ts.asarray([1.0, 2.0])).numpy()).all()
        with pytest.raises(errors.ArgumentError, match="gamma: a holds nan"):
            draw(ts.asarray([1.0, np.nan]))


@pytest.mark.parametrize("dtype", [ts.float16, ts.bfloat16, ts.float32, ts.float64])
def test_uniform_numbers_stay_below_their_upper_bound(dtype):
    """Half precision has few numbers: some of 20,000 would be rounded up to the bound."""
    for low, high in ((0.0, 1.0), (10.0, 11.0), (-1.0, 1.0), (0.1, 0.2)):
        for drawn in (
            ts.random.default.uniform((20000,), low, high, dtype),
            distributions.uniform(ts.random.key(1), (20000,), dtype, low, high),
        ):
            assert drawn.dtype is dtype
            numbers = drawn.numpy().astype(np.float64)
            bound = np.asarray(high, dtype.numpy).astype(np.float64)
            assert (numbers < bound).all()
            assert (numbers >= np.asarray(low, dtype.numpy).astype(np.float64)).all()
            assert numbers.mean() == pytest.approx(
                (low + high) / 2, abs=0.02 * (high - low) + 0.04 * (low > 1)
            )


def test_numbers_between_the_ends(monkeypatch):
    """The largest and the smallest word give neither 0 nor 1, of which logarithms are infinite."""
    for word in (0, 2**32 - 1):
        monkeypatch.setattr(
            distributions, "_words", lambda key, shape, w=word: ts.full(shape, w, dtype=ts.uint32)
        )
        for name in ("logistic", "gumbel", "laplace", "cauchy"):
            for dtype in (ts.float32, ts.float64):
                drawn = getattr(distributions, name)(ts.random.key(0), (2,), dtype)
                assert np.isfinite(drawn.numpy()).all(), (name, dtype)
