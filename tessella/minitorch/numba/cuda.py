"""`numba.cuda` where there is none: it says that there is no GPU, and kernels complain when they are launched."""

from __future__ import annotations

from types import FunctionType
from typing import Any, NoReturn

from tessella.errors import DeviceError


def is_available() -> bool:
    """False: there is no GPU backend."""
    return False


class _Kernel:
    """A kernel that was written for a GPU."""

    def __init__(self, function: Any) -> None:
        self.py_func = function

    def __getitem__(self, launch: Any) -> _Kernel:
        return self

    def __call__(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise DeviceError(
            f"numba.cuda: {getattr(self.py_func, '__name__', 'a kernel')} was launched, and there is no "
            "numba and no GPU backend; ask cuda.is_available() first, and use "
            "minitorch.TensorBackend(minitorch.FastOps)"
        )


def jit(*given: Any, **options: Any) -> Any:
    """A kernel that can be defined, and complains when it is launched; functions for the device stay as they are."""
    if options.get("device"):
        return given[0] if given else lambda function: function
    if given and isinstance(given[0], FunctionType):
        return _Kernel(given[0])
    return _Kernel


def __getattr__(name: str) -> Any:
    raise AttributeError(
        f"numba.cuda.{name}: there is no numba and no GPU backend; ask cuda.is_available() first"
    )
