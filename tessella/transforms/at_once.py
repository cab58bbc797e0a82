"""Functions that are one program wherever they are called without a trace around: for those made of many small steps.

Eagerly each step costs microseconds of Python, and its gradient several. As a program all of them are one native
call, and their gradients another. Sizes are symbolic, so a new size is traced no more than an operation is compiled
for it.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

from tessella import autodiff
from tessella.arguments.precision import lower_dtype
from tessella.compiler.observe import settings
from tessella.errors import TessellaError
from tessella.primitives.graph import NO_LINE
from tessella.tensors.tensor import Tensor, as_it_is
from tessella.tracing.trace import attributed
from tessella.transforms.dynamic import Declared
from tessella.transforms.jit import Jitted, specialisation_for
from tessella.transforms.specialisation import Specialisation

_MOST_KNOWN = 4096  # programs of one function
_mode = autodiff.mode


class _Quiet(Jitted[..., Any]):
    """Of a function that is traced for each of its options: that is as it should be."""

    most_quiet_traces = math.inf


class AtOnce:
    """A function of tensors and of what never changes while a program runs: all that is no tensor is static.

    The function is pure: it depends on its arguments alone, and changes nothing. Inside traces, and while somebody looks on at
    operations, it is what it is without this.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        functools.update_wrapper(self, function)
        self.__code__ = function.__code__  # errors tell where it is
        self.function = function
        self.known: dict[Any, tuple[Jitted[..., Any], Specialisation] | None] = {}
        self.compiled: dict[Any, Jitted[..., Any]] = {}  # by what is static

    def __call__(self, *args: Any) -> Any:
        if _mode.trace is not None or _mode.watched or not settings.compiles:
            return self.function(*args)
        records = autodiff.is_enabled()
        key: list[Any] = [records, lower_dtype()]
        arrays, tensors = [], []
        for x in args:
            if isinstance(x, Tensor):
                array = x._value
                arrays.append(array)
                key.append(array.layout)
                if records and x._node is not None:
                    tensors.append(x)
                    key.append(True)
            else:
                key.append(tuple(x) if type(x) is list else x)
                key.append(type(x))
        found = self._found(tuple(key), args)
        if found is None:
            return self.function(*args)
        jitted, program = found
        with jitted.lock:
            return program.call(arrays, tensors, program.state.is_settled())

    def _found(
        self, key: Any, args: Sequence[Any]
    ) -> tuple[Jitted[..., Any], Specialisation] | None:
        """The program for arguments of a kind; None where there is nothing to do, and it is not worth one."""
        found = self.known.get(key)
        if found is None and key in self.known:
            return None
        if found is None or not found[1].guards.hold():
            if len(self.known) >= _MOST_KNOWN:
                self.known.clear()
            found = self.known[key] = self._made(args)
        return found

    def _made(self, args: Sequence[Any]) -> tuple[Jitted[..., Any], Specialisation] | None:
        tensors = [as_it_is(x) for x in args if isinstance(x, Tensor)]  # each a handle of its own
        if not all(x.size for x in tensors):
            return None
        static = tuple([
            None if isinstance(x, Tensor) else (type(x), tuple(x) if type(x) is list else x) for x in args
        ])  # fmt: skip
        jitted = self.compiled.get(static)
        if jitted is None:
            if len(self.compiled) >= _MOST_KNOWN:
                self.compiled.clear()
            jitted = self.compiled[static] = self._compiled(static)
        try:
            with jitted.lock:
                return jitted, specialisation_for(jitted, tensors)
        except TessellaError:
            self.function(*args)  # complains in words of this call, not of every size
            raise

    def _compiled(self, static: Sequence[Any]) -> Jitted[..., Any]:
        """The function of tensors alone."""
        function = self.function

        def of_tensors(*tensors: Tensor) -> Any:
            given = iter(tensors)
            with attributed(NO_LINE):  # it serves many callers
                return function(*[next(given) if x is None else x[1] for x in static])

        of_tensors.__name__ = function.__name__
        return _Quiet(of_tensors, (), (), Declared({}, True, True))


def at_once(function: Callable[..., Any]) -> Any:
    """Let a pure function of tensors and static values be one program (`AtOnce`).

    >>> import tessella as ts
    >>> @at_once
    ... def centred(x, axis):
    ...     return x - x.mean(axis=axis, keepdims=True)
    >>> centred(ts.asarray([1.0, 3.0]), 0)
    tensor([-1.,  1.])
    """
    return AtOnce(function)
