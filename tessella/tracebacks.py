"""Tracebacks of users: the frames of this package are left out where an error leaves a transformation.

Between a call of a compiled function and the line in it that is wrong lie a dozen frames of ours, which tell a user
nothing. They are cut out of the error's traceback; the error, its cause and its context stay what they are. With
`TESSELLA_TRACEBACK=full`, which is read when an error comes by, nothing is cut.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable
from types import CodeType, FunctionType, TracebackType
from typing import ParamSpec, TypeVar

import numpy as np

from tessella.errors import ConfigurationError, TessellaError

P = ParamSpec("P")
R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., object])

VARIABLE = "TESSELLA_TRACEBACK"
KINDS = ("short", "full")
NOTE = f"(frames inside Tessella are left out; {VARIABLE}=full shows them)"


def _folder(file: str) -> str:
    return os.path.dirname(os.path.abspath(file)) + os.sep


# Lines of users are those that belong neither to this package nor to NumPy, which it calls.
NOT_USERS = (_folder(__file__), _folder(np.__file__))
_BETWEEN = (contextlib.__file__, functools.__file__)  # what stands between two frames of ours


_CALLERS: dict[int, CodeType] = {}  # by id: the hash of code is that of all its instructions


def calls_users(function: F) -> F:
    """A function of ours that calls one of a user's: a TypeError that arises right in it is about the arguments."""
    assert isinstance(function, FunctionType)
    _CALLERS[id(function.__code__)] = function.__code__
    return function


def users_frames(function: Callable[P, R]) -> Callable[P, R]:
    """The function, whose errors leave it without the frames of this package."""

    @functools.wraps(function)
    def called(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except Exception as error:  # goes on as it is, but for the frames
            shorten(error)
            raise

    return calls_users(called)


def shorten(error: BaseException) -> None:
    """Cut the frames of this package out of an error's traceback.

    A `raise` that follows adds no entry for its own frame.

    Raises:
        ConfigurationError: `TESSELLA_TRACEBACK` is neither "short" nor "full".
    """
    kind = os.environ.get(VARIABLE, "short")
    if kind not in KINDS:
        raise ConfigurationError(f"{VARIABLE} is {kind!r}; expected 'short' or 'full'") from error
    frames = _frames(error.__traceback__)
    if kind == "full":
        return
    last = _last_of_users(frames)
    was_cut = NOTE in getattr(error, "__notes__", ())
    if _is_told_by_itself(error, frames) or (was_cut and last < 0):
        last = len(frames)
    # another error may be a mistake of ours: how it came about, behind the last line of a user, is to be seen
    kept = [entry for number, entry in enumerate(frames) if number > last or not _is_between(entry)]
    if len(kept) < len(frames) and not was_cut:
        error.add_note(NOTE)
    error.__traceback__ = _chain(kept)


def _is_told_by_itself(error: BaseException, frames: list[TracebackType]) -> bool:
    if isinstance(error, TessellaError):
        return True
    inner = id(frames[-1].tb_frame.f_code) if frames else None
    return isinstance(error, TypeError) and inner in _CALLERS


def _frames(traceback: TracebackType | None) -> list[TracebackType]:
    """The entries of a traceback, from the outermost to where the error was raised."""
    found = []
    while traceback is not None:
        found.append(traceback)
        traceback = traceback.tb_next
    return found


def _chain(frames: list[TracebackType]) -> TracebackType | None:
    chain = None
    for entry in reversed(frames):
        chain = TracebackType(chain, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
    return chain


def _file(entry: TracebackType) -> str:
    return entry.tb_frame.f_code.co_filename


def _is_between(entry: TracebackType) -> bool:
    return _file(entry).startswith(NOT_USERS) or _file(entry) in _BETWEEN


def _last_of_users(frames: list[TracebackType]) -> int:
    return max((i for i, entry in enumerate(frames) if not _is_between(entry)), default=-1)
