"""What scripts of the course import from numba, where numba is not installed: functions stay as they are.

Tessella compiles the functions that its backends are given by itself. So `njit` has nothing to do, and gives
back the Python function. `tessella.minitorch.install` lets `import numba` find this.

>>> from tessella.minitorch import numba
>>> @numba.njit(parallel=True)
... def double(x):
...     return 2 * x
>>> double(4), numba.njit(double) is double, numba.cuda.is_available()
(8, True, False)
"""

from __future__ import annotations

import importlib
import os
from typing import Any

import numpy as np

cuda = importlib.import_module(f"{__name__}.cuda")  # under the name that this has been imported by
prange = range


class NumberType:
    """A type of numbers: of numbers it makes some of its type, of types a signature, which says nothing here.

    >>> float32(2), float64(float32, int64[:])
    (np.float32(2.0), 'float64(float32, int64)')
    """

    def __init__(self, name: str, dtype: type[np.generic]) -> None:
        self.name, self.dtype = name, dtype

    def __call__(self, *given: Any) -> Any:
        if all(isinstance(kind, NumberType) for kind in given):
            return f"{self.name}({', '.join(kind.name for kind in given)})"
        return self.dtype(*given)

    def __getitem__(self, axes: Any) -> NumberType:
        return self


float32, float64 = NumberType("float32", np.float32), NumberType("float64", np.float64)
int8, int16 = NumberType("int8", np.int8), NumberType("int16", np.int16)
int32, int64 = NumberType("int32", np.int32), NumberType("int64", np.int64)
uint8, uint16 = NumberType("uint8", np.uint8), NumberType("uint16", np.uint16)
uint32, uint64 = NumberType("uint32", np.uint32), NumberType("uint64", np.uint64)
boolean = NumberType("boolean", np.bool_)


def njit(*given: Any, **options: Any) -> Any:
    """The function itself; or, called with options and signatures alone, what gives it.

    What numba has compiled already is unwrapped.
    """
    function = _function_among(given)
    return njit if function is None else function


def _function_among(given: tuple[Any, ...]) -> Any:
    """What is to be compiled, as Python; None if there are only signatures."""
    if not given or not callable(given[0]) or isinstance(given[0], NumberType):
        return None
    return getattr(given[0], "py_func", given[0])


jit = njit


def vectorize(*given: Any, **options: Any) -> Any:
    """The function of numbers as one of arrays: `numpy.vectorize`."""
    function = _function_among(given)
    return vectorize if function is None else np.vectorize(function)


def get_num_threads() -> int:
    """How many processors there are."""
    return os.cpu_count() or 1


def set_num_threads(n: int) -> None:
    """Nothing: `TESSELLA_NUM_THREADS` says how many processors Tessella takes."""


def __getattr__(name: str) -> Any:
    raise AttributeError(
        f"numba.{name}: numba is not installed, and what stands in for it has no {name!r}; it has "
        "njit, jit, vectorize, prange, cuda and the number types; for all of it, pip install numba"
    )
