"""What a device is asked for is in its contract, and nothing else is asked for."""

import threading

import numpy as np
import pytest

import tessella as ts
from tessella.devices import registry
from tessella.devices.buffer import Buffer, is_own, is_protected, protect
from tessella.devices.device import Device
from tessella.errors import DeviceError


def test_devices_are_loaded_by_name():
    assert registry.device("cpu") is registry.host() is registry.current()
    assert isinstance(registry.host(), Device)


@pytest.mark.parametrize("name", ["gpu", "no such thing", "", "cpu.device"])
def test_a_device_that_is_not_there(name):
    with pytest.raises(DeviceError) as caught:
        registry.device(name)
    assert str(caught.value) == f"there is no device {name!r}; those there are: 'cpu', 'emulated'"


def test_buffers_and_arrays_know_their_device():
    for array in (ts.ones(3)._value, ts.asarray(np.ones(3), copy=False)._value):
        assert array.device is registry.host()


def test_memory_of_its_own_may_be_given_away_and_that_of_others_not():
    host = registry.host()
    assert is_own(host.allocate(10))
    assert not is_own(host.wrap(None, 64, 10))
    buffer = host.allocate(10)
    assert not is_protected(buffer)
    protect(buffer)
    assert is_protected(buffer)


def test_copies_and_reading():
    host = registry.host()
    first, second = host.allocate(12), host.allocate(12)
    host.copy_in(first.address, np.array([1, -2, 3], np.int32))
    host.copy_within(second.address + 4, first.address, 8)
    found = np.zeros(2, np.int32)
    host.copy_out(found, second.address + 4)
    assert found.tolist() == [1, -2]
    assert host.read(second.address + 8, ts.int32) == -2
    assert host.read(second.address + 8, ts.int32).__class__ is int


def test_limits_are_those_of_a_machine():
    limits = registry.host().limits
    assert limits.threads == ts.get_num_threads()
    assert limits.vector_bytes in (16, 32, 64)
    assert limits.shared_bytes == 0
    assert limits.cache_bytes(9, 123) == 123
    assert limits.name


def test_a_device_that_has_nothing_to_tune():
    with pytest.raises(DeviceError) as caught, Counting():
        ts.forget_tuning()
    assert str(caught.value) == "tune: the device 'counting' has nothing to tune; tune on 'cpu'"


# --- a device of one's own: it counts what it is asked for, and lets the host do it -----------------------------------


class Counting(Device):
    """Allocations, copies, launches of kernels and runs of programs are counted."""

    name = "counting"
    shares_memory = True
    host = registry.host()
    limits = host.limits

    def __init__(self):
        self.allocations = self.copies = self.launches = self.programs = 0

    def allocator(self, nbytes):
        def make():
            self.allocations += 1
            owner = self.host.allocate(nbytes)
            block = Buffer(owner.address, nbytes, owner)
            block.block = owner
            return block

        return make

    def require_available(self, nbytes):
        self.host.require_available(nbytes)

    def copy_in(self, target, source):
        self.copies += 1
        self.host.copy_in(target, source)

    def copy_out(self, target, source):
        self.copies += 1
        self.host.copy_out(target, source)

    def copy_within(self, target, source, nbytes):
        self.copies += 1
        self.host.copy_within(target, source, nbytes)

    def compilation(self):
        return self.host.compilation()

    def address_of(self, kernel):
        return self.host.address_of(kernel)

    def source(self, kernel, kind):
        return self.host.source(kernel, kind)

    def launcher(self, *call):
        native = self.host.launcher(*call)

        def launch(*addresses):
            self.launches += 1
            native(*addresses)

        return launch

    def run_program(self, head, alone=False):
        self.programs += 1
        return self.host.run_program(head, alone)

    def run_timed(self, head, times):
        return self.host.run_timed(head, times)

    def run_loop(self, table, alone=False):
        self.programs += 1
        return self.host.run_loop(table, alone)


def test_eager_operations_go_through_the_contract():
    device = Counting()
    with device:
        x = ts.ones((4, 5))
        assert device.allocations == 1
        y = ts.exp(x) @ ts.ones((5, 3))
        assert device.launches == 2
        assert x._value.device is y._value.device is device
        np.testing.assert_allclose(y.numpy(), np.full((4, 3), 5 * np.e), rtol=1e-6)
    assert registry.current() is registry.host()
    before = device.launches, device.allocations
    ts.exp(ts.ones((4, 5)))  # the host has plans of its own
    assert (device.launches, device.allocations) == before


def test_programs_go_through_the_contract():
    device = Counting()
    with device:
        step = ts.jit(lambda x: ts.tanh(x @ x).sum())
        x = ts.eye(8)
        for _ in range(3):
            np.testing.assert_allclose(step(x).numpy(), 8 * np.tanh(1), rtol=1e-5)
    assert device.programs >= 3


def test_training_goes_through_the_contract():
    device, apart, losses = Counting(), Apart(), {}
    for where in (device, apart, registry.host()):
        with where:
            ts.manual_seed(0)
            layer = ts.nn.Linear(3, 2)
            optimiser = ts.optim.SGD(layer.parameters(), lr=0.1)

            @ts.jit
            def step(x, layer=layer, optimiser=optimiser):
                optimiser.zero_grad()
                loss = (layer(x) ** 2).mean()
                loss.backward()
                optimiser.step()
                return loss

            losses[where.name] = [step(ts.ones((4, 3))).item() for _ in range(4)]
    assert losses["counting"] == losses["cpu"] == losses["apart"]
    assert device.programs >= 4
    assert apart.copies > device.copies


class Apart(Counting):
    """Its memory is not the host's: what reads or writes it by itself would not be counted."""

    name = "apart"
    shares_memory = False


def test_memory_that_the_host_cannot_see_is_copied():
    device = Apart()
    with device:
        x = ts.asarray(np.arange(24.0).reshape(2, 3, 4))
        assert device.copies == 1
        y = x[:, ::-1, 1:3]
        np.testing.assert_array_equal(y.numpy(), np.arange(24.0).reshape(2, 3, 4)[:, ::-1, 1:3])
        assert device.copies == 2
        assert not x.numpy().flags.writeable
        assert ts.zeros((0, 3)).numpy().shape == (0, 3)
        shared = np.ones(3, np.float32)
        z = ts.asarray(shared)
        shared[0] = 5.0
        assert (z * 2.0).tolist() == [2.0, 2.0, 2.0]
        scaled = ts.jit(lambda x, by: x * by)
        assert [scaled(z, by).tolist()[0] for by in (2.0, 3.5, 4)] == [2.0, 3.5, 4.0]
        assert ts.full((2,), 7, dtype=ts.bfloat16).tolist() == [7.0, 7.0]


def test_the_host_works_for_a_program_of_such_a_device():
    device = Apart()
    with device:
        order = ts.jit(lambda x: ts.sort(ts.exp(x), axis=-1) + 1.0)
        x = np.random.default_rng(0).standard_normal((3, 5)).astype(np.float32)
        for _ in range(2):
            before = device.copies
            np.testing.assert_allclose(
                order(ts.asarray(x)).numpy(), np.sort(np.exp(x), -1) + 1, rtol=1e-5
            )
            assert device.copies == before + 4  # in; to be sorted, and back; out


@pytest.mark.parametrize("kind", [Counting, Apart])
def test_conditions_and_loops_are_read_by_the_device(kind):
    device = kind()
    with device:
        count = ts.jit(lambda x: ts.while_loop(lambda n: n < 10, lambda n: n * 2, x))
        assert count(ts.asarray(3)).item() == 12
        choose = ts.jit(lambda p, x: ts.cond(p, lambda x: x + 1, lambda x: x - 1, x))
        before = device.copies
        assert choose(ts.asarray(True), ts.ones(2)).tolist() == [2, 2]
        assert choose(ts.asarray(False), ts.ones(2)).tolist() == [0, 0]
    assert device.copies >= before + 2


def test_a_device_is_chosen_for_a_thread():
    seen = []
    with Counting():
        thread = threading.Thread(target=lambda: seen.append(registry.current().name))
        thread.start()
        thread.join()
    assert seen == ["cpu"]
