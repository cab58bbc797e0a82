"""LLVM IR that is written by hand is mostly looking into tables of 8-byte words, which takes a line here."""

from __future__ import annotations

import re
from collections.abc import Sequence

_WORD = re.compile(r"^  %(\S+) = word (\S+) of (\S+) as (\w+)$", re.MULTILINE)


def spelled_out(text: str) -> str:
    """LLVM IR of a text in which words of tables are named.

    >>> print(spelled_out("  %size = word 2 of %table as i64"))
      %size.place = getelementptr i64, ptr %table, i64 2
      %size = load i64, ptr %size.place
    """
    place = r"  %\1.place = getelementptr i64, ptr \3, i64 \2"
    return _WORD.sub(place + "\n" + r"  %\1 = load \4, ptr %\1.place", text)


def words(names: Sequence[str], pointers: int) -> str:
    """The words at %args by their names, of which so many are pointers, the others numbers; to be spelled out."""
    return "\n".join(
        f"  %{name} = word {slot} of %args as {'ptr' if slot < pointers else 'i64'}"
        for slot, name in enumerate(names)
    )
