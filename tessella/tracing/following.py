"""Being called for what a thread runs: when functions begin, before their instructions, and when they return.

Python has two ways to that. From 3.12 on it is `sys.monitoring`, which asks for the instructions of single functions, and
goes on beside debuggers and measurements of coverage. Before, it is `sys.settrace`, of which there is one: whoever
had it is called by us.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Generator, Sequence
from types import CodeType, FrameType
from typing import Any, Protocol

from tessella import forking
from tessella.blocks import restoring, undoing

_NAME = "tessella"
_monitoring: Any = getattr(sys, "monitoring", None)  # from 3.12 on


class Follower(Protocol):
    """Who wants to know."""

    def begins(self, frame: FrameType) -> bool:
        """A function begins; gives whether its instructions are of interest."""
        ...

    def wants_result(self, caller: FrameType | None) -> bool:
        """Whether what a function returns is of interest, by the frame that called it."""
        ...

    def instruction(self, frame: FrameType, offset: int) -> None:
        """An instruction is about to be carried out."""
        ...

    def returns(self, caller: FrameType, result: Any) -> None:
        """A function returns."""
        ...


@restoring
def following(follower: Follower) -> Generator[None, None, None]:
    """In the block a follower is told what this thread does."""
    made: Any = _Monitoring(follower) if _monitoring is not None else _Tracing(follower)
    with undoing(made.stop):
        made.start()
        yield


class _Current(threading.local):
    tracing: _Tracing | None = None  # who is called for everything that this thread runs


_current = _Current()


def pause() -> _Tracing | None:
    """Be left alone for a while, in which no code of users runs; give what this gives to `go_on`.

    With `sys.settrace` every function of ours costs a call of its own; `sys.monitoring` needs no such thing.
    """
    tracing = _current.tracing
    if tracing is None or tracing.is_paused or tracing.has_company:
        return None
    tracing.is_paused = True
    sys.settrace(None)
    return tracing


def go_on(paused: _Tracing | None) -> None:
    """Be told again."""
    if paused is not None:
        sys.settrace(paused.begin)
        paused.is_paused = False


class _Tracing:
    """By `sys.settrace`."""

    def __init__(self, follower: Follower) -> None:
        self._follower = follower
        self.begin = self._begins  # one object, to be recognised
        self.is_paused = False
        self._other, self._around = sys.gettrace(), _current.tracing
        self.has_company = self._other is not None

    def start(self) -> None:
        _current.tracing = self
        sys.settrace(self.begin)

    def stop(self) -> None:
        """Let everything be as it was; may be done twice."""
        _current.tracing = self._around
        sys.settrace(self._other)

    def _begins(self, frame: FrameType, event: str, argument: Any) -> Any:
        theirs: Any = self._other
        if theirs is not None:
            theirs = theirs(frame, event, argument)
            if sys.gettrace() is not self.begin:
                sys.settrace(self.begin)  # some tracers put themselves in
        follower, caller = self._follower, frame.f_back
        followed, wanted = follower.begins(frame), follower.wants_result(caller)
        if not followed and not wanted:
            return theirs
        frame.f_trace_opcodes = followed
        if theirs is None:
            frame.f_trace_lines = False
        return self._local(theirs, followed, caller if wanted else None)

    def _local(self, theirs: Any, followed: bool, caller: FrameType | None) -> Any:
        def local(frame: FrameType, event: str, argument: Any) -> Any:
            nonlocal theirs
            if event == "opcode":
                if followed:
                    self._follower.instruction(frame, frame.f_lasti)
                return local
            if event == "return" and caller is not None:
                self._follower.returns(caller, argument)
            if theirs is not None:
                theirs = theirs(frame, event, argument)
            return local

        return local


class _Monitor:
    """The tool that `sys.monitoring` knows us by, of which there are few: one for all threads that follow."""

    def __init__(self) -> None:
        self.lock = forking.lock()
        self.of_threads: dict[
            int, list[_Monitoring]
        ] = {}  # who follows in them, the last one innermost
        self.tool: int | None = None
        self._codes: dict[int, CodeType] = {}

    def add(self, one: _Monitoring) -> None:
        with self.lock:
            self.of_threads.setdefault(one.thread, []).append(one)
            if self.tool is None:
                self._take_tool()
            _monitoring.restart_events()

    def remove(self, one: _Monitoring) -> None:
        """May be done twice."""
        with self.lock:
            known = self.of_threads.get(one.thread, [])
            if one in known:
                known.remove(one)
            if not known:
                self.of_threads.pop(one.thread, None)
            if not self.of_threads and self.tool is not None:
                self._give_back(self.tool)

    def _take_tool(self) -> None:
        events = _monitoring.events
        tool = next(tool for tool in (4, 3, 5, 1, 2, 0) if _monitoring.get_tool(tool) is None)
        _monitoring.use_tool_id(tool, _NAME)
        self.tool = tool
        for event, told in (
            (events.PY_START, self._begins),
            (events.INSTRUCTION, self._instructs),
            (events.PY_RETURN, self._returns),
        ):
            _monitoring.register_callback(tool, event, told)
        _monitoring.set_events(tool, events.PY_START)

    def _give_back(self, tool: int) -> None:
        """Let everything be as it was."""
        events = _monitoring.events
        if _monitoring.get_tool(tool) == _NAME:
            _monitoring.set_events(tool, 0)
            for code in self._codes.values():
                _monitoring.set_local_events(tool, code, 0)
            for event in (events.PY_START, events.INSTRUCTION, events.PY_RETURN):
                _monitoring.register_callback(tool, event, None)
            _monitoring.free_tool_id(tool)
        self._codes.clear()
        self.tool = None

    def _followers(self) -> Sequence[Follower]:
        return [one.follower for one in self.of_threads.get(threading.get_ident(), ())]

    def _begins(self, code: CodeType, offset: int) -> Any:
        frame, events = sys._getframe(1), 0
        for follower in self._followers():
            if follower.begins(frame):
                events |= _monitoring.events.INSTRUCTION
            if follower.wants_result(frame.f_back):
                events |= _monitoring.events.PY_RETURN
        with self.lock:
            if events and self.tool is not None:
                events |= _monitoring.get_local_events(self.tool, code)
                self._codes[id(code)] = code
                _monitoring.set_local_events(self.tool, code, events)
            # ours, called by ours: what it gives to users' code later is not known then, which does no harm
            is_alone = not events and [*self.of_threads] == [threading.get_ident()]
        return _monitoring.DISABLE if is_alone else None

    def _instructs(self, code: CodeType, offset: int) -> None:
        for follower in self._followers():
            follower.instruction(sys._getframe(1), offset)

    def _returns(self, code: CodeType, offset: int, result: Any) -> None:
        caller = sys._getframe(1).f_back
        for follower in self._followers():
            if caller is not None and follower.wants_result(caller):
                follower.returns(caller, result)


_monitor = _Monitor()


class _Monitoring:
    """By `sys.monitoring`."""

    def __init__(self, follower: Follower) -> None:
        self.follower, self.thread = follower, threading.get_ident()

    def start(self) -> None:
        _monitor.add(self)

    def stop(self) -> None:
        """Let everything be as it was; may be done twice."""
        _monitor.remove(self)
