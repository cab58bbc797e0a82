"""Python's search for garbage stands aside while programs are made.

Tracing and compiling make tens of thousands of small objects that live on, or go as soon as nobody counts
on them. The collector would go through all of them again and again, and find nothing: a third of the time
of a first call.
"""

from __future__ import annotations

import contextlib
import gc
import threading
from collections.abc import Iterator

_lock = threading.Lock()
_pauses = 0  # blocks that are open, in all threads
_resume = False  # whether the collector was at work before the first of them


@contextlib.contextmanager
def collector_paused() -> Iterator[None]:
    """Inside the block cycles of objects are not looked for; what counts references goes on.

    >>> with collector_paused():
    ...     gc.isenabled()
    False
    >>> gc.isenabled()
    True
    """
    global _pauses, _resume
    with _lock:
        if _pauses == 0:
            _resume = gc.isenabled()
            gc.disable()
        _pauses += 1
    try:
        yield
    finally:
        with _lock:
            _pauses -= 1
            if _pauses == 0 and _resume:
                gc.enable()
