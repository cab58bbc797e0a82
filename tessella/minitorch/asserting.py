"""Errors of Tessella where MiniTorch has an `assert`: they are both. What is said where the course would have a GPU."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NoReturn, ParamSpec, TypeVar

from tessella.arguments import was_refused
from tessella.errors import ArgumentTypeError, CourseShapeError, DeviceError, ShapeError

P = ParamSpec("P")
R = TypeVar("R")


def asserting(function: Callable[P, R]) -> Callable[P, R]:
    """A function whose shapes MiniTorch asserts: what does not fit is an `AssertionError`, too.

    Raises:
        CourseShapeError: shapes do not fit.
    """

    @functools.wraps(function)
    def asserted(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except ShapeError as error:
            raise CourseShapeError(str(error)) from None
        except TypeError as error:
            if was_refused(error):
                raise ArgumentTypeError(str(error)) from None
            raise

    return asserted


def refuse(name: str) -> NoReturn:
    """Say that there is no GPU backend.

    Raises:
        DeviceError: always.
    """
    raise DeviceError(
        f"{name}: Tessella has no GPU backend yet; use minitorch.TensorBackend(minitorch.FastOps)"
    )
