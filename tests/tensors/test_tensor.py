"""What a tensor is: a handle on data that others may share, and how it shows itself."""

import copy
import gc
import pickle
import weakref

import numpy as np
import pytest

import tessella as ts
from tessella import errors


def random(*shape, dtype=np.float32):
    return np.random.default_rng(0).standard_normal(shape).astype(dtype)


# --- views, and no aliasing surprises --------------------------------------------------------------


def test_views_share_memory():
    x = ts.asarray(random(4, 6))
    address = x._value.address
    for view in (
        x.reshape(24), x.reshape(2, 2, 6), x.T, ts.permute_dims(x, (1, 0)), x[None],
        ts.broadcast_to(x, (3, 4, 6)), ts.expand_dims(x, axis=1), ts.squeeze(x[None], axis=0),
        ts.flip(x)[::-1, ::-1], ts.sliding_window(x, (2, 2)), x[:, ::3],
    ):  # fmt: skip
        assert view._value.address == address
    assert x[2]._value.address == address + 2 * 6 * 4
    assert x[::-2]._value.address == address + 3 * 6 * 4


@pytest.mark.parametrize(
    "view",
    [
        lambda x: x.reshape(x.shape), lambda x: x.permute_dims((0, 1)), lambda x: x.broadcast_to(x.shape),
        lambda x: x[:], lambda x: x.squeeze(), lambda x: x.view(2, 3), lambda x: x.detach(), lambda x: x.roll(0),
        lambda x: x.astype(x.dtype), lambda x: +x, ts.positive, ts.real, ts.conj, lambda x: x.real, ts.atleast_1d,
        lambda x: ts.atleast_3d(x[None])[0], lambda x: x.rot90(4), lambda x: x.roll(0, 1), lambda x: x.flip(()),
        lambda x: x.clip(), lambda x: ts.tile(x, (1, 1)), lambda x: ts.concat([x]), lambda x: ts.roll(x, 3, axis=1),
        lambda x: x.expand(2, 3), lambda x: x.moveaxis(0, 0), lambda x: x.swapaxes(1, 1), lambda x: x.flatten(0, 0),
    ],
)  # fmt: skip
@pytest.mark.parametrize("through", [lambda function: function, ts.jit], ids=["eager", "jit"])
def test_what_is_all_of_a_tensor_is_a_handle_of_its_own(view, through):
    def both(x):
        y = view(x)
        y += 1
        return x, y

    kept, raised = through(both)(ts.zeros((2, 3)))
    assert kept.tolist() == [[0.0] * 3] * 2
    assert raised.tolist() == [[1.0] * 3] * 2
    x = ts.zeros((2, 3))
    assert view(x) is not x
    x.add_(1)  # x itself is no view
    assert x.tolist() == raised.tolist()
    leaf = ts.ones((2, 3)).requires_grad_()
    if view(leaf).requires_grad:
        (view(leaf) * 3).sum().backward()
        assert leaf.grad.tolist() == [[3.0] * 3] * 2


def test_assignment_leaves_views_as_they_were():
    data = random(4, 6)
    x = ts.asarray(data)
    row, whole, numpy = x[1], x.reshape(24), x.numpy()
    x[1] = 7
    x += 1
    assert row.numpy().tolist() == data[1].tolist()
    assert whole.numpy().tolist() == data.reshape(24).tolist()
    assert numpy.tolist() == data.tolist()
    expected = data.copy()
    expected[1] = 7
    np.testing.assert_array_equal(x.numpy(), expected + 1)


def test_a_name_of_the_same_tensor_sees_the_assignment():
    x = ts.zeros(3)
    y = x
    x[0] = 5
    x *= 2
    assert y is x
    assert y.tolist() == [10.0, 0.0, 0.0]


def test_asarray_copies_unless_told_not_to():
    data = random(3)
    copied, shared = ts.asarray(data), ts.asarray(data, copy=False)
    data[0] = 100
    assert copied[0].item() != 100
    assert shared[0].item() == 100
    with pytest.raises(ValueError, match="read-only"):
        copied.numpy()[0] = 1


@pytest.mark.parametrize(
    "operator", ["+=", "-=", "*=", "/=", "//=", "%=", "**=", "@=", "&=", "<<="]
)
def test_in_place_operators(operator):
    dtype = np.int32 if operator in ("&=", "<<=") else np.float32
    values = np.array([[4, 9], [2, 5]], dtype)
    names = {"x": ts.asarray(values), "y": ts.asarray(values), "a": values.copy()}
    other = np.array([[2, 3], [1, 2]], dtype)
    names.update(b=ts.asarray(other), c=other)
    kept = names["x"]
    exec(f"x {operator} b; a = a {operator[:-1]} c", names)
    assert names["x"] is kept
    np.testing.assert_allclose(names["x"].numpy(), names["a"], rtol=1e-6)
    np.testing.assert_array_equal(names["y"].numpy(), values)


def test_in_place_keeps_dtype_and_shape():
    x = ts.asarray([1, 2])
    with pytest.raises(errors.DTypeError, match="float32"):
        x += 0.5
    with pytest.raises(errors.ShapeError):
        x += ts.ones((2, 2), dtype=ts.int64)
    assert x.tolist() == [1, 2]


def test_assignment_of_strange_shapes():
    x, expected = ts.zeros((3, 4, 5)), np.zeros((3, 4, 5), np.float32)
    for key in (
        (slice(None, None, -2), 1), (..., 2), (None, 1, slice(1, 3)), (slice(2, 2),),
        ([0, 2], [1, 3]), (slice(None), [1, 1, 2], slice(0, 5, 2)), (1, [0, 3], 2), (-1, -1, -1),
    ):  # fmt: skip
        value = np.random.default_rng(1).standard_normal(expected[key].shape).astype(np.float32)
        own = tuple(ts.asarray(k) if isinstance(k, list) else k for k in key)
        if isinstance(key[1] if len(key) > 1 else None, list) and key[1] == [1, 1, 2]:
            value[:, 0] = value[:, 1]  # the order of doubled places is not defined
        x[own] = ts.asarray(value)
        expected[key] = value
        np.testing.assert_array_equal(x.numpy(), expected)


# --- conversions -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [d.name for d in ts.dtypes.ALL])
def test_every_dtype_survives_copying_pickling_and_numpy(name):
    dtype = getattr(ts.dtypes, "bool_" if name == "bool" else name)
    data = (np.arange(12).reshape(3, 4) % 2).astype(dtype.numpy)
    x = ts.asarray(data)
    assert x.dtype is dtype
    for same in (pickle.loads(pickle.dumps(x.T)).T, copy.deepcopy(x), copy.copy(x), x.copy()):
        assert same.dtype is dtype
        assert same.numpy().tobytes() == data.tobytes()
    assert np.asarray(x).dtype == data.dtype
    if name != "bfloat16":
        assert np.from_dlpack(x).tobytes() == data.tobytes()
        assert ts.from_dlpack(data).numpy().tobytes() == data.tobytes()
    assert ts.from_dlpack(x).numpy().tobytes() == data.tobytes()


def test_deepcopy_and_pickle_keep_what_a_leaf_is():
    x = ts.asarray([1.0, 2.0]).requires_grad_()
    (x * x).sum().backward()
    y = copy.deepcopy(x)
    assert y.requires_grad
    assert y.grad.tolist() == [2.0, 4.0]
    y.grad = None
    assert x.grad is not None
    z = pickle.loads(pickle.dumps(x))
    assert z.requires_grad
    assert z.is_leaf
    with pytest.raises(errors.GradientError, match="only leaves can be copied"):
        copy.deepcopy(x * 2)


def test_numbers_and_lists():
    assert ts.asarray(3).item() == 3
    assert isinstance(ts.asarray(3).item(), int)
    assert float(ts.asarray([[2.5]])) == 2.5
    assert complex(ts.asarray(1 + 2j)) == 1 + 2j
    assert [10, 20, 30][ts.asarray(1)] == 20
    assert ts.asarray([[1, 2], [3, 4]]).tolist() == [[1, 2], [3, 4]]
    assert ts.asarray(5.0).tolist() == 5.0
    assert ts.zeros((2, 0)).tolist() == [[], []]
    assert bool(ts.asarray([True]))
    assert 2 in ts.asarray([1, 2])
    assert [int(x) for x in ts.asarray([1, 2, 3])] == [1, 2, 3]
    assert len(ts.zeros((4, 2))) == 4
    assert hash(ts.asarray(1)) is not None
    with pytest.raises(TypeError, match="integer"):
        [1, 2][ts.asarray(1.0)]
    assert f"{ts.asarray(2.5):.2f}" == "2.50"


def test_dlpack_says_what_it_cannot():
    with pytest.raises(errors.ArgumentTypeError, match="__dlpack__"):
        ts.from_dlpack([1, 2])
    with pytest.raises(BufferError, match="stream"):
        ts.ones(2).__dlpack__(stream=1)
    with pytest.raises(errors.DeviceError, match="'cuda'"):
        ts.from_dlpack(np.ones(2), device="cuda")
    assert ts.ones(2).__dlpack_device__() == (1, 0)


def test_memory_of_others_lives_as_long_as_a_view():
    class Data(np.ndarray):
        pass

    data = np.ones(1000).view(Data)
    alive = weakref.ref(data)
    x = ts.asarray(data, copy=False)[10:]
    del data
    gc.collect()
    assert x.sum().item() == 990
    del x
    gc.collect()
    assert alive() is None


# --- repr ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tensor", "text"),
    [
        (lambda: ts.asarray([1.0, 2.5]), "tensor([1. , 2.5])"),
        (lambda: ts.asarray([1, -2]), "tensor([ 1, -2])"),
        (lambda: ts.asarray([True]), "tensor([ True])"),
        (lambda: ts.asarray(3.0), "tensor(3.)"),
        (lambda: ts.zeros((0, 3)), "tensor([], shape=(0, 3))"),
        (lambda: ts.asarray([1], dtype=ts.int8), "tensor([1], dtype=int8)"),
        (lambda: ts.asarray([1.5], dtype=ts.bfloat16), "tensor([1.5], dtype=bfloat16)"),
        (lambda: ts.asarray([1.0]).requires_grad_(), "tensor([1.], requires_grad=True)"),
        (lambda: ts.asarray([1.0]).requires_grad_() * 2, "tensor([2.], grad_fn=multiply)"),
        (lambda: ts.asarray([np.nan, np.inf]), "tensor([nan, inf])"),
    ],
)
def test_repr(tensor, text):
    assert repr(tensor()) == text


def test_repr_summarises():
    text = repr(ts.zeros((2000, 3000)))
    assert "..." in text
    assert len(text) < 1000
    assert "shape=(2000, 3000)" in text


# --- nothing and zero axes ----------------------------------------------------------------------------


def test_zero_sizes_everywhere():
    empty = ts.zeros((3, 0, 2)).requires_grad_()
    for result, shape in (
        (empty + 1, (3, 0, 2)), (empty.sum(axis=1), (3, 2)), (empty.reshape(0, 7), (0, 7)),
        (empty[:, :, 0], (3, 0)), (ts.concat([empty, empty], axis=1), (3, 0, 2)),
        (ts.permute_dims(empty, (2, 0, 1)), (2, 3, 0)),
        (ts.matmul(empty, ts.ones((2, 4))), (3, 0, 4)), (ts.cumulative_sum(empty, axis=1), (3, 0, 2)),
        (ts.sort(empty, axis=0), (3, 0, 2)), (ts.where(empty > 0, empty, 1.0), (3, 0, 2)),
        (ts.take(empty, ts.asarray([], dtype=ts.int64), axis=0), (0, 0, 2)), (ts.prod(empty), ()),
    ):  # fmt: skip
        assert result.shape == shape
    (empty * 2).sum().backward()
    assert empty.grad.shape == (3, 0, 2)
    assert ts.prod(ts.zeros(0)).item() == 1
    assert ts.all(ts.zeros(0)).item() is True
    assert (ts.ones((2, 0)) @ ts.ones((0, 3))).tolist() == [[0.0] * 3] * 2


def test_zero_axes_everywhere():
    x = ts.asarray(2.0).requires_grad_()
    y = (x * x + ts.exp(x)).sum() + ts.stack([x, x]).max() + x.reshape(1, 1)[0, 0]
    y.backward()
    assert y.shape == ()
    assert x.grad.item() == pytest.approx(4 + np.exp(2) + 1 + 1, rel=1e-6)
    assert x[...].item() == 2
    assert x[None].shape == (1,)
    assert ts.cumulative_sum(ts.asarray([1.0]), axis=0).item() == 1
    with pytest.raises(errors.IndexingError):
        x[0]
    with pytest.raises(errors.ArgumentTypeError, match="iterated"):
        iter(x)
