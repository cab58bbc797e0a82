"""LLVM IR that is written by hand is mostly looking into tables of 8-byte words, which takes a line here."""

from __future__ import annotations

from collections.abc import Sequence


def spelled_out(text: str, **parts: object) -> str:
    """LLVM IR of a text in which words of tables are named, and parts stand by their names in braces.

    >>> print(spelled_out("  %size = word {SIZE} of %table as i64", SIZE=2))
      %size.place = getelementptr i64, ptr %table, i64 2
      %size = load i64, ptr %size.place
    """
    for name, part in parts.items():
        text = text.replace(f"{{{name}}}", str(part))
    return "\n".join(_read(line) if " = word " in line else line for line in text.split("\n"))


def _read(line: str) -> str:
    name, _, _, number, _, table, _, kind = line.split()
    place = f"  {name}.place = getelementptr i64, ptr {table}, i64 {number}"
    return f"{place}\n  {name} = load {kind}, ptr {name}.place"


def words(names: Sequence[str], pointers: int) -> str:
    """The words at %args by their names, of which so many are pointers, the others numbers; to be spelled out."""
    return "\n".join(
        f"  %{name} = word {slot} of %args as {'ptr' if slot < pointers else 'i64'}"
        for slot, name in enumerate(names)
    )
