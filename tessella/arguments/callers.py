"""Which public function code outside of the library called, for messages: what is met deep inside is told of that."""

from __future__ import annotations

import sys
from types import FrameType

from tessella.arguments.kinds import scope
from tessella.tracebacks import NOT_USERS


def called_function(otherwise: str) -> str:
    """The name of the public function that the nearest line of a user called.

    Args:
        otherwise: the name where there is none, as of an operator.
    """
    name = otherwise
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(NOT_USERS):
        if frame.f_globals is scope and "settle" in frame.f_locals:  # what stands before a gate
            found = frame.f_locals["settle"].public.__name__
            name = name if found.startswith("_") else found
        frame = frame.f_back
    return name
