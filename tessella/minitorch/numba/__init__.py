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
float32, float64, int8, int16, int32, int64, uint8, uint16, uint32, uint64, boolean = (
    np.float32, np.float64, np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32,
    np.uint64, np.bool_,
)  # fmt: skip


def njit(*given: Any, **options: Any) -> Any:
    """The function itself; or, called with options or signatures, what gives it.

    What numba has compiled already is unwrapped.
    """
    if len(given) == 1 and callable(given[0]) and not options:
        return getattr(given[0], "py_func", given[0])
    return njit


jit = njit


def vectorize(*given: Any, **options: Any) -> Any:
    """The function of numbers as one of arrays: `numpy.vectorize`."""
    if len(given) == 1 and callable(given[0]):
        return np.vectorize(given[0])
    return vectorize


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
