"""Slices that begin at tensors: as NumPy's, eagerly and compiled, and as JAX's by their functions."""

import numpy as np
import pytest

import tessella as ts
from tessella.errors import DTypeError, IndexingError, ShapeError, TracedValueError

x = ts.reshape(ts.arange(60.0), (3, 4, 5))
line = ts.arange(10)


# --- x[i:i + n] ----------------------------------------------------------------------------------------

READS = {
    "one": lambda x, i: x[i : i + 2],
    "a later axis": lambda x, i: x[..., i + 1 : i + 3],
    "multiples": lambda x, i: x[:, i * 2 : (i + 1) * 2],
    "two axes": lambda x, i: x[i : i + 1, :, 2 * i : 2 * i + 3],
    "with others": lambda x, i: x[1, None, i : 3 + i, ::2],
    "a step": lambda x, i: x[:, i : i + 4 : 2],
    "backwards": lambda x, i: x[:, i + 2 : i : -1],
    "with an array": lambda x, i: x[i : i + 2, [3, 0]],
    "none": lambda x, i: x[i:i],
    "before it": lambda x, i: x[i - 2 : i],
}


WHOLE_AT = {"before it": 2}  # where a slice lies within its axis; for the others it is 0


@pytest.mark.parametrize("name", READS)
@pytest.mark.parametrize("dtype", [ts.int64, ts.int8, ts.uint64])
def test_reads(name, dtype):
    """As NumPy gives it, or an error where that is of another size."""
    read, array = READS[name], x.numpy()
    shape = read(array, WHOLE_AT.get(name, 0)).shape
    compiled = ts.jit(read)
    for i in range(4):
        expected = read(array, i)
        np.testing.assert_array_equal(read(x, ts.asarray(i, dtype=dtype)).numpy(), expected)
        if expected.shape == shape:
            found = compiled(x, ts.asarray(i, dtype=dtype))
            np.testing.assert_array_equal(found.numpy(), expected)
        else:
            with pytest.raises(IndexingError, match="has as many in every call"):
                compiled(x, ts.asarray(i, dtype=dtype))


def test_places_that_are_read_twice():
    """Equal operations on equal integers are one."""
    read = ts.jit(lambda x, places, k: x[places[k] // 2 : places[k] // 2 + 3])
    assert read(line, ts.asarray([4, 6]), ts.asarray(1)).tolist() == [3, 4, 5]
    inside = ts.jit(lambda x, i: ts.vmap(lambda row: row[i : i + 2])(x))
    assert inside(ts.reshape(line, (2, 5)), ts.asarray(2)).tolist() == [[2, 3], [7, 8]]


@pytest.mark.parametrize("step", [1, 2, 3, -1, -2])
@pytest.mark.parametrize("count", [1, 3, 4])
def test_every_start(step, count):
    """What the uncompiled function gives wherever it begins, or an error if that has another length."""
    compiled = ts.jit(lambda x, i: x[i : i + count * step : step])
    for i in range(-13, 14):
        expected = line.numpy()[i : i + count * step : step]
        if len(expected) == count:
            np.testing.assert_array_equal(compiled(line, ts.asarray(i)).numpy(), expected)
        else:
            with pytest.raises(IndexingError, match=f"has {len(expected)} elements.*here {count}"):
                compiled(line, ts.asarray(i))


@pytest.mark.parametrize(
    ("dtype", "start"), [(ts.uint8, 250), (ts.int8, 120), (ts.uint64, 2**64 - 5)]
)
def test_bounds_that_wrap(dtype, start):
    """Where i + n is too large for its dtype, the slice is what NumPy makes of what is left of it."""
    long, i = ts.arange(400), ts.asarray(start, dtype=dtype)
    assert (long[i : i + 10]).shape != (10,)
    with pytest.raises(IndexingError, match="has as many in every call"):
        ts.jit(lambda x, i: x[i : i + 10])(long, i)


def _whole(x, i, y):
    x = x + 0
    x[i : i + 2] = y
    return x


def _parts(x, i, y):
    x = x + 0
    x[i : i + 1, ::2, i + 1 : i + 4] = -y[0, 0, 0]
    x[..., i + 3 : i : -2] = 5
    return x


def _rows(x, i, y):
    x = x + 0
    x[i] = y[0]
    x[..., i] = 7
    x[1, i, 1:3] = -1
    return x


@pytest.mark.parametrize("write", [_whole, _parts, _rows])
def test_writes(write):
    y = np.arange(40.0, dtype=np.float32).reshape(2, 4, 5) + 100
    for i in (0, 1):
        expected = write(x.numpy(), i, y)
        for run in (write, ts.jit(write)):
            found = run(x, ts.asarray(i), ts.asarray(y))
            np.testing.assert_array_equal(found.numpy(), expected)


def test_a_place_out_of_range_is_not_written():
    def write(x, i):
        x = x + 0
        x[i] = 1
        return x

    with pytest.raises(IndexingError, match="index 10 is out of range for axis 0 of size 10"):
        ts.jit(write)(line, ts.asarray(10))
    assert ts.jit(write)(line, ts.asarray(-10)).tolist()[:2] == [1, 1]


def test_derivatives_and_batches():
    i = ts.asarray(4)

    def square(v, i):
        return (v[i : i + 3] ** 2).sum()

    v = line.astype(ts.float64)
    expected = [0.0] * 4 + [8.0, 10.0, 12.0] + [0.0] * 3
    assert ts.jit(ts.grad(square))(v, i).tolist() == ts.grad(square)(v, i).tolist() == expected
    _, along = ts.jit(lambda v: ts.jvp(lambda v: square(v, i), (v,), (ts.ones_like(v),)))(v)
    assert along.item() == 30.0
    starts = ts.asarray([0, 6, 3])
    for run in (lambda f: f, ts.jit):
        rows = run(ts.vmap(lambda i: line[i : i + 3]))(starts)
        assert rows.tolist() == [[0, 1, 2], [6, 7, 8], [3, 4, 5]]
        gradients = run(ts.vmap(ts.grad(square), in_axes=(None, 0)))(v, starts)
        assert gradients[1].tolist() == [0.0] * 6 + [12.0, 14.0, 16.0, 0.0]
        with pytest.raises(IndexingError, match="has 2 elements"):
            run(ts.vmap(lambda i: line[i : i + 3]))(starts + 2)


def _turn(buffer, i):
    before = buffer[i : i + 1].sum()
    buffer[i : i + 2] = buffer[i : i + 2] * 2 + before
    return buffer, before


def test_in_scans():
    v = ts.arange(6.0)
    carry, seen = ts.scan(_turn, v, ts.arange(5))
    compiled, also = ts.jit(lambda v: ts.scan(_turn, v, ts.arange(5)))(v)
    assert compiled.tolist() == carry.tolist()
    assert also.tolist() == seen.tolist()
    assert v.tolist() == list(range(6))

    def loss(v):
        return (ts.scan(_turn, v, ts.arange(5))[0] ** 2).sum()

    np.testing.assert_allclose(
        ts.jit(ts.grad(loss))(v).numpy(), ts.grad(loss)(v).numpy(), rtol=1e-5
    )


def test_in_while_loops():
    def fill(v, n):
        def body(state):
            i, v = state
            v[i : i + 2] = v[i - 1 : i + 1] + 1
            return i + 1, v

        return ts.while_loop(lambda state: state[0] < n, body, (ts.asarray(1), v))[1]

    v = ts.zeros(7)
    assert ts.jit(fill)(v, ts.asarray(6)).tolist() == fill(v, ts.asarray(6)).tolist()
    assert v.tolist() == [0.0] * 7


def test_what_cannot_be_known():
    for read in (lambda x, i: x[i:], lambda x, i: x[:i], lambda x, i: x[i : 2 * i]):
        with pytest.raises(
            TracedValueError, match=r"along axis 0: how many elements .* x\[i:i \+ n\]"
        ):
            ts.jit(read)(line, ts.asarray(3))
    with pytest.raises(IndexingError, match="11 elements with step 1 from axis 0, which has 10"):
        ts.jit(lambda x, i: x[i : i + 11])(line, ts.asarray(0))
    with pytest.raises(IndexingError, match="bounds must be integers or None, not a Tensor"):
        ts.jit(lambda x, i: x[i : i + 1])(line, ts.asarray(1.0))
    with pytest.raises(IndexingError, match="its step is 0; expected"):
        ts.jit(lambda x, i: x[i : i + 1 : 0])(line, ts.asarray(1))


# --- the functions -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("start", [-20, -10, -2, 0, 5, 8, 30])
def test_starts_are_moved(start):
    first = min(max(start + 10 if start < 0 else start, 0), 7)
    for given in (start, ts.asarray(start)):
        for run in (lambda f: f, ts.jit):
            block = run(lambda x, i: ts.dynamic_slice(x, (i,), 3))(line, given)
            assert block.tolist() == list(range(first, first + 3))
            written = run(lambda x, i: ts.dynamic_update_slice(x, ts.full(3, -1), [i]))(line, given)
            expected = list(range(10))
            expected[first : first + 3] = [-1] * 3
            assert written.tolist() == expected


def test_some_starts_are_numbers():
    i = ts.asarray(1)
    assert ts.dynamic_slice(x, (i, -1, i), (2, 1, 3)).tolist() == x[1:3, 3:4, 1:4].tolist()
    assert ts.dynamic_slice(x, ts.asarray([0, 1, 9]), (3, 2, 2)).tolist() == x[:, 1:3, 3:].tolist()
    written = ts.dynamic_update_slice(x, ts.zeros((1, 4, 2)), (i, 0, 3))
    assert written[1, :, 3:].sum() == 0
    assert (written == x).sum() == 60 - 8


@pytest.mark.parametrize("dtype", [ts.bool, ts.float16, ts.bfloat16, ts.complex64, ts.uint8])
def test_dtypes(dtype):
    v, i = (line % 2).astype(dtype), ts.asarray(3)
    block = ts.jit(lambda v, i: ts.dynamic_slice(v, (i,), (4,)))(v, i)
    assert block.tolist() == v[3:7].tolist()
    again = ts.jit(lambda v, b, i: ts.dynamic_update_slice(v, b, (i,)))(v, block, i)
    assert again.tolist() == v.tolist()


def test_messages():
    with pytest.raises(
        ShapeError, match=r"dynamic_slice: 1 starts for a tensor of shape \(3, 4, 5\); give one"
    ):
        ts.dynamic_slice(x, (0,), (1, 1, 1))
    with pytest.raises(
        ShapeError, match=r"dynamic_slice: sizes: \(11,\) for a tensor of shape \(10,\)"
    ):
        ts.dynamic_slice(line, (0,), 11)
    with pytest.raises(DTypeError, match="the start of axis 0 is float32; expected an integer"):
        ts.dynamic_slice(line, (ts.asarray(1.0),), 1)
    with pytest.raises(ShapeError, match=r"starts have shape .* expected one vector"):
        ts.dynamic_slice(line, ts.asarray([[1]]), 1)
    with pytest.raises(
        DTypeError, match=r"update is float32, the tensor int64.*astype\(ts.int64\)"
    ):
        ts.dynamic_update_slice(line, ts.ones(2), (0,))
    with pytest.raises(ShapeError, match="dynamic_update_slice: update: "):
        ts.dynamic_update_slice(line, ts.full((1, 2), 1), (0,))
    with pytest.raises(TypeError, match="starts is 'a'; expected integers and tensors of one"):
        ts.dynamic_slice(line, "a", 1)
