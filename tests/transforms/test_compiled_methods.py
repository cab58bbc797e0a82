"""Compiled methods and modules that hold compiled functions: copies, pickles, lifetimes; generators, too."""

import copy
import gc
import pickle
import sys
import warnings
import weakref

import numpy as np
import pytest

import tessella as ts
from tessella import errors, nn


class Scaler:
    def __init__(self, by):
        self.by = by

    @ts.jit
    def step(self, x):
        return x * self.by


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 2)
        self.fast = ts.jit(self.slow)

    def slow(self, x):
        return ts.tanh(self.layer(x))


@ts.jit
def doubled(x):
    return x * 2


def test_a_compiled_method_does_not_keep_its_object():
    scaler = Scaler(ts.asarray(2.0))
    scaler.step(ts.ones(2))
    scaler.step(ts.ones(2))
    gone = weakref.ref(scaler)
    del scaler
    gc.collect()
    assert gone() is None


def test_each_object_has_programs_of_its_own():
    one, two = Scaler(2.0), Scaler(3.0)
    assert one.step(ts.ones(1)).tolist() == [2.0]
    assert two.step(ts.ones(1)).tolist() == [3.0]
    one.by = 5.0
    assert one.step(ts.ones(1)).tolist() == [5.0]
    assert (len(one.step.traces), len(two.step.traces)) == (2, 1)


@pytest.mark.parametrize(
    "again", [copy.deepcopy, copy.copy, lambda x: pickle.loads(pickle.dumps(x))]
)
def test_copies_of_objects_compile_anew(again):
    scaler = Scaler(2.0)
    scaler.step(ts.ones(1))
    other = again(scaler)
    other.by = 7.0
    assert other.step(ts.ones(1)).tolist() == [7.0]
    assert scaler.step(ts.ones(1)).tolist() == [2.0]


@pytest.mark.parametrize("again", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies_of_modules_that_hold_a_compiled_function(again):
    model, x = Network(), ts.ones((1, 2))
    before = model.fast(x).numpy().copy()
    other = again(model)
    with ts.no_grad():
        other.layer.weight.assign(ts.zeros((2, 2)))
    np.testing.assert_allclose(model.fast(x).numpy(), before)
    np.testing.assert_allclose(
        other.fast(x).numpy(), np.tanh(other.layer.bias.numpy())[None], rtol=1e-5
    )


def test_a_compiled_function_is_pickled_by_its_name():
    assert pickle.loads(pickle.dumps(doubled)) is doubled


def test_static_arguments_of_a_method_count_the_object():
    class Power:
        @ts.jit(static_argnums=(0, 2))
        def raised(self, x, n):
            return x**n

    assert Power().raised(ts.full((1,), 3.0), 2).tolist() == [9.0]


def test_generators_can_be_copied_and_pickled():
    generator = ts.random.Generator(3)
    generator.uniform((2,))
    for other in (copy.deepcopy(generator), pickle.loads(pickle.dumps(generator))):
        assert other.state == generator.state
        twin = copy.deepcopy(generator)
        assert other.uniform((2,)).tolist() == twin.uniform((2,)).tolist()


def test_programs_can_be_dropped_one_by_one_and_have_a_bound(monkeypatch):
    f = ts.jit(lambda x, n: x * n, dynamic=False)
    f(ts.ones(1), 1), f(ts.ones(1), 2)
    f.forget(ts.ones(1), 1)
    f(ts.ones(1), 2)
    assert len(f.traces) == 2
    f(ts.ones(1), 1)
    assert len(f.traces) == 3
    monkeypatch.setattr(sys.modules["tessella.transforms.jit"], "_MOST_PROGRAMS", 4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", errors.RetraceWarning)
        found = [f(ts.ones(1), n).tolist() for n in range(3, 12)]
    assert found == [[n] for n in range(3, 12)]
    assert sum(map(len, f.specialisations.values())) == 4
