"""The user's line: where in a program what is being done was written.

It is the line of the nearest caller that is no part of this package, noted when a node is recorded. What is done for a
gradient belongs to the line of the operation whose gradient it is: autodiff notes which node it pulls.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any

from tessella import autodiff
from tessella.primitives.graph import Where
from tessella.tracebacks import NOT_USERS


def user_frame() -> FrameType | None:
    """The frame of the caller that is no part of this package."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(NOT_USERS):
        frame = frame.f_back
    return frame


def where_of(frame: FrameType | None) -> Where:
    """The line a frame is at."""
    if frame is None:
        return Where("<unknown>", 0, "?")
    code = frame.f_code
    return Where(code.co_filename, frame.f_lineno, code.co_name)


def user_line() -> Where:
    """The line of the caller that is no part of this package."""
    return where_of(user_frame())


def line_of(known: Callable[[Any], Where | None]) -> Where:
    """The user's line that what is being done belongs to: in a backward pass, that of the forward operation.

    Args:
        known: gives the line that made what a tensor holds, if it is known.
    """
    pulled = autodiff.mode.pulled
    while pulled is not None:
        node, pulled = pulled
        outputs = getattr(node, "outputs", None)  # a leaf has none
        where = known(outputs[0]) if outputs else None
        if where is not None:
            return where._replace(backward=True)
    where = user_line()
    return where if autodiff.mode.layer is None else where._replace(layer=str(autodiff.mode.layer))


class Lines:
    """The lines of eager operations, for who looks on at them: known by the arrays they made.

    An id is another array's after its array has gone, but that one is noted, too.
    """

    def __init__(self) -> None:
        self._of: dict[int, Where] = {}

    def note(self, results: Sequence[Any]) -> Where:
        """The line that the operation which has just made these arrays belongs to."""
        where = autodiff.mode.where or line_of(lambda made: self._of.get(id(made)))
        self._of.update({id(result): where for result in results})
        return where
