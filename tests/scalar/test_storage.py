"""Storage dtypes: every bit pattern is read and written as `ml_dtypes` does it, eagerly and in compiled functions."""

import ml_dtypes
import numpy as np
import pytest

import tessella as ts
from tessella import dtypes

FLOATS = [kind for kind in dtypes.STORAGE if kind.is_float]
INTEGERS = [kind for kind in dtypes.STORAGE if kind.is_integer]
TARGETS = [ts.float16, ts.bfloat16, ts.float64, ts.int32, ts.bool]
PAIRS = [  # every dtype with two others, one near to it and one further off
    (kind, dtypes.STORAGE[(i + step) % len(dtypes.STORAGE)])
    for i, kind in enumerate(dtypes.STORAGE)
    for step in (1, 7)
]
SOME = [
    ts.float8_e4m3fn, ts.float8_e5m2, ts.float8_e5m2fnuz, ts.float8_e8m0fnu, ts.float4_e2m1fn, ts.int4, ts.uint2,
]  # fmt: skip
some = pytest.mark.parametrize("kind", SOME, ids=lambda kind: kind.name)
named = pytest.mark.parametrize("kind", dtypes.STORAGE, ids=lambda kind: kind.name)


def every(kind):
    """All numbers of a dtype."""
    return np.arange(1 << kind.bits, dtype=np.uint8).view(kind.numpy)


def bits(array):
    return np.asarray(array).view(np.uint8)


def test_all_of_ml_dtypes_are_here():
    ours = {kind.name for kind in (*dtypes.STORAGE, ts.bfloat16)}
    theirs = {
        name for name in dir(ml_dtypes) if name.startswith(("float", "int", "uint", "bfloat"))
    }
    assert theirs - {"int1", "uint1"} <= ours


@named
def test_every_number_is_read(kind):
    numbers = every(kind)
    x = ts.asarray(numbers)
    assert x.dtype is kind
    for how in (lambda x, to: x.astype(to), ts.jit(lambda x, to: x.astype(to))):
        got = how(x, ts.float32).numpy()
        np.testing.assert_array_equal(got, numbers.astype(np.float32))
        np.testing.assert_array_equal(np.signbit(got), np.signbit(numbers.astype(np.float32)))


@named
def test_a_number_is_itself_after_a_trip(kind):
    numbers = every(kind)
    nan = np.isnan(numbers.astype(np.float32))
    for trip in (
        lambda x: x.astype(ts.float32).astype(kind),
        ts.jit(lambda x: (x.astype(ts.float64) * 2 / 2).astype(kind)),
    ):
        back = trip(ts.asarray(numbers)).numpy()
        assert np.array_equal(np.isnan(back.astype(np.float32)), nan)
        np.testing.assert_array_equal(bits(back)[~nan], bits(numbers)[~nan])


@some
@pytest.mark.parametrize("target", TARGETS, ids=lambda kind: kind.name)
def test_what_is_read_becomes_any_dtype(kind, target):
    """Through the dtype that it is computed in, as if it had been that all the time."""
    x = ts.asarray(every(kind))
    wide = ts.asarray(every(kind).astype(kind.compute.numpy))
    np.testing.assert_array_equal(
        x.astype(target).numpy().astype(np.float64), wide.astype(target).numpy().astype(np.float64)
    )


def awkward():
    """float32 numbers: all that a bfloat16 or a float16 can be, and what lies next to those."""
    of_bfloat = np.arange(1 << 16, dtype=np.uint32) << 16
    of_half = np.arange(1 << 16, dtype=np.uint16).view(np.float16).astype(np.float32)
    words = np.concatenate([of_bfloat, of_half.view(np.uint32)])
    words = np.concatenate([words, words + np.uint32(1), words - np.uint32(1)])
    drawn = np.random.default_rng(0).integers(0, 1 << 32, 100_000, dtype=np.uint32)
    return np.concatenate([words, drawn]).view(np.float32)


@pytest.mark.parametrize("kind", FLOATS, ids=lambda kind: kind.name)
def test_floats_are_rounded(kind):
    """To the nearest, ties to even; overflow, infinity, NaN and zeros as the format has them."""
    x = awkward()
    with np.errstate(all="ignore"):
        expected = bits(x.astype(kind.numpy))
    np.testing.assert_array_equal(bits(ts.asarray(x).astype(kind).numpy()), expected)
    compiled = ts.jit(lambda x: x.astype(kind))
    np.testing.assert_array_equal(bits(compiled(ts.asarray(x)).numpy()), expected)


@pytest.mark.parametrize("kind", FLOATS, ids=lambda kind: kind.name)
def test_others_are_rounded_once(kind):
    """From float64 between two float32, from float16 and bfloat16, and from whole numbers."""
    ends = every(kind).astype(np.float64)
    ends = np.sort(ends[np.isfinite(ends)])
    ties = (ends[1:] + ends[:-1]) / 2
    for towards in (
        -np.inf,
        np.inf,
    ):  # `ml_dtypes` rounds such to float32 first, which makes ties of them
        near, nearer = np.nextafter(ties, towards), ties.astype(np.float32)
        expected = bits(np.nextafter(nearer, np.float32(towards)).astype(kind.numpy))
        np.testing.assert_array_equal(bits(ts.asarray(near).astype(kind).numpy()), expected)
    for source in (np.float16, ml_dtypes.bfloat16):
        x = np.arange(1 << 16, dtype=np.uint16).view(source)
        with np.errstate(all="ignore"):
            expected = bits(x.astype(np.float32).astype(kind.numpy))
        np.testing.assert_array_equal(bits(ts.asarray(x).astype(kind).numpy()), expected)
    whole = np.arange(-70_000, 70_000)
    with np.errstate(all="ignore"):
        expected = bits(whole.astype(np.float32).astype(kind.numpy))
    np.testing.assert_array_equal(bits(ts.asarray(whole).astype(kind).numpy()), expected)
    truth = np.array([True, False])
    with np.errstate(all="ignore"):
        expected = bits(truth.astype(np.float32).astype(kind.numpy))
    np.testing.assert_array_equal(bits(ts.asarray(truth).astype(kind).numpy()), expected)


@pytest.mark.parametrize("kind", INTEGERS, ids=lambda kind: kind.name)
def test_integers_keep_their_lower_bits(kind):
    for source in (np.int8, np.uint8, np.int32, np.int64):
        x = np.arange(-128, 128).astype(source)
        np.testing.assert_array_equal(
            bits(ts.asarray(x).astype(kind).numpy()), bits(x.astype(kind.numpy))
        )
    fractions = np.array([1.9, -1.9, 7.5, 0.0, -0.5, 1.0], np.float32)
    np.testing.assert_array_equal(
        bits(ts.asarray(fractions).astype(kind).numpy()), bits(fractions.astype(kind.numpy))
    )


@pytest.mark.parametrize(("kind", "other"), PAIRS, ids=lambda kind: kind.name)
def test_one_storage_dtype_becomes_another(kind, other):
    numbers = every(kind)
    with np.errstate(all="ignore"):
        expected = numbers.astype(np.float32)
        if other.is_integer:
            expected = np.where(np.isfinite(expected) & (abs(expected) < 100), expected, 0)
            numbers = expected.astype(kind.numpy)
        expected = numbers.astype(np.float32).astype(other.numpy)
    np.testing.assert_array_equal(bits(ts.asarray(numbers).astype(other).numpy()), bits(expected))


@named
def test_what_is_beside_the_bits_is_not_read(kind):
    """A byte holds one number; what is in its upper bits, if it has fewer, says nothing."""
    full = np.arange(256, dtype=np.uint8)
    kept = (full & (1 << kind.bits) - 1).view(kind.numpy)
    got = ts.asarray(full.view(kind.numpy)).astype(ts.float32).numpy()
    np.testing.assert_array_equal(got, kept.astype(np.float32))


@pytest.mark.parametrize("kind", [ts.float16, ts.bfloat16], ids=lambda kind: kind.name)
def test_bits_of_half_precision_are_its_own(kind):
    """Not those of the float32 in which it is computed."""

    def bits_of(x):
        return ts.scalar.operators.bitcast(x, ts.uint16)

    bits_of.makes_expression = True
    x = ts.asarray([1.0, -2.0]).astype(kind)
    assert np.array_equal(ts.map(bits_of)(x).numpy(), x.numpy().view(np.uint16))
