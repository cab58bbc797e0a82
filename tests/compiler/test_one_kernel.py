"""Primitives of several steps that become one kernel: eager mode runs that one."""

import threading

import numpy as np
import pytest

import tessella as ts
from tessella.compiler import eager, pipeline
from tessella.nn import functional as F
from tessella.primitives.random import RandomBits
from tessella.primitives.softmax import LogSoftmax, Softmax
from tessella.random.generator import default


def numbers(*shape, dtype=ts.float32):
    return ts.asarray(np.random.default_rng(sum(shape)).standard_normal(shape)).astype(dtype)


@pytest.mark.parametrize("primitive", [Softmax, LogSoftmax])
@pytest.mark.parametrize("dtype", [ts.float32, ts.float64])
def test_a_row_is_one_native_call(programs, primitive, dtype):
    x = numbers(40, 30, dtype=dtype)
    found = [primitive(1)(x).numpy() for _ in range(3)]
    (program,) = programs
    assert len(program.native_steps) == 1
    expected = primitive(1).reference(x.numpy().astype(np.float64))
    for again in found:
        np.testing.assert_allclose(again, expected, rtol=1e-5 if dtype is ts.float32 else 1e-13)


@pytest.mark.parametrize("primitive", [Softmax, LogSoftmax])
def test_every_sample_and_the_same_bits_under_jit(primitive):
    for sample in primitive.samples():
        x = ts.asarray(sample.inputs[0])
        first, second = sample.primitive(x).numpy(), sample.primitive(x).numpy()
        np.testing.assert_array_equal(first, second)
        np.testing.assert_array_equal(first, ts.jit(sample.primitive)(x).numpy())


def test_results_are_memory_of_their_own():
    x = numbers(6, 7)
    factors = (1.0, 2.0, 3.0, 4.0)
    results = [F.softmax(x * factor, 1) for factor in factors]
    for factor, found in zip(factors, results, strict=True):
        powers = np.exp(factor * x.numpy())
        np.testing.assert_allclose(found.numpy(), powers / powers.sum(1, keepdims=True), rtol=2e-6)


def test_what_stays_several_kernels_keeps_no_memory(programs):
    x = numbers(700, 700)
    found = F.softmax(x, 0)  # columns of many rows: summed in parts
    (program,) = programs
    assert program.arena_plan.nbytes > 0
    plans = [plan for plan in Softmax(0).plans.values() if getattr(plan, "func", None) is not None]
    assert any(plan.func.__qualname__ == "AlongAxis.steps" for plan in plans)
    np.testing.assert_allclose(found.numpy(), Softmax(0).reference(x.numpy()), rtol=1e-5)


def test_views_and_half_precision():
    x = numbers(8, 20, dtype=ts.float16)
    with ts.backend("reference"):
        expected = F.softmax(x.mT[3:11], 0).numpy()
    np.testing.assert_allclose(F.softmax(x.mT[3:11], 0).numpy(), expected, rtol=2e-3)


def test_derivatives():
    x = numbers(4, 5, dtype=ts.float64)
    with ts.backend("reference"):
        expected = ts.grad(lambda x: (F.log_softmax(x, 1) ** 2).sum())(x).numpy()
    leaf = x.requires_grad_()
    (F.log_softmax(leaf, 1) ** 2).sum().backward()
    np.testing.assert_allclose(leaf.grad.numpy(), expected, rtol=1e-12)


def test_several_threads_share_a_program():
    xs = [numbers(50, 60) * factor for factor in range(1, 5)]
    expected = [F.softmax(x, 1).numpy() for x in xs]
    wrong = []

    def work(x, right):
        found = [F.softmax(x, 1) for _ in range(50)]
        wrong.extend(y for y in found if not np.array_equal(y.numpy(), right))

    threads = [threading.Thread(target=work, args=p) for p in zip(xs, expected, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_an_interrupted_compilation_leaves_nothing(monkeypatch):
    x = numbers(7, 11)
    monkeypatch.setattr(pipeline, "compile", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    eager.forget()
    with pytest.raises(KeyboardInterrupt):
        F.softmax(x, 1)
    monkeypatch.undo()
    np.testing.assert_allclose(F.softmax(x, 1).numpy().sum(1), np.ones(7), rtol=1e-6)


def dropped_by_steps(x, key, p):
    """Dropout as it is written, in three operations."""
    uniform = (RandomBits(x.shape)(key) >> 8).astype(ts.float32) * 2.0**-24
    limit, scale = ts.asarray(p, dtype=x.dtype), ts.asarray(1 / (1 - p), dtype=x.dtype)
    return ts.where(uniform < limit, ts.zeros_like(x), x * scale)


@pytest.mark.parametrize("dtype", [ts.float32, ts.float64, ts.float16])
def test_dropout_is_one_native_call(programs, dtype):
    """It draws the numbers that its steps draw, and for the gradient the same ones again."""
    x = numbers(30, 50, dtype=dtype).requires_grad_()
    ts.manual_seed(5)
    key = default.key()
    expected = dropped_by_steps(x.detach(), key, 0.3).numpy()
    ts.manual_seed(5)
    found = F.dropout(x, 0.3)
    np.testing.assert_array_equal(found.numpy(), expected)
    (program,) = programs
    assert len(program.native_steps) == 1
    found.sum().backward()
    kept = expected != 0
    np.testing.assert_array_equal(x.grad.numpy() != 0, kept)
    np.testing.assert_allclose(x.grad.numpy()[kept], 1 / 0.7, rtol=1e-3)
    assert len(programs) <= 2  # the gradient may lie otherwise


def test_dropout_compiled_is_one_kernel_with_its_neighbours(programs):
    x = numbers(30, 50)
    function = lambda x: ts.relu(F.dropout(x, 0.3) + 1.0)  # noqa: E731
    ts.manual_seed(6)
    expected = function(x).numpy()
    programs.clear()
    ts.manual_seed(6)
    np.testing.assert_array_equal(ts.jit(function)(x).numpy(), expected)
    (program,) = programs
    (name,) = [step.name for step in program.native_steps if "RandomBits" in step.name]
    assert name.endswith("dropout_add_relu")


def test_examples_draw_their_own_or_the_same():
    x = ts.ones((6, 40))
    for randomness, several in (("different", True), ("same", False)):
        ts.manual_seed(7)
        found = ts.vmap(lambda row: F.dropout(row, 0.5), randomness=randomness)(x).numpy()
        assert (len({row.tobytes() for row in found}) > 1) is several
        for compiled in (False, True):
            gradient = ts.vmap(
                ts.grad(lambda row: (F.dropout(row, 0.5) * 3).sum()), randomness=randomness
            )
            gradient = ts.jit(gradient) if compiled else gradient
            ts.manual_seed(7)
            np.testing.assert_array_equal(gradient(x).numpy(), 3 * found)
