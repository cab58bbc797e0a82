"""Products in half precision: widened while they are packed, added in float32, rounded once."""

import os
import subprocess
import sys
import textwrap

import ml_dtypes
import numpy as np
import pytest

import tessella as ts
from tessella.compiler import eager
from tessella.nn import functional as F
from tessella.targets.cpu import machine
from tessella.targets.cpu.lowering import contraction, tiled_contraction
from tessella.targets.cpu.processors import LEVELS

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
HALVES = [np.dtype(np.float16), BFLOAT16]
SHAPES = [(3, 5, 7), (64, 64, 64), (70, 91, 50), (33, 1, 65), (33, 3, 65), (4, 3001, 40), (210, 400, 300)]  # fmt: skip


def whole(*shape, seed=0):
    """Small whole numbers: in float32 the sums of their products are exact, in half precision not."""
    return np.random.default_rng(seed).integers(-7, 8, shape)


def laid_out(array, dtype, transposed):
    array = array.astype(dtype)
    return ts.asarray(np.ascontiguousarray(array.T)).T if transposed else ts.asarray(array)


@pytest.fixture
def pairs(monkeypatch):
    """Products of pairs, by plain arithmetic where this processor has no instruction for them."""
    contraction._recipes.clear()
    eager.forget()
    monkeypatch.setattr(tiled_contraction, "multiplies_pairs", lambda dtype: dtype is ts.bfloat16)
    yield
    contraction._recipes.clear()
    eager.forget()


def compare(m, k, n, dtype):
    x, y = whole(m, k), whole(k, n, seed=1)
    expected = (x @ y).astype(np.float32).astype(dtype)
    for flipped in ((False, False), (False, True), (True, False), (True, True)):
        a, b = laid_out(x, dtype, flipped[0]), laid_out(y, dtype, flipped[1])
        np.testing.assert_array_equal((a @ b).numpy(), expected)
        np.testing.assert_array_equal(ts.jit(ts.matmul)(a, b).numpy(), expected)


@pytest.mark.parametrize("dtype", HALVES, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_products_are_rounded_once(shape, dtype):
    compare(*shape, dtype)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_products_of_pairs(shape, pairs):
    compare(*shape, BFLOAT16)


def convolve(dtype):
    images, kernels = whole(2, 5, 9, 9), whole(16, 5, 3, 3, seed=1)
    windows = np.lib.stride_tricks.sliding_window_view(images, (3, 3), axis=(2, 3))
    expected = np.einsum("nchwij,ocij->nohw", windows, kernels).astype(np.float32).astype(dtype)
    got = F.conv2d(ts.asarray(images.astype(dtype)), ts.asarray(kernels.astype(dtype)))
    np.testing.assert_array_equal(got.numpy(), expected)


@pytest.mark.parametrize("dtype", HALVES, ids=str)
def test_convolutions(dtype):
    convolve(dtype)


def test_convolutions_of_pairs(pairs):
    convolve(BFLOAT16)


@pytest.mark.parametrize("dtype", HALVES, ids=str)
def test_batches_and_their_gradients(dtype):
    x, y = whole(3, 20, 30), whole(3, 30, 40, seed=1)
    a, b = (ts.tensor(v.astype(dtype), requires_grad=True) for v in (x, y))
    (a @ b).sum().backward()
    ones = np.ones((3, 20, 40))
    np.testing.assert_array_equal(
        a.grad.numpy(), (ones @ y.swapaxes(1, 2)).astype(np.float32).astype(dtype)
    )
    np.testing.assert_array_equal(
        b.grad.numpy(), (x.swapaxes(1, 2) @ ones).astype(np.float32).astype(dtype)
    )


@pytest.mark.parametrize("dtype", HALVES, ids=str)
def test_no_copy_in_float32_is_made(dtype):
    """The kernels that pack read half precision; nothing else reads the operands."""
    x, y = (laid_out(whole(*s), dtype, False) for s in ((256, 300), (300, 512)))
    step = ts.jit(lambda x, y: ts.relu(x @ y))
    names = [row.name for row in step.explain(x, y).rows]
    assert not any("cast" in name for name in names if not name.startswith("product"))
    assert sum(name.startswith("product") for name in names) == 1


def test_a_gradient_is_written_as_the_weight_lies():
    weight = ts.ones((64, 128)).astype(ts.bfloat16).requires_grad_()

    @ts.jit
    def step(x):
        weight.grad = None
        (x @ weight.T).sum().backward()
        return weight.grad

    graph = step.graph(ts.ones((256, 128)).astype(ts.bfloat16))
    assert "Permute" not in {node.primitive.name for node in graph.nodes}
    np.testing.assert_array_equal(
        step(ts.ones((256, 128)).astype(ts.bfloat16)).numpy(), np.full((64, 128), 256, BFLOAT16)
    )


def test_missing_halves_of_pairs_do_not_spread_nan(pairs):
    x, y = np.zeros((8, 65)), np.zeros((65, 40))
    x[0, 64], y[64, 0] = np.nan, np.inf
    expected = np.zeros((8, 40), bool)  # NaN times zero, and zero times infinity, is NaN
    expected[0], expected[:, 0] = True, True
    got = (laid_out(x, BFLOAT16, False) @ laid_out(y, BFLOAT16, False)).numpy()
    np.testing.assert_array_equal(np.isnan(got.astype(np.float32)), expected)


def test_the_instruction_for_pairs_is_used():
    """What a processor with AVX512-BF16 gets: compiled on any machine, run by one of that kind."""
    code = """
        from tessella.targets.cpu import packing, products, tiles, transposing
        from tessella.targets.cpu import engine, machine
        from tessella.targets.cpu.packing import Elements
        from tessella.targets.cpu.kernels import llvm_of
        from tessella.targets.cpu.machine import multiplies_pairs
        from tessella.dtypes import bfloat16, float16, float32, uint32
        assert multiplies_pairs(bfloat16) and not multiplies_pairs(float16)
        attributes = machine.function_attributes()
        tile = tiles.tile_for(float32, 512, pairs=True)
        for packed in (products.AHEAD, products.ON_THE_WAY):
            text = engine.assembly(products.product_ir(tile, packed, attributes))
            assert text.count("vdpbf16ps") == 2 * tile.rows, text
        elements = Elements(bfloat16, uint32, pairs=True)
        for kernel in (packing.runs_kernel(elements, 32, 2), packing.gather_kernel(elements, 14)):
            assert "zmm" in engine.assembly(llvm_of(kernel))
        assert "zmm" in engine.assembly(transposing.transposing_ir(elements, 14, 16, attributes))
        print("compiled")
    """
    found = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], env={**os.environ, "TESSELLA_CPU": "x86-64-v4+bf16"},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert found.stdout.strip() == "compiled", found.stderr


@pytest.mark.parametrize("level", LEVELS)
def test_processors_say_whether_they_multiply_bfloat16(level, monkeypatch):
    monkeypatch.setattr(machine, "target", lambda: LEVELS[level])
    machine.vector_bytes.cache_clear()
    try:
        assert machine.multiplies_pairs(ts.bfloat16) is (level == "x86-64-v4+bf16")
    finally:
        machine.vector_bytes.cache_clear()
