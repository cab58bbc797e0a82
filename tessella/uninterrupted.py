"""Work that no Ctrl-C reaches: a thread does it, and the main thread waits for it.

Python raises the exception of a signal in the main thread, between any two lines. A library that takes a lock
in an `__enter__` written in Python, as llvmlite and `threading.Condition` do, is left with the lock taken for ever
if that happens behind its `acquire`; and what is raised in a `__del__` is printed and lost. Other
threads have no such moments. Here the main thread waits by one step of the interpreter: the acquiring of a lock.
"""

from __future__ import annotations

import functools
import importlib
import threading
from _thread import allocate_lock, start_new_thread
from collections.abc import Callable
from types import ModuleType
from typing import Generic, ParamSpec, TypeVar, cast

Result = TypeVar("Result")
Parameters = ParamSpec("Parameters")


class Work(Generic[Result]):
    """A call of a function in a thread of its own, from the moment it is made.

    Raises:
        RuntimeError: no more threads can be started.

    >>> Work(lambda: 6 * 7).result()
    42
    """

    __slots__ = ("_error", "_function", "_running", "_value")

    def __init__(self, function: Callable[[], Result]) -> None:
        self._function = function
        self._value: Result | None = None
        self._error: BaseException | None = None
        self._running = allocate_lock()
        self._running.acquire()
        start_new_thread(self._do, ())

    def _do(self) -> None:
        try:
            self._value = self._function()
        except BaseException as error:
            self._error = error
        finally:
            self._running.release()

    def is_done(self) -> bool:
        """Whether it has come to its end."""
        return not self._running.locked()

    def wait(self) -> None:
        """Wait for its end, or for a signal."""
        with self._running:
            pass

    def result(self) -> Result:
        """Wait for its end; its value, or its error raised here."""
        self.wait()
        if self._error is not None:
            raise self._error
        return cast("Result", self._value)


def uninterrupted(
    function: Callable[Parameters, Result],
) -> Callable[Parameters, Result]:
    """A function whose every call is brought to its end, whatever signals arrive.

    In the main thread, a call waits for another thread; a Ctrl-C ends the waiting alone. Only where no thread
    can be started it is done there. In other threads, which signals do not reach, it is a call like any other.

    >>> @uninterrupted
    ... def place():
    ...     return threading.current_thread() is threading.main_thread()
    >>> place()
    False
    """

    @functools.wraps(function)
    def call(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        if threading.get_ident() != threading.main_thread().ident:
            return function(*args, **kwargs)
        try:
            work = Work(functools.partial(function, *args, **kwargs))
        except RuntimeError:
            return function(*args, **kwargs)
        return work.result()

    return call


@uninterrupted
def import_extension(name: str) -> ModuleType:
    """Import a package with modules in C, which cannot be initialised again after half an import.

    >>> import_extension("math").hypot(3.0, 4.0)
    5.0
    """
    return importlib.import_module(name)
