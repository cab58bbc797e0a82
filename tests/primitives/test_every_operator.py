"""Every scalar operator on every dtype: the kernel gives what the reference gives, or both complain."""

import functools
import inspect
import itertools

import numpy as np
import pytest

import tessella as ts
from tessella.errors import TessellaError
from tessella.primitives.elementwise import elementwise
from tessella.scalar.expression import OPERATORS

# parts of other operators, that need static arguments or promise something about their operands
INTERNAL = {
    "cast", "bitcast", "c_library", "fallback", "quotient", "modulo", "multiply_high", "load", "masked_load",
    "library_fmod", "exp_up_to_0", "floor_divide_integers", "remainder_integers", "fma",
}  # fmt: skip
NAMES = sorted(set(OPERATORS) - INTERNAL)
DTYPES = [d for d in ts.dtypes.ALL if not d.is_complex]
NUMBERS = [0, 1, 2, 3, 7, 100, -1, -2, -7, 0.25, 0.5, 1.5, -0.5, -3.75, 12.5]


def values(dtype):
    numbers = np.array(NUMBERS)
    if not dtype.is_float:
        numbers = np.trunc(numbers)
    if dtype.kind == "uint" or dtype.is_bool:
        numbers = np.abs(numbers)
    return numbers.astype(dtype.numpy)


def outcome(function):
    try:
        return function()
    except TessellaError as error:
        return type(error)


def compare(name, *operands):
    primitive = elementwise(name)
    own = outcome(lambda: primitive(*operands))
    with ts.backend("reference"):
        expected = outcome(lambda: primitive(*operands))
    if isinstance(own, type) or isinstance(expected, type):
        assert own is expected
        return
    assert own.dtype is expected.dtype
    found, meant = own.numpy(), expected.numpy()
    if own.dtype.is_float:
        tolerance = {16: 2e-2, 32: 1e-5, 64: 1e-12}[own.dtype.bits]
        if own.dtype.bits == 16:
            found, meant = found.astype(np.float32), meant.astype(np.float32)
        np.testing.assert_allclose(found, meant, rtol=tolerance, atol=tolerance)
    else:
        np.testing.assert_array_equal(found, meant)


def arity(name):
    return 3 if name == "select" else OPERATORS[name].arity


@pytest.mark.parametrize("name", NAMES)
def test_every_dtype(name):
    if arity(name) == 1:
        for dtype in DTYPES:
            compare(name, ts.asarray(values(dtype)))
    elif arity(name) == 2:
        for dtype in DTYPES:
            x, y = (a.ravel() for a in np.meshgrid(values(dtype), values(dtype)))
            if "shift" in name:
                y = np.clip(y, 0, 60)
            compare(name, ts.asarray(x), ts.asarray(y))
    else:
        for dtype in DTYPES:
            x = ts.asarray(values(dtype))
            compare(name, x != 0, x, ts.flip(x))


MIXED = ["add", "multiply", "divide", "maximum", "less", "pow", "atan2", "floor_divide", "equal"]


@pytest.mark.parametrize("name", MIXED)
def test_mixed_dtypes(name):
    for first, second in itertools.product(DTYPES, DTYPES):
        compare(name, ts.asarray(values(first)), ts.asarray(values(second)[::-1].copy()))


@pytest.mark.parametrize("name", MIXED)
@pytest.mark.parametrize("number", [0, 1, 2, -3, 0.5, True])
def test_python_numbers(name, number):
    """A number is what a tensor of its own dtype would be."""
    for dtype in DTYPES:
        x = ts.asarray(values(dtype))
        function = getattr(ts, name)
        for operands in ((x, number), (number, x)):
            own = outcome(functools.partial(function, *operands))
            with ts.backend("reference"):
                expected = outcome(functools.partial(function, *operands))
            if isinstance(own, type) or isinstance(expected, type):
                assert own is expected
                continue
            assert own.dtype is expected.dtype
            np.testing.assert_allclose(
                own.numpy().astype(np.float64),
                expected.numpy().astype(np.float64),
                rtol=2e-2 if own.dtype.itemsize == 2 else 1e-5,
            )


def test_public_functions_are_covered():
    public = {name for name in ts.__all__ if name in OPERATORS} - {"load"}  # a file, not memory
    assert public <= set(NAMES)
    assert inspect.isfunction(ts.divide)
