"""Counting: integers as NumPy counts them, compiled and eager alike."""

import numpy as np
import pytest

import tessella as ts
from tessella import errors

RANGES = [
    ((0, 5, 0.5), "int64"), ((1.7, 5, 1.5), "int32"), ((5, -1, -1.5), "int8"), ((-1.7, 3, 0.9), "int64"),
    ((2.5, 0, -0.5), "int16"), ((0.5,), "uint8"), ((5.5,), "uint32"), ((10, 0, -3), "uint8"),
    ((2**63, 2**63 + 3), "uint64"), ((2**64 - 1, 2**64 - 4, -1), "uint64"), ((-(2**63), -(2**63) + 2), "int64"),
    ((1e18, 1e18 + 512, 128), "int64"), ((3, 3), "int64"), ((2**63, 2**63 + 1), "uint64"), ((0, 1, 0.1), "uint64"),
]  # fmt: skip


@pytest.mark.parametrize(("numbers", "kind"), RANGES)
def test_integers_are_counted_as_numpy_does(numbers, kind):
    expected = np.arange(*numbers, dtype=kind)
    for call in (lambda f: f(), lambda f: ts.jit(f)()):
        found = call(lambda: ts.arange(*numbers, dtype=kind)).numpy()
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("numbers", "kind", "wrong"),
    [((250, 262), "int8", "250"), ((-3, 4), "uint8", "-3"), ((2**63, 2**63 + 2), "int64", str(2**63)), ((100, 400, 100), "int8", "200")],
)  # fmt: skip
def test_a_start_that_does_not_fit(numbers, kind, wrong):
    with pytest.raises(OverflowError):
        np.arange(*numbers, dtype=kind)
    for call in (lambda f: f(), lambda f: ts.jit(f)()):
        with pytest.raises(
            errors.ArgumentError, match=rf"arange: {wrong} does not fit in {kind} \("
        ):
            call(lambda: ts.arange(*numbers, dtype=kind))


def test_floats_from_integers_that_numpy_has_none_for():
    assert ts.arange(2**63, 2**63 + 3, dtype=ts.float32).tolist() == [2.0**63] * 3
