"""Winograd's convolutions: the matrices in exact fractions, and the kernels against NumPy in float64."""

from fractions import Fraction

import numpy as np
import pytest

import tessella as ts
from tessella.compiler.lowering import steps_of
from tessella.devices.registry import host
from tessella.nn import functional as F
from tessella.primitives.base import Spec
from tessella.primitives.contraction import Contraction, Geometry
from tessella.targets.cpu import threads
from tessella.targets.cpu.lowering import winograd
from tessella.targets.cpu.winograd import matrices


def times(matrix, vector):
    return [sum((a * b for a, b in zip(row, vector, strict=True)), Fraction(0)) for row in matrix]


@pytest.mark.parametrize(("outputs", "taps"), [(4, 3), (3, 4), (2, 3), (2, 2), (1, 3), (3, 1)])
def test_the_matrices_give_the_convolution_exactly(outputs, taps):
    to_outputs, to_filter, to_inputs = matrices(outputs, taps)
    for seed in range(5):
        random = np.random.default_rng(seed)
        inputs = [Fraction(int(v), 7) for v in random.integers(-50, 50, outputs + taps - 1)]
        taps_ = [Fraction(int(v), 3) for v in random.integers(-50, 50, taps)]
        products = [
            a * b
            for a, b in zip(times(to_filter, taps_), times(to_inputs, inputs), strict=True)
        ]  # fmt: skip
        expected = [
            sum(inputs[i + j] * taps_[j] for j in range(taps)) for i in range(outputs)
        ]  # fmt: skip
        assert times(to_outputs, products) == expected


def correlated(x, w):
    windows = np.lib.stride_tricks.sliding_window_view(x, w.shape[2:], axis=(2, 3))
    return np.einsum("nchwij,ocij->nohw", windows, w, optimize=True)


def padded(x, n):
    return np.pad(x, ((0, 0), (0, 0), (n, n), (n, n)))


# images, channels, height, width, filters, padding: tiles whole and not, several chunks and blocks of k
SHAPES = [
    (8, 64, 56, 56, 64, 1), (3, 20, 13, 17, 24, 0), (16, 32, 7, 9, 40, 1), (2, 400, 16, 16, 17, 1),
    (64, 32, 26, 26, 64, 0), (64, 96, 4, 4, 50, 1), (5, 16, 12, 12, 16, 2),
]  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_convolutions_and_their_gradients(shape):
    n, c, h, w, o, padding = shape
    random = np.random.default_rng(0)
    x = random.standard_normal((n, c, h, w)).astype(np.float32)
    filters = (random.standard_normal((o, c, 3, 3)) / np.sqrt(9 * c)).astype(np.float32)
    a, b = ts.asarray(x).requires_grad_(), ts.asarray(filters).requires_grad_()
    y = F.conv2d(a, b, padding=padding)
    ct = random.standard_normal(y.shape)
    y.backward(ts.asarray(ct.astype(np.float32)))
    wide = padded(x.astype(np.float64), padding)
    close(y, correlated(wide, filters.astype(np.float64)))
    close(b.grad, correlated(wide.swapaxes(0, 1), ct.swapaxes(0, 1)).swapaxes(0, 1))
    backwards = filters.astype(np.float64)[:, :, ::-1, ::-1].swapaxes(0, 1)
    whole = correlated(padded(ct, 2), backwards)
    close(a.grad, whole[:, :, padding : padding + h, padding : padding + w])


def close(found, expected):
    """A few rounding errors more than a plain sum has (docs/adr/0010)."""
    error = np.abs(found.numpy() - expected).max() / expected.std()
    assert error < 5e-5
    assert np.sqrt(np.mean((found.numpy() - expected) ** 2)) / expected.std() < 5e-6


def test_it_is_used_for_these_shapes():
    both = (Geometry(2, 5, 7, 1, 1, 1), Geometry(3, 6, 8, 1, 1, 1))
    convolution = Contraction((0, 1, 2, 3), (4, 1, 5, 6), (0, 4, 7, 8), both)
    x, w = Spec((2, 32, 29, 30), ts.float32), Spec((16, 32, 3, 3), ts.float32)
    seen = []

    def apply(primitive, operands):
        seen.append((primitive, operands))
        return primitive.result(*operands)

    result = steps_of(convolution, (x, w), host())(apply, (x, w))
    assert result.shape == (2, 16, 29, 30)
    (bare, operands), = [found for found in seen if isinstance(found[0], Contraction)]  # fmt: skip
    assert operands[0].shape == (2, 32, 34, 34)  # 8 tiles of 4 along each axis, and 2 besides
    assert winograd.plan(bare, *operands) is not None


@pytest.mark.parametrize(
    "change",
    ["few channels", "few filters", "one image", "float64", "stride", "dilation", "groups", "5x5"],
)
def test_other_convolutions_go_the_other_way(change):
    c, o, n = 32, 32, 4
    stride, dilation, size, dtype = 1, 1, 3, ts.float32
    if change == "few channels":
        c = 3
    elif change == "few filters":
        o = 8
    elif change == "one image":
        n = 1
    elif change == "float64":
        dtype = ts.float64
    elif change == "stride":
        stride = 2
    elif change == "dilation":
        dilation = 2
    elif change == "5x5":
        size = 5
    batch = (9,) if change == "groups" else ()
    geometry = tuple(
        Geometry(axis + 2, axis + 5, axis + 7, stride, 0, 0, 1, dilation) for axis in (0, 1)
    )
    contraction = Contraction(
        (*batch, 0, 1, 2, 3), (*batch, 4, 1, 5, 6), (*batch, 0, 4, 7, 8), geometry
    )
    lead = (2,) if batch else ()
    x = Spec((*lead, n, c, 10, 10), dtype)
    w = Spec((*lead, o, c, size, size), dtype)
    assert winograd.growth(contraction, x, w) is None
    assert winograd.plan(contraction, x, w) is None


def test_operands_may_be_views():
    random = np.random.default_rng(0)
    x = random.standard_normal((14, 16, 18, 4)).astype(np.float32)  # (h, c, w, n)
    w = random.standard_normal((3, 16, 3, 24)).astype(np.float32)[::-1]  # (i, c, j, o)
    found = F.conv2d(
        ts.permute_dims(ts.asarray(x, copy=False), (3, 1, 0, 2)),
        ts.permute_dims(ts.asarray(w, copy=False), (3, 1, 0, 2)),
    )
    close(
        found,
        correlated(
            x.transpose(3, 1, 0, 2).astype(np.float64), w.transpose(3, 1, 0, 2).astype(np.float64)
        ),
    )


def test_the_same_bits_for_any_number_of_threads():
    random = np.random.default_rng(0)
    x = ts.asarray(random.standard_normal((8, 32, 24, 24)).astype(np.float32))
    w = ts.asarray(random.standard_normal((32, 32, 3, 3)).astype(np.float32))
    before, found = threads.count(), []
    try:
        for count in (1, 2, 3):
            threads.set_count(count)
            found.append(F.conv2d(x, w, padding=1).numpy().copy())
    finally:
        threads.set_count(before)
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


def test_a_nan_stays_near_its_place():
    x = np.ones((4, 16, 16, 16), np.float32)
    x[1, 3, 5, 6] = np.nan
    y = F.conv2d(ts.asarray(x), ts.ones((16, 16, 3, 3)), padding=1).numpy()
    assert np.isnan(y[1, :, 4:7, 5:8]).all()  # where a plain sum has it
    assert not np.isnan(y[[0, 2, 3]]).any()
    assert not np.isnan(y[1, :, 12:, 12:]).any()


def test_it_can_be_turned_off(monkeypatch):
    monkeypatch.setenv("TESSELLA_WINOGRAD", "0")
    whole = np.random.default_rng(0).integers(-4, 5, (5, 17, 12, 12)).astype(np.float32)
    w = np.random.default_rng(1).integers(-4, 5, (18, 17, 3, 3)).astype(np.float32)
    found = F.conv2d(ts.asarray(whole), ts.asarray(w)).numpy()
    np.testing.assert_array_equal(
        found, correlated(whole, w)
    )  # a plain sum of whole numbers is exact
