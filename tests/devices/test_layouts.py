"""Elementwise kernels and copies, from operands whose memory runs in other orders."""

import itertools

import numpy as np
import pytest

import tessella as ts
from tessella.targets.cpu import threads


def operands(shape, dtype=np.float32):
    """The same numbers in several orders of memory, with gaps, and repeated."""
    data = np.random.default_rng(0).integers(-9, 9, shape).astype(dtype)
    yield data
    for order in itertools.permutations(range(len(shape))):
        yield np.ascontiguousarray(data.transpose(order)).transpose(np.argsort(order))
    yield np.ascontiguousarray(data[..., ::-1])[..., ::-1]
    yield np.repeat(data, 2, axis=-1)[..., ::2]
    yield np.repeat(data, 3, axis=0)[::3]
    yield np.broadcast_to(data[..., :1], shape)
    yield np.broadcast_to(data[:1], shape)


@pytest.mark.parametrize(
    "shape", [(40, 50), (17, 33), (3, 300), (300, 3), (5, 18, 40), (2, 3, 17, 9)]
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int8, np.int64, np.float16])
def test_pairs_of_layouts(shape, dtype):
    arrays = list(operands(shape, dtype))
    for x, y in zip(arrays, reversed(arrays), strict=True):
        got = ts.asarray(x, copy=False) + ts.asarray(y, copy=False)
        np.testing.assert_array_equal(got.numpy(), x + y)
    for x in arrays:
        own = ts.asarray(x, copy=False)
        np.testing.assert_array_equal(own.copy().numpy(), x)
        np.testing.assert_array_equal((own * own - own).numpy(), x * x - x)
        np.testing.assert_array_equal(ts.reshape(own, (-1,)).numpy(), x.reshape(-1))


@pytest.mark.parametrize("count", [1, 2, 5])
def test_large_transposed_operands(count):
    x, y = (
        np.random.default_rng(i).standard_normal((700, 900)).astype(np.float32) for i in range(2)
    )
    with threads.limited(count):
        got = ts.asarray(x.T, copy=False) * 2 + ts.asarray(np.asfortranarray(y.T), copy=False)
        np.testing.assert_array_equal(got.numpy(), x.T * 2 + y.T)


@pytest.mark.parametrize("axes", [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)])
def test_reductions_of_layouts(axes):
    for x in operands((12, 34, 20)):
        own = ts.asarray(x, copy=False)
        np.testing.assert_array_equal(ts.sum(own, axis=axes).numpy(), x.sum(axis=axes))
        np.testing.assert_array_equal(ts.max(own, axis=axes).numpy(), x.max(axis=axes))
    big = np.random.default_rng(0).integers(-9, 9, (64, 50, 70)).astype(np.float32)
    for order in itertools.permutations(range(3)):
        x = big.transpose(order)
        np.testing.assert_array_equal(
            ts.sum(ts.asarray(x, copy=False), axis=axes).numpy(), x.sum(axis=axes)
        )


def test_without_native_threads(monkeypatch):
    """Where there is no futex, one thread does everything, with the same results."""
    x = np.random.default_rng(0).standard_normal((600, 700)).astype(np.float32)
    own = ts.asarray(x)
    expected = [(own @ own.T).numpy(), ts.exp(own).numpy(), own.sum(axis=1).numpy()]
    monkeypatch.setattr(threads, "_NATIVE", False)
    with threads.limited(2):
        found = [(own @ own.T).numpy(), ts.exp(own).numpy(), own.sum(axis=1).numpy()]
        assert not threads._workers().threads
    for a, b in zip(expected, found, strict=True):
        np.testing.assert_array_equal(a, b)


def test_workers_stay_where_the_caller_may_run():
    """Affinity is narrowed for workers only, and to nothing that the process may not use."""
    import os

    if not hasattr(os, "sched_getaffinity"):
        pytest.skip("this system has no affinity")
    before = os.sched_getaffinity(0)
    with threads.limited(3):
        for _ in range(50):
            ts.ones((1000, 1000)) + 1
        assert os.sched_getaffinity(0) == before
        for thread in threads._workers().threads:
            assert os.sched_getaffinity(thread.native_id) <= before
