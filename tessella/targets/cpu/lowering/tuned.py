"""What is known of a product when it is cut into blocks, what is free to be chosen then, and what `ts.tune` found best.

That is kept on disk beside the compiled kernels. An entry belongs to one kind of processor with its caches, and to one version of the code generator.
It is trusted as compiled kernels are (`tessella.targets.cpu.cache`). A process reads an entry once,
so what it computes does not change under its hands.
"""

from __future__ import annotations

import hashlib
import json
from typing import NamedTuple

from tessella.dtypes import DType
from tessella.targets.cpu import cache, engine, machine

SERIAL_BELOW = 1 << 19  # multiply-adds that one thread does sooner than two
PREFIX = "tuned-"


class Problem(NamedTuple):
    """What is known of a product when it is cut.

    Args:
        dtype: what is multiplied and added.
        pairs: whether panels hold pairs of bfloat16; `depth` counts them.
        left_stays, right_stays: whether the operand can be read where it stands.
        left_straight: whether its steps of k lie side by side.
        left_fixed, right_fixed: whether it stays the same from call to call, and is packed only once.
        right_windows: whether most of its panels lie side by side, at each step somewhere else.
    """

    dtype: DType
    pairs: bool
    batches: int
    rows: int
    columns: int
    depth: int
    left_stays: bool
    left_straight: bool
    right_stays: bool
    left_fixed: bool
    right_fixed: bool
    right_windows: bool = False

    @property
    def work(self) -> int:
        """Multiply-adds."""
        return self.batches * self.rows * self.columns * self.depth

    @property
    def shared(self) -> bool:
        """Whether threads share the work."""
        return self.work >= SERIAL_BELOW


class Choice(NamedTuple):
    """What is free to be chosen when a product is cut; `ts.tune` tries several.

    Args:
        left_in_place: whether the left operand is read where it stands.
        right: when the right operand is packed, as in `Blocking`.
        most_block: of k, at most.
        row_panels, column_panels: of one item, at most.
    """

    left_in_place: bool
    right: str
    most_block: int
    row_panels: int
    column_panels: int


_known: dict[Problem, Choice | None] = {}


def lookup(problem: Problem) -> Choice | None:
    """The choice that was found best for a class of products, or None."""
    if problem not in _known:
        _known[problem] = _read(cache.load(_name(problem)))
    return _known[problem]


def keep(problem: Problem, choice: Choice) -> None:
    """Remember a choice, for this process and later ones."""
    _known[problem] = choice
    cache.store(_name(problem), json.dumps(choice).encode())


def forget() -> int:
    """Remove all choices; gives how many there were on disk."""
    _known.clear()
    return cache.remove(PREFIX)


def _read(data: bytes | None) -> Choice | None:
    return None if data is None else Choice(*json.loads(data))


def _name(problem: Problem) -> str:
    caches = [machine.cache_bytes(level, 0) for level in (1, 2, 3)]
    fields = [problem.dtype.name, *problem[1:]]
    text = json.dumps([engine.fingerprint(), caches, Choice._fields, fields])
    return PREFIX + hashlib.sha256(text.encode()).hexdigest()
