"""Element by element, every level that this machine can execute gives the same bits.

Run as a program, this file prints a digest of each result, for the level that `TESSELLA_CPU` names.
"""

import functools
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tessella as ts
from tessella.errors import TessellaError
from tessella.primitives.elementwise import elementwise
from tessella.scalar.expression import OPERATORS
from tessella.targets.cpu import processors

# parts of other operators, that need static arguments or promise something about their operands
INTERNAL = {
    "variable", "constant", "load", "masked_load", "cast", "bitcast", "c_library", "fallback", "quotient", "modulo",
    "multiply_high", "library_fmod", "exp_up_to_0", "floor_divide_integers", "remainder_integers", "fma", "select",
}  # fmt: skip
NAMES = sorted(set(OPERATORS) - INTERNAL)
DTYPES = [ts.float16, ts.float32, ts.float64, ts.int64]
COUNT = 16 * 30 + 7  # whole vectors of every width, and what is left
FLOATS = [
    0.0, -0.0, 1.0, -1.0, 0.5, 1.5, -2.5, 3.0, 100.0, -100.0, 88.7, 709.7, 1e-8, 65504.0, 1e30, -1e30, 2.0**31, 2.0**63,
    -(2.0**63), 1e-40, 5e-324, np.pi, np.inf, -np.inf, np.nan,
]  # fmt: skip
INTEGERS = [0, 1, 2, 3, 7, 8, 31, 32, 33, 63, 64, 65, 100, -1, -2, -7, -64]


def values(dtype, seed):
    """Numbers in whose neighbourhood kernels take other ways, small ones, and any bits at all."""
    random = np.random.default_rng(seed)
    bits = np.frombuffer(random.bytes(COUNT * dtype.itemsize), dtype.numpy)
    if dtype.is_float:
        known = np.array(FLOATS)
        small = random.standard_normal(COUNT) * random.choice([0.1, 1.0, 100.0], COUNT)
    else:
        known = np.array([*INTEGERS, np.iinfo(dtype.numpy).max, np.iinfo(dtype.numpy).min], object)
        small = random.integers(-70, 71, COUNT)
    with np.errstate(all="ignore"):
        wrapped = known if dtype.is_float else known & (2**dtype.bits - 1)
        kinds = bits, cast(random.choice(wrapped, COUNT), dtype), cast(small, dtype)
    return ts.asarray(np.choose(random.integers(0, 3, COUNT), kinds))


def cast(numbers, dtype):
    if numbers.dtype == object:  # whole numbers of 64 bits, without a sign
        return numbers.astype(np.uint64).astype(dtype.numpy)
    return numbers.astype(dtype.numpy)


def named_results(dtype):
    """Every operator on a dtype, and what compilers are tempted to treat in another way."""
    x, y = values(dtype, 0), values(dtype, 1)
    for name in NAMES:
        operands = (x, y)[: OPERATORS[name].arity]
        yield name, functools.partial(elementwise(name), *operands)
    for other in ts.dtypes.ALL:
        if not other.is_complex:
            yield f"to {other}", functools.partial(x.astype, other)
    if dtype.is_integer:
        counts = y & (dtype.bits - 1)
        yield "shifts by less than the width", lambda: (x << counts) ^ (x >> counts)
        yield "shifts by computed counts", lambda: (x << ts.abs(y)) ^ (x >> (y * 3))


def digest(result):
    """The bits of a result; a NaN is a NaN, whatever its sign and its payload are."""
    array = result.numpy()
    if result.dtype.is_float:
        nan = np.isnan(array)
        array = np.where(nan, np.zeros((), array.dtype), array).view(f"u{array.itemsize}")
        array = np.concatenate([array, nan.astype(array.dtype)])
    return hashlib.sha256(array.tobytes()).hexdigest()[:16]


def digests(dtype):
    """A digest of each result, all computed by one program."""
    names = []

    def compute():
        results = []
        for name, function in named_results(dtype):
            try:
                results.append(function())
            except TessellaError:
                continue  # not for this dtype
            names.append(name)
        return results

    results = ts.jit(compute)()
    return dict(zip(names[-len(results) :], map(digest, results), strict=True))


@functools.cache
def own_digests():
    return {dtype.name: digests(dtype) for dtype in DTYPES}


@pytest.mark.parametrize("level", processors.executable_levels())
def test_results_are_the_same_at_every_level(level):
    found = subprocess.run(
        [sys.executable, "-W", "error", __file__], env={**os.environ, "TESSELLA_CPU": level,
        "PYTHONPATH": str(Path(ts.__file__).parents[1])},
        capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    other = json.loads(found.stdout)
    assert sum(map(len, other.values())) > 200
    for dtype, own in own_digests().items():
        differ = [name for name, bits in own.items() if other[dtype][name] != bits]
        assert not differ, f"{dtype}: {differ}"


if __name__ == "__main__":
    print(json.dumps(own_digests()))
