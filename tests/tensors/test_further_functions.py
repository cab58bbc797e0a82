"""Functions of PyTorch and NumPy beside the Array API: values, gradients, and the same compiled and batched."""

import math

import numpy as np
import pytest
import scipy.spatial.distance
import scipy.special

import tessella as ts
from tessella import errors

RANDOM = np.random.default_rng(3)
X, Y = RANDOM.standard_normal((3, 4)), RANDOM.standard_normal((3, 4))
V, W = RANDOM.standard_normal(3), RANDOM.standard_normal(3)
S = RANDOM.standard_normal((3, 3))
H = RANDOM.uniform(0.1, 0.9, (3, 4))
K = np.array([[0, 2, 1, 0], [1, 1, 0, 2]])
MASK = X > 0.2

# function, the same in NumPy, its floating operands
FUNCTIONS = {
    "sinc": (ts.sinc, np.sinc, (X,)),
    "sinc near 0": (ts.sinc, np.sinc, (X * 1e-4,)),
    "deg2rad": (ts.deg2rad, np.deg2rad, (X,)),
    "rad2deg": (ts.rad2deg, np.rad2deg, (X,)),
    "xlogy": (ts.xlogy, scipy.special.xlogy, (X, H)),
    "logit": (ts.logit, scipy.special.logit, (H,)),
    "erfinv": (ts.erfinv, scipy.special.erfinv, (X / 4,)),
    "fmax": (ts.fmax, np.fmax, (X, Y)),
    "fmin": (ts.fmin, np.fmin, (X, Y)),
    "heaviside": (ts.heaviside, np.heaviside, (X, Y)),
    "lerp": (ts.lerp, lambda a, b, w: a + w * (b - a), (X, Y, H)),
    "addcmul": (lambda a, b, c: ts.addcmul(a, b, c, value=2.0), lambda a, b, c: a + 2 * b * c, (X, Y, H)),
    "addcdiv": (lambda a, b, c: ts.addcdiv(a, b, c, value=2.0), lambda a, b, c: a + 2 * b / c, (X, Y, H)),
    "frac": (ts.frac, lambda x: x - np.trunc(x), (X,)),
    "div": (lambda a, b: ts.div(a, b, rounding_mode="trunc"), lambda a, b: np.trunc(a / b), (X, Y)),
    "round": (lambda x: ts.round(x, 2), lambda x: np.round(x, 2), (X,)),
    "interp": (
        lambda x, f: ts.interp(x, ts.asarray([-1.0, 0.0, 0.5], dtype=ts.float64), f),
        lambda x, f: np.interp(x, [-1.0, 0.0, 0.5], f), (X, V),
    ),
    "clamp": (lambda x: ts.clamp(x, -0.5, max=0.5), lambda x: np.clip(x, -0.5, 0.5), (X,)),
    "softmax": (lambda x: ts.softmax(x, 1), lambda x: scipy.special.softmax(x, 1), (X,)),
    "log_softmax": (lambda x: ts.log_softmax(x, 0), lambda x: scipy.special.log_softmax(x, 0), (X,)),
    "quantile": (lambda x: ts.quantile(x, 0.3, 1), lambda x: np.quantile(x, 0.3, axis=1), (X,)),
    "quantiles": (
        lambda x: ts.quantile(x, ts.asarray([0.1, 0.9], dtype=ts.float64), 0),
        lambda x: np.quantile(x, [0.1, 0.9], axis=0), (X,),
    ),
    "median": (lambda x: ts.median(x, 1, True), lambda x: np.median(x, 1, keepdims=True), (X,)),
    "median of all": (ts.median, np.median, (X,)),
    "nanmean": (lambda x: ts.nanmean(x, 0), lambda x: np.nanmean(x, 0), (X,)),
    "nansum": (lambda x: ts.nansum(x, 0), lambda x: np.nansum(x, 0), (X,)),
    "cov": (ts.cov, np.cov, (X,)),
    "cov of weights": (
        lambda x: ts.cov(x, fweights=ts.asarray([1, 2, 1, 3]), aweights=ts.asarray([0.5, 1.0, 2.0, 1.5])),
        lambda x: np.cov(x, fweights=[1, 2, 1, 3], aweights=[0.5, 1.0, 2.0, 1.5]), (X,),
    ),
    "corrcoef": (ts.corrcoef, np.corrcoef, (X,)),
    "amax": (lambda x: ts.amax(x, 1), lambda x: np.max(x, 1), (X,)),
    "topk": (lambda x: ts.topk(x, 2, 1, False).values, lambda x: np.sort(x, 1)[:, :2], (X,)),
    "mm": (ts.mm, np.matmul, (S, X)),
    "mv": (ts.mv, np.matmul, (S, V)),
    "dot": (ts.dot, np.dot, (S, X)),
    "dot of vectors": (ts.dot, np.dot, (V, W)),
    "inner": (ts.inner, np.inner, (X, Y)),
    "addmm": (lambda a, b, c: ts.addmm(a, b, c, beta=0.5, alpha=2.0), lambda a, b, c: 0.5 * a + 2 * b @ c, (X, S, Y)),
    "addr": (ts.addr, lambda a, b, c: a + np.outer(b, c), (S, V, W)),
    "kron": (ts.kron, np.kron, (S, X)),
    "cross": (ts.cross, np.cross, (V, W)),
    "diagonal": (lambda x: ts.diagonal(x, 1), lambda x: np.diagonal(x, 1), (X,)),
    "diag": (lambda x: ts.diag(x, -1), lambda x: np.diag(x, -1), (V,)),
    "trace": (ts.trace, np.trace, (X,)),
    "norm": (ts.norm, np.linalg.norm, (X,)),
    "norm of rows": (lambda x: ts.norm(x, 3, 1), lambda x: np.linalg.norm(x, 3, axis=1), (X,)),
    "largest": (lambda x: ts.norm(x, math.inf, 1), lambda x: np.linalg.norm(x, np.inf, axis=1), (X,)),
    "cdist": (ts.cdist, scipy.spatial.distance.cdist, (X, Y)),
    "rot90": (lambda x: ts.rot90(x, 3), lambda x: np.rot90(x, 3), (X,)),
    "flip": (lambda x: ts.flip(x, 0, 1), lambda x: np.flip(x, (0, 1)), (X,)),
    "unflatten": (lambda x: ts.unflatten(x, 1, (2, -1)), lambda x: x.reshape(3, 2, 2), (X,)),
    "narrow": (lambda x: ts.narrow(x, 1, -3, 2), lambda x: x[:, 1:3], (X,)),
    "hstack": (lambda a, b: ts.hstack([a, b]), lambda a, b: np.hstack([a, b]), (X, Y)),
    "vstack": (lambda a, b: ts.vstack([a, b]), lambda a, b: np.vstack([a, b]), (V, W)),
    "dstack": (lambda a, b: ts.dstack([a, b]), lambda a, b: np.dstack([a, b]), (X, Y)),
    "column_stack": (lambda a, b: ts.column_stack([a, b]), lambda a, b: np.column_stack([a, b]), (V, S)),
    "gather": (lambda x: ts.gather(x, 0, ts.asarray(K)), lambda x: np.take_along_axis(x, K, 0), (X,)),
    "index_add": (
        lambda x, y: ts.index_add(x, 0, ts.asarray([1, 1, 0]), y, alpha=2.0),
        lambda x, y: x + 2 * np.stack([y[2], y[0] + y[1], 0 * y[0]]), (X, Y),
    ),
    "masked_fill": (lambda x: ts.masked_fill(x, ts.asarray(MASK), 7.0), lambda x: np.where(MASK, 7, x), (X,)),
    "relu6": (ts.nn.functional.relu6, lambda x: np.clip(x, 0, 6), (X * 5,)),
    "softshrink": (ts.nn.functional.softshrink, lambda x: np.sign(x) * np.maximum(np.abs(x) - 0.5, 0), (X,)),
    "normalize": (ts.nn.functional.normalize, lambda x: x / np.linalg.norm(x, axis=1, keepdims=True), (X,)),
}  # fmt: skip
CASES = pytest.mark.parametrize(
    ("function", "expected", "operands"), FUNCTIONS.values(), ids=FUNCTIONS
)


def tensors(operands):
    return [ts.asarray(x) for x in operands]


@CASES
def test_values_also_compiled(function, expected, operands):
    given = tensors(operands)
    found = function(*given)
    np.testing.assert_allclose(found.numpy(), expected(*operands), rtol=1e-9, atol=1e-12)
    compiled = ts.jit(function)(*given)
    np.testing.assert_allclose(compiled.numpy(), found.numpy(), rtol=1e-12, atol=1e-14)


@CASES
def test_batches(function, expected, operands):
    batch = [ts.stack([x, x * 0.5]) for x in tensors(operands)]
    found = ts.vmap(function)(*batch)
    rows = [function(*[x[i] for x in batch]) for i in range(2)]
    np.testing.assert_allclose(found.numpy(), ts.stack(rows).numpy(), rtol=1e-9, atol=1e-12)


@CASES
def test_gradients(function, expected, operands):
    weights = RANDOM.standard_normal(np.shape(expected(*operands)))

    def loss(*given):
        return (function(*given) * ts.asarray(weights)).sum()

    given = tensors(operands)
    gradients = ts.grad(loss, argnums=tuple(range(len(given))))(*given)
    directions = [RANDOM.standard_normal(x.shape) for x in operands]
    step = 1e-6
    ahead = loss(*tensors([x + step * d for x, d in zip(operands, directions, strict=True)]))
    behind = loss(*tensors([x - step * d for x, d in zip(operands, directions, strict=True)]))
    slope = sum((g.numpy() * d).sum() for g, d in zip(gradients, directions, strict=True))
    assert slope == pytest.approx((ahead.item() - behind.item()) / (2 * step), rel=1e-4, abs=1e-6)


def test_scattering():
    x, index, source = ts.zeros((3, 3)), ts.asarray([[0, 2, 2], [1, 1, 0]]), ts.ones((3, 3))
    assert ts.scatter(x, 0, index, 5.0).tolist() == [[5, 0, 5], [5, 5, 0], [0, 5, 5]]
    assert ts.scatter_add(x, 1, index, source).tolist() == [[1, 0, 2], [1, 2, 0], [0, 0, 0]]
    assert ts.index_copy(x, 1, ts.asarray([2]), ts.ones((3, 1))).sum(0).tolist() == [0, 0, 3]
    assert ts.index_fill(x, 0, ts.asarray([0]), 2).sum(1).tolist() == [6, 0, 0]
    with pytest.raises(errors.ShapeError, match="gather: the index has shape"):
        ts.gather(x, 0, ts.asarray([0]))
    with pytest.raises(errors.IndexingError, match="index 3 is out of range for axis 0 of size 3"):
        ts.gather(x, 0, ts.asarray([[3]]))
    with pytest.raises(errors.DTypeError, match="scatter_add: the source is int64"):
        ts.scatter_add(x, 0, index, ts.asarray([[1, 1, 1]] * 2))
    with pytest.raises(errors.DTypeError, match="masked_fill: the mask is float32"):
        ts.masked_fill(x, x, 1.0)


def test_counting():
    assert ts.bincount(ts.asarray([1, 3, 1]), ts.asarray([0.5, 1.0, 2.0])).tolist() == [
        0,
        2.5,
        0,
        1,
    ]
    assert ts.bincount(ts.asarray([], dtype=ts.int64), minlength=2).tolist() == [0, 0]
    with pytest.raises(errors.ArgumentError, match="bincount: the number -1"):
        ts.bincount(ts.asarray([-1]))
    values = ts.asarray(X, dtype=ts.float32)
    assert ts.histc(values, 5).tolist() == np.histogram(X, 5)[0].tolist()
    assert ts.histc(values, 4, -1.0, 1.0).tolist() == np.histogram(X, 4, (-1, 1))[0].tolist()
    assert ts.argwhere(ts.asarray([[0, 1], [1, 0]])).tolist() == [[0, 1], [1, 0]]


def test_nan_and_nothing():
    x = ts.asarray([[1.0, math.nan, 3.0], [math.nan] * 3])
    assert ts.median(x[0]).isnan().item()
    assert ts.nanmedian(x, 1).tolist()[0] == 2.0
    assert ts.nanmedian(x[1]).isnan().item()
    assert ts.nanmean(x, 1).isnan().tolist() == [False, True]
    assert ts.nansum(x, 1).tolist() == [4.0, 0.0]
    assert ts.quantile(ts.asarray([1.0, math.inf, math.inf]), 0.75).item() == math.inf
    with pytest.raises(errors.ArgumentError, match="median: shape"):
        ts.median(ts.zeros(0))
    with pytest.raises(errors.ArgumentError, match="quantile: q is 2"):
        ts.quantile(x, 2)


@pytest.mark.parametrize("how", ["linear", "lower", "higher", "midpoint", "nearest"])
@pytest.mark.parametrize("q", [0.0, 0.3, 0.5, 1.0])
def test_interpolations(how, q):
    found = ts.quantile(ts.asarray(X), q, 1, interpolation=how)
    np.testing.assert_allclose(found.numpy(), np.quantile(X, q, axis=1, method=how))


def test_slopes_where_they_are_special():
    zero = ts.zeros(2)
    assert ts.grad(lambda x: ts.norm(x))(zero).tolist() == [0.0, 0.0]
    assert ts.grad(lambda x: ts.sinc(x).sum())(zero).tolist() == [0.0, 0.0]
    assert ts.grad(lambda x: ts.xlogy(x, zero).sum())(zero).tolist() == [0.0, 0.0]
    assert ts.grad(lambda x: ts.cdist(x, x).sum())(ts.ones((2, 2))).tolist() == [[0, 0], [0, 0]]


def test_integers():
    a, b = ts.asarray([12, -7, 0]), ts.asarray([18, 2, 5])
    assert ts.gcd(a, b).tolist() == np.gcd(a.numpy(), b.numpy()).tolist()
    assert ts.lcm(a, b).tolist() == np.lcm(a.numpy(), b.numpy()).tolist()
    assert ts.div(a, b, rounding_mode="trunc").tolist() == [0, -3, 0]
    assert ts.div(a, b, rounding_mode="floor").tolist() == [0, -4, 0]
    with pytest.raises(errors.DTypeError, match="gcd: float32 was given"):
        ts.gcd(ts.ones(1), 2)


@pytest.mark.parametrize("dtype", [ts.float32, ts.float64])
def test_the_inverse_of_erf_to_its_last_digits(dtype):
    near = 10.0 ** -np.arange(0.0, 15.0)
    y = np.concatenate([np.linspace(-1, 1, 999), near, 1 - near, near - 1]).astype(dtype.numpy)
    expected = scipy.special.erfinv(y.astype(np.float64))
    found = ts.erfinv(ts.asarray(y)).numpy()
    np.testing.assert_allclose(found, expected, rtol=4 * ts.finfo(dtype).eps)
    assert np.isnan(ts.erfinv(ts.asarray([-1.5, 2.0])).numpy()).all()


def test_draws_by_weight():
    ts.manual_seed(3)
    weights = ts.asarray([0.0, 1.0, 3.0])
    drawn = ts.multinomial(weights, 4000, replacement=True)
    counts = ts.bincount(drawn, minlength=3).numpy()
    assert counts[0] == 0
    assert 0.7 < counts[2] / 4000 < 0.8
    rows = ts.multinomial(ts.ones((50, 3)), 3).sort(1)
    assert (rows == ts.arange(3)).all().item()
    assert ts.rand_like(weights).shape == ts.randn_like(weights).shape == (3,)
    assert set(ts.randint_like(ts.zeros(99), 2).tolist()) == {0.0, 1.0}
    with pytest.raises(errors.ArgumentError, match="2 weights are above 0; expected at least 3"):
        ts.multinomial(weights, 3)
    with pytest.raises(errors.ArgumentError, match="finite numbers of at least 0"):
        ts.multinomial(ts.asarray([-1.0, 1.0]), 1)


def test_shapes_that_do_not_fit_say_so():
    x = ts.zeros((2, 3))
    for call, said in [
        (lambda: ts.unflatten(x, 1, (2, 2)), "unflatten: axis 1 has size 3"),
        (lambda: ts.narrow(x, 1, 2, 2), "narrow: 2 places from 2 on"),
        (lambda: ts.expand(x, 2), "expand: (2,) for shape (2, 3)"),
        (lambda: ts.mm(x, ts.zeros(3)), "mm: shapes (2, 3) and (3,); expected 2 axes and 2"),
        (lambda: ts.bmm(ts.zeros((2, 1, 1)), ts.zeros((3, 1, 1))), "bmm: batches of 2 and 3"),
        (lambda: ts.cross(x, ts.zeros((2, 2))), "both sizes must be 3"),
        (lambda: ts.diag(ts.zeros((1, 1, 1))), "diag: shape (1, 1, 1)"),
        (lambda: ts.t(ts.zeros((1, 1, 1))), "use x.mT"),
        (lambda: ts.cdist(x, ts.zeros((2, 2))), "expected rows of one length"),
        (lambda: ts.interp(x, x, x), "expected two vectors of one length"),
    ]:
        with pytest.raises(errors.TessellaError) as caught:
            call()
        assert said in str(caught.value)
