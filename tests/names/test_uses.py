"""Uses of PyTorch and NumPy: in place, pairs, NumPy's functions, decorators, defaults."""

import threading

import numpy as np
import pytest

import tessella as ts
from tessella import errors


def matrix():
    return ts.asarray([[3.0, 1.0, 2.0], [4.0, 6.0, 5.0], [9.0, 7.0, 1.0]])


# --- in place ------------------------------------------------------------------------------------


def test_in_place_spellings_rebind_the_handle():
    x = ts.asarray([1.0, 2.0])
    y, seen = x, x.numpy()
    assert x.add_(1.0) is x
    x.mul_(2).clamp_(max=5.0)
    assert y.tolist() == [4.0, 5.0]
    assert seen.tolist() == [1.0, 2.0]  # data is never written over
    assert x.copy_(ts.asarray([7, 8])).dtype is ts.float32
    assert x.fill_(3).tolist() == [3.0, 3.0]
    assert x.zero_().tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    "view",
    [
        lambda x: x[0], lambda x: x[:, 1], lambda x: x.view(-1), lambda x: x.reshape(9), lambda x: x.T,
        lambda x: x.unsqueeze(0), lambda x: x.expand(2, 3, 3),
        lambda x: x.flip(0), lambda x: x.unbind()[0], lambda x: x.narrow(0, 0, 2), lambda x: x[0][1],
        lambda x: x.split(2)[0],
    ],
)  # fmt: skip
def test_a_view_says_that_nothing_is_written_through_it(view):
    x = matrix()
    for write in (lambda v: v.add_(1), lambda v: v.zero_(), lambda v: v.fill_(2.0)):
        with pytest.raises(errors.ArgumentError, match="a view of another one, of shape"):
            write(view(x))
    assert x.tolist() == matrix().tolist()


@pytest.mark.parametrize(
    "whole", [lambda x: x.detach(), lambda x: x.data, lambda x: x.detach().data]
)
def test_what_detach_and_data_give_says_where_to_write(whole):
    x = matrix()
    for write in (lambda v: v.add_(1), lambda v: v.zero_(), lambda v: v.fill_(2.0)):
        with pytest.raises(
            errors.ArgumentError, match=r"`with ts.no_grad\(\): x.(add|zero|fill)_\(...\)`"
        ):
            write(whole(x))
    assert x.tolist() == matrix().tolist()
    x.data = x.data * 2
    assert x.tolist() == (matrix() * 2).tolist()


def test_the_values_of_a_state_dict_say_where_to_write():
    model = ts.nn.Linear(2, 1)
    state = model.state_dict()
    said = "what `.data`, `detach\\(\\)` or `state_dict\\(\\)` gave of another one, of shape \\(1, 2\\)"
    with pytest.raises(errors.ArgumentError, match=f"copy_: the tensor is {said}"):
        state["weight"].copy_(ts.ones((1, 2)))
    with pytest.raises(errors.ArgumentError, match=said):
        ts.jit(lambda: model.state_dict()["weight"].zero_())()
    mean = {name: value.clone().mul_(0.5) for name, value in state.items()}
    assert (mean["weight"] == model.weight * 0.5).all()
    with ts.no_grad():
        model.weight.copy_(ts.ones((1, 2)))
    assert state["weight"].add_(1.0).shape == (1, 2)  # of its own from now on
    assert model.weight.tolist() == [[1.0, 1.0]]


def test_what_was_a_view_of_something_gone_may_be_written():
    row = (matrix() * 2).reshape(9)
    assert row.relu_().shape == (9,)
    turned = matrix().T
    assert turned.add_(1)[0].tolist() == [4.0, 5.0, 10.0]
    x = matrix()
    assert x.T.reshape(9).add_(1)[0].item() == 4.0  # has memory of its own
    assert x[0].clone().add_(1).tolist() == [4.0, 2.0, 3.0]


def test_in_place_keeps_dtype_and_shape():
    x = ts.asarray([1, 2])
    with pytest.raises(errors.DTypeError, match="add_: the result is float32, the tensor int64"):
        x.add_(0.5)
    with pytest.raises(errors.ShapeError, match="add_: the result has shape"):
        x.add_(ts.ones((3, 2), dtype=ts.int64))
    with pytest.raises(errors.GradientError, match="mul_: a leaf tensor"):
        ts.ones(2).requires_grad_().mul_(2)


def test_gradients_through_what_was_done_in_place():
    x = ts.asarray([1.0, -2.0]).requires_grad_()
    y = x * 3
    y.relu_().mul_(2)
    y.sum().backward()
    assert x.grad.tolist() == [6.0, 0.0]


MAKE_LEAVES = [
    lambda **given: ts.zeros(2, 3, **given), lambda **given: ts.ones((2, 3), **given), lambda **given: ts.empty(3, **given),
    lambda **given: ts.full((2,), 7.0, **given), lambda **given: ts.arange(3.0, **given), lambda **given: ts.eye(3, **given),
    lambda **given: ts.linspace(0, 1, 3, **given), lambda **given: ts.logspace(0, 1, 3, **given),
    lambda **given: ts.zeros_like(matrix(), **given), lambda **given: ts.ones_like(matrix(), **given),
    lambda **given: ts.empty_like(matrix(), **given), lambda **given: ts.full_like(matrix(), 2.0, **given),
    lambda **given: ts.rand(2, 3, **given), lambda **given: ts.randn((2, 3), **given),
    lambda **given: ts.rand_like(matrix(), **given), lambda **given: ts.randn_like(matrix(), **given),
]  # fmt: skip


@pytest.mark.parametrize("make", MAKE_LEAVES)
def test_what_is_made_may_be_a_leaf_at_once(make):
    x = make(requires_grad=True, device="cpu")
    assert x.is_leaf and x.requires_grad
    (x * 3).sum().backward()
    assert (x.grad == 3).all() and not make().requires_grad
    assert ts.jit(lambda: make(requires_grad=True).requires_grad)()
    with pytest.raises(errors.DeviceError, match="there is no device 'cuda'"):
        make(device="cuda")


def test_what_has_no_fractions_is_no_leaf():
    with pytest.raises(errors.GradientError, match="only floating point tensors have gradients"):
        ts.zeros(2, dtype=ts.int64, requires_grad=True)


def test_a_compiled_step_in_place():
    weights, momentum = ts.ones(3).requires_grad_(), ts.zeros(3)

    def step(x):
        (weights * x).sum().backward()
        with ts.no_grad():
            momentum.mul_(0.5).add_(weights.grad)
            weights.sub_(momentum * 0.1)
        weights.grad.zero_()
        return weights.sum()

    results = []
    for run in (step, ts.jit(step)):
        weights.assign(ts.ones(3)), momentum.zero_()
        weights.grad = None
        results.append([run(ts.asarray([1.0, 2.0, 3.0])).item() for _ in range(3)])
        results.append(weights.grad.tolist())
    assert results[:2] == results[2:]
    assert results[1] == [0.0, 0.0, 0.0]


def test_a_compiled_function_says_the_same_of_views():
    x = matrix()
    with pytest.raises(errors.ArgumentError, match="a view of another one"):
        ts.jit(lambda x: x[0].add_(1))(x)


# --- pairs, and other meanings -----------------------------------------------------------------------


def unpacked(values):
    first, second = values
    return first, second


@pytest.mark.parametrize("give", [
    lambda x: x.max(1), lambda x: x.min(dim=0), lambda x: x.sort(), lambda x: ts.median(x, 1),
])  # fmt: skip
def test_what_cannot_be_a_pair_says_where_the_places_are(give):
    with pytest.raises(ValueError, match=r"cannot be unpacked into 2 names.*x.argmax\(axis\)"):
        unpacked(give(matrix()))


def test_unpacking_slices_goes_on():
    x, y, z = matrix()
    assert (x[0].item(), y[0].item(), z[0].item()) == (3.0, 4.0, 9.0)
    assert len([*matrix()]) == 3
    with pytest.raises(errors.ShapeError, match=r"into 4 names: its first axis has 3 slices$"):
        _, _, _, _ = matrix()


def test_size_is_a_number_that_says_what_its_call_would_be():
    x = ts.ones((2, 3))
    assert x.size == 6
    assert isinstance(x.size, int)
    with pytest.raises(errors.ArgumentTypeError, match=r"PyTorch's x.size\(1\) is x.shape\[1\]"):
        x.size(1)
    assert ts.jit(lambda x: x.sum() / x.size)(x).item() == 1.0


def test_the_meanings_of_the_standard_stay():
    x = matrix()
    assert x.std().item() == pytest.approx(np.std(x.numpy()))
    assert x.max(1).tolist() == [3.0, 6.0, 9.0]
    assert ts.asarray([1, 2]).repeat(2).tolist() == [1, 1, 2, 2]
    assert ts.repeat(ts.asarray([1, 2]), 2).tolist() == [1, 1, 2, 2]
    assert [part.shape for part in x.split(2)] == [(2, 3), (1, 3)]
    assert ts.median(ts.asarray([1.0, 2.0, 3.0, 4.0])).item() == 2.5
    assert ts.quantile(ts.asarray([1.0, 2.0, 3.0, 4.0]), 0.5, interpolation="lower").item() == 2.0
    assert isinstance(x.nonzero(), tuple)
    assert ts.equal(x, x).shape == (3, 3)


# --- NumPy's functions -------------------------------------------------------------------------------


@pytest.mark.parametrize("call", [
    lambda x: np.sum(x), lambda x: np.sum(x, axis=1), lambda x: np.sum(x, 0, keepdims=True),
    lambda x: np.mean(x, axis=0), lambda x: np.max(x), lambda x: np.min(x, axis=1), lambda x: np.prod(x, 1),
    lambda x: np.std(x), lambda x: np.std(x, axis=0, ddof=1), lambda x: np.var(x, axis=1),
    lambda x: np.argmax(x), lambda x: np.argmin(x, axis=1), lambda x: np.all(x), lambda x: np.any(x, axis=0),
    lambda x: np.reshape(x, (1, 9)), lambda x: np.transpose(x), lambda x: np.transpose(x, (1, 0)),
    lambda x: np.transpose(x, (0, 1)), lambda x: np.swapaxes(x, 0, 1), lambda x: np.cumsum(x, axis=0),
    lambda x: np.cumprod(x, axis=1), lambda x: np.clip(x, 2.0, 5.0), lambda x: np.round(x),
    lambda x: np.squeeze(x), lambda x: np.repeat(x, 2, axis=0), lambda x: np.mean(x, dtype=np.float64),
    lambda x: np.sum(x, dtype="float64"),
])  # fmt: skip
def test_functions_of_numpy_call_the_methods(call):
    x = matrix()
    found, expected = call(x), call(x.numpy())
    assert isinstance(found, ts.Tensor)
    assert found.shape == np.shape(expected)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-6)


@pytest.mark.parametrize("call", [
    lambda x: np.ravel(x), lambda x: np.sort(x), lambda x: np.trace(x), lambda x: np.diagonal(x),
    lambda x: np.concatenate([x, x]), lambda x: np.dot(x, x), lambda x: np.linalg.inv(x),
    lambda x: np.take(x, [0, 2], axis=1), lambda x: np.median(x), lambda x: np.where(x > 3, x, 0.0),
])  # fmt: skip
def test_others_take_tensors_for_arrays(call):
    x = matrix()
    np.testing.assert_allclose(np.asarray(call(x)), call(x.numpy()), rtol=1e-6)


def test_functions_of_numpy_inside_a_compiled_function():
    x = matrix()
    assert ts.jit(lambda x: np.sum(x, axis=0) * 2)(x).tolist() == (x.sum(0) * 2).tolist()


# --- decorators and defaults ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["no_grad", "inference_mode"])
def test_decorators_without_parentheses(name):
    block = getattr(ts, name)
    x = ts.ones(2).requires_grad_()

    @block
    def bare(x):
        """Its own words."""
        return x * 2

    assert bare.__doc__ == "Its own words."
    assert not bare(x).requires_grad
    assert not block()(lambda: x * 2)().requires_grad
    with block():
        assert not (x * 2).requires_grad
    assert (x * 2).requires_grad
    with pytest.raises(errors.ArgumentTypeError, match=f"{name}: 3 was given; expected a function"):
        block(3)


def test_enable_grad_and_inference_mode_by_flag():
    x = ts.ones(2).requires_grad_()
    with ts.no_grad():
        assert ts.enable_grad(lambda: (x * 2).requires_grad)()
        with ts.inference_mode(False):
            assert not (x * 2).requires_grad
    with ts.inference_mode(False):
        assert (x * 2).requires_grad


@pytest.fixture
def wide():
    ts.set_default_dtype(ts.float64)
    yield
    ts.set_default_dtype(ts.float32)


def test_the_default_dtype_is_that_of_what_is_made(wide):
    assert ts.get_default_dtype() is ts.float64
    made = [
        ts.zeros(1), ts.ones(1), ts.full((1,), 0.5), ts.asarray([0.5]), ts.tensor(1.5), ts.rand(1), ts.randn(1),
        ts.linspace(0, 1, 2), ts.eye(2), ts.arange(0.0, 1.0, 0.5), ts.logspace(0, 1, 2), ts.empty(1),
    ]  # fmt: skip
    assert {x.dtype for x in made} == {ts.float64}
    assert ts.asarray([1j]).dtype is ts.complex128
    assert ts.asarray([1]).dtype is ts.int64
    assert ts.nn.Linear(2, 2).weight.dtype is ts.float64
    assert (ts.asarray([1]) * 0.5).dtype is ts.float32  # tensors decide there


def test_compiled_functions_follow_the_default_dtype():
    compiled = ts.jit(lambda x: ts.zeros(2) + x)
    number = ts.jit(lambda s: ts.asarray(s) * 2)
    x = ts.asarray(1, dtype=ts.int64)
    found = []
    for kind in (ts.float32, ts.float64, ts.float32, ts.float16):
        ts.set_default_dtype(kind)
        try:
            found.append((compiled(x).dtype, number(0.1).dtype, number(0.1).item() == 0.1 * 2))
        finally:
            ts.set_default_dtype(ts.float32)
    assert [kind for kind, _, _ in found] == [ts.float32, ts.float64, ts.float32, ts.float16]
    assert [kind for _, kind, _ in found] == [ts.float32, ts.float64, ts.float32, ts.float16]
    assert found[1][2]


def test_a_default_dtype_must_be_floating():
    with pytest.raises(errors.DTypeError, match="set_default_dtype: int32 was given"):
        ts.set_default_dtype(ts.int32)


def test_threads_by_number():
    before = ts.get_num_threads()
    x = ts.ones((300, 300))
    try:
        for number in (1, 2):
            ts.set_num_threads(number)
            assert ts.get_num_threads() == number
            assert (x @ x)[0, 0].item() == 300.0
    finally:
        ts.set_num_threads(before)
    with pytest.raises(errors.ConfigurationError, match="number of threads"):
        ts.set_num_threads(0)
    assert threading.active_count() >= 1


def test_sizes_one_by_one():
    assert ts.zeros(2, 3).shape == ts.ones((2, 3)).shape == ts.empty(2, 3).shape == (2, 3)
    assert ts.zeros(size=(2,)).shape == (2,)
