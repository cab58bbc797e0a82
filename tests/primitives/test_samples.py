"""Tests made from the primitives' own samples: reference = cpu, derivatives, batches."""

import numpy as np
import pytest

import tessella as ts
from tessella.compiler import backend, run
from tessella.devices.array import from_numpy, to_numpy
from tessella.dtypes import as_dtype
from tessella.primitives import ALL
from tessella.primitives.base import Spec

SAMPLES = [
    pytest.param(sample, id=f"{kind.__name__}-{number}")
    for kind in ALL
    for number, sample in enumerate(kind.samples())
]
SMOOTH = [p for p in SAMPLES if p.values[0].differentiable]


def tensors(sample, dtype=None):
    arrays = [np.asarray(x) for x in sample.inputs]
    if dtype is not None:
        arrays = [x.astype(dtype) if x.dtype.kind == "f" else x for x in arrays]
    return [ts.asarray(x) for x in arrays]


def test_every_primitive_has_samples():
    assert all(list(kind.samples()) for kind in ALL)


@pytest.mark.parametrize("sample", SAMPLES)
def test_cpu_equals_reference(sample):
    arrays = [np.asarray(x) for x in sample.inputs]
    expected = np.asarray(sample.primitive.reference(*arrays))
    got = to_numpy(run(sample.primitive, [from_numpy(x) for x in arrays]))
    spec = sample.primitive.result(*(Spec(x.shape, as_dtype(x.dtype)) for x in arrays))
    assert got.shape == expected.shape == spec.shape
    assert got.dtype == expected.dtype == spec.dtype.numpy
    tolerance = 1e-5 if got.dtype == np.float32 else 1e-12
    np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("sample", SMOOTH)
def test_half_precision_equals_reference(sample, dtype):
    inputs = [x.astype(dtype) if x.dtype.is_float else x for x in tensors(sample)]
    got = sample.primitive(*inputs).astype(ts.float32).numpy()
    with backend("reference"):
        expected = sample.primitive(*inputs).astype(ts.float32).numpy()
    step = 2.0**-10 if dtype == "float16" else 2.0**-7
    scale = np.abs(expected).max(initial=1.0)
    np.testing.assert_allclose(got, expected, rtol=2 * step, atol=step * scale)


def central_difference(function, inputs, index, direction, step=1e-6):
    def moved(sign):
        values = list(inputs)
        values[index] = values[index] + sign * step * direction
        return function(*values).numpy()

    return (moved(1.0) - moved(-1.0)) / (2 * step)


@pytest.mark.parametrize("sample", SMOOTH)
def test_vjp_and_jvp_agree_with_central_differences(sample):
    inputs = tensors(sample, np.float64)
    random = np.random.default_rng(0)
    out = sample.primitive(*inputs)
    ct = ts.asarray(random.standard_normal(out.shape))
    pulled = sample.primitive.vjp((ct,), tuple(inputs), (out,))
    for index, x in enumerate(inputs):
        if not x.dtype.is_float:
            assert pulled[index] is None
            continue
        direction = ts.asarray(random.standard_normal(x.shape))
        slope = central_difference(sample.primitive, inputs, index, direction)
        gradient = pulled[index]
        along = 0.0 if gradient is None else float((gradient * direction).sum())
        assert along == pytest.approx(float((ct.numpy() * slope).sum()), rel=1e-5, abs=1e-6)
        tangents = tuple(direction if i == index else None for i in range(len(inputs)))
        tangent = sample.primitive.jvp(tuple(inputs), tangents)
        tangent = np.zeros(out.shape) if tangent is None else tangent.numpy()
        np.testing.assert_allclose(tangent, slope, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("sample", SMOOTH)
def test_second_order(sample):
    inputs = [x.requires_grad_() if x.dtype.is_float else x for x in tensors(sample, np.float64)]
    wanted = [x for x in inputs if x.requires_grad]
    random = np.random.default_rng(1)

    def first(*values):
        out = sample.primitive(*values)
        weight = ts.asarray(np.cos(np.arange(out.size, dtype=np.float64)).reshape(out.shape))
        leaves = [v for v in values if v.requires_grad]
        found = ts.gradients([(out * out * weight).sum()], leaves, create_graph=True)
        return sum(
            (g * np.sin(np.arange(g.size, dtype=np.float64)).reshape(g.shape)).sum()
            for g in found
            if g is not None
        )

    total = first(*inputs)
    assert isinstance(total, ts.Tensor)
    if not total.requires_grad:
        return  # constant first derivative
    second = ts.gradients([total], wanted)
    for x, gradient in zip(wanted, second, strict=True):
        direction = ts.asarray(random.standard_normal(x.shape))
        index = next(i for i, y in enumerate(inputs) if y is x)

        def moved(sign, index=index, direction=direction):
            values = [v.detach() for v in inputs]
            values[index] = values[index] + direction * (sign * 1e-5)
            values = [v.requires_grad_() if v.dtype.is_float else v for v in values]
            return float(first(*values))

        slope = (moved(1) - moved(-1)) / 2e-5
        along = 0.0 if gradient is None else float((gradient * direction).sum())
        assert along == pytest.approx(slope, rel=1e-4, abs=1e-4)


@pytest.mark.parametrize("sample", [p for p in SAMPLES if p.values[0].inputs])
def test_batch_equals_a_loop(sample):
    inputs = tensors(sample)
    size = 3
    for chosen in [range(len(inputs)), [0]]:
        batched, axes = [], []
        for i, x in enumerate(inputs):
            if i in chosen:
                axis = x.ndim if i % 2 else 0
                rows = [x, ts.flip(x) if x.dtype.is_float else x, x]
                batched.append(ts.stack(rows, axis=axis))
                axes.append(axis)
            else:
                batched.append(x)
                axes.append(None)
        result, where = sample.primitive.batch(tuple(batched), tuple(axes), size)
        for row in range(size):
            single = [
                x if axis is None else x[(slice(None),) * axis + (row,)]
                for x, axis in zip(batched, axes, strict=True)
            ]
            expected = sample.primitive(*single).numpy()
            got = result if where is None else result[(slice(None),) * where + (row,)]
            np.testing.assert_allclose(got.numpy(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("sample", SAMPLES)
def test_compiled_equals_eager(sample):
    inputs = tensors(sample)
    expected = sample.primitive(*inputs).numpy()
    got = ts.jit(lambda *values: sample.primitive(*values))(*inputs).numpy()
    assert (got.shape, got.dtype) == (expected.shape, expected.dtype)
    tolerance = 1e-5 if got.dtype == np.float32 else 1e-12
    np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("sample", SMOOTH)
def test_compiled_derivatives_equal_eager_ones(sample):
    inputs = tensors(sample, np.float64)
    random = np.random.default_rng(0)
    ct = ts.asarray(random.standard_normal(sample.primitive(*inputs).shape))

    def pulled(ct, *values):
        leaves = [x.detach().requires_grad_() if x.dtype.is_float else x for x in values]
        sample.primitive(*leaves).backward(ct)
        return [x.grad for x in leaves if x.dtype.is_float]

    for got, expected in zip(ts.jit(pulled)(ct, *inputs), pulled(ct, *inputs), strict=True):
        assert (got is None) == (expected is None)
        if expected is not None:
            np.testing.assert_allclose(got.numpy(), expected.numpy(), rtol=1e-10, atol=1e-10)
