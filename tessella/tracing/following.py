"""Being called for what a thread runs: when functions begin, before their instructions, and when they return.

Python has two ways to that. From 3.12 on it is `sys.monitoring`, which asks for the instructions of single functions, and
goes on beside debuggers and measurements of coverage. Before, it is `sys.settrace`, of which there is one: whoever
had it is called by us.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Generator
from types import CodeType, FrameType
from typing import Any, Protocol

from tessella.blocks import restoring

_NAME = "tessella"


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
    made: Any = _Monitoring(follower) if sys.version_info >= (3, 12) else _Tracing(follower)
    try:
        try:
            made.start()
            yield
        finally:
            made.stop()
    finally:
        made.stop()


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


class _Monitoring:
    """By `sys.monitoring`."""

    def __init__(self, follower: Follower) -> None:
        self._follower = follower
        self._thread = threading.get_ident()
        self._codes: dict[int, CodeType] = {}
        self._monitoring: Any = sys.monitoring  # type: ignore[attr-defined, unused-ignore]
        self._tool: int | None = None

    def start(self) -> None:
        monitoring = self._monitoring
        events = monitoring.events
        self._instruction, self._return = events.INSTRUCTION, events.PY_RETURN
        self._tool = next(tool for tool in (4, 3, 5, 1, 2, 0) if monitoring.get_tool(tool) is None)
        monitoring.use_tool_id(self._tool, _NAME)
        monitoring.register_callback(self._tool, events.PY_START, self._begins)
        monitoring.register_callback(self._tool, events.INSTRUCTION, self._instructs)
        monitoring.register_callback(self._tool, events.PY_RETURN, self._returns)
        monitoring.restart_events()
        monitoring.set_events(self._tool, events.PY_START)

    def stop(self) -> None:
        """Let everything be as it was; may be done twice."""
        monitoring = self._monitoring
        if self._tool is None or monitoring.get_tool(self._tool) != _NAME:
            return
        monitoring.set_events(self._tool, 0)
        for code in self._codes.values():
            monitoring.set_local_events(self._tool, code, 0)
        for event in (monitoring.events.PY_START, self._instruction, self._return):
            monitoring.register_callback(self._tool, event, None)
        monitoring.free_tool_id(self._tool)
        self._tool = None

    def _begins(self, code: CodeType, offset: int) -> Any:
        if threading.get_ident() != self._thread:
            return None
        frame = sys._getframe(1)
        events = self._instruction if self._follower.begins(frame) else 0
        if self._follower.wants_result(frame.f_back):
            events |= self._return
        if events:
            events |= self._monitoring.get_local_events(self._tool, code)
            self._codes[id(code)] = code
            self._monitoring.set_local_events(self._tool, code, events)
            return None
        # ours, called by ours: what it gives to users' code later is not known then, which does no harm
        return self._monitoring.DISABLE

    def _instructs(self, code: CodeType, offset: int) -> None:
        if threading.get_ident() == self._thread:
            self._follower.instruction(sys._getframe(1), offset)

    def _returns(self, code: CodeType, offset: int, result: Any) -> None:
        caller = sys._getframe(1).f_back
        if threading.get_ident() == self._thread and self._follower.wants_result(caller):
            assert caller is not None
            self._follower.returns(caller, result)
