"""The way of a value through the house: which files a call goes through, and how deep.

`python -m tests.way` prints what docs/architecture.md shows.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import tessella as ts
from tests.strata import STRATA, level

ROOT = f"{Path(ts.__file__).parent}/"


class Way(NamedTuple):
    """Where a call goes.

    Args:
        files: all that take part, in the order in which they are first met.
        deepest: those from the user's call down to where it is deepest in the house, each once.
    """

    files: list[str]
    deepest: list[str]

    @property
    def strata(self) -> list[str]:
        """The strata they stand in, in the order in which they are met."""
        return list(dict.fromkeys(STRATA[level(file)].name for file in self.files))


def way_of(call: Callable[[], object]) -> Way:
    """Which files of the package a call goes through."""
    files: dict[str, None] = {}
    deepest: list[str] = []

    def look(frame, event, argument):
        nonlocal deepest
        if event != "call" or not frame.f_code.co_filename.startswith(ROOT):
            return
        if (
            frame.f_code.co_filename[len(ROOT) :] not in files
            and frame.f_code.co_name == "<module>"
        ):
            return  # imported, not called
        files[frame.f_code.co_filename[len(ROOT) :]] = None
        here: dict[str, None] = {}
        at = frame
        while at is not None:
            if at.f_code.co_filename.startswith(ROOT):
                here[at.f_code.co_filename[len(ROOT) :]] = None
            at = at.f_back
        if len(here) > len(deepest):
            deepest = [*reversed(here)]

    before = sys.getprofile()
    sys.setprofile(look)
    try:
        call()
    finally:
        sys.setprofile(before)
    return Way(list(files), deepest)


def ways() -> dict[str, Way]:
    """The calls that docs/architecture.md follows."""
    x = ts.asarray([0.5, 1.0, 1.5])
    ts.exp(x)  # what is loaded at the first operation of all is loaded now
    ts.exp(ts.ones((2, 2))).sum()
    parameter = ts.asarray([0.5, 1.0, 1.5]).requires_grad_()
    found = {"x * x, for the first time": way_of(lambda: x * x), "x * x": way_of(lambda: x * x)}
    y = (parameter * parameter).sum()
    y.backward()
    again = (parameter * parameter).sum()
    found["backward()"] = way_of(again.backward)
    step = ts.jit(lambda x: ts.tanh(x) * 2.0 + 1.0)
    found["a compiled function, the first call"] = way_of(lambda: step(x))
    step(x)
    found["the next calls"] = way_of(lambda: step(x))
    return found


def shown() -> str:
    """As docs/architecture.md has it."""
    lines = []
    for name, way in ways().items():
        counts = f"{len(way.strata)} strata, {len(way.files)} files, {len(way.deepest)} deep"
        lines += [f"{name}: {counts}", f"    {' > '.join(way.deepest)}"]
    return "\n".join(lines)


if __name__ == "__main__":
    print(shown())
