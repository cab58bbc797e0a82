"""Tensors of storage dtypes: they are moved, compared, shown, saved and packed; nothing is computed in them."""

import copy
import pickle

import ml_dtypes
import numpy as np
import pytest

import tessella as ts
from tessella import dtypes, errors
from tessella.errors import DTypeError, GradientError, ShapeError
from tessella.nn import functional as F

KINDS = [ts.float8_e4m3fn, ts.float8_e8m0fnu, ts.float4_e2m1fn, ts.int4, ts.uint2]
named = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
every = pytest.mark.parametrize("kind", dtypes.STORAGE, ids=lambda kind: kind.name)


def numbers(kind):
    """Six of them, as NumPy's array and as a tensor."""
    data = np.array([1, 2, 3, 0, 2, 1], np.uint8).view(kind.numpy)
    return data, ts.asarray(data)


def same(x, expected):
    return x.numpy().dtype == expected.dtype and x.numpy().tobytes() == expected.tobytes()


MOVES = {
    "reshape": (lambda x: x.reshape((2, 3)).T.reshape((6,)), lambda x: x.reshape(2, 3).T.reshape(6)),
    "slice": (lambda x: x[::-2], lambda x: x[::-2]),
    "concat": (lambda x: ts.concat([x[2:], x]), lambda x: np.concatenate([x[2:], x])),
    "gather": (lambda x: x[ts.asarray([3, 0, 3])], lambda x: x[[3, 0, 3]]),
    "where": (lambda x: ts.where(ts.arange(6) < 2, x, x[0]), lambda x: np.where(np.arange(6) < 2, x, x[0])),
    "pad": (lambda x: ts.pad(x, [(1, 2)], 1), lambda x: np.pad(x.astype(np.float32), (1, 2), constant_values=1).astype(x.dtype)),
    "tile": (lambda x: ts.tile(x, (2,)), lambda x: np.tile(x, 2)),
    "roll": (lambda x: ts.roll(x, 2), lambda x: np.roll(x, 2)),
    "stack": (lambda x: ts.stack([x, x], axis=1), lambda x: np.stack([x, x], 1)),
    "expand": (lambda x: ts.broadcast_to(x, (2, 6)).copy(), lambda x: np.tile(x, (2, 1))),
}  # fmt: skip


@pytest.mark.parametrize("kind", [ts.float8_e8m0fnu, ts.int4], ids=lambda kind: kind.name)
@pytest.mark.parametrize("move", MOVES)
def test_they_are_moved(kind, move):
    ours, theirs = MOVES[move]
    data, x = numbers(kind)
    assert same(ours(x), theirs(data))
    assert same(ts.jit(ours)(x), theirs(data))


@named
def test_a_part_is_replaced(kind):
    data, x = numbers(kind)
    x[1:3] = x[0]
    x[5] = 1
    data[1:3] = data[0]
    data[5] = 1
    assert same(x, data)


@named
def test_they_are_compared_as_numbers(kind):
    data = np.arange(1 << kind.bits, dtype=np.uint8).view(kind.numpy)
    x, wide = ts.asarray(data), data.astype(np.float32)
    assert np.array_equal((x == data[::-1]).numpy(), wide == wide[::-1])
    assert np.array_equal(ts.less(0.3, x).numpy(), wide > 0.3)
    for compare in (
        lambda x: x == x[::-1],
        lambda x: x < x[::-1],
        lambda x: x != 1,
        lambda x: x < 0.3,
    ):
        assert np.array_equal(compare(x).numpy(), compare(wide))
    assert np.array_equal(ts.jit(lambda x: x >= x[::-1])(x).numpy(), wide >= wide[::-1])
    assert np.array_equal(ts.isnan(x).numpy(), np.isnan(wide))
    assert np.array_equal(ts.isfinite(x).numpy(), np.isfinite(wide))
    assert ts.allclose(x, x, equal_nan=True)


@named
def test_nothing_is_computed_in_them(kind):
    _, x = numbers(kind)
    square, wide = x.reshape((2, 3)), f"x.astype(ts.{kind.compute.name})"
    for function in (
        lambda: x + x, lambda: 1 * x, lambda: -x, lambda: x.sum(), lambda: square @ square.T, lambda: ts.sqrt(x),
        lambda: ts.sort(x), lambda: ts.cumulative_sum(x), lambda: ts.max(x), lambda: ts.jit(lambda x: x * x)(x),
        lambda: ts.unique_values(x), lambda: ts.exp(x), lambda: x / 1, lambda: ts.std(x), lambda: ts.softmax(x),
        lambda: ts.logsumexp(x),
    ):  # fmt: skip
        with pytest.raises(DTypeError) as told:
            function()
        assert kind.name in str(told.value) or "has no fractions" in str(told.value)
        assert wide in str(told.value) or "x.astype(ts.float32)" in str(told.value)
    with pytest.raises(
        DTypeError, match=r"add: .* is a storage dtype, nothing is computed in it; convert"
    ):
        x + x
    with pytest.raises(DTypeError, match=r"sum: .* is a storage dtype"):
        x.sum()


SQUARE = ts.ones((2, 2), dtype=ts.float8_e5m2)
IMAGE = ts.ones((1, 1, 4, 4), dtype=ts.float8_e5m2)
CALLED = {  # by the name that the error begins with
    "matmul": lambda: SQUARE @ SQUARE, "mv": lambda: ts.mv(SQUARE, ts.ones(2)), "sort": lambda: SQUARE.sort(),
    "argsort": lambda: ts.argsort(SQUARE), "mean": lambda: SQUARE.mean(), "clip": lambda: ts.clip(SQUARE, 0, 1),
    "einsum": lambda: ts.einsum("ij,jk", SQUARE, ts.ones((2, 2))), "quantile": lambda: ts.quantile(SQUARE, 0.5),
    "softmax": lambda: ts.softmax(SQUARE), "norm": lambda: ts.norm(SQUARE), "cov": lambda: ts.cov(SQUARE),
    "logsumexp": lambda: ts.logsumexp(SQUARE), "multiply": lambda: SQUARE * ts.ones(2), "exp": lambda: SQUARE.exp(),
    "gelu": lambda: F.gelu(SQUARE), "linear": lambda: F.linear(ts.ones((2, 2)), SQUARE),
    "conv2d": lambda: F.conv2d(IMAGE, IMAGE), "mse_loss": lambda: F.mse_loss(SQUARE, SQUARE),
    "binary_cross_entropy": lambda: F.binary_cross_entropy(SQUARE, SQUARE), "concat": lambda: ts.concat([SQUARE, ts.ones((2, 2))]),
    "cross_entropy": lambda: F.cross_entropy(SQUARE, ts.asarray([0, 1])),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLED)
def test_the_error_names_the_function_that_was_called(name):
    for call in (CALLED[name], ts.jit(CALLED[name])):
        with pytest.raises(DTypeError, match="is a storage dtype") as told:
            call()
        assert told.value.operation == name
        assert f"{name}: " in str(told.value)
        assert str(pickle.loads(pickle.dumps(told.value))) == str(told.value)


def test_a_function_of_users_is_no_function_of_ours():
    with pytest.raises(DTypeError, match="square: float8_e5m2 is a storage dtype"):
        ts.vmap(lambda x: ts.square(x))(SQUARE)


@every
def test_they_promote_with_nothing(kind):
    assert ts.result_type(kind, kind) is kind
    assert ts.can_cast(kind, kind)
    assert not ts.can_cast(kind, ts.float64)
    assert not ts.can_cast(ts.bool, kind)
    message = rf"cannot mix .*: {kind.name} is a storage dtype and promotes with nothing; convert"
    with pytest.raises(DTypeError, match=message):
        ts.result_type(ts.float32, kind)
    _, x = numbers(kind)
    with pytest.raises(DTypeError, match=message):
        ts.concat([x, ts.ones(2)])
    with pytest.raises(DTypeError, match="multiply: " + message):
        ts.ones(6) * x


@every
def test_what_they_are_is_told(kind):
    data, x = numbers(kind)
    assert x.dtype is kind
    assert x.nbytes == 6
    assert repr(x).endswith(f"dtype={kind.name})")
    assert repr(kind) == f"tessella.{kind.name}"
    assert x[1].item() == data[1].astype(np.float32)
    assert x[:3].tolist() == data[:3].astype(np.float32).tolist()
    assert ts.dtypes.as_dtype(kind.name) is kind
    assert ts.dtypes.as_dtype(kind.numpy) is kind
    assert pickle.loads(pickle.dumps(kind)) is kind
    assert ts.isdtype(kind, "real floating") is kind.is_float
    assert ts.isdtype(kind, "integral") is kind.is_integer
    assert kind not in ts.__array_namespace_info__().dtypes().values()


@every
def test_their_limits_are_told(kind):
    if kind.is_integer:
        found, theirs = ts.iinfo(kind), ml_dtypes.iinfo(kind.numpy)
        assert (found.min, found.max, found.bits) == (theirs.min, theirs.max, kind.bits)
        return
    found, theirs = ts.finfo(kind), ml_dtypes.finfo(kind.numpy)
    assert (found.max, found.min) == (float(theirs.max), float(theirs.min))
    assert (found.eps, found.smallest_normal) == (float(theirs.eps), float(theirs.smallest_normal))
    assert found.bits == kind.bits


@every
def test_copies_are_the_same_bits(kind):
    data, x = numbers(kind)
    for copied in (
        copy.deepcopy(x),
        pickle.loads(pickle.dumps(x)),
        x.copy(),
        ts.asarray(x.numpy()),
    ):
        assert same(copied, data)


@named
def test_they_are_made(kind):
    ones = np.ones(3).astype(kind.numpy)
    assert same(ts.ones(3, dtype=kind), ones)
    assert same(ts.full((3,), 1, dtype=kind), ones)
    assert same(ts.asarray([1, 1.0, 1], dtype=kind), ones)
    assert same(ts.jit(lambda x: ts.ones_like(x))(ts.asarray(ones)), ones)
    assert same(ts.arange(1, 3, dtype=kind), np.array([1, 2]).astype(kind.numpy))


def test_integers_that_do_not_fit_are_refused():
    with pytest.raises(ts.TessellaError, match=r"do not fit in int4 \(-8 to 7\)"):
        ts.asarray([8], dtype=ts.int4)
    with pytest.raises(ts.TessellaError, match=r"9 does not fit in int4 \(-8 to 7\)"):
        ts.zeros(2, dtype=ts.int4)[0] = 9


def test_no_leaf_is_of_a_storage_dtype():
    with pytest.raises(GradientError, match="this one is float8_e5m2, a storage dtype; convert"):
        ts.ones(2).astype(ts.float8_e5m2).requires_grad_()
    with pytest.raises(DTypeError, match="set_default_dtype: float8_e5m2 was given"):
        ts.set_default_dtype(ts.float8_e5m2)


def test_a_module_keeps_its_weights_in_a_storage_dtype():
    class Kept(ts.nn.Module):
        def __init__(self):
            super().__init__()
            weight = ts.asarray([[1.0, 3.0], [-2.0, 0.5]])
            self.register_buffer("weight", weight.astype(ts.float8_e4m3fn))
            self.scale = ts.nn.Parameter(ts.ones(2))

        def forward(self, x):
            return x @ self.weight.astype(x.dtype) * self.scale

    module = Kept().to(ts.bfloat16)
    assert module.weight.dtype is ts.float8_e4m3fn
    assert ts.jit(module)(ts.ones((1, 2), dtype=ts.bfloat16)).tolist() == [[-1.0, 3.5]]
    with pytest.raises(DTypeError, match="to: float8_e5m2 given; parameters are floating, and"):
        module.to(ts.float8_e5m2)
    layer = ts.nn.Linear(2, 1)
    stored = {name: x.detach().astype(ts.float8_e5m2) for name, x in layer.state_dict().items()}
    layer.load_state_dict(stored)
    assert layer.weight.dtype is ts.float32
    assert np.array_equal(layer.weight.numpy(), stored["weight"].numpy().astype(np.float32))


def test_gradients_pass_in_the_dtype_of_computation():
    """They are rounded nowhere on the way: 1000 is no float8_e4m3fn, and 1/3 is none either."""

    def loss(w):
        stored = w.astype(ts.float8_e4m3fn)
        joined = ts.concat([stored[::-1], ts.where(w > 1, stored, 0), stored[ts.asarray([0, 0])]])
        return (
            joined.astype(ts.float32) * ts.asarray([1000, 1000, 1000, 1 / 3, 1 / 3, 1 / 3, 1, 1])
        ).sum()

    w = ts.asarray([0.5, 2.0, 3.3])
    third = np.float32(1 / 3)
    expected = np.array([1002, np.float32(1000) + third, np.float32(1000) + third], np.float32)
    for gradient in (ts.grad(loss), ts.jit(ts.grad(loss)), ts.jit(lambda w: ts.jacfwd(loss)(w))):
        np.testing.assert_allclose(gradient(w).numpy(), expected, rtol=1e-6)
    leaf = w.detach().requires_grad_()
    loss(leaf).backward()
    assert leaf.grad.dtype is ts.float32
    np.testing.assert_allclose(leaf.grad.numpy(), expected, rtol=1e-6)


def test_batches_of_them():
    x = ts.asarray(np.arange(6.0).reshape(2, 3)).astype(ts.int4)
    got = ts.vmap(lambda row: ts.concat([row, row[:1]]).astype(ts.float32) * 2)(x)
    assert got.tolist() == [[0, 2, 4, 0], [6, 8, 10, 6]]


def test_a_compiled_function_keeps_weights_in_eight_bits():
    weights = ts.asarray(np.linspace(-2, 2, 12, dtype=np.float32).reshape(3, 4))
    scale = ts.max(ts.abs(weights)) / 448
    stored = (weights / scale).astype(ts.float8_e4m3fn)

    @ts.jit
    def layer(x):
        return x @ (stored.astype(ts.float32) * scale)

    x = ts.asarray(np.eye(3, dtype=np.float32))
    expected = stored.numpy().astype(np.float32) * scale.numpy()
    np.testing.assert_allclose(layer(x).numpy(), expected, rtol=1e-6)
    np.testing.assert_allclose(layer(x).numpy(), weights.numpy(), atol=0.13)


@pytest.mark.parametrize("kind", [ts.float8_e4m3fn, ts.float8_e5m2], ids=lambda kind: kind.name)
@pytest.mark.peers
def test_conversions_are_those_of_pytorch(kind):
    import torch

    x = np.random.default_rng(1).standard_normal(1000).astype(np.float32) * 100
    x[0] = (
        np.nan
    )  # beyond the range they differ: PyTorch makes 448 of what is NaN here, in JAX and in `ml_dtypes`
    x[1:] = np.clip(x[1:], -448, 448)
    theirs = torch.from_numpy(x).to(getattr(torch, kind.name))
    ours = ts.asarray(x).astype(kind)
    assert np.array_equal(ours.astype(ts.float32).numpy(), theirs.float().numpy(), equal_nan=True)
    shared = ts.from_dlpack(theirs)
    assert shared.dtype is kind
    assert shared.numpy().tobytes() == theirs.view(torch.uint8).numpy().tobytes()
    assert torch.from_dlpack(ours).dtype is theirs.dtype


PACKED = [kind for kind in dtypes.STORAGE if kind.bits in (2, 4)]


@pytest.mark.parametrize("kind", PACKED, ids=lambda kind: kind.name)
def test_they_are_packed(kind):
    each, count = 8 // kind.bits, 7
    words = np.random.default_rng(2).integers(0, 1 << kind.bits, (3, count, 2), dtype=np.uint8)
    x = ts.asarray(words.view(kind.numpy))
    full = np.zeros((3, -(-count // each) * each, 2), np.uint8)
    full[:, :count] = words
    expected = sum(full[:, place::each] << place * kind.bits for place in range(each))
    for packing in (lambda x: ts.pack(x, axis=1), ts.jit(lambda x: ts.pack(x, axis=1))):
        assert np.array_equal(packing(x).numpy(), expected)
    back = ts.unpack(ts.pack(x, axis=1), kind, count, axis=1)
    assert same(back, words.view(kind.numpy))
    whole = ts.unpack(ts.pack(x, axis=1), kind, axis=1)
    assert whole.shape == full.shape
    assert same(ts.unpack(ts.pack(x.reshape((-1,))), kind, 42), words.reshape(-1).view(kind.numpy))


def test_what_cannot_be_packed():
    packed = ts.pack(ts.asarray([1, 2], dtype=ts.int4))
    with pytest.raises(
        DTypeError, match="pack: float8_e5m2 was given; expected one of int4, uint4"
    ):
        ts.pack(ts.ones(2).astype(ts.float8_e5m2))
    with pytest.raises(DTypeError, match="unpack: float32 was given; expected one of int4, uint4"):
        ts.unpack(packed, ts.float32)
    with pytest.raises(DTypeError, match="unpack: x is int64; expected uint8"):
        ts.unpack(ts.arange(3), ts.int4)
    with pytest.raises(ShapeError, match="unpack: size is 3; 1 bytes hold 2 numbers of int4"):
        ts.unpack(packed, ts.int4, 3)


def test_what_dlpack_has_no_word_for():
    with pytest.raises(BufferError, match=r"int4 is kept in a byte each here.*ts\.pack\(x\)"):
        ts.asarray([1], dtype=ts.int4).__dlpack__()


def test_lists_of_them_keep_their_dtype():
    x = ts.asarray([-8, 7, 3], dtype=ts.int4)
    for made in (
        ts.asarray([x[0], x[1]]),
        ts.asarray([[x[0]], [x[1]]]).flatten(),
        ts.asarray([*x.numpy()[:2]]),
    ):
        assert made.dtype is ts.int4
        assert made.tolist() == [-8, 7]
    assert ts.asarray([x, x]).dtype is ts.int4
    assert ts.jit(lambda: ts.asarray([x[0], x[1]]))().dtype is ts.int4
    assert ts.asarray([x[1], 3]).dtype is ts.int4  # numbers adapt to what has a dtype
    with pytest.raises(errors.ArgumentError, match=r"do not fit in int4 \(-8 to 7\)"):
        ts.asarray([x[0], 300])
    with pytest.raises(DTypeError, match="int4 is a storage dtype and promotes with nothing"):
        ts.asarray([x[0], ts.ones((), dtype=ts.int32)])


@pytest.mark.parametrize(
    "kind", [ts.float8_e4m3fn, ts.float8_e5m2, ts.float4_e2m1fn], ids=lambda kind: kind.name
)
def test_they_are_drawn(kind):
    key = ts.random.key(0)
    for low, high in ((0.0, 1.0), (-1.0, 3.0)):
        for x in (
            ts.random.uniform(key, (300,), kind, low, high),
            ts.random.default.uniform((300,), low, high, dtype=kind),
        ):
            wide = x.numpy().astype(np.float32)
            assert x.dtype is kind
            assert low <= wide.min() < wide.max() < high
    for x in (
        ts.rand(3, dtype=kind),
        ts.random.default.normal((3,), 1.0, 2.0, dtype=kind),
        ts.random.normal(key, (3,), kind),
    ):
        assert x.dtype is kind


def test_dtypes_that_nothing_can_be_drawn_in():
    with pytest.raises(DTypeError, match="rand: dtype is int4; expected a floating one"):
        ts.rand(3, dtype=ts.int4)
    with pytest.raises(DTypeError, match="float8_e8m0fnu; expected a floating one that has a zero"):
        ts.rand(3, dtype=ts.float8_e8m0fnu)
    with pytest.raises(
        errors.ArgumentError, match="poisson: dtype is int4, which holds numbers to 7, and those"
    ):
        ts.random.poisson(ts.random.key(0), 1.0, (3,), ts.int4)
