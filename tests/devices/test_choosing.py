"""Where tensors are: chosen by a name, an argument, a block or for all; asked for; and two devices that meet."""

import copy
import threading

import numpy as np
import pytest

import tessella as ts
from tessella.errors import ArgumentTypeError, DeviceError

CPU, EMULATED = ts.device("cpu"), ts.device("emulated")


@pytest.fixture(autouse=True)
def _the_host_again():
    yield
    ts.set_default_device("cpu")


def test_a_device():
    assert ts.device("cpu") is CPU is ts.device(CPU) is ts.device()
    assert (str(CPU), repr(EMULATED), len({CPU, EMULATED})) == ("cpu", "device('emulated')", 2)
    assert CPU == "cpu"
    assert {"cpu": 1}[CPU] == 1
    assert CPU != EMULATED
    assert CPU != 3


@pytest.mark.parametrize(
    "make",
    [
        lambda d: ts.zeros(3, device=d), lambda d: ts.ones((2, 1), device=d), lambda d: ts.full(2, 7, device=d),
        lambda d: ts.empty(3, device=d), lambda d: ts.arange(5, device=d), lambda d: ts.arange(0.0, 1.0, 0.5, device=d),
        lambda d: ts.linspace(0, 1, 5, device=d), lambda d: ts.eye(3, device=d), lambda d: ts.asarray([1, 2], device=d),
        lambda d: ts.tensor([1.0], device=d, requires_grad=True), lambda d: ts.as_tensor(np.ones(2), device=d),
        lambda d: ts.logspace(0, 1, 3, device=d), lambda d: ts.zeros_like(ts.ones(2), device=d),
        lambda d: ts.rand(2, 3, device=d), lambda d: ts.randn(3, device=d), lambda d: ts.randperm(4, device=d),
        lambda d: ts.randint(0, 3, (2,), device=d), lambda d: ts.rand_like(ts.ones(2), device=d),
        lambda d: ts.ones(2).new_zeros(3, device=d), lambda d: ts.from_dlpack(np.ones(3), device=d),
        lambda d: ts.asarray(ts.ones(2), device=d), lambda d: ts.astype(ts.ones(2), ts.int32, device=d),
        lambda d: ts.ones(2).to_device(d), lambda d: ts.ones(2).to(d), lambda d: ts.ones(2).to(device=d),
        lambda d: ts.ones(2).to(ts.ones(1, device=d)), lambda d: ts.ones(2).to(d, ts.float64),
    ],
)  # fmt: skip
@pytest.mark.parametrize("d", ["emulated", EMULATED])
def test_where_something_is_made(make, d):
    made = make(d)
    assert made.device is EMULATED
    assert (made + 1).numpy().shape == made.shape
    assert made.cpu().device is CPU


def test_blocks_and_the_default():
    with EMULATED:
        assert ts.zeros(2).device is ts.get_default_device() is EMULATED
        with ts.device("cpu"):
            assert ts.zeros(2).device is CPU
            with EMULATED:
                assert ts.rand(2).device is EMULATED
        assert ts.asarray([1.0]).device is EMULATED
    assert ts.zeros(2).device is CPU
    ts.set_default_device("emulated")
    seen = []
    thread = threading.Thread(target=lambda: seen.append(ts.zeros(2).device))
    thread.start()
    thread.join()
    assert seen == [EMULATED]
    with CPU:
        assert ts.zeros(2).device is CPU
    ts.set_default_device(None)
    assert ts.zeros(2).device is CPU


def test_a_function_on_a_device():
    @EMULATED
    def made():
        return ts.zeros(2)

    assert made().device is EMULATED


def test_what_the_standard_says():
    info = ts.__array_namespace_info__()
    assert info.devices() == [CPU, EMULATED]
    assert info.default_device() is CPU
    with EMULATED:
        assert info.default_device() is EMULATED
    assert info.dtypes(device=EMULATED) == info.dtypes()


MEETINGS = [
    lambda x, y: x + y, lambda x, y: y @ x, lambda x, y: ts.where(x > 0, x, y), lambda x, y: ts.concat([x, y]),
    lambda x, y: x.__iadd__(y), lambda x, y: ts.jit(lambda x, y: x * y)(x, y), lambda x, y: ts.jit(lambda x: x * y)(x),
    lambda x, y: ts.jit(lambda: (x * 2, y * 2))(), lambda x, y: ts.vmap(lambda x, y: x + y)(x, y),
]  # fmt: skip


@pytest.mark.parametrize("meet", MEETINGS)
def test_two_devices_meet(meet):
    x, y = ts.ones((2, 2)), ts.ones((2, 2), device="emulated")
    with pytest.raises(DeviceError) as caught:
        meet(x, y)
    said = str(caught.value)
    assert "'cpu'" in said
    assert "'emulated'" in said
    assert "x.to_device('" in said


def test_messages():
    with pytest.raises(
        DeviceError, match="there is no device 'cuda'; those there are: 'cpu', 'emulated'"
    ):
        ts.ones(2).to_device("cuda")
    with pytest.raises(DeviceError, match="zeros: device is 3; expected 'cpu', or another device"):
        ts.zeros(2, device=3)
    with pytest.raises(ArgumentTypeError, match="to: a device was given twice"):
        ts.ones(2).to("cpu", device="cpu")
    with pytest.raises(
        DeviceError, match="works on one device, here 'cpu'; bring tensors to another one before"
    ):
        ts.jit(lambda x: x.to_device("emulated"))(ts.ones(2))
    assert ts.jit(lambda x: x.to_device("cpu"))(ts.ones(2)).device is CPU


def test_gradients_come_back():
    x = ts.asarray([1.0, 2.0]).requires_grad_()
    y = (x * 3).to_device(EMULATED)
    assert y.requires_grad
    (y * y).cpu().sum().backward()
    assert x.grad.device is CPU
    assert x.grad.tolist() == [18.0, 36.0]
    (first,) = ts.gradients([(x.to(EMULATED) ** 3).sum()], [x], create_graph=True)
    (second,) = ts.gradients([first.sum()], [x])
    assert second.tolist() == [6.0, 12.0]


def test_a_copy_is_another_one_and_what_is_there_is_itself():
    x = ts.ones(3, device=EMULATED)
    assert x.to_device(EMULATED) is x
    y = x.cpu()
    y += 1
    assert x.tolist() == [1.0, 1.0, 1.0]
    assert copy.deepcopy(x).device is EMULATED


def test_modules_go_to_a_device_and_come_back():
    model = ts.nn.Sequential(ts.nn.Linear(3, 2), ts.nn.BatchNorm1d(2))
    names = [*model.state_dict()]
    held = [*model.parameters()]
    model(ts.ones((4, 3))).sum().backward()
    assert model.to(EMULATED) is model
    assert all(x is y for x, y in zip(held, model.parameters(), strict=True))
    everything = [*model.parameters(), *model.buffers(), *[p.grad for p in model.parameters()]]
    assert {str(x.device) for x in everything} == {"emulated"}
    kept = model.state_dict()
    assert [*kept] == names
    other = ts.nn.Sequential(ts.nn.Linear(3, 2), ts.nn.BatchNorm1d(2))
    other.load_state_dict(kept)  # tensors go where the parameters are
    assert other[0].weight.device is CPU
    np.testing.assert_array_equal(other[0].weight.numpy(), model[0].weight.numpy())
    assert model.to("cpu", ts.float64)[0].weight.device is CPU
    assert model[0].weight.dtype is ts.float64


def test_optimisers_follow():
    model = ts.nn.Linear(2, 1)
    optimiser = ts.optim.Adam(model.parameters(), lr=0.1)

    @ts.jit
    def step(x):
        (model(x) ** 2).mean().backward()
        optimiser.step()
        optimiser.zero_grad()

    for d in ("cpu", "emulated", "cpu"):
        model.to(d)
        before = model.weight.numpy().copy()
        step(ts.ones((3, 2), device=d))
        assert (model.weight.numpy() != before).all()
        assert {str(x.device) for x in optimiser.state[model.weight].values()} == {d}


def test_compiled_functions_are_compiled_for_each_device():
    made = ts.jit(lambda x: x + 1.0)
    found = [made(ts.ones(2, device=d)) for d in ("cpu", "emulated", "cpu", "emulated")]
    assert [str(x.device) for x in found] == ["cpu", "emulated", "cpu", "emulated"]
    assert len(made.traces) == 2
    assert "argument 0 is on 'emulated' now, it was on 'cpu'" in made.traces[1]
    fresh = ts.jit(lambda: ts.zeros(2))
    assert fresh().device is CPU
    with EMULATED:
        assert fresh().device is EMULATED
    assert fresh().device is CPU
    assert fresh.traces[1] == "tensors are made on 'emulated' now"


def test_every_device_draws_the_same():
    ts.manual_seed(3)
    found = []
    for d in (CPU, EMULATED):
        with d:
            found.append(
                [ts.rand(3).tolist(), ts.randn(2).tolist(), ts.jit(lambda: ts.rand(2))().tolist()]
            )
    assert found[0] == found[1]
    ts.manual_seed(3)
    assert ts.rand(3, device=EMULATED).tolist() == ts.rand(3).tolist() == found[0][0]


def test_numpy_is_beside_a_tensor_where_that_is():
    x = ts.ones(3, device=EMULATED)
    for made in (
        x + np.ones(3, np.float32),
        np.ones(3, np.float32) * x,
        ts.maximum(x, [0.0, 1, 2]),
    ):
        assert made.device is EMULATED
    assert np.asarray(x).tolist() == [1, 1, 1]
