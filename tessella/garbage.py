"""Python's search for garbage stands aside while programs are made.

Tracing and compiling make tens of thousands of small objects that live on, or go as soon as nobody counts
on them. The collector would go through all of them again and again, and find nothing: a third of the time
of a first call.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Generator

from tessella import forking
from tessella.blocks import restoring, undoing

_lock = forking.lock()
_open: dict[object, int] = {}  # blocks, and the threads they are in
_resume = False  # whether the collector was at work before the first of them


@restoring
def collector_paused() -> Generator[None, None, None]:
    """Inside the block cycles of objects are not looked for; what counts references goes on.

    A fork waits for the end of the block: what is made in it is whole in the child, or not there.

    >>> with collector_paused():
    ...     gc.isenabled()
    False
    >>> gc.isenabled()
    True
    """
    block = object()
    with forking.making.section(), undoing(lambda: _leave(block)):
        _enter(block)
        yield


def _enter(block: object) -> None:
    global _resume
    with _lock:
        if not _open:
            _resume = gc.isenabled()
        _open[block] = threading.get_ident()
        gc.disable()


def _leave(block: object) -> None:
    """End a block; may be done twice."""
    with _lock:
        if block in _open:
            if len(_open) == 1 and _resume:
                gc.enable()
            del _open[block]


def _forget_other_threads() -> None:
    for block in [block for block, thread in _open.items() if thread != threading.get_ident()]:
        _leave(block)


forking.in_child(_forget_other_threads)
