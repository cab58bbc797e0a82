"""What `ts.tune` found best for products of a class, kept on disk beside the compiled kernels.

An entry belongs to one kind of processor with its caches, and to one version of the code generator.
It is trusted as compiled kernels are (`tessella.targets.cpu.cache`). A process reads an entry once,
so what it computes does not change under its hands.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from tessella.targets.cpu import cache, engine, machine
from tessella.targets.cpu.lowering.product_problem import Choice, Problem

PREFIX = "tuned-"

_known: dict[Any, Choice | None] = {}


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
    from tessella.targets.cpu.lowering.product_problem import Choice

    return None if data is None else Choice(*json.loads(data))


def _name(problem: Problem) -> str:
    from tessella.targets.cpu.lowering.product_problem import Choice

    caches = [machine.cache_bytes(level, 0) for level in (1, 2, 3)]
    fields = [problem.dtype.name, *problem[1:]]
    text = json.dumps([engine.fingerprint(), caches, Choice._fields, fields])
    return PREFIX + hashlib.sha256(text.encode()).hexdigest()
