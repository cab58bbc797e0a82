"""Random shapes, dtypes and layouts against NumPy."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tessella as ts

FLOATS = [np.float32, np.float64]
INTEGERS = [np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32]
SHAPES = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=6)


def elements(dtype):
    if np.dtype(dtype).kind == "f":
        return st.floats(-100, 100, width=32)
    info = np.iinfo(dtype)
    return st.integers(max(info.min, -100), min(info.max, 100))


@st.composite
def layouts(draw, dtypes=tuple(FLOATS + INTEGERS), shapes=SHAPES):
    """An array in memory of any order: transposed, reversed, with gaps."""
    dtype = draw(st.sampled_from(list(dtypes)))
    x = draw(hnp.arrays(dtype, shapes, elements=elements(dtype)))
    x = np.transpose(x, draw(st.permutations(range(x.ndim))))
    steps = tuple(slice(None, None, draw(st.sampled_from([1, -1, 2]))) for _ in range(x.ndim))
    return np.asarray(x[steps])


def same(got, expected, rtol=1e-5):
    got, expected = np.asarray(got), np.asarray(expected)
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, rtol=rtol, atol=1e-5)


@given(layouts(), layouts())
def test_arithmetic_broadcasts(x, y):
    try:
        shape = np.broadcast_shapes(x.shape, y.shape)
    except ValueError:
        return
    a, b = ts.asarray(x, copy=False), ts.asarray(y, copy=False)
    for ours, theirs in ((a + b, np.add), (a * b, np.multiply), (ts.maximum(a, b), np.maximum)):
        dtype = ours.dtype.numpy
        assert ours.shape == shape
        same(ours, theirs(x.astype(dtype), y.astype(dtype)))
    same(a < b, x.astype(dtype) < y.astype(dtype))


@given(layouts(), st.data())
def test_reductions(x, data):
    axes = data.draw(st.sets(st.sampled_from(range(x.ndim)))) if x.ndim else set()
    axis = tuple(axes)
    t = ts.asarray(x, copy=False)
    keep = data.draw(st.booleans())
    wide = np.float64 if x.dtype.kind == "f" else None
    same(ts.sum(t, axis=axis, keepdims=keep), np.sum(x, axis=axis, keepdims=keep, dtype=wide), 1e-4)
    if all(x.shape[i] for i in axis):
        same(ts.max(t, axis=axis, keepdims=keep), np.max(x, axis=axis, keepdims=keep))
        if x.size:
            assert ts.argmax(t).item() == np.argmax(x)
            for i in range(x.ndim):
                same(ts.argmin(t, axis=i), np.argmin(x, axis=i))
        if x.dtype.kind == "f" and x.size:
            variance = np.var(x.astype(np.float64), axis=axis, keepdims=keep)
            same(ts.var(t, axis=axis, keepdims=keep), variance, 1e-4)
    same(ts.any(t, axis=axis), np.any(x, axis=axis))


@given(layouts(shapes=hnp.array_shapes(min_dims=1, max_dims=4, max_side=6)), st.data())
def test_basic_indexing(x, data):
    index = data.draw(hnp.basic_indices(x.shape, allow_ellipsis=True, allow_newaxis=True))
    t = ts.asarray(x, copy=False)
    same(t[index], x[index])
    changed, value = np.array(x), x.dtype.type(7)
    changed[index] = value
    u = ts.asarray(x)
    u[index] = 7
    same(u, changed)
    same(t, x)


@given(layouts(shapes=hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=6)), st.data())
def test_integer_and_boolean_indexing(x, data):
    t = ts.asarray(x, copy=False)
    places = data.draw(hnp.integer_array_indices(x.shape))
    same(t[tuple(ts.asarray(p) for p in places)], x[places])
    mask = data.draw(hnp.arrays(bool, x.shape))
    same(t[ts.asarray(mask)], x[mask])
    u, changed = ts.asarray(x), np.array(x)
    u[ts.asarray(mask)] = 3
    changed[mask] = 3
    same(u, changed)


@given(layouts(dtypes=FLOATS), st.data())
def test_reshape_and_permute(x, data):
    order = data.draw(st.permutations(range(x.ndim)))
    t = ts.permute_dims(ts.asarray(x, copy=False), order)
    y = np.transpose(x, order)
    same(t, y)
    same(ts.reshape(t, (y.size,)), y.reshape(-1))
    same(ts.flip(t), np.flip(y))


@given(
    st.integers(0, 40), st.integers(0, 40), st.integers(0, 40),
    st.sampled_from([np.float32, np.float64, np.int32]), st.booleans(), st.booleans(),
)  # fmt: skip
def test_matmul(m, k, n, dtype, flip_x, flip_y):
    random = np.random.default_rng(m * 1681 + k * 41 + n)
    x = random.integers(-5, 6, (k, m) if flip_x else (m, k)).astype(dtype)
    y = random.integers(-5, 6, (n, k) if flip_y else (k, n)).astype(dtype)
    x, y = (x.T if flip_x else x), (y.T if flip_y else y)
    same(ts.asarray(x, copy=False) @ ts.asarray(y, copy=False), x @ y)


@given(
    layouts(dtypes=FLOATS, shapes=hnp.array_shapes(min_dims=1, max_dims=3, max_side=7)), st.data()
)
def test_scans(x, data):
    axis = data.draw(st.sampled_from(range(x.ndim)))
    t = ts.asarray(x, copy=False)
    same(ts.cumulative_sum(t, axis=axis), np.cumsum(x.astype(np.float64), axis=axis), 1e-4)
    same(ts.cumulative_max(t, axis=axis), np.maximum.accumulate(x, axis=axis))
    same(ts.sort(t, axis=axis), np.sort(x, axis=axis))
