"""Numbers where a formula would go wrong: kinks, nothing, infinities, mixtures with NumPy's."""

import itertools
import math

import numpy as np
import pytest

import tessella as ts
from tessella import errors
from tessella.nn import functional as F

# --- kinks and nothing ---------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [ts.float16, ts.bfloat16, ts.float32, ts.float64])
def test_equal_numbers_have_no_slope_of_their_deviation(dtype):
    x = ts.full((2, 3), 7.0, dtype=dtype)
    for slope in (ts.grad(lambda x: ts.std(x)), ts.jit(ts.grad(lambda x: ts.std(x, axis=1).sum()))):
        assert slope(x).tolist() == [[0.0] * 3] * 2
    assert not ts.hessian(ts.std)(x).numpy().astype(np.float64).any()


def test_the_slope_of_the_deviation_of_other_numbers():
    x = np.array([1.0, 2.0, 4.0])
    expected = (x - x.mean()) / (3 * x.std())
    np.testing.assert_allclose(ts.grad(ts.std)(ts.asarray(x)).numpy(), expected, rtol=1e-14)


@pytest.mark.parametrize("compiled", [False, True])
def test_half_powers(compiled):
    def root(x):
        return x**0.5

    x = ts.asarray([-math.inf, -0.0, 0.0, 4.0, math.inf, -1.0, math.nan])
    found = (ts.jit(root) if compiled else root)(x).numpy()
    np.testing.assert_array_equal(found, [math.inf, 0.0, 0.0, 2.0, math.inf, math.nan, math.nan])
    assert not np.signbit(found[1])
    slopes = ts.grad(lambda x: root(x).sum())(x).numpy()
    np.testing.assert_array_equal(slopes, [0, math.inf, math.inf, 0.25, 0.0, math.nan, math.nan])


def test_the_sum_of_no_exponentials():
    nothing = ts.zeros((2, 0)).requires_grad_()
    assert ts.logsumexp(nothing).item() == -math.inf
    found = ts.logsumexp(nothing, axis=1)
    assert found.tolist() == [-math.inf] * 2
    assert ts.logsumexp(nothing, axis=1, keepdims=True).shape == (2, 1)
    assert ts.logsumexp(ts.zeros((0, 3)), axis=1).shape == (0,)
    found.sum().backward()
    assert nothing.grad.shape == (2, 0)


def test_exponentials_of_integers_and_bool():
    for dtype in (ts.bool, ts.uint8, ts.int64):
        found = ts.logsumexp(ts.asarray([0, 1, 1]).astype(dtype))
        assert found.dtype is ts.float32
        assert found.item() == pytest.approx(math.log(1 + 2 * math.e))


# --- sequences of tensors and numbers --------------------------------------------------------------

SCALARS = [
    1, 1.5, True, np.float64(1.5), np.float32(1.5), np.int8(1), ts.asarray(1.5), ts.asarray(1),
    ts.asarray(1.5, dtype=ts.float16), ts.asarray(1.5, dtype=ts.bfloat16), ts.asarray(True), ts.ones(()),
]  # fmt: skip


def test_the_dtype_of_a_sequence_does_not_depend_on_its_order():
    for a, b in itertools.combinations(SCALARS, 2):
        first, second = ts.asarray([a, b]), ts.asarray([b, a])
        assert first.dtype is second.dtype, (a, b)
        assert first.tolist() == second.tolist()[::-1]


def test_numbers_in_a_sequence_take_the_dtype_of_tensors():
    half = ts.asarray(1.0, dtype=ts.bfloat16)
    assert ts.asarray([half, 2.0]).dtype is ts.bfloat16
    assert ts.asarray([ts.asarray(1.0), 2.0]).dtype is ts.float32
    assert ts.asarray([[ts.asarray(1, dtype=ts.int8)], [2.0]]).dtype is ts.float32
    assert ts.asarray([np.float64(1.0), 2.0]).dtype is ts.float64
    assert ts.asarray([1j, np.float64(2.0)]).dtype is ts.complex128
    assert ts.asarray([half, 2.0], dtype=ts.float64).dtype is ts.float64


# --- masks without axes ----------------------------------------------------------------------------

MASKS = [
    True, False, np.bool_(True), np.array(False), (True, 0), (0, True), (..., True), (True, ...), (True, False),
    (slice(None), True), (None, True), (True, None), (True, [0, 1]), ([0, 1], True), (slice(None), True, [0, 1]),
    (..., True, 0), (True, slice(0, 1)), (True, slice(None), True), (slice(0, 1), False),
]  # fmt: skip


def as_tensors(key):
    entries = key if isinstance(key, tuple) else (key,)
    single = [ts.asarray(np.asarray(e)) if isinstance(e, (bool, np.bool_)) else e for e in entries]
    return tuple(single)


@pytest.mark.parametrize("shape", [(), (3,), (3, 4), (3, 2, 2)])
def test_masks_without_axes_are_numpys(shape):
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    for key in MASKS:
        try:
            meant = x[key]
        except IndexError:
            with pytest.raises(errors.IndexingError):
                ts.asarray(x)[key]
            continue
        for index in (key, as_tensors(key)):
            found = ts.asarray(x)[index]
            assert found.shape == meant.shape
            np.testing.assert_array_equal(found.numpy(), meant)
            changed, expected = ts.asarray(x), x.copy()
            values = np.arange(meant.size, dtype=np.float32).reshape(meant.shape)
            changed[index], expected[key] = ts.asarray(values), values
            np.testing.assert_array_equal(changed.numpy(), expected)


def test_a_number_that_is_masked_by_itself():
    x = ts.asarray(5.0)
    x[x > 3] = 0.0
    assert x.item() == 0.0
    x[x > 3] = 7.0
    assert x.item() == 0.0
    y = ts.asarray(2.0).requires_grad_()
    y[ts.asarray(True)].sum().backward()
    assert y.grad.item() == 1.0


# --- beside NumPy arrays -----------------------------------------------------------------------------

ARRAY = np.arange(4.0, dtype=np.float32).reshape(2, 2) + 1


def test_products_with_arrays_are_tensors_with_a_history():
    for product in (lambda w: w @ ARRAY, lambda w: ARRAY @ w, lambda w: ts.matmul(ARRAY, w)):
        w = ts.ones((2, 2)).requires_grad_()
        found = product(w)
        assert isinstance(found, ts.Tensor)
        found.sum().backward()
        assert w.grad.numpy().any()
    x = ts.ones((2, 2))
    x @= ARRAY
    np.testing.assert_array_equal(x.numpy(), np.ones((2, 2)) @ ARRAY)
    with pytest.raises(TypeError):
        x @ [1.0, 2.0]


MIXED = {
    "+": lambda x, y: x + y, "-": lambda x, y: x - y, "*": lambda x, y: x * y, "/": lambda x, y: x / y,
    "@": lambda x, y: x @ y, "**": lambda x, y: x**y, "//": lambda x, y: x // y, "%": lambda x, y: x % y,
    "<": lambda x, y: x < y, "==": lambda x, y: x == y, "matmul": ts.matmul, "vecdot": ts.vecdot, "outer": ts.outer,
    "tensordot": ts.tensordot, "where": lambda x, y: ts.where(ARRAY > 2, x, y), "maximum": ts.maximum,
    "isclose": ts.isclose, "concat": lambda x, y: ts.concat([x, y]), "stack": lambda x, y: ts.stack([x, y]),
    "isin": ts.isin, "einsum": lambda x, y: ts.einsum("ij,jk", x, y), "pow": ts.pow, "mse_loss": F.mse_loss,
    "linear": F.linear, "broadcast_arrays": lambda x, y: ts.broadcast_arrays(x, y)[0],
    "attention": lambda x, y: F.scaled_dot_product_attention(x, y, y),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(MIXED))
def test_an_array_beside_a_tensor_counts_as_one(name):
    function, x = MIXED[name], ts.asarray(ARRAY[::-1])
    meant = function(x, ts.asarray(ARRAY))
    found = function(x, ARRAY)
    assert isinstance(found, ts.Tensor)
    assert found.tolist() == meant.tolist()
    if name != "isclose":
        turned = function(ARRAY, x)
        assert isinstance(turned, ts.Tensor)
        assert turned.tolist() == function(ts.asarray(ARRAY), x).tolist()


ALONE = [
    ts.sum, ts.mean, ts.var, ts.std, ts.max, ts.argmax, ts.any, ts.logsumexp, lambda x: ts.cumulative_sum(x, axis=0), ts.count_nonzero,
    ts.diff, ts.sort, ts.argsort, ts.flip, ts.tril, ts.nonzero, ts.unique_values, ts.matrix_transpose, ts.abs,
    ts.nan_to_num, ts.real, ts.clip, ts.positive, F.relu, F.softmax, F.log_softmax, F.gelu, F.dropout,
    lambda x: ts.reshape(x, (-1,)), lambda x: ts.squeeze(x[None], 0), lambda x: ts.matmul(x, x), lambda x: ts.take(x, [1], axis=0),
    lambda x: F.layer_norm(x, 2), lambda x: F.batch_norm(x, None, None), lambda x: F.mse_loss(x, x),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(ALONE)))
def test_an_array_alone_counts_as_a_tensor(number):
    function = ALONE[number]
    ts.manual_seed(0)
    found = function(ARRAY)
    ts.manual_seed(0)
    meant = function(ts.asarray(ARRAY))
    assert type(found) is type(meant)
    assert str(found) == str(meant)
