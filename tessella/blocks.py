"""`with` blocks that change a setting, and that neither a Ctrl-C nor another task can leave changed.

A Ctrl-C is raised wherever Python code is being run: also in an `__enter__` that has changed something already,
and at the first line of an `__exit__`, before it has changed anything back. So what a block begins and ends
with is no Python code here but the acquiring and releasing of a lock: one step of the interpreter each. The
value in force is that of the innermost block whose lock is held. Blocks know the one outside, and the
innermost is a context variable: each task of asyncio has its own, as each thread has.
"""

from __future__ import annotations

import functools
from _thread import allocate_lock
from collections.abc import Callable, Generator
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Generic, ParamSpec, TypeVar

Kept = TypeVar("Kept")
Parameters = ParamSpec("Parameters")
Function = TypeVar("Function", bound=Callable[..., Any])


class Entry(Generic[Kept]):
    """One entering of a block.

    Args:
        value: what is in force while the lock is held.
        outer: the entry around it.
        block: what was entered.
        waits_for: which of `__enter__` and `__exit__` nobody has asked for yet.
    """

    __slots__ = ("block", "is_open", "lock", "outer", "value", "waits_for")

    def __init__(self, value: Kept, outer: Entry[Kept] | None, block: Any, waits_for: str) -> None:
        self.value, self.outer, self.block, self.waits_for = value, outer, block, waits_for
        self.lock = allocate_lock()
        self.is_open = self.lock.locked


class Setting(Generic[Kept]):
    """A value that `with` blocks change for what the thread, or the task, does inside them.

    >>> volume = Setting("volume", 5)
    >>> with volume.block(6):
    ...     volume.get()
    6
    >>> volume.get()
    5
    """

    def __init__(self, name: str, default: Kept) -> None:
        self.default = default
        self.innermost: ContextVar[Entry[Kept] | None] = ContextVar(name, default=None)

    def get(self) -> Kept:
        """The value in force."""
        entry = self.innermost.get()
        if entry is None:
            return self.default
        if entry.is_open():
            return entry.value
        entry = self._open_entry()
        return self.default if entry is None else entry.value

    def _open_entry(self) -> Entry[Kept] | None:
        """The innermost block that has not been left; it need not be looked for again."""
        entry = self.innermost.get()
        while entry is not None and not entry.is_open():
            entry = entry.outer
        self.innermost.set(entry)
        return entry

    def block(self, value: Kept) -> Block:
        """A block, or a decorator, inside which the value is another one."""
        return Block(self, value)

    def entry_for(self, block: Block, name: str) -> Entry[Kept]:
        """The entry of a block that waits for one of the two methods, or a new one."""
        entry = innermost = self.innermost.get()
        while entry is not None:
            if entry.block is block and entry.waits_for == name:
                entry.waits_for = ""
                return entry
            entry = entry.outer
        if innermost is not None and not innermost.is_open():
            innermost = self._open_entry()
        made = Entry(block.value, innermost, block, _OTHER[name])
        self.innermost.set(made)  # it counts for nothing as long as its lock is free
        return made


_OTHER = {"__enter__": "__exit__", "__exit__": "__enter__"}


class _Half:
    """`__enter__` or `__exit__` of a block: to look it up prepares an entry, and gives a method of its lock.

    A `with` statement looks both up (some Pythons this one first, some the other) before it calls any.
    """

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, block: Block | None, owner: type) -> Any:
        if block is None:  # asked of the class, as `contextlib.ExitStack` does
            return lambda block, *arguments: getattr(block, self.name)(*arguments)
        return getattr(block.setting.entry_for(block, self.name).lock, self.name)


class Block:
    """A `with` block of a setting; also a decorator. It can be entered again, also inside itself."""

    __slots__ = ("setting", "value")

    __enter__ = _Half()
    __exit__ = _Half()

    def __init__(self, setting: Setting[Any], value: Any) -> None:
        self.setting, self.value = setting, value

    def __call__(self, function: Function) -> Function:
        """The function, always called inside the block."""
        return _inside(lambda: self, function)


def _inside(block: Callable[[], Any], function: Function) -> Function:
    @functools.wraps(function)
    def inside(*args: Any, **kwargs: Any) -> Any:
        with block():
            return function(*args, **kwargs)

    return inside  # type: ignore[return-value]


class Undone:
    """The `__exit__` of a block that undoes something: it calls `finish`, and `undo` when it is let go of.

    A Ctrl-C may keep a `with` statement from calling it, or the call from doing anything; but the statement
    lets go of it then. So `undo` undoes what has not been undone. It is not written in Python, where
    another Ctrl-C might arrive in it and be lost.
    """

    def __get__(self, block: Any, owner: type) -> Any:
        if block is None:  # asked of the class, as `contextlib.ExitStack` does
            return lambda block, *error: block.finish(*error)
        made = _Exit(block.finish)
        setattr(made, _DEL, block.undo)
        return made


_DEL = "__del__"


class _Exit(functools.partial[Any]):
    __slots__ = (_DEL,)


class Restoring(Generic[Kept]):
    """A block that a generator describes: what is done before its `yield` is undone after it, come what may."""

    __slots__ = ("generator", "make", "undo")

    __exit__ = Undone()

    def __init__(self, make: Callable[[], Generator[Kept, None, None]]) -> None:
        self.make, self.generator = make, make()
        self.undo = self.generator.close

    def __enter__(self) -> Kept:
        return next(self.generator)

    def __call__(self, function: Function) -> Function:
        """The function, always called inside such a block."""
        return _inside(lambda: Restoring(self.make), function)

    def finish(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        """Go on behind the `yield`, as `contextlib.contextmanager` does."""
        try:
            if error is None:
                next(self.generator)
            else:
                self.generator.throw(error)
        except StopIteration as stop:
            return error is not None and stop is not error
        except BaseException as raised:
            if raised is not error:
                raise
            raised.__traceback__ = trace
            return False
        raise RuntimeError("the generator of a `with` block must yield once")


def restoring(
    function: Callable[Parameters, Generator[Kept, None, None]],
) -> Callable[Parameters, Restoring[Kept]]:
    """Like `contextlib.contextmanager`, for blocks that change what outlives them.

    The generator changes and yields inside `undoing`, which says how to change back.

    >>> settings = {"volume": 5}
    >>> @restoring
    ... def loud():
    ...     with undoing(lambda: settings.update(volume=5)):
    ...         settings["volume"] = 11
    ...         yield
    >>> with loud():
    ...     settings["volume"]
    11
    >>> settings["volume"]
    5
    """

    @functools.wraps(function)
    def begin(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Restoring[Kept]:
        return Restoring(functools.partial(function, *args, **kwargs))

    return begin


@restoring
def undoing(undo: Callable[[], object]) -> Generator[None, None, None]:
    """A block at whose end something is undone, in a way that can be done twice.

    >>> with undoing(lambda: print("undone", end=" ")):
    ...     print("done", end=", ")
    done, undone undone
    """
    try:
        try:
            yield
        finally:
            undo()
    finally:  # again, for a Ctrl-C in the first one
        undo()
